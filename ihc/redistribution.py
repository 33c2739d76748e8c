"""Whose credit is given away to whom: the IHC model's redistribution, read from a file and checked.

Per phase, sessions of the listed channels give their value to sessions of the other channels of their journey.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihc.errors import SettingsError
from ihc.schemas import PHASES

DIRECTIONS = ("earlier_sessions_only", "later_sessions_only", "any_session")
ENTRIES = ("direction", "receive_threshold", "redistribution_channel_labels")
UNABLE = "the local engine cannot redistribute in this version"


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


def load_redistribution(path: Path) -> Redistribution:
    """Read a redistribution from a JSON file.

    Raises SettingsError: a sentence that names the file, the entry and what it must be.
    """
    try:
        entries = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"The redistribution {path} cannot be read as JSON: {error}.") from None
    return parse_redistribution(entries, f"The redistribution {path}")


def parse_redistribution(entries: object, where: str) -> Redistribution:
    """Check a redistribution: for each of initializer, holder and closer a direction, a threshold and channels.

    `receive_threshold` [0 to 1]: a session receives only where its own value in the phase is above it.
    Raises SettingsError, its message beginning with `where`.
    """
    by_phase = _object(entries, PHASES, where)
    checked = {phase: _checked(by_phase[phase], f"{where}, {phase}") for phase in PHASES}
    return Redistribution(json.dumps(checked, sort_keys=True))


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
