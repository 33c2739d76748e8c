"""The tables: their columns, their types, and what makes a table unfit to compute with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.errors import InputError, counted, some

if TYPE_CHECKING:
    import pandera.pandas as pa

LARGEST = 1e15  # an amount from which on cents are lost in floating point
EPOCH = "1970-01-01"
FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")
PHASES = ("initializer", "holder", "closer")
SHARES = (*PHASES, "ihc")

SESSIONS = "session_sources"
CONVERSIONS = "conversions"
COSTS = "session_costs"

COLUMNS: dict[str, tuple[str, ...]] = {
    SESSIONS: ("session_id", "user_id", "event_date", "event_time", "channel_name", *FLAGS),
    CONVERSIONS: ("conv_id", "user_id", "conv_date", "conv_time", "revenue"),
    COSTS: ("session_id", "cost"),
}
KEYS = {SESSIONS: "session_id", CONVERSIONS: "conv_id", COSTS: "session_id"}

JOURNEYS = (
    "conv_id",
    "session_id",
    "user_id",
    "timestamp",
    "channel_name",
    *FLAGS,
    "conversion",
    "conv_timestamp",
    "revenue",
)
CREDITS = ("conv_id", "session_id", "ihc")
REPORTING = ("channel_name", "date", "cost", "ihc", "ihc_revenue")


Window = tuple[str | None, str | None]  # first and last day, YYYY-MM-DD; None: as far as there are any


class Tables(NamedTuple):
    """The shop's three tables, checked and typed."""

    sessions: pd.DataFrame
    conversions: pd.DataFrame
    costs: pd.DataFrame


def _is_date(values: pd.Series[Any]) -> pd.Series[bool]:
    text = values.astype("str")
    shaped = text.str.fullmatch(r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}")
    return shaped & pd.to_datetime(text, format="%Y-%m-%d", errors="coerce").notna()


def _is_time(values: pd.Series[Any]) -> pd.Series[bool]:
    return values.astype("str").str.fullmatch(r"([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,6})?")


def _is_flag(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).isin((0, 1))


def _is_finite(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).abs() < LARGEST


def _is_not_negative(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).fillna(0.0).ge(0)


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    if not pd.api.types.is_numeric_dtype(values):
        values = pd.to_numeric(values.astype("str"), errors="coerce")
    return values.astype("float64")


Rule = tuple[Callable[[Any], Any], str]
_DATE: Rule = (_is_date, "is not a date like 2023-09-01")
_TIME: Rule = (_is_time, "is not a time like 13:05:59")
_FLAG: Rule = (_is_flag, "is a flag other than 0 or 1")
_FINITE: Rule = (_is_finite, "is not a finite number below 1e15")
_NOT_NEGATIVE: Rule = (_is_not_negative, "is negative")

RULES: dict[str, list[Rule]] = {
    "event_date": [_DATE],
    "conv_date": [_DATE],
    "event_time": [_TIME],
    "conv_time": [_TIME],
    **{flag: [_FLAG] for flag in FLAGS},
    "revenue": [_FINITE],
    "cost": [_FINITE, _NOT_NEGATIVE],
}
NULLABLE = ("cost",)


@cache
def _schema(table: str) -> pa.DataFrameSchema:
    import pandera.pandas as pa

    columns = {
        name: pa.Column(
            checks=[pa.Check(rule, error=says) for rule, says in RULES.get(name, [])],
            nullable=name in NULLABLE,
            unique=name == KEYS[table],
        )
        for name in COLUMNS[table]
    }
    return pa.DataFrameSchema(columns)


def check_table(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Check one input table as it was read, and give it back with the types of its schema.

    In: the columns of `COLUMNS[table]`; more are kept as they are.
    Out: a new frame; ids and texts `str`, flags `int8`, revenue and cost [currency] `float64`, NULL cost as NaN.

    Raises InputError: one sentence a finding, with table, column, count and up to five ids.
    """
    require_columns(frame, COLUMNS[table], f"table {table}")
    key = KEYS[table]
    frame = frame.reset_index(drop=True)
    frame = frame.assign(**{key: as_text(frame[key])})
    if not is_fit(table, frame):
        raise InputError("\n".join(_findings(table, frame, _failures(table, frame))))
    return _typed(frame, COLUMNS[table])


def is_fit(table: str, frame: pd.DataFrame) -> bool:
    """Does the schema hold? Finding out is quick; only where it does not, pandera is loaded to say what and where.

    In: a table whose key is text.
    """
    return all(_is_fit_column(name, frame[name], is_key=name == KEYS[table]) for name in COLUMNS[table])


def _is_fit_column(name: str, values: pd.Series[Any], *, is_key: bool) -> bool:
    known = values.dropna()
    if (len(known) < len(values) and name not in NULLABLE) or (is_key and not known.is_unique):
        return False
    # Dates, times and flags repeat, so that few values are looked at.
    return name not in RULES or all(rule(known.drop_duplicates()).all() for rule, _ in RULES[name])


def _failures(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    import pandera.errors

    try:
        _schema(table).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases: pd.DataFrame = error.failure_cases
        return cases
    raise InputError(f"Table {table} is unfit, but not where it could be said; please report the fault.")


def _findings(table: str, frame: pd.DataFrame, cases: pd.DataFrame) -> list[str]:
    says = {"not_nullable": "is NULL", "field_uniqueness": "is a duplicate key"}
    findings = []
    for key, found in cases.groupby(["column", "check"], sort=False):
        column, check = map(str, key)
        rows = frame.loc[found["index"].unique()]
        ids = rows[KEYS[table]].drop_duplicates()
        count = counted(len(rows), "row")
        findings.append(
            f"Table {table}, column {column}: the value {says.get(check, check)} in {count}"
            f" ({KEYS[table]} {some(ids)}). Correct the table and run again."
        )
    return findings


def _typed(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    return frame.assign(**{name: _coerced(frame[name]) for name in columns})


def _coerced(values: pd.Series[Any]) -> pd.Series[Any]:
    if values.name in FLAGS:
        return _numbers(values).astype("int8")
    if values.name in ("revenue", "cost"):
        return _numbers(values)
    return as_text(values)


def as_text(values: pd.Series[Any]) -> pd.Series[str]:
    """Ids and names as texts; an id that was stored as 7.0, as happens to columns that once had a NULL, is 7.

    Raises InputError where a number column holds ids so large that their last digits are lost.
    """
    if pd.api.types.is_float_dtype(values):
        if (values.abs() >= 2**53).any():
            raise InputError(
                f"Column {values.name} holds ids of 16 and more digits in a number column, where the last digits are "
                "lost: store them as TEXT."
            )
        if (values.dropna() % 1 == 0).all():
            values = values.astype("Int64")
    return values.astype("str")


def plain_names(names: pd.Series[str]) -> pd.Series[str]:
    """Names without case and spaces, to find those that mean the same."""
    return names.astype("str").str.casefold().str.replace(r"\s+", "", regex=True)


def check_tables(sessions: pd.DataFrame, conversions: pd.DataFrame, costs: pd.DataFrame) -> Tables:
    """Check the three input tables; raises InputError with the findings of all three at once."""
    checked, findings = [], []
    for table, frame in zip(COLUMNS, (sessions, conversions, costs), strict=True):
        try:
            checked.append(check_table(table, frame))
        except InputError as error:
            findings.append(str(error))
    if findings:
        raise InputError("\n".join(findings))
    return Tables(*checked)


def require_columns(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise InputError unless `frame` has all `columns`; `what` names the frame in the message."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(
            f"{what[0].upper()}{what[1:]} lacks the column{'s'[: len(missing) - 1]} {some(missing)}; "
            f"it needs {', '.join(columns)}."
        )


def timestamps(dates: pd.Series[str], times: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """Join a date and a time column to timestamps [UTC as stored, µs]; raises InputError where one is none."""
    try:
        joined = _parsed(dates, after=" 00:00:00") + _parsed(times, before=f"{EPOCH} ").view("timedelta64[us]")
        if not np.isnat(joined).any():
            return pd.Series(joined, index=dates.index)
        reason = "some are empty"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise InputError(f"Columns {dates.name} and {times.name} must be texts like 2023-09-01 and 13:05:59: {reason}.")


def _parsed(texts: pd.Series[str], before: str = "", after: str = "") -> npt.NDArray[np.datetime64]:
    """Texts with what stands `before` and `after` each, as moments; dates and times repeat, so each is parsed once."""
    codes, distinct = pd.factorize(texts)
    moments = pd.to_datetime(before + pd.Series(distinct) + after, format="ISO8601").astype("datetime64[us]")
    return np.asarray(pd.api.extensions.take(moments.to_numpy(), codes, allow_fill=True))


def check_window(start_date: str | date | None, end_date: str | date | None) -> tuple[str | None, str | None]:
    """Give back both dates as `YYYY-MM-DD` or None; raises InputError if one is no date or they are reversed."""
    start, end = _day("start_date", start_date), _day("end_date", end_date)
    if start and end and end < start:
        raise InputError(f"end_date {end} is before start_date {start}: swap them, or leave one out.")
    return start, end


def _day(name: str, value: str | date | None) -> str | None:
    if value is None or value == "":
        return None
    try:
        day = value if isinstance(value, date) else date.fromisoformat(value)
        text = date(day.year, day.month, day.day).isoformat()
        if isinstance(value, str) and value != text:
            raise ValueError
        return text
    except (TypeError, ValueError):
        raise InputError(f"{name} {value!r} is not a date: write it as YYYY-MM-DD, e.g. 2023-09-01.") from None


def inside(days: pd.Series[str], start_date: str | date | None, end_date: str | date | None) -> pd.Series[bool]:
    """Mark the days (`YYYY-MM-DD`) from `start_date` to `end_date`, both inclusive and optional."""
    start, end = check_window(start_date, end_date)
    mask = pd.Series(True, index=days.index)
    try:
        if start:
            mask &= days >= start
        if end:
            mask &= days <= end
    except TypeError:
        raise InputError(f"Column {days.name} must hold texts like 2023-09-01.") from None
    return mask
