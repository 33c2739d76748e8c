"""An open transaction of any kind of database: rows read and written by SQLAlchemy Core."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from ihc.database.tables import REAL
from ihc.errors import SettingsError
from ihc.schemas.tables import EXACT

BUSY_SECONDS = 60
OTHERS_TABLE = "another program or version made that table: rename it and run again"
# What a row that is written to try it holds, in columns of other types than text.
EXAMPLE, FRACTION = "-17", "0.5"
EXAMPLES = {sa.Date: "1900-01-17", sa.DateTime: "1900-01-17", sa.Uuid: "00000000-0000-0000-0000-000000000017"}


class Transaction:
    """An open transaction; the class knows what is particular to the kind of the database."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Give the URL back in one form; raises SettingsError where it cannot serve."""
        return url

    @staticmethod
    def file_of(_url: sa.URL) -> Path | None:
        """The file of the database; None where a server keeps it."""
        return None

    @staticmethod
    def missing(_url: sa.URL) -> str:
        """What is wrong where there is no database, as far as that is known without a connection."""
        return ""

    @staticmethod
    def make_empty(_url: sa.URL) -> None:
        """Make the database where there is none and ihc can; raises OSError."""

    @staticmethod
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine of which each transaction reads as of one moment, or is the only one of ihc that writes."""
        raise NotImplementedError

    @staticmethod
    def driver_errors() -> tuple[type[Exception], ...]:
        """What the driver raises, where SQLAlchemy does not make errors of its own of it."""
        return ()

    @staticmethod
    def reason_of(error: BaseException, _url: sa.URL) -> str:
        """What an error means, and what to do."""
        return str(error)

    def tables(self) -> set[str]:
        """The names of all tables and views, in lower case where the database does not tell them by it."""
        inspector = sa.inspect(self.connection)
        return {name.lower() for name in (*inspector.get_table_names(), *inspector.get_view_names())}

    def read(
        self, query: sa.Executable, given: Mapping[str, Any] | None = None, *, coerce_float: bool = True
    ) -> pd.DataFrame:
        """Read a query's rows as `pd.read_sql` does, with every value as SQLite would hold it.

        Whole numbers that a column of floats would round stay as they are.
        """
        columns, rows = self._fetched(self.connection.execute(query, given or {}))
        frame = pd.DataFrame.from_records(rows, columns=columns, coerce_float=coerce_float)
        for place, kind in enumerate(frame.dtypes):
            if kind == "float64" and (frame.iloc[:, place].abs() >= EXACT).any():
                values = pd.Series([row[place] for row in rows], dtype="object")
                if values.map(lambda value: isinstance(value, int) and abs(value) >= EXACT).any():
                    frame.isetitem(place, values.array)
        return frame

    def read_whole(self, tables: Sequence[str]) -> list[pd.DataFrame]:
        """Read whole tables, as they are stored."""
        return [self.read(sa.select(sa.text("*")).select_from(sa.table(name)), coerce_float=False) for name in tables]

    def _fetched(self, result: sa.CursorResult[Any]) -> tuple[list[str], Sequence[Any]]:
        """The columns and rows of a query, as the driver gives them: in two thirds of the time."""
        cursor = result.cursor
        return [column[0] for column in cursor.description], cursor.fetchall()

    def append(self, table: str, frame: pd.DataFrame) -> None:
        """Add the rows of a frame to a table that has its columns."""
        self.insert(table, list(frame.columns), rows_of(frame))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to a table."""
        raise NotImplementedError

    def each(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute a statement for each of `rows`, which may be none."""
        if rows:
            self.connection.execute(statement, rows)

    @contextmanager
    def listed(self, ids: Sequence[str]) -> Iterator[sa.Select[tuple[str]]]:
        """A query for `ids`, each of which is there once: of a table that lasts no longer than the block."""
        key = sa.Column("id", sa.Text, primary_key=True)
        table = sa.Table("listed", sa.MetaData(), key, prefixes=["TEMPORARY"])
        table.create(self.connection, checkfirst=False)
        self.append(table.name, pd.DataFrame({"id": ids}, dtype="str"))
        yield sa.select(key)
        table.drop(self.connection, checkfirst=False)

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as a text, whatever type the column keeps it in: 7.00 is 7, as `as_text` has it."""
        raise NotImplementedError

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether an id is one that `as_text` refuses: bytes, a fraction, or a float of lost digits."""
        raise NotImplementedError

    def stored_id(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """An id of a result table that is compared with texts, so that its key still serves."""
        return self.id_text(column)

    def example(self, table: sa.Table) -> dict[str, str]:
        """A row to try a table by, of which each column takes what its type does."""
        kinds = self._types(table.name)
        return {
            name: FRACTION
            if column.type is REAL
            else next((text for kind, text in EXAMPLES.items() if isinstance(kinds.get(name), kind)), EXAMPLE)
            for name, column in table.columns.items()
        }

    def _types(self, table: str) -> dict[str, Any]:
        with warnings.catch_warnings(action="ignore", category=sa.exc.SAWarning):  # of a type that it does not know
            return {column["name"]: column["type"] for column in sa.inspect(self.connection).get_columns(table)}


def in_a_file(url: sa.URL) -> sa.URL:
    """Give the URL of a file back; raises SettingsError where nothing that is written would last, or it is no file."""
    if url.database in (None, "", ":memory:"):
        raise SettingsError("The database is in memory, where nothing outlives a notebook: name a file.")
    if url.host or url.port or url.username or url.password:
        raise SettingsError(f"A {url.drivername}:// URL names a file alone, as {url.drivername}:///data/shop.db.")
    return url


def no_file(file: Path, kind: str) -> str:
    """What is wrong where there is no file, which is to be of a `kind`; else an empty text."""
    if file.is_file():
        return ""
    what = "is a folder" if file.is_dir() else "does not exist"
    return f"{what}. Name {kind}, or make one with `ihc init` or `ihc sample`."


def insertion(table: str, columns: Sequence[str]) -> sa.Insert:
    """The statement that adds rows."""
    return sa.insert(sa.table(table, *map(sa.column, columns)))


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a frame as a driver takes them: Python's own numbers and texts, None for NULL."""
    columns = (
        values.astype(object).where(values.notna(), None).tolist() if values.hasnans else values.tolist()
        for _, values in frame.items()
    )
    return list(zip(*columns, strict=True))
