"""Commands `ihc runs` and `ihc diff`: list and compare recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc.cli.options import OWN_DATABASE, settled, takes
from ihc.cli.printing import make_console, print_table

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


WIDE = 160  # characters


@takes("database", "schema", database=OWN_DATABASE)
def runs(**options: Any) -> None:
    """List recorded runs with the totals of their reports.

    The latest run is last. Compare two runs with `ihc diff`.
    """
    from ihc.analysis.changes import list_runs

    settings = settled(engine="local", **options)
    table = list_runs(settings.database)
    console = _console()
    if table.empty:
        console.print(f"{settings.database.label} has no recorded runs yet: `ihc run` records one.")
        return
    console.print(f"Runs recorded in {settings.database.label}:")
    print_table(console, "", _listed(table))


@takes("database", "schema", database=OWN_DATABASE)
def diff(
    before: Annotated[str, typer.Argument(metavar="RUN", help="Earlier run: number or id from `ihc runs`.")],
    after: Annotated[str, typer.Argument(metavar="RUN", help="Later run.")],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for changes.csv. [default: not written]")
    ] = None,
    **options: Any,
) -> None:
    """Show what changed between two recorded runs, and why.

    By channel: attributed revenue, spend and ROAS. Does not change the database.
    """
    from ihc.analysis.changes import changes_since, cost_changes, revenue_changes
    from ihc.database.history import find_run, read_state
    from ihc.narrative.changes import changes_sentence
    from ihc.report.files import writable, write_csv

    settings = settled(engine="local", **options)
    earlier, later = (find_run(settings.database, run) for run in (before, after))
    target = writable(output / "changes.csv") if output else None
    changes = changes_since(settings.database, earlier, later, read_state(settings.database, later))
    console = _console()
    console.print(changes_sentence(changes, earlier, later))
    if len(changes.causes):
        print_table(console, "Causes", changes.causes)
    print_table(console, "Attributed revenue", revenue_changes(changes.channels))
    print_table(console, "Spend", cost_changes(changes.channels))
    if target:
        console.print(f"Written: {write_csv(changes.channels, target)}")


def _console() -> Console:
    """A console; if the output is redirected, wide enough for whole ids and names."""
    console = make_console()
    if not console.is_terminal:
        console.width = WIDE
    return console


def _listed(runs: pd.DataFrame) -> pd.DataFrame:
    from ihc.narrative.run import dates_sentence

    dates = [dates_sentence(start, end) for start, end in zip(runs["start_date"], runs["end_date"], strict=True)]
    settings, figures = ("engine", "parameters", "lookback_days"), ("orders", "ihc_revenue", "cost", "ROAS")
    return runs.assign(dates=dates)[["number", "run_id", "dates", *settings, *figures]]
