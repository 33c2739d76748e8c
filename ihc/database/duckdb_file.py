"""What a file of DuckDB needs beyond what SQLAlchemy does everywhere: one process alone has it open while it writes."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ihc.database import sqlite
from ihc.errors import SettingsError

NAME, PACKAGE = "duckdb", "duckdb-sqlalchemy"
ELSEWHERE = re.compile(r"(md|motherduck):|\w{2,}://")  # a database of MotherDuck; a file that can be read alone
# For how long a connection is waited for, in seconds, by words of the error. What is open in this very process, in
# another way or just being closed, is soon closed or never.
PATIENCE = {"could not set lock": 600.0, "different configuration|unique file handle conflict": 5.0}
PAUSE, SOON = 0.02, 1.0  # seconds
LOGGER = logging.getLogger("ihc")


def file_of(url: sa.URL) -> Path | None:
    """The file, of a URL of DuckDB that names one."""
    is_file = url.get_backend_name() == NAME and url.database and not ELSEWHERE.match(url.database)
    return Path(str(url.database)).resolve() if is_file else None


def checked(url: sa.URL) -> sa.URL:
    """Give the URL back; raises SettingsError where it is one of DuckDB and cannot serve."""
    if url.get_backend_name() != NAME:
        return url
    if url.host or url.port or url.username or url.password:
        raise SettingsError("A URL of DuckDB names a file alone, as duckdb:///data/shop.duckdb, and no host or user.")
    if ELSEWHERE.match(url.database or "") and re.search("[?@]", str(url.database)):
        raise SettingsError(
            "The name of the DuckDB database holds a ? or @: write options, such as a token, behind a plain ?."
        )
    return sqlite.checked(url)


def missing(url: sa.URL) -> str:
    """What is wrong where there is no file; else an empty text."""
    file = file_of(url)
    return sqlite.no_file(file, "a file of DuckDB") if file else ""


def arguments(url: sa.URL, *, is_writing: bool) -> dict[str, Any]:
    """What to say to the driver: those that only read may have the file open at the same time.

    A name that DuckDB takes for another kind of file is no reason to fetch from the network what could read it.
    """
    offline = {"autoinstall_known_extensions": "false"}
    return {"read_only": not is_writing, "config": offline} if file_of(url) else {}


def connect(dialect: sa.Dialect, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """A connection, as soon as nothing else has the file open in a way that does not go together with it."""
    begun, is_said = time.monotonic(), False
    while True:
        try:
            return dialect.connect(*given, **named)
        except Exception as error:
            waited = time.monotonic() - begun
            patience = next((PATIENCE[words] for words in PATIENCE if re.search(words, str(error), re.IGNORECASE)), 0)
            if waited >= patience:
                raise
            if waited > SOON and not is_said:
                is_said = True
                LOGGER.warning("%s; waiting for it to be closed.", in_short(str(error)))
        time.sleep(PAUSE)


def in_short(error: str) -> str:
    """An error in one line; without DuckDB's advice on a file in use, which is not for users of ihc."""
    return re.sub(r"(\(PID \d+\)).*", r"\1", " ".join(error.split()))
