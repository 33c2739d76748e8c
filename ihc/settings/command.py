"""Build the command line that reproduces a run, without secrets and local paths."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ihc.settings.options import Options
from ihc.settings.parameter_files import parameter_texts
from ihc.settings.run import Settings

# Environment variables that change the report.
REPORT = ("IHC_BOOTSTRAP_DRAWS", "IHC_BOOTSTRAP_SEED", "IHC_SENSITIVITY_LOOKBACKS", "IHC_SENSITIVITY_MODELS")
FILES = ("redistribution", "channel_groups", "experiments", "style")
# Options that affect how a run is executed, but not its result.
NOT_NAMED = ("output", "refresh", "max_requests")


def command_line(settings: Settings, *, report_only: bool = False) -> str:
    """The command that reproduces the report of a run from the same tables and stored answers.

    Database and files are named without folders; settings at their default are omitted. `report_only`: the run used no
    engine, so the command uses none either. The API key is never included.
    """
    parameters = ",".join(parameter_texts(settings.parameter_files, with_folders=False))
    values = settings.values() | {"database": settings.database.name, "parameters": parameters}
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
