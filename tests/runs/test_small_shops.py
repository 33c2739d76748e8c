"""Small shops with one difficulty each, from the tables to the channel totals."""

import pandas as pd
import pytest
from helpers.frames import conversions, costs, sessions

from ihc import attribute, build_journeys, channel_reporting, channel_summary, load_parameters
from ihc.models.redistribution import parse_redistribution
from ihc.schemas.tables import PHASES, Tables


def credited(shop, redistribution=None, **dates):
    """The credit of each order by session, `conv_id, session_id, ihc`, with the built-in parameters."""
    journeys = build_journeys(shop.sessions, shop.conversions, **dates)
    return attribute(journeys, load_parameters(), redistribution)[["conv_id", "session_id", "ihc"]]


def by_channel(shop, credits):
    return channel_summary(*shop, credits).set_index("channel_name")


def test_a_repeat_buyer_needs_no_new_session_and_each_order_is_credited_wholly():
    visits = [("s1", "u1", "2024-05-01 10:00:00", "Ads"), ("s2", "u1", "2024-05-20 10:00:00", "Mail")]
    orders = [
        ("c1", "u1", "2024-05-01 10:10:00", 100.0),
        ("c2", "u1", "2024-05-01 10:20:00", 50.0),
        ("c3", "u1", "2024-05-20 10:10:00", 80.0),
    ]
    shop = Tables(sessions(visits), conversions(orders), costs([("s1", 2.0), ("s2", 0.5)]))
    credits = credited(shop)
    credit = credits.set_index(["conv_id", "session_id"])["ihc"]
    assert credit["c1", "s1"] == credit["c2", "s1"] == 1
    assert 0 < credit["c3", "s1"] < 1
    found = by_channel(shop, credits)
    # Ads gets all of c1 and c2, and the rest of c3 beside Mail.
    assert found.loc["Ads", "ihc_revenue"] == pytest.approx(150 + 80 * credit["c3", "s1"])
    assert found.iloc[-1][["ihc", "ihc_revenue", "cost"]].tolist() == pytest.approx([3, 230, 2.5])


def test_leads_without_revenue_have_credit_and_a_cpo_and_a_roas_of_0():
    visits = [("s1", "u1", "2024-05-01 10:00:00", "Ads"), ("s2", "u1", "2024-05-01 10:30:00", "Mail")]
    shop = Tables(
        sessions(visits), conversions([("c1", "u1", "2024-05-01 11:00:00", 0.0)]), costs([("s1", 2.0), ("s2", 1.0)])
    )
    total = by_channel(shop, credited(shop)).iloc[-1]
    assert total[["ihc", "CPO", "ROAS"]].tolist() == pytest.approx([1, 3, 0])


def test_one_channel_with_one_order_and_no_cost_row_has_all_credit_and_no_roas():
    shop = Tables(
        sessions([("s1", "u1", "2024-05-01 10:00:00", "Ads")]),
        conversions([("c1", "u1", "2024-05-01 10:10:00", 10.0)]),
        costs(),
    )
    found = by_channel(shop, credited(shop)).loc["Ads"]
    assert found[["ihc", "ihc_revenue", "cost", "CPO"]].tolist() == [1, 10, 0, 0]
    assert pd.isna(found["ROAS"])


def test_sessions_in_the_second_of_the_order_are_sorted_by_id_as_text():
    at = "2024-05-01 10:00:00"
    shop = Tables(
        sessions([(key, "u1", at, name) for key, name in zip(("9", "10", "2", "1"), "ABCD", strict=True)]),
        conversions([("c1", "u1", at, 100.0)]),
        costs(),
    )
    credits = credited(shop)
    assert credits["session_id"].tolist() == ["1", "10", "2", "9"]
    assert credits["ihc"].sum() == pytest.approx(1)


def test_a_session_before_midnight_is_credited_by_an_order_after_it_and_reported_on_its_own_day():
    shop = Tables(
        sessions([("s1", "u1", "2024-04-30 23:50:00", "Ads")]),
        conversions([("c1", "u1", "2024-05-01 00:10:00", 10.0)]),
        costs([("s1", 2.0)]),
    )
    credits = credited(shop, start_date="2024-05-01", end_date="2024-05-01")
    rows = channel_reporting(*shop, credits)
    assert rows[["date", "ihc", "ihc_revenue"]].values.tolist() == [["2024-04-30", 1, 10]]


def test_a_redistribution_takes_all_credit_from_a_payment_provider_that_has_another_session_before_it():
    pay = "Referral: pay.example"
    visits = [
        ("s1", "u1", "2024-05-01 10:00:00", "Ads"),
        ("s2", "u1", "2024-05-01 10:20:00", pay),
        ("s3", "u2", "2024-05-01 10:20:00", pay),
    ]
    orders = [("c1", "u1", "2024-05-01 10:21:00", 100.0), ("c2", "u2", "2024-05-01 10:21:00", 60.0)]
    shop = Tables(sessions(visits), conversions(orders), costs())
    entry = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": [pay]}
    given = parse_redistribution(dict.fromkeys(PHASES, entry), "It")
    plain, moved = (credited(shop, rules).set_index("session_id")["ihc"] for rules in (None, given))
    assert plain["s2"] > 0
    assert moved.to_dict() == pytest.approx(
        {"s1": 1, "s2": 0, "s3": 1}
    )  # keeps the credit of an order without other sessions
