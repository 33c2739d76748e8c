"""Read the input tables, whole or filtered by date and user. They are never written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.arrays.lookup import isin
from ihc.database.database import Database
from ihc.database.transaction import Transaction, quoted
from ihc.errors import InputError
from ihc.formatting import some
from ihc.schemas.refunds import REFUND_OF
from ihc.schemas.spend import campaign_column, check_shop, spread_spend
from ihc.schemas.tables import (
    CAMPAIGN,
    COLUMNS,
    CONVERSIONS,
    COSTS,
    SESSIONS,
    SPEND,
    Tables,
    as_text,
    check_table,
    check_tables,
    check_window,
    columns_of,
)

EVERY_COLUMN: sa.ColumnElement[Any] = sa.literal_column("*")
Columns = Mapping[str, sa.ColumnClause[Any]]


class Selection(NamedTuple):
    """Filter for conversions: days [YYYY-MM-DD, inclusive] and users; None: no filter.

    `every_order`: also the other conversions of the users with a selected one.
    """

    start_date: str | None
    end_date: str | None
    users: tuple[str, ...] | None
    every_order: bool = False

    @classmethod
    def of(
        cls,
        start_date: str | date | None,
        end_date: str | date | None,
        users: Collection[str] | None,
        *,
        every_order: bool = False,
    ) -> Selection | None:
        """Make a selection; None if nothing is filtered. Raises InputError for an invalid date."""
        window = check_window(start_date, end_date)
        made = cls(*window, None if users is None else tuple(dict.fromkeys(users)), every_order)
        return None if made[:3] == (None, None, None) else made


def read_tables(
    database: Database | str | Path,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    users: Collection[str] | None = None,
    every_order: bool = False,
) -> Tables:
    """Read, check and type the three input tables of a database, and its daily spend, in one transaction.

    Parameters
    ----------
    database : Database, str or Path
        An SQLite file or a database URL.
    start_date, end_date : str or date, optional
        Select conversions by `conv_date` [YYYY-MM-DD, inclusive].
    users : collection of str, optional
        Select the conversions of these users.
    every_order : bool, optional
        Also select the other conversions of the users with a selected conversion.

    Returns
    -------
    Tables
        `sessions`: `session_id, user_id, event_date, event_time, channel_name, holder_engagement, closer_engagement,
        impression_interaction [0/1]`; `conversions`: `conv_id, user_id, conv_date, conv_time, revenue [currency]`,
        optionally `refund_of`; `costs`: `session_id, cost [currency; NaN if empty]`. Other columns are kept. If the
        database has the optional table `channel_costs` (`date, channel_name, cost`, optionally `campaign`), `costs`
        includes this daily spend, with `spend_date, spend_channel, spend_campaign`: shares of sessions, and rows
        without a `session_id` for spend without any session.

    Raises
    ------
    DatabaseError
        If the database cannot be read.
    InputError
        If a table is missing or invalid, with all findings; for an invalid date.

    Notes
    -----
    With a selection, sessions are those of users with a selected conversion, on any date, and costs are those of these
    sessions. The database selects the rows; no other rows are read or checked. Without a selection, all tables are read
    whole. Daily spend is always spread over all sessions of its day; a selection then has the shares of its sessions.

    Examples
    --------
    >>> import ihc
    >>> sessions, conversions, costs = ihc.read_tables("shop.db", start_date="2023-09-01")  # doctest: +SKIP

    """
    database = database if isinstance(database, Database) else Database(database)
    chosen = Selection.of(start_date, end_date, users, every_order=every_order)
    with database.transaction() as opened:
        _require_tables(opened, database)
        spend = _read_spend(opened)
        if chosen and spend is not None:
            return _chosen_with_spend(opened, chosen, spend)
        frames = read_chosen(opened, chosen) if chosen else opened.read_whole([*COLUMNS])
    return check_shop(frames, spend)


def _read_spend(opened: Transaction) -> pd.DataFrame | None:
    """Read the table of daily spend, unconverted; None if there is none, or if it has no rows."""
    names = sorted((name for name in opened.tables() if name.lower() == SPEND), key=lambda name: name != SPEND)
    if not names:
        return None
    spend = opened.read(sa.select(EVERY_COLUMN).select_from(sa.table(names[0])), coerce_float=False)
    return None if spend.empty else spend


def _chosen_with_spend(opened: Transaction, chosen: Selection, spend: pd.DataFrame) -> Tables:
    """Read and check a selection, with its sessions' shares of daily spend."""
    tables = check_tables(*read_chosen(opened, chosen))
    spend = check_table(SPEND, spend)
    costs = spread_spend(*_spend_days(opened, spend), spend)
    return Tables(*tables[:2], costs[isin(costs["session_id"], tables.sessions["session_id"])].reset_index(drop=True))


def _spend_days(opened: Transaction, spend: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what spreads daily spend: the sessions of its days and channels, and the costs of these sessions.

    In: `spend`, checked. Out: `session_id, event_date, channel_name` and the campaign, if recorded; `session_id, cost`.
    """
    columns = columns_in(opened)
    campaign = campaign_column(opened.read(_no_row(SESSIONS)))
    names = {name: columns[SESSIONS][name].name for name in ("session_id", "event_date", "channel_name")}
    names |= {CAMPAIGN: campaign} if campaign else {}
    sessions = sa.table(SESSIONS, *map(sa.column, names.values()))
    key, day, channel = (opened.id_text(sessions.c[names[name]]) for name in list(names)[:3])
    price = columns[COSTS]
    with opened.listed(spend["channel_name"].unique().tolist()) as channels:
        is_wanted = sa.and_(day.between(spend["date"].min(), spend["date"].max()), channel.in_(channels))
        visits = opened.read(sa.select(*sessions.c).where(is_wanted), coerce_float=False)
        is_paid = opened.id_text(price["session_id"]).in_(sa.select(key).where(is_wanted))
        costs = opened.read(sa.select(price["session_id"], price["cost"]).where(is_paid), coerce_float=False)
    visits = visits.set_axis(list(names), axis="columns")
    texts = {name: as_text(visits[name]) for name in list(names)[:3]}
    return visits.assign(**texts), check_table(COSTS, costs)


def _require_tables(opened: Transaction, database: Database) -> None:
    existing = opened.tables()
    if missing := [table for table in COLUMNS if table not in existing]:
        alike = [
            f" {own!r} differs only in upper and lower case: CREATE VIEW {own.lower()} AS SELECT * FROM {quoted(own)}."
            for own in sorted(existing)
            if own.lower() in missing
        ]
        raise InputError(
            f"Database {database.label} has no table {some(missing)}. It needs {', '.join(COLUMNS)}: create missing "
            f"ones empty with `ihc init`, or as views of your own tables.{''.join(alike)}"
        )


def read_columns(database: Database) -> pd.DataFrame:
    """Read the columns of the sessions table, without rows.

    Raises DatabaseError, or InputError if a table is missing.
    """
    with database.transaction() as opened:
        _require_tables(opened, database)
        return check_table(SESSIONS, opened.read(_no_row(SESSIONS)))


def users_of(database: Database, conv_id: str) -> list[str]:
    """The user of an order, as a filter; empty if there is no such order, or if its user is unknown.

    Raises DatabaseError, or InputError if a table is missing.
    """
    with database.transaction() as opened:
        _require_tables(opened, database)
        conversions = columns_in(opened)[CONVERSIONS]
        is_wanted = opened.id_text(conversions["conv_id"]) == conv_id
        found = opened.read(sa.select(conversions["user_id"]).where(is_wanted))
    users = as_text(found.iloc[:, 0]).dropna()
    return users[users.str.strip() != ""].tolist()


def read_conversion_ids(database: Database) -> pd.DataFrame:
    """Read the `conv_id` of all conversions, to find stored conversions that no longer exist."""
    with database.transaction() as opened:
        ids = opened.read(sa.select(columns_in(opened)[CONVERSIONS]["conv_id"]), coerce_float=False)
    return pd.DataFrame({"conv_id": as_text(ids.iloc[:, 0])})


def _no_row(table: str) -> sa.Select[Any]:
    return sa.select(EVERY_COLUMN).select_from(sa.table(table)).where(sa.false())


def columns_in(opened: Transaction) -> dict[str, Columns]:
    """Map ihc's column names to the columns of each input table as spelled there.

    Raises InputError with all findings if one is missing.
    """
    columns: dict[str, Columns] = {}
    missing = []
    for table in COLUMNS:
        found = opened.read(_no_row(table)).columns
        try:
            own = columns_of(table, list(found))
        except InputError as error:
            missing.append(str(error))
            continue
        clause = sa.table(table, *map(sa.column, own.values()))
        columns[table] = {name: clause.columns[written] for name, written in own.items()}
    if missing:
        raise InputError("\n".join(missing))
    return columns


def read_chosen(opened: Transaction, chosen: Selection) -> list[pd.DataFrame]:
    """Read the selected conversions, all sessions of their users, and the costs of these sessions, unconverted.

    A selected refund also selects the order that it refunds, on any day, because it has the order's journey. Ids are
    compared as text, because column types may differ between tables. Raises InputError if a table lacks a column, or
    if any row has a date or id that cannot be compared.
    """
    columns = columns_in(opened)
    _check_comparable(opened, chosen, columns)
    with nullcontext() if chosen.users is None else opened.listed(chosen.users) as users:
        return [opened.read(query, coerce_float=False) for query in _queries(opened, chosen, users, columns)]


def _check_comparable(opened: Transaction, chosen: Selection, columns: Mapping[str, Columns]) -> None:
    """Reject ids that have no unambiguous text form and, with a date filter, dates in another format.

    No comparison would match them, so a filter would silently drop them.
    """
    unfit = {
        table: [opened.unfit_id(own[name]) for name in own if name.endswith(("_id", REFUND_OF))]
        for table, own in columns.items()
    }
    if chosen.start_date or chosen.end_date:
        day = opened.id_text(columns[CONVERSIONS]["conv_date"])
        unfit[CONVERSIONS] += [day.not_like("____-__-__"), day.like("0000-%")]
    wrong = [_rows(columns[table]).where(sa.or_(*unfit[table])) for table in COLUMNS]
    check_tables(*map(opened.read, wrong))


def _queries(
    opened: Transaction, chosen: Selection, users: sa.Select[tuple[str]] | None, columns: Mapping[str, Columns]
) -> list[sa.Select[Any]]:
    """Queries for the selected rows of each input table. In: a query for the selected `users`, if any."""
    sessions, conversions, costs = (columns[table] for table in COLUMNS)
    buyer, user = opened.id_text(conversions["user_id"]), opened.id_text(sessions["user_id"])
    day, untyped = conversions["conv_date"], sa.types.NullType()  # compared in the column's own type
    of_users = [] if users is None else [buyer.in_(users)]
    wanted = [
        *([day >= sa.literal(chosen.start_date, untyped)] if chosen.start_date else []),
        *([day <= sa.literal(chosen.end_date, untyped)] if chosen.end_date else []),
        *of_users,
    ]
    buyers = sa.select(buyer).where(*wanted, sa.func.trim(buyer) != "").correlate(None)
    is_visit = user.in_(buyers)
    is_paid = opened.id_text(costs["session_id"]).in_(sa.select(opened.id_text(sessions["session_id"])).where(is_visit))
    is_chosen = sa.or_(sa.and_(*wanted), buyer.in_(buyers)) if chosen.every_order else sa.and_(*wanted)
    if REFUND_OF in conversions:
        refunded = opened.id_text(conversions[REFUND_OF])
        refunded_ids = sa.select(refunded).where(*wanted, refunded.is_not(None)).correlate(None)
        is_chosen = sa.or_(is_chosen, sa.and_(*of_users, opened.id_text(conversions["conv_id"]).in_(refunded_ids)))
    return [_rows(sessions).where(is_visit), _rows(conversions).where(is_chosen), _rows(costs).where(is_paid)]


def _rows(columns: Columns) -> sa.Select[Any]:
    """A query for a table with all its columns, also those unknown to ihc."""
    table: Any = next(iter(columns.values())).table
    return sa.select(EVERY_COLUMN).select_from(table)
