from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import REAL
from frames import FIXED, ORIGIN, UNTRUSTED, journey, journeys, shuffled
from hypothesis import assume, given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc import read_tables
from ihc.engine import attribute
from ihc.errors import InputError, ParametersError
from ihc.journeys import build_journeys
from ihc.parameters import load_parameters, parameters_json
from ihc.schemas import PHASES
from ihc.training import train

MADE = "2025-03-09"


def trained(rows):
    return train(rows, name="mine", made=MADE)


def pairs(gaps, *, first=("A", 1, 1), last=("B", 1, 1)):
    """A journey of two sessions for each gap [hours]."""
    parts = [journey((0, *first), (gap, *last), conv_id=f"k{number}") for number, gap in enumerate(gaps)]
    return pd.concat(parts, ignore_index=True)


def read(curve, *hours):
    return curve(np.array(hours, dtype="float64")).tolist()


def close(*values):
    return pytest.approx(list(values), abs=1e-6)


def test_the_initializer_is_0_up_to_the_median_gap_and_1_from_the_gap_that_nine_of_ten_do_not_exceed():
    # Gaps 1 to 10 hours: the fifth is 5, the ninth 9.
    curve = trained(pairs(range(1, 11))).parameters.initializer
    assert read(curve, 0, 4, 5, 9, 10) == close(0, 0, 0, 1, 1)
    assert curve(np.array([5.1]))[0] > 0
    assert curve(np.array([8.9]))[0] < 1


def test_between_the_two_the_initializer_is_the_running_integral_of_the_gaps_distribution():
    # From 5 to 9 hours the distribution function is 5/10, 6/10, 7/10, 8/10, each for an hour: 26/10 in all.
    # Up to 6.5 hours: 5/10 + 6/10 / 2 = 8/10; up to 8.5 hours: 5/10 + 6/10 + 7/10 + 8/10 / 2 = 22/10.
    curve = trained(pairs(range(1, 11))).parameters.initializer
    assert read(curve, 6.5, 8.5) == close(8 / 26, 22 / 26)


def test_the_closer_is_the_share_of_closing_sessions_farther_away_up_to_the_hours_within_which_three_of_four_come():
    # 1 to 8 hours: the sixth is 6. Of those six, 5, 3 and 1 are farther away than 1, 3 and 5 hours.
    curve = trained(pairs(range(1, 9))).parameters.closer
    assert read(curve, 0, 1, 3, 5, 6, 7) == close(1, 5 / 6, 3 / 6, 1 / 6, 0, 0)


def test_closing_sessions_at_the_moment_of_the_conversion_leave_the_closers_curve_at_1():
    # 0, 0, 1, 2, 3, 4 hours: the fifth of six is 3; the three above 0 count.
    curve = trained(pairs([0, 0, 1, 2, 3, 4])).parameters.closer
    assert read(curve, 0, 1, 2, 3) == close(1, 2 / 3, 1 / 3, 0)


def test_the_closer_reads_closer_engaged_sessions_only_and_not_the_converting_one():
    # Flagged before the conversion: 2, 4, 6 and 8 hours; the third is 6. The last sessions are 0 hours away.
    rows = pd.concat([pairs([2, 4, 6, 8]), pairs([100, 200], first=("A", 1, 0)).replace({"k0": "l0", "k1": "l1"})])
    result = trained(rows)
    assert read(result.parameters.closer, 2, 4, 6) == close(2 / 3, 1 / 3, 0)
    assert not any("closer" in warning for warning in result.warnings)


def test_without_closer_engaged_sessions_the_closer_is_that_of_all_sessions_and_a_warning_says_so():
    result = trained(pairs([2, 4, 6, 8], first=("A", 1, 0)))
    assert read(result.parameters.closer, 2, 4, 6) == close(2 / 3, 1 / 3, 0)
    assert any("No session with closer_engagement = 1" in warning for warning in result.warnings)


def test_equal_gaps_give_straight_curves_and_warnings():
    # All gaps 6 hours: the initializer rises from 6 to 12, the closer falls from 0 to 6.
    result = trained(pairs([6, 6, 6]))
    assert read(result.parameters.initializer, 6, 9, 12) == close(0, 0.5, 1)
    assert read(result.parameters.closer, 0, 3, 6) == close(1, 0.5, 0)
    said = "\n".join(result.warnings)
    assert "initializer's curve is about a straight line" in said
    assert "closer's curve is a straight line" in said


def test_gaps_that_are_mostly_0_leave_the_longest_as_the_initializers_end():
    # Median and ninth tenth are 0; the longest gap is 8: the distribution function is 19/20 on all the way.
    curve = trained(pairs([0] * 19 + [8])).parameters.initializer
    assert read(curve, 0, 2, 8) == close(0, 0.25, 1)


def test_the_phase_weights_are_the_sessions_that_a_phase_takes():
    # Gap 6 is 0 on both curves: initializer 1, 0; closer 0, 1; the holder has the second session only: 0, 1.
    # The first session is all initializer, the second half holder and half closer.
    weights = trained(pairs([6, 6], first=("A", 0, 1))).parameters.phase_weights
    assert dict(weights) == {"initializer": 0.5, "holder": 0.25, "closer": 0.25}


def test_a_phase_that_no_session_is_in_weighs_1_percent_and_a_warning_says_so():
    # 1/2, 0, 1/2 becomes 0.5, 0.01, 0.5, of 1.01.
    result = trained(pairs([6, 6], first=("A", 0, 1), last=("B", 0, 1)))
    assert dict(result.parameters.phase_weights) == {"initializer": 0.495, "holder": 0.0099, "closer": 0.4951}
    assert any("holder_engagement" in warning for warning in result.warnings)


def test_a_channel_weighs_its_value_by_what_as_many_random_sessions_would_have_shrunk_towards_1():
    # Initializer: A has 1 of each journey, of which half is expected: 2; B has 0, which counts as 1/4.
    # Holder: half each, as expected. Closer: B alone is eligible and has all, as expected.
    weights = trained(pairs([6, 6], first=("A", 1, 0))).parameters.channel_weights
    assert dict(weights["initializer"]) == {"A": round((2 * 2 + 500) / 502, 4), "B": round((2 / 4 + 500) / 502, 4)}
    assert dict(weights["holder"]) == {"A": 1.0, "B": 1.0}
    assert dict(weights["closer"]) == {"A": 1.0, "B": 1.0}


def test_the_more_sessions_a_channel_has_the_less_it_is_shrunk():
    few, many = (trained(pairs([6] * count)).parameters.channel_weights["initializer"]["A"] for count in (10, 500))
    assert (few, many) == (round((10 * 2 + 500) / 510, 4), 1.5)


def test_channels_that_behave_alike_have_weights_near_1():
    draw = np.random.default_rng(1)
    names = draw.choice(["A", "B", "C"], 3_000)
    hours = draw.exponential(20, 3_000).round(2)
    parts = [
        journey(*[(hours[at], names[at], 1, 1) for at in range(start, start + 5)], conv_id=f"k{start}")
        for start in range(0, 3_000, 5)
    ]
    for weights in trained(pd.concat(parts)).parameters.channel_weights.values():
        assert weights.keys() == {"A", "B", "C"}
        assert all(abs(weight - 1) < 0.05 for weight in weights.values())


def test_a_shop_of_one_channel_has_neutral_weights():
    weights = trained(pairs(range(1, 11), last=("A", 1, 1))).parameters.channel_weights
    assert {phase: dict(weights[phase]) for phase in PHASES} == {phase: {"A": 1.0} for phase in PHASES}


def test_the_provenance_says_how_from_what_and_when():
    rows = pd.concat([pairs(range(1, 11)), journey((48, "A", 1, 1), conv_id="single")])
    parameters = trained(rows).parameters
    assert parameters.name == "mine"
    assert parameters.provenance["made"] == MADE
    assert parameters.provenance["journeys"] == 10
    assert parameters.provenance["source"] == "10 journeys with 20 sessions, conversions from 2023-09-01 to 2023-09-01."
    assert parameters.provenance["how"].startswith("Trained on journeys alone")
    assert parameters.provenance["dropped"]["journeys of one session"] == {"conversions": 1, "sessions": 1}


def test_few_journeys_and_channels_of_few_sessions_are_warned_of():
    said = "\n".join(trained(pairs(range(1, 121), first=("often", 1, 1), last=("rare", 1, 1)).iloc[:-50]).warnings)
    assert "Trained on 95 journeys; 15,000 are a good amount" in said
    assert "Channels with fewer than 100 sessions, whose weights stay close to 1: 'often', 'rare'." in said
    assert "often" not in "\n".join(trained(pairs(range(1, 121), first=("often", 1, 1))).warnings[1:])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (pairs([5]), "at least 2 journeys of two and more sessions, and 1 are left"),
        (pairs([5]).iloc[:0], "and 0 are left"),
        (pd.concat([journey((0, "A", 1, 1), conv_id=f"k{n}") for n in range(5)]), "and 0 are left"),
        (pairs([0, 0, 0]), "in all 3 journeys the sessions are of the same moment"),
    ],
    ids=["one journey", "none", "single sessions", "all at once"],
)
def test_journeys_that_teach_nothing_are_refused(rows, says):
    with pytest.raises(InputError, match=says):
        trained(rows)


def test_a_blank_name_is_refused():
    with pytest.raises(ParametersError, match="name must be a text"):
        train(pairs([1, 2]), name=" ", made=MADE)


@pytest.mark.parametrize("gap", [1e-9 / 3.6, 8e5], ids=["a microsecond", "ninety years"])
def test_extreme_gaps_give_curves_too(gap):
    rows = pairs([gap, gap, gap * 2, gap * 3])
    curve = trained(rows).parameters.initializer
    assert read(curve, 0, gap * 3) == close(0, 1)


def test_gaps_a_microsecond_apart_after_years_give_a_curve():
    rows = pairs([8e5] * 3 + [8e5 + 1e-9 / 3.6] * 3)
    assert read(trained(rows).parameters.initializer, 7e5, 9e5) == close(0, 1)


def test_channel_names_are_any_texts(tmp_path):
    rows = pairs(range(1, 21)).assign(channel_name=(UNTRUSTED * 5)[:40])
    parameters = trained(rows).parameters
    assert parameters.channels == set(UNTRUSTED)
    (tmp_path / "set.json").write_text(parameters_json(parameters), "utf-8")
    assert load_parameters(tmp_path / "set.json") == parameters


def test_the_journeys_are_left_alone():
    rows = shuffled(pairs(range(1, 11)), 1)
    before = rows.copy(deep=True)
    trained(rows)
    assert_frame_equal(rows, before)


def attempt(rows):
    """The parameters, or None where the journeys are too few or all at once."""
    try:
        return trained(rows).parameters
    except InputError:
        return None


def tried(rows):
    parameters = attempt(rows)
    assume(parameters)
    return parameters


@FIXED
@given(journeys(most=6))
def test_any_journeys_give_parameters_that_credit_them_or_are_too_few_or_all_at_once(rows):
    parameters = attempt(rows)
    spread = rows.groupby("conv_id")["timestamp"].agg(["nunique", "size"])
    teaches = (spread["size"] >= 2).sum() >= 2 and (spread["nunique"] >= 2).any()
    assert (parameters is not None) == teaches
    if parameters:
        credits = attribute(rows, parameters)
        np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1, atol=1e-12)
        long = rows[rows.groupby("conv_id")["session_id"].transform("size") >= 2]
        for phase in PHASES:
            weights = parameters.channel_weights[phase]
            assert weights.keys() == set(long["channel_name"])
            assert all(0.25 <= weight <= 4 for weight in weights.values())


@FIXED
@given(journeys(most=6))
def test_the_curves_have_few_knots_and_reach_their_ends(rows):
    parameters = tried(rows)
    assert max(len(parameters.initializer.hours), len(parameters.closer.hours)) <= 60
    assert parameters.initializer.membership[0] == parameters.closer.membership[-1] == 0
    assert parameters.initializer.membership[-1] == parameters.closer.membership[0] == 1
    assert all(low < high for low, high in pairwise(parameters.initializer.membership[1:]))


@FIXED
@given(journeys(most=6), st.integers(0, 9))
def test_the_order_of_the_rows_is_irrelevant(rows, seed):
    parameters = tried(rows)
    again = trained(shuffled(rows, seed)).parameters
    assert again.fingerprint == parameters.fingerprint
    assert again.provenance == parameters.provenance


@FIXED
@given(journeys(most=6), st.sampled_from([0.25, 2, 8]))
def test_scaling_all_times_scales_the_hours_and_nothing_else(rows, factor):
    parameters = tried(rows)
    stretched = rows.assign(
        **{name: ORIGIN + (rows[name] - ORIGIN) * factor for name in ("timestamp", "conv_timestamp")}
    )
    wide = trained(stretched).parameters
    for narrow_curve, wide_curve in ((parameters.initializer, wide.initializer), (parameters.closer, wide.closer)):
        assert wide_curve.hours == pytest.approx([hours * factor for hours in narrow_curve.hours], rel=1e-12)
        assert wide_curve.membership == pytest.approx(narrow_curve.membership, abs=2e-6)
    assert dict(wide.phase_weights) == pytest.approx(dict(parameters.phase_weights), abs=2e-4)
    for phase in PHASES:
        assert dict(wide.channel_weights[phase]) == pytest.approx(dict(parameters.channel_weights[phase]), abs=2e-4)


@pytest.mark.skipif(not REAL.exists(), reason="the real sample is not part of the project")
def test_curves_and_phase_weights_come_near_those_that_the_vendor_trained_on_the_real_journeys():
    tables = read_tables(REAL / "challenge.db")
    parameters = trained(build_journeys(tables.sessions, tables.conversions)).parameters
    points = pd.read_csv(REAL / "trained_curves.csv")
    for name, largest, mean in (("initializer", 0.08, 0.05), ("closer", 0.05, 0.01)):
        of_curve = points[points["curve"] == name]
        error = np.abs(getattr(parameters, name)(of_curve["hours"].to_numpy()) - of_curve["membership"])
        assert len(error) >= 30
        assert error.max() <= largest
        assert error.mean() <= mean
    assert list(parameters.phase_weights.values()) == pytest.approx([0.32, 0.37, 0.30], abs=0.01)
