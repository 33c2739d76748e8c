"""Command `ihc validate`: the models against the truth of simulated shops, or against held-out paths of a shop."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ihc.cli.options import settled, takes
from ihc.cli.printing import bars, make_console, print_table, say
from ihc.errors import SettingsError

PRINTED = ("model", "share_error", "rank_correlation", "roas_error", "verdicts_right", "coverage")
PREDICTED = ("model", "log_loss", "log_loss_gain", "auc")
SEEDS = 20
TESTED = 3  # shops with experiments per seed: coverage is a share, and needs more of them than a mean
BY_SEED, EXPERIMENTS, HELD_OUT = "validation_seeds.csv", "validation_experiments.csv", "held_out.csv"


@takes(
    *("database", "schema", "start_date", "end_date", "lookback_days", "restart_after_order"),
    database="SQLite file or database URL: predict its held-out paths. [default: none, simulate shops]",
)
def validate(
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Number of simulated shops per generator. [default: {SEEDS}]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the tables and the chart. [default: none]")
    ] = None,
    **options: Any,
) -> None:
    """Measure how near models and experiments are to the truth of simulated shops.

    The shops are those of seeds 1 to N, and for experiments of seeds 1 to 3 N. Their true incremental orders are known,
    see `ihc sample --truth`. Takes about half a minute per seed.

    With --database, measure instead how well the models predict which paths of your shop end with an order: each fifth
    of the users is predicted from the others.
    """
    if options["database"] is not None:
        if seeds is not None:
            raise SettingsError("--seeds is for simulated shops: leave it out, or leave out --database.")
        _predict(output, options)
        return
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise SettingsError(f"{', '.join(given)}: name the shop with --database. Simulated shops take --seeds only.")
    _simulate(SEEDS if seeds is None else seeds, output)


def _simulate(seeds: int, output: Path | None) -> None:
    """Score the models in simulated shops, print, and write the tables and the chart."""
    from ihc.charts.models import share_errors_chart
    from ihc.formatting import counted
    from ihc.lab.experiments import validate_experiments
    from ihc.lab.validation import mean_scores
    from ihc.lab.validation import validate as measure
    from ihc.narrative.experiments import validation_sentence
    from ihc.narrative.models import validation_sentences
    from ihc.report.figures import Picture
    from ihc.report.files import writable, write_csv, write_whole

    target = None if output is None else writable(output / "validation.csv")
    if target:
        for name in ("validation.svg", BY_SEED, EXPERIMENTS):
            writable(target.with_name(name))
    with bars(make_console(stderr=True), transient=True) as progress:
        every = measure(progress.track(range(1, seeds + 1), description="Models"))
        tested = validate_experiments(progress.track(range(1, TESTED * seeds + 1), description="Experiments"))
    table = mean_scores(every)
    console, sentences = make_console(), validation_sentences(table)
    for generator, rows in table.groupby("generator", sort=False):
        print_table(console, str(generator), rows[list(PRINTED)])
    print_table(console, "Experiments", tested)
    say(console, [*sentences, validation_sentence(tested)])
    if target is None:
        return
    caption = "One seed" if seeds == 1 else f"Means, lowest and highest of {counted(seeds, 'seed')}"
    chart = Picture(partial(share_errors_chart, table), " ".join(sentences), caption)
    frames = {target.name: table, BY_SEED: every, EXPERIMENTS: tested}
    tables = [write_csv(frame, target.with_name(name)) for name, frame in frames.items()]
    files = *tables, write_whole(target.with_suffix(".svg"), chart.svg_file)
    console.print(f"Wrote {', '.join(map(str, files))}.")


def _predict(output: Path | None, options: dict[str, Any]) -> None:
    """Predict the held-out paths of a database, print, and write the table."""
    from ihc.database.inputs import read_tables
    from ihc.journeys.build import build_journeys, non_converting_paths
    from ihc.lab.prediction import held_out_scores
    from ihc.memory import free_memory
    from ihc.narrative.models import prediction_sentences
    from ihc.pipeline.sample import prepare
    from ihc.report.files import writable, write_csv

    settings = settled(engine="local", **options)
    prepare(settings, typer.echo)
    target = None if output is None else writable(output / HELD_OUT)
    sessions, conversions, _ = read_tables(settings.database)
    rules = settings.window | settings.journey_rules
    journeys = build_journeys(sessions, conversions, **rules, memory=free_memory())
    table = held_out_scores(journeys, non_converting_paths(sessions, conversions, **rules))
    console = make_console()
    print_table(console, "Held-out prediction", table[list(PREDICTED)])
    say(console, prediction_sentences(table))
    if target:
        console.print(f"Wrote {write_csv(table, target)}.")
