"""What each run's report was made of, kept so that later runs can be compared with it: grows only by what changes.

A row holds from its `first_run` to its `last_run`, both inclusive; NULL means that it still does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ihc.database.database import Database, append, execute, named, read, tables_of
from ihc.database.tables import HISTORY, Run
from ihc.errors import InputError
from ihc.schemas.tables import Window

PLACE = ["channel_name", "date"]
RUNS = "report_runs"


class State(NamedTuple):
    """What a report is made of, over all days.

    `orders`: `conv_id, revenue [currency], sessions [fingerprint of the journey's sessions], source [engine, parameters
    and lookback]`, refunds among them; `credits`: `conv_id, channel_name, date [the sessions'], ihc [share; no zeros]`;
    `costs`: `channel_name, date, cost [currency; no zeros]`.
    """

    orders: pd.DataFrame
    credits: pd.DataFrame
    costs: pd.DataFrame


class RowChanges(NamedTuple):
    """What leads from one state to another.

    `closed_orders` [conv_id] and `closed_costs` (`channel_name, date`) do not hold any more; `opened` does since.
    """

    closed_orders: pd.Series[str]
    closed_costs: pd.DataFrame
    opened: State


@dataclass(frozen=True)
class RecordedRun:
    """A run whose report was recorded, and the totals of its report over its dates.

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
        """The first and the last day of the report; None where it is open."""
        return self.start_date, self.end_date


def record(
    database: Database, run: Run, totals: Mapping[str, Any], changes: Callable[[State], RowChanges]
) -> RecordedRun:
    """Record what a run's report is made of, in one transaction; only what differs from the run before is written.

    Recording a run again replaces its record, or, if later runs are recorded, comes after them as `<run id>.<number>`.
    In: the run, its totals over the run's dates, and what leads from the state before to its own. Raises DatabaseError
    if it cannot be stored.
    """
    with database.transaction(is_writing=True) as connection:
        number, run_id = _place(connection, run.run_id)
        orders, before = _read(connection, number - 1)
        _store(connection, changes(before), orders.set_index("conv_id")["version"], number)
        recorded = noted(replace(run, run_id=run_id), totals, number, run.started_at)
        append(connection, RUNS, pd.DataFrame([asdict(recorded)])[list(HISTORY[RUNS])])
    return recorded


def noted(run: Run, totals: Mapping[str, Any], number: int, recorded_at: str) -> RecordedRun:
    """The record of a run with its totals."""
    asked = {name: getattr(run, name) for name in HISTORY[RUNS] if hasattr(run, name)}
    return RecordedRun(number=number, recorded_at=recorded_at, **asked, **totals)


def _place(connection: sa.Connection, run_id: str) -> tuple[int, str]:
    """The number for a run and the id to record it by; what the last record says of the same run is taken back."""
    names = connection.execute(sa.text(f"SELECT run_id, {named(connection, 'number')} FROM {RUNS}")).all()
    numbers = {str(row.run_id): int(row.number) for row in names}
    last = max(numbers.values(), default=0)
    for name in (run_id, f"{run_id}.{last}"):
        if numbers.get(name) == last:
            _take_back(connection, last)
            return last, name
    return last + 1, f"{run_id}.{last + 1}" if run_id in numbers else run_id


def _take_back(connection: sa.Connection, number: int) -> None:
    """Undo the record of the last run: what it opened is gone, and what it closed holds again."""
    versions = "SELECT version FROM history_orders WHERE first_run = :number"
    statements = [f"DELETE FROM history_credits WHERE version IN ({versions})"]
    for table in ("history_orders", "history_costs"):
        statements += [
            f"DELETE FROM {table} WHERE first_run = :number",
            f"UPDATE {table} SET last_run = NULL WHERE last_run = :number - 1",
        ]
    for statement in [*statements, f"DELETE FROM {RUNS} WHERE {named(connection, 'number')} = :number"]:
        connection.execute(sa.text(statement), {"number": number})


def _store(connection: sa.Connection, changed: RowChanges, versions: pd.Series[int], number: int) -> None:
    """Close what does not hold any more, and open what does. In: by order, the version that held so far."""
    closing = [(number - 1, version) for version in versions.loc[changed.closed_orders].tolist()]
    execute(connection, "UPDATE history_orders SET last_run = ? WHERE version = ?", closing)
    places = [(number - 1, *place) for place in changed.closed_costs[PLACE].itertuples(index=False, name=None)]
    cost = f"channel_name = ? AND {named(connection, 'date')} = ?"
    execute(connection, f"UPDATE history_costs SET last_run = ? WHERE last_run IS NULL AND {cost}", places)
    opened = changed.opened
    last = int(connection.execute(sa.text("SELECT COALESCE(MAX(version), 0) FROM history_orders")).scalar_one())
    orders = opened.orders.assign(version=last + 1 + np.arange(len(opened.orders)), first_run=number, last_run=None)
    version = opened.credits["conv_id"].map(orders.set_index("conv_id")["version"]).astype("int64")
    # In the order of their keys, in which they are stored fastest.
    credits = opened.credits.assign(version=version).sort_values("version", kind="stable")
    append(connection, "history_orders", orders[list(HISTORY["history_orders"])])
    append(connection, "history_credits", credits[list(HISTORY["history_credits"])])
    costs = opened.costs.assign(first_run=number, last_run=None)
    append(connection, "history_costs", costs[list(HISTORY["history_costs"])])


def _read(connection: sa.Connection, number: int) -> tuple[pd.DataFrame, State]:
    """The orders of a run with their versions, and its state; empty for a number before the first."""
    holds = "first_run <= :number AND (last_run IS NULL OR last_run >= :number)"
    given = {"number": number}
    orders = read(
        connection,
        f"SELECT version, conv_id, revenue, sessions, source FROM history_orders WHERE {holds}",
        given,
    ).astype({"version": "int64", "conv_id": "str", "revenue": "float64", "sessions": "int64", "source": "str"})
    credits = read(
        connection,
        f"SELECT {named(connection, *HISTORY['history_credits'])} FROM history_credits "
        f"WHERE version IN (SELECT version FROM history_orders WHERE {holds})",
        given,
    ).astype({"version": "int64", "channel_name": "str", "date": "str", "ihc": "float64"})
    costs = read(
        connection,
        f"SELECT {named(connection, *PLACE, 'cost')} FROM history_costs WHERE {holds}",
        given,
    ).astype({"channel_name": "str", "date": "str", "cost": "float64"})
    place = pd.Index(orders["version"]).get_indexer(credits["version"])
    credits.insert(0, "conv_id", orders["conv_id"].take(place).to_numpy())
    credits = credits.drop(columns="version").astype({"conv_id": "str"})
    return orders, State(orders.drop(columns="version"), credits, costs)


def read_state(database: Database, run: RecordedRun) -> State:
    """Read what a recorded run's report was made of; raises DatabaseError."""
    with database.transaction() as connection:
        return _read(connection, run.number)[1]


def recorded_runs(database: Database) -> list[RecordedRun]:
    """All recorded runs, the first one first; none where nothing was ever recorded. Raises DatabaseError."""
    with database.transaction() as connection:
        if RUNS not in tables_of(connection):
            return []
        query = f"SELECT {named(connection, *HISTORY[RUNS])} FROM {RUNS} ORDER BY {named(connection, 'number')}"
        return [RecordedRun(**row) for row in connection.execute(sa.text(query)).mappings()]


def find_run(database: Database, run: str) -> RecordedRun:
    """Find a recorded run by its id or its number; raises InputError that says which there are."""
    runs = recorded_runs(database)
    if not runs:
        raise InputError(f"No run is recorded in {database.label} yet: `ihc run` records each.")
    names = {str(recorded.number): recorded for recorded in runs} | {recorded.run_id: recorded for recorded in runs}
    if run in names:
        return names[run]
    close = get_close_matches(run, [recorded.run_id for recorded in runs], n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(f"No run {run!r} is recorded in {database.label}: {hint}`ihc runs` lists them.")


def previous_run(database: Database, run: RecordedRun) -> RecordedRun | None:
    """The run that was recorded before this one; None before the first."""
    return find_run(database, str(run.number - 1)) if run.number > 1 else None
