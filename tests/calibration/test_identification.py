import pandas as pd
import pytest
from helpers.answered_shops import answers_of, random_journeys, truth
from helpers.commands import RESTARTING
from helpers.frames import curves_of, journey

from ihc import read_tables
from ihc.calibration.calibrate import calibrate
from ihc.calibration.diagnostics import splits, unidentified, with_journeys
from ihc.journeys.build import build_journeys
from ihc.schemas.tables import PHASES

SHOP = random_journeys(200)


def told(rows, parameters):
    """By phase, the orders that split it, each with its channels in one text."""
    found = splits(rows, parameters)
    return {phase: pairs.groupby("conv_id")["channel_name"].agg("".join).to_dict() for phase, pairs in found.items()}


def test_a_journey_tells_the_weights_of_the_channels_between_which_it_splits_a_phase():
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


def test_sessions_before_a_restart_tell_no_weight():
    rows = journey((0, "A", 1, 1), (110, "B", 1, 1), (170, "C", 1, 1))
    assert told(rows, curves_of(closer=([0, 1000], [1, 0]))) == {phase: {"k": "BC"} for phase in PHASES}


def test_a_channel_that_gives_its_credit_away_is_told_by_what_it_does_not_get():
    rows = journey((0, "A", 1, 1), (60, "B", 1, 1))
    assert told(rows, curves_of(channels={"initializer": {"A": 0.001}}))["initializer"] == {"k": "AB"}


def test_the_journeys_stand_beside_the_weights():
    rows = journey((0, "A", 1, 0), (60, "B", 1, 1))
    weights = {f"{phase}_weight": [1.0, 2.0, 3.0] for phase in PHASES}
    table = with_journeys(pd.DataFrame({"channel_name": ["A", "B", "C"], **weights}), splits(rows, curves_of()))
    assert table.columns.tolist() == [
        "channel_name",
        *(f"{p}_{what}" for p in PHASES for what in ("weight", "journeys")),
    ]
    assert table["initializer_journeys"].tolist() == [1, 1, 0]
    assert table["closer_journeys"].tolist() == [0, 0, 0]
    assert table["holder_weight"].tolist() == [1, 2, 3]


def test_weights_that_fewer_than_5_journeys_tell_are_named_with_their_journeys():
    # 4 journeys mix A and B, a fifth B and C: A has 4, B 5, and C 1.
    rows = pd.concat(
        [journey((0, "AAAAB"[number], 1, 1), (60, "BBBBC"[number], 1, 1), conv_id=f"k{number}") for number in range(5)],
        ignore_index=True,
    )
    found = splits(rows, curves_of())
    weights = pd.DataFrame({"channel_name": ["A", "B", "C"], **{f"{phase}_weight": 1.0 for phase in PHASES}})
    texts = list(unidentified(with_journeys(weights, found), answers_of(rows, curves_of()), found))
    assert len(texts) == 3
    assert texts[0] == (
        "Not identified: 2 of 3 initializer weights (1 journey: 'C'; 4 journeys: 'A'). A weight needs 5 journeys that "
        "split the initializer between its channel and another; 5 of 5 split it between any."
    )


def test_a_shop_that_mixes_its_channels_identifies_all_weights_but_those_of_a_rare_one():
    rare = journey((0, "Search", 1, 1), (5, "Rare", 1, 1), conv_id="rare")
    rows = pd.concat([SHOP, rare])
    texts = calibrate(rows, answers_of(rows, truth())).warnings
    assert ["(0 journeys: 'Rare')" in texts[0], "(1 journey: 'Rare')" in texts[1], len(texts)] == [True, True, 3]
    assert not any("Not identified" in said for said in calibrate(SHOP, answers_of(SHOP, truth())).warnings)


def test_one_channel_has_nothing_to_identify_nor_has_a_phase_that_no_answer_has():
    rows = SHOP.assign(channel_name="A")
    assert calibrate(rows, answers_of(rows, truth())).warnings == ()
    rows = journey((0, "A", 0, 1), (60, "B", 0, 1))
    texts = calibrate(rows, answers_of(rows, truth())).warnings
    assert sum("Not identified" in said for said in texts) == 2
    assert not any("holder weights" in said for said in texts)


@pytest.mark.skipif(not RESTARTING.exists(), reason="the real answers are not part of the project")
def test_real_journeys_that_hardly_mix_channels_identify_no_weight():
    tables = read_tables(RESTARTING / "answered.db")
    answers = pd.read_csv(RESTARTING / "answers.csv").rename(columns={"conversion_id": "conv_id"})
    texts = calibrate(build_journeys(tables.sessions, tables.conversions), answers).warnings
    assert len(texts) == 3
    assert texts[0].startswith("Not identified: 13 of 13 initializer weights (0 journeys: ")
    assert texts[0].endswith("; 0 of 265 split it between any.")
    assert "1 journey: 'Affiliate & Partnerships', 'Direct Traffic')" in texts[2]
