"""The command `ihc run`: its options, its progress, and what it says at its end."""

from __future__ import annotations

import itertools
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc.cli.options import settled, takes
from ihc.cli.printing import bars, make_console, print_reconciliation, say
from ihc.formatting import counted, shown

if TYPE_CHECKING:
    from rich.console import Console

    from ihc.pipeline.runner import RunResult
    from ihc.settings.run import Settings


REFUSED, WAITING, INTERRUPTED = 1, 3, 130


@takes(
    *("database", "schema", "start_date", "end_date", "parameters", "lookback_days", "engine", "conv_type_id"),
    *("redistribution", "refresh", "max_requests", "by", "channel_groups", "direct", "currency", "break_even_roas"),
    *("export_credits", "output"),
)
def run(
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Make the report of what is stored; ask no engine.")
    ] = False,
    **options: Any,
) -> None:
    """Attribute the orders and write the report.

    Exit code 0: every order is credited or has no session; 1: refused, or an order or a chart failed; 2: wrong usage;
    3: orders wait for the next run.
    """
    from ihc.narrative import run as narrative

    settings = settled(**options)
    result = _run_with_progress(settings, report_only=report_only)
    _print_result(result, settings)
    outcomes = set(result.ends["outcome"])
    if "failed" in outcomes or result.failed_charts:
        raise typer.Exit(REFUSED)
    if "waiting" in outcomes or narrative.kept_sentence(result.ends):
        raise typer.Exit(WAITING)


def _run_with_progress(settings: Settings, *, report_only: bool) -> RunResult:
    from ihc.pipeline.runner import notebooks_of
    from ihc.pipeline.runner import run as execute

    names, begun = notebooks_of(report_only=report_only), itertools.count(1)
    console, one_at_a_time = make_console(stderr=True), Lock()
    with bars(console, transient=True) as progress:
        task = progress.add_task("checking", total=len(names))

        def begin(name: str) -> None:
            # They begin on two threads, and not in the order of their names.
            with one_at_a_time:
                number = next(begun)
                progress.update(task, description=name, completed=number - 1)
                if not console.is_terminal:
                    console.print(f"notebook {number} of {len(names)}: {name}")

        try:
            return execute(settings, console.print, begin, report_only=report_only)
        except KeyboardInterrupt:
            console.print("ihc: interrupted. What was stored is whole; run the same command again to finish.")
            raise typer.Exit(INTERRUPTED) from None


def _print_result(result: RunResult, settings: Settings) -> None:
    from ihc.narrative import run as narrative
    from ihc.narrative.periods import spend_sentence

    console = make_console()
    say(console, filter(None, [result.missing]))
    _print_files(result, settings, console)
    console.print(f"\nReconciliation, orders of {narrative.dates_sentence(**settings.window)}")
    print_reconciliation(console, result.reconciliation)
    orders, sources = narrative.orders_sentence(result.reconciliation), narrative.provenance_sentence(result.sources)
    say(console, filter(None, [orders, sources, result.left_out]))
    _print_ends(result, console)
    paying = narrative.break_even(result.summary, settings.report.break_even_roas)
    spend = f"{spend_sentence(result.figures)} {paying}".strip()
    console.print(f"\n{spend}\n{narrative.best_and_worst(result.summary)}")
    say(console, result.failed_charts)


def _print_files(result: RunResult, settings: Settings, console: Console) -> None:
    kinds = Counter((path.parent.name, path.suffix) for path in result.files)
    tables, charts = kinds[settings.output.name, ".csv"], kinds["charts", ".svg"]
    lines = [
        f"Written to {settings.output}:",
        "  report.html and run.json",
        f"  {counted(tables, 'table')} as CSV, and charts/ with {counted(charts, 'chart')} as SVG and PNG",
        f"  runs/{settings.run_id}/ with the executed notebooks",
    ]
    say(console, lines)


def _print_ends(result: RunResult, console: Console) -> None:
    """Say what was asked of the API, and which orders wait or failed, and why."""
    from ihc.narrative import run as narrative

    if result.asked:
        console.print(narrative.asked_sentence(result.asked, result.ends))
    sentences = (narrative.waiting_sentence, narrative.kept_sentence, narrative.cut_sentence)
    say(console, filter(None, (sentence_of(result.ends) for sentence_of in sentences)))
    failed = result.ends[result.ends["outcome"] == "failed"]
    if len(failed):
        console.print(f"\n{counted(len(failed), 'order')} failed; all are in orders_without_credit.csv:")
        for order in failed.head(5).itertuples():
            console.print(f"  {shown(order.conv_id, 64)}: {order.reason}")
