"""A membership curve and its channel weights out of the shares that an engine printed.

In a phase, a session's share is to the share of a reference session of its journey (the first one for the
initializer, the converting one for the closer; their membership is 1) as

    share = reference * m(hours) * w / w_reference

so every such pair tells a point of the curve `m`, up to the ratio of two channel weights `w`. Curve and weights are
found together by weighted least squares (Gauss and Newton's), each pair as exact as its printed decimals allow, with
two expectations for what the pairs leave open: a curve is made of straight pieces, so its bends are few but may be
sharp, and most channels are neutral, so few weights are far from 1. Both are heavy-tailed (Cauchy's) priors, solved by
reweighting (Holland and Welsch 1977, Communications in Statistics A6). A pair that contradicts the others is weighed
down (Huber 1964, Annals of Mathematical Statistics 35).

The closer's curve may jump at tenths of an hour: there the vendor's curves do, as if trained on hours in tenths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ihc.engine import Booleans, Floats, Integers
from ihc.parameters import Curve

DECIMAL = 1e-4 / np.sqrt(12)  # standard deviation of a share that is printed with four decimals
BEND = 1e-3  # scale of an ordinary bend [1/h], at one hour; it falls with the hours as a curve flattens out
NEUTRAL = 0.01  # scale of an ordinary channel's log weight
LOOSE = 0.05  # the same at the start, so that a weight which is far from 1 gets there
JUMP = 0.1  # standard deviation of a jump at a tenth of an hour
TENTHS = np.round(np.arange(1, 11) / 10, 10)  # [h] where the closer's curve may jump
WIDTH = 2e-4  # [h] of a jump, less than a second
MOST_KNOTS = 400
EVEN_KNOTS = 40  # knots at growing distances, so that a curve may bend between the hours that were seen
OUTLIER = 3.0  # standard deviations from which on a pair is weighed down
ROUNDS, SETTLED = 40, 1e-6
STRAIGHT = 2e-5  # a knot this close to the line between its neighbours is left out
TAIL = 0.1  # of the hours seen: the curve goes on beyond them as it ran over this last part
NEARLY = 0.99  # a curve that rises beyond what was seen stops here, as at 1 it would restart journeys


class Pairs(NamedTuple):
    """Sessions beside the reference session of their journey: hours [h], shares [1], channels [number].

    Where a silence was seen to restart a journey, the session after it is its own reference, and `is_restart`.
    """

    hours: Floats
    share: Floats
    reference: Floats
    channel: Integers
    reference_channel: Integers
    is_restart: Booleans


class Fitted(NamedTuple):
    """A curve, the channels' log weights (0: neutral), and the hours [h] up to which the curve was seen."""

    curve: Curve
    log_weights: Floats
    seen_until: float


class _Grid(NamedTuple):
    """Where the curve may bend, and the rows that take its bends and jumps from its values there."""

    knots: Floats
    bends: Floats
    scale: Floats
    jumps: Floats


def fit_curve(pairs: Pairs, channels: int, *, rising: bool) -> Fitted:
    """Fit the membership curve and the log weights of `channels` channels to `pairs`.

    A rising curve is the initializer's: free at 0 hours; a falling one is the closer's: 1 there. Without any pair the
    curve is constant: at 0 if it rises, at 1 if it falls.
    """
    if not len(pairs.hours):
        level = 0.0 if rising else 1.0
        return Fitted(Curve((0.0, 1.0), (level, level)), np.zeros(channels), 0.0)
    grid = _grid(pairs.hours, rising)
    values, log_weights, precision = _solve(pairs, grid, channels, is_anchored=not rising)
    sign = 1.0 if rising else -1.0
    values = np.clip(sign * _isotonic(sign * values, precision), 0.0, 1.0)
    if not rising:
        values[0] = 1.0
    is_kept = _bends(grid.knots, values)
    hours, values = _go_on(grid.knots[is_kept], values[is_kept])
    # A restart is exact: at 1, and not a rounding below it, the engine begins a journey anew.
    restarts = pairs.hours[pairs.is_restart]
    values = np.where(hours >= min(restarts, default=np.inf), 1.0, values)
    curve = Curve(tuple(hours.round(6).tolist()), tuple(values.round(6).tolist()))
    return Fitted(curve, log_weights, float(pairs.hours.max()))


def _grid(hours: Floats, rising: bool) -> _Grid:
    seen = np.unique(hours)
    seen = seen[np.unique(np.linspace(0, len(seen) - 1, MOST_KNOTS).round().astype("int64"))]
    tenths = np.zeros(0) if rising else TENTHS[seen[-1] > TENTHS]
    edges = np.concatenate([[0.0], tenths - WIDTH, tenths])
    knots = _with_room(_with_room(edges, seen, WIDTH), np.geomspace(0.02, max(seen[-1], 0.03), EVEN_KNOTS), 0.001)
    widths = np.diff(knots)
    slopes = (np.eye(len(knots))[1:] - np.eye(len(knots))[:-1]) / widths[:, None]
    is_jump = np.isin(knots[1:], tenths)
    steady, starts = slopes[~is_jump], knots[:-1][~is_jump]
    return _Grid(knots, steady[1:] - steady[:-1], BEND / np.maximum(starts[1:], 0.1), slopes[is_jump] * WIDTH)


def _with_room(knots: Floats, more: Floats, room: float) -> Floats:
    """The knots, and those of `more` that keep a distance from them and from each other."""
    knots = np.sort(knots)
    place = np.searchsorted(knots, more)
    below = more - knots[np.maximum(place - 1, 0)]
    above = np.append(knots, np.inf)[place] - more
    more = more[(below > room) & (above > room)]
    more = more[np.diff(more, prepend=-np.inf) > room]
    return np.sort(np.concatenate([knots, more]))


def _solve(pairs: Pairs, grid: _Grid, channels: int, *, is_anchored: bool) -> tuple[Floats, Floats, Floats]:
    """The curve's values at the knots, the log weights, and how exact each value is known [1/variance]."""
    size = len(grid.knots)
    by_hours = np.argsort(pairs.hours, kind="stable")
    values = np.interp(grid.knots, pairs.hours[by_hours], (pairs.share / pairs.reference)[by_hours])
    log_weights = np.zeros(channels)
    bend_scale, weight_scale = 100 * grid.scale, np.full(channels, LOOSE)
    for number in range(ROUNDS):
        is_first = number == 0
        normal, gradient = _pulls(pairs, grid.knots, values, log_weights, is_robust=number > 2)
        rows = [(grid.bends, bend_scale), (grid.jumps, np.full(len(grid.jumps), JUMP))]
        for matrix, scale in rows:
            weighted = matrix / scale[:, None] ** 2
            normal[:size, :size] += matrix.T @ weighted
            gradient[:size] -= weighted.T @ (matrix @ values)
        normal[range(size, size + channels), range(size, size + channels)] += 1 / weight_scale**2
        gradient[size:] -= log_weights / weight_scale**2
        if is_anchored:
            normal[0, 0] += 1e12
            gradient[0] += 1e12 * (1 - values[0])
        step = np.linalg.solve(normal + 1e-3 * np.eye(len(normal)), gradient)
        values, log_weights = values + step[:size], log_weights + step[size:]
        bend_scale = np.sqrt((grid.scale**2 + (grid.bends @ values) ** 2) / 2)
        weight_scale = np.sqrt((NEUTRAL**2 + log_weights**2) / 2)
        if not is_first and np.abs(step).max() < SETTLED:
            break
    return values, log_weights, np.maximum(np.diag(normal)[:size], 1e-3)


def _pulls(
    pairs: Pairs, knots: Floats, values: Floats, log_weights: Floats, *, is_robust: bool
) -> tuple[Floats, Floats]:
    """The normal equations of one step: where the pairs pull the values and the log weights."""
    left = np.clip(np.searchsorted(knots, pairs.hours, side="right") - 1, 0, len(knots) - 2)
    part = np.clip((pairs.hours - knots[left]) / (knots[left + 1] - knots[left]), 0, 1)
    membership = values[left] * (1 - part) + values[left + 1] * part
    ratio = np.exp(log_weights[pairs.channel] - log_weights[pairs.reference_channel])
    deviation = DECIMAL * np.sqrt(1 + (membership * ratio) ** 2)
    error = pairs.share - pairs.reference * membership * ratio
    trust = np.minimum(1, OUTLIER * deviation / np.maximum(np.abs(error), 1e-12)) if is_robust else 1.0
    pull = trust / deviation**2

    size = len(knots)
    width = size + len(log_weights)
    full = pairs.reference * ratio
    slopes = [
        (left, full * (1 - part)),
        (left + 1, full * part),
        (size + pairs.channel, full * membership),
        (size + pairs.reference_channel, -full * membership),
    ]
    normal, gradient = np.zeros(width * width), np.zeros(width)
    for row, by_row in slopes:
        gradient += np.bincount(row, pull * by_row * error, width)
        for column, by_column in slopes:
            normal += np.bincount(row * width + column, pull * by_row * by_column, width * width)
    return normal.reshape(width, width), gradient


def _isotonic(values: Floats, precision: Floats) -> Floats:
    """The nearest values that never fall, by pooling neighbours that do (Barlow et al. 1972)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), precision.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            other = pools.pop()
            total = other[1] + pool[1]
            pool = ((other[0] * other[1] + pool[0] * pool[1]) / total, total, other[2] + pool[2])
        pools.append(pool)
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def _bends(hours: Floats, values: Floats) -> Booleans:
    """Mark the knots that a curve needs to stay within `STRAIGHT` of itself (Douglas and Peucker 1973)."""
    is_kept = np.zeros(len(hours), dtype=bool)
    is_kept[[0, -1]] = True
    open_parts = [(0, len(hours) - 1)]
    while open_parts:
        start, end = open_parts.pop()
        inside = np.arange(start + 1, end)
        straight = np.interp(hours[inside], hours[[start, end]], values[[start, end]])
        off = np.abs(values[inside] - straight)
        if len(inside) and off.max() > STRAIGHT:
            middle = int(inside[off.argmax()])
            is_kept[middle] = True
            open_parts += [(start, middle), (middle, end)]
    return is_kept


def _go_on(hours: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Lead a curve on beyond the hours that were seen: a rising one straight, a falling one by its rate of decay."""
    end, last = hours[-1], values[-1]
    begin = end * (1 - TAIL)
    before = float(np.interp(begin, hours, values))
    if last > before and last < NEARLY:
        beyond = np.array([end + (NEARLY - last) * (end - begin) / (last - before)])
        return np.append(hours, beyond), np.append(values, NEARLY)
    if before > last > 0:
        beyond = end + end * np.arange(1, 9) / 8
        rate = np.log(before / last) / (end - begin)
        return np.append(hours, beyond), np.append(values, last * np.exp(-rate * (beyond - end)))
    return hours, values
