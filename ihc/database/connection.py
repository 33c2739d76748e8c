"""Connections to SQLite, PostgreSQL and others: which database, its transactions, what its errors mean, and rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from ihc.database import any_database, any_lock, duckdb_file, postgres, postgres_lock, sqlite
from ihc.database.dialect import Among, Dialect
from ihc.database.dialect import named as named
from ihc.errors import DatabaseError, SettingsError, why
from ihc.schemas.tables import EXACT
from ihc.secrets import masked, secrets_of

if TYPE_CHECKING:
    import psycopg


DIALECTS: dict[str, Dialect] = {"sqlite": sqlite, "postgresql": postgres}  # all others: any_database
# A text that is none in UTF-8, or a column of several kinds of values, never gets as far as the driver.
REFUSED = (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, UnicodeError, pa.ArrowException)
OLD_NAME = "postgres://"  # as hosting services print it
# No path, but how else a server is written, often with a password: postgresql:/..., ann:secret@host, password=secret
NO_PATH = re.compile(
    r"^(postgres(ql)?|mysql|mariadb)(\+\w*)?:|^(?!file:)\w{2,}(\+\w*)?:/|\b(password|pwd)\s*=|^(?![a-z]:[\\/])[^/\\]*:.*@",
    re.IGNORECASE | re.DOTALL,
)


def database_url(database: str | Path) -> sa.URL:
    """Make a SQLAlchemy URL of a path or a URL; raises SettingsError where it is neither, or cannot serve."""
    text = str(database)
    if _is_path(text):
        return sa.URL.create("sqlite", database=text)
    url = _parsed(text)
    if url is None:
        raise SettingsError(
            "The database is no URL that can be understood; e.g. sqlite:///data/ihc.db or postgresql://user@host/shop. "
            "In a password, write @ as %40, / as %2F and : as %3A."
        )
    return dialect_of(url).checked(url)


def _is_path(text: str) -> bool:
    return "://" not in text and not NO_PATH.search(text)


def _parsed(text: str) -> sa.URL | None:
    """The URL in a text; None where it is none, or so odd that a part of its password would pass for the host."""
    text = text.replace(OLD_NAME, "postgresql://", 1) if text.startswith(OLD_NAME) else text
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return None if "@" in f"{url.host}{url.database if url.host else ''}" else url


def dialect_of(url: sa.URL) -> Dialect:
    """What is particular to the kind of a database."""
    return DIALECTS.get(url.get_backend_name(), any_database)


def is_postgres(database: str | Path) -> bool:
    """Say whether a database is a PostgreSQL."""
    return dialect_of(database_url(database)) is postgres


def _of(connection: sa.Connection) -> Dialect:
    return dialect_of(connection.engine.url)


def label(database: str | Path) -> str:
    """The database as it may be printed: without password and without query, but with its schema."""
    if _is_path(str(database)):
        return str(database)
    url = _parsed(str(database))
    if url is None:
        return "(no valid URL)"
    schema = _schema_of(url)
    return url.set(query={}).render_as_string(hide_password=True) + (f" (schema {schema})" if schema else "")


def schema_of(database: str | Path) -> str | None:
    """The schema that the URL of a PostgreSQL database names, if it does: `?schema=`."""
    return _schema_of(database_url(database))


def _schema_of(url: sa.URL) -> str | None:
    return postgres.schema_of(url) if dialect_of(url) is postgres else None


def with_schema(database: str, schema: str | None) -> str:
    """The database with a schema named in its URL; raises SettingsError where it has none."""
    if not schema:
        return database
    url = database_url(database)
    if dialect_of(url) is not postgres:
        which = "a file, which has none" if database_file(database) else "none of PostgreSQL"
        raise SettingsError(
            f"The schema {schema!r} (IHC_SCHEMA) is one of a PostgreSQL database, and {label(database)} is {which}: "
            "leave it out, or name a postgresql:// URL."
        )
    return url.update_query_dict({postgres.SCHEMA: schema}).render_as_string(hide_password=False)


def lock_name(database: str | Path) -> str:
    """What the lock on a database is known by: a file beside it, or whom the server is asked for it."""
    file = database_file(database)
    return str(file.with_name(f"{file.name}.lock")) if file else label(database)


def database_file(database: str | Path) -> Path | None:
    """The file of a database of SQLite or DuckDB; None where a server keeps it."""
    url = database_url(database)
    return dialect_of(url).file_of(url)


def sqlite_file(database: str | Path) -> Path | None:
    """The file of an SQLite database; None for any other."""
    return database_file(database) if dialect_of(database_url(database)) is sqlite else None


def is_there(database: str | Path) -> bool:
    """Is there a database? Of a server that is not asked: it says so itself when it is."""
    url = database_url(database)
    return not dialect_of(url).missing(url)


def make_empty(database: str | Path) -> None:
    """Make the file of a database where there is none; raises DatabaseError."""
    try:
        with _understanding(database) as url:
            dialect_of(url).make_empty(url)
    except OSError as error:
        raise DatabaseError(f"Database {label(database)} cannot be created: {why(error)}.") from None


@contextmanager
def server_lock(database: str | Path, wait: Callable[[str], object]) -> Iterator[psycopg.Connection | IO[str]]:
    """Hold the lock on a database that a server keeps; its errors become DatabaseError, as does a lock that was lost.

    In: `wait` is told who has the lock, where another has it.
    """
    with speaking(database) as url:
        is_postgres = dialect_of(url) is postgres
        with postgres_lock.run_lock(url, wait) if is_postgres else any_lock.run_lock(url, wait) as lock:
            yield lock


@contextmanager
def speaking(database: str | Path) -> Iterator[sa.URL]:
    """What the database refuses inside becomes a DatabaseError that says what, and what to do, without a password."""
    url = database_url(database)
    if wrong := dialect_of(url).missing(url):
        raise DatabaseError(f"Database {label(database)} {wrong}")
    with _understanding(database):
        yield url


@contextmanager
def _understanding(database: str | Path) -> Iterator[sa.URL]:
    url = database_url(database)
    dialect = dialect_of(url)
    refused: tuple[type[Exception], ...] = (*REFUSED, *dialect.driver_errors())
    try:
        yield url
    except refused as error:
        inner = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        reason = dialect.reason_of(getattr(inner, "orig", None) or inner or error, url)
        says = f"Database {label(database)}: {reason.rstrip('.')}."
        raise DatabaseError(masked(says, secrets_of({}, str(database)))) from None


@contextmanager
def connected(database: str | Path, *, is_writing: bool = False) -> Iterator[sa.Connection]:
    """Open a database that exists, for transactions that read or that write; its errors become DatabaseError."""
    with speaking(database) as url:
        engine = dialect_of(url).make_engine(url, is_writing=is_writing)
        with engine.connect() as connection:
            yield connection


@contextmanager
def transaction(database: str | Path, *, is_writing: bool = False) -> Iterator[sa.Connection]:
    """Open a database for one transaction; its errors become DatabaseError."""
    with connected(database, is_writing=is_writing) as connection, connection.begin():
        yield connection


@contextmanager
def transactions(database: str | Path) -> Iterator[Callable[[], AbstractContextManager[sa.Connection]]]:
    """Open a database for many transactions that write, each of which the yielded function begins.

    They share a connection, except where no other process could read or write as long as it lasts, as in DuckDB.
    """
    if database_url(database).get_backend_name() == duckdb_file.NAME:
        yield partial(transaction, database, is_writing=True)
        return
    with connected(database, is_writing=True) as connection:
        yield partial(_begun, connection)


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
