"""Redistribution of credit between channels: read, check and apply.

Per phase, sessions of the listed channels give their value to sessions of other channels in their journey.
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
# Divisors must be above this, otherwise the quotient could be infinite.
SMALLEST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Redistribution:
    """A checked redistribution as canonical JSON: per phase `direction`, `receive_threshold` and channels."""

    text: str

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The entries per phase, in the format of the API."""
        entries: dict[str, dict[str, Any]] = json.loads(self.text)
        return entries

    @property
    def fingerprint(self) -> str:
        """A hash of twelve characters over all entries."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def channels(self) -> frozenset[str]:
        """The channels that give their value away in any phase."""
        return frozenset[str]().union(*(entry["redistribution_channel_labels"] for entry in self.entries.values()))


def labelled(label: str, redistribution: Redistribution | None) -> str:
    """Append the redistribution, if any, to an engine's label, as shown in every output."""
    return f"{label}, redistribution {redistribution.fingerprint}" if redistribution else label


def load_redistribution(path: Path) -> Redistribution:
    """Read a redistribution from a JSON file.

    Parameters
    ----------
    path : Path
        The file. For each of `initializer`, `holder` and `closer` it has `direction [earlier_sessions_only,
        later_sessions_only or any_session]`, `receive_threshold [0 to 1; a session receives only if its own value in
        the phase is above it]` and `redistribution_channel_labels [the channels that give their value away]`.

    Returns
    -------
    Redistribution
        The checked redistribution, for `attribute` and `explain`.

    Raises
    ------
    SettingsError
        If the file cannot be read or an entry is invalid; the message names the file, the entry and what it must be.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import ihc
    >>> entry = {
    ...     "direction": "any_session",
    ...     "receive_threshold": 0,
    ...     "redistribution_channel_labels": ["Direct"],
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "redistribution.json"
    ...     _ = path.write_text(json.dumps({"initializer": entry, "holder": entry, "closer": entry}))
    ...     redistribution = ihc.load_redistribution(path)
    >>> sorted(redistribution.channels)
    ['Direct']

    """
    try:
        entries = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"The redistribution {path} cannot be read as JSON: {why(error)}.") from None
    return parse_redistribution(entries, f"The redistribution {path}")


def parse_redistribution(entries: object, where: str) -> Redistribution:
    """Check a redistribution: for each of initializer, holder and closer a direction, a threshold and channels.

    `receive_threshold` [0 to 1]: a session receives only if its own value in the phase is above it. Raises
    SettingsError with a message that starts with `where`.
    """
    by_phase = _object(entries, PHASES, where)
    checked = {phase: _checked(by_phase[phase], f"{where}, {phase}") for phase in PHASES}
    return Redistribution(json.dumps(checked, sort_keys=True))


def redistribution_schema() -> dict[str, Any]:
    """Return the JSON Schema of a redistribution."""
    phase = {
        "direction": {
            "enum": list(DIRECTIONS),
            "description": "Which sessions can receive, relative to the giving one.",
        },
        "receive_threshold": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "A session receives only if its own value in the phase is above this.",
        },
        "redistribution_channel_labels": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The channels that give their value away.",
        },
    }
    return _closed(dict.fromkeys(PHASES, _closed(phase)))


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object with exactly these entries."""
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
    """Move each phase's values from the sessions of its listed channels to others in their journey.

    In: per phase the sessions' `shares` in [0, 1]; their `channels`; the `journey` number of each; the sessions of a
    journey in time order. Out: the shares per phase; their sum over a journey is unchanged.
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
    """Move the values of giving sessions to the receiving sessions of their journey, all at once.

    In: `values` of the sessions; the sessions of a journey in time order. A session can receive if it does not give and
    its own value is above `threshold`. Each gift is split in proportion to the receivers' own values. Depending on
    `direction`, receivers are earlier than the giving session, later, or any. Without a receiver, the giving session
    keeps its value.
    """
    if not gives.any():
        return values
    receives = ~gives & (values > max(threshold, SMALLEST))
    # Sums of positive values: 0 exactly if no session can receive.
    receivers = _reached(np.where(receives, values, 0.0), journey, direction)
    is_given = gives & (receivers > 0)
    # The gain of a receiver per unit of its own value.
    per_unit = np.divide(values, receivers, out=np.zeros_like(values), where=is_given)
    gains = _reached(per_unit, journey, OPPOSITE[direction])
    return np.where(is_given, 0.0, np.where(receives, values + values * gains, values))


def _reached(values: Floats, journey: Integers, direction: str) -> Floats:
    """Return for each session the sum over the sessions in its direction, including its own value (0 here)."""
    if direction == "any_session":
        return np.bincount(journey, weights=values).astype("float64")[journey]
    step = 1 if direction == "earlier_sessions_only" else -1
    # Per journey: differences of overall cumulative sums would carry rounding errors from other journeys.
    sums = pd.Series(values[::step]).groupby(journey[::step], sort=False).cumsum()
    return sums.to_numpy()[::step].astype("float64")
