"""How a run is made again: one command line, and nothing in it that is secret or concerns nobody else."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ihc.settings.options import Options
from ihc.settings.run import Settings

# Of the variables, those that change the report.
REPORT = ("IHC_BOOTSTRAP_DRAWS", "IHC_BOOTSTRAP_SEED", "IHC_SENSITIVITY_LOOKBACKS", "IHC_SENSITIVITY_MODELS")
FILES = ("parameters", "redistribution", "channel_groups", "style")
# What says how a run is carried out, and not what comes of it.
NOT_NAMED = ("output", "refresh", "max_requests")


def command_line(settings: Settings, *, report_only: bool = False) -> str:
    """The command that makes the run's report again, on the same tables with the same stored answers.

    Database and files by their names without folders, settings that have their default left out; `report_only`: no
    engine was asked, so none is to be asked again. The API's key is never in it.
    """
    values = settings.values() | {"database": settings.database.name}
    variables = settings.given.beside_options()
    words = [f"{name}={variables[name]}" for name in REPORT if name in variables]
    words += ["ihc", "run"]
    for name, value in values.items():
        if name not in NOT_NAMED and value not in (None, "", getattr(Options, name)):
            words += _option(name, value)
    words += ["--report-only"] * report_only
    return " ".join(map(shlex.quote, words))


def _option(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    return [option, Path(value).name if name in FILES else f"{value:g}" if isinstance(value, float) else str(value)]
