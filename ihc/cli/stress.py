"""Command `ihc stress`: the verdicts of the report in worlds with damaged tracking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ihc.cli.options import settled, takes
from ihc.cli.printing import make_console, print_table, say
from ihc.settings.options import MOST_WORLDS


@takes(
    *("database", "schema", "start_date", "end_date", "parameters", "redistribution", "lookback_days"),
    *("restart_after_order", "conversion_type", "by", "break_even_roas", "output"),
    output="Folder for stress.csv and the chart. [default: data]",
)
def stress(
    worlds: Annotated[int, typer.Option(min=1, max=MOST_WORLDS, metavar="N", help="Number of worlds.")] = 400,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Random seed.")] = 1,
    **options: Any,
) -> None:
    """Test whether the verdict on each channel survives lost tracking.

    Draws worlds with other ids for some users, lost sessions, channels with less consent, duplicates and wrong clocks,
    and counts those in which the channel stays on its side of break-even. Uses stored credits if they match the
    settings, and stores nothing.
    """
    from ihc.exhibits.files import CHARTS
    from ihc.pipeline.sample import prepare
    from ihc.pipeline.shop import Shop
    from ihc.report.files import writable, write_csv

    settings = settled(**options)
    prepare(settings, typer.echo)
    target = writable(settings.output / "stress.csv")
    given = {name: value for name, value in options.items() if value is not None}
    exhibit = Shop(settings, {"base": Path.cwd(), **given}).report().stress(worlds, seed)
    console = make_console()
    print_table(console, exhibit.title, exhibit.frame)
    console.print(exhibit.text)
    table, folder = write_csv(exhibit.frame, target), target.parent / CHARTS
    failed = exhibit.write_chart(folder)
    files = [path for kind in ("svg", "png") if (path := folder / f"{exhibit.chart_name}.{kind}").exists()]
    say(console, ["Written:", *(f"  {path}" for path in (table, *files))])
    if failed:
        console.print(failed)
        raise typer.Exit(1)
