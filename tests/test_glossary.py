import numpy as np
import pandas as pd
import pytest
from helpers import states
from helpers.frames import conversions, costs, credits_of, curves_of, journey, outcomes, sessions

from ihc.analysis import changes, paths, reconciliation, reporting
from ihc.analysis import channels as evaluation
from ihc.calibration import training
from ihc.database.tables import HISTORY
from ihc.glossary import FORMATS, GLOSSARY, HEADINGS, MONEY, TEXT, heading
from ihc.journeys import credits
from ihc.journeys.paths import channel_paths
from ihc.models import explanation, incremental, markov
from ihc.models import heuristics as baselines
from ihc.models import ihc as engine
from ihc.quality import checks as quality
from ihc.schemas import tables as schemas

SHOP = schemas.Tables(sessions(), conversions(), costs())
JOURNEYS = journey((0, "Search", 1, 1))
SEVERAL = pd.concat([journey(*[(hour, "A", 1, 1) for hour in range(3)], conv_id=name) for name in "kl"])
TRAINED = training.train(SEVERAL, name="set", made="2023-09-01")
CREDITS = engine.attribute(JOURNEYS, curves_of())
PLACED = evaluation.with_channels(CREDITS, JOURNEYS)
REPORTING = reporting.channel_reporting(*SHOP, credits_of())
CHANGES = changes.compare(states.of_shop(SHOP), states.of_shop(SHOP))
STORED = pd.DataFrame(columns=["conv_id", "outcome", "reason", "engine", "parameters", "lookback_days"])
SHOWN = {
    "channel_reporting": REPORTING,
    "channel_summary": reporting.channel_summary(*SHOP, credits_of()),
    "journey_lengths": paths.journey_lengths(JOURNEYS),
    "time_to_conversion": paths.time_to_conversion(JOURNEYS),
    "commonest_paths": paths.commonest_paths(JOURNEYS),
    "table_shapes": quality.table_shapes(SHOP),
    "quality_findings": quality.quality_findings(SHOP),
    "explanations": explanation.explanations(JOURNEYS, curves_of()),
    "phase_weights": explanation.phase_weight_table(curves_of()),
    "channel_weights": explanation.channel_weight_table(curves_of(), JOURNEYS),
    "channel_scores": evaluation.channel_scores(PLACED),
    "average_impact": evaluation.average_impact(PLACED),
    "credit_distribution": evaluation.credit_distribution(PLACED),
    "before_after": evaluation.before_after(CREDITS, CREDITS, JOURNEYS),
    "credits": baselines.linear(JOURNEYS),
    "removal_effects": markov.removal_effects(channel_paths(JOURNEYS)),
    "incremental_orders": incremental.incremental_table(pd.Series(["A"]), np.array([1.0, 2.0]), []),
    "changes": CHANGES.channels,
    "causes": CHANGES.causes,
    "largest_changes": changes.largest_changes(CHANGES.channels),
    "report_runs": pd.DataFrame(columns=[*HISTORY["report_runs"], "ROAS"]),
    "provenance": credits.provenance(STORED, STORED["conv_id"]),
    "training_rules": TRAINED.rules,
    "training_lengths": TRAINED.lengths,
    "training_distributions": TRAINED.distributions,
    "failures": pd.DataFrame(columns=["conv_id", "reason"]),
    "reconciliation": reconciliation.reconcile(SHOP, credits_of(), outcomes(), REPORTING)[["line", "count", "amount"]],
}


@pytest.mark.parametrize("name", SHOWN)
def test_every_shown_column_has_a_heading_and_a_unit_which_is_text_for_text_columns_only(name):
    shown = SHOWN[name]
    assert set(shown.columns) - {*GLOSSARY, *HEADINGS} == set()
    for column in shown.columns if len(shown) else []:
        assert (heading(column)[1] == TEXT) == (not pd.api.types.is_numeric_dtype(shown[column])), column


def test_every_term_has_a_heading_a_known_unit_and_a_full_sentence_as_definition():
    for name, term in GLOSSARY.items():
        assert term.heading, name
        assert term.unit in FORMATS, name
        assert term.definition[0].isupper(), name
        assert term.definition.endswith("."), name


def test_headings_of_terms_are_unique_and_no_column_is_defined_twice():
    headings = [term.heading for term in GLOSSARY.values()]
    assert len(set(headings)) == len(headings)
    assert not GLOSSARY.keys() & HEADINGS.keys()


def test_headings_have_known_units():
    assert {unit for _, unit in HEADINGS.values()} <= FORMATS.keys()


@pytest.mark.parametrize(
    ("column", "found"),
    [("ROAS", ("ROAS", "ratio")), ("cost", ("Spend", MONEY)), ("orders", ("Orders", "count")), ("IHC", ("IHC", MONEY))],
)
def test_an_unknown_column_keeps_its_name_and_has_the_unit_money(column, found):
    assert heading(column) == found


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (MONEY, 1234.5, "1,234.50"),
        ("count", 1234, "1,234"),
        ("share", 0.1234, "12.3%"),
        ("orders", 1234.567, "1,234.57"),
        ("ratio", 0.056, "0.06"),
        (TEXT, "1234", "1234"),
    ],
)
def test_each_unit_has_its_own_number_format(unit, value, text):
    assert FORMATS[unit](value) == text
