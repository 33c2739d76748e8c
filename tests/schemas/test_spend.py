"""Daily spend, spread over sessions or kept without one; the arithmetic is beside each case."""

import numpy as np
import pandas as pd
import pytest
from helpers.frames import CHANNELS, FIXED, amounts, conversions, costs, credits_of, outcomes, sessions, shops, spend
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.analysis.reconciliation import reconcile
from ihc.analysis.reporting import channel_reporting, channel_summary
from ihc.errors import InputError
from ihc.schemas.spend import check_shop, is_daily, is_unused, spread_spend, with_spend, without_session
from ihc.schemas.tables import SPEND, check_table

DAY, NEXT = "2023-09-01", "2023-09-02"
# Three sessions of Ads on one day, the second and third with a campaign, and one of Mail.
VISITS = sessions(
    [
        ("c", "u", f"{DAY} 10:00:00", "Ads"),
        ("a", "u", f"{DAY} 11:00:00", "Ads"),
        ("b", "v", f"{DAY} 12:00:00", "Ads"),
        ("m", "v", f"{DAY} 13:00:00", "Mail"),
    ]
)
IN_CAMPAIGNS = VISITS.assign(campaign=pd.array([None, "x", "x", "x"], dtype="str"))


def by_session(found):
    rows = found[found["session_id"].notna()]
    return dict(zip(rows["session_id"], rows["cost"], strict=True))


def alone(found):
    return without_session(found).astype(object).where(lambda rows: rows.notna(), None).to_numpy().tolist()


def test_sessions_share_the_spend_of_their_day_and_channel_in_cents():
    # 1000 cents / 3 = 333, 1 is left: it goes to the first id.
    found = spread_spend(VISITS, costs(), spend([(DAY, "Ads", None, 10.0)]))
    assert by_session(found) == {"a": 3.34, "b": 3.33, "c": 3.33}
    assert alone(found) == []


@pytest.mark.parametrize(
    ("cost", "shares"),
    [
        (0.02, [0.01, 0.01, 0.0]),
        (10.01, [3.34, 3.34, 3.33]),
        (0.29, [0.1, 0.1, 0.09]),  # 0.29 * 100 is 28.999999999999996
        (10.005, [3.34, 3.335, 3.33]),  # 1000 cents, and half a cent for the next session
        (0.001, [0.001, 0.0, 0.0]),
        (None, [0.0, 0.0, 0.0]),
    ],
)
def test_the_shares_add_up_to_the_spend(cost, shares):
    found = by_session(spread_spend(VISITS, costs(), spend([(DAY, "Ads", None, cost)])))
    assert [found[key] for key in "abc"] == pytest.approx(shares, abs=1e-9)


def test_huge_spend_is_spread_without_an_overflow():
    found = spread_spend(VISITS, costs(), spend([(DAY, "Ads", None, 9e14)] * 200))
    assert sum(by_session(found).values()) == pytest.approx(1.8e17, rel=1e-12)


def test_rows_of_the_same_day_channel_and_campaign_are_added_up():
    rows = [(DAY, "Ads", None, 1.0), (DAY, "Ads", None, 2.0)]
    assert by_session(spread_spend(VISITS, costs(), spend(rows))) == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_a_campaign_pays_for_its_sessions_and_a_row_without_one_for_the_others():
    rows = [(DAY, "Ads", "x", 5.0), (DAY, "Ads", None, 2.0), (DAY, "Ads", "y", 1.5)]
    found = spread_spend(IN_CAMPAIGNS, costs(), spend(rows))
    assert by_session(found) == {"a": 2.5, "b": 2.5, "c": 2.0}
    assert alone(found) == [[1.5, DAY, "Ads", "y"]]


def test_a_row_without_a_campaign_pays_for_all_sessions_without_a_row_of_their_campaign():
    found = spread_spend(IN_CAMPAIGNS, costs(), spend([(DAY, "Ads", None, 3.0)]))
    assert by_session(found) == {"a": 1.0, "b": 1.0, "c": 1.0}
    # Every session has a row of its campaign: the rest is kept for the channel.
    rows = [(DAY, "Mail", "x", 3.0), (DAY, "Mail", None, 1.0)]
    found = spread_spend(IN_CAMPAIGNS, costs(), spend(rows))
    assert by_session(found) == {"m": 3.0}
    assert alone(found) == [[1.0, DAY, "Mail", None]]


def test_campaigns_do_not_matter_if_the_sessions_have_none():
    rows = [(DAY, "Ads", "x", 2.0), (DAY, "Ads", "y", 1.0)]
    assert by_session(spread_spend(VISITS, costs(), spend(rows))) == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_campaigns_are_compared_as_texts_and_their_column_is_found_in_any_case():
    visits = VISITS.assign(Campaign=[None, 7.0, 8.0, None])
    found = spread_spend(visits, costs(), spend([(DAY, "Ads", "7", 2.0), (DAY, "Ads", "8", 1.0)]))
    assert by_session(found) == {"a": 2.0, "b": 1.0}


def test_spend_without_a_session_keeps_its_day_and_channel():
    rows = [(NEXT, "Ads", None, 5.0), (DAY, "TV", None, 7.0), (DAY, "TV", None, 0.5), (NEXT, "TV", None, 0.0)]
    found = spread_spend(VISITS, costs([("m", 1.0)]), spend(rows))
    assert by_session(found) == {"m": 1.0}
    assert alone(found) == [[7.5, DAY, "TV", None], [5.0, NEXT, "Ads", None]]


def test_a_session_with_a_cost_of_its_own_gets_no_share_even_of_0():
    paid = costs([("a", 9.0), ("b", 0.0), ("gone", 4.0)])
    found = spread_spend(VISITS, paid, spend([(DAY, "Ads", None, 10.0)]))
    assert by_session(found) == {"a": 9.0, "b": 0.0, "gone": 4.0, "c": 10.0}
    assert is_daily(found).tolist() == [False, False, False, True]


def test_an_empty_cost_is_filled_by_the_share():
    found = spread_spend(VISITS, costs([("a", None), ("m", None)]), spend([(DAY, "Ads", None, 3.0)]))
    assert sorted(found["session_id"]) == ["a", "b", "c", "m"]
    assert by_session(found) == pytest.approx({"a": 1.0, "b": 1.0, "c": 1.0, "m": np.nan}, nan_ok=True)


def test_session_costs_win_if_every_session_has_one():
    tables = with_spend(
        check_shop([VISITS, conversions(), costs([("m", 1.0)])]),
        spend([(DAY, "Mail", None, 2.0), (DAY, "Ads", None, 3)]),
    )
    assert by_session(tables.costs) == {"m": 1.0, "a": 1.0, "b": 1.0, "c": 1.0}
    assert is_unused(tables.spend).tolist() == [True, False]
    assert tables.session_costs["cost"].tolist() == [1.0]


def test_without_daily_spend_the_costs_are_those_of_the_table():
    frames = [VISITS, conversions(), costs([("a", 1.0)])]
    for nothing in (None, spend()):
        tables = check_shop(frames, nothing)
        assert tables.costs.columns.tolist() == ["session_id", "cost"]
        assert tables.spend is None
        assert list(tables.by_name) == ["session_sources", "conversions", "session_costs"]


def test_the_reported_spend_of_a_small_shop():
    # Ads: 10.00 shared by a, b and c, and 5.00 of the next day. TV has no session. Mail has a cost of its own.
    rows = [(DAY, "Ads", None, 10.0), (NEXT, "Ads", None, 5.0), (DAY, "TV", None, 7.0), (DAY, "Mail", None, 2.0)]
    orders = conversions([("k", "u", f"{DAY} 20:00:00", 100.0)])
    tables = check_shop([VISITS, orders, costs([("m", 1.5), ("gone", 4.0)])], spend(rows))
    credits = credits_of([("k", "c", 0.5), ("k", "a", 0.5)])
    reporting = channel_reporting(*tables, credits)
    assert reporting.to_numpy().tolist() == [
        ["Ads", DAY, 10.0, 1.0, 100.0],
        ["Ads", NEXT, 5.0, 0.0, 0.0],
        ["Mail", DAY, 1.5, 0.0, 0.0],
        ["TV", DAY, 7.0, 0.0, 0.0],
    ]
    summary = channel_summary(*tables, credits).set_index("channel_name")
    assert summary["sessions"].to_dict() == {"Ads": 3, "TV": 0, "Mail": 1, "Total": 4}
    assert summary["cost"].to_dict() == {"Ads": 15.0, "TV": 7.0, "Mail": 1.5, "Total": 23.5}
    assert summary.loc["TV", ["ihc", "ihc_revenue", "ROAS"]].tolist() == [0, 0, 0]
    assert summary.loc["Total", "CPO"] == 23.5
    lines = reconcile(tables, credits, outcomes([("k", "credited")]), reporting, start_date=NEXT)
    cost = lines[lines["section"] == "Cost"].set_index("line")["amount"].to_dict()
    assert cost == {
        "cost read": 5.5,
        "plus: daily spend of days with sessions: 2": 12.0,
        "plus: daily spend without a session: 2": 12.0,
        "less: daily spend not used: 1": -2.0,
        "less: cost whose session does not exist": -4.0,
        "cost in the table channel_reporting": 23.5,
        "less: cost on days outside the dates": -1.5,
        "less: daily spend on days outside the dates: 2": -17.0,
        "cost in channel_reporting.csv": 5.0,
    }


def test_invalid_daily_spend_is_refused_with_the_findings_of_all_tables():
    rows = pd.DataFrame(
        {"DATE": ["01/13/2023", None], "channel_name": ["Ads", "Ads"], "cost": [-1.0, "1,5"], "Campaign": ["x", ""]}
    )
    with pytest.raises(InputError) as error:
        check_shop([VISITS, conversions(), costs([("a", -3.0)])], rows)
    findings = str(error.value).splitlines()
    assert findings[0].startswith("Table session_costs, column cost: -3.0 is negative")
    assert [text.split(" in 1 row")[0] for text in findings[1:]] == [
        "Table channel_costs, column date: NULL",
        "Table channel_costs, column date: '01/13/2023' looks like MM/DD/YYYY",
        "Table channel_costs, column cost: -1.0 is negative",
        "Table channel_costs, column cost: '1,5' has a decimal comma",
    ]
    assert "(of '01/13/2023 Ads x')" in findings[2]
    with pytest.raises(InputError, match="Table channel_costs lacks the column 'cost'"):
        check_table(SPEND, rows.drop(columns="cost"))


@st.composite
def daily(draw):
    days = st.sampled_from([f"2023-09-0{day}" for day in range(1, 6)])
    row = st.tuples(days, st.sampled_from([*CHANNELS, "TV"]), st.sampled_from([None, "x", "y"]), amounts(0, 10_000))
    return spend(draw(st.lists(row, min_size=1, max_size=8)))


@settings(FIXED, max_examples=15)
@given(shops(), daily(), st.data())
def test_all_spend_is_reported_on_its_day_and_channel_or_stated_as_unused(shop, rows, data):
    names = st.lists(st.sampled_from([None, "x", "z"]), min_size=len(shop.sessions), max_size=len(shop.sessions))
    visits = shop.sessions.assign(campaign=pd.array(data.draw(names), dtype="str"))
    tables = check_shop([visits, *shop[1:]], rows)
    before, found = shop.costs, tables.costs
    assert not found["session_id"].dropna().duplicated().any()
    own = before.dropna()
    assert by_session(found).items() >= dict(zip(own["session_id"], own["cost"], strict=True)).items()
    used = tables.spend[~is_unused(tables.spend)].groupby(["channel_name", "date"])["cost"].sum()
    shares = found[is_daily(found)].groupby(["spend_channel", "spend_date"])["cost"].sum()
    assert shares.reindex(used.index).fillna(0).tolist() == pytest.approx(used.tolist(), abs=1e-6)
    paid = channel_reporting(visits, shop.conversions, before, credits_of()).set_index(["channel_name", "date"])["cost"]
    reporting = channel_reporting(*tables, credits_of())
    reported = reporting.set_index(["channel_name", "date"])["cost"]
    expected = paid.add(used[used > 0], fill_value=0)
    assert reported.index.equals(expected.index)
    assert reported.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert len(reconcile(tables, credits_of(), outcomes(), reporting))
    mixed = check_shop([visits.sample(frac=1, random_state=1), *shop[1:]], rows.sample(frac=1, random_state=2))
    assert by_session(mixed.costs) == pytest.approx(by_session(found), nan_ok=True)
