import pandas as pd
import pytest
from helpers.frames import conversions
from helpers.mending import finding, is_listing, listed, mended
from helpers.odd_shops import CLOCK_FINDINGS, FAR, VISITS, timed_shop

from ihc.formatting import some
from ihc.quality.checks import quality_findings


@pytest.mark.parametrize(("tables", "check", "says", "ids", "amount", "share"), CLOCK_FINDINGS)
def test_a_finding_has_rows_amount_and_a_statement_that_fixes_or_lists_them(tables, check, says, ids, amount, share):
    found = finding(tables, check)
    assert found["finding"].startswith(says)
    assert (found["examples"], found["amount"], found["share"]) == (some(ids), amount, pytest.approx(share))
    if is_listing(found["mend"]):
        others = ["k"] if found["aim"] == "To list them with their duplicates" else []
        assert listed(tables, found["mend"]) == [*others, *ids]
    else:
        assert finding(mended(tables, found["mend"]), check) is None


def test_orders_years_away_are_left_out_by_dates():
    found = finding(FAR, "orders years away")
    assert (found["examples"], found["amount"]) == ("'l'", 25.0)
    assert found["mend"] == "--start-date 2023-09-01 --end-date 2023-09-04"


def test_a_next_session_after_five_minutes_or_on_another_day_is_not_reported():
    orders = [("k", "u", "2023-09-03 10:00:36", 1.0), ("l", "v", "2023-09-02 23:59:59", 1.0)]
    assert finding(timed_shop(VISITS, orders), "orders followed by a session") is None
    assert finding(timed_shop(VISITS, orders), "orders without a session before") is None


def test_a_few_orders_at_midnight_or_before_a_session_can_be_chance():
    times = pd.date_range("2023-09-05 10:00:01", periods=120, freq="61min").strftime("%Y-%m-%d %H:%M:%S")
    many = [(f"m{number}", "w", at, 1.0) for number, at in enumerate(times)]
    odd = [("k", "u", "2023-09-03 10:05:07", 1.0), ("l", "v", "2023-09-04 00:00:00", 1.0)]
    assert finding(timed_shop(VISITS, [*many[:90], *odd]), "orders at 00:00:00")["count"] == 1
    assert finding(timed_shop(VISITS, [*many, *odd]), "orders at 00:00:00") is None
    assert finding(timed_shop(VISITS, [*many, *odd]), "orders followed by a session") is None


def test_order_times_are_not_reported_if_session_times_are_cut_too():
    visits = [("a", "u", "2023-09-01 09:00:00", "Search"), ("b", "v", "2023-09-03 10:05:00", "Mail")]
    orders = [("k", "u", "2023-09-03 10:05:00", 100.0), ("l", "v", "2023-09-03 11:00:00", 50.0)]
    assert finding(timed_shop(visits, orders), "orders with times") is None
    assert finding(timed_shop(VISITS, orders[:1]), "orders with times") is None  # one of sixty is on a full minute


def test_refunds_are_ignored_in_clock_and_duplicate_checks():
    refunds = [("r1", "u", "2023-09-09 00:00:00", -5.0), ("r2", "u", "2023-09-09 00:00:00", -5.0)]
    orders = conversions([("k", "u", "2023-09-04 10:00:01", 75.0), *refunds])
    for tables in (timed_shop(VISITS, []), timed_shop([*VISITS, ("d", "u", "2023-09-09 00:00:09", "Mail")], [])):
        for refunded in (orders, orders.assign(refund_of=[None, "k", "k"])):
            found = quality_findings(tables._replace(conversions=refunded))
            assert not found.loc[found["count"] > 0, "check"].str.startswith("orders").any()


def test_simultaneous_sessions_are_reported_only_for_one_buyer_on_different_channels():
    visits = [
        ("a", "u", "2023-09-01 09:00:00", "Search"),
        ("b", "u", "2023-09-01 09:00:00", "Search"),
        ("c", "v", "2023-09-01 09:00:00", "Mail"),
        ("d", "w", "2023-09-01 09:00:00", "Search"),
        ("e", "w", "2023-09-01 09:00:00", "Mail"),
    ]
    orders = [("k", "u", "2023-09-03 10:05:01", 100.0), ("l", "v", "2023-09-03 11:00:01", 50.0)]
    assert finding(timed_shop(visits, orders), "sessions of one buyer") is None


def test_with_columns_in_utc_statements_list_orders_as_their_local_time_changes_nothing():
    visits = [("a", "u", "2023-09-01 09:00:10", "Search"), ("b", "u", "2023-09-03 10:05:37", "Mail")]
    tables = timed_shop(visits, [("k", "u", "2023-09-03 10:05:07", 100.0), ("l", "v", "2023-09-03 00:00:00", 50.0)])
    tables = tables._replace(
        # The clock of the shop is two hours ahead of UTC; the next session of u is 30 seconds after the order.
        sessions=tables.sessions.assign(event_utc=["2023-09-01 07:00:10", "2023-09-03 08:05:37"]),
        conversions=tables.conversions.assign(conv_utc=["2023-09-03 08:05:07", "2023-09-02 22:00:00"]),
    )
    found = quality_findings(tables)
    for check, order in (("orders followed by a session", "k"), ("orders at 00:00:00", "l"), ("orders without a", "l")):
        row = finding(tables, check, found)
        assert row["aim"] == "To list them"
        assert listed(tables, row["mend"]) == [order]
    # The only session of a user later on the same local day, which is the next day in UTC.
    late = timed_shop([("a", "u", "2023-09-03 02:30:00", "Ads")], [("k", "u", "2023-09-03 01:30:00", 9.0)])
    late = late._replace(
        sessions=late.sessions.assign(event_utc="2023-09-03 00:30:00"),
        conversions=late.conversions.assign(conv_utc="2023-09-02 23:30:00"),
    )
    assert finding(late, "orders without a session before")["examples"] == "'k'"
