import hashlib
import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FIXED, UNTRUSTED, journey, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.api.batching import SENT, fingerprints, fit_journeys, halves, pack_requests, request_body
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.models.redistribution import parse_redistribution
from ihc.pipeline.sample import make_sample

LIMITS = [(100, 200), (100, 3000), (50, 100)]  # journeys, sessions
PINNED = journey((0, "Search", 1, 0), (26.5, "بحث", 0, 1))  # 2023-09-01 00:00:00 and 2023-09-02 02:30:00
PINNED_MARK = "4bc927ea3340c08c"


def journeys_of(lengths, prefix="k"):
    """Journeys with these numbers of sessions."""
    conv_id = np.repeat([f"{prefix}{number}" for number in range(len(lengths))], lengths)
    place = np.concatenate([np.arange(length) for length in lengths]) if len(lengths) else np.array([], dtype=int)
    rows = {"conv_id": conv_id, "session_id": [f"s{number}" for number in range(len(conv_id))], "place": place}
    return pd.DataFrame(rows).astype({"conv_id": "str", "session_id": "str", "place": "int64"})


def lengths_of(journeys):
    return journeys.groupby("conv_id", sort=False).size()


def sizes(requests):
    """Number of journeys and sessions of each request."""
    return [(request["conv_id"].nunique(), len(request)) for request in requests]


def fewest(journeys, max_journeys, max_sessions):
    """Lower bound of the number of requests."""
    return max(-(-journeys["conv_id"].nunique() // max_journeys), -(-len(journeys) // max_sessions))


def first_come(journeys, max_journeys, max_sessions):
    """Number of requests if they are filled one after the other, in the order of the journeys."""
    requests, count, sessions = 1, 0, 0
    for length in lengths_of(journeys):
        if count == max_journeys or sessions + length > max_sessions:
            requests, count, sessions = requests + 1, 0, 0
        count, sessions = count + 1, sessions + length
    return requests


@cache
def sample_journeys(orders, seed):
    tables = make_sample(orders, seed)
    return build_journeys(tables.sessions, tables.conversions)


def assert_packed(journeys, requests, max_journeys, max_sessions):
    """Every row exactly once, no journey in two requests, rows in order, both limits respected."""
    together = pd.concat(requests) if requests else journeys.iloc[:0]
    assert_frame_equal(together.sort_index(), journeys.sort_index())
    of = [set(request["conv_id"]) for request in requests]
    assert sum(map(len, of)) == len(set().union(*of)) == journeys["conv_id"].nunique()
    assert all(1 <= count <= max_journeys and total <= max_sessions for count, total in sizes(requests))
    order = pd.Series(range(len(journeys)), index=journeys.index)
    for request in requests:
        position = order[request.index].groupby(request["conv_id"].to_numpy())
        assert position.is_monotonic_increasing.all()


def test_three_journeys_fill_two_requests():
    """3 + 2 sessions fill the first request of 5, 4 + 1 the second."""
    requests = pack_requests(journeys_of([3, 4, 2, 1]), max_journeys=2, max_sessions=5)
    assert [request["conv_id"].unique().tolist() for request in requests] == [["k1", "k3"], ["k0", "k2"]]


def test_both_limits_are_reached_together():
    """Two journeys of 9 and eighteen of 1 are 36 sessions: they fit only in two requests of 10 journeys with 18."""
    requests = pack_requests(journeys_of([9] * 2 + [1] * 18), max_journeys=10, max_sessions=18)
    assert sizes(requests) == [(10, 18)] * 2


def test_rows_of_a_journey_that_lie_apart_come_together_in_their_order():
    journeys = journeys_of([2, 2]).iloc[[2, 0, 3, 1]]
    (request,) = pack_requests(journeys)
    assert list(zip(request["conv_id"], request["place"], strict=True)) == [("k1", 0), ("k1", 1), ("k0", 0), ("k0", 1)]


def test_journeys_are_left_alone():
    journeys = journeys_of([3, 1, 2])
    before = journeys.copy(deep=True)
    pack_requests(journeys, max_journeys=2, max_sessions=3)
    fit_journeys(journeys, 2)
    assert_frame_equal(journeys, before)


def test_without_journeys_there_are_no_requests():
    assert list(pack_requests(journeys_of([]))) == []


def test_a_journey_of_exactly_the_limit_is_a_request_and_one_more_session_is_refused_by_name():
    assert sizes(pack_requests(journeys_of([5]), max_sessions=5)) == [(1, 5)]
    with pytest.raises(InputError, match=r"1 journey is longer than 5 sessions \(conv_id 'k1'\)\. .* fit_journeys"):
        pack_requests(journeys_of([5, 6]), max_sessions=5)
    with pytest.raises(InputError, match=r"7 journeys are longer than 5 sessions \(conv_id 'k0', .* and 2 more\)"):
        pack_requests(journeys_of([6] * 7), max_sessions=5)


@pytest.mark.parametrize("limits", [{"max_journeys": 0}, {"max_sessions": 0}, {"max_journeys": -1}])
def test_limits_below_1_are_refused(limits):
    with pytest.raises(InputError, match=r"Both limits must be 1 or more: max_journeys is .*, max_sessions is"):
        pack_requests(journeys_of([1]), **limits)


@pytest.mark.parametrize("what", [pack_requests, lambda frame: fit_journeys(frame, 5), fingerprints])
def test_a_missing_column_is_refused(what):
    with pytest.raises(InputError, match=r"Journeys lacks the column.* 'conv_id'"):
        what(journeys_of([1]).drop(columns="conv_id"))


@pytest.mark.parametrize(("max_journeys", "max_sessions"), LIMITS)
@pytest.mark.parametrize(("orders", "seed"), [(50, 1), (1000, 3)])
def test_requests_are_as_few_as_can_be_on_lifelike_journeys(orders, seed, max_journeys, max_sessions):
    journeys = sample_journeys(orders, seed)
    requests = pack_requests(journeys, max_journeys=max_journeys, max_sessions=max_sessions)
    assert_packed(journeys, requests, max_journeys, max_sessions)
    assert len(requests) <= 1.02 * fewest(journeys, max_journeys, max_sessions)


def test_filling_one_request_after_the_other_would_take_more_of_them():
    """972 orders with 3,095 sessions need 31 requests of 100; filled in the given order, they take 32 (3 % more)."""
    journeys = sample_journeys(1000, 3)
    assert fewest(journeys, 50, 100) == len(pack_requests(journeys, max_journeys=50, max_sessions=100)) == 31
    assert first_come(journeys, 50, 100) > 1.02 * 31


def test_the_order_of_the_conversions_changes_neither_the_number_of_requests_nor_how_full_they_are():
    journeys = sample_journeys(1000, 3)
    ids = shuffled(journeys["conv_id"].drop_duplicates(), 5)
    mixed = journeys.set_index("conv_id").loc[ids].reset_index()
    assert sorted(sizes(pack_requests(mixed))) == sorted(sizes(pack_requests(journeys)))


@st.composite
def packings(draw):
    """Journeys whose rows may not be adjacent, and limits that they fit into."""
    max_journeys, max_sessions = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    journeys = journeys_of(draw(st.lists(st.integers(1, max_sessions), max_size=20)))
    if draw(st.booleans()):
        journeys = shuffled(journeys, draw(st.integers(0, 9)))
    return journeys, max_journeys, max_sessions


@settings(FIXED, max_examples=15)
@given(packings())
def test_every_row_is_in_exactly_one_request_and_no_journey_in_two(packing):
    journeys, max_journeys, max_sessions = packing
    requests = pack_requests(journeys, max_journeys=max_journeys, max_sessions=max_sessions)
    assert_packed(journeys, requests, max_journeys, max_sessions)


def test_a_journey_that_is_too_long_keeps_its_latest_sessions():
    fitting, too_long = fit_journeys(journeys_of([2, 5, 3]), 3)
    assert list(zip(fitting["conv_id"], fitting["place"], strict=True)) == [
        *[("k0", 0), ("k0", 1)],
        *[("k1", 2), ("k1", 3), ("k1", 4)],
        *[("k2", 0), ("k2", 1), ("k2", 2)],
    ]
    assert too_long.to_dict("records") == [{"conv_id": "k1", "sessions": 5}]


def test_a_journey_that_is_too_long_can_be_left_out_or_end_the_run():
    journeys = journeys_of([2, 5, 3])
    fitting, too_long = fit_journeys(journeys, 3, "skip")
    assert fitting["conv_id"].unique().tolist() == ["k0", "k2"]
    assert too_long.to_dict("records") == [{"conv_id": "k1", "sessions": 5}]
    with pytest.raises(InputError, match=r"1 journey is longer than 3 sessions \(conv_id 'k1'\)\. .*IHC_MAX_SESSIONS"):
        fit_journeys(journeys, 3, "raise")


@pytest.mark.parametrize("long_journeys", ["latest", "skip", "raise"])
def test_journeys_that_fit_are_left_as_they_are(long_journeys):
    for lengths in ([], [3, 3]):
        journeys = journeys_of(lengths)
        fitting, too_long = fit_journeys(journeys, 3, long_journeys)
        assert_frame_equal(fitting, journeys)
        assert too_long.empty
        assert list(too_long.columns) == ["conv_id", "sessions"]


@settings(FIXED, max_examples=15)
@given(packings(), st.sampled_from(["latest", "skip"]), st.integers(1, 12))
def test_fitted_journeys_fit_into_requests(packing, long_journeys, max_sessions):
    journeys, *_ = packing
    fitting, too_long = fit_journeys(journeys, max_sessions, long_journeys)
    lost = set(too_long["conv_id"]) if long_journeys == "skip" else set()
    assert lengths_of(fitting).max() <= max_sessions or fitting.empty
    assert set(fitting["conv_id"]) == set(journeys["conv_id"]) - lost
    assert_packed(fitting, pack_requests(fitting, max_sessions=max_sessions), 100, max_sessions)


@pytest.mark.parametrize(
    ("lengths", "split"),
    [
        ([1, 1], (1, 1)),
        ([1, 9], (1, 9)),
        ([9, 1], (9, 1)),
        ([3, 3, 4], (6, 4)),  # more even than 3 + 7
        ([1, 1, 1, 1], (2, 2)),
        ([2, 6, 2], (2, 8)),  # the same imbalance as 8 + 2
    ],
)
def test_a_request_is_halved_between_two_journeys(lengths, split):
    request = journeys_of(lengths)
    parts = halves(request)
    assert tuple(map(len, parts)) == split
    assert_frame_equal(pd.concat(parts), request)
    assert not set(parts[0]["conv_id"]) & set(parts[1]["conv_id"])


@settings(FIXED, max_examples=15)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=20))
def test_halving_again_and_again_leaves_every_journey_alone(lengths):
    parts, alone = [journeys_of(lengths)], 0
    while parts:
        part = parts.pop()
        if part["conv_id"].nunique() == 1:
            alone += 1
        else:
            parts += halves(part)
    assert alone == len(lengths)


def sent(request, redistribution=None):
    return json.loads(request_body(request, redistribution))


def test_a_request_asks_for_its_sessions_and_holds_nothing_else_of_the_shop():
    first = {
        "conversion_id": "k",
        "session_id": "s1",
        "timestamp": "2023-09-01 00:00:00",
        "channel_label": "Search",
        "holder_engagement": 1,
        "closer_engagement": 0,
        "conversion": 0,
        "impression_interaction": 0,
    }
    second = first | {"session_id": "s2", "timestamp": "2023-09-02 02:30:00", "channel_label": "بحث"}
    second |= {"holder_engagement": 0, "closer_engagement": 1, "conversion": 1}
    assert sent(PINNED) == {"customer_journeys": [first, second]}
    assert sent(PINNED.head(0)) == {"customer_journeys": []}


def test_a_redistribution_is_sent_along():
    phase = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}
    entries = dict.fromkeys(("initializer", "holder", "closer"), phase)
    assert sent(PINNED, parse_redistribution(entries, "It"))["redistribution_parameter"] == entries


@pytest.mark.parametrize("name", UNTRUSTED, ids=range(len(UNTRUSTED)))
def test_names_from_the_data_arrive_as_they_are(name):
    session, _ = sent(PINNED.assign(channel_name=name, session_id=name, conv_id=name))["customer_journeys"]
    assert (session["channel_label"], session["session_id"], session["conversion_id"]) == (name, name, name)


def test_missing_values_are_sent_as_null_without_fractions_of_a_second():
    late = pd.to_datetime([None, "2023-09-01 10:00:00.999999"])
    first, second = sent(PINNED.assign(channel_name=["Search", None], timestamp=late))["customer_journeys"]
    assert (first["timestamp"], first["channel_label"]) == (None, "Search")
    assert (second["timestamp"], second["channel_label"]) == ("2023-09-01 10:00:00", None)


CHANGES = {
    "session_id": "s9",
    "timestamp": pd.Timestamp("2023-09-02 02:30:01"),
    "channel_name": "Search",
    "holder_engagement": 1,
    "closer_engagement": 0,
    "impression_interaction": 1,
    "conversion": 0,
}


def mark_of(journeys, conv_id="k"):
    marks = fingerprints(journeys)
    return dict(zip(marks["conv_id"], marks["fingerprint"], strict=True))[conv_id]


def test_the_fingerprint_of_a_journey_stays_the_same_in_every_version():
    """If this changed, every stored answer would be lost, and every journey requested and paid for again."""
    # One row per session; 1693526400 is 2023-09-01 00:00:00 UTC in seconds, and 26.5 hours are 95,400 of them.
    rows = ["s1 1693526400 Search 1 0 0 0", "s2 1693621800 بحث 0 1 0 1"]
    sent = "".join(f"{row} \x1e".replace(" ", "\x1f") for row in rows)
    assert hashlib.blake2b(sent.encode(), digest_size=8).hexdigest() == PINNED_MARK
    assert fingerprints(PINNED).to_dict("records") == [{"conv_id": "k", "fingerprint": PINNED_MARK}]


@pytest.mark.parametrize("column", SENT)
def test_a_fingerprint_changes_with_every_column_that_is_sent(column):
    changed = PINNED.copy()
    changed.loc[1, column] = CHANGES[column]
    assert mark_of(changed) != PINNED_MARK


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(PINNED.iloc[1:], id="a session less"),
        pytest.param(pd.concat([PINNED, PINNED.iloc[1:]]), id="a session more"),
        pytest.param(PINNED.iloc[::-1], id="another order"),
    ],
)
def test_a_fingerprint_changes_with_the_sessions_and_their_order(changed):
    assert mark_of(changed) != PINNED_MARK


def test_a_fingerprint_does_not_change_with_the_id_or_the_neighbours_or_the_index_of_the_journey():
    other = journey((0, "Mail", 1, 1), (1, "Mail", 1, 1), conv_id="other")
    journeys = pd.concat([other, PINNED.assign(conv_id="again"), PINNED, other.assign(conv_id="last")])
    assert fingerprints(journeys)["conv_id"].tolist() == ["other", "again", "k", "last"]
    assert mark_of(journeys) == mark_of(journeys, "again") == PINNED_MARK
    assert mark_of(journeys.reset_index(drop=True)) == PINNED_MARK


def test_a_fingerprint_does_not_change_with_types_fractions_of_a_second_and_what_is_not_sent():
    flags = ["holder_engagement", "closer_engagement", "impression_interaction", "conversion"]
    wide = PINNED.astype(dict.fromkeys(flags, "int64") | {"timestamp": "datetime64[ns]", "channel_name": object})
    assert mark_of(wide) == PINNED_MARK
    assert mark_of(PINNED.assign(timestamp=PINNED["timestamp"] + pd.Timedelta(milliseconds=900))) == PINNED_MARK
    other = {"revenue": 7.0, "user_id": "v", "conv_timestamp": pd.Timestamp("2024-01-01")}
    assert mark_of(PINNED.assign(**other)) == PINNED_MARK


def test_no_journeys_have_no_fingerprints():
    marks = fingerprints(PINNED.iloc[:0])
    assert marks.empty
    assert marks.dtypes.astype("str").to_dict() == {"conv_id": "str", "fingerprint": "str"}


@settings(FIXED, max_examples=15)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_every_journey_has_one_fingerprint_in_the_order_of_the_journeys(lengths):
    parts = [
        journey(*[(hour, "A", 1, 1) for hour in range(length)], conv_id=f"k{number}", prefix=f"{number}-")
        for number, length in enumerate(lengths)
    ]
    marks = fingerprints(pd.concat(parts))
    assert marks["conv_id"].tolist() == [f"k{number}" for number in range(len(lengths))]
    assert marks["fingerprint"].is_unique
    assert marks["fingerprint"].str.fullmatch("[0-9a-f]{16}").all()
    assert marks["fingerprint"].tolist() == [mark_of(part, f"k{number}") for number, part in enumerate(parts)]
