"""The settings that a user chooses, said once: name, kind, default and what it does.

Each is an option of `ihc run`, a parameter of the notebooks, and a variable of the environment and of `.env`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from ihc.journeys.limits import LONGEST_LOOKBACK

MANY = 1_000_000  # of whatever is counted, no setting takes more


class Engine(StrEnum):
    """Who computes the credit; auto: the API where key, conversion type and a database of one's own are set."""

    AUTO = "auto"
    API = "api"
    LOCAL = "local"


@dataclass(frozen=True)
class Help:
    """What `--help` and the notebooks say of a setting; `least`: less than that is wrong usage of a command."""

    text: str
    metavar: str | None = None
    least: int | None = None


@dataclass(frozen=True)
class Within:
    """The limits of a number: a whole one from `least`, else one above 0, and up to `most`."""

    most: int
    least: int | None = None

    @property
    def says(self) -> str:
        """What to give."""
        lowest = "a number above 0 and up" if self.least is None else f"a whole number from {self.least}"
        return f"give {lowest} to {self.most:,}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Check it after pydantic has parsed it, which is not loaded for `--help`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, number: float | None) -> float | None:
        if number is not None and (number > self.most or (number <= 0 if self.least is None else number < self.least)):
            raise ValueError(self.says)
        return number


class Options:
    """What a run may be asked for; relative paths start where `.env` is looked for."""

    database: Annotated[
        str, Help("SQLite file or URL of another database. [default: data/ihc.db, a sample if missing]", "PATH|URL")
    ] = "data/ihc.db"
    schema: Annotated[str | None, Help("Schema of PostgreSQL. [default: as its search path]", "NAME")] = None
    start_date: Annotated[str | None, Help("First day of the orders.", "YYYY-MM-DD")] = None
    end_date: Annotated[str | None, Help("Last day of the orders.", "YYYY-MM-DD")] = None
    lookback_days: Annotated[
        float | None,
        Help("Leave out older sessions. [default: any age counts]", "N", least=1),
        Within(LONGEST_LOOKBACK),
    ] = None
    engine: Annotated[
        Engine,
        Help("Who computes the credit. [default: auto, the API if key, conversion type and database are set]"),
    ] = Engine.AUTO
    conv_type_id: Annotated[str | None, Help("Conversion type of the API; its key is in IHC_API_KEY.", "ID")] = None
    parameters: Annotated[
        Path | None, Help("Parameters of the local engine. [default: the set that ships]", "FILE")
    ] = None
    redistribution: Annotated[Path | None, Help("Redistribution parameter of the engine (JSON).", "FILE")] = None
    refresh: Annotated[bool, Help("Ask the API again for what it has answered already.")] = False
    max_requests: Annotated[
        int | None, Help("Send at most N requests to the API in this run.", "N", least=0), Within(MANY, least=0)
    ] = None
    by: Annotated[str | None, Help("Report by this column of session_sources instead of the channel.", "COLUMN")] = None
    channel_groups: Annotated[
        Path | None, Help("Report by groups of channels: a CSV of channel_name, channel_group.", "FILE")
    ] = None
    direct: Annotated[
        tuple[str, ...],
        Help("Channels that are direct traffic, separated by commas. [default: usual names]", "NAME"),
    ] = ()
    currency: Annotated[str, Help("What amounts are in, e.g. EUR.", "CODE")] = ""
    break_even_roas: Annotated[
        float, Help("ROAS from which on a channel pays for itself. [default: 1]", "ROAS"), Within(1_000)
    ] = 1.0
    style: Annotated[Path | None, Help("House style of the report: a TOML file.", "FILE")] = None
    export_credits: Annotated[bool, Help("Write order_credits.csv, a row an order and session.")] = False
    output: Annotated[Path, Help("Folder for report, CSV, charts, notebooks. [default: data]", "DIR")] = Path("data")


NAMES = tuple(Options.__annotations__)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"IHC_{name.upper()}"
