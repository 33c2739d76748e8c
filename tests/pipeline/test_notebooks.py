"""Real kernels: one per notebook, in parallel, failing, dying and interrupted."""

import os
import signal
import threading
import time
from contextlib import nullcontext

import nbformat
import pytest

from ihc.errors import NotebookError
from ihc.pipeline.forks import Forks, can_fork
from ihc.pipeline.notebooks import Execution

PARAMETERS = "who = ''"


def execution_of(folder, **cells):
    """An execution of notebooks with the given cells, by name, and its output; each has the parameter `who`."""
    (folder / "notebooks").mkdir()
    for name, sources in cells.items():
        parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[parameters, *map(nbformat.v4.new_code_cell, sources)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    said = []
    return said, Execution(
        notebooks=folder / "notebooks",
        parameters={"who": "ann"},
        folder=folder / "run",
        environment={**os.environ, "KEY": "k3y-of-ann"},
        secrets=("k3y-of-ann",),
        say=said.append,
        step=lambda name: nullcontext(said.append(f"start {name}")),
    )


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output.text for cell in cells if cell.cell_type == "code" for output in cell.outputs if "text" in output]


def test_a_notebook_has_its_parameters_the_environment_and_what_it_prints_is_said(tmp_path):
    said, execution = execution_of(tmp_path, one=["import os; print(who, os.getcwd(), os.environ['KEY'][::-1])"])
    executed = execution.run({"one": ()})
    assert executed == {"one": tmp_path / "run" / "one.ipynb"}
    assert said == ["start one", f"ann {tmp_path / 'run'} nna-fo-y3k"]
    assert printed(executed["one"]) == [f"{said[1]}\n"]


def test_two_notebooks_run_at_the_same_time_and_another_after_those_that_it_needs(tmp_path):
    def wait_for(name):
        return [
            "import os, pathlib, time; print(os.getpid())",
            f"pathlib.Path('{name}.here').touch()",
            "end = time.time() + 30",
            "while len(list(pathlib.Path().glob('[ab].here'))) < 2 and time.time() < end: time.sleep(0.05)",
            "print(time.time() < end)",
        ]

    last = ["import os; print(os.path.exists('a.here'), os.path.exists('b.here'))"]
    _, execution = execution_of(tmp_path, a=wait_for("a"), b=wait_for("b"), last=last)
    executed = execution.run({"last": ("a", "b"), "a": (), "b": ()})
    pids = {printed(executed[name])[0] for name in "ab"}
    assert len(pids) == 2
    assert [printed(executed[name])[1] for name in "ab"] == ["True\n"] * 2
    assert printed(executed["last"]) == ["True True\n"]


SLOW = ["import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))", "import time; time.sleep(300)"]


def has_ended(pid_file):
    """Whether a process has ended; the system keeps its id for a moment longer."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(int(pid_file.read_text()), 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_failure_ends_the_other_kernels_and_says_which_notebook_and_why(tmp_path):
    wrong = [
        "import pathlib, time",
        "while not pathlib.Path('pid').exists(): time.sleep(0.05)",
        "raise ValueError('k3y-of-ann is wrong')",
    ]
    said, execution = execution_of(tmp_path, wrong=wrong, slow=SLOW, never=[])
    begin = time.monotonic()
    with pytest.raises(NotebookError, match=r"Notebook wrong: ValueError: \*\*\* is wrong\n.*wrong\.ipynb") as failure:
        execution.run({"slow": (), "wrong": (), "never": ()})
    assert time.monotonic() - begin < 100
    assert not failure.value.waits
    assert "k3y-of-ann" not in (tmp_path / "run" / "wrong.ipynb").read_text("utf-8")
    assert has_ended(tmp_path / "run" / "pid")
    assert "start never" not in said


def test_an_interruption_ends_the_kernels(tmp_path):
    _, execution = execution_of(tmp_path, slow=SLOW)

    def interrupt():
        while not (tmp_path / "run" / "pid").exists():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        execution.run({"slow": ()})
    assert has_ended(tmp_path / "run" / "pid")


def test_failures_that_only_need_another_run_are_marked(tmp_path):
    cells = ["from ihc.errors import CeilingError", "raise CeilingError('enough for now')"]
    _, execution = execution_of(tmp_path, one=cells)
    with pytest.raises(NotebookError, match="Notebook one: enough for now\n") as failure:
        execution.run({"one": ()})
    assert failure.value.waits


def test_a_dead_kernel_is_reported(tmp_path):
    _, execution = execution_of(tmp_path, one=["import os; os._exit(1)"])
    with pytest.raises(NotebookError, match="Notebook one: the kernel died"):
        execution.run({"one": ()})


def test_without_forks_a_kernel_is_started_as_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr("ihc.pipeline.notebooks.take", lambda: None)
    _, execution = execution_of(tmp_path, one=["import os; print(os.getppid())"])
    assert printed(execution.run({"one": ()})["one"]) == [f"{os.getpid()}\n"]


@pytest.mark.skipif(not can_fork(), reason="kernels are forked on Linux only")
def test_a_kernel_that_cannot_be_forked_is_started_as_any_other(tmp_path, monkeypatch):
    forks = Forks()
    monkeypatch.setattr("ihc.pipeline.notebooks.take", lambda: forks)
    os.kill(forks.pid, signal.SIGKILL)
    _, execution = execution_of(tmp_path, one=["print(who)"])
    assert printed(execution.run({"one": ()})["one"]) == ["ann\n"]
