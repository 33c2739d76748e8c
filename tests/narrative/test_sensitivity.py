import pandas as pd
from helpers.frames import UNTRUSTED, curves_of, journey
from helpers.grids import BASE, NAN, OTHER, grid_of

from ihc.analysis.sensitivity import AS_IS, rank_stability
from ihc.formatting import shown
from ihc.journeys.credits import with_phases
from ihc.models.ihc import attribute
from ihc.narrative.sensitivity import (
    effects_sentence,
    lookback_sentence,
    phases_note,
    sample_sentence,
    sensitivity_sentence,
    stress_finding,
    stress_sentences,
    unmoved_sentence,
)


def told(*cells, roas=1.0):
    grid = grid_of(*cells)
    return sensitivity_sentence(rank_stability(grid, roas=roas), grid, roas=roas)


def test_the_dependence_on_the_settings_is_stated(snapshot):
    week, names = (7, "IHC", AS_IS), [f"c{number}" for number in range(7)]
    nobody = grid_of((BASE, {"A": 2.0})).assign(rank=NAN)
    pairs = {
        "same places": ({"A": 2.0, "B": 3.0}, {"A": 2.0, "B": 3.0}),
        "one channel stays": ({"A": 2.0}, {"A": 1.0}),
        "one channel crosses": ({"A": 0.5}, {"A": 1.0}),
        "one of two crosses": ({"A": 2.0, "B": 0.5}, {"A": 2.0, "B": 1.5}),
        "at break-even": ({"A": 1.0, "B": 1.0}, {"A": 1.0, "B": 1.0}),
        "below": ({"A": 0.0, "B": 0.0}, {"A": 0.0, "B": 0.0}),
        "one place moves": ({"A": 4.0, "B": 3.0, "C": 2.0}, {"A": 4.0, "B": 3.0, "C": 5.0}),
        "two places move": ({"A": 4.0, "B": 3.0, "C": 2.0}, {"A": 2.0, "B": 3.0, "C": 4.0}),
        "many cross": (dict.fromkeys(names, 0.5), dict.fromkeys(names, 1.5)),
        "many stay": (dict.fromkeys(names, 0.5), dict.fromkeys(names, 0.6)),
    }
    assert {
        "no channel": sensitivity_sentence(rank_stability(nobody), nobody),
        "no cell": sensitivity_sentence(rank_stability(nobody.iloc[:0]), nobody.iloc[:0]),
        "one setting": told((BASE, {"A": 2.0, "B": 1.0})),
        "another break-even": told((BASE, {"A": 2.0}), (OTHER, {"A": 1.5}), roas=1.5),
        "models and lookbacks": told(
            (BASE, {"A": 2.0, "B": 0.98, "C": 0.5, "D": 0.4}),
            (OTHER, {"A": 3.0, "B": 1.04, "C": 0.1, "D": 0.4}),
            (week, {"A": 2.0, "B": 0.9, "C": 0.5, "D": 0.4}),
            ((7, "Linear", AS_IS), {"A": 2.0, "B": 2.5, "C": 0.5, "D": 0.4}),
        ),
        "a base with a lookback": told((week, {"A": 2.0}), ((1, "IHC", AS_IS), {"A": 2.0})),
        **{name: told((BASE, base), (OTHER, other)) for name, (base, other) in pairs.items()},
    } == snapshot


def test_channel_names_are_printed_on_one_line_and_cut():
    text = told((BASE, dict.fromkeys(UNTRUSTED, 0.5)), (OTHER, dict.fromkeys(UNTRUSTED, 1.5)))
    assert shown("two\nlines") not in text  # the fifth
    assert "\n" not in text
    assert shown(UNTRUSTED[0]) in text
    assert len(told((BASE, {"x" * 200: 0.5}), (OTHER, {"x" * 200: 1.5}))) < 500


def test_orders_without_a_session_in_a_shorter_lookback_window_are_counted(snapshot):
    def lost(*orders):
        cells = (((day, "IHC", AS_IS), {"A": 1.0}) for day in (NAN, 30, 1, 0.5)[: len(orders)])
        return grid_of(*cells).assign(orders=orders)

    assert {
        "some": lookback_sentence(lost(1_010, 1_010, 1_009, 8)),
        "none": lookback_sentence(lost(10, 10)),
        "no cell": lookback_sentence(lost(10).iloc[:0]),
    } == snapshot


def test_models_without_an_effect_of_redistribution_are_named(snapshot):
    rows = [
        ("Linear", "none", 0.5),
        ("Linear", "gives", 0.7),
        ("Last touch", "none", 1.0),
        ("Last touch", "gives", 1.0),
    ]
    grid = pd.DataFrame(rows, columns=["model", "redistribution", "ihc"]).assign(lookback_days=NAN, channel_name="A")
    assert {
        "one": unmoved_sentence(grid),
        "all": unmoved_sentence(grid.assign(ihc=1.0)),
        "none": unmoved_sentence(grid[grid["model"] == "Linear"]),
        "no redistribution": unmoved_sentence(grid[grid["redistribution"] == "none"]),
        "no cell": unmoved_sentence(grid.iloc[:0]),
    } == snapshot


def test_revenue_without_a_session_in_a_phase_is_stated(snapshot):
    # k has all phases, k2 a single session, that initializes and closes, and holds nothing.
    rows = pd.concat(
        [
            journey((0, "A", 1, 1), (1, "B", 1, 1), (2, "A", 1, 1), revenue=1_000),
            journey((0, "B", 1, 1), conv_id="k2", prefix="t", revenue=40.5),
        ]
    )
    phases, is_first = attribute(rows, curves_of()), rows["conv_id"] == "k"
    assert {
        "no holder": phases_note(with_phases(rows, phases)),
        "not known": phases_note(with_phases(rows, phases[phases["conv_id"] == "k"])),
        "all there": phases_note(with_phases(rows[is_first], phases)),
        "no order": phases_note(with_phases(rows.iloc[:0], phases)),
    } == snapshot


def stressed(*rows, worlds=400):
    """`(channel_name, verdict, holds)`."""
    return pd.DataFrame(list(rows), columns=["channel_name", "verdict", "holds"]).assign(worlds=worlds)


def test_each_channel_is_told_in_how_many_worlds_its_verdict_holds():
    table = stressed(
        ("Paid Social", "above", 0.94), ("Mail", "below", 1.0), ("Ads", "above", 0.9975), ("TV", "below", 0.0)
    )
    assert stress_sentences(table) == [
        "Paid Social: above break-even in 94% of 400 worlds.",
        "Mail: below break-even in 100% of 400 worlds.",
        "Ads: above break-even in 99.8% of 400 worlds.",
        "TV: below break-even in 0% of 400 worlds.",
    ]
    # 100% only if it is all of them: 4,999 of 5,000 worlds would round to it.
    assert "in 99.9% of 5,000 worlds" in stress_sentences(stressed(("A", "above", 0.9998), worlds=5000))[0]


def test_the_robust_verdicts_are_counted_and_the_fragile_ones_named():
    robust, fragile = ("A", "above", 0.95), ("B", "below", 0.9)
    assert stress_finding(stressed(robust, fragile), 4) == (
        "1 of 2 verdicts on the break-even ROAS of 4 holds in at least 95% of 400 worlds with damaged tracking; "
        "fragile: B"
    )
    assert stress_finding(stressed(robust, robust)).endswith("hold in at least 95% of 400 worlds with damaged tracking")
    assert stress_finding(stressed()) == "No channel has at least 1% of spend, so no verdict is tested"


def test_the_kinds_of_damage_are_told_in_the_order_of_the_table():
    effects = pd.DataFrame({"damage": ["lost sessions", "duplicates"], "moved": [0.0763, 0.0004]})
    assert effects_sentence(effects).endswith("on average: lost sessions 7.6%, duplicates 0.0%.")
    assert effects_sentence(effects.assign(moved=NAN)) == ""


def test_it_is_said_if_worlds_are_computed_on_some_orders():
    worlds = pd.DataFrame({"orders": [19_000, 21_000]})
    assert sample_sentence(worlds, 200_000).startswith("Each world is computed on about 20,000 of 200,000 orders")
    assert sample_sentence(worlds, 20_000) == ""
