"""Shapley attribution with a learned worth: the probability that a path with these channels converts.

The worth v is a logistic regression over all paths, converting or not:

    logit v(path) = intercept + Σ_c effect_c + Σ_{c before d} synergy_cd,

over the distinct channels of the path, in the order of their first touches. Two models split v(path) - v(no channel):

- **Path Shapley**: a channel gets what it adds to v when the path reaches it. Source: Zhao, Mahboobi, Bagheri (2018),
  Shapley value methods for attribution modeling in online advertising, arXiv:1804.05327.
- **Learned Shapley**: the order is ignored, in v too. A channel gets its Shapley value in the game of the channels of
  the path, the mean of what it adds over all orders. Source: Shapley (1953), A value for n-person games, Contributions
  to the Theory of Games II, 307-317.

In both, the contributions of the channels of a path add up to v(path) - v(no channel).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.logistic import DRAWS, SEED, Data, fit_logistic, probability, resampled
from ihc.arrays.types import Floats, Integers
from ihc.journeys.paths import FIRST, LOST, channel_paths
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel
from ihc.models.incremental import incremental_table, with_anyway
from ihc.schemas.refunds import is_purchase

ABSENT = -1
MOST_SYNERGIES = 200  # those of the most paths; of up to 14 channels, all
# Penalties of the squares, those of a normal prior with standard deviations 3.2 and 0.6.
RIDGE_EFFECT, RIDGE_SYNERGY = 0.1, 3.0
EXACT = 12  # channels: with more, orders are drawn
ORDERS = 16  # drawn orders, each with its reverse
NOTHING = 1e-9  # contributions that sum to less are rounding errors


class Cells(NamedTuple):
    """Paths with the same distinct channels in the same order of first touches, one row per cell.

    `places`: the place of each channel among them, ABSENT without it; `orders` and `lost`: the number of paths with and
    without an order; `cell`: that of each path, converting ones first; `names` of the channels.
    """

    places: Integers
    orders: Floats
    lost: Floats
    cell: Integers
    names: pd.Series[str]


class Worth(NamedTuple):
    """The learned worth: `intercept`, `effects` of the channels, and `synergies` of the row's before the column's."""

    intercept: float
    effects: Floats
    synergies: Floats


Contributions = Callable[[Worth], Floats]
Split = Callable[[Integers], Contributions]


def learned_shapley(journeys: pd.DataFrame, idle: pd.DataFrame) -> pd.DataFrame:
    """Split each conversion by the Shapley values of its channels, see the module.

    In: `journeys` and `idle`, as in `channel_paths`. Out: `conv_id, session_id, ihc [share]`. Negative values count as
    0. A channel's share is split evenly over its sessions in the journey. If no channel of a journey raises the worth,
    and if no path or every path converts, all have the same share. Raises InputError as `channel_paths` does.
    """
    return _credits(journeys, count_cells(journeys, idle, in_order=False), shapley_values)


def path_shapley(journeys: pd.DataFrame, idle: pd.DataFrame) -> pd.DataFrame:
    """Split each conversion by what its channels add along the path, see the module. In, out: as `learned_shapley`."""
    return _credits(journeys, count_cells(journeys, idle, in_order=True), along_path)


def learned_shapley_totals(journeys: pd.DataFrame, idle: pd.DataFrame, *, draws: int = DRAWS) -> pd.DataFrame:
    """Return the incremental orders of each channel by Learned Shapley, and those that would have come anyway.

    Each order is split: v(no channel) / v(path) of it would have come anyway, at most 1, and the rest is split like the
    credit of `learned_shapley`. The parts add up to the orders. No path is without channels, so that v(no channel) is
    extrapolated. The interval is that of a Poisson bootstrap of the paths, see `resampled`. If no path or every path
    converts, nothing can be learned, and there is none. Untracked orders have no path and are not counted.

    In: `journeys` and `idle`, as in `channel_paths`. Out: as `incremental_table`. Raises InputError as `channel_paths`
    does.
    """
    return _totals(count_cells(journeys, idle, in_order=False), shapley_values, draws)


def path_shapley_totals(journeys: pd.DataFrame, idle: pd.DataFrame, *, draws: int = DRAWS) -> pd.DataFrame:
    """Return the incremental orders by Path Shapley. In, out: as `learned_shapley_totals`."""
    return _totals(count_cells(journeys, idle, in_order=True), along_path, draws)


def _credits(journeys: pd.DataFrame, cells: Cells, split: Split) -> pd.DataFrame:
    steps = in_time_order(journeys, "channel_name")
    codes, names = channel_codes(journeys["channel_name"])
    share = _shares(split(cells.places)(learn(cells)), cells.places)
    channel = pd.Index(cells.names).get_indexer(pd.Index(names))[codes[steps.row]]
    return credits_of(journeys, steps, spread_by_channel(steps, channel, share[cells.cell[steps.path], channel]))


def _shares(gains: Floats, places: Integers) -> Floats:
    """Return the credit of each channel in a cell: its part of the positive gains, equal if there are none."""
    raw = np.maximum(gains, 0.0)
    raw = np.where(raw.sum(axis=1, keepdims=True) > NOTHING, raw, places != ABSENT)
    shares: Floats = raw / raw.sum(axis=1, keepdims=True)
    return shares


def _totals(cells: Cells, split: Split, draws: int) -> pd.DataFrame:
    regression = _regression(cells)
    fit = fit_logistic(regression.data, regression.ridge)
    won = np.flatnonzero(cells.orders)
    contributions = split(cells.places[won])

    def totals(coefficients: Floats, orders: Floats) -> Floats:
        worth = regression.worth(coefficients)
        gains = contributions(worth)
        gain = np.maximum(gains.sum(axis=1), 0.0)
        caused = gain / (probability(worth.intercept) + gain)
        return with_anyway((orders * caused) @ _shares(gains, cells.places[won]), float(orders.sum()))

    is_learned = cells.orders.any() and cells.lost.any()
    drawn = [totals(*draw) for draw in resampled(regression.data, fit, draws)] if is_learned else []
    return incremental_table(cells.names, totals(fit.coefficients, cells.orders[won]), drawn)


def count_cells(journeys: pd.DataFrame, idle: pd.DataFrame, *, in_order: bool) -> Cells:
    """Count the paths by their distinct channels. With `in_order`, also by the order of the first touches.

    In: as `channel_paths`. Otherwise places follow the names. Refunds count as no path, but have a cell. Raises
    InputError as `channel_paths` does.
    """
    paths = channel_paths(journeys, idle)
    size, codes = max(len(paths.names), 1), paths.codes[1:]
    is_end = codes < FIRST
    path, ends = np.cumsum(is_end, dtype="int64")[~is_end], codes[is_end]
    pair: Integers = pd.unique(path * size + codes[~is_end].astype("int64") - FIRST)
    pair = pair if in_order else np.sort(pair)
    path, channel = pair // size, pair % size
    begin = np.searchsorted(path, np.arange(len(ends)))
    place = np.arange(len(path)) - begin[path]
    cell = _numbered(path, channel, place, len(ends))
    _, example = np.unique(cell, return_index=True)
    places = np.full((len(example), size), ABSENT)
    is_example = np.isin(path, example)
    places[cell[path[is_example]], channel[is_example]] = place[is_example]
    steps, is_lost = in_time_order(journeys), ends == LOST
    is_order = np.zeros(len(ends), dtype=bool)
    is_order[~is_lost] = is_purchase(journeys.take(steps.row[steps.starts]))
    orders, lost = (np.bincount(cell, which, len(example)).astype("float64") for which in (is_order, is_lost))
    return Cells(places[:, : len(paths.names)], orders, lost, cell, paths.names)


def _numbered(path: Integers, channel: Integers, place: Integers, size: int) -> Integers:
    """Number the paths by their channels, place by place: a node of the tree of all beginnings has one number."""
    node, stride = np.zeros(size, dtype="int64"), channel.max(initial=0) + 1
    for each in range(place.max(initial=-1) + 1):
        here = np.flatnonzero(place == each)
        codes, _ = pd.factorize(node[path[here]] * stride + channel[here])
        node[path[here]] = codes + node.max() + 1
    return pd.factorize(node)[0].astype("int64")


class Regression(NamedTuple):
    """The regression of the worth: the channels of each synergy, its data and penalties."""

    earlier: Integers
    later: Integers
    data: Data
    ridge: Floats

    def worth(self, coefficients: Floats) -> Worth:
        """Return the worth that these coefficients stand for."""
        size = len(coefficients) - len(self.earlier) - 1
        synergies = np.zeros((size, size))
        synergies[self.earlier, self.later] = coefficients[1 + size :]
        return Worth(float(coefficients[0]), coefficients[1 : 1 + size], synergies)


def learn(cells: Cells) -> Worth:
    """Fit the worth to the cells. Without paths of both kinds all effects are 0."""
    regression = _regression(cells)
    return regression.worth(fit_logistic(regression.data, regression.ridge).coefficients)


def conversion_probability(cells: Cells) -> Floats:
    """Fit the worth to the cells, and return it: the probability that a path of each cell converts."""
    regression = _regression(cells)
    coefficients = fit_logistic(regression.data, regression.ridge).coefficients
    return np.concatenate([probability(features @ coefficients) for _, features in regression.data.blocks()])


def _regression(cells: Cells) -> Regression:
    size = len(cells.names)
    is_present = cells.places != ABSENT
    count = np.zeros((size, size))
    for channel in range(size):
        is_earlier = is_present[:, [channel]] & (cells.places[:, [channel]] < cells.places)
        count[channel] = (cells.orders + cells.lost) @ is_earlier
    most = np.argsort(-count.ravel(), kind="stable")[:MOST_SYNERGIES]
    earlier, later = np.divmod(np.sort(most[count.ravel()[most] > 0]), max(size, 1))

    def features(rows: slice) -> Floats:
        places, is_there = cells.places[rows], is_present[rows]
        is_pair = is_there[:, earlier] & (places[:, earlier] < places[:, later])
        return np.concatenate([np.ones((len(places), 1)), is_there, is_pair], axis=1)

    ridge = np.repeat([0.0, RIDGE_EFFECT, RIDGE_SYNERGY], [1, size, len(earlier)])
    return Regression(earlier, later, Data(features, cells.orders, cells.lost), ridge)


def along_path(places: Integers) -> Contributions:
    """Return what gives each channel what it adds to the worth in the order of its path.

    In: `places` of `Cells`. Out: a function of the worth; it returns one column per channel, 0 where it is absent.
    """
    longest_first = np.argsort(-(places != ABSENT).sum(axis=1), kind="stable")
    row, channel = np.nonzero(places[longest_first] != ABSENT)
    place = places[longest_first[row], channel]
    steps = [channel[place == each] for each in range(place.max(initial=-1) + 1)]  # of the first, longest rows

    def contributions(worth: Worth) -> Floats:
        logit, gains = np.full(len(places), worth.intercept), np.zeros(places.shape)
        before = probability(logit)
        for number, step in enumerate(steps):
            here = len(step)
            logit[:here] += worth.effects[step]
            for earlier in steps[:number]:
                logit[:here] += worth.synergies[earlier[:here], step]
            after = probability(logit[:here])
            gains[longest_first[:here], step] = after - before[:here]
            before = after
        return gains

    return contributions


def shapley_values(places: Integers) -> Contributions:
    """Return what gives each channel its Shapley value in the game of its path's channels. In and out: as `along_path`.

    Up to EXACT channels, all sets are enumerated. With more, it is the mean over ORDERS random orders and their
    reverses, always the same ones.
    """
    is_present, size = places != ABSENT, places.shape[1]
    if size <= EXACT:
        mask = is_present @ (1 << np.arange(size))
        return lambda worth: _table(worth)[mask]
    random = np.random.default_rng(SEED)
    ranks = [random.permutation(size) for _ in range(ORDERS)]
    orders = [np.where(is_present, rank, size) for each in ranks for rank in (each, -each)]
    walks = [along_path(np.where(is_present, order.argsort(axis=1).argsort(axis=1), ABSENT)) for order in orders]

    def contributions(worth: Worth) -> Floats:
        both_ways = worth._replace(synergies=worth.synergies + worth.synergies.T)
        gains: Floats = sum((walk(both_ways) for walk in walks), np.zeros(places.shape)) / len(walks)
        return gains

    return contributions


def _table(worth: Worth) -> Floats:
    """Return the Shapley values of all sets of channels, by bit mask.

    With the dividends D of Harsanyi (1959), v(S) = Σ D(T) over the subsets T of S, the value of c is Σ D(T) / |T| over
    those with c.
    """
    size = len(worth.effects)
    bits = (np.arange(1 << size)[:, None] >> np.arange(size)) & 1
    dividends = probability(worth.intercept + bits @ worth.effects + ((bits @ worth.synergies) * bits).sum(axis=1))
    having = [np.flatnonzero(bits[:, channel]) for channel in range(size)]
    for channel, sets in enumerate(having):
        dividends[sets] -= dividends[sets - (1 << channel)]
    values = np.where(bits, (dividends / np.maximum(bits.sum(axis=1), 1))[:, None], 0.0)
    for channel, sets in enumerate(having):
        values[sets] += values[sets - (1 << channel)]
    return values
