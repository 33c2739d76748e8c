"""Any database that SQLAlchemy has a dialect for, by SQLAlchemy Core alone; tested on DuckDB.

SQLite and PostgreSQL, in modules of their own, do otherwise only what they must, or what is measured to be faster.
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
# For how long a file of DuckDB that another process writes is waited for, and one that this process has open [seconds].
PATIENCE = {"could not set lock": 600.0, "different configuration|unique file handle conflict": 5.0}
PAUSE, SOON = 0.02, 1.0  # seconds
# Words of an error, and what to do; the first that is found counts.
HINTS = {
    r"(table|relation) .*(doesn.t|does not) exist|no such table": "`ihc init` makes the tables that are missing",
    r"conversion error|could not convert|can.t be cast|no column named|invalid column|default value": OTHERS_TABLE,
    r"base table|is not a table": "a view has the name of a table of ihc: rename it and run again",
    r"could not set lock": "another program has the file open: end that one and run again",
    r"different configuration|unique file handle": "this program has the file open already: close that and run again",
    r"conflict on": "something else wrote at the same time, and this step left nothing behind: run again",
    r"not a valid duckdb": "name a file of DuckDB, or one that does not exist yet",
    r"read.?only": "name a database that takes writes",
}
LOGGER = logging.getLogger("ihc")


class Generic(Transaction):
    """An open transaction; the class knows what is particular to the kind of the database."""

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Give the URL back in one form; raises SettingsError where it cannot serve."""
        try:
            url.get_dialect().import_dbapi()
        except (sa.exc.NoSuchModuleError, ImportError) as error:
            package = "duckdb-sqlalchemy" if url.get_backend_name() == DUCKDB else "its dialect and driver"
            raise SettingsError(
                f"A database of {url.drivername}:// needs its dialect of SQLAlchemy and its driver ({error}): "
                f"pip install {package}, or name an SQLite file or a postgresql:// URL."
            ) from None
        return in_a_file(url) if url.get_backend_name() == DUCKDB else url

    @staticmethod
    def file_of(url: sa.URL) -> Path | None:
        """The file of the database; None where a server keeps it."""
        return Path(str(url.database)).resolve() if url.get_backend_name() == DUCKDB else None

    @classmethod
    def missing(cls, url: sa.URL) -> str:
        """What is wrong where there is no database, as far as that is known without a connection."""
        file = cls.file_of(url)
        return no_file(file, "a file of DuckDB") if file else ""

    @classmethod
    def make_empty(cls, url: sa.URL) -> None:
        """Make the database where there is none and ihc can; raises OSError."""
        file = cls.file_of(url)
        if file and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            cls.engine(url, is_writing=True).connect().close()

    @staticmethod
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine for transactions of the isolation that the database has by default."""
        return _engine(url, is_writing)

    @staticmethod
    def reason_of(error: BaseException, _url: sa.URL) -> str:
        """What an error means, and what to do."""
        reason = _in_short(str(error)).rstrip("!") or type(error).__name__
        hint = next((hint for words, hint in HINTS.items() if re.search(words, reason, re.IGNORECASE)), "")
        return f"{reason}; {hint}" if hint else reason

    def _fetched(self, result: sa.CursorResult[Any]) -> tuple[list[str], Sequence[Any]]:
        columns = [map(_plain, values) for values in zip(*result.fetchall(), strict=True)]
        return list(result.keys()), list(zip(*columns, strict=True))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to a table."""
        into, rest = insertion(table, columns), iter(rows)
        while batch := [dict(zip(columns, row, strict=True)) for row in islice(rest, BATCH)]:
            self.connection.execute(into, batch)

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as a text, whatever type the column keeps it in: 7.00 is 7, as `as_text` has it."""
        kind = self._types(column.table.name).get(column.name)  # type: ignore[union-attr]  # columns of a table
        text = sa.cast(column, sa.Text)
        if not isinstance(kind, sa.Numeric | sa.Float) or getattr(kind, "scale", None) == 0:
            return text
        whole = sa.cast(column, sa.BigInteger)
        return sa.case((column == whole, sa.cast(whole, sa.Text)), else_=text)

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether an id is one that `as_text` refuses: a fraction, or a float of lost digits."""
        if not isinstance(self._types(column.table.name).get(column.name), sa.Float):  # type: ignore[union-attr]
            return sa.false()
        return sa.or_(column != sa.func.floor(column), sa.func.abs(column) >= EXACT)


@cache  # SQLAlchemy asks a server several questions before it uses an engine for the first time
def _engine(url: sa.URL, is_writing: bool) -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    sa.event.listen(engine, "handle_error", _as_its_error)
    if url.get_backend_name() == DUCKDB:
        # Those that only read may have the file open together, and nothing is fetched from the network to read it.
        offline = {"read_only": not is_writing, "config": {"autoinstall_known_extensions": "false"}}

        @sa.event.listens_for(engine, "do_connect")
        def _connect(dialect: sa.Dialect, _record: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
            return _patiently(lambda: dialect.connect(*given, **{**named, **offline}))

    return engine


def _as_its_error(context: sa.engine.ExceptionContext) -> Exception | None:
    """An error of a driver that is none of its own, as for a value that it cannot write, as one that it is."""
    error = context.original_exception
    is_fault = isinstance(error, Exception) and context.sqlalchemy_exception is None
    return sa.exc.DBAPIError(None, None, error) if is_fault else None


def _patiently(connect: Callable[[], Any]) -> Any:
    """A connection, as soon as nothing else has the file open in a way that does not go together with it."""
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
                LOGGER.warning("%s; waiting for it to be closed.", _in_short(str(error)))
        time.sleep(PAUSE)


def _in_short(error: str) -> str:
    """An error in one line; without DuckDB's advice on a file in use, which is not for users of ihc."""
    return re.sub(r"(\(PID \d+\)).*", r"\1", " ".join(error.split()))


def _number(value: Decimal) -> int | float:
    """Whole numbers stay exact, as ids must; others become floats, correctly rounded."""
    text = str(value)
    return int(text) if text.lstrip("-").isdigit() else float(value)


def _moment(value: datetime | clock) -> str:
    """A moment without zeros at the end of its fraction of a second."""
    return re.sub(r"\.(\d*?)0+(?=$|[+-])", lambda found: f".{found[1]}" if found[1] else "", str(value))


PLAIN: dict[type, Callable[[Any], Any]] = {
    **{Decimal: _number, bool: int, date: str, datetime: _moment, clock: _moment, UUID: str}
}


def _plain(value: Any) -> Any:
    """What a driver gives, as the text or number that an SQLite shop holds."""
    return PLAIN[type(value)](value) if type(value) in PLAIN else value
