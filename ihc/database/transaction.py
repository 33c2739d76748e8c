"""Base class of a database transaction: read and write rows with SQLAlchemy Core."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from ihc.database.tables import REAL
from ihc.errors import SettingsError
from ihc.schemas.tables import EXACT

BUSY_SECONDS = 60
OTHERS_TABLE = "another program or version created that table: rename it and run again"
# Values of a test row for columns of other types than text.
EXAMPLE, FRACTION = "-17", "0.5"
EXAMPLES = {sa.Date: "1900-01-17", sa.DateTime: "1900-01-17", sa.Uuid: "00000000-0000-0000-0000-000000000017"}


class Transaction:
    """An open transaction; the class implements what is specific to the database."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Return the URL in canonical form; raises SettingsError if it is not supported."""
        return url

    @staticmethod
    def file_of(_url: sa.URL) -> Path | None:
        """The file of the database; None for a server."""
        return None

    @staticmethod
    def missing(_url: sa.URL) -> str:
        """Why the database does not exist, as far as known without a connection; empty if it does."""
        return ""

    @staticmethod
    def make_empty(_url: sa.URL) -> None:
        """Create the database if it is missing and ihc can create it; raises OSError."""

    @staticmethod
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine whose transactions read one snapshot, or are the only writer among ihc's."""
        raise NotImplementedError

    @staticmethod
    def driver_errors() -> tuple[type[Exception], ...]:
        """The driver's exceptions that SQLAlchemy does not wrap."""
        return ()

    @staticmethod
    def reason_of(error: BaseException, _url: sa.URL) -> str:
        """The cause of an error, and what to do."""
        return str(error)

    def tables(self) -> set[str]:
        """The names of all tables and views, in lower case if the database ignores case."""
        inspector = sa.inspect(self.connection)
        return {name.lower() for name in (*inspector.get_table_names(), *inspector.get_view_names())}

    def columns(self, table: str) -> list[str]:
        """The names of the columns of a table."""
        return list(self._types(table))

    def read(
        self, query: sa.Executable, given: Mapping[str, Any] | None = None, *, coerce_float: bool = True
    ) -> pd.DataFrame:
        """Read the rows of a query like `pd.read_sql`, with every value as SQLite would hold it.

        Whole numbers that a float column would round stay exact.
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
        """Read whole tables without conversion."""
        return [self.read(sa.select(sa.text("*")).select_from(sa.table(name)), coerce_float=False) for name in tables]

    def read_last(self, queries: Sequence[sa.Select[Any]]) -> list[pd.DataFrame]:
        """Read many rows by several queries; a transaction that only reads may use it once, as its last step.

        The caller gives each column its type.
        """
        return [self.read(query) for query in queries]

    def _fetched(self, result: sa.CursorResult[Any]) -> tuple[list[str], Sequence[Any]]:
        """Columns and rows straight from the driver, in two thirds of the time."""
        cursor = result.cursor
        return [column[0] for column in cursor.description], cursor.fetchall()

    def append(self, table: str, frame: pd.DataFrame) -> None:
        """Insert the rows of a frame into a table with the same columns."""
        self.insert(table, list(frame.columns), rows_of(frame))

    def append_each(self, tables: Mapping[str, Sequence[str]], frame: pd.DataFrame) -> None:
        """Insert the rows of a frame into several tables, each with some of its columns."""
        for table, columns in tables.items():
            self.append(table, frame[list(columns)])

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows into a table."""
        raise NotImplementedError

    def renew(self, table: sa.Table) -> None:
        """Rewrite a table that an earlier version created in another form."""

    def each(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute a statement for each of `rows`, which may be empty."""
        if rows:
            self.connection.execute(statement, rows)

    @contextmanager
    def listed(self, ids: Sequence[str]) -> Iterator[sa.Select[tuple[str]]]:
        """A query for unique `ids`, from a temporary table that is dropped after the block."""
        key = sa.Column("id", sa.Text, primary_key=True)
        table = sa.Table("listed", sa.MetaData(), key, prefixes=["TEMPORARY"])
        table.create(self.connection, checkfirst=False)
        self.insert(table.name, ["id"], [(each,) for each in ids])
        yield sa.select(key)
        table.drop(self.connection, checkfirst=False)

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as text, whatever the column type: 7.00 becomes 7, as in `as_text`."""
        raise NotImplementedError

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether `as_text` rejects an id: bytes, a fraction, or a float that lost digits."""
        raise NotImplementedError

    def stored_id(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """An id of a result table for comparison with text, such that the key's index is used."""
        return self.id_text(column)

    def example(self, table: sa.Table) -> dict[str, str]:
        """A test row for a table, with a value that fits the type of each column."""
        kinds = self._types(table.name)
        return {
            name: FRACTION
            if column.type is REAL
            else next((text for kind, text in EXAMPLES.items() if isinstance(kinds.get(name), kind)), EXAMPLE)
            for name, column in table.columns.items()
        }

    def _types(self, table: str) -> dict[str, Any]:
        with warnings.catch_warnings(action="ignore", category=sa.exc.SAWarning):  # about unknown types
            return {column["name"]: column["type"] for column in sa.inspect(self.connection).get_columns(table)}


def in_a_file(url: sa.URL) -> sa.URL:
    """Return the URL of a file; raises SettingsError for a database in memory or on a server."""
    if url.database in (None, "", ":memory:"):
        raise SettingsError("The database is in memory and would be lost: give a file.")
    if url.host or url.port or url.username or url.password:
        raise SettingsError(f"A {url.drivername}:// URL must be a file, such as {url.drivername}:///data/shop.db.")
    return url


def no_file(file: Path, kind: str) -> str:
    """Why there is no file of this `kind`; empty if there is."""
    if file.is_file():
        return ""
    what = "is a folder" if file.is_dir() else "does not exist"
    return f"{what}. Give {kind}, or create one with `ihc init` or `ihc sample`."


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def insertion(table: str, columns: Sequence[str]) -> sa.Insert:
    """The INSERT statement."""
    return sa.insert(sa.table(table, *map(sa.column, columns)))


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """A frame as an Arrow table, with all-NULL columns as text, because the null type cannot be written."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    kinds = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    return table.cast(pa.schema(kinds))


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a frame for a driver: Python numbers and strings, None for NULL."""
    columns = (
        values.astype(object).where(values.notna(), None).tolist() if values.hasnans else values.tolist()
        for _, values in frame.items()
    )
    return list(zip(*columns, strict=True))
