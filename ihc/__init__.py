"""Which channel earned this revenue? Multi-touch attribution by the IHC model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Parameters": "parameters",
    "attribute": "engine",
    "build_journeys": "journeys",
    "channel_reporting": "reporting",
    "channel_summary": "reporting",
    "load_parameters": "parameters",
    "pack_requests": "batching",
    "read_tables": "database",
}
__all__ = [
    "Parameters",
    "attribute",
    "build_journeys",
    "channel_reporting",
    "channel_summary",
    "load_parameters",
    "pack_requests",
    "read_tables",
]

if TYPE_CHECKING:
    from ihc.batching import pack_requests
    from ihc.database import read_tables
    from ihc.engine import attribute
    from ihc.journeys import build_journeys
    from ihc.parameters import Parameters, load_parameters
    from ihc.reporting import channel_reporting, channel_summary


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `ihc --version` needs no pandas."""
    if name not in _HOME:
        raise AttributeError(f"module 'ihc' has no attribute {name!r}")
    return getattr(import_module(f"ihc.{_HOME[name]}"), name)
