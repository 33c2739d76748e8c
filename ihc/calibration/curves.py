"""Fit a membership curve and channel weights to printed shares.

In a phase, a session's share and the share of a reference session of its journey (the first one for the initializer,
the converting one for the closer; their membership is 1) are related by

    share = reference * m(hours) * w / w_reference

so every pair gives a point of the curve `m`, up to the ratio of two channel weights `w`. The values of the curve at its
knots and the weights are estimated together by weighted least squares (Gauss-Newton), with the precision of each pair
given by its printed decimals. Two priors determine what the pairs leave open: a curve is piecewise linear, with few but
possibly sharp bends, and most channels are neutral, so few weights are far from 1. Both priors are heavy-tailed
(Cauchy) and solved by reweighting (Holland and Welsch 1977, Communications in Statistics A6). A pair that contradicts
the others is down-weighted (Huber 1964, Annals of Mathematical Statistics 35).

The curve is then made monotone by pooling neighbours (isotonic regression, Barlow et al. 1972), simplified by removing
unneeded knots (Douglas and Peucker 1973), and extrapolated beyond the observed hours.

The closer's curve can jump at tenths of an hour, as the vendor's curves do, apparently because they were trained on
hours in tenths. The initializer's curve can reach 1, where a gap restarts the journey; this shows in the sessions with
zero shares, not in a share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.models.parameters import Curve

WIDTH = 2e-4  # [h] the width of a jump, less than a second; knots are never closer
STRAIGHT = 2e-5  # a knot this close to the line between its neighbours is removed
TAIL = 0.1  # share of the observed hours, at their end, that determines the extrapolation
NEARLY = 0.99  # an extrapolated rising curve stops here, as 1 would restart journeys
DECIMAL = 1e-4 / np.sqrt(12)  # standard deviation of a share printed with four decimals
BEND = 1e-3  # scale of an ordinary bend [1/h], at one hour; it falls with the hours as a curve flattens out
NEUTRAL = 0.01  # scale of an ordinary channel's log weight
LOOSE = 0.05  # the same at the start, so that weights far from 1 can be reached
JUMP = 0.1  # standard deviation of a jump at a tenth of an hour
TENTHS = np.round(np.arange(1, 11) / 10, 10)  # [h] where the closer's curve may jump
MOST_KNOTS = 400
EVEN_KNOTS = 40  # knots at growing distances, so that a curve can bend between observed hours
OUTLIER = 3.0  # a pair further off than this many standard deviations is down-weighted
MOST_STEPS, SETTLED = 40, 1e-6
BELOW_1 = 1 - 1e-6  # the maximum of a curve without an observed restart
FARTHEST = np.log(1000)  # the largest absolute log weight of a channel
BELOW_PRINT = 5e-5  # below this, shares of a falling curve are printed as 0 from here on
INHERITED = 10  # uncertainty of a membership read from a curve, as a multiple of rounding
FIRM, DAMPING = 1e12, 1e-3  # precision of known values; ridge term for undetermined ones


def isotonic(values: Floats, precision: Floats) -> Floats:
    """Return the closest non-decreasing values, by pooling adjacent violators (Barlow et al. 1972)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), precision.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            other = pools.pop()
            total = other[1] + pool[1]
            pool = ((other[0] * other[1] + pool[0] * pool[1]) / total, total, other[2] + pool[2])
        pools.append(pool)
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def corners(hours: Floats, values: Floats) -> Booleans:
    """Mark the knots needed to stay within `STRAIGHT` of the curve (Douglas and Peucker 1973)."""
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


def extrapolate(hours: Floats, values: Floats, restart: float) -> tuple[Floats, Floats]:
    """Extrapolate a curve beyond the observed hours: a rising one linearly, a falling one exponentially.

    If restarts were observed, a rising curve reaches 1 at the first of them at the latest.
    """
    end, last = hours[-1], values[-1]
    begin = end * (1 - TAIL)
    before = float(np.interp(begin, hours, values))
    level = 1.0 if restart < np.inf else NEARLY
    if level > last > before + STRAIGHT:
        restart = min(restart, end + (level - last) * (end - begin) / (last - before))
    if last < level and restart < np.inf:
        is_before = hours < restart - WIDTH
        return np.append(hours[is_before], restart), np.append(values[is_before], level)
    if before - STRAIGHT > last > STRAIGHT:
        beyond = end + end * np.arange(1, 9) / 8
        rate = np.log(before / last) / (end - begin)
        return np.append(hours, beyond), np.append(values, last * np.exp(-rate * (beyond - end)))
    return hours, values


class Pairs(NamedTuple):
    """Sessions paired with the reference session of their journey: hours [h], shares [1], channels [number].

    If a gap restarted a journey, the session after it is its own reference, with `is_restart`: it shows where the curve
    is 1 and carries no information on the shares.
    """

    hours: Floats
    share: Floats
    reference: Floats
    channel: Integers
    reference_channel: Integers
    is_restart: Booleans


class Fitted(NamedTuple):
    """A curve, the channels' log weights (0: neutral), and the range of the data [h].

    A curve that was observed to reach its end, 1 or 0, is known for all hours: `seen_until` is infinite.
    """

    curve: Curve
    log_weights: Floats
    seen_until: float


class _Grid(NamedTuple):
    """The knots of the curve, and the matrices that compute its bends and jumps from the values at the knots."""

    knots: Floats
    bends: Floats
    scale: Floats
    jumps: Floats


def fit_curve(pairs: Pairs, channels: int, *, rising: bool) -> Fitted:
    """Fit the membership curve and the log weights of `channels` channels to `pairs`.

    A rising curve is the initializer's and free at 0 hours; a falling one is the closer's and 1 at 0 hours. Without
    pairs the curve is constant: 0 if rising, 1 if falling.
    """
    restart = _restart(pairs)
    is_usable = ~pairs.is_restart & (pairs.hours < restart)
    usable = Pairs._make(values[is_usable] for values in pairs)
    if len(usable.hours):
        hours, values, log_weights = _fit_knots(usable, channels, rising)
        hours, values = extrapolate(hours, values, restart)
    else:
        begin, log_weights = (0.0 if rising else 1.0), np.zeros(channels)
        end, level = (restart, 1.0) if restart < np.inf else (1.0, begin)
        hours, values = np.array([0.0, end]), np.array([begin, level])
    seen_until = float(max(pairs.hours, default=0.0))
    is_at_end = restart < np.inf or (not rising and np.interp(seen_until, hours, values) < BELOW_PRINT)
    curve = Curve(tuple(hours.round(6).tolist()), tuple(values.round(6).tolist()))
    return Fitted(curve, log_weights, np.inf if is_at_end else seen_until)


def _fit_knots(pairs: Pairs, channels: int, rising: bool) -> tuple[Floats, Floats, Floats]:
    """Return the knots of the best-fitting monotone curve, its values there, and the log weights."""
    grid = _grid(pairs.hours, rising)
    values, log_weights, precision = _solve(pairs, grid, channels, is_anchored=not rising)
    sign = 1.0 if rising else -1.0
    values = np.clip(sign * isotonic(sign * values, precision), 0.0, BELOW_1 if rising else 1.0)
    if not rising:
        values[0] = 1.0
    is_needed = corners(grid.knots, values)
    return grid.knots[is_needed], values[is_needed], log_weights


def _restart(pairs: Pairs) -> float:
    """Return the shortest gap [h] that restarts a journey, contradicting the fewest pairs; inf: none.

    Truncated, not rounded, to the decimals of a curve: at the observed gap the curve must already be 1.
    """
    restarts, others = np.sort(pairs.hours[pairs.is_restart]), np.sort(pairs.hours[~pairs.is_restart])
    candidates = np.append(restarts[restarts > 2 * WIDTH], np.inf)
    too_early = np.searchsorted(restarts, candidates)
    too_late = len(others) - np.searchsorted(others, candidates)
    against = too_early + too_late
    best = candidates[np.flatnonzero(against == against.min())[-1]]
    return float(np.floor(best * 1e6) / 1e6)


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
    """Add the knots of `more` that keep a minimum distance from the existing ones and from each other."""
    knots = np.sort(knots)
    place = np.searchsorted(knots, more)
    below = more - knots[np.maximum(place - 1, 0)]
    above = np.append(knots, np.inf)[place] - more
    more = more[(below > room) & (above > room)]
    more = more[np.diff(more, prepend=-np.inf) > room]
    return np.sort(np.concatenate([knots, more]))


def fit_weights(pairs: Pairs, membership: Floats, channels: int) -> Floats:
    """Fit the log weights of `channels` channels to `pairs` with a known, but inexact, `membership`."""
    log_weights, scale = np.zeros(channels), np.full(channels, LOOSE)
    for number in range(MOST_STEPS):
        errors = _errors(pairs, membership, log_weights, deviation=INHERITED * DECIMAL, is_robust=number > 2)
        full = errors.full * membership
        normal, gradient = _normal([(pairs.channel, full), (pairs.reference_channel, -full)], errors, channels)
        step = np.linalg.solve(normal + np.diag(1 / scale**2), gradient - log_weights / scale**2)
        log_weights = np.clip(log_weights + step, -FARTHEST, FARTHEST)
        scale = _cauchy(NEUTRAL, log_weights)
        if number and np.abs(step).max() < SETTLED:
            break
    return log_weights


def _solve(pairs: Pairs, grid: _Grid, channels: int, *, is_anchored: bool) -> tuple[Floats, Floats, Floats]:
    """Return the values of the curve at the knots, the log weights, and the precision of each value [1/variance]."""
    size = len(grid.knots)
    by_hours = np.argsort(pairs.hours, kind="stable")
    values = np.interp(grid.knots, pairs.hours[by_hours], (pairs.share / pairs.reference)[by_hours]).clip(0, 1)
    log_weights = np.zeros(channels)
    bend_scale, weight_scale = 100 * grid.scale, np.full(channels, LOOSE)
    for number in range(MOST_STEPS):
        normal, gradient = _pulls(pairs, grid.knots, values, log_weights, is_robust=number > 2)
        _expect(normal[:size, :size], gradient[:size], values, grid.bends, bend_scale)
        _expect(normal[:size, :size], gradient[:size], values, grid.jumps, np.full(len(grid.jumps), JUMP))
        _expect(normal[size:, size:], gradient[size:], log_weights, np.eye(channels), weight_scale)
        if is_anchored:
            normal[0, 0] += FIRM
            gradient[0] += FIRM * (1 - values[0])
        step = np.linalg.solve(normal + DAMPING * np.eye(len(normal)), gradient)
        values = np.clip(values + step[:size], -1.0, 2.0)
        log_weights = np.clip(log_weights + step[size:], -FARTHEST, FARTHEST)
        bend_scale, weight_scale = _cauchy(grid.scale, grid.bends @ values), _cauchy(NEUTRAL, log_weights)
        if number and np.abs(step).max() < SETTLED:
            break
    return values, log_weights, np.maximum(np.diag(normal)[:size], 1e-3)


def _expect(normal: Floats, gradient: Floats, values: Floats, matrix: Floats, scale: Floats) -> None:
    """Add a prior to the normal equations, in place: `matrix @ values` is 0 with standard deviation `scale`."""
    weighted = matrix / scale[:, None] ** 2
    normal += matrix.T @ weighted
    gradient -= weighted.T @ (matrix @ values)


def _cauchy(scale: Floats | float, values: Floats) -> Floats:
    """Return the standard deviations of the normal prior that pulls at `values` like a Cauchy prior of this scale."""
    deviations: Floats = np.sqrt((scale**2 + values**2) / 2)
    return deviations


def _pulls(
    pairs: Pairs, knots: Floats, values: Floats, log_weights: Floats, *, is_robust: bool
) -> tuple[Floats, Floats]:
    """Return the normal equations of one step for the values and the log weights."""
    left = np.clip(np.searchsorted(knots, pairs.hours, side="right") - 1, 0, len(knots) - 2)
    part = np.clip((pairs.hours - knots[left]) / (knots[left + 1] - knots[left]), 0, 1)
    membership = values[left] * (1 - part) + values[left + 1] * part
    errors = _errors(pairs, membership, log_weights, deviation=DECIMAL, is_robust=is_robust)
    size, full = len(knots), errors.full
    slopes = [
        (left, full * (1 - part)),
        (left + 1, full * part),
        (size + pairs.channel, full * membership),
        (size + pairs.reference_channel, -full * membership),
    ]
    return _normal(slopes, errors, size + len(log_weights))


class _Errors(NamedTuple):
    """Per pair: the error of its share, the share at membership 1, and its weight [1/variance]."""

    error: Floats
    full: Floats
    pull: Floats


def _errors(pairs: Pairs, membership: Floats, log_weights: Floats, *, deviation: float, is_robust: bool) -> _Errors:
    ratio = np.exp(log_weights[pairs.channel] - log_weights[pairs.reference_channel])
    deviations = deviation * np.sqrt(1 + (membership * ratio) ** 2)
    error = pairs.share - pairs.reference * membership * ratio
    trust = np.minimum(1, OUTLIER * deviations / np.maximum(np.abs(error), 1e-12)) if is_robust else 1.0
    return _Errors(error, pairs.reference * ratio, trust / deviations**2)


def _normal(slopes: list[tuple[Integers, Floats]], errors: _Errors, width: int) -> tuple[Floats, Floats]:
    """Build the normal equations from the slopes of the pairs, given as (position, slope)."""
    normal, gradient = np.zeros(width * width), np.zeros(width)
    for row, by_row in slopes:
        gradient += np.bincount(row, errors.pull * by_row * errors.error, width)
        for column, by_column in slopes:
            normal += np.bincount(row * width + column, errors.pull * by_row * by_column, width * width)
    return normal.reshape(width, width), gradient
