import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, curves_of, journey

from ihc.formatting import shown
from ihc.models.explanation import explain, explanations
from ihc.models.heuristics import DIRECT
from ihc.models.redistribution import parse_redistribution
from ihc.narrative import models as model_narrative
from ihc.schemas.tables import PHASES


def told(*steps, **parameters):
    return model_narrative.explanation_sentence(explain(journey(*steps), curves_of(**parameters), "k"))


def test_an_explanation_names_the_session_with_the_most_credit_and_what_it_is_made_of():
    # Initializer 2/3, 1/3; closer 2/7, 5/7; holder 565/1071, 506/1071: the first gets 0.2 * 2/3 + ... = 0.4828.
    # The second: 0.2 / 3 = 6.7 %, 0.5 * 506/1071 = 23.6 %, 0.3 * 5/7 = 21.4 %.
    assert told((0, "A", 1, 1), (60, "B", 1, 1)) == (
        "Order k has 2 sessions; B, at the moment of the conversion, gets the most of its credit, 51.7%: "
        "6.7% as initializer, 23.6% as holder and 21.4% as closer."
    )


def test_an_explanation_says_how_long_before_the_conversion_it_was():
    assert "; A, 30 min before the converting session, gets" in told((0, "A", 1, 1), (0.5, "B", 0, 0))


def test_an_explanation_says_what_a_restart_cost():
    text = told((0, "A", 1, 1), (1, "A", 1, 1), (121, "A", 1, 1))
    assert "A silence of 5 days restarted the journey, so the 2 sessions before it get no credit." in text


def test_one_session_before_a_restart_is_told_in_the_singular():
    assert "so the 1 session before it gets no credit." in told((0, "A", 1, 1), (110, "A", 1, 1))


def test_an_explanation_says_which_phase_is_absent():
    text = told((0, "A", 0, 0), (60, "B", 0, 0))
    assert text.endswith("No session counts as holder, so the other phases share its weight in proportion.")


def test_a_single_session_is_not_explained_by_phases():
    assert told((0, "A", 1, 1)) == "Order k has a single session, of A, that gets all credit."


def test_no_journey_is_no_explanation():
    nothing = explanations(journey((0, "A", 1, 1)).iloc[:0], curves_of())
    assert model_narrative.explanation_sentence(nothing) == "There is no order with a journey to explain."


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0, "0"),
        (0.001, "1 min"),
        (0.2, "12 min"),
        (1, "1 h"),
        (1.26, "1.3 h"),
        (47.9, "47.9 h"),
        (48, "2 days"),
        (212.25, "8.8 days"),
        (240_000, "10,000 days"),
    ],
)
def test_a_duration_is_told_in_its_own_unit(hours, text):
    assert model_narrative.duration(hours) == text


def test_the_channel_that_depends_most_on_the_model_is_named_with_both_ends():
    comparison = pd.DataFrame(
        {"channel_name": ["A", "B"], "IHC": [10.0, 20.0], "First": [11.0, 5.0], "Last": [9.0, 1_000.0]}
    )
    assert model_narrative.model_spread(comparison) == (
        "The model matters most for B: 5.00 under First, 1,000.00 under Last."
    )


def test_models_that_agree_to_the_cent_are_said_to_agree():
    comparison = pd.DataFrame({"channel_name": ["A"], "IHC": [10.0], "First": [10.004]})
    assert model_narrative.model_spread(comparison) == "All models give every channel the same revenue."


@pytest.mark.parametrize("name", UNTRUSTED)
def test_any_name_is_told_in_printable_characters(name):
    said = [
        told((0, name, 1, 1), (60, name, 1, 1)),
        told((0, name, 1, 1)),
        model_narrative.model_spread(pd.DataFrame({"channel_name": [name], "IHC": [1.0], "First": [2.0]})),
    ]
    for sentence in said:
        assert shown(name) in sentence
        assert sentence.isprintable()


COST = [("A", 100.0), ("B", 50.0), ("C", 50.0)]


def summary(rows):
    """A summary of channels: `(channel_name, cost)`, and the total."""
    total = sum(cost for _, cost in rows)
    frame = pd.DataFrame([*rows, ("Total", total)], columns=["channel_name", "cost"])
    return frame.assign(share_of_cost=frame["cost"] / (total or float("nan")))


def compared(**models):
    names = ["A", "B", "C"][: len(next(iter(models.values())))]
    columns = {name.replace("_", " "): values for name, values in models.items()}
    return pd.DataFrame({"channel_name": pd.Series(names, dtype="str"), **columns})


def differences(comparison, rows=COST, **how):
    return model_narrative.model_differences(comparison, summary(rows), **how)


def test_the_differences_that_matter_are_told():
    # A: 120, 90, 130 against a cost of 100; B: 60 and more against 50; C: 20 against 50 under all.
    comparison = compared(IHC=[120.0, 60.0, 20.0], Last_touch=[90.0, 70.0, 20.0], Linear=[130.0, 60.0, 20.0])
    assert differences(comparison) == (
        "The model matters most for A: 90.00 under Last touch, 130.00 under Linear. "
        "Against last touch, IHC gives most more to A (+30.00) and takes most from B (-10.00). "
        "Of the 3 channels with at least 1% of the cost, 1 earns its cost under some models only: "
        "A (not under Last touch)."
    )


def test_a_channel_exactly_at_break_even_earns_its_cost():
    text = differences(compared(IHC=[100.0, 0.0, 0.0], Last_touch=[99.0, 1.0, 0.0], Linear=[99.0, 1.0, 0.0]))
    assert text.endswith("1 earns its cost under some models only: A (only under IHC).")


def test_break_even_may_be_set_elsewhere():
    # At a ROAS of 2, A needs 200 and B 100.
    one = compared(IHC=[199.0, 100.0, 0.0], Last_touch=[198.0, 99.0, 2.0])
    assert "1 reaches the break-even ROAS of 2 under some models only: B (only under IHC)." in differences(one, roas=2)
    two = compared(IHC=[200.0, 100.0, 0.0], Last_touch=[199.0, 99.0, 2.0])
    assert "2 reach the break-even ROAS of 2 under some models only" in differences(two, roas=2)
    assert "changes its side of break-even" in differences(one, roas=3)


def test_channels_that_stay_on_their_side_are_said_to():
    text = differences(compared(IHC=[120.0, 0.0, 0.0], Last_touch=[110.0, 10.0, 0.0]))
    assert text.endswith("No channel with at least 1% of the cost changes its side of break-even with the model.")


def test_a_channel_that_cost_something_and_is_in_no_journey_is_counted_too():
    text = differences(compared(IHC=[120.0], Last_touch=[90.0]))
    assert "Of the 3 channels with at least 1% of the cost, 1 earns its cost under some models only" in text


def test_models_that_agree_move_nothing():
    text = differences(compared(IHC=[120.0, 60.0, 20.0], Last_touch=[120.0, 60.0, 20.0]))
    assert text.startswith("All models give every channel the same revenue. No channel with ")
    assert "Against" not in text


def test_a_single_channel_has_nobody_to_gain_from():
    text = differences(compared(IHC=[10.0], Last_touch=[10.0]), [("A", 5.0)])
    assert text == (
        "All models give every channel the same revenue. "
        "No channel with at least 1% of the cost changes its side of break-even with the model."
    )


def test_without_data_there_is_nothing_to_tell_apart():
    assert differences(compared(IHC=[], Last_touch=[]), []) == "There is no credited order to compare models by."


@pytest.mark.parametrize("models", [{"IHC": [1.0, 5.0]}, {"IHC": [1.0, 5.0], "Linear": [2.0, 4.0]}])
def test_without_last_touch_or_cost_nothing_is_said_of_them(models):
    text = differences(compared(**models), [("A", 0.0), ("B", 0.0)])
    assert "last touch" not in text
    assert "break-even" not in text


def test_one_side_alone_can_move():
    # The orders of a returned item: B's revenue falls with A's.
    text = differences(compared(IHC=[10.0, 5.0], Last_touch=[8.0, 5.0]))
    assert "Against last touch, IHC gives most more to A (+2.00)." in text
    text = differences(compared(IHC=[8.0, 5.0], Last_touch=[10.0, 5.0]))
    assert "Against last touch, IHC takes most from A (-2.00)." in text


def test_long_lists_are_cut():
    names = [f"model {number}" for number in range(9)]
    rows = [(f"c{number}", 10.0) for number in range(5)]
    frame = pd.DataFrame(
        {"channel_name": [name for name, _ in rows]}
        | {name: [20.0 if place < 4 else 0.0] * 5 for place, name in enumerate(names)}
    )
    text = differences(frame, rows)
    assert "5 earn their cost under some models only: c0 (only under model 0, model 1, model 2 and 1 more); c1" in text
    assert text.endswith(", and 2 more.")


def sources(*rows):
    return pd.DataFrame(rows, columns=["engine", "parameters", "lookback_days", "orders"])


def test_parameters_that_made_all_credits_are_said_to():
    parameters = curves_of()
    found = sources(("local", parameters.label, float("nan"), 7))
    assert model_narrative.made_by(parameters.label, found)
    text = model_narrative.engine_sentence(parameters.label, found)
    assert text.startswith(f"Shown is what the local engine knows with the parameters {parameters.label}. All credits")
    assert "It is not" not in text


@pytest.mark.parametrize(
    "rows",
    [
        [("api", "conversion type x", float("nan"), 7)],
        [("local", "other (abc)", float("nan"), 7)],
        [("local", curves_of().label, float("nan"), 7), ("api", "conversion type x", float("nan"), 1)],
        [("api", curves_of().label, float("nan"), 7)],
    ],
)
def test_credits_of_another_origin_are_said_to_be_others(rows):
    assert not model_narrative.made_by(curves_of().label, sources(*rows))
    text = model_narrative.engine_sentence(curves_of().label, sources(*rows))
    assert "It is not, or not alone, what made the stored credits" in text


def test_without_stored_credits_no_origin_is_claimed():
    text = model_narrative.engine_sentence(curves_of().label, sources())
    assert text.endswith("There are no credits to report.")
    assert "It is not" not in text


GIVES = {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": ["Direct"]}
RULES = parse_redistribution(dict.fromkeys(PHASES, GIVES), "It")


@pytest.mark.parametrize(
    ("channels", "direct", "text"),
    [
        (["Mail", "Direct"], DIRECT, "Counted as direct traffic: Direct."),
        (["Mail", "(none)", "DIREKT"], DIRECT, "Counted as direct traffic: (none), DIREKT."),
        (
            ["Mail"],
            DIRECT,
            "No channel has a usual name of direct traffic; set yours by --direct. Last non-direct touch is the same "
            "as last touch.",
        ),
        (["Mail", "typed in"], ("Typed in",), "Counted as direct traffic: typed in."),
        (["typed in"], ("Typed in", "App"), "Counted as direct traffic: typed in. No channel is named 'App'."),
        (["Direct"], ("App",), "No channel is named 'App'. Last non-direct touch is the same as last touch."),
    ],
)
def test_the_channels_that_count_as_direct_are_named(channels, direct, text):
    assert model_narrative.direct_sentence(channels, direct) == text


def moved(*rows):
    table = pd.DataFrame(rows, columns=["channel_name", "ihc_before", "ihc_after"])
    return table.assign(ihc_change=table["ihc_after"] - table["ihc_before"])


def test_the_effect_of_a_redistribution_names_who_gives_and_who_receives_most():
    # Direct gives 3, Mail and Search receive 1 and 2.
    text = model_narrative.redistribution_effect(moved(("Direct", 3, 0), ("Mail", 1, 2), ("Search", 0, 2)), RULES)
    assert text == (
        "The redistribution moves the credit of 3.0 orders: most is given by Direct (-3.0), most is received by Search "
        "(+2.0)."
    )


def test_no_redistribution_and_one_that_moves_nothing_are_told_apart():
    assert "has no redistribution" in model_narrative.redistribution_effect(moved(), None)
    assert "moves nothing" in model_narrative.redistribution_effect(moved(), RULES)


def stored(*credits):
    rows = [(session_id, ihc, "api", "type sales") for session_id, ihc in credits]
    return pd.DataFrame(rows, columns=["session_id", "ihc", "engine", "parameters"])


@pytest.mark.parametrize(
    ("credits", "says"),
    [
        ([], "No credit of this order is stored yet."),
        ([("s1", 0.48282), ("s2", 0.51718)], "The stored credit, of the IHC Attribution API, type sales, is the same."),
        ([("s1", 0.4), ("s2", 0.6)], "differs by up to 0.0828 for a session."),
        ([("s1", 0.48282), ("s3", 0.51718)], "differs by up to 0.5172 for a session."),
    ],
)
def test_a_stored_credit_is_compared_with_the_explained_one(credits, says):
    # 0.2 * 2/3 + 0.5 * 565/1071 + 0.3 * 2/7 = 0.48282.
    steps = explain(journey((0, "A", 1, 1), (60, "B", 1, 1)), curves_of(), "k")
    assert model_narrative.stored_credit_sentence(steps, stored(*credits)).endswith(says)
