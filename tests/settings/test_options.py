"""Help texts are defined once; notebooks and `.env.example` repeat them unchanged."""

import json
from typing import get_args, get_type_hints

import papermill
import pytest
from helpers.commands import ROOT

from ihc.settings.options import NAMES, Options, variable_of
from ihc.settings.variables import KNOWN

KINDS = get_type_hints(Options, include_extras=True)


def parameter(name):
    """The line in a notebook: an empty value and the help text."""
    kind, says, *_ = get_args(KINDS[name])
    nothing = None if {bool, int, float} & {kind, *get_args(kind)} else ""
    return f"{name} = {json.dumps(nothing).replace('null', 'None')}  # {'True: ' * (kind is bool)}{says.text}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_parameters_are_the_settings_with_their_help_texts(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    (cell,) = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    comment, *lines = "".join(cell["source"]).splitlines()
    assert comment.startswith("# ")
    assert lines == [parameter(name) for name in NAMES]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_papermill_knows_every_parameter_of_a_notebook(path):
    # It cannot read a line with "=" in the comment, and then warns in each run.
    assert list(papermill.inspect_notebook(path)) == list(NAMES)


def test_every_setting_is_in_the_example_file_and_nothing_else():
    example = (ROOT / ".env.example").read_text("utf-8").splitlines()
    assert {line[2:].split("=")[0] for line in example if line.startswith("# IHC_") and "=" in line} == set(KNOWN)
    assert {variable_of(name) for name in NAMES} < set(KNOWN)


def test_every_setting_has_a_comment_of_its_own_in_the_example_file():
    _, *blocks = (ROOT / ".env.example").read_text("utf-8").split("\n\n")
    for lines in (block.splitlines() for block in blocks):
        assert not lines[0].startswith("# IHC_")
        assert len({line.split("=")[0] for line in lines if line.startswith("# IHC_")}) == 1, lines
