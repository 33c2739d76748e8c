import os
import subprocess
import sys
import time

import pytest
from helpers.databases import sql

from ihc.database.database import Database
from ihc.errors import DatabaseError

HOLD = """
import os, subprocess, sys
from ihc.database.database import Database
with Database(sys.argv[1]).lock() as lock:
    child = subprocess.Popen([sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                             stdin=int(sys.argv[2]), pass_fds=[lock.fileno()])
    print("locked", flush=True)
    sys.stdin.read()
"""


def hold(database, child_reads=None):
    """Hold the lock in a process that has a child with the lock, until one of the two ends."""
    child_reads = os.pipe()[0] if child_reads is None else child_reads
    command = [sys.executable, "-c", HOLD, database.address, str(child_reads)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "pass_fds": [child_reads]}
    return subprocess.Popen(command, **options)


class IsBusy(Exception):  # noqa: N818 - not an error
    pass


def is_free(database):
    def refuse(_text):
        raise IsBusy

    try:
        with database.lock(refuse):
            return True
    except IsBusy:
        return False


def is_free_soon(database):
    deadline = time.monotonic() + 20
    while not is_free(database) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_free(database)


def test_the_lock_is_held_inside_and_free_afterwards_also_after_an_error(nowhere):
    with nowhere.lock():
        assert not is_free(nowhere)
    with pytest.raises(ZeroDivisionError), nowhere.lock():
        _ = 1 / 0
    assert is_free(nowhere)


def test_a_kernel_of_a_run_does_not_wait_for_its_own_run(nowhere):
    with nowhere.lock(), nowhere.lock(held=nowhere.lock_name) as held:
        assert held is None


@pytest.mark.skipif(os.name != "posix", reason="kernels inherit the lock on POSIX only")
def test_a_second_run_waits_says_so_and_goes_on_when_the_last_process_of_the_first_has_died(nowhere):
    reads, writes = os.pipe()
    first = hold(nowhere, reads)
    assert {first.stdout.readline().strip(), first.stdout.readline().strip()} == {"locked", "up"}

    second = hold(nowhere)
    waits = second.stdout.readline()
    assert waits.startswith("Another run (")
    assert f"process {first.pid}" in waits
    first.kill()
    first.wait()
    time.sleep(0.3)
    assert not is_free(nowhere)  # its child, that inherited the lock, still has it
    os.close(writes)  # the child reads the end of its input and ends too
    assert second.stdout.readline().strip() in ("locked", "up")
    second.kill()
    second.wait()


def test_a_lock_of_one_schema_is_not_that_of_another(schema_url, postgres_url):
    one, other = Database(schema_url), Database(postgres_url)
    with one.lock():
        assert is_free(other)
        assert not is_free(one)


def lose_its_lock(database, and_then=lambda: None):
    with database.lock() as lock:
        sql(database, f"SELECT pg_terminate_backend({lock.info.backend_pid})")
        and_then()


def test_a_lock_that_the_server_ended_is_said_at_the_end_unless_the_run_failed(schema_url):
    database = Database(schema_url)
    with pytest.raises(DatabaseError, match=r"ended the connection with the run's lock.*: run again"):
        lose_its_lock(database)
    with pytest.raises(ZeroDivisionError):
        lose_its_lock(database, lambda: 1 / 0)
    assert is_free_soon(database)


def test_a_lock_on_a_server_that_does_not_answer_is_refused_in_a_sentence():
    database = Database("postgresql://ann:s3cret@127.0.0.1:1/shop")
    with pytest.raises(DatabaseError, match="Connection refused") as error, database.lock():
        pass
    assert "s3cret" not in str(error.value)


def test_a_lock_file_that_cannot_be_opened_is_refused_and_named(tmp_path):
    (tmp_path / "shop.db.lock").mkdir()
    with pytest.raises(DatabaseError, match=r"The lock file .*shop\.db\.lock of the database cannot be opened"):
        is_free(Database(tmp_path / "shop.db"))
