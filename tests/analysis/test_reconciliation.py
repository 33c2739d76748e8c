import pandas as pd
import pytest
from helpers.frames import FEW, conversions, costs, credits_of, outcomes, sessions, shops, windows
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.reconciliation import COST, CREDIT, FAILED, ORDERS, UNATTRIBUTED, WAITING, reconcile
from ihc.analysis.reporting import channel_reporting
from ihc.errors import ReconciliationError
from ihc.journeys.build import build_journeys, unattributed
from ihc.models.heuristics import linear
from ihc.schemas.tables import Tables, inside

SHOP = Tables(
    sessions(
        [
            ("a", "u", "2023-09-01 10:00:00", "Search"),
            ("b", "u", "2023-09-02 10:00:00", "Mail"),
            ("c", "v", "2023-09-02 11:00:00", "Search"),
        ]
    ),
    conversions(
        [
            ("k", "u", "2023-09-02 12:00:00", 100.0),
            ("l", "u", "2023-09-03 12:00:00", 50.0),
            ("failed", "v", "2023-09-02 12:00:00", 7.0),
            ("lonely", "w", "2023-09-02 12:00:00", 5.0),
            ("waiting", "v", "2023-09-02 13:00:00", 3.0),
        ]
    ),
    costs([("a", 4.0), ("b", 1.5), ("c", None), ("gone", 2.0)]),
)
CREDITS = credits_of([("k", "a", 0.25), ("k", "b", 0.75), ("l", "a", 0.5), ("l", "b", 0.5)])
OUTCOMES = outcomes([("k", "credited"), ("l", "credited"), ("failed", "failed"), ("lonely", "unattributed")])
REPORTED = channel_reporting(*SHOP, CREDITS)


def lines_of(found, section):
    part = found[found["section"] == section]
    return list(part[["kind", "line", "count", "amount"]].itertuples(index=False, name=None))


def cents(amount):
    return round(amount * 100)


def assert_steps_add_up(lines):
    """In every section the steps above a total add up to it, exactly in cents."""
    for _, part in lines.groupby("section"):
        steps = 0
        for line in part.itertuples():
            assert line.amount == cents(line.amount) / 100
            if line.kind == "step":
                steps += cents(line.amount)
            else:
                assert cents(line.amount) == steps
        assert part["kind"].iloc[-1] == "total"


def test_the_whole_shop_is_reconciled_from_input_to_report():
    found = reconcile(SHOP, CREDITS, OUTCOMES, REPORTED)
    assert found.columns.tolist() == ["section", "kind", "line", "count", "counted", "amount"]
    assert found["section"].unique().tolist() == [ORDERS, CREDIT, COST]
    assert lines_of(found, ORDERS) == [
        ("step", "orders read", 5, 165),
        ("step", UNATTRIBUTED, -1, -5),
        ("total", "with a journey", 4, 160),
        ("step", FAILED, -1, -7),
        ("step", WAITING, -1, -3),
        ("total", "credited", 2, 150),
    ]
    assert lines_of(found, CREDIT) == [
        ("step", "credited orders", 2, 150),
        ("step", "less: rounding, Σ revenue × (1 - Σ credit)", 0, 0),
        ("total", "credit in channel_reporting.csv", 2, 150),
    ]
    assert lines_of(found, COST) == [
        ("step", "cost read", 4, 7.5),
        ("step", "less: cost whose session does not exist", -1, -2),
        ("total", "cost in channel_reporting.csv", 3, 5.5),
    ]


def test_with_dates_orders_of_the_days_are_reconciled_with_sessions_of_the_days():
    # Orders of the 2nd: k (100), failed, lonely and waiting. Session a, on the 1st, has 1/4 of k: 25 are outside.
    # Order l is of the 3rd, but half of it, 25, belongs to session b of the 2nd.
    found = reconcile(SHOP, CREDITS, OUTCOMES, REPORTED, start_date="2023-09-02", end_date="2023-09-02")
    assert lines_of(found, ORDERS)[0] == ("step", "orders read", 4, 115)
    assert lines_of(found, CREDIT) == [
        ("step", "credited orders", 1, 100),
        ("step", "less: rounding, Σ revenue × (1 - Σ credit)", 0, 0),
        ("step", "less: credit on days outside the dates", -0.25, -25),
        ("step", "plus: credit from other orders", 0.5, 25),
        ("total", "credit in channel_reporting.csv", 1.25, 100),
    ]
    assert lines_of(found, COST) == [
        ("step", "cost read", 4, 7.5),
        ("step", "less: cost whose session does not exist", -1, -2),
        ("total", "cost in the table channel_reporting", 3, 5.5),
        ("step", "less: cost on days outside the dates", -1, -4),
        ("total", "cost in channel_reporting.csv", 2, 1.5),
    ]


def test_rounding_of_answers_has_its_own_line():
    # Credits of k sum to 1.0002: 0.0002 orders and 0.02 of revenue too much.
    credits = credits_of([("k", "a", 0.25), ("k", "b", 0.7502)])
    shop = SHOP._replace(conversions=SHOP.conversions.iloc[:1])
    found = reconcile(shop, credits, OUTCOMES.iloc[:1], channel_reporting(*shop, credits))
    assert lines_of(found, CREDIT)[1:] == [
        ("step", "less: rounding, Σ revenue × (1 - Σ credit)", 0.0002, 0.02),
        ("total", "credit in channel_reporting.csv", 1.0002, 100.02),
    ]


def test_credit_of_a_deleted_session_has_its_own_line():
    shop = SHOP._replace(sessions=SHOP.sessions.iloc[1:])
    found = reconcile(shop, CREDITS, OUTCOMES, channel_reporting(*shop, CREDITS))
    assert ("step", "less: credit of sessions that no longer exist", -0.75, -50) in lines_of(found, CREDIT)


def test_cents_lost_by_rounding_lines_have_their_own_line():
    # Read 0.008, shown as 0.01; unattributed 0.004, shown as 0.00; with a journey 0.004, shown as 0.00.
    orders = conversions([(key, "u", "2023-09-02 12:00:00", 0.004) for key in ("failed", "lonely")])
    shop = Tables(sessions(), orders, costs())
    found = reconcile(shop, credits_of(), OUTCOMES, channel_reporting(*shop, credits_of()))
    assert lines_of(found, ORDERS)[:4] == [
        ("step", "orders read", 2, 0.01),
        ("step", UNATTRIBUTED, -1, 0),
        ("step", "rounding of the lines above to cents", 0, -0.01),
        ("total", "with a journey", 1, 0),
    ]
    assert_steps_add_up(found)


@pytest.mark.parametrize("window", [(None, None), ("2023-09-02", "2023-09-02")])
@pytest.mark.parametrize(
    ("column", "section", "change"), [("cost", COST, 0.01), ("ihc", CREDIT, 0.01), ("ihc_revenue", CREDIT, -0.01)]
)
def test_a_reporting_that_is_off_by_a_cent_is_refused(column, section, change, window):
    is_changed = (REPORTED["date"] == "2023-09-02") & (REPORTED["channel_name"] == "Mail")
    tampered = REPORTED.assign(**{column: REPORTED[column] + change * is_changed})
    with pytest.raises(ReconciliationError, match=section):
        reconcile(SHOP, CREDITS, OUTCOMES, tampered, start_date=window[0], end_date=window[1])


@pytest.mark.parametrize(
    ("credits", "reporting", "section"),
    [
        (CREDITS, REPORTED.drop(index=1), CREDIT),
        (CREDITS, pd.concat([REPORTED, REPORTED.iloc[[0]]]), CREDIT),
        (CREDITS.iloc[1:], REPORTED, CREDIT),
        (CREDITS.iloc[:2], channel_reporting(*SHOP, CREDITS.iloc[:2]), ORDERS),  # of l, whose outcome is credited
    ],
)
def test_a_reporting_of_other_rows_or_credits_is_refused(credits, reporting, section):
    with pytest.raises(ReconciliationError, match=section):
        reconcile(SHOP, credits, OUTCOMES, reporting)


def test_very_large_amounts_reconcile():
    # 400 orders of 40 billion each, 1.6e13 in all, where two neighbouring floats are a fifth of a cent apart.
    names = [f"s{n}" for n in range(400)]
    orders = [(key, key, "2023-09-06 10:00:00", 40_000_000_000.37 + n * 1_234.57) for n, key in enumerate(names)]
    shop = Tables(
        sessions((key, key, "2023-09-02 10:00:00", f"channel {key[-1]}") for key in names), conversions(orders), costs()
    )
    credits, ends = credits_of((key, key, 1.0) for key in names), outcomes((key, "credited") for key in names)
    found = reconcile(shop, credits, ends, channel_reporting(*shop, credits), start_date="2023-09-02")
    assert found["section"].nunique() == 3


def test_a_cost_that_is_off_on_another_day_is_refused_too():
    tampered = REPORTED.assign(cost=REPORTED["cost"] + (REPORTED["date"] == "2023-09-01"))
    with pytest.raises(ReconciliationError, match="cost in the table channel_reporting"):
        reconcile(SHOP, CREDITS, OUTCOMES, tampered, start_date="2023-09-02")


@st.composite
def runs(draw):
    """A shop after a run: rounded credits, some orders failed or waiting, some sessions gone since."""
    shop = draw(shops())
    journeys = build_journeys(shop.sessions, shop.conversions)
    fates = {
        key: draw(st.sampled_from(["credited", "credited", "failed", "waiting"])) for key in shop.conversions["conv_id"]
    }
    fates |= dict.fromkeys(unattributed(shop.conversions, journeys)["conv_id"], "unattributed")
    credits = linear(journeys[journeys["conv_id"].map(fates) == "credited"]).round(4)
    gone = draw(st.sets(st.sampled_from([*shop.sessions["session_id"], "none"]), max_size=3))
    left = shop._replace(sessions=shop.sessions[~shop.sessions["session_id"].isin(gone)])
    return left, credits, outcomes([(key, fate) for key, fate in fates.items() if fate != "waiting"])


@FEW
@given(runs(), windows())
def test_any_shop_reconciles_to_the_cent_for_any_dates(run, window):
    shop, credits, ends = run
    reporting = channel_reporting(*shop, credits)
    frames = [*shop, credits, ends, reporting]
    before = [frame.copy(deep=True) for frame in frames]
    found = reconcile(shop, credits, ends, reporting, start_date=window[0], end_date=window[1])
    assert_steps_add_up(found)

    orders = shop.conversions[inside(shop.conversions["conv_date"], *window)]
    rows = reporting[inside(reporting["date"], *window)]
    firsts = found.groupby("section", sort=False).first()
    lasts = found.groupby("section", sort=False).last()
    count, amount = firsts.loc[ORDERS, ["count", "amount"]]
    assert count == (orders["revenue"] >= 0).sum()
    assert amount == pytest.approx(orders["revenue"].clip(lower=0).sum(), abs=0.00501)
    refunded = found.loc[found["line"].str.startswith("credited refunds"), "amount"].sum()
    assert lasts.loc[ORDERS, "amount"] == pytest.approx(firsts.loc[CREDIT, "amount"] + refunded, abs=0.0101)
    # Two sums of the same figures may round half a cent to different sides.
    assert lasts.loc[CREDIT, "amount"] == pytest.approx(round(rows["ihc_revenue"].sum(), 2), abs=0.0101)
    assert lasts.loc[COST, "amount"] == pytest.approx(round(rows["cost"].sum(), 2), abs=0.0101)
    assert firsts.loc[COST, "count"] == len(shop.costs)
    assert "-0.0" not in {str(value) for value in [*found["count"], *found["amount"]]}
    for frame, old in zip(frames, before, strict=True):
        assert_frame_equal(frame, old)
