"""Imports and settings of the DAG file; test_airflow.py runs it."""

import ast
import json
import re
import subprocess
import sys

from helpers.commands import ROOT

from ihc.settings.variables import KNOWN
from ihc.shipped import RESOURCES

SOURCE = (RESOURCES / "airflow_dag.py").read_text("utf-8")
TREE = ast.parse(SOURCE)
# Set by the DAG (dates and paths), set in Connections, or useless in a daily run.
ELSEWHERE = {
    *("IHC_DATABASE", "IHC_OUTPUT", "IHC_START_DATE", "IHC_END_DATE", "IHC_API_KEY", "IHC_API_URL", "IHC_REFRESH"),
    *("IHC_SERVER_KEYS", "IHC_SERVER_PARAMETERS", "IHC_SERVER_REQUESTS_PER_MINUTE"),
}


def test_it_imports_airflow_and_the_standard_library_alone():
    imported = {node.module for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(TREE) if isinstance(node, ast.Import) for alias in node.names}
    packages = {name.split(".")[0] for name in imported}
    assert packages - sys.stdlib_module_names == {"airflow"}


def test_its_variable_takes_every_setting_that_has_no_other_place():
    assigned = [node for node in TREE.body if isinstance(node, ast.Assign)]
    (settings,) = (node for node in assigned if ast.unparse(node.targets[0]) == "SETTINGS")
    names = eval(compile(ast.Expression(settings.value), "SETTINGS", "eval"))
    assert len(set(names)) == len(names)
    assert {f"IHC_{name.upper()}" for name in names} == set(KNOWN) - ELSEWHERE


def test_the_five_lines_of_the_readme_tell_airflow_where_the_project_is_and_copy_the_dag(tmp_path):
    section = (ROOT / "docs" / "guides" / "airflow.md").read_text("utf-8")
    lines = re.search(r"```console\n(.*?)\n```", section, re.DOTALL)[1].splitlines()
    assert len(lines) == 5
    # The other lines install Airflow, as .ci/run does, and start a scheduler.
    told, copied = lines[1], lines[3]
    script = f'{told}\n{copied}\nprintf "%s\\n%s" "$AIRFLOW_VAR_IHC" "$AIRFLOW_HOME"'
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=ROOT, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    variable, home = done.stdout.splitlines()
    assert json.loads(variable) == {"project": str(ROOT)}
    assert (tmp_path / "airflow" / "dags" / "ihc.py").read_text("utf-8") == SOURCE
    assert home == str(tmp_path / "airflow")
    assert "uv sync --locked --no-default-groups --extra airflow --no-install-project" in lines[2]
