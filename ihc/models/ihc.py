"""The IHC model: the local attribution engine, vectorised over all journeys.

Initializer, holder and closer are three memberships of a session in the phases of its journey: first contact, sustained
interest, decision. The formulas were derived from answers of the IHC Attribution API and reproduce its phases to the
last printed digit (https://ihc-attribution.com describes the model in words).

Sessions with `impression_interaction` count like any other: no API answer shows how the vendor treats them.
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
BLOCK_ROWS = 2**16  # rows per block, so that intermediate arrays stay in the processor's cache


def attribute(
    journeys: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Distribute the credit of each conversion over the sessions of its journey by the IHC model.

    Parameters
    ----------
    journeys : DataFrame
        The journeys: `conv_id, session_id, timestamp [UTC], channel_name, holder_engagement, closer_engagement [0/1]`,
        rows in any order. The last session by time, then `session_id`, is the converting one.
    parameters : Parameters
        The model parameters, see `load_parameters`.
    redistribution : Redistribution, optional
        Which channels give their credit to others, see `load_redistribution`.

    Returns
    -------
    DataFrame
        One row per row of `journeys`, in its order: `conv_id, session_id, initializer, holder, closer, ihc`, each a
        share in [0, 1], unrounded. Per conversion, `ihc` sums to 1, and so does each phase that has an eligible
        session. With a `redistribution`, the phases are those after it, and `ihc` is calculated from them.

    Raises
    ------
    InputError
        For a missing column, an empty timestamp, or a flag that is not a number.

    Notes
    -----
    With m the membership curves of the parameters, a session has in each phase the membership

    * initializer: 1 for the first session, m(hours since the previous session) for later ones; at 1 the journey
      restarts, and the sessions before get no credit;
    * closer: m(hours to the conversion) for the converting and closer-engaged sessions, otherwise 0;
    * holder: the mean of the arithmetic and the harmonic mean of 1 - initializer share and 1 - closer share for
      holder-engaged sessions, otherwise 0.

    Memberships times channel weights are normalised over the journey to the phase shares. `ihc` is the mean of the
    phase shares, weighted by the phase weights; the weight of a phase without a session is shared by the others in
    proportion. The formulas were derived from answers of the IHC Attribution API; https://ihc-attribution.com describes
    the model.

    Examples
    --------
    >>> import pandas as pd
    >>> import ihc
    >>> journeys = pd.DataFrame(
    ...     {
    ...         "conv_id": "c",
    ...         "session_id": ["s1", "s2"],
    ...         "timestamp": pd.to_datetime(["2023-09-01 12:00", "2023-09-02 12:00"]),
    ...         "channel_name": ["Search", "Mail"],
    ...         "holder_engagement": 1,
    ...         "closer_engagement": 1,
    ...     }
    ... )
    >>> credits = ihc.attribute(journeys, ihc.load_parameters())
    >>> list(credits.columns)
    ['conv_id', 'session_id', 'initializer', 'holder', 'closer', 'ihc']
    >>> float(credits["ihc"].sum())
    1.0

    """
    return _worked_out(journeys, SHARES, parameters, redistribution)


def workings(
    journeys: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Return every intermediate result of `attribute`.

    In: as `attribute`.

    Out: one row per row of `journeys`, in its order: `conv_id, session_id, gap [h since the journey's previous session;
    0 on the first], to_conversion [h until the converting session], counts [bool: at or after the journey's last
    restart]`; then for each phase `<phase>_membership [1; before a restart as if there were none]`, `<phase>_weight [1;
    the channel's]`, `<phase>_before [share of the phase: membership x weight of the sessions that count, normalised]`,
    `<phase> [the same after the redistribution, if any]` and `<phase>_credit [share of ihc]`; and `ihc`, the sum of the
    three credits.

    Raises InputError for a missing column, an empty timestamp, or a flag that is not a number.
    """
    by_phase = [f"{phase}_{step}" for step in ("membership", "weight", "before", "credit") for phase in PHASES]
    columns = ("gap", "to_conversion", "counts", *by_phase, *SHARES)
    return _worked_out(journeys, columns, parameters, redistribution)


def _worked_out(
    journeys: pd.DataFrame, columns: tuple[str, ...], parameters: Parameters, redistribution: Redistribution | None
) -> pd.DataFrame:
    """Return the keys of the journeys, and the `columns`, computed block by block."""
    points = in_time_order(journeys, *ENGINE_COLUMNS)
    sessions = sessions_of(journeys)
    found = {name: np.empty(len(journeys), dtype=bool if name == "counts" else "float64") for name in columns}
    for block in _blocks(points):
        row = points.row[block]
        steps = _steps(points.path[block], points.moment[block])
        worked_out = _work_out(sessions.take(row), steps, parameters, redistribution)
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
    """Split the rows into blocks of whole journeys with about `BLOCK_ROWS` rows; a longer journey is one block."""
    rows = len(points.row)
    ends = np.append(points.starts[1:], rows)
    start = 0
    while start < rows:
        end = int(ends[min(int(np.searchsorted(ends, start + BLOCK_ROWS)), len(ends) - 1)])
        yield slice(start, end)
        start = end


@dataclass(frozen=True)
class Timeline:
    """Journey rows in time order: journey number, hours since the previous session and until the conversion."""

    journey: Integers
    is_first: Booleans
    is_last: Booleans
    gap: Floats
    to_conversion: Floats

    def sum(self, values: Floats) -> Floats:
        """Return the journey's sum on each of its rows."""
        return np.bincount(self.journey, weights=values).astype("float64")[self.journey]

    def share(self, values: Floats) -> Floats:
        """Normalise values to sum 1 over the journey; 0 if the journey has none."""
        totals = self.sum(values)
        return np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)


def time_order(journeys: pd.DataFrame) -> tuple[Integers, Timeline]:
    """Return the positions of the rows in time order, journey by journey, and their timeline."""
    points = in_time_order(journeys)
    return points.row, _steps(points.path, points.moment)


def _steps(path: Integers, moment: Integers) -> Timeline:
    is_first = np.diff(path, prepend=-1) > 0
    is_last = np.roll(is_first, -1)
    journey = is_first.cumsum() - 1
    gap = np.where(is_first, 0.0, np.diff(moment, prepend=moment[:1]) / MICROSECONDS_AN_HOUR)
    to_conversion = np.asarray((moment[is_last][journey] - moment) / MICROSECONDS_AN_HOUR, dtype="float64")
    return Timeline(journey, is_first, is_last, gap, to_conversion)


class Sessions(NamedTuple):
    """Sessions as the model needs them: channel names, the number of each session's channel, and flags."""

    names: pd.Series[str]
    channel: Integers
    may_hold: Booleans
    may_close: Booleans

    def take(self, row: Integers) -> Sessions:
        """Return the sessions at these positions."""
        return Sessions(self.names, self.channel[row], self.may_hold[row], self.may_close[row])


def sessions_of(journeys: pd.DataFrame) -> Sessions:
    """Return the rows of journeys, in their order. Raises InputError for a flag that is not a number."""
    code, names = channel_codes(journeys["channel_name"])
    return Sessions(names, code, *(_flags(journeys[f"{phase}_engagement"]) for phase in ("holder", "closer")))


def credit_in_time_order(
    sessions: Sessions,
    path: Integers,
    moment: Integers,
    parameters: Parameters,
    redistribution: Redistribution | None = None,
) -> Floats:
    """Return the credit of each session, `ihc` of `attribute`, without a frame.

    In: the sessions journey by journey, each in time order; the number of each session's journey, rising; its time
    [µs]. Out: credit [share], sum 1 over each journey.
    """
    if not len(path):
        return np.zeros(0)
    return _work_out(sessions, _steps(path, moment), parameters, redistribution)["ihc"]


def _work_out(
    sessions: Sessions, steps: Timeline, parameters: Parameters, redistribution: Redistribution | None
) -> dict[str, npt.NDArray[Any]]:
    """Compute every step from the sessions to their credit, named as in `workings`."""
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


def _weights(sessions: Sessions, weights: Mapping[str, float]) -> Floats:
    """Return each session's channel weight; 1 for a channel without one."""
    return np.array([weights.get(name, 1.0) for name in sessions.names], dtype="float64")[sessions.channel]


def _memberships(sessions: Sessions, steps: Timeline, parameters: Parameters) -> dict[str, Floats]:
    """Return each session's membership in each phase, before channel weights and normalisation, without restarts.

    The holder needs the whole journey: it takes what the other two phases leave, including sessions before a restart.
    """
    initializer = _begins(steps, parameters)
    closer = np.where(steps.is_last | sessions.may_close, parameters.closer(steps.to_conversion), 0.0)
    u, v = 1 - steps.share(initializer), 1 - steps.share(closer)
    holder = np.where(sessions.may_hold, _mean_of_means(u, v), 0.0)
    return {"initializer": initializer, "holder": holder, "closer": closer}


def _begins(steps: Timeline, parameters: Parameters) -> Floats:
    """Return the initializer membership: 1 for the first session, for later ones by the gap before them."""
    return np.where(steps.is_first, 1.0, parameters.initializer(steps.gap))


def _since_last_restart(steps: Timeline, parameters: Parameters) -> Booleans:
    """Mark the rows from the journey's last restart on; an initializer membership of 1 is a restart."""
    part: Integers = (_begins(steps, parameters) >= 1).cumsum()
    is_latest: Booleans = part == part[steps.is_last][steps.journey]
    return is_latest


def _mean_of_means(u: Floats, v: Floats) -> Floats:
    """Return the mean of the arithmetic and the harmonic mean of `u` and `v`; 0 if both are 0."""
    total = u + v
    harmonic = np.divide(2 * u * v, total, out=np.zeros_like(total), where=total > 0)
    return (total / 2 + harmonic) / 2


def _credits(shares: Mapping[str, Floats], steps: Timeline, parameters: Parameters) -> dict[str, Floats]:
    """Return each phase's credit: its share x its phase weight / the sum of the weights of the journey's phases."""
    weight = np.zeros(len(steps.journey))
    for phase in PHASES:
        weight += parameters.phase_weights[phase] * (steps.sum(shares[phase]) > 0)
    return {phase: parameters.phase_weights[phase] * shares[phase] / weight for phase in PHASES}
