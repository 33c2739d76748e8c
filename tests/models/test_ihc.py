import numpy as np
import pandas as pd
import pytest
from helpers.commands import REAL
from helpers.frames import CHANNELS, FEW, ORIGIN, curves_of, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc import read_tables
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.journeys.touchpoints import in_time_order
from ihc.models.ihc import attribute, credit_in_time_order, sessions_of
from ihc.models.parameters import load_parameters
from ihc.models.redistribution import DIRECTIONS, move, parse_redistribution
from ihc.schemas.tables import PHASES

SHARES = [*PHASES, "ihc"]
EARLIER, LATER, ANY = DIRECTIONS


def credit(*steps, **parameters):
    """The shares of one journey's sessions, by column."""
    shares = attribute(journey(*steps), curves_of(**parameters))
    return {name: shares[name].tolist() for name in SHARES}


def rules(**phases):
    """A redistribution: a phase is `(direction, threshold, channels)`; a missing phase lists no channels."""
    names = ("direction", "receive_threshold", "redistribution_channel_labels")
    entries = {phase: dict(zip(names, phases.get(phase, (ANY, 0, [])), strict=True)) for phase in PHASES}
    return parse_redistribution(entries, "It")


def close(*values):
    return pytest.approx(list(values), abs=1e-12)


def test_the_first_session_counts_1_for_the_initializer_and_later_ones_by_their_gap():
    # Gaps 60 and 35 hours: raw 1, (60 - 10) / 100 = 1/2, (35 - 10) / 100 = 1/4; sum 7/4.
    found = credit((0, "A", 0, 0), (60, "A", 0, 0), (95, "A", 0, 0))
    assert found["initializer"] == close(4 / 7, 2 / 7, 1 / 7)


def test_the_closer_counts_flagged_sessions_by_their_hours_to_the_conversion_and_always_the_converting_one():
    # 75, 50, 25 and 0 hours before the conversion: m_C 1/4, 1/2, 3/4, 1; the third has no flag, the last needs none.
    found = credit((0, "A", 0, 1), (25, "A", 0, 1), (50, "A", 0, 0), (75, "A", 0, 0))
    assert found["closer"] == close(1 / 7, 2 / 7, 0, 4 / 7)


def test_the_holder_is_the_mean_of_arithmetic_and_harmonic_mean():
    # Initializer raw 1, 1/2 -> 2/3, 1/3. Closer raw m_C(60) = 2/5, 1 -> 2/7, 5/7.
    # First:  u = 1/3, v = 5/7: arithmetic 11/21, harmonic (10/21) / (22/21) = 5/11, their mean 113/231 = 565/1155.
    # Second: u = 2/3, v = 2/7: arithmetic 10/21, harmonic (8/21) / (20/21) = 2/5, their mean 46/105 = 506/1155.
    found = credit((0, "A", 1, 1), (60, "A", 1, 1))
    assert found["initializer"] == close(2 / 3, 1 / 3)
    assert found["closer"] == close(2 / 7, 5 / 7)
    assert found["holder"] == close(565 / 1071, 506 / 1071)
    first = 0.2 * 2 / 3 + 0.5 * 565 / 1071 + 0.3 * 2 / 7
    assert found["ihc"] == close(first, 1 - first)


@pytest.mark.parametrize("channel", ["A", "unknown"])
def test_a_single_session_gets_initializer_and_closer_and_all_of_ihc(channel):
    found = credit((0, channel, 1, 1), channels={phase: {"A": 3.0} for phase in PHASES})
    assert found == {"initializer": [1], "holder": [0], "closer": [1], "ihc": [1]}


def test_the_weight_of_a_phase_without_an_eligible_session_is_shared_by_the_others_in_proportion():
    # No session may hold: 0.2 and 0.3 become 0.4 and 0.6. Initializer 2/3, 1/3; closer 0, 1.
    found = credit((0, "A", 0, 0), (60, "A", 0, 0), phases=(0.2, 0.5, 0.3))
    assert found["holder"] == close(0, 0)
    assert found["ihc"] == close(0.4 * 2 / 3, 0.4 / 3 + 0.6)


def test_a_gap_with_membership_1_restarts_the_journey_and_zeroes_earlier_sessions():
    # Gaps 60, 110 and 60 hours: raw initializer 1, 1/2, 1, 1/2; the third session restarts: 0, 0, 1, 1/2.
    # 230, 170, 60 and 0 hours before the conversion, on a line of 1000 hours: m_C 0.77, 0.83, 0.94, 1; 0, 0, 0.94, 1.
    # Holder over the whole journey, where the initializer's sum is 3 and the closer's 3.54 = 177/50:
    # third:  u = 2/3, v = 1 - 47/177 = 130/177: arithmetic 124/177, harmonic 4 * 130 / (3 * 248) = 65/93;
    # fourth: u = 5/6, v = 1 - 50/177 = 127/177: arithmetic 549/708, harmonic 5 * 127 / (3 * 274.5) = 1270/1647.
    found = credit((0, "A", 1, 1), (60, "A", 1, 1), (170, "A", 1, 1), (230, "A", 1, 1), closer=([0, 1000], [1, 0]))
    third, fourth = 124 / 177 + 65 / 93, 549 / 708 + 1270 / 1647
    assert found["initializer"] == close(0, 0, 2 / 3, 1 / 3)
    assert found["closer"] == close(0, 0, 94 / 194, 100 / 194)
    assert found["holder"] == close(0, 0, third / (third + fourth), fourth / (third + fourth))
    assert found["ihc"][:2] == [0, 0]
    assert sum(found["ihc"]) == pytest.approx(1, abs=1e-12)


def test_a_single_session_after_several_restarts_can_hold():
    # Raw initializer 1, 1, 1: u = 2/3 on the third, v = 0: its raw value 1/6 is all that is left.
    steps = (0, "A", 1, 1), (110, "A", 1, 1)
    found = credit(*steps, (220, "A", 1, 1))
    assert found == {"initializer": [0, 0, 1], "holder": [0, 0, 1], "closer": [0, 0, 1], "ihc": close(0, 0, 1)}
    assert credit(*steps, (220, "A", 0, 1))["holder"] == [0, 0, 0]
    # A gap of 109 hours restarts nothing: raw 1 and 99/100.
    assert credit((0, "A", 1, 1), (109, "A", 1, 1))["initializer"] == close(100 / 199, 99 / 199)


def test_channel_weights_multiply_the_raw_values_of_their_phase():
    steps = (0, "A", 1, 1), (60, "B", 1, 1)
    found = credit(*steps, channels={"initializer": {"A": 3.0}, "holder": {"B": 2.0}, "closer": {"A": 0.5}})
    assert found["initializer"] == close(6 / 7, 1 / 7)  # raw 1 * 3, 1/2
    assert found["closer"] == close(1 / 6, 5 / 6)  # raw 2/5 * 1/2, 1
    assert found["holder"] == close(565 / 1577, 1012 / 1577)  # 565, 506 * 2: u and v are those without weights


def test_sessions_at_the_same_time_are_sorted_by_session_id():
    # s1 and s2 at once: s1 is first (the gap of s2 is 0 hours), s2 is the converting one.
    found = credit((0, "A", 0, 0), (0, "A", 0, 0))
    assert found["initializer"] == close(1, 0)
    assert found["closer"] == close(0, 1)
    # Credits come in the order of the rows, with an index of their own.
    turned = attribute(journey((0, "A", 0, 0), (0, "A", 0, 0)).set_axis([7, 7]).iloc[::-1], curves_of())
    assert turned["session_id"].tolist() == ["s2", "s1"]
    assert turned["initializer"].tolist() == close(0, 1)
    assert turned.index.tolist() == [0, 1]


def test_a_redistribution_moves_each_phase_and_ihc_uses_the_result():
    # As above: initializer 2/3, 1/3, holder 565/1071, 506/1071, closer 2/7, 5/7.
    # Initializer: B gives to the earlier A: 1, 0. Holder: nothing is listed. Closer: A gives to the later B: 0, 1.
    found = attribute(
        journey((0, "A", 1, 1), (60, "B", 1, 1)),
        curves_of(phases=(0.2, 0.5, 0.3)),
        rules(initializer=(EARLIER, 0, ["B"]), closer=(LATER, 0, ["A", "never seen"])),
    )
    assert found["initializer"].tolist() == close(1, 0)
    assert found["holder"].tolist() == close(565 / 1071, 506 / 1071)
    assert found["closer"].tolist() == close(0, 1)
    assert found["ihc"].tolist() == close(0.2 + 0.5 * 565 / 1071, 0.5 * 506 / 1071 + 0.3)


def test_no_journeys_give_no_credits():
    rows, listed = journey((0, "A", 1, 1)).iloc[:0], rules(holder=(EARLIER, 0, ["A"]))
    empty = attribute(rows, curves_of(channels={"holder": {"A": 2.0}}), listed)
    assert empty.columns.tolist() == ["conv_id", "session_id", *SHARES]
    assert empty[SHARES].dtypes.astype("str").tolist() == ["float64"] * 4
    assert empty.empty


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("timestamp", [None, ORIGIN], "have rows without a timestamp"),
        ("holder_engagement", ["1", "0"], "Column holder_engagement of journeys must hold 0 and 1"),
        ("closer_engagement", [1.0, None], "Column closer_engagement of journeys must hold 0 and 1"),
    ],
)
def test_ambiguous_values_are_refused(column, values, says):
    rows = journey((0, "A", 1, 1), (60, "A", 1, 1))
    with pytest.raises(InputError, match=says):
        attribute(rows.assign(**{column: pd.Series(values)}), curves_of())
    with pytest.raises(InputError, match=f"Journeys lacks the column.* '{column}'"):
        attribute(rows.drop(columns=column), curves_of())


def test_blocks_do_not_change_the_credit(monkeypatch):
    rows = pd.concat(
        [journey(*((hour, "A", 1, 1) for hour in range(length)), conv_id=f"k{length}") for length in (1, 5, 2, 9, 3)]
    )
    whole = attribute(rows, curves_of())
    for block in (1, 2, 4, 7):
        monkeypatch.setattr("ihc.models.ihc.BLOCK_ROWS", block)
        assert_frame_equal(attribute(rows, curves_of()), whole)


weight = st.sampled_from([0.25, 0.8, 1.0, 1.7, 6.0])
channels = st.fixed_dictionaries({phase: st.dictionaries(st.sampled_from(CHANNELS), weight) for phase in PHASES})
entry = st.tuples(st.sampled_from(DIRECTIONS), st.sampled_from([0, 0.2, 0.5, 1]), st.lists(st.sampled_from(CHANNELS)))
redistributions = st.builds(rules, initializer=entry, holder=entry, closer=entry)
phase_weights = st.sampled_from([(0.2, 0.5, 0.3), (0.345, 0.38, 0.275), (0.01, 0.01, 0.98)])


def normalised(values):
    return [value / sum(values) if sum(values) else 0.0 for value in values]


def by_the_book(rows, parameters):
    """One journey's shares, calculated session by session from the description of the model."""
    rows = rows.sort_values(["timestamp", "session_id"])
    hours = [(at - rows["timestamp"].iloc[0]) / pd.Timedelta(hours=1) for at in rows["timestamp"]]
    raw_initializer, start = [], 0
    for place, hour in enumerate(hours):
        raw = 1.0 if place == 0 else float(parameters.initializer(np.array(hour - hours[place - 1])))
        start = place if raw == 1 else start
        raw_initializer.append(raw)
    raw_closer = [
        float(parameters.closer(np.array(hours[-1] - hour))) if flag or place == len(hours) - 1 else 0.0
        for place, (hour, flag) in enumerate(zip(hours, rows["closer_engagement"], strict=True))
    ]
    raw_holder = []
    for place, (i0, c0) in enumerate(zip(normalised(raw_initializer), normalised(raw_closer), strict=True)):
        u, v = 1 - i0, 1 - c0
        held = rows["holder_engagement"].iloc[place] and u + v > 0
        raw_holder.append(0.5 * (u + v) / 2 + 0.5 * 2 * u * v / (u + v) if held else 0.0)
    shares = {}
    for phase, raw in zip(PHASES, (raw_initializer, raw_holder, raw_closer), strict=True):
        raw = [0.0 if place < start else value for place, value in enumerate(raw)]
        weights = [parameters.channel_weights[phase].get(name, 1.0) for name in rows["channel_name"]]
        shares[phase] = normalised([value * w for value, w in zip(raw, weights, strict=True)])
    present = sum(parameters.phase_weights[phase] for phase in PHASES if sum(shares[phase]) > 0)
    ihc = [
        sum(parameters.phase_weights[phase] * shares[phase][place] for phase in PHASES) / present
        for place in range(len(hours))
    ]
    return pd.DataFrame({"session_id": rows["session_id"], **shares, "ihc": ihc})


@FEW
@given(journeys(), channels, phase_weights)
def test_the_vectorised_model_equals_the_reference_implementation(rows, weights, phases):
    parameters = curves_of(channels=weights, phases=phases)
    found = attribute(rows, parameters).sort_values(["conv_id", "session_id"], ignore_index=True)
    parts = [by_the_book(part, parameters).assign(conv_id=key) for key, part in rows.groupby("conv_id")]
    expected = pd.concat(parts).sort_values(["conv_id", "session_id"], ignore_index=True)
    assert_frame_equal(found, expected[found.columns], rtol=0, atol=1e-12)


@FEW
@given(journeys(), channels, phase_weights, redistributions)
def test_redistributed_credit_is_the_weighted_sum_of_the_moved_phases(rows, weights, phases, redistribution):
    parameters = curves_of(channels=weights, phases=phases)
    found = attribute(rows, parameters, redistribution)
    before = attribute(rows, parameters).assign(channel=rows["channel_name"], at=rows["timestamp"])
    for _, part in before.groupby("conv_id"):
        part = part.sort_values(["at", "session_id"])
        expected, weight = np.zeros(len(part)), 0.0
        for phase, rule in redistribution.entries.items():
            gives = part["channel"].isin(rule["redistribution_channel_labels"]).to_numpy()
            alone = np.zeros(len(part), dtype="int64")
            values = move(part[phase].to_numpy(), gives, alone, rule["direction"], rule["receive_threshold"])
            np.testing.assert_allclose(found.loc[part.index, phase], values, rtol=0, atol=1e-12)
            expected += parameters.phase_weights[phase] * values
            weight += parameters.phase_weights[phase] * (part[phase].sum() > 0)
        np.testing.assert_allclose(found.loc[part.index, "ihc"], expected / weight, rtol=0, atol=1e-12)


@st.composite
def long_journeys(draw):
    """A journey of up to 500 sessions: with ties, with no gap at all, with no flag, of one channel."""
    length, seed = draw(st.integers(1, 500)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    hours = random.integers(0, draw(st.sampled_from([1, 20, 2_000, 100_000])), length)
    names = CHANNELS[: draw(st.integers(1, len(CHANNELS)))]
    flags = (random.random((2, length)) < draw(st.sampled_from([0.0, 0.5, 1.0]))).astype("int8")
    return journey(*zip(hours.tolist(), random.choice(names, length).tolist(), *flags.tolist(), strict=True))


@FEW
@given(long_journeys(), channels, st.one_of(st.none(), redistributions), st.integers(0, 9))
def test_long_journeys_have_complete_credits_in_any_row_order(rows, weights, redistribution, seed):
    parameters, before = curves_of(channels=weights), rows.copy(deep=True)
    credits = attribute(rows, parameters, redistribution).sort_values("session_id", ignore_index=True)
    assert credits[SHARES].ge(0).all(axis=None)
    assert credits[SHARES].le(1 + 1e-12).all(axis=None)
    sums = credits[SHARES].sum()
    np.testing.assert_allclose(sums[["initializer", "closer", "ihc"]], 1, atol=1e-12)
    assert np.isclose(sums["holder"], 1, atol=1e-12) or sums["holder"] == 0
    again = attribute(shuffled(rows, seed), parameters, redistribution).sort_values("session_id", ignore_index=True)
    assert_frame_equal(again, credits)
    assert_frame_equal(rows, before)


@pytest.mark.skipif(not REAL.exists(), reason="the real answers are not part of the project")
def test_the_shipped_parameters_reproduce_real_answers():
    tables = read_tables(REAL / "challenge.db")
    answers = pd.read_csv(REAL / "api_results.csv").rename(columns={"conversion_id": "conv_id"})
    credits = attribute(build_journeys(tables.sessions, tables.conversions), load_parameters())
    both = answers.merge(credits, on=["conv_id", "session_id"], suffixes=("_real", ""), validate="one_to_one")
    assert len(both) == len(answers)
    both = both[both.groupby("conv_id")["session_id"].transform("size") >= 2]
    error = (both["ihc"] - both["ihc_real"]).abs()
    assert len(error) > 1_000
    assert error.mean() <= 0.0001
    assert error.quantile(0.99) <= 0.0006
    assert error.max() <= 0.005


@FEW
@given(journeys())
def test_credit_without_a_frame_is_that_of_the_frame(rows):
    points = in_time_order(rows)
    credit = credit_in_time_order(sessions_of(rows).take(points.row), points.path, points.moment, curves_of())
    assert credit.tolist() == attribute(rows, curves_of())["ihc"].to_numpy()[points.row].tolist()


def test_without_sessions_there_is_no_credit():
    rows = journey((0, "A", 1, 1)).iloc[:0]
    nothing = np.zeros(0, dtype="int64")
    assert len(credit_in_time_order(sessions_of(rows), nothing, nothing, curves_of())) == 0
