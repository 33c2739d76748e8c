"""Format numbers, names and lists for readers."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import islice

CENT = 0.005  # [currency] smaller amounts are printed as 0.00 and count as zero
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class Language:
    """How a language writes numbers (in groups of three) and dates, from Unicode CLDR.

    `name`: its code, empty for plain numbers and ISO dates; `percent`: the pattern of a percentage.
    """

    name: str = ""
    decimal: str = "."
    group: str = ","
    percent: str = "{}%"


PLAIN = Language()
_spoken = PLAIN  # global for the process: a context variable would be reset by each notebook cell


@cache
def language(name: str) -> Language:
    """Look up a language by its code, such as `de` or `fr-CH`. Raises ValueError if the code is unknown."""
    if not name:
        return PLAIN
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        raise ValueError("give the code of a language, such as en, de or fr-CH") from None
    symbols, pattern = locale.number_symbols["latn"], locale.percent_formats[None]
    percent = f"{pattern.prefix[0]}{{}}{pattern.suffix[0]}"
    return Language(str(locale), symbols["decimal"], symbols["group"], percent)


def speak(name: str) -> None:
    """Set the language of numbers and dates in this process; an empty `name` means the plain format."""
    global _spoken
    _spoken = language(name)


def spoken() -> Language:
    """Return the language of numbers and dates in this process."""
    return _spoken


def _localized(text: str) -> str:
    now = spoken()
    return text.translate({ord(","): now.group, ord("."): now.decimal}) if now.name else text


def fixed(value: float, decimals: int = 0, *, sign: bool = False) -> str:
    """Format a number with a fixed number of decimals: 1,234.50."""
    return _localized(f"{value:{'+' if sign else ''},.{decimals}f}")


def general(value: float, digits: int = 10) -> str:
    """Format a number with up to `digits` significant digits, without trailing zeros: 2.5."""
    return _localized(f"{value:,.{digits}g}")


def percentage(share: float, decimals: int = 0, *, sign: bool = False) -> str:
    """Format a share as a percentage: 12.5%."""
    return percent_of(_localized(f"{share:{'+' if sign else ''},.{decimals}%}"[:-1]))


def percent_of(figure: str) -> str:
    """Add the percent sign to a number, where the language puts it."""
    return spoken().percent.format(figure)


def dated(when: object) -> str:
    """Format a date, a timestamp or a month in the current language: 2025-03-01 without one.

    Text that is none of them is returned unchanged.
    """
    text, now = str(when), spoken()
    found = re.fullmatch(r"(\d{4}-\d\d)(?:(-\d\d)( \d\d:\d\d:\d\d)?)?", text) if now.name else None
    if not found:
        return text
    if not found[2]:
        return dated_axis(date.fromisoformat(f"{text}-01"), by_month=True)
    from babel.dates import format_date

    day = date.fromisoformat(found[1] + found[2])
    return format_date(day, "medium", locale=now.name) + (found[3] or "")


def dated_axis(when: date, *, by_month: bool = False) -> str:
    """Format an axis tick: a day without its year, or a month with it: 01 Mar, Mar 2025."""
    now = spoken()
    if not now.name:
        return when.strftime("%b %Y" if by_month else "%d %b")
    from babel.dates import format_skeleton

    return format_skeleton("yMMM" if by_month else "MMMd", when, locale=now.name)


def month_names() -> list[str]:
    """List the months in the current language: charts need fonts for their letters."""
    firsts = [date(2025, month, 1) for month in range(1, 13)] if spoken().name else []
    return [text for first in firsts for text in (dated(first), dated_axis(first), dated_axis(first, by_month=True))]


def counted(number: float, noun: str) -> str:
    """Format a count with its noun: 1 order, 2 orders."""
    return f"{fixed(number)} {noun}{'' if number == 1 else 's'}"


def some(ids: Collection[object], limit: int = 5, *, width: int = 64) -> str:
    """List up to `limit` ids on one line, each cut to `width` characters, and count the rest."""
    names = [str(name) for name in islice(ids, limit)]
    shown = [repr(name if len(name) <= width else name[: width - 1] + "…") for name in names]
    more = f" and {fixed(len(ids) - limit)} more" if len(ids) > limit else ""
    return ", ".join(shown) + more


def named(names: Sequence[object], limit: int = 5) -> str:
    """List the first channels in a sentence, and count the rest."""
    rest = f", and {fixed(len(names) - limit)} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + rest


def listed(parts: Sequence[str], limit: int = 4) -> str:
    """Join parts to a list in words, and count those beyond `limit`: a, b and c."""
    few = [*parts[:limit], *([f"{fixed(len(parts) - limit)} more"] if len(parts) > limit else [])]
    return " and ".join(filter(None, [", ".join(few[:-1]), *few[-1:]]))


def printable(text: object) -> str:
    """Return a text on one line, without characters that XML, and so SVG, forbids.

    Source: https://www.w3.org/TR/xml/#charsets.
    """
    return " ".join(re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", str(text)).split())


def shown(name: object, limit: int = 40) -> str:
    """Return a name from the data on one line, cut to `limit` characters."""
    text = printable(name) or "(blank)"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def percent(share: float) -> str:
    """Format a share as a percentage. A positive share is never 0%, and a share below 1 is never 100%."""
    text = f"{share:.0%}"
    if text == "0%" and share > 0:
        return f"less than {percentage(0.01)}"
    return f"more than {percentage(0.99)}" if text == "100%" and share < 1 else percentage(share)


def brief_percent(share: float) -> str:
    """As `percent`, in a shorter form."""
    return percent(share).replace("less than ", "<").replace("more than ", ">")


def duration(hours: float) -> str:
    """Format a duration in a suitable unit: 12 min, 6 h, 2.4 days."""
    if hours == 0:
        return "0"
    if hours < 1:
        return f"{fixed(max(hours * 60, 1))} min"
    if hours < 2 * HOURS_PER_DAY:
        return f"{general(round(hours, 1))} h"
    return f"{general(round(hours / HOURS_PER_DAY, 1))} days"


def engine_name(row: object) -> str:
    """Name an engine and its settings. In: a row with `engine, parameters`."""
    engine, parameters = getattr(row, "engine", ""), getattr(row, "parameters", "")
    return f"IHC Attribution API, {parameters}" if engine == "api" else f"{engine} engine with parameters {parameters}"


def lookback(days: float | None) -> str:
    """Name the lookback window [days; None or NaN: none]."""
    if days is None or math.isnan(days):
        return "no lookback window"
    return f"a lookback window of {general(days)} day{'' if days == 1 else 's'}"
