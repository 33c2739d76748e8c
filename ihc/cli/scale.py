"""Command `ihc scale`: options, progress and summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc.cli.options import takes
from ihc.cli.printing import bars, make_console, print_reconciliation
from ihc.cli.run import INTERRUPTED, REFUSED
from ihc.errors import SettingsError
from ihc.formatting import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from ihc.scale.job import Progress, Scaled


FILES = "as Parquet files: a path, a glob, a folder or a URL."


@takes(
    *("start_date", "end_date", "lookback_days", "restart_after_order", "parameters", "redistribution", "direct"),
    parameters="Model parameters of the local engine (JSON), one FILE for all types. [default: built-in set]",
)
def scale(  # noqa: PLR0913 - one argument per option
    sessions: Annotated[str, typer.Option(metavar="GLOB", help=f"Sessions {FILES}")],
    conversions: Annotated[str, typer.Option(metavar="GLOB", help="Conversions, in the same form.")],
    costs: Annotated[str, typer.Option(metavar="GLOB", help="Session costs, in the same form.")],
    output: Annotated[str, typer.Option(metavar="DIR|URL", help="Output folder for credits and report tables.")],
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster. [default: local workers]"),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, metavar="N", help="Number of parts. [default: one per 500,000 sessions]"),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0.5, metavar="GB", help="Memory per local worker. [default: all, shared equally]"),
    ] = None,
    export_journeys: Annotated[bool, typer.Option("--export-journeys", help="Also write the journeys.")] = False,
    **options: Any,
) -> None:
    """Attribute data larger than memory on a Dask cluster.

    Needs the extra [dask]. Writes credits as Parquet and report tables as CSV, identical to those of a single pass.
    Exit codes: 0 all orders are credited or untracked; 1 error, or orders failed.
    """
    try:
        from ihc.scale.cluster import check_workers, connected, dashboard
        from ihc.scale.job import PUBLISHING, Input, Job
        from ihc.scale.job import scale as attribute
        from ihc.scale.output import check_output, open_output
        from ihc.scale.parquet import find_files
    except ImportError as error:
        raise SettingsError(f"ihc scale needs the extra dask ({error}): pip install 'ihc-attribution[dask]'") from None
    from ihc.models.heuristics import DIRECT
    from ihc.models.parameters import load_parameters
    from ihc.models.redistribution import load_redistribution
    from ihc.scale.parts import Plan
    from ihc.schemas.tables import check_window

    days, redistribution = check_window(options["start_date"], options["end_date"]), options["redistribution"]
    rules = None if redistribution is None else load_redistribution(redistribution)
    direct = tuple(options["direct"] or DIRECT)
    restarts = bool(options["restart_after_order"])
    parameters = load_parameters(_one_file(options["parameters"] or ()))
    plan = Plan(parameters, rules, *days, options["lookback_days"], direct, restarts)
    given = {"--sessions": sessions, "--conversions": conversions, "--costs": costs}
    files = Input(*(find_files(pattern, option) for option, pattern in given.items()))
    job = Job(files, plan, open_output(output), partitions, export_journeys)
    check_output(job.output, files)
    console = make_console(stderr=True)
    seen: set[str] = set()
    try:
        with connected(scheduler, f"{memory}GB" if memory else None) as client:
            check_workers(client, job.output)
            link, workers = dashboard(client), client.scheduler_info(n_workers=-1)["workers"]
            watch = f"dashboard: {link}" if link else "for a dashboard, pip install bokeh"
            console.print(f"{counted(len(workers), 'worker')}; {watch}")
            with _progress(console) as progress:

                def noted(stage: str, done: int, total: int) -> None:
                    seen.add(stage)
                    progress(stage, done, total)

                found = attribute(client, job, noted)
    except KeyboardInterrupt:
        changed = f"{output} is complete only if it contains scale.json"
        what = changed if PUBLISHING in seen else f"Nothing in {output} was changed"
        console.print(f"ihc: interrupted. {what}; run the same command again.")
        raise typer.Exit(INTERRUPTED) from None
    _print_result(found, output)
    if found.failed:
        raise typer.Exit(REFUSED)


def _one_file(given: Sequence[str]) -> Path | None:
    """The parameters file of all conversions."""
    from ihc.settings.parameter_files import parameter_files

    files = parameter_files(given, Path.cwd())
    if files.keys() - {None}:
        raise SettingsError(
            f"--parameters {','.join(given)} has a file for a conversion type, but ihc scale uses one set for all "
            "conversions: give one FILE."
        )
    return files.get(None)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """One progress bar per stage on a terminal; otherwise one line per finished stage."""
    with bars(console) as shown:
        stages: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = shown.add_task(stage, total=total)
            shown.update(stages[stage], completed=done)
            if done == total and not console.is_terminal:
                console.print(f"{stage}: {done:,} of {total:,}")

        yield advance


def _print_result(found: Scaled, output: str) -> None:
    from ihc.narrative import run as narrative

    console = make_console()
    rows = ", ".join(f"{count:,} rows of {table}" for table, count in found.rows.items())
    console.print(f"Read {rows} in {counted(found.parts, 'part')}.")
    console.print(
        f"Written to {output}: {found.credits:,} credits in credits/, the outcome of each order in outcomes/,"
    )
    console.print(f"  {', '.join(f'{name}.csv' for name in found.reports._fields)} and scale.json")
    print_reconciliation(console, found.reports.reconciliation)
    console.print(narrative.orders_sentence(found.reports.reconciliation))
    console.print(narrative.best_and_worst(found.reports.channel_summary))
