import os
import subprocess
import sys
import threading
import time

import pytest
from helpers.databases import WITH_TRIGGERS, sql

from ihc.database.database import Database
from ihc.errors import DatabaseError

# A process that holds the lock, and a child that inherits it until its input ends.
HOLD = """
import subprocess, sys
from ihc.database.database import Database
with Database(sys.argv[1]).lock() as lock:
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    subprocess.Popen([sys.executable, "-c", code], stdin=int(sys.argv[2]), pass_fds=[lock.fileno()])
    sys.stdin.read()
"""


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
        with nowhere.lock(held=nowhere.lock_name) as held:  # like a kernel of the run
            assert held is None
    with pytest.raises(ZeroDivisionError), nowhere.lock():
        _ = 1 / 0
    assert is_free(nowhere)


@pytest.mark.skipif(os.name != "posix", reason="kernels inherit the lock on POSIX only")
@pytest.mark.parametrize("nowhere", WITH_TRIGGERS, indirect=True)
def test_a_second_run_waits_says_so_and_goes_on_when_the_last_process_of_the_first_has_died(nowhere):
    reads, writes = os.pipe()
    command = [sys.executable, "-c", HOLD, nowhere.address, str(reads)]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[reads])
    assert first.stdout.readline() == "up\n"
    first.kill()
    first.wait()

    said, waits, goes_on = [], threading.Event(), threading.Event()

    def run():
        with nowhere.lock(lambda text: (said.append(text), waits.set())):
            goes_on.set()

    second = threading.Thread(target=run)
    second.start()
    assert waits.wait(20)
    assert said[0].startswith("Another run (")
    assert f"process {first.pid}" in said[0]
    assert not goes_on.wait(0.2)  # the child inherited the lock and still holds it
    os.close(writes)  # the child reaches the end of its input and exits too
    assert goes_on.wait(20)
    second.join()


def test_a_lock_of_one_schema_is_not_that_of_another(schema_url, postgres_url):
    one, other = Database(schema_url), Database(postgres_url)
    with one.lock():
        assert is_free(other)
        assert not is_free(one)


def lose_its_lock(database, and_then=lambda: None):
    with database.lock() as lock:
        sql(database, f"SELECT pg_terminate_backend({lock.info.backend_pid})")
        and_then()


def test_a_lock_ended_by_the_server_is_reported_at_the_end_unless_the_run_failed(schema_url):
    database = Database(schema_url)
    with pytest.raises(DatabaseError, match=r"ended the connection with the run's lock.*: run again"):
        lose_its_lock(database)
    with pytest.raises(ZeroDivisionError):
        lose_its_lock(database, lambda: 1 / 0)
    assert is_free_soon(database)


def test_a_lock_that_cannot_be_opened_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(DatabaseError, match="Connection refused") as error:
        is_free(Database("postgresql://ann:s3cret@127.0.0.1:1/shop"))
    assert "s3cret" not in str(error.value)
    (tmp_path / "shop.db.lock").mkdir()
    with pytest.raises(DatabaseError, match=r"The lock file .*shop\.db\.lock of the database cannot be opened"):
        is_free(Database(tmp_path / "shop.db"))
