"""Create the tables, store results and read them; one transaction per unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.arrays.lookup import isin
from ihc.database.database import Database
from ihc.database.tables import (
    CREDIT_TABLE,
    HISTORY,
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
    CREDITS,
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
        frames = [_stored(opened, table) for table in STORED]
    return _results(*frames)


def no_results() -> Results:
    """The result of `read_results` if nothing is stored."""
    return _results(*map(_empty, STORED))


def no_phases() -> pd.DataFrame:
    """The result of `read_phases` if nothing is stored."""
    return _empty(PHASE_TABLE)


def _stored(opened: Transaction, table: sa.Table) -> pd.DataFrame:
    """The rows of a result table; empty if the table does not exist yet."""
    return _typed(opened.read(sa.select(table))) if table.name in opened.tables() else _empty(table)


def _empty(table: sa.Table) -> pd.DataFrame:
    return _typed(pd.DataFrame(columns=[column.name for column in table.columns]))


def _results(credits: pd.DataFrame, outcomes: pd.DataFrame, runs: pd.DataFrame) -> Results:
    unsound = check_credits(credits, credits)
    credits = credits[~isin(credits["conv_id"], unsound["conv_id"])].reset_index(drop=True)
    outcomes = outcomes[~isin(outcomes["conv_id"], unsound["conv_id"])]
    outcomes = outcomes.merge(runs[["run_id", "engine", "parameters", "lookback_days"]], on="run_id")
    foreign = credits.loc[~isin(credits["conv_id"], outcomes["conv_id"]), ["conv_id"]].drop_duplicates()
    foreign = foreign.assign(outcome="credited", reason="", run_id=UNKNOWN, engine=UNKNOWN, parameters=UNKNOWN)
    outcomes = pd.concat([outcomes, foreign], ignore_index=True) if len(foreign) else outcomes
    return Results(credits, outcomes, runs, unsound)


def read_phases(database: Database) -> pd.DataFrame:
    """Read the phases of the stored credits: `conv_id, session_id, initializer, holder, closer [share]`.

    Conversions whose credits another program stored have none; those with a value outside [0, 1] are dropped.
    Raises DatabaseError.
    """
    with database.transaction() as opened:
        phases = _stored(opened, PHASE_TABLE)
    is_share = phases[list(PHASES)].apply(lambda values: values.between(0, 1 + TOLERANCE)).all(axis=1)
    unfit = phases.loc[~is_share, "conv_id"]
    return phases[~isin(phases["conv_id"], unfit)].reset_index(drop=True)


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


def create_tables(database: Database, *, optional: bool = False, clean_results: bool = False) -> None:
    """Create missing tables and the database file; existing tables stay unchanged.

    `optional` also creates the table of daily spend beside existing input tables; a new database always has it.
    `clean_results` empties the result tables and the history, but not the API ledger, whose answers were paid for.
    Raises DatabaseError if the database cannot be written.
    """
    database.make_empty()
    with database.transaction(is_writing=True) as opened:
        create_missing(opened, optional=optional)
        if clean_results:
            for name in RESULTS | HISTORY:
                opened.connection.execute(sa.delete(METADATA.tables[name]))


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
    # Inserting in key order is nearly twice as fast.
    credits, outcomes = (frame.sort_values("conv_id", kind="stable") for frame in (credits, outcomes))
    existing = set(conversions["conv_id"])
    with database.transaction(is_writing=True) as opened:
        gone = [conv_id for conv_id in _stored_conversions(opened) if conv_id not in existing]
        _delete(opened, [*gone, *outcomes["conv_id"]])
        opened.connection.execute(sa.delete(RUN_TABLE).where(RUN_TABLE.c.run_id == run.run_id))
        opened.append(RUN_TABLE.name, pd.DataFrame([asdict(replace(run, vanished=len(gone)))]))
        opened.append(OUTCOME_TABLE.name, outcomes.assign(run_id=run.run_id))
        opened.append(CREDIT_TABLE.name, credits[list(CREDITS)])
        opened.append(PHASE_TABLE.name, credits[PHASE_TABLE.columns.keys()])
    return len(gone)


def _stored_conversions(opened: Transaction) -> list[str]:
    """The ids of all conversions with stored results."""
    # As text, because another program may have created the table with integer ids.
    its_id = opened.id_text(CREDIT_TABLE.c.conv_id)
    credited = sa.select(its_id.label("conv_id")).where(CREDIT_TABLE.c.conv_id.is_not(None))
    known = opened.read(sa.union(credited, sa.select(OUTCOME_TABLE.c.conv_id)))
    return known["conv_id"].astype("str").tolist()


def _delete(opened: Transaction, conversions: Sequence[str]) -> None:
    """Delete the stored results of conversions."""
    with opened.listed(conversions) as listed:
        for table in (CREDIT_TABLE, PHASE_TABLE, OUTCOME_TABLE):
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
