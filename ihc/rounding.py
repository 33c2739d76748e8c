"""Shares with four decimals that still sum to 1, by the method of largest remainders (Hamilton's)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ihc.engine import Floats, Integers

UNITS = 10_000  # four decimals


def round_shares(shares: Floats, journey: npt.NDArray[np.int64]) -> Floats:
    """Round each journey's shares to four decimals without changing their sum.

    In: `shares` in [0, 1] that sum to 1 a journey, or to 0; `journey`: the number of each one's journey, from 0 up.
    Out: each share cut to four decimals or 0.0001 above that, so less than 0.0001 from what it was. Where the cut
    leaves something over, the shares that lost most get it; of equal ones the first.
    """
    units = shares * UNITS
    whole = np.floor(units)
    lost = np.round(units - whole, 6)  # equal shares stay equal, whatever their last bits
    left_over = np.rint(_sums(units, journey)) - _sums(whole, journey)
    return (whole + (_places(lost, journey) < left_over[journey])) / UNITS


def _sums(values: Floats, journey: Integers) -> Floats:
    return np.bincount(journey, weights=values).astype("float64")


def _places(values: Floats, journey: Integers) -> Integers:
    """The place of each value in its journey, from 0 for the largest on."""
    order = np.lexsort((-values, journey))
    ends = np.bincount(journey).cumsum()
    starts = np.append(0, ends[:-1])[journey[order]] if len(ends) else ends
    places = np.empty(len(values), dtype="int64")
    places[order] = np.arange(len(values)) - starts
    return places
