"""Poisson processes of many customers at once, and the purchases that are left without a channel.

The purchases of a counterfactual are a thinning of one fixed set of candidates (Lewis and Shedler, Simulation of
nonhomogeneous Poisson processes by thinning, Naval Research Logistics 26(3), 1979): a candidate with the uniform u is a
purchase of each world in which u x bound is below its rate there. All worlds share the candidates and their uniforms
(common random numbers), so that a world with a lower rate has a subset of the purchases.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ihc.arrays.types import Booleans, Floats, Integers


class Points(NamedTuple):
    """Points in time: `row`, the process that each belongs to, and `time [days]`."""

    row: Integers
    time: Floats

    def take(self, which: Integers | Booleans) -> Points:
        """Return some of the points."""
        return Points(self.row[which], self.time[which])


def joined(parts: Iterable[Points]) -> Points:
    """Return the points of several processes, one after the other."""
    rows, times = zip(*parts, strict=True)
    return Points(np.concatenate(rows), np.concatenate(times))


def poisson_points(random: np.random.Generator, rate: Floats, start: Floats, length: Floats) -> Points:
    """Draw one homogeneous Poisson process per row, in no order of time.

    In: `rate [per day, >= 0]`, `start [days]` and `length [days]`, one per row.
    """
    row = np.repeat(np.arange(len(rate)), random.poisson(rate * length))
    return Points(row, start[row] + random.random(len(row)) * length[row])


class Pairs(NamedTuple):
    """The `earlier` point of the same row before each `later` one, as positions, and the `days` between them."""

    later: Integers
    earlier: Integers
    days: Floats


def earlier_pairs(later: Points, earlier: Points) -> Pairs:
    """Pair each point of `later` with all points of `earlier` of the same row up to its time.

    In: `earlier` sorted by row, then time. Out: pairs in the order of `later`, then time.
    """
    if not len(earlier.row):
        return Pairs(np.empty(0, "int64"), np.empty(0, "int64"), np.empty(0))
    moments, place = np.unique(np.concatenate([earlier.time, later.time]), return_inverse=True)
    stride, known = len(moments), len(earlier.row)
    end = np.searchsorted(earlier.row * stride + place[:known], later.row * stride + place[known:], side="right")
    begin = np.searchsorted(earlier.row, later.row, side="left")
    count = end - begin
    of_later = np.repeat(np.arange(len(count)), count)
    of_earlier = np.arange(len(of_later)) - np.repeat(count.cumsum() - count - begin, count)
    return Pairs(of_later, of_earlier, later.time[of_later] - earlier.time[of_earlier])
