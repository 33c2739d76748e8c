"""Command `ihc validate`: the models against the truth of simulated shops."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ihc.cli.printing import bars, make_console, print_table, say

PRINTED = ("model", "share_error", "rank_correlation", "roas_error", "verdicts_right", "coverage")
EXPERIMENTS = "validation_experiments.csv"


def validate(
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Number of simulated shops per generator.")] = 20,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the tables and the chart. [default: none]")
    ] = None,
) -> None:
    """Measure how near models and experiments are to the truth of simulated shops.

    The shops are those of seeds 1 to N. Their true incremental orders are known, see `ihc sample --truth`. Takes about
    half a minute per seed.
    """
    from ihc.charts.models import share_errors_chart
    from ihc.lab.experiments import validate_experiments
    from ihc.lab.validation import validate as measure
    from ihc.narrative.experiments import validation_sentence
    from ihc.narrative.models import validation_sentences
    from ihc.report.figures import Picture
    from ihc.report.files import writable, write_csv, write_whole

    target = None if output is None else writable(output / "validation.csv")
    if target:
        writable(target.with_suffix(".svg"))
        writable(target.with_name(EXPERIMENTS))
    with bars(make_console(stderr=True), transient=True) as progress:
        table = measure(progress.track(range(1, seeds + 1), description="Models"))
        tested = validate_experiments(progress.track(range(1, seeds + 1), description="Experiments"))
    console, sentences = make_console(), validation_sentences(table)
    for generator, rows in table.groupby("generator", sort=False):
        print_table(console, str(generator), rows[list(PRINTED)])
    print_table(console, "Experiments", tested)
    say(console, [*sentences, validation_sentence(tested)])
    if target is None:
        return
    chart = Picture(
        partial(share_errors_chart, table), " ".join(sentences), f"Means, lowest and highest of {seeds} seeds"
    )
    tables = write_csv(table, target), write_csv(tested, target.with_name(EXPERIMENTS))
    files = *tables, write_whole(target.with_suffix(".svg"), chart.svg_file)
    console.print(f"Wrote {', '.join(map(str, files))}.")
