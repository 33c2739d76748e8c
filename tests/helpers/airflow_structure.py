"""Runs inside Airflow's environment, without ihc: says as JSON what Airflow makes of the DAG in a folder.

Arguments: the folder, and as JSON data intervals (start, end, run_after), variables of the environment to try, and
outcomes of orders.
"""

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

from airflow.dag_processing.dagbag import DagBag

folder, intervals, environments, outcomes = sys.argv[1], *map(json.loads, sys.argv[2:])
dag = DagBag(folder).dags["ihc"]
source = sys.modules[dag.user_defined_macros["plan"].__module__]


def run_of(*interval):
    times = [datetime.fromisoformat(time) if time else None for time in interval]
    names = ("data_interval_start", "data_interval_end", "run_after")
    return SimpleNamespace(**dict(zip(names, times, strict=True)))


def tried(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def environment(given):
    os.environ.update(given)
    return tried(lambda: source._environment(source._variable()))


def judged(outcome):
    """What becomes of the tasks 03_attribute and report where an order has ended so, and the event of the asset."""
    with TemporaryDirectory() as project:
        os.environ["AIRFLOW_VAR_IHC"] = json.dumps({"project": project})
        event, run = SimpleNamespace(extra={}), run_of(*intervals[0])
        output = Path(source.plan(run).output)
        output.mkdir(parents=True)
        (output / "orders_without_credit.csv").write_text(f"conv_id,outcome,reason\na,{outcome},because\n")
        context = {"dag_run": run, "outlet_events": {source.REPORT: event}}
        return [tried(source.check_waiting, context, None), tried(source.announce, context, "report.html"), event.extra]


found = {
    "tasks": [[task.task_id, task.task_type, sorted(task.downstream_task_ids)] for task in dag.topological_sort()],
    "kernels": sorted({task.kernel_name for task in dag.tasks if task.task_type == "PapermillOperator"}),
    "retries": sorted({(task.retries, bool(task.retry_exponential_backoff)) for task in dag.tasks}),
    "outlets": {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets},
    "schedule": [type(dag.timetable).__name__, dag.timetable.expression, str(dag.timetable.timezone)],
    "runs": [dag.max_active_runs, dag.catchup],
    "has ihc": "ihc" in sys.modules,
    "days": [list(map(str, source.days_of(run_of(*interval)))) for interval in intervals],
    "environments": [environment(given) for given in environments],
    "judged": [judged(outcome) for outcome in outcomes],
}
print(json.dumps(found))
