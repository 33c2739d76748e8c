from dataclasses import replace

import pytest
from helpers.frames import UNTRUSTED
from helpers.states import recorded, state

from ihc.analysis.changes import compare
from ihc.formatting import shown
from ihc.narrative.changes import changes_sentence, sight

BASE = state(
    [("a", 1000), ("b", 200)],
    [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)],
    [("Search", 1, 400.0), ("Mail", 2, 200.0)],
)
OF_BASE = [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)]
COSTS = [("Search", 1, 400.0), ("Mail", 2, 200.0)]
SAME_COST = "Cost is unchanged at 600.00; ROAS"


def said(before, after, windows=((None, None), (None, None)), **settings):
    runs = recorded(1, before, windows[0]), recorded(2, after, windows[1], **settings)
    return changes_sentence(compare(before, after, *windows), *runs)


def test_the_first_recorded_run_has_nothing_to_be_compared_with():
    text = changes_sentence(compare(state(), state()), None, recorded(1, BASE))
    assert text == "This is the first recorded run, number 1: the next one will be compared with it."
    unrecorded = replace(recorded(1, BASE), recorded_at="")
    text = changes_sentence(compare(state(), state()), None, unrecorded)
    assert text == "No run is recorded yet, so there is nothing to compare these figures with."


@pytest.mark.parametrize(("made", "revenue", "cost"), [(BASE, "1,200.00", "600.00"), (state(), "0.00", "0.00")])
def test_where_nothing_changed_that_is_said_with_the_figures(made, revenue, cost):
    assert said(made, made) == (
        f"Nothing changed since run 1 of 2023-10-01: attributed revenue is still {revenue}, cost {cost}."
    )


@pytest.mark.parametrize(("more", "changed"), [(0.004, False), (0.006, True)])
def test_less_than_half_a_cent_is_no_change(more, changed):
    after = state([("a", 1000), ("b", 200 + more)], OF_BASE, COSTS)
    assert said(BASE, after).startswith("Nothing changed") != changed


def test_other_settings_without_effect_are_named_all_the_same():
    after = BASE._replace(orders=BASE.orders.assign(source="there"))
    assert said(BASE, after) == (
        "Nothing changed since run 1 of 2023-10-01: attributed revenue is still 1,200.00, cost 600.00. "
        "Without any effect: other engine or settings (2 orders)."
    )


def test_refunds_are_counted_as_such():
    after = state([("a", 1000), ("b", 200), ("r", -50)], [*OF_BASE, ("r", "Mail", 2, 1.0)], COSTS)
    assert "Attributed revenue fell by 50.00, from 1,200.00 to 1,150.00: refunds -50.00 (1 refund)." in said(
        BASE, after
    )


def test_causes_are_named_by_falling_size_and_the_channel_that_changed_most_with_its_main_cause():
    after = state(
        [("a", 1000), ("c", 1500), ("d", 100)],
        [*OF_BASE[:2], ("c", "Search", 1, 0.8), ("c", "Mail", 1, 0.2), ("d", "Mail", 2, 1.0)],
        [("Search", 1, 400.0), ("Mail", 2, 250.0)],
    )
    # Search: + 0.8 x 1500; Mail: + 0.2 x 1500 + 100 - 200.
    assert said(BASE, after) == (
        "Compared with run 1 of 2023-10-01. Attributed revenue rose by 1,400.00, from 1,200.00 to 2,600.00: new orders "
        "+1,600.00 (2 orders), orders gone -200.00 (1 order). Search changed most, by +1,200.00 to 1,700.00, only by "
        "new orders. Cost rose by 50.00, from 600.00 to 650.00; ROAS went from 2.00 to 4.00."
    )


def test_what_only_shifted_between_channels_is_said_to_have_and_the_settings_are_named():
    after = state(
        [("a", 1000, 1, "there"), ("b", 200, 1, "there")], [("a", "Search", 1, 1.0), ("b", "Mail", 2, 1.0)], COSTS
    )
    assert said(BASE, after, parameters="trained (def)", lookback_days=1.0) == (
        "Compared with run 1 of 2023-10-01. The settings differ: local engine with parameters default (abc), sessions "
        "of any age before, local engine with parameters trained (def), a lookback of 1 day now. Attributed revenue is "
        "unchanged at 1,200.00: other engine or settings 500.00 shifted between channels (2 orders). Mail changed "
        "most, by -500.00 to 200.00, only by other engine or settings. Cost is unchanged at 600.00; ROAS is 2.00, as "
        "before."
    )


def test_other_dates_are_named_first_and_costs_of_them_apart_from_others():
    after = state([("a", 1000), ("b", 200)], OF_BASE, [("Search", 1, 400.0), ("Mail", 2, 210.0)])
    assert said(BASE, after, ((None, None), ("2023-09-02", "2023-09-03"))) == (
        "Compared with run 1 of 2023-10-01. The reports have other dates: all days before, 2023-09-02 to 2023-09-03 "
        "now. Attributed revenue fell by 500.00, from 1,200.00 to 700.00: other dates -500.00 (1 order). Search "
        "changed most, by -500.00 to 0.00, only by other dates. Cost fell by 390.00, from 600.00 to 210.00: other "
        "dates -400.00, new or corrected cost +10.00; ROAS went from 2.00 to 3.33."
    )


def test_other_dates_with_the_same_figures_are_said_too():
    assert said(BASE, BASE, ((None, None), ("2023-09-01", None))) == (
        "Compared with run 1 of 2023-10-01. The reports have other dates: all days before, 2023-09-01 to the last day "
        f"now. Attributed revenue is unchanged at 1,200.00. {SAME_COST} is 2.00, as before."
    )


def test_several_causes_in_a_channel_are_parted_by_its_main_one():
    after = state([("a", 1100), ("b", 200), ("c", 30)], [*OF_BASE, ("c", "Mail", 2, 1.0)], COSTS)
    # Mail: 50 by a's revenue, 30 by c.
    assert "Mail changed most, by +80.00 to 780.00, mainly by corrected order values (+50.00)." in said(BASE, after)


def test_a_cause_whose_orders_outweigh_each_other_between_channels_has_a_sum_of_nothing():
    before, after = (
        state([("a", 1000), ("b", 200), (key, -9)], [*OF_BASE, (key, channel, 1, 1.0)], COSTS)
        for key, channel in (("c", "X"), ("d", "Y"))
    )
    assert "Attributed revenue is unchanged at 1,191.00: refunds ±0.00 in sum (2 refunds)." in said(before, after)


def test_net_and_shifted_amounts_stand_side_by_side():
    before = state([("a", 1000)], [("a", "Search", 2, 0.5), ("a", "Mail", 1, 0.5)])
    after = state([("a", 1000, 2)], [("a", "Search", 2, 0.2), ("a", "Mail", 2, 0.2), ("a", "Mail", 1, 0.6)])
    # From 2 September on Search has 300 less and Mail 200 more: 100 have gone to the day before.
    text = said(before, after, (("2023-09-02", None), ("2023-09-02", None)))
    assert "late or changed sessions -100.00 and 200.00 shifted between channels (1 order)." in text


def test_a_single_channel_did_not_change_most():
    one, other = state([("a", 10)], [("a", "Mail", 1, 1.0)]), state([("a", 12)], [("a", "Mail", 1, 1.0)])
    assert "Mail changed by +2.00 to 12.00, only by corrected order values." in said(one, other)


def test_a_change_of_cost_alone_names_no_channel_and_no_cause():
    after = BASE._replace(costs=BASE.costs.assign(cost=[300.0, 0.0]))
    assert said(BASE, after) == (
        "Compared with run 1 of 2023-10-01. Attributed revenue is unchanged at 1,200.00. Cost fell by 300.00, from "
        "600.00 to 300.00; ROAS went from 2.00 to 4.00."
    )


def test_without_cost_there_is_no_roas():
    free = BASE._replace(costs=BASE.costs.iloc[:0])
    assert "ROAS" not in said(BASE, free)
    assert said(BASE, free).endswith("Cost fell by 600.00, from 600.00 to 0.00.")


@pytest.mark.parametrize("name", UNTRUSTED)
def test_any_name_stands_on_one_line_and_is_cut(name):
    after = state([("a", 1000), ("b", 200), ("c", 5000)], [*OF_BASE, ("c", name, 1, 1.0)], COSTS)
    assert f" {shown(name)} changed most, by +5,000.00" in said(BASE, after)
    assert "\n" not in said(BASE, after)


LOOKBACKS = {None: "sessions of any age", float("nan"): "sessions of any age", 1.0: "a lookback of 1 day"}


@pytest.mark.parametrize(("days", "text"), [*LOOKBACKS.items(), (30, "a lookback of 30 days")])
def test_how_far_back_sessions_count_is_said_in_words(days, text):
    assert sight(days) == text
