"""Create the tables, store results and read them; one transaction per unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from ihc.arrays.lookup import arrow_texts, factorize, isin
from ihc.arrays.types import Booleans, Integers
from ihc.database.database import Database
from ihc.database.tables import (
    CREDIT_TABLE,
    HISTORY,
    HISTORY_ORDERS,
    KEPT,
    METADATA,
    OUTCOME_TABLE,
    PHASE_TABLE,
    REPORTING_TABLE,
    RESULTS,
    RUN_TABLE,
    TEXT,
    WHOLE,
    Run,
)
from ihc.database.transaction import FRACTION, OTHERS_TABLE, Transaction
from ihc.errors import DatabaseError
from ihc.formatting import some
from ihc.journeys.credits import TOLERANCE, check_credits
from ihc.schemas.tables import (
    COLUMNS,
    PHASES,
    REPORTING,
    SESSIONS,
    SPEND,
    Tables,
    as_text,
)

UNKNOWN = "unknown"
SAMPLE_MARK = "ihc_sample_shop"
STORED = (CREDIT_TABLE, OUTCOME_TABLE, RUN_TABLE)
NUMBERS = {column.name for table in (*STORED, PHASE_TABLE) for column in table.columns if column.type is not TEXT}


class Results(NamedTuple):
    """Stored results of earlier runs.

    `credits`: `conv_id, session_id, ihc`; `outcomes`: the outcome of each conversion, with the settings of its run;
    `runs`: the runs; `unsound`: `conv_id, reason` of invalid stored credits, which the other frames exclude.
    """

    credits: pd.DataFrame
    outcomes: pd.DataFrame
    runs: pd.DataFrame
    unsound: pd.DataFrame


class _RollBack(Exception):  # noqa: N818 - not an error
    """Leave a transaction and roll it back."""


def read_results(database: Database) -> Results:
    """Read the stored results of earlier runs; all frames are empty if there are none.

    Out: `credits` (`conv_id, session_id, ihc`), `outcomes` (`conv_id, outcome, reason, run_id, engine, parameters,
    lookback_days`), `runs` and `unsound` (`conv_id, reason`). Credits that another program stored count as credited by
    an unknown engine. Credits that are negative, not a number or do not sum to 1 per conversion go to `unsound` only.
    """
    with database.transaction() as opened:
        frames = _stored(opened, *STORED)
    return _results(*frames)


def no_results() -> Results:
    """The result of `read_results` if nothing is stored."""
    return _results(*map(_empty, STORED))


def no_phases() -> pd.DataFrame:
    """The result of `read_phases` if nothing is stored."""
    return _empty(PHASE_TABLE)


def _stored(opened: Transaction, *tables: sa.Table) -> list[pd.DataFrame]:
    """The rows of result tables; empty for a table that does not exist yet."""
    existing = opened.tables()
    found = [table for table in tables if table.name in existing]
    frames = dict(zip(found, opened.read_last([sa.select(table) for table in found]), strict=True))
    return [_typed(frames[table]) if table in frames else _empty(table) for table in tables]


def _empty(table: sa.Table) -> pd.DataFrame:
    return _typed(pd.DataFrame(columns=[column.name for column in table.columns]))


def _results(credits: pd.DataFrame, outcomes: pd.DataFrame, runs: pd.DataFrame) -> Results:
    unsound = _unsound(credits)
    credits, outcomes = (_without(frame, unsound["conv_id"]) for frame in (credits, outcomes))
    outcomes = outcomes.merge(runs[["run_id", "engine", "parameters", "lookback_days"]], on="run_id")
    foreign = credits.loc[~isin(credits["conv_id"], outcomes["conv_id"]), ["conv_id"]].drop_duplicates()
    foreign = foreign.assign(outcome="credited", reason="", run_id=UNKNOWN, engine=UNKNOWN, parameters=UNKNOWN)
    outcomes = pd.concat([outcomes, foreign], ignore_index=True) if len(foreign) else outcomes
    return Results(credits, outcomes, runs, unsound)


def _unsound(credits: pd.DataFrame) -> pd.DataFrame:
    """Find the conversions with invalid credits: `conv_id, reason`. Only suspicious ones are looked at closely."""
    order, ihc = factorize(credits["conv_id"]), credits["ihc"].to_numpy()
    is_fit = np.isfinite(ihc) & (ihc >= 0)
    is_suspect = np.zeros(order.max(initial=-1) + 1, dtype="bool")
    is_suspect[order[~is_fit | _is_repeated(order, credits["session_id"])]] = True
    is_suspect |= np.abs(np.bincount(order, weights=np.where(is_fit, ihc, 0.0)) - 1) > TOLERANCE
    suspects = credits[is_suspect[order]]
    return check_credits(suspects, suspects)


def _is_repeated(order: Integers, sessions: pd.Series[str]) -> Booleans:
    """Mark repeated pairs of order and session. Rows in the order of their key, as SQLite returns them, have none."""
    ids, step = arrow_texts(sessions), np.diff(order)
    is_after = np.asarray(pc.greater(ids[1:], ids[:-1]).fill_null(False))
    if ((step == 1) | ((step == 0) & is_after)).all():
        return np.zeros(len(order), dtype="bool")
    return pd.DataFrame({"order": order, "session": factorize(sessions)}).duplicated().to_numpy()


def _without(frame: pd.DataFrame, ids: pd.Series[str]) -> pd.DataFrame:
    return frame[~isin(frame["conv_id"], ids)].reset_index(drop=True) if len(ids) else frame


def read_phases(database: Database) -> pd.DataFrame:
    """Read the phases of the stored credits: `conv_id, session_id, initializer, holder, closer [share]`.

    Conversions whose credits another program stored have none; those with a value outside [0, 1] are dropped.
    Raises DatabaseError.
    """
    with database.transaction() as opened:
        (phases,) = _stored(opened, PHASE_TABLE)
    shares = phases[list(PHASES)].to_numpy()
    is_fit = pd.Series(((shares >= 0) & (shares <= 1 + TOLERANCE)).all(axis=1))
    return _without(phases, phases.loc[~is_fit, "conv_id"])


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        **{
            name: pd.to_numeric(frame[name], errors="coerce").astype("float64")
            if name in NUMBERS
            else as_text(frame[name])
            for name in frame.columns
        }
    )


def read_credit(database: Database, conv_id: str) -> pd.DataFrame:
    """Read the stored credit of one conversion: `session_id, ihc [share], engine, parameters`, one row per session.

    Empty if nothing is stored. Raises DatabaseError.
    """
    outcome, run = OUTCOME_TABLE.c, RUN_TABLE.c
    joined = CREDIT_TABLE.outerjoin(OUTCOME_TABLE, outcome.conv_id == conv_id)
    joined = joined.outerjoin(RUN_TABLE, run.run_id == outcome.run_id)
    query = sa.select(CREDIT_TABLE.c.session_id, CREDIT_TABLE.c.ihc, run.engine, run.parameters).select_from(joined)
    with database.transaction() as opened:
        if not RESULTS.keys() <= opened.tables():
            return _typed(pd.DataFrame(columns=query.selected_columns.keys()))
        credit = opened.read(query.where(opened.id_text(CREDIT_TABLE.c.conv_id) == conv_id))
    return _typed(credit).fillna({"engine": UNKNOWN, "parameters": UNKNOWN})


def try_writing(database: Database) -> None:
    """Raise DatabaseError if the result tables cannot be created, emptied or filled; changes nothing."""
    with suppress(_RollBack), database.transaction(is_writing=True) as opened:
        create_missing(opened)
        with opened.listed(["1"]):
            pass
        for name in KEPT:
            _try_table(opened, METADATA.tables[name])
        raise _RollBack


def _try_table(opened: Transaction, table: sa.Table) -> None:
    """Try an UPDATE and a DELETE of no rows, and insert one row as a run does.

    Raises DatabaseError if the table would store ids as floating-point numbers or round credits to whole numbers.
    """
    row, first = opened.example(table), next(iter(table.columns))
    opened.connection.execute(sa.delete(table).where(sa.false()))
    opened.connection.execute(sa.update(table).where(sa.false()).values({first: first}))
    opened.append(table.name, pd.DataFrame([row]))
    stored = opened.read(sa.select(table).where(opened.id_text(first) == row[first.name])).iloc[0]
    for name, value in stored.items():
        if name in ("conv_id", "session_id") and isinstance(value, float):
            raise DatabaseError(
                f"Table {table.name}, column {name}: it stores ids as floating-point numbers, which changes them; "
                "rename the table and run again."
            )
        if row[str(name)] == FRACTION and float(value) != float(FRACTION):
            raise DatabaseError(f"Table {table.name}, column {name}: its type would round the values; {OTHERS_TABLE}.")


def create_tables(
    database: Database, *, optional: bool = False, renew: bool = False, clean_results: bool = False
) -> None:
    """Create missing tables and the database file; existing tables stay unchanged, but for a new column of the history.

    `optional` also creates the table of daily spend beside existing input tables; a new database always has it.
    `renew` rewrites tables of an earlier version in their present form; without it, they work as they are.
    `clean_results` empties the result tables and the history, but not the API ledger, whose answers were paid for.
    Raises DatabaseError if the database cannot be written.
    """
    database.make_empty()
    with database.transaction(is_writing=True) as opened:
        create_missing(opened, optional=optional)
        for table in (METADATA.tables[name] for name in RESULTS | HISTORY):
            if clean_results:
                opened.connection.execute(sa.delete(table))
            if renew:
                opened.renew(table)


def create_missing(
    opened: Transaction, more: Mapping[str, Collection[str]] | None = None, *, optional: bool = False
) -> None:
    """Create missing tables; `more`: additional text columns by table; `optional` as in `create_tables`."""
    existing = opened.tables()
    if SESSIONS in existing and (not optional or SPEND in map(str.lower, existing)):
        existing.add(SPEND)  # a shop without daily spend goes on without it
    for name, table in METADATA.tables.items():
        # A view may serve as an input table; CREATE TABLE IF NOT EXISTS would fail on it.
        if name not in existing:
            made = table.to_metadata(sa.MetaData())
            for column in (more or {}).get(name, ()):
                made.append_column(sa.Column(column, TEXT))
            made.create(opened.connection, checkfirst=False)
    _add_fingerprints(opened)


def _add_fingerprints(opened: Transaction) -> None:
    """Add the column of fingerprints to the history of an earlier version."""
    *earlier, added = HISTORY_ORDERS.columns
    if opened.columns(HISTORY_ORDERS.name) == [column.name for column in earlier]:
        opened.connection.exec_driver_sql(f"ALTER TABLE {HISTORY_ORDERS.name} ADD COLUMN {added.name} {added.type}")


def store_credits(
    database: Database, run: Run, credits: pd.DataFrame, outcomes: pd.DataFrame, conversions: pd.DataFrame
) -> int:
    """Replace the stored results of a run's conversions, in one transaction.

    In: `credits` (`conv_id, session_id, initializer, holder, closer, ihc`) of the credited conversions; `outcomes`
    (`conv_id, outcome, reason`) of all conversions of the run; all `conversions`, or their `conv_id`. Conversions of
    the run without credit lose their stored credits, as do stored conversions that are no longer in `conversions`.
    All others keep theirs.

    Out: the number of stored conversions removed because they no longer exist. Raises DatabaseError.
    """
    credits, outcomes = _in_key_order(credits), outcomes.sort_values("conv_id", kind="stable")
    with database.transaction(is_writing=True) as opened:
        stored = _stored_conversions(opened)
        gone = stored[stored.notna() & ~isin(stored, conversions["conv_id"])]
        _delete(opened, stored, pd.concat([gone, outcomes["conv_id"]]))
        opened.connection.execute(sa.delete(RUN_TABLE).where(RUN_TABLE.c.run_id == run.run_id))
        opened.append(RUN_TABLE.name, pd.DataFrame([asdict(replace(run, vanished=len(gone)))]))
        opened.append(OUTCOME_TABLE.name, outcomes.assign(run_id=run.run_id))
        opened.append_each({table.name: table.columns.keys() for table in (CREDIT_TABLE, PHASE_TABLE)}, credits)
    return len(gone)


def _in_key_order(credits: pd.DataFrame) -> pd.DataFrame:
    """Sort credits by order and session, in which they are inserted twice as fast."""
    order = factorize(credits["conv_id"])
    is_first = np.diff(np.maximum.accumulate(order), prepend=-1) > 0
    place = np.argsort(credits["conv_id"].array[is_first].argsort())
    keys = pa.table({"order": place[order], "session": arrow_texts(credits["session_id"])})
    return credits.take(pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]))


def _stored_conversions(opened: Transaction) -> pd.Series[str]:
    """The ids of all conversions with stored results; NaN for rows of another program without an id."""
    # As text, because another program may have created the table with integer ids.
    credited, known = CREDIT_TABLE.c.conv_id, OUTCOME_TABLE.c.conv_id
    queries = (sa.select(opened.id_text(credited).label("conv_id")).group_by(credited), sa.select(known))
    ids = [opened.read(query)["conv_id"].astype("str") for query in queries]
    return pd.concat(ids).drop_duplicates()


def _delete(opened: Transaction, stored: pd.Series[str], conversions: pd.Series[str]) -> None:
    """Delete the stored results of conversions. In: the ids of all `stored` ones."""
    tables = (CREDIT_TABLE, PHASE_TABLE, OUTCOME_TABLE)
    if isin(stored, conversions).all():  # emptying a table takes no time
        for table in tables:
            opened.connection.execute(sa.delete(table))
        return
    with opened.listed(conversions.tolist()) as listed:
        for table in tables:
            opened.connection.execute(sa.delete(table).where(opened.stored_id(table.c.conv_id).in_(listed)))


def store_reporting(database: Database, reporting: pd.DataFrame) -> None:
    """Replace the whole table `channel_reporting` in one transaction; raises DatabaseError."""
    with database.transaction(is_writing=True) as opened:
        opened.connection.execute(sa.delete(REPORTING_TABLE))
        opened.append(REPORTING_TABLE.name, reporting[list(REPORTING)])


def store_sample(database: Database, tables: Tables) -> None:
    """Create the tables, insert a synthetic shop and mark it as a sample, in one transaction.

    Raises DatabaseError if one of the input tables exists.
    """
    with database.transaction(is_writing=True) as opened:
        if found := [table for table in COLUMNS if table in opened.tables()]:
            raise DatabaseError(
                f"Database {database.label} already has a table {some(found)}; a sample is only written to a database "
                "without input tables."
            )
        own = {table: frame.columns.drop(list(COLUMNS[table])) for table, frame in zip(COLUMNS, tables, strict=True)}
        create_missing(opened, own)
        sa.Table(SAMPLE_MARK, sa.MetaData(), sa.Column("made_up", WHOLE)).create(opened.connection, checkfirst=False)
        for table, frame in zip(COLUMNS, tables, strict=True):
            opened.append(table, frame)


def is_marked_sample(database: Database) -> bool:
    """Whether this database holds the sample shop; False if it cannot be read."""
    if not database.exists():
        return False
    try:
        with database.transaction() as opened:
            return SAMPLE_MARK in opened.tables()
    except DatabaseError:
        return False
