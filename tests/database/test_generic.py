import subprocess
import sys
import threading

import pandas as pd
import pytest
from helpers.databases import rows_of, sql

from ihc.database import generic
from ihc.database.database import Database
from ihc.database.inputs import read_tables
from ihc.database.results import create_tables
from ihc.errors import DatabaseError
from ihc.pipeline.sample import write_sample

# A process that keeps the file open until its input ends.
HOLD = """
import duckdb, sys
connection = duckdb.connect({file!r}, read_only={read_only})
print("open", flush=True)
sys.stdin.read()
"""
# A process that is killed without closing the file that it wrote to.
DIE = """
import duckdb, os, signal, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO kept VALUES (2)")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "shop.duckdb"


@pytest.fixture
def made(file):
    """A file with a table of one row."""
    made = Database(f"duckdb:///{file}")
    made.make_empty()
    sql(made, "CREATE TABLE kept (id INTEGER)", "INSERT INTO kept VALUES (1)")
    return made


@pytest.fixture
def holding(file, made):
    """A process that has the file open for reading or writing."""
    started = []

    def hold(read_only):
        code = HOLD.format(file=str(file), read_only=read_only)
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"open\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(generic, "PATIENCE", dict.fromkeys(generic.PATIENCE, 0.2))
    monkeypatch.setattr(generic, "SOON", 0.05)


def count(database, *, is_writing=False):
    with database.transaction(is_writing=is_writing) as opened:
        return opened.connection.exec_driver_sql("SELECT count(*) FROM kept").scalar()


def test_reading_does_not_create_a_missing_file(file):
    for is_writing in (True, False):
        with pytest.raises(DatabaseError, match=r"does not exist\. Give a DuckDB file"):
            count(Database(f"duckdb:///{file}"), is_writing=is_writing)
    assert not Database(f"duckdb:///{file}").exists()
    assert not file.exists()


def test_a_folder_and_another_kind_of_file_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(DatabaseError, match="is a folder"):
        count(Database(f"duckdb:///{tmp_path}"))
    text = tmp_path / "shop.duckdb"
    text.write_text("a,b\n" * 9_000)
    Database(f"duckdb:///{text}").make_empty()  # it exists
    with pytest.raises(
        DatabaseError, match=r"^Database .*not a valid DuckDB database file; give a DuckDB file, or one .*\.$"
    ):
        count(Database(f"duckdb:///{text}"))
    assert text.read_text() == "a,b\n" * 9_000


def test_a_wrong_option_is_said_when_the_file_is_made(file):
    with pytest.raises(DatabaseError, match="Memory must have a number"):
        create_tables(Database(f"duckdb:///{file}?memory_limit=banana"))


def test_a_path_to_a_duckdb_file_says_how_to_write_its_url(made, file):
    with pytest.raises(DatabaseError, match=r"for DuckDB give a URL such as duckdb:///"):
        read_tables(file)


def test_nothing_is_fetched_from_the_network_to_read_an_odd_file(made):
    with made.transaction() as opened:
        found = opened.connection.exec_driver_sql("SELECT current_setting('autoinstall_known_extensions')").scalar()
    assert found is False


def test_several_processes_read_at_once(made, holding):
    holding(read_only=True)
    assert count(made) == 1


@pytest.mark.parametrize(("theirs", "ours"), [("write", "read"), ("read", "write")])
def test_readers_wait_for_writers_and_writers_for_readers(theirs, ours, made, holding):
    other = holding(read_only=theirs == "read")
    done = []
    waiting = threading.Thread(target=lambda: done.append(count(made, is_writing=ours == "write")))
    waiting.start()
    waiting.join(0.3)
    assert done == []
    other.communicate()
    waiting.join(20)
    assert done == [1]


def test_a_file_kept_open_by_another_process_is_refused_with_the_remedy(made, holding, impatient, caplog):
    other = holding(read_only=False)
    with pytest.raises(DatabaseError, match=rf"PID {other.pid}\); another program has the file open: close it"):
        count(made)
    (said,) = caplog.messages
    assert said.endswith(f"(PID {other.pid}); waiting for it to be closed.")


def test_a_file_kept_open_by_this_process_is_refused_with_the_remedy(made, impatient):
    with (
        made.transaction(),
        pytest.raises(DatabaseError, match="this process already has the file open: close it"),
    ):
        count(made, is_writing=True)


def test_between_transactions_others_may_write(made, holding):
    with made.transactions() as begin:
        for number in (2, 3):
            with begin() as opened:
                opened.connection.exec_driver_sql(f"INSERT INTO kept VALUES ({number})")
            holding(read_only=False).communicate()
    assert rows_of(made, "kept") == [(1,), (2,), (3,)]


def test_a_connection_that_is_just_being_closed_is_waited_for(made):
    """DuckDB refuses to open a file that another thread of the process is still closing."""
    failed = []

    def often(is_writing):
        for _ in range(25):
            try:
                count(made, is_writing=is_writing)
            except DatabaseError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=often, args=(is_writing,)) for is_writing in (False, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_sample_is_complete_beside_leftovers_of_a_killed_process(made, file):
    subprocess.run([sys.executable, "-c", DIE, str(file)], check=False)
    assert file.with_name(f"{file.name}.wal").exists()
    file.unlink()
    write_sample(made, 10)
    assert len(read_tables(made).conversions) == 10


def test_columns_of_any_type_give_the_frames_of_an_sqlite_shop(file, tmp_path):
    typed, plain = Database(f"duckdb:///{file}"), Database(tmp_path / "shop.db")
    sql(
        typed,
        "CREATE TABLE session_sources (session_id VARCHAR(40) PRIMARY KEY, user_id VARCHAR(40), event_date DATE, "
        "event_time TIME, channel_name VARCHAR(40), holder_engagement BOOLEAN, closer_engagement SMALLINT, "
        "impression_interaction NUMERIC(1))",
        "CREATE TABLE conversions (conv_id UUID, user_id VARCHAR(40), conv_date DATE, conv_time TIME, "
        "revenue NUMERIC(12, 4))",
        "CREATE TABLE session_costs (session_id VARCHAR(40), cost DOUBLE PRECISION)",
    )
    create_tables(plain)
    for database in (typed, plain):
        sql(
            database,
            "INSERT INTO session_sources VALUES ('s', 'u', '2023-09-01', '10:00:00.25', 'A', 1, 1, 0)",
            "INSERT INTO conversions"
            " VALUES ('7b0e8a3e-1111-4222-8333-000000000001', 'u', '2023-09-02', '12:00:00', 10.5)",
            "INSERT INTO session_costs VALUES ('s', NULL)",
        )
    for found, expected in zip(read_tables(typed), read_tables(plain), strict=True):
        pd.testing.assert_frame_equal(found, expected)
