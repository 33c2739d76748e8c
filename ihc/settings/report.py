"""How the report is made, apart from the credit: its dimension, its currency, break-even, draws and variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihc.analysis.dimension import load_channel_groups
from ihc.errors import SettingsError
from ihc.formatting import counted
from ihc.journeys.build import LONGEST_LOOKBACK
from ihc.models.heuristics import DIRECT
from ihc.settings.environment import count, flag, number

# Options of a run and parameters of the notebooks; and what only the environment or `.env` sets.
OPTIONS = ("by", "channel_groups", "direct", "currency", "break_even_roas", "export_credits")
VARIABLES = (
    "IHC_BOOTSTRAP_DRAWS",
    "IHC_BOOTSTRAP_SEED",
    "IHC_SENSITIVITY_LOOKBACKS",
    "IHC_SENSITIVITY_MODELS",
)
ANY_AGE = "any"
LONGEST_CURRENCY = 12  # characters


@dataclass(frozen=True)
class ReportOptions:
    """How the report is made.

    `by`: the column of `session_sources` that takes the channel's place; `channel_groups`: a file that groups channels,
    and `groups`, what is in it; `direct`: the names of channels that are direct traffic; `currency`: printed beside
    amounts; `break_even_roas` [1]: the ROAS from which on a channel pays for itself; `draws` [count] and `seed` of the
    bootstrap; `lookbacks` [days; None: any age] and `models` of the sensitivity; `export_credits`: whether
    `order_credits.csv` is written.
    """

    by: str | None = None
    channel_groups: Path | None = None
    groups: Mapping[str, str] | None = None
    direct: tuple[str, ...] = DIRECT
    currency: str = ""
    break_even_roas: float = 1.0
    draws: int = 1000
    seed: int = 1
    lookbacks: tuple[float | None, ...] = (None, 30.0, 7.0)
    models: tuple[str, ...] = ("IHC", "Last touch", "Linear", "Position-based")
    export_credits: bool = False

    @property
    def dimension(self) -> dict[str, Any]:
        """What the report's rows stand for, as arguments for `with_dimension`."""
        return {"by": self.by, "groups": self.groups}

    @property
    def money(self) -> str:
        """What an axis of amounts is measured in."""
        return self.currency or "currency"


def report_options(given: Mapping[str, Any], values: Mapping[str, str], base: Path) -> ReportOptions:
    """Settle the options of the report.

    In: the settings that were `given`, all variables, and the folder where relative paths start.
    Raises SettingsError: which setting, and what it must be.
    """
    by, groups = given.get("by"), given.get("channel_groups")
    if by and groups:
        raise SettingsError("Groups are of channels, so --channel-groups and --by do not go together: leave out one.")
    default = ReportOptions()
    file = (base / str(groups)).resolve() if groups else None
    roas = number(given, "break_even_roas", most=1_000, says="break_even_roas (IHC_BREAK_EVEN_ROAS)")
    return ReportOptions(
        by=str(by) if by else None,
        channel_groups=file,
        groups=load_channel_groups(file) if file else None,
        direct=_listed(str(given.get("direct", ""))) or default.direct,
        currency=_currency(str(given.get("currency", ""))),
        break_even_roas=roas or default.break_even_roas,
        draws=count(values, "IHC_BOOTSTRAP_DRAWS", default.draws, least=10, most=100_000),
        seed=count(values, "IHC_BOOTSTRAP_SEED", default.seed, least=0, most=2**32 - 1),
        lookbacks=_lookbacks(values.get("IHC_SENSITIVITY_LOOKBACKS", "")) or default.lookbacks,
        models=_listed(values.get("IHC_SENSITIVITY_MODELS", "")) or default.models,
        export_credits=flag(given, "export_credits", says="export_credits (IHC_EXPORT_CREDITS)"),
    )


def _currency(text: str) -> str:
    if len(text) > LONGEST_CURRENCY or not text.isprintable():
        raise SettingsError(
            f"currency (IHC_CURRENCY) is {text[:40]!r}: give a code or a sign, such as EUR, of at most "
            f"{counted(LONGEST_CURRENCY, 'character')}."
        )
    return text.strip()


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _lookbacks(text: str) -> tuple[float | None, ...]:
    name = "IHC_SENSITIVITY_LOOKBACKS"
    says = f"{name} (days, or {ANY_AGE}, separated by commas)"
    return tuple(
        None if part == ANY_AGE else number({name: part}, name, most=LONGEST_LOOKBACK, says=says)
        for part in _listed(text)
    )
