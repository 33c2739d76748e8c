"""The local engine: the IHC model's arithmetic, vectorised over all journeys at once.

Initializer, holder and closer are three memberships of a session in the phases of its journey: first contact,
interest kept, decision. The formulas were found from answers of the IHC Attribution API and reproduce them to the
last printed digit (https://ihc-attribution.com describes the model in words).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    order, found = _computed(journeys, parameters)
    return _in_rows_order(journeys, order, {name: found[name] for name in (*PHASES, "ihc")})


def workings(journeys: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """Show every step of `attribute`: what each session's credit is made of.

    In: as `attribute`.

    Out: one row for each row of `journeys`, in its order: `conv_id, session_id, gap [h since the journey's previous
    session; 0 on the first], to_conversion [h until the converting session], counts [bool: at or after the journey's
    last restart]`; then for each phase `<phase>_membership [1]`, `<phase>_weight [1; the channel's]`, `<phase> [share
    of the phase: membership x weight, normalised]` and `<phase>_credit [share of ihc]`; and `ihc`, the sum of the
    three credits.

    Raises InputError for a missing column.
    """
    order, found = _computed(journeys, parameters)
    return _in_rows_order(journeys, order, found)


def _computed(journeys: pd.DataFrame, parameters: Parameters) -> tuple[Integers, dict[str, Any]]:
    """The rows' time order, and every step of the arithmetic in that order."""
    require_columns(journeys, NEEDS, "journeys")
    order, steps = _steps(journeys)
    ordered = journeys.take(order)
    found = _memberships(ordered, steps, parameters)
    total = np.zeros(len(journeys))
    weight = np.zeros(len(journeys))
    for phase in PHASES:
        channel_weights = dict(parameters.channel_weights[phase])
        found[f"{phase}_weight"] = ordered["channel_name"].map(channel_weights).fillna(1.0).to_numpy("float64")
        found[phase] = steps.share(found[f"{phase}_membership"] * found[f"{phase}_weight"])
        is_present = steps.sum(found[phase]) > 0
        found[f"{phase}_credit"] = parameters.phase_weights[phase] * found[phase]
        total += found[f"{phase}_credit"]
        weight += parameters.phase_weights[phase] * is_present
    found |= {f"{phase}_credit": found[f"{phase}_credit"] / weight for phase in PHASES}
    found["ihc"] = total / weight
    return order, found


def _in_rows_order(journeys: pd.DataFrame, order: Integers, found: dict[str, Any]) -> pd.DataFrame:
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    keys = journeys[["conv_id", "session_id"]].reset_index(drop=True)
    return keys.assign(**{name: values[back] for name, values in found.items()})


@dataclass(frozen=True)
class _Steps:
    """The journeys' rows in time order: which journey each is in, and the hours before and after it."""

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


def _steps(journeys: pd.DataFrame) -> tuple[Integers, _Steps]:
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
    return order, _Steps(journey, is_first, is_last, np.where(is_first, 0.0, gap), to_conversion)


def _memberships(ordered: pd.DataFrame, steps: _Steps, parameters: Parameters) -> dict[str, Any]:
    """Each session's membership in each phase, before channel weights and normalising, and what it is read from."""
    initializer = np.where(steps.is_first, 1.0, parameters.initializer(steps.gap))
    counts = _since_last_restart(initializer >= 1, steps)
    initializer = np.where(counts, initializer, 0.0)

    may_close = counts & (steps.is_last | (ordered["closer_engagement"].to_numpy() == 1))
    closer = np.where(may_close, parameters.closer(steps.to_conversion), 0.0)

    may_hold = counts & (ordered["holder_engagement"].to_numpy() == 1)
    u, v = 1 - steps.share(initializer), 1 - steps.share(closer)
    holder = np.where(may_hold, _mean_of_means(u, v), 0.0)
    return {
        "gap": steps.gap,
        "to_conversion": steps.to_conversion,
        "counts": counts,
        "initializer_membership": initializer,
        "holder_membership": holder,
        "closer_membership": closer,
    }


def _since_last_restart(restarts: Booleans, steps: _Steps) -> Booleans:
    """Mark the rows from the journey's last restart on: an initializer membership of 1 begins it anew."""
    part: Integers = restarts.cumsum()
    is_latest: Booleans = part == part[steps.is_last][steps.journey]
    return is_latest


def _mean_of_means(u: Floats, v: Floats) -> Floats:
    """The mean of the arithmetic and the harmonic mean of `u` and `v`, 0 where both are 0."""
    total = u + v
    harmonic = np.divide(2 * u * v, total, out=np.zeros_like(total), where=total > 0)
    return (total / 2 + harmonic) / 2
