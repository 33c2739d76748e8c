"""Command `ihc run`: options, progress and summary."""

from __future__ import annotations

import gc
import json
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc.cli.options import settled, takes
from ihc.cli.printing import bars, make_console, print_channels, say
from ihc.formatting import counted, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from ihc.pipeline.runner import RunResult
    from ihc.settings.run import Settings


REFUSED, WAITING, INTERRUPTED = 1, 3, 130
SWITCH = 0.001  # how long a kernel's message waits while the report is drawn [s]; usually 0.005


@takes(
    *("database", "schema", "start_date", "end_date", "parameters", "lookback_days", "restart_after_order"),
    *("conversion_type", "engine", "conv_type_id", "redistribution", "refresh", "max_requests", "by", "channel_groups"),
    *("experiments", "stress", "direct", "currency", "break_even_roas", "style", "export_credits", "output"),
)
def run(
    report_only: Annotated[bool, typer.Option("--report-only", help="Rebuild the report from stored results.")] = False,
    keep_intermediate: Annotated[
        bool, typer.Option("--keep-intermediate", help="Keep the files that the notebooks of the run share.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the path of the report.")] = False,
    **options: Any,
) -> None:
    """Attribute orders and write the report.

    Exit codes: 0 all orders are credited or untracked; 1 error, or an order or a chart failed; 2 usage error; 3 orders
    wait for the next run.
    """
    gc.set_threshold(10_000)  # looking for garbage as often as usual takes a tenth of a report's time
    sys.setswitchinterval(SWITCH)
    if not report_only:
        from ihc.pipeline.forks import start_early

        start_early()
    from ihc.narrative import run as narrative

    settings = settled(**options)
    how = {"report_only": report_only, "keep_intermediate": keep_intermediate}
    result = _run_with_progress(settings, is_quiet=quiet or as_json, **how)
    page = settings.output / "report.html"
    if as_json:
        typer.echo(json.dumps(_as_json(result, settings), indent=2, ensure_ascii=False))
    elif quiet:
        _print_trouble(result, make_console(stderr=True))
        typer.echo(page)
    else:
        _print_result(result, settings)
    if open_page:
        webbrowser.open(page.as_uri())
    outcomes = set(result.outcomes["outcome"])
    if "failed" in outcomes or result.failed_charts:
        raise typer.Exit(REFUSED)
    if "waiting" in outcomes or narrative.kept_sentence(result.outcomes):
        raise typer.Exit(WAITING)


def _run_with_progress(settings: Settings, *, report_only: bool, keep_intermediate: bool, is_quiet: bool) -> RunResult:
    from ihc.pipeline.runner import run as execute
    from ihc.pipeline.runner import steps

    console = make_console(stderr=True)
    console.quiet = is_quiet
    with bars(console, transient=True) as progress:
        shown = _Steps(console, progress, steps(report_only=report_only))
        try:
            how = {"report_only": report_only, "keep_intermediate": keep_intermediate}
            return execute(settings, console.print, shown.step, **how)
        except KeyboardInterrupt:
            make_console(stderr=True).print(
                "ihc: interrupted. Stored results are consistent; run the same command again to finish."
            )
            raise typer.Exit(INTERRUPTED) from None


class _Steps:
    """Progress of a run: the running steps, possibly in parallel, and the number of finished ones."""

    def __init__(self, console: Console, progress: Progress, total: int) -> None:
        self._console, self._progress, self._total = console, progress, total
        self._task = progress.add_task("checking", total=total)
        self._running: list[str] = []
        self._done = 0
        self._one_at_a_time = Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        with self._one_at_a_time:
            self._running.append(name)
            self._show(f"{name} ...")
        yield  # a step that fails ends the run, and is shown as the last
        with self._one_at_a_time:
            self._running.remove(name)
            self._done += 1
            self._show(f"{self._done} of {self._total} done: {name}")

    def _show(self, line: str) -> None:
        self._progress.update(self._task, description=", ".join(self._running), completed=self._done)
        if not self._console.is_terminal:
            self._console.print(line)


def _print_result(result: RunResult, settings: Settings) -> None:
    from ihc.narrative import run as narrative

    console, report = make_console(), result.report
    say(console, filter(None, [report.missing]))
    _print_trouble(result, console)
    if result.requests:
        console.print(narrative.requests_sentence(result.requests, result.outcomes))
    if not report.missing or len(report.data.few_verdicts):
        console.print(f"Orders of {narrative.dates_sentence(**settings.window)}: {report.reconciliation.text}")
        if len(sources := report.data.sources) <= 1:  # several sources are reported as a warning
            console.print(narrative.provenance_sentence(sources))
        console.print(report.reconciled.capitalize() + ".")
        print_channels(console, report.data.few_verdicts)
    if not report.missing:
        console.print(report.headline)
        if report.has_experiments:
            say(console, [report.calibrated_roas.headline + ".", report.experiments.text, report.next_experiments.text])
        if report.robustness:
            console.print(f"{report.robustness.finding}.")
    kinds = [path.suffix for path in result.files]
    charts = counted(kinds.count(".svg"), "chart")
    say(
        console,
        [f"\n{settings.output / 'report.html'}", f"{counted(kinds.count('.csv'), 'CSV file')} and {charts} beside it."],
    )


def _print_trouble(result: RunResult, console: Console) -> None:
    say(console, result.report.warnings)
    failed = result.outcomes[result.outcomes["outcome"] == "failed"]
    if len(failed):
        console.print(f"{counted(len(failed), 'order')} failed (full list: orders_without_credit.csv):")
        for order in failed.head(5).itertuples():
            console.print(f"  {shown(order.conv_id, 64)}: {order.reason}")
    say(console, result.failed_charts)


def _as_json(result: RunResult, settings: Settings) -> dict[str, Any]:
    report = result.report
    return {
        "run_id": settings.run_id,
        "report": str(settings.output / "report.html"),
        "headline": report.headline,
        "status": report.status,
        "figures": json.loads(report.figures.frame.to_json(orient="records")),
        "channels": json.loads(report.channels.frame.to_json(orient="records")),
        "orders": result.outcomes["outcome"].value_counts().to_dict(),
        "asked": result.requests,
        "failed_charts": result.failed_charts,
    }
