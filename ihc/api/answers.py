"""Parse API responses into rows per conversion and check which conversions are complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from ihc.journeys.credits import tolerance
from ihc.schemas.tables import SHARES

NUMBERS = frozenset((int, float))
MESSAGES = ("message", "Message", "errorMessage", "error", "detail")  # fields in which gateways return a message
Row = tuple[str, Any, Any, Any, Any]  # session_id, initializer, holder, closer, ihc, as returned by the API


class Checked(NamedTuple):
    """A checked response: complete conversions, `conv_id: reason` of rejected ones, and those without a value."""

    whole: dict[str, list[Row]]
    rejected: dict[str, str]
    missing: list[str]


def parse_json(content: bytes) -> Any:
    """Parse JSON, also with NaN and Infinity; None if it cannot be parsed."""
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    try:
        # Python's json module also accepts NaN and Infinity, so only the journey that contains them fails.
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def stated_status(body: Mapping[str, Any], status: int) -> int:
    """The status stated in the body; the HTTP `status` if that is 200 or missing."""
    try:
        number = int(body["statusCode"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return status
    return status if number == 200 else max(-1, min(number, 999))  # limits its length in a message


def message_of(body: Any) -> str:
    """The message in a response, or an empty text."""
    said = body if isinstance(body, dict) else {}
    return next((str(said[name]) for name in MESSAGES if said.get(name)), "")


def read_values(entries: Sequence[Any]) -> dict[str, list[Row]]:
    """Group the values of a response by conversion."""
    values: dict[str, list[Row]] = {}
    for entry in entries:
        # An entry that is no object or has no conversion leaves a journey incomplete; check_answer reports that.
        if isinstance(entry, dict):
            get = entry.get
            row = (str(get("session_id")), get("initializer"), get("holder"), get("closer"), get("ihc"))
            values.setdefault(str(get("conversion_id")), []).append(row)
    return values


def read_reasons(entries: Any) -> dict[str, Any]:
    """The first reason per conversion. In: one entry per session without a value.

    An entry in an unknown format becomes itself the reason, for the conversion "".
    """
    reasons: dict[str, Any] = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        trigger = entry.get("trigger") if isinstance(entry, dict) else None
        if isinstance(trigger, dict) and "reason" in entry:
            reasons.setdefault(str(trigger.get("conversion_id")), entry["reason"])
        else:
            reasons.setdefault("", entry)
    return reasons


def check_answer(sent: Mapping[str, Sequence[str]], values: Mapping[str, list[Row]]) -> Checked:
    """Split a response into complete, rejected (with the reason) and missing conversions.

    In: the sessions sent and the rows returned per conversion. A conversion is complete if it has exactly the sessions
    sent, each value is a number in [0, 1], and `ihc` and each phase present sum to 1 (see `credits.tolerance`).
    """
    whole, rejected, missing = {}, {}, []
    for conv_id, sessions in sent.items():
        rows = values.get(conv_id)
        if not rows:
            missing.append(conv_id)
        elif reason := _fault(sessions, rows):
            rejected[conv_id] = reason
        else:
            whole[conv_id] = rows
    return Checked(whole, rejected, missing)


def _fault(sessions: Sequence[str], rows: Sequence[Row]) -> str:
    answered = [row[0] for row in rows]
    if answered != sessions and sorted(answered) != sorted(sessions):
        return f"the answer does not match the {len(sessions)} sessions of the journey: it has {len(rows)}"
    allowed = tolerance(len(rows))
    _, *columns = zip(*rows, strict=True)
    for name, column in zip(SHARES, columns, strict=True):
        if not (NUMBERS.issuperset(map(type, column)) and min(column) >= 0 and max(column) <= 1):
            return f"{name} is not a number between 0 and 1 in every session"
        total = sum(column)
        # Written so that NaN fails too.
        if not abs(total - 1) <= allowed and (total != 0 or name == "ihc"):
            return f"{name} sums to {total:.4f}, not 1"
    return ""
