"""A run: check everything, execute the notebooks in order through papermill, export the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ihc.analysis.dimension import with_dimension
from ihc.api.ledger import requests_of
from ihc.database.inputs import read_columns, read_tables
from ihc.database.results import create_tables, read_results, try_writing
from ihc.errors import SettingsError, why
from ihc.journeys.build import check_memory, find_spans
from ihc.journeys.credits import vanished
from ihc.memory import free_memory
from ihc.narrative.run import left_out_sentence
from ihc.pipeline.notebooks import Execution
from ihc.pipeline.sample import prepare
from ihc.report.files import read_csv, read_json, try_folder
from ihc.report.page import write_page
from ihc.settings.run import Settings, kernel_environment
from ihc.shipped import shipped

# Written by the attribution itself, and by a run that was asked for it.
WITHOUT, EXPORT = "orders_without_credit.csv", "order_credits.csv"
FILES = (
    *("channel_reporting.csv", "channel_summary.csv", "channel_intervals.csv", "break_even.csv", "channel_phases.csv"),
    *("key_figures.csv", "reconciliation.csv", "without_credit.csv", "without_credit_by_day.csv"),
    *("channel_weekly.csv", "days.csv", "credit_lag.csv", "changes.csv", WITHOUT, "run.json"),
    *("model_comparison.csv", "sensitivity.csv", "fragile_channels.csv", "single_changes.csv"),
    *("journey_lengths.csv", "time_to_conversion.csv", "paths.csv", "channel_roles.csv", "transitions.csv"),
    *("channel_scores.csv", "channel_impact.csv", "credit_distribution.csv", "explained_order.csv"),
)
# What a run executes, each after those that it needs: charts give their colours by the credit, so all but the first
# come after the attribution; the longest first.
ATTRIBUTION = {"01_check_data": (), "03_attribute": ("01_check_data",)}
REPORT = ("04_channel_report", "05_compare_models", "06_engine_parameters", "02_build_journeys")
Say = Callable[[str], object]


@dataclass(frozen=True)
class RunResult:
    """What a run wrote and found: files, reconciliation, key figures, summary, the credits' sources, what is left out.

    `missing`: what the report cannot be made without, in a sentence, empty if nothing; `ends`: `conv_id, outcome,
    reason` of the run's orders; `asked`: what was asked of the API, empty if nothing; `failed_charts`: a sentence for
    each chart that was not drawn.
    """

    files: list[Path]
    reconciliation: pd.DataFrame
    figures: pd.DataFrame
    summary: pd.DataFrame
    sources: pd.DataFrame
    left_out: str
    missing: str
    ends: pd.DataFrame
    asked: dict[str, int]
    failed_charts: list[str]


def check(settings: Settings) -> None:
    """Refuse what cannot work before anything is written; raises the IhcError that says what and where."""
    _ = settings.source
    if not settings.is_default_database or settings.database.exists():
        tables = read_tables(settings.database)
        with_dimension(tables.sessions, **settings.report.dimension)
        spans = find_spans(tables.sessions, tables.conversions, **settings.window, lookback_days=settings.lookback_days)
        check_memory(spans, free_memory())
        try_writing(settings.database)
    _check_output(settings.output)


def _check_output(output: Path) -> None:
    try:
        for folder in (output, output / "charts", output / "runs"):
            try_folder(folder)
    except OSError as error:
        raise SettingsError(f"The output folder {output} cannot be written: {why(error)}.") from None


def notebooks_of(*, report_only: bool = False) -> dict[str, tuple[str, ...]]:
    """The notebooks that a run executes, and those that each of them needs."""
    if report_only:
        return dict.fromkeys((*REPORT, "01_check_data"), ())
    return ATTRIBUTION | dict.fromkeys(REPORT, ("03_attribute",))


def run(
    settings: Settings, say: Say = print, on_start: Say = lambda name: None, *, report_only: bool = False
) -> RunResult:
    """Run everything end to end, or make the report of what is stored without asking any engine.

    `say` prints a line; `on_start` is told the name of each notebook that begins.

    Raises IhcError: refused before anything was written, or NotebookError for a notebook that failed.
    """
    if report_only:
        # It writes no results, so what is unfit in the tables may come out as late as in the notebooks.
        with settings.database.transaction():
            _check_output(settings.output)
    else:
        check(settings)
    with settings.database.lock(say, held=settings.held_lock) as lock:
        prepare(settings, say)
        with_dimension(read_columns(settings.database), **settings.report.dimension)
        create_tables(settings.database)
        execution = Execution(
            notebooks=shipped("notebooks"),
            parameters=notebook_parameters(settings),
            folder=settings.output / "runs" / settings.run_id,
            environment=kernel_environment(settings),
            secrets=settings.secrets,
            say=say,
            on_start=on_start,
            lock=lock,
        )
        executed = execution.run(notebooks_of(report_only=report_only))
        page, failed_charts = write_page(executed, settings.output, settings.secrets)
        return _result(settings, [page, *executed.values()], failed_charts, report_only=report_only)


def _result(settings: Settings, files: list[Path], failed_charts: list[str], *, report_only: bool) -> RunResult:
    output = settings.output
    # What an earlier run left in the folder is not of this one.
    left = {*([] if settings.report.export_credits else [EXPORT]), *([WITHOUT] if report_only else [])}
    about, results = read_json(output / "run.json"), read_results(settings.database)
    ends = results.outcomes[results.outcomes["run_id"] == settings.run_id]
    return RunResult(
        files=[
            *filter(Path.exists, (output / name for name in (*FILES, EXPORT) if name not in left)),
            *sorted((output / "charts").iterdir()),
            *files,
        ],
        reconciliation=read_csv(output / "reconciliation.csv"),
        figures=read_csv(output / "key_figures.csv"),
        summary=read_csv(output / "channel_summary.csv"),
        sources=pd.DataFrame(about["credits_from"]),
        left_out=left_out_sentence(vanished(results.runs, settings.run_id), results.unsound),
        missing=about["missing"],
        ends=ends[["conv_id", "outcome", "reason"]],
        asked=requests_of(settings.database, settings.run_id) if settings.account and not report_only else {},
        failed_charts=failed_charts,
    )


def notebook_parameters(settings: Settings) -> dict[str, Any]:
    """The parameters of a run's notebooks; a database URL is left to the environment, as it may hold a password."""
    values = {name: "" if value is None else value for name, value in settings.values().items()}
    return values | {
        "database": "" if settings.database.is_url else settings.database.address,
        "lookback_days": settings.lookback_days,
        "max_requests": settings.api_limits.max_requests,
    }
