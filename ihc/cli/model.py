"""Commands `ihc calibrate`, `ihc train` and `ihc explain` for model parameters."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc.cli.options import settled, takes
from ihc.cli.printing import make_console, print_table, say
from ihc.errors import InputError, ParametersError, SettingsError
from ihc.formatting import counted, some

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ihc.calibration.training import Trained
    from ihc.database.database import Database
    from ihc.models.parameters import Parameters
    from ihc.schemas.tables import Tables
    from ihc.settings.run import Settings


TRAINING_TABLES = ("rules", "lengths", "distributions", "curves")
EXPLAINED = {
    "Sessions, with hours since the previous session and hours to the conversion": (
        *("number", "channel_name", "timestamp", "gap", "to_conversion", "restart"),
    ),
    "Memberships times channel weights; sessions before a restart get 0": (
        *("number", "initializer_membership", "initializer_weight", "holder_membership", "holder_weight"),
        *("closer_membership", "closer_weight"),
    ),
    "Before redistribution": ("number", "initializer_before", "holder_before", "closer_before"),
    "Phases, and credit as their weighted mean": (
        *("number", "initializer", "holder", "closer", "ihc", "ihc_revenue"),
    ),
}


@takes("database", "schema", "lookback_days", "restart_after_order", "conversion_type")
def calibrate(
    answers: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="CSV file with API answers. [default: answers stored in the database]"),
    ] = None,
    conv_type_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Use stored answers of this conversion type.")
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also print the errors with fewer answers, and the largest errors.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Output file. [default: data/calibrated_parameters.json]"),
    ] = None,
    **options: Any,
) -> None:
    """Calibrate the local engine's parameters on API answers.

    Answers have the columns conversion_id, session_id, initializer, holder, closer, ihc. A few hundred with two or more
    sessions are enough to predict the API's results for all other orders.
    """
    from ihc.calibration.calibrate import calibrate as recover
    from ihc.pipeline.answers import answers_of_database, answers_of_file
    from ihc.schemas.tables import PHASES

    if answers and conv_type_id:
        raise SettingsError("--conv-type-id selects stored answers, and --answers a file: leave out one.")
    settings, journeys, _ = _journeys(every_day=True, **options)
    if answers:
        given = answers_of_file(answers)
    else:
        given = answers_of_database(settings.database, journeys, conv_type_id or settings.given.conv_type_id)
    target = _target(output or settings.output / "calibrated_parameters.json", settings.database, answers)
    found = recover(journeys, given.frame, made=date.today().isoformat(), source=given.source)
    console = make_console()
    received = given.frame["conv_id"].nunique()
    used = received - len(found.left_out)
    console.print(
        f"{used:,} of {counted(received, 'answer')} can be used. The parameters are fitted to the "
        f"{found.parameters.provenance['journeys']:,} orders with two or more sessions."
    )
    if given.outdated:
        console.print(
            f"{counted(given.outdated, 'stored answer')} left out: the order's sessions have changed since they were "
            "sent to the API."
        )
    for reason, orders in found.left_out.groupby("reason", sort=False)["conv_id"]:
        console.print(f"Left out, {counted(len(orders), 'answer')}: {reason} ({some(orders)}).")
    say(console, found.warnings)
    print_table(console, "Sessions per section of the curves", found.support)
    for title, what in (("Channel weights", "weight"), ("Journeys that identify the weights", "journeys")):
        columns = ["channel_name", *(f"{phase}_{what}" for phase in PHASES)]
        print_table(console, title, found.channels[columns])
    _print_phase_weights(console, found.parameters)
    fit = _print_errors(console, journeys, given.frame, used, evaluate)
    _write(console, found.parameters, target, held_out_errors=fit, shop=settings.database.name)


def _print_errors(
    console: Console, journeys: pd.DataFrame, answers: pd.DataFrame, used: int, evaluate: bool
) -> dict[str, Any]:
    """Print the errors of predicting held-out answers, and return them for the provenance."""
    from ihc.calibration.validation import FOLDS, channel_errors, cross_validate, error_table

    try:
        errors = cross_validate(journeys, answers)
    except InputError as error:
        console.print(f"The parameters were not tested on held-out answers. {error}")
        return {}
    table = error_table(errors)
    title = f"Errors on held-out answers ({FOLDS}-fold cross-validation, orders with two or more sessions)"
    print_table(console, title, table)
    off = channel_errors(errors, used)
    console.print(f"Over all {used:,} orders, the largest error of a channel's credit is {off['off'].abs().max():.5%}.")
    if evaluate:
        _print_evaluation(console, journeys, answers, errors)
    return {str(row["phase"]): {name: round(row[name], 6) for name in table.columns[1:]} for _, row in table.iterrows()}


@takes("database", "schema", "start_date", "end_date", "lookback_days", "restart_after_order", "conversion_type")
def train(
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Output file. [default: data/trained_parameters.json]")
    ] = None,
    **options: Any,
) -> None:
    """Train the local engine's parameters on journeys only.

    A starting point for a shop without API answers; it does not reproduce the API's results. Prints a training report
    and writes its tables as CSV files next to the parameters.
    """
    from ihc.calibration.training import sessions_after_conversion
    from ihc.calibration.training import train as train_parameters
    from ihc.report.files import writable, write_csv

    settings, journeys, tables = _journeys(**options)
    target = _target(output or settings.output / "trained_parameters.json", settings.database)
    files = {name: writable(target.with_name(f"{target.stem}_{name}.csv")) for name in TRAINING_TABLES}
    found = train_parameters(journeys, name="trained", made=date.today().isoformat())
    console = make_console()
    late = sessions_after_conversion(tables.sessions, tables.conversions)
    console.print(f"{counted(journeys['conv_id'].nunique(), 'journey')} with {counted(len(journeys), 'session')}.")
    console.print(f"{counted(late, 'session')} after the user's last order, in no journey.")
    say(console, found.warnings)
    _print_training(console, found)
    _say_written(console, [write_csv(getattr(found, name), path) for name, path in files.items()])
    _write(console, found.parameters, target, shop=settings.database.name)


@takes(
    *("database", "schema", "parameters", "redistribution", "lookback_days", "restart_after_order", "conversion_type"),
    "output",
    output="Folder for the table and the chart. [default: data]",
)
def explain(conv_id: Annotated[str, typer.Argument(metavar="CONV_ID", help="Order id.")], **options: Any) -> None:
    """Show how the local engine computes the credit of one order.

    Prints hours, memberships, weights, phases and credit of each session, and writes them as CSV and as a chart.
    """
    import pandas as pd

    from ihc.charts.models import explanation_chart
    from ihc.database.results import read_credit
    from ihc.models.explanation import explain as explain_order
    from ihc.narrative.models import explanation_sentence, stored_credit_sentence
    from ihc.pipeline.attribution import check_named_types
    from ihc.report.figures import Picture, write_chart
    from ihc.report.files import writable, write_csv

    settings, journeys, tables = _journeys(every_day=True, conv_id=conv_id, **options)
    check_named_types(settings, tables.conversions)
    sets = settings.load_parameter_sets()
    parameters = sets.of_conversions(pd.Series([conv_id], dtype="str"), tables.conversions)
    source = settings.labelled(parameters)
    steps = explain_order(journeys, parameters, conv_id, settings.redistribution_rules)
    folder, name = settings.output / "explanations", _file_name(conv_id)
    target = writable(folder / f"{name}.csv")
    sentence = explanation_sentence(steps)
    console = make_console()
    console.print(f"{sentence} Computed by the local engine with parameters {source}.")
    console.print(stored_credit_sentence(steps, read_credit(settings.database, conv_id)))
    numbered = steps.assign(number=range(1, len(steps) + 1))
    for title, columns in EXPLAINED.items():
        if set(columns) <= set(numbered):
            print_table(console, title, numbered[list(columns)], decimals=4)
    _print_phase_weights(console, parameters)
    table = write_csv(steps, target)
    draw = partial(explanation_chart, steps)
    failed = write_chart(partial(Picture, draw, sentence, source), folder, name)
    files = [path for kind in ("svg", "png") if (path := folder / f"{name}.{kind}").exists()]
    _say_written(console, [table, *files])
    if failed:
        console.print(failed)
        raise typer.Exit(1)


def _journeys(
    *, every_day: bool = False, conv_id: str | None = None, **options: Any
) -> tuple[Settings, pd.DataFrame, Tables]:
    """Settings, journeys and tables for a command that uses the local engine.

    `every_day`: ignore the date settings; `conv_id`: only this order's user, including refunds.
    """
    from ihc.database.inputs import read_tables, users_of
    from ihc.journeys.build import build_journeys
    from ihc.memory import free_memory
    from ihc.pipeline.sample import prepare
    from ihc.schemas.conversion_types import check_type, of_type
    from ihc.schemas.refunds import purchases

    settings = settled(engine="local", **options)
    prepare(settings, typer.echo)
    window = {} if every_day else settings.window
    users = None if conv_id is None else users_of(settings.database, conv_id)
    tables = read_tables(settings.database, users=users)
    if conv_id is None:
        check_type(tables.conversions, settings.conversion_type)
    tables = tables.with_conversions(of_type(tables.conversions, settings.conversion_type))
    rules = settings.journey_rules
    journeys = build_journeys(tables.sessions, tables.conversions, **window, **rules, memory=free_memory())
    return settings, journeys if conv_id else purchases(journeys), tables


def _say_written(console: Console, files: list[Path]) -> None:
    say(console, ["Written:", *(f"  {path}" for path in files)])


def _print_phase_weights(console: Console, parameters: Parameters) -> None:
    weights = ", ".join(f"{phase} {weight:.4g}" for phase, weight in parameters.phase_weights.items())
    console.print(f"Phase weights: {weights}.")


def _print_training(console: Console, found: Trained) -> None:
    import numpy as np
    import pandas as pd

    print_table(console, "Cleaning rules", found.rules)
    print_table(console, "Sessions per journey before and after cleaning", found.lengths)
    title = "Hours per journey, outliers excluded (the curves end at the 90th percentile)"
    print_table(console, title, found.distributions.iloc[::10])
    hours = np.array([0.0, 1, 2, 6, 12, 24, 48, 72, 120, 240])
    curves = {f"{phase}_membership": getattr(found.parameters, phase)(hours) for phase in ("initializer", "closer")}
    print_table(console, "Curves", pd.DataFrame({"hours": hours, **curves}))
    _print_phase_weights(console, found.parameters)
    console.print("Each phase weight is the phase's share of sessions; the vendor's rule is not published.")
    console.print(
        "Every channel weight is 1: on a real shop, weights learned from journeys predicted held-out API answers no "
        "better."
    )


def _print_evaluation(console: Console, journeys: pd.DataFrame, answers: pd.DataFrame, errors: pd.DataFrame) -> None:
    from ihc.calibration.validation import SMALL_QUOTA, channel_errors, from_few, worst_journeys

    print_table(console, "Journeys with the largest errors", worst_journeys(errors))
    print_table(
        console, "Credit by channel: predicted minus actual", channel_errors(errors, answers["conv_id"].nunique())
    )
    few = from_few(journeys, answers, count=SMALL_QUOTA)
    if few.empty:
        console.print(
            f"At most {SMALL_QUOTA} orders with two or more sessions have an answer: too few to calibrate on "
            f"{SMALL_QUOTA} and test on others."
        )
        return
    print_table(
        console, f"Errors of ihc on all other answers, calibrated on {SMALL_QUOTA} with two or more sessions", few
    )
    console.print(
        f"Calibrated on {SMALL_QUOTA} answers with two or more sessions, the mean error of ihc is "
        f"{few['mean'].mean():.6f} on average over {len(few)} draws."
    )


def _target(path: Path, database: Database, answers: Path | None = None) -> Path:
    """Check the output file before computing: it must be writable and must not overwrite other data."""
    from ihc.models.parameters import load_parameters
    from ihc.report.files import writable

    sources = [file.resolve() for file in (database.file, answers) if file]
    if path.resolve() in sources:
        raise SettingsError(f"--output {path} is an input file: choose another file.")
    if path.is_file():
        try:
            load_parameters(path)
        except ParametersError:
            raise SettingsError(
                f"--output {path} exists, is not a parameters file and is not overwritten: choose another file."
            ) from None
    return writable(path)


def _write(console: Console, parameters: Parameters, path: Path, **provenance: object) -> None:
    from ihc.models.parameters import parameters_json
    from ihc.report.files import write_text

    parameters = replace(parameters, provenance={**parameters.provenance, **provenance})
    write_text(parameters_json(parameters), path)
    console.print(f"Written: {path}, {parameters.label}. Use it with: ihc run --parameters {path}")


def _file_name(conv_id: str) -> str:
    """A safe file name for any order id, unique per id."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", conv_id)[:80]
    return plain if plain == conv_id else f"{plain}-{hashlib.sha256(conv_id.encode()).hexdigest()[:8]}"
