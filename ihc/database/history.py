"""Run history: store the state of each run, so that later runs can be compared with it.

Only changes are stored. A row is valid from `first_run` to `last_run`, both inclusive; NULL: still valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ihc.database.database import Database
from ihc.database.tables import HISTORY_COSTS, HISTORY_CREDITS, HISTORY_ORDERS, REPORT_RUNS, Run
from ihc.database.transaction import Transaction
from ihc.errors import InputError
from ihc.schemas.tables import Window

PLACE = ["channel_name", "date"]
ORDERS, COSTS = HISTORY_ORDERS.c, HISTORY_COSTS.c


class State(NamedTuple):
    """The data behind a report, for all days.

    `orders`: `conv_id, revenue [currency], sessions [fingerprint of the journey's sessions], source [engine, parameters
    and lookback]`, including refunds; `credits`: `conv_id, channel_name, date [the sessions'], ihc [share; no zeros]`;
    `costs`: `channel_name, date, cost [currency; no zeros]`.
    """

    orders: pd.DataFrame
    credits: pd.DataFrame
    costs: pd.DataFrame


class RowChanges(NamedTuple):
    """The difference between two states.

    `closed_orders` [conv_id] and `closed_costs` (`channel_name, date`) are no longer valid; `opened` is new.
    """

    closed_orders: pd.Series[str]
    closed_costs: pd.DataFrame
    opened: State


@dataclass(frozen=True)
class RecordedRun:
    """A recorded run with the totals of its report.

    `orders [count; with credit on these dates], ihc [orders], ihc_revenue, cost [currency]`.
    """

    number: int
    run_id: str
    recorded_at: str
    engine: str
    parameters: str
    lookback_days: float | None
    start_date: str | None
    end_date: str | None
    version: str
    orders: int
    ihc: float
    ihc_revenue: float
    cost: float

    @property
    def window(self) -> Window:
        """First and last day of the report; None: unbounded."""
        return self.start_date, self.end_date


def record(
    database: Database, run: Run, totals: Mapping[str, Any], changes: Callable[[State], RowChanges]
) -> RecordedRun:
    """Record the state of a run in one transaction; only differences from the previous run are written.

    Recording a run again replaces its record. If later runs are recorded, it is added after them as
    `<run id>.<number>`. In: the run, its totals over its dates, and a function from the previous state to the changes.
    Raises DatabaseError if it cannot be stored.
    """
    with database.transaction(is_writing=True) as opened:
        number, run_id = _record_key(opened, run.run_id)
        orders, before = _read(opened, number - 1)
        _store(opened, changes(before), orders.set_index("conv_id")["version"], number)
        recorded = noted(replace(run, run_id=run_id), totals, number, run.started_at)
        opened.append(REPORT_RUNS.name, pd.DataFrame([asdict(recorded)]))
    return recorded


def noted(run: Run, totals: Mapping[str, Any], number: int, recorded_at: str) -> RecordedRun:
    """The record of a run with its totals."""
    known = {each.name: getattr(run, each.name) for each in fields(RecordedRun) if hasattr(run, each.name)}
    return RecordedRun(number=number, recorded_at=recorded_at, **known, **totals)


def _record_key(opened: Transaction, run_id: str) -> tuple[int, str]:
    """The number and id for a run's record. A last record of the same run is undone."""
    names = opened.connection.execute(sa.select(REPORT_RUNS.c.run_id, REPORT_RUNS.c.number))
    numbers = {str(name): int(number) for name, number in names}
    last = max(numbers.values(), default=0)
    for name in (run_id, f"{run_id}.{last}"):
        if numbers.get(name) == last:
            _undo(opened.connection, last)
            return last, name
    return last + 1, f"{run_id}.{last + 1}" if run_id in numbers else run_id


def _undo(connection: sa.Connection, number: int) -> None:
    """Undo the record of the last run: delete the rows it opened and reopen those it closed."""
    versions = sa.select(ORDERS.version).where(ORDERS.first_run == number)
    connection.execute(sa.delete(HISTORY_CREDITS).where(HISTORY_CREDITS.c.version.in_(versions)))
    for table in (HISTORY_ORDERS, HISTORY_COSTS):
        connection.execute(sa.delete(table).where(table.c.first_run == number))
        connection.execute(sa.update(table).where(table.c.last_run == number - 1).values(last_run=None))
    connection.execute(sa.delete(REPORT_RUNS).where(REPORT_RUNS.c.number == number))


def _store(opened: Transaction, changed: RowChanges, versions: pd.Series[int], number: int) -> None:
    """Close rows that are no longer valid and insert new ones. In: `versions`, the valid version of each order."""
    close = sa.update(HISTORY_ORDERS).values(last_run=number - 1)
    closing = [{"closed": version} for version in versions.loc[changed.closed_orders].tolist()]
    opened.each(close.where(ORDERS.version == sa.bindparam("closed")), closing)
    close = sa.update(HISTORY_COSTS).values(last_run=number - 1).where(COSTS.last_run.is_(None))
    is_place = sa.and_(COSTS.channel_name == sa.bindparam("channel"), COSTS.date == sa.bindparam("day"))
    places = changed.closed_costs[PLACE].itertuples(index=False, name=None)
    opened.each(close.where(is_place), [{"channel": channel, "day": day} for channel, day in places])
    new = changed.opened
    last = int(opened.connection.execute(sa.select(sa.func.coalesce(sa.func.max(ORDERS.version), 0))).scalar_one())
    orders = new.orders.assign(version=last + 1 + np.arange(len(new.orders)), first_run=number, last_run=None)
    version = new.credits["conv_id"].map(orders.set_index("conv_id")["version"]).astype("int64")
    # Inserting in key order is fastest.
    credits = new.credits.assign(version=version).sort_values("version", kind="stable")
    costs = new.costs.assign(first_run=number, last_run=None)
    for table, frame in ((HISTORY_ORDERS, orders), (HISTORY_CREDITS, credits), (HISTORY_COSTS, costs)):
        opened.append(table.name, frame[table.columns.keys()])


def _read(opened: Transaction, number: int) -> tuple[pd.DataFrame, State]:
    """The orders of a run with their versions, and its state; empty for a number before the first."""
    held, paid = (_is_valid(table, number) for table in (HISTORY_ORDERS, HISTORY_COSTS))
    columns = (ORDERS.version, ORDERS.conv_id, ORDERS.revenue, ORDERS.sessions, ORDERS.source)
    orders = opened.read(sa.select(*columns).where(held)).astype(
        {"version": "int64", "conv_id": "str", "revenue": "float64", "sessions": "int64", "source": "str"}
    )
    is_of_them = HISTORY_CREDITS.c.version.in_(sa.select(ORDERS.version).where(held))
    credits = opened.read(sa.select(HISTORY_CREDITS).where(is_of_them)).astype(
        {"version": "int64", "channel_name": "str", "date": "str", "ihc": "float64"}
    )
    costs = opened.read(sa.select(COSTS.channel_name, COSTS.date, COSTS.cost).where(paid)).astype(
        {"channel_name": "str", "date": "str", "cost": "float64"}
    )
    place = pd.Index(orders["version"]).get_indexer(credits["version"])
    credits.insert(0, "conv_id", orders["conv_id"].take(place).to_numpy())
    credits = credits.drop(columns="version").astype({"conv_id": "str"})
    return orders, State(orders.drop(columns="version"), credits, costs)


def _is_valid(table: sa.Table, number: int) -> sa.ColumnElement[bool]:
    """Condition for the rows that are valid in a run."""
    last = table.c.last_run
    return sa.and_(table.c.first_run <= number, sa.or_(last.is_(None), last >= number))


def read_state(database: Database, run: RecordedRun) -> State:
    """Read the state of a recorded run; raises DatabaseError."""
    with database.transaction() as opened:
        return _read(opened, run.number)[1]


def recorded_runs(database: Database) -> list[RecordedRun]:
    """All recorded runs, oldest first; empty if there are none. Raises DatabaseError."""
    with database.transaction() as opened:
        if REPORT_RUNS.name not in opened.tables():
            return []
        found = opened.connection.execute(sa.select(REPORT_RUNS).order_by(REPORT_RUNS.c.number))
        return [RecordedRun(**row) for row in found.mappings()]


def find_run(database: Database, run: str) -> RecordedRun:
    """Find a recorded run by id or number; raises InputError with the closest match if there is none."""
    runs = recorded_runs(database)
    if not runs:
        raise InputError(f"{database.label} has no recorded runs yet: `ihc run` records one.")
    names = {str(recorded.number): recorded for recorded in runs} | {recorded.run_id: recorded for recorded in runs}
    if run in names:
        return names[run]
    close = get_close_matches(run, [recorded.run_id for recorded in runs], n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(f"Run {run!r} not found in {database.label}: {hint}`ihc runs` lists all runs.")


def previous_run(database: Database, run: RecordedRun) -> RecordedRun | None:
    """The previously recorded run; None for the first."""
    return find_run(database, str(run.number - 1)) if run.number > 1 else None
