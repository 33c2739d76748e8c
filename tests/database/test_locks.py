import os
import subprocess
import sys
import time

import pytest
from helpers.databases import sql

from ihc.database.connection import lock_name
from ihc.database.locks import one_run_at_a_time
from ihc.errors import DatabaseError
from ihc.settings.run import load_settings

HOLD = """
import sys, subprocess
from pathlib import Path
from ihc.locking import one_run_at_a_time
from ihc.settings import load_settings
with one_run_at_a_time(load_settings(base=Path(sys.argv[1]), database=sys.argv[2])) as lock:
    child = subprocess.Popen([sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                             stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def settings(nowhere, tmp_path):
    return load_settings(base=tmp_path, database=str(nowhere))


def hold(settings, folder):
    """Hold the lock in a process that has a child with the lock, until one of the two ends."""
    command = [sys.executable, "-c", HOLD, str(folder), settings.database]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class IsBusy(Exception):  # noqa: N818 - not an error
    pass


def is_free(settings):
    def refuse(_text):
        raise IsBusy

    try:
        with one_run_at_a_time(settings, refuse):
            return True
    except IsBusy:
        return False


def is_free_soon(settings):
    deadline = time.monotonic() + 20
    while not is_free(settings) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_free(settings)


def test_the_lock_is_held_inside_and_free_afterwards(settings):
    with one_run_at_a_time(settings):
        assert not is_free(settings)
    assert is_free(settings)


def test_the_lock_is_free_after_an_error(settings):
    with pytest.raises(ZeroDivisionError), one_run_at_a_time(settings):
        _ = 1 / 0
    assert is_free(settings)


def test_a_kernel_of_a_run_does_not_wait_for_its_own_run(settings, monkeypatch):
    with one_run_at_a_time(settings):
        monkeypatch.setenv("IHC_RUN_LOCK", lock_name(settings.database))
        with one_run_at_a_time(settings) as held:
            assert held is None


@pytest.mark.skipif(os.name != "posix", reason="kernels inherit the lock on POSIX only")
def test_a_second_run_waits_says_so_and_goes_on_when_the_last_process_of_the_first_has_died(settings, tmp_path):
    first = hold(settings, tmp_path)
    said = {first.stdout.readline().strip(), first.stdout.readline().strip()}
    assert said == {"locked", "up"}
    assert not is_free(settings)

    second = hold(settings, tmp_path)
    waits = second.stdout.readline()
    assert waits.startswith("Another run (")
    assert f"process {first.pid}" in waits
    first.kill()  # its child, that inherited the lock, reads the end of its input and ends too
    first.wait()
    assert {second.stdout.readline().strip(), second.stdout.readline().strip()} == {"locked", "up"}
    second.kill()
    second.wait()
    assert is_free_soon(settings)


@pytest.mark.skipif(os.name != "posix", reason="kernels inherit the lock on POSIX only")
def test_the_lock_is_held_as_long_as_a_process_lives_that_inherited_it(settings):
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    held = os.pipe()
    holder = f"""
import os, subprocess, sys
from pathlib import Path
from ihc.locking import one_run_at_a_time
from ihc.settings import load_settings
with one_run_at_a_time(load_settings(base=Path(), database={settings.database!r})) as lock:
    subprocess.Popen({waiting!r}, stdin={held[0]}, pass_fds=[lock.fileno()], stdout=subprocess.DEVNULL)
    print("locked", flush=True)
    sys.stdin.read()
"""
    first = subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[held[0]]
    )
    assert first.stdout.readline().strip() == "locked"
    first.kill()
    first.wait()
    time.sleep(0.3)
    assert not is_free(settings)
    os.close(held[1])  # its input ends, and with it the last process that has the lock
    assert is_free_soon(settings)


def test_a_lock_of_one_schema_is_not_that_of_another(schema_url, postgres_url, tmp_path):
    one, other = (load_settings(base=tmp_path, database=url) for url in (schema_url, postgres_url))
    with one_run_at_a_time(one):
        assert is_free(other)
        assert not is_free(one)


def lose_its_lock(settings, and_then=lambda: None):
    with one_run_at_a_time(settings) as lock:
        sql(settings.database, f"SELECT pg_terminate_backend({lock.info.backend_pid})")
        and_then()


def test_a_lock_that_the_server_ended_is_said_at_the_end(schema_url, tmp_path):
    settings = load_settings(base=tmp_path, database=schema_url)
    with pytest.raises(DatabaseError, match=r"ended the connection with the run's lock.*: run again"):
        lose_its_lock(settings)
    assert is_free(settings)


def test_an_error_of_a_run_goes_before_the_loss_of_its_lock(schema_url, tmp_path):
    with pytest.raises(ZeroDivisionError):
        lose_its_lock(load_settings(base=tmp_path, database=schema_url), lambda: 1 / 0)


def test_a_lock_on_a_server_that_does_not_answer_is_refused_in_a_sentence(tmp_path):
    settings = load_settings(base=tmp_path, database="postgresql://ann:s3cret@127.0.0.1:1/shop")
    with pytest.raises(DatabaseError, match="Connection refused") as error, one_run_at_a_time(settings):
        pass
    assert "s3cret" not in str(error.value)
