"""The tables of any other database that SQLAlchemy has a dialect for: how they are made, and how their ids compare.

Databases differ in their types, in how they compare texts, and in what an empty text is to them.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import sqlalchemy as sa

from ihc.database import duckdb_file, mysql, sqlite

KEY_LENGTH = 255  # characters: three such columns in UTF-8 are the longest key that InnoDB takes
NUMBERS: dict[str, Any] = {"INTEGER": sa.Integer, "BIGINT": sa.BigInteger, "DOUBLE PRECISION": sa.DOUBLE_PRECISION}
COLUMN = re.compile(rf"^\s*(\w+)\s+(TEXT|{'|'.join(NUMBERS)})\b(.*)$", re.MULTILINE)
WITH_TEMPORARY = (*mysql.NAMES, duckdb_file.NAME)  # tables that CREATE TEMPORARY TABLE makes within a transaction
CODE_POINTS = {"mssql": "Latin1_General_100_BIN2"}  # the collation that compares by them, where others are the rule
# Texts of any length cannot be compared there, so all have an end [characters] but those that never are.
COMPARED = dict.fromkeys(("oracle", "firebird"), 2000)
NEVER_COMPARED = ("reason", "source", "parameters", "url", "redistribution")
EMPTY_IS_NULL = ("oracle",)  # so a column that may be empty is one that may be NULL
LOOKS_AGAIN = ("firebird",)  # at all rows of `IN (SELECT ...)` for each row, but not at those of a join
USED_ONCE_COMMITTED = ("firebird",)  # a table that was made


def kind_of(connection: sa.Connection) -> str:
    """The kind of a database, as its URL begins: mysql, oracle, ..."""
    return connection.engine.url.get_backend_name()


def define(connection: sa.Connection, statement: str) -> None:
    """Make the table of a statement of the schema file, in the types that this database has.

    Ids and texts of a key are as long as a key may be, and all texts are compared by their code points.
    """
    head, body = statement.split("(", 1)
    keys = re.search(r"PRIMARY KEY \((.*?)\)", body)
    key = keys[1].split(", ") if keys else re.findall(r"^\s*(\w+) .*PRIMARY KEY", body, re.MULTILINE)
    found = COLUMN.findall(body)
    columns = [
        _column(connection, name, kind, is_key=name in key, is_needed="NOT NULL" in rest) for name, kind, rest in found
    ]
    unique = [sa.UniqueConstraint(name) for name, _, rest in found if "UNIQUE" in rest]
    # SQL Server's clustered keys are too short for ours.
    primary = sa.PrimaryKeyConstraint(*key, mssql_clustered=False)
    _table(head.split()[-1], *columns, primary, *unique).create(connection)
    if kind_of(connection) in USED_ONCE_COMMITTED:
        connection.connection.commit()


def make_temporary(connection: sa.Connection, name: str, column: str) -> None:
    """Make a table of one column of texts, its key, that lasts no longer than the connection."""
    key = _column(connection, column, "TEXT", is_key=True, is_needed=True)
    _table(name, key, sa.PrimaryKeyConstraint(column), prefixes=["TEMPORARY"]).create(connection, checkfirst=False)


def drop_temporary(connection: sa.Connection, name: str) -> None:
    """Drop such a table; without the word TEMPORARY that would end a transaction of MySQL."""
    temporary = "TEMPORARY " if kind_of(connection) in mysql.NAMES else ""
    connection.exec_driver_sql(f"DROP {temporary}TABLE {name}")


def _table(name: str, *parts: Any, **options: Any) -> sa.Table:
    # Of the kinds of tables that a server of MySQL can have, the one that knows transactions.
    return sa.Table(name, sa.MetaData(), *parts, mysql_engine="InnoDB", mariadb_engine="InnoDB", **options)


def _column(connection: sa.Connection, name: str, kind: str, *, is_key: bool, is_needed: bool) -> sa.Column[Any]:
    if kind != "TEXT":
        return sa.Column(name, NUMBERS[kind](), nullable=not is_needed, autoincrement=False)
    may_be_null = not is_needed or (kind_of(connection) in EMPTY_IS_NULL and not is_key)
    return sa.Column(name, _text(connection, name, is_key=is_key), nullable=may_be_null)


def _text(connection: sa.Connection, name: str, *, is_key: bool) -> sa.String:
    order = _collation(connection)
    longest = None if name in NEVER_COMPARED else COMPARED.get(kind_of(connection))
    longest = KEY_LENGTH if is_key or name.endswith("_id") else longest
    return sa.Unicode(longest, order) if longest else sa.UnicodeText(collation=order)


def _collation(connection: sa.Connection) -> str | None:
    """By what texts are compared, where a database must be told."""
    return CODE_POINTS.get(kind_of(connection)) or mysql.collation(connection)


def id_text(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id as a text, whatever type the column keeps it in: 7.00 is 7, as `as_text` has it."""
    kind = types_of(connection, table).get(column, sa.Unicode())
    found = sa.table(table, sa.column(column, kind)).c[column]
    # MySQL compares texts as their columns say, and looks up those alone that are short: so it is given others there.
    is_text = isinstance(kind, sa.String) and _collation(connection) is None
    as_text = found if is_text else _as_text(found, kind)
    told = CODE_POINTS.get(kind_of(connection))
    as_text = sa.collate(as_text, told) if told else as_text
    return str(as_text.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))


def unfit_id(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for whether an id is one that `as_text` refuses: a fraction, or a float of lost digits."""
    if not isinstance(types_of(connection, table).get(column), sa.Float):
        return "1 = 0"
    return f"({table}.{column} <> floor({table}.{column}) OR abs({table}.{column}) >= {2**53})"


def same_id(connection: sa.Connection, table: str, column: str) -> str:
    """SQL for an id that is compared with texts; where the column is a text like ihc's own, its index still serves."""
    kind = types_of(connection, table).get(column)
    is_ours = isinstance(kind, sa.String) and kind.collation == _collation(connection)
    return f"{table}.{column}" if is_ours else id_text(connection, table, column)


def where_in(connection: sa.Connection, table: str, its_id: str, query: str) -> str:
    """SQL, as it stands behind FROM, for the rows of a table with an id that is among the `id` of a query."""
    if kind_of(connection) in LOOKS_AGAIN:
        return f"{table} JOIN (SELECT DISTINCT id FROM ({query}) found) wanted ON wanted.id = {its_id}"
    return sqlite.where_in(connection, table, its_id, query)


def _as_text(column: sa.ColumnElement[Any], kind: Any) -> sa.ColumnElement[Any]:
    text = sa.Unicode(KEY_LENGTH)
    as_text = sa.cast(column, text)
    if not isinstance(kind, sa.Numeric | sa.Float) or kind.scale == 0:
        return as_text
    whole = sa.cast(column, sa.BigInteger())
    return sa.case((column == whole, sa.cast(whole, text)), else_=as_text)


def types_of(connection: sa.Connection, table: str) -> dict[str, Any]:
    """The type of each column of a table."""
    with warnings.catch_warnings(action="ignore", category=sa.exc.SAWarning):  # of a type that it does not know
        return {column["name"]: column["type"] for column in sa.inspect(connection).get_columns(table)}
