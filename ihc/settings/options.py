"""User settings: name, type, default and help text.

Each is an option of `ihc run`, a parameter of the notebooks, and a variable in the environment and in `.env`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from ihc.journeys.limits import LONGEST_LOOKBACK

MANY = 1_000_000  # upper limit of count settings
MOST_WORLDS = 10_000


class Engine(StrEnum):
    """Attribution engine; auto: the API if key, conversion type and the user's own database are set."""

    AUTO = "auto"
    API = "api"
    LOCAL = "local"


@dataclass(frozen=True)
class Help:
    """Help text of a setting for `--help` and the notebooks; `least`: smaller values are a usage error."""

    text: str
    metavar: str | None = None
    least: int | None = None


@dataclass(frozen=True)
class Within:
    """Limits of a number: up to `most`, from `least` for whole numbers, otherwise above 0."""

    most: int
    least: int | None = None

    @property
    def says(self) -> str:
        """The valid range, for messages."""
        lowest = "a number above 0 and up" if self.least is None else f"a whole number from {self.least}"
        return f"give {lowest} to {self.most:,}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Validate after pydantic's parsing. Pydantic is imported here to keep `--help` fast."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, number: float | None) -> float | None:
        if number is not None and (number > self.most or (number <= 0 if self.least is None else number < self.least)):
            raise ValueError(self.says)
        return number


class Options:
    """The settings of a run. Relative paths start at the folder of `.env`."""

    database: Annotated[
        str, Help("SQLite file or database URL. [default: data/ihc.db, a sample shop if missing]", "PATH|URL")
    ] = "data/ihc.db"
    schema: Annotated[str | None, Help("PostgreSQL schema. [default: from the search path]", "NAME")] = None
    start_date: Annotated[str | None, Help("First order date, inclusive.", "YYYY-MM-DD")] = None
    end_date: Annotated[str | None, Help("Last order date, inclusive.", "YYYY-MM-DD")] = None
    lookback_days: Annotated[
        float | None,
        Help("Lookback window in days. [default: unlimited]", "N", least=1),
        Within(LONGEST_LOOKBACK),
    ] = None
    restart_after_order: Annotated[bool, Help("Start a new journey after each order of a user.")] = False
    conversion_type: Annotated[
        str | None, Help("Report and attribute only conversions of this type. [default: all]", "NAME")
    ] = None
    engine: Annotated[
        Engine,
        Help("Attribution engine. [default: auto; the API if key, conversion type and database are set]"),
    ] = Engine.AUTO
    conv_type_id: Annotated[str | None, Help("API conversion type. Set the API key in IHC_API_KEY.", "ID")] = None
    parameters: Annotated[
        tuple[str, ...],
        Help(
            "Model parameters of the local engine (JSON), for all types or by type. [default: built-in set]",
            "FILE|TYPE=FILE",
        ),
    ] = ()
    redistribution: Annotated[Path | None, Help("Redistribution parameter (JSON).", "FILE")] = None
    refresh: Annotated[bool, Help("Request all orders from the API again, despite stored answers.")] = False
    max_requests: Annotated[
        int | None, Help("Maximum number of API requests in this run.", "N", least=0), Within(MANY, least=0)
    ] = None
    by: Annotated[str | None, Help("Report by this column of session_sources instead of by channel.", "COLUMN")] = None
    channel_groups: Annotated[
        Path | None, Help("Report by channel group: CSV file with channel_name, channel_group.", "FILE")
    ] = None
    experiments: Annotated[
        Path | None, Help("Results of experiments (CSV), to calibrate ROAS. See the guide to experiments.", "FILE")
    ] = None
    stress: Annotated[
        int | None,
        Help("Test the verdicts in N worlds with damaged tracking, e.g. 400. [default: no test]", "N", least=1),
        Within(MOST_WORLDS, least=1),
    ] = None
    direct: Annotated[
        tuple[str, ...],
        Help("Direct traffic channels, separated by commas. [default: common names]", "NAME"),
    ] = ()
    currency: Annotated[str, Help("Currency code, e.g. EUR.", "CODE")] = ""
    break_even_roas: Annotated[float, Help("Break-even ROAS. [default: 1]", "ROAS"), Within(1_000)] = 1.0
    style: Annotated[Path | None, Help("House style of the report (TOML).", "FILE")] = None
    export_credits: Annotated[bool, Help("Write order_credits.csv, one row per order and session.")] = False
    output: Annotated[Path, Help("Folder for report, CSV files, charts and notebooks. [default: data]", "DIR")] = Path(
        "data"
    )


NAMES = tuple(Options.__annotations__)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"IHC_{name.upper()}"
