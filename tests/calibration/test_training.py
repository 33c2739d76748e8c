import shutil

import numpy as np
import pandas as pd
import pytest
from helpers.commands import REAL, ROOT
from helpers.frames import FIXED, ORIGIN, conversions, journey, journeys, sessions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc import read_tables
from ihc.calibration.curves import WIDTH
from ihc.calibration.training import clean_journeys, end_points, sessions_after_conversion, train
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.models.ihc import attribute, time_order

MADE = "2025-03-09"


def trained(rows):
    return train(rows, name="mine", made=MADE)


def trios(*gaps, closes=(1, 0, 1), holds=(1, 1, 1)):
    """One journey of three sessions per two gaps [hours]."""
    parts = [
        journey(*zip((0, a, a + b), "ABC", holds, closes, strict=True), conv_id=f"k{number}")
        for number, (a, b) in enumerate(gaps)
    ]
    return pd.concat(parts, ignore_index=True)


# Gaps 1, 1, 2, 2, 3, 3, 4, 6, 8, 20: median 3. The longest of each journey without outliers are 2, 4, 6 and 8 (the
# 80 % quantile is 10.4), and their 90 % quantile is 6 + 0.7 * 2 = 7.4. From first session to last: 3, 5, 8, 11, 23
# hours; the 80 % quantile is 11 + 0.2 * 12 = 13.4, and the 90 % quantile of 3, 5, 8, 11 is 8 + 0.7 * 3 = 10.1.
FIVE = trios((1, 2), (1, 4), (2, 6), (3, 8), (3, 20))


def read(curve, *hours):
    return curve(np.array(hours, dtype="float64")).tolist()


def close(*values):
    return pytest.approx(list(values), abs=3e-5)  # knots within 2e-5 of a straight line are left out


def test_the_curves_run_between_the_end_points_of_the_published_rule():
    found = trained(FIVE)
    initializer, closer = found.parameters.initializer, found.parameters.closer
    assert read(initializer, 0, 3, 7.4, 20) == close(0, 0, 1, 1)
    assert initializer(np.array([3.1]))[0] > 0
    assert initializer(np.array([7.3]))[0] < 1
    assert closer.hours[-1] == pytest.approx(10.1, abs=1e-12)
    assert read(closer, 0, 10.1, 23) == close(1, 0, 0)
    assert found.distributions.set_index("percentile").loc[90].tolist() == close(7.4, 10.1)


def test_the_initializer_is_the_running_integral_of_the_gap_distribution():
    # Of the gaps, 6 are at most 3 hours, 7 at most 4, 8 at most 6: 6 + 2 * 7 + 1.4 * 8 = 31.2 up to 7.4 hours.
    curve = trained(FIVE).parameters.initializer
    assert read(curve, 4, 5, 6) == close(6 / 31.2, 13 / 31.2, 20 / 31.2)


def test_the_longest_1_percent_of_gaps_is_ignored_for_the_initializer():
    # 300 gaps of 1 hour, and 2, 4, 6, 8, 20 as the longest: the curve runs from 1 to 7.4. The 99 % quantile is 3.92, so
    # that 300 gaps are at most 1 hour, 301 at most 2, and no more: 300 + 5.4 * 301 = 1925.4.
    parts = [
        journey(*[(hour, "A", 1, 1) for hour in (*range(61), 60 + longest)], conv_id=f"k{longest}")
        for longest in (2, 4, 6, 8, 20)
    ]
    curve = trained(pd.concat(parts)).parameters.initializer
    assert read(curve, 1, 4, 7.4) == close(0, (300 + 2 * 301) / 1925.4, 1)


def test_the_closer_is_the_share_of_closing_sessions_farther_away():
    # 3, 5, 8 hours are before the end of 10.1: 2 of 3 are farther away than 3 hours, 1 than 5 hours, none than 8 hours.
    assert read(trained(FIVE).parameters.closer, 3, 5, 8) == close(2 / 3, 1 / 3, 0)


def test_the_closer_is_1_up_to_a_tenth_of_an_hour_and_jumps_there():
    # The end: the 80 % quantile of 0.05, 0.1, 1, 3, 4 is 3.2, the 90 % quantile of the first four 1 + 0.7 * 2 = 2.4.
    # Three are before it, two of them within a tenth.
    rows = trios((40, 0.05), (40, 0.1), (40, 1), (40, 3), (40, 4), closes=(0, 1, 0))
    assert read(trained(rows).parameters.closer, 0.05, 0.1, 0.1002, 0.5501, 1) == close(1, 1, 1 / 3, 1 / 6, 0)


def test_the_closer_uses_only_closer_engaged_sessions_before_the_converting_one():
    # First sessions that do not close, far away: the closing ones are 2, 4, 6, 8 and 20 hours away, the end is 7.4.
    result = trained(trios((90, 2), (90, 4), (90, 6), (90, 8), (90, 20), closes=(0, 1, 0)))
    assert read(result.parameters.closer, 2, 4, 6, 7.4) == close(2 / 3, 1 / 3, 0, 0)
    assert not any("closer" in warning for warning in result.warnings)


def test_without_closer_engaged_sessions_the_closer_uses_all_sessions_with_a_warning():
    # Hours to the conversion of the first and second sessions: 3, 2, 5, 4, 8, 6, 11, 8, 23, 20.
    # 7 are before the end of 10.1.
    result = trained(FIVE.assign(closer_engagement=0))
    assert read(result.parameters.closer, 2, 3, 4, 5, 6, 8) == close(6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 0)
    assert any("No session with closer_engagement = 1" in warning for warning in result.warnings)


def test_a_rule_end_of_0_is_replaced_by_the_farthest_session():
    # Eight of ten earliest closing sessions are the converting ones, two are 8 hours before: below the 80 % quantile of
    # 1.6 hours all are 0. Before the conversion, two sessions close at 8 hours and two at 4.
    rows = trios(*[(4, 4)] * 10, closes=(1, 1, 1))
    curve = trained(rows.assign(closer_engagement=[0, 0, 1] * 8 + [1] * 6)).parameters.closer
    assert read(curve, 0, 4, 8) == close(1, 0.5, 0)


def test_equal_gaps_give_straight_curves_and_warnings():
    # All gaps 6 hours: the initializer rises from 6 to 12, the closer falls from 0 to 12.
    result = trained(trios((6, 6), (6, 6), (6, 6)))
    assert read(result.parameters.initializer, 6, 9, 12) == close(0, 0.5, 1)
    assert read(result.parameters.closer, 0, 6, 12) == close(1, 0.5, 0)
    said = "\n".join(result.warnings)
    assert "initializer's curve is almost a straight line" in said
    assert "closer's curve is a straight line" in said


def test_with_mostly_zero_gaps_the_longest_gap_ends_the_initializer():
    curve = trained(trios(*[(0, 0)] * 19, (0, 8))).parameters.initializer
    assert read(curve, 0, 2, 8) == close(0, 0.25, 1)


def test_the_phase_weights_are_the_phases_shares_of_sessions():
    # Shares of the three sessions: initializer 1, 0, 0 (a gap of 6 is 0 on its curve); holder 0, 1, 0; closer 0, 1/3,
    # 2/3 (12 hours: 0, 6 hours: 1/2, 0 hours: 1). The second session is 3/4 holder and 1/4 closer.
    weights = trained(trios((6, 6), (6, 6), closes=(1, 1, 1), holds=(0, 1, 0))).parameters.phase_weights
    assert dict(weights) == {"initializer": 0.3333, "holder": 0.25, "closer": 0.4167}


def test_journeys_are_not_cut_at_restarts_for_phase_weights():
    # The gap of 30 hours ends the initializer's curve. Uncut, the last journey's first session is all initializer, its
    # last one 1/3 initializer and 2/3 closer. Of the others, the first is initializer and the last closer: 5 1/3 to
    # 4 2/3 sessions. No session holds, so 0.5333, 0.01, 0.4667 of 1.01. Cut, it would be 4.5 to 4.5.
    weights = trained(trios(*[(6, 6)] * 4, (6, 30), holds=(0, 0, 0))).parameters.phase_weights
    assert dict(weights) == {"initializer": 0.5281, "holder": 0.0099, "closer": 0.462}


def test_the_report_and_provenance_contain_cleaning_and_knots():
    single = journey((48, "A", 1, 1), conv_id="single")
    found = trained(pd.concat([FIVE, single]))
    assert found.rules.iloc[-1].tolist() == ["journeys of fewer than 3 sessions", 6, 16, 5, 15]
    counts = found.lengths.set_index("length")
    assert counts.loc[["1", "2", "3"]].to_numpy().tolist() == [[1, 0], [0, 0], [5, 5]]
    for name, knots in found.curves.groupby("curve"):
        curve = getattr(found.parameters, name)
        assert knots["hours"].tolist() == list(curve.hours)
        assert knots["membership"].tolist() == list(curve.membership)
    parameters, provenance = found.parameters, found.parameters.provenance
    assert (parameters.name, provenance["made"], provenance["journeys"]) == ("mine", MADE, 5)
    assert provenance["source"] == "5 journeys with 15 sessions, conversions from 2023-09-01 to 2023-09-01."
    assert provenance["how"].startswith("Trained on journeys alone")
    assert list(provenance["cleaning"]["journeys of fewer than 3 sessions"].values()) == [6, 16, 5, 15]
    assert not any(parameters.channel_weights.values())


def test_few_journeys_and_an_empty_phase_give_warnings():
    said = "\n".join(trained(FIVE.assign(holder_engagement=0)).warnings)
    assert "Trained on 5 journeys, fewer than 15,000: the curves are rough" in said
    assert "holder_engagement" in said


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (trios((5, 5)), "at least 2 journeys of 3 or more sessions. 1 journey left after"),
        (FIVE.iloc[:0], "sessions. 0 journeys left"),
        (pd.concat([journey((0, "A", 1, 1), (1, "A", 1, 1), conv_id=f"k{n}") for n in range(5)]), "0 journeys left"),
        (trios((0, 0), (0, 0), (0, 0)), "in each of the 3 journeys all sessions have the same time"),
    ],
    ids=["one journey", "none", "two sessions each", "all at once"],
)
def test_journeys_without_information_are_refused(rows, says):
    with pytest.raises(InputError, match=says):
        trained(rows)


@pytest.mark.parametrize(
    ("gaps", "hours"),
    [([(gap, gap), (gap, gap * 2), (gap, gap * 3)], (0, gap * 3)) for gap in (1e-9 / 3.6, 8e5)]
    + [([(4e5, 4e5)] * 3 + [(4e5, 4e5 + 1e-9 / 3.6)] * 3, (3e5, 9e5))],
    ids=["a microsecond", "ninety years", "a microsecond apart after years"],
)
def test_extreme_gaps_give_curves_too(gaps, hours):
    assert read(trained(trios(*gaps)).parameters.initializer, *hours) == close(0, 1)


@settings(FIXED, max_examples=8)
@given(journeys(most=6), st.integers(0, 9))
def test_arbitrary_journeys_give_valid_parameters_or_an_error_in_any_row_order(rows, seed):
    spread = rows.groupby("conv_id")["timestamp"].agg(["nunique", "size"])
    spread = spread[spread["size"] >= 3]
    if len(spread) < 2 or (spread["nunique"] < 2).all():
        with pytest.raises(InputError):
            trained(rows)
        return
    parameters = trained(rows).parameters
    credits = attribute(rows, parameters)
    np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1, atol=1e-12)
    for curve in (parameters.initializer, parameters.closer):
        assert len(curve.hours) <= 110
        inner = np.array([hours for hours in curve.hours[1:-1] if hours not in (curve.hours[1], 0.1 + WIDTH)])
        assert np.abs(inner - inner.round(1)).max(initial=0) == 0
    assert parameters.initializer.membership[0] == parameters.closer.membership[-1] == 0
    assert parameters.initializer.membership[-1] == parameters.closer.membership[0] == 1
    mixed = shuffled(rows, seed)
    before = mixed.copy(deep=True)
    again = trained(mixed).parameters
    assert_frame_equal(mixed, before)
    assert again.fingerprint == parameters.fingerprint
    assert again.provenance == parameters.provenance


@pytest.mark.skipif(not REAL.exists(), reason="the real sample is not part of the project")
def test_the_curves_are_close_to_the_vendors_on_real_journeys(tmp_path):
    tables = read_tables(shutil.copy(REAL / "challenge.db", tmp_path / "real.db"))
    parameters = trained(build_journeys(tables.sessions, tables.conversions)).parameters
    points = pd.read_csv(REAL / "trained_curves.csv")
    for name, mean, largest in (("initializer", 0.012, 0.035), ("closer", 0.010, 0.04)):
        of_curve = points[points["curve"] == name]
        error = np.abs(getattr(parameters, name)(of_curve["hours"].to_numpy()) - of_curve["membership"])
        assert len(error) >= 30
        assert error.mean() <= mean
        assert error.max() <= largest


# Cleaning


CLEANING_RULES = ["sessions after the conversion", "repeated sessions", "journeys of fewer than 3 sessions"]


def of_length(count, conv_id):
    return journey(*[(hour, "A", 1, 1) for hour in range(count)], conv_id=conv_id)


def counts(cleaned):
    """Journeys and sessions before and after each rule that removed something."""
    rows = cleaned.rules[cleaned.rules["sessions_before"] > cleaned.rules["sessions_after"]]
    return {
        row.rule: ((row.journeys_before, row.sessions_before), (row.journeys_after, row.sessions_after))
        for row in rows.itertuples()
    }


def test_sessions_after_the_conversion_are_left_out_and_counted():
    rows = of_length(5, "k").assign(conv_timestamp=ORIGIN + pd.Timedelta(hours=2))  # hours 3 and 4 come after
    cleaned = clean_journeys(rows)
    assert cleaned.journeys["session_id"].tolist() == ["s1", "s2", "s3"]
    assert counts(cleaned) == {"sessions after the conversion": ((1, 5), (1, 3))}


def test_a_repeated_session_counts_once_with_its_earliest_row():
    # Those of l do not repeat k's.
    rows = pd.concat([of_length(3, "k"), of_length(3, "l")], ignore_index=True)
    late = rows.iloc[[1, 1]].assign(timestamp=ORIGIN + pd.Timedelta(minutes=90))
    cleaned = clean_journeys(pd.concat([late, rows]))
    assert_frame_equal(cleaned.journeys, rows)
    assert counts(cleaned) == {"repeated sessions": ((2, 8), (2, 6))}


def test_journeys_with_fewer_than_3_sessions_after_cleaning_are_left_out():
    # k: two sessions; l: its third row repeats its second; m stays.
    short = of_length(2, "l")
    cleaned = clean_journeys(pd.concat([of_length(2, "k"), short, short.iloc[1:], of_length(3, "m")]))
    assert cleaned.journeys["conv_id"].unique().tolist() == ["m"]
    assert counts(cleaned) == {"repeated sessions": ((3, 8), (3, 7)), CLEANING_RULES[2]: ((3, 7), (1, 3))}


@pytest.mark.parametrize("name", ["timestamp", "conv_timestamp", "channel_name", "session_id"])
def test_an_empty_value_is_refused(name):
    rows = of_length(2, "k")
    rows.loc[1, name] = None
    with pytest.raises(InputError, match=f"the column '{name}' has empty values"):
        clean_journeys(rows)


def test_a_missing_column_and_invalid_times_are_refused():
    rows = of_length(2, "k")
    with pytest.raises(InputError, match="Journeys lacks the column 'conv_timestamp'"):
        clean_journeys(rows.drop(columns="conv_timestamp"))
    with pytest.raises(InputError, match="column timestamp: training needs timestamps"):
        clean_journeys(rows.assign(timestamp="2023-09-01 00:00:00"))
    with pytest.raises(InputError, match="column conv_timestamp: training needs timestamps"):
        clean_journeys(rows.assign(conv_timestamp=rows["conv_timestamp"].dt.tz_localize("UTC")))


def test_sessions_after_the_last_conversion_of_their_user_are_counted():
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


@settings(FIXED, max_examples=5)
@given(journeys(), st.integers(-100, 200), st.integers(0, 9))
def test_cleaning_counts_are_consistent_in_any_row_order(rows, hours, seed):
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


# End points of the curves

PUBLISHED = ROOT.parent / "shared" / "vendor_training"


def points_of(rows):
    order, steps = time_order(rows)
    return end_points(steps, rows["closer_engagement"].to_numpy()[order] == 1)


def of_hours(*journeys):
    """Journeys with sessions at these hours; a negative hour marks a session that does not close."""
    parts = [
        journey(*[(abs(hour), "A", 1, int(hour >= 0)) for hour in hours], conv_id=f"k{number}")
        for number, hours in enumerate(journeys)
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_initializer_runs_from_the_median_gap_to_the_90_percent_quantile_of_longest_gaps():
    # Longest gaps 0 (one session), 2, 4, 6, 8, 20. Their 80 % quantile is at place 4: 8. Below it: 0, 2, 4, 6.
    # Of these the 90 % quantile is at place 2.7: 4 + 0.7 * 2. All gaps: 1, 2, 4, 6, 8, 20; median 5.
    found = points_of(of_hours([0], [0, 1, 3], [0, 4], [0, 6], [0, 8], [0, 20]))
    assert (found.start, found.initializer_end) == pytest.approx((5, 5.4), abs=1e-12)


def test_the_closer_ends_at_the_90_percent_quantile_of_hours_from_the_earliest_closer():
    # Earliest closers 0, 3, 4, 8 and 20 hours before the end; the third journey's first session does not close. The
    # 80 % quantile is at place 3.2: 8 + 0.2 * 12. Below it: 0, 3, 4, 8, whose 90 % quantile is at 2.7: 4 + 0.7 * 4.
    found = points_of(of_hours([5], [0, 1, 3], [-1, 2, 6], [0, 8], [0, 5, 20]))
    assert found.closer_end == pytest.approx(6.8, abs=1e-12)


def test_a_journey_without_a_closing_session_is_ignored_for_the_closer():
    # Only 0 and 6 count: the 80 % quantile is 4.8, and 0 is left.
    assert points_of(of_hours([0], [0, 6], [-1, -50])).closer_end == 0


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published example is not part of the project")
@pytest.mark.parametrize(("number", "start", "end", "closer"), [(1, 0.66, 19.84, 63.51), (2, 0.54, 8.38, 7.53)])
def test_the_published_percentiles_are_reproduced(number, start, end, closer):
    rows = pd.read_csv(PUBLISHED / f"journeys_{number}.csv", dtype={"conversion_id": "str"}, parse_dates=["timestamp"])
    rows = rows.rename(columns={"conversion_id": "conv_id"})
    found = points_of(rows.assign(session_id=[f"s{place:05}" for place in range(len(rows))]))
    answer = pd.read_csv(PUBLISHED / f"answer_{number}.csv")
    for phase in ("initializer", "closer"):
        off = found.distributions[f"{phase}_hours"] / 24 - answer[f"{phase}_end_days"]
        assert len(off) == 101
        assert off.abs().max() <= 1e-12
    days = [hours / 24 for hours in (found.start, found.initializer_end, found.closer_end)]
    assert days == pytest.approx([start, end, closer], abs=0.005)
