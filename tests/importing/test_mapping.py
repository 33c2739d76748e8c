"""The mapping file: what it may hold, and how it is written."""

import tomllib

import pytest

from ihc.errors import SettingsError
from ihc.importing.mapping import Mapping, Part, checked_mapping, load_mapping, load_preset, mapping_text

WRONG = {
    "not TOML": ("timezone = ", "is not valid TOML"),
    "an unknown entry": ('zone = "UTC"', "unknown entry zone"),
    "an unknown field": (
        '[orders.columns]\nsum = "a"',
        r"[orders.columns] has the unknown field 'sum'; fields are order_id",
    ),
    "a kept column of a name in use": (
        '[sessions.keep]\nUser_ID = "a"',
        "[sessions.keep] has 'User_ID', a name that ihc uses",
    ),
    "kept columns of spend": ('[spend.keep]\na = "a"', "daily spend has no columns of your own"),
    "another decimal sign": ('[orders]\ndecimal = "x"', "orders.decimal is 'x'"),
    "no rule": ("channels = 7", "channels"),
    "a rule without a channel": ('[[channels]]\nsource = "a"', "channel is None"),
    "a share above 1": ("max_dropped = 2", "max_dropped is 2: "),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_entry_is_named_with_its_value(tmp_path, what):
    text, says = WRONG[what]
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_mapping(tmp_path / "m.toml")
    assert str(tmp_path / "m.toml") in str(error.value)
    assert says in str(error.value)


def test_a_missing_file_and_an_unknown_preset_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: there is no such file"):
        load_mapping(tmp_path / "m.toml")
    with pytest.raises(SettingsError, match=r"There is no preset 'x'; presets are "):
        load_preset("x")


def test_a_written_mapping_is_read_back(tmp_path):
    columns = {"order_id": 'a "b"', "user_id": "u", "time": ["Tag", "Zeit"], "revenue": "total"}
    part = Part(columns=columns, keep={"country": "Land"}, day_first=False, drop_status=("x",), lines="once")
    mapping = Mapping(timezone="Europe/Berlin", currency="EUR", orders=part)
    text = mapping_text(mapping, None, None, {"orders": {"user_id": "for example u7"}})
    (tmp_path / "m.toml").write_text(text)
    assert load_mapping(tmp_path / "m.toml") == mapping
    assert 'user_id = "u" # for example u7' in text


def test_a_part_is_added_to_a_file_that_keeps_its_comments(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text('# mine\ncurrency = "EUR"\n[orders.columns]\norder_id = "id" # yes\n')
    spend = Part(columns={"date": "Day", "cost": "Cost", "channel": "Channel"})
    text = mapping_text(load_mapping(path).model_copy(update={"spend": spend}), None, path, {})
    assert text.startswith(path.read_text().rstrip("\n"))
    assert tomllib.loads(text)["spend"] == {"columns": spend.columns}


def test_one_rule_of_engagement_needs_no_list():
    rule = {"column": "pages", "at_least": 2}
    one, listed = (checked_mapping({"engagement": {"holder": each}}, "m") for each in (rule, [rule]))
    assert one == listed


def test_entries_of_another_kind_are_told_in_the_words_of_the_file():
    for given, says in (
        (
            {"channels": "ga5"},
            "channels is 'ga5': input should be 'ga4'; channels is 'ga5': input should be a list",
        ),
        ({"orders": "x"}, "orders is 'x': input should be a table"),
        ({"orders": {"drop_status": "paid"}}, "orders.drop_status is 'paid': input should be a list"),
        ({"timezone": 5}, "timezone is 5: input should be a text"),
    ):
        with pytest.raises(SettingsError) as caught:
            checked_mapping(given, "The mapping")
        assert str(caught.value) == f"The mapping: {says}."
