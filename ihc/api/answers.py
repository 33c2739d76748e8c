"""Read an answer of the API into rows by conversion, and check which conversions it answers whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from ihc.journeys.credits import tolerance
from ihc.schemas.tables import SHARES

NUMBERS = frozenset((int, float))
MESSAGES = ("message", "Message", "errorMessage", "error", "detail")  # where gateways put what they say
Row = tuple[str, Any, Any, Any, Any]  # session_id, initializer, holder, closer, ihc, as the API gave them


class Checked(NamedTuple):
    """An answer sorted: whole ones, `conv_id: reason` of those that are not, and those without any value."""

    whole: dict[str, list[Row]]
    rejected: dict[str, str]
    missing: list[str]


def parse_json(content: bytes) -> Any:
    """Read JSON, or what comes close to it; None where it is neither."""
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    try:
        # Python's own reader takes NaN and the like too, so that only the journey that has it fails.
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def stated_status(body: Mapping[str, Any], status: int) -> int:
    """The status in the body, which counts as much as HTTP's `status`."""
    try:
        number = int(body["statusCode"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return status
    return status if number == 200 else max(-1, min(number, 999))  # not of any length in a message


def message_of(body: Any) -> str:
    """What an answer says for itself, or nothing."""
    said = body if isinstance(body, dict) else {}
    return next((str(said[name]) for name in MESSAGES if said.get(name)), "")


def read_values(entries: Sequence[Any]) -> dict[str, list[Row]]:
    """Sort the values of an answer by conversion."""
    values: dict[str, list[Row]] = {}
    for entry in entries:
        # What is no object, or of no conversion, leaves a journey incomplete, and check_answer says so.
        if isinstance(entry, dict):
            get = entry.get
            row = (str(get("session_id")), get("initializer"), get("holder"), get("closer"), get("ihc"))
            values.setdefault(str(get("conversion_id")), []).append(row)
    return values


def read_reasons(entries: Any) -> dict[str, Any]:
    """The first reason of each conversion, from an entry for each session without a value.

    An entry of another form than the API's is itself the reason, of the conversion "".
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
    """Sort an answer into what is whole, what is not and why, and what is missing.

    In: each conversion's sessions as sent, and its rows as answered. Whole is: exactly the sessions sent, each value
    a number in [0, 1], `ihc` sums to 1, and so does each phase that is present (see `credits.tolerance`).
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
        return f"the answer is not for exactly the {len(sessions)} sessions of the journey: it has {len(rows)}"
    allowed = tolerance(len(rows))
    _, *columns = zip(*rows, strict=True)
    for name, column in zip(SHARES, columns, strict=True):
        if not (NUMBERS.issuperset(map(type, column)) and min(column) >= 0 and max(column) <= 1):
            return f"{name} is not a number from 0 to 1 in every session"
        total = sum(column)
        # NaN, which compares with nothing, does not pass this either.
        if not abs(total - 1) <= allowed and (total != 0 or name == "ihc"):
            return f"{name} sums to {total:.4f}, not 1"
    return ""
