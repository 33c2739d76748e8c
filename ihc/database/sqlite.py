"""SQLite: explicit transactions, fast reads and inserts through Arrow, and error messages."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from ihc.database.transaction import (
    BUSY_SECONDS,
    Transaction,
    arrow_table,
    in_a_file,
    insertion,
    no_file,
    quoted,
    rows_of,
)
from ihc.schemas.tables import EXACT

WITHOUT_ROWID = " WITHOUT ROWID"
MOST_ATTACHED = 10  # SQLite allows ten beside its own, and detaches none within a transaction
MOST_FILES = 4  # temporary files per frame
MANY, PART = 5_000, 200_000  # rows that are worth a temporary file, and several files
# Values that both drivers write in the same way.
KEPT_BY_ARROW = (pa.types.is_string, pa.types.is_large_string, pa.types.is_signed_integer, pa.types.is_floating)

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor


HINTS = {
    "not a database": "it is not an SQLite file; for DuckDB give a URL such as duckdb:///data/shop.duckdb",
    "no such table: main.": "{reason}; a view reads it: recreate that table or drop the view",
    "decode to UTF-8": "{reason}; the data has another encoding: import it again as UTF-8",
    "readonly": "it cannot be written: check the permissions of the file and its folder",
    "unable to open": "it cannot be opened: check the permissions of the file and its folder",
    "has no column": "{reason}; another program or version created that table: rename it and run again",
    "because it is a view": "{reason}; ihc stores its results there: rename it and run again",
    "locked": f"another program has locked it for {BUSY_SECONDS} seconds: close that program and run again",
}


class Sqlite(Transaction):
    """An open transaction on an SQLite file."""

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Return the URL; raises SettingsError for a database in memory."""
        return in_a_file(url)

    @staticmethod
    def file_of(url: sa.URL) -> Path:
        """The file of the database."""
        name = str(url.database)
        return Path(name.removeprefix("file:").split("?")[0] if name.startswith("file:") else name).resolve()

    @staticmethod
    def missing(url: sa.URL) -> str:
        """Why the file does not exist; empty if it does."""
        return no_file(Sqlite.file_of(url), "an SQLite file")

    @staticmethod
    def make_empty(url: sa.URL) -> None:
        """Create the file if it is missing; raises OSError."""
        file = Sqlite.file_of(url)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    @staticmethod
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine whose transactions read one snapshot, or are the only writer."""
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": BUSY_SECONDS})

        # The driver begins a transaction only at the first write, and none around CREATE TABLE; so ihc begins them.
        @sa.event.listens_for(engine, "connect")
        def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
            connection.isolation_level = None

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

        return engine

    @staticmethod
    def driver_errors() -> tuple[type[Exception], ...]:
        """The driver's exceptions."""
        return (sqlite3.Error,)

    @staticmethod
    def reason_of(error: BaseException, _url: sa.URL) -> str:
        """The cause of an error, and what to do."""
        reason = str(error).rstrip(".")
        hint = next((hint for words, hint in HINTS.items() if words in reason), "{reason}")
        return hint.replace("{reason}", reason)

    def read_whole(self, tables: Sequence[str]) -> list[pd.DataFrame]:
        """Read whole tables without conversion."""
        return read_through_arrow(self._file, tables) or super().read_whole(tables)

    def read_last(self, queries: Sequence[sa.Select[Any]]) -> list[pd.DataFrame]:
        """Read many rows by several queries; a transaction that only reads may use it once, as its last step.

        Closing a second driver's connection ends this process's locks on the file, hence the last step.
        """
        dialect, options = self.connection.dialect, {"literal_binds": True}
        texts = [f"({query.compile(dialect=dialect, compile_kwargs=options)})" for query in queries]
        return read_through_arrow(self._file, texts, is_typed=True) or super().read_last(queries)

    @property
    def _file(self) -> Path:
        return self.file_of(self.connection.engine.url)

    def append(self, table: str, frame: pd.DataFrame) -> None:
        """Insert the rows of a frame into a table with the same columns."""
        self.append_each({table: list(frame.columns)}, frame)

    def append_each(self, tables: Mapping[str, Sequence[str]], frame: pd.DataFrame) -> None:
        """Insert the rows of a frame into several tables, each with some of its columns.

        Many rows pass through temporary files, which is twice as fast: while one is inserted, the next is written. They
        are open until the connection is closed; they are deleted at once where the system allows it.
        """
        room = MOST_ATTACHED - len(self.connection.exec_driver_sql("PRAGMA database_list").fetchall())
        if len(frame) < MANY or room < 1:
            self._append_rows(tables, frame)
            return
        size = max(-(-len(frame) // min(MOST_FILES, room)), PART)
        parts = [frame.iloc[start : start + size] for start in range(0, len(frame), size)]
        with TemporaryDirectory(prefix="ihc-", ignore_cleanup_errors=True) as folder, ThreadPoolExecutor(1) as pool:
            files = [Path(folder) / f"{number}.db" for number in range(len(parts))]
            for part, file, is_written in zip(parts, files, pool.map(write_through_arrow, files, parts), strict=True):
                if is_written:
                    self._append_file(tables, file, part)
                else:
                    self._append_rows(tables, part)

    def _append_file(self, tables: Mapping[str, Sequence[str]], file: Path, frame: pd.DataFrame) -> None:
        """Insert the rows of a frame from the file to which they were written."""
        name = f"rows_{token_hex(4)}"
        self.connection.exec_driver_sql(f"ATTACH ? AS {name}", (str(file),))
        written = sa.table("written", *map(sa.column, frame.columns), schema=name)
        for table, columns in tables.items():
            rows = sa.select(*(written.c[column] for column in columns))
            self.connection.execute(insertion(table, columns).from_select(list(columns), rows))

    def _append_rows(self, tables: Mapping[str, Sequence[str]], frame: pd.DataFrame) -> None:
        for table, columns in tables.items():
            self.insert(table, columns, rows_of(frame[list(columns)]))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows in one driver call: several times faster than one dictionary per row."""
        cursor = self.connection.connection.cursor()
        cursor.executemany(str(insertion(table, columns).compile(self.connection)), rows)
        cursor.close()

    def renew(self, table: sa.Table) -> None:
        """Rewrite a table that an earlier version created with row ids, unless others added an index or a trigger."""
        query = sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = :name AND sql IS NOT NULL")
        found = [_one_line(made) for made in self.connection.scalars(query, {"name": table.name})]
        form = _one_line(str(sa.schema.CreateTable(table).compile(self.connection)))
        if not form.endswith(WITHOUT_ROWID) or found != [form.removesuffix(WITHOUT_ROWID)]:
            return
        # Not by renaming, which would change or refuse the views of others.
        self.connection.exec_driver_sql(f"CREATE TEMPORARY TABLE kept AS SELECT * FROM {table.name}")
        table.drop(self.connection, checkfirst=False)
        table.create(self.connection, checkfirst=False)
        keys = ", ".join(table.primary_key.columns.keys())
        self.connection.exec_driver_sql(f"INSERT INTO {table.name} SELECT * FROM kept ORDER BY {keys}")
        self.connection.exec_driver_sql("DROP TABLE kept")

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as text, whatever the type in a row: 7.0 becomes 7, as in `as_text`."""
        whole = sa.cast(column, sa.Integer)
        is_whole = sa.and_(sa.func.typeof(column) == "real", column == whole)
        return sa.cast(sa.case((is_whole, whole), else_=column), sa.Text)

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether `as_text` rejects an id: a BLOB, a fraction, or a float that lost digits."""
        kind = sa.func.typeof(column)
        is_exact = sa.and_(column == sa.cast(column, sa.Integer), sa.func.abs(column) < EXACT)
        return sa.or_(kind == "blob", sa.and_(kind == "real", sa.not_(is_exact)))

    def stored_id(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        """An id for comparison with text. SQLite compares by column type, so the key's index is used."""
        return column


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"--[^\n]*", "", text).split())


def write_through_arrow(file: Path, frame: pd.DataFrame) -> bool:
    """Write the table `written` of a new file with the ADBC driver, without one Python object per value.

    Out: whether it could: the driver is installed, there is room for the file, and all columns are texts or numbers.
    """
    try:
        from adbc_driver_sqlite import dbapi
    except ImportError:
        return False
    try:
        table = arrow_table(frame)
        if not all(any(test(kind) for test in KEPT_BY_ARROW) for kind in table.schema.types):
            return False
        with ExitStack() as stack:
            cursor = _cursor(stack, dbapi.connect(f"file:{quote(str(file))}", autocommit=True))
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.adbc_ingest("written", table)
    except (dbapi.Error, OSError, pa.ArrowException):
        return False
    return True


def read_through_arrow(file: Path, tables: Sequence[str], *, is_typed: bool = False) -> list[pd.DataFrame] | None:
    """Read tables, or queries in brackets, from one snapshot with the ADBC driver, without one Python object per value.

    `is_typed`: the caller gives each column its type, so it may lack any value. Out: the same frames as `read_whole`.
    None if the driver is not installed, if another program is writing, or if a column mixes text, numbers and bytes,
    which SQLite allows and Arrow does not.
    """
    try:
        from adbc_driver_sqlite import dbapi
    except ImportError:
        return None
    uri = f"file:{quote(str(file))}?mode=ro"
    try:
        with ExitStack() as stack:
            watch = _cursor(stack, dbapi.connect(uri, autocommit=True))
            cursors = [_cursor(stack, dbapi.connect(uri)) for _ in range(2 * len(tables))]
            return _read(watch, cursors, tables, is_typed=is_typed)
    except (dbapi.Error, OSError, pa.ArrowException):
        return None


def _cursor(stack: ExitStack, connection: Connection) -> Cursor:
    return stack.enter_context(stack.enter_context(connection).cursor())


def _read(
    watch: Cursor, cursors: Sequence[Cursor], tables: Sequence[str], *, is_typed: bool
) -> list[pd.DataFrame] | None:
    """Read each table and check its text columns in parallel, each on a separate connection."""
    version = _asked(watch, "PRAGMA data_version")
    for cursor, table in zip(cursors, [*tables, *tables], strict=True):
        cursor.execute(f"SELECT * FROM {table}")
    if _asked(watch, "PRAGMA data_version") != version:
        return None  # the connections may see different states
    with ThreadPoolExecutor(2) as pool:
        read = [pool.submit(cursor.fetch_arrow_table) for cursor in cursors[: len(tables)]]
        mixed = [pool.submit(_mixes_kinds, *each) for each in zip(cursors[len(tables) :], tables, strict=True)]
        found = [each.result() for each in read]
        if any(each.result() for each in mixed):
            return None
        if not all(_is_plain(column, is_typed=is_typed) for each in found for column in each):
            return None
    return [_frame(each) for each in found]


def _asked(cursor: Cursor, query: str) -> Any:
    cursor.execute(query)
    return cursor.fetchone()


def _is_plain(column: Any, *, is_typed: bool) -> bool:
    """Whether a column has values, all of them text or numbers that a frame represents exactly.

    Without a value, the type is unknown; floats beyond 2**53 may be rounded whole numbers.
    """
    if len(column) == column.null_count:
        return is_typed
    if pa.types.is_binary(column.type):
        return False
    if pa.types.is_floating(column.type) or (pa.types.is_integer(column.type) and column.null_count):
        ends = pc.min_max(column).as_py()
        return all(abs(end) < EXACT or math.isinf(end) for end in ends.values())
    return True


def _mixes_kinds(cursor: Cursor, table: str) -> bool:
    """Whether a column that starts with text also holds other types.

    SQLite sorts numbers before the empty text and bytes after all text, so a comparison finds them in a third of the
    time of `typeof`.
    """
    described = cursor.description or []
    names = [quoted(name) for name, kind, *_ in described if kind == pa.string()]
    mixed = " OR ".join(f"{name} < '' OR {name} >= x''" for name in names) or "0"
    return bool(_asked(cursor, f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {mixed})")[0])


def _frame(table: Any) -> pd.DataFrame:
    table.validate(full=True)  # text may be invalid UTF-8
    frame: pd.DataFrame = table.to_pandas()
    return frame
