"""Reading the shop's tables and storing results: SQLite, one transaction a unit of work.

Nothing here writes to the input tables.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.arrow_reading import read_frames
from ihc.connection import append, database_file, label, read, tables_of, transaction
from ihc.credits import TOLERANCE, check_credits
from ihc.errors import DatabaseError, InputError, some
from ihc.ids import is_among
from ihc.schemas import COLUMNS, CREDITS, PHASES, REPORTING, Tables, as_text, check_tables

RESOURCES = Path(__file__).parent / "resources"
CHECKOUT = Path(__file__).parents[1]
UNKNOWN = "unknown"
SAMPLE_MARK = "ihc_sample_shop"
PROBE = "900000000000017"  # an id that a column of numbers, too, would take


@dataclass(frozen=True)
class Run:
    """What a run was asked for, as stored beside its results."""

    run_id: str
    started_at: str
    engine: str
    parameters: str
    lookback_days: float | None
    start_date: str | None
    end_date: str | None
    version: str
    vanished: int = 0  # stored orders that were gone from `conversions`, and were removed


RESULTS: dict[str, tuple[str, ...]] = {
    "attribution_customer_journey": CREDITS,
    "channel_reporting": REPORTING,
    "attribution_phases": ("conv_id", "session_id", *PHASES),
    "attribution_runs": tuple(field.name for field in fields(Run)),
    "attribution_outcomes": ("conv_id", "run_id", "outcome", "reason"),
}


LEDGER: dict[str, tuple[str, ...]] = {
    "api_requests": (
        *("request_id", "run_id", "account", "url", "conv_type_id", "redistribution"),
        *("conversions", "sessions", "sent_at", "ended_at", "calls", "outcome"),
    ),
    "api_refreshes": ("account", "began_at", "ended_at"),
    "api_ledger": ("request_id", "conv_id", "fingerprint", "outcome", "reason"),
    "api_answers": ("request_id", "conv_id", "session_id", *PHASES, "ihc"),
}
# What each run's report was made of; see ihc/history.py.
HISTORY: dict[str, tuple[str, ...]] = {
    "report_runs": (
        *("number", "run_id", "recorded_at", "engine", "parameters", "lookback_days", "start_date", "end_date"),
        *("version", "orders", "ihc", "ihc_revenue", "cost"),
    ),
    "history_orders": ("version", "conv_id", "revenue", "sessions", "source", "first_run", "last_run"),
    "history_credits": ("version", "channel_name", "date", "ihc"),
    "history_costs": ("channel_name", "date", "cost", "first_run", "last_run"),
}
NUMBERS = {*PHASES, *("ihc", "ihc_revenue", "cost", "lookback_days", "vanished", "conversions", "sessions", "calls")}


class Results(NamedTuple):
    """What is stored of earlier runs.

    `credits`: `conv_id, session_id, ihc`; `outcomes`: how each order ended, with its run's settings; `runs`: the runs;
    `unsound`: `conv_id, reason` of stored credits that are not whole, and so in neither of the former.
    """

    credits: pd.DataFrame
    outcomes: pd.DataFrame
    runs: pd.DataFrame
    unsound: pd.DataFrame


def shipped(name: str) -> Path:
    """Find a file that ships with the package: in the project's folder of a checkout, or inside the wheel."""
    packed = RESOURCES / Path(name).name
    return packed if packed.exists() else CHECKOUT / name


class _RollBack(Exception):  # noqa: N818 - not an error
    """Leave a transaction without a trace."""


def read_tables(database: str | Path) -> Tables:
    """Read, check and type the three input tables of a database (path or SQLAlchemy URL), as of one moment.

    Out: `sessions, conversions, costs` with the tables' columns, more columns kept.
    Raises DatabaseError if it cannot be read, InputError with all findings if a table is missing or unfit.
    """
    with transaction(database) as connection:
        existing = tables_of(connection)
        if missing := [table for table in COLUMNS if table not in existing]:
            raise InputError(
                f"Database {label(database)} has no table {some(missing)}; the input tables are {', '.join(COLUMNS)}, "
                "and `ihc init` shows their columns by creating them empty."
            )
        frames = read_frames(database_file(database), [*COLUMNS]) or [
            read(connection, f"SELECT * FROM {table}", coerce_float=False) for table in COLUMNS
        ]
    return check_tables(*frames)


def read_results(database: str | Path) -> Results:
    """Read what is stored of earlier runs; all frames are empty where nothing is.

    Out: `credits` (`conv_id, session_id, ihc`), `outcomes` (`conv_id, outcome, reason, run_id, engine, parameters,
    lookback_days`), `runs` and `unsound` (`conv_id, reason`). Credits that another program stored count as credited by
    an unknown engine; credits that are negative, no number or do not sum to 1 an order are left out, and in `unsound`.
    """
    with transaction(database) as connection:
        frames = {
            table: read(connection, f"SELECT {', '.join(RESULTS[table])} FROM {table}")
            for table in ("attribution_customer_journey", "attribution_outcomes", "attribution_runs")
        }
    credits, outcomes, runs = (_typed(frame) for frame in frames.values())
    unsound = check_credits(credits, credits)
    credits = credits[~is_among(credits["conv_id"], unsound["conv_id"])].reset_index(drop=True)
    outcomes = outcomes[~is_among(outcomes["conv_id"], unsound["conv_id"])]
    outcomes = outcomes.merge(runs[["run_id", "engine", "parameters", "lookback_days"]], on="run_id")
    strange = credits.loc[~is_among(credits["conv_id"], outcomes["conv_id"]), ["conv_id"]].drop_duplicates()
    strange = strange.assign(outcome="credited", reason="", run_id=UNKNOWN, engine=UNKNOWN, parameters=UNKNOWN)
    outcomes = pd.concat([outcomes, strange], ignore_index=True) if len(strange) else outcomes
    return Results(credits, outcomes, runs, unsound)


def read_phases(database: str | Path) -> pd.DataFrame:
    """Read the phases of the stored credits: `conv_id, session_id, initializer, holder, closer [share]`.

    Orders of which another program stored the credits have none; those with a value that is no share are left out.
    Raises DatabaseError.
    """
    columns = RESULTS["attribution_phases"]
    with transaction(database) as connection:
        phases = read(connection, f"SELECT {', '.join(columns)} FROM attribution_phases")
    phases = _typed(phases)
    is_share = phases[list(PHASES)].apply(lambda values: values.between(0, 1 + TOLERANCE)).all(axis=1)
    unfit = phases.loc[~is_share, "conv_id"]
    return phases[~is_among(phases["conv_id"], unfit)].reset_index(drop=True)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        **{
            name: pd.to_numeric(frame[name], errors="coerce").astype("float64")
            if name in NUMBERS
            else as_text(frame[name])
            for name in frame.columns
        }
    )


def read_credit(database: str | Path, conv_id: str) -> pd.DataFrame:
    """Read the stored credit of one order: `session_id, ihc [share], engine, parameters`, a row a session.

    No row where nothing is stored of it. Raises DatabaseError.
    """
    query = (
        "SELECT session_id, ihc, engine, parameters FROM attribution_customer_journey "
        "LEFT JOIN attribution_outcomes USING (conv_id) LEFT JOIN attribution_runs USING (run_id) "
        "WHERE CAST(conv_id AS TEXT) = :conv_id"
    )
    columns = ["session_id", "ihc", "engine", "parameters"]
    with transaction(database) as connection:
        if not RESULTS.keys() <= set(tables_of(connection)):
            return _typed(pd.DataFrame(columns=columns))
        credit = pd.read_sql(sa.text(query), connection, params={"conv_id": conv_id})
    return _typed(credit).fillna({"engine": UNKNOWN, "parameters": UNKNOWN})


def check_writable(database: str | Path) -> None:
    """Raise DatabaseError if the result tables cannot be made, emptied or filled; changes nothing."""
    try:
        with transaction(database, "BEGIN IMMEDIATE") as connection:
            connection.exec_driver_sql("CREATE TABLE ihc_can_write (a TEXT)")
            _create_missing(connection)
            for table, columns in (RESULTS | LEDGER | HISTORY).items():
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE 1 = 0")
                row = {name: 0.5 if name in NUMBERS else PROBE for name in columns}
                append(connection, table, pd.DataFrame([row]))
                _refuse_real_ids(connection, table, [name for name in columns if name in ("conv_id", "session_id")])
            raise _RollBack
    except _RollBack:
        pass


def _refuse_real_ids(connection: sa.Connection, table: str, columns: list[str]) -> None:
    for column in columns:
        probe = sa.text(f"SELECT 1 FROM {table} WHERE typeof({column}) = 'real' LIMIT 1")
        if connection.execute(probe).first():
            raise DatabaseError(
                f"Table {table}, column {column}: it keeps ids as floating point numbers, which changes them; "
                "rename the table and run again."
            )


def create_tables(database: str | Path, *, clean_results: bool = False) -> None:
    """Create the tables that are missing, and the file; touch nothing that exists.

    `clean_results` empties the result tables and the history, but not the ledger of the API, whose answers were paid
    for.
    Raises DatabaseError if the database cannot be written.
    """
    file = database_file(database)
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        except OSError as error:
            raise DatabaseError(f"Database {label(database)} cannot be created: {error.strerror}.") from None
    with transaction(database, "BEGIN IMMEDIATE") as connection:
        _create_missing(connection)
        if clean_results:
            for table in RESULTS | HISTORY:
                connection.exec_driver_sql(f"DELETE FROM {table}")


def _create_missing(connection: sa.Connection) -> None:
    existing = tables_of(connection)
    lines = [line.split("--")[0] for line in shipped("fixtures/schema.sql").read_text("utf-8").splitlines()]
    for statement in filter(str.strip, "\n".join(lines).split(";")):
        # A view may serve as an input table; CREATE TABLE IF NOT EXISTS alone would stumble over it.
        if statement.split("(")[0].split()[-1] not in existing:
            connection.exec_driver_sql(statement)


def store_credits(
    database: str | Path, run: Run, credits: pd.DataFrame, outcomes: pd.DataFrame, conversions: pd.DataFrame
) -> int:
    """Replace what is stored of a run's orders, in one transaction.

    In: `credits` (`conv_id, session_id, initializer, holder, closer, ihc`) of the orders that are credited; `outcomes`
    (`conv_id, outcome, reason`) of all orders of the run; all `conversions` as read. Orders of the run that are not
    credited lose their credits, and so do stored orders that are gone from `conversions`; the other orders keep theirs.

    Out: how many stored orders were gone, and were removed. Raises DatabaseError.
    """
    # Rows that come in the order of the key are stored nearly twice as fast.
    credits, outcomes = (frame.sort_values("conv_id", kind="stable") for frame in (credits, outcomes))
    existing = set(conversions["conv_id"])
    with transaction(database, "BEGIN IMMEDIATE") as connection:
        # As texts, for another program may have made the table with ids that are integers.
        known = "SELECT CAST(conv_id AS TEXT) AS conv_id FROM attribution_customer_journey WHERE conv_id IS NOT NULL"
        known += " UNION SELECT conv_id FROM attribution_outcomes"
        stored = read(connection, known)["conv_id"].astype("str")
        vanished = [conv_id for conv_id in stored if conv_id not in existing]
        touched = pd.DataFrame({"conv_id": [*vanished, *outcomes["conv_id"]]}, dtype="str")
        connection.exec_driver_sql("CREATE TEMP TABLE touched (conv_id TEXT PRIMARY KEY)")
        append(connection, "touched", touched)
        for table in ("attribution_customer_journey", "attribution_phases", "attribution_outcomes"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE conv_id IN (SELECT conv_id FROM touched)")
        connection.execute(sa.text("DELETE FROM attribution_runs WHERE run_id = :run_id"), {"run_id": run.run_id})
        append(connection, "attribution_runs", pd.DataFrame([asdict(replace(run, vanished=len(vanished)))]))
        append(connection, "attribution_outcomes", outcomes.assign(run_id=run.run_id))
        append(connection, "attribution_customer_journey", credits[list(CREDITS)])
        append(connection, "attribution_phases", credits[list(RESULTS["attribution_phases"])])
        connection.exec_driver_sql("DROP TABLE touched")
    return len(vanished)


def store_reporting(database: str | Path, reporting: pd.DataFrame) -> None:
    """Replace the whole table `channel_reporting` in one transaction; raises DatabaseError."""
    with transaction(database, "BEGIN IMMEDIATE") as connection:
        connection.exec_driver_sql("DELETE FROM channel_reporting")
        append(connection, "channel_reporting", reporting[list(REPORTING)])


def store_tables(database: str | Path, tables: Tables) -> None:
    """Fill the empty input tables of a new database; the sample shop is made with it."""
    with transaction(database, "BEGIN IMMEDIATE") as connection:
        for table, frame in zip(COLUMNS, tables, strict=True):
            append(connection, table, frame)


def mark_as_sample(database: str | Path) -> None:
    """Leave a mark in a database that its shop is made up; raises DatabaseError."""
    with transaction(database, "BEGIN IMMEDIATE") as connection:
        connection.exec_driver_sql(f"CREATE TABLE {SAMPLE_MARK} (made_up INTEGER)")


def is_marked_sample(database: str | Path) -> bool:
    """Is the shop in this database made up? False where there is no database that can be read."""
    if not database_file(database).is_file():
        return False
    try:
        with transaction(database) as connection:
            return SAMPLE_MARK in tables_of(connection)
    except DatabaseError:
        return False
