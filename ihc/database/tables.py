"""Table definitions: input, results, API ledger and history. See fixtures/schema.sql for the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ihc.schemas import tables as shop

METADATA = sa.MetaData()
TEXT, WHOLE, LONG = sa.Text(), sa.Integer(), sa.BigInteger()
REAL: sa.DOUBLE_PRECISION[float] = sa.DOUBLE_PRECISION()
# The latest request has the greatest id, independent of the server's collation.
IN_ORDER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Rows in the order of a long key: half the size and time. Only SQLite needs to be told.
BY_KEY = {"sqlite_with_rowid": False}


@dataclass(frozen=True)
class Run:
    """The settings of a run, as stored with its results."""

    run_id: str
    started_at: str
    engine: str
    parameters: str
    lookback_days: float | None
    start_date: str | None
    end_date: str | None
    version: str
    vanished: int = 0  # stored orders that are no longer in `conversions` and were removed


def _table(name: str, *columns: sa.Column[Any] | sa.UniqueConstraint, **options: Any) -> sa.Table:
    return sa.Table(name, METADATA, *columns, **options)


def _key(name: str, kind: sa.types.TypeEngine[Any] = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _needed(name: str, kind: sa.types.TypeEngine[Any] = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


_table(
    shop.SESSIONS,
    _key("session_id"),
    sa.Column("user_id", TEXT),
    _needed("event_date"),
    _needed("event_time"),
    _needed("channel_name"),
    _needed("holder_engagement", WHOLE),
    _needed("closer_engagement", WHOLE),
    _needed("impression_interaction", WHOLE),
)
_table(
    shop.CONVERSIONS,
    _key("conv_id"),
    sa.Column("user_id", TEXT),
    _needed("conv_date"),
    _needed("conv_time"),
    _needed("revenue", REAL),
)
_table(shop.COSTS, _key("session_id"), sa.Column("cost", REAL))
_table(
    shop.SPEND,
    _needed("date"),
    _needed("channel_name"),
    sa.Column(shop.CAMPAIGN, TEXT),
    sa.Column("cost", REAL),
    sa.Column("impressions", LONG),
    sa.Column("clicks", LONG),
)

CREDIT_TABLE = _table(
    "attribution_customer_journey", _key("conv_id"), _key("session_id"), _needed("ihc", REAL), **BY_KEY
)
REPORTING_TABLE = _table(
    "channel_reporting",
    _key("channel_name"),
    _key("date"),
    _needed("cost", REAL),
    _needed("ihc", REAL),
    _needed("ihc_revenue", REAL),
)
PHASE_TABLE = _table(
    "attribution_phases",
    _key("conv_id"),
    _key("session_id"),
    *(_needed(phase, REAL) for phase in shop.PHASES),
    **BY_KEY,
)
RUN_TABLE = _table(
    "attribution_runs",
    _key("run_id"),
    _needed("started_at"),
    _needed("engine"),
    _needed("parameters"),
    sa.Column("lookback_days", REAL),
    sa.Column("start_date", TEXT),
    sa.Column("end_date", TEXT),
    _needed("version"),
    _needed("vanished", WHOLE),
)
OUTCOME_TABLE = _table(
    "attribution_outcomes", _key("conv_id"), _needed("run_id"), _needed("outcome"), _needed("reason"), **BY_KEY
)

REPORT_RUNS = _table(
    "report_runs",
    _key("number", WHOLE),
    sa.Column("run_id", TEXT, nullable=False, unique=True),
    _needed("recorded_at"),
    _needed("engine"),
    _needed("parameters"),
    sa.Column("lookback_days", REAL),
    sa.Column("start_date", TEXT),
    sa.Column("end_date", TEXT),
    _needed("version"),
    _needed("orders", WHOLE),
    _needed("ihc", REAL),
    _needed("ihc_revenue", REAL),
    _needed("cost", REAL),
)
HISTORY_ORDERS = _table(
    "history_orders",
    _key("version", WHOLE),
    _needed("conv_id"),
    _needed("revenue", REAL),
    _needed("sessions", LONG),
    _needed("source"),
    _needed("first_run", WHOLE),
    sa.Column("last_run", WHOLE),
    sa.Column("credits", LONG),
)
HISTORY_CREDITS = _table(
    "history_credits", _key("version", WHOLE), _key("channel_name"), _key("date"), _needed("ihc", REAL), **BY_KEY
)
HISTORY_COSTS = _table(
    "history_costs",
    _key("channel_name"),
    _key("date"),
    _needed("cost", REAL),
    _key("first_run", WHOLE),
    sa.Column("last_run", WHOLE),
)

API_REQUESTS = _table(
    "api_requests",
    _key("request_id", IN_ORDER),
    _needed("run_id"),
    _needed("account"),
    _needed("url"),
    _needed("conv_type_id"),
    _needed("redistribution"),
    _needed("conversions", WHOLE),
    _needed("sessions", WHOLE),
    _needed("sent_at"),
    sa.Column("ended_at", TEXT),
    sa.Column("calls", WHOLE),
    sa.Column("outcome", TEXT),
)
API_REFRESHES = _table("api_refreshes", _key("account"), _key("began_at"), sa.Column("ended_at", TEXT))
API_LEDGER = _table(
    "api_ledger",
    _key("request_id", IN_ORDER),
    _key("conv_id"),
    _needed("fingerprint"),
    _needed("outcome"),
    _needed("reason"),
)
API_ANSWERS = _table(
    "api_answers",
    _key("request_id", IN_ORDER),
    _key("conv_id"),
    _key("session_id"),
    *(_needed(share, REAL) for share in shop.SHARES),
    **BY_KEY,
)


def _columns(*tables: sa.Table) -> dict[str, tuple[str, ...]]:
    return {table.name: tuple(table.columns.keys()) for table in tables}


# ihc's own tables by name, with their columns.
RESULTS = _columns(CREDIT_TABLE, REPORTING_TABLE, PHASE_TABLE, RUN_TABLE, OUTCOME_TABLE)
LEDGER = _columns(API_REQUESTS, API_REFRESHES, API_LEDGER, API_ANSWERS)
HISTORY = _columns(REPORT_RUNS, HISTORY_ORDERS, HISTORY_CREDITS, HISTORY_COSTS)
KEPT = RESULTS | LEDGER | HISTORY
