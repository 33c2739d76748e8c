"""Refunds reduce the revenue of their order's sessions and are not orders."""

import pandas as pd
import pytest
from helpers.frames import (
    FEW,
    conversions,
    costs,
    curves_of,
    outcomes,
    refunds,
    sessions,
    shops_with_refunds,
    windows,
)
from hypothesis import given

from ihc import attribute, build_journeys, channel_reporting, channel_summary
from ihc.analysis.changes import state_of, totals
from ihc.analysis.reconciliation import reconcile
from ihc.analysis.reporting import conversion_credits, exported_credits
from ihc.errors import InputError
from ihc.journeys.credits import outcomes_of
from ihc.models.heuristics import linear
from ihc.models.markov import markov
from ihc.models.registry import MODELS
from ihc.schemas.refunds import NO_ORDER, NOT_NEGATIVE, purchase_ids, purchase_indexer
from ihc.schemas.tables import Tables, check_tables, inside

CURVES = curves_of()
NOTHING = pd.DataFrame(columns=["conv_id", "outcome", "reason"], dtype="str")
# Two sessions before the order of the 1st, one after it and before its refund of the 9th.
VISITS = sessions(
    [
        ("s1", "u1", "2024-05-01 09:00:00", "Ads"),
        ("s2", "u1", "2024-05-01 10:00:00", "Mail"),
        ("s3", "u1", "2024-05-05 09:00:00", "Social"),
        ("s4", "u2", "2024-05-03 10:00:00", "Mail"),
    ]
)
ROWS = [
    ("c1", "u1", "2024-05-01 10:05:00", 100.0, None),
    ("c2", "u2", "2024-05-03 11:00:00", 60.0, None),
    ("back", "u1", "2024-05-09 11:00:00", -40.0, "c1"),
]
ORDERS = refunds(ROWS)
SHOP = Tables(VISITS, ORDERS, costs([("s1", 2.0), ("s4", 1.0)]))


def credits_for(shop):
    return attribute(build_journeys(shop.sessions, shop.conversions), CURVES)


def steps(journeys, conv_id):
    return (
        journeys.loc[journeys["conv_id"] == conv_id, ["session_id", "conversion", "conv_timestamp"]].to_numpy().tolist()
    )


def test_a_refund_has_the_journey_of_its_order():
    journeys = build_journeys(VISITS, ORDERS)
    assert [row[0] for row in steps(journeys, "c1")] == ["s1", "s2"]
    assert steps(journeys, "back") == steps(journeys, "c1")
    # The lookback window counts from the order; the dates select the refund by its own day and leave the order out.
    assert steps(build_journeys(VISITS, ORDERS, lookback_days=1), "back") == steps(journeys, "c1")
    alone = build_journeys(VISITS, ORDERS, start_date="2024-05-09")
    assert alone[["conv_id", "session_id"]].to_numpy().tolist() == [["back", "s1"], ["back", "s2"]]


@pytest.mark.parametrize("named", [None, "gone", "c2"])
def test_a_refund_without_an_order_of_its_user_has_its_own_journey(named):
    # "gone" does not exist, and c2 belongs to another user.
    orders = refunds([*ROWS[:2], (*ROWS[2][:4], named)])
    assert purchase_indexer(orders).tolist() == [0, 1, 2]
    assert [row[0] for row in steps(build_journeys(VISITS, orders), "back")] == ["s1", "s2", "s3"]
    plain = orders.drop(columns="refund_of")
    pd.testing.assert_frame_equal(build_journeys(VISITS, orders), build_journeys(VISITS, plain))


def test_refund_ids_are_replaced_by_order_ids():
    ids = pd.Series(["back", "c2", "elsewhere", "back"], index=[7, 8, 9, 10], dtype="str")
    found = purchase_ids(ids, ORDERS)
    assert found.to_dict() == {7: "c1", 8: "c2", 9: "elsewhere", 10: "c1"}
    assert purchase_ids(ids, conversions()).equals(ids)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("x", "u1", "2024-05-09 12:00:00", 5.0, "c1"), NOT_NEGATIVE),
        (("x", "u1", "2024-05-09 12:00:00", 0.0, "c1"), NOT_NEGATIVE),
        (("x", "u1", "2024-05-09 12:00:00", -5.0, "x"), NO_ORDER),
        (("x", "u1", "2024-05-09 12:00:00", -5.0, "back"), NO_ORDER),
        (("x", "u1", "2024-05-09 12:00:00", -5.0, "plain"), NO_ORDER),
    ],
)
def test_refunds_that_are_not_negative_or_refund_a_refund_are_refused(row, says):
    orders = refunds([*ROWS, ("plain", "u1", "2024-05-09 11:30:00", -5.0, None), row])
    with pytest.raises(InputError) as refused:
        check_tables(VISITS, orders, SHOP.costs)
    assert str(refused.value) == f"Table conversions, column refund_of, 1 row (conv_id 'x'): {says}."


@pytest.mark.parametrize("empty", ["", " ", None])
def test_an_empty_reference_refunds_no_order_and_one_that_is_a_number_does(empty):
    found = check_tables(VISITS, ORDERS.assign(refund_of=[empty, empty, "c1"]), SHOP.costs).conversions
    assert found["refund_of"].isna().tolist() == [True, True, False]
    numbers = ORDERS.assign(conv_id=[1, 2, 3], refund_of=[None, None, 1.0])
    assert purchase_indexer(check_tables(VISITS, numbers, SHOP.costs).conversions).tolist() == [0, 1, 0]


def test_a_refund_reduces_revenue_and_is_not_an_order():
    credits = credits_for(SHOP)
    summary = channel_summary(*SHOP, credits).set_index("channel_name")
    # 100 - 40 of u1 and 60 of u2; cost 3 / 2 orders.
    assert summary.loc["Total", ["influenced_conversions", "ihc", "ihc_revenue", "CPO"]].tolist() == [2, 2, 120, 1.5]
    assert summary.loc["Social", ["influenced_conversions", "ihc", "ihc_revenue"]].tolist() == [0, 0, 0]
    ads = credits.set_index(["conv_id", "session_id"]).loc[("c1", "s1"), "ihc"]
    assert summary.loc["Ads", "ihc_revenue"] == pytest.approx(ads * 60)
    assert summary["share_of_credit"].iloc[:-1].sum() == pytest.approx(1)


def test_a_shop_of_refunds_alone_has_revenue_below_zero_and_no_orders():
    orders = conversions([("a", "u1", "2024-05-09 11:00:00", -100.0), ("b", "u2", "2024-05-03 11:00:00", -60.0)])
    shop = Tables(VISITS.iloc[[0, 3]].reset_index(drop=True), orders, SHOP.costs)
    credits = credits_for(shop)
    total = channel_summary(*shop, credits).iloc[-1]
    assert total[["influenced_conversions", "ihc", "ihc_revenue", "cost"]].tolist() == [0, 0, -160, 3]
    assert total[["CPO", "share_of_credit"]].isna().all()
    ends = outcomes_of(orders, build_journeys(*shop[:2]), NOTHING)
    found = reconcile(shop, credits, ends, channel_reporting(*shop, credits)).set_index("line")
    assert found.loc["refunds: 2", "amount"] == found.loc["credited", "amount"] == -160


@pytest.mark.parametrize(
    ("outcome", "name"), [("unattributed", "untracked"), ("failed", "failed"), ("waiting", "waiting")]
)
def test_refunds_without_credit_have_lines_of_their_own(outcome, name):
    credits = credits_for(SHOP)
    credits = credits[credits["conv_id"] != "back"]
    ends = outcomes([("c1", "credited"), ("c2", "credited"), ("back", outcome)])
    found = reconcile(SHOP, credits, ends, channel_reporting(*SHOP, credits)).set_index("line")
    assert found.loc[f"less: {name} refunds: 1", ["count", "amount"]].tolist() == [0, 40]
    assert found.loc["credited", ["count", "amount"]].tolist() == [2, 160]


def test_the_reconciliation_closes_and_names_the_refunds():
    credits = credits_for(SHOP)
    ends = outcomes_of(ORDERS, build_journeys(VISITS, ORDERS), NOTHING)
    found = reconcile(SHOP, credits, ends, channel_reporting(*SHOP, credits))
    assert found[["line", "count", "amount"]].iloc[:9].to_numpy().tolist() == [
        ["orders read", 2, 160],
        ["refunds: 1", 0, -40],
        ["less: untracked (no session)", 0, 0],
        ["with a journey", 2, 120],
        ["less: failed", 0, 0],
        ["credited", 2, 120],
        ["credited orders", 2, 160],
        ["credited refunds: 1", 0, -40],
        ["less: rounding, Σ revenue × (1 - Σ credit)", 0, 0],
    ]


def test_the_export_and_the_history_keep_the_shares_of_a_refund():
    credits = credits_for(SHOP)
    listed = exported_credits(SHOP, credits, credits)
    assert listed.groupby("conv_id")["ihc"].sum().to_dict() == pytest.approx({"c1": 1, "c2": 1, "back": 1})
    assert listed.loc[listed["conv_id"] == "back", "ihc_revenue"].sum() == pytest.approx(-40)
    earned = conversion_credits(*SHOP[:2], credits)
    ends = outcomes([("c1", "credited")]).assign(engine="local", parameters="p", lookback_days=None)
    state = state_of(earned, ends, channel_reporting(*SHOP, credits))
    assert totals(state) == pytest.approx({"orders": 2, "ihc": 2, "ihc_revenue": 120, "cost": 3})


def test_a_refund_gets_the_credit_of_its_order_under_every_model_and_is_not_a_path():
    journeys, without = build_journeys(VISITS, ORDERS), build_journeys(VISITS, ORDERS.iloc[:2])
    for model in MODELS.values():
        credits = model(journeys)
        of_order, of_refund = (credits[credits["conv_id"] == conv_id] for conv_id in ("c1", "back"))
        assert dict(zip(of_refund["session_id"], of_refund["ihc"], strict=True)) == dict(
            zip(of_order["session_id"], of_order["ihc"], strict=True)
        )
        assert credits[credits["conv_id"] != "back"].reset_index(drop=True).equals(model(without))
    # A refund whose channels led to no order is split evenly.
    assert markov(build_journeys(VISITS, ORDERS, start_date="2024-05-09"))["ihc"].tolist() == pytest.approx([0.5, 0.5])


@FEW
@given(shops_with_refunds(), windows())
def test_orders_are_counted_without_refunds_and_all_revenue_is_kept(shop, window):
    dates = {"start_date": window[0], "end_date": window[1]}
    journeys = build_journeys(shop.sessions, shop.conversions)
    credits = linear(journeys)
    rows = channel_reporting(*shop, credits)
    ends = outcomes_of(shop.conversions, journeys, NOTHING)
    found = reconcile(shop, credits, ends, rows, **dates)  # raises if a line does not close
    chosen = shop.conversions[inside(shop.conversions["conv_date"], *window)]
    assert found["count"].iloc[0] == (chosen["revenue"] >= 0).sum()
    credited = shop.conversions[shop.conversions["conv_id"].isin(credits["conv_id"])]
    total = channel_summary(*shop, credits).iloc[-1]
    assert total["ihc"] == pytest.approx((credited["revenue"] >= 0).sum())
    assert total["ihc_revenue"] == pytest.approx(credited["revenue"].sum(), abs=1e-6)
