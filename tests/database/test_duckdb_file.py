import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers.commands import ihc_here
from helpers.databases import rows_of, sql

from ihc.database import duckdb_file
from ihc.database.database import Database, transactions
from ihc.database.inputs import read_tables
from ihc.database.results import create_tables, try_writing
from ihc.errors import DatabaseError, SettingsError
from ihc.pipeline.sample import write_sample
from ihc.settings.run import load_settings

# A process that has the file open, until it is told to end.
HOLD = """
import duckdb, sys
connection = duckdb.connect({file!r}, read_only={read_only})
print("open", flush=True)
sys.stdin.read()
"""
# One that is killed by itself in the middle of a transaction that writes.
DIE = """
import os, signal, sys
from ihc.connection import transaction
with Database(sys.argv[1]).transaction(is_writing=True) as connection:
    connection.exec_driver_sql("DELETE FROM kept")
    connection.exec_driver_sql("INSERT INTO kept SELECT range FROM range(300000)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "shop.duckdb"


@pytest.fixture
def url(file):
    """A file with a table of one row."""
    made = f"duckdb:///{file}"
    Database(made).make_empty()
    sql(made, "CREATE TABLE kept (id INTEGER)", "INSERT INTO kept VALUES (1)")
    return made


@pytest.fixture
def holding(file, url):
    """A process that has the file open, for reading or for writing."""
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
    monkeypatch.setattr(duckdb_file, "PATIENCE", dict.fromkeys(duckdb_file.PATIENCE, 0.2))
    monkeypatch.setattr(duckdb_file, "SOON", 0.05)


def count(url, *, is_writing=False):
    with Database(url).transaction(is_writing=is_writing) as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM kept").scalar()


@pytest.mark.parametrize("text", ["duckdb://", "duckdb:///", "duckdb:///:memory:"])
def test_a_database_in_memory_is_refused(text):
    with pytest.raises(SettingsError, match="in memory"):
        Database(text)


@pytest.mark.parametrize("where", ["ann:s3cr3t@host/shop.duckdb", "host:1/shop.duckdb", "shop.duckdb"])
def test_a_host_or_a_user_is_refused_before_the_driver_is_asked(where, tmp_path):
    done = ihc_here("init", "--database", f"duckdb://{where}", cwd=tmp_path)
    assert (done.returncode, "names a file alone" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    assert "s3cr3t" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["md:shop%3Fmotherduck_token=s3cr3t", "https://u:s3cr3t@host/shop.duckdb"])
def test_a_secret_in_the_name_of_a_database_is_refused_and_not_printed(name):
    with pytest.raises(SettingsError, match=r"holds a \? or @") as refused:
        Database(f"duckdb:///{name}")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("name", ["md:shop", "motherduck:shop", "s3://bucket/shop.duckdb"])
def test_what_is_kept_elsewhere_is_no_file_and_is_not_looked_for(name):
    url = Database(f"duckdb:///{name}")
    assert duckdb_file.file_of(url) is None
    assert duckdb_file.missing(url) == ""
    assert duckdb_file.arguments(url, is_writing=False) == {}


def test_a_relative_path_is_one_from_the_folder_of_the_settings(tmp_path):
    settings = load_settings(base=tmp_path, database="duckdb:///sub/shop.duckdb")
    assert settings.database == f"duckdb:///{tmp_path}/sub/shop.duckdb"
    assert settings.database.file == tmp_path / "sub" / "shop.duckdb"
    assert settings.database.name == "duckdb:///shop.duckdb"


def test_a_file_that_is_not_there_is_not_made_by_reading(file):
    for is_writing in (True, False):
        with pytest.raises(DatabaseError, match=r"does not exist\. Name a file of DuckDB"):
            count(f"duckdb:///{file}", is_writing=is_writing)
    assert not Database(f"duckdb:///{file}").exists()
    assert not file.exists()


def test_a_folder_and_another_kind_of_file_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(DatabaseError, match="is a folder"):
        count(f"duckdb:///{tmp_path}")
    text = tmp_path / "shop.duckdb"
    text.write_text("a,b\n" * 9_000)
    Database(f"duckdb:///{text}").make_empty()  # it is there
    with pytest.raises(
        DatabaseError, match=r"^Database .*not a valid DuckDB database file; name a file of DuckDB, or one .*\.$"
    ):
        count(f"duckdb:///{text}")
    assert text.read_text() == "a,b\n" * 9_000


def test_a_wrong_option_is_said_when_the_file_is_made(file):
    with pytest.raises(DatabaseError, match="Memory must have a number"):
        create_tables(Database(f"duckdb:///{file}?memory_limit=banana"))


def test_a_path_of_such_a_file_is_answered_by_how_its_url_is_written(url, file):
    with pytest.raises(DatabaseError, match=r"one of DuckDB is named by a URL, as duckdb:///"):
        read_tables(file)


def test_nothing_is_fetched_from_the_network_to_read_an_odd_file(url):
    with Database(url).transaction() as connection:
        found = connection.exec_driver_sql("SELECT current_setting('autoinstall_known_extensions')").scalar()
    assert found is False


def test_amounts_of_seven_digits_are_refused(file):
    database = f"duckdb:///{file}"
    create_tables(database)
    try_writing(database)
    sql(database, "DROP TABLE conversions", "CREATE TABLE conversions (conv_id TEXT, revenue FLOAT)")
    with pytest.raises(DatabaseError, match="Column revenue is a FLOAT, which has six or seven digits"):
        read_tables(database)
    sql(database, "DROP TABLE channel_reporting")
    sql(
        database,
        "CREATE TABLE channel_reporting (channel_name TEXT, date TEXT, cost DOUBLE, ihc FLOAT, ihc_revenue DOUBLE)",
    )
    with pytest.raises(DatabaseError, match="Table channel_reporting, column ihc: its type would round"):
        try_writing(database)


def test_several_processes_read_at_once(url, holding):
    holding(read_only=True)
    assert count(url) == 1


@pytest.mark.parametrize(("theirs", "ours"), [("write", "read"), ("write", "write"), ("read", "write")])
def test_who_reads_waits_for_who_writes_and_the_other_way_round(theirs, ours, url, holding):
    other = holding(read_only=theirs == "read")
    done = []
    waiting = threading.Thread(target=lambda: done.append(count(url, is_writing=ours == "write")))
    waiting.start()
    waiting.join(0.5)
    assert done == []
    other.communicate()
    waiting.join(20)
    assert done == [1]


def test_a_file_that_another_process_keeps_open_is_given_up_with_what_to_do(url, holding, impatient, caplog):
    other = holding(read_only=False)
    with pytest.raises(DatabaseError, match=rf"PID {other.pid}\); another program has the file open: end that one"):
        count(url)
    (said,) = caplog.messages
    assert said.endswith(f"(PID {other.pid}); waiting for it to be closed.")


def test_a_file_that_this_process_keeps_open_is_given_up_with_what_to_do(url, impatient):
    with (
        Database(url).transaction(),
        pytest.raises(DatabaseError, match="this program has the file open by another connection: close that"),
    ):
        count(url, is_writing=True)


def test_between_transactions_others_may_write(url, holding):
    with transactions(url) as begin:
        for number in (2, 3):
            with begin() as connection:
                connection.exec_driver_sql(f"INSERT INTO kept VALUES ({number})")
            holding(read_only=False).communicate()
    assert rows_of(url, "kept") == [(1,), (2,), (3,)]


def test_a_connection_that_is_just_being_closed_is_waited_for(url):
    """DuckDB refuses to open a file that another thread of the process is about to close."""
    failed = []

    def often(is_writing):
        for _ in range(150):
            try:
                count(url, is_writing=is_writing)
            except DatabaseError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=often, args=(is_writing,)) for is_writing in (False, False, True)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failed == []


def test_a_sample_is_whole_where_what_a_killed_process_left_of_another_file_lies(url, file):
    subprocess.run([sys.executable, "-c", DIE.replace("os.kill", "connection.commit(); os.kill"), url], check=False)
    assert file.with_name(f"{file.name}.wal").exists()
    file.unlink()
    write_sample(Database(url), 10)
    assert len(read_tables(url).conversions) == 10


def test_a_process_that_is_killed_in_the_middle_of_a_write_leaves_the_previous_state(url, file):
    begun = time.monotonic()
    died = subprocess.run([sys.executable, "-c", DIE, url], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert count(url) == 1
    assert count(url, is_writing=True) == 1
    assert time.monotonic() - begun < 30
    assert {path.name for path in file.parent.iterdir()} <= {file.name, f"{file.name}.wal"}
