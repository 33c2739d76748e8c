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
    """How a language writes numbers and dates, from Unicode CLDR. `name`: its code; empty for ISO dates."""

    name: str = ""
    point: str = "."
    comma: str = ","
    percent: str = "%"  # the suffix of a number


@cache
def language(name: str) -> Language:
    """Look up a language by its code, such as `de` or `fr-CH`. Raises ValueError if the code is unknown."""
    if not name:
        return Language()
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(name.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"no language is called {name!r}: give a code such as en, de or fr-CH") from None
    symbols = locale.number_symbols["latn"]
    percent = locale.percent_formats[None].suffix[0]
    return Language(str(locale).replace("_", "-"), symbols["decimal"], symbols["group"], percent)


_spoken = [Language()]  # global for the process, like matplotlib's settings


def speak(name: str) -> None:
    """Set the language of numbers and dates in this process; an empty `name` means the plain format."""
    _spoken[0] = language(name)


def spoken() -> Language:
    """Return the language of numbers and dates in this process."""
    return _spoken[0]


def _localized(text: str) -> str:
    current = _spoken[0]
    return text.translate({ord(","): current.comma, ord("."): current.point}) if current.name else text


def fixed(value: float, decimals: int = 0, *, sign: bool = False) -> str:
    """Format a number with a fixed number of decimals: 1,234.50."""
    return _localized(f"{value:{'+' if sign else ''},.{decimals}f}")


def general(value: float, digits: int = 10) -> str:
    """Format a number with up to `digits` significant digits, without trailing zeros: 2.5."""
    return _localized(f"{value:,.{digits}g}")


def percentage(share: float, decimals: int = 0, *, sign: bool = False) -> str:
    """Format a share as a percentage: 12.5%."""
    return _localized(f"{share:{'+' if sign else ''},.{decimals}%}"[:-1]) + _spoken[0].percent


def dated(when: object) -> str:
    """Format a date in the current language: 2025-03-01 without one. Text that is not a date is returned unchanged."""
    if not _spoken[0].name:
        return str(when)
    try:
        found = date.fromisoformat(str(when))
    except ValueError:
        return str(when)
    from babel.dates import format_date

    return format_date(found, "medium", locale=_spoken[0].name.replace("-", "_"))


def dated_axis(when: date, *, by_month: bool = False) -> str:
    """Format an axis tick: a day without its year, or a month with it: 01 Mar, Mar 2025."""
    if not _spoken[0].name:
        return when.strftime("%b %Y" if by_month else "%d %b")
    from babel.dates import format_skeleton

    return format_skeleton("yMMM" if by_month else "MMMd", when, locale=_spoken[0].name.replace("-", "_"))


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
