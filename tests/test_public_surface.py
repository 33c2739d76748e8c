import ast
import doctest
import inspect
from pathlib import Path

import pytest

import ihc

PURE = ["schemas", "arrays", "journeys", "models", "calibration", "analysis", "quality", "narrative"]
MODULES = sorted(path for package in PURE for path in (Path(ihc.__file__).parent / package).glob("*.py"))
NOT_PURE = {"sqlalchemy", "sqlite3", "requests", "matplotlib", "os", "dotenv", "papermill", "IPython", "time", "random"}


def test_the_public_names_are_these_and_sorted():
    assert ihc.__all__ == [
        "Parameters",
        "attribute",
        "build_journeys",
        "calibrate",
        "channel_reporting",
        "channel_summary",
        "explain",
        "from_notebook",
        "load_parameters",
        "load_redistribution",
        "open",
        "pack_requests",
        "read_tables",
        "train",
    ]
    assert sorted(ihc.__all__) == ihc.__all__


@pytest.mark.parametrize("name", ihc.__all__)
def test_every_public_name_can_be_imported_and_has_a_numpydoc_docstring_whose_examples_run(name):
    entry = getattr(ihc, name)
    assert entry.__name__ == name
    assert "\n----------\n" in inspect.getdoc(entry)
    for example in doctest.DocTestFinder().find(entry, name, globs={}):
        assert doctest.DocTestRunner().run(example).failed == 0


def test_an_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'ihc' has no attribute 'nothing'"):
        ihc.nothing  # noqa: B018
    assert not hasattr(ihc, "_nothing")


def test_the_version_is_three_numbers():
    assert [part.isdigit() for part in ihc.__version__.split(".")] == [True] * 3


def test_computing_modules_do_no_input_output_or_plotting():
    for module in MODULES:
        nodes = [*ast.walk(ast.parse(module.read_text("utf-8")))]
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        calls = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert not {name.split(".")[0] for name in imported} & NOT_PURE, module
        assert not calls & {"print", "input", "open"}, module
