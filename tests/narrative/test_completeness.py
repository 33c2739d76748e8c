import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.analysis.reconciliation import CREDITED, ORDERS
from ihc.formatting import shown
from ihc.narrative.completeness import completeness_sentence


def told(*rows, read=(2, 9), credited=(2, 9)):
    """`(channel_name, cost, cost_without_credit)`; `(orders, revenue)` read, and credited."""
    lines = pd.DataFrame([("orders read", *read), (CREDITED, *credited)], columns=["line", "count", "amount"])
    lines = lines.assign(section=ORDERS).astype({"count": "float64", "amount": "float64"})
    rows = [*rows, ("Total", sum(row[1] for row in rows), sum(row[2] for row in rows))]
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "cost_without_credit"])
    frame = frame.astype({"cost": "float64", "cost_without_credit": "float64"})
    share = frame["cost_without_credit"] / frame["cost"].where(frame["cost"] != 0)
    return completeness_sentence(lines, frame.assign(share_without_credit=share))


def test_the_sentence_states_the_share_of_credited_orders_and_revenue(snapshot):
    assert {
        "no order": told(read=(0, 0), credited=(0, 0)),
        "the only order": told(read=(1, 9), credited=(1, 9)),
        "all": told(read=(1_200, 9_000), credited=(1_200, 9_000)),
        "none of several": told(credited=(0, 0)),
        "none of one": told(read=(1, 9), credited=(0, 0)),
        "nearly all": told(read=(1_000, 2_000), credited=(999, 1_500)),
        "one of several": told(read=(4, 100), credited=(1, 20)),
        # A return without a session: more is credited than was read in all.
        "more than all": told(read=(4, 100), credited=(3, 120)),
        "no revenue": told(read=(4, 0), credited=(3, 0)),
    } == snapshot


def test_the_sentence_states_spend_without_credit_and_that_it_is_included(snapshot):
    assert {
        "no channel": told(),
        "no cost": told(("free", 0, 0)),
        "all with credit": told(("a", 10, 0), ("b", 5, 0)),
        "no credit at all": told(("a", 10, 10), credited=(0, 0)),
        # One channel has nothing to be compared with; "tiny" has 1 of 101 and so just less than 1 %.
        "one channel matters": told(("a", 100, 25), ("tiny", 1, 1)),
        "exactly 1 % matters": told(("a", 99, 25), ("small", 1, 1)),
        "two alike": told(("a", 10, 4), ("b", 5, 2), ("c", 5, 1)),
        "all alike": told(("a", 10, 4), ("b", 5, 2), ("free", 0, 0)),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    assert f"1% of spend, {shown(name)} has" in told((name, 50, 50), ("b", 50, 5))
