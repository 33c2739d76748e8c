"""Run everything: check the settings and tables, execute the notebooks, write the report."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd

from ihc.analysis.dimension import with_dimension
from ihc.api.ledger import requests_of
from ihc.database.inputs import read_columns, read_tables
from ihc.database.locks import Lock
from ihc.database.results import create_tables, store_reporting, try_writing
from ihc.errors import SettingsError, why
from ihc.exhibits.data import ReportData, as_stored, check_types
from ihc.exhibits.files import Saved, save
from ihc.exhibits.report import Report
from ihc.experiments.results import check_channels, check_days
from ihc.formatting import speak
from ihc.journeys.build import check_memory, find_spans
from ihc.memory import free_memory, give_back_memory
from ihc.pipeline.attribution import read_source
from ihc.pipeline.intermediate import code_inputs, folder_of, have_changed, write_inputs
from ihc.pipeline.sample import prepare
from ihc.report.files import try_folder
from ihc.schemas.conversion_types import of_type
from ihc.schemas.spend import as_sessions
from ihc.schemas.tables import Tables
from ihc.settings.run import Settings, kernel_environment
from ihc.shipped import shipped

WITHOUT = "orders_without_credit.csv"  # written by the attribution
# Notebooks of a run: first the attribution, then the others, longest first.
ATTRIBUTION = ("03_attribute", "01_check_data")
ANALYSIS = (
    *("07_compare_models", "04_channels", "06_what_changed"),
    *("05_over_time", "02_journeys", "08_engine_parameters"),
)
NOTEBOOKS = (*ATTRIBUTION, *ANALYSIS)
CHANGED = (
    "The shop's tables changed during this run. The results are those of the tables at its start: run again to include "
    "the changes."
)
EXECUTION = "ihc.pipeline.notebooks"  # slow to import, not needed for a report only
REPORT = "report"  # name of the last step in the progress; not a notebook
Say = Callable[[str], object]
Step = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    `report`: all figures; `outcomes`: `conv_id, outcome, reason` of the run's orders; `requests`: counts of API
    requests, empty if none; `failed_charts`: a message for each chart that could not be drawn.
    """

    report: Report
    files: list[Path]
    outcomes: pd.DataFrame
    requests: dict[str, int]
    failed_charts: list[str]


def check(settings: Settings) -> Tables | None:
    """Validate everything before writing; raises an IhcError with the problem and its location.

    Out: the tables; None if the sample shop will be made.
    """
    _ = settings.source
    tables = None
    if not settings.is_default_database or settings.database.exists():
        tables = read_tables(settings.database)
        check_types(settings, tables.conversions)
        sessions = with_dimension(tables.sessions, **settings.report.dimension)
        if settings.report.results is not None:
            alone = with_dimension(as_sessions(tables.sessions, tables.costs), **settings.report.dimension)
            rows = pd.concat([each[["channel_name", "event_date"]] for each in (sessions, alone)])
            check_channels(settings.report.results, rows["channel_name"])
            check_days(settings.report.results, rows.rename(columns={"event_date": "date"}))
        conversions = of_type(tables.conversions, settings.conversion_type)
        spans = find_spans(tables.sessions, conversions, **settings.window, **settings.journey_rules)
        check_memory(spans, free_memory())
        try_writing(settings.database)
    _check_output(settings.output)
    return tables


def _check_output(output: Path) -> None:
    try:
        for folder in (output, output / "charts", output / "runs"):
            try_folder(folder)
    except OSError as error:
        raise SettingsError(f"The output folder {output} cannot be written: {why(error)}.") from None


def steps(*, report_only: bool = False) -> int:
    """The number of steps of a run: notebooks plus the report."""
    return 1 if report_only else len(NOTEBOOKS) + 1


def run(
    settings: Settings,
    say: Say = print,
    step: Step = nullcontext,
    *,
    report_only: bool = False,
    keep_intermediate: bool = False,
) -> RunResult:
    """Run everything end to end, or only rebuild the report from stored results.

    `say` prints a line; `step` is a context manager entered with the name of each running notebook and of the report.
    `keep_intermediate`: do not delete the files that the notebooks share, see `ihc.pipeline.intermediate`.

    Raises IhcError before anything is written, or NotebookError for a failed notebook.
    """
    speak(settings.report.style.language)
    if report_only:
        # No credits are stored, so invalid tables may be detected as late as in the report.
        with settings.database.transaction():
            _check_output(settings.output)
    else:
        # Importing papermill takes a second, in which the database can be read.
        Thread(target=import_module, args=[EXECUTION], daemon=True).start()
        checked = check(settings)
    waits: list[str] = []

    def wait(text: str) -> None:
        waits.append(text)
        say(text)

    with settings.database.lock(wait, held=settings.held_lock) as lock:
        prepare(settings, say)
        with_dimension(read_columns(settings.database), **settings.report.dimension)
        create_tables(settings.database)
        if report_only:
            report, saved = _save(settings, step)
            store_reporting(settings.database, report.data.reporting)
            return _result(report, saved, [], report_only=True)
        # Another run may have changed what was read before it ended.
        tables = read_tables(settings.database) if checked is None or waits else checked
        del checked
        with folder_of(settings, is_kept=keep_intermediate) as folder:
            settings = replace(settings, frames=folder)
            tables = write_inputs(settings, tables)
            return _execute_and_save(settings, tables, say, step, lock)


def _save(settings: Settings, step: Step) -> tuple[Report, Saved]:
    with step(REPORT):
        source = read_source(settings)
        report = Report(ReportData(as_stored(settings, source.tables, source.results), source))
        return report, save(report, settings.output)


def _execute_and_save(settings: Settings, tables: Tables, say: Say, step: Step, lock: Lock | None) -> RunResult:
    """Run the attribution, then the other notebooks while this process writes the report."""
    execution = import_module(EXECUTION).Execution(
        notebooks=shipped("notebooks"),
        parameters=notebook_parameters(settings),
        folder=settings.output / "runs" / settings.run_id,
        environment=kernel_environment(settings),
        secrets=settings.secrets,
        say=say,
        step=step,
        lock=lock,
    )
    with ThreadPoolExecutor(2) as pool:
        try:
            attribution = pool.submit(execution.run, dict.fromkeys(ATTRIBUTION, ()))
            code_inputs(settings, tables)
            give_back_memory()
            executed = attribution.result()
            analysis = pool.submit(execution.run, dict.fromkeys(ANALYSIS, ()))
            changed = pool.submit(have_changed, settings.database, tables)
            report, saved = _save(settings, step)
            executed |= analysis.result()
        except BaseException:
            execution.end()
            raise
        finally:
            execution.close()
    if changed.result():
        say(CHANGED)
    return _result(report, saved, [*executed.values()], report_only=False)


def _result(report: Report, saved: Saved, executed: list[Path], *, report_only: bool) -> RunResult:
    settings = report.data.settings
    without = [] if report_only else [settings.output / WITHOUT]
    return RunResult(
        report=report,
        files=[*filter(Path.exists, without), *saved.files, *executed],
        outcomes=report.data.outcomes[["conv_id", "outcome", "reason"]],
        requests=requests_of(settings.database, settings.run_id) if settings.account and not report_only else {},
        failed_charts=saved.failed_charts,
    )


def notebook_parameters(settings: Settings) -> dict[str, Any]:
    """The notebook parameters that differ from the defaults.

    A database URL is passed in the environment instead, because it may contain a password.
    """
    values = settings.values() | {
        "database": "" if settings.database.is_url else settings.database.address,
        "lookback_days": settings.lookback_days,
        "max_requests": settings.api_limits.max_requests,
    }
    return {name: value for name, value in values.items() if value not in (None, "", False)}
