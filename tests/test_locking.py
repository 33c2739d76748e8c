import os
import subprocess
import sys
import time

import portalocker
import pytest

from ihc.connection import lock_name
from ihc.locking import one_run_at_a_time
from ihc.settings import load_settings

HOLD = """
import sys, subprocess
from pathlib import Path
from ihc.locking import one_run_at_a_time
from ihc.settings import load_settings
with one_run_at_a_time(load_settings(base=Path(sys.argv[1]), database="shop.db")) as lock:
    child = subprocess.Popen([sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                             stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def settings(tmp_path):
    return load_settings(base=tmp_path, database="shop.db")


def is_free(settings):
    with open(lock_name(settings.database), "a") as file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            return False
    return True


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
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    said = {first.stdout.readline().strip(), first.stdout.readline().strip()}
    assert said == {"locked", "up"}
    assert not is_free(settings)

    second = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert second.stdout.readline().startswith(f"Another run (process {first.pid}) is working on")
    first.kill()  # its child, that inherited the lock, reads the end of its input and ends too
    first.wait()
    assert {second.stdout.readline().strip(), second.stdout.readline().strip()} == {"locked", "up"}
    second.kill()
    second.wait()
    deadline = time.monotonic() + 20
    while not is_free(settings) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_free(settings)
