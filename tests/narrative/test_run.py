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

NAN = float("nan")


def summary(*rows):
    """`(channel_name, cost, ihc_revenue)`, and the total."""
    rows = [*rows, ("Total", sum(row[1] for row in rows), sum(row[2] for row in rows))]
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "ihc_revenue"]).astype(
        {"channel_name": "str", "cost": "float64", "ihc_revenue": "float64"}
    )
    cost = frame["cost"].where(frame["cost"] != 0)
    return frame.assign(ROAS=frame["ihc_revenue"] / cost, share_of_cost=frame["cost"] / cost.iloc[-1])


def test_best_and_worst_are_by_roas_among_channels_that_matter():
    # "tiny" has ROAS 500 but less than 1 % of the cost, "free" none at all.
    text = narrative.best_and_worst(
        summary(("good", 100, 250), ("bad", 200, 20), ("middling", 100, 100), ("tiny", 1, 500), ("free", 0, 10))
    )
    assert text == (
        "Of the 3 channels with at least 1% of the cost, the best is good with ROAS 2.50 (250.00 of revenue for 100.00 "
        "of cost), the worst is bad with ROAS 0.10 (20.00 of revenue for 200.00 of cost)."
    )


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "There is no attributed revenue on the reported days to compare channels by."),
        ([("a", 10, 0), ("b", 5, 0)], "There is no attributed revenue on the reported days to compare channels by."),
        ([("free", 0, 10), ("gift", 0, 5)], "No channel has at least 1% of the cost, so none are compared by ROAS."),
        (
            [(f"c{n}", 1, 2) for n in range(150)],
            "No channel has at least 1% of the cost, so none are compared by ROAS.",
        ),
        ([("a", 10, 20), ("b", 30, 60)], "All 2 channels with at least 1% of the cost have the same ROAS, 2.00."),
    ],
)
def test_best_and_worst_need_two_channels_that_differ(rows, text):
    assert narrative.best_and_worst(summary(*rows)) == text


def test_the_orders_are_told_apart_from_refunds():
    read = [("orders read", 2, 160.0), ("refunds: 1", 0, -100.0), (CREDITED, 2, 60.0)]
    assert narrative.orders_sentence(lines(*read)) == (
        "2 of 2 orders are credited, 60.00 of revenue after refunds of 100.00."
    )
    alone = [("orders read", 0, 0.0), ("refunds: 2", 0, -160.0), (CREDITED, 0, -160.0)]
    assert narrative.orders_sentence(lines(*alone)) == "There is no order in these dates, only refunds of 160.00."


def test_a_single_channel_that_matters_is_named_alone():
    text = narrative.best_and_worst(summary(("one", 1_000, 2_000), ("free", 0, 10)))
    assert text == (
        "Only one channel has at least 1% of the cost: one with ROAS 2.00 (2,000.00 of revenue for 1,000.00 of cost)."
    )
    assert "worst" not in text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], ""),
        ([("free", 0, 10)], ""),
        (
            [("a", 1_000, 1_000), ("b", 1_000, 999), ("free", 0, 1)],
            "1 of the 2 channels with at least 1% of the cost reaches a ROAS of 1.",
        ),
        (
            [("a", 10, 5), ("b", 10, 5)],
            "None of the 2 channels with at least 1% of the cost reaches a ROAS of 1.",
        ),
        ([(f"c{n}", 1, 2) for n in range(150)], ""),
        (
            # The third earns much, but with 0.5 of 100.5 of the cost it does not matter.
            [("a", 50, 60), ("b", 50, 70), ("c", 0.5, 100)],
            "Both channels with at least 1% of the cost reach a ROAS of 1.",
        ),
        ([("a", 10, 10)], "The only channel with at least 1% of the cost reaches a ROAS of 1."),
        ([("a", 10, 5)], "The only channel with at least 1% of the cost does not reach a ROAS of 1."),
    ],
)
def test_break_even_counts_the_channels_that_earn_their_cost(rows, text):
    assert narrative.break_even(summary(*rows)) == text


def lines(*rows):
    """Lines of the orders' section: `(line, count, amount)`; another section stands below."""
    full = [(ORDERS, line, count, amount) for line, count, amount in rows] + [(COST, "orders read", 99, 1.0)]
    return pd.DataFrame(full, columns=["section", "line", "count", "amount"]).astype({"count": "float64"})


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [("orders read", 1_234, 900.0), (UNATTRIBUTED, 0, 0.0), (FAILED, 0, 0.0), (CREDITED, 1_234, 900.0)],
            "1,234 of 1,234 orders are credited, 900.00 of revenue.",
        ),
        (
            [
                ("orders read", 9, 90.0),
                (UNATTRIBUTED, -2, -20.0),
                (FAILED, -1, -10.0),
                (WAITING, -3, -30.0),
                (CREDITED, 3, 30.0),
            ],
            "3 of 9 orders are credited, 30.00 of revenue; 2 have no session, 1 failed, 3 wait for a run.",
        ),
        (
            [("orders read", 3, 30.0), (UNATTRIBUTED, -1, -9.0), (WAITING, -1, -9.0), (CREDITED, 1, 12.0)],
            "1 of 3 orders is credited, 12.00 of revenue; 1 has no session, 1 waits for a run.",
        ),
        (
            [("orders read", 1, 30.0), (UNATTRIBUTED, 0, 0.0), (CREDITED, 1, 30.0)],
            "1 of 1 order is credited, 30.00 of revenue.",
        ),
        (
            [("orders read", 1, 30.0), (UNATTRIBUTED, -1, -30.0), (CREDITED, 0, 0.0)],
            "None of 1 order is credited; 1 has no session.",
        ),
        (
            [("orders read", 0, 0.0), (UNATTRIBUTED, 0, 0.0), (FAILED, 0, 0.0), (CREDITED, 0, 0.0)],
            "There is no order in these dates.",
        ),
    ],
)
def test_orders_are_told_by_how_they_ended(rows, text):
    assert narrative.orders_sentence(lines(*rows)) == text


VISITS = sessions([("s1", "u1", "2023-09-01 10:00:00", "A")])
BOUGHT = conversions([("k1", "u1", "2023-09-01 11:00:00", 1.0), ("k2", "u1", "2023-09-04 11:00:00", 1.0)])
EARNED = pd.DataFrame({"conv_id": ["k1", "k1"]})


@pytest.mark.parametrize(
    ("tables", "of_dates", "reported", "text"),
    [
        ((VISITS, BOUGHT), BOUGHT, EARNED, ""),
        ((VISITS, BOUGHT), BOUGHT.iloc[:1], EARNED.iloc[:0], ""),
        (
            (VISITS, BOUGHT),
            BOUGHT.iloc[:0],
            EARNED.iloc[:0],
            "There is no order of 2023-09-02 to 2023-09-03; the table has 2 orders of 2023-09-01 to 2023-09-04.",
        ),
        (
            (VISITS, BOUGHT),
            BOUGHT.iloc[:0],
            EARNED,
            "There is no order of 2023-09-02 to 2023-09-03; the table has 2 orders of 2023-09-01 to 2023-09-04. All "
            "credit of these days comes from 1 order of other days.",
        ),
        (
            (VISITS, BOUGHT.iloc[:0]),
            BOUGHT.iloc[:0],
            EARNED.iloc[:0],
            "The tables have no order, so there is nothing to attribute.",
        ),
        (
            (VISITS.iloc[:0], BOUGHT.iloc[:0]),
            BOUGHT.iloc[:0],
            EARNED.iloc[:0],
            "The tables have no session and no order, so there is nothing to attribute.",
        ),
        (
            (VISITS.iloc[:0], BOUGHT),
            BOUGHT,
            EARNED.iloc[:0],
            "The tables have no session, so 2 orders cannot be attributed.",
        ),
    ],
)
def test_what_a_report_lacks_is_said(tables, of_dates, reported, text):
    tables = Tables(*tables, costs())
    assert narrative.missing_sentence(tables, of_dates, reported, "2023-09-02 to 2023-09-03") == text


def sources(*rows):
    columns = ["engine", "parameters", "lookback_days", "orders"]
    return pd.DataFrame(rows, columns=columns).astype({"lookback_days": "float64", "orders": "int64"})


ONE = ("local", "default (abc)", None, 1_200)
OTHER = ("local", "mine (def)", 30, 3)


def test_provenance_names_engine_parameters_and_lookback():
    assert narrative.provenance_sentence(sources(ONE)) == (
        "All credits come from the local engine with parameters default (abc) and sessions of any age (1,200 orders)."
    )


def test_provenance_warns_of_credits_that_are_not_alike():
    text = narrative.provenance_sentence(sources(ONE, OTHER))
    assert text.startswith("Attention: the stored credits come from different settings")
    assert "parameters mine (def) and a lookback of 30 days (3 orders)." in text


def test_provenance_of_nothing_says_so():
    assert narrative.provenance_sentence(sources()) == "There are no credits to report."


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "no credits; 2023-09-01 to the last day"),
        ([ONE], "IHC credit: local engine with parameters default (abc); 2023-09-01 to the last day"),
        (
            [ONE, OTHER],
            "IHC credit: local engine with parameters default (abc), and others; 2023-09-01 to the last day",
        ),
    ],
)
def test_the_note_below_a_chart_names_the_most_used_source_and_the_dates(rows, text):
    assert narrative.source_note(sources(*rows), "2023-09-01", None) == text


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (None, None, "all days"),
        ("2023-09-01", None, "2023-09-01 to the last day"),
        (None, "2023-09-07", "the first day to 2023-09-07"),
        ("2023-09-01", "2023-09-07", "2023-09-01 to 2023-09-07"),
    ],
)
def test_dates_in_words(start, end, text):
    assert narrative.dates_sentence(start, end) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Paid Search", "Paid Search"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("back\x08space", "back space"),
        ("\x00", "(blank)"),
        ("", "(blank)"),
        (None, "None"),
        ("بحث مدفوع", "بحث مدفوع"),
        ("$x_1$", "$x_1$"),
        ("a" * 40, "a" * 40),
        ("a" * 41, "a" * 39 + "…"),
    ],
)
def test_a_name_is_shown_on_one_line_without_control_characters_and_cut(name, text):
    assert shown(name) == text


@pytest.mark.parametrize("name", UNTRUSTED)
def test_any_name_is_shown_in_printable_characters(name):
    assert shown(name).isprintable()
    assert len(shown(name, 26)) <= 26


@pytest.mark.parametrize("name", ["\ufffe", "\uffff"])
def test_a_name_is_shown_without_what_no_xml_may_hold(name):
    assert shown(f"a{name}b").replace(" ", "") == "ab"


def test_journeys_are_told_with_their_mean_length_and_the_orders_without_any():
    # Five sessions of two orders.
    rows = pd.concat(
        [journey((0, "A", 1, 1), (1, "A", 1, 1)), journey(*[(n, "A", 1, 1) for n in range(3)], conv_id="l")]
    )
    lonely = conversions([(key, "u", "2023-09-01 10:00:00", 500.0) for key in ("m", "n")])
    assert narrative.journeys_sentence(rows, lonely) == (
        "Orders with a journey: 2, 2.50 sessions each on average. Without any session, and so unattributed: 2, "
        "1,000.00 of revenue."
    )
    assert narrative.journeys_sentence(rows.iloc[:0], lonely).startswith("Orders with a journey: 0. Without any")


def test_no_orders_have_no_journeys():
    empty = journey((0, "A", 1, 1)).iloc[:0]
    assert narrative.journeys_sentence(empty, conversions()) == (
        "There is no order in these dates, so there is no journey."
    )


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        ({}, "The parameters do not say which shop they come from."),
        ({"shop": 7}, "The parameters do not say which shop they come from."),
        ({"shop": "shop.db"}, "The parameters come from this shop, shop.db."),
        ({"shop": "other.db"}, "The parameters come from another shop: other.db."),
    ],
)
def test_the_parameters_are_named_with_the_shop_they_come_from(origin, says):
    parameters = replace(curves_of(channels={"holder": {"A": 2.0}}), provenance=origin)
    assert narrative.parameters_sentence(parameters, journey((0, "A", 1, 1)), shop="shop.db") == (
        f"The local engine uses the parameters by hand ({parameters.fingerprint}). {says} They hold weights for 1 of 1 "
        "channel."
    )


def test_the_set_that_ships_says_that_it_is_of_another_shop():
    text = narrative.origin_sentence(load_parameters(), journey((0, "Newsletter", 1, 1)), shop="ihc.db")
    assert text.startswith("The parameters come from another shop: a public sample shop")
    assert text.endswith("They hold weights for 0 of 1 channel; these have the neutral weight 1: Newsletter.")


def test_channels_that_the_parameters_do_not_know_are_counted_and_named_up_to_twelve():
    rows = journey(*[(hour, name, 1, 1) for hour, name in enumerate("BCA")])
    text = narrative.origin_sentence(curves_of(channels={"holder": {"A": 2.0}}), rows)
    assert text.endswith("They hold weights for 1 of 3 channels; these have the neutral weight 1: B, C.")
    rows = journey(*[(hour, f"{hour:02d}", 1, 1) for hour in range(13)])
    assert narrative.origin_sentence(curves_of(channels={"holder": {"A": 2.0}}), rows).endswith(
        "1: " + ", ".join(f"{n:02d}" for n in range(12)) + ", …."
    )
    assert narrative.origin_sentence(curves_of(), rows).endswith(
        "They hold no channel weights, so every channel has the neutral weight 1."
    )


def redistribution_of(*channels):
    phase = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": list(channels)}
    return parse_redistribution(dict.fromkeys(PHASES, phase), "It")


def test_the_parameters_are_named_with_the_redistribution():
    parameters, redistribution = curves_of(channels={"holder": {"A": 2.0}}), redistribution_of("A")
    assert narrative.parameters_sentence(parameters, journey((0, "A", 1, 1)), redistribution).startswith(
        f"The local engine uses the parameters by hand ({parameters.fingerprint}), "
        f"redistribution {redistribution.fingerprint}. "
    )


def test_listed_channels_that_do_not_occur_are_counted_and_named_up_to_twelve():
    rows = journey((0, "A", 1, 1), (1, "C", 1, 1))
    assert narrative.redistribution_sentence(redistribution_of("A", "C"), rows) == ""
    assert narrative.redistribution_sentence(redistribution_of(), rows) == ""
    assert narrative.redistribution_sentence(redistribution_of("A", "c", "B"), rows) == (
        "The redistribution moves nothing for 2 of the 3 channels that it lists, as these journeys have no session of "
        "that name: B, c."
    )
    many = redistribution_of(*(f"{n:02d}" for n in range(13)))
    assert narrative.redistribution_sentence(many, rows).endswith(", 11, ….")
    assert narrative.redistribution_sentence(redistribution_of("B"), rows.iloc[:0]) == ""


def ends_of(rows):
    return pd.DataFrame(rows, columns=["conv_id", "outcome", "reason"])


def test_the_api_is_named_by_conversion_type_and_host():
    row = pd.DataFrame(
        [("api", "conversion type spring of api.example.com", None, 7)],
        columns=["engine", "parameters", "lookback_days", "orders"],
    )
    assert narrative.provenance_sentence(row) == (
        "All credits come from the IHC Attribution API, conversion type spring of api.example.com and sessions of any "
        "age (7 orders)."
    )


def test_what_the_api_was_asked_is_said_with_what_waits_and_what_was_cut():
    ends = ends_of(
        [("a", "waiting", "No calls left."), ("b", "credited", "its journey was cut"), ("c", "failed", "broken")]
    )
    assert narrative.api_sentence("conversion type spring of api.example.com", 1200, 1000, ends) == (
        "The IHC Attribution API computes, conversion type spring of api.example.com: 1,200 orders, 1,000 of them "
        "known already. 1 order waits for the next run: No calls left. Longer than the API takes, and cut to their "
        "latest sessions: 1 journey."
    )
    assert narrative.api_sentence("x", 1, 0, ends_of([])).endswith("1 order, 0 of them known already.")


def test_how_the_orders_of_a_run_ended_adds_up():
    # 5 orders: 3 credited, of which 1 was answered in this run and 2 were known before.
    ends = ends_of([("a", "credited", ""), ("b", "credited", ""), ("c", "credited", ""), ("d", "failed", ""),
                    ("e", "waiting", "")])  # fmt: skip
    assert narrative.asked_sentence({"calls": 4, "asked": 2, "answered": 1}, ends) == (
        "API: 4 requests sent; orders asked 2, answered 1, skipped as known 2, waiting 1, failed 1."
    )


def test_what_was_stored_is_counted_by_outcome():
    ends = pd.DataFrame({"outcome": ["credited", "credited", "failed"], "reason": ["", "", "so"]})
    assert narrative.stored_sentence(ends) == (
        "Orders of this run: 3. Credited and stored: 2; without any session: 0; failed: 1; waiting: 0."
    )


def test_credited_refunds_are_no_orders_of_the_run():
    ends = pd.DataFrame({"outcome": ["credited", "credited"], "reason": ["", REFUND]})
    assert narrative.stored_sentence(ends) == (
        "Orders of this run: 1. Credited and stored: 1; without any session: 0; failed: 0; waiting: 0. "
        "Credited refunds: 1."
    )


def test_what_is_left_out_of_the_figures_is_said_only_where_there_is_something():
    unsound = pd.DataFrame({"conv_id": ["c1"], "reason": ["the credits sum to 5.0000, not 1"]})
    assert narrative.left_out_sentence(0, unsound.iloc[:0]) == ""
    assert narrative.left_out_sentence(1, unsound) == (
        "Gone from the table of conversions, and removed from the results: 1 order. "
        "Left out, as the stored credits are not whole: 1 order ('c1'); run their dates again."
    )


def test_nothing_stored_is_counted_too():
    ends = pd.DataFrame({"outcome": [], "reason": []}, dtype="str")
    assert narrative.stored_sentence(ends).startswith("Orders of this run: 0. Credited")


def test_a_run_is_named_by_dates_database_and_id():
    assert narrative.run_sentence("shop.db", "r1", "all days") == (
        "Orders and sessions of all days, from the database shop.db; run r1."
    )


@pytest.mark.parametrize("name", UNTRUSTED)
def test_sentences_name_any_channel_as_it_is_shown(name):
    told = [
        narrative.best_and_worst(summary((name, 10, 20), ("other", 10, 5))),
        narrative.parameters_sentence(curves_of(channels={"holder": {"A": 2.0}}), journey((0, name, 1, 1))),
        narrative.redistribution_sentence(redistribution_of(name), journey((0, "A", 1, 1))),
    ]
    for sentence in told:
        assert shown(name) in sentence
        assert sentence.isprintable()


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([("s-1", 1.0), ("s-2", 0.0)], "Every session has a cost."),
        ([("s-1", None)], "Counted as cost 0: 1 session without a cost row, 1 cost row without a figure."),
        ([], "Counted as cost 0: 2 sessions without a cost row, 0 cost rows without a figure."),
    ],
)
def test_sessions_whose_cost_is_not_known_are_counted(ids, text):
    sessions = pd.DataFrame({"session_id": ["s-1", "s-2"]})
    costs = pd.DataFrame(ids, columns=["session_id", "cost"])
    assert narrative.costless_sentence(sessions, costs) == text


def test_revenues_that_cancel_out_are_revenue_all_the_same():
    text = narrative.best_and_worst(summary(("a", 10, 50), ("b", 10, -50)))
    assert "the best is a with ROAS 5.00" in text
    assert "the worst is b with ROAS -5.00" in text


def test_the_days_of_the_tables_are_said_where_there_are_any():
    visits = sessions([("s1", "u", "2023-09-01 10:00:00", "a"), ("s2", "u", "2023-09-03 10:00:00", "a")])
    orders = conversions([("k", "u", "2023-09-02 10:00:00", 1.0)])
    assert narrative.span_sentence(visits, orders) == (
        "The tables have sessions of 2023-09-01 to 2023-09-03 and orders of 2023-09-02 to 2023-09-02."
    )
    assert narrative.span_sentence(sessions(), orders) == narrative.span_sentence(visits, conversions()) == ""


def test_the_currency_is_said_where_it_is_known():
    assert narrative.currency_sentence("EUR") == "Amounts are in EUR."
    assert narrative.currency_sentence("") == ""


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1e-9, "<1%"), (0.0049, "<1%"), (0.25, "25%"), (0.996, ">99%"), (1.0, "100%")],
)
def test_a_share_is_never_written_as_none_or_all_when_it_is_not(share, text):
    assert narrative.brief_percent(share) == text
    assert narrative.percent(share) == text.replace("<", "less than ").replace(">", "more than ")


@pytest.mark.parametrize(("roas", "text"), [(2.5, "1 of the 2 channels with"), (2.51, "None of the 2 channels with")])
def test_break_even_may_be_set_elsewhere(roas, text):
    said = narrative.break_even(summary(("good", 100, 250), ("bad", 200, 20)), roas)
    assert f"{text} at least 1% of the cost reaches a ROAS of {roas:g}." in said
