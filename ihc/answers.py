"""Credits as the API answers them: for sessions just as they were sent, with four decimals that sum to 1.

A journey that cannot be computed gets a reason instead, and the others keep their credits.
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
from ihc.rounding import round_shares
from ihc.schemas import SHARES, require_columns

NEEDS = (
    "conv_id",
    "session_id",
    "timestamp",
    "channel_name",
    "holder_engagement",
    "closer_engagement",
    "conversion",
)

REASONS = (
    "A timestamp of this journey is neither %Y-%m-%d %H:%M:%S nor %Y-%m-%d %H:%M:%S %z.",
    "Some timestamps of this journey have a zone and some have none.",
    "Two sessions of this journey have the same session_id.",
    "No session of this journey has conversion = 1.",
    "This journey has sessions later than its last one with conversion = 1.",
)
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):\d\d:\d\d)(?: ([+-]\d\d:?\d\d|Z))?", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def answer(
    sessions: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute every journey that can be computed, and give credit away as the `redistribution` says.

    In: `conv_id, session_id, timestamp [text, %Y-%m-%d %H:%M:%S, with or without %z], channel_name,
    holder_engagement, closer_engagement, conversion [0/1]`, rows in any order.

    Out: `conv_id, session_id, initializer, holder, closer, ihc` in the order of the rows, and `conv_id, reason` of
    the journeys that have none. A journey is cut after each session with conversion = 1; each part's `ihc` sums to
    exactly 1, as does each of its phases that has an eligible session. So a conversion with two of them sums to 2.

    Raises InputError for a missing column.
    """
    require_columns(sessions, NEEDS, "sessions")
    steps, failed = _in_time_order(sessions)
    credits = steps[["conv_id", "session_id"]]
    if len(steps):
        # Numbers for the ids: the order is settled, and each part is a journey of its own.
        parts = steps.assign(conv_id=_part(steps), session_id=np.arange(len(steps)))
        shares = attribute(parts, parameters, redistribution)
        rounded = {name: round_shares(shares[name].to_numpy(), parts["conv_id"].to_numpy()) for name in SHARES}
        credits = credits.assign(**rounded)
    return credits.sort_index().reset_index(drop=True), failed


def _in_time_order(sessions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The steps of the journeys that can be computed, and `conv_id, reason` of the others."""
    moments = [_moment(text) for text in sessions["timestamp"]]
    journey, conv_id = pd.factorize(sessions["conv_id"])
    steps = sessions.reset_index(drop=True).assign(
        timestamp=_microseconds(moments),
        journey=journey,
        is_timed=[moment is not None for moment in moments],
        has_zone=[moment is not None and moment.tzinfo is not None for moment in moments],
    )
    by_id = pd.factorize(steps["session_id"], sort=True)[0]
    # Of sessions in the same second the converting one is the last, whatever its id: fractions were cut off on the way.
    steps = steps.take(np.lexsort((by_id, steps["conversion"], steps["timestamp"], journey)))
    reason = _reasons(steps)
    failed = pd.DataFrame({"conv_id": conv_id, "reason": pd.array(reason, dtype="str")})
    is_whole = reason[steps["journey"]] == ""
    return steps[is_whole], failed[reason != ""].reset_index(drop=True)


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
    """Why each journey cannot be computed, "" where it can; `steps` in time order."""
    journey = steps["journey"].to_numpy()
    ends = np.bincount(journey).cumsum() - 1
    has_zone = steps["has_zone"].to_numpy()
    tests = [
        _any(~steps["is_timed"], journey),
        _any(has_zone, journey) & _any(~has_zone, journey),
        _any(steps.duplicated(["journey", "session_id"]), journey),
        ~_any(steps["conversion"] == 1, journey),
        steps["conversion"].to_numpy()[ends] == 0,
    ]
    return np.select(tests, REASONS, default="")


def _any(is_so: npt.ArrayLike, journey: Integers) -> Booleans:
    return np.bincount(journey, weights=is_so) > 0


def _part(steps: pd.DataFrame) -> Integers:
    """The number of each step's part: a part begins with its journey, and after each converting session."""
    journey, conversion = steps["journey"].to_numpy(), steps["conversion"].to_numpy()
    begins = (np.diff(journey, prepend=-1) != 0) | (np.append(0, conversion[:-1]) == 1)
    part: Integers = begins.cumsum() - 1
    return part
