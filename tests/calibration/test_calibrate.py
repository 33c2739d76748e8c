import json
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers.answered_shops import answers_of, random_journeys, truth
from helpers.frames import FIXED, UNTRUSTED, journey, journeys, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.calibration.calibrate import MOST_CHANNELS, calibrate
from ihc.errors import InputError
from ihc.models.ihc import attribute, time_order
from ihc.models.parameters import load_parameters, parameters_json, parse_parameters
from ihc.schemas.tables import PHASES, SHARES

pytestmark = pytest.mark.filterwarnings("error")
OTHERS = random_journeys(500, seed=99)
SHOP = random_journeys(300)
ANSWERS = answers_of(SHOP, truth())
SMALL = SHOP[SHOP["conv_id"].isin(SHOP["conv_id"].unique()[:60])]
SMALL_ANSWERS = ANSWERS[ANSWERS["conv_id"].isin(SMALL["conv_id"])]
LENGTH = SHOP.groupby("conv_id")["session_id"].transform("size")


def errors(found, true, rows):
    return (attribute(rows, found)["ihc"] - attribute(rows, true)["ihc"]).abs()


def assert_found(found, true, *, rows=SHOP, others=OTHERS, mean=0.00002, largest=0.004):
    """Compare curves at observed hours, weight ratios, phase weights and the credits of other journeys."""
    _, steps = time_order(rows)
    for phase, hours in (("initializer", steps.gap), ("closer", steps.to_conversion)):
        # Near its end, the curve depends on few sessions.
        seen = np.quantile(hours, [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
        assert getattr(found, phase)(seen) == pytest.approx(getattr(true, phase)(seen), abs=0.001)
    for phase in PHASES:
        names = sorted(rows["channel_name"].unique())
        weights = np.array([found.channel_weights[phase].get(name, 1.0) for name in names])
        known = np.array([true.channel_weights[phase].get(name, 1.0) for name in names])
        assert weights / np.median(weights) == pytest.approx(known / np.median(known), rel=0.002)
    assert dict(found.phase_weights) == pytest.approx(dict(true.phase_weights), abs=0.0002)
    off = errors(found, true, others)
    assert off.mean() <= mean
    assert off.max() <= largest


FAR = {
    "initializer": {"Direct": 0.4, "Mail": 2.0},
    "holder": {"Direct": 2.0, "Video": 0.4},
    "closer": {"Social": 0.4, "Direct": 2.0},
}
JUMPS = ([0, 0.0998, 0.1, 0.1998, 0.2, 0.2998, 0.3, 2, 60, 500], [1, 0.99, 0.9, 0.88, 0.7, 0.69, 0.6, 0.5, 0.2, 0])


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": {phase: {"Direct": 0.05, "Mail": 20.0} for phase in PHASES}},
        {"closer": JUMPS, "phases": (0.01, 0.09, 0.9)},
        {"initializer": ([0, 1], [0.3, 0.3]), "closer": ([0, 1], [1, 1])},
    ],
    ids=["weights of 0.05 and 20", "jumps and far phases", "flat curves"],
)
def test_a_few_hundred_answers_recover_the_parameters_and_predict_other_journeys(changes):
    true = truth(**changes)
    assert_found(calibrate(SHOP, answers_of(SHOP, true)).parameters, true)


RESTARTS = {"initializer": ([0, 2, 53], [0, 0, 1]), "closer": ([0, 2, 46], [1, 0.5, 0])}


def test_a_curve_that_reaches_1_is_found_with_its_restarts():
    true = truth(**RESTARTS)
    found = calibrate(SHOP, answers_of(SHOP, true)).parameters
    assert found.initializer(np.array([27.5, 54, 1_000])).tolist() == pytest.approx([0.5, 1, 1], abs=0.001)
    assert found.initializer.hours[-1] == pytest.approx(53, abs=0.5)
    off = errors(found, true, OTHERS)
    assert off.mean() <= 0.00002
    assert off.max() <= 0.005


def test_closers_before_a_restart_are_extrapolated_without_a_contradiction_warning():
    # The closer's curve reaches 500 hours; after a restart the answers show 111.3 of them. The holder reads the rest.
    true = truth(initializer=RESTARTS["initializer"])
    result = calibrate(SHOP, answers_of(SHOP, true))
    assert errors(result.parameters, true, SHOP).max() > 0.01
    (said,) = result.warnings
    assert said.endswith("the closer's curve is extrapolated beyond the 111.3 hours in the answers.")


def test_journeys_of_up_to_200_sessions_are_calibrated():
    rows = random_journeys(80, mean_length=30, longest=200)
    assert rows.groupby("conv_id").size().max() > 100
    # The largest share of a journey takes what the rounding of all its sessions leaves over.
    assert_found(calibrate(rows, answers_of(rows, truth())).parameters, truth(), rows=rows, mean=0.00004)


def test_row_order_and_extra_columns_are_irrelevant_and_inputs_unchanged():
    rows, answers = shuffled(SMALL, 1).assign(ihc=1.0, initializer=9.0), shuffled(SMALL_ANSWERS, 2).assign(cost=1.0)
    before = rows.copy(deep=True), answers.copy(deep=True)
    found, again = calibrate(SMALL, SMALL_ANSWERS), calibrate(rows, answers)
    assert again.parameters == found.parameters
    assert again.warnings == found.warnings
    for name in ("support", "channels", "left_out"):
        assert_frame_equal(getattr(again, name), getattr(found, name))
    assert_frame_equal(rows, before[0])
    assert_frame_equal(answers, before[1])


def test_there_can_be_more_channels_than_answers():
    rows = random_journeys(60).assign(channel_name=lambda frame: [f"c{number}" for number in range(len(frame))])
    result = calibrate(rows, answers_of(rows, truth()))
    assert errors(result.parameters, truth(), rows).max() <= 0.001
    names = len(result.channels)
    assert sum(f"Not identified: {names} of {names} " in said for said in result.warnings) == 3


def test_too_many_channels_are_refused():
    rows = random_journeys(400).assign(channel_name=lambda frame: [f"c{number}" for number in range(len(frame))])
    with pytest.raises(
        InputError, match=f"channels, and a calibration supports at most {MOST_CHANNELS:,}: give similar"
    ):
        calibrate(rows, answers_of(rows, truth()))


def test_special_channel_names_are_ordinary_names(tmp_path):
    rows = SMALL.assign(channel_name=(UNTRUSTED * len(SMALL))[: len(SMALL)])
    true = truth(channels={"closer": {UNTRUSTED[0]: 2.0}})
    found = calibrate(rows, answers_of(rows, true)).parameters
    assert found.channels == set(UNTRUSTED)
    assert found.channel_weights["closer"][UNTRUSTED[0]] == pytest.approx(2, abs=0.005)
    (tmp_path / "set.json").write_text(parameters_json(found), "utf-8")
    assert load_parameters(tmp_path / "set.json") == found


NAMES = SMALL["channel_name"].astype("str")


@pytest.mark.parametrize(
    "rows",
    [
        SMALL.assign(channel_name=NAMES.where(SMALL.index % 7 > 0)),
        SMALL.assign(channel_name="A"),
        SMALL.assign(timestamp=SMALL.groupby("conv_id")["timestamp"].transform("first")),
    ],
    ids=["sessions without a channel", "one channel", "all at the same moment"],
)
def test_odd_shops_are_calibrated_to_their_own_answers(rows):
    true = truth(channels=FAR)
    assert errors(calibrate(rows, answers_of(rows, true)).parameters, true, rows).max() <= 0.001


def test_without_closer_flags_only_the_converting_session_closes():
    rows = SMALL.assign(closer_engagement=0)
    result = calibrate(rows, answers_of(rows, truth()))
    assert errors(result.parameters, truth(), rows).max() <= 0.001
    assert set(result.parameters.closer.membership) == {1}
    assert any("The closer's curve is unknown" in said for said in result.warnings)


def test_without_holder_flags_the_other_phases_keep_their_ratio():
    # 0.345 to 0.275; the holder's is left near 1/3.
    rows = SMALL.assign(holder_engagement=0)
    result = calibrate(rows, answers_of(rows, truth()))
    weights = result.parameters.phase_weights
    assert weights["initializer"] / weights["closer"] == pytest.approx(0.345 / 0.275, rel=0.002)
    assert weights["holder"] == pytest.approx(1 / 3, abs=0.02)
    assert set(result.parameters.channel_weights["holder"].values()) == {1.0}
    assert any("No answer has a holder" in said for said in result.warnings)


def mixed(rows, answers, share, other):
    """Answers where every n-th journey uses other parameters; and the ids of these journeys."""
    ids = rows["conv_id"].unique()[::share]
    wrong = answers["conv_id"].isin(ids)
    both = answers.where(~wrong, answers_of(rows, other))
    moved = (both["ihc"] - answers["ihc"]).abs().groupby(answers["conv_id"]).max()
    return both, set(moved.index[moved > 0.02])


def test_2_percent_contradicting_answers_have_little_effect_and_are_named():
    other = truth(initializer=([0, 10, 110], [0, 0, 1]), closer=([0, 100], [1, 0]))
    answers, wrong = mixed(SHOP, ANSWERS, 50, other)
    result = calibrate(SHOP, answers)
    assert dict(result.parameters.phase_weights) == pytest.approx(dict(truth().phase_weights), abs=0.0002)
    off = errors(result.parameters, truth(), OTHERS)
    assert off.mean() <= 0.0002
    assert off.quantile(0.99) <= 0.002
    (said,) = [text for text in result.warnings if "contradict the parameters" in text]
    assert 1 <= len(wrong) <= 5
    assert said.startswith(f"{len(wrong)} of ")
    assert all(repr(conv_id) in said for conv_id in wrong)
    assert "better to leave them out" in said


def test_answers_of_two_conversion_types_give_a_warning():
    other = truth(initializer=([0, 2, 53], [0, 0, 1]), phases=(0.32, 0.37, 0.31))
    answers, _ = mixed(SMALL, SMALL_ANSWERS, 2, other)
    assert any("another conversion type" in said for said in calibrate(SMALL, answers).warnings)


def redistributed(rows, parameters, channel):
    """Per phase, `channel` gives its value to the others of its journey in proportion, where one can receive."""
    shares = attribute(rows, parameters)
    for phase in PHASES:
        receives = shares[phase].where(rows["channel_name"] != channel, 0)
        totals = receives.groupby(shares["conv_id"]).transform("sum")
        shares[phase] = (receives / totals.where(totals > 0)).where(totals > 0, shares[phase])
    weighted = sum(parameters.phase_weights[phase] * shares[phase] for phase in PHASES)
    shares["ihc"] = weighted / weighted.groupby(shares["conv_id"]).transform("sum")
    return shares


def test_redistributed_answers_give_a_warning_with_the_channel():
    result = calibrate(SMALL, redistributed(SMALL, truth(), "Direct"))
    assert any(
        "give the channels 'Direct' no share in some phase, as after a redistribution" in said
        for said in result.warnings
    )
    assert any("or redistributed" in said for said in result.warnings)


def test_a_calibration_reports_its_support():
    # k: 2 hours, closes; l: 30 hours, closes; m: one session.
    rows = pd.concat(
        [
            journey((0, "A", 1, 1), (2, "B", 1, 1), conv_id="k"),
            journey((0, "A", 1, 1), (30, "A", 1, 1), conv_id="l"),
            journey((0, "A", 1, 1), conv_id="m"),
        ]
    )
    answers = answers_of(rows, truth())
    stranger = answers.iloc[:1].assign(conv_id="stranger")
    result = calibrate(rows, pd.concat([answers, stranger]), name="mine", made="2025-03-09", source="a test")
    provenance = result.parameters.provenance
    assert result.parameters.name == "mine"
    assert provenance["how"].startswith("Calibrated")
    assert {name: provenance[name] for name in ("source", "made", "answers", "journeys", "sessions")} == {
        "source": "a test",
        "made": "2025-03-09",
        "answers": 3,
        "journeys": 2,
        "sessions": 4,
    }
    assert result.left_out.to_dict("records") == [
        {"conv_id": "stranger", "reason": "no order with a session in the database has this id"}
    ]
    # k alone mixes channels, in the holder and the closer; the initializer is 0 after 2 hours.
    journeys = ["channel_name", *(f"{phase}_journeys" for phase in PHASES)]
    assert result.channels[journeys].to_numpy().tolist() == [["A", 0, 1, 1], ["B", 0, 1, 1]]
    assert result.channels[["initializer_weight", "holder_weight", "closer_weight"]].to_numpy() == pytest.approx(
        1, abs=0.01
    )
    told = result.support[result.support["sessions"] > 0]
    assert told[["curve", "part", "sessions"]].to_numpy().tolist() == [
        ["initializer", "1 - 6 h", 1],
        ["initializer", "24 - 72 h", 1],
        ["closer", "1 - 6 h", 1],
        ["closer", "24 - 72 h", 1],
    ]
    assert result.support["membership"].eq("extrapolated").tolist() == ([False] * 5 + [True] * 2) * 2
    assert result.support["membership"].iloc[7] == "1.000 - " + f"{result.parameters.closer(np.array([0.1]))[0]:.3f}"


def test_the_phase_weights_reproduce_ihc():
    # Two sessions: initializer 1, 0; closer 0, 1; the holder, of the second alone, 0, 1. ihc 0.2 on the first, so
    # p_I = 0.2 and p_H + p_C = 0.8. A second journey without a holder: ihc 0.4 and 0.6, so p_I / p_C = 2 / 3,
    # p_C = 0.3 and p_H = 0.5. Least squares stay within the decimals that the pull towards 1/3 leaves.
    rows = pd.concat(
        [
            journey((0, "A", 0, 0), (1, "A", 1, 1), conv_id="k"),
            journey((0, "A", 0, 0), (1, "A", 0, 1), conv_id="l"),
        ]
    )
    answers = rows[["conv_id", "session_id"]].assign(
        initializer=[1.0, 0, 1, 0], holder=[0.0, 1, 0, 0], closer=[0.0, 1, 0, 1], ihc=[0.2, 0.8, 0.4, 0.6]
    )
    found = calibrate(rows, answers).parameters.phase_weights
    assert dict(found) == pytest.approx({"initializer": 0.2, "holder": 0.5, "closer": 0.3}, abs=0.0001)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)


def test_one_answer_of_two_sessions_gives_parameters_and_warnings():
    key = SHOP.loc[LENGTH == 2, "conv_id"].iloc[0]
    result = calibrate(SHOP, ANSWERS[ANSWERS["conv_id"] == key])
    assert errors(result.parameters, truth(), SHOP[SHOP["conv_id"] == key]).max() <= 0.001
    assert "Too few answers: 1 with two or more sessions are usable" in result.warnings[0]
    assert any("No answer with two or more sessions has the channels" in said for said in result.warnings)
    assert any("beyond the" in said and "extrapolated" in said for said in result.warnings)


def test_only_answers_with_an_invalid_share_are_left_out():
    wrong, ids = SMALL_ANSWERS.copy(), SMALL_ANSWERS["conv_id"].unique()[:4]
    for conv_id, column, value in zip(ids, SHARES, (np.nan, np.inf, -0.1, 1.5), strict=True):
        wrong.loc[wrong.index[wrong["conv_id"] == conv_id][0], column] = value
    result = calibrate(SMALL, wrong)
    assert sorted(result.left_out["conv_id"]) == sorted(ids)
    assert errors(result.parameters, truth(), SMALL).max() <= 0.003


NO_USE = "none is usable"


CASES = [
    (SHOP, ANSWERS.assign(conv_id="x" + ANSWERS["conv_id"]), f"{NO_USE}: 300 answers cannot be used .'xk0': no order"),
    (SHOP, ANSWERS.assign(initializer=0.0), "the shares of a phase are invalid or do not sum to 1"),
    (SHOP, ANSWERS.iloc[:0], f"{NO_USE}: there are only 0 answers for orders with one session"),
    (SHOP, pd.DataFrame(columns=ANSWERS.columns), "Get more answers"),
    (SHOP, ANSWERS[LENGTH == 1], "there are only .* answers for orders with one session"),
    (SHOP.iloc[:0], ANSWERS, "no order with a session in the database has this id"),
    (SHOP, ANSWERS.drop(columns="holder"), "Answers lacks the column 'holder'"),
    (SHOP.drop(columns="timestamp"), ANSWERS, "Journeys lacks the column 'timestamp'"),
]


@pytest.mark.parametrize(("rows", "answers", "says"), CASES, ids=[says for _, _, says in CASES])
def test_unusable_answers_are_refused(rows, answers, says):
    with pytest.raises(InputError, match=says):
        calibrate(rows, answers)


def test_answers_as_texts_are_parsed(tmp_path):
    numbered = SMALL.assign(conv_id=SMALL["conv_id"].str[1:])
    SMALL_ANSWERS.assign(conv_id=SMALL_ANSWERS["conv_id"].str[1:]).to_csv(tmp_path / "answers.csv", index=False)
    read, texts = pd.read_csv(tmp_path / "answers.csv"), pd.read_csv(tmp_path / "answers.csv", dtype="str")
    assert read["conv_id"].dtype == "int64"
    assert calibrate(numbered, read).parameters == calibrate(numbered, texts).parameters


@st.composite
def whole_shares(draw, rows):
    """Arbitrary but complete answers: shares sum to 1 per journey and phase, the holder's to 1 or 0."""
    parts = []
    for _, part in rows.groupby("conv_id", sort=False):
        units = st.lists(st.sampled_from([0, 0, 1, 50, 3_000]), min_size=len(part), max_size=len(part))
        values = {}
        for name in SHARES:
            drawn = np.array(draw(units.filter(any) if name != "holder" else units), dtype="float64")
            values[name] = drawn / drawn.sum() if drawn.any() else drawn
        parts.append(part[["conv_id", "session_id"]].assign(**values))
    return pd.concat(parts, ignore_index=True)


@settings(FIXED, max_examples=6)
@given(journeys(), st.data())
def test_arbitrary_complete_answers_give_valid_parameters_or_an_error_without_numpy_warnings(rows, data):
    answers = data.draw(whole_shares(rows))
    if rows.groupby("conv_id").size().max() == 1:
        with pytest.raises(InputError, match=NO_USE):
            calibrate(rows, answers)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = calibrate(rows, answers)
    assert all(text.endswith(".") for text in result.warnings)
    credits = attribute(rows, result.parameters)
    np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1, atol=1e-9)
    assert parse_parameters(json.loads(parameters_json(result.parameters))) == result.parameters
