import numpy as np
import pandas as pd
import pytest
from helpers.answered_shops import answers_of, random_journeys, truth
from helpers.commands import REAL, RESTARTING
from helpers.frames import journey, shuffled
from pandas.testing import assert_frame_equal

from ihc import read_tables
from ihc.calibration.calibrate import calibrate
from ihc.calibration.validation import channel_errors, cross_validate, error_table, from_few, worst_journeys
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.schemas.tables import SHARES

pytestmark = pytest.mark.filterwarnings("error")
SHOP = random_journeys(60)
ANSWERS = answers_of(SHOP, truth())
LENGTH = SHOP.groupby("conv_id")["session_id"].transform("size")


def test_each_answer_is_predicted_once_and_well_in_any_row_order():
    errors = cross_validate(SHOP, ANSWERS, folds=3)
    long = SHOP[LENGTH > 1]
    assert sorted(errors["session_id"]) == sorted(long["session_id"])
    about = ["channel_name", "gap", "to_conversion", "sessions", "seen_gap", "seen_to_conversion"]
    assert errors.columns.tolist() == ["conv_id", "session_id", *about, *SHARES]
    assert errors["ihc"].abs().mean() <= 0.001
    assert errors.isna().sum().drop("to_conversion").eq(0).all()
    assert_frame_equal(cross_validate(shuffled(SHOP, 1), shuffled(ANSWERS, 2), folds=3), errors)


def test_predictions_are_for_held_out_answers():
    # The longest gap is in one fold only, where it exceeds the range of all others.
    errors = cross_validate(SHOP, answers_of(SHOP, truth(closer=([0, 2, 5_000], [1, 0.5, 0]))), folds=3)
    longest = errors.loc[errors["to_conversion"].idxmax()]
    assert longest["seen_to_conversion"] < longest["to_conversion"]
    assert errors["seen_to_conversion"].max() == longest["to_conversion"]


def test_an_error_is_predicted_minus_answered():
    # One of four answers is swapped between its sessions: the others predict it, and it is off by what was swapped.
    rows = pd.concat([journey((0, "A", 1, 1), (10, "A", 1, 1), conv_id=f"k{number}") for number in range(4)])
    answers = answers_of(rows, truth())
    wrong = answers["conv_id"] == "k2"
    shares = answers.loc[wrong, list(SHARES)].to_numpy()
    answers.loc[wrong, list(SHARES)] = shares[::-1]
    errors = cross_validate(rows, answers, folds=4)
    found = errors.loc[errors["conv_id"] == "k2", list(SHARES)].to_numpy()
    np.testing.assert_allclose(found, shares - shares[::-1], atol=0.0003)


def test_sessions_that_do_not_close_read_no_closer_curve():
    rows = pd.concat(
        [
            journey((0, "A", 1, flag), (10, "A", 1, 0), conv_id=f"k{flag}{number}")
            for flag in (0, 1)
            for number in (0, 1)
        ]
    )
    errors = cross_validate(rows, answers_of(rows, truth()), folds=2).set_index(["conv_id", "session_id"])
    assert errors.loc[("k00", "s1"), "to_conversion"] != errors.loc[("k00", "s1"), "to_conversion"]
    assert errors.loc[("k10", "s1"), "to_conversion"] == 10
    assert errors.loc[("k00", "s2"), "to_conversion"] == 0


def test_too_few_answers_or_folds_are_refused():
    few = SHOP.loc[LENGTH > 1, "conv_id"].unique()[:4]
    with pytest.raises(
        InputError, match="with 5 folds needs 5 answers with two or more sessions, and 4 answers can be"
    ):
        cross_validate(SHOP, ANSWERS[ANSWERS["conv_id"].isin(few)])
    for folds in (1, 0, -3):
        with pytest.raises(InputError, match=f"folds is {folds}; it must be 2 or more"):
            cross_validate(SHOP, ANSWERS, folds=folds)
    with pytest.raises(InputError, match="count is 0; it must be 1 or more"):
        from_few(SHOP, ANSWERS, count=0)


def test_a_few_answers_predict_all_others_in_several_draws():
    found = from_few(SHOP, ANSWERS, count=20, draws=2)
    assert found.columns.tolist() == ["draw", "mean", "largest"]
    assert found["draw"].tolist() == [0, 1]
    assert found["mean"].between(0, 0.01).all()
    assert (found["largest"] >= found["mean"]).all()
    assert found["mean"].nunique() == 2


def test_without_answers_left_to_predict_there_is_no_draw():
    # Answers with one session carry no information and are not used for testing.
    long = SHOP.loc[LENGTH > 1, "conv_id"].nunique()
    assert len(from_few(SHOP, ANSWERS, count=long - 1, draws=1)) == 1
    assert from_few(SHOP, ANSWERS, count=long, draws=2).empty
    single = SHOP[LENGTH == 1]
    assert from_few(single, answers_of(single, truth()), count=2, draws=2).empty


def errors_of(*rows):
    """`(conv_id, channel_name, gap, to_conversion, initializer, holder, closer, ihc)`; seen: 100 and 200 hours."""
    columns = ["conv_id", "channel_name", "gap", "to_conversion", *SHARES]
    return pd.DataFrame(list(rows), columns=columns).assign(seen_gap=100.0, seen_to_conversion=200.0)


ERRORS = errors_of(
    ("k", "A", 0, 50, 0.001, 0.0, -0.004, -0.002),
    ("k", "B", 50, 0, -0.001, 0.0, 0.004, 0.002),
    ("l", "A", 0, 7, 0.0, 0.0, 0.0, 0.0),
    ("l", "A", 7, 0, 0.0, 0.0, 0.0, 0.001),
)


def test_absolute_errors_are_summarised_by_phase():
    # ihc: 0.002, 0.002, 0, 0.001. Its 99th percentile is at the largest, as the two largest are equal.
    table = error_table(ERRORS)
    assert table["phase"].tolist() == list(SHARES)
    assert table["mean"].tolist() == pytest.approx([0.0005, 0, 0.002, 0.00125])
    assert table["p99"].tolist() == pytest.approx([0.001, 0, 0.004, 0.002])
    assert table["largest"].tolist() == pytest.approx([0.001, 0, 0.004, 0.002])


def test_a_channels_errors_cancel_and_are_in_orders_and_share_of_all():
    # A: -0.002 + 0 + 0.001 = -0.001; B: 0.002. Of 4 conversions.
    table = channel_errors(ERRORS, 4)
    assert table["channel_name"].tolist() == ["B", "A"]
    assert table["sessions"].tolist() == [1, 3]
    assert table["credit"].tolist() == pytest.approx([0.002, -0.001])
    assert table["off"].tolist() == pytest.approx([0.0005, -0.00025])
    with pytest.raises(InputError, match="conversions is 0"):
        channel_errors(ERRORS, 0)


def why(*rows):
    return worst_journeys(errors_of(*rows))["why"].tolist()


def test_the_worst_journeys_come_first_with_phase_and_hours():
    worst = worst_journeys(ERRORS)
    assert worst["conv_id"].tolist() == ["k", "l"]
    assert worst["sessions"].tolist() == [2, 2]
    assert worst["largest"].tolist() == pytest.approx([0.002, 0.001])
    assert worst["why"].iloc[0] == "the closer is off by 0.0040, most 50.00 hours before the conversion"
    assert worst_journeys(ERRORS, most=1)["conv_id"].tolist() == ["k"]
    # The first session is off by as much as the two others together; the later of them is the cause.
    first = why(
        ("k", "A", 0, 60, 0.003, 0, 0, 0), ("k", "A", 10, 50, -0.001, 0, 0, 0.1), ("k", "A", 50, 0, -0.002, 0, 0, 0)
    )
    assert first == ["the initializer is off by 0.0030, most after a gap of 50.00 hours"]
    assert why(("k", "A", 50, 0, 0, 0.002, 0, 0.1)) == ["the holder is off by 0.0020; it depends on both curves"]


def test_extrapolated_hours_are_named_first():
    assert why(("k", "A", 0, 300, 0, 0, 0.1, 0.1), ("k", "A", 300, 0, 0, 0, 0, -0.1)) == [
        "a gap of 300.0 hours, where the other answers have at most 100.0: extrapolated; "
        "a session before the conversion of 300.0 hours, where the other answers have at most 200.0: extrapolated"
    ]


def test_simultaneous_and_non_closing_sessions_have_a_reason_too():
    assert why(("k", "A", 0, 0, 0.1, 0, 0, 0.1)) == ["the initializer is off by 0.1000, most after a gap of 0.00 hours"]
    assert why(("k", "A", 0, float("nan"), 0, 0.1, 0, 0.1)) == [
        "the holder is off by 0.1000; it depends on both curves"
    ]


def answered(database, answers):
    if not database.exists():
        pytest.skip("the real sample is not part of the project")
    tables = read_tables(database)
    frame = pd.read_csv(answers).rename(columns={"conversion_id": "conv_id"})
    return build_journeys(tables.sessions, tables.conversions), frame


@pytest.fixture(scope="module")
def real():
    return answered(REAL / "challenge.db", REAL / "api_results.csv")


@pytest.fixture(scope="module")
def restarting():
    return answered(RESTARTING / "answered.db", RESTARTING / "answers.csv")


@pytest.mark.slow
def test_real_answers_predict_each_other(real):
    journeys, answers = real
    errors = cross_validate(journeys, answers)
    table = error_table(errors).set_index("phase").loc["ihc"]
    assert len(errors) > 1_000
    assert table["mean"] <= 0.00004
    assert table["p99"] <= 0.0006
    assert table["largest"] <= 0.005
    assert channel_errors(errors, answers["conv_id"].nunique())["off"].abs().max() <= 0.00002


@pytest.mark.slow
def test_real_answers_of_journeys_that_restart_predict_each_other(restarting):
    journeys, answers = restarting
    errors = cross_validate(journeys, answers)
    means = error_table(errors).set_index("phase")["mean"]
    assert errors["conv_id"].nunique() == 265
    assert means["holder"] <= 0.001
    assert means["ihc"] <= 0.0003


@pytest.mark.slow
def test_real_answers_show_where_the_curve_reaches_1_without_contradictions(restarting):
    journeys, answers = restarting
    result = calibrate(journeys, answers)
    assert result.parameters.initializer.hours[-1] == pytest.approx(52.7, abs=0.05)
    assert result.parameters.initializer.membership[-1] == 1
    assert dict(result.parameters.phase_weights) == {"initializer": 0.323, "holder": 0.374, "closer": 0.303}
    assert not any("contradict the parameters" in said for said in result.warnings)


@pytest.mark.slow
def test_a_hundred_real_answers_predict_the_others(real):
    found = from_few(*real, count=100)
    assert len(found) == 10
    assert found["mean"].mean() <= 0.0002
