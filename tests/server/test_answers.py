import numpy as np
import pandas as pd
import pytest
from helpers.commands import ROOT
from helpers.frames import CHANNELS, FIXED, curves_of, journeys, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.models.ihc import attribute
from ihc.models.redistribution import DIRECTIONS, parse_redistribution
from ihc.schemas.tables import PHASES
from ihc.server.answers import AFTER_CONVERSION, REASONS, answer, credit_of_printed, round_shares

SHARES = [*PHASES, "ihc"]
COLUMNS = ["conv_id", "session_id", "timestamp", "channel_name", "holder_engagement", "closer_engagement", "conversion"]
NOT_A_TIME, MIXED_ZONES, DOUBLE, _ = REASONS
MIDNIGHT = "2023-09-01 00:00:00"


def sent(*steps):
    """`(conv_id, session_id, timestamp, conversion)`; channel A, both flags 1."""
    return pd.DataFrame([(*step[:3], "A", 1, 1, step[3]) for step in steps], columns=COLUMNS)


def reasons(*steps):
    failed = answer(sent(*steps), curves_of())[1]
    return list(zip(failed["session_id"], failed["reason"], strict=True))


def test_shares_have_four_decimals_that_sum_to_1():
    # A gap of 60 hours. Initializer raw 1, 1/2 -> 2/3, 1/3. Closer raw m_C(60 h) = 2/5, 1 -> 2/7, 5/7.
    # Holder 565/1071 = 0.527544, 506/1071 = 0.472456.
    # ihc from the rounded phases: 0.2 * 0.6667 + 0.5 * 0.5275 + 0.3 * 0.2857 = 0.48280, and 0.51720.
    credits, failed = answer(
        sent(("k", "s1", "2023-09-01 00:00:00", 0), ("k", "s2", "2023-09-03 12:00:00", 1)), curves_of()
    )
    assert credits.to_dict("list") == {
        "conv_id": ["k", "k"],
        "session_id": ["s1", "s2"],
        "initializer": [0.6667, 0.3333],
        "holder": [0.5275, 0.4725],
        "closer": [0.2857, 0.7143],
        "ihc": [0.4828, 0.5172],
    }
    assert failed.columns.tolist() == ["conv_id", "session_id", "reason"]
    assert failed.empty


def rules(direction, threshold, *channels):
    phase = {"direction": direction, "receive_threshold": threshold, "redistribution_channel_labels": list(channels)}
    return parse_redistribution(dict.fromkeys(PHASES, phase), "It")


def test_the_first_session_with_a_conversion_ends_the_journey_and_each_later_one_has_a_reason():
    # s1, s2 as above. s3 and s4, with and without a conversion, are after the journey.
    credits, failed = answer(
        sent(
            ("k", "s4", "2023-09-05 00:00:00", 0),
            ("k", "s1", MIDNIGHT, 0),
            ("k", "s2", "2023-09-03 12:00:00", 1),
            ("k", "s3", "2023-09-04 00:00:00", 1),
        ),
        curves_of(),
    )
    assert credits["session_id"].tolist() == ["s1", "s2"]
    assert credits["ihc"].tolist() == [0.4828, 0.5172]
    assert failed.to_dict("list") == {
        "conv_id": ["k", "k"],
        "session_id": ["s4", "s3"],
        "reason": ["Session/Impression excluded from customer journey since it occurs after the conversion event"] * 2,
    }


def test_without_a_conversion_the_last_session_converts():
    steps = [("k", "s2", "2023-09-03 12:00:00"), ("k", "s1", MIDNIGHT)]
    flagged, _ = answer(sent(*[(*step, int(step[1] == "s2")) for step in steps]), curves_of())
    assert_frame_equal(answer(sent(*[(*step, 0) for step in steps]), curves_of())[0], flagged)
    assert flagged["ihc"].tolist() == [0.5172, 0.4828]


def test_sessions_of_one_moment_stay_in_the_order_in_which_they_were_sent():
    # The first of two starts the journey: initializer 1, 0. Both close at m_C(0) = 1: 1/2, 1/2.
    for first, second in [("s1", "s2"), ("s2", "s1")]:
        credits, failed = answer(sent(("k", first, MIDNIGHT, 0), ("k", second, MIDNIGHT, 1)), curves_of())
        assert credits["session_id"].tolist() == [first, second]
        assert credits["initializer"].tolist() == [1, 0]
        assert failed.empty
        assert reasons(("k", first, MIDNIGHT, 1), ("k", second, MIDNIGHT, 0)) == [(second, AFTER_CONVERSION)]


def test_a_redistribution_takes_the_order_in_which_sessions_of_one_moment_were_sent():
    # s2, of B, comes first. Initializer 1, 0; closer m_C(0) = 1 for both: 1/2, 1/2.
    rows = sent(("k", "s2", MIDNIGHT, 0), ("k", "s1", MIDNIGHT, 1)).assign(channel_name=["B", "A"])
    later, _ = answer(rows, curves_of(), rules("later_sessions_only", 0, "B"))
    assert later["closer"].tolist() == [0, 1]
    earlier, _ = answer(rows, curves_of(), rules("earlier_sessions_only", 0, "B"))
    assert earlier["closer"].tolist() == [0.5, 0.5]


def test_credits_come_in_the_order_of_the_rows():
    rows = sent(
        ("k", "s2", "2023-09-03 12:00:00", 1),
        ("l", "s1", "2023-09-03 12:00:00", 1),
        ("k", "s1", "2023-09-01 00:00:00", 0),
    )
    credits, _ = answer(rows.set_axis([5, 5, 2]), curves_of())
    assert credits["session_id"].tolist() == ["s2", "s1", "s1"]
    assert credits["ihc"].tolist() == [0.5172, 1, 0.4828]
    assert credits.index.tolist() == [0, 1, 2]


def test_a_zone_is_taken_into_account_before_the_order_of_the_rows():
    first, last = "2023-09-01 02:00:00 +0200", "2023-09-03 07:30:00 -04:30"
    credits, _ = answer(sent(("k", "s2", last, 1), ("k", "s1", first, 0)), curves_of())
    assert credits["ihc"].tolist() == [0.5172, 0.4828]


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "yesterday",
        "2023-09-01",
        "2023-09-01T00:00:00",
        "2023-09-01 00:00:00.5",
        "2023-09-01 24:00:00",
        "2023-09-01 23:59:60",
        "2023-02-30 00:00:00",
        "0000-01-01 00:00:00",
        "2023-09-01 00:00:00 CET",
        "2023-09-01 00:00:00 +9999",
        "2023-09-01 00:00:00+0200",
        "2023-09-01 00:00:00\n",
        "２023-09-01 00:00:00",
        "9" * 5_000,
    ],
)
def test_a_journey_with_an_invalid_timestamp_fails(timestamp):
    assert reasons(("k", "s1", timestamp, 1)) == [("s1", NOT_A_TIME)]


@pytest.mark.parametrize(
    "timestamp",
    ["0001-01-01 00:00:00 +2359", "9999-12-31 23:59:59 -2359", "2023-09-01 00:00:00 Z", "2024-02-29 00:00:00 +05:30"],
)
def test_the_first_and_last_timestamps_are_valid(timestamp):
    assert reasons(("k", "s1", timestamp, 1)) == []


def test_each_session_of_a_journey_with_zones_and_without_has_a_reason():
    steps = ("k", "s1", f"{MIDNIGHT} +0000", 0), ("k", "s2", MIDNIGHT, 1)
    assert reasons(*steps) == [("s1", MIXED_ZONES), ("s2", MIXED_ZONES)]


def test_each_session_of_a_journey_with_one_twice_has_a_reason():
    steps = ("k", "s", MIDNIGHT, 0), ("k", "s", "2023-09-02 00:00:00", 1), ("k", "t", "2023-09-03 00:00:00", 1)
    assert reasons(*steps) == [("s", DOUBLE), ("s", DOUBLE), ("t", DOUBLE)]


def test_the_other_journeys_keep_their_credits():
    rows = sent(
        ("bad", "s1", "2023-09-01 00:00:00", 0),
        ("good", "s1", "2023-09-01 00:00:00", 0),
        ("bad", "s2", "no time", 1),
        ("good", "s2", "2023-09-03 12:00:00", 1),
    )
    credits, failed = answer(rows, curves_of())
    assert credits["conv_id"].tolist() == ["good", "good"]
    assert credits["ihc"].tolist() == [0.4828, 0.5172]
    assert failed.to_dict("list") == {"conv_id": ["bad"] * 2, "session_id": ["s1", "s2"], "reason": [NOT_A_TIME] * 2}


def test_ids_that_differ_in_a_nul_character_or_an_accent_alone_are_different_ids():
    at = "2023-09-01 00:00:00"
    ids = ["a", "a\0", "a\0b", "", "\0", "é", "e\u0301", " a"]
    credits, failed = answer(sent(*((key, "s", at, 1) for key in ids)), curves_of())
    assert failed.empty
    assert credits["conv_id"].tolist() == ids
    assert credits["ihc"].tolist() == [1] * len(ids)
    assert reasons(*(("k", key, at, 0) for key in ids)) == []


def test_a_missing_column_is_refused():
    with pytest.raises(InputError, match="Sessions lacks the column 'conversion'"):
        answer(sent().drop(columns="conversion"), curves_of())


redistributions = st.builds(rules, st.sampled_from(DIRECTIONS), st.sampled_from([0, 0.3]), st.sampled_from(CHANNELS))


@settings(FIXED, max_examples=20)
@given(journeys(), st.integers(0, 9), st.sampled_from(["", " +0000", " Z"]), st.one_of(st.none(), redistributions))
def test_the_shares_are_the_engines_to_four_decimals_and_every_sum_is_exact(rows, seed, zone, redistribution):
    last = rows.sort_values(["timestamp", "session_id"]).groupby("conv_id").tail(1).index
    rows["conversion"] = rows.index.isin(last).astype(int)
    # Shuffled, except for sessions with the same timestamp.
    rows = shuffled(rows, seed).sort_values("session_id", kind="stable", ignore_index=True)
    texts = rows["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S") + zone
    credits, failed = answer(rows.assign(timestamp=texts)[COLUMNS], curves_of(), redistribution)
    expected = attribute(rows, curves_of(), redistribution)
    assert failed.empty
    assert_frame_equal(credits[["conv_id", "session_id"]], expected[["conv_id", "session_id"]])
    # Four of five sessions may be rounded by half of 0.0001 each, which the largest absorbs: per phase, then in ihc.
    assert np.abs(credits[list(PHASES)] - expected[list(PHASES)]).max(axis=None) < 0.00021
    assert np.abs(credits["ihc"] - expected["ihc"]).max() < 0.00042
    units = np.rint(credits[SHARES] * 10_000).astype("int64")
    sums = units.groupby(credits["conv_id"]).sum()
    assert (sums[["initializer", "closer", "ihc"]] == 10_000).all(axis=None)
    assert sums["holder"].isin((0, 10_000)).all()


# Rounding of shares


def rounded(*journeys):
    shares = np.array([share for shares in journeys for share in shares], dtype="float64")
    return round_shares(shares, numbers_of(journeys)).tolist()


def test_the_largest_share_takes_the_difference_to_1_upwards_and_downwards():
    # 0.2856 + 0.2856 + 0.4287 = 0.9999: 0.0001 more for the largest. 2/7 loses most by rounding, but gets nothing.
    assert rounded([0.28564, 0.28564, 0.42872]) == [0.2856, 0.2856, 0.4288]
    # 0.2857 + 0.2857 + 0.4287 = 1.0001.
    assert rounded([0.28566, 0.28566, 0.42868]) == [0.2857, 0.2857, 0.4286]


def test_of_equal_shares_the_first_absorbs_the_difference():
    assert rounded([1 / 3] * 3) == [0.3334, 0.3333, 0.3333]
    # 6 x 0.1667 = 1.0002.
    assert rounded([1 / 6] * 6) == [0.1665] + [0.1667] * 5
    # As in a real answer: 1/14, 4/14, 4/14, 4/14, 1/14.
    assert rounded([1 / 14, 4 / 14, 4 / 14, 4 / 14, 1 / 14]) == [0.0714, 0.2858, 0.2857, 0.2857, 0.0714]


def test_a_half_is_rounded_upwards():
    # 0.12345 -> 0.1235, 0.00005 -> 0.0001, and the largest 0.8765 -> 0.8764.
    assert rounded([0.12345, 0.8765, 0.00005]) == [0.1235, 0.8764, 0.0001]


def test_no_share_falls_below_0_where_a_long_journey_is_rounded_up():
    # 198 x 1/198 = 198 x 0.00505...: 0.0051 each is 1.0098. The first cannot absorb 0.0098, so 98 lose 0.0001 each.
    assert rounded([1 / 198] * 198, [1.0]) == [0.0050] * 98 + [0.0051] * 100 + [1]


def test_each_journey_keeps_its_own_sum():
    assert rounded([1 / 3] * 3, [1.0], [0.0, 0.0], [2 / 7, 5 / 7]) == [0.3334, 0.3333, 0.3333, 1, 0, 0, 0.2857, 0.7143]


def test_shares_of_0_and_1_stay_unchanged():
    assert rounded([0.0, 1.0, 0.0]) == [0, 1, 0]
    assert rounded([0.0, 0.99996, 0.00004]) == [0, 1, 0]
    assert rounded() == []


@pytest.mark.parametrize("noise", [1e-13, -1e-13])
def test_floating_point_noise_changes_no_rounding(noise):
    assert rounded([0.3 + noise, 0.7 - noise]) == [0.3, 0.7]
    assert rounded([1 / 3 + noise, 1 / 3 - noise, 1 / 3]) == [0.3334, 0.3333, 0.3333]


journeys_of_shares = st.lists(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1)), min_size=1, max_size=30), min_size=1, max_size=5
)


def numbers_of(journeys):
    return np.repeat(np.arange(len(journeys)), [len(shares) for shares in journeys])


@settings(FIXED, max_examples=20)
@given(journeys_of_shares)
def test_sums_are_exact_and_only_the_largest_share_moves_by_more_than_half_a_unit(journeys):
    whole = [np.array(raw) / (sum(raw) or 1) for raw in journeys]
    found = rounded(*whole)
    units = pd.Series(np.rint(np.array(found) * 10_000).astype("int64"))
    assert (units / 10_000).tolist() == found
    assert units.groupby(numbers_of(whole)).sum().tolist() == [10_000 if sum(raw) else 0 for raw in journeys]
    moved = pd.Series(np.abs(np.array(found) - np.concatenate(whole)) > 0.0000501)
    assert moved.groupby(numbers_of(whole)).sum().max() <= 1
    assert min(found) >= 0
    assert max(found) <= 1


def test_the_credit_is_computed_from_the_rounded_phases():
    # 0.345 x 0.9876 + 0.38 x 0.2976 + 0.275 x 0.2296 = 0.516950 -> 0.5170; 0.483050 -> 0.4831; sum 1.0001.
    phases = {"initializer": [0.9876, 0.0124], "holder": [0.2976, 0.7024], "closer": [0.2296, 0.7704]}
    assert credit(phases) == [0.5169, 0.4831]


def test_a_phase_without_a_share_leaves_its_weight_to_the_others():
    # The first journey has no holder: (0.345 x 1 + 0.275 x 0.25) / 0.62 = 0.667338..., and 0.332661...
    phases = {"initializer": [1, 0, 1], "holder": [0, 0, 0], "closer": [0.25, 0.75, 1]}
    assert credit(phases, [0, 0, 1]) == [0.6673, 0.3327, 1]


def credit(phases, journey=(0, 0)):
    weights = {"initializer": 0.345, "holder": 0.38, "closer": 0.275}
    arrays = {phase: np.array(shares, dtype="float64") for phase, shares in phases.items()}
    return credit_of_printed(arrays, weights, np.array(journey)).tolist()


REAL = ROOT.parent / "shared"


@pytest.mark.skipif(not REAL.exists(), reason="the real answers are not on this machine")
@pytest.mark.parametrize(
    ("answers", "weights", "journeys", "exact"),
    [
        ("real_sample/api_results.csv", (0.345, 0.38, 0.275), 471, 469),
        ("real_sample_b/answers.csv", (0.323, 0.374, 0.303), 265, 263),
    ],
)
def test_real_answers_are_printed_by_this_rule(answers, weights, journeys, exact):
    printed = pd.read_csv(REAL / answers)
    printed = printed[printed.duplicated("conversion_id", keep=False)]
    journey = pd.factorize(printed["conversion_id"])[0]
    phases = {name: printed[name].to_numpy() for name in PHASES}
    for shares in phases.values():
        assert round_shares(shares, journey).tolist() == shares.tolist()
    found = credit_of_printed(phases, dict(zip(PHASES, weights, strict=True)), journey)
    is_exact = pd.Series(found == printed["ihc"]).groupby(journey).all()
    assert (len(is_exact), is_exact.sum()) == (journeys, exact)
