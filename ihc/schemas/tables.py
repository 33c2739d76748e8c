"""The input tables: columns, types and validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.types import Booleans
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.schemas.conversion_types import CONVERSION_TYPE
from ihc.schemas.refunds import REFUND_OF, check_refunds
from ihc.schemas.remedies import (
    AMOUNTS,
    BLOB,
    BLOB_ID,
    DATES,
    FLAG_VALUES,
    FRACTION,
    LARGE,
    MOMENTS,
    NEGATIVE,
    NO_FLAGS,
    TIMES,
    Diagnosis,
    Look,
    diagnose,
    null_remedy,
    of_copies,
    remedy_of,
    sql_literal,
)

EXACT = 2**53  # from here on, floating-point numbers cannot represent every whole number
LARGEST = 1e15  # from here on, floating-point amounts lose cents
EPOCH = "1970-01-01"
FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")
PHASES = ("initializer", "holder", "closer")
SHARES = (*PHASES, "ihc")
SESSIONS = "session_sources"
CONVERSIONS = "conversions"
COSTS = "session_costs"
SPEND = "channel_costs"  # optional: the spend of a day, for sessions without a cost of their own
CAMPAIGN = "campaign"
COLUMNS: dict[str, tuple[str, ...]] = {
    SESSIONS: ("session_id", "user_id", "event_date", "event_time", "channel_name", *FLAGS),
    CONVERSIONS: ("conv_id", "user_id", "conv_date", "conv_time", "revenue"),
    COSTS: ("session_id", "cost"),
}
WITH_SPEND = COLUMNS | {SPEND: ("date", "channel_name", "cost")}
KEYS = {SESSIONS: "session_id", CONVERSIONS: "conv_id", COSTS: "session_id"}
EVENT, CONV = "event", "conv"  # the prefixes of the columns of days, times and moments
EVENT_UTC, CONV_UTC = f"{EVENT}_utc", f"{CONV}_utc"
REFERENCES = (REFUND_OF, CONVERSION_TYPE, CAMPAIGN)  # NaN if empty
# Columns that may be missing.
OPTIONAL = {
    SESSIONS: (EVENT_UTC,),
    CONVERSIONS: (REFUND_OF, CONVERSION_TYPE, CONV_UTC),
    COSTS: (),
    SPEND: (CAMPAIGN,),
}
JOURNEYS = (
    *("conv_id", "session_id", "user_id", "timestamp", "channel_name", *FLAGS),
    *("conversion", "conv_timestamp", "revenue"),
)
CREDITS = ("conv_id", "session_id", "ihc")
REPORTING = ("channel_name", "date", "cost", "ihc", "ihc_revenue")
Window = tuple[str | None, str | None]  # first and last day, YYYY-MM-DD; None: open


class _Tables(NamedTuple):
    sessions: pd.DataFrame
    conversions: pd.DataFrame
    costs: pd.DataFrame


class Tables(_Tables):
    """The shop's three tables, checked and typed: `sessions`, `conversions`, `costs`.

    If the shop has daily spend, `costs` includes it, see `ihc.schemas.spend`; `spend` is then the table `channel_costs`
    and `session_costs` that table, both as they were read. Otherwise, and for a selection of a shop by dates or users,
    both are None.
    """

    spend: pd.DataFrame | None = None
    session_costs: pd.DataFrame | None = None

    def with_conversions(self, conversions: pd.DataFrame) -> Tables:
        """Return the same tables with other conversions."""
        made = Tables(self.sessions, conversions, self.costs)
        made.spend, made.session_costs = self.spend, self.session_costs
        return made

    @property
    def by_name(self) -> dict[str, pd.DataFrame]:
        """The input tables by name, as they were read."""
        if self.spend is None or self.session_costs is None:
            return dict(zip(COLUMNS, self, strict=True))
        return {SESSIONS: self.sessions, CONVERSIONS: self.conversions, COSTS: self.session_costs, SPEND: self.spend}


def _is_date(values: pd.Series[Any]) -> pd.Series[bool]:
    text = values.astype("str")
    shaped = text.str.fullmatch(r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}")
    return shaped & pd.to_datetime(text, format="%Y-%m-%d", errors="coerce").notna()


def _is_time(values: pd.Series[Any]) -> pd.Series[bool]:
    return values.astype("str").str.fullmatch(r"([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,6})?")


def _is_moment(values: pd.Series[Any]) -> pd.Series[bool]:
    text = _without_zero_offset(values.astype("str"))
    parts = ((text.str.slice(0, 10), _is_date), (text.str.slice(10, 11), _is_blank), (text.str.slice(11), _is_time))
    marks = [_of_distinct(part, rule) for part, rule in parts]
    return marks[0] & marks[1] & marks[2]


def _is_blank(values: pd.Series[Any]) -> pd.Series[bool]:
    return values == " "


def _of_distinct(values: pd.Series[str], rule: Callable[[pd.Series[Any]], pd.Series[bool]]) -> pd.Series[bool]:
    """Apply a rule to each distinct value once."""
    codes, distinct = pd.factorize(values)
    return pd.Series(rule(pd.Series(distinct, dtype="str")).to_numpy("bool")[codes], index=values.index)


def _without_zero_offset(texts: pd.Series[str]) -> pd.Series[str]:
    """Remove the offset that PostgreSQL adds to moments in UTC."""
    return texts.str.replace(r"(Z|\+00(:?00)?)$", "", regex=True)


def _is_flag(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).isin((0, 1))


def _is_finite(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).abs() < LARGEST


def _is_cost(values: pd.Series[Any]) -> pd.Series[bool]:
    return _numbers(values).between(0, LARGEST, inclusive="left")


def _is_text(values: pd.Series[Any]) -> pd.Series[bool]:
    """Mark unambiguous ids: texts, and whole numbers without lost digits."""
    if pd.api.types.is_float_dtype(values):
        return values.mod(1).eq(0) & values.abs().lt(EXACT)
    if _has_one_kind(values):
        return pd.Series(True, index=values.index)
    return values.map(_is_whole).astype("bool")


def _has_one_kind(values: pd.Series[Any]) -> bool:
    return values.dtype != object or pd.api.types.infer_dtype(values) in ("string", "integer", "empty")


def _is_whole(value: object) -> bool:
    if isinstance(value, float):
        return value % 1 == 0 and abs(value) < EXACT
    return value % 1 == 0 if isinstance(value, Decimal) else True


def _is_blob(values: pd.Series[Any]) -> pd.Series[bool]:
    if _has_one_kind(values):
        return pd.Series(False, index=values.index)
    return values.map(lambda value: isinstance(value, bytes | bytearray | memoryview)).astype("bool")


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    if not pd.api.types.is_numeric_dtype(values):
        values = pd.to_numeric(values.astype("str"), errors="coerce")
    return values.astype("float64")


Rule = tuple[Callable[[Any], Any], Sequence[Look]]
_DATE: Rule = (_is_date, DATES)
_TIME: Rule = (_is_time, TIMES)
_MOMENT: Rule = (_is_moment, MOMENTS)
_TEXT: Rule = (_is_text, ())
RULES: dict[str, Rule] = {
    "event_date": _DATE,
    "conv_date": _DATE,
    "date": _DATE,
    "event_time": _TIME,
    "conv_time": _TIME,
    EVENT_UTC: _MOMENT,
    CONV_UTC: _MOMENT,
    **dict.fromkeys(FLAGS, (_is_flag, FLAG_VALUES)),
    "revenue": (_is_finite, AMOUNTS),
    "cost": (_is_cost, AMOUNTS),
}
# Few distinct values; each is checked once.
REPEATED = ("event_date", "conv_date", "date", "event_time", "conv_time", *FLAGS)
USER = "user_id"  # NaN if a session or an order has no user
NULLABLE = ("cost", USER)


def check_table(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Check one input table as it was read, and return it with the types of its schema.

    In: the columns of `WITH_SPEND[table]`, in any case; other columns are kept unchanged. Out: a new frame; ids and
    texts `str`, an empty user as NaN, flags `int8`, revenue and cost [currency] `float64`, NULL cost as NaN; of
    `OPTIONAL[table]`, the existing columns: moments [UTC] as `str`, all others with NaN for an empty text.

    Raises InputError with one line per finding: table, column, a value, the count, up to five ids and a remedy.
    """
    names = columns_of(table, list(frame.columns))
    frame = frame.rename(columns={found: name for name, found in names.items()}).reset_index(drop=True)
    if not is_fit(table, frame):
        raise InputError("\n".join(_findings(table, frame)))
    typed = frame.assign(**{name: _coerced(frame[name]) for name in ruled_columns(table, frame)})
    references = [name for name in REFERENCES if name in OPTIONAL[table] and name in names]
    return typed.assign(**{name: _references(frame[name]) for name in references})


def ruled_columns(table: str, frame: pd.DataFrame) -> list[str]:
    """Return the columns of an input table whose values are checked: those it needs, and those with a rule it has."""
    return [*WITH_SPEND[table], *(name for name in OPTIONAL[table] if name in RULES and name in frame)]


def is_fit(table: str, frame: pd.DataFrame) -> bool:
    """Check whether the table is valid. This is fast; details are collected only if it is not."""
    is_sound = all(_is_fit_column(name, frame[name]) for name in ruled_columns(table, frame))
    return is_sound and (table not in KEYS or _texts(frame[KEYS[table]]).is_unique)


def _is_fit_column(name: str, values: pd.Series[Any]) -> bool:
    known = values.dropna()
    if len(known) < len(values) and name not in NULLABLE:
        return False
    return bool(fits(name, known.drop_duplicates() if name in REPEATED else known).all())


def fits(column: str, values: pd.Series[Any]) -> pd.Series[bool]:
    """Mark the valid values of a column of an input table. In: values without NULL."""
    is_blob = _is_blob(values)
    if is_blob.any():  # pandas would read them as texts
        values = values.mask(is_blob)
    rule, _ = RULES.get(column, _TEXT)
    is_fit: pd.Series[bool] = rule(values) & ~is_blob
    return is_fit


def _findings(table: str, frame: pd.DataFrame) -> Iterator[str]:
    ids = spend_ids(frame) if table == SPEND else _texts(frame[KEYS[table]])
    for name in ruled_columns(table, frame):
        is_null = frame[name].isna()
        if is_null.any() and name not in NULLABLE:
            yield _finding(table, name, "NULL", ids[is_null], null_remedy(name, KEYS.get(table, "")))
        known = frame.loc[~is_null, name]
        unfit = known[~fits(name, known)]
        for look, rows in _diagnosed(name, unfit):
            value = unfit[rows[0]]
            yield _finding(table, name, f"{sql_literal(value)} {look.says}", ids[rows], remedy_of(look, value, name))
    if table in KEYS:
        yield from _copies(table, frame, ids)


def spend_ids(spend: pd.DataFrame) -> pd.Series[str]:
    """Name the rows of daily spend: day, channel and campaign, joined by blanks."""
    names = [name for name in ("date", "channel_name", CAMPAIGN) if name in spend]
    parts = [_texts(spend[name]).fillna("") for name in names]
    return reduce(lambda text, part: text.str.cat(part, sep=" "), parts).str.strip()


def _copies(table: str, frame: pd.DataFrame, ids: pd.Series[str]) -> Iterator[str]:
    key = KEYS[table]
    copies = frame.assign(**{key: ids})[ids.duplicated(keep=False) & frame[key].notna()]
    for equal, says, remedy in of_copies(table, copies[list(COLUMNS[table])]) if len(copies) else ():
        yield _finding(
            table, key, f"{sql_literal(equal[key].iloc[0])} is a duplicate key", equal[key], remedy, f"; {says}"
        )


def _diagnosed(column: str, unfit: pd.Series[Any]) -> Iterator[Diagnosis]:
    is_blob = _is_blob(unfit)
    if is_blob.any():
        yield (BLOB if column in RULES else BLOB_ID), unfit.index[is_blob]
    others = unfit[~is_blob]
    if column not in RULES:
        is_large = others.map(lambda value: abs(value) >= EXACT).astype("bool")
        found = [(LARGE, others.index[is_large]), (FRACTION, others.index[~is_large])]
        yield from [(look, rows) for look, rows in found if len(rows)]
        return
    if column == "cost":
        is_negative = _numbers(others).lt(0) & _is_finite(others)
        if is_negative.any():
            yield NEGATIVE, others.index[is_negative]
        others = others[~is_negative]
    yield from diagnose(RULES[column][1], others)


def _finding(table: str, column: str, says: str, ids: pd.Series[str], remedy: str, more: str = "") -> str:
    rows = f"{counted(len(ids), 'row')} ({KEYS.get(table, 'of')} {some(ids.drop_duplicates())})"
    return f"Table {table}, column {column}: {says} in {rows}{more}. {remedy}"


def _coerced(values: pd.Series[Any]) -> pd.Series[Any]:
    if values.name in FLAGS:
        return _numbers(values).astype("int8")
    if values.name in ("revenue", "cost"):
        return _numbers(values)
    if values.name == USER:
        return _without_blanks(_texts(values))
    return _without_zero_offset(_texts(values)) if RULES.get(str(values.name)) is _MOMENT else _texts(values)


def _references(values: pd.Series[Any]) -> pd.Series[str]:
    """Convert optional ids and names to texts; NaN if empty."""
    return _without_blanks(as_text(values))


def _without_blanks(texts: pd.Series[str]) -> pd.Series[str]:
    is_blank = (texts == "") | texts.str.isspace()  # strip would copy every text
    return texts.mask(is_blank) if is_blank.any() else texts


def as_text(values: pd.Series[Any]) -> pd.Series[str]:
    """Convert ids and names to texts, value by value; an id stored as 7.0 (a column that once had a NULL) becomes 7.

    The rule is that of `id_text` in SQL. Raises InputError for a fractional number, a BLOB, or a floating-point number
    so large that its last digits are lost.
    """
    known = values.dropna()
    unfit = known[~fits("", known)]
    for look, rows in _diagnosed("", unfit):
        says = f"Column {values.name}: {sql_literal(unfit[rows].iloc[0])} {look.says} in {counted(len(rows), 'row')}."
        raise InputError(f"{says} {look.remedy.format(c=values.name)}")
    return _texts(values)


def _texts(values: pd.Series[Any]) -> pd.Series[str]:
    """Convert any values to texts, including invalid ones."""
    if pd.api.types.is_float_dtype(values):
        is_text = _is_text(values)
        whole = values.where(is_text).astype("Int64").astype("str")
        return whole if is_text.all() else whole.where(is_text | values.isna(), values.astype("str"))
    if _has_one_kind(values):
        return values.astype("str")
    return values.map(_text, na_action="ignore").astype("str")


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return sql_literal(value)
    return str(int(value)) if isinstance(value, float | Decimal) and _is_whole(value) else str(value)


def has_user(frame: pd.DataFrame) -> Booleans:
    """Mark the sessions or conversions whose `user_id` is known, neither NaN nor empty."""
    users = frame[USER]
    mask: Booleans = (users.notna() & (users != "")).to_numpy("bool")
    return mask


def plain_names(names: pd.Series[str]) -> pd.Series[str]:
    """Return names without case and spaces, to find equivalent ones."""
    return names.astype("str").str.casefold().str.replace(r"\s+", "", regex=True)


def check_tables(sessions: pd.DataFrame, conversions: pd.DataFrame, costs: pd.DataFrame) -> Tables:
    """Check the three input tables. Raises InputError with the findings of all three."""
    checked, findings = [], []
    for table, frame in zip(COLUMNS, (sessions, conversions, costs), strict=True):
        try:
            checked.append(check_table(table, frame))
        except InputError as error:
            findings.append(str(error))
    if findings:
        raise InputError("\n".join(findings))
    tables = Tables(*checked)
    check_clocks(tables.sessions, tables.conversions)
    check_refunds(tables.conversions)
    return tables


def check_clocks(sessions: pd.DataFrame, conversions: pd.DataFrame) -> None:
    """Raise InputError if only one of the two tables has its column of moments in UTC."""
    sides = [(SESSIONS, EVENT_UTC, EVENT_UTC in sessions), (CONVERSIONS, CONV_UTC, CONV_UTC in conversions)]
    (lacking, missing, is_complete), (table, column, is_there) = sorted(sides, key=lambda side: side[2])
    if is_there and not is_complete:
        raise InputError(
            f"Table {table} has the column {column}, and table {lacking} has no column {missing}: their times cannot "
            f"be compared. Add {missing}, or leave {column} out in a view."
        )


def columns_of(table: str, names: Sequence[str], file: str = "") -> dict[str, str]:
    """Find the columns of an input table among `names`, in any case. Out: each column found, as it is written.

    Raises InputError if a column is missing or ambiguous; the message names the `file`, if given.
    """
    what = f"table {table}{file}"
    wanted = (*WITH_SPEND[table], *OPTIONAL[table])
    alike = {name: [found for found in names if found == name] for name in wanted}
    for name in [name for name, found in alike.items() if not found]:
        alike[name] = [found for found in names if str(found).lower() == name]
    for name, found in alike.items():
        if len(found) > 1:
            raise InputError(f"{_capitalized(what)} has several columns for {name}: {some(found)}. Keep one of them.")
    require_columns(pd.DataFrame(columns=[name for name, found in alike.items() if found]), WITH_SPEND[table], what)
    return {name: found[0] for name, found in alike.items() if found}


def require_columns(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise InputError unless `frame` has all `columns`; `what` names the frame in the message."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(
            f"{_capitalized(what)} lacks the column{'s'[: len(missing) - 1]} {some(missing)}; "
            f"it needs {', '.join(columns)}.{NO_FLAGS if set(missing) <= set(FLAGS) else ''}"
        )


def _capitalized(what: str) -> str:
    return what[0].upper() + what[1:]


def timestamps(dates: pd.Series[str], times: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """Combine a date and a time column to timestamps [UTC as stored, µs]. Raises InputError for invalid values."""
    try:
        joined = _parsed(dates, after=" 00:00:00") + _parsed(times, before=f"{EPOCH} ").view("timedelta64[us]")
        if not np.isnat(joined).any():
            return pd.Series(joined, index=dates.index)
    except (TypeError, ValueError):
        pass
    raise InputError(
        f"Columns {dates.name} and {times.name} must be texts like 2023-09-01 and 13:05:59{_no_moment(dates, times)}."
    )


def moments(frame: pd.DataFrame, prefix: str) -> pd.Series[pd.Timestamp]:
    """Return when each session (`EVENT`) or conversion (`CONV`) took place [UTC, µs].

    In: `event_utc`, or `event_date, event_time` if there is no such column; the same for `conv`. Raises InputError for
    invalid values.
    """
    utc = f"{prefix}_utc"
    if utc not in frame:
        return timestamps(frame[f"{prefix}_date"], frame[f"{prefix}_time"])
    try:
        return timestamps(frame[utc].str.slice(0, 10), frame[utc].str.slice(11))
    except (InputError, AttributeError):
        raise InputError(f"Column {utc} must hold texts like 2023-09-01 13:05:59, in UTC.") from None


def _no_moment(dates: pd.Series[Any], times: pd.Series[Any]) -> str:
    """Name an invalid date or time, if any."""
    for values, rule in ((dates, _is_date), (times, _is_time)):
        unfit = values[~rule(values)]
        if len(unfit):
            return f"; {values.name} has {'NULL' if unfit.isna().iloc[0] else sql_literal(unfit.iloc[0])}"
    return ""


def _parsed(texts: pd.Series[str], before: str = "", after: str = "") -> npt.NDArray[np.datetime64]:
    """Parse texts, with the given prefix and suffix, to timestamps; each distinct text is parsed once."""
    codes, distinct = pd.factorize(texts)
    moments = pd.to_datetime(before + pd.Series(distinct) + after, format="ISO8601").astype("datetime64[us]")
    return np.asarray(pd.api.extensions.take(moments.to_numpy(), codes, allow_fill=True))


def check_window(start_date: str | date | None, end_date: str | date | None) -> tuple[str | None, str | None]:
    """Return both dates as `YYYY-MM-DD` or None. Raises InputError for an invalid date or reversed dates."""
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
        ((look, _),) = diagnose(DATES, pd.Series([str(value)]))
        like = "" if look is DATES[-1] else f"it {look.says}; "
        raise InputError(f"{name} {value!r} is not a date: {like}write it as YYYY-MM-DD, e.g. 2023-09-01.") from None


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
