"""PostgreSQL: schemas, single writer, COPY, types read as text, and error messages.

The driver psycopg is an optional extra and is imported only for a PostgreSQL database.
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
from ihc.database.transaction import BUSY_SECONDS, OTHERS_TABLE, Transaction, arrow_table, quoted
from ihc.errors import LOCK_LOST, DatabaseError, SettingsError
from ihc.schemas.tables import EXACT, WITH_SPEND

if TYPE_CHECKING:
    import psycopg


SCHEMA = "schema"  # parameter in the URL's query, specific to ihc
ENCODING = "client_encoding"  # always utf8, overrides the URL, PGCLIENTENCODING and the database
# Seconds until a wrong host is abandoned and a dead one is noticed; a URL may override them.
PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# Types read as text, as in SQLite: 2023-09-01, 13:05:59, and so on.
AS_TEXT = (
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    *("uuid", "json", "jsonb", "inet", "cidr"),
)
FLOATS = (700, 701)  # type OIDs of real and double precision
NUMERIC, BYTEA = 1700, 17
TYPES = {2950: sa.Uuid(), 1082: sa.Date(), 1114: sa.DateTime(), 1184: sa.DateTime()}
BATCH = 250_000  # rows
# SQLSTATE: wrong type, out of range, too long, invalid date, or NULL in a NOT NULL column.
NOT_TAKEN = ("22P02", "22003", "22001", "22007", "22008", "23502")
MISSING = {
    "column": OTHERS_TABLE,
    "relation": "`ihc init` creates missing tables",
    "role": "check the user in IHC_DATABASE, or ask the administrator to create that role",
    "database": "check its name in IHC_DATABASE, or ask the administrator to create it",
}


class Postgres(Transaction):
    """An open transaction on a PostgreSQL schema."""

    @staticmethod
    def checked(url: sa.URL) -> sa.URL:
        """Return the URL for psycopg; raises SettingsError if it is not installed."""
        try:
            import psycopg  # noqa: F401 - is it installed?
        except ImportError as error:
            raise SettingsError(
                f"A PostgreSQL database needs the extra postgres ({error}): pip install 'ihc-attribution[postgres]'"
            ) from None
        return url.set(drivername="postgresql")

    @staticmethod
    @cache  # SQLAlchemy sends a server several queries before the first use of an engine
    def engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
        """An engine whose transactions read one snapshot, or are the only writer among ihc's."""
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

    @staticmethod
    def driver_errors() -> tuple[type[Exception], ...]:
        """The driver's exceptions."""
        import psycopg

        return (psycopg.Error,)

    @staticmethod
    def reason_of(error: BaseException, url: sa.URL) -> str:
        """The cause of an error, and what to do."""
        diagnosis = getattr(error, "diag", None)
        reason = " ".join(str(getattr(diagnosis, "message_primary", None) or error).split())
        details = " ".join(str(getattr(diagnosis, "message_detail", None) or "").split())
        lost = f"the connection was lost ({reason}), and the current step was rolled back: run again"
        hints = {
            "because it is a view": f"{reason}; ihc stores its results there: rename it and run again",
            "cannot copy to view": f"{reason}; ihc stores its results there: rename it and run again",
            "cannot insert into view": f"{reason}; ihc stores its results there: rename it and run again",
            "read-only transaction": f"it cannot be written ({reason}): connect to the primary server",
            "lock timeout": f"another program has locked it for {BUSY_SECONDS} seconds: end that program and run again",
            "password authentication failed": f"{reason}: check user and password in IHC_DATABASE",
            "no password supplied": f"{reason}: set it in IHC_DATABASE, PGPASSWORD or ~/.pgpass",
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

    def tables(self) -> set[str]:
        """The names of the tables and views in the schema, or in all schemas of the search path."""
        return set(self.connection.scalars(sa.text(TABLES)))

    def append(self, table: str, frame: pd.DataFrame) -> None:
        """Insert the rows of a frame with COPY from CSV: twice as fast as row by row."""
        from pyarrow import csv

        with self._copying(table, list(frame.columns), "(FORMAT csv)") as copy:
            for batch in arrow_table(frame).to_batches(max_chunksize=BATCH):
                text = BytesIO()
                csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
                copy.write(text.getvalue())

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows with COPY."""
        with self._copying(table, columns) as copy:
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def _copying(self, table: str, columns: Sequence[str], how: str = "") -> Iterator[psycopg.Copy]:
        into = f"COPY {table} ({', '.join(map(quoted, columns))}) FROM STDIN {how}"
        with driver_connection(self.connection).cursor() as cursor, cursor.copy(into.encode()) as copy:
            yield copy

    def id_text(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """An id as text, whatever the column type: 7.00 becomes 7, as in `as_text`."""
        text = sa.cast(column, sa.Text)
        is_number = self._kind_of(column) in (*FLOATS, NUMERIC)
        return sa.cast(sa.func.trim_scale(sa.cast(text, sa.Numeric)), sa.Text) if is_number else text

    def unfit_id(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[bool]:
        """Whether `as_text` rejects an id: bytes, a fraction, or a float that lost digits."""
        kind = self._kind_of(column)
        if kind == BYTEA:
            return column.is_not(None)
        if kind not in (*FLOATS, NUMERIC):
            return sa.false()
        # Only a NUMERIC with a decimal point becomes a float.
        is_float = sa.func.scale(column).is_distinct_from(0) if kind == NUMERIC else sa.true()
        return sa.or_(column != sa.func.trunc(column), sa.and_(sa.func.abs(column) >= EXACT, is_float))

    def _kind_of(self, column: sa.ColumnClause[Any]) -> int:
        """The OID of a column's type."""
        described: Any = self.connection.execute(sa.select(column).where(sa.false())).cursor.description
        return int(described[0][1])

    def _types(self, table: str) -> dict[str, Any]:
        # SQLAlchemy's inspector does not work here: it needs json values as the driver reads them by default.
        query = sa.select(sa.text("*")).select_from(sa.table(table)).where(sa.false())
        described: Any = self.connection.execute(query).cursor.description
        return {column.name: TYPES.get(column.type_code) for column in described}


TABLES = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname = ANY (current_schemas(false))
"""


def schema_of(url: sa.URL) -> str | None:
    """The schema in the URL; None: the server's search path is used."""
    schema = url.query.get(SCHEMA)
    return schema[-1] if isinstance(schema, tuple) else schema or None


def plain_engine(url: sa.URL, **options: Any) -> sa.Engine:
    """An engine without transactions. In: libpq `options`, which override those of the URL."""
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
        connection.autocommit = True  # ihc begins transactions itself, with several statements at once
        connection.prepare_threshold = None
        for name, loader in _loaders().items():
            connection.adapters.register_loader(name, loader)

    return engine


def driver_connection(connection: sa.Connection) -> psycopg.Connection:
    """The driver's own connection."""
    found: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return found


def _begin(schema: str | None, *, is_writing: bool) -> str:
    """The statements that begin a transaction, as one batch; the last row is the schema, or NULL.

    A writer waits for the previous writer, as in SQLite, and must then see its changes: hence READ COMMITTED.
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
    """SQL for the key of an advisory lock on the schema. Advisory locks are separate per database.

    The schema is the one that contains ihc's tables, which in a search path may not be the role's own.
    """
    return f"hashtextextended('ihc {purpose} ' || coalesce(({OURS}), current_schema(), ''), 0)"


@cache
def _loaders() -> dict[str, Any]:
    """Loaders that read values so that a frame equals the one from SQLite."""
    from psycopg.adapt import Loader
    from psycopg.types.string import TextLoader

    class Number(Loader):
        """Keeps whole numbers exact, as ids need it; other numbers become correctly rounded floats."""

        def load(self, data: Any) -> int | float:
            text = bytes(data)
            return int(text) if text.lstrip(b"-").isdigit() else float(text)

    class Flag(Loader):
        def load(self, data: Any) -> int:
            return int(bytes(data) == b"t")

    class Padded(Loader):
        """Strips the padding of `char(n)`."""

        def load(self, data: Any) -> str:
            return bytes(data).decode().rstrip(" ")

    return {"numeric": Number, "bool": Flag, "bpchar": Padded} | dict.fromkeys(AS_TEXT, TextLoader)


HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = %s
"""


@contextmanager
def run_lock(url: sa.URL, wait: Callable[[str], object]) -> Iterator[psycopg.Connection]:
    """Hold the schema's run lock on a separate connection; if another run holds it, `wait` is called with its name.

    The lock lasts as long as the connection: until the last process that has it open has ended. Raises DatabaseError
    at the end if the connection was lost.
    """
    name = f"ihc, process {os.getpid()} on {socket.gethostname()}"
    schema = schema_of(url)
    with plain_engine(url, application_name=name[:63]).connect() as connection:
        lock = driver_connection(connection)
        # The connection is idle during the run, and waits as long as another run takes.
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
    """The message for a schema that does not exist or may not be used."""
    if schema is None:
        return "No schema in the server's search path exists: set --schema (IHC_SCHEMA)."
    return (
        f"Schema {schema!r} does not exist, or {role} may not use it: set another --schema (IHC_SCHEMA), or have its "
        f"owner run CREATE SCHEMA {quoted(schema)} or GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}."
    )


def _not_taken(diagnosis: Any, reason: str) -> str:
    """The message for a result table that another program created and that rejects ihc's rows; else empty."""
    place = re.match(r"COPY (\S+), line \d+(?:, column (\w+))?", str(getattr(diagnosis, "context", None) or ""))
    if not place or diagnosis.sqlstate not in NOT_TAKEN:
        return ""
    table, column = place.groups()
    where = f"table {table}" + (f", column {column}" if column else "")
    return f"{reason} ({where}); {OTHERS_TABLE}"


def _not_granted(reason: str, url: sa.URL) -> str:
    """The missing GRANT; empty if none is missing."""
    role = quoted(url.username) if url.username else "the role"
    denied = re.search(r"permission denied for (table|view|schema|database|relation) (.+)", reason)
    if "temporary tables" in reason:
        return f"GRANT TEMPORARY ON DATABASE {quoted(url.database or '')} TO {role}"
    if "must be owner of" in reason:  # of a table that an earlier version created
        return "run `ihc init` as its owner"
    if not denied:
        return ""
    kind, name = denied.groups()
    if kind == "schema":
        return (
            f"if tables are missing, run `ihc init` as the owner of the schema; otherwise GRANT USAGE ON SCHEMA "
            f"{quoted(name)} TO {role}"
        )
    if kind == "database":
        return f"GRANT CONNECT, TEMPORARY ON DATABASE {quoted(name)} TO {role}"
    if name not in WITH_SPEND and name not in KEPT:
        return f"the owner of the view that reads it lacks a permission: GRANT SELECT ON {quoted(name)} TO that owner"
    place = ".".join(quoted(part) for part in (schema_of(url), name) if part)
    return f"GRANT {'SELECT' if name in WITH_SPEND else 'SELECT, INSERT, UPDATE, DELETE'} ON {place} TO {role}"
