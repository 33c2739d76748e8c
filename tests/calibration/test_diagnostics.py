import re

import pandas as pd
import pytest
from helpers.answered_shops import answers_of, random_journeys, truth
from helpers.commands import RESTARTING
from helpers.frames import curves_of, journey

from ihc import read_tables
from ihc.calibration.calibrate import calibrate
from ihc.calibration.diagnostics import splits, unidentified
from ihc.journeys.build import build_journeys
from ihc.schemas.tables import PHASES

pytestmark = pytest.mark.filterwarnings("error")
SHOP = random_journeys(200)


def said(rows, true, *, unanswered=()):
    """The warnings of a calibration without answers for the `unanswered` journeys."""
    answers = answers_of(rows, true)
    return calibrate(rows, answers[~answers["conv_id"].isin(unanswered)]).warnings


def two(hours, *, conv_id, first=("A", 1, 1), last=("A", 1, 1)):
    return journey((0, *first), (hours, *last), conv_id=conv_id)


def test_an_initializer_that_never_rises_gives_all_to_the_first_session():
    texts = said(SHOP, truth(initializer=([0, 5_000], [0, 0])))
    assert len(texts) == 2
    assert texts[0] == (
        "The initializer's curve is 0 over the hours in the answers, 0 to 300.0: the first session of a "
        "journey gets the whole phase."
    )
    assert texts[1].startswith("Not identified: 6 of 6 initializer weights")


@pytest.mark.parametrize(
    ("curves", "says"),
    [
        (
            {"initializer": ([0, 5_000], [0.3, 0.3])},
            "each later session counts 0.300 times as much as the first one, whatever the gap",
        ),
        (
            {"closer": ([0, 5_000], [1, 1])},
            r"closer's curve is constant over the hours in the answers, 0 to [\d.]+: all closing sessions",
        ),
    ],
)
def test_a_constant_curve_gives_a_warning(curves, says):
    (text,) = said(SHOP, truth(**curves))
    assert re.search(says, text)


def test_sessions_beyond_the_data_of_a_curve_are_counted():
    # Seen: 10 hours. Of the 3 journeys without an answer, k2 reads both curves at 20 hours; the first session of k3
    # may not close, so the initializer alone is read at 30; k4 is within 10 hours.
    rows = pd.concat(
        [two(10, conv_id="k1"), two(20, conv_id="k2"), two(30, conv_id="k3", first=("A", 1, 0)), two(5, conv_id="k4")]
    )
    texts = "\n".join(said(rows, truth(), unanswered=["k2", "k3", "k4"]))
    assert "For 2 sessions of the database, the initializer's curve is extrapolated beyond the 10.0 hours" in texts
    assert "For 1 session of the database, the closer's curve is extrapolated beyond the 10.0 hours" in texts


def test_a_curve_with_restarts_is_known_for_all_hours_but_not_for_closers_before_a_restart():
    # k1 restarts after 60 hours, and k2 after 90: of the closer's curve the answers show the 10 hours of k0.
    rows = pd.concat([two(60, conv_id="k1"), two(10, conv_id="k0"), two(90, conv_id="k2")])
    texts = "\n".join(said(rows, truth(initializer=([0, 2, 53], [0, 0, 1])), unanswered=["k2"]))
    assert "the initializer's curve is extrapolated beyond" not in texts
    assert "For 2 sessions of the database, the closer's curve is extrapolated beyond the 10.0 hours" in texts


def test_a_closer_observed_to_reach_0_is_known_for_all_hours():
    # The curve is 0 from 5 hours on, and the answers show 10.
    rows = pd.concat([two(10, conv_id="k1"), two(2, conv_id="k0"), two(90, conv_id="k2")])
    texts = "\n".join(said(rows, truth(closer=([0, 5], [1, 0])), unanswered=["k2"]))
    assert "the initializer's curve is extrapolated beyond the 10.0 hours" in texts
    assert "the closer's curve is extrapolated beyond" not in texts


def test_channels_without_an_answer_are_neutral():
    rows = pd.concat([SHOP, two(5, conv_id="new", last=("Unseen", 1, 1))]).assign(
        channel_name=lambda frame: frame["channel_name"].replace("A", "Search")
    )
    texts = said(rows, truth(), unanswered=["new"])
    assert texts == (
        "No answer with two or more sessions has the channels 'Unseen': their weights are 1 in each phase.",
    )


def test_every_warning_is_a_sentence_on_one_line():
    rows = pd.concat([two(0, conv_id="k1"), two(9, conv_id="k2", last=("two\nlines", 1, 1))])
    texts = said(rows, truth(), unanswered=["k2"])
    assert len(texts) >= 4
    assert all("\n" not in text and text.endswith(".") for text in texts)


# Identification of the weights


def told(rows, parameters):
    """By phase, the orders that split it, each with its channels as one text."""
    found = splits(rows, parameters)
    return {phase: pairs.groupby("conv_id")["channel_name"].agg("".join).to_dict() for phase, pairs in found.items()}


def test_a_journey_identifies_the_weights_of_channels_that_share_a_phase():
    # k: m_I(60 h) = 1/2, and all sessions hold and close. l: the second session has no initializer after 5 hours,
    # and the first may not close. m: one channel only.
    rows = pd.concat(
        [
            journey((0, "A", 1, 1), (60, "B", 1, 1), conv_id="k"),
            journey((0, "A", 1, 0), (5, "B", 1, 1), conv_id="l"),
            journey((0, "A", 1, 1), (60, "A", 1, 1), conv_id="m"),
        ],
        ignore_index=True,
    )
    assert told(rows, curves_of()) == {
        "initializer": {"k": "AB"},
        "holder": {"k": "AB", "l": "AB"},
        "closer": {"k": "AB"},
    }


def test_sessions_before_a_restart_identify_no_weight():
    rows = journey((0, "A", 1, 1), (110, "B", 1, 1), (170, "C", 1, 1))
    assert told(rows, curves_of(closer=([0, 1000], [1, 0]))) == {phase: {"k": "BC"} for phase in PHASES}


def test_a_channel_with_weight_near_0_is_identified():
    rows = journey((0, "A", 1, 1), (60, "B", 1, 1))
    assert told(rows, curves_of(channels={"initializer": {"A": 0.001}}))["initializer"] == {"k": "AB"}


def test_weights_with_fewer_than_5_journeys_are_named():
    # 4 journeys mix A and B, a fifth B and C: A has 4, B 5, and C 1.
    rows = pd.concat(
        [journey((0, "AAAAB"[number], 1, 1), (60, "BBBBC"[number], 1, 1), conv_id=f"k{number}") for number in range(5)],
        ignore_index=True,
    )
    journeys = {f"{phase}_journeys": [4, 5, 1] for phase in PHASES}
    channels = pd.DataFrame({"channel_name": ["A", "B", "C"], **journeys})
    texts = list(unidentified(channels, answers_of(rows, curves_of()), splits(rows, curves_of())))
    assert len(texts) == 3
    assert texts[0] == (
        "Not identified: 2 of 3 initializer weights (1 journey: 'C'; 4 journeys: 'A'). A weight needs 5 journeys that "
        "split the initializer between its channel and another. Of all 5 journeys, 5 split it between channels."
    )


def test_mixed_journeys_identify_all_weights_except_rare_channels():
    rare = journey((0, "Search", 1, 1), (5, "Rare", 1, 1), conv_id="rare")
    rows = pd.concat([SHOP, rare])
    texts = calibrate(rows, answers_of(rows, truth())).warnings
    assert ["(0 journeys: 'Rare')" in texts[0], "(1 journey: 'Rare')" in texts[1], len(texts)] == [True, True, 3]
    assert not any("Not identified" in said for said in calibrate(SHOP, answers_of(SHOP, truth())).warnings)


def test_one_channel_or_an_absent_phase_needs_no_identification():
    rows = SHOP.assign(channel_name="A")
    assert calibrate(rows, answers_of(rows, truth())).warnings == ()
    rows = journey((0, "A", 0, 1), (60, "B", 0, 1))
    texts = calibrate(rows, answers_of(rows, truth())).warnings
    assert sum("Not identified" in said for said in texts) == 2
    assert not any("holder weights" in said for said in texts)


@pytest.mark.slow
@pytest.mark.skipif(not RESTARTING.exists(), reason="the real answers are not part of the project")
def test_journeys_that_hardly_mix_channels_identify_no_weight():
    tables = read_tables(RESTARTING / "answered.db")
    answers = pd.read_csv(RESTARTING / "answers.csv").rename(columns={"conversion_id": "conv_id"})
    texts = calibrate(build_journeys(tables.sessions, tables.conversions), answers).warnings
    assert len(texts) == 3
    assert texts[0].startswith("Not identified: 13 of 13 initializer weights (0 journeys: ")
    assert texts[0].endswith(". Of all 265 journeys, 0 split it between channels.")
    assert "1 journey: 'Affiliate & Partnerships', 'Direct Traffic')" in texts[2]
