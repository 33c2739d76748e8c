import pandas as pd
import pytest
from helpers.frames import (
    FEW,
    conversions,
    costs,
    credits_of,
    outcomes,
    sessions,
    shops,
    shuffled,
    windows,
)
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.completeness import waterfall, without_credit_by_channel, without_credit_by_day
from ihc.analysis.reconciliation import COST, CREDIT, CREDITED, FAILED, ORDERS, UNATTRIBUTED, WAITING, reconcile
from ihc.analysis.reporting import channel_reporting, channel_summary, conversion_credits, visits_of
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.journeys.build import build_journeys, unattributed
from ihc.models.heuristics import linear
from ihc.schemas.tables import Tables, inside


def lines(*rows, section=ORDERS):
    """`(kind, line, count, amount)`; the section of the cost follows."""
    full = [(section, *row) for row in rows] + [(COST, "step", "cost read", 9, 90.0)]
    frame = pd.DataFrame(full, columns=["section", "kind", "line", "count", "amount"])
    return frame.astype({"count": "float64", "amount": "float64"})


def bars_of(found):
    return list(found.itertuples(index=False, name=None))


# Read 165 in 5 orders; 5 without a session; 7 failed, 3 wait; 150 in 2 orders are left.
SHOP = lines(
    ("step", "orders read", 5, 165),
    ("step", UNATTRIBUTED, -1, -5),
    ("total", "with a journey", 4, 160),
    ("step", FAILED, -1, -7),
    ("step", WAITING, -1, -3),
    ("total", CREDITED, 2, 150),
)


def test_steps_connect_the_totals_and_the_first_line_starts_at_zero():
    found = waterfall(SHOP, ORDERS)
    assert found.columns.tolist() == ["line", "kind", "start", "end", "amount"]
    assert bars_of(found) == [
        ("orders read", "total", 0, 165, 165),
        (UNATTRIBUTED, "step", 165, 160, -5),
        ("with a journey", "total", 0, 160, 160),
        (FAILED, "step", 160, 153, -7),
        (WAITING, "step", 153, 150, -3),
        (CREDITED, "total", 0, 150, 150),
    ]


def test_a_step_of_0_has_no_length_and_a_positive_step_goes_up():
    found = waterfall(lines(("step", "credited", 1, 0.3), ("step", "plus", 0, 0.1), ("step", "less", 0, 0.0)), ORDERS)
    # 0.3 + 0.1 is 0.4 and not 0.4000...01
    assert found[["start", "end"]].to_numpy().tolist() == [[0, 0.3], [0.3, 0.4], [0.4, 0.4]]


def test_an_unknown_section_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=f"no section 'Credits': it has {ORDERS}, {COST}"):
        waterfall(SHOP, "Credits")


SESSIONS = sessions(
    [
        ("a", "u", "2023-09-01 10:00:00", "Search"),
        ("b", "u", "2023-09-02 10:00:00", "Mail"),
        ("c", "v", "2023-09-02 11:00:00", "Search"),
        ("d", "w", "2023-09-04 11:00:00", "Free"),
    ]
)
COSTS = costs([("a", 4.0), ("b", 1.5), ("c", 6.0), ("gone", 2.0)])


ORDERS_READ = conversions(
    [
        ("k", "u", "2023-09-02 12:00:00", 100.0),
        ("failed", "v", "2023-09-02 12:00:00", 7.0),
        ("waiting", "v", "2023-09-03 13:00:00", 3.0),
        ("lonely", "x", "2023-09-03 12:00:00", 5.0),
    ]
)


def visits(credits, tables=Tables(SESSIONS, ORDERS_READ, COSTS)):  # noqa: B008
    earned = conversion_credits(tables.sessions, tables.conversions, credits)
    return visits_of(tables.sessions, tables.costs, earned)


def test_a_session_is_without_credit_if_no_order_gives_it_credit_above_0():
    # a has credit of one order and 0 of another; b has 0; c and d are in no journey. Of Search, 6 of 10 have none.
    credits = credits_of([("k", "a", 1.0), ("k", "b", 0.0), ("failed", "a", 0.0)])
    found = without_credit_by_channel(visits(credits))
    assert found.columns.tolist() == [
        *("channel_name", "sessions", "cost"),
        *("sessions_without_credit", "cost_without_credit", "share_without_credit"),
    ]
    assert bars_of(found.iloc[:2]) == [("Search", 2, 10.0, 1, 6.0, 0.6), ("Mail", 1, 1.5, 1, 1.5, 1.0)]
    assert bars_of(found.iloc[2:3].drop(columns="share_without_credit")) == [("Free", 1, 0.0, 1, 0.0)]
    assert pd.isna(found["share_without_credit"].iloc[2])
    assert bars_of(found.iloc[3:]) == [("Total", 4, 11.5, 3, 7.5, 7.5 / 11.5)]


def test_missing_columns_are_refused():
    with pytest.raises(InputError, match="Visits lacks the column 'cost'"):
        without_credit_by_channel(visits(credits_of()).drop(columns="cost"))
    with pytest.raises(InputError, match="Conversions lacks the column 'revenue'"):
        without_credit_by_day(visits(credits_of()), ORDERS_READ.drop(columns="revenue"), credits_of(), outcomes())


def test_each_day_has_its_own_orders_and_sessions():
    ends = outcomes([("k", "credited"), ("failed", "failed"), ("lonely", "unattributed")])
    credits = credits_of([("k", "a", 0.5), ("k", "b", 0.5)])
    found = without_credit_by_day(visits(credits), ORDERS_READ, credits, ends)
    expected = pd.DataFrame(
        {
            "day": pd.array(["2023-09-01", "2023-09-02", "2023-09-03", "2023-09-04"], dtype="str"),
            "orders": [0, 2, 2, 0],
            "unattributed_orders": [0, 0, 1, 0],
            "unattributed_revenue": [0.0, 0.0, 5.0, 0.0],
            "waiting_or_failed_orders": [0, 1, 1, 0],
            "waiting_or_failed_revenue": [0.0, 7.0, 3.0, 0.0],
            "cost": [4.0, 7.5, 0.0, 0.0],
            "cost_without_credit": [0.0, 6.0, 0.0, 0.0],
        }
    )
    assert_frame_equal(found, expected)
    tables = [found, without_credit_by_channel(visits(credits)), waterfall(SHOP, ORDERS)]
    assert not {name for table in tables for name in table} - {*GLOSSARY, *HEADINGS}


def test_empty_tables_have_no_days_and_a_total_of_0():
    empty = Tables(sessions(), conversions(), costs())
    found = without_credit_by_day(visits(credits_of(), empty), empty.conversions, credits_of(), outcomes())
    assert found.empty
    full = without_credit_by_day(visits(credits_of()), ORDERS_READ, credits_of(), outcomes())
    assert found.columns.tolist() == full.columns.tolist()
    total = without_credit_by_channel(visits(credits_of(), empty))
    assert total["channel_name"].tolist() == ["Total"]
    assert total.drop(columns=["channel_name", "share_without_credit"]).to_numpy().tolist() == [[0] * 4]
    assert total["share_without_credit"].isna().all()


@st.composite
def runs(draw):
    """A shop after a run, some of its orders failed or waiting."""
    shop = draw(shops())
    journeys = build_journeys(shop.sessions, shop.conversions)
    fates = {key: draw(st.sampled_from(["credited", "failed", "waiting"])) for key in shop.conversions["conv_id"]}
    fates |= dict.fromkeys(unattributed(shop.conversions, journeys)["conv_id"], "unattributed")
    credits = linear(journeys[journeys["conv_id"].map(fates) == "credited"])
    return shop, credits, outcomes([(key, fate) for key, fate in fates.items() if fate != "waiting"])


@FEW
@given(runs(), windows(), st.integers(0, 9))
def test_bars_days_and_channels_add_up_to_the_reconciliation(run, window, seed):
    shop, credits, ends = run
    before = [frame.copy(deep=True) for frame in (*shop, credits, ends)]
    there = visits(credits, shop)
    dates = {"start_date": window[0], "end_date": window[1]}
    found = reconcile(shop, credits, ends, channel_reporting(*shop, credits), **dates)
    for section in (ORDERS, CREDIT, COST):
        bars = waterfall(found, section)
        assert bars["end"].iloc[0] == bars["amount"].iloc[0]
        assert (bars["end"] - bars["start"]).round(2).tolist() == bars["amount"].round(2).tolist()
        steps = bars["kind"] == "step"
        assert bars.loc[steps, "start"].tolist() == bars["end"].shift()[steps].tolist()
        # The last step before a total ends on it.
        after = steps.shift(fill_value=False) & ~steps
        assert bars["end"].shift()[after].tolist() == bars.loc[after, "end"].tolist()

    by_day = without_credit_by_day(there, shop.conversions, credits, ends, **dates)
    stated = found[found["section"] == ORDERS].set_index("line")[["count", "amount"]]
    waiting_or_failed = stated.reindex([FAILED, WAITING], fill_value=0)
    assert by_day["orders"].sum() == stated.loc["orders read", "count"]
    assert by_day["unattributed_orders"].sum() == -stated.loc[UNATTRIBUTED, "count"]
    refunded = dict.fromkeys(("untracked", "failed", "waiting"), 0.0)
    refunded |= {line.split()[1]: stated.loc[line, "amount"] for line in stated.index if line.startswith("less: ")
                 and "refunds: " in line}  # fmt: skip
    lonely = -stated.loc[UNATTRIBUTED, "amount"] - refunded["untracked"]
    assert by_day["unattributed_revenue"].sum() == pytest.approx(lonely, abs=0.011)
    assert by_day["waiting_or_failed_orders"].sum() == -waiting_or_failed["count"].sum()
    # Up to four rounded lines.
    revenue, given_back = by_day["waiting_or_failed_revenue"].sum(), refunded["failed"] + refunded["waiting"]
    assert revenue == pytest.approx(-waiting_or_failed["amount"].sum() - given_back, abs=0.021)
    cost = found.loc[found["line"] == "cost in channel_reporting.csv", "amount"].item()
    assert by_day["cost"].sum() == pytest.approx(cost, abs=0.006)

    by_channel = without_credit_by_channel(there, **dates)
    assert by_day["cost_without_credit"].sum() == pytest.approx(by_channel["cost_without_credit"].iloc[-1])
    summary = channel_summary(*shop, credits, **dates).set_index("channel_name")
    both = by_channel.set_index("channel_name")[["sessions", "cost"]].join(summary.add_suffix("_there"))
    assert both["cost"].tolist() == pytest.approx(both["cost_there"].tolist())
    assert both["sessions"].tolist() == both["sessions_there"].tolist()
    assert by_day["day"].is_monotonic_increasing
    assert inside(by_day["day"], *window).all()

    mixed = shuffled(there, seed), *(shuffled(frame, seed) for frame in (shop.conversions, credits, ends))
    assert_frame_equal(without_credit_by_day(*mixed, **dates), by_day)
    again = without_credit_by_channel(mixed[0], **dates)
    assert_frame_equal(*(table.sort_values("channel_name", ignore_index=True) for table in (again, by_channel)))
    for frame, old in zip((*shop, credits, ends), before, strict=True):
        assert_frame_equal(frame, old)
