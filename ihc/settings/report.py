"""Report options: dimension, currency, break-even ROAS, bootstrap, sensitivity and style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ihc.analysis.dimension import load_channel_groups
from ihc.errors import SettingsError
from ihc.experiments.results import load_experiments
from ihc.models.heuristics import DIRECT
from ihc.settings.style import HouseStyle, load_style
from ihc.settings.variables import Variables


@dataclass(frozen=True)
class ReportOptions:
    """Report options.

    `by`: column of `session_sources` used instead of the channel; `channel_groups`: file with channel groups, and
    `groups`, its content; `experiments`: file with the results of experiments, and `results`, its content; `worlds`
    [count] of the stress test, None without one; `direct`: names of direct-traffic channels; `currency`: printed next
    to amounts; `break_even_roas` [1]; `draws` [count] and `seed` of the bootstrap; `lookbacks` [days; None: unlimited]
    and `models` of the sensitivity analysis; `style`: house style; `export_credits`: whether to write
    `order_credits.csv`.
    """

    by: str | None
    channel_groups: Path | None
    groups: Mapping[str, str] | None
    experiments: Path | None
    results: pd.DataFrame | None = field(compare=False)
    worlds: int | None
    direct: tuple[str, ...]
    currency: str
    break_even_roas: float
    draws: int
    seed: int
    lookbacks: tuple[float | None, ...]
    models: tuple[str, ...]
    style: HouseStyle
    export_credits: bool

    @property
    def dimension(self) -> dict[str, Any]:
        """The dimension of the report's rows, as arguments for `with_dimension`."""
        return {"by": self.by, "groups": self.groups}

    @property
    def money(self) -> str:
        """The unit of an axis of amounts."""
        return self.currency or "currency"


def report_options(given: Variables) -> ReportOptions:
    """Resolve the report options; raises SettingsError."""
    if given.by and given.channel_groups:
        raise SettingsError("--channel-groups and --by cannot be combined: leave out one.")
    return ReportOptions(
        by=given.by,
        channel_groups=given.channel_groups,
        groups=load_channel_groups(given.channel_groups) if given.channel_groups else None,
        experiments=given.experiments,
        results=load_experiments(given.experiments) if given.experiments else None,
        worlds=given.stress,
        direct=given.direct or DIRECT,
        currency=given.currency,
        break_even_roas=given.break_even_roas,
        draws=given.bootstrap_draws,
        seed=given.bootstrap_seed,
        lookbacks=given.sensitivity_lookbacks,
        models=given.sensitivity_models,
        style=load_style(given.style) if given.style else HouseStyle(),
        export_credits=given.export_credits,
    )
