import numpy as np
import pandas as pd
import pytest
from helpers.frames import CHANNELS, FEW, curves_of, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.models.explanation import (
    BEFORE,
    RESTARTS,
    channel_weight_table,
    curve_points,
    explain,
    explanations,
    instructive_journey,
    phase_weight_table,
)
from ihc.models.ihc import attribute
from ihc.models.parameters import Curve
from ihc.models.redistribution import parse_redistribution
from ihc.schemas.tables import PHASES

KEYS = ["conv_id", "session_id"]


def close(*values):
    return pytest.approx(list(values), abs=1e-12)


def by_hand(table, parameters):
    """One order's credit, calculated from the shown columns and the phase weights."""
    initializer, closer = table["initializer_membership"], table["closer_membership"]
    u, v = 1 - initializer / initializer.sum(), 1 - closer / closer.sum()
    means = ((u + v) / 2 + (2 * u * v / (u + v)).where(u + v > 0, 0.0)) / 2
    np.testing.assert_allclose(table["holder_membership"], means * table["holder_engagement"], atol=1e-12)
    shares = {}
    for phase in PHASES:
        raw = (table[f"{phase}_membership"] * table[f"{phase}_weight"]).where(table["restart"] != BEFORE, 0.0)
        shares[phase] = raw / raw.sum() if raw.sum() else raw
    weights = {phase: parameters.phase_weights[phase] for phase in PHASES if shares[phase].any()}
    return sum(weights[phase] * shares[phase] for phase in weights) / sum(weights.values())


def test_every_step_of_a_journey_is_shown():
    # m_I(60 h) = 1/2, m_C(60 h) = 2/5. Initializer 2/3, 1/3 without weights; with A's weight of 3: 6/7, 1/7.
    # Holder: means of (1/3, 5/7) and of (2/3, 2/7): 113/231 and 46/105; normalised 565/1071, 506/1071.
    steps = (0, "A", 1, 1), (60, "B", 1, 1)
    found = explain(journey(*steps, revenue=50.0), curves_of(channels={"initializer": {"A": 3.0}}), "k")
    assert found[["session_id", "channel_name"]].to_numpy().tolist() == [["s1", "A"], ["s2", "B"]]
    assert found["gap"].fillna(-1).tolist() == [-1, 60]
    assert found["to_conversion"].tolist() == [60, 0]
    assert found["restart"].tolist() == ["", ""]
    assert found["initializer_membership"].tolist() == close(1, 1 / 2)
    assert found["holder_membership"].tolist() == close(113 / 231, 46 / 105)
    assert found["closer_membership"].tolist() == close(2 / 5, 1)
    assert found["initializer_weight"].tolist() == [3, 1]
    assert found["initializer"].tolist() == close(6 / 7, 1 / 7)
    assert found["initializer_credit"].tolist() == close(0.2 * 6 / 7, 0.2 / 7)
    assert found["holder_credit"].tolist() == close(0.5 * 565 / 1071, 0.5 * 506 / 1071)
    assert found["closer_credit"].tolist() == close(0.3 * 2 / 7, 0.3 * 5 / 7)
    first = 0.2 * 6 / 7 + 0.5 * 565 / 1071 + 0.3 * 2 / 7
    assert found["ihc"].tolist() == close(first, 1 - first)
    assert found["ihc_revenue"].tolist() == close(50 * first, 50 * (1 - first))


def test_a_restart_is_shown_on_its_session_and_all_earlier_ones():
    # 110 hours of silence: membership 1. The first session of a journey begins it, and restarts nothing.
    # Gaps 60, 110 and 10 hours: m_I 1/2, 1, 0; the sessions before the restart keep their memberships, and get nothing.
    rows = journey((0, "A", 1, 1), (60, "A", 1, 1), (170, "A", 1, 1), (180, "A", 1, 1))
    others = (
        journey((0, "A", 1, 1), (200, "A", 1, 1), conv_id="j"),
        journey((0, "A", 1, 1), (1, "A", 1, 1), conv_id="l"),
    )
    table = explanations(shuffled(pd.concat([others[0], rows, others[1]]), 1), curves_of())
    assert table["restart"].tolist() == [BEFORE, RESTARTS, BEFORE, BEFORE, RESTARTS, "", "", ""]
    found = explain(shuffled(pd.concat([rows, *others]), 2), curves_of(), "k")
    assert_frame_equal(found, table[table["conv_id"] == "k"].reset_index(drop=True))
    assert found["gap"].tolist()[1:] == [60, 110, 10]
    assert found["initializer_membership"].tolist() == close(1, 1 / 2, 1, 0)
    assert found[["ihc", *PHASES]].iloc[:2].eq(0).all(axis=None)


def test_an_order_without_a_journey_is_refused():
    with pytest.raises(InputError, match=r"Order 'k9' not found, or it has no session"):
        explain(journey((0, "A", 1, 1)), curves_of(), "k9")


@pytest.mark.parametrize("column", ["conv_id", "revenue", "closer_engagement"])
def test_a_missing_column_is_refused_and_no_journeys_have_no_explanations(column):
    rows = journey((0, "A", 1, 1))
    with pytest.raises(InputError, match=f"Journeys lacks the column '{column}'"):
        explain(rows.drop(columns=column), curves_of(), "k")
    empty, full = (explanations(each, curves_of()) for each in (rows.iloc[:0], rows))
    assert_frame_equal(empty, full.iloc[:0])


weight = st.sampled_from([0.25, 1.0, 1.7, 6.0])
channels = st.fixed_dictionaries({phase: st.dictionaries(st.sampled_from(CHANNELS), weight) for phase in PHASES})


@FEW
@given(journeys(), channels, st.sampled_from([(0.2, 0.5, 0.3), (0.345, 0.38, 0.275)]))
def test_the_columns_reproduce_the_credit(rows, weights, phases):
    parameters = curves_of(channels=weights, phases=phases)
    before = rows.copy(deep=True)
    table = explanations(rows, parameters)
    again = pd.concat([by_hand(part, parameters) for _, part in table.groupby("conv_id", sort=False)])
    expected = table[KEYS].merge(attribute(rows, parameters), on=KEYS)
    np.testing.assert_allclose(again, expected["ihc"], atol=1e-12)
    assert_frame_equal(table[[*KEYS, *PHASES, "ihc"]], expected)
    np.testing.assert_allclose(table[[f"{phase}_credit" for phase in PHASES]].sum(axis=1), table["ihc"], atol=1e-12)
    assert_frame_equal(rows, before)


def of(conv_id, *channels):
    return journey(*((hour, channel, 1, 1) for hour, channel in enumerate(channels)), conv_id=conv_id)


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        ([of("k1", "A"), of("k2", "A", "A"), of("k3", "A", "B", "A", "B")], ["k2"]),  # the third has more than three
        ([of("k1", "A", "A", "A"), of("k2", "A", "B", "A")], ["k2"]),  # as long, but with more channels
        ([of("k2", "A", "B"), of("k1", "A", "B")], ["k1"]),
        ([of("k1", *"ABCDE"), of("k2", *"ABCD")], ["k2"]),  # all are too long
        ([of("k1", "A").iloc[:0]], []),
    ],
)
def test_the_instructive_journey_is_the_longest_readable_one(parts, chosen):
    rows = pd.concat(parts)
    assert instructive_journey(rows, most=3)["conv_id"].unique().tolist() == chosen
    assert instructive_journey(shuffled(rows, 3), most=3)["conv_id"].unique().tolist() == chosen


def test_curve_points_are_knots_and_distinguishable_marks():
    # 0 up to 10 hours, then 0.01 an hour: 24 h 0.14, 72 h 0.62, 110 h 1; 120 hours are beyond the last knot.
    points = curve_points(Curve((0, 10, 110), (0, 0, 1)), 72.0)
    assert points["hours"].tolist() == [0, 10, 24, 72, 110]
    assert points["membership"].tolist() == close(0, 0, 0.14, 0.62, 1)
    assert points["is_knot"].tolist() == [True, True, False, False, True]
    assert points["is_marked"].tolist() == [False, True, True, True, True]
    assert points["is_seen"].tolist() == [True, True, True, True, False]


def test_phases_are_shown_before_and_after_a_redistribution():
    # Direct gives its shares of each phase, 2/3, 565/1071 and 2/7, to the other session, the only one left.
    gives = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["Direct"]}
    rules = parse_redistribution(dict.fromkeys(PHASES, gives), "It")
    steps = explain(journey((0, "Direct", 1, 1), (60, "A", 1, 1)), curves_of(), "k", rules)
    assert steps["initializer_before"].tolist() == close(2 / 3, 1 / 3)
    assert steps["holder_before"].tolist() == close(565 / 1071, 506 / 1071)
    assert steps["closer_before"].tolist() == close(2 / 7, 5 / 7)
    for name in (*PHASES, "ihc"):
        assert steps[name].tolist() == close(0, 1)


def test_a_mark_is_left_out_if_the_curve_has_hardly_changed():
    # From 1: 0.999 at 1 hour, 0.994 at 6, 0.976 at 24; 0.928 at 72 is the first that is 0.05 below 1.
    points = curve_points(Curve((0, 100), (1, 0.9)))
    assert points.loc[points["is_marked"], "hours"].tolist() == [1, 72]
    flat = curve_points(Curve((0, 30), (0.5, 0.5)))
    assert flat["is_seen"].all()
    assert flat["hours"].tolist() == [0, 30]
    assert flat.loc[flat["is_marked"], "hours"].tolist() == [30]


def test_weight_tables_have_one_row_per_phase_and_channel_and_unknown_channels_weigh_1():
    found = channel_weight_table(curves_of(channels={"holder": {"B": 2.0}}), journey((0, "C", 1, 1), (1, "A", 1, 1)))
    assert found.to_numpy().tolist() == [["A", 1, 1, 1], ["B", 1, 2, 1], ["C", 1, 1, 1]]
    assert phase_weight_table(curves_of())["phase_weight"].tolist() == [0.2, 0.5, 0.3]
