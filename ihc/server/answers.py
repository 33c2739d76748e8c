"""Credits as the API answers them: for sessions just as they were sent, with four decimals that sum to 1.

Each session without a value gets a reason instead: it comes after the conversion, or its journey cannot be computed.
The other journeys keep their credits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.models.ihc import attribute
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution
from ihc.schemas.tables import PHASES, require_columns

UNITS = 10_000  # four decimals
NEEDS = (
    "conv_id",
    "session_id",
    "timestamp",
    "channel_name",
    "holder_engagement",
    "closer_engagement",
    "conversion",
)
AFTER_CONVERSION = "Session/Impression excluded from customer journey since it occurs after the conversion event"
REASONS = (
    "A timestamp of this journey is neither %Y-%m-%d %H:%M:%S nor %Y-%m-%d %H:%M:%S %z.",
    "Some timestamps of this journey have a zone and some have none.",
    "Two sessions of this journey have the same session_id.",
    AFTER_CONVERSION,
)
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):\d\d:\d\d)(?: ([+-]\d\d:?\d\d|Z))?", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def round_shares(shares: Floats, journey: Integers) -> Floats:
    """Round each journey's shares to four decimals that sum to 1.

    In: `shares` in [0, 1] that sum to 1 a journey, or to 0; `journey`: the number of each one's journey, from 0 up.
    Out: each share rounded to four decimals, a half upwards. The largest share of the journey, the first of equals,
    takes the difference to 1. A long journey can be over 1 by more than that share; then the largest shares give
    0.0001 each instead.
    """
    units = np.floor(np.round(shares * UNITS, 6) + 0.5)  # equal shares stay equal, whatever their last bits
    rest = (np.rint(_sums(shares, journey)) * UNITS - _sums(units, journey))[journey]
    place = pd.Series(units).groupby(journey).rank(method="first", ascending=False).to_numpy()  # 1: the largest
    is_over = _any((place == 1) & (units + rest < 0), journey)
    return (units + np.where(is_over, -1.0 * (place <= -rest), rest * (place == 1))) / UNITS


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


def answer(
    sessions: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute every journey that can be computed, and give credit away as the `redistribution` says.

    In: `conv_id, session_id, timestamp [text, %Y-%m-%d %H:%M:%S, with or without %z], channel_name,
    holder_engagement, closer_engagement, conversion [0/1]`, rows in any order; sessions of one moment keep it.

    Out: `conv_id, session_id, initializer, holder, closer, ihc`, and `conv_id, session_id, reason` of the sessions that
    have none, both in the order of the rows. The first session with conversion = 1 ends the journey; without any, the
    last session does. Per conversion `ihc` sums to exactly 1, and so does each phase that has an eligible session.

    Raises InputError for a missing column.
    """
    require_columns(sessions, NEEDS, "sessions")
    steps = _in_time_order(sessions)
    reason = _reasons(steps)
    has_value = reason == ""
    failed = steps.loc[~has_value, ["conv_id", "session_id"]].assign(reason=pd.array(reason[~has_value], dtype="str"))
    credits = _credits(steps[has_value], parameters, redistribution)
    return credits.sort_index().reset_index(drop=True), failed.sort_index().reset_index(drop=True)


def _credits(steps: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None) -> pd.DataFrame:
    """The printed shares of journeys in time order, a row a session."""
    credits = steps[["conv_id", "session_id"]]
    if not len(steps):
        return credits
    journey = pd.factorize(steps["journey"])[0].astype("int64")
    # Numbers for the ids: the order is settled.
    shares = attribute(steps.assign(conv_id=journey, session_id=np.arange(len(steps))), parameters, redistribution)
    phases = {phase: round_shares(shares[phase].to_numpy(), journey) for phase in PHASES}
    return credits.assign(**phases, ihc=credit_of_printed(phases, parameters.phase_weights, journey))


def _in_time_order(sessions: pd.DataFrame) -> pd.DataFrame:
    """The sessions journey by journey, by time; those of one moment as they were sent."""
    moments = [_moment(text) for text in sessions["timestamp"]]
    steps = sessions.reset_index(drop=True).assign(
        timestamp=_microseconds(moments),
        journey=pd.factorize(sessions["conv_id"])[0],
        is_timed=[moment is not None for moment in moments],
        has_zone=[moment is not None and moment.tzinfo is not None for moment in moments],
    )
    return steps.take(np.lexsort((steps["timestamp"], steps["journey"])))


def _moment(text: str) -> datetime | None:
    match = TIMESTAMP.fullmatch(text)
    try:
        return datetime.fromisoformat(match[1] + (match[2] or "")) if match else None
    except ValueError:
        return None


def _microseconds(moments: Iterable[datetime | None]) -> npt.NDArray[np.datetime64]:
    utc = [moment.replace(tzinfo=moment.tzinfo or UTC) if moment else EPOCH for moment in moments]
    return np.array([(moment - EPOCH) // MICROSECOND for moment in utc], dtype="datetime64[us]")


def _reasons(steps: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Why each session has no value, "" where it has one; `steps` in time order."""
    journey, has_zone = steps["journey"].to_numpy(), steps["has_zone"].to_numpy()
    tests = [
        _any(~steps["is_timed"], journey),
        _any(has_zone, journey) & _any(~has_zone, journey),
        _any(steps.duplicated(["journey", "session_id"]), journey),
        steps["conversion"].groupby(journey).cumsum().to_numpy() > steps["conversion"].to_numpy(),
    ]
    return np.select(tests, REASONS, default="")


def _any(is_so: npt.ArrayLike, journey: Integers) -> Booleans:
    """Whether it is so in any session of the journey, on each of its sessions."""
    is_any: Booleans = np.bincount(journey, weights=is_so)[journey] > 0
    return is_any
