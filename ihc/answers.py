"""Credits as the API answers them: for sessions just as they were sent, with four decimals that sum to 1.

Each session without a value gets a reason instead: it comes after the conversion, or its journey cannot be computed.
The other journeys keep their credits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.engine import Booleans, Integers, attribute
from ihc.parameters import Parameters
from ihc.redistribution import Redistribution
from ihc.rounding import credit_of_printed, round_shares
from ihc.schemas import PHASES, require_columns

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
