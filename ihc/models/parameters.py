"""Model parameters: two membership curves, phase weights and channel weights."""

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
    """A membership in [0, 1] over hours: linear between its knots, constant outside them."""

    hours: tuple[float, ...]
    membership: tuple[float, ...]

    def __call__(self, hours: Floats) -> Floats:
        """Return the membership at each of `hours`."""
        return np.interp(hours, self.hours, self.membership)


@dataclass(frozen=True)
class Parameters:
    """A set of parameters of the IHC model.

    Attributes
    ----------
    name : str
        The name of the set.
    initializer : Curve
        Membership [1] over hours since the previous session, rising; at 1 the journey restarts.
    closer : Curve
        Membership [1] over hours to the converting session, falling from 1 at 0 hours.
    phase_weights : Mapping[str, float]
        The weights of initializer, holder and closer [share], summing to 1.
    channel_weights : Mapping[str, Mapping[str, float]]
        Per phase, the weight [1] of each channel; a channel without one counts as 1.
    provenance : Mapping[str, Any]
        How the set was created, from what, when, and for which `shop`. Not compared.

    See Also
    --------
    load_parameters : Read a set from a file.
    calibrate : Create a set from answers of the API.
    train : Create a set from journeys alone.

    """

    name: str
    initializer: Curve
    closer: Curve
    phase_weights: Mapping[str, float]
    channel_weights: Mapping[str, Mapping[str, float]]
    provenance: Mapping[str, Any] = field(compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle via JSON, because read-only mappings cannot be pickled; the copy is identical to the last bit."""
        return parse_parameters, (json.loads(parameters_json(self)),)

    @property
    def fingerprint(self) -> str:
        """A hash of twelve characters over all numbers of the set; name and provenance do not count."""
        numbers = [self.initializer, self.closer, sorted(self.phase_weights.items())]
        numbers += [sorted(self.channel_weights[phase].items()) for phase in PHASES]
        return hashlib.sha256(repr(numbers).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Name and fingerprint, as shown in every output."""
        return f"{self.name} ({self.fingerprint})"

    def seen_until(self, phase: str) -> float:
        """Return the range of the data behind a curve [h], from the provenance; infinite if unknown."""
        seen = self.provenance.get("seen_until_hours")
        hours = seen.get(phase) if isinstance(seen, Mapping) else None
        return float(hours) if isinstance(hours, int | float) and hours > 0 else math.inf

    @property
    def shop(self) -> str:
        """The shop for which the set was created, from the provenance; empty if unknown."""
        shop = self.provenance.get("shop")
        return shop.strip() if isinstance(shop, str) else ""

    @property
    def channels(self) -> frozenset[str]:
        """The channels with a weight in any phase."""
        return frozenset[str]().union(*self.channel_weights.values())


def load_parameters(path: str | Path | None = None) -> Parameters:
    """Read model parameters from a JSON file.

    Parameters
    ----------
    path : str or Path, optional
        The file. Default: the set that ships with the package.

    Returns
    -------
    ihc.Parameters
        The checked parameters.

    Raises
    ------
    ParametersError
        If the file cannot be read or an entry is invalid; the message names the file, the entry and what it must be.

    Examples
    --------
    >>> import ihc
    >>> parameters = ihc.load_parameters()
    >>> sorted(parameters.phase_weights)
    ['closer', 'holder', 'initializer']
    >>> round(sum(parameters.phase_weights.values()), 6)
    1.0

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
    """Create parameters from the entries of a parameters file. Raises ParametersError for invalid entries."""
    entries = _object("the file", entries)
    known = {"name", "initializer", "closer", "phase_weights", "channel_weights", "provenance"}
    if missing := sorted(known - entries.keys()):
        raise ParametersError(f"lacks {', '.join(missing)}.")
    if extra := sorted(entries.keys() - known):
        raise ParametersError(f"has unknown entries: {', '.join(map(str, extra))}.")
    if not isinstance(entries["name"], str) or not entries["name"].strip():
        raise ParametersError("name must be a non-empty text.")
    return Parameters(
        name=entries["name"],
        initializer=_curve("initializer", entries["initializer"], rising=True),
        closer=_curve("closer", entries["closer"], rising=False),
        phase_weights=_phase_weights(entries["phase_weights"]),
        channel_weights=_channel_weights(entries["channel_weights"]),
        provenance=MappingProxyType(_object("provenance", entries["provenance"])),
    )


def parameters_json(parameters: Parameters) -> str:
    """Convert a set to the text of a parameters file, which `load_parameters` reads back unchanged."""
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
    """Convert to JSON with one line per entry, and lists of numbers on one line."""
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
        raise ParametersError(f"{name} needs as many membership values as hours, and at least two of each.")
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
