import pandas as pd
from helpers.frames import UNTRUSTED, curves_of, journey
from helpers.grids import BASE, NAN, OTHER, grid_of

from ihc.analysis.sensitivity import AS_IS, rank_stability
from ihc.formatting import shown
from ihc.journeys.credits import with_phases
from ihc.models.ihc import attribute
from ihc.narrative.sensitivity import lookback_sentence, phases_note, sensitivity_sentence, unmoved_sentence


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
