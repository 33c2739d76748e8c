"""Score the models against the truth of simulated shops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from ihc.analysis.bootstrap import bootstrap_intervals
from ihc.analysis.break_even import ABOVE, BELOW, break_even_table
from ihc.analysis.reporting import channel_summary, conversion_credits, ratio
from ihc.analysis.sensitivity import IHC
from ihc.arrays.types import Floats
from ihc.errors import InputError
from ihc.journeys.build import build_journeys, non_converting_paths
from ihc.lab.benchmarks import benchmark_a, benchmark_b
from ihc.lab.shop import simulate_shop, varied_channels
from ihc.lab.time_to_event import simulate_time_to_event
from ihc.lab.world import World
from ihc.models.heuristics import direct_channels
from ihc.models.ihc import attribute
from ihc.models.parameters import load_parameters
from ihc.models.registry import EQUAL, LAST_NON_DIRECT, Model, incremental_models, models_for

SHOP_ORDERS = 2_000
BREAK_EVEN = 1.0
MEASURES = ("share_error", "rank_correlation", "roas_error", "verdicts_right", "coverage")


GENERATORS: dict[str, Callable[[int], World]] = {
    "Shop": lambda seed: simulate_shop(SHOP_ORDERS, seed, varied_channels(seed)),
    "Time to event": simulate_time_to_event,
    "Benchmark A": benchmark_a,
    "Benchmark B": benchmark_b,
}


def validate(seeds: Iterable[int]) -> pd.DataFrame:
    """Score every model on a world of each generator and seed.

    Out: one row per generator, seed and model, in this order: `generator, seed, model`, and the measures of `scores`.
    Raises InputError without a seed.
    """
    parts = [
        scores(generate(seed)).assign(generator=name, seed=seed)
        for seed in seeds
        for name, generate in GENERATORS.items()
    ]
    if not parts:
        raise InputError("The validation needs at least one seed.")
    every = pd.concat(parts, ignore_index=True)
    order = pd.Categorical(every["generator"], list(GENERATORS)).codes
    columns = ["generator", "seed", "model", *MEASURES]
    return every.iloc[np.argsort(order, kind="stable")][columns].reset_index(drop=True)


def mean_scores(every: pd.DataFrame) -> pd.DataFrame:
    """Summarise the seeds. In: `validate`.

    Out: one row per generator and model: `generator, model, seeds [count]`; the means over the seeds of the measures;
    `share_error_low, share_error_high`, the lowest and highest of a seed; and `noise_to_nearest, noise_to_equal [1]`,
    the standard errors of the difference of `share_error` from that of the model with the lowest mean, and from EQUAL.
    All models see the same shops, so that the difference is taken in each seed; NaN with one seed.
    """
    return pd.concat([_of_seeds(rows) for _, rows in every.groupby("generator", sort=False)], ignore_index=True)


def _of_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.groupby(["generator", "model"], sort=False)
    errors = groups["share_error"].agg(share_error_low="min", share_error_high="max")
    table: pd.DataFrame = (
        groups["seed"].agg(seeds="nunique").join(groups[list(MEASURES)].mean()).join(errors).reset_index()
    )
    by_seed = rows.pivot_table("share_error", "seed", "model")
    nearest = by_seed.drop(columns=EQUAL).mean().idxmin()
    for name, reference in (("noise_to_nearest", nearest), ("noise_to_equal", EQUAL)):
        table[name] = by_seed.sub(by_seed[reference], axis="index").sem().reindex(table["model"]).to_numpy()
    return table


def scores(world: World) -> pd.DataFrame:
    """Compare each model's figures with the truth of a world.

    Out: one row per model, then EQUAL with a `share_error` only:

    - `model`;
    - `share_error [1]`: `normalised_error` of the share of credit;
    - `rank_correlation [-1 to 1]`: `kendall_tau` of the share of credit and the true share;
    - `roas_error [1]`: Σ |attributed - incremental revenue| / Σ cost, over the channels with cost;
    - `verdicts_right [share]`: the verdicts `above` or `below` a break-even ROAS of 1 that hold for the iROAS;
    - `coverage [share]`: the channels whose 95 % bootstrap interval contains the truth: that of attributed orders the
      incremental orders or, if the truth has shares only, that of the share of credit the share. Channels without a
      session do not count.

    NaN where nothing can be compared. A model with incremental totals is measured by these instead of its credit, with
    the mean revenue of its attributed orders. Without a direct channel, Last non-direct touch is the same as Last touch
    and left out.
    """
    journeys = build_journeys(world.tables.sessions, world.tables.conversions)
    idle = non_converting_paths(world.tables.sessions, world.tables.conversions)
    models: dict[str, Model] = {IHC: partial(attribute, parameters=load_parameters()), **models_for(journeys, idle)}
    if not direct_channels(world.truth["channel_name"]):
        del models[LAST_NON_DIRECT]
    rows = [{"model": name, **_score(world, *_attributed(world, model(journeys)))} for name, model in models.items()]
    for name, incremental in incremental_models(*world.tables[:2], journeys, idle).items():
        attributed = _attributed(world, incremental.credit(journeys))
        rows.append({"model": name, **_score(world, *_caused(*attributed, incremental.totals()))})
    share = world.truth["share"].to_numpy("float64")
    rows.append({"model": EQUAL, "share_error": normalised_error(share, np.ones(len(share)))})
    return pd.DataFrame(rows).astype({"model": "str"})


def _attributed(world: World, credits: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    summary = channel_summary(*world.tables, credits)
    return summary, bootstrap_intervals(conversion_credits(*world.tables[:2], credits), summary)


def _caused(summary: pd.DataFrame, intervals: pd.DataFrame, totals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace the attributed figures and their intervals by the incremental ones. In: `totals` of the model."""
    found = totals.set_index("channel_name").reindex(summary["channel_name"]).reset_index(drop=True)
    worth = ratio(summary["ihc_revenue"], summary["ihc"]).fillna(0)

    def figures(end: str) -> dict[str, pd.Series[float]]:
        orders = found[f"incremental_orders{end}"]
        revenue = orders * worth
        shares = found[f"incremental_share{end}"]
        named = {
            "ihc": orders,
            "ihc_revenue": revenue,
            "share_of_credit": shares,
            "ROAS": ratio(revenue, summary["cost"]),
        }
        return {f"{name}{end}": values for name, values in named.items()}

    return summary.assign(**figures("")), intervals.assign(**figures("_low"), **figures("_high"))


def _score(world: World, summary: pd.DataFrame, intervals: pd.DataFrame) -> dict[str, float]:
    verdicts = break_even_table(summary, intervals, BREAK_EVEN)
    truth = world.truth.set_index("channel_name")
    found = summary.iloc[:-1].set_index("channel_name").join(intervals.set_index("channel_name"))
    found = found.join(verdicts.set_index("channel_name")["verdict"]).reindex(truth.index)
    share = found["share_of_credit"].fillna(0).to_numpy("float64")
    return {
        "share_error": normalised_error(truth["share"].to_numpy("float64"), share),
        "rank_correlation": kendall_tau(truth["share"].to_numpy("float64"), share),
        "roas_error": roas_error(truth, found["ihc_revenue"]),
        "verdicts_right": verdicts_right(truth, found),
        "coverage": _coverage(truth, found),
    }


def roas_error(truth: pd.DataFrame, revenue: pd.Series[float]) -> float:
    """Return the error of ROAS [1], see `scores`. In: the truth of a `World` and the estimated revenue, by channel."""
    paid = truth["cost"] > 0
    off = (revenue.fillna(0) - truth["incremental_revenue"]).abs()[paid].sum()
    return float(off / truth.loc[paid, "cost"].sum()) if paid.any() else np.nan


def verdicts_right(truth: pd.DataFrame, found: pd.DataFrame) -> float:
    """Return the share of right verdicts, see `scores`. In: the truth of a `World` and `verdict`, by channel."""
    is_told = found["verdict"].isin([ABOVE, BELOW]) & truth["iROAS"].notna()
    is_right = (found["verdict"] == ABOVE) == (truth["iROAS"] >= BREAK_EVEN)
    return float(is_right[is_told].mean()) if is_told.any() else np.nan


def _coverage(truth: pd.DataFrame, found: pd.DataFrame) -> float:
    is_counted = truth["incremental_orders"].notna().any()
    true, name = ("incremental_orders", "ihc") if is_counted else ("share", "share_of_credit")
    low, high = (found[f"{name}_{end}"].fillna(0) for end in ("low", "high"))
    return float(truth[true].between(low, high)[found["sessions"] > 0].mean())


def normalised_error(truth: Floats, found: Floats) -> float:
    """Return the mean absolute difference of the shares, each divided by their sum (NMAE of shapley-attribution)."""
    shares = [each / (each.sum() or 1.0) for each in (truth, found)]
    return float(np.abs(shares[0] - shares[1]).mean())


def kendall_tau(one: Floats, other: Floats) -> float:
    """Return Kendall's tau-b of two rankings; NaN if all values of one are equal.

    Tau-b is (concordant - discordant pairs) / the geometric mean of the pairs that are not tied in each. Source:
    Kendall (1945), The treatment of ties in ranking problems, Biometrika 33(3), 239-251.
    """
    signs = [np.sign(np.subtract.outer(each, each)) for each in (one, other)]
    untied = float(np.sqrt(np.abs(signs[0]).sum() * np.abs(signs[1]).sum()))
    return float((signs[0] * signs[1]).sum() / untied) if untied else np.nan
