import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, curves_of, journey

from ihc.formatting import shown
from ihc.models.explanation import explain, explanations
from ihc.models.heuristics import DIRECT
from ihc.models.redistribution import parse_redistribution
from ihc.narrative.models import (
    direct_sentence,
    engine_sentence,
    explanation_sentence,
    grid_source_sentence,
    made_by,
    model_differences,
    models_left_out,
    redistribution_effect,
    stored_credit_sentence,
)
from ihc.schemas.tables import PHASES

NAN = float("nan")
LABEL = curves_of().label


def explained(*steps):
    return explanation_sentence(explain(journey(*steps), curves_of(), "k"))


def test_the_credit_of_an_order_is_explained(snapshot):
    assert {
        "no journey": explanation_sentence(explanations(journey((0, "A", 1, 1)).iloc[:0], curves_of())),
        "one session": explained((0, "A", 1, 1)),
        # Initializer 2/3, 1/3; closer 2/7, 5/7; holder 565/1071, 506/1071: the first gets 0.2 * 2/3 + ... = 0.4828.
        # The second: 0.2 / 3 = 6.7 %, 0.5 * 506/1071 = 23.6 %, 0.3 * 5/7 = 21.4 %.
        "two sessions": explained((0, "A", 1, 1), (60, "B", 1, 1)),
        "before the conversion": explained((0, "A", 1, 1), (0.5, "B", 0, 0)),
        "a restart after two": explained((0, "A", 1, 1), (1, "A", 1, 1), (121, "A", 1, 1)),
        "a restart after one": explained((0, "A", 1, 1), (110, "A", 1, 1)),
        "no holder": explained((0, "A", 0, 0), (60, "B", 0, 0)),
    } == snapshot


def test_a_stored_credit_is_compared_with_the_explained_one(snapshot):
    # 0.2 * 2/3 + 0.5 * 565/1071 + 0.3 * 2/7 = 0.48282.
    steps = explain(journey((0, "A", 1, 1), (60, "B", 1, 1)), curves_of(), "k")

    def compared(*credits):
        rows = [(session_id, ihc, "api", "type sales") for session_id, ihc in credits]
        stored = pd.DataFrame(rows, columns=["session_id", "ihc", "engine", "parameters"])
        return stored_credit_sentence(steps, stored)

    assert {
        "none": compared(),
        "the same": compared(("s1", 0.48282), ("s2", 0.51718)),
        "others": compared(("s1", 0.4), ("s2", 0.6)),
        "another session": compared(("s1", 0.48282), ("s3", 0.51718)),
    } == snapshot


COST = (("A", 100.0), ("B", 50.0), ("C", 50.0))


def differences(rows=COST, roas=1.0, **models):
    """Compare models, given as name and revenue by channel, for rows of `(channel_name, cost)`."""
    names = [f"c{n}" for n in range(5)] if len(rows) == 5 else ["A", "B", "C"][: len(next(iter(models.values())))]
    columns = {name.replace("_", " "): values for name, values in models.items()}
    comparison = pd.DataFrame({"channel_name": pd.Series(names, dtype="str"), **columns})
    total = sum(cost for _, cost in rows)
    summary = pd.DataFrame([*rows, ("Total", total)], columns=["channel_name", "cost"])
    summary = summary.assign(share_of_cost=summary["cost"] / (total or NAN))
    return model_differences(comparison, summary, roas=roas)


def test_the_main_differences_between_models_are_stated(snapshot):
    free = [("A", 0.0), ("B", 0.0)]
    nine = {f"model_{number}": [20.0 if number < 4 else 0.0] * 5 for number in range(9)}
    one = {"IHC": [199.0, 100.0, 0.0], "Last_touch": [198.0, 99.0, 2.0]}
    assert {
        # A: 120, 90, 130 against a cost of 100; B: 60 and more against 50; C: 20 against 50 under all.
        "all": differences(IHC=[120.0, 60.0, 20.0], Last_touch=[90.0, 70.0, 20.0], Linear=[130.0, 60.0, 20.0]),
        "at break-even": differences(IHC=[100.0, 0.0, 0.0], Last_touch=[99.0, 1.0, 0.0], Linear=[99.0, 1.0, 0.0]),
        # At a ROAS of 2, A needs 200 and B 100.
        "one at a ROAS of 2": differences(**one, roas=2),
        "two at a ROAS of 2": differences(IHC=[200.0, 100.0, 0.0], Last_touch=[199.0, 99.0, 2.0], roas=2),
        "none at a ROAS of 3": differences(**one, roas=3),
        "in no journey": differences(IHC=[120.0], Last_touch=[90.0]),
        "to the cent": differences(IHC=[120.0, 60.0, 20.0], Last_touch=[120.0, 60.004, 20.0]),
        "no data": differences([], IHC=[], Last_touch=[]),
        "one model": differences(free, IHC=[1.0, 5.0]),
        "no last touch": differences(free, IHC=[1.0, 5.0], Linear=[2.0, 4.0]),
        "only more": differences(IHC=[10.0, 5.0], Last_touch=[8.0, 5.0]),
        "only less": differences(IHC=[8.0, 5.0], Last_touch=[10.0, 5.0]),
        "long lists": differences([(f"c{number}", 10.0) for number in range(5)], **nine),
    } == snapshot


def test_parameters_are_named_with_a_warning_if_credits_were_made_with_others(snapshot):
    own, api = ("local", LABEL, NAN, 7), ("api", "conversion type x", NAN, 7)
    cases = {
        "none": [],
        "own": [own],
        "api": [api],
        "others": [("local", "other (abc)", NAN, 7)],
        "mixed": [own, api],
        "alike in name": [("api", LABEL, NAN, 7)],
    }
    frames = {
        name: pd.DataFrame(rows, columns=["engine", "parameters", "lookback_days", "orders"])
        for name, rows in cases.items()
    }
    assert [name for name, frame in frames.items() if made_by(LABEL, frame)] == ["none", "own"]
    assert {
        name: [engine_sentence("set", frame.replace(LABEL, "set")), grid_source_sentence(LABEL, frame) != ""]
        for name, frame in frames.items()
    } == snapshot


def test_the_channels_that_count_as_direct_are_named(snapshot):
    assert {
        "usual": direct_sentence(["Mail", "Direct"], DIRECT),
        "several": direct_sentence(["Mail", "(none)", "DIREKT"], DIRECT),
        "none": direct_sentence(["Mail"], DIRECT),
        "own": direct_sentence(["Mail", "typed in"], ("Typed in",)),
        "own, one missing": direct_sentence(["typed in"], ("Typed in", "App")),
        "own, all missing": direct_sentence(["Direct"], ("App",)),
    } == snapshot


def test_models_that_were_not_calculated_are_named(snapshot):
    assert {
        "one": models_left_out(["Linear"], ["Linear", "Shapley"]),
        "none": models_left_out(["A"], ["A"]),
    } == snapshot


def test_the_effect_of_a_redistribution_names_the_largest_giver_and_receiver(snapshot):
    gives = {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": ["Direct"]}
    rules = parse_redistribution(dict.fromkeys(PHASES, gives), "It")
    moved = pd.DataFrame({"channel_name": ["Direct", "Mail", "Search"], "ihc_change": [-3.0, 1.0, 2.0]})
    assert {
        "some": redistribution_effect(moved, rules),
        "nothing": redistribution_effect(moved.iloc[:0], rules),
        "no redistribution": redistribution_effect(moved, None),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_names_are_printed_on_one_line(name):
    for sentence in (
        explained((0, name, 1, 1), (60, name, 1, 1)),
        explained((0, name, 1, 1)),
        model_differences(
            pd.DataFrame({"channel_name": [name], "IHC": [1.0], "First": [2.0]}),
            pd.DataFrame({"channel_name": [name, "Total"], "cost": 1.0, "share_of_cost": 1.0}),
        ),
    ):
        assert shown(name) in sentence
        assert sentence.isprintable()
