"""Run history: store the state of each run, so that later runs can be compared with it.

Only changes are stored. A row is valid from `first_run` to `last_run`, both inclusive; NULL: still valid. Each order
has a fingerprint of its credit, so that the credit of unchanged orders is neither read nor written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ihc.arrays.lookup import get_indexer, isin, lookup
from ihc.arrays.types import Booleans
from ihc.database.database import Database
from ihc.database.tables import HISTORY_COSTS, HISTORY_CREDITS, HISTORY_ORDERS, REPORT_RUNS, Run
from ihc.database.transaction import Transaction
from ihc.errors import InputError
from ihc.schemas.tables import Window

PLACE = ["channel_name", "date"]
ORDERS, CREDITS, COSTS = HISTORY_ORDERS.c, HISTORY_CREDITS.c, HISTORY_COSTS.c
OF_ORDER = ["conv_id", "revenue", "sessions", "source"]
UNMARKED = 0  # the fingerprint of orders that an earlier version recorded
AT_A_TIME = 5_000  # versions in a query
KINDS = {
    **dict.fromkeys(("version", "sessions", "mark"), "int64"),
    **dict.fromkeys(("conv_id", "source", *PLACE), "str"),
    **dict.fromkeys(("revenue", "ihc", "cost"), "float64"),
}


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
    database: Database,
    run: Run,
    totals: Mapping[str, Any],
    state: State,
    changes: Callable[[State, State], RowChanges],
) -> RecordedRun:
    """Record the state of a run in one transaction; only differences from the previous run are written.

    Recording a run again replaces its record. If later runs are recorded, it is added after them as
    `<run id>.<number>`. In: the run, its totals over its dates, its state, and a function from the previous state and
    this one to the changes, which gets both without the orders that fingerprints show to be equal. Raises DatabaseError
    if it cannot be stored.
    """
    state = _marked(state)
    with database.transaction(is_writing=True) as opened:
        number, run_id = _record_key(opened, run.run_id)
        orders = _typed(opened.read(_orders(opened, number - 1)))
        is_equal = _equal(orders, state)
        before = _state(orders[~is_equal], _credits(opened, orders[~is_equal]), opened.read(_costs(number - 1)))
        changed = changes(before, _without(state, orders.loc[is_equal, "conv_id"]))
        _store(opened, changed, before.orders, number)
        _mark(opened, before, changed.closed_orders)
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


def _store(opened: Transaction, changed: RowChanges, before: pd.DataFrame, number: int) -> None:
    """Close rows that are no longer valid and insert new ones. In: the orders `before`, with their `version`."""
    close = sa.update(HISTORY_ORDERS).values(last_run=number - 1)
    versions = lookup(changed.closed_orders, before, "conv_id", "version")
    closing = [{"closed": version} for version in versions.tolist()]
    opened.each(close.where(ORDERS.version == sa.bindparam("closed")), closing)
    close = sa.update(HISTORY_COSTS).values(last_run=number - 1).where(COSTS.last_run.is_(None))
    is_place = sa.and_(COSTS.channel_name == sa.bindparam("channel"), COSTS.date == sa.bindparam("day"))
    places = changed.closed_costs[PLACE].itertuples(index=False, name=None)
    opened.each(close.where(is_place), [{"channel": channel, "day": day} for channel, day in places])
    new = changed.opened
    last = int(opened.connection.execute(sa.select(sa.func.coalesce(sa.func.max(ORDERS.version), 0))).scalar_one())
    orders = new.orders.rename(columns={"mark": "credits"})
    orders = orders.assign(version=last + 1 + np.arange(len(orders)), first_run=number, last_run=None)
    version = lookup(new.credits["conv_id"], orders, "conv_id", "version").astype("int64")
    # Inserting in key order is fastest.
    credits = new.credits.assign(version=version).sort_values("version", kind="stable")
    costs = new.costs.assign(first_run=number, last_run=None)
    for table, frame in ((HISTORY_ORDERS, orders), (HISTORY_CREDITS, credits), (HISTORY_COSTS, costs)):
        opened.append(table.name, frame[table.columns.keys()])


def _marked(state: State) -> State:
    """Add to the orders `mark`, a fingerprint of the order's credit by channel and day, whatever their row order."""
    credits = state.credits
    cells = credits[[*PLACE, "ihc"]].astype(dict.fromkeys(PLACE, "category"))
    marks = np.zeros(len(state.orders), dtype="uint64")  # sums wrap around; databases keep signed numbers
    place = get_indexer(credits["conv_id"], state.orders["conv_id"])
    np.add.at(marks, place, pd.util.hash_pandas_object(cells, index=False).to_numpy("uint64"))
    known = marks.view("int64")
    return state._replace(orders=state.orders.assign(mark=np.where(known == UNMARKED, 1, known)))


def _equal(orders: pd.DataFrame, state: State) -> Booleans:
    """Mark the recorded orders that a marked state has with the same revenue, sessions, source and credit."""
    place = get_indexer(orders["conv_id"], state.orders["conv_id"])
    is_equal = np.asarray(place >= 0)
    was, now = orders[is_equal], state.orders.take(place[is_equal])
    is_equal[is_equal] = np.all([was[name].array == now[name].array for name in (*OF_ORDER[1:], "mark")], axis=0)
    return is_equal


def _without(state: State, ids: pd.Series[str]) -> State:
    orders, credits = (frame[~isin(frame["conv_id"], ids)] for frame in (state.orders, state.credits))
    return State(orders, credits, state.costs)


def _mark(opened: Transaction, before: State, closed: pd.Series[str]) -> None:
    """Store the fingerprints of the orders without one that stay as they were recorded."""
    orders = _marked(before).orders
    missing = orders[(before.orders["mark"] == UNMARKED) & ~isin(orders["conv_id"], closed)]
    mark = sa.update(HISTORY_ORDERS).values(credits=sa.bindparam("mark")).where(ORDERS.version == sa.bindparam("of"))
    pairs = missing[["version", "mark"]].itertuples(index=False, name=None)
    opened.each(mark, [{"of": version, "mark": known} for version, known in pairs])


def _orders(opened: Transaction, number: int) -> sa.Select[Any]:
    """A query for the orders of a run, with their `version` and `mark`; none for a number before the first."""
    columns = [ORDERS.version, ORDERS.conv_id, ORDERS.revenue, ORDERS.sessions, ORDERS.source]
    is_old = ORDERS.credits.name not in opened.columns(HISTORY_ORDERS.name)
    mark = sa.literal(UNMARKED) if is_old else sa.func.coalesce(ORDERS.credits, UNMARKED)
    return sa.select(*columns, mark.label("mark")).where(_is_valid(HISTORY_ORDERS, number))


def _credits(opened: Transaction, orders: pd.DataFrame) -> pd.DataFrame:
    """Read the credits of recorded orders: `version, channel_name, date, ihc`."""
    versions = orders["version"].tolist()
    parts = [
        opened.read(sa.select(HISTORY_CREDITS).where(CREDITS.version.in_(versions[start : start + AT_A_TIME])))
        for start in range(0, max(len(versions), 1), AT_A_TIME)
    ]
    return pd.concat(parts, ignore_index=True)


def _costs(number: int) -> sa.Select[Any]:
    return sa.select(COSTS.channel_name, COSTS.date, COSTS.cost).where(_is_valid(HISTORY_COSTS, number))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({name: KINDS[name] for name in frame.columns})


def _state(orders: pd.DataFrame, credits: pd.DataFrame, costs: pd.DataFrame) -> State:
    """The state of recorded orders. In: the credits by `version`."""
    credits = _typed(credits)
    place = pd.Index(orders["version"]).get_indexer(credits["version"])
    credits.insert(0, "conv_id", orders["conv_id"].array.take(place))
    return State(orders.reset_index(drop=True), credits.drop(columns="version"), _typed(costs))


def _is_valid(table: sa.Table, number: int) -> sa.ColumnElement[bool]:
    """Condition for the rows that are valid in a run."""
    last = table.c.last_run
    return sa.and_(table.c.first_run <= number, sa.or_(last.is_(None), last >= number))


def read_state(database: Database, run: RecordedRun, like: State | None = None) -> State:
    """Read the state of a recorded run; raises DatabaseError.

    `like`: another state; the credit of the orders that it has unchanged is taken from it and not read again.
    """
    with database.transaction() as opened:
        if like is None:
            return _read(opened, run.number)
        like = _marked(like)
        orders = _typed(opened.read(_orders(opened, run.number)))
        is_equal = _equal(orders, like)
        costs = opened.read(_costs(run.number))
        others = _state(orders[~is_equal], _credits(opened, orders[~is_equal]), costs)
    same = like.credits[isin(like.credits["conv_id"], orders.loc[is_equal, "conv_id"])]
    credits = pd.concat([same, others.credits], ignore_index=True)
    return State(orders[OF_ORDER], credits, others.costs)


def _read(opened: Transaction, number: int) -> State:
    of_run = sa.select(ORDERS.version).where(_is_valid(HISTORY_ORDERS, number))
    credits = sa.select(HISTORY_CREDITS).where(CREDITS.version.in_(of_run))
    orders, *others = opened.read_last([_orders(opened, number), credits, _costs(number)])
    state = _state(_typed(orders), *others)
    return state._replace(orders=state.orders[OF_ORDER])


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
