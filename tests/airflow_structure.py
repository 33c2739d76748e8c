"""Runs inside Airflow's environment, without ihc: says as JSON what Airflow makes of the DAG in a folder.

Arguments: the folder, and as JSON data intervals (start, end, run_after) and variables of the environment to try.
"""

import json
import os
import sys
from datetime import datetime
from types import SimpleNamespace

from airflow.dag_processing.dagbag import DagBag

folder, intervals, environments = sys.argv[1], *map(json.loads, sys.argv[2:])
dag = DagBag(folder).dags["ihc"]
source = sys.modules[dag.user_defined_macros["plan"].__module__]


def days(*interval):
    times = [datetime.fromisoformat(time) if time else None for time in interval]
    names = ("data_interval_start", "data_interval_end", "run_after")
    return list(map(str, source.days_of(SimpleNamespace(**dict(zip(names, times, strict=True))))))


def environment(given):
    os.environ.update(given)
    try:
        return source._environment(source._variable())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


found = {
    "tasks": [[task.task_id, task.task_type, sorted(task.downstream_task_ids)] for task in dag.topological_sort()],
    "kernels": sorted({task.kernel_name for task in dag.tasks if task.task_type == "PapermillOperator"}),
    "retries": sorted({(task.retries, bool(task.retry_exponential_backoff)) for task in dag.tasks}),
    "outlets": {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets},
    "schedule": [type(dag.timetable).__name__, dag.timetable.expression, str(dag.timetable.timezone)],
    "runs": [dag.max_active_runs, dag.catchup],
    "has ihc": "ihc" in sys.modules,
    "days": [days(*interval) for interval in intervals],
    "environments": [environment(given) for given in environments],
}
print(json.dumps(found))
