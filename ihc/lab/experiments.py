"""Experiments in simulated shops, and how near iROAS calibrated by them is to the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from ihc.analysis.reporting import channel_reporting, channel_summary
from ihc.errors import InputError
from ihc.experiments.iroas import calibrate, measured
from ihc.experiments.power import next_experiments
from ihc.experiments.results import COLUMNS, REVENUE, no_experiments
from ihc.journeys.build import build_journeys
from ihc.lab.shop import simulate_shop, varied_channels
from ihc.lab.validation import BREAK_EVEN, roas_error, verdicts_right
from ihc.lab.world import World
from ihc.models.ihc import attribute
from ihc.models.parameters import load_parameters

SHOP_ORDERS = 20_000
TESTS = 3  # channels with an experiment
ATTRIBUTED = "attributed"
MEASURES = ("roas_error", "verdicts_right", "coverage")


def holdout(world: World, channel: str, random: np.random.Generator) -> pd.DataFrame:
    """Run a holdout experiment over all days of a simulated shop.

    Each user is held out with the probability 0.5, and makes then only the orders that remain without the channel. Out:
    the experiment as one row of `load_experiments`: the difference of the two groups' mean revenue per user, scaled up
    to all users, and its standard error. Raises InputError if the world has no counterfactual orders.
    """
    if world.remains is None:
        raise InputError("An experiment needs a simulated shop, such as one of simulate_shop.")
    sessions, conversions, _ = world.tables
    users = pd.Index(pd.concat([sessions["user_id"], conversions["user_id"]]).unique())
    user = users.get_indexer(pd.Index(conversions["user_id"]))
    is_out = random.random(len(users)) < 0.5
    place = int(np.flatnonzero(world.truth["channel_name"] == channel)[0])
    is_made = world.remains[:, place] | ~is_out[user]
    revenue = np.bincount(user, conversions["revenue"].to_numpy("float64") * is_made, len(users))
    groups = [revenue[~is_out], revenue[is_out]]
    means, variances = zip(*((group.mean(), group.var(ddof=1) / len(group)) for group in groups), strict=True)
    row = {
        "channel_name": channel,
        "start_date": sessions["event_date"].min(),
        "end_date": sessions["event_date"].max(),
        "kind": "holdout",
        REVENUE: (means[0] - means[1]) * len(users),
        "standard_error": np.sqrt(sum(variances)) * len(users),
    }
    return pd.DataFrame([row]).reindex(columns=COLUMNS)


def validate_experiments(seeds: Iterable[int]) -> pd.DataFrame:
    """Measure iROAS of the IHC model, without experiments and calibrated by up to `TESTS` of them.

    A shop with `SHOP_ORDERS` orders per seed. Each next experiment is a holdout of half of the users over all days, on
    the channel that `next_experiments` puts first.

    Out: one row for the attributed figures, then one per number of experiments: `estimate [ATTRIBUTED, or the number],
    seeds [count]`, and the means over the seeds of `roas_error [1; Σ |estimated - incremental revenue| / Σ cost],
    verdicts_right [share of the verdicts above or below a break-even of 1], coverage [share of the channels whose 95 %
    interval contains the truth]`, over the channels with spend. Raises InputError without a seed.
    """
    rows = [row for seed in seeds for row in _scores(seed)]
    if not rows:
        raise InputError("The validation needs at least one seed.")
    groups = pd.DataFrame(rows).groupby("estimate", sort=False)
    table = groups[list(MEASURES)].mean().assign(seeds=groups.size()).reset_index()
    return table[["estimate", "seeds", *MEASURES]].astype({"estimate": "str"})


def _scores(seed: int) -> Iterator[dict[str, object]]:
    world, random = simulate_shop(SHOP_ORDERS, seed, varied_channels(seed)), np.random.default_rng([seed, TESTS])
    journeys = build_journeys(world.tables.sessions, world.tables.conversions)
    credits = attribute(journeys, load_parameters())
    summary, days = channel_summary(*world.tables, credits), channel_reporting(*world.tables, credits)
    truth = world.truth.set_index("channel_name")
    truth = truth[truth["cost"] > 0]
    experiments = no_experiments()
    for count in range(TESTS + 1):
        table = calibrate(summary, measured(experiments, days, summary), roas=BREAK_EVEN)
        found = table.set_index("channel_name").reindex(truth.index)
        if not count:
            yield {"estimate": ATTRIBUTED, "roas_error": roas_error(truth, found["ihc_revenue"])}
        yield {
            "estimate": str(count),
            "roas_error": roas_error(truth, found["calibrated_revenue"]),
            "verdicts_right": verdicts_right(truth, found),
            "coverage": truth["iROAS"].between(found["iROAS_low"], found["iROAS_high"]).mean(),
        }
        if count < TESTS:
            ranked = next_experiments(table, world.tables.conversions, roas=BREAK_EVEN)
            untested = ranked.loc[~ranked["channel_name"].isin(experiments["channel_name"]), "channel_name"]
            experiments = pd.concat([experiments, holdout(world, untested.iloc[0], random)], ignore_index=True)
