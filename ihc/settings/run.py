"""What a run is asked for: option, then environment, then `.env`, then default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from ihc import __version__
from ihc.api.account import API_URL, Account, is_loopback, make_account
from ihc.api.limits import LONG_JOURNEYS, REQUEST_SECONDS, Asking
from ihc.database.database import Database
from ihc.database.results import is_marked_sample
from ihc.database.tables import Run
from ihc.errors import SettingsError
from ihc.journeys.build import LONGEST_LOOKBACK
from ihc.models.heuristics import DIRECT
from ihc.models.parameters import Parameters, load_parameters
from ihc.models.redistribution import Redistribution, labelled, load_redistribution
from ihc.schemas.tables import check_window
from ihc.secrets import password_of, secrets_of
from ihc.settings.environment import count, flag, number, read_variables, with_environment
from ihc.settings.report import OPTIONS as REPORT
from ihc.settings.report import VARIABLES, ReportOptions, report_options
from ihc.shipped import CHECKOUT

ENGINES = ("auto", "api", "local")
DEFAULTS = {"database": "data/ihc.db", "output": "data", "engine": "auto"}
# What a run hands to its kernels beside the settings: its id, and the lock that it holds for them.
RUN_ID, RUN_LOCK = "IHC_RUN_ID", "IHC_RUN_LOCK"
# Setting -> environment variable; each is also an option of `ihc run` and a parameter of the notebooks.
NAMES = {
    "database": "IHC_DATABASE",
    "schema": "IHC_SCHEMA",
    "output": "IHC_OUTPUT",
    "start_date": "IHC_START_DATE",
    "end_date": "IHC_END_DATE",
    "lookback_days": "IHC_LOOKBACK_DAYS",
    "engine": "IHC_ENGINE",
    "parameters": "IHC_PARAMETERS",
    "conv_type_id": "IHC_CONV_TYPE_ID",
    "redistribution": "IHC_REDISTRIBUTION",
    "refresh": "IHC_REFRESH",
    "max_requests": "IHC_MAX_REQUESTS",
    "by": "IHC_BY",
    "channel_groups": "IHC_CHANNEL_GROUPS",
    "direct": "IHC_DIRECT",
    "currency": "IHC_CURRENCY",
    "break_even_roas": "IHC_BREAK_EVEN_ROAS",
    "export_credits": "IHC_EXPORT_CREDITS",
}
PATHS = ("database", "output", "parameters", "redistribution", "channel_groups")
ONLY_VARIABLES = (
    "IHC_API_KEY",
    "IHC_API_URL",
    "IHC_MAX_SESSIONS",
    "IHC_MAX_JOURNEYS",
    "IHC_WORKERS",
    "IHC_REQUESTS_PER_SECOND",
    "IHC_REQUEST_SECONDS",
    "IHC_LONG_JOURNEYS",
    *VARIABLES,
    "IHC_SERVER_KEYS",
    "IHC_SERVER_PARAMETERS",
    "IHC_SERVER_REQUESTS_PER_MINUTE",
)
KNOWN = frozenset({*NAMES.values(), *ONLY_VARIABLES})


@dataclass(frozen=True)
class Settings:
    """The settings of one run, checked; paths are absolute. `account` is None where the local engine computes.

    `held_lock`: the name of the lock that the run that started this kernel holds for it, if one did.
    """

    database: Database
    is_default_database: bool
    output: Path
    parameters: Path | None
    start_date: str | None
    end_date: str | None
    lookback_days: float | None
    account: Account | None
    asking: Asking
    redistribution: Path | None
    redistribution_rules: Redistribution | None
    report: ReportOptions
    run_id: str
    held_lock: str | None = field(compare=False)
    variables: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def engine(self) -> str:
        """Who computes the credit: `api` or `local`."""
        return "api" if self.account else "local"

    @property
    def conv_type_id(self) -> str | None:
        """The API's conversion type."""
        return self.account.conv_type_id if self.account else None

    @property
    def refresh(self) -> bool:
        """Whether to ask again what the API has answered already."""
        return self.asking.refresh

    @property
    def max_requests(self) -> int | None:
        """How many requests the run may send."""
        return self.asking.max_requests

    @property
    def window(self) -> dict[str, str | None]:
        """The dates, as arguments for the library's functions."""
        return {"start_date": self.start_date, "end_date": self.end_date}

    @property
    def schema(self) -> str | None:
        """The schema of a PostgreSQL database; None: the first of its search path."""
        return self.database.schema

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
        return load_parameters(self.parameters)

    def values(self) -> dict[str, Any]:
        """Each of `NAMES` as it is settled; paths and lists as texts, None where nothing is set."""
        values = {name: getattr(self.report if name in REPORT else self, name) for name in NAMES}
        values["direct"] = None if self.report.direct == DIRECT else ",".join(self.report.direct)
        values["database"] = self.database.address
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}

    def environment(self) -> dict[str, str]:
        """The settings as environment variables: how a run hands them to its kernels, secrets included."""
        settled = {NAMES[name]: "" if value is None else str(value) for name, value in self.values().items()}
        return {**self.variables, **settled}


def project_root() -> Path:
    """The folder that relative paths mean in a notebook: the checkout, or else where the kernel was started."""
    is_checkout = (CHECKOUT / "pyproject.toml").exists() and (CHECKOUT / "notebooks").is_dir()
    return CHECKOUT if is_checkout else Path.cwd()


def load_settings(*, base: Path | None = None, **options: Any) -> Settings:
    """Settle every setting: the option given here, then the environment, then `.env`, then the default.

    `options`: any of `NAMES`; None and "" mean not given. Relative paths start at `base`, where `.env` is looked for
    too; by default the project's root.

    Raises SettingsError or InputError: which setting, where it was set, what it must be.
    """
    if base is None and password_of(str(options.get("database") or "")):
        raise SettingsError(
            "A database URL with a password must not be a parameter, as a notebook keeps its parameters: "
            "set IHC_DATABASE in the environment or in .env."
        )
    base = base or project_root()
    if unknown := options.keys() - NAMES.keys():
        raise SettingsError(f"No such setting: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    values = read_variables(base / ".env", KNOWN)
    given = _given(options, values)
    start_date, end_date = check_window(given.get("start_date"), given.get("end_date"))
    database = Database(given["database"], given.get("schema"), base=base)
    is_default_database = given["database"] == DEFAULTS["database"]
    file = (base / given["redistribution"]).resolve() if "redistribution" in given else None
    rules = load_redistribution(file) if file else None
    is_named = bool(options.get("database") or values.get("IHC_DATABASE"))
    return Settings(
        database=database,
        is_default_database=is_default_database,
        output=(base / given["output"]).resolve(),
        parameters=(base / given["parameters"]).resolve() if "parameters" in given else None,
        start_date=start_date,
        end_date=end_date,
        lookback_days=number(given, "lookback_days", most=LONGEST_LOOKBACK, says="lookback_days (IHC_LOOKBACK_DAYS)"),
        # Whether the shop is made up is asked of the database, and only where it matters.
        account=_account(given, values, rules, lambda: is_named and not _is_made_up(database, is_default_database)),
        asking=_asking(given, values),
        redistribution=file,
        redistribution_rules=rules,
        report=report_options(given, values, base),
        run_id=values.get(RUN_ID) or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
        held_lock=values.get(RUN_LOCK),
        variables={name: values[name] for name in ONLY_VARIABLES if name in values},
        secrets=secrets_of(values, given["database"]),
    )


def _given(options: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: values[variable] for name, variable in NAMES.items() if values.get(variable)}
    given |= {name: value for name, value in options.items() if value is not None and value != ""}
    return DEFAULTS | given | {name: str(given[name]) for name in PATHS if name in given}


def _is_made_up(database: Database, is_default_database: bool) -> bool:
    return is_marked_sample(database) or (is_default_database and not database.exists())


def _account(
    given: Mapping[str, Any], values: Mapping[str, str], rules: Redistribution | None, is_own: Callable[[], bool]
) -> Account | None:
    """Whom to ask, where the API is wanted; None for the local engine."""
    engine = given["engine"]
    if engine not in ENGINES:
        raise SettingsError(f"engine (IHC_ENGINE) is {engine!r}; it must be one of {', '.join(ENGINES)}.")
    key, conv_type_id = values.get("IHC_API_KEY", ""), str(given.get("conv_type_id", ""))
    if engine == "local" or (engine == "auto" and not (key and conv_type_id)):
        return None
    is_shop = is_own()
    if engine == "auto" and not is_shop:
        return None
    url = values.get("IHC_API_URL") or API_URL
    account = make_account(url, key, conv_type_id, rules)
    if not is_shop and not is_loopback(url):
        raise SettingsError(
            "The sample shop is made up and not worth calls to the API: name your own database by --database, or use "
            "--engine local."
        )
    return account


def _asking(given: Mapping[str, Any], values: Mapping[str, str]) -> Asking:
    long_journeys = values.get("IHC_LONG_JOURNEYS") or Asking.long_journeys
    if long_journeys not in LONG_JOURNEYS:
        raise SettingsError(f"IHC_LONG_JOURNEYS is {long_journeys!r}; it must be one of {', '.join(LONG_JOURNEYS)}.")
    ceiling = count(given, "max_requests", 0, least=0, says="max_requests (IHC_MAX_REQUESTS)")
    return Asking(
        max_journeys=count(values, "IHC_MAX_JOURNEYS", Asking.max_journeys),
        max_sessions=count(values, "IHC_MAX_SESSIONS", Asking.max_sessions),
        long_journeys=long_journeys,
        workers=count(values, "IHC_WORKERS", Asking.workers, most=64),
        requests_per_second=number(values, "IHC_REQUESTS_PER_SECOND", most=1000),
        request_seconds=number(values, "IHC_REQUEST_SECONDS", most=3600) or REQUEST_SECONDS,
        max_requests=ceiling if "max_requests" in given else None,
        refresh=flag(given, "refresh", says="refresh (IHC_REFRESH)"),
    )


def configured_conv_type(base: Path) -> str | None:
    """The conversion type that the environment or `.env` sets, for commands that ask no API."""
    return read_variables(base / ".env", KNOWN).get("IHC_CONV_TYPE_ID") or None


def kernel_environment(settings: Settings) -> dict[str, str]:
    """The whole environment of a run's kernels."""
    return with_environment({**settings.environment(), RUN_ID: settings.run_id, RUN_LOCK: settings.database.lock_name})
