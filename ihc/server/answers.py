"""Compute credits in the format of the API: sessions as sent, four decimals, sums of exactly 1.

A session without a value gets a reason: it is after the conversion, or its journey cannot be computed. The other
journeys are not affected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.models.ihc import ENGINE_COLUMNS, attribute
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution
from ihc.schemas.tables import PHASES, require_columns

UNITS = 10_000  # four decimals
NEEDS = (*ENGINE_COLUMNS, "conversion")
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
    """Round the shares of each journey to four decimals that sum to 1.

    In: `shares` in [0, 1] that sum to 1 or 0 per journey; `journey`: the journey number of each share, from 0.
    Out: each share rounded half up to four decimals. The largest share of a journey (the first, if several are equal)
    absorbs the difference to 1. If a long journey exceeds 1 by more than that share, the largest shares are instead
    reduced by 0.0001 each.
    """
    units = np.floor(np.round(shares * UNITS, 6) + 0.5)  # equal shares stay equal despite floating-point noise
    rest = (np.rint(_sums(shares, journey)) * UNITS - _sums(units, journey))[journey]
    place = pd.Series(units).groupby(journey).rank(method="first", ascending=False).to_numpy()  # 1: the largest
    is_over = _any((place == 1) & (units + rest < 0), journey)
    return (units + np.where(is_over, -1.0 * (place <= -rest), rest * (place == 1))) / UNITS


def credit_of_printed(phases: Mapping[str, Floats], weights: Mapping[str, float], journey: Integers) -> Floats:
    """Compute the rounded credit from the rounded phases.

    In: `phases`: shares per phase from `round_shares`; `weights`: weight per phase; `journey` as in `round_shares`.
    Out: `ihc` [share] with four decimals, sum 1 per journey. The weight of a phase without shares in a journey is
    distributed to the other phases in proportion.
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
    """Compute all journeys that can be computed, and apply the `redistribution`.

    In: `conv_id, session_id, timestamp [text, %Y-%m-%d %H:%M:%S, with or without %z], channel_name,
    holder_engagement, closer_engagement, conversion [0/1]`, in any order. Sessions with the same
    timestamp keep their order.

    Out: `conv_id, session_id, initializer, holder, closer, ihc`, and `conv_id, session_id, reason` of the sessions
    without a value, both in the order of the rows. The journey ends at the first session with conversion = 1, or at its
    last session if there is none. Per conversion, `ihc` and each phase with an eligible session sum to exactly 1.

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
    """The rounded shares of journeys in time order, one row per session."""
    credits = steps[["conv_id", "session_id"]]
    if not len(steps):
        return credits
    journey = pd.factorize(steps["journey"])[0].astype("int64")
    # Replace ids by numbers, because the order is already fixed.
    shares = attribute(steps.assign(conv_id=journey, session_id=np.arange(len(steps))), parameters, redistribution)
    phases = {phase: round_shares(shares[phase].to_numpy(), journey) for phase in PHASES}
    return credits.assign(**phases, ihc=credit_of_printed(phases, parameters.phase_weights, journey))


def _in_time_order(sessions: pd.DataFrame) -> pd.DataFrame:
    """Sort sessions by journey and time; sessions with the same timestamp stay in the order sent."""
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
    """Why each session has no value; "" if it has one. In: `steps` in time order."""
    journey, has_zone = steps["journey"].to_numpy(), steps["has_zone"].to_numpy()
    tests = [
        _any(~steps["is_timed"], journey),
        _any(has_zone, journey) & _any(~has_zone, journey),
        _any(steps.duplicated(["journey", "session_id"]), journey),
        steps["conversion"].groupby(journey).cumsum().to_numpy() > steps["conversion"].to_numpy(),
    ]
    return np.select(tests, REASONS, default="")


def _any(is_so: npt.ArrayLike, journey: Integers) -> Booleans:
    """Whether the condition holds for any session of the journey, for each session."""
    is_any: Booleans = np.bincount(journey, weights=is_so)[journey] > 0
    return is_any
