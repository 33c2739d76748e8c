"""Whose credit is given away to whom: the IHC model's redistribution, read from a file, checked and carried out.

Per phase, sessions of the listed channels give their value to sessions of the other channels of their journey.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import SettingsError, why
from ihc.schemas.tables import PHASES

DIRECTIONS = ("earlier_sessions_only", "later_sessions_only", "any_session")
OPPOSITE = dict(zip(DIRECTIONS, (DIRECTIONS[1], DIRECTIONS[0], DIRECTIONS[2]), strict=True))
ENTRIES = ("direction", "receive_threshold", "redistribution_channel_labels")
# Whatever a value is divided by must be above this, or the quotient may be infinite.
SMALLEST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Redistribution:
    """A checked redistribution: per phase its `direction`, `receive_threshold` and channels, as JSON in one form."""

    text: str

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The entries per phase, as the API takes them."""
        entries: dict[str, dict[str, Any]] = json.loads(self.text)
        return entries

    @property
    def fingerprint(self) -> str:
        """Twelve characters that change with every entry."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def channels(self) -> frozenset[str]:
        """The channels that give their value away in any phase."""
        return frozenset[str]().union(*(entry["redistribution_channel_labels"] for entry in self.entries.values()))


def labelled(label: str, redistribution: Redistribution | None) -> str:
    """A label of the engine's, and its redistribution if it has one, as every output states them."""
    return f"{label}, redistribution {redistribution.fingerprint}" if redistribution else label


def load_redistribution(path: Path) -> Redistribution:
    """Read a redistribution from a JSON file.

    Raises SettingsError: a sentence that names the file, the entry and what it must be.
    """
    try:
        entries = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"The redistribution {path} cannot be read as JSON: {why(error)}.") from None
    return parse_redistribution(entries, f"The redistribution {path}")


def parse_redistribution(entries: object, where: str) -> Redistribution:
    """Check a redistribution: for each of initializer, holder and closer a direction, a threshold and channels.

    `receive_threshold` [0 to 1]: a session receives only where its own value in the phase is above it.
    Raises SettingsError, its message beginning with `where`.
    """
    by_phase = _object(entries, PHASES, where)
    checked = {phase: _checked(by_phase[phase], f"{where}, {phase}") for phase in PHASES}
    return Redistribution(json.dumps(checked, sort_keys=True))


def redistribution_schema() -> dict[str, Any]:
    """What a redistribution must look like, in the words of JSON Schema."""
    phase = {
        "direction": {"enum": list(DIRECTIONS), "description": "Which sessions may receive, seen from the giving one."},
        "receive_threshold": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "A session receives only where its own value in the phase is above it.",
        },
        "redistribution_channel_labels": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The channels that give their value away.",
        },
    }
    return _closed(dict.fromkeys(PHASES, _closed(phase)))


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object with exactly these entries."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _object(entries: object, names: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(entries, dict) or set(entries) != set(names):
        raise SettingsError(f"{where} must have exactly the entries {', '.join(names)}.")
    return entries


def _checked(entries: object, where: str) -> dict[str, Any]:
    phase = _object(entries, ENTRIES, where)
    direction, threshold, channels = (phase[name] for name in ENTRIES)
    if direction not in DIRECTIONS:
        raise SettingsError(f"{where}: direction must be one of {', '.join(DIRECTIONS)}.")
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not is_number or not 0 <= threshold <= 1:
        raise SettingsError(f"{where}: receive_threshold must be a number from 0 to 1.")
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise SettingsError(f"{where}: redistribution_channel_labels must be a list of channel names.")
    return {
        "direction": direction,
        "receive_threshold": float(threshold),
        "redistribution_channel_labels": sorted(set(channels)),
    }


def redistribute(
    shares: Mapping[str, Floats], channels: pd.Series[str], journey: Integers, redistribution: Redistribution
) -> dict[str, Floats]:
    """Move each phase's values from the sessions of its listed channels to the others of their journey.

    In: per phase the sessions' `shares` in [0, 1], their `channels`, and the number of each one's `journey`; the
    sessions of a journey in time order. Out: the shares per phase; their sum over a journey stays what it was.
    """
    codes, names = pd.factorize(channels, use_na_sentinel=False)
    entries, moved = redistribution.entries, {}
    for phase in PHASES:
        entry = entries[phase]
        listed = set(entry["redistribution_channel_labels"])
        gives = np.array([name in listed for name in names], dtype=bool)[codes]
        moved[phase] = move(shares[phase], gives, journey, entry["direction"], entry["receive_threshold"])
    return moved


def move(values: Floats, gives: Booleans, journey: Integers, direction: str, threshold: float) -> Floats:
    """Let the sessions that give hand their values to those of their journey that may receive, all at once.

    In: `values` of the sessions, the sessions of a journey in time order. A session may receive if it does not give
    and its own value is above `threshold`; it gets of each gift in proportion to its own value. A gift goes to the
    sessions that are earlier or later than the giving one, or to any, as `direction` says. Where none of these may
    receive, the giving session keeps its value.
    """
    if not gives.any():
        return values
    receives = ~gives & (values > max(threshold, SMALLEST))
    # Sums of what is above 0, so they are 0 exactly where no session may receive.
    receivers = _reached(np.where(receives, values, 0.0), journey, direction)
    is_given = gives & (receivers > 0)
    # What each gift adds to a receiver for every unit of its own.
    per_unit = np.divide(values, receivers, out=np.zeros_like(values), where=is_given)
    gains = _reached(per_unit, journey, OPPOSITE[direction])
    return np.where(is_given, 0.0, np.where(receives, values + values * gains, values))


def _reached(values: Floats, journey: Integers, direction: str) -> Floats:
    """The sum over the sessions that each one reaches in its direction; its own value, which is 0 there, included."""
    if direction == "any_session":
        return np.bincount(journey, weights=values).astype("float64")[journey]
    step = 1 if direction == "earlier_sessions_only" else -1
    # Within each journey, not as a difference of sums over all of them, that would leave something of the others.
    sums = pd.Series(values[::step]).groupby(journey[::step], sort=False).cumsum()
    return sums.to_numpy()[::step].astype("float64")
