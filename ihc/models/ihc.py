"""The local engine: the IHC model's arithmetic, vectorised over all journeys at once.

Initializer, holder and closer are three memberships of a session in the phases of its journey: first contact,
interest kept, decision. The formulas were found from answers of the IHC Attribution API and reproduce their phases to
the last printed digit (https://ihc-attribution.com describes the model in words).

A session flagged as `impression_interaction` counts like any other: no real answer shows how the vendor treats one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import InputError
from ihc.journeys.touchpoints import Touchpoints, channel_codes, in_time_order
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution, redistribute
from ihc.schemas.tables import PHASES, SHARES

ENGINE_COLUMNS = ("conv_id", "session_id", "timestamp", "channel_name", "holder_engagement", "closer_engagement")
MICROSECONDS_AN_HOUR = np.timedelta64(1, "h") / np.timedelta64(1, "us")
BLOCK_ROWS = 2**16  # rows that are worked on at a time, so that what is in between stays in the processor's cache


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

    Raises InputError for a missing column, an empty timestamp, or a flag that is no number.
    """
    return _worked_out(journeys, SHARES, parameters, redistribution)


def workings(
    journeys: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Show every step of `attribute`: what each session's credit is made of.

    In: as `attribute`.

    Out: one row for each row of `journeys`, in its order: `conv_id, session_id, gap [h since the journey's previous
    session; 0 on the first], to_conversion [h until the converting session], counts [bool: at or after the journey's
    last restart]`; then for each phase `<phase>_membership [1; before a restart as if there were none]`,
    `<phase>_weight [1; the channel's]`, `<phase>_before [share of the phase: membership x weight of the sessions that
    count, normalised]`, `<phase> [the same after a redistribution, if there is one]` and `<phase>_credit [share of
    ihc]`; and `ihc`, the sum of the three credits.

    Raises InputError for a missing column, an empty timestamp, or a flag that is no number.
    """
    by_phase = [f"{phase}_{step}" for step in ("membership", "weight", "before", "credit") for phase in PHASES]
    columns = ("gap", "to_conversion", "counts", *by_phase, *SHARES)
    return _worked_out(journeys, columns, parameters, redistribution)


def _worked_out(
    journeys: pd.DataFrame, columns: tuple[str, ...], parameters: Parameters, redistribution: Redistribution | None
) -> pd.DataFrame:
    """The journeys' keys, and the `columns` of what is worked out for them, block by block."""
    points = in_time_order(journeys, *ENGINE_COLUMNS)
    code, names = channel_codes(journeys["channel_name"])
    engaged = {phase: _flags(journeys[f"{phase}_engagement"]) for phase in ("holder", "closer")}
    found = {name: np.empty(len(journeys), dtype=bool if name == "counts" else "float64") for name in columns}
    for block in _blocks(points):
        row = points.row[block]
        sessions = _Sessions(names, code[row], engaged["holder"][row], engaged["closer"][row])
        steps = _steps(points.path[block], points.moment[block])
        worked_out = _work_out(sessions, steps, parameters, redistribution)
        for name, values in found.items():
            values[row] = worked_out[name]
    keys = {name: journeys[name].array for name in ("conv_id", "session_id")}
    return pd.DataFrame({**keys, **found}, copy=False)


def _flags(values: pd.Series[Any]) -> Booleans:
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
        raise InputError(f"Column {values.name} of journeys must hold 0 and 1 only, as numbers.")
    is_engaged: Booleans = values.to_numpy() == 1
    return is_engaged


def _blocks(points: Touchpoints) -> Iterator[slice]:
    """Cut the rows into runs of whole journeys, of about `BLOCK_ROWS` rows unless a single journey is longer."""
    rows = len(points.row)
    ends = np.append(points.starts[1:], rows)
    start = 0
    while start < rows:
        end = int(ends[min(int(np.searchsorted(ends, start + BLOCK_ROWS)), len(ends) - 1)])
        yield slice(start, end)
        start = end


@dataclass(frozen=True)
class Timeline:
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


def time_order(journeys: pd.DataFrame) -> tuple[Integers, Timeline]:
    """The places of the rows in time order, journey by journey, and the steps that they then are."""
    points = in_time_order(journeys)
    return points.row, _steps(points.path, points.moment)


def _steps(path: Integers, moment: Integers) -> Timeline:
    is_first = np.diff(path, prepend=-1) > 0
    is_last = np.roll(is_first, -1)
    journey = is_first.cumsum() - 1
    gap = np.where(is_first, 0.0, np.diff(moment, prepend=moment[:1]) / MICROSECONDS_AN_HOUR)
    to_conversion = np.asarray((moment[is_last][journey] - moment) / MICROSECONDS_AN_HOUR, dtype="float64")
    return Timeline(journey, is_first, is_last, gap, to_conversion)


class _Sessions(NamedTuple):
    """What the model asks of sessions in time order: their channels, by number and name, and their flags."""

    names: pd.Series[str]
    channel: Integers
    may_hold: Booleans
    may_close: Booleans


def _work_out(
    sessions: _Sessions, steps: Timeline, parameters: Parameters, redistribution: Redistribution | None
) -> dict[str, npt.NDArray[Any]]:
    """Every step from the sessions to their credit, under the names of `workings`."""
    counts = _since_last_restart(steps, parameters)
    memberships = _memberships(sessions, steps, parameters)
    weights = {phase: _weights(sessions, parameters.channel_weights[phase]) for phase in PHASES}
    before = {phase: steps.share(memberships[phase] * weights[phase] * counts) for phase in PHASES}
    shares = before
    if redistribution:
        shares = redistribute(before, sessions.names.take(sessions.channel), steps.journey, redistribution)
    credits = _credits(shares, steps, parameters)
    found = {
        "gap": steps.gap,
        "to_conversion": steps.to_conversion,
        "counts": counts,
        **shares,
    }
    for step, by_phase in (("membership", memberships), ("weight", weights), ("before", before), ("credit", credits)):
        found |= {f"{phase}_{step}": by_phase[phase] for phase in PHASES}
    return found | {"ihc": credits["initializer"] + credits["holder"] + credits["closer"]}


def _weights(sessions: _Sessions, weights: Mapping[str, float]) -> Floats:
    """Each session's channel weight; a channel without one counts as 1."""
    return np.array([weights.get(name, 1.0) for name in sessions.names], dtype="float64")[sessions.channel]


def _memberships(sessions: _Sessions, steps: Timeline, parameters: Parameters) -> dict[str, Floats]:
    """Each session's membership in each phase, before channel weights and normalising, as if nothing restarted.

    The holder needs the whole journey: it takes what the other two phases leave, sessions before a restart included.
    """
    initializer = _begins(steps, parameters)
    closer = np.where(steps.is_last | sessions.may_close, parameters.closer(steps.to_conversion), 0.0)
    u, v = 1 - steps.share(initializer), 1 - steps.share(closer)
    holder = np.where(sessions.may_hold, _mean_of_means(u, v), 0.0)
    return {"initializer": initializer, "holder": holder, "closer": closer}


def _begins(steps: Timeline, parameters: Parameters) -> Floats:
    """How far each session is a new beginning: the first wholly, a later one by the silence before it."""
    return np.where(steps.is_first, 1.0, parameters.initializer(steps.gap))


def _since_last_restart(steps: Timeline, parameters: Parameters) -> Booleans:
    """Mark the rows from the journey's last restart on: an initializer membership of 1 begins it anew."""
    part: Integers = (_begins(steps, parameters) >= 1).cumsum()
    is_latest: Booleans = part == part[steps.is_last][steps.journey]
    return is_latest


def _mean_of_means(u: Floats, v: Floats) -> Floats:
    """The mean of the arithmetic and the harmonic mean of `u` and `v`, 0 where both are 0."""
    total = u + v
    harmonic = np.divide(2 * u * v, total, out=np.zeros_like(total), where=total > 0)
    return (total / 2 + harmonic) / 2


def _credits(shares: Mapping[str, Floats], steps: Timeline, parameters: Parameters) -> dict[str, Floats]:
    """What each phase adds to the credit: its share by its weight, of the weights of the journey's present phases."""
    weight = np.zeros(len(steps.journey))
    for phase in PHASES:
        weight += parameters.phase_weights[phase] * (steps.sum(shares[phase]) > 0)
    return {phase: parameters.phase_weights[phase] * shares[phase] / weight for phase in PHASES}
