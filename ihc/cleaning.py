"""Journeys fit for training: what would mislead it is left out, and counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.errors import InputError, some
from ihc.schemas import COLUMNS, CONVERSIONS, SESSIONS, require_columns, timestamps

NEEDS = (
    "conv_id",
    "timestamp",
    "session_id",
    "channel_name",
    "holder_engagement",
    "closer_engagement",
    "conv_timestamp",
)
LONGEST = 100  # one journey in so many is left out as too long


class Cleaned(NamedTuple):
    """Journeys fit for training, and what was left out: `reason, conversions, sessions`."""

    journeys: pd.DataFrame
    dropped: pd.DataFrame


def clean_journeys(journeys: pd.DataFrame) -> Cleaned:
    """Leave out what would mislead a training, and count it.

    In: `journeys` as of `train`. Out: `Cleaned`: the rows that are left, in time order journey by journey; and
    `dropped`, a row a reason: `reason, conversions [that lost sessions, or all of them], sessions`.

    Sessions after their conversion, repeated (`conv_id`, `session_id`), journeys of one session and the longest 1 %
    of the journeys are left out, in this order. Of journeys of equal length all stay rather than some.

    Raises InputError for a missing column or an empty value.
    """
    require_columns(journeys, NEEDS, "journeys")
    _check_filled(journeys)
    rows = journeys.assign(channel_name=journeys["channel_name"].astype("str"))
    rows = rows.sort_values(list(NEEDS), kind="stable", ignore_index=True)
    parts = []
    for reason, select in RULES.items():
        out = select(rows)
        parts.append((reason, rows.loc[out, "conv_id"].nunique(), int(out.sum())))
        rows = rows[~out]
    return Cleaned(rows.reset_index(drop=True), pd.DataFrame(parts, columns=["reason", "conversions", "sessions"]))


def sessions_after_conversion(sessions: pd.DataFrame, conversions: pd.DataFrame) -> int:
    """Count the sessions of users with a conversion that come after the last one: no journey holds them.

    In: `sessions` and `conversions` with the tables' columns. Raises InputError for a missing column or a wrong time.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    last = timestamps(conversions["conv_date"], conversions["conv_time"]).groupby(conversions["user_id"]).max()
    visits = timestamps(sessions["event_date"], sessions["event_time"])
    return int((visits.to_numpy() > last.reindex(sessions["user_id"]).to_numpy()).sum())


def _check_filled(journeys: pd.DataFrame) -> None:
    for name in ("timestamp", "conv_timestamp"):
        if not pd.api.types.is_datetime64_dtype(journeys[name]):
            raise InputError(
                f"Journeys, column {name}: training needs timestamps [UTC] without a time zone, not "
                f"{journeys[name].dtype}."
            )
    empty = [name for name in NEEDS if journeys[name].isna().any()]
    if empty:
        raise InputError(f"Journeys: the column {some(empty)} has empty values; fill them or leave those rows out.")


def _after_conversion(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["timestamp"] > rows["conv_timestamp"]


def _repeated(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows.duplicated(["conv_id", "session_id"])


def _single(rows: pd.DataFrame) -> pd.Series[bool]:
    return _lengths(rows) == 1


def _longest(rows: pd.DataFrame) -> pd.Series[bool]:
    """Mark journeys longer than the longest that stays, of which no more than 1 % are."""
    lengths = _lengths(rows)
    ranked = np.sort(lengths[~rows["conv_id"].duplicated()])
    longest = ranked[len(ranked) - 1 - len(ranked) // LONGEST] if len(ranked) else 0
    return lengths > longest


RULES = {
    "sessions after the conversion": _after_conversion,
    "repeated sessions": _repeated,
    "journeys of one session": _single,
    "the longest 1 % of journeys": _longest,
}


def _lengths(rows: pd.DataFrame) -> pd.Series[int]:
    return rows.groupby("conv_id", sort=False)["session_id"].transform("size")
