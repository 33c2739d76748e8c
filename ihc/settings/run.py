"""What a run is asked for: option, then environment, then `.env`, then default."""

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
from ihc.models.parameters import Parameters, load_parameters
from ihc.models.redistribution import Redistribution, labelled, load_redistribution
from ihc.schemas.tables import check_window
from ihc.secrets import password_of
from ihc.settings.options import NAMES, Engine, Options, variable_of
from ihc.settings.report import ReportOptions, report_options
from ihc.settings.variables import Variables, as_text, read_variables
from ihc.shipped import CHECKOUT


@dataclass(frozen=True)
class Settings:
    """The settings of one run, checked; paths are absolute. `account` is None where the local engine computes.

    `given`: what was set, which may be more than is needed; `held_lock`: the name of the lock that the run that started
    this kernel holds for it, if one did.
    """

    database: Database
    is_default_database: bool
    output: Path
    start_date: str | None
    end_date: str | None
    lookback_days: float | None
    account: ApiAccount | None
    api_limits: ApiLimits
    redistribution_rules: Redistribution | None
    report: ReportOptions
    run_id: str
    held_lock: str | None = field(compare=False)
    given: Variables = field(repr=False, compare=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def engine(self) -> str:
        """Who computes the credit: `api` or `local`."""
        return "api" if self.account else "local"

    @property
    def window(self) -> dict[str, str | None]:
        """The dates, as arguments for the library's functions."""
        return {"start_date": self.start_date, "end_date": self.end_date}

    @property
    def source(self) -> str:
        """What the credits depend on beside the tables: conversion type or parameters, and the redistribution."""
        return self.account.label if self.account else labelled(self.load_parameters().label, self.redistribution_rules)

    def run(self) -> Run:
        """The record of this run, to be stored beside its credits."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        asked = (self.lookback_days, self.start_date, self.end_date)
        return Run(self.run_id, now, self.engine, self.source, *asked, version=__version__)

    def load_parameters(self) -> Parameters:
        """The local engine's parameters; raises ParametersError."""
        return load_parameters(self.given.parameters)

    def values(self) -> dict[str, Any]:
        """Each of the options as it is settled; paths and lists as texts, None where nothing is set."""
        values = {name: getattr(self.given, name) for name in NAMES}
        values |= {"database": self.database.address, "schema": self.database.schema, "engine": self.engine}
        values["conv_type_id"] = self.account.conv_type_id if self.account else None
        return {name: as_text(value) if isinstance(value, Path | tuple) else value for name, value in values.items()}


def project_root() -> Path:
    """The folder that relative paths mean in a notebook: the checkout, or else where the kernel was started."""
    is_checkout = (CHECKOUT / "pyproject.toml").exists() and (CHECKOUT / "notebooks").is_dir()
    return CHECKOUT if is_checkout else Path.cwd()


def load_settings(*, base: Path | None = None, **options: Any) -> Settings:
    """Settle every setting: the option given here, then the environment, then `.env`, then the default.

    `options`: any of `NAMES`; None and "" mean not given. Relative paths start at `base`, where `.env` is looked for
    too; by default the project's root.

    Raises SettingsError or InputError: which setting, its value, what it must be.
    """
    if base is None and password_of(str(options.get("database") or "")):
        raise SettingsError(
            "A database URL with a password must not be a parameter, as a notebook keeps its parameters: "
            "set IHC_DATABASE in the environment or in .env."
        )
    base = base or project_root()
    if unknown := options.keys() - set(NAMES):
        raise SettingsError(f"No such setting: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    given = read_variables(base, options)
    check_window(given.start_date, given.end_date)
    database = Database(given.database, given.schema, base=base)
    is_default_database = given.database == Options.database
    rules = load_redistribution(given.redistribution) if given.redistribution else None
    return Settings(
        database=database,
        is_default_database=is_default_database,
        output=given.output,
        start_date=given.start_date,
        end_date=given.end_date,
        lookback_days=given.lookback_days,
        account=_account(given, rules, lambda: _is_made_up(database, is_default_database)),
        api_limits=ApiLimits(**{each.name: getattr(given, each.name) for each in fields(ApiLimits)}),
        redistribution_rules=rules,
        report=report_options(given),
        run_id=given.run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
        held_lock=given.run_lock,
        given=given,
        secrets=given.secrets(),
    )


def _is_made_up(database: Database, is_default_database: bool) -> bool:
    return is_marked_sample(database) or (is_default_database and not database.exists())


def _account(given: Variables, rules: Redistribution | None, is_made_up: Callable[[], bool]) -> ApiAccount | None:
    """Whom to ask, where the API is wanted; None for the local engine.

    Whether the shop is made up is asked of the database, and only where it matters.
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
            "The sample shop is made up and not worth calls to the API: name your own database by --database, or use "
            "--engine local."
        )
    return account


def kernel_environment(settings: Settings) -> dict[str, str]:
    """The whole environment of a run's kernels: the settings as variables, secrets included."""
    settled = settings.values() | {"run_id": settings.run_id, "run_lock": settings.database.lock_name}
    variables = {variable_of(name): "" if value is None else as_text(value) for name, value in settled.items()}
    return {**os.environ, **settings.given.beside_options(), **variables}
