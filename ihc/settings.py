"""What a run is asked for: option, then environment, then `.env`, then default. The only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import sqlalchemy as sa
from dotenv import dotenv_values
from dotenv.parser import parse_stream

from ihc import __version__
from ihc.database import CHECKOUT, Run, database_file, database_url, label
from ihc.errors import SettingsError, some
from ihc.journeys import LONGEST_LOOKBACK
from ihc.parameters import Parameters, load_parameters
from ihc.schemas import check_window

ENGINES = ("local",)
DEFAULTS = {"database": "data/ihc.db", "output": "data", "engine": "local"}
# What a run hands to its kernels beside the settings: its id, and the lock that it holds for them.
RUN_ID, RUN_LOCK = "IHC_RUN_ID", "IHC_RUN_LOCK"


@dataclass(frozen=True)
class Settings:
    """The settings of one run, checked; paths are absolute."""

    database: str = field(repr=False)
    is_sample: bool
    output: Path
    engine: str
    parameters: Path | None
    start_date: str | None
    end_date: str | None
    lookback_days: float | None
    run_id: str
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def window(self) -> dict[str, str | None]:
        """The dates, as arguments for the library's functions."""
        return {"start_date": self.start_date, "end_date": self.end_date}

    @property
    def database_label(self) -> str:
        """The database as it may be printed."""
        return label(self.database)

    @property
    def database_name(self) -> str:
        """The database as a report names it, that goes to people whom the path does not concern."""
        return database_file(self.database).name

    def run(self, parameters: Parameters) -> Run:
        """The record of this run, to be stored beside its credits."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        asked = (self.lookback_days, self.start_date, self.end_date)
        return Run(self.run_id, now, self.engine, parameters.label, *asked, version=__version__)

    def load_parameters(self) -> Parameters:
        """The engine's parameters; raises ParametersError."""
        return load_parameters(self.parameters)

    def environment(self) -> dict[str, str]:
        """The settings as environment variables: how a run hands them to its kernels, secrets included."""
        values = {name: getattr(self, name) for name in NAMES}
        return {NAMES[name]: "" if value is None else str(value) for name, value in values.items()}


# Setting -> environment variable; each is also an option of `ihc run` and a parameter of the notebooks.
NAMES = {
    "database": "IHC_DATABASE",
    "output": "IHC_OUTPUT",
    "start_date": "IHC_START_DATE",
    "end_date": "IHC_END_DATE",
    "lookback_days": "IHC_LOOKBACK_DAYS",
    "engine": "IHC_ENGINE",
    "parameters": "IHC_PARAMETERS",
}


def project_root() -> Path:
    """The folder that relative paths mean in a notebook: the checkout, or else where the kernel was started."""
    is_checkout = (CHECKOUT / "pyproject.toml").exists() and (CHECKOUT / "notebooks").is_dir()
    return CHECKOUT if is_checkout else Path.cwd()


def load_settings(*, base: Path | None = None, **options: Any) -> Settings:
    """Settle every setting: the option given here, then the environment, then `.env`, then the default.

    `options`: any of `database, output, start_date, end_date, lookback_days, engine, parameters`; None and "" mean not
    given. Relative paths start at `base`, where `.env` is looked for too; by default the project's root.

    Raises SettingsError or InputError: which setting, where it was set, what it must be.
    """
    if base is None and _password(str(options.get("database") or "")):
        raise SettingsError(
            "A database URL with a password must not be a parameter, as a notebook keeps its parameters: "
            "set IHC_DATABASE in the environment or in .env."
        )
    base = base or project_root()
    if unknown := options.keys() - NAMES.keys():
        raise SettingsError(f"No such setting: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    values = _dotenv(base / ".env") | dict(os.environ)
    given = {name: values[variable] for name, variable in NAMES.items() if values.get(variable)}
    given |= {name: value for name, value in options.items() if value is not None and value != ""}
    given |= {name: str(given[name]) for name in ("database", "output", "parameters") if name in given}
    start_date, end_date = check_window(given.get("start_date"), given.get("end_date"))
    merged = DEFAULTS | given
    if merged["engine"] not in ENGINES:
        raise SettingsError(f"engine (IHC_ENGINE) is {merged['engine']!r}; this version has {', '.join(ENGINES)}.")
    return Settings(
        database=_absolute_database(merged["database"], base),
        is_sample=merged["database"] == DEFAULTS["database"],
        output=(base / merged["output"]).resolve(),
        engine=merged["engine"],
        parameters=(base / given["parameters"]).resolve() if "parameters" in given else None,
        start_date=start_date,
        end_date=end_date,
        lookback_days=_lookback(given.get("lookback_days")),
        run_id=values.get(RUN_ID) or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}",
        secrets=_secrets(values, merged["database"]),
    )


def _absolute_database(database: str, base: Path) -> str:
    if "://" not in database:
        return str((base / database).resolve())
    url = database_url(database)
    if str(url.database).startswith("file:"):
        if not str(url.database).startswith("file:/"):
            raise SettingsError(f"The database {label(database)} is a relative file: URL; write its path in full.")
        return database
    return url.set(database=str((base / str(url.database)).resolve())).render_as_string(hide_password=False)


def _lookback(value: Any) -> float | None:
    if value is None:
        return None
    try:
        days = float(value)
    except (TypeError, ValueError):
        days = 0.0
    if not 0 < days <= LONGEST_LOOKBACK:
        raise SettingsError(
            f"lookback_days (IHC_LOOKBACK_DAYS) is {value!r}: give a number of days above 0 and up to "
            f"{LONGEST_LOOKBACK:,}, or leave it out."
        )
    return days


def _dotenv(path: Path) -> dict[str, str]:
    """Read the variables of a `.env` file, if there is one; raise SettingsError where it cannot be understood."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file {path} cannot be read as text: {error}.") from None
    wrong = [str(each.original.line) for each in bindings if each.error or (each.key and each.value is None)]
    if wrong:
        raise SettingsError(
            f"The file {path} is no .env file: line {', '.join(wrong[:5])} is not NAME=value. "
            "Correct it; .env.example shows how it looks."
        )
    values = {name: value for name, value in dotenv_values(path).items() if value is not None}
    known = {*NAMES.values()}
    unknown = [name for name in values if name.startswith("IHC_") and "KEY" not in name and name not in known]
    if unknown:
        raise SettingsError(f"The file {path} sets {some(unknown)}; the settings are {', '.join(sorted(known))}.")
    return values


def held_lock(environment: Mapping[str, str] = os.environ) -> str | None:
    """The lock file that the run that started this kernel holds for it, if one did."""
    return environment.get(RUN_LOCK)


def kernel_environment(settings: Settings, lock: Path) -> dict[str, str]:
    """The whole environment of a run's kernels."""
    return {**os.environ, **settings.environment(), RUN_ID: settings.run_id, RUN_LOCK: str(lock)}


def lock_file(settings: Settings) -> Path:
    """The file whose lock lets one run at a time write to the database; it lies beside it."""
    file = database_file(settings.database)
    return file.with_name(f"{file.name}.lock")


def masked(text: str, secrets: Iterable[str]) -> str:
    """Put *** in the place of every one of `secrets` in a text."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _secrets(values: Mapping[str, str], database: str) -> tuple[str, ...]:
    keys = [value for name, value in values.items() if name.startswith("IHC_") and "KEY" in name]
    # Masking a word of three letters would only garble what is printed.
    return tuple(secret for secret in [*keys, _password(database)] if len(secret) > 3)


def _password(database: str) -> str:
    if "://" not in database:
        return ""
    try:
        url = sa.make_url(database)
    except (sa.exc.ArgumentError, ValueError):
        return ""
    return str(url.password or url.query.get("password") or "")
