"""What the local engine knows of a shop: two membership curves, phase weights, channel weights."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ihc.arrays.types import Floats
from ihc.errors import ParametersError, why
from ihc.schemas.tables import PHASES
from ihc.shipped import RESOURCES

DEFAULT = RESOURCES / "default_parameters.json"


@dataclass(frozen=True)
class Curve:
    """A membership in [0, 1] over hours: straight between its knots, constant outside them."""

    hours: tuple[float, ...]
    membership: tuple[float, ...]

    def __call__(self, hours: Floats) -> Floats:
        """Read the membership at each of `hours`."""
        return np.interp(hours, self.hours, self.membership)


@dataclass(frozen=True)
class Parameters:
    """One set of the engine's parameters.

    `initializer`: membership over hours since the previous session, rising; at 1 the journey restarts.
    `closer`: membership over hours to the converting session, falling from 1 at 0 hours.
    `phase_weights`: initializer, holder and closer, summing to 1.
    `channel_weights`: per phase, channel name to weight; a channel without one counts as 1.
    `provenance`: how the set was made, from what, when, and of which `shop`.
    """

    name: str
    initializer: Curve
    closer: Curve
    phase_weights: Mapping[str, float]
    channel_weights: Mapping[str, Mapping[str, float]]
    provenance: Mapping[str, Any] = field(compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """How a set is sent to another process, as its read-only mappings cannot be: the same to the last bit."""
        return parse_parameters, (json.loads(parameters_json(self)),)

    @property
    def fingerprint(self) -> str:
        """Twelve characters that change with every number of the set, though not with its name or provenance."""
        numbers = [self.initializer, self.closer, sorted(self.phase_weights.items())]
        numbers += [sorted(self.channel_weights[phase].items()) for phase in PHASES]
        return hashlib.sha256(repr(numbers).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Name and fingerprint, as every output states them."""
        return f"{self.name} ({self.fingerprint})"

    def seen_until(self, phase: str) -> float:
        """The hours up to which a curve rests on data, by its provenance [h]; infinite where that says nothing."""
        seen = self.provenance.get("seen_until_hours")
        hours = seen.get(phase) if isinstance(seen, Mapping) else None
        return float(hours) if isinstance(hours, int | float) and hours > 0 else math.inf

    @property
    def shop(self) -> str:
        """The shop that the set was made from, by its provenance; empty where that does not say."""
        shop = self.provenance.get("shop")
        return shop.strip() if isinstance(shop, str) else ""

    @property
    def channels(self) -> frozenset[str]:
        """The channels that have a weight in any phase."""
        return frozenset[str]().union(*self.channel_weights.values())


def load_parameters(path: str | Path | None = None) -> Parameters:
    """Read a parameters file (JSON); None means the set that ships with the package.

    Raises ParametersError: a sentence that names the file, the entry and what it must be.
    """
    path = Path(path or DEFAULT)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ParametersError(f"Parameters file {path} cannot be read: {why(error)}.") from None
    try:
        return parse_parameters(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ParametersError(f"Parameters file {path} is not JSON: {why(error)}.") from None
    except ParametersError as error:
        raise ParametersError(f"Parameters file {path}: {error}") from None


def parse_parameters(entries: Any) -> Parameters:
    """Check the entries of a parameters file and make the object of them; raises ParametersError."""
    entries = _object("the file", entries)
    known = {"name", "initializer", "closer", "phase_weights", "channel_weights", "provenance"}
    if missing := sorted(known - entries.keys()):
        raise ParametersError(f"lacks {', '.join(missing)}.")
    if extra := sorted(entries.keys() - known):
        raise ParametersError(f"has entries that mean nothing here: {', '.join(map(str, extra))}.")
    if not isinstance(entries["name"], str) or not entries["name"].strip():
        raise ParametersError("name must be a text that is not empty.")
    return Parameters(
        name=entries["name"],
        initializer=_curve("initializer", entries["initializer"], rising=True),
        closer=_curve("closer", entries["closer"], rising=False),
        phase_weights=_phase_weights(entries["phase_weights"]),
        channel_weights=_channel_weights(entries["channel_weights"]),
        provenance=MappingProxyType(_object("provenance", entries["provenance"])),
    )


def parameters_json(parameters: Parameters) -> str:
    """Write a set as the text of a parameters file, that `load_parameters` reads back as it was."""
    curves = {
        name: {"hours": list(curve.hours), "membership": list(curve.membership)}
        for name, curve in (("initializer", parameters.initializer), ("closer", parameters.closer))
    }
    entries = {
        "name": parameters.name,
        **curves,
        "phase_weights": parameters.phase_weights,
        "channel_weights": parameters.channel_weights,
        "provenance": parameters.provenance,
    }
    return _readable(entries) + "\n"


def _readable(value: Any, margin: str = "\n") -> str:
    """JSON with a line an entry, and a list of numbers on one line."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, allow_nan=False)
    inner = f"{margin}  "
    lines = (
        f"{inner}{json.dumps(name, ensure_ascii=False)}: {_readable(entry, inner)}" for name, entry in value.items()
    )
    return "{" + ",".join(lines) + margin + "}"


def _curve(name: str, entry: Any, *, rising: bool) -> Curve:
    entry = _object(name, entry)
    if entry.keys() != {"hours", "membership"}:
        raise ParametersError(f"{name} must have hours and membership, and nothing else.")
    hours, membership = (_numbers(f"{name}.{key}", entry[key]) for key in ("hours", "membership"))
    if len(hours) != len(membership) or len(hours) < 2:
        raise ParametersError(f"{name} needs as many membership values as hours, and at least two.")
    if hours[0] != 0 or any(b <= a for a, b in pairwise(hours)):
        raise ParametersError(f"{name}.hours must start at 0 and rise from knot to knot.")
    steps = [b - a if rising else a - b for a, b in pairwise(membership)]
    if min(steps) < 0 or min(membership) < 0 or max(membership) > 1:
        raise ParametersError(f"{name}.membership must stay in [0, 1] and never {'fall' if rising else 'rise'}.")
    if not rising and membership[0] != 1:
        raise ParametersError(f"{name}.membership must be 1 at 0 hours.")
    if rising and membership[0] == 1:
        raise ParametersError(f"{name}.membership must be below 1 at 0 hours: at 1 every session restarts its journey.")
    return Curve(hours, membership)


def _phase_weights(entry: Any) -> Mapping[str, float]:
    weights = _weights("phase_weights", entry)
    if weights.keys() != set(PHASES) or abs(sum(weights.values()) - 1) > 1e-6:
        raise ParametersError(f"phase_weights must name {', '.join(PHASES)} and sum to 1.")
    return weights


def _channel_weights(entry: Any) -> Mapping[str, Mapping[str, float]]:
    entry = _object("channel_weights", entry)
    if entry.keys() != set(PHASES):
        raise ParametersError(f"channel_weights must have an entry for each of {', '.join(PHASES)}.")
    return MappingProxyType({phase: _weights(f"channel_weights.{phase}", entry[phase]) for phase in PHASES})


def _weights(name: str, entry: Any) -> Mapping[str, float]:
    entry = _object(name, entry)
    values = _numbers(name, list(entry.values()))
    if values and min(values) <= 0:
        raise ParametersError(f"{name} must be above 0.")
    return MappingProxyType(dict(zip(map(str, entry), values, strict=True)))


def _object(name: str, entry: Any) -> dict[Any, Any]:
    if not isinstance(entry, dict):
        raise ParametersError(f"{name} must be a JSON object, not {type(entry).__name__}.")
    return entry


def _numbers(name: str, entry: Any) -> tuple[float, ...]:
    if not isinstance(entry, list) or any(isinstance(x, bool) or not isinstance(x, int | float) for x in entry):
        raise ParametersError(f"{name} must hold numbers only.")
    if not all(abs(x) < 1e300 and math.isfinite(x) for x in entry):
        raise ParametersError(f"{name} must hold finite numbers only.")
    return tuple(float(x) for x in entry)
