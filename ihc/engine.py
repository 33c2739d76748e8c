"""The local engine: the IHC model's arithmetic, vectorised over all journeys at once.

Initializer, holder and closer are three memberships of a session in the phases of its journey: first contact,
interest kept, decision. The formulas were found from answers of the IHC Attribution API and reproduce them to the
last printed digit (https://ihc-attribution.com describes the model in words).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.parameters import Parameters
from ihc.schemas import PHASES, require_columns

NEEDS = ("conv_id", "session_id", "timestamp", "channel_name", "holder_engagement", "closer_engagement")
HOUR = np.timedelta64(1, "h") / np.timedelta64(1, "us")

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def attribute(journeys: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """Spread each conversion's credit over the sessions of its journey by the IHC model.

    In: `journeys` with `conv_id, session_id, timestamp [UTC], channel_name, holder_engagement,
    closer_engagement [0/1]`, rows in any order; the last session by time, then `session_id`, is the converting one.

    Out: `conv_id, session_id, initializer, holder, closer, ihc`, one row for each row of `journeys`, in its order,
    each column a share in [0, 1], unrounded. Per conversion `ihc` sums to 1, and so does each phase that has an
    eligible session; the weight of a phase that has none is shared among the others in proportion.

    Raises InputError for a missing column.
    """
    require_columns(journeys, NEEDS, "journeys")
    order, steps = time_order(journeys)
    ordered = journeys.take(order)
    raw = _raw_phases(ordered, steps, parameters)

    shares = {}
    total = np.zeros(len(journeys))
    weight = np.zeros(len(journeys))
    for phase in PHASES:
        weights = ordered["channel_name"].map(dict(parameters.channel_weights[phase])).fillna(1.0).to_numpy("float64")
        shares[phase] = steps.share(raw[phase] * weights)
        is_present = steps.sum(shares[phase]) > 0
        total += parameters.phase_weights[phase] * shares[phase]
        weight += parameters.phase_weights[phase] * is_present
    shares["ihc"] = total / weight

    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    credits = journeys[["conv_id", "session_id"]].reset_index(drop=True)
    return credits.assign(**{name: values[back] for name, values in shares.items()})


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
    keys = journeys[["conv_id", "timestamp", "session_id"]].reset_index(drop=True)
    order = keys.sort_values(["conv_id", "timestamp", "session_id"], kind="stable").index.to_numpy()
    conv_id = pd.factorize(keys["conv_id"])[0][order].astype("int64")
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = conv_id[1:] != conv_id[:-1]
    is_last = np.append(is_first[1:], True) if len(order) else is_first
    journey = is_first.cumsum() - 1

    moments = keys["timestamp"].to_numpy("datetime64[us]")[order].astype("int64")
    gap = np.diff(moments, prepend=moments[:1]) / HOUR
    to_conversion = (moments[is_last][journey] - moments) / HOUR
    return order, Steps(journey, is_first, is_last, np.where(is_first, 0.0, gap), to_conversion)


def _raw_phases(ordered: pd.DataFrame, steps: Steps, parameters: Parameters) -> dict[str, Floats]:
    """Each session's membership in each phase, before channel weights and normalising."""
    initializer = np.where(steps.is_first, 1.0, parameters.initializer(steps.gap))
    counts = since_last_restart(initializer >= 1, steps)
    initializer = np.where(counts, initializer, 0.0)

    may_close = counts & (steps.is_last | (ordered["closer_engagement"].to_numpy() == 1))
    closer = np.where(may_close, parameters.closer(steps.to_conversion), 0.0)

    may_hold = counts & (ordered["holder_engagement"].to_numpy() == 1)
    u, v = 1 - steps.share(initializer), 1 - steps.share(closer)
    holder = np.where(may_hold, _mean_of_means(u, v), 0.0)
    return {"initializer": initializer, "holder": holder, "closer": closer}


def since_last_restart(restarts: Booleans, steps: Steps) -> Booleans:
    """Mark the rows from the journey's last restart on: an initializer membership of 1 begins it anew."""
    part: Integers = restarts.cumsum()
    is_latest: Booleans = part == part[steps.is_last][steps.journey]
    return is_latest


def _mean_of_means(u: Floats, v: Floats) -> Floats:
    """The mean of the arithmetic and the harmonic mean of `u` and `v`, 0 where both are 0."""
    total = u + v
    harmonic = np.divide(2 * u * v, total, out=np.zeros_like(total), where=total > 0)
    return (total / 2 + harmonic) / 2
