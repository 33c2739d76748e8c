"""Shares as the API prints them: four decimals that sum to 1, and a credit that is made of the printed phases.

The rule was found from answers of the API: it gives 99.5 % of the printed `ihc` from the printed phases. The published
answers do not settle the phases' own rounding; the same rule fits the closer better than largest remainders do.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ihc.engine import Floats, Integers

UNITS = 10_000  # four decimals


def round_shares(shares: Floats, journey: Integers) -> Floats:
    """Round each journey's shares to four decimals that sum to 1.

    In: `shares` in [0, 1] that sum to 1 a journey, or to 0; `journey`: the number of each one's journey, from 0 up.
    Out: each share rounded to four decimals, a half upwards. The largest share of the journey, the first of equals,
    takes the difference to 1. A long journey can be over 1 by more than that share; then the largest shares give
    0.0001 each instead.
    """
    units = np.floor(np.round(shares * UNITS, 6) + 0.5)  # equal shares stay equal, whatever their last bits
    rest = (np.rint(_sums(shares, journey)) * UNITS - _sums(units, journey))[journey]
    place = _places(units, journey)
    is_largest = place == 0
    is_over = _sums(is_largest & (units + rest < 0), journey)[journey] > 0
    return (units + np.where(is_over, -1.0 * (place < -rest), rest * is_largest)) / UNITS


def credit_of_printed(phases: Mapping[str, Floats], weights: Mapping[str, float], journey: Integers) -> Floats:
    """Make the printed credit of the printed phases.

    In: `phases`: each phase's shares as `round_shares` gives them; `weights`: the weight of each phase; `journey` as of
    `round_shares`. Out: `ihc` [share] with four decimals, sum 1 a journey that has a phase; phases that have no share
    in a journey leave their weight to the others in proportion.
    """
    credit, present = np.zeros(len(journey)), np.zeros(len(journey))
    for phase, shares in phases.items():
        credit += weights[phase] * shares
        present += weights[phase] * (_sums(shares, journey) > 0)[journey]
    return round_shares(credit / present, journey)


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
