"""Reading the shop's tables and storing results: SQLite, one transaction a unit of work.

Nothing here writes to the input tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.credits import check_credits
from ihc.errors import DatabaseError, InputError, SettingsError, some
from ihc.schemas import COLUMNS, CREDITS, PHASES, REPORTING, Tables, as_text, check_tables

RESOURCES = Path(__file__).parent / "resources"
CHECKOUT = Path(__file__).parents[1]
BUSY_SECONDS = 60
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
    "api_ledger": ("request_id", "conv_id", "fingerprint", "outcome", "reason"),
    "api_answers": ("request_id", "conv_id", "session_id", *PHASES, "ihc"),
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


def database_url(database: str | Path) -> sa.URL:
    """Make a SQLAlchemy URL of a path or a URL; raises SettingsError where it is neither or no SQLite."""
    if "://" not in str(database):
        return sa.URL.create("sqlite", database=str(database))
    try:
        url = sa.make_url(str(database))
    except (sa.exc.ArgumentError, ValueError):
        raise SettingsError("The database is no URL that SQLAlchemy understands; e.g. sqlite:///data/ihc.db") from None
    if url.get_backend_name() != "sqlite":
        raise SettingsError(f"The database {label(database)} is not SQLite: this version reads and writes SQLite only.")
    if url.database in (None, "", ":memory:"):
        raise SettingsError("The database is in memory, where nothing outlives a notebook: name a file.")
    return url


def label(database: str | Path) -> str:
    """The database as it may be printed: without password and without query."""
    if "://" not in str(database):
        return str(database)
    try:
        return sa.make_url(str(database)).set(query={}).render_as_string(hide_password=True)
    except (sa.exc.ArgumentError, ValueError):
        return "(no valid URL)"


def database_file(database: str | Path) -> Path:
    """The file of an SQLite database."""
    name = str(database_url(database).database)
    return Path(name.removeprefix("file:").split("?")[0] if name.startswith("file:") else name).resolve()


def _engine(database: str | Path, begin: str) -> sa.Engine:
    engine = sa.create_engine(database_url(database), poolclass=sa.NullPool, connect_args={"timeout": BUSY_SECONDS})

    # The driver would begin a transaction only at the first write, and none around CREATE TABLE; so ihc begins them.
    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class _RollBack(Exception):  # noqa: N818 - not an error
    """Leave a transaction without a trace."""


@contextmanager
def connected(database: str | Path, begin: str = "BEGIN") -> Iterator[sa.Connection]:
    """Open a database that exists, for transactions that start with `begin`; its errors become DatabaseError."""
    file = database_file(database)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise DatabaseError(
            f"Database {label(database)} {what}. Name an SQLite file, or make one with `ihc init` or `ihc sample`."
        )
    try:
        with _engine(database, begin).connect() as connection:
            yield connection
    except (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, sqlite3.Error) as error:
        inner = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
        raise DatabaseError(_says(database, str(getattr(inner, "orig", inner)))) from None


@contextmanager
def _transaction(database: str | Path, begin: str = "BEGIN") -> Iterator[sa.Connection]:
    with connected(database, begin) as connection, connection.begin():
        yield connection


def _says(database: str | Path, reason: str) -> str:
    hints = {
        "not a database": "it is not an SQLite file",
        "readonly": "it cannot be written: check the rights of the file and its folder",
        "unable to open": "it cannot be opened: check the rights of the file and its folder",
        "has no column": f"{reason}; another program or version made that table: rename it and run again",
        "because it is a view": f"{reason}; ihc keeps its results there: rename it and run again",
        "locked": f"another program has kept it locked for {BUSY_SECONDS} seconds: close that program and run again",
    }
    return f"Database {label(database)}: {next((text for key, text in hints.items() if key in reason), reason)}."


def _tables_of(connection: sa.Connection) -> set[str]:
    inspector = sa.inspect(connection)
    return {*inspector.get_table_names(), *inspector.get_view_names()}


def read_tables(database: str | Path) -> Tables:
    """Read, check and type the three input tables of a database (path or SQLAlchemy URL), as of one moment.

    Out: `sessions, conversions, costs` with the tables' columns, more columns kept.
    Raises DatabaseError if it cannot be read, InputError with all findings if a table is missing or unfit.
    """
    with _transaction(database) as connection:
        existing = _tables_of(connection)
        if missing := [table for table in COLUMNS if table not in existing]:
            raise InputError(
                f"Database {label(database)} has no table {some(missing)}; the input tables are {', '.join(COLUMNS)}, "
                "and `ihc init` shows their columns by creating them empty."
            )
        frames = [pd.read_sql(sa.text(f"SELECT * FROM {table}"), connection, coerce_float=False) for table in COLUMNS]
    return check_tables(*frames)


def read_results(database: str | Path) -> Results:
    """Read what is stored of earlier runs; all frames are empty where nothing is.

    Out: `credits` (`conv_id, session_id, ihc`), `outcomes` (`conv_id, outcome, reason, run_id, engine, parameters,
    lookback_days`), `runs` and `unsound` (`conv_id, reason`). Credits that another program stored count as credited by
    an unknown engine; credits that are negative, no number or do not sum to 1 an order are left out, and in `unsound`.
    """
    with _transaction(database) as connection:
        frames = {
            table: pd.read_sql(sa.text(f"SELECT {', '.join(RESULTS[table])} FROM {table}"), connection)
            for table in ("attribution_customer_journey", "attribution_outcomes", "attribution_runs")
        }
    credits, outcomes, runs = (_typed(frame) for frame in frames.values())
    unsound = check_credits(credits, credits)
    credits = credits[~credits["conv_id"].isin(unsound["conv_id"])].reset_index(drop=True)
    outcomes = outcomes[~outcomes["conv_id"].isin(unsound["conv_id"])]
    outcomes = outcomes.merge(runs[["run_id", "engine", "parameters", "lookback_days"]], on="run_id")
    strange = credits.loc[~credits["conv_id"].isin(outcomes["conv_id"]), ["conv_id"]].drop_duplicates()
    strange = strange.assign(outcome="credited", reason="", run_id=UNKNOWN, engine=UNKNOWN, parameters=UNKNOWN)
    outcomes = pd.concat([outcomes, strange], ignore_index=True) if len(strange) else outcomes
    return Results(credits, outcomes, runs, unsound)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        **{
            name: pd.to_numeric(frame[name], errors="coerce").astype("float64")
            if name in NUMBERS
            else as_text(frame[name])
            for name in frame.columns
        }
    )


def check_writable(database: str | Path) -> None:
    """Raise DatabaseError if the result tables cannot be made, emptied or filled; changes nothing."""
    try:
        with _transaction(database, "BEGIN IMMEDIATE") as connection:
            connection.exec_driver_sql("CREATE TABLE ihc_can_write (a TEXT)")
            _create_missing(connection)
            for table, columns in (RESULTS | LEDGER).items():
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE 1 = 0")
                row = {name: 0.5 if name in NUMBERS else PROBE for name in columns}
                _append(connection, table, pd.DataFrame([row]))
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

    `clean_results` empties the result tables, but not the ledger of the API, whose answers were paid for.
    Raises DatabaseError if the database cannot be written.
    """
    file = database_file(database)
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        except OSError as error:
            raise DatabaseError(f"Database {label(database)} cannot be created: {error.strerror}.") from None
    with _transaction(database, "BEGIN IMMEDIATE") as connection:
        _create_missing(connection)
        if clean_results:
            for table in RESULTS:
                connection.exec_driver_sql(f"DELETE FROM {table}")


def _create_missing(connection: sa.Connection) -> None:
    existing = _tables_of(connection)
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
    with _transaction(database, "BEGIN IMMEDIATE") as connection:
        # As texts, for another program may have made the table with ids that are integers.
        known = "SELECT CAST(conv_id AS TEXT) AS conv_id FROM attribution_customer_journey WHERE conv_id IS NOT NULL"
        known += " UNION SELECT conv_id FROM attribution_outcomes"
        stored = pd.read_sql(sa.text(known), connection)["conv_id"].astype("str")
        vanished = [conv_id for conv_id in stored if conv_id not in existing]
        touched = pd.DataFrame({"conv_id": [*vanished, *outcomes["conv_id"]]}, dtype="str")
        connection.exec_driver_sql("CREATE TEMP TABLE touched (conv_id TEXT PRIMARY KEY)")
        _append(connection, "touched", touched)
        for table in ("attribution_customer_journey", "attribution_phases", "attribution_outcomes"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE conv_id IN (SELECT conv_id FROM touched)")
        connection.execute(sa.text("DELETE FROM attribution_runs WHERE run_id = :run_id"), {"run_id": run.run_id})
        _append(connection, "attribution_runs", pd.DataFrame([asdict(replace(run, vanished=len(vanished)))]))
        _append(connection, "attribution_outcomes", outcomes.assign(run_id=run.run_id))
        _append(connection, "attribution_customer_journey", credits[list(CREDITS)])
        _append(connection, "attribution_phases", credits[list(RESULTS["attribution_phases"])])
        connection.exec_driver_sql("DROP TABLE touched")
    return len(vanished)


def store_reporting(database: str | Path, reporting: pd.DataFrame) -> None:
    """Replace the whole table `channel_reporting` in one transaction; raises DatabaseError."""
    with _transaction(database, "BEGIN IMMEDIATE") as connection:
        connection.exec_driver_sql("DELETE FROM channel_reporting")
        _append(connection, "channel_reporting", reporting[list(REPORTING)])


def store_tables(database: str | Path, tables: Tables) -> None:
    """Fill the empty input tables of a new database; the sample shop is made with it."""
    with _transaction(database, "BEGIN IMMEDIATE") as connection:
        for table, frame in zip(COLUMNS, tables, strict=True):
            _append(connection, table, frame)


def mark_as_sample(database: str | Path) -> None:
    """Leave a mark in a database that its shop is made up; raises DatabaseError."""
    with _transaction(database, "BEGIN IMMEDIATE") as connection:
        connection.exec_driver_sql(f"CREATE TABLE {SAMPLE_MARK} (made_up INTEGER)")


def is_marked_sample(database: str | Path) -> bool:
    """Is the shop in this database made up? False where there is no database that can be read."""
    if not database_file(database).is_file():
        return False
    try:
        with _transaction(database) as connection:
            return SAMPLE_MARK in _tables_of(connection)
    except DatabaseError:
        return False


def _append(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    insert(connection, table, list(frame.columns), list(zip(*map(_plain, frame.items()), strict=True)))


def _plain(column: tuple[Any, pd.Series]) -> list[Any]:
    """A column as the driver takes it: Python's own numbers and texts, None for NULL."""
    _, values = column
    return values.astype(object).where(values.notna(), None).tolist() if values.hasnans else values.tolist()


def insert(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows to a table in one call of the driver: several times as fast as `DataFrame.to_sql`."""
    marks = ", ".join("?" * len(columns))
    execute(connection, f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


def execute(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement for each of `rows`, by the driver itself."""
    cursor = connection.connection.cursor()
    cursor.executemany(statement, rows)
    cursor.close()
