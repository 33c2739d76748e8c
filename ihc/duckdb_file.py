"""What a file of DuckDB needs beyond what SQLAlchemy does everywhere: one process alone has it open while it writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_fixed

from ihc.errors import SettingsError
from ihc.sqlite import BUSY_SECONDS

NAME = "duckdb"
# Another process has it open, or this one for reading where it shall be written, or the other way round.
IN_USE = r"(?s).*(could not set lock|different configuration)"
PAUSE = 0.02  # seconds
ELSEWHERE = re.compile(r"\w{2,}:")  # md:shop is a database of MotherDuck, s3://... a file that can be read alone


def file_of(url: sa.URL) -> Path | None:
    """The file, of an URL of DuckDB that names one."""
    is_file = url.get_backend_name() == NAME and url.database and not ELSEWHERE.match(url.database)
    return Path(str(url.database)).resolve() if is_file else None


def checked(url: sa.URL) -> sa.URL:
    """Give the URL back; raises SettingsError where nothing that is written would last."""
    if url.get_backend_name() == NAME and url.database in (None, "", ":memory:"):
        raise SettingsError("The database is in memory, where nothing outlives a notebook: name a file.")
    return url


def missing(url: sa.URL) -> str:
    """What is wrong where there is no file; else an empty text."""
    file = file_of(url)
    if file is None or file.is_file():
        return ""
    what = "is a folder" if file.is_dir() else "does not exist"
    return f"{what}. Name a file of DuckDB, or make one with `ihc init` or `ihc sample`."


def make_empty(url: sa.URL) -> None:
    """Make the file where there is none; raises OSError."""
    file = file_of(url)
    if file and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(sa.exc.DBAPIError):  # what is wrong is said when it is opened
            sa.create_engine(url, poolclass=sa.NullPool).connect().close()


def arguments(url: sa.URL, *, is_writing: bool) -> dict[str, Any]:
    """What to say to the driver: those that only read may have the file open at the same time."""
    return {"read_only": not is_writing} if file_of(url) else {}


def connect(dialect: sa.Dialect, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """A connection, as soon as no other process has the file open, or in BUSY_SECONDS."""
    for attempt in Retrying(
        retry=retry_if_exception_message(match=re.compile(IN_USE, re.IGNORECASE)),
        wait=wait_fixed(PAUSE),
        stop=stop_after_delay(BUSY_SECONDS),
        reraise=True,
    ):
        with attempt:
            return dialect.connect(*given, **named)
    raise AssertionError  # tenacity has raised what the last attempt did
