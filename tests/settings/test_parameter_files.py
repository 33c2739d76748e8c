"""The setting `parameters`: files by conversion type."""

import pytest
from helpers.settings import dotenv, load

from ihc.errors import ParametersError, SettingsError
from ihc.settings.command import command_line
from ihc.settings.parameter_files import parameter_files, parameter_texts
from ihc.settings.run import load_settings
from ihc.shipped import RESOURCES

SHIPPED = (RESOURCES / "default_parameters.json").read_text("utf-8")


@pytest.fixture
def folder(tmp_path):
    """A folder with sets of their own for leads, purchases and trials: the same numbers under other names."""
    for name in ("lead", "purchase", "rest"):
        (tmp_path / f"{name}.json").write_text(SHIPPED.replace('"name": "default"', f'"name": "{name} set"'), "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ((), {}),
        ("one.json", {None: "one.json"}),
        ("lead=lead.json,purchase=sets/purchase.json", {"lead": "lead.json", "purchase": "sets/purchase.json"}),
        (["lead=lead.json", " purchase = p.json , "], {"lead": "lead.json", "purchase": "p.json"}),
        ("rest.json,lead=lead.json", {None: "rest.json", "lead": "lead.json"}),
        ("(none)=x.json", {"(none)": "x.json"}),
        ("lead=a=b.json", {"lead": "a=b.json"}),
        # These exist, so commas and "=" belong to their path.
        ("set=1/a, b.json", {None: "set=1/a, b.json"}),
        ("x=y.json,lead=set=1/a, b.json", {"x": "y.json", "lead": "set=1/a, b.json"}),
    ],
)
def test_files_are_read_by_type_and_what_exists_is_a_path(tmp_path, given, files):
    (tmp_path / "set=1").mkdir()
    (tmp_path / "set=1" / "a, b.json").touch()
    found = parameter_files((given,) if isinstance(given, str) else given, tmp_path)
    assert found == {name: tmp_path / path for name, path in files.items()}
    assert parameter_files(parameter_texts(found), tmp_path.parent) == found
    assert parameter_files([",".join(parameter_texts(found))], tmp_path.parent) == found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("lead=a.json,lead=b.json", "names two files for the type 'lead', a.json and b.json: give FILE, TYPE=FILE"),
        ("a.json,b.json", "names two files for all conversion types, a.json and b.json"),
        ("=a.json", "names an empty conversion type"),
        ("lead=,purchase=b.json", "names the type 'lead' without a file"),
    ],
)
def test_types_that_are_empty_or_given_twice_are_refused(tmp_path, given, says):
    with pytest.raises(SettingsError, match=says):
        load_settings(base=tmp_path, parameters=given)


def test_a_missing_file_is_named(folder):
    with pytest.raises(ParametersError, match=r"gone\.json cannot be read: there is no such file"):
        _ = load_settings(base=folder, parameters="lead=lead.json,purchase=gone.json").source


def test_the_label_names_each_set_with_its_type_whatever_their_order(folder):
    fingerprint = load_settings(base=folder).load_parameter_sets().default.fingerprint
    settings = load_settings(base=folder, parameters=["purchase=purchase.json,rest.json", "lead=lead.json"])
    assert settings.source == (
        f"lead set ({fingerprint}) for lead, purchase set ({fingerprint}) for purchase, "
        f"rest set ({fingerprint}) for other types"
    )
    other = load_settings(base=folder, parameters="lead=lead.json,purchase=purchase.json,rest.json")
    assert settings.source == other.source == settings.run().parameters


def test_a_type_with_the_set_of_all_others_counts_as_one_set(folder):
    (folder / "same.json").write_text((folder / "lead.json").read_text("utf-8"), "utf-8")
    settings = load_settings(base=folder, parameters="lead=same.json,lead.json")
    assert settings.source == load_settings(base=folder, parameters="lead.json").source
    assert settings.parameter_types == ["lead"]


def test_option_environment_and_env_file_take_the_same_text(folder, monkeypatch):
    text = "lead=lead.json,purchase=purchase.json"
    expected = load_settings(base=folder, parameters=text).given.parameters
    assert expected == (f"lead={folder / 'lead.json'}", f"purchase={folder / 'purchase.json'}")
    assert load_settings(base=dotenv(folder, f"IHC_PARAMETERS={text}\n")).given.parameters == expected
    assert load(folder, monkeypatch, {"IHC_PARAMETERS": text}).given.parameters == expected
    assert load(folder, monkeypatch, {}, parameters="rest.json").given.parameters == (str(folder / "rest.json"),)
    assert load(folder, monkeypatch, {}, parameters=[""]).given.parameters == expected


def test_the_command_names_the_files_without_folders(folder):
    (folder / "sets").mkdir()
    settings = load_settings(base=folder, parameters="sets/rest.json,lead=sets/lead.json")
    assert command_line(settings) == ("ihc run --database ihc.db --engine local --parameters rest.json,lead=lead.json")
