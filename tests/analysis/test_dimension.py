import pandas as pd
import pytest
from helpers.frames import FIXED, UNTRUSTED, sessions, shops
from hypothesis import given
from pandas.testing import assert_frame_equal

from ihc.analysis.dimension import load_channel_groups, with_dimension
from ihc.errors import InputError, SettingsError
from ihc.narrative.dimension import dimension_sentence

VISITS = sessions(
    [
        ("s1", "u1", "2023-09-01 10:00:00", "Search"),
        ("s2", "u1", "2023-09-02 10:00:00", "Brand"),
        ("s3", "u2", "2023-09-03 10:00:00", "Mail"),
    ]
)
CAMPAIGNS = VISITS.assign(campaign=pd.array(["autumn", None, " "], dtype="str"), number=[1, 2, 2])
GROUPS = {"Search": "Paid", "Brand": "Paid"}


def groups_file(folder, text):
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_dimension_the_sessions_stay_as_they_are():
    assert_frame_equal(with_dimension(VISITS), VISITS)
    assert dimension_sentence(VISITS) == ""


def test_another_column_takes_the_channels_place_and_gaps_are_named():
    assert with_dimension(CAMPAIGNS, by="campaign")["channel_name"].tolist() == ["autumn", "(none)", "(none)"]
    assert with_dimension(CAMPAIGNS, by="number")["channel_name"].tolist() == ["1", "2", "2"]
    assert with_dimension(CAMPAIGNS, by="channel_name")["channel_name"].tolist() == ["Search", "Brand", "Mail"]
    assert CAMPAIGNS["channel_name"].tolist() == ["Search", "Brand", "Mail"]


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("nothing", "is no column of session_sources"),
        *((name, "is the key, user, time or flag of a session") for name in ("user_id", "session_id", "event_time")),
        ("holder_engagement", "is the key, user, time or flag of a session"),
    ],
)
def test_a_column_that_is_not_there_or_of_another_use_is_refused_with_those_that_there_are(by, why):
    with pytest.raises(InputError) as refused:
        with_dimension(CAMPAIGNS, by=by)
    assert str(refused.value) == f"--by '{by}' {why}; report by one of 'channel_name', 'campaign', 'number'."


def test_a_channel_without_a_group_keeps_its_name():
    assert with_dimension(VISITS, groups=GROUPS)["channel_name"].tolist() == ["Paid", "Paid", "Mail"]


@FIXED
@given(shops())
def test_a_dimension_changes_no_other_column_and_no_row(tables):
    grouped = with_dimension(tables.sessions, groups=GROUPS)
    assert_frame_equal(grouped.drop(columns="channel_name"), tables.sessions.drop(columns="channel_name"))
    assert grouped["channel_name"].dtype == tables.sessions["channel_name"].dtype


def test_the_sentence_names_the_channels_without_a_group():
    assert dimension_sentence(VISITS, groups=GROUPS) == (
        "2 channels of 3 are put into groups; without a group, and under their own name: 'Mail'."
    )
    every = GROUPS | {"Mail": "Owned"}
    assert dimension_sentence(VISITS, groups=every) == (
        "3 channels of 3 are put into groups; what says channel below means a group, but for the engine, what changed "
        "since the last run, channel_reporting.csv and order_credits.csv."
    )
    assert dimension_sentence(VISITS, groups={}).startswith("0 channels of 3 are put into groups; without a group")
    assert "column campaign, not channels" in dimension_sentence(CAMPAIGNS, by="campaign")


def test_groups_are_read_whatever_the_channels_are_called(tmp_path):
    frame = pd.DataFrame({"channel_name": [*UNTRUSTED, "NA", ""], "channel_group": "Paid"})
    frame.to_csv(tmp_path / "groups.csv", index=False)
    assert load_channel_groups(tmp_path / "groups.csv") == dict.fromkeys([*UNTRUSTED, "NA", ""], "Paid")
    named = dimension_sentence(VISITS.assign(channel_name="<b>" * 100), groups={})
    assert len(named) < 250


def test_groups_from_a_spreadsheet_may_begin_with_a_byte_order_mark(tmp_path):
    path = groups_file(tmp_path, "\ufeffchannel_name,channel_group\nSearch,Paid\n")
    assert load_channel_groups(path) == {"Search": "Paid"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read as CSV"),
        ("channel_name;channel_group\na;b\n", "have the columns 'channel_name;channel_group'; the first line must be"),
        ("channel_group,channel_name\na,b\n", "the first line must be channel_name,channel_group"),
        ("channel_name,channel_group\na,b\na,c\n", "name 'a' more than once"),
        ("channel_name,channel_group\na, \n", "give no group to 'a'"),
        ('channel_name,channel_group\n"a,b\n', "cannot be read as CSV"),
    ],
)
def test_a_wrong_file_of_groups_is_refused_in_a_sentence(tmp_path, text, says):
    path = groups_file(tmp_path, text)
    with pytest.raises(SettingsError, match=says) as refused:
        load_channel_groups(path)
    assert "groups.csv" in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"nothing\.csv cannot be read as CSV in UTF-8: there is no such file"):
        load_channel_groups(tmp_path / "nothing.csv")
