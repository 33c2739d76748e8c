import pandas as pd
import pytest
from helpers.frames import FEW, UNTRUSTED, conversions, costs, credits_of, sessions, shops, shuffled, windows
from helpers.states import assert_same_state, of_shop, state
from hypothesis import given
from pandas.testing import assert_frame_equal

from ihc import build_journeys, channel_reporting, channel_summary
from ihc.analysis.changes import (
    CAUSES,
    MOST_BARS,
    changed_rows,
    compare,
    cost_changes,
    largest_changes,
    revenue_changes,
    shown_changes,
    state_of,
    totals,
)
from ihc.analysis.reporting import TOTAL, conversion_credits
from ihc.database.history import State
from ihc.models.heuristics import linear
from ihc.schemas.tables import Tables

OF_BASE = [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)]
BASE = state([("a", 100), ("b", 10)], OF_BASE, [("Search", 1, 20.0), ("Mail", 2, 4.0)])
OTHER_CREDIT = [("a", "Search", 1, 0.75), ("a", "Mail", 2, 0.25), ("b", "Mail", 2, 1.0)]


def moved(changes):
    """The change per channel and cause, without zeros."""
    rows = changes.channels.set_index("channel_name")[list(CAUSES)]
    return {name: {cause: amount for cause, amount in row.items() if amount} for name, row in rows.iterrows()}


def by_cause(changes):
    return changes.causes.set_index("cause").to_dict("index")


def test_a_report_does_not_differ_from_itself():
    changes = compare(BASE, BASE)
    assert moved(changes) == {"Mail": {}, "Search": {}, TOTAL: {}}
    assert changes.causes.empty
    total = changes.channels.iloc[-1]
    assert total[["ihc_revenue_before", "ihc_revenue_after"]].tolist() == [110, 110]
    assert total[["cost_before", "cost_after"]].tolist() == [24, 24]


def test_orders_in_one_report_only_are_new_or_gone():
    credits = [*OF_BASE, ("c", "Search", 2, 0.25), ("c", "Social", 2, 0.75)]
    more = state([("a", 100), ("b", 10), ("c", 40)], credits)._replace(costs=BASE.costs)
    # c's 40: a quarter to Search, three to Social.
    added = compare(BASE, more)
    assert moved(added) == {
        "Social": {"new_orders": 30},
        "Search": {"new_orders": 10},
        "Mail": {},
        TOTAL: {"new_orders": 40},
    }
    assert by_cause(added) == {"new orders": {"orders": 1, "ihc_revenue_change": 40, "shifted": 0}}
    assert moved(compare(more, BASE))[TOTAL] == {"gone_orders": -40}


def test_new_and_removed_refunds_are_a_cause_of_their_own():
    # 20 of order a's 100 are given back, half by each channel.
    given = [("a", 100), ("b", 10), ("r", -20)]
    after = state(given, [*OF_BASE, ("r", "Search", 1, 0.5), ("r", "Mail", 2, 0.5)])._replace(costs=BASE.costs)
    found = compare(BASE, after)
    assert moved(found)[TOTAL] == {"refunds": -20}
    assert by_cause(found) == {"refunds": {"orders": 1, "ihc_revenue_change": -20, "shifted": 0}}
    assert moved(compare(after, BASE))[TOTAL] == {"refunds": 20}
    assert totals(after) == {"orders": 2, "ihc": 2, "ihc_revenue": 90, "cost": 24}


def test_a_late_session_shifts_the_credit_of_its_order():
    later = state(
        [("a", 100, 2), ("b", 10)],
        [("a", "Search", 1, 0.25), ("a", "Social", 1, 0.25), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)],
    )
    changes = compare(BASE, later)
    # A quarter of a's 100 goes from Search to Social.
    assert moved(changes)["Search"] == {"late_sessions": -25}
    assert moved(changes)["Social"] == {"late_sessions": 25}
    assert moved(changes)[TOTAL] == {}
    assert by_cause(changes)["late or changed sessions"] == {"orders": 1, "ihc_revenue_change": 0, "shifted": 25}


def test_other_settings_take_precedence_over_other_sessions():
    changes = compare(BASE, state([("a", 100, 2, "there"), ("b", 10, 1, "there")], OTHER_CREDIT))
    assert moved(changes)["Search"] == {"other_settings": 25}
    # b was also computed with other settings, without effect.
    assert by_cause(changes) == {"other engine or settings": {"orders": 2, "ihc_revenue_change": 0, "shifted": 25}}


def test_other_credit_with_the_same_sessions_and_settings_was_recomputed():
    changes = compare(BASE, state([("a", 100), ("b", 10)], OTHER_CREDIT))
    assert moved(changes)["Search"] == {"computed_anew": 25}
    assert by_cause(changes)["same sessions, recalculated"]["orders"] == 1


def test_corrected_revenue_is_valued_at_the_earlier_credit_and_the_rest_by_its_cause():
    # a is worth 120 now, and has 3/4 in Search: its 50 become 60 by the revenue, and 90 by the late session.
    changes = compare(BASE, state([("a", 120, 2), ("b", 10)], OTHER_CREDIT))
    assert moved(changes) == {
        "Search": {"revenue_corrected": 10, "late_sessions": 30},
        "Mail": {"revenue_corrected": 10, "late_sessions": -30},
        TOTAL: {"revenue_corrected": 20},
    }
    assert by_cause(changes) == {
        "late or changed sessions": {"orders": 1, "ihc_revenue_change": 0, "shifted": 30},
        "corrected order values": {"orders": 1, "ihc_revenue_change": 20, "shifted": 0},
    }


def test_days_in_one_report_only_count_as_other_dates():
    cost = [("Search", 1, 20.0), ("Mail", 2, 5.0), ("Mail", 3, 2.0)]
    after = state([("a", 120), ("b", 10), ("c", 8)], [*OF_BASE, ("c", "Mail", 3, 1.0)], cost)
    changes = compare(BASE, after, ("2023-09-01", "2023-09-02"), ("2023-09-02", "2023-09-03"))
    # Search's 50 of 1 September leave, c's 8 of 3 September enter; on 2 September a has 10 more.
    assert moved(changes) == {
        "Search": {"other_dates": -50},
        "Mail": {"other_dates": 8, "revenue_corrected": 10},
        TOTAL: {"other_dates": -42, "revenue_corrected": 10},
    }
    assert by_cause(changes)["other dates"] == {"orders": 2, "ihc_revenue_change": -42, "shifted": 8}
    costs = changes.channels.set_index("channel_name")[["cost_before", "cost_change", "cost_dates", "cost_after"]]
    assert costs.loc["Search"].tolist() == [20, 0, -20, 0]
    assert costs.loc["Mail"].tolist() == [4, 1, 2, 7]


def test_roas_uses_each_reports_own_sums():
    changes = compare(BASE, state([("a", 100)], OF_BASE[:2], [("Search", 1, 25.0)]))
    roas = changes.channels.set_index("channel_name")[["ROAS_before", "ROAS_after"]]
    # Search: 50/20, then 50/25; Mail: 60/4, then without cost.
    assert roas.loc["Search"].tolist() == [2.5, 2.0]
    assert roas.loc["Mail", "ROAS_before"] == 15
    assert pd.isna(roas.loc["Mail", "ROAS_after"])
    assert roas.loc[TOTAL].tolist() == [110 / 24, 4.0]


def test_the_largest_change_comes_first_and_a_channel_named_total_is_a_channel():
    after = state([("a", 100), ("b", 10), ("c", 7)], [*OF_BASE, ("c", TOTAL, 2, 1.0)])
    names = compare(BASE, after).channels["channel_name"].tolist()
    assert names == [TOTAL, "Mail", "Search", "Total of all channels"]


def test_special_channel_names_are_ordinary_names():
    after = state([("a", 8)], [("a", name, 1, 1 / 8) for name in UNTRUSTED])
    found = moved(compare(state(), after))
    assert found == {name: {"new_orders": 1} for name in UNTRUSTED} | {TOTAL: {"new_orders": 8}}


@given(shops(), shops(), windows(), windows())
@FEW
def test_changes_add_up_and_can_be_stored_in_any_row_order(one, other, before, after):
    credits = [linear(build_journeys(shop.sessions, shop.conversions)) for shop in (one, other)]
    states = of_shop(one, credits=credits[0]), of_shop(other, "other", credits[1])
    copies = [[frame.copy(deep=True) for frame in each] for each in states]
    channels = compare(*states, before, after).channels
    assert channels["channel_name"].iloc[-1] == TOTAL
    parts = channels["ihc_revenue_before"] + channels[list(CAUSES)].sum(axis=1)
    assert parts.tolist() == pytest.approx(channels["ihc_revenue_after"].tolist(), abs=1e-5)
    costs = channels[["cost_before", "cost_change", "cost_dates"]].sum(axis=1)
    assert costs.tolist() == pytest.approx(channels["cost_after"].tolist(), abs=1e-5)

    for shop, earned, state_, window, side in zip(
        (one, other), credits, states, (before, after), ("before", "after"), strict=True
    ):
        summary = channel_summary(*shop, earned, start_date=window[0], end_date=window[1])
        found = channels.iloc[:-1].set_index("channel_name")
        for figure in ("ihc_revenue", "cost"):
            expected = summary.iloc[:-1].set_index("channel_name")[figure]
            of_all = found[f"{figure}_{side}"].reindex(expected.index, fill_value=0)
            assert of_all.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
        whole = totals(state_, window)
        assert whole.pop("orders") == summary["influenced_conversions"].iloc[-1]
        assert whole == pytest.approx(summary.iloc[-1][["ihc", "ihc_revenue", "cost"]].to_dict(), abs=1e-9)

    rows = changed_rows(*states)
    keep = [frame[~frame["conv_id"].isin(rows.closed_orders)] for frame in (states[0].orders, states[0].credits)]
    places = rows.closed_costs.merge(states[0].costs, how="right", indicator="found")["found"].to_numpy()
    keep.append(states[0].costs[places != "both"])
    led_to = State(*(pd.concat(pair, ignore_index=True) for pair in zip(keep, rows.opened, strict=True)))
    assert_same_state(led_to, states[1])
    for each, kept in zip(states, copies, strict=True):
        for frame, copy in zip(each, kept, strict=True):
            assert_frame_equal(frame, copy)

    mixed = of_shop(Tables(*(shuffled(frame, 2) for frame in one)), credits=shuffled(credits[0], 3))
    assert_same_state(states[0], mixed)
    changes, rows = compare(states[0], mixed), changed_rows(states[0], mixed)
    assert not changes.channels[list(CAUSES)].to_numpy().any()
    assert changes.causes.empty
    assert not len(rows.closed_orders) + len(rows.closed_costs) + sum(map(len, rows.opened))


def test_causes_without_effect_have_no_column():
    changes = compare(BASE, state([("a", 120), ("b", 10)], OF_BASE, [("Search", 1, 21.0), ("Mail", 2, 4.0)]))
    assert revenue_changes(changes.channels).columns.tolist() == [
        "channel_name",
        "ihc_revenue_before",
        "revenue_corrected",
        "ihc_revenue_after",
    ]
    assert cost_changes(changes.channels).columns.tolist() == [
        *("channel_name", "cost_before", "cost_change", "cost_after", "ROAS_before", "ROAS_after")
    ]
    elsewhere = compare(BASE, BASE, (None, None), ("2023-09-02", None))
    assert "cost_dates" in cost_changes(elsewhere.channels)


def many(count):
    """This many channels; the first gets the most from new orders."""
    orders = [(f"k{number}", 1000.0 - number) for number in range(count)]
    credits = [(f"k{number}", f"channel {number}", 1, 1.0) for number in range(count)]
    return compare(state(), state(orders, credits)).channels


def test_the_chart_has_up_to_twelve_channels_and_one_for_the_rest():
    assert MOST_BARS == 12
    assert largest_changes(many(12))["channel_name"].tolist() == [f"channel {number}" for number in range(12)]
    folded = largest_changes(many(14))
    assert folded["channel_name"].tolist() == [*(f"channel {number}" for number in range(11)), "other (3 channels)"]
    # 989 + 988 + 987
    assert folded.iloc[-1][["new_orders", "ihc_revenue_change"]].tolist() == [2964, 2964]


def test_tables_show_the_largest_changes_the_rest_and_the_total():
    listed = shown_changes(many(33))
    assert listed["channel_name"].tolist() == [*(f"channel {n}" for n in range(30)), "other (3 channels)", TOTAL]
    assert listed.loc[30, "ihc_revenue_after"] == 970 + 969 + 968
    assert listed["new_orders"].iloc[:-1].sum() == listed["new_orders"].iloc[-1]
    assert_frame_equal(shown_changes(many(14)), many(14))
    # ROAS is recomputed as a ratio of sums.
    dear = many(33).assign(cost_after=1.0)
    assert shown_changes(dear).loc[30, "ROAS_after"] == (970 + 969 + 968) / 3


def test_the_top_earning_channel_is_always_named():
    names = [f"channel {number}" for number in range(14)]
    credits = [(name, name, 1, 1.0) for name in names]
    before = state([(name, 100) for name in names] + [("big", 9_000)], [*credits, ("big", "Search", 1, 1.0)])
    after = state([(name, 150) for name in names] + [("big", 9_001)], [*credits, ("big", "Search", 1, 1.0)])
    found = largest_changes(compare(before, after).channels)
    # 11 of the 14 that changed by 50, the one of 9,001 that changed by 1, and 3 others.
    assert found["channel_name"].tolist()[11:] == ["Search", "other (3 channels)"]
    assert found["ihc_revenue_change"].tolist() == [*[50] * 11, 1, 150]


def test_the_chart_has_only_channels_and_causes_with_a_change():
    changes = compare(BASE, state([("a", 100), ("b", 15)], OF_BASE))
    found = largest_changes(changes.channels)
    assert found.to_dict("records") == [{"channel_name": "Mail", "revenue_corrected": 5, "ihc_revenue_change": 5}]
    assert largest_changes(compare(BASE, BASE).channels).empty


SHOP = Tables(
    sessions(
        [
            ("s1", "u1", "2023-09-01 10:00:00", "Search"),
            ("s2", "u1", "2023-09-01 11:00:00", "Search"),
            ("s3", "u1", "2023-09-02 10:00:00", "Mail"),
            ("s4", "u2", "2023-09-02 12:00:00", "Mail"),
        ]
    ),
    conversions([("a", "u1", "2023-09-02 11:00:00", 100.0), ("b", "u2", "2023-09-02 13:00:00", 10.0)]),
    costs([("s1", 1.0), ("s2", 2.0), ("s4", None)]),
)
CREDITS = credits_of([("a", "s1", 0.25), ("a", "s2", 0.25), ("a", "s3", 0.5), ("b", "s4", 1.0)])


def outcomes(*rows):
    kinds = {"conv_id": "str", "engine": "str", "parameters": "str", "lookback_days": "float64"}
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def made_of(shop=SHOP, credits=CREDITS, ends=outcomes(("a", "local", "p", 30), ("b", "api", "q", None))):  # noqa: B008
    return state_of(
        conversion_credits(shop.sessions, shop.conversions, credits), ends, channel_reporting(*shop, credits)
    )


def test_credit_is_summed_by_order_channel_and_session_day():
    found = made_of()
    # s1 and s2 meet in Search on 1 September: 1/4 + 1/4.
    assert found.credits.to_numpy().tolist() == [
        ["a", "Search", "2023-09-01", 0.5],
        ["a", "Mail", "2023-09-02", 0.5],
        ["b", "Mail", "2023-09-02", 1.0],
    ]
    assert found.orders[["conv_id", "revenue"]].to_numpy().tolist() == [["a", 100.0], ["b", 10.0]]


def test_zeros_are_left_out():
    nothing = CREDITS.assign(ihc=[0.0, 0.0, 1.0, 1.0])
    found = made_of(credits=nothing)
    assert set(found.credits["channel_name"]) == {"Mail"}
    # Mail's sessions cost nothing; s1 and s2 cost 1 + 2.
    assert found.costs.to_numpy().tolist() == [["Search", "2023-09-01", 3.0]]
    assert found.orders["sessions"].equals(made_of().orders["sessions"])  # independent of credit


def test_each_order_names_engine_parameters_and_lookback_if_known():
    assert made_of().orders["source"].tolist() == [
        "local engine with parameters p, lookback 30 days",
        "IHC Attribution API, q, sessions of any age",
    ]
    assert made_of(ends=outcomes()).orders["source"].tolist() == ["unknown", "unknown"]


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": ["s9", "s2", "s3", "s4"]},
        {"channel_name": ["Mail", "Search", "Mail", "Mail"]},
        {"event_date": ["2023-08-31", "2023-09-01", "2023-09-02", "2023-09-02"]},
        {"channel_name": ["Search", "Mail", "Search", "Mail"]},  # two of its sessions swapped
    ],
)
def test_the_fingerprint_depends_on_sessions_channels_and_days(change):
    other = SHOP._replace(sessions=SHOP.sessions.assign(**change))
    credits = CREDITS.assign(session_id=[*other.sessions["session_id"]])
    before, after = made_of().orders["sessions"], made_of(other, credits).orders["sessions"]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_the_fingerprint_is_stable_across_versions():
    # It is stored in databases: if it changed, every order would seem to have other sessions.
    assert made_of().orders["sessions"].tolist() == [8517249591781979554, -6358922251671669813]


@pytest.mark.parametrize(
    "after",
    [
        BASE._replace(orders=BASE.orders.assign(revenue=[100.0, 11.0])),
        BASE._replace(orders=BASE.orders.assign(sessions=[1, 2])),
        BASE._replace(orders=BASE.orders.assign(source=["here", "there"])),
        BASE._replace(credits=BASE.credits.assign(ihc=[0.5, 0.5, 0.9])),
        BASE._replace(credits=BASE.credits.assign(channel_name=["Search", "Mail", "Search"])),
    ],
    ids=["revenue", "sessions", "source", "credit", "channel"],
)
def test_only_orders_that_differ_are_replaced(after):
    found = changed_rows(BASE, after)
    assert found.closed_orders.tolist() == ["b"]
    assert found.opened.orders["conv_id"].tolist() == ["b"]
    assert set(found.opened.credits["conv_id"]) == {"b"}
    assert found.closed_costs.empty
    assert found.opened.costs.empty


def test_differences_from_summation_order_are_ignored():
    after = BASE._replace(
        credits=BASE.credits.assign(ihc=BASE.credits["ihc"] + 1e-15),
        costs=BASE.costs.assign(cost=BASE.costs["cost"] * (1 + 1e-14)),
    )
    found = changed_rows(BASE, after)
    assert found.closed_orders.empty
    assert found.closed_costs.empty


def test_changed_costs_are_replaced_new_ones_added_and_missing_ones_closed():
    after = BASE._replace(costs=state(costs=[("Search", 1, 3.5), ("Social", 1, 2.0)]).costs)
    found = changed_rows(BASE, after)
    assert sorted(found.closed_costs.to_numpy().tolist()) == [["Mail", "2023-09-02"], ["Search", "2023-09-01"]]
    assert_frame_equal(found.opened.costs.reset_index(drop=True), after.costs)


def test_totals_cover_the_days_of_the_report():
    # On 2 September: half of a (50) and all of b (10), cost 4.
    assert totals(BASE, ("2023-09-02", None)) == {"orders": 2, "ihc": 1.5, "ihc_revenue": 60.0, "cost": 4.0}
    assert totals(BASE, (None, "2023-09-01")) == {"orders": 1, "ihc": 0.5, "ihc_revenue": 50.0, "cost": 20.0}
    assert totals(state()) == {"orders": 0, "ihc": 0.0, "ihc_revenue": 0.0, "cost": 0.0}
