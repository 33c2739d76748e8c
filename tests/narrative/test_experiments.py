import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.experiments.scenarios import Move
from ihc.formatting import shown
from ihc.models.incremental import ANYWAY
from ihc.narrative.experiments import (
    agreement_sentence,
    anyway_sentence,
    calibration_finding,
    contradictions,
    disagreements,
    evidence_sentence,
    move_finding,
    move_sentence,
    next_sentence,
    results_text,
    validation_sentence,
)
from ihc.narrative.summary import contradicted, points

NAN = float("nan")


def evidence(*rows):
    """In: `(channel_name, spend, attributed_revenue, incremental_revenue, standard_error)`."""
    frame = pd.DataFrame(
        rows, columns=["channel_name", "spend", "attributed_revenue", "incremental_revenue", "standard_error"]
    )
    spend, margin = frame["spend"].where(frame["spend"] > 0), 1.96 * frame["standard_error"]
    return frame.assign(
        kind="geo",
        start_date="2025-03-01",
        end_date="2025-03-14",
        ROAS=frame["attributed_revenue"] / spend,
        iROAS=frame["incremental_revenue"] / spend,
        iROAS_low=(frame["incremental_revenue"] - margin) / spend,
        iROAS_high=(frame["incremental_revenue"] + margin) / spend,
        agrees=(frame["attributed_revenue"] - frame["incremental_revenue"]).abs() <= margin,
    )


def calibrated(*rows, anyway=(300.0, 100.0, 500.0)):
    """In: `(channel_name, cost, verdict)`."""
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "verdict"])
    ends = pd.DataFrame({"channel_name": [ANYWAY, "Total"], "cost": [0.0, frame["cost"].sum()]})
    frame = pd.concat([frame, ends], ignore_index=True).assign(experiments=2, ihc_revenue=1000.0)
    values = dict(zip(("", "_low", "_high"), anyway, strict=True))
    return frame.assign(**{f"calibrated_revenue{end}": value for end, value in values.items()})


def ranked(**sizes):
    row = {"channel_name": "Mail", "wrong_verdict": 0.21, "expected_loss": 1234.0}
    return pd.DataFrame([row | {"holdout_days": 42.0, "small_holdout_days": 119.0, "geo_days": 84.0} | sizes])


def move(low, high):
    rows = [
        ("Search", "own", -100.0, -80.0, -10.0),
        ("Mail", "own", 100.0, low + 80, high + 10),
        ("Change", "", 0.0, low, high),
    ]
    return Move(pd.DataFrame(rows, columns=["channel_name", "evidence", "spend_change", "revenue_low", "revenue_high"]))


RETARGETING = ("Retargeting", 100.0, 650.0, 145.0, 33.0)
AGREES = ("Search", 100.0, 150.0, 145.0, 33.0)


def test_contradictions_are_named_with_both_figures_the_largest_first(snapshot):
    small = ("Mail", 10.0, 50.0, 20.0, 5.0)
    assert contradictions(evidence(AGREES, small, RETARGETING)) == snapshot
    assert contradictions(evidence(("Organic", 0.0, 650.0, 145.0, 33.0))) == snapshot
    assert contradictions(evidence(AGREES)) == []


def test_experiments_that_agree_are_counted(snapshot):
    assert {
        "none": agreement_sentence(evidence()),
        "one agrees": agreement_sentence(evidence(AGREES)),
        "all agree": agreement_sentence(evidence(AGREES, AGREES)),
        "one of two": agreement_sentence(evidence(AGREES, RETARGETING)),
    } == snapshot


def test_experiments_that_contradict_each_other_are_named():
    # iROAS 1 and 2 with errors of 0.1: squares 25 + 25, ratio sqrt(50) = 7.1
    opposite = evidence(("Search", 100.0, 150.0, 100.0, 10.0), ("Search", 100.0, 150.0, 200.0, 10.0), AGREES)
    text = results_text(opposite.iloc[:2])
    assert "on Search contradict each other, so calibration multiplies their standard errors by 7.1." in text
    assert disagreements(evidence(AGREES, AGREES, RETARGETING)) == []


def test_five_contradictions_are_named_and_the_others_counted():
    lines = results_text(evidence(*[RETARGETING] * 8)).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "3 more contradictions."


def test_the_basis_of_the_estimates_is_stated():
    tested, untested = calibrated(("A", 100.0, "above")), calibrated(("A", 100.0, "above")).assign(experiments=0)
    assert evidence_sentence(tested) == ""
    assert "experiment" not in evidence_sentence(untested)
    assert "experiments on other channels" in evidence_sentence(tested.assign(experiments=[0, 0, 2]))


def test_no_experiment_is_recommended_for_a_settled_verdict():
    assert next_sentence(ranked(wrong_verdict=0.001)) == "Each verdict on iROAS is settled, so no experiment is needed."
    both = pd.concat(
        [
            ranked(channel_name="Big", holdout_days=900.0, small_holdout_days=900.0, geo_days=900.0),
            ranked(wrong_verdict=0.001),
        ]
    )
    assert next_sentence(both).startswith("An experiment on Big would be worth most.")


def test_a_contradiction_is_a_priority_of_the_summary():
    empty = pd.DataFrame(columns=["channel_name", "cost", "verdict", "headroom", "section", "line"])
    ages = pd.DataFrame(columns=["is_immature", "ihc_revenue_expected", "ihc_revenue"])
    lines = empty.assign(count=0.0, amount=0.0)
    verdicts = empty.astype({"cost": "float64", "headroom": "float64"})
    tests = evidence(AGREES, RETARGETING)
    found = points(verdicts, lines, empty, ages.astype({"is_immature": "bool"}), empty, contradicted(tests))
    assert [point.amount for point in found] == [505]
    assert found[0].text.startswith("Attribution contradicts an experiment. Retargeting: attributed ROAS 6.50, ")


def test_the_verdicts_on_iroas_are_counted_and_named(snapshot):
    rows = [("A", 100.0, "above"), ("B", 100.0, "below"), ("C", 100.0, "inconclusive"), ("Direct", 0.0, "no spend")]
    assert {
        "each": calibration_finding(calibrated(*rows), 4),
        "no spend": calibration_finding(calibrated(rows[-1])),
    } == snapshot


def test_neither_less_than_nothing_nor_more_than_everything_would_have_come_anyway():
    assert anyway_sentence(calibrated(anyway=(300.0, -50.0, 1200.0))).endswith("(95% interval: 0 to 1,000).")


def test_what_would_have_come_anyway_is_stated(snapshot):
    assert {
        "some": anyway_sentence(calibrated()),
        "less than nothing": anyway_sentence(calibrated(anyway=(-300.0, -500.0, -100.0))),
    } == snapshot


def test_the_next_experiment_is_recommended_with_the_sizes_that_are_possible(snapshot):
    long = ranked(holdout_days=700.0, small_holdout_days=NAN, geo_days=900.0)
    assert {
        "all": next_sentence(ranked()),
        "half of the users": next_sentence(ranked(small_holdout_days=400.0, geo_days=NAN)),
        "none": next_sentence(long),
        "the second": next_sentence(pd.concat([long, ranked(channel_name="Search")])),
        "no channel": next_sentence(ranked()[:0]),
    } == snapshot


def test_a_move_is_only_a_gain_if_its_whole_range_is(snapshot):
    assert {
        (low, high): [move_finding(move(low, high), "Search", "Mail", 0.1), move_sentence(move(low, high), ranked())]
        for low, high in ((20.0, 390.0), (-50.0, 390.0), (-300.0, -20.0))
    } == snapshot


def test_the_experiment_that_would_tell_may_be_on_a_small_channel():
    assert "has less than 1% of spend" in move_sentence(move(-50.0, 390.0), ranked()[:0])


def test_the_validation_compares_the_first_and_the_last_row():
    rows = [("attributed", 60, 1.4, NAN), ("0", 60, 0.7, 1.0), ("3", 60, 0.5, 0.955)]
    text = validation_sentence(pd.DataFrame(rows, columns=["estimate", "seeds", "roas_error", "coverage"]))
    assert text.startswith("In 60 simulated shops, iROAS calibrated by 3 experiments has an error of 0.50, 64% less ")
    assert "for 95.5% of the channels" in text


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    texts = [
        *contradictions(evidence((name, 100.0, 650.0, 145.0, 33.0))),
        next_sentence(ranked(channel_name=name)),
        move_finding(move(1.0, 2.0), "Search", name, 0.1),
        calibration_finding(calibrated((name, 100.0, "above"))),
    ]
    assert [text for text in texts if shown(name) not in text or not text.isprintable()] == []
