"""Real kernels: shared one after the other, side by side, failing and dying."""

import os
import time

import nbformat
import pytest

from ihc.errors import NotebookError
from ihc.pipeline.notebooks import Desk, execute, started

PARAMETERS = "who = ''"


def desk_for(folder, **cells):
    """Notebooks of the given cells, by name; each has the parameter `who`."""
    (folder / "notebooks").mkdir()
    for name, sources in cells.items():
        parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[parameters, *map(nbformat.v4.new_code_cell, sources)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    said = []
    return said, Desk(
        notebooks=folder / "notebooks",
        parameters={"who": "ann"},
        folder=folder / "run",
        secrets=("k3y-of-ann",),
        say=said.append,
        on_start=lambda name: said.append(f"start {name}"),
    )


def run(steps, desk):
    with started(max(map(len, steps)), desk.folder, os.environ) as managers:
        return execute(steps, managers, desk)


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output.text for cell in cells if cell.cell_type == "code" for output in cell.outputs if "text" in output]


def test_a_chain_shares_a_kernel_and_nothing_else(tmp_path):
    first = ["import os; left = 1; print(os.getpid(), who, os.getcwd())"]
    second = ["print('left' in globals(), 'os' in globals())", "import os; print(os.getpid())"]
    said, desk = desk_for(tmp_path, one=first, two=second)
    executed = run([[["one", "two"]]], desk)
    assert executed == {"one": tmp_path / "run" / "one.ipynb", "two": tmp_path / "run" / "two.ipynb"}
    pid, who, folder = printed(executed["one"])[0].split()
    assert (who, folder) == ("ann", str(tmp_path / "run"))
    assert printed(executed["two"]) == ["False False\n", f"{pid}\n"]
    assert said == ["start one", f"{pid} ann {tmp_path / 'run'}", "start two", "False False", pid]


def test_the_cells_of_each_notebook_are_counted_from_one(tmp_path):
    _, desk = desk_for(tmp_path, one=["1"], two=["2", "3"])
    executed = run([[["one", "two"]]], desk)
    counts = {
        name: [cell.execution_count for cell in nbformat.read(path, as_version=4).cells]
        for name, path in executed.items()
    }
    assert counts == {"one": [1, 2, 3], "two": [1, 2, 3, 4]}


def test_chains_of_a_step_run_at_the_same_time_and_steps_one_after_the_other(tmp_path):
    def wait_for(name):
        return [
            "import os, pathlib, time; print(os.getpid())",
            f"pathlib.Path('{name}.here').touch()",
            "end = time.time() + 30",
            "while len(list(pathlib.Path().glob('[ab].here'))) < 2 and time.time() < end: time.sleep(0.05)",
            "print(time.time() < end)",
        ]

    last = ["import os; print(os.path.exists('a.here'), os.path.exists('b.here'))"]
    _, desk = desk_for(tmp_path, a=wait_for("a"), b=wait_for("b"), last=last)
    executed = run([[["a"], ["b"]], [["last"]]], desk)
    pids = {printed(executed[name])[0] for name in "ab"}
    assert len(pids) == 2
    assert [printed(executed[name])[1] for name in "ab"] == ["True\n"] * 2
    assert printed(executed["last"]) == ["True True\n"]


def test_a_failure_ends_the_other_kernels_and_says_which_notebook_and_why(tmp_path):
    slow = ["import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))", "import time; time.sleep(300)"]
    wrong = [
        "import pathlib, time",
        "while not pathlib.Path('pid').exists(): time.sleep(0.05)",
        "raise ValueError('k3y-of-ann is wrong')",
    ]
    _, desk = desk_for(tmp_path, wrong=wrong, slow=slow)
    begin = time.monotonic()
    with pytest.raises(NotebookError, match=r"Notebook wrong: ValueError: \*\*\* is wrong\n.*wrong\.ipynb") as failure:
        run([[["slow"], ["wrong"]]], desk)
    assert time.monotonic() - begin < 100
    assert not failure.value.waits
    assert "k3y-of-ann" not in (tmp_path / "run" / "wrong.ipynb").read_text("utf-8")
    pid = int((tmp_path / "run" / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_only_has_to_be_run_again_is_told_apart(tmp_path):
    _, desk = desk_for(tmp_path, one=["from ihc.errors import CeilingError", "raise CeilingError('enough for now')"])
    with pytest.raises(NotebookError, match="Notebook one: enough for now\n") as failure:
        run([[["one"]]], desk)
    assert failure.value.waits


def test_a_kernel_that_dies_is_said_to_have_died(tmp_path):
    _, desk = desk_for(tmp_path, one=["import os; os._exit(1)"])
    with pytest.raises(NotebookError, match="Notebook one: its kernel died"):
        run([[["one"]]], desk)
