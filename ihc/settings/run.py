"""Settings of a run, resolved from options, environment, `.env` and defaults."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from ihc import __version__
from ihc.api.account import ApiAccount, is_loopback, make_account
from ihc.api.limits import ApiLimits
from ihc.database.database import Database
from ihc.database.results import is_marked_sample
from ihc.database.tables import Run
from ihc.errors import SettingsError
from ihc.models.conversion_types import ParameterSets, load_parameter_sets
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution, labelled, load_redistribution
from ihc.schemas.tables import check_window
from ihc.secrets import password_of
from ihc.settings.options import NAMES, Engine, Options, variable_of
from ihc.settings.parameter_files import parameter_files
from ihc.settings.report import ReportOptions, report_options
from ihc.settings.variables import Variables, as_text, read_variables
from ihc.shipped import CHECKOUT

RESTARTED = ", journeys restart after an order"


@dataclass(frozen=True)
class Settings:
    """The validated settings of one run; paths are absolute. `account` is None for the local engine.

    `given`: all settings as given, also those not needed; `held_lock`: the name of the lock held by the run that
    started this kernel, if any; `frames`: the folder of the frames that this run shares.
    """

    database: Database
    is_default_database: bool
    output: Path
    start_date: str | None
    end_date: str | None
    lookback_days: float | None
    restart_after_order: bool
    conversion_type: str | None
    account: ApiAccount | None
    api_limits: ApiLimits
    redistribution_rules: Redistribution | None
    report: ReportOptions
    run_id: str
    held_lock: str | None = field(compare=False)
    frames: Path | None = field(compare=False)
    given: Variables = field(repr=False, compare=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def engine(self) -> str:
        """The attribution engine: `api` or `local`."""
        return "api" if self.account else "local"

    @property
    def window(self) -> dict[str, Any]:
        """The dates, as arguments for the library's functions."""
        return {"start_date": self.start_date, "end_date": self.end_date}

    @property
    def journey_rules(self) -> dict[str, Any]:
        """How journeys are built, as arguments for the library's functions."""
        return {"lookback_days": self.lookback_days, "restart_after_order": self.restart_after_order}

    @property
    def source(self) -> str:
        """What credits depend on besides the tables and the lookback window, as stored with them.

        The conversion type or the model parameters, the redistribution, and whether journeys restart after an order.
        """
        return self.account.label + self.restart_label if self.account else self.local_source

    @property
    def local_source(self) -> str:
        """The `source` of the local engine with these settings."""
        return self.labelled(self.load_parameter_sets())

    def labelled(self, parameters: Parameters | ParameterSets) -> str:
        """The label of parameters, with the redistribution and whether journeys restart after an order."""
        return labelled(parameters.label, self.redistribution_rules) + self.restart_label

    @property
    def restart_label(self) -> str:
        """The end of `source` if journeys restart after an order, with the type of these orders; otherwise empty."""
        of_type = "" if self.conversion_type is None else f" of type {self.conversion_type}"
        return f"{RESTARTED}{of_type}" if self.restart_after_order else ""

    def run(self) -> Run:
        """The record of this run, to store with its credits."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        scope = (self.lookback_days, self.start_date, self.end_date)
        return Run(self.run_id, now, self.engine, self.source, *scope, version=__version__)

    @property
    def parameter_files(self) -> dict[str | None, Path]:
        """The parameters file of each conversion type that has its own; None: of all others."""
        return parameter_files(self.given.parameters, Path())

    @property
    def parameter_types(self) -> list[str]:
        """The conversion types with a parameters file of their own."""
        return [name for name in self.parameter_files if name is not None]

    def load_parameter_sets(self) -> ParameterSets:
        """The model parameters of the local engine, by conversion type; raises ParametersError."""
        return load_parameter_sets(self.parameter_files)

    def values(self) -> dict[str, Any]:
        """The resolved options; paths and lists as text, None if not set."""
        values = {name: getattr(self.given, name) for name in NAMES}
        values |= {"database": self.database.address, "schema": self.database.schema, "engine": self.engine}
        values["conv_type_id"] = self.account.conv_type_id if self.account else None
        return {name: as_text(value) if isinstance(value, Path | tuple) else value for name, value in values.items()}


def project_root() -> Path:
    """The folder at which relative paths in a notebook start: the checkout, or the kernel's working directory."""
    is_checkout = (CHECKOUT / "pyproject.toml").exists() and (CHECKOUT / "notebooks").is_dir()
    return CHECKOUT if is_checkout else Path.cwd()


def load_settings(*, base: Path | None = None, **options: Any) -> Settings:
    """Resolve every setting: the option given here, then the environment, then `.env`, then the default.

    `options`: any of `NAMES`; None and "" mean not given. `base`: folder of `.env`, at which relative paths start; by
    default the project root.

    Raises SettingsError or InputError that names the setting, its value and what is valid.
    """
    if base is None and password_of(str(options.get("database") or "")):
        raise SettingsError(
            "A database URL with a password must not be a notebook parameter, because notebooks store parameters: "
            "set IHC_DATABASE in the environment or in .env."
        )
    base = base or project_root()
    if unknown := options.keys() - set(NAMES):
        raise SettingsError(f"Unknown setting: {', '.join(sorted(unknown))}. Settings are {', '.join(NAMES)}.")
    given = read_variables(base, options)
    check_window(given.start_date, given.end_date)
    database = Database(given.database, given.schema, base=base)
    is_default_database = given.database == Options.database
    rules = load_redistribution(given.redistribution) if given.redistribution else None

    def is_made_up() -> bool:
        return is_marked_sample(database) or (is_default_database and not database.exists())

    return Settings(
        database=database,
        is_default_database=is_default_database,
        output=given.output,
        start_date=given.start_date,
        end_date=given.end_date,
        lookback_days=given.lookback_days,
        restart_after_order=given.restart_after_order,
        conversion_type=given.conversion_type,
        account=_account(given, rules, is_made_up),
        api_limits=ApiLimits(**{each.name: getattr(given, each.name) for each in fields(ApiLimits)}),
        redistribution_rules=rules,
        report=report_options(given),
        run_id=given.run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
        held_lock=given.run_lock,
        frames=given.run_frames,
        given=given,
        secrets=given.secrets(),
    )


def _account(given: Variables, rules: Redistribution | None, is_made_up: Callable[[], bool]) -> ApiAccount | None:
    """The API account; None for the local engine.

    `is_made_up`, whether the database is the sample shop, needs a database query and is called only if it matters.
    """
    key, conv_type_id = given.api_key.get_secret_value(), given.conv_type_id or ""
    is_auto = given.engine is Engine.AUTO
    if given.engine is Engine.LOCAL or (is_auto and not (key and conv_type_id)):
        return None
    is_own = "database" in given.model_fields_set and not is_made_up()
    if is_auto and not is_own:
        return None
    account = make_account(given.api_url, key, conv_type_id, rules)
    if not is_own and not is_loopback(given.api_url):
        raise SettingsError(
            "The sample shop is synthetic and should not use paid API calls: set your own database with --database, "
            "or use --engine local."
        )
    return account


def kernel_environment(settings: Settings) -> dict[str, str]:
    """The environment of a run's kernels: all settings as variables, including secrets."""
    of_run = {"run_id": settings.run_id, "run_lock": settings.database.lock_name, "run_frames": settings.frames}
    resolved = settings.values() | of_run
    variables = {variable_of(name): "" if value is None else as_text(value) for name, value in resolved.items()}
    return {**os.environ, **settings.given.beside_options(), **variables}
