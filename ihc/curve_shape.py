"""A membership curve's shape: it never turns back, has few knots, and goes on beyond the hours that were seen."""

from __future__ import annotations

import numpy as np

from ihc.engine import Booleans, Floats

WIDTH = 2e-4  # [h] of a jump, less than a second: knots are no closer
STRAIGHT = 2e-5  # a knot this close to the line between its neighbours is left out
TAIL = 0.1  # of the hours seen: the curve goes on beyond them as it ran over this last part
NEARLY = 0.99  # a curve that rises beyond what was seen stops here, as at 1 it would restart journeys


def isotonic(values: Floats, precision: Floats) -> Floats:
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


def corners(hours: Floats, values: Floats) -> Booleans:
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


def lead_on(hours: Floats, values: Floats, restart: float) -> tuple[Floats, Floats]:
    """Lead a curve on beyond the hours that were seen: a rising one straight, a falling one by its rate of decay.

    Where restarts were seen, a rising curve reaches 1 at the first of them at the latest.
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
