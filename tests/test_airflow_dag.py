"""The DAG file as such: what it imports and which settings it takes; tests/test_airflow.py runs it."""

import ast
import sys

from ihc.database import RESOURCES
from ihc.settings import KNOWN

TREE = ast.parse((RESOURCES / "airflow_dag.py").read_text("utf-8"))
# The DAG's own: dates and paths; and what stands in Connections, or makes no sense every day.
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
    assert {f"IHC_{name.upper()}" for name in names} == KNOWN - ELSEWHERE
