import numpy as np
import pandas as pd
import pytest
from frames import CHANNELS, FIXED, curves_of, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.answers import REASONS, answer
from ihc.engine import attribute
from ihc.errors import InputError
from ihc.redistribution import DIRECTIONS, parse_redistribution
from ihc.schemas import PHASES

SHARES = [*PHASES, "ihc"]
COLUMNS = ["conv_id", "session_id", "timestamp", "channel_name", "holder_engagement", "closer_engagement", "conversion"]
NOT_A_TIME, MIXED_ZONES, DOUBLE, NO_CONVERSION, LATER = REASONS


def sent(*steps):
    """`(conv_id, session_id, timestamp, conversion)`; channel A, both flags 1."""
    return pd.DataFrame([(*step[:3], "A", 1, 1, step[3]) for step in steps], columns=COLUMNS)


def reasons(*steps):
    failed = answer(sent(*steps), curves_of())[1]
    return dict(zip(failed["conv_id"], failed["reason"], strict=True))


def test_shares_have_four_decimals_that_sum_to_1():
    # A gap of 60 hours. Initializer raw 1, 1/2 -> 2/3, 1/3. Closer raw m_C(60 h) = 2/5, 1 -> 2/7, 5/7.
    # Holder 565/1071 = 0.527544, 506/1071 = 0.472456: cut 0.5275, 0.4724, and the second lost more.
    # ihc 0.2 * 2/3 + 0.5 * 565/1071 + 0.3 * 2/7 = 0.482819, and 0.517181: cut 0.4828, 0.5171, the second lost more.
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
    assert failed.columns.tolist() == ["conv_id", "reason"]
    assert failed.empty


def rules(direction, threshold, *channels):
    phase = {"direction": direction, "receive_threshold": threshold, "redistribution_channel_labels": list(channels)}
    return parse_redistribution(dict.fromkeys(PHASES, phase), "It")


def test_each_part_of_a_journey_is_redistributed_for_itself():
    # B's session s2 ends the first part: it gives all it has to s1. s3 is alone in the second, and keeps its own.
    rows = sent(
        ("k", "s1", "2023-09-01 00:00:00", 0),
        ("k", "s2", "2023-09-03 12:00:00", 1),
        ("k", "s3", "2023-09-04 00:00:00", 1),
    ).assign(channel_name=["A", "B", "B"])
    credits, _ = answer(rows, curves_of(), rules("any_session", 0, "B"))
    assert credits["ihc"].tolist() == [1, 0, 1]
    assert credits["closer"].tolist() == [1, 0, 1]


def test_of_sessions_in_one_second_the_converting_one_is_the_later_for_a_redistribution_too():
    # s2, of B, comes first, as s1 converts. Initializer 1, 0; closer m_C(0) = 1 for both: 1/2, 1/2.
    at = "2023-09-01 00:00:00"
    rows = sent(("k", "s1", at, 1), ("k", "s2", at, 0)).assign(channel_name=["A", "B"])
    later, _ = answer(rows, curves_of(), rules("later_sessions_only", 0, "B"))
    assert later["closer"].tolist() == [1, 0]
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


def test_a_zone_is_taken_into_account():
    first, last = "2023-09-01 02:00:00 +0200", "2023-09-03 07:30:00 -04:30"
    credits, _ = answer(sent(("k", "s1", first, 0), ("k", "s2", last, 1)), curves_of())
    assert credits["ihc"].tolist() == [0.4828, 0.5172]


def test_a_journey_is_cut_after_each_converting_session():
    # s1, s2 are one journey, as above; s3 one of its own: initializer 1, closer 1, holder 0, ihc 1.
    credits, failed = answer(
        sent(
            ("k", "s1", "2023-09-01 00:00:00", 0),
            ("k", "s2", "2023-09-03 12:00:00", 1),
            ("k", "s3", "2023-09-04 00:00:00", 1),
        ),
        curves_of(),
    )
    assert credits["ihc"].tolist() == [0.4828, 0.5172, 1]
    assert credits["holder"].tolist() == [0.5275, 0.4725, 0]
    assert failed.empty


def test_of_sessions_in_one_second_the_converting_one_is_the_last():
    at = "2023-09-01 00:00:00"
    assert reasons(("k", "s1", at, 0), ("k", "s2", at, 1)) == {}
    assert reasons(("k", "s2", at, 0), ("k", "s1", at, 1)) == {}
    assert reasons(("k", "s1", at, 1), ("k", "s2", "2023-09-01 00:00:01", 0)) == {"k": LATER}


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
def test_a_journey_with_a_timestamp_that_is_none_fails(timestamp):
    assert reasons(("k", "s1", timestamp, 1)) == {"k": NOT_A_TIME}


@pytest.mark.parametrize(
    "timestamp",
    ["0001-01-01 00:00:00 +2359", "9999-12-31 23:59:59 -2359", "2023-09-01 00:00:00 Z", "2024-02-29 00:00:00 +05:30"],
)
def test_a_timestamp_at_the_edge_is_one(timestamp):
    assert reasons(("k", "s1", timestamp, 1)) == {}


def test_a_journey_with_zones_and_without_fails():
    assert reasons(("k", "s1", "2023-09-01 00:00:00 +0000", 0), ("k", "s2", "2023-09-01 00:00:00", 1)) == {
        "k": MIXED_ZONES
    }


def test_a_journey_with_a_session_twice_fails():
    assert reasons(("k", "s", "2023-09-01 00:00:00", 0), ("k", "s", "2023-09-02 00:00:00", 1)) == {"k": DOUBLE}


def test_a_journey_without_a_converting_session_fails():
    assert reasons(("k", "s1", "2023-09-01 00:00:00", 0)) == {"k": NO_CONVERSION}


def test_a_journey_with_sessions_after_its_conversion_fails():
    assert reasons(("k", "s1", "2023-09-01 00:00:00", 1), ("k", "s2", "2023-09-02 00:00:00", 0)) == {"k": LATER}


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
    assert failed.to_dict("records") == [{"conv_id": "bad", "reason": NOT_A_TIME}]


def test_journeys_that_all_fail_give_no_credits():
    credits, failed = answer(sent(("k", "s1", "no time", 1)), curves_of())
    assert credits.empty
    assert failed["conv_id"].tolist() == ["k"]


def test_ids_that_differ_in_a_nul_character_or_an_accent_alone_are_different_ids():
    at = "2023-09-01 00:00:00"
    ids = ["a", "a\0", "a\0b", "", "\0", "é", "e\u0301", " a"]
    credits, failed = answer(sent(*((key, "s", at, 1) for key in ids)), curves_of())
    assert failed.empty
    assert credits["conv_id"].tolist() == ids
    assert credits["ihc"].tolist() == [1] * len(ids)
    assert reasons(*(("k", key, at, int(key == max(ids))) for key in ids)) == {}


def test_a_missing_column_is_refused():
    with pytest.raises(InputError, match="Sessions lacks the column 'conversion'"):
        answer(sent().drop(columns="conversion"), curves_of())


redistributions = st.builds(rules, st.sampled_from(DIRECTIONS), st.sampled_from([0, 0.3]), st.sampled_from(CHANNELS))


@FIXED
@given(journeys(), st.integers(0, 9), st.sampled_from(["", " +0000", " Z"]), st.one_of(st.none(), redistributions))
def test_every_share_is_the_engines_within_a_unit_and_every_sum_is_exact(rows, seed, zone, redistribution):
    last = rows.sort_values(["timestamp", "session_id"]).groupby("conv_id").tail(1).index
    rows["conversion"] = rows.index.isin(last).astype(int)
    rows = shuffled(rows, seed).reset_index(drop=True)
    texts = rows["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S") + zone
    credits, failed = answer(rows.assign(timestamp=texts)[COLUMNS], curves_of(), redistribution)
    expected = attribute(rows, curves_of(), redistribution)
    assert failed.empty
    assert_frame_equal(credits[["conv_id", "session_id"]], expected[["conv_id", "session_id"]])
    assert np.abs(credits[SHARES] - expected[SHARES]).max(axis=None) < 0.0001
    units = np.rint(credits[SHARES] * 10_000).astype("int64")
    sums = units.groupby(credits["conv_id"]).sum()
    assert (sums[["initializer", "closer", "ihc"]] == 10_000).all(axis=None)
    assert sums["holder"].isin((0, 10_000)).all()
