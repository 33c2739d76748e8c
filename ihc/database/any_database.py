"""Any other database that SQLAlchemy has a dialect for, by what SQLAlchemy offers everywhere.

A transaction that reads sees one moment where the database has REPEATABLE READ, as MySQL and MariaDB have, and one
that writes is SERIALIZABLE where it has that: of two that would spoil each other's work, one waits or is refused.
Elsewhere both are as the database has them by default. Where CREATE TABLE ends a transaction, as in MySQL and MariaDB,
or serves only once it is committed, as in Firebird, tables that were missing stay, empty, when what made them is
undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from itertools import islice
from typing import Any

import pandas as pd
import sqlalchemy as sa

from ihc.database import duckdb_file, mysql
from ihc.database.any_errors import is_view, keeps_few_digits, rounds
from ihc.database.any_errors import reason_of as reason_of
from ihc.database.any_tables import WITH_TEMPORARY, drop_temporary, kind_of, make_temporary, types_of
from ihc.database.any_tables import define as define
from ihc.database.any_tables import id_text as id_text
from ihc.database.any_tables import same_id as same_id
from ihc.database.any_tables import unfit_id as unfit_id
from ihc.database.any_tables import where_in as where_in
from ihc.database.any_values import plain_rows
from ihc.database.dialect import Among, named
from ihc.database.duckdb_file import file_of as file_of
from ihc.database.duckdb_file import missing as missing
from ihc.database.postgres import FRACTIONS, NOBODY
from ihc.database.sqlite import LISTED, kept_as_float, rows_of
from ihc.database.sqlite import tables_of as tables_of
from ihc.errors import DatabaseError, SettingsError
from ihc.schemas.tables import SHARES

ISOLATION = {False: ("REPEATABLE READ", "SERIALIZABLE"), True: ("SERIALIZABLE", "REPEATABLE READ")}  # by is_writing
REFUSES_ALONE = ("oracle",)  # whose SERIALIZABLE refuses a writer that is alone, where a block of an index is split
PACKAGES = {"MySQLdb": "mysqlclient", "mysql": "mysql-connector-python"}  # by the name that they are imported by
AMOUNTS = FRACTIONS | {"revenue"}
DIGITS_OF_SHARES, DIGITS_OF_AMOUNTS = 9, 2  # behind the point, at least
BATCH = 10_000  # rows
LIST = 1000  # ids: the longest list that Oracle takes; SQL Server takes 2,100 values in a statement
# What connects, and what drivers call a column of seven digits or fewer, by dialect.
CONNECTS = dict.fromkeys(mysql.NAMES, mysql.connect) | {duckdb_file.NAME: duckdb_file.connect}
SHORT = dict.fromkeys(mysql.NAMES, mysql.CODE_OF_FLOAT) | {duckdb_file.NAME: "FLOAT"}


@cache  # it is asked for again and again, and an engine is not made for it
def checked(url: sa.URL) -> sa.URL:
    """Give the URL back; raises SettingsError where dialect or driver are not installed, or cannot serve."""
    kind = _installed(url)
    try:
        kind(dbapi=kind.import_dbapi()).create_connect_args(url)  # type: ignore[call-arg]  # as SQLAlchemy does
    except (sa.exc.ArgumentError, ValueError, TypeError):
        raise SettingsError(
            f"The {url.drivername}:// URL of the database cannot be understood by its driver: check what stands behind "
            "the question mark."
        ) from None
    return duckdb_file.checked(url)


def _installed(url: sa.URL) -> type[sa.Dialect]:
    try:
        kind = url.get_dialect()
        if kind.is_async:
            raise SettingsError(
                f"The driver of {url.drivername}:// is one for asyncio, which ihc does not use: name another."
            )
        kind.import_dbapi()
    except sa.exc.NoSuchModuleError:
        raise SettingsError(
            f"SQLAlchemy has no dialect for a database of {url.drivername}://: {_package(url)}, or name an SQLite file "
            "or a postgresql:// URL."
        ) from None
    except ImportError as error:
        package = PACKAGES.get(str(error.name).split(".")[0], error.name or "DRIVER")
        raise SettingsError(
            f"A database of {url.drivername}:// needs its driver ({error}): pip install {package}, or name one that is "
            f"installed in the URL, as {url.get_backend_name()}+DRIVER://."
        ) from None
    return kind


def _package(url: sa.URL) -> str:
    if url.get_backend_name() == duckdb_file.NAME:
        return f"pip install {duckdb_file.PACKAGE}"
    return "install the package that brings it (https://docs.sqlalchemy.org/en/20/dialects lists them)"


def make_empty(url: sa.URL) -> None:
    """Make the file where there is none, if a file it is: others are made by their administrators."""
    file = file_of(url)
    if file and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        make_engine(url, is_writing=True).connect().close()


def driver_errors() -> tuple[type[Exception], ...]:
    """None: SQLAlchemy makes its own errors of those of the driver."""
    return ()


@cache  # SQLAlchemy asks a server several questions before it uses an engine for the first time
def make_engine(url: sa.URL, *, is_writing: bool) -> sa.Engine:
    """An engine of which each transaction reads as of one moment, or is kept apart from others that write."""
    arguments = duckdb_file.arguments(url, is_writing=is_writing)
    engine = sa.create_engine(mysql.in_utf8(url), poolclass=sa.NullPool, connect_args=arguments)

    @sa.event.listens_for(engine, "do_connect")
    def _connect(dialect: sa.Dialect, _record: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        try:
            return CONNECTS.get(dialect.name, _plainly)(dialect, given, named)
        except Exception as error:  # whatever a driver raises, such as that it lacks a package for this server
            raise sa.exc.DBAPIError(None, None, error) from None

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        if engine.dialect.name in mysql.NAMES:
            mysql.by_code_points(connection)
        _isolate(engine.dialect, connection, is_writing)

    @sa.event.listens_for(engine, "handle_error")
    def _handle(context: sa.engine.ExceptionContext) -> Exception | None:
        error = context.original_exception  # a value that the driver cannot write is a TypeError of its own
        is_fault = isinstance(error, Exception) and context.sqlalchemy_exception is None
        return sa.exc.DBAPIError(None, None, error) if is_fault else None

    return engine


def _plainly(dialect: sa.Dialect, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    return dialect.connect(*given, **named)


def _isolate(dialect: sa.Dialect, connection: Any, is_writing: bool) -> None:
    """Set the first level wished for that the database has, if it has one and its dialect can set it."""
    if is_writing and dialect.name in REFUSES_ALONE:
        return
    cannot = (NotImplementedError, AttributeError, dialect.loaded_dbapi.Error)  # what says that it can may not
    with suppress(NotImplementedError):
        levels = dialect.get_isolation_level_values(connection)
        for level in [level for level in ISOLATION[is_writing] if level in levels]:
            with suppress(*cannot):
                dialect.set_isolation_level(connection, level)  # type: ignore[arg-type]  # one of those that it has
                return


def listed(connection: sa.Connection, ids: Sequence[str]) -> Iterator[Among]:
    """What stands behind IN for `ids`: a table where the database has temporary ones, else lists of some of them."""
    if kind_of(connection) in WITH_TEMPORARY:
        make_temporary(connection, "listed", "id")
        insert(connection, "listed", ["id"], ((each,) for each in ids))
        yield LISTED
        drop_temporary(connection, "listed")
        return
    for start in range(0, max(len(ids), 1), LIST):
        given = {f"id{place}": each for place, each in enumerate(ids[start : start + LIST])}
        yield Among(f"({', '.join(f':{name}' for name in given) or 'NULL'})", given)


def fetch(result: sa.CursorResult[Any]) -> tuple[list[str], Sequence[Any]]:
    """The columns and rows of a query, with every value as SQLite would hold it."""
    for name, (_, kind, *_) in zip(result.keys(), result.cursor.description, strict=True):
        if name in AMOUNTS and str(kind) == SHORT.get(result.context.dialect.name):
            raise DatabaseError(keeps_few_digits(name))
    return list(result.keys()), plain_rows(result.fetchall())


def append(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """Add the rows of a frame to a table that has its columns."""
    insert(connection, table, list(frame.columns), rows_of(frame))


def insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows to a table, some at a time: a driver may make one message of them, and a server refuse it."""
    into, rest = sa.insert(sa.table(table, *map(sa.column, columns))), iter(rows)
    while batch := [dict(zip(columns, row, strict=True)) for row in islice(rest, BATCH)]:
        connection.execute(into, batch)


def upsert(connection: sa.Connection, table: str, frame: pd.DataFrame, key: str) -> None:
    """Add the rows of a frame, each in the place of the row with its key, if there is one."""
    into = sa.table(table, *map(sa.column, frame.columns))
    known = set(connection.scalars(sa.select(into.c[key]).where(into.c[key].in_(frame[key].tolist()))))
    is_known = frame[key].isin(known)
    others = [name for name in frame.columns if name != key]
    replaced = ", ".join(f"{name} = ?" for name in others)
    execute(connection, f"UPDATE {table} SET {replaced} WHERE {key} = ?", rows_of(frame.loc[is_known, [*others, key]]))
    append(connection, table, frame[~is_known])


def execute(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement, with a question mark for each value, for each of `rows`."""
    first, *others = statement.split("?")
    named = first + "".join(f":value{place}{text}" for place, text in enumerate(others))
    given = [{f"value{place}": value for place, value in enumerate(row)} for row in rows]
    if given:
        connection.execute(sa.text(named), given)


def check_writable(connection: sa.Connection, table: str, example: Mapping[str, Any]) -> None:
    """Change and delete no row at all, and add one as a run does: what cannot be done raises the driver's error.

    In: an `example` row, of which each column takes what its type does. Raises DatabaseError for a view, and where ids
    would be kept as floating point numbers or credits as whole ones. The row is deleted again, for there are tables
    without transactions.
    """
    if table in sa.inspect(connection).get_view_names():
        raise DatabaseError(is_view(table))
    kinds = types_of(connection, table)
    first = next(iter(example))
    key = named(connection, first)
    execute(connection, f"DELETE FROM {table} WHERE 1 = ?", [(0,)])
    execute(connection, f"UPDATE {table} SET {key} = {key} WHERE 1 = ?", [(0,)])
    row = {name: _taken(table, name, kinds.get(name), value) for name, value in example.items()}
    insert(connection, table, list(row), [tuple(row.values())])
    execute(connection, f"DELETE FROM {table} WHERE {key} = ?", [(row[first],)])


def _rounds(column: str, kind: Any) -> bool:
    """Tell whether a type keeps fewer digits than a share, or an amount, has."""
    digits = getattr(kind, "scale", None)
    is_fixed = digits is not None and digits < (DIGITS_OF_SHARES if column in SHARES else DIGITS_OF_AMOUNTS)
    return is_fixed or isinstance(kind, sa.Integer | sa.REAL)


def _taken(table: str, column: str, kind: Any, value: Any) -> Any:
    """What a column of a type takes for a trial: a key that no row has, in the width of any."""
    if column in ("conv_id", "session_id") and isinstance(kind, sa.Float):
        raise DatabaseError(kept_as_float(table, column))
    if column in FRACTIONS and _rounds(column, kind):
        raise DatabaseError(rounds(table, column))
    if isinstance(kind, sa.Date | sa.DateTime):
        return date(1900, 1, 17)
    return (
        value
        if column in FRACTIONS
        else int(NOBODY)
        if isinstance(kind, sa.Numeric | sa.Float | sa.Integer)
        else NOBODY
    )
