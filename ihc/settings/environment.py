"""The environment and `.env`: the only place that reads them, and what of them must never be printed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import Original, parse_stream

from ihc.errors import SettingsError, why
from ihc.formatting import some


def read_variables(dotenv: Path, known: Collection[str]) -> dict[str, str]:
    """Read the variables of a `.env` file, if there is one, and of the environment, which goes before it.

    Raises SettingsError where the file cannot be understood, or sets an `IHC_` variable that is not `known`.
    """
    return _of_file(dotenv, known) | dict(os.environ)


def with_environment(values: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process to be started: this one's, and `values`."""
    return {**os.environ, **values}


def variable(name: str) -> str | None:
    """One variable of the environment."""
    return os.environ.get(name)


def _of_file(path: Path, known: Collection[str]) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file {path} cannot be read as text: {why(error)}.") from None
    wrong = [_line(each.original) for each in bindings if each.error or (each.key and each.value is None)]
    if wrong:
        raise SettingsError(
            f"The file {path} is no .env file: line {', '.join(wrong[:5])} is not NAME=value. "
            "Correct it; .env.example shows how it looks."
        )
    values = {name: value for name, value in dotenv_values(path).items() if value is not None}
    if unknown := [name for name in values if name.startswith("IHC_") and name not in known]:
        raise SettingsError(f"The file {path} sets {some(unknown)}; the settings are {', '.join(sorted(known))}.")
    return values


def _line(original: Original) -> str:
    """The number of the line with the fault; the text before it may begin with empty lines."""
    text = original.string
    return str(original.line + text[: len(text) - len(text.lstrip())].count("\n"))


def number(values: Mapping[str, Any], name: str, *, most: float, says: str = "") -> float | None:
    """A number above 0, or None where none is given; raises SettingsError that calls it `says` or `name`."""
    value = values.get(name)
    if value is None or value == "":
        return None
    try:
        parsed = float(value)
    except (TypeError, ValueError):
        parsed = 0.0
    if not 0 < parsed <= most:
        raise SettingsError(f"{says or name} is {value!r}: give a number above 0 and up to {most:,}, or leave it out.")
    return parsed


def count(
    values: Mapping[str, Any], name: str, default: int, *, least: int = 1, most: int = 1_000_000, says: str = ""
) -> int:
    """A whole number, or the default where none is given; raises SettingsError that calls it `says` or `name`."""
    value = values.get(name)
    if value is None or value == "":
        return default
    try:
        parsed = int(str(value))
    except ValueError:
        parsed = least - 1
    if not least <= parsed <= most:
        raise SettingsError(
            f"{says or name} is {value!r}: give a whole number from {least} to {most:,}, or leave it out."
        )
    return parsed


def flag(values: Mapping[str, Any], name: str, *, says: str = "") -> bool:
    """True or false, false where none is given; raises SettingsError that calls it `says` or `name`."""
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    value = values.get(name, "")
    if str(value).lower() not in words:
        raise SettingsError(f"{says or name} is {value!r}: write true or false, or leave it out.")
    return words[str(value).lower()]
