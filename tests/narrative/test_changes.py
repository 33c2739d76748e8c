from dataclasses import replace

import pytest
from helpers.frames import UNTRUSTED
from helpers.states import recorded, state

from ihc.analysis.changes import compare
from ihc.formatting import shown
from ihc.narrative.changes import changes_sentence

OF_BASE = [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)]
COSTS = [("Search", 1, 400.0), ("Mail", 2, 200.0)]
BASE = state([("a", 1000), ("b", 200)], OF_BASE, COSTS)
EVER = (None, None)


def said(before, after, windows=(EVER, EVER), **settings):
    runs = recorded(1, before, windows[0]), recorded(2, after, windows[1], **settings)
    return changes_sentence(compare(before, after, *windows), *runs)


def test_without_a_recorded_run_before_nothing_is_compared(snapshot):
    nothing, run = compare(state(), state()), recorded(1, BASE)
    assert {
        "the first": changes_sentence(nothing, None, run),
        "none": changes_sentence(nothing, None, replace(run, recorded_at="")),
    } == snapshot


@pytest.mark.parametrize(("more", "changed"), [(0.004, False), (0.006, True)])
def test_a_difference_below_half_a_cent_is_no_change(more, changed):
    after = state([("a", 1000), ("b", 200 + more)], OF_BASE, COSTS)
    assert said(BASE, after).startswith("Nothing changed") != changed


def test_changes_are_listed_by_cause_the_largest_first(snapshot):
    refund = state([("a", 1000), ("b", 200), ("r", -50)], [*OF_BASE, ("r", "Mail", 2, 1.0)], COSTS)
    # Search: + 0.8 x 1500; Mail: + 0.2 x 1500 + 100 - 200.
    new_and_gone = state(
        [("a", 1000), ("c", 1500), ("d", 100)],
        [*OF_BASE[:2], ("c", "Search", 1, 0.8), ("c", "Mail", 1, 0.2), ("d", "Mail", 2, 1.0)],
        [("Search", 1, 400.0), ("Mail", 2, 250.0)],
    )
    shifted = state(
        [("a", 1000, 1, "there"), ("b", 200, 1, "there")], [("a", "Search", 1, 1.0), ("b", "Mail", 2, 1.0)], COSTS
    )
    # Mail: 50 by a's revenue, 30 by c.
    mixed = state([("a", 1100), ("b", 200), ("c", 30)], [*OF_BASE, ("c", "Mail", 2, 1.0)], COSTS)
    outweighed = [
        state([("a", 1000), ("b", 200), (key, -9)], [*OF_BASE, (key, channel, 1, 1.0)], COSTS)
        for key, channel in (("c", "X"), ("d", "Y"))
    ]
    # From 2 September on Search has 300 less and Mail 200 more: 100 moved to the day before.
    one_day = state([("a", 1000)], [("a", "Search", 2, 0.5), ("a", "Mail", 1, 0.5)])
    late = state([("a", 1000, 2)], [("a", "Search", 2, 0.2), ("a", "Mail", 2, 0.2), ("a", "Mail", 1, 0.6)])
    single = [state([("a", revenue)], [("a", "Mail", 1, 1.0)]) for revenue in (10, 12)]
    dearer = state([("a", 1000), ("b", 200)], OF_BASE, [("Search", 1, 400.0), ("Mail", 2, 210.0)])
    assert {
        "nothing": said(BASE, BASE),
        "nothing, and nothing there": said(state(), state()),
        "settings without effect": said(BASE, BASE._replace(orders=BASE.orders.assign(source="there"))),
        "a refund": said(BASE, refund),
        "new and removed orders": said(BASE, new_and_gone),
        "other settings": said(BASE, shifted, parameters="trained (def)", lookback_days=1.0),
        "other dates": said(BASE, dearer, (EVER, ("2023-09-02", "2023-09-03"))),
        "other dates, same figures": said(BASE, BASE, (EVER, ("2023-09-01", None))),
        "several causes in a channel": said(BASE, mixed),
        "orders that cancel out": said(*outweighed),
        "net and moved": said(one_day, late, (("2023-09-02", None), ("2023-09-02", None))),
        "a single channel": said(*single),
        "cost alone": said(BASE, BASE._replace(costs=BASE.costs.assign(cost=[300.0, 0.0]))),
        "no cost any more": said(BASE, BASE._replace(costs=BASE.costs.iloc[:0])),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_names_are_printed_on_one_line_and_cut(name):
    after = state([("a", 1000), ("b", 200), ("c", 5000)], [*OF_BASE, ("c", name, 1, 1.0)], COSTS)
    assert f" {shown(name)} changed most, by +5,000.00" in said(BASE, after)
    assert "\n" not in said(BASE, after)
