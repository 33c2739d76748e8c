import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, conversions, costs, credits_of, sessions
from pandas.testing import assert_frame_equal

from ihc.analysis.dimension import MOST_ROWS, Folding, folding, load_channel_groups, with_dimension
from ihc.analysis.reporting import TOTAL, by_channel, conversion_credits, visits_of
from ihc.errors import InputError, SettingsError

VISITS = sessions(
    [
        ("s1", "u1", "2023-09-01 10:00:00", "Search"),
        ("s2", "u1", "2023-09-02 10:00:00", "Brand"),
        ("s3", "u2", "2023-09-03 10:00:00", "Mail"),
    ]
)
CAMPAIGNS = VISITS.assign(campaign=pd.array(["autumn", None, " "], dtype="str"), number=[1, 2, 2])
GROUPS = {"Search": "Paid", "Brand": "Paid"}


def test_another_column_replaces_the_channel_and_missing_values_are_named():
    assert with_dimension(CAMPAIGNS, by="campaign")["channel_name"].tolist() == ["autumn", "(none)", "(none)"]
    assert with_dimension(CAMPAIGNS, by="number")["channel_name"].tolist() == ["1", "2", "2"]
    assert with_dimension(CAMPAIGNS, by="channel_name")["channel_name"].tolist() == ["Search", "Brand", "Mail"]
    assert CAMPAIGNS["channel_name"].tolist() == ["Search", "Brand", "Mail"]


@pytest.mark.parametrize(
    ("by", "why"),
    [
        ("nothing", "is not a column of session_sources"),
        *((name, "is the key, user, time or flag of a session") for name in ("user_id", "session_id", "event_time")),
        ("holder_engagement", "is the key, user, time or flag of a session"),
    ],
)
def test_an_unknown_or_unusable_column_is_refused_with_the_usable_ones(by, why):
    with pytest.raises(InputError) as refused:
        with_dimension(CAMPAIGNS, by=by)
    assert str(refused.value) == f"--by '{by}' {why}; report by one of 'channel_name', 'campaign', 'number'."


def test_a_channel_without_a_group_keeps_its_name():
    found = with_dimension(VISITS, groups=GROUPS)
    assert_frame_equal(found, VISITS.assign(channel_name=pd.array(["Paid", "Paid", "Mail"], dtype="str")))
    assert_frame_equal(with_dimension(VISITS), VISITS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])  # as exported from a spreadsheet, with a byte order mark
def test_groups_are_read_for_special_channel_names(tmp_path, encoding):
    frame = pd.DataFrame({"channel_name": [*UNTRUSTED, "NA", ""], "channel_group": "Paid"})
    frame.to_csv(tmp_path / "groups.csv", index=False, encoding=encoding)
    assert load_channel_groups(tmp_path / "groups.csv") == dict.fromkeys([*UNTRUSTED, "NA", ""], "Paid")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, r"groups\.csv cannot be read as CSV in UTF-8: there is no such file"),
        ("", "cannot be read as CSV"),
        ("channel_name;channel_group\na;b\n", "have the columns 'channel_name;channel_group'; the first line must be"),
        ("channel_group,channel_name\na,b\n", "the first line must be channel_name,channel_group"),
        ("channel_name,channel_group\na,b\na,c\n", "name 'a' more than once"),
        ("channel_name,channel_group\na, \n", "have no group for 'a'"),
        ('channel_name,channel_group\n"a,b\n', "cannot be read as CSV"),
    ],
)
def test_an_invalid_groups_file_is_refused(tmp_path, text, says):
    path = tmp_path / "groups.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=says) as refused:
        load_channel_groups(path)
    assert "groups.csv" in str(refused.value)


# c earns nothing; a and b earn 60 and 40, and cost 1 and 3 of 10.
FOUR = sessions([(name, "u", "2025-01-01 10:00:00", name) for name in "abcd"])
EARNED = conversion_credits(
    FOUR, conversions([("k", "u", "2025-01-01 11:00:00", 100)]), credits_of([("k", "a", 0.6), ("k", "b", 0.4)])
)
ROWS = visits_of(FOUR, costs([("a", 1), ("b", 3), ("c", 4), ("d", 2)]), EARNED)
WHOLE = by_channel(ROWS, EARNED)
FEW = Folding(["c"], "other (3 channels)")


def test_the_first_existing_channels_in_the_order_are_named():
    assert folding("dcba", "xabcd", most=2) == Folding(["a", "b"], "other (2 channels)")
    assert folding("abc", "cab", most=2) == Folding(["c", "a", "b"], "")  # a rest of one channel is named
    names = [f"c{number}" for number in range(2_000)]
    assert folding(names, names) == Folding(names[:MOST_ROWS], "other (1,970 channels)")


def test_the_rest_is_a_row_between_the_named_channels_and_the_total():
    found = FEW.table(WHOLE, by_channel, ROWS, EARNED, has_total=True)
    assert found["channel_name"].tolist() == ["c", "other (3 channels)", TOTAL]
    # One order, 100 of revenue for 1 + 3 + 2 of cost.
    assert found.loc[1, ["influenced_conversions", "cost", "ihc_revenue", "CPO"]].tolist() == [1, 6, 100, 6]
    assert_frame_equal(found.tail(1).reset_index(drop=True), WHOLE.tail(1).reset_index(drop=True))


def test_a_channel_named_like_the_total_is_a_channel():
    rows = ROWS.assign(channel_name=[TOTAL, "b", "c", "d"])
    found = Folding([TOTAL], "other (3 channels)").table(WHOLE, by_channel, rows, EARNED.iloc[:0], has_total=True)
    assert found["channel_name"].tolist() == [TOTAL, "other (3 channels)", "Total of all channels"]
    assert found["cost"].tolist() == [1, 9, 10]


def test_without_a_rest_nothing_changes():
    every = Folding(list("abcd"), "")
    assert every.table(WHOLE, by_channel, ROWS, EARNED, has_total=True) is WHOLE
    assert every.of(ROWS) is ROWS
    assert every.only(WHOLE) is WHOLE


def test_folding_keeps_the_rows_and_does_not_change_its_input():
    before = ROWS.copy(deep=True)
    assert FEW.of(ROWS)["channel_name"].tolist() == [FEW.rest, FEW.rest, "c", FEW.rest]
    assert_frame_equal(ROWS, before)
    assert FEW.of(ROWS.iloc[:0]).empty
    assert FEW.only(WHOLE)["channel_name"].tolist() == ["c"]  # for figures that cannot be summed
