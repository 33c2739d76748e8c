"""A database of SQLite, PostgreSQL or another kind as one object, its transactions, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from ihc.database import any_database, any_lock, duckdb_file, postgres, postgres_lock, sqlite
from ihc.database.dialect import Among, Dialect
from ihc.database.dialect import named as named
from ihc.database.locks import Lock, locked_file
from ihc.errors import DatabaseError, SettingsError, why
from ihc.schemas.tables import EXACT
from ihc.secrets import masked, passwords_of

DIALECTS: dict[str, Dialect] = {"sqlite": sqlite, "postgresql": postgres}  # all others: any_database
# A text that is none in UTF-8, or a column of several kinds of values, never gets as far as the driver.
REFUSED = (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, UnicodeError, pa.ArrowException)
OLD_NAME = "postgres://"  # as hosting services print it
# No path, but how else a server is written, often with a password: postgresql:/..., ann:secret@host, password=secret
NO_PATH = re.compile(
    r"^(postgres(ql)?|mysql|mariadb)(\+\w*)?:|^(?!file:)\w{2,}(\+\w*)?:/|\b(password|pwd)\s*=|^(?![a-z]:[\\/])[^/\\]*:.*@",
    re.IGNORECASE | re.DOTALL,
)


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True, init=False, repr=False)
class Database:
    """A database by its path or URL, and the schema that everything lives in; neither is opened yet.

    A relative file is one of the folder `base`. Raises SettingsError where there is neither path nor URL, or where the
    database cannot serve.
    """

    url: sa.URL

    def __init__(self, address: str | Path, schema: str | None = None, *, base: Path | None = None) -> None:
        url = _url_of(str(address))
        object.__setattr__(self, "url", _under(url, base) if base else url)
        if schema:
            object.__setattr__(self, "url", self._with_schema(schema))

    def __repr__(self) -> str:
        return f"Database({self.label!r})"

    def _with_schema(self, schema: str) -> sa.URL:
        if not self.is_postgres:
            which = "a file, which has none" if self.file else "none of PostgreSQL"
            raise SettingsError(
                f"The schema {schema!r} (IHC_SCHEMA) is one of a PostgreSQL database, and {self.label} is {which}: "
                "leave it out, or name a postgresql:// URL."
            )
        return self.url.update_query_dict({postgres.SCHEMA: schema})

    @property
    def dialect(self) -> Dialect:
        """What is particular to the kind of the database."""
        return dialect_of(self.url)

    @property
    def is_postgres(self) -> bool:
        """Whether it is a PostgreSQL."""
        return self.dialect is postgres

    @property
    def is_sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self.dialect is sqlite

    @property
    def _is_path(self) -> bool:
        return self.is_sqlite and not self.url.query

    @property
    def address(self) -> str:
        """The path, or the URL with its password: to hand on, and never to be printed."""
        return str(self.url.database) if self._is_path else self.url.render_as_string(hide_password=False)

    @property
    def is_url(self) -> bool:
        """Whether the address is a URL, which may hold a password."""
        return not self._is_path

    @property
    def label(self) -> str:
        """The database as it may be printed: without password and without query, but with its schema."""
        if self._is_path:
            return self.address
        schema = f" (schema {self.schema})" if self.schema else ""
        return self.url.set(query={}).render_as_string(hide_password=True) + schema

    @property
    def name(self) -> str:
        """The database as a report names it, that goes to people whom path, server and user do not concern."""
        name = self.file.name if self.file else self.url.database or ""
        return name if self.is_sqlite else f"{self.url.drivername}:///{name}"

    @property
    def schema(self) -> str | None:
        """The schema of a PostgreSQL database; None: the first of its search path."""
        return postgres.schema_of(self.url) if self.is_postgres else None

    @property
    def file(self) -> Path | None:
        """The file of a database of SQLite or DuckDB; None where a server keeps it."""
        return self.dialect.file_of(self.url)

    @property
    def lock_name(self) -> str:
        """What its lock is known by: a file beside it, or whom the server is asked for it."""
        return str(self.file.with_name(f"{self.file.name}.lock")) if self.file else self.label

    def exists(self) -> bool:
        """Is there a database? Of a server that is not asked: it says so itself when it is."""
        return not self.dialect.missing(self.url)

    def make_empty(self) -> None:
        """Make the file of the database where there is none; raises DatabaseError."""
        try:
            with self._understanding():
                self.dialect.make_empty(self.url)
        except OSError as error:
            raise DatabaseError(f"Database {self.label} cannot be created: {why(error)}.") from None

    @contextmanager
    def lock(self, say: Callable[[str], object] = _say, *, held: str | None = None) -> Iterator[Lock | None]:
        """Hold the lock of the database, one run at a time; wait, and `say` so, while another run holds it.

        The lock belongs to an open file beside a database of SQLite or DuckDB, to a connection to PostgreSQL, or else
        to a file of this user on this machine. A run hands that on to its kernels, so the lock is free only when the
        last process of the run that could write has ended, however it ended. Where the lock is `held` by the run that
        started this process, by its name, there is nothing to hold.

        Raises DatabaseError if the lock file cannot be opened or the server not be reached, or if the lock was lost.
        """
        if held == self.lock_name:
            yield None
            return

        def wait(who: str) -> None:
            say(f"Another run{who} is working on {self.label}; waiting for it to end.")

        if self.file:
            with locked_file(Path(self.lock_name), wait) as file:
                yield file
            return
        lock = postgres_lock.run_lock if self.is_postgres else any_lock.run_lock
        with self._speaking(), lock(self.url, wait) as held_now:
            yield held_now

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """What the database refuses inside becomes a DatabaseError that says what, what to do, and no password."""
        if wrong := self.dialect.missing(self.url):
            raise DatabaseError(f"Database {self.label} {wrong}")
        with self._understanding():
            yield

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        refused: tuple[type[Exception], ...] = (*REFUSED, *self.dialect.driver_errors())
        try:
            yield
        except refused as error:
            inner = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
            reason = self.dialect.reason_of(getattr(inner, "orig", None) or inner or error, self.url)
            says = f"Database {self.label}: {reason.rstrip('.')}."
            raise DatabaseError(masked(says, passwords_of(self.address))) from None

    @contextmanager
    def connected(self, *, is_writing: bool = False) -> Iterator[sa.Connection]:
        """Open a database that exists, for transactions that read or that write; its errors become DatabaseError."""
        with self._speaking(), self.dialect.make_engine(self.url, is_writing=is_writing).connect() as connection:
            yield connection

    @contextmanager
    def transaction(self, *, is_writing: bool = False) -> Iterator[sa.Connection]:
        """Open the database for one transaction; its errors become DatabaseError."""
        with self.connected(is_writing=is_writing) as connection, connection.begin():
            yield connection

    @contextmanager
    def transactions(self) -> Iterator[Callable[[], AbstractContextManager[sa.Connection]]]:
        """Open the database for many transactions that write, each of which the yielded function begins.

        They share a connection, except where no other process could read or write as long as it lasts, as in DuckDB.
        """
        if self.url.get_backend_name() == duckdb_file.NAME:
            yield partial(self.transaction, is_writing=True)
            return
        with self.connected(is_writing=True) as connection:
            yield partial(_begun, connection)


def _url_of(text: str) -> sa.URL:
    """Make a SQLAlchemy URL of a path or a URL; raises SettingsError where it is neither, or cannot serve."""
    if "://" not in text and not NO_PATH.search(text):
        return sqlite.checked(sa.URL.create("sqlite", database=text))
    url = _parsed(text)
    if url is None:
        raise SettingsError(
            "The database is no URL that can be understood; e.g. sqlite:///data/ihc.db or postgresql://user@host/shop. "
            "In a password, write @ as %40, / as %2F and : as %3A."
        )
    return dialect_of(url).checked(url)


def _parsed(text: str) -> sa.URL | None:
    """The URL in a text; None where it is none, or so odd that a part of its password would pass for the host."""
    text = text.replace(OLD_NAME, "postgresql://", 1) if text.startswith(OLD_NAME) else text
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return None if "@" in f"{url.host}{url.database if url.host else ''}" else url


def _under(url: sa.URL, base: Path) -> sa.URL:
    """The URL with its file, if it is one of a file, as an absolute path."""
    name = str(url.database)
    if dialect_of(url).file_of(url) is None or name.startswith("file:/"):
        return url
    if name.startswith("file:") and url.query:
        raise SettingsError(f"The database sqlite:///{name} is a relative file: URL; write its path in full.")
    return url.set(database=str((base / name).resolve()))


def dialect_of(url: sa.URL) -> Dialect:
    """What is particular to the kind of a database."""
    return DIALECTS.get(url.get_backend_name(), any_database)


def _of(connection: sa.Connection) -> Dialect:
    return dialect_of(connection.engine.url)


@contextmanager
def _begun(connection: sa.Connection) -> Iterator[sa.Connection]:
    with connection.begin():
        yield connection


def tables_of(connection: sa.Connection) -> set[str]:
    """The names of all tables and views."""
    return _of(connection).tables_of(connection)


def define(connection: sa.Connection, statement: str) -> None:
    """Execute a statement of the schema file."""
    _of(connection).define(connection, statement)


def listed(connection: sa.Connection, ids: Sequence[str]) -> Iterator[Among]:
    """What stands behind IN for `ids`, each of them once; in parts, where the database takes no list that long."""
    return _of(connection).listed(connection, ids)


def where_in(connection: sa.Connection, table: str, its_id: str, query: str) -> str:
    """SQL, as it stands behind FROM, for the rows of a table with an id that is among the `id` of a query."""
    return _of(connection).where_in(connection, table, its_id, query)


def id_text(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id in a table as a text, whatever type the column keeps it in."""
    return _of(connection).id_text(connection, table, column)


def unfit_id(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for whether an id in a table is one that cannot be read as a text without doubt."""
    return _of(connection).unfit_id(connection, table, column)


def same_id(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id in a result table that is compared with texts."""
    return _of(connection).same_id(connection, table, column)


def check_table_writable(connection: sa.Connection, table: str, example: Mapping[str, Any]) -> None:
    """Raise what the database raises if rows like `example` cannot be added and deleted; DatabaseError for its ids."""
    _of(connection).check_writable(connection, table, example)


def read(
    connection: sa.Connection, query: str, given: Mapping[str, Any] | None = None, *, coerce_float: bool = True
) -> pd.DataFrame:
    """Read a query's rows as `pd.read_sql` does, with every value as SQLite would hold it.

    In: what is `given` for the names in the query. Whole numbers that a column of floats would round stay as they are.
    """
    columns, rows = _of(connection).fetch(connection.execute(sa.text(query), given or {}))
    frame = pd.DataFrame.from_records(rows, columns=columns, coerce_float=coerce_float)
    for place, kind in enumerate(frame.dtypes):
        if kind == "float64" and (frame.iloc[:, place].abs() >= EXACT).any():
            values = pd.Series([row[place] for row in rows], dtype="object")
            if values.map(lambda value: isinstance(value, int) and abs(value) >= EXACT).any():
                frame.isetitem(place, values.array)
    return frame


def append(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """Add the rows of a frame to a table that has its columns."""
    _of(connection).append(connection, table, frame)


def upsert(connection: sa.Connection, table: str, frame: pd.DataFrame, key: str) -> None:
    """Add the rows of a frame, each in the place of the row with its key, if there is one."""
    _of(connection).upsert(connection, table, frame, key)


def insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows to a table in few calls of the driver: several times as fast as `DataFrame.to_sql`."""
    _of(connection).insert(connection, table, columns, rows)


def execute(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement, with a question mark for each value, for each of `rows`."""
    _of(connection).execute(connection, statement, rows)
