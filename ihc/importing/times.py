"""Read the dates and times of an export: recognise their form, place them in UTC and in the shop's time zone.

A column has one form, the one that reads the most of its distinct values. Each form is a regular expression whose
groups are named by what they hold. Arithmetic is in whole microseconds; only Excel's fractions of a day are
rounded, to milliseconds.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.types import Booleans, Integers
from ihc.errors import AmbiguousError, SettingsError
from ihc.formatting import counted, listed
from ihc.importing.cells import as_numpy, problems_of, quoted, read_cells, reasons_of, taken

YEARS = (1990, 2100)  # earlier and later years are typing errors or placeholders
LARGEST_OFFSET = 14 * 60  # [minutes] of a time zone: Kiritimati
SAMPLE = 1_000  # [distinct values] on which forms are tried first
MICROSECOND = np.timedelta64(1, "us")
DAY = 86_400_000_000  # [µs]
EXCEL_EPOCH = 25_569  # Excel's number of 1970-01-01
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

BLANK = "[ \u00a0\u202f]"
_ZONE = rf"(?:{BLANK}*(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{{2}}(?::?[0-9]{{2}})?))?"
_HALF = rf"(?:{BLANK}*(?P<half>[AaPp])\.?[Mm]\.?)?"
_SECOND = "(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
# A date column that is stored as a timestamp and joined to a column of times gives a midnight before the time.
_MIDNIGHT = rf"(?:00:00(?::00(?:\.0+)?)?{BLANK}+)?"
_CLOCK = rf"(?P<hour>[0-9]{{1,2}})(?::(?P<minute>[0-9]{{2}}){_SECOND})?{_HALF}{_ZONE}"
_TIME = rf"(?:(?:[Tt]|,?{BLANK}+){_MIDNIGHT}{_CLOCK})?"
_BASIC = "(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
_YEAR = "(?P<year>[0-9]{4})"
_EIGHT = f"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})"
_TWO_PLACES = "(?P<first>[0-9]{1,2}){0}(?P<second_place>[0-9]{1,2}){0}"
_NAME = "(?i:(?P<name>" + "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS) + r"|sept))\.?"
_FRACTION = r"(?:[.,](?P<fraction>[0-9]+))?"
_FLOAT = r"(?:\.0+)?"
FORMS = {
    "ISO 8601": f"{_YEAR}-(?P<month>[0-9]{{1,2}})-(?P<day>[0-9]{{1,2}}){_TIME}",
    "YYYYMMDD": f"{_EIGHT}(?:{_FLOAT}|{_TIME})",
    "YYYYMMDDTHHMMSS": f"{_EIGHT}[Tt ]{_BASIC}{_ZONE}",
    "YYYYMMDDHH": f"{_EIGHT}(?P<hour>[0-9]{{2}}){_FLOAT}",
    "YYYYMMDDHHMM": f"{_EIGHT}(?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}}){_FLOAT}",
    "YYYY/MM/DD": f"{_YEAR}/(?P<month>[0-9]{{1,2}})/(?P<day>[0-9]{{1,2}}){_TIME}",
    "DD.MM.YYYY": rf"(?P<day>[0-9]{{1,2}})\.(?P<month>[0-9]{{1,2}})\.{_YEAR}{_TIME}",
    "DD/MM/YYYY": _TWO_PLACES.replace("{0}", "/") + _YEAR + _TIME,
    "DD-MM-YYYY": _TWO_PLACES.replace("{0}", "-") + _YEAR + _TIME,
    "D Month YYYY": rf"(?P<day>[0-9]{{1,2}})[ -]{_NAME}[ ,-]+{_YEAR}{_TIME}",
    "Month D, YYYY": rf"{_NAME} (?P<day>[0-9]{{1,2}}),? {_YEAR}{_TIME}",
    "epoch seconds": f"(?P<count>[0-9]{{9,10}}){_FRACTION}",
    "epoch milliseconds": f"(?P<count>[0-9]{{12,13}}){_FRACTION}",
    "epoch microseconds": f"(?P<count>[0-9]{{15,16}}){_FRACTION}",
    "epoch nanoseconds": f"(?P<count>[1-4]?[0-9]{{18}}){_FRACTION}",
    "Excel serial numbers": r"(?P<serial>[2-7][0-9]{4})(?:[.,]0*)?(?: ?0?[.,](?P<fraction>[0-9]+))?",
}
DIGITS = {"epoch seconds": 6, "epoch milliseconds": 3, "epoch microseconds": 0, "epoch nanoseconds": -3}
TWO_DIGIT_YEAR = r"^[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}(?:[^0-9].*)?$"

NO_FORM, NO_DATE, NO_TIME, NO_OFFSET, NO_YEAR, SHORT_YEAR = range(1, 7)
REASONS = {
    NO_DATE: "is no date",
    NO_TIME: "has no valid time",
    NO_OFFSET: "has no valid offset from UTC",
    NO_YEAR: f"is outside the years {YEARS[0]} to {YEARS[1]}",
    SHORT_YEAR: "has a year of two digits",
}

Times = npt.NDArray[np.datetime64]


class Moments(NamedTuple):
    """The moments of a column, one per row.

    `utc` and `local`: datetime64[us] without a zone, in UTC and in the shop's time zone, NaT where unreadable;
    `problems`: the rows that could not be read, each with its reason; `form`: what was recognised, for the user;
    `notes`: sentences on times that the change of clocks makes ambiguous or skips.
    """

    utc: pd.Series[Any]
    local: pd.Series[Any]
    problems: pd.Series[str]
    form: str
    notes: tuple[str, ...]


class _Reading(NamedTuple):
    """What a form reads in the distinct values.

    `wall`: the time as written [µs since 1970]; `offset` [minutes] and `has_offset`: its distance from UTC, if known;
    `faults`: 0 or what is wrong; `undecided`: the places of day and month are not known.
    """

    form: str
    wall: Integers
    offset: Integers
    has_offset: Booleans
    faults: npt.NDArray[np.int8]
    undecided: bool = False


class _Written(NamedTuple):
    """The distinct values of a column: time as written and in UTC (NaT if it has no offset), faults as reasons."""

    codes: Integers
    wall: Times
    utc: Times
    reasons: npt.NDArray[np.object_]
    form: str


def read_moments(values: pd.Series[Any], *, timezone: str = "UTC", day_first: bool | None = None) -> Moments:
    """Read dates and times of any usual form.

    In: texts, numbers, dates or timestamps. Times without an offset are local times in `timezone`, a name of the tz
    database; a date without a time is midnight. `day_first`: the order of 03/04/2025, if the values do not show it.
    Out: see `Moments`; the index is that of `values`.

    Raises AmbiguousError if the order of day and month is unknown, and SettingsError if the time zone is.
    """
    zone = load_timezone(timezone)
    written = _written(values, day_first)
    utc, local, twice, skipped = _placed(written.wall, written.utc, zone)
    notes = (
        *_noted(written, twice, "the hour that comes twice", "read as summer time"),
        *_noted(written, skipped, "the hour that does not exist", "moved forward by that hour"),
    )
    return _moments(values, written, (utc, local), _in_zone(written, timezone), notes)


def read_days(values: pd.Series[Any], *, day_first: bool | None = None) -> Moments:
    """Read whole days, as of spend: the day as written, at midnight, in both `utc` and `local`.

    In: as `read_moments`. A time is cut off; numbers of seconds since 1970 give the day in UTC.
    Raises AmbiguousError if the order of day and month is unknown.
    """
    written = _written(values, day_first)
    days = written.wall.astype("datetime64[D]").astype("datetime64[us]")
    return _moments(values, written, (days, days), written.form, ())


def load_timezone(name: str) -> ZoneInfo:
    """Return a time zone by its name; raises SettingsError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"Time zone {quoted(name)} is unknown: give a name of the tz database, such as Europe/Berlin."
        ) from None


def _moments(
    values: pd.Series[Any], written: _Written, times: tuple[Times, Times], form: str, notes: tuple[str, ...]
) -> Moments:
    utc, local = (pd.Series(taken(column, written.codes, "NaT"), index=values.index) for column in times)
    return Moments(utc, local, problems_of(written.codes, written.reasons, values.index), form, notes)


def _written(values: pd.Series[Any], day_first: bool | None) -> _Written:
    stamps = _stamps(values)
    if stamps is not None:
        return _of_stamps(stamps)
    cells = read_cells(values)
    reading = _recognised(cells.texts, day_first)
    if reading.undecided:
        raise _ambiguous(values.name, cells.texts, reading.form)
    good = reading.faults == 0
    wall = _times(reading.wall, good)
    utc = _times(reading.wall - reading.offset * 60_000_000, good & reading.has_offset)
    reasons = reasons_of(cells.texts.to_pylist(), reading.faults, _says(reading))
    return _Written(cells.codes, wall, utc, reasons, reading.form)


def _says(reading: _Reading) -> dict[int, str]:
    """Word the faults. A value of another form, or with day and month the other way round, is told the form."""
    if not (reading.faults == 0).any():
        return {**REASONS, NO_FORM: REASONS[NO_DATE]}
    other = f"is no date in the form {reading.form}"
    return {**REASONS, NO_FORM: other, NO_DATE: other if reading.form.startswith(("DD", "MM")) else REASONS[NO_DATE]}


def _times(microseconds: Integers, good: Booleans) -> Times:
    return np.where(good, microseconds.astype("datetime64[us]"), np.datetime64("NaT", "us"))


# Columns that are dates or timestamps already


def _stamps(values: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return a column of dates or timestamps as pandas holds them; None for any other."""
    if isinstance(values.dtype, pd.ArrowDtype):
        array = pa.array(values)
        kind = array.type
        if pa.types.is_date(kind):
            return pd.Series(array.cast(pa.timestamp("s")).to_pandas())
        return pd.Series(array.to_pandas()) if pa.types.is_timestamp(kind) else None
    return values if pd.api.types.is_datetime64_any_dtype(values) else None


def _of_stamps(stamps: pd.Series[Any]) -> _Written:
    codes, found = pd.factorize(stamps)
    distinct = pd.DatetimeIndex(found)
    good = np.asarray((distinct.year >= YEARS[0]) & (distinct.year <= YEARS[1]), dtype="bool")
    inside = pd.DatetimeIndex(distinct.where(good)).as_unit("us")
    aware = distinct.tz is not None
    wall = inside.tz_localize(None).to_numpy()
    utc = inside.tz_convert(None).to_numpy() if aware else np.full_like(wall, "NaT")
    reasons = reasons_of(list(distinct.astype("str")), np.where(good, 0, NO_YEAR).astype("int8"), REASONS)
    return _Written(codes, wall, utc, reasons, "timestamps")


# Recognise the form of texts and numbers


def _recognised(texts: pa.Array, day_first: bool | None) -> _Reading:
    """Read with the form that reads the most values. Forms that read more of a sample are tried first."""
    places = np.unique(np.linspace(0, max(len(texts) - 1, 0), SAMPLE).astype("int64"))[: len(texts)]
    sample = texts.take(pa.array(places))
    share = {form: _success(_read(form, sample, day_first)) for form in FORMS}
    best = _Reading("no dates", *_nothing(len(texts)))
    for form in sorted(FORMS, key=share.__getitem__, reverse=True):
        reading = _read(form, texts, day_first)
        best = max(best, reading, key=_success)
        if 2 * _success(best)[0] > len(texts):
            break
    short = as_numpy(pc.match_substring_regex(texts, TWO_DIGIT_YEAR))
    return best._replace(faults=np.where(short & (best.faults == NO_FORM), SHORT_YEAR, best.faults).astype("int8"))


def _success(reading: _Reading) -> tuple[int, int]:
    return int((reading.faults == 0).sum()), int((reading.faults != NO_FORM).sum())


def _nothing(length: int) -> tuple[Integers, Integers, Booleans, npt.NDArray[np.int8]]:
    zeros = np.zeros(length, "int64")
    return zeros, zeros.copy(), np.zeros(length, "bool"), np.full(length, NO_FORM, "int8")


def _read(form: str, texts: pa.Array, day_first: bool | None) -> _Reading:
    found, fields = _parts(form, texts)
    if not found.any():
        return _Reading(form, *_nothing(len(texts)))
    if "count" in fields:
        part = _epoch(form, fields)
    elif "serial" in fields:
        part = _excel(form, fields)
    else:
        part = _calendar(form, fields, day_first)
    wall, offset, has_offset, faults = _nothing(len(texts))
    wall[found], offset[found], has_offset[found], faults[found] = part[1:5]
    return _Reading(part.form, wall, offset, has_offset, faults, part.undecided)


def _parts(form: str, texts: pa.Array) -> tuple[Booleans, dict[str, pa.Array]]:
    """Mark the texts of a form, and return the parts of these by the names of its groups; "" for a missing part."""
    parts = pc.extract_regex(texts, f"^(?:{FORMS[form]})$")
    found = parts.is_valid()
    names = [field.name for field in parts.type]
    return as_numpy(found), dict(zip(names, parts.filter(found).flatten(), strict=True))


def _whole(text: pa.Array) -> Integers:
    return as_numpy(pc.if_else(pc.equal(text, ""), "0", text).cast(pa.int64()))


def _digits(text: pa.Array, digits: int) -> Integers:
    """Read the digits after a decimal point as a number of so many digits: further ones are cut off."""
    return _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(text, digits, "0"), 0, digits))


def _epoch(form: str, fields: dict[str, pa.Array]) -> _Reading:
    count, digits = _whole(fields["count"]), DIGITS[form]
    wall = count * 10**digits + _digits(fields["fraction"], digits) if digits >= 0 else count // 10**-digits
    return _exact(form, wall, has_offset=True)


def _excel(form: str, fields: dict[str, pa.Array]) -> _Reading:
    """Read days since 1899-12-30. Their fraction is exact to about a microsecond; Excel shows milliseconds."""
    milliseconds = np.rint(_digits(fields["fraction"], 15) / 10**15 * (DAY // 1000)).astype("int64")
    wall = (_whole(fields["serial"]) - EXCEL_EPOCH) * DAY + milliseconds * 1000
    return _exact(form, wall, has_offset=False)


def _exact(form: str, wall: Integers, *, has_offset: bool) -> _Reading:
    years = wall.astype("datetime64[us]").astype("datetime64[Y]").astype("int64") + 1970
    faults = np.where(_is_year(years), 0, NO_YEAR).astype("int8")
    return _Reading(form, wall, np.zeros_like(wall), np.full(len(wall), has_offset), faults)


def _is_year(years: Integers) -> Booleans:
    return (years >= YEARS[0]) & (years <= YEARS[1])


def _calendar(form: str, fields: dict[str, pa.Array], day_first: bool | None) -> _Reading:
    year = _whole(fields["year"])
    order = day_first
    if "first" in fields:
        places = _whole(fields["first"]), _whole(fields["second_place"])
        order = _order(*places) if day_first is None else day_first
        form = form if order is not False else f"MM{form[2]}DD{form[5:]}"
        day, month = places if order is not False else places[::-1]
    else:
        day, month = _whole(fields["day"]), _month(fields)
    days, is_day = _days(year, month, day)
    clock, is_time = _clock(fields)
    offset, has_offset, is_offset = _offset(fields.get("zone"), len(year))
    rules = ((is_day, NO_DATE), (is_time, NO_TIME), (is_offset, NO_OFFSET), (_is_year(year), NO_YEAR))
    faults = np.select([~good for good, _ in rules], [fault for _, fault in rules], 0).astype("int8")
    undecided = "first" in fields and order is None and bool((is_day & (day != month)).any())
    return _Reading(form + _clock_form(form, fields), days * DAY + clock, offset, has_offset, faults, undecided)


def _order(first: Integers, second: Integers) -> bool | None:
    """Say whether the day is first, by the values above 12; None if there are none, or as many for either order."""
    by_first, by_second = (int(_is_only_day(part).sum()) for part in (first, second))
    return None if by_first == by_second else by_first > by_second


def _is_only_day(part: Integers) -> Booleans:
    return (part > 12) & (part <= 31)


def _month(fields: dict[str, pa.Array]) -> Integers:
    if "name" not in fields:
        return _whole(fields["month"])
    numbers = {month[:3].lower(): number for number, month in enumerate(MONTHS, start=1)}
    names = fields["name"].dictionary_encode()
    of_names = np.array([numbers[name[:3].lower()] for name in names.dictionary.to_pylist()], "int64")
    return np.take(of_names, as_numpy(names.indices))


def _days(year: Integers, month: Integers, day: Integers) -> tuple[Integers, Booleans]:
    """Count the days since 1970, and mark the dates that exist."""
    is_month = (month >= 1) & (month <= 12)
    months = ((year - 1970) * 12 + np.where(is_month, month, 1) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    return days.astype("int64"), is_month & (day >= 1) & (days.astype("datetime64[M]") == months)


def _clock(fields: dict[str, pa.Array]) -> tuple[Integers, Booleans]:
    """Read the time since midnight [µs], and mark the valid ones. 24:00 is the end of the day, as in ISO 8601."""
    length = len(fields["year"])
    hour, minute, second = (_part(fields, name, length) for name in ("hour", "minute", "second"))
    micros = _digits(fields["fraction"], 9) // 1000 if "fraction" in fields else np.zeros(length, "int64")
    valid = (hour < 24) | ((hour == 24) & (minute + second + micros == 0))
    if "half" in fields:
        half = pc.utf8_upper(fields["half"])
        is_half = as_numpy(pc.not_equal(half, ""))
        is_pm = as_numpy(pc.equal(half, "P"))
        valid &= ~is_half | ((hour >= 1) & (hour <= 12))
        hour = np.where(is_half, hour % 12 + 12 * is_pm, hour)
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, valid & (minute < 60) & (second < 60)


def _part(fields: dict[str, pa.Array], name: str, length: int) -> Integers:
    return _whole(fields[name]) if name in fields else np.zeros(length, "int64")


def _offset(zone: pa.Array | None, length: int) -> tuple[Integers, Booleans, Booleans]:
    """Read the offsets from UTC [minutes], and mark the texts that have one and those where it is valid."""
    if zone is None:
        return np.zeros(length, "int64"), np.zeros(length, "bool"), np.ones(length, "bool")
    names = zone.dictionary_encode()
    known = np.array([_minutes(name) for name in names.dictionary.to_pylist()], "int64")
    places = as_numpy(names.indices)
    return known[places], as_numpy(pc.not_equal(zone, "")), np.abs(known[places]) <= LARGEST_OFFSET


def _minutes(zone: str) -> int:
    if not zone or zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    size = hours * 60 + minutes if minutes < 60 else LARGEST_OFFSET + 1
    return -size if zone[0] == "-" else size


def _clock_form(form: str, fields: dict[str, pa.Array]) -> str:
    """Describe the times beside the dates. Forms that say so themselves have none."""
    if "half" not in fields or form == "ISO 8601" or not _has_any(fields["hour"]):
        return ""
    seconds = ":SS" if _has_any(fields["second"]) else ""
    return f" HH:MM{seconds}" + (" AM/PM" if _has_any(fields["half"]) else "")


def _has_any(text: pa.Array) -> bool:
    return bool(pc.any(pc.not_equal(text, "")).as_py())


def _ambiguous(column: object, texts: pa.Array, form: str) -> AmbiguousError:
    """Show a value with both its readings, or two that contradict each other."""
    found, fields = _parts(form[: len("DD/MM/YYYY")], texts)
    first, second, year = (_whole(fields[name]) for name in ("first", "second_place", "year"))
    texts = texts.filter(pa.array(found))
    both = np.flatnonzero((first != second) & (np.minimum(first, second) >= 1) & (np.maximum(first, second) <= 12))
    where = f"Column {quoted(column)}: " if isinstance(column, str) and column else ""
    if len(both):
        one, two, text = int(first[both[0]]), int(second[both[0]]), quoted(texts[int(both[0])])
        says = f"{text} can be {one} {MONTHS[two - 1]} or {MONTHS[one - 1]} {two}, {year[both[0]]}"
    else:
        day, month = (quoted(texts[int(np.argmax(_is_only_day(part)))]) for part in (first, second))
        says = f"{day} has the day first, but {month} has the month first, in equally many values"
    return AmbiguousError(f"{where}{says}: set day_first = true or false in the mapping.")


# Place times in UTC and in the shop's time zone


def _placed(wall: Times, utc: Times, zone: ZoneInfo) -> tuple[Times, Times, Booleans, Booleans]:
    """Return UTC and local time, and mark the times that exist twice and those that do not exist in `zone`.

    In: times as written, and their UTC where they have an offset. A time that exists twice is the first one; one that
    does not exist is read with the offset before the change, which moves it forward by the missing hour.
    """
    naive = pd.DatetimeIndex(np.where(np.isnat(utc), wall, np.datetime64("NaT", "us")))
    first, second = (_localized(naive, zone, earlier=earlier) for earlier in (True, False))
    twice = np.asarray(first != second) & ~np.isnat(first)
    skipped = np.isnat(first) & ~np.asarray(naive.isna())
    day = pd.Timedelta(days=1)
    first[skipped] = _localized(naive[skipped] - day, zone, earlier=True) + day
    placed = np.where(np.isnat(utc), first, utc)
    local = pd.DatetimeIndex(placed).tz_localize("UTC").tz_convert(zone).tz_localize(None).to_numpy()
    return placed, local, twice, skipped


def _localized(naive: pd.DatetimeIndex, zone: ZoneInfo, *, earlier: bool) -> Times:
    marks = np.full(len(naive), earlier)
    return naive.tz_localize(zone, ambiguous=marks, nonexistent="NaT").tz_convert(None).to_numpy(copy=True)


def _noted(written: _Written, marks: Booleans, where: str, how: str) -> tuple[str, ...]:
    if not marks.any():
        return ()
    rows = int(taken(marks, written.codes, False).sum())
    days = [str(day) for day in np.unique(written.wall[marks].astype("datetime64[D]"))]
    return (f"{counted(rows, 'time')} {'is' if rows == 1 else 'are'} in {where} on {listed(days)}; {how}.",)


def _in_zone(written: _Written, timezone: str) -> str:
    """Say of the form whether its times have an offset from UTC or are in the shop's time zone."""
    if written.form.startswith("epoch"):
        return written.form
    has_offset = ~np.isnat(written.utc)
    naive = bool((~np.isnat(written.wall) & ~has_offset).any())
    if has_offset.any():
        return f"{written.form} with offset" + (f" or in {timezone}" if naive else "")
    return f"{written.form} in {timezone}" if naive else written.form
