import numpy as np
import pandas as pd
import pytest
from helpers.frames import FIXED, ORIGIN, conversions, journey, journeys, sessions, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.calibration.training import clean_journeys, sessions_after_conversion
from ihc.errors import InputError

RULES = ["sessions after the conversion", "repeated sessions", "journeys of fewer than 3 sessions"]


def of_length(count, conv_id):
    return journey(*[(hour, "A", 1, 1) for hour in range(count)], conv_id=conv_id)


def counts(cleaned):
    """Journeys and sessions before and after each rule that left something out."""
    rows = cleaned.rules[cleaned.rules["sessions_before"] > cleaned.rules["sessions_after"]]
    return {
        row.rule: ((row.journeys_before, row.sessions_before), (row.journeys_after, row.sessions_after))
        for row in rows.itertuples()
    }


def test_every_rule_has_a_row_even_where_nothing_was_left_out():
    cleaned = clean_journeys(of_length(3, "k"))
    assert cleaned.rules["rule"].tolist() == RULES
    assert counts(cleaned) == {}
    assert cleaned.journeys["session_id"].tolist() == ["s1", "s2", "s3"]


def test_sessions_after_the_conversion_are_left_out_and_counted():
    rows = of_length(5, "k").assign(conv_timestamp=ORIGIN + pd.Timedelta(hours=2))  # hours 3 and 4 come after
    cleaned = clean_journeys(rows)
    assert cleaned.journeys["session_id"].tolist() == ["s1", "s2", "s3"]
    assert counts(cleaned) == {"sessions after the conversion": ((1, 5), (1, 3))}


def test_a_repeated_session_counts_once_and_its_earliest_row_stays():
    rows = of_length(3, "k")
    late = rows.iloc[[1, 1]].assign(timestamp=ORIGIN + pd.Timedelta(minutes=90))
    cleaned = clean_journeys(pd.concat([late, rows]))
    assert_frame_equal(cleaned.journeys, rows)
    assert counts(cleaned) == {"repeated sessions": ((1, 5), (1, 3))}


def test_a_session_of_two_conversions_is_no_repetition():
    both = pd.concat([of_length(3, "k"), of_length(3, "l")])
    assert counts(clean_journeys(both)) == {}


def test_journeys_of_fewer_than_3_sessions_are_left_out_even_if_they_became_so_by_cleaning():
    # k: two sessions; l: its third row repeats its second; m stays.
    short = of_length(2, "l")
    cleaned = clean_journeys(pd.concat([of_length(2, "k"), short, short.iloc[1:], of_length(3, "m")]))
    assert cleaned.journeys["conv_id"].unique().tolist() == ["m"]
    assert counts(cleaned) == {"repeated sessions": ((3, 8), (3, 7)), RULES[2]: ((3, 7), (1, 3))}


def test_no_journeys_are_clean():
    cleaned = clean_journeys(of_length(2, "k").iloc[:0])
    assert cleaned.journeys.empty
    assert counts(cleaned) == {}


@pytest.mark.parametrize("name", ["timestamp", "conv_timestamp", "channel_name", "session_id"])
def test_an_empty_value_is_refused(name):
    rows = of_length(2, "k")
    rows.loc[1, name] = None
    with pytest.raises(InputError, match=f"the column '{name}' has empty values"):
        clean_journeys(rows)


def test_a_missing_column_and_times_that_are_none_are_refused():
    rows = of_length(2, "k")
    with pytest.raises(InputError, match="Journeys lacks the column 'conv_timestamp'"):
        clean_journeys(rows.drop(columns="conv_timestamp"))
    with pytest.raises(InputError, match="column timestamp: training needs timestamps"):
        clean_journeys(rows.assign(timestamp="2023-09-01 00:00:00"))
    with pytest.raises(InputError, match="column conv_timestamp: training needs timestamps"):
        clean_journeys(rows.assign(conv_timestamp=rows["conv_timestamp"].dt.tz_localize("UTC")))


def test_only_sessions_after_the_last_conversion_of_their_user_count():
    # u: orders at 10:00 and 12:00; the session of 11:00 belongs to the second one, that of 12:00 too. v never ordered.
    visits = [
        ("s1", "u", "2023-09-01 09:00:00", "A"),
        ("s2", "u", "2023-09-01 11:00:00", "A"),
        ("s3", "u", "2023-09-01 12:00:00", "A"),
        ("s4", "u", "2023-09-01 12:00:01", "A"),
        ("s5", "u", "2023-09-02 08:00:00", "A"),
        ("s6", "v", "2023-09-02 08:00:00", "A"),
    ]
    orders = conversions([("k", "u", "2023-09-01 10:00:00", 1.0), ("l", "u", "2023-09-01 12:00:00", 1.0)])
    assert sessions_after_conversion(sessions(visits), orders) == 2
    assert sessions_after_conversion(sessions(visits), conversions()) == 0
    assert sessions_after_conversion(sessions(), orders) == 0


@FIXED
@given(journeys(), st.integers(-100, 200), st.integers(0, 9))
def test_the_counts_go_from_all_rows_to_those_that_stay_in_any_order(rows, hours, seed):
    rows = pd.concat([rows, rows.iloc[::3]]).assign(conv_timestamp=ORIGIN + pd.Timedelta(hours=hours))
    given_rows = rows.copy(deep=True)
    cleaned = clean_journeys(rows)
    assert_frame_equal(rows, given_rows)
    before, after = (cleaned.rules[f"sessions_{when}"].tolist() for when in ("before", "after"))
    assert [*before, len(cleaned.journeys)] == [len(rows), *after]
    assert cleaned.rules["journeys_before"].iloc[0] == rows["conv_id"].nunique()
    assert cleaned.rules["journeys_after"].iloc[-1] == cleaned.journeys["conv_id"].nunique()
    assert (cleaned.journeys["timestamp"] <= cleaned.journeys["conv_timestamp"]).all()
    assert not cleaned.journeys.duplicated(["conv_id", "session_id"]).any()
    assert np.all(cleaned.journeys.groupby("conv_id").size() >= 3)
    again = clean_journeys(shuffled(rows, seed))
    assert_frame_equal(again.journeys, cleaned.journeys)
    assert_frame_equal(again.rules, cleaned.rules)
