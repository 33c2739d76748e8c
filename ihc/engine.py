"""The local engine: the IHC model's arithmetic, vectorised over all journeys at once.

Initializer, holder and closer are three memberships of a session in the phases of its journey: first contact,
interest kept, decision. The formulas were found from answers of the IHC Attribution API and reproduce them to the
last printed digit (https://ihc-attribution.com describes the model in words).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.parameters import Parameters
from ihc.redistribution import Redistribution, redistribute
from ihc.schemas import PHASES
from ihc.touchpoints import in_time_order

NEEDS = ("channel_name", "holder_engagement", "closer_engagement")
HOUR = np.timedelta64(1, "h") / np.timedelta64(1, "us")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def attribute(
    journeys: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Spread each conversion's credit over the sessions of its journey by the IHC model.

    In: `journeys` with `conv_id, session_id, timestamp [UTC], channel_name, holder_engagement,
    closer_engagement [0/1]`, rows in any order; the last session by time, then `session_id`, is the converting one.

    Out: `conv_id, session_id, initializer, holder, closer, ihc`, one row for each row of `journeys`, in its order,
    each column a share in [0, 1], unrounded. Per conversion `ihc` sums to 1, and so does each phase that has an
    eligible session; the weight of a phase that has none is shared among the others in proportion. With a
    `redistribution`, the phases are those after it, and `ihc` is made of them.

    Raises InputError for a missing column.
    """
    order, steps = time_order(journeys)
    memberships = _memberships(_in_order(journeys, order), steps, parameters)
    shares = {
        phase: steps.share(memberships.pop(phase) * _weights(journeys, order, parameters, phase)) for phase in PHASES
    }
    if redistribution:
        shares = redistribute(shares, journeys["channel_name"].take(order), steps.journey, redistribution)
    shares["ihc"] = sum(_credits(shares, steps, parameters).values(), np.zeros(len(order)))
    return _in_rows_order(journeys, order, shares)


def workings(
    journeys: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Show every step of `attribute`: what each session's credit is made of.

    In: as `attribute`.

    Out: one row for each row of `journeys`, in its order: `conv_id, session_id, gap [h since the journey's previous
    session; 0 on the first], to_conversion [h until the converting session], counts [bool: at or after the journey's
    last restart]`; then for each phase `<phase>_membership [1]`, `<phase>_weight [1; the channel's]`, `<phase>_before
    [share of the phase: membership x weight, normalised]`, `<phase> [the same after a redistribution, if there is
    one]` and `<phase>_credit [share of ihc]`; and `ihc`, the sum of the three credits.

    Raises InputError for a missing column.
    """
    order, steps = time_order(journeys)
    memberships = _memberships(_in_order(journeys, order), steps, parameters)
    weights = {phase: _weights(journeys, order, parameters, phase) for phase in PHASES}
    before = {phase: steps.share(memberships[phase] * weights[phase]) for phase in PHASES}
    shares = before
    if redistribution:
        shares = redistribute(before, journeys["channel_name"].take(order), steps.journey, redistribution)
    credits = _credits(shares, steps, parameters)
    found = {"gap": steps.gap, "to_conversion": steps.to_conversion, "counts": _counts(steps, parameters)}
    for suffix, values in (("membership", memberships), ("weight", weights), ("before", before), ("credit", credits)):
        found |= {f"{phase}_{suffix}": values[phase] for phase in PHASES}
    found |= shares | {"ihc": sum(credits.values(), np.zeros(len(order)))}
    return _in_rows_order(journeys, order, found)


def _in_rows_order(journeys: pd.DataFrame, order: Integers, found: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    keys = journeys[["conv_id", "session_id"]].reset_index(drop=True)
    return keys.assign(**{name: values[back] for name, values in found.items()})


@dataclass(frozen=True)
class Steps:
    """The journeys' rows in time order: which journey each is in, the hours since the last and to the conversion."""

    journey: Integers
    is_first: Booleans
    is_last: Booleans
    gap: Floats
    to_conversion: Floats

    def sum(self, values: Floats) -> Floats:
        """The journey's sum, on each of its rows."""
        return np.bincount(self.journey, weights=values).astype("float64")[self.journey]

    def share(self, values: Floats) -> Floats:
        """Values normalised to sum 1 over the journey; 0 where the journey has none."""
        totals = self.sum(values)
        return np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)


def time_order(journeys: pd.DataFrame) -> tuple[Integers, Steps]:
    """The places of the rows in time order, journey by journey, and the steps that they then are."""
    points = in_time_order(journeys, *NEEDS)
    is_first, is_last = points.rank == 0, points.rank == points.length - 1
    gap: Floats = np.diff(points.moment, prepend=points.moment[:1]) / HOUR
    gap[is_first] = 0.0
    to_conversion = (points.moment[is_last][points.path] - points.moment) / HOUR
    return points.row, Steps(points.path, is_first, is_last, gap, np.asarray(to_conversion, dtype="float64"))


class _Engaged(NamedTuple):
    """Which sessions are flagged for a phase, in time order."""

    holder: Booleans
    closer: Booleans


def _in_order(journeys: pd.DataFrame, order: Integers) -> _Engaged:
    return _Engaged(*((journeys[f"{phase}_engagement"].to_numpy() == 1)[order] for phase in ("holder", "closer")))


def _weights(journeys: pd.DataFrame, order: Integers, parameters: Parameters, phase: str) -> Floats:
    """Each session's channel weight in a phase; a channel without one counts as 1."""
    weights = journeys["channel_name"].map(dict(parameters.channel_weights[phase])).fillna(1.0)
    in_order: Floats = weights.to_numpy("float64")[order]
    return in_order


def _memberships(engaged: _Engaged, steps: Steps, parameters: Parameters) -> dict[str, Floats]:
    """Each session's membership in each phase, before channel weights and normalising."""
    counts = _counts(steps, parameters)
    initializer = np.where(counts, _begins(steps, parameters), 0.0)
    closer = np.where(counts & (steps.is_last | engaged.closer), parameters.closer(steps.to_conversion), 0.0)
    u, v = 1 - steps.share(initializer), 1 - steps.share(closer)
    holder = np.where(counts & engaged.holder, _mean_of_means(u, v), 0.0)
    return {"initializer": initializer, "holder": holder, "closer": closer}


def _begins(steps: Steps, parameters: Parameters) -> Floats:
    """How far each session is a new beginning: the first wholly, a later one by the silence before it."""
    return np.where(steps.is_first, 1.0, parameters.initializer(steps.gap))


def _counts(steps: Steps, parameters: Parameters) -> Booleans:
    """Mark the rows from the journey's last restart on: an initializer membership of 1 begins it anew."""
    part: Integers = (_begins(steps, parameters) >= 1).cumsum()
    is_latest: Booleans = part == part[steps.is_last][steps.journey]
    return is_latest


def _mean_of_means(u: Floats, v: Floats) -> Floats:
    """The mean of the arithmetic and the harmonic mean of `u` and `v`, 0 where both are 0."""
    total = u + v
    harmonic = np.divide(2 * u * v, total, out=np.zeros_like(total), where=total > 0)
    return (total / 2 + harmonic) / 2


def _credits(shares: Mapping[str, Floats], steps: Steps, parameters: Parameters) -> dict[str, Floats]:
    """What each phase adds to the credit: its share by its weight, of the weights of the journey's present phases."""
    weight = np.zeros(len(steps.journey))
    for phase in PHASES:
        weight += parameters.phase_weights[phase] * (steps.sum(shares[phase]) > 0)
    return {phase: parameters.phase_weights[phase] * shares[phase] / weight for phase in PHASES}
