"""What drivers give for a date, an amount or a flag, as the texts and numbers that an SQLite shop holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def _number(value: Decimal) -> int | float:
    """Whole numbers stay exact, as ids must; others become floats, correctly rounded."""
    text = str(value)
    return int(text) if text.lstrip("-").isdigit() else float(value)


def _span(value: timedelta) -> str:
    """A time of day that a driver gives as the span since midnight: 13:05:59."""
    seconds = value // timedelta(seconds=1)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return _short(f"{clock}.{value.microseconds:06d}")


def _short(moment: str) -> str:
    """A moment without zeros at the end of its fraction of a second."""
    return re.sub(r"\.(\d*?)0+(?=$|[+-])", lambda found: f".{found[1]}" if found[1] else "", moment)


def _of_bytes(value: bytes) -> int | str | bytes:
    """A flag in a column of bits, a text in a column of bytes, or bytes that are none."""
    try:
        return value[0] if value in (b"\0", b"\1") else value.decode()
    except UnicodeError:
        return value


PLAIN: dict[type, Callable[[Any], Any]] = {
    Decimal: _number,
    bool: int,
    datetime: lambda value: _short(value.isoformat(sep=" ")),
    date: date.isoformat,
    time: lambda value: _short(value.isoformat()),
    timedelta: _span,
    bytes: _of_bytes,
    bytearray: lambda value: _of_bytes(bytes(value)),
    memoryview: lambda value: _of_bytes(bytes(value)),
    UUID: str,
}


def plain_rows(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows as a driver gives them, with every value as SQLite would hold it."""
    return list(zip(*map(_plain, zip(*rows, strict=True)), strict=True))


def _plain(column: Sequence[Any]) -> Sequence[Any]:
    if not set(map(type, column)) & PLAIN.keys():
        return column
    return [PLAIN[type(value)](value) if type(value) in PLAIN else value for value in column]
