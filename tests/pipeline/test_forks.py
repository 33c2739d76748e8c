"""Forked kernels: processes of their own, which share nothing but what was imported before."""

import os
import signal
import time
from pathlib import Path

import pytest

from ihc.pipeline.forks import Forks, Start, can_fork, start_early, take

pytestmark = pytest.mark.skipif(not can_fork(), reason="kernels are forked on Linux only")


@pytest.fixture(scope="module")
def forks():
    return Forks()


@pytest.fixture
def kernel(forks, tmp_path):
    """A function that starts a kernel that runs a line of code before it waits for a client."""
    started = []

    def start(code="", inherited=(), **environment):
        lines = f'--IPKernelApp.exec_lines=[{code!r}, \'open("here", "w").close()\']'
        own = tmp_path / str(len(started))
        own.mkdir()
        arguments = ["-f", str(own / "connection.json"), "--HistoryManager.enabled=False", lines]
        with (own / "log").open("wb") as log:
            made = forks.kernel(Start(arguments, {**os.environ, **environment}, str(own)), log.fileno(), inherited)
        started.append(made)
        wait_until((own / "here").exists)
        return made, own

    yield start
    for each in started:
        each.kill()


def wait_until(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_kernel_has_its_environment_folder_and_log(kernel):
    code = "import os, sys; open('said', 'w').write(os.environ['WHO'] + os.getcwd()); os.write(2, b'to the log')"
    made, folder = kernel(code, WHO="ann")
    assert (folder / "said").read_text() == f"ann{folder}"
    assert (folder / "log").read_text().endswith("to the log")
    assert made.poll() is None


def test_kernels_share_no_state(kernel):
    first, _ = kernel("import ihc; ihc.left = 'here'")
    second, folder = kernel("import ihc, os; open('said', 'w').write(f'{hasattr(ihc, \"left\")}{os.getpgid(0)}')")
    assert (folder / "said").read_text() == f"False{second.pid}"
    assert first.pid != second.pid


def test_a_killed_kernel_ends_with_its_subprocesses_and_leaves_no_zombie(kernel):
    made, folder = kernel("import subprocess; open('pid', 'w').write(str(subprocess.Popen(['sleep', '300']).pid))")
    made.kill()
    assert made.wait(30) == made.poll() == 0
    made.kill()  # once more does nothing
    for pid in (made.pid, int((folder / "pid").read_text())):
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_a_kernel_holds_an_open_file_of_the_run_until_it_ends(kernel):
    reader, writer = os.pipe()
    made, _ = kernel(inherited=[writer])
    os.close(writer)
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    made.kill()
    made.wait(30)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_kernels_end_with_the_process_that_forks_them_and_it_with_its_owner(tmp_path):
    forks = Forks()
    with (tmp_path / "log").open("wb") as log:
        made = forks.kernel(
            Start(["-f", str(tmp_path / "connection.json")], dict(os.environ), str(tmp_path)), log.fileno(), []
        )
    wait_until((tmp_path / "connection.json").exists)
    del forks
    assert made.wait(30) == 0


def test_a_process_that_has_ended_is_an_error(tmp_path):
    forks = Forks()
    with (tmp_path / "log").open("wb") as log:
        start = Start([], dict(os.environ), str(tmp_path))
        os.kill(forks.pid, signal.SIGKILL)
        with pytest.raises(OSError, match=r"ended|Broken pipe|reset"):
            forks.kernel(start, log.fileno(), [])


def test_the_process_that_was_started_early_is_taken_once():
    start_early()
    start_early()
    first, second = take(), take()
    assert first.pid != second.pid


def test_a_process_that_does_not_answer_is_not_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr("ihc.pipeline.forks.OF_AN_ANSWER", 0.2)
    silent = Forks()
    os.kill(silent.pid, signal.SIGSTOP)
    with (tmp_path / "log").open("wb") as log:
        for _ in range(2):
            with pytest.raises(OSError, match="does not answer"):
                silent.kernel(Start([], {}, str(tmp_path)), log.fileno(), ())
    silent.end()
    with pytest.raises(ProcessLookupError):
        os.kill(silent.pid, 0)
