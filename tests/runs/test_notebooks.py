"""The notebooks: their form, and that each runs alone."""

import ast
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import nbformat
import pytest
from helpers.commands import ROOT

from ihc.pipeline import runner

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = sorted(runner.NOTEBOOKS)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def each_notebook(test):
    return pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)(test)


def test_a_run_executes_every_notebook():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@each_notebook
def test_no_output_is_committed(path):
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells(path, "code"))


@each_notebook
def test_one_title_one_cell_of_parameters_and_prose(path):
    titles = [line for cell in cells(path, "markdown") for line in cell.source.splitlines() if line.startswith("# ")]
    assert len(titles) == 1
    tagged = [cell for cell in cells(path, "code") if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    kinds = [cell.cell_type for cell in nbformat.read(path, as_version=4).cells]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= 2


def test_the_parameters_are_the_same_in_every_notebook():
    sources = {cells(path, "code")[0].source for path in NOTEBOOKS}
    assert len(sources) == 1


@each_notebook
def test_a_notebook_is_prose_and_one_call_a_cell(path):
    code = cells(path, "code")
    assert len(code) <= 20
    trees = [ast.parse(cell.source) for cell in code]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    assert sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes) <= 3
    forbidden = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in nodes if isinstance(node, forbidden)]
    first, *others = trees[1:]  # after the parameters
    assert len(first.body) <= 4
    assert max(len(tree.body) for tree in others) <= 2


@each_notebook
def test_run_all_writes_only_where_a_cell_says_so(path):
    writing = [cell.source for cell in cells(path, "code") if re.search(r"\.(store|save|to_\w+)\(", cell.source)]
    assert writing == (["attribution.store()"] if path.stem == "03_attribute" else [])


def papermill(name, target, *parameters, cwd=ROOT, **environment):
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks" / f"{name}.ipynb"), str(target)]
    return subprocess.run(
        [*command, "--no-progress-bar", *map(str, parameters)],
        cwd=cwd, capture_output=True, text=True, timeout=200, check=False, env={**_bare(), **environment},
    )  # fmt: skip


def _bare():
    return {name: value for name, value in os.environ.items() if not name.startswith("IHC_")}


def rows(database, query):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def noise(path):
    """Warnings and errors in a notebook's output."""
    outputs = [output for cell in cells(path, "code") for output in cell.outputs]
    return [each for each in outputs if each.output_type == "error" or each.get("name") == "stderr"]


def test_attributing_alone_by_papermill_stores_the_credits_of_the_dates(own_shop, tmp_path):
    done = papermill(
        "03_attribute", tmp_path / "out.ipynb", "-p", "database", own_shop, "-p", "output", tmp_path,
        "-p", "start_date", "2025-03-10", "-p", "end_date", "2025-03-12",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert noise(tmp_path / "out.ipynb") == []
    joined = "conversions JOIN attribution_outcomes USING (conv_id)"
    assert rows(own_shop, f"SELECT min(conv_date), max(conv_date) FROM {joined}") == [("2025-03-10", "2025-03-12")]
    unlike_one = "SELECT sum(ihc) AS s FROM attribution_customer_journey GROUP BY conv_id HAVING abs(s - 1) > 1e-9"
    assert rows(own_shop, unlike_one) == []
    assert rows(own_shop, "SELECT count(*) FROM attribution_customer_journey")[0][0] > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "03_attribute"])
def test_each_other_notebook_runs_alone_by_papermill(name, own_shop, tmp_path):
    before = own_shop.read_bytes()
    done = papermill(name, tmp_path / "out.ipynb", "-p", "database", own_shop, "-p", "output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert noise(tmp_path / "out.ipynb") == []
    assert own_shop.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.ipynb", "shop.db"]


@pytest.mark.slow
def test_relative_paths_start_at_the_project_root_wherever_the_kernel_starts(tmp_path):
    done = papermill("01_check_data", tmp_path / "out.ipynb", "-p", "database", "data/not-there.db", cwd=tmp_path)
    assert done.returncode != 0
    assert f"There is no database {ROOT / 'data' / 'not-there.db'}" in done.stderr


@pytest.mark.slow
def test_a_password_given_as_a_parameter_is_refused(tmp_path):
    url = "postgresql://ann:s3cret@host/shop"
    done = papermill("01_check_data", tmp_path / "out.ipynb", "-p", "database", url, cwd=tmp_path)
    assert done.returncode != 0
    assert "must not be a notebook parameter" in done.stderr
