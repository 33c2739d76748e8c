"""Connections to SQLite: which file, how transactions begin, what its errors mean, and rows that are added."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from ihc.errors import DatabaseError, SettingsError

BUSY_SECONDS = 60


def database_url(database: str | Path) -> sa.URL:
    """Make a SQLAlchemy URL of a path or a URL; raises SettingsError where it is neither or no SQLite."""
    if "://" not in str(database):
        return sa.URL.create("sqlite", database=str(database))
    try:
        url = sa.make_url(str(database))
    except (sa.exc.ArgumentError, ValueError):
        raise SettingsError("The database is no URL that SQLAlchemy understands; e.g. sqlite:///data/ihc.db") from None
    if url.get_backend_name() != "sqlite":
        raise SettingsError(f"The database {label(database)} is not SQLite: this version reads and writes SQLite only.")
    if url.database in (None, "", ":memory:"):
        raise SettingsError("The database is in memory, where nothing outlives a notebook: name a file.")
    return url


def label(database: str | Path) -> str:
    """The database as it may be printed: without password and without query."""
    if "://" not in str(database):
        return str(database)
    try:
        return sa.make_url(str(database)).set(query={}).render_as_string(hide_password=True)
    except (sa.exc.ArgumentError, ValueError):
        return "(no valid URL)"


def database_file(database: str | Path) -> Path:
    """The file of an SQLite database."""
    name = str(database_url(database).database)
    return Path(name.removeprefix("file:").split("?")[0] if name.startswith("file:") else name).resolve()


def _engine(database: str | Path, begin: str) -> sa.Engine:
    engine = sa.create_engine(database_url(database), poolclass=sa.NullPool, connect_args={"timeout": BUSY_SECONDS})

    # The driver would begin a transaction only at the first write, and none around CREATE TABLE; so ihc begins them.
    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def connected(database: str | Path, begin: str = "BEGIN") -> Iterator[sa.Connection]:
    """Open a database that exists, for transactions that start with `begin`; its errors become DatabaseError."""
    file = database_file(database)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise DatabaseError(
            f"Database {label(database)} {what}. Name an SQLite file, or make one with `ihc init` or `ihc sample`."
        )
    try:
        with _engine(database, begin).connect() as connection:
            yield connection
    except (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, sqlite3.Error) as error:
        inner = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        raise DatabaseError(_says(database, str(getattr(inner, "orig", inner)))) from None


@contextmanager
def transaction(database: str | Path, begin: str = "BEGIN") -> Iterator[sa.Connection]:
    """Open a database for one transaction; its errors become DatabaseError."""
    with connected(database, begin) as connection, connection.begin():
        yield connection


def _says(database: str | Path, reason: str) -> str:
    hints = {
        "not a database": "it is not an SQLite file",
        "readonly": "it cannot be written: check the rights of the file and its folder",
        "unable to open": "it cannot be opened: check the rights of the file and its folder",
        "has no column": f"{reason}; another program or version made that table: rename it and run again",
        "because it is a view": f"{reason}; ihc keeps its results there: rename it and run again",
        "locked": f"another program has kept it locked for {BUSY_SECONDS} seconds: close that program and run again",
    }
    return f"Database {label(database)}: {next((text for key, text in hints.items() if key in reason), reason)}."


def tables_of(connection: sa.Connection) -> set[str]:
    """The names of all tables and views."""
    inspector = sa.inspect(connection)
    return {*inspector.get_table_names(), *inspector.get_view_names()}


def read(
    connection: sa.Connection, query: str, given: Mapping[str, Any] | None = None, *, coerce_float: bool = True
) -> pd.DataFrame:
    """Read a query's rows as `pd.read_sql` does, but as the driver gives them: in two thirds of the time.

    In: what is `given` for the names in the query.
    """
    cursor = connection.execute(sa.text(query), given or {}).cursor
    columns = [column[0] for column in cursor.description]
    return pd.DataFrame.from_records(cursor.fetchall(), columns=columns, coerce_float=coerce_float)


def append(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """Add the rows of a frame to a table that has its columns."""
    insert(connection, table, list(frame.columns), list(zip(*map(_plain, frame.items()), strict=True)))


def _plain(column: tuple[Any, pd.Series]) -> list[Any]:
    """A column as the driver takes it: Python's own numbers and texts, None for NULL."""
    _, values = column
    return values.astype(object).where(values.notna(), None).tolist() if values.hasnans else values.tolist()


def insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows to a table in one call of the driver: several times as fast as `DataFrame.to_sql`."""
    marks = ", ".join("?" * len(columns))
    execute(connection, f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


def execute(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement for each of `rows`, by the driver itself."""
    cursor = connection.connection.cursor()
    cursor.executemany(statement, rows)
    cursor.close()
