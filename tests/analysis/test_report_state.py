import pandas as pd
import pytest
from helpers.frames import FIXED, conversions, costs, credits_of, sessions, shops, shuffled, windows
from helpers.states import assert_same_state, of_shop, recorded, state
from hypothesis import given
from pandas.testing import assert_frame_equal

from ihc import build_journeys, channel_reporting, channel_summary
from ihc.analysis.changes import changed_rows, state_of, totals
from ihc.analysis.reporting import conversion_credits
from ihc.models.heuristics import linear
from ihc.schemas.tables import Tables

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


def test_credit_is_added_up_by_order_channel_and_day_of_the_sessions():
    found = made_of()
    # s1 and s2 meet in Search on 1 September: 1/4 + 1/4.
    assert found.credits.to_numpy().tolist() == [
        ["a", "Search", "2023-09-01", 0.5],
        ["a", "Mail", "2023-09-02", 0.5],
        ["b", "Mail", "2023-09-02", 1.0],
    ]
    assert found.orders[["conv_id", "revenue"]].to_numpy().tolist() == [["a", 100.0], ["b", 10.0]]


def test_what_is_nothing_is_left_out():
    nothing = CREDITS.assign(ihc=[0.0, 0.0, 1.0, 1.0])
    found = made_of(credits=nothing)
    assert set(found.credits["channel_name"]) == {"Mail"}
    # Mail's sessions cost nothing; s1 and s2 cost 1 + 2.
    assert found.costs.to_numpy().tolist() == [["Search", "2023-09-01", 3.0]]


def test_each_order_names_engine_parameters_and_lookback():
    assert made_of().orders["source"].tolist() == [
        "local engine with parameters p, lookback 30 days",
        "IHC Attribution API, q, sessions of any age",
    ]


def test_an_order_that_no_run_is_known_of_has_an_unknown_source():
    assert made_of(ends=outcomes()).orders["source"].tolist() == ["unknown", "unknown"]


def test_the_order_of_rows_does_not_matter():
    mixed = Tables(*(shuffled(frame, 3) for frame in SHOP))
    assert_same_state(made_of(mixed, shuffled(CREDITS, 5)), made_of())


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": ["s9", "s2", "s3", "s4"]},
        {"channel_name": ["Mail", "Search", "Mail", "Mail"]},
        {"event_date": ["2023-08-31", "2023-09-01", "2023-09-02", "2023-09-02"]},
        {"channel_name": ["Search", "Mail", "Search", "Mail"]},  # two of its sessions have changed places
    ],
)
def test_the_fingerprint_tells_sessions_channels_and_days_apart(change):
    other = SHOP._replace(sessions=SHOP.sessions.assign(**change))
    credits = CREDITS.assign(session_id=[*other.sessions["session_id"]])
    before, after = made_of().orders["sessions"], made_of(other, credits).orders["sessions"]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_the_fingerprint_does_not_know_the_credit():
    assert made_of(credits=CREDITS.assign(ihc=1.0)).orders["sessions"].equals(made_of().orders["sessions"])


def test_the_fingerprint_stays_what_it_is():
    # Kept in databases: if it changed, every order would seem to have other sessions.
    assert made_of().orders["sessions"].tolist() == [8517249591781979554, -6358922251671669813]


@given(shops(), shops())
@FIXED
def test_the_changed_rows_lead_from_one_state_to_the_other(one, other):
    before, after = of_shop(one), of_shop(other)
    found = changed_rows(before, after)
    keep = [frame[~frame["conv_id"].isin(found.closed_orders)] for frame in (before.orders, before.credits)]
    places = found.closed_costs.merge(before.costs, how="right", indicator="found")["found"].to_numpy()
    keep.append(before.costs[places != "both"])
    led_to = type(after)(*(pd.concat(pair, ignore_index=True) for pair in zip(keep, found.opened, strict=True)))
    assert_same_state(led_to, after)


@given(shops())
@FIXED
def test_from_a_state_to_itself_nothing_changes(shop):
    found = changed_rows(of_shop(shop), of_shop(Tables(*(shuffled(frame, 1) for frame in shop))))
    assert not len(found.closed_orders) + len(found.closed_costs) + sum(map(len, found.opened))


BASE = state(
    [("a", 100), ("b", 10)],
    [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)],
    [("Search", 1, 3.0), ("Mail", 2, 1.0)],
)


@pytest.mark.parametrize(
    "after",
    [
        state(
            [("a", 100), ("b", 11)], BASE.credits.assign(date=[1, 2, 2]).to_numpy(), [("Search", 1, 3), ("Mail", 2, 1)]
        ),
        state(
            [("a", 100), ("b", 10, 2)],
            BASE.credits.assign(date=[1, 2, 2]).to_numpy(),
            [("Search", 1, 3), ("Mail", 2, 1)],
        ),
        BASE._replace(orders=BASE.orders.assign(source=["here", "there"])),
        BASE._replace(credits=BASE.credits.assign(ihc=[0.5, 0.5, 0.9])),
        BASE._replace(credits=BASE.credits.assign(channel_name=["Search", "Mail", "Search"])),
    ],
    ids=["revenue", "sessions", "source", "credit", "channel"],
)
def test_an_order_that_differs_in_anything_is_replaced_and_no_other(after):
    found = changed_rows(BASE, after)
    assert found.closed_orders.tolist() == ["b"]
    assert found.opened.orders["conv_id"].tolist() == ["b"]
    assert set(found.opened.credits["conv_id"]) == {"b"}
    assert found.closed_costs.empty
    assert found.opened.costs.empty


def test_sums_that_were_added_up_in_another_order_do_not_differ():
    after = BASE._replace(
        credits=BASE.credits.assign(ihc=BASE.credits["ihc"] + 1e-15),
        costs=BASE.costs.assign(cost=BASE.costs["cost"] * (1 + 1e-14)),
    )
    found = changed_rows(BASE, after)
    assert found.closed_orders.empty
    assert found.closed_costs.empty


def test_a_cost_that_differs_is_replaced_a_new_one_added_and_one_that_is_gone_closed():
    after = BASE._replace(costs=state(costs=[("Search", 1, 3.5), ("Social", 1, 2.0)]).costs)
    found = changed_rows(BASE, after)
    assert sorted(found.closed_costs.to_numpy().tolist()) == [["Mail", "2023-09-02"], ["Search", "2023-09-01"]]
    assert_frame_equal(found.opened.costs.reset_index(drop=True), after.costs)


def test_totals_are_of_the_days_of_the_report():
    # On 2 September: half of a (50) and all of b (10), cost 1.
    assert totals(BASE, ("2023-09-02", None)) == {"orders": 2, "ihc": 1.5, "ihc_revenue": 60.0, "cost": 1.0}
    assert totals(BASE, (None, "2023-09-01")) == {"orders": 1, "ihc": 0.5, "ihc_revenue": 50.0, "cost": 3.0}
    assert totals(state()) == {"orders": 0, "ihc": 0.0, "ihc_revenue": 0.0, "cost": 0.0}


@given(shops(), windows())
@FIXED
def test_totals_are_those_of_the_channel_summary(shop, window):
    credits = linear(build_journeys(shop.sessions, shop.conversions))
    total = channel_summary(*shop, credits, start_date=window[0], end_date=window[1]).iloc[-1]
    found = totals(of_shop(shop), window)
    assert found["orders"] == total["influenced_conversions"]
    assert [found[name] for name in ("ihc", "ihc_revenue", "cost")] == pytest.approx(
        [total[name] for name in ("ihc", "ihc_revenue", "cost")], abs=1e-9
    )


def test_a_recorded_run_knows_its_dates():
    assert recorded(window=("2023-09-01", None)).window == ("2023-09-01", None)
