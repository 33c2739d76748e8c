"""Runs inside Airflow's environment: `airflow dags test ihc DATE` for one date after the other.

All in one process, as Airflow takes longer to start than two of the notebooks. Arguments: the project's database, a
folder, and as JSON the runs, each a date and the schedule that the file of the DAG has meanwhile. Each run leaves
copies of both databases and of what it wrote in the folder, with its number; the last line printed is the exit codes.
"""

import json
import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from airflow.cli.cli_parser import get_parser


def copy(source, target):
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def schedule(cron):
    """Change the schedule where the README says that it stands."""
    file = Path(os.environ["AIRFLOW_HOME"]) / "dags" / "ihc.py"
    changed, count = re.subn(
        '^SCHEDULE, TIMEZONE = ".*?"', f'SCHEDULE, TIMEZONE = "{cron}"', file.read_text(), flags=re.M
    )
    assert count == 1
    file.write_text(changed)


database, folder, runs = sys.argv[1:]
codes = []
for number, (date, cron) in enumerate(json.loads(runs)):
    schedule(cron)
    arguments = get_parser().parse_args(["dags", "test", "ihc", date])
    try:
        arguments.func(arguments)
        codes.append(0)
    except SystemExit as error:
        codes.append(error.code)
    shutil.copytree(Path(database).parent / "out", Path(folder) / f"{number}-out")
    copy(database, Path(folder) / f"{number}-shop.db")
    copy(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db", Path(folder) / f"{number}-airflow.db")
print(json.dumps(codes))
