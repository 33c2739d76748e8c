"""Numbers, names and lists as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from itertools import islice

CENT = 0.005  # [currency] what is less is printed as 0.00, and no amount
HOURS_PER_DAY = 24


def counted(number: float, noun: str) -> str:
    """Write a number with its noun: 1 order, 2 orders."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


def some(ids: Collection[object], limit: int = 5, *, width: int = 64) -> str:
    """Name up to `limit` ids on one line, each cut to `width` characters."""
    names = [str(name) for name in islice(ids, limit)]
    shown = [repr(name if len(name) <= width else name[: width - 1] + "…") for name in names]
    more = f" and {len(ids) - limit:,} more" if len(ids) > limit else ""
    return ", ".join(shown) + more


def named(names: Sequence[object], limit: int = 5) -> str:
    """Name the first channels in a sentence, and count the rest."""
    rest = f", and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + rest


def listed(parts: Sequence[str], limit: int = 4) -> str:
    """Parts as a list in words, and the count of those beyond `limit`: a, b and c."""
    few = [*parts[:limit], *([f"{len(parts) - limit:,} more"] if len(parts) > limit else [])]
    return " and ".join(filter(None, [", ".join(few[:-1]), *few[-1:]]))


def printable(text: object) -> str:
    """A text on one line, without what XML, and so an SVG, cannot hold (https://www.w3.org/TR/xml/#charsets)."""
    return " ".join(re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", str(text)).split())


def shown(name: object, limit: int = 40) -> str:
    """A name from the data on one line, cut to `limit` characters."""
    text = printable(name) or "(blank)"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def percent(share: float) -> str:
    """A share as a percentage that is never 0% of something, nor 100% of less than all."""
    text = f"{share:.0%}"
    if text == "0%" and share > 0:
        return "less than 1%"
    return "more than 99%" if text == "100%" and share < 1 else text


def brief_percent(share: float) -> str:
    """The same as `percent`, where there is little room."""
    return percent(share).replace("less than ", "<").replace("more than ", ">")


def duration(hours: float) -> str:
    """A length of time in its own unit: 12 min, 6 h, 2.4 days."""
    if hours == 0:
        return "0"
    if hours < 1:
        return f"{max(hours * 60, 1):.0f} min"
    return (
        f"{round(hours, 1):,.10g} h" if hours < 2 * HOURS_PER_DAY else f"{round(hours / HOURS_PER_DAY, 1):,.10g} days"
    )


def engine_name(row: object) -> str:
    """An engine and its settings in words. In: a row with `engine, parameters`."""
    engine, parameters = getattr(row, "engine", ""), getattr(row, "parameters", "")
    return f"IHC Attribution API, {parameters}" if engine == "api" else f"{engine} engine with parameters {parameters}"


def lookback(days: float | None) -> str:
    """How far back sessions count, in words [days]."""
    if days is None or math.isnan(days):
        return "sessions of any age"
    return f"a lookback of {days:,g} day{'' if days == 1 else 's'}"
