"""How the report is made, apart from the credit: its dimension, its currency, break-even, draws and variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihc.analysis.dimension import load_channel_groups
from ihc.errors import SettingsError
from ihc.models.heuristics import DIRECT
from ihc.settings.style import HouseStyle, load_style
from ihc.settings.variables import Variables


@dataclass(frozen=True)
class ReportOptions:
    """How the report is made.

    `by`: the column of `session_sources` that takes the channel's place; `channel_groups`: a file that groups channels,
    and `groups`, what is in it; `direct`: the names of channels that are direct traffic; `currency`: printed beside
    amounts; `break_even_roas` [1]: the ROAS from which on a channel pays for itself; `draws` [count] and `seed` of the
    bootstrap; `lookbacks` [days; None: any age] and `models` of the sensitivity; `style`: how the page looks;
    `export_credits`: whether `order_credits.csv` is written.
    """

    by: str | None
    channel_groups: Path | None
    groups: Mapping[str, str] | None
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
        """What the report's rows stand for, as arguments for `with_dimension`."""
        return {"by": self.by, "groups": self.groups}

    @property
    def money(self) -> str:
        """What an axis of amounts is measured in."""
        return self.currency or "currency"


def report_options(given: Variables) -> ReportOptions:
    """Settle the options of the report; raises SettingsError."""
    if given.by and given.channel_groups:
        raise SettingsError("Groups are of channels, so --channel-groups and --by do not go together: leave out one.")
    return ReportOptions(
        by=given.by,
        channel_groups=given.channel_groups,
        groups=load_channel_groups(given.channel_groups) if given.channel_groups else None,
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
