"""What is particular to SQLite: a file, transactions that ihc begins itself, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from ihc.database.dialect import Among
from ihc.errors import DatabaseError, SettingsError

BUSY_SECONDS = 60
LISTED = Among("(SELECT id FROM listed)", {})


def checked(url: sa.URL) -> sa.URL:
    """Give the URL back; raises SettingsError where nothing that is written would last."""
    if url.database in (None, "", ":memory:"):
        raise SettingsError("The database is in memory, where nothing outlives a notebook: name a file.")
    return url


def file_of(url: sa.URL) -> Path:
    """The file of the database."""
    name = str(url.database)
    return Path(name.removeprefix("file:").split("?")[0] if name.startswith("file:") else name).resolve()


def missing(url: sa.URL) -> str:
    """What is wrong where there is no file; else an empty text."""
    return no_file(file_of(url), "an SQLite file")


def no_file(file: Path, kind: str) -> str:
    """What is wrong where there is no file, which is to be of a `kind`; else an empty text."""
    if file.is_file():
        return ""
    what = "is a folder" if file.is_dir() else "does not exist"
    return f"{what}. Name {kind}, or make one with `ihc init` or `ihc sample`."


def make_empty(url: sa.URL) -> None:
    """Make the file where there is none; raises OSError."""
    file = file_of(url)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def make_engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
    """An engine of which each transaction reads as of one moment, or is the only one that writes."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": BUSY_SECONDS})

    # The driver would begin a transaction only at the first write, and none around CREATE TABLE; so ihc begins them.
    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def driver_errors() -> tuple[type[Exception], ...]:
    """What the driver raises."""
    return (sqlite3.Error,)


def reason_of(error: BaseException, _url: sa.URL) -> str:
    """What an error means, and what to do."""
    reason = str(error)
    hints = {
        "not a database": "it is not an SQLite file; one of DuckDB is named by a URL, as duckdb:///data/shop.duckdb",
        "no such table: main.": f"{reason}; a view reads it: make that table again, or drop the view",
        "decode to UTF-8": f"{reason.rstrip('.')}; it was written in another encoding: load it again as UTF-8",
        "readonly": "it cannot be written: check the rights of the file and its folder",
        "unable to open": "it cannot be opened: check the rights of the file and its folder",
        "has no column": f"{reason}; another program or version made that table: rename it and run again",
        "because it is a view": f"{reason}; ihc keeps its results there: rename it and run again",
        "locked": f"another program has kept it locked for {BUSY_SECONDS} seconds: close that program and run again",
    }
    return next((text for key, text in hints.items() if key in reason), reason)


def tables_of(connection: sa.Connection) -> set[str]:
    """The names of all tables and views, in lower case: the database does not tell them by it."""
    inspector = sa.inspect(connection)
    return {name.lower() for name in (*inspector.get_table_names(), *inspector.get_view_names())}


def define(connection: sa.Connection, statement: str) -> None:
    """Execute a statement of the schema file as it stands there."""
    connection.exec_driver_sql(statement)


def listed(connection: sa.Connection, ids: Sequence[str]) -> Iterator[Among]:
    """What stands behind IN for `ids`: a table that lasts no longer than the connection."""
    return in_table(connection, ids, append)


def in_table(
    connection: sa.Connection, ids: Sequence[str], append: Callable[[sa.Connection, str, pd.DataFrame], None]
) -> Iterator[Among]:
    """The same, filled by what appends a frame."""
    connection.exec_driver_sql("CREATE TEMP TABLE listed (id TEXT PRIMARY KEY)")
    append(connection, "listed", pd.DataFrame({"id": ids}, dtype="str"))
    yield LISTED
    connection.exec_driver_sql("DROP TABLE listed")


def where_in(_connection: sa.Connection, table: str, its_id: str, query: str) -> str:
    """SQL, as it stands behind FROM, for the rows of a table with an id that is among the `id` of a query."""
    return f"{table} WHERE {its_id} IN ({query})"


def id_text(_connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id as a text, whatever type the column keeps it in: 7.0 is 7, as `as_text` has it."""
    column = f"{table}.{column}"
    whole = f"CAST({column} AS INTEGER)"
    is_whole = f"typeof({column}) = 'real' AND {column} = {whole}"
    return f"CAST(CASE WHEN {is_whole} THEN {whole} ELSE {column} END AS TEXT)"


def unfit_id(_connection: sa.Connection, table: str, column: str) -> str:
    """SQL for whether an id is one that `as_text` refuses: a BLOB, a fraction, or a float of lost digits."""
    column = f"{table}.{column}"
    is_exact = f"{column} = CAST({column} AS INTEGER) AND abs({column}) < {2**53}"
    return f"(typeof({column}) IN ('real', 'blob') AND NOT (typeof({column}) = 'real' AND {is_exact}))"


def same_id(_connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id that is compared with texts: SQLite compares by the column's type, and so finds it by its key."""
    return f"{table}.{column}"


def fetch(result: sa.CursorResult[Any]) -> tuple[list[str], Sequence[Any]]:
    """The columns and rows of a query, as the driver gives them: in two thirds of the time."""
    cursor = result.cursor
    return [column[0] for column in cursor.description], cursor.fetchall()


def append(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """Add the rows of a frame to a table that has its columns."""
    insert(connection, table, list(frame.columns), rows_of(frame))


def insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows to a table in one call of the driver: several times as fast as `DataFrame.to_sql`."""
    execute(connection, _insertion(table, columns), rows)


def upsert(connection: sa.Connection, table: str, frame: pd.DataFrame, key: str) -> None:
    """Add the rows of a frame, each in the place of the row with its key, if there is one."""
    columns = list(frame.columns)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in columns if name != key)
    statement = f"{_insertion(table, columns)} ON CONFLICT ({key}) DO UPDATE SET {replaced}"
    execute(connection, statement, rows_of(frame))


def execute(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement, with a question mark for each value, for each of `rows`, by the driver itself."""
    cursor = connection.connection.cursor()
    cursor.executemany(statement, rows)
    cursor.close()


def _insertion(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a frame as a driver takes them: Python's own numbers and texts, None for NULL."""
    return list(zip(*map(_plain, frame.items()), strict=True))


def _plain(column: tuple[Any, pd.Series]) -> list[Any]:
    """A column as the driver takes it: Python's own numbers and texts, None for NULL."""
    _, values = column
    return values.astype(object).where(values.notna(), None).tolist() if values.hasnans else values.tolist()


def check_writable(connection: sa.Connection, table: str, example: Mapping[str, Any]) -> None:
    """Empty a table of nothing and add an `example` row: what cannot be done raises the driver's error.

    Raises DatabaseError where ids would be kept as floating point numbers.
    """
    connection.exec_driver_sql(f"DELETE FROM {table} WHERE 1 = 0")
    append(connection, table, pd.DataFrame([example]))
    for column in [name for name in example if name in ("conv_id", "session_id")]:
        probe = sa.text(f"SELECT 1 FROM {table} WHERE typeof({column}) = 'real' LIMIT 1")
        if connection.execute(probe).first():
            raise DatabaseError(kept_as_float(table, column))


def kept_as_float(table: str, column: str) -> str:
    """Why a table with ids as floating point numbers cannot serve."""
    return (
        f"Table {table}, column {column}: it keeps ids as floating point numbers, which changes them; "
        "rename the table and run again."
    )
