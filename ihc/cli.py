"""The command line: parse, call, print."""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc import __version__
from ihc.errors import IhcError, counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from ihc.runner import RunResult
    from ihc.settings import Settings

REFUSED, INTERRUPTED = 1, 130

app = typer.Typer(
    name="ihc", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


class EngineName(StrEnum):
    """The engines of this version."""

    LOCAL = "local"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ihc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Which channel earned this revenue? From three tables to credit, CPO, ROAS, charts and a report.

    Settings come from options, then the environment (IHC_DATABASE, ...), then .env; see .env.example.
    """


@app.command()
def run(  # noqa: PLR0913 - one argument an option
    database: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="SQLite database. [default: data/ihc.db, a sample if missing]"),
    ] = None,
    start_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day of the orders."),
    ] = None,
    end_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day of the orders."),
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Parameters of the local engine. [default: the set that ships]"),
    ] = None,
    lookback_days: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Leave out older sessions. [default: any age counts]"),
    ] = None,
    engine: Annotated[EngineName | None, typer.Option(help="Who computes the credit. [default: local]")] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder for report, CSV, charts, notebooks. [default: data]"),
    ] = None,
) -> None:
    """Attribute the orders and write the report.

    Exit code 0: every order is credited or has no session; 1: refused, or orders failed; 2: wrong usage.
    """
    from ihc.settings import load_settings

    settings = load_settings(
        base=Path.cwd(),
        database=database,
        start_date=start_date.date() if start_date else None,
        end_date=end_date.date() if end_date else None,
        parameters=parameters,
        lookback_days=lookback_days,
        engine=engine.value if engine else None,
        output=output,
    )
    result = _run_with_progress(settings)
    _print_result(result, settings)
    if len(result.failed):
        raise typer.Exit(REFUSED)


@app.command()
def init(
    database: Annotated[str | None, typer.Option(metavar="PATH|URL", help="[default: data/ihc.db]")] = None,
    clean_results: Annotated[bool, typer.Option("--clean-results", help="Empty the result tables.")] = False,
) -> None:
    """Create the tables that are missing.

    The database too, if there is none; nothing that exists is touched.
    """
    from ihc.database import create_tables
    from ihc.locking import one_run_at_a_time
    from ihc.settings import load_settings

    settings = load_settings(base=Path.cwd(), database=database)
    create_tables(settings.database)
    if clean_results:
        with one_run_at_a_time(settings, typer.echo):
            create_tables(settings.database, clean_results=True)
    cleaned = "; the result tables are empty" if clean_results else ""
    typer.echo(f"{settings.database_label} has all tables{cleaned}.")


@app.command()
def sample(
    database: Annotated[str, typer.Argument(metavar="DB", help="The new SQLite file.")],
    conversions: Annotated[int, typer.Option(min=1, metavar="N", help="How many orders.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="The same seed makes the same shop.")] = 1,
) -> None:
    """Make a new database with a synthetic shop."""
    from ihc.sample import write_sample

    write_sample(database, conversions, seed)
    typer.echo(f"Made {database}: a synthetic shop with {conversions:,} orders, seed {seed}.")


def _run_with_progress(settings: Settings) -> RunResult:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    from ihc.runner import NOTEBOOKS
    from ihc.runner import run as execute

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("checking", total=len(NOTEBOOKS))

        def begin(name: str) -> None:
            progress.update(task, description=name, completed=NOTEBOOKS.index(name))
            if not console.is_terminal:
                console.print(f"notebook {NOTEBOOKS.index(name) + 1} of {len(NOTEBOOKS)}: {name}")

        try:
            return execute(settings, console.print, begin)
        except KeyboardInterrupt:
            console.print("ihc: interrupted. What was stored is whole; run the same command again to finish.")
            raise typer.Exit(INTERRUPTED) from None


def _print_result(result: RunResult, settings: Settings) -> None:
    from rich.console import Console

    from ihc import narrative

    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print("Written:")
    for path in result.files:
        console.print(f"  {path}")
    console.print(f"\nReconciliation, orders of {narrative.dates_sentence(**settings.window)}")
    for section, lines in result.reconciliation.groupby("section", sort=False):
        console.print(_reconciliation_table(str(section), lines))
    console.print(narrative.orders_sentence(result.reconciliation))
    console.print(narrative.provenance_sentence(result.sources))
    if result.left_out:
        console.print(result.left_out)
    if len(result.failed):
        console.print(f"\n{counted(len(result.failed), 'order')} failed:")
        for order in result.failed.head(5).itertuples():
            console.print(f"  {narrative.shown(order.conv_id, 64)}: {order.reason}")
    console.print(f"\n{narrative.break_even(result.summary)}\n{narrative.best_and_worst(result.summary)}")


def _reconciliation_table(section: str, lines: pd.DataFrame) -> Table:
    from rich import box
    from rich.table import Table

    from ihc.glossary import FORMATS, MONEY
    from ihc.tables import count_format

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(section, min_width=44)
    table.add_column(str(lines["counted"].iloc[0]), justify="right", min_width=11)
    table.add_column("amount", justify="right", min_width=14)
    counts = lines["count"].map(count_format(lines["count"]).format)
    amounts = lines["amount"].map(FORMATS[MONEY].format)
    for kind, line, count, amount in zip(lines["kind"], lines["line"], counts, amounts, strict=True):
        table.add_row(line, count, amount, style="bold" if kind == "total" else None)
    return table


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command; what `ihc` refuses is said in a sentence on standard error."""
    # A kill must end the kernels too, so it takes the way of Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app(standalone_mode=True)
    except IhcError as error:
        print(f"ihc: {error}", file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
