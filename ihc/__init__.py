"""Multi-touch marketing attribution with the IHC model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_HOME = {
    "Parameters": "models.parameters",
    "attribute": "models.ihc",
    "build_journeys": "journeys.build",
    "calibrate": "calibration.calibrate",
    "channel_reporting": "analysis.reporting",
    "channel_summary": "analysis.reporting",
    "explain": "models.explanation",
    "from_notebook": "pipeline.shop",
    "load_parameters": "models.parameters",
    "load_redistribution": "models.redistribution",
    "open": "pipeline.shop",
    "pack_requests": "api.batching",
    "read_tables": "database.inputs",
    "train": "calibration.training",
}
__all__ = [
    "Parameters",
    "attribute",
    "build_journeys",
    "calibrate",
    "channel_reporting",
    "channel_summary",
    "explain",
    "from_notebook",
    "load_parameters",
    "load_redistribution",
    "open",
    "pack_requests",
    "read_tables",
    "train",
]

if TYPE_CHECKING:
    from ihc.analysis.reporting import channel_reporting, channel_summary
    from ihc.api.batching import pack_requests
    from ihc.calibration.calibrate import calibrate
    from ihc.calibration.training import train
    from ihc.database.inputs import read_tables
    from ihc.journeys.build import build_journeys
    from ihc.models.explanation import explain
    from ihc.models.ihc import attribute
    from ihc.models.parameters import Parameters, load_parameters
    from ihc.models.redistribution import load_redistribution
    from ihc.pipeline.shop import from_notebook, open


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `ihc --version` does not load pandas."""
    if name not in _HOME:
        raise AttributeError(f"module 'ihc' has no attribute {name!r}")
    return getattr(import_module(f"ihc.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, for tab completion."""
    return [*__all__, "__version__"]
