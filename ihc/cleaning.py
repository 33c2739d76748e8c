"""Journeys fit for training: what would mislead it is left out and counted."""

from __future__ import annotations

from typing import NamedTuple

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
FEWEST_SESSIONS = 3  # of a journey; with journeys of 2, curves end too early on a real shop


class Cleaned(NamedTuple):
    """Journeys fit for training, and what each rule left of them.

    `rules`: `rule, journeys_before, sessions_before, journeys_after, sessions_after [count]`, one row per rule.
    """

    journeys: pd.DataFrame
    rules: pd.DataFrame


def clean_journeys(journeys: pd.DataFrame) -> Cleaned:
    """Leave out what would mislead a training, and count it.

    In: `journeys` as of `train`. Out: `Cleaned`, with the rows that are left in time order journey by journey.

    Sessions after their conversion, repeated (`conv_id`, `session_id`) and journeys of fewer than `FEWEST_SESSIONS`
    sessions are left out, in this order.

    Raises InputError for a missing column or an empty value.
    """
    require_columns(journeys, NEEDS, "journeys")
    _check_filled(journeys)
    rows = journeys.assign(channel_name=journeys["channel_name"].astype("str"))
    rows = rows.sort_values(list(NEEDS), kind="stable", ignore_index=True)
    counts = [_counts(rows)]
    for is_out in RULES.values():
        rows = rows[~is_out(rows)]
        counts.append(_counts(rows))
    table = [(rule, *before, *after) for rule, before, after in zip(RULES, counts, counts[1:], strict=False)]
    return Cleaned(rows.reset_index(drop=True), pd.DataFrame(table, columns=["rule", *COUNTS]))


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


def _short(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows.groupby("conv_id", sort=False)["session_id"].transform("size") < FEWEST_SESSIONS


def _counts(rows: pd.DataFrame) -> tuple[int, int]:
    return rows["conv_id"].nunique(), len(rows)


RULES = {
    "sessions after the conversion": _after_conversion,
    "repeated sessions": _repeated,
    f"journeys of fewer than {FEWEST_SESSIONS} sessions": _short,
}
COUNTS = ("journeys_before", "sessions_before", "journeys_after", "sessions_after")
