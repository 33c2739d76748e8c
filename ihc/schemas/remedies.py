"""Recognise invalid values and suggest how to fix them.

SQL in a remedy is for a view, in syntax that SQLite and PostgreSQL share unless the remedy names one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

LITERAL_LENGTH = 64  # the most characters of a value that are shown


class Look(NamedTuple):
    """A form of invalid values: a pattern for the whole text, its name, and how to fix it.

    `{c}` stands for the column, and `{d}` in the remedies for times for the column of dates. Other names stand for
    groups of the pattern, with the text of the example value.
    """

    pattern: str
    says: str
    remedy: str


def _kept(form: str, otherwise: str) -> str:
    """Return SQL for a view column that leaves valid values unchanged, because a column can mix forms."""
    return f"CASE WHEN {{c}} LIKE '{form}' THEN {{c}} ELSE {otherwise} END AS {{c}}"


def _date(otherwise: str) -> str:
    return _kept("____-__-__", otherwise)


def _time(otherwise: str) -> str:
    return _kept("__:__:__%", otherwise)


def _cut_date(*parts: tuple[int, int]) -> str:
    """Return SQL that builds a date from year, month and day, each given as start and length."""
    return _date(" || '-' || ".join(f"substr({{c}}, {begin}, {length})" for begin, length in parts))


Diagnosis = tuple[Look, "pd.Index[Any]"]  # a form, and its rows
BLOB_ID = Look(
    "",
    "is a BLOB",
    "Store it as TEXT; in a view: hex({c}) AS {c} in each table that has it (in PostgreSQL encode({c}, 'hex')), or "
    "CAST({c} AS TEXT) AS {c} where the bytes are a text.",
)
BLOB = Look("", "is a BLOB", "Store it as a number or a text; in a view of SQLite: CAST({c} AS TEXT) AS {c}.")
LARGE = Look(
    "",
    "is a floating point number of 16 and more digits",
    "Its last digits are lost. Export the ids again as text.",
)
FRACTION = Look(
    "",
    "is a fractional number",
    "An id is a text or a whole number. Export the ids again as text.",
)
_Y, _M, _D = "(?P<y>[0-9]{4})", "(?P<m>0[1-9]|1[0-2])", "(?P<d>0[1-9]|[12][0-9]|3[01])"
_BEYOND_12 = "(?P<d>1[3-9]|2[0-9]|3[01])"
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_OFFSET = "[+-][0-9]{2}(:?[0-9]{2})?"
_FROM_DAY_FIRST, _FROM_MONTH_FIRST = _cut_date((7, 4), (4, 2), (1, 2)), _cut_date((7, 4), (1, 2), (4, 2))
EMPTY = r"\s*"
_NO_UTC = "Write the moment in UTC for every row, or leave the column {c} out in a view."
BLANKS = Look(r"\s+\S.*|.*\S\s+", "has blanks around it", "In a view: trim({c}) AS {c}.")
DAY_FIRST = Look(
    f"{_BEYOND_12}[/-]{_M}[/-]{_Y}", "looks like DD/MM/YYYY", f"Write {{y}}-{{m}}-{{d}}; in a view: {_FROM_DAY_FIRST}."
)
MONTH_FIRST = Look(
    f"{_M}[/-]{_BEYOND_12}[/-]{_Y}",
    "looks like MM/DD/YYYY",
    f"Write {{y}}-{{m}}-{{d}}; in a view: {_FROM_MONTH_FIRST}.",
)
EITHER_FIRST = Look(
    "[0-9]{2}[/-][0-9]{2}[/-][0-9]{4}",
    "looks like DD/MM/YYYY or MM/DD/YYYY",
    f"Write it as YYYY-MM-DD; in a view, where the day is first: {_FROM_DAY_FIRST}; where the month is first: "
    f"{_FROM_MONTH_FIRST}.",
)


def _unix(pattern: str, unit: str, seconds: str) -> Look:
    day = _date(f"date({seconds}, 'unixepoch')")
    return Look(
        pattern,
        f"looks like Unix time in {unit}",
        f"Write it as YYYY-MM-DD; in a view of SQLite: {day}; of PostgreSQL: CAST(to_timestamp({seconds}) AS DATE) "
        "AS {c}.",
    )


def _unix_moment(pattern: str, unit: str, seconds: str) -> Look:
    return Look(
        pattern,
        f"looks like Unix time in {unit}",
        f"Write it as YYYY-MM-DD HH:MM:SS; in a view of SQLite: datetime({seconds}, 'unixepoch') AS {{c}}; of "
        f"PostgreSQL: to_timestamp({seconds}) AS {{c}}.",
    )


DATES = (
    Look(EMPTY, "is an empty text", "Write the day, or leave the row out in a view: WHERE {c} <> ''."),
    BLANKS,
    Look("0000-.*", "is a zero date", "Write the day, or leave the row out in a view: WHERE {c} NOT LIKE '0000%'."),
    Look(
        rf"(?P<day>{_DAY})[T ]00:00(:00([.]0+)?)?",
        "is a day with a time of 00:00",
        "Write {day}; in a view: substr({c}, 1, 10) AS {c}.",
    ),
    Look(
        rf"(?P<day>{_DAY})[T ]{_CLOCK} ?(Z|UTC)?",
        "is an ISO timestamp",
        "Split it: write {day} here and the time in the column of times; in a view: substr({c}, 1, 10) AS {c}, and "
        "substr({c}, 12, 8) for the time.",
    ),
    Look(
        rf"{_DAY}[T ]{_CLOCK} ?{_OFFSET}",
        "is an ISO timestamp with a time zone offset",
        "Split it in one time zone for all rows; in a view of SQLite: date({c}) AS {c}, and time({c}) for the time; "
        "both are UTC.",
    ),
    Look(
        f"(?P<y>(19|20)[0-9]{{2}}){_M}{_D}([.]0+)?",
        "looks like YYYYMMDD",
        f"Write {{y}}-{{m}}-{{d}}; in a view: {_cut_date((1, 4), (5, 2), (7, 2))}.",
    ),
    Look(f"{_D}[.]{_M}[.]{_Y}", "looks like DD.MM.YYYY", f"Write {{y}}-{{m}}-{{d}}; in a view: {_FROM_DAY_FIRST}."),
    DAY_FIRST,
    MONTH_FIRST,
    EITHER_FIRST,
    Look("[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}", "has its year at the end", "Write it as YYYY-MM-DD."),
    Look(
        "[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2}",
        "has a year of two digits",
        "Write it as YYYY-MM-DD, with all four digits of the year.",
    ),
    Look(_DAY, "is not a day of the calendar", "Correct the day."),
    Look(
        "(?P<y>[0-9]{4})[/.](?P<m>[0-9]{2})[/.](?P<d>[0-9]{2})",
        "looks like YYYY/MM/DD",
        f"Write {{y}}-{{m}}-{{d}}; in a view: {_cut_date((1, 4), (6, 2), (9, 2))}.",
    ),
    Look(
        "[0-9]{4}[/.-][0-9]{1,2}[/.-][0-9]{1,2}",
        "lacks a leading zero",
        "Write it as YYYY-MM-DD, month and day with two digits.",
    ),
    Look(
        "[1-9][0-9]{4}([.][0-9]+)?",
        "looks like an Excel serial number",
        f"Write it as YYYY-MM-DD; in a view of SQLite: {_date('date({c} + 2415018.5)')}; of PostgreSQL: "
        "DATE '1899-12-30' + CAST({c} AS INTEGER) AS {c}.",
    ),
    _unix("[1-9][0-9]{8,9}([.][0-9]+)?", "seconds", "{c}"),
    _unix("[1-9][0-9]{11,12}", "milliseconds", "{c} / 1000"),
    _unix("[1-9][0-9]{14,15}", "microseconds", "{c} / 1000000"),
    Look("(?s:.*)", "is not a date like 2023-09-01", "Write it as YYYY-MM-DD."),
)
TIMES = (
    Look(EMPTY, "is an empty text", "Write the time; where it is not known: '00:00:00'."),
    BLANKS,
    Look(
        rf"{_DAY}[T ](?P<time>[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})([.][0-9]+)? ?(Z|UTC)?",
        "is an ISO timestamp",
        f"Split it: write {{time}} here and the day in the column of dates; in a view: {_time('substr({c}, 12, 8)')}.",
    ),
    Look(
        rf"{_DAY}[T ]{_CLOCK} ?({_OFFSET})?",
        "is an ISO timestamp with an offset or without seconds",
        "Split it in one time zone for all rows; in a view of SQLite: time({c}) AS {c}, and date({c}) for the day; "
        "both are UTC.",
    ),
    Look(
        "(?P<time>([01][0-9]|2[0-3]):[0-5][0-9])",
        "is a time without seconds",
        "Write {time}:00; in a view: " + _time("{c} || ':00'") + ".",
    ),
    Look(
        "(?P<time>[0-9]:[0-5][0-9]:[0-5][0-9])",
        "is a time without a leading zero",
        "Write 0{time}; in a view: CASE WHEN length({c}) = 7 THEN '0' || {c} ELSE {c} END AS {c}.",
    ),
    Look(
        "[0-9]:[0-5][0-9]",
        "is a time without a leading zero and seconds",
        "Write it as HH:MM:SS.",
    ),
    Look(
        "(?i:[0-9]{1,2}:[0-9]{2}(:[0-9]{2})? ?[ap][.]?m[.]?)",
        "is a time of a 12-hour clock",
        "Write it as HH:MM:SS of a 24-hour clock, such as 15:00:00 for 3:00 PM.",
    ),
    Look(
        "(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6})[0-9]+",
        "has more than six digits after the second",
        "Write {time}; in a view: substr({c}, 1, 15) AS {c}.",
    ),
    Look(
        "(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})([.][0-9]+)? ?(Z|UTC)",
        "has a time zone",
        "Write {time}; in a view: substr({c}, 1, 8) AS {c}. All times must be in one time zone.",
    ),
    Look(
        f"{_CLOCK} ?{_OFFSET}",
        "has a time zone offset",
        "Write day and time in one time zone for all rows; in a view of SQLite: time({d} || 'T' || {c}) AS {c}, "
        "date({d} || 'T' || {c}) AS {d}; both are UTC.",
    ),
    Look(
        "24:00(:00([.]0+)?)?",
        "is the midnight that ends a day",
        "Write 00:00:00 and the next day, or 23:59:59 and the same day; in a view: replace({c}, '24:00:00', "
        "'23:59:59') AS {c}.",
    ),
    Look(
        "23:59:60([.][0-9]+)?",
        "is a leap second",
        "Write 23:59:59; in a view: replace({c}, '23:59:60', '23:59:59') AS {c}.",
    ),
    Look(
        "([01][0-9]|2[0-3])([0-5][0-9]){2}",
        "looks like HHMMSS",
        "Write it as HH:MM:SS; in a view: "
        + _time("substr({c}, 1, 2) || ':' || substr({c}, 3, 2) || ':' || substr({c}, 5, 2)")
        + ".",
    ),
    Look(
        "0?[.][0-9]+",
        "looks like an Excel fraction of a day",
        f"Write it as HH:MM:SS; in a view of SQLite: {_time('time({c} + 2415018.5)')}.",
    ),
    Look("(?s:.*)", "is not a time like 13:05:59", "Write it as HH:MM:SS."),
)
MOMENTS = (
    Look(EMPTY, "is an empty text", _NO_UTC),
    BLANKS,
    Look(
        rf"(?P<day>{_DAY})T(?P<time>{_CLOCK})(Z|[+]00(:?00)?)?",
        "is an ISO timestamp with a T",
        "Write {day} {time}; in a view: replace({c}, 'T', ' ') AS {c}.",
    ),
    Look(
        rf"{_DAY}[T ]{_CLOCK} ?{_OFFSET}",
        "has a time zone offset",
        "Write it in UTC; in a view of SQLite: datetime({c}) AS {c}.",
    ),
    Look(
        rf"(?P<moment>{_DAY} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}[.][0-9]{{6}})[0-9]+Z?",
        "has more than six digits after the second",
        "Write {moment}; in a view: substr({c}, 1, 26) AS {c}.",
    ),
    Look(_DAY, "is a day without a time", _NO_UTC),
    _unix_moment("[1-9][0-9]{8,9}([.][0-9]+)?", "seconds", "{c}"),
    _unix_moment("[1-9][0-9]{11,12}", "milliseconds", "{c} / 1000"),
    _unix_moment("[1-9][0-9]{14,15}", "microseconds", "{c} / 1000000"),
    Look("(?s:.*)", "is not a moment like 2023-09-01 13:05:59", "Write it as YYYY-MM-DD HH:MM:SS in UTC."),
)
FLAG_VALUES = (
    Look(EMPTY, "is an empty text", "Write 0 or 1; in a view: coalesce(nullif({c}, ''), '0') AS {c}."),
    Look(
        "(?i:true|false|yes|no|t|f|y|n)",
        "is a truth value as a text",
        "Write 1 for true and 0 for false; in a view: CASE WHEN lower({c}) IN ('1', 'true', 't', 'yes', 'y') THEN 1 "
        "ELSE 0 END AS {c}.",
    ),
    Look("(?s:.*)", "is a flag other than 0 or 1", "Write 0 or 1."),
)
_SIGN, _SPACE = "(?P<sign>[$€£¥₹₽₩₺₴₪฿¢]|[A-Z]{3})", "\u00a0\u202f"
_CURRENCY = (
    "has a currency sign",
    "Write the number alone, all amounts in one currency; in a view: replace({c}, '{sign}', '') AS {c}.",
)
_THOUSANDS = (
    "has a thousands separator",
    "Write the number without it; in a view: replace({c}, '{mark}', '') AS {c}.",
)
AMOUNTS = (
    Look(
        EMPTY,
        "is an empty text",
        "Write a number, 0 where there is none; in a view: coalesce(nullif(trim({c}), ''), '0') AS {c}.",
    ),
    Look(r"(?i:true|false)", "is a truth value", "Write a number."),
    Look(r"\s*(?i:[+-]?0x[0-9a-f]+)\s*", "is a hexadecimal number", "Write it with decimal digits."),
    Look("'(?P<number>.*)", "begins with an apostrophe", "Write {number}; in a view: ltrim({c}, '''') AS {c}."),
    Look(
        r"[(](?P<number>[0-9]+([.][0-9]+)?)[)]",
        "is a negative amount in accounting style",
        "Write -{number}; in a view: CASE WHEN {c} LIKE '(%' THEN '-' || trim({c}, '()') ELSE {c} END AS {c}.",
    ),
    Look(rf"[\s+-]*{_SIGN}[\s+-]*[0-9].*", *_CURRENCY),
    Look(rf"[\s+-]*[0-9][^A-Za-z]*?{_SIGN}\s*", *_CURRENCY),
    Look(r"[+-]?[0-9]{1,3}(?P<mark>,)([0-9]{3},)*[0-9]{3}[.][0-9]*", *_THOUSANDS),
    Look(r"[+-]?[0-9]{1,3}(?P<mark>,)([0-9]{3},)+[0-9]{3}", *_THOUSANDS),
    Look(rf"[+-]?[0-9]{{1,3}}(?P<mark>['’\s{_SPACE}])([0-9]{{3}}['’\s{_SPACE}])*[0-9]{{3}}([.][0-9]*)?", *_THOUSANDS),
    Look(
        "[+-]?[0-9]{1,3}([.][0-9]{3}){2,}",
        "has a thousands separator",
        "Write the number without it; in a view: CASE WHEN {c} LIKE '%.%.%' THEN replace({c}, '.', '') ELSE {c} END "
        "AS {c}.",
    ),
    Look(
        rf"[+-]?[0-9]{{1,3}}(?P<mark>['’.\s{_SPACE}])([0-9]{{3}}['’.\s{_SPACE}])*[0-9]{{3}},[0-9]*",
        "has a thousands separator and a decimal comma",
        "Write the number with a decimal point alone; in a view: CASE WHEN {c} LIKE '%,%' THEN replace(replace({c}, "
        "'{mark}', ''), ',', '.') ELSE {c} END AS {c}.",
    ),
    Look(
        "[+-]?[0-9]{1,3},[0-9]{3}",
        "has a comma before decimals or thousands",
        "Write the number with a decimal point alone; in a view: replace({c}, ',', '.') AS {c} where decimals follow, "
        "replace({c}, ',', '') AS {c} where thousands do.",
    ),
    Look(
        r"\s*(?P<whole>[+-]?[0-9]*),(?P<part>[0-9]+)\s*",
        "has a decimal comma",
        "Write {whole}.{part}; in a view: replace({c}, ',', '.') AS {c}.",
    ),
    Look(
        r"\s*([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(?i:e[+-]?[0-9]+)?|(?i:[+-]?inf(inity)?))\s*",
        "is not a finite number below 1e15",
        "Write the amount in the main unit of its currency.",
    ),
    Look("(?s:.*)", "is not a number", "Write a number with a decimal point and the digits 0 to 9, such as 12.50."),
)
NEGATIVE = Look(
    "",
    "is negative",
    "A credit note of an ad platform lowers the cost of the sessions it is for: subtract it there. To leave it out, in "
    "a view: CASE WHEN {c} < 0 THEN 0 ELSE {c} END AS {c}.",
)
_NO_FLAG = "Write 1 or 0; where it is not known, in a view: coalesce({c}, 0) AS {c}."
_NO_MOMENT = "Write it, or leave the row out in a view: WHERE {c} IS NOT NULL."
NULLS = {
    "channel_name": "Write a name for sessions without a channel; in a view: coalesce({c}, 'unknown') AS {c}.",
    "revenue": "Write 0 for an order without revenue; in a view: coalesce({c}, 0) AS {c}.",
    "event_date": _NO_MOMENT,
    "conv_date": _NO_MOMENT,
    "date": _NO_MOMENT,
    "event_time": "Write the time; where it is not known, in a view: coalesce({c}, '00:00:00') AS {c}.",
    "conv_time": "Write the time; where it is not known, in a view: coalesce({c}, '23:59:59') AS {c}.",
    **dict.fromkeys(("event_utc", "conv_utc"), _NO_UTC),
    **dict.fromkeys(("holder_engagement", "closer_engagement", "impression_interaction"), _NO_FLAG),
}
NO_KEY = "Give the row a unique id, or leave it out in a view: WHERE {c} IS NOT NULL."
SUMMED = ("revenue", "cost")
NO_FLAGS = (
    " A shop that does not record them takes constants in a view: 1 AS holder_engagement, 1 AS closer_engagement, "
    "0 AS impression_interaction."
)


def null_remedy(column: str, key: str) -> str:
    """Return how to replace NULL in a column."""
    return NULLS.get(column, NO_KEY).format(c=column, key=key)


def diagnose(looks: Sequence[Look], unfit: pd.Series[Any]) -> Iterator[Diagnosis]:
    """Group invalid values by form. In: the forms, of which the last one matches any text."""
    texts = unfit.astype("str")
    found: list[Diagnosis] = []
    for look in looks:
        has_look = texts.str.fullmatch(look.pattern).to_numpy(bool)
        if has_look.any():
            found.append((look, texts.index[has_look]))
        texts = texts[~has_look]
    yield from _one_order(found)


def _one_order(found: list[Diagnosis]) -> list[Diagnosis]:
    """Read ambiguous dates like the unambiguous ones, if these are all day-first or all month-first."""
    by_look = dict(found)
    sure = [look for look in (DAY_FIRST, MONTH_FIRST) if look in by_look]
    if EITHER_FIRST in by_look and len(sure) == 1:
        by_look[sure[0]] = by_look[sure[0]].append(by_look.pop(EITHER_FIRST))
    return list(by_look.items())


def sql_literal(value: object) -> str:
    """Format a value as an SQL literal: a BLOB as bytes, a text in quotes, a number as it is."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"x'{_cut(bytes(value).hex())}'"
    return repr(_cut(value)) if isinstance(value, str) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LITERAL_LENGTH else f"{text[: LITERAL_LENGTH - 1]}…"


def remedy_of(look: Look, value: object, column: str) -> str:
    """Return how to fix a value, including the corrected value if it is known."""
    found = re.fullmatch(look.pattern, str(value))
    groups = {name: (text or "").replace("'", "''") for name, text in found.groupdict().items()} if found else {}
    return look.remedy.format(**{"c": column, "d": column.replace("time", "date"), **groups})


def of_copies(table: str, copies: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, str, str]]:
    """Group rows with duplicate keys by whether they are identical.

    In: rows with the columns of the table, the key first, all with a duplicate key. Out: the rows, a description, and a
    remedy.
    """
    columns = list(copies.columns)
    key, amount, source = columns[0], columns[-1], f"your_{table}"
    summed = f"SELECT {', '.join(columns[:-1])}, SUM({amount}) AS {amount} FROM {source} GROUP BY " + ", ".join(
        columns[:-1]
    )
    versions = copies.drop_duplicates()[key].value_counts()
    is_equal = copies[key].map(versions) == 1
    if is_equal.any():
        parts = f" If they are parts of one amount, sum them: {summed}." if amount in SUMMED else ""
        distinct = (
            f"If a row was loaded twice, keep one; in a view: SELECT DISTINCT {', '.join(columns)} FROM {source}."
        )
        yield copies[is_equal], "the rows are equal", distinct + parts
    if (others := copies[~is_equal]).empty:
        return
    differing = [name for name in columns[1:] if (others.groupby(key)[name].nunique(dropna=False) > 1).any()]
    remedy_text = f"Keep one row, or make the ids unique if the rows differ; in a view: shop || '-' || {key} AS {key}."
    if differing == [amount] and amount in SUMMED:
        remedy_text = f"If they are parts of one amount, sum them; in a view: {summed}."
    yield others, f"the rows differ in {', '.join(differing)}", remedy_text
