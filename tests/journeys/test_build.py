from datetime import date

import pandas as pd
import pytest
from helpers.frames import (
    FEW,
    clock_change,
    conversions,
    refunds,
    sessions,
    shops,
    shops_with_refunds,
    shops_without_some_users,
    shuffled,
    windows,
)
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.arrays.codes import with_shared_codes
from ihc.errors import InputError
from ihc.journeys.build import (
    BYTES_A_LETTER,
    BYTES_A_ROW,
    BYTES_OF_A_RUN,
    build_journeys,
    check_memory,
    find_spans,
    last_orders,
    non_converting_paths,
    rows_by_user,
    unattributed,
    without_new_session,
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
    """Reference result: merge all sessions and conversions of a user, then filter."""
    visits = visits.assign(timestamp=pd.to_datetime(visits["event_date"] + " " + visits["event_time"]))
    orders = orders.assign(conv_timestamp=pd.to_datetime(orders["conv_date"] + " " + orders["conv_time"]))
    both = visits.dropna(subset="user_id").merge(orders, on="user_id")
    both = both[both["timestamp"] <= both["conv_timestamp"]]
    both = both[(both["conv_date"] >= (start_date or "0")) & (both["conv_date"] <= (end_date or "9"))]
    if lookback_days is not None:
        both = both[both["conv_timestamp"] - both["timestamp"] <= pd.Timedelta(days=lookback_days)]
    both = both.sort_values(["conv_timestamp", "conv_id", "timestamp", "session_id"])
    return both.assign(conversion=(~both["conv_id"].duplicated(keep="last")).astype(int))[list(JOURNEYS)]


def test_a_journey_holds_all_sessions_of_the_user_up_to_the_conversion_in_time_order():
    assert pairs(build_journeys(VISITS, ORDERS)) == [
        ("early", "a"),
        ("early", "b"),
        ("late", "a"),
        ("late", "b"),
        ("late", "c"),  # in the same second as the order
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
def test_dates_select_conversions_by_day_inclusive(start, end, orders):
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


@pytest.mark.parametrize(
    ("visits", "orders", "options", "says"),
    [
        (VISITS.drop(columns="channel_name"), ORDERS, {}, "Sessions lacks the column 'channel_name'"),
        (VISITS, ORDERS.drop(columns="revenue"), {}, "Conversions lacks the column 'revenue'"),
        (VISITS.assign(event_date=None), ORDERS, {}, "event_date and event_time"),
        (VISITS.assign(event_time=["10:00:00", None, "10:00:00", "10:00:00"]), ORDERS, {}, "event_time has NULL"),
        *((VISITS, ORDERS, {"lookback_days": days}, "lookback_days is .*: give a number above 0 and up to 100,000")
          for days in (0, -1, float("nan"), 100_001, float("inf"))),
    ],
)  # fmt: skip
def test_invalid_input_is_refused(visits, orders, options, says):
    for join in (build_journeys, non_converting_paths):
        with pytest.raises(InputError, match=says):
            join(visits, orders, **options)
    with pytest.raises(InputError, match="Column conv_date must hold texts"):
        build_journeys(VISITS, ORDERS.assign(conv_date=date(2023, 9, 1)), start_date="2023-09-01")


@pytest.mark.parametrize(
    ("visits", "orders"), [(VISITS.iloc[:0], ORDERS), (VISITS, ORDERS.iloc[:0]), (VISITS.iloc[:0], ORDERS.iloc[:0])]
)
def test_empty_tables_give_an_empty_frame_of_the_same_columns_and_types(visits, orders):
    journeys = build_journeys(visits, orders, start_date="2023-09-01", lookback_days=3, memory=0)
    assert_frame_equal(journeys, build_journeys(VISITS, ORDERS).iloc[:0])


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


def test_idle_paths_are_all_sessions_of_users_without_a_conversion_in_time_order():
    # v's session is in no journey, but v has an order; u's last one comes after all of u's orders.
    assert non_converting_paths(VISITS, ORDERS, end_date="2023-09-01").empty
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
        ({"start_date": "2023-09-01", "end_date": "2023-09-02"}, []),  # b had sessions then, but its last one is later
        ({"lookback_days": 3}, ["a1", "b1", "b2"]),
        ({"lookback_days": 2.99}, ["a1", "b2"]),
    ],
)
def test_dates_select_idle_users_by_their_last_session_and_the_lookback_starts_there(choice, expected):
    assert non_converting_paths(LOOKERS, ORDERS, **choice)["session_id"].tolist() == expected


@FEW
@given(shops(), windows(), st.sampled_from([None, 0.25, 1, 1.5, 3]), st.integers(0, 9))
def test_journeys_equal_a_merge_and_filter_in_any_row_order(shop, window, lookback, seed):
    visits, orders = tables = shop.sessions, shop.conversions
    before = [frame.copy(deep=True) for frame in tables]
    dates = {"start_date": window[0], "end_date": window[1]}
    choice = dates | {"lookback_days": lookback}
    journeys, paths = (join(*tables, **choice) for join in (build_journeys, non_converting_paths))
    assert_frame_equal(journeys, by_merging(*tables, *window, lookback).reset_index(drop=True), check_dtype=False)
    mixed = shuffled(visits, seed), shuffled(orders, seed + 1)
    assert_frame_equal(build_journeys(*mixed, **choice), journeys)
    assert_frame_equal(non_converting_paths(*mixed, **choice), paths)
    rows = rows_by_user(find_spans(*tables, **choice)).set_index("user_id")["rows"]
    assert rows[rows > 0].to_dict() == journeys["user_id"].value_counts().to_dict()

    every = build_journeys(*tables)
    assert sorted([*every["conv_id"].unique(), *unattributed(orders, every)["conv_id"]]) == sorted(orders["conv_id"])
    lookers = visits[~visits["user_id"].isin(orders["user_id"])]
    assert set(paths["session_id"]) <= set(lookers["session_id"])
    assert sorted(non_converting_paths(*tables)["session_id"]) == sorted(lookers["session_id"])
    for frame, old in zip(tables, before, strict=True):
        assert_frame_equal(frame, old)


def test_journeys_that_exceed_the_free_memory_are_refused_and_the_largest_user_is_named():
    # late has 3 rows, early 2; ids of 4 letters on average (late, early, none, stranger: 21 / 4), users of 1.
    half = 5 * (BYTES_A_ROW + BYTES_A_LETTER * (2 * 21 / 4 + 1))
    assert len(build_journeys(VISITS, ORDERS, memory=int(2 * half) + 1)) == 5
    with pytest.raises(InputError) as refused:
        build_journeys(VISITS, ORDERS, memory=int(2 * half) - 1)
    assert str(refused.value).startswith(
        "The journeys would have 5 rows; a run would need 0.9 GB of memory, and 0.0 GB are free. User 'u' accounts for "
        "5 of the rows: 2 orders, each with all earlier sessions of that user. If several people share this id, "
        "run `ihc check`"
    )


def test_rows_are_counted_before_they_are_created():
    visits = pd.concat([VISITS] * 2_000, ignore_index=True)
    orders = pd.concat([ORDERS] * 2_000, ignore_index=True)  # 2,000 orders of 6,000 and of 4,000 sessions
    spans = find_spans(visits, orders)
    assert spans.lengths.sum() == 20_000_000
    needed = int(BYTES_OF_A_RUN + 20_000_000 * (BYTES_A_ROW + BYTES_A_LETTER * (2 * 21 / 4 + 1)))
    check_memory(spans, needed + 1)
    with pytest.raises(InputError, match=r"would have 20,000,000 rows; a run would need 18\.\d GB of memory"):
        check_memory(spans, needed - 1)


def test_following_is_the_next_session_of_the_user():
    spans = find_spans(VISITS, ORDERS)
    following = [VISITS["session_id"].get(place) for place in spans.following()]
    assert dict(zip(spans.conversions["conv_id"], following, strict=True)) == {
        "none": "z",
        "early": "c",
        "late": None,
        "stranger": None,
    }


def test_rows_by_user_counts_journey_rows():
    assert rows_by_user(find_spans(VISITS, ORDERS)).to_dict("list") == {
        "user_id": ["u", "v", "w"],
        "orders": [2, 1, 1],
        "sessions": [3, 1, 0],
        "rows": [5, 0, 0],
    }


def test_columns_in_utc_give_order_and_distance_in_time():
    visits, orders = clock_change()
    journeys = build_journeys(visits, orders)
    assert pairs(journeys) == [("k", "c"), ("k", "a")]
    assert journeys["timestamp"].astype("str").tolist() == ["2025-10-25 22:30:00", "2025-10-26 00:30:00"]
    assert journeys["conv_timestamp"].astype("str").unique().tolist() == ["2025-10-26 01:15:00"]
    # Session a is 45 minutes before the order, which is 0.03125 days.
    assert pairs(build_journeys(visits, orders, lookback_days=0.03125)) == [("k", "a")]
    assert pairs(build_journeys(visits, orders, lookback_days=0.03124)) == []
    # By the local clock, only c would come before the order.
    assert pairs(build_journeys(visits.drop(columns="event_utc"), orders.drop(columns="conv_utc"))) == [("k", "c")]


def test_orders_are_selected_by_their_local_day_and_paths_without_an_order_are_in_utc_order_too():
    visits, orders = clock_change()
    assert pairs(build_journeys(visits, orders, start_date="2025-10-27")) == []
    night = sessions([("c", "u", "2025-10-26 00:30:00", "Social")]).assign(event_utc="2025-10-25 22:30:00")
    order = conversions([("k", "u", "2025-10-26 00:40:00", 1.0)]).assign(conv_utc="2025-10-25 22:40:00")
    assert pairs(build_journeys(night, order, start_date="2025-10-26")) == [("k", "c")]
    paths = non_converting_paths(visits, orders.iloc[:0])
    assert paths["session_id"].tolist() == ["c", "a", "b"]
    assert paths["timestamp"].is_monotonic_increasing


def test_only_one_table_with_a_column_in_utc_is_refused():
    visits, orders = clock_change()
    with pytest.raises(InputError, match="session_sources has the column event_utc, and table conversions has no"):
        build_journeys(visits, orders.drop(columns="conv_utc"))
    with pytest.raises(InputError, match="conversions has the column conv_utc, and table session_sources has no"):
        build_journeys(visits.drop(columns="event_utc"), orders)


@pytest.mark.parametrize("unknown", [None, ""])
def test_sessions_and_orders_without_a_user_are_in_no_journey_and_no_path(unknown):
    visits = pd.concat([VISITS, VISITS.assign(session_id="no " + VISITS["session_id"], user_id=unknown)])
    orders = pd.concat([ORDERS, ORDERS.assign(conv_id="no " + ORDERS["conv_id"], user_id=unknown)])
    assert_frame_equal(build_journeys(visits, orders), build_journeys(VISITS, ORDERS))
    assert_frame_equal(build_journeys(visits, orders, lookback_days=1), build_journeys(VISITS, ORDERS, lookback_days=1))
    assert_frame_equal(non_converting_paths(visits, ORDERS[:1]), non_converting_paths(VISITS, ORDERS[:1]))
    assert len(unattributed(orders, build_journeys(visits, orders))) == 2 + len(ORDERS)
    spans = find_spans(visits, orders)
    assert (spans.following() >= 0).sum() == (find_spans(VISITS, ORDERS).following() >= 0).sum()
    assert rows_by_user(spans)["rows"].sum() == len(build_journeys(VISITS, ORDERS))
    nobody = orders[orders["conv_id"].str.startswith("no ")]
    assert len(build_journeys(visits, nobody)) == 0


@FEW
@given(shops_without_some_users())
def test_journeys_of_a_shop_are_those_of_its_rows_with_a_user(shop):
    named = [frame.dropna(subset="user_id") for frame in shop[:2]]
    assert_frame_equal(build_journeys(*shop[:2]), build_journeys(*named))


# Three sessions, an order, another session and two more orders, the last one without a session of its own.
AGAIN = sessions(
    [
        ("a", "u", "2023-09-01 10:00:00", "Search"),
        ("b", "u", "2023-09-02 10:00:00", "Mail"),
        ("c", "u", "2023-09-04 10:00:00", "Social"),
        ("d", "u", "2023-09-06 10:00:00", "Mail"),
        ("e", "other", "2023-09-03 10:00:00", "Mail"),
    ]
)
TWO_MORE = [
    ("k1", "u", "2023-09-02 10:00:00", 30.0),  # at the time of session b
    ("k2", "u", "2023-09-04 11:00:00", 20.0),
    ("k3", "u", "2023-09-05 10:00:00", 10.0),
]


def restarted(visits, orders, **options):
    return pairs(build_journeys(visits, orders, restart_after_order=True, **options))


def test_journeys_that_restart_hold_the_sessions_since_the_previous_order():
    orders = conversions(TWO_MORE)
    assert restarted(AGAIN, orders) == [("k1", "a"), ("k1", "b"), ("k2", "c")]
    assert len(build_journeys(AGAIN, orders)) == 2 + 3 + 3
    # k2 is 1 hour after c; k1 is 24 hours after a and at the time of b.
    assert restarted(AGAIN, orders, lookback_days=0.5) == [("k1", "b"), ("k2", "c")]
    # The order on the 2nd ends the journey of the one on the 4th, whichever is selected.
    assert restarted(AGAIN, orders, start_date="2023-09-03") == [("k2", "c")]
    assert restarted(AGAIN.iloc[::-1], orders.iloc[::-1]) == restarted(AGAIN, orders)


def test_orders_at_the_same_time_share_their_journey():
    orders = conversions(
        [*TWO_MORE[:1], ("k2", "u", "2023-09-04 11:00:00", 1.0), ("j", "u", "2023-09-04 11:00:00", 2.0)]
    )
    assert restarted(AGAIN, orders) == [("k1", "a"), ("k1", "b"), ("j", "c"), ("k2", "c")]


def test_a_refund_restarts_nothing_and_keeps_the_journey_of_its_order():
    rows = [(*row, None) for row in TWO_MORE[:2]]
    back, stray = ("back", "u", "2023-09-03 10:00:00", -5.0, "k1"), ("stray", "u", "2023-09-05 10:00:00", -5.0, None)
    assert restarted(AGAIN, refunds([*rows, back])) == [
        *(("back", "a"), ("back", "b"), ("k1", "a"), ("k1", "b"), ("k2", "c")),
    ]
    # Without an order, a refund has all sessions before it, as without the option.
    assert restarted(AGAIN, refunds([*rows, stray]))[3:] == [("stray", "a"), ("stray", "b"), ("stray", "c")]


def test_orders_that_lack_a_session_since_the_previous_one_are_named():
    orders = pd.concat([conversions(TWO_MORE), conversions([("none", "v", "2023-09-01 10:00:00", 5.0)])])
    found = without_new_session(AGAIN, orders, restart_after_order=True)
    assert found.to_numpy().tolist() == [["k3", "unattributed", "no session since the previous order"]]
    assert without_new_session(AGAIN, orders).empty
    assert without_new_session(AGAIN, orders, end_date="2023-09-04", restart_after_order=True).empty


def test_sessions_after_the_last_order_are_a_path_if_journeys_restart():
    orders = conversions(TWO_MORE)
    assert non_converting_paths(AGAIN, orders)["session_id"].tolist() == ["e"]
    paths = non_converting_paths(AGAIN, orders, restart_after_order=True)
    assert list(zip(paths["user_id"], paths["session_id"], strict=True)) == [("other", "e"), ("u", "d")]
    refund = orders.iloc[-1:].assign(conv_id="back", conv_date="2023-12-01", revenue=-1.0)
    later = non_converting_paths(AGAIN, pd.concat([orders, refund]), restart_after_order=True)
    assert later["session_id"].tolist() == paths["session_id"].tolist()
    assert (
        non_converting_paths(AGAIN, orders, end_date="2023-09-05", restart_after_order=True)["user_id"]
        .eq("other")
        .all()
    )


@FEW
@given(shops_with_refunds(), windows(), st.sampled_from([None, 1.0, 2.5]))
def test_restarted_journeys_equal_a_merge_and_filter(shop, window, lookback):
    start, end = window
    visits, orders = shop[:2]
    whole = build_journeys(visits, orders, start_date=start, end_date=end, lookback_days=lookback)
    at = pd.to_datetime(orders["conv_date"] + " " + orders["conv_time"])
    expected = []
    for row in whole.itertuples():
        earlier = at[(orders["user_id"] == row.user_id) & (orders["revenue"] >= 0) & (at < row.conv_timestamp)]
        named = orders.loc[orders["conv_id"] == row.conv_id, "refund_of"].iloc[0]
        own = orders[(orders["conv_id"] == named) & (orders["user_id"] == row.user_id)]
        is_stray = row.revenue < 0 and own.empty
        if is_stray or earlier.empty or row.timestamp > earlier.max():
            expected.append((row.conv_id, row.session_id))
    options = {"start_date": start, "end_date": end, "lookback_days": lookback}
    assert restarted(visits, orders, **options) == expected


def test_without_an_order_of_a_known_user_nobody_has_a_last_order():
    # More users than one byte can number, and categories, as in a report.
    users = pd.Series([f"u{number:03}" for number in range(300)], dtype="str")
    orders = conversions([("k", "u000", "2023-09-02 11:00:00", -5.0)])
    for sessions_of, its in ((users, orders["user_id"]), with_shared_codes(users, orders["user_id"])):
        assert pd.isna(last_orders(sessions_of, orders.assign(user_id=its))).all()
    bought = conversions([("k", "u001", "2023-09-02 11:00:00", 5.0), ("l", "u001", "2023-09-03 11:00:00", 5.0)])
    sessions_of, its = with_shared_codes(users, bought["user_id"])
    found = last_orders(sessions_of, bought.assign(user_id=its))
    assert (pd.notna(found).tolist().index(True), pd.notna(found).sum()) == (1, 1)
    assert found[1] == pd.Timestamp("2023-09-03 11:00:00")
