"""Which channel earned this revenue? Multi-touch attribution by the IHC model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Parameters": "parameters",
    "attribute": "engine",
    "build_journeys": "journeys",
    "calibrate": "calibration",
    "channel_reporting": "reporting",
    "channel_summary": "reporting",
    "explain": "explanation",
    "load_parameters": "parameters",
    "load_redistribution": "redistribution",
    "pack_requests": "batching",
    "read_tables": "database",
    "train": "training",
}
__all__ = [
    "Parameters",
    "attribute",
    "build_journeys",
    "calibrate",
    "channel_reporting",
    "channel_summary",
    "explain",
    "load_parameters",
    "load_redistribution",
    "pack_requests",
    "read_tables",
    "train",
]

if TYPE_CHECKING:
    from ihc.batching import pack_requests
    from ihc.calibration import calibrate
    from ihc.database import read_tables
    from ihc.engine import attribute
    from ihc.explanation import explain
    from ihc.journeys import build_journeys
    from ihc.parameters import Parameters, load_parameters
    from ihc.redistribution import load_redistribution
    from ihc.reporting import channel_reporting, channel_summary
    from ihc.training import train


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `ihc --version` needs no pandas."""
    if name not in _HOME:
        raise AttributeError(f"module 'ihc' has no attribute {name!r}")
    return getattr(import_module(f"ihc.{_HOME[name]}"), name)
