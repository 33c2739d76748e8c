"""Read settings from options, environment and `.env`; the only module that does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from dotenv.parser import Original, parse_stream
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from ihc.api.account import API_URL
from ihc.api.limits import ApiLimits
from ihc.errors import SettingsError, why
from ihc.formatting import counted, some
from ihc.journeys.limits import LONGEST_LOOKBACK
from ihc.secrets import SHORTEST, passwords_of
from ihc.settings.options import MANY, NAMES, Options, Within, variable_of
from ihc.settings.parameter_files import parameter_files, parameter_texts

ANY_AGE = "any"
LONGEST_CURRENCY = 12  # characters
Count = Annotated[int, Within(MANY, least=1)]
Days = Annotated[float, Within(LONGEST_LOOKBACK)]
Lookback = Annotated[Days | None, BeforeValidator(lambda days: None if days == ANY_AGE else days)]


class Variables(Options, BaseSettings):  # type: ignore[misc] # `schema` is a setting and also a deprecated pydantic method
    """All settings as given. Empty text, or only commas, means not given."""

    model_config = SettingsConfigDict(
        alias_generator=variable_of,
        case_sensitive=True,
        frozen=True,
        extra="ignore",
        env_file_encoding="utf-8",
        enable_decoding=False,
        validate_default=False,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
    )

    api_key: SecretStr = SecretStr("")
    api_url: str = API_URL
    max_sessions: Count = ApiLimits.max_sessions
    max_journeys: Count = ApiLimits.max_journeys
    long_journeys: Literal["latest", "skip", "raise"] = "latest"
    workers: Annotated[int, Within(64, least=1)] = ApiLimits.workers
    requests_per_second: Annotated[float | None, Within(1_000)] = None
    request_seconds: Annotated[float, Within(3_600)] = ApiLimits.request_seconds
    bootstrap_draws: Annotated[int, Within(100_000, least=10)] = 1000
    bootstrap_seed: Annotated[int, Within(2**32 - 1, least=0)] = 1
    sensitivity_lookbacks: tuple[Lookback, ...] = Field(
        (None, 30.0, 7.0), description=f"days above 0 and up to {LONGEST_LOOKBACK:,}, or {ANY_AGE}, separated by commas"
    )
    sensitivity_models: tuple[str, ...] = ("IHC", "Last touch", "Linear", "Position-based")
    server_keys: tuple[SecretStr, ...] = ()
    server_parameters: tuple[Path, ...] = ()
    server_requests_per_minute: Count = 600
    # Passed from a run to its kernels: the run id, the name of the lock it holds, and the folder of shared frames.
    run_id: str = ""
    run_lock: str | None = None
    run_frames: Path | None = None
    # The password variable of PostgreSQL clients; must never be printed.
    pgpassword: SecretStr = Field(SecretStr(""), alias="PGPASSWORD")

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: str(value) if isinstance(value, PurePath) else value
            for name, value in values.items()
            if is_given(value)
        }

    @field_validator(
        *("direct", "sensitivity_lookbacks", "sensitivity_models", "server_keys", "server_parameters"), mode="before"
    )
    @classmethod
    def _listed(cls, given: str | Sequence[str]) -> tuple[str, ...]:
        parts = (given if isinstance(given, str) else ",".join(given)).split(",")
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    @field_validator("parameters", mode="before")
    @classmethod
    def _texts(cls, given: str | Sequence[str]) -> tuple[str, ...]:
        return (given,) if isinstance(given, str) else tuple(map(str, given))

    @field_validator("currency")
    @classmethod
    def _currency(cls, text: str) -> str:
        if len(text) > LONGEST_CURRENCY or not text.isprintable():
            longest = counted(LONGEST_CURRENCY, "character")
            raise ValueError(f"give a code or a sign, such as EUR, of at most {longest}")
        return text.strip()

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """The repr omits the database, whose URL may contain a password."""
        return [(name, value) for name, value in super().__repr_args__() if name != "database"]

    def beside_options(self) -> dict[str, str]:
        """Settings that are not options, as variables, including secrets."""
        names = [name for name in KNOWN.values() if name in self.model_fields_set and name not in NAMES]
        return {variable_of(name): as_text(getattr(self, name)) for name in names}

    def secrets(self) -> tuple[str, ...]:
        """Every key and password, in each form in which it could appear."""
        hidden = [each.get_secret_value() for each in (self.api_key, self.pgpassword, *self.server_keys)]
        secrets = [*(secret for secret in hidden if len(secret) >= SHORTEST), *passwords_of(self.database)]
        return tuple(dict.fromkeys(secrets))


NOT_TO_BE_SET = ("run_id", "run_lock", "run_frames", "pgpassword")
# Variables allowed in `.env` -> name of the setting.
KNOWN = {variable_of(name): name for name in Variables.model_fields if name not in NOT_TO_BE_SET}


def read_variables(base: Path, options: Mapping[str, Any] | None = None) -> Variables:
    """Read each setting from the options, else the environment, else `.env` in the folder `base`, else the default.

    Relative paths start at `base` and become absolute.
    Raises SettingsError that names the invalid setting, its value, where it is set and what is valid.
    """
    file = base / ".env"
    _check_file(file)
    given = {variable_of(name): value for name, value in (options or {}).items() if is_given(value)}
    try:
        found = Variables(_env_file=file, **given)  # type: ignore[call-arg]
    except ValidationError as error:
        places = dict.fromkeys(os.environ, " in the environment") | dict.fromkeys(given, "")
        wrong = [_sentence(each, places.get(str(each["loc"][0]), f" in {file}")) for each in error.errors()]
        raise SettingsError(" ".join(wrong)) from None
    paths: dict[str, Any] = {name: (base / path).resolve() for name, path in found if isinstance(path, Path)}
    if found.parameters:
        paths["parameters"] = parameter_texts(parameter_files(found.parameters, base))
    return found.model_copy(update=paths)


def is_given(value: object) -> bool:
    """Whether an option or variable has a value."""
    if isinstance(value, list | tuple):
        return any(map(is_given, value))
    return value is not None and str(value).strip(" ,") != ""


def as_text(value: object) -> str:
    """A setting as the text of its variable."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(ANY_AGE if part is None else as_text(part) for part in value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _check_file(path: Path) -> None:
    """Reject an invalid `.env` file, or one that sets an unknown `IHC_` variable."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file {path} cannot be read as text: {why(error)}.") from None
    wrong = [_line(each.original) for each in bindings if each.error or (each.key and each.value is None)]
    if wrong:
        raise SettingsError(
            f"The file {path} is not a valid .env file: line {', '.join(wrong[:5])} is not NAME=value. "
            "See .env.example for the format."
        )
    names = dict.fromkeys(each.key for each in bindings if each.key)
    if unknown := [name for name in names if name.startswith("IHC_") and name not in KNOWN]:
        raise SettingsError(f"The file {path} sets unknown {some(unknown)}; settings are {', '.join(sorted(KNOWN))}.")


def _line(original: Original) -> str:
    """The number of an invalid line; the parsed text may start with empty lines."""
    text = original.string
    return str(original.line + text[: len(text) - len(text.lstrip())].count("\n"))


def _sentence(error: ErrorDetails, where: str) -> str:
    """A validation error of pydantic as a message of ihc."""
    variable = str(error["loc"][0])
    name = KNOWN[variable]
    called = f"{name} ({variable})" if name in NAMES else variable
    return f"{called} is {error['input']!r}{where}: {_must_be(error, name)}, or leave it out."


def _must_be(error: ErrorDetails, name: str) -> str:
    field = Variables.model_fields[name]
    if field.description:
        return f"give {field.description}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] in ("enum", "literal_error"):
        return f"give {error['ctx']['expected']}"
    if field.annotation is bool:
        return "write true or false"
    return next((each.says for each in field.metadata if isinstance(each, Within)), error["msg"])
