import shutil
import sys

import pandas as pd
import pytest
from helpers.databases import WITH_TRIGGERS, raise_at, rows_of, sql

from ihc import attribute, build_journeys, channel_reporting, read_tables
from ihc.database.database import Database
from ihc.database.results import (
    create_tables,
    read_credit,
    read_phases,
    read_results,
    store_credits,
    store_reporting,
    try_writing,
)
from ihc.database.tables import HISTORY, RESULTS, Run
from ihc.errors import DatabaseError, InputError
from ihc.journeys.credits import outcomes_of
from ihc.models.parameters import load_parameters

RUN = Run("run-1", "2023-09-08 00:00:00", "local", "default (abc)", None, None, None, "0")
NOTHING_FAILED = pd.DataFrame(columns=["conv_id", "outcome", "reason"], dtype="str")


def attributed(path, run=RUN, **window):
    """Attribute the orders of the window and store them; return how many stored orders no longer exist."""
    tables = read_tables(path)
    journeys = build_journeys(tables.sessions, tables.conversions, **window)
    orders = tables.conversions[tables.conversions["conv_date"].between(window.get("start_date", ""), "9999")]
    credits = attribute(journeys, load_parameters())
    create_tables(path)
    return store_credits(path, run, credits, outcomes_of(orders, journeys, NOTHING_FAILED), tables.conversions)


@pytest.fixture
def small(database):
    """Two users; c1 has sessions s1 and s2, c2 has s3, c3 has none."""
    return filled(database)


@pytest.fixture
def small_file(empty_files, tmp_path):
    """The same as an SQLite file, for tests of files or independent of the kind of database."""
    return filled(Database(shutil.copy(empty_files / "shop.db", tmp_path / "shop.db")))


def filled(database):
    sql(
        database,
        "INSERT INTO session_sources VALUES ('s1','u1','2023-09-01','10:00:00','A',1,1,0),"
        "('s2','u1','2023-09-02','10:00:00','B',1,1,0), ('s3','u2','2023-09-02','11:00:00','A',1,1,0)",
        "INSERT INTO conversions VALUES ('c1','u1','2023-09-02','12:00:00',10),"
        "('c2','u2','2023-09-03','12:00:00',20), ('c3','u3','2023-09-03','12:00:00',30)",
        "INSERT INTO session_costs VALUES ('s1',1), ('s2',NULL)",
    )
    return database


def test_creating_adds_what_is_missing_and_touches_nothing_that_exists(small):
    missing = ("channel_reporting", *HISTORY)
    sql(
        small, "CREATE TABLE mine (a INTEGER)", "INSERT INTO mine VALUES (1)", *(f"DROP TABLE {one}" for one in missing)
    )
    before = sql(small, "SELECT * FROM conversions")
    create_tables(small)
    create_tables(small)
    assert sql(small, "SELECT * FROM conversions") == before
    assert sql(small, "SELECT * FROM mine") == [(1,)]
    assert [sql(small, f"SELECT count(*) FROM {table}") for table in missing] == [[(0,)]] * len(missing)


def stored(database):
    return sql(database, "SELECT conv_id, session_id FROM attribution_customer_journey ORDER BY 1, 2")


def test_a_run_stores_credits_phases_and_outcomes_and_again_the_same(small):
    nothing = read_results(small)
    assert [len(frame) for frame in (*nothing, read_phases(small))] == [0] * 5
    attributed(small)
    sums = sql(small, "SELECT conv_id, sum(ihc) FROM attribution_customer_journey GROUP BY 1 ORDER BY 1")
    assert sums == [("c1", pytest.approx(1, abs=1e-12)), ("c2", pytest.approx(1, abs=1e-12))]
    assert sql(small, "SELECT conv_id, outcome FROM attribution_outcomes ORDER BY 1") == [
        ("c1", "credited"),
        ("c2", "credited"),
        ("c3", "unattributed"),
    ]
    tables = read_tables(small)
    credits = attribute(build_journeys(tables.sessions, tables.conversions), load_parameters())
    expected = credits.drop(columns="ihc").sort_values(["conv_id", "session_id"], ignore_index=True)
    found = read_phases(small).sort_values(["conv_id", "session_id"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)
    found = read_credit(small, "c1").sort_values("session_id")
    assert found["session_id"].tolist() == ["s1", "s2"]
    assert found["ihc"].sum() == pytest.approx(1)
    assert found[["engine", "parameters"]].drop_duplicates().to_numpy().tolist() == [["local", "default (abc)"]]
    assert read_credit(small, "c3").empty
    assert read_credit(small, "' OR 1=1 --").empty
    once = [rows_of(small, table) for table in RESULTS]
    attributed(small)
    assert [rows_of(small, table) for table in RESULTS] == once


def test_a_run_over_a_window_leaves_other_orders_alone_but_for_those_that_vanished(small):
    attributed(small)
    sql(
        small,
        "UPDATE attribution_customer_journey SET ihc = 0.5",
        "DELETE FROM session_sources WHERE session_id IN ('s1', 's3')",
    )
    assert attributed(small, start_date="2023-09-03") == 0
    # c2, on that day, became untracked; c1 keeps its credits although a session is gone.
    assert stored(small) == [("c1", "s1"), ("c1", "s2")]
    assert sql(small, "SELECT DISTINCT ihc FROM attribution_customer_journey") == [(0.5,)]
    assert sql(small, "SELECT outcome FROM attribution_outcomes WHERE conv_id = 'c2'") == [("unattributed",)]
    sql(small, "DELETE FROM conversions WHERE conv_id = 'c1'")
    assert attributed(small, start_date="2023-09-03") == 1
    assert stored(small) == []
    assert sql(small, "SELECT vanished FROM attribution_runs") == [(1,)]


def test_reading_types_every_column_and_keeps_extra_ones(small_file):
    sql(small_file, "ALTER TABLE session_sources ADD COLUMN campaign TEXT DEFAULT 'spring'")
    sessions, conversions, costs = read_tables(small_file)
    assert sessions["campaign"].tolist() == ["spring"] * 3
    kinds = sessions.dtypes[["session_id", "event_date", "holder_engagement"]].astype("str")
    assert kinds.tolist() == ["str", "str", "int8"]
    assert conversions["revenue"].dtype == "float64"
    assert costs["cost"].isna().tolist() == [False, True]


def test_reporting_replaces_the_whole_table(small_file):
    attributed(small_file)
    sql(small_file, "INSERT INTO channel_reporting VALUES ('old', '2020-01-01', 1, 1, 1)")
    store_reporting(small_file, channel_reporting(*read_tables(small_file), read_results(small_file).credits))
    # A on 09-01: s1 costs 1; on 09-02: s3 gets all of c2; B on 09-02: s2, whose cost is NULL.
    assert sql(small_file, "SELECT channel_name, date, cost FROM channel_reporting ORDER BY 1, 2") == [
        ("A", "2023-09-01", 1.0),
        ("A", "2023-09-02", 0.0),
        ("B", "2023-09-02", 0.0),
    ]


def test_cleaning_empties_the_results_and_keeps_the_input_and_the_answers_that_were_paid_for(small):
    attributed(small)
    sql(small, "INSERT INTO api_answers VALUES ('r', 'c1', 's1', 1, 0, 1, 1)")
    sql(
        small,
        "INSERT INTO history_orders VALUES (1, 'c1', 10, 7, 'local', 1, NULL, NULL)",
        "INSERT INTO history_credits VALUES (1, 'A', '2023-09-01', 1)",
        "INSERT INTO history_costs VALUES ('A', '2023-09-01', 1, 1, NULL)",
        "INSERT INTO report_runs VALUES (1, 'r', 'now', 'local', 'p', NULL, NULL, NULL, '0', 1, 1, 10, 1)",
    )
    create_tables(small, clean_results=True)
    emptied = [*RESULTS, *HISTORY]
    assert [sql(small, f"SELECT count(*) FROM {table}") for table in emptied] == [[(0,)]] * len(emptied)
    assert sql(small, "SELECT count(*) FROM session_sources") == [(3,)]
    assert sql(small, "SELECT count(*) FROM api_answers") == [(1,)]


@pytest.mark.parametrize("value", ["5.0", "NULL", "-1", "'much'"])
def test_invalid_stored_credits_are_excluded_and_named(small_file, value):
    attributed(small_file)
    sql(
        small_file,
        "CREATE TABLE t AS SELECT * FROM attribution_customer_journey",
        "DROP TABLE attribution_customer_journey",
        "ALTER TABLE t RENAME TO attribution_customer_journey",
        f"UPDATE attribution_customer_journey SET ihc = {value} WHERE conv_id = 'c2'",
    )
    results = read_results(small_file)
    assert results.credits["conv_id"].unique().tolist() == ["c1"]
    assert "c2" not in set(results.outcomes["conv_id"])
    assert results.unsound["conv_id"].tolist() == ["c2"]


def test_a_session_credited_twice_makes_its_order_invalid_whatever_the_order_of_rows(small_file):
    attributed(small_file)
    sql(
        small_file,
        "CREATE TABLE t AS SELECT * FROM attribution_customer_journey ORDER BY session_id DESC",
        "DROP TABLE attribution_customer_journey",
        "ALTER TABLE t RENAME TO attribution_customer_journey",
        "UPDATE attribution_customer_journey SET ihc = 0.5 WHERE conv_id = 'c2'",
    )
    assert read_results(small_file).unsound["conv_id"].tolist() == ["c2"]
    sql(small_file, "INSERT INTO attribution_customer_journey VALUES ('c2', 's3', 0.5)")
    unsound = read_results(small_file).unsound
    assert unsound.to_numpy().tolist() == [["c2", "credits for sessions outside the journey, or duplicate credits: 1"]]


def test_results_are_the_same_with_and_without_the_driver(small_file, monkeypatch):
    attributed(small_file)
    sql(small_file, "INSERT INTO attribution_customer_journey VALUES ('c3', 's9', 1)")
    quick = (*read_results(small_file), read_phases(small_file))
    assert len(quick[0]) == 4
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    for one, other in zip(quick, (*read_results(small_file), read_phases(small_file)), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_run_over_all_orders_keeps_credit_that_another_program_stored_without_an_id(small_file):
    sql(
        small_file,
        "DROP TABLE attribution_customer_journey",
        "CREATE TABLE attribution_customer_journey (conv_id TEXT, session_id TEXT, ihc REAL)",
        "INSERT INTO attribution_customer_journey VALUES (NULL, 's1', 1), ('c1', 's1', 1)",
    )
    attributed(small_file)
    assert stored(small_file) == [(None, "s1"), ("c1", "s1"), ("c1", "s2"), ("c2", "s3")]


@pytest.mark.parametrize("nowhere", WITH_TRIGGERS, indirect=True)
def test_an_error_in_the_middle_of_storing_leaves_the_previous_state(small):
    attributed(small)
    before = sql(small, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2")
    sql(small, "UPDATE conversions SET revenue = 99")
    raise_at(small, "BEFORE INSERT", "attribution_phases", "disk full")
    with pytest.raises(DatabaseError, match="disk full"):
        attributed(small, Run("run-2", *list(vars(RUN).values())[1:]))
    assert sql(small, "SELECT * FROM attribution_customer_journey ORDER BY 1, 2") == before
    assert sql(small, "SELECT run_id FROM attribution_runs") == [("run-1",)]


def test_the_journal_mode_of_the_file_stays_as_it_was(small_file):
    sql(small_file, "PRAGMA journal_mode = WAL")
    attributed(small_file)
    assert sql(small_file, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("nowhere", WITH_TRIGGERS, indirect=True)
def test_input_tables_are_never_written_to(small):
    tables = ("session_sources", "conversions", "session_costs")
    for table in tables:
        for action in ("INSERT", "UPDATE", "DELETE"):
            raise_at(small, f"BEFORE {action}", table, "no")
    attributed(small)
    create_tables(small, clean_results=True)
    assert sql(small, "SELECT count(*) FROM conversions") == [(3,)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b"PK\x03\x04 no database at all" * 50), "not an SQLite file"),
        (lambda path: path.write_bytes(b""), "has no table 'session_sources', 'conversions', 'session_costs'"),
    ],
)
def test_an_invalid_database_is_refused_in_a_sentence(tmp_path, make, says):
    path = tmp_path / "it.db"
    make(path)
    with pytest.raises((DatabaseError, InputError), match=says) as error:
        read_tables(path)
    assert "it.db" in str(error.value)


def test_a_database_that_cannot_be_written_is_refused(small_file):
    with pytest.raises(DatabaseError, match="cannot be written"):
        try_writing(Database(f"sqlite:///file:{small_file.file}?mode=ro&uri=true"))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("TABLE channel_reporting (channel_name, day)", "no column named date"),
        ("VIEW channel_reporting AS SELECT session_id AS channel_name FROM session_costs", "view"),
    ],
)
def test_trying_to_write_changes_nothing_and_refuses_a_result_table_of_another_shape(small_file, made, says):
    before = small_file.file.read_bytes()
    try_writing(small_file)
    assert small_file.file.read_bytes() == before
    sql(small_file, "DROP TABLE channel_reporting", f"CREATE {made}")
    before = small_file.file.read_bytes()
    with pytest.raises(DatabaseError, match=says):
        try_writing(small_file)
    assert small_file.file.read_bytes() == before


def test_result_tables_with_integer_ids_of_another_program_serve_too(tmp_path):
    path = Database(tmp_path / "numbers.db")
    sql(
        path,
        "CREATE TABLE session_sources (session_id INTEGER, user_id INTEGER, event_date, event_time, channel_name,"
        " holder_engagement, closer_engagement, impression_interaction)",
        "CREATE TABLE conversions (conv_id INTEGER, user_id REAL, conv_date, conv_time, revenue)",
        "CREATE TABLE session_costs (session_id REAL, cost)",
        "CREATE TABLE attribution_customer_journey (conv_id INTEGER, session_id INTEGER, ihc REAL)",
        "INSERT INTO session_sources VALUES (1, 7, '2023-09-01', '10:00:00', 'A', 1, 1, 0)",
        "INSERT INTO conversions VALUES (11, 7.0, '2023-09-01', '11:00:00', 5), (12, 7.0, '2023-09-02', '11:00:00', 5)",
        "INSERT INTO session_costs VALUES (1.0, 2.5)",
    )
    attributed(path)
    attributed(path, start_date="2023-09-02")
    assert stored(path) == [(11, 1), (12, 1)]
    tables, results = read_tables(path), read_results(path)
    # Both orders' 5.00 and the session's 2.50 are in channel A on 1 September.
    assert channel_reporting(*tables, results.credits).to_numpy().tolist() == [["A", "2023-09-01", 2.5, 2.0, 10.0]]
    sql(
        path,
        "DELETE FROM conversions WHERE conv_id = 12",
        "INSERT INTO attribution_customer_journey VALUES (NULL, 1, 1)",
    )
    assert attributed(path) == 1
    assert attributed(path) == 0


def test_a_result_table_that_would_change_ids_is_refused(small_file):
    sql(small_file, "DROP TABLE attribution_customer_journey")
    sql(small_file, "CREATE TABLE attribution_customer_journey (conv_id REAL, session_id TEXT, ihc REAL)")
    with pytest.raises(
        DatabaseError, match="Table attribution_customer_journey, column conv_id: it stores ids as floating"
    ):
        try_writing(small_file)


def test_an_order_with_an_invalid_phase_has_no_phases(small_file):
    attributed(small_file)
    for value in ("-0.1", "9e999", "'x'", "1.1"):
        sql(small_file, f"UPDATE attribution_phases SET holder = {value} WHERE session_id = 's1'")
        assert read_phases(small_file)["conv_id"].tolist() == ["c2"]


def test_without_results_there_is_no_stored_credit_and_credit_of_another_program_has_an_unknown_engine(
    small_file, tmp_path
):
    (tmp_path / "empty.db").touch()
    assert read_credit(Database(tmp_path / "empty.db"), "c1").empty
    sql(small_file, "INSERT INTO attribution_customer_journey VALUES ('c1', 's1', 0.25), ('c1', 's2', 0.75)")
    found = read_credit(small_file, "c1")
    assert found["ihc"].tolist() == [0.25, 0.75]
    assert set(found["engine"]) == {"unknown"}
    outcomes = read_results(small_file).outcomes
    assert outcomes[["conv_id", "outcome", "engine"]].to_numpy().tolist() == [["c1", "credited", "unknown"]]
