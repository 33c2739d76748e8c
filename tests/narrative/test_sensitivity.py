import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, curves_of, journey

from ihc.analysis.sensitivity import (
    AS_IS,
    direct_given_away,
    rank_stability,
    redistributions_to_try,
    sensitivity,
    variants_of,
)
from ihc.formatting import shown
from ihc.journeys.credits import with_phases
from ihc.models.ihc import attribute
from ihc.narrative.sensitivity import lookback_sentence, phases_note, sensitivity_sentence, unmoved_sentence
from tests.analysis.test_sensitivity import BASE, NAN, OTHER, grid_of


def told(*cells, roas=1.0):
    grid = grid_of(*cells)
    return sensitivity_sentence(rank_stability(grid, roas=roas), grid, roas=roas)


def test_what_depends_on_the_settings_is_told_whole():
    text = told(
        (BASE, {"A": 2.0, "B": 0.98, "C": 0.5, "D": 0.4}),
        (OTHER, {"A": 3.0, "B": 1.04, "C": 0.1, "D": 0.4}),
        ((7, "IHC", AS_IS), {"A": 2.0, "B": 0.9, "C": 0.5, "D": 0.4}),
        ((7, "Linear", AS_IS), {"A": 2.0, "B": 2.5, "C": 0.5, "D": 0.4}),
    )
    assert text == (
        "We tested 4 combinations of 2 models and 2 lookbacks. The base is IHC with the lookback of the "
        "run, redistribution none. 3 of the 4 channels with at least 1% of the cost stay on the same side of "
        "break-even under all of them: above it A; below it C and D. It depends on the settings for B (ROAS 0.90 to "
        "2.50, 0.98 in the base; at or above break-even in 2 of 4). Changed alone, the model takes 1 channel across "
        "break-even and the lookback none. No channel moves by more than one place in the order by ROAS."
    )


def test_without_a_channel_that_matters_there_is_nothing_to_compare():
    nothing = "No channel has at least 1% of the cost, so there is no ROAS to compare under other settings."
    grid = grid_of((BASE, {"A": 2.0})).assign(rank=NAN)
    assert sensitivity_sentence(rank_stability(grid), grid) == nothing
    assert sensitivity_sentence(rank_stability(grid.iloc[:0]), grid.iloc[:0]) == nothing


def test_of_a_single_setting_nothing_is_said():
    assert told((BASE, {"A": 2.0, "B": 1.0})) == (
        "Only one setting was tried, so nothing can be said of what depends on it."
    )


def test_one_kind_of_setting_is_told_alone():
    assert told((BASE, {"A": 2.0}), (OTHER, {"A": 2.0})).startswith("We tested 2 models. The base is IHC")


@pytest.mark.parametrize(
    ("base", "other", "text"),
    [
        ({"A": 2.0, "B": 3.0}, {"A": 2.0, "B": 3.0},
         "All 2 channels with at least 1% of the cost stay on the same side of break-even under all of them: above it "
         "B and A. The order of the channels by ROAS is always the same."),
        ({"A": 2.0}, {"A": 1.0},
         "The only channel with at least 1% of the cost stays on the same side of break-even under all of them: above "
         "it A."),
        ({"A": 0.5}, {"A": 1.0},
         "The only channel with at least 1% of the cost does not stay on the same side of break-even under all of "
         "them. It depends on the settings for A (ROAS 0.50 to 1.00, 0.50 in the base; at or above break-even in 1 of "
         "2)."),
        ({"A": 2.0, "B": 0.5}, {"A": 2.0, "B": 1.5},
         "1 of the 2 channels with at least 1% of the cost stays on the same side of break-even under all of them: "
         "above it A. It depends on the settings for B (ROAS 0.50 to 1.50, 0.50 in the base; at or above break-even in "
         "1 of 2). The order of the channels by ROAS is always the same."),
        ({"A": 1.0, "B": 1.0}, {"A": 1.0, "B": 1.0},
         "All 2 channels with at least 1% of the cost stay on the same side of break-even under all of them: above it "
         "A and B. The order of the channels by ROAS is always the same."),
        ({"A": 0.0, "B": 0.0}, {"A": 0.0, "B": 0.0},
         "All 2 channels with at least 1% of the cost stay on the same side of break-even under all of them: below it "
         "A and B. The order of the channels by ROAS is always the same."),
        ({"A": 4.0, "B": 3.0, "C": 2.0}, {"A": 4.0, "B": 3.0, "C": 5.0},
         "All 3 channels with at least 1% of the cost stay on the same side of break-even under all of them: above it "
         "A, B and C. By ROAS, the place of C (3 of 3 in the base, 1 to 3 in all) changes most."),
        ({"A": 4.0, "B": 3.0, "C": 2.0}, {"A": 2.0, "B": 3.0, "C": 4.0},
         "All 3 channels with at least 1% of the cost stay on the same side of break-even under all of them: above it "
         "A, B and C. By ROAS, the places of A (1 of 3 in the base, 1 to 3 in all) and C (3 of 3 in the base, 1 to 3 "
         "in all) change most."),
    ],
)  # fmt: skip
def test_each_turn_has_its_words(base, other, text):
    assert told((BASE, base), (OTHER, other)).partition("redistribution none. ")[2] == text


def test_only_the_first_names_are_given_and_the_rest_is_counted():
    names = [f"c{number}" for number in range(7)]
    text = told((BASE, dict.fromkeys(names, 0.5)), (OTHER, dict.fromkeys(names, 1.5)))
    assert "None of the 7 channels with at least 1% of the cost stay on" in text
    assert text.count("(ROAS 0.50 to 1.50") == 4
    assert "at or above break-even in 1 of 2) and 3 more." in text
    assert "below it c0, c1, c2, c3 and 3 more." in told((BASE, dict.fromkeys(names, 0.5)),
                                                        (OTHER, dict.fromkeys(names, 0.6)))  # fmt: skip


def test_another_break_even_is_named():
    text = told((BASE, {"A": 2.0}), (OTHER, {"A": 1.5}), roas=1.5)
    assert "the same side of break-even (ROAS 1.50) under all of them: above it A." in text


def test_names_are_data():
    names = dict.fromkeys(UNTRUSTED, 0.5)
    text = told((BASE, names), (OTHER, dict.fromkeys(UNTRUSTED, 1.5)))
    assert shown("two\nlines") not in text  # the fifth
    assert "\n" not in text
    assert shown(UNTRUSTED[0]) in text
    assert len(told((BASE, {"x" * 200: 0.5}), (OTHER, {"x" * 200: 1.5}))) < 500


def grid_with(days, orders):
    return grid_of(*(((day, "IHC", AS_IS), {"A": 1.0}) for day in days)).assign(orders=orders)


def test_orders_that_a_shorter_lookback_leaves_without_a_session_are_counted():
    assert lookback_sentence(grid_with([NAN, 30, 1, 0.5], [1_010, 1_010, 1_009, 8])) == (
        "Without any session in a shorter lookback, so that no channel gets the revenue: 1 order within 1 day and "
        "1,002 orders within 0.5 days."
    )


def test_a_lookback_that_leaves_every_order_a_session_is_not_spoken_of():
    assert lookback_sentence(grid_with([NAN, 30], [10, 10])) == ""
    assert lookback_sentence(grid_with([NAN], [10]).iloc[:0]) == ""


def test_a_model_under_which_nothing_is_moved_is_named():
    rows = journey((0, "Search", 1, 1), (1, "Mail", 1, 1), (2, "Direct", 1, 1))
    costs = pd.DataFrame({"channel_name": ["Search"], "cost": [10.0]})
    models = variants_of(curves_of(), ["Linear", "Last touch"])
    grid = sensitivity(rows, costs, models, [None], redistributions_to_try(["Direct"]))
    assert unmoved_sentence(grid) == (
        "Redistribution moves nothing under Last touch: the channels that give have no credit there, or nobody could "
        "receive it."
    )
    assert unmoved_sentence(grid[grid["model"] == "Linear"]) == ""
    assert unmoved_sentence(grid[grid["redistribution"] == AS_IS]) == ""
    assert unmoved_sentence(grid.iloc[:0]) == ""
    nobody = {AS_IS: None, "Radio gives": direct_given_away(["(none)"])}
    assert "under Linear and Last touch: " in unmoved_sentence(sensitivity(rows, costs, models, [None], nobody))


# k has all phases, k2 a single session, that initializes and closes, and holds nothing.
ROWS = pd.concat(
    [
        journey((0, "A", 1, 1), (1, "B", 1, 1), (2, "A", 1, 1), revenue=1_000),
        journey((0, "B", 1, 1), conv_id="k2", prefix="t", revenue=40.5),
    ]
)
PHASES = attribute(ROWS, curves_of())


def test_revenue_without_a_session_in_a_phase_is_told():
    assert phases_note(with_phases(ROWS, PHASES)) == (
        "No session counts as holder for 1 order (40.50 of 1,040.50 revenue): there the phase's column has the credit "
        "of IHC."
    )


def test_orders_whose_phases_are_not_known_count_as_without():
    known = PHASES[PHASES["conv_id"] == "k"]
    assert phases_note(with_phases(ROWS, known)) == (
        "No session counts as initializer for 1 order (40.50 of 1,040.50 revenue), holder for 1 order (40.50 of "
        "1,040.50 revenue) and closer for 1 order (40.50 of 1,040.50 revenue): there the phase's column has the credit "
        "of IHC."
    )


def test_where_every_order_has_every_phase_nothing_is_said():
    assert phases_note(with_phases(ROWS[ROWS["conv_id"] == "k"], PHASES)) == ""
    assert phases_note(with_phases(ROWS.iloc[:0], PHASES)) == ""
