from dataclasses import replace

import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, conversions, costs, curves_of, journey, sessions

from ihc.analysis.reconciliation import COST, CREDITED, FAILED, ORDERS, UNATTRIBUTED, WAITING
from ihc.formatting import shown
from ihc.journeys.credits import REFUND
from ihc.models.parameters import load_parameters
from ihc.models.redistribution import parse_redistribution
from ihc.narrative import run as narrative
from ihc.schemas.tables import PHASES, Tables


def summary(*rows):
    """`(channel_name, cost, ihc_revenue)`, and the total."""
    rows = [*rows, ("Total", sum(row[1] for row in rows), sum(row[2] for row in rows))]
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "ihc_revenue"]).astype(
        {"channel_name": "str", "cost": "float64", "ihc_revenue": "float64"}
    )
    cost = frame["cost"].where(frame["cost"] != 0)
    return frame.assign(ROAS=frame["ihc_revenue"] / cost, share_of_cost=frame["cost"] / cost.iloc[-1])


def test_best_and_worst_are_by_roas_among_channels_with_enough_spend(snapshot):
    cases = {
        # "tiny" has ROAS 500 but less than 1% of spend, "free" none at all.
        "several": [("good", 100, 250), ("bad", 200, 20), ("middling", 100, 100), ("tiny", 1, 500), ("free", 0, 10)],
        "no channel": [],
        "no revenue": [("a", 10, 0), ("b", 5, 0)],
        "no cost": [("free", 0, 10), ("gift", 0, 5)],
        "none matters": [(f"c{n}", 1, 2) for n in range(150)],
        "alike": [("a", 10, 20), ("b", 30, 60)],
        "one": [("one", 1_000, 2_000), ("free", 0, 10)],
        "revenues that cancel out": [("a", 10, 50), ("b", 10, -50)],
    }
    assert {name: narrative.best_and_worst(summary(*rows)) for name, rows in cases.items()} == snapshot


def test_orders_are_counted_by_outcome_and_refunds_separately(snapshot):
    def told(*rows):
        """Lines of the orders' section: `(line, count, amount)`; another section stands below."""
        full = [(ORDERS, *row) for row in rows] + [(COST, "orders read", 99, 1.0)]
        frame = pd.DataFrame(full, columns=["section", "line", "count", "amount"])
        return narrative.orders_sentence(frame.astype({"count": "float64"}))

    nobody, none = (UNATTRIBUTED, 0, 0.0), (FAILED, 0, 0.0)
    lost, failed, waiting = (UNATTRIBUTED, -2, -20.0), (FAILED, -1, -10.0), (WAITING, -3, -30.0)
    assert {
        "all": told(("orders read", 1_234, 900.0), nobody, none, (CREDITED, 1_234, 900.0)),
        "some": told(("orders read", 9, 90.0), lost, failed, waiting, (CREDITED, 3, 30.0)),
        "one of each": told(
            ("orders read", 3, 30.0), (UNATTRIBUTED, -1, -9.0), (WAITING, -1, -9.0), (CREDITED, 1, 12.0)
        ),
        "the only one": told(("orders read", 1, 30.0), nobody, (CREDITED, 1, 30.0)),
        "none": told(("orders read", 1, 30.0), (UNATTRIBUTED, -1, -30.0), (CREDITED, 0, 0.0)),
        "no order": told(("orders read", 0, 0.0), nobody, none, (CREDITED, 0, 0.0)),
        "refunds": told(("orders read", 2, 160.0), ("refunds: 1", 0, -100.0), (CREDITED, 2, 60.0)),
        "refunds alone": told(("orders read", 0, 0.0), ("refunds: 2", 0, -160.0), (CREDITED, 0, -160.0)),
    } == snapshot


def test_what_is_missing_for_a_report_is_stated(snapshot):
    visits = sessions([("s1", "u1", "2023-09-01 10:00:00", "A")])
    bought = conversions([("k1", "u1", "2023-09-01 11:00:00", 1.0), ("k2", "u1", "2023-09-04 11:00:00", 1.0)])
    earned = pd.DataFrame({"conv_id": ["k1", "k1"]})

    def lacks(visits, bought, of_dates, reported):
        tables = Tables(visits, bought, costs())
        return narrative.missing_sentence(tables, of_dates, reported, "2023-09-02 to 2023-09-03")

    assert {
        "nothing": lacks(visits, bought, bought, earned),
        "nothing but credit": lacks(visits, bought, bought.iloc[:1], earned.iloc[:0]),
        "orders of the dates": lacks(visits, bought, bought.iloc[:0], earned.iloc[:0]),
        "orders, not credit": lacks(visits, bought, bought.iloc[:0], earned),
        "orders": lacks(visits, bought.iloc[:0], bought.iloc[:0], earned.iloc[:0]),
        "all": lacks(visits.iloc[:0], bought.iloc[:0], bought.iloc[:0], earned.iloc[:0]),
        "sessions": lacks(visits.iloc[:0], bought, bought, earned.iloc[:0]),
    } == snapshot


def test_the_origin_of_credits_is_stated_and_noted_below_charts(snapshot):
    one, other = ("local", "default (abc)", None, 1_200), ("local", "mine (def)", 1, 3)
    cases = {
        "none": [],
        "one": [one],
        "two": [one, other],
        "api": [("api", "conversion type spring of api.example.com", None, 7)],
    }
    frames = {
        name: pd.DataFrame(rows, columns=["engine", "parameters", "lookback_days", "orders"]).astype(
            {"lookback_days": "float64", "orders": "int64"}
        )
        for name, rows in cases.items()
    }
    assert {
        name: [narrative.provenance_sentence(frame), narrative.source_note(frame, "2023-09-01", None)]
        for name, frame in frames.items()
    } == snapshot


def test_dates_currency_run_and_tables_are_stated(snapshot):
    visits = sessions([("s1", "u", "2023-09-01 10:00:00", "a"), ("s2", "u", "2023-09-03 10:00:00", "a")])
    orders = conversions([("k", "u", "2023-09-02 10:00:00", 1.0)])
    dates = [(None, None), ("2023-09-01", None), (None, "2023-09-07"), ("2023-09-01", "2023-09-07")]
    assert {
        "dates": [narrative.dates_sentence(*window) for window in dates],
        "currency": [narrative.currency_sentence(currency) for currency in ("EUR", "")],
        "run": narrative.run_sentence("shop.db", "r1", "all days"),
        "span": narrative.span_sentence(visits, orders),
        "no sessions": narrative.span_sentence(sessions(), orders),
        "no orders": narrative.span_sentence(visits, conversions()),
    } == snapshot


def test_journeys_are_counted_with_their_average_length_and_untracked_orders(snapshot):
    # Five sessions of two orders.
    rows = pd.concat(
        [journey((0, "A", 1, 1), (1, "A", 1, 1)), journey(*[(n, "A", 1, 1) for n in range(3)], conv_id="l")]
    )
    untracked = conversions([(key, "u", "2023-09-01 10:00:00", 500.0) for key in ("m", "n")])
    assert {
        "some": narrative.journeys_sentence(rows, untracked),
        "no journey": narrative.journeys_sentence(rows.iloc[:0], untracked),
        "no order": narrative.journeys_sentence(rows.iloc[:0], conversions()),
    } == snapshot


def redistribution_of(*channels):
    phase = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": list(channels)}
    return parse_redistribution(dict.fromkeys(PHASES, phase), "It")


def test_parameters_are_stated_with_their_shop_and_the_channels_with_weights(snapshot):
    weights = curves_of(channels={"holder": {"A": 2.0}})
    one, three = journey((0, "A", 1, 1)), journey(*[(hour, name, 1, 1) for hour, name in enumerate("BCA")])
    many = journey(*[(hour, f"{hour:02d}", 1, 1) for hour in range(13)])
    origins = {"no shop": {}, "no text": {"shop": 7}, "this shop": {"shop": "shop.db"}, "another": {"shop": "other.db"}}
    assert {
        name: narrative.origin_sentence(replace(weights, provenance=origin), one, shop="shop.db")
        for name, origin in origins.items()
    } | {
        "shipped": narrative.origin_sentence(load_parameters(), journey((0, "Newsletter", 1, 1)), shop="ihc.db"),
        "one of three": narrative.origin_sentence(weights, three),
        "more than twelve": narrative.origin_sentence(weights, many),
        "no weights": narrative.origin_sentence(curves_of(), one),
    } == snapshot
    named = narrative.parameters_sentence("by hand (1)", {"other types": weights}, one)
    assert named.startswith("The local engine uses the parameters by hand (1). The parameters do not name")


def test_the_origin_of_several_sets_is_stated_by_conversion_type():
    sets = {"lead": curves_of(), "other types": curves_of(channels={"holder": {"A": 2.0}})}
    assert narrative.origins_sentence(sets, journey((0, "A", 1, 1))) == (
        "For lead: The parameters do not name the shop they come from. They have no channel weights, so every channel "
        "has the neutral weight 1. For other types: The parameters do not name the shop they come from. They have "
        "weights for 1 of 1 channel."
    )


def test_channels_of_a_redistribution_without_sessions_are_named(snapshot):
    rows = journey((0, "A", 1, 1), (1, "C", 1, 1))
    lists = {"none": ("A", "C"), "no list": (), "two": ("A", "c", "B"), "many": [f"{n:02d}" for n in range(13)]}
    told = {name: narrative.redistribution_sentence(redistribution_of(*names), rows) for name, names in lists.items()}
    assert told | {"no journey": narrative.redistribution_sentence(redistribution_of("B"), rows.iloc[:0])} == snapshot


def test_orders_sent_stored_and_left_out_are_counted(snapshot):
    def ends(*rows):
        return pd.DataFrame(rows, columns=["conv_id", "outcome", "reason"], dtype="str")

    # 5 orders: 3 credited, of which 1 was answered in this run and 2 were known before.
    five = ends(*((key, "credited", "") for key in "abc"), ("d", "failed", ""), ("e", "waiting", ""))
    kept = ends(
        ("a", "credited", "it keeps its earlier answer: no calls left."), ("b", "waiting", "x"), ("c", "waiting", "y")
    )
    cut = ends(("a", "waiting", "No calls left."), ("b", "credited", "its journey was cut"), ("c", "failed", "broken"))
    unsound = pd.DataFrame({"conv_id": ["c1"], "reason": ["the credits sum to 5.0000, not 1"]})
    asked = {"calls": 4, "asked": 2, "answered": 1}
    assert {
        "asked, one cut": narrative.api_sentence("conversion type spring of api.example.com", 1200, 1000, cut),
        "asked, one kept": narrative.api_sentence("x", 1, 0, kept),
        "asked for nothing": narrative.api_sentence("x", 1, 0, ends()),
        "ended": narrative.requests_sentence(asked, five),
        "stored": narrative.stored_sentence(five),
        "a refund": narrative.stored_sentence(ends(("a", "credited", ""), ("r", "credited", REFUND))),
        "nothing stored": narrative.stored_sentence(ends()),
        "nothing left out": narrative.left_out_sentence(0, unsound.iloc[:0]),
        "left out": narrative.left_out_sentence(1, unsound),
    } == snapshot  # fmt: skip


def test_sessions_with_unknown_cost_are_counted(snapshot):
    visits = pd.DataFrame({"session_id": ["s-1", "s-2"]})
    cases = {"all": [("s-1", 1.0), ("s-2", 0.0)], "one empty": [("s-1", None)], "none": []}
    frames = {name: pd.DataFrame(rows, columns=["session_id", "cost"]) for name, rows in cases.items()}
    assert {name: narrative.costless_sentence(visits, frame) for name, frame in frames.items()} == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    for sentence in (
        narrative.best_and_worst(summary((name, 10, 20), ("other", 10, 5))),
        narrative.parameters_sentence(
            "x", {name: curves_of(channels={"holder": {"A": 2.0}})}, journey((0, name, 1, 1))
        ),
        narrative.origins_sentence({name: curves_of(), "other types": curves_of()}, journey((0, "A", 1, 1))),
        narrative.redistribution_sentence(redistribution_of(name), journey((0, "A", 1, 1))),
    ):
        assert shown(name) in sentence
        assert sentence.isprintable()


def test_letters_without_a_font_are_named_with_the_remedy():
    assert narrative.letters_sentence(["度", "百"]) == (
        "No font on this machine has 度 (U+5EA6), 百 (U+767E): PNG charts show boxes instead. The charts on this page "
        "use the fonts of your browser. Install a Noto font on this machine and run again."
    )
    assert ", 六 (U+516D) and 1 more: PNG" in narrative.letters_sentence(sorted("一二三四五六"))
    assert "has 百 (U+767E): PNG charts show a box instead." in narrative.letters_sentence(["百"])
    assert narrative.letters_sentence([]) == ""
