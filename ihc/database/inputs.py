"""Reading the three tables of the shop: all rows, or those that the database chooses by dates and users.

Nothing writes to them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.database.arrow_reading import read_frames
from ihc.database.database import Database, id_text, listed, read, tables_of, unfit_id, where_in
from ihc.database.dialect import Among
from ihc.database.postgres_errors import quoted
from ihc.errors import InputError
from ihc.formatting import some
from ihc.schemas.refunds import REFUND_OF
from ihc.schemas.tables import (
    COLUMNS,
    CONVERSIONS,
    COSTS,
    SESSIONS,
    Tables,
    as_text,
    check_table,
    check_tables,
    check_window,
    columns_of,
)

ANYBODY = (Among("", {}),)  # no list of users


class Selection(NamedTuple):
    """The conversions that are wanted: of these days [YYYY-MM-DD, inclusive] and users; None: of any."""

    start_date: str | None
    end_date: str | None
    users: tuple[str, ...] | None

    @classmethod
    def of(
        cls, start_date: str | date | None, end_date: str | date | None, users: Collection[str] | None
    ) -> Selection | None:
        """Make a selection; None where nothing is left out. Raises InputError for a wrong date."""
        made = cls(*check_window(start_date, end_date), None if users is None else tuple(dict.fromkeys(users)))
        return None if made == (None, None, None) else made


def read_tables(
    database: Database | str | Path,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    users: Collection[str] | None = None,
) -> Tables:
    """Read, check and type the three input tables of a database (path or URL), as of one moment.

    In: `start_date` and `end_date` [YYYY-MM-DD, inclusive] choose conversions by `conv_date`, `users` those of some;
    then sessions are those of users with a chosen conversion, at any date, and costs those of these sessions. The
    database chooses, so no other row is read, nor checked. Without any, all three tables are read whole.

    Out: `sessions, conversions, costs` with the tables' columns, more columns kept.
    Raises DatabaseError if it cannot be read, InputError with all findings if a table is missing or unfit.
    """
    database = database if isinstance(database, Database) else Database(database)
    chosen = Selection.of(start_date, end_date, users)
    with database.transaction() as connection:
        _require_tables(connection, database)
        frames = read_chosen(connection, chosen) if chosen else read_whole(connection, database)
    return check_tables(*frames)


def _require_tables(connection: sa.Connection, database: Database) -> None:
    existing = tables_of(connection)
    if missing := [table for table in COLUMNS if table not in existing]:
        alike = [
            f" {own!r} differs only in case: CREATE VIEW {own.lower()} AS SELECT * FROM {quoted(own)}."
            for own in sorted(existing)
            if own.lower() in missing
        ]
        raise InputError(
            f"Database {database.label} has no table {some(missing)}; the input tables are {', '.join(COLUMNS)}, "
            f"and `ihc init` shows their columns by creating them empty.{''.join(alike)}"
        )


def read_columns(database: Database) -> pd.DataFrame:
    """Read the table of sessions without its rows: the columns that there are.

    Raises DatabaseError, or InputError if a table is missing.
    """
    with database.transaction() as connection:
        _require_tables(connection, database)
        return check_table(SESSIONS, read(connection, f"SELECT * FROM {SESSIONS} WHERE 1 = 0"))


def users_of(database: Database, conv_id: str) -> list[str]:
    """The user of an order, to choose rows by; none where there is no such order.

    Raises DatabaseError, or InputError if a table is missing.
    """
    with database.transaction() as connection:
        _require_tables(connection, database)
        names = names_of(connection)[CONVERSIONS]
        its_id = id_text(connection, CONVERSIONS, names["conv_id"])
        query = f"SELECT {names['user_id']} FROM {CONVERSIONS} WHERE {its_id} = :conv_id"
        found = read(connection, query, {"conv_id": conv_id})
    return as_text(found.iloc[:, 0]).tolist()


def read_conversion_ids(database: Database) -> pd.DataFrame:
    """Read the `conv_id` of all conversions: what there is, to see which stored orders are gone."""
    with database.transaction() as connection:
        name = names_of(connection)[CONVERSIONS]["conv_id"]
        ids = read(connection, f"SELECT {name} FROM {CONVERSIONS}", coerce_float=False)
    return pd.DataFrame({"conv_id": as_text(ids.iloc[:, 0])})


def read_whole(connection: sa.Connection, database: Database) -> list[pd.DataFrame]:
    """Read the three input tables whole, as they are stored."""
    quick = read_frames(database.file, [*COLUMNS]) if database.is_sqlite and database.file else None
    return quick or [read(connection, f"SELECT * FROM {table}", coerce_float=False) for table in COLUMNS]


def names_of(connection: sa.Connection) -> dict[str, dict[str, str]]:
    """SQL for the columns of each input table, as they are written there.

    Raises InputError with all findings where one is missing.
    """
    names: dict[str, dict[str, str]] = {}
    missing = []
    for table in COLUMNS:
        found = read(connection, f"SELECT * FROM {table} WHERE 1 = 0").columns
        try:
            names[table] = {
                name: name if name == own else quoted(own) for name, own in columns_of(table, list(found)).items()
            }
        except InputError as error:
            missing.append(str(error))
    if missing:
        raise InputError("\n".join(missing))
    return names


def read_chosen(connection: sa.Connection, chosen: Selection) -> list[pd.DataFrame]:
    """Read the chosen conversions, all sessions of their users, and what these sessions cost, as they are stored.

    With a chosen refund comes the order that it refunds, of whatever day, as the refund has its journey. Ids are
    compared as texts, for the tables may keep them in columns of different types. Raises InputError where a table lacks
    a column, or has a row, chosen or not, by whose date or id nothing can be chosen.
    """
    names = names_of(connection)
    _check_comparable(connection, chosen, names)
    queries = _queries(connection, chosen, names)
    days = {name: day for name, day in (("start", chosen.start_date), ("end", chosen.end_date)) if day}
    parts = [
        [
            read(connection, query.format(users=users.sql), {**days, **users.given}, coerce_float=False)
            for query in queries
        ]
        for users in (ANYBODY if chosen.users is None else listed(connection, chosen.users))
    ]
    return (
        parts[0] if len(parts) == 1 else [pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True)]
    )


def _check_comparable(connection: sa.Connection, chosen: Selection, names: dict[str, dict[str, str]]) -> None:
    """Refuse ids that are no texts without doubt and, where days are chosen, dates of another form.

    No comparison would find them, so that a choice would leave them out without a word.
    """
    unfit = {
        table: [unfit_id(connection, table, own[name]) for name in own if name.endswith(("_id", REFUND_OF))]
        for table, own in names.items()
    }
    if chosen.start_date or chosen.end_date:
        day = id_text(connection, CONVERSIONS, names[CONVERSIONS]["conv_date"])
        unfit[CONVERSIONS] += [f"{day} NOT LIKE '____-__-__'", f"{day} LIKE '0000-%'"]
    check_tables(*(read(connection, f"SELECT * FROM {table} WHERE {' OR '.join(unfit[table])}") for table in COLUMNS))


def _queries(connection: sa.Connection, chosen: Selection, names: dict[str, dict[str, str]]) -> list[str]:
    """SQL for the chosen rows of each input table, with {users} for a list of users."""
    buyer, user = (id_text(connection, table, names[table]["user_id"]) for table in (CONVERSIONS, SESSIONS))
    session, cost = (id_text(connection, table, names[table]["session_id"]) for table in (SESSIONS, COSTS))
    day = names[CONVERSIONS]["conv_date"]
    conditions = {
        f"{day} >= :start": chosen.start_date,
        f"{day} <= :end": chosen.end_date,
        f"{buyer} IN {{users}}": chosen.users,
    }
    wanted = [condition for condition, value in conditions.items() if value is not None]
    orders = f"{CONVERSIONS} WHERE {' AND '.join(wanted)}"
    visits = where_in(connection, SESSIONS, user, f"SELECT {buyer} AS id FROM {orders}")
    paid = where_in(connection, COSTS, cost, f"SELECT {session} AS id FROM {visits}")
    if REFUND_OF in names[CONVERSIONS]:
        order, refunded = (
            id_text(connection, CONVERSIONS, names[CONVERSIONS][name]) for name in ("conv_id", REFUND_OF)
        )
        is_buyer = "" if chosen.users is None else f"{buyer} IN {{users}} AND "
        orders = f"{orders} OR {is_buyer}{order} IN (SELECT {refunded} FROM {orders} AND {refunded} IS NOT NULL)"
    rows = {SESSIONS: visits, CONVERSIONS: orders, COSTS: paid}
    return [f"SELECT {table}.* FROM {rows[table]}" for table in COLUMNS]
