"""The files that ship with the package: notebooks, schema, default parameters."""

from __future__ import annotations

from pathlib import Path

RESOURCES = Path(__file__).parent / "resources"
CHECKOUT = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    """Find a file that ships with the package: in the project's folder of a checkout, or inside the wheel."""
    packed = RESOURCES / Path(name).name
    return packed if packed.exists() else CHECKOUT / name
