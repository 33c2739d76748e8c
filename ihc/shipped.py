"""Locate the files that ship with the package: notebooks, schema, default parameters."""

from __future__ import annotations

from pathlib import Path

RESOURCES = Path(__file__).parent / "resources"
CHECKOUT = Path(__file__).parents[1]
PRESETS = RESOURCES / "presets"


def shipped(name: str) -> Path:
    """Return the path of a shipped file: inside the wheel, or in the project folder of a checkout."""
    packed = RESOURCES / Path(name).name
    return packed if packed.exists() else CHECKOUT / name


def preset_names() -> list[str]:
    """Return the names of the presets of `ihc import`."""
    return sorted(file.stem for file in PRESETS.glob("*.toml"))
