"""Any database with an SQLAlchemy dialect, using SQLAlchemy Core only; tested on DuckDB.

The SQLite and PostgreSQL modules differ only where they must, or where it is measurably faster.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from ihc.database.transaction import OTHERS_TABLE, Transaction, in_a_file, insertion, no_file
from ihc.errors import SettingsError
from ihc.schemas.tables import EXACT

DUCKDB = "duckdb"
BATCH = 10_000  # rows
# How long to wait for a DuckDB file that another process writes, or that this process has open [seconds].
PATIENCE = {"could not set lock": 600.0, "different configuration|unique file handle conflict": 5.0}
PAUSE, SOON = 0.02, 1.0  # seconds
# Error pattern -> what to do; the first match is used.
HINTS = {
    r"(table|relation) .*(doesn.t|does not) exist|no such table": "`ihc init` creates missing tables",
    r"conversion error|could not convert|can.t be cast|no column named|invalid column|default value": OTHERS_TABLE,
    r"base table|is not a table": "a view uses the name of an ihc table: rename it and run again",
    r"could not set lock": "another program has the file open: close it and run again",
    r"different configuration|unique file handle": "this process already has the file open: close it and run again",
    r"conflict on": "another process wrote at the same time, and this step was rolled back: run again",
    r"not a valid duckdb": "give a DuckDB file, or one that does not exist yet",
    r"read.?only": "give a writable database",
}
LOGGER = logging.getLogger("ihc")


class Generic(Transaction):
    """An open transaction; the class implements what is specific to the database."""

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Return the URL in canonical form; raises SettingsError if it is not supported."""
        try:
            url.get_dialect().import_dbapi()
        except (sa.exc.NoSuchModuleError, ImportError) as error:
            package = "duckdb-sqlalchemy" if url.get_backend_name() == DUCKDB else "its dialect and driver"
            raise SettingsError(
                f"A {url.drivername}:// database needs its SQLAlchemy dialect and driver ({error}): "
                f"pip install {package}, or give an SQLite file or a postgresql:// URL."
            ) from None
        return in_a_file(url) if url.get_backend_name() == DUCKDB else url

    @staticmethod
    def file_of(url: sa.URL) -> Path | None:
        """The file of the database; None for a server."""
        return Path(str(url.database)).resolve() if url.get_backend_name() == DUCKDB else None

    @classmethod
    def missing(cls, url: sa.URL) -> str:
        """Why the database does not exist, as far as known without a connection; empty if it does."""
        file = cls.file_of(url)
        return no_file(file, "a DuckDB file") if file else ""

    @classmethod
    def make_empty(cls, url: sa.URL) -> None:
        """Create the database if it is missing and ihc can create it; raises OSError."""
        file = cls.file_of(url)
        if file and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            cls.engine(url, is_writing=True).connect().close()

    @staticmethod
    @cache  # SQLAlchemy sends a server several queries before the first use of an engine
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine with the database's default isolation level."""
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        sa.event.listen(engine, "handle_error", _wrapped_error)
        if url.get_backend_name() == DUCKDB:
            # Readers may share the file, and no extension is downloaded.
            offline = {"read_only": not is_writing, "config": {"autoinstall_known_extensions": "false"}}

            @sa.event.listens_for(engine, "do_connect")
            def _connect(dialect: sa.Dialect, _record: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
                return _patiently(lambda: dialect.connect(*given, **{**named, **offline}))

        return engine

    @staticmethod
    def reason_of(error: BaseException, _url: sa.URL) -> str:
        """The cause of an error, and what to do."""
        reason = _one_line(str(error)).rstrip("!") or type(error).__name__
        hint = next((hint for words, hint in HINTS.items() if re.search(words, reason, re.IGNORECASE)), "")
        return f"{reason}; {hint}" if hint else reason

    def _fetched(self, result: sa.CursorResult[Any]) -> tuple[list[str], Sequence[Any]]:
        columns = [map(_plain, values) for values in zip(*result.fetchall(), strict=True)]
        return list(result.keys()), list(zip(*columns, strict=True))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows into a table."""
        into, rest = insertion(table, columns), iter(rows)
        while batch := [dict(zip(columns, row, strict=True)) for row in islice(rest, BATCH)]:
            self.connection.execute(into, batch)

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as text, whatever the column type: 7.00 becomes 7, as in `as_text`."""
        kind = self._types(column.table.name).get(column.name)  # type: ignore[union-attr]  # always a column of a table
        text = sa.cast(column, sa.Text)
        if not isinstance(kind, sa.Numeric | sa.Float) or getattr(kind, "scale", None) == 0:
            return text
        whole = sa.cast(column, sa.BigInteger)
        return sa.case((column == whole, sa.cast(whole, sa.Text)), else_=text)

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether `as_text` rejects an id: a fraction, or a float that lost digits."""
        if not isinstance(self._types(column.table.name).get(column.name), sa.Float):  # type: ignore[union-attr]
            return sa.false()
        return sa.or_(column != sa.func.floor(column), sa.func.abs(column) >= EXACT)


def _wrapped_error(context: sa.engine.ExceptionContext) -> Exception | None:
    """Wrap an exception that the driver does not define itself, e.g. for a value that it cannot write."""
    error = context.original_exception
    is_fault = isinstance(error, Exception) and context.sqlalchemy_exception is None
    return sa.exc.DBAPIError(None, None, error) if is_fault else None


def _patiently(connect: Callable[[], Any]) -> Any:
    """Connect, and wait while another connection blocks the file."""
    begun, is_said = time.monotonic(), False
    while True:
        try:
            return connect()
        except Exception as error:
            waited = time.monotonic() - begun
            patience = next((PATIENCE[words] for words in PATIENCE if re.search(words, str(error), re.IGNORECASE)), 0)
            if waited >= patience:
                raise sa.exc.DBAPIError(None, None, error) from None
            if waited > SOON and not is_said:
                is_said = True
                LOGGER.warning("%s; waiting for it to be closed.", _one_line(str(error)))
        time.sleep(PAUSE)


def _one_line(error: str) -> str:
    """An error on one line, without DuckDB's advice on files in use, which does not apply to ihc."""
    return re.sub(r"(\(PID \d+\)).*", r"\1", " ".join(error.split()))


def _number(value: Decimal) -> int | float:
    """Keep whole numbers exact, as ids need it; other numbers become correctly rounded floats."""
    text = str(value)
    return int(text) if text.lstrip("-").isdigit() else float(value)


def _moment(value: datetime | clock) -> str:
    """A timestamp without trailing zeros in its fraction of a second."""
    return re.sub(r"\.(\d*?)0+(?=$|[+-])", lambda found: f".{found[1]}" if found[1] else "", str(value))


PLAIN: dict[type, Callable[[Any], Any]] = {
    **{Decimal: _number, bool: int, date: str, datetime: _moment, clock: _moment, UUID: str}
}


def _plain(value: Any) -> Any:
    """Convert a driver's value to the text or number that SQLite would hold."""
    return PLAIN[type(value)](value) if type(value) in PLAIN else value
