"""PostgreSQL: schemas, one writer at a time, COPY, its types as texts, and what its errors mean.

The driver, psycopg, is an extra, and is loaded where a database is one of PostgreSQL.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from ihc.database.tables import KEPT
from ihc.database.transaction import BUSY_SECONDS, OTHERS_TABLE, Transaction
from ihc.errors import LOCK_LOST, DatabaseError, SettingsError
from ihc.schemas.tables import COLUMNS, EXACT

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa


SCHEMA = "schema"  # in the URL's query; ihc's own
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
TYPES = {2950: sa.Uuid(), 1082: sa.Date(), 1114: sa.DateTime(), 1184: sa.DateTime()}
BATCH = 250_000  # rows
# A value of the wrong type, out of range or too long, no date, or empty where there must be one.
NOT_TAKEN = ("22P02", "22003", "22001", "22007", "22008", "23502")
MISSING = {
    "column": OTHERS_TABLE,
    "relation": "`ihc init` makes the tables that are missing",
    "role": "check the user in IHC_DATABASE, or let the administrator make that role",
    "database": "check its name in IHC_DATABASE, or let the administrator make it",
}


class Postgres(Transaction):
    """An open transaction on a schema of PostgreSQL."""

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Give the URL back, for the driver that there is; raises SettingsError where it is not installed."""
        try:
            import psycopg  # noqa: F401 - is it there?
        except ImportError as error:
            raise SettingsError(
                f"A PostgreSQL database needs the extra postgres ({error}): pip install 'ihc-attribution[postgres]'"
            ) from None
        return url.set(drivername="postgresql")

    @staticmethod
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine of which each transaction reads as of one moment, or is the only one of ihc that writes."""
        return _engine(url, is_writing)

    @staticmethod
    def driver_errors() -> tuple[type[Exception], ...]:
        """What the driver raises."""
        import psycopg

        return (psycopg.Error,)

    @staticmethod
    def reason_of(error: BaseException, url: sa.URL) -> str:
        """What an error means, and what to do."""
        return _reason_of(error, url)

    def tables(self) -> set[str]:
        """The names of the tables and views in the schema, or in all those of the search path."""
        return set(self.connection.scalars(sa.text(TABLES)))

    def append(self, table: str, frame: pd.DataFrame) -> None:
        """Add the rows of a frame to a table that has its columns, by COPY of a CSV: twice as fast as row by row."""
        from pyarrow import csv

        with self._copying(table, list(frame.columns), "(FORMAT csv)") as copy:
            for batch in _without_nothing(frame).to_batches(max_chunksize=BATCH):
                text = BytesIO()
                csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
                copy.write(text.getvalue())

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to a table by COPY."""
        with self._copying(table, columns) as copy:
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def _copying(self, table: str, columns: Sequence[str], how: str = "") -> Iterator[psycopg.Copy]:
        into = f"COPY {table} ({', '.join(map(quoted, columns))}) FROM STDIN {how}"
        with driver_connection(self.connection).cursor() as cursor, cursor.copy(into.encode()) as copy:
            yield copy

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as a text, whatever type the column keeps it in: 7.00 is 7, as `as_text` has it."""
        text = sa.cast(column, sa.Text)
        is_number = self._kind_of(column) in (*FLOATS, NUMERIC)
        return sa.cast(sa.func.trim_scale(sa.cast(text, sa.Numeric)), sa.Text) if is_number else text

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether an id is one that `as_text` refuses: bytes, a fraction, or a float of lost digits."""
        kind = self._kind_of(column)
        if kind == BYTEA:
            return column.is_not(None)
        if kind not in (*FLOATS, NUMERIC):
            return sa.false()
        # Of a NUMERIC, only what is written with a point becomes a float.
        is_float = sa.func.scale(column).is_distinct_from(0) if kind == NUMERIC else sa.true()
        return sa.or_(column != sa.func.trunc(column), sa.and_(sa.func.abs(column) >= EXACT, is_float))

    def _kind_of(self, column: sa.ColumnClause[Any]) -> int:
        """The number of a column's type."""
        described: Any = self.connection.execute(sa.select(column).where(sa.false())).cursor.description
        return int(described[0][1])

    def _types(self, table: str) -> dict[str, Any]:
        # Not by SQLAlchemy's inspector, which needs values of json as the driver itself reads them.
        query = sa.select(sa.text("*")).select_from(sa.table(table)).where(sa.false())
        described: Any = self.connection.execute(query).cursor.description
        return {column.name: TYPES.get(column.type_code) for column in described}


TABLES = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname = ANY (current_schemas(false))
"""


def schema_of(url: sa.URL) -> str | None:
    """The schema in which everything lives; None: what the server's search path names."""
    schema = url.query.get(SCHEMA)
    return schema[-1] if isinstance(schema, tuple) else schema or None


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


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


def _without_nothing(frame: pd.DataFrame) -> pa.Table:
    """A frame as a table of Arrow, in which a column of NULLs alone is one of texts: others cannot be written."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    kinds = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    return table.cast(pa.schema(kinds))


HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = %s
"""


@contextmanager
def run_lock(url: sa.URL, wait: Callable[[str], object]) -> Iterator[psycopg.Connection]:
    """Hold the schema's lock for a run, by a connection of its own; where another has it, `wait` is told who.

    The lock lasts as long as the connection, that is until the last process that holds it has ended. Raises
    DatabaseError at the end where it did not last that long.
    """
    name = f"ihc, process {os.getpid()} on {socket.gethostname()}"
    schema = schema_of(url)
    with plain_engine(url, application_name=name[:63]).connect() as connection:
        lock = driver_connection(connection)
        # It is idle while the run works, and waits as long as another does.
        for setting in ("statement_timeout", "lock_timeout", "idle_session_timeout"):
            lock.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = %s", [setting])
        if schema:
            lock.execute(f"SET search_path = {quoted(schema)}".encode())
        ((key,),) = lock.execute(f"SELECT {lock_key('run')}".encode()).fetchall()
        if not lock.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchall()[0][0]:
            holder = lock.execute(HOLDER, [key]).fetchone()
            wait(f" ({holder[0]})" if holder and holder[0] else "")
            lock.execute("SELECT pg_advisory_lock(%s)", [key])
        yield lock
        _check_held(lock)


def _check_held(lock: psycopg.Connection) -> None:
    try:
        lock.execute("SELECT 1")
    except Postgres.driver_errors():
        raise DatabaseError(LOCK_LOST) from None


def no_schema(schema: str | None, role: str) -> str:
    """What to do where a schema is not there, or may not be used."""
    if schema is None:
        return "The server's search path names no schema that there is: name one by --schema (IHC_SCHEMA)."
    return (
        f"There is no schema {schema!r} that {role} may use: name another by --schema (IHC_SCHEMA), or let its owner "
        f"call CREATE SCHEMA {quoted(schema)}, or GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}."
    )


def _reason_of(error: BaseException, url: sa.URL) -> str:
    """What an error means, and what to do."""
    diagnosis = getattr(error, "diag", None)
    reason = " ".join(str(getattr(diagnosis, "message_primary", None) or error).split())
    details = " ".join(str(getattr(diagnosis, "message_detail", None) or "").split())
    lost = f"the connection was lost ({reason}); the step it was at left nothing behind: run again"
    hints = {
        "because it is a view": f"{reason}; ihc keeps its results there: rename it and run again",
        "cannot copy to view": f"{reason}; ihc keeps its results there: rename it and run again",
        "cannot insert into view": f"{reason}; ihc keeps its results there: rename it and run again",
        "read-only transaction": f"it cannot be written ({reason}): connect to the server that takes writes",
        "lock timeout": f"another program has kept it locked for {BUSY_SECONDS} seconds: end that one and run again",
        "password authentication failed": f"{reason}: check user and password in IHC_DATABASE",
        "no password supplied": f"{reason}: write it in IHC_DATABASE, PGPASSWORD or ~/.pgpass",
        "timeout expired": f"the server does not answer ({reason}): check host and port",
        **dict.fromkeys(("is lost", "is closed", "closed the connection", "terminating connection"), lost),
    }
    if says := _not_taken(diagnosis, reason):
        return says
    if says := _not_granted(reason, url):
        return f"{reason}: {says}"
    if missing := re.search(r"\b(column|relation|role|database) .*does not exist", reason):
        return f"{reason}; {MISSING[missing[1]]}"
    found = next((text for key, text in hints.items() if key in reason), "")
    return found or (f"{reason} ({details.rstrip('.')})" if details else reason)


def _not_taken(diagnosis: Any, reason: str) -> str:
    """Where a table does not take the rows of ihc, as another program made it."""
    place = re.match(r"COPY (\S+), line \d+(?:, column (\w+))?", str(getattr(diagnosis, "context", None) or ""))
    if not place or diagnosis.sqlstate not in NOT_TAKEN:
        return ""
    table, column = place.groups()
    where = f"table {table}" + (f", column {column}" if column else "")
    return f"{reason} ({where}); {OTHERS_TABLE}"


def _not_granted(reason: str, url: sa.URL) -> str:
    """Which GRANT is missing, where one is."""
    role = quoted(url.username) if url.username else "the role"
    denied = re.search(r"permission denied for (table|view|schema|database|relation) (.+)", reason)
    if "temporary tables" in reason:
        return f"GRANT TEMPORARY ON DATABASE {quoted(url.database or '')} TO {role}"
    if not denied:
        return ""
    kind, name = denied.groups()
    if kind == "schema":
        return (
            f"where tables are missing, call `ihc init` as the owner of the schema; else GRANT USAGE ON SCHEMA "
            f"{quoted(name)} TO {role}"
        )
    if kind == "database":
        return f"GRANT CONNECT, TEMPORARY ON DATABASE {quoted(name)} TO {role}"
    if name not in COLUMNS and name not in KEPT:
        return f"the owner of the view that reads it needs the right to: GRANT SELECT ON {quoted(name)} TO that owner"
    place = ".".join(quoted(part) for part in (schema_of(url), name) if part)
    return f"GRANT {'SELECT' if name in COLUMNS else 'SELECT, INSERT, UPDATE, DELETE'} ON {place} TO {role}"
