"""What is particular to PostgreSQL: schemas, one writer at a time, COPY, its types as texts, and what its errors mean.

The driver, psycopg, is an extra, and is loaded where a database is one of PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from ihc.database.dialect import Among
from ihc.database.postgres_errors import SCHEMA as SCHEMA
from ihc.database.postgres_errors import no_schema, quoted
from ihc.database.postgres_errors import reason_of as reason_of
from ihc.database.postgres_errors import schema_of as schema_of
from ihc.database.sqlite import BUSY_SECONDS, in_table, kept_as_float
from ihc.database.sqlite import fetch as fetch
from ihc.database.sqlite import where_in as where_in
from ihc.errors import DatabaseError, SettingsError
from ihc.schemas.tables import PHASES

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa


ENCODING = "client_encoding"  # ours is utf8, whatever the URL, PGCLIENTENCODING or the database says
# A wrong host is given up, and a dead one noticed, in so many seconds; a URL may say otherwise.
PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# Read as the texts that an SQLite shop holds: 2023-09-01, 13:05:59, and so on.
AS_TEXT = (
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    *("uuid", "json", "jsonb", "inet", "cidr"),
)
FLOATS = (700, 701)  # the numbers of the types real and double precision
NUMERIC, BYTEA = 1700, 17
# What a row that is added to try it holds: a key that no row has, a text or a number of any width, in uuid, date, ...
FRACTIONS, FRACTION, NOBODY = {*PHASES, "ihc", "ihc_revenue", "cost"}, "0.5", "-17"
EXAMPLES = {2950: "00000000-0000-0000-0000-000000000017"} | dict.fromkeys((1082, 1114, 1184), "1900-01-17")
BATCH = 250_000  # rows


def checked(url: sa.URL) -> sa.URL:
    """Give the URL back, for the driver that there is; raises SettingsError where it is not installed."""
    try:
        import psycopg  # noqa: F401 - is it there?
    except ImportError as error:
        raise SettingsError(
            f"A PostgreSQL database needs the extra postgres ({error}): pip install 'ihc-attribution[postgres]'"
        ) from None
    return url.set(drivername="postgresql")


def file_of(_url: sa.URL) -> Path | None:
    """There is no file."""
    return None


def missing(_url: sa.URL) -> str:
    """The server says what is missing, when it is asked."""
    return ""


def make_empty(_url: sa.URL) -> None:
    """A database and its schema are made by their administrator."""


def make_engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
    """An engine of which each transaction reads as of one moment, or is the only one of ihc that writes."""
    return _engine(url, is_writing)


@cache  # SQLAlchemy asks a server several questions before it uses an engine for the first time
def _engine(url: sa.URL, is_writing: bool) -> sa.Engine:
    engine = plain_engine(url)
    begin = _begin(schema_of(url), is_writing=is_writing)

    @sa.event.listens_for(engine, "begin")
    def _begin_as_one_batch(connection: sa.Connection) -> None:
        cursor = driver_connection(connection).execute(begin.encode())
        while cursor.nextset():
            pass
        (schema,) = cursor.fetchone() or (None,)
        if schema is None:
            raise DatabaseError(no_schema(schema_of(url), url.username or "the role"))

    return engine


def plain_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """An engine without transactions. In: `options` of libpq, which go before those of the URL."""
    plain = url.difference_update_query([SCHEMA, ENCODING]).set(drivername="postgresql+psycopg")
    given = {name: value for name, value in PATIENCE.items() if name not in url.query}
    named = {} if "application_name" in url.query else {"application_name": "ihc"}
    engine = sa.create_engine(
        plain,
        poolclass=sa.NullPool,
        pool_reset_on_return=None,
        connect_args=given | named | options | {ENCODING: "utf8"},
        use_native_hstore=False,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: psycopg.Connection, _record: Any) -> None:
        connection.autocommit = True  # ihc begins its transactions itself, several statements at once
        connection.prepare_threshold = None
        for name, loader in _loaders().items():
            connection.adapters.register_loader(name, loader)

    return engine


def driver_connection(connection: sa.Connection) -> psycopg.Connection:
    """The driver's own connection."""
    found: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return found


def _begin(schema: str | None, *, is_writing: bool) -> str:
    """How a transaction begins, as one batch; its last row is the schema, NULL where there is none.

    A writing one waits for the one before, as in SQLite, and then sees what that wrote: hence READ COMMITTED.
    """
    statements = [f"BEGIN ISOLATION LEVEL {'READ COMMITTED' if is_writing else 'REPEATABLE READ'}"]
    statements += [f"SET LOCAL search_path = {quoted(schema)}"] if schema else []
    statements += ["SET LOCAL datestyle = 'ISO'", "SET LOCAL timezone = 'UTC'", "SET LOCAL extra_float_digits = 1"]
    if is_writing:
        statements.append(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        statements.append(f"SELECT pg_advisory_xact_lock({lock_key('writes')})")
    return "; ".join([*statements, "SELECT current_schema()"])


OURS = (
    "SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE pg_class.oid = to_regclass('channel_reporting')"
)


def lock_key(purpose: str) -> str:
    """SQL for the number of an advisory lock on the schema; the server keeps those of its databases apart.

    The schema is the one that has our tables: along a search path it may be another than the role's own.
    """
    return f"hashtextextended('ihc {purpose} ' || coalesce(({OURS}), current_schema(), ''), 0)"


@cache
def _loaders() -> dict[str, Any]:
    """How values are read so that a frame is the same as from SQLite."""
    from psycopg.adapt import Loader
    from psycopg.types.string import TextLoader

    class Number(Loader):
        """Whole numbers stay exact, as ids must; others become floats, correctly rounded."""

        def load(self, data: Any) -> int | float:
            text = bytes(data)
            return int(text) if text.lstrip(b"-").isdigit() else float(text)

    class Flag(Loader):
        def load(self, data: Any) -> int:
            return int(bytes(data) == b"t")

    class Padded(Loader):
        """The blanks that fill up a `char(n)` mean nothing."""

        def load(self, data: Any) -> str:
            return bytes(data).decode().rstrip(" ")

    return {"numeric": Number, "bool": Flag, "bpchar": Padded} | dict.fromkeys(AS_TEXT, TextLoader)


def driver_errors() -> tuple[type[Exception], ...]:
    """What the driver raises."""
    import psycopg

    return (psycopg.Error,)


def tables_of(connection: sa.Connection) -> set[str]:
    """The names of the tables and views in the schema, or in all those of the search path."""
    found = connection.exec_driver_sql(
        "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname = ANY (current_schemas(false))"
    )
    return {str(name) for (name,) in found}


def define(connection: sa.Connection, statement: str) -> None:
    """Execute a statement of the schema file, as PostgreSQL takes it.

    The latest request is the one with the greatest id, in whatever order a server sorts texts.
    """
    ordered = re.sub(r"^(\s*request_id\s+TEXT)\b", r'\1 COLLATE "C"', statement, flags=re.MULTILINE)
    connection.exec_driver_sql(ordered.replace("WITHOUT ROWID", ""))


def listed(connection: sa.Connection, ids: Sequence[str]) -> Iterator[Among]:
    """What stands behind IN for `ids`: a table that lasts no longer than the connection."""
    return in_table(connection, ids, append)


def id_text(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id as a text, whatever type the column keeps it in: 7.00 is 7, as `as_text` has it."""
    text = f"CAST({table}.{column} AS TEXT)"
    is_number = _kind_of(connection, table, column) in (*FLOATS, NUMERIC)
    return f"CAST(trim_scale(CAST({text} AS NUMERIC)) AS TEXT)" if is_number else text


def unfit_id(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for whether an id is one that `as_text` refuses: bytes, a fraction, or a float of lost digits."""
    kind = _kind_of(connection, table, column)
    column = f"{table}.{column}"
    if kind == BYTEA:
        return f"{column} IS NOT NULL"
    if kind not in (*FLOATS, NUMERIC):
        return "false"
    # Of a NUMERIC, only what is written with a point becomes a float.
    is_float = f"scale({column}) IS DISTINCT FROM 0" if kind == NUMERIC else "true"
    return f"({column} <> trunc({column}) OR (abs({column}) >= {2**53} AND {is_float}))"


def _kind_of(connection: sa.Connection, table: str, column: str) -> int:
    """The number of a column's type."""
    query = f"SELECT {column} FROM {table} WHERE false"
    ((_, kind, *_),) = driver_connection(connection).execute(query.encode()).description or []
    return int(kind)


def same_id(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id that is compared with texts; where the column is a text, its index still serves."""
    return id_text(connection, table, column)


def append(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """Add the rows of a frame to a table that has its columns, by COPY out of a CSV: twice as fast as row by row."""
    from pyarrow import csv

    into = f"COPY {table} ({', '.join(frame.columns)}) FROM STDIN (FORMAT csv)"
    with driver_connection(connection).cursor() as cursor, cursor.copy(into.encode()) as copy:
        for batch in _without_nothing(frame).to_batches(max_chunksize=BATCH):
            text = BytesIO()
            csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
            copy.write(text.getvalue())


def _without_nothing(frame: pd.DataFrame) -> pa.Table:
    """A frame as a table of Arrow, in which a column of NULLs alone is one of texts: others cannot be written."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    kinds = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    return table.cast(pa.schema(kinds))


def insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows to a table by COPY."""
    into = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with driver_connection(connection).cursor() as cursor, cursor.copy(into.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def upsert(connection: sa.Connection, table: str, frame: pd.DataFrame, key: str) -> None:
    """Add the rows of a frame, each in the place of the row with its key, if there is one."""
    columns = ", ".join(frame.columns)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in frame.columns if name != key)
    connection.exec_driver_sql(f"CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT {columns} FROM {table} WHERE false")
    append(connection, "staged", frame)
    connection.exec_driver_sql(
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM staged ON CONFLICT ({key}) DO UPDATE SET {replaced}"
    )
    connection.exec_driver_sql("DROP TABLE staged")


def execute(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement, with a question mark for each value, for each of `rows`, by the driver itself."""
    with driver_connection(connection).cursor() as cursor:
        cursor.executemany(statement.replace("?", "%s").encode(), rows)


def check_writable(connection: sa.Connection, table: str, example: Mapping[str, Any]) -> None:
    """Change and delete no row at all, and add one as a run does: what cannot be done raises the driver's error.

    In: an `example` row, of which only the columns count: each type takes an example of its own. Raises DatabaseError
    where ids would be kept as floating point numbers.
    """
    names = list(example)
    columns, none = ", ".join(names), f"FROM {table} WHERE false"
    connection.exec_driver_sql(f"DELETE {none}")
    connection.exec_driver_sql(f"UPDATE {table} SET {names[0]} = {names[0]} WHERE false")
    described = driver_connection(connection).execute(f"SELECT {columns} {none}".encode()).description or []
    for column in described:
        if column.name in ("conv_id", "session_id") and column.type_code in FLOATS:
            raise DatabaseError(kept_as_float(table, column.name))
    values = [FRACTION if column.name in FRACTIONS else EXAMPLES.get(column.type_code, NOBODY) for column in described]
    insert(connection, table, names, [tuple(values)])
