import pandas as pd
import pytest
from frames import UNTRUSTED, curves_of, journey

from ihc import model_narrative
from ihc.explanation import explain, explanations
from ihc.narrative import shown


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
    assert "A silence of 5 days restarted the journey, so the 2 sessions before it count for nothing." in text


def test_one_session_before_a_restart_is_told_in_the_singular():
    assert "so the 1 session before it counts for nothing." in told((0, "A", 1, 1), (110, "A", 1, 1))


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


@pytest.mark.parametrize(
    "comparison",
    [
        pd.DataFrame({"channel_name": ["A"], "IHC": [10.0], "First": [10.004]}),
        pd.DataFrame({"channel_name": pd.Series([], dtype="str"), "IHC": pd.Series([], dtype="float64")}),
    ],
)
def test_models_that_agree_to_the_cent_are_said_to_agree(comparison):
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
