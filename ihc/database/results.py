"""Making the tables, storing results and reading them: one transaction a unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.arrays.lookup import isin
from ihc.database.database import (
    Database,
    append,
    check_table_writable,
    define,
    id_text,
    listed,
    read,
    same_id,
    tables_of,
    upsert,
)
from ihc.database.tables import HISTORY, LEDGER, NUMBERS, RESULTS, Run
from ihc.errors import DatabaseError
from ihc.formatting import some
from ihc.journeys.credits import TOLERANCE, check_credits
from ihc.schemas.tables import (
    COLUMNS,
    CREDITS,
    PHASES,
    REPORTING,
    Tables,
    as_text,
)
from ihc.shipped import shipped

UNKNOWN = "unknown"
SAMPLE_MARK = "ihc_sample_shop"
PROBE = "900000000000017"  # an id that a column of numbers, too, would take


class Results(NamedTuple):
    """What is stored of earlier runs.

    `credits`: `conv_id, session_id, ihc`; `outcomes`: how each order ended, with its run's settings; `runs`: the runs;
    `unsound`: `conv_id, reason` of stored credits that are not whole, and so in neither of the former.
    """

    credits: pd.DataFrame
    outcomes: pd.DataFrame
    runs: pd.DataFrame
    unsound: pd.DataFrame


class _RollBack(Exception):  # noqa: N818 - not an error
    """Leave a transaction without a trace."""


def read_results(database: Database) -> Results:
    """Read what is stored of earlier runs; all frames are empty where nothing is.

    Out: `credits` (`conv_id, session_id, ihc`), `outcomes` (`conv_id, outcome, reason, run_id, engine, parameters,
    lookback_days`), `runs` and `unsound` (`conv_id, reason`). Credits that another program stored count as credited by
    an unknown engine; credits that are negative, no number or do not sum to 1 an order are left out, and in `unsound`.
    """
    with database.transaction() as connection:
        frames = {
            table: read(connection, f"SELECT {', '.join(RESULTS[table])} FROM {table}")
            for table in ("attribution_customer_journey", "attribution_outcomes", "attribution_runs")
        }
    credits, outcomes, runs = (_typed(frame) for frame in frames.values())
    outcomes = outcomes.fillna({"reason": ""})  # an empty text is NULL in Oracle
    unsound = check_credits(credits, credits)
    credits = credits[~isin(credits["conv_id"], unsound["conv_id"])].reset_index(drop=True)
    outcomes = outcomes[~isin(outcomes["conv_id"], unsound["conv_id"])]
    outcomes = outcomes.merge(runs[["run_id", "engine", "parameters", "lookback_days"]], on="run_id")
    strange = credits.loc[~isin(credits["conv_id"], outcomes["conv_id"]), ["conv_id"]].drop_duplicates()
    strange = strange.assign(outcome="credited", reason="", run_id=UNKNOWN, engine=UNKNOWN, parameters=UNKNOWN)
    outcomes = pd.concat([outcomes, strange], ignore_index=True) if len(strange) else outcomes
    return Results(credits, outcomes, runs, unsound)


def read_phases(database: Database) -> pd.DataFrame:
    """Read the phases of the stored credits: `conv_id, session_id, initializer, holder, closer [share]`.

    Orders of which another program stored the credits have none; those with a value that is no share are left out.
    Raises DatabaseError.
    """
    columns = RESULTS["attribution_phases"]
    with database.transaction() as connection:
        phases = read(connection, f"SELECT {', '.join(columns)} FROM attribution_phases")
    phases = _typed(phases)
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
    """Read the stored credit of one order: `session_id, ihc [share], engine, parameters`, a row a session.

    No row where nothing is stored of it. Raises DatabaseError.
    """
    query = (
        "SELECT session_id, ihc, engine, parameters FROM attribution_customer_journey "
        "LEFT JOIN attribution_outcomes ON attribution_outcomes.conv_id = :conv_id "
        "LEFT JOIN attribution_runs ON attribution_runs.run_id = attribution_outcomes.run_id WHERE "
    )
    columns = ["session_id", "ihc", "engine", "parameters"]
    with database.transaction() as connection:
        if not RESULTS.keys() <= set(tables_of(connection)):
            return _typed(pd.DataFrame(columns=columns))
        its_id = id_text(connection, "attribution_customer_journey", "conv_id")
        credit = read(connection, f"{query} {its_id} = :conv_id", {"conv_id": conv_id})
    return _typed(credit).fillna({"engine": UNKNOWN, "parameters": UNKNOWN})


def try_writing(database: Database) -> None:
    """Raise DatabaseError if the result tables cannot be made, emptied or filled; changes nothing.

    Where a database cannot undo CREATE TABLE, the tables that were missing are there afterwards, and empty.
    """
    try:
        with database.transaction(is_writing=True) as connection:
            _create_missing(connection)
            list(listed(connection, [PROBE]))
            for table, columns in (RESULTS | LEDGER | HISTORY).items():
                check_table_writable(connection, table, {name: 0.5 if name in NUMBERS else PROBE for name in columns})
            raise _RollBack
    except _RollBack:
        pass


def create_tables(database: Database, *, clean_results: bool = False) -> None:
    """Create the tables that are missing, and the file; touch nothing that exists.

    `clean_results` empties the result tables and the history, but not the ledger of the API, whose answers were paid
    for.
    Raises DatabaseError if the database cannot be written.
    """
    database.make_empty()
    with database.transaction(is_writing=True) as connection:
        _create_missing(connection)
        if clean_results:
            for table in RESULTS | HISTORY:
                connection.exec_driver_sql(f"DELETE FROM {table}")


def schema_statements() -> dict[str, str]:
    """The statements of the schema file, without its comments, by the table that each makes."""
    lines = [line.split("--")[0] for line in shipped("fixtures/schema.sql").read_text("utf-8").splitlines()]
    statements = filter(str.strip, "\n".join(lines).split(";"))
    return {statement.split("(")[0].split()[-1]: statement for statement in statements}


def _create_missing(connection: sa.Connection, more: Mapping[str, Collection[str]] | None = None) -> None:
    """Create the tables that are missing; `more`: columns of texts, by table, beside those of the schema."""
    existing = tables_of(connection)
    for table, statement in schema_statements().items():
        # A view may serve as an input table; CREATE TABLE IF NOT EXISTS alone would stumble over it.
        if table not in existing:
            columns = "".join(f",\n    {name} TEXT" for name in (more or {}).get(table, ()))
            define(connection, f"{statement.rstrip().removesuffix(')').rstrip()}{columns}\n)" if columns else statement)


def store_credits(
    database: Database, run: Run, credits: pd.DataFrame, outcomes: pd.DataFrame, conversions: pd.DataFrame
) -> int:
    """Replace what is stored of a run's orders, in one transaction.

    In: `credits` (`conv_id, session_id, initializer, holder, closer, ihc`) of the orders that are credited; `outcomes`
    (`conv_id, outcome, reason`) of all orders of the run; all `conversions`, or their `conv_id`. Orders of the run
    that are not credited lose their credits, and so do stored orders that are gone from `conversions`; the other
    orders keep theirs.

    Out: how many stored orders were gone, and were removed. Raises DatabaseError.
    """
    # Rows that come in the order of the key are stored nearly twice as fast.
    credits, outcomes = (frame.sort_values("conv_id", kind="stable") for frame in (credits, outcomes))
    existing = set(conversions["conv_id"])
    with database.transaction(is_writing=True) as connection:
        # As texts, for another program may have made the table with ids that are integers.
        its_id = id_text(connection, "attribution_customer_journey", "conv_id")
        known = f"SELECT {its_id} AS conv_id FROM attribution_customer_journey "
        known += "WHERE conv_id IS NOT NULL"
        known += " UNION SELECT conv_id FROM attribution_outcomes"
        stored = read(connection, known)["conv_id"].astype("str")
        vanished = [conv_id for conv_id in stored if conv_id not in existing]
        _forget(connection, [*vanished, *outcomes["conv_id"]])
        upsert(connection, "attribution_runs", pd.DataFrame([asdict(replace(run, vanished=len(vanished)))]), "run_id")
        append(connection, "attribution_outcomes", outcomes.assign(run_id=run.run_id))
        append(connection, "attribution_customer_journey", credits[list(CREDITS)])
        append(connection, "attribution_phases", credits[list(RESULTS["attribution_phases"])])
    return len(vanished)


def _forget(connection: sa.Connection, orders: Sequence[str]) -> None:
    """Delete what is stored of orders."""
    tables = ("attribution_customer_journey", "attribution_phases", "attribution_outcomes")
    ids = {table: same_id(connection, table, "conv_id") for table in tables}
    for among in listed(connection, orders):
        for table, its_id in ids.items():
            connection.execute(sa.text(f"DELETE FROM {table} WHERE {its_id} IN {among.sql}"), among.given)


def store_reporting(database: Database, reporting: pd.DataFrame) -> None:
    """Replace the whole table `channel_reporting` in one transaction; raises DatabaseError."""
    with database.transaction(is_writing=True) as connection:
        connection.exec_driver_sql("DELETE FROM channel_reporting")
        append(connection, "channel_reporting", reporting[list(REPORTING)])


def store_sample(database: Database, tables: Tables) -> None:
    """Make the tables, fill the input with a shop that is made up, and leave a mark that it is: one transaction.

    Raises DatabaseError where there is any of the input tables.
    """
    with database.transaction(is_writing=True) as connection:
        if found := [table for table in COLUMNS if table in tables_of(connection)]:
            raise DatabaseError(
                f"Database {database.label} has a table {some(found)} already; a sample is only written where there "
                "are none of the input tables."
            )
        own = {table: frame.columns.drop(list(COLUMNS[table])) for table, frame in zip(COLUMNS, tables, strict=True)}
        _create_missing(connection, own)
        # Before the rows: where it cannot be undone, a shop that is made up must not be left without it.
        connection.exec_driver_sql(f"CREATE TABLE {SAMPLE_MARK} (made_up INTEGER)")
        for table, frame in zip(COLUMNS, tables, strict=True):
            append(connection, table, frame)


def is_marked_sample(database: Database) -> bool:
    """Is the shop in this database made up? False where there is no database that can be read."""
    if not database.exists():
        return False
    try:
        with database.transaction() as connection:
            return SAMPLE_MARK in tables_of(connection)
    except DatabaseError:
        return False
