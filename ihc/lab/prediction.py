"""Predict which held-out paths end with an order.

On real data nobody knows what a channel caused, but the models of a conversion probability can be compared on paths
that they have not seen. The users are split into folds, and each fold is predicted from all others, so that all paths
of a user are on the same side. A good prediction is no proof of good credit: a channel through which customers arrive
who have already decided predicts orders best, and causes none.

Models without a conversion probability are left out: those that only split orders, and Time to event, whose rate needs
a moment. A converting path has one, that of its order, and another path has none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from ihc.arrays.lookup import factorize
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import InputError
from ihc.experiments.iroas import NORMAL_95
from ihc.journeys.paths import channel_paths
from ihc.journeys.touchpoints import in_time_order
from ihc.models.learned_shapley import Cells, conversion_probability, count_cells
from ihc.models.markov import conversion_probability as markov_probability
from ihc.schemas.refunds import purchases

FOLDS, SEED = 5, 1
TINY = 1e-15  # so that a probability that is rounded to 0 or 1 has a finite log-loss
BASELINE = "Training share"  # of paths with an order, predicted for every path

Predict = Callable[[Booleans], Floats]  # from the paths to learn from to the probability of every path


def held_out_scores(journeys: pd.DataFrame, idle: pd.DataFrame) -> pd.DataFrame:
    """Predict each path from those of other users, and compare the predictions with what happened.

    In: `journeys`, of which refunds do not count, and `idle`, as in `channel_paths`. Users with and without a journey
    are shuffled separately and split into FOLDS folds of equal size.

    Out: one row per model, BASELINE last: `model`; `paths, orders [count; paths with an order]`; `log_loss [nats per
    path]`; `log_loss_gain`, the log-loss of BASELINE minus that of the model, with `log_loss_gain_low,
    log_loss_gain_high [95 % confidence interval]`; and `auc [0 to 1]`, the mean of `roc_auc` over the folds. Scores of
    different folds come from different fits, so that they are not ranked together (Forman, Scholz (2010),
    Apples-to-apples in cross-validation studies, ACM SIGKDD Explorations 12(1), 49-57).

    Raises InputError for fewer than FOLDS users with or without a journey, and as `channel_paths` does.
    """
    journeys = purchases(journeys)
    users = [
        frame["user_id"].take(steps.row[steps.starts])
        for frame, steps in (
            (journeys, in_time_order(journeys)),
            (idle, in_time_order(idle, path="user_id", what="idle")),
        )
    ]
    user, converts = factorize(pd.concat(users)), np.arange(sum(map(len, users))) < len(users[0])
    fold = _folds(user, converts)
    losses, areas = {}, {}
    for name, predict in _models(journeys, idle, converts).items():
        chance = np.empty(len(fold))
        for number in range(FOLDS):
            chance[fold == number] = predict(fold != number)[fold == number]
        losses[name] = log_losses(chance, converts)
        areas[name] = np.mean([roc_auc(chance[fold == number], converts[fold == number]) for number in range(FOLDS)])
    rows = [
        {
            "model": name,
            "paths": len(loss),
            "orders": converts.sum(),
            "log_loss": loss.mean(),
            **gain_over_users(losses[BASELINE] - loss, user),
            "auc": areas[name],
        }
        for name, loss in losses.items()
    ]
    return pd.DataFrame(rows).astype({"model": "str"})


def _folds(user: Integers, converts: Booleans) -> Integers:
    """Return the fold of each path. In: the user number of each path, and whether it converts."""
    is_buyer = np.bincount(user, converts) > 0
    random, fold = np.random.default_rng(SEED), np.empty(len(is_buyer), dtype="int64")
    for kind in (is_buyer, ~is_buyer):
        if kind.sum() < FOLDS:
            raise InputError(
                f"A held-out prediction needs {FOLDS} users with an order and {FOLDS} without, and the journeys have "
                f"{is_buyer.sum():,} and {(~is_buyer).sum():,}: give more days, or the sessions of all visitors."
            )
        fold[kind] = random.permutation(kind.sum()) % FOLDS
    return fold[user]


def _models(journeys: pd.DataFrame, idle: pd.DataFrame, converts: Booleans) -> dict[str, Predict]:
    def worth(cells: Cells, known: Booleans) -> Floats:
        orders, lost = (
            np.bincount(cells.cell, known & which, len(cells.places)).astype("float64")
            for which in (converts, ~converts)
        )
        return conversion_probability(cells._replace(orders=orders, lost=lost))[cells.cell]

    return {
        "Learned Shapley": partial(worth, count_cells(journeys, idle, in_order=False)),
        "Path Shapley": partial(worth, count_cells(journeys, idle, in_order=True)),
        "Markov": partial(markov_probability, channel_paths(journeys, idle)),
        BASELINE: lambda known: np.full(len(known), converts[known].mean()),
    }


def log_losses(chance: Floats, converts: Booleans) -> Floats:
    """Return -log of the probability of what happened [nats], one per path; a certain error counts as one of TINY."""
    losses: Floats = -np.log(np.maximum(np.where(converts, chance, 1 - chance), TINY))
    return losses


def gain_over_users(gain: Floats, user: Integers) -> dict[str, float]:
    """Return the mean gain and its interval. In: `gain` of each path. The paths of a user depend on each other.

    The variance is that of a ratio of sums over the users: Σ (sum of the user's gains - paths x mean)² / (Σ paths)².
    Source: Cochran (1977), Sampling Techniques, chapter 6.
    """
    mean = float(gain.mean())
    error = float(np.sqrt(np.square(np.bincount(user, gain - mean)).sum())) / len(gain)
    low, high = mean - NORMAL_95 * error, mean + NORMAL_95 * error
    return {"log_loss_gain": mean, "log_loss_gain_low": low, "log_loss_gain_high": high}


def roc_auc(score: Floats, converts: Booleans) -> float:
    """Return the probability that a converting path has a higher score than another one; a tie counts half.

    This is the area under the ROC curve, U / (pairs of the two kinds) of Mann, Whitney (1947), On a test of whether one
    of two random variables is stochastically larger than the other, Annals of Mathematical Statistics 18(1), 50-60. U
    follows from the ranks, which ties share. NaN without paths of both kinds.
    """
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (count.cumsum() - (count - 1) / 2)[place]
    won, pairs = int(converts.sum()), int(converts.sum() * (~converts).sum())
    return float((rank[converts].sum() - won * (won + 1) / 2) / pairs) if pairs else np.nan
