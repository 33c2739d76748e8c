from datetime import date

import pandas as pd
import pytest
from helpers.frames import FEW, conversions, sessions, shops, shuffled, windows
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.journeys.build import (
    BYTES_A_LETTER,
    BYTES_A_ROW,
    BYTES_OF_A_RUN,
    build_journeys,
    check_memory,
    find_spans,
    non_converting_paths,
    rows_by_user,
    unattributed,
)
from ihc.schemas.tables import JOURNEYS

VISITS = sessions(
    [
        ("c", "u", "2023-09-03 10:00:00", "Mail", 0, 1),
        ("a", "u", "2023-09-01 10:00:00", "Search", 1, 0),
        ("b", "u", "2023-09-02 10:00:00", "Social", 1, 1),
        ("z", "v", "2023-09-01 10:00:00", "Search", 1, 1),
    ]
)
ORDERS = conversions(
    [
        ("late", "u", "2023-09-03 10:00:00", 30.0),
        ("early", "u", "2023-09-02 10:00:01", 20.0),
        ("none", "v", "2023-09-01 09:59:59", 5.0),
        ("stranger", "w", "2023-09-05 00:00:00", 7.0),
    ]
)


def pairs(journeys):
    return list(zip(journeys["conv_id"], journeys["session_id"], strict=True))


def by_merging(visits, orders, start_date, end_date, lookback_days):
    """The same by a plain merge of everything with everything of a user, filtered afterwards."""
    visits = visits.assign(timestamp=pd.to_datetime(visits["event_date"] + " " + visits["event_time"]))
    orders = orders.assign(conv_timestamp=pd.to_datetime(orders["conv_date"] + " " + orders["conv_time"]))
    both = visits.merge(orders, on="user_id")
    both = both[both["timestamp"] <= both["conv_timestamp"]]
    both = both[(both["conv_date"] >= (start_date or "0")) & (both["conv_date"] <= (end_date or "9"))]
    if lookback_days is not None:
        both = both[both["conv_timestamp"] - both["timestamp"] <= pd.Timedelta(days=lookback_days)]
    both = both.sort_values(["conv_timestamp", "conv_id", "timestamp", "session_id"])
    return both.assign(conversion=(~both["conv_id"].duplicated(keep="last")).astype(int))[list(JOURNEYS)]


def test_each_order_gets_all_sessions_of_its_user_up_to_its_time_in_time_order():
    assert pairs(build_journeys(VISITS, ORDERS)) == [
        ("early", "a"),
        ("early", "b"),
        ("late", "a"),
        ("late", "b"),
        ("late", "c"),  # at the very second of the order
    ]


def test_the_columns_carry_the_session_and_its_order():
    last = build_journeys(VISITS, ORDERS).iloc[-1]
    assert last.to_dict() == {
        "conv_id": "late",
        "session_id": "c",
        "user_id": "u",
        "timestamp": pd.Timestamp("2023-09-03 10:00:00"),
        "channel_name": "Mail",
        "holder_engagement": 0,
        "closer_engagement": 1,
        "impression_interaction": 0,
        "conversion": 1,
        "conv_timestamp": pd.Timestamp("2023-09-03 10:00:00"),
        "revenue": 30.0,
    }
    assert tuple(last.index) == JOURNEYS


def test_sessions_of_the_same_second_stand_by_session_id_and_orders_by_conv_id():
    at = "2023-09-01 10:00:00"
    journeys = build_journeys(
        sessions([("b", "u", at, "Mail"), ("a", "u", at, "Mail")]),
        conversions([("l", "u", at, 1.0), ("k", "u", at, 1.0)]),
    )
    assert pairs(journeys) == [("k", "a"), ("k", "b"), ("l", "a"), ("l", "b")]
    assert journeys["conversion"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("start", "end", "orders"),
    [
        (None, None, ["early", "late"]),
        ("2023-09-03", None, ["late"]),
        (None, "2023-09-02", ["early"]),
        (date(2023, 9, 2), date(2023, 9, 3), ["early", "late"]),
        ("2023-09-04", "2023-09-30", []),
    ],
)
def test_the_dates_choose_orders_by_their_day_both_included(start, end, orders):
    journeys = build_journeys(VISITS, ORDERS, start_date=start, end_date=end)
    assert journeys["conv_id"].unique().tolist() == orders


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (2, ["a", "b", "c"]),  # a is exactly 48 hours old
        (1.999, ["b", "c"]),
        (1, ["b", "c"]),
        (1e-9, ["c"]),
    ],
)
def test_the_lookback_leaves_out_older_sessions(days, found):
    journeys = build_journeys(VISITS, ORDERS, start_date="2023-09-03", lookback_days=days)
    assert journeys["session_id"].tolist() == found


@pytest.mark.parametrize("days", [0, -1, float("nan")])
def test_a_lookback_that_is_not_above_0_is_refused(days):
    with pytest.raises(InputError, match="lookback_days"):
        build_journeys(VISITS, ORDERS, lookback_days=days)


@pytest.mark.parametrize("days", [1e9, float("inf")])
def test_a_lookback_longer_than_time_reaches_every_session_or_is_refused(days):
    try:
        found = build_journeys(VISITS, ORDERS, lookback_days=days)
    except InputError:
        return
    assert_frame_equal(found, build_journeys(VISITS, ORDERS))


def test_a_missing_column_is_refused():
    with pytest.raises(InputError, match="Sessions lacks the column 'channel_name'"):
        build_journeys(VISITS.drop(columns="channel_name"), ORDERS)
    with pytest.raises(InputError, match="Conversions lacks the column 'revenue'"):
        build_journeys(VISITS, ORDERS.drop(columns="revenue"))


@pytest.mark.parametrize("column", ["event_date", "event_time"])
def test_a_session_without_a_moment_is_refused_instead_of_lost(column):
    visits = VISITS.copy()
    visits.loc[1, column] = None
    with pytest.raises(InputError, match="event_date and event_time"):
        build_journeys(visits, ORDERS)


def test_days_that_are_no_texts_are_refused_with_a_sentence():
    orders = ORDERS.assign(conv_date=[date.fromisoformat(day) for day in ORDERS["conv_date"]])
    with pytest.raises(InputError, match="conv_date"):
        build_journeys(VISITS, orders, start_date="2023-09-01")


@pytest.mark.parametrize(
    ("visits", "orders"), [(VISITS.iloc[:0], ORDERS), (VISITS, ORDERS.iloc[:0]), (VISITS.iloc[:0], ORDERS.iloc[:0])]
)
def test_empty_tables_give_an_empty_frame_of_the_same_columns_and_types(visits, orders):
    journeys = build_journeys(visits, orders, start_date="2023-09-01", lookback_days=3)
    assert_frame_equal(journeys, build_journeys(VISITS, ORDERS).iloc[:0])


def test_the_inputs_are_left_alone():
    visits, orders = VISITS.copy(deep=True), ORDERS.copy(deep=True)
    build_journeys(visits, orders, start_date="2023-09-02", lookback_days=1)
    assert_frame_equal(visits, VISITS)
    assert_frame_equal(orders, ORDERS)


def test_orders_without_any_session_are_told_apart():
    journeys = build_journeys(VISITS, ORDERS)
    assert_frame_equal(unattributed(ORDERS, journeys), ORDERS.iloc[2:])


lookbacks = st.sampled_from([None, 0.25, 1, 1.5, 3])


@FEW
@given(shops(), windows(), lookbacks)
def test_journeys_equal_a_plain_merge_and_filter(shop, window, lookback):
    journeys = build_journeys(
        shop.sessions, shop.conversions, start_date=window[0], end_date=window[1], lookback_days=lookback
    )
    expected = by_merging(shop.sessions, shop.conversions, *window, lookback).reset_index(drop=True)
    assert_frame_equal(journeys, expected, check_dtype=False)


@FEW
@given(shops(), lookbacks, st.integers(0, 9))
def test_the_order_of_the_tables_rows_is_irrelevant(shop, lookback, seed):
    journeys = build_journeys(shop.sessions, shop.conversions, lookback_days=lookback)
    again = build_journeys(shuffled(shop.sessions, seed), shuffled(shop.conversions, seed + 1), lookback_days=lookback)
    assert_frame_equal(again, journeys)


@FEW
@given(shops())
def test_every_order_is_in_the_journeys_or_unattributed(shop):
    journeys = build_journeys(shop.sessions, shop.conversions)
    lonely = unattributed(shop.conversions, journeys)
    assert sorted([*journeys["conv_id"].unique(), *lonely["conv_id"]]) == sorted(shop.conversions["conv_id"])


LOOKERS = sessions(
    [
        ("b2", "b", "2023-09-04 10:00:00", "Mail"),
        ("b1", "b", "2023-09-01 10:00:00", "Search"),
        ("a1", "a", "2023-09-03 23:59:59", "Social"),
        ("u9", "u", "2023-09-09 10:00:00", "Mail"),  # after its user's last order
    ]
)


def visited(paths):
    return list(zip(paths["user_id"], paths["session_id"], strict=True))


def test_idle_paths_are_all_sessions_of_the_users_without_any_order_in_time_order():
    # v's session is in no journey, but v has an order; u's last one comes after all of u's orders.
    paths = non_converting_paths(pd.concat([VISITS, LOOKERS]), ORDERS)
    assert paths.columns.tolist() == ["user_id", "session_id", "timestamp", "channel_name"]
    assert visited(paths) == [("a", "a1"), ("b", "b1"), ("b", "b2")]
    assert paths["channel_name"].tolist() == ["Social", "Search", "Mail"]
    assert paths["timestamp"].iloc[0] == pd.Timestamp("2023-09-03 23:59:59")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"start_date": "2023-09-04"}, ["b1", "b2"]),
        ({"end_date": "2023-09-03"}, ["a1"]),
        ({"start_date": "2023-09-01", "end_date": "2023-09-02"}, []),  # b came, but was last seen later
        ({"lookback_days": 3}, ["a1", "b1", "b2"]),
        ({"lookback_days": 2.99}, ["a1", "b2"]),
    ],
)
def test_dates_choose_idle_users_by_their_last_session_and_the_lookback_counts_from_it(choice, expected):
    assert non_converting_paths(LOOKERS, ORDERS, **choice)["session_id"].tolist() == expected


def test_users_who_order_outside_of_the_dates_are_not_idle():
    paths = non_converting_paths(VISITS, ORDERS, start_date="2023-09-01", end_date="2023-09-01")
    assert paths.empty


@FEW
@given(shops(), windows(), lookbacks, st.integers(0, 9))
def test_no_session_is_idle_and_in_a_journey_and_the_order_of_the_rows_is_irrelevant(shop, window, lookback, seed):
    choice = {"start_date": window[0], "end_date": window[1], "lookback_days": lookback}
    paths = non_converting_paths(shop.sessions, shop.conversions, **choice)
    journeys = build_journeys(shop.sessions, shop.conversions)
    assert not set(paths["session_id"]) & set(journeys["session_id"])
    assert not set(paths["user_id"]) & set(shop.conversions["user_id"])
    again = non_converting_paths(shuffled(shop.sessions, seed), shuffled(shop.conversions, seed), **choice)
    assert_frame_equal(again, paths)


@FEW
@given(shops())
def test_each_session_of_a_user_without_orders_is_in_an_idle_path_once(shop):
    paths = non_converting_paths(shop.sessions, shop.conversions)
    lookers = shop.sessions[~shop.sessions["user_id"].isin(shop.conversions["user_id"])]
    assert sorted(paths["session_id"]) == sorted(lookers["session_id"])


@pytest.mark.parametrize("table", ["sessions", "conversions"])
def test_idle_paths_refuse_a_missing_column(table):
    tables = {"sessions": LOOKERS, "conversions": ORDERS}
    tables[table] = tables[table].drop(columns="user_id")
    with pytest.raises(InputError, match=f"{table.title()} lacks the column 'user_id'"):
        non_converting_paths(**tables)


def test_journeys_that_need_more_memory_than_is_free_are_refused_with_the_user_who_makes_most_rows():
    # late has 3 rows, early 2; ids of 4 letters on average (late, early, none, stranger: 21 / 4), users of 1.
    half = 5 * (BYTES_A_ROW + BYTES_A_LETTER * (2 * 21 / 4 + 1))
    assert len(build_journeys(VISITS, ORDERS, memory=int(2 * half) + 1)) == 5
    with pytest.raises(InputError) as refused:
        build_journeys(VISITS, ORDERS, memory=int(2 * half) - 1)
    assert str(refused.value).startswith(
        "The journeys would have 5 rows; a run would need 0.9 GB of memory, and 0.0 GB are free. User 'u' makes 5 of "
        "the rows: 2 orders, each with all sessions of that user before it. If many people share this id, `ihc check`"
    )


def test_rows_are_counted_before_they_are_made():
    visits = pd.concat([VISITS] * 20_000, ignore_index=True)
    orders = pd.concat([ORDERS] * 20_000, ignore_index=True)  # 20,000 orders of 60,000 and of 40,000 sessions
    spans = find_spans(visits, orders)
    assert spans.lengths.sum() == 2_000_000_000
    with pytest.raises(InputError, match=r"would have 2,000,000,000 rows; a run would need 1,\d{3}\.\d GB of memory"):
        build_journeys(visits, orders, memory=10**12)
    needed = BYTES_OF_A_RUN + 2_000_000_000 * (BYTES_A_ROW + BYTES_A_LETTER * (2 * 21 / 4 + 1))
    check_memory(spans, int(needed) + 1)
    with pytest.raises(InputError, match="would have"):
        check_memory(spans, int(needed) - 1)


def test_no_journey_needs_no_memory():
    assert build_journeys(VISITS, ORDERS.iloc[:0], memory=0).empty


def test_the_session_that_follows_an_order_is_the_next_one_of_its_user():
    spans = find_spans(VISITS, ORDERS)
    following = [VISITS["session_id"].get(place) for place in spans.following()]
    assert dict(zip(spans.conversions["conv_id"], following, strict=True)) == {
        "none": "z",
        "early": "c",
        "late": None,
        "stranger": None,
    }


def test_users_are_counted_by_the_rows_that_their_journeys_have():
    assert rows_by_user(find_spans(VISITS, ORDERS)).to_dict("list") == {
        "user_id": ["u", "v", "w"],
        "orders": [2, 1, 1],
        "sessions": [3, 1, 0],
        "rows": [5, 0, 0],
    }


@FEW
@given(shops(), windows())
def test_the_counted_rows_are_those_that_are_made(shop, dates):
    start, end = dates
    spans = find_spans(shop.sessions, shop.conversions, start_date=start, end_date=end)
    made = build_journeys(shop.sessions, shop.conversions, start_date=start, end_date=end)
    rows = rows_by_user(spans).set_index("user_id")["rows"]
    assert rows[rows > 0].to_dict() == made["user_id"].value_counts().to_dict()
