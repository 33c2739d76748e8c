"""The DAG in a real Airflow in a separate environment, in the folder IHC_TEST_AIRFLOW."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from helpers.commands import ROOT, run_ihc
from helpers.faults import misbehaving

from ihc.database.database import Database
from ihc.database.tables import RESULTS
from ihc.pipeline.sample import write_sample
from ihc.shipped import RESOURCES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KEY = "a-key-of-the-api-0123456789"
INSTALL = (
    "UV_PROJECT_ENVIRONMENT=/tmp/airflow uv sync --locked --no-default-groups --extra airflow --no-install-project, "
    "then set IHC_TEST_AIRFLOW=/tmp/airflow"
)
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
# The charts of journeys take their colours from the credits.
IN_ORDER = [NOTEBOOKS[0], NOTEBOOKS[2], NOTEBOOKS[1], *NOTEBOOKS[3:]]
# Compared columns: all except the run id, which differs each time.
TABLES = {
    table: ", ".join(name for name in columns if name != "run_id")
    for table, columns in RESULTS.items()
    if table != "attribution_runs"
}
# Two days; the first has four orders with a journey. `airflow dags test` takes the following day.
DAYS = {"2025-03-05": "2025-03-06", "2025-03-06": "2025-03-07"}
FIRST, SECOND = DAYS
TRIES = 2
DAILY = "0 0 * * *"
# Overlapping intervals, the later one first: the date for `airflow dags test`, the schedule, and the days covered.
INTO_NEXT_WEEK = ("2025-03-12", "0 0 8,12 * *", "2025-03-08", "2025-03-11")
WEEK = ("2025-03-10", "0 0 * * 1", "2025-03-03", "2025-03-09")


class Ended(NamedTuple):
    """A finished DAG run: exit code, state and tries of each task, XComs, asset events, tables."""

    code: int
    tasks: dict
    xcoms: dict
    events: list
    tables: dict


class Airflow:
    """An installation with its own home folder, which knows the project only through its Variable."""

    def __init__(self, folder, bin, url):
        self.folder, self.bin, self.home, self.project = folder, bin, folder / "home", folder / "project"
        self.database = self.project / "shop.db"
        self.variable = {
            **{"project": str(self.project), "python": sys.executable, "notebooks": str(ROOT / "notebooks")},
            **{"database": "shop.db", "output": "out", "engine": "api", "conv_type_id": "default"},
            # Two orders per try, so that the four of the first day need a second try.
            **{"max_requests": 2, "max_journeys": 1, "workers": 1},
            **{"bootstrap_draws": 10, "sensitivity_models": "IHC", "sensitivity_lookbacks": "any"},
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("IHC_", "AIRFLOW"))}
        self.environment = clean | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_VAR_IHC": json.dumps(self.variable),
            "AIRFLOW_CONN_IHC_API": json.dumps({"conn_type": "http", "host": url, "password": KEY}),
            "JUPYTER_PATH": str(folder / "share" / "jupyter"),
            "IPYTHONDIR": str(folder / "ipython"),
        }

    def call(self, *command, **environment):
        """Run a program of the installation."""
        command = [self.bin / command[0], *map(str, command[1:])]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=1100,
            check=False,
        )

    def test(self, project, runs, **settings):
        """Execute runs (date, schedule) with `airflow dags test`, one after the other; returns also the output."""
        database, copies = project / "shop.db", project / "copies"
        copies.mkdir()
        variable = json.dumps(self.variable | {"project": str(project)} | settings)
        script = ROOT / "tests" / "helpers" / "airflow_runs.py"
        done = self.call("python", script, database, copies, json.dumps(runs), AIRFLOW_VAR_IHC=variable)
        assert done.returncode == 0, done.stderr
        codes = json.loads(done.stdout.splitlines()[-1])
        ended = [_ended(copies / f"{number}-", date, codes[number]) for number, (date, _) in enumerate(runs)]
        return ended, done.stdout + done.stderr


def _ended(copies, date, code):
    with closing(sqlite3.connect(f"{copies}airflow.db")) as connection:

        def ask(query):
            run = "(SELECT run_id FROM dag_run WHERE logical_date LIKE ?)"
            return connection.execute(query.replace("RUN", run), [f"{date}%"]).fetchall()

        tasks = ask("SELECT task_id, state, try_number FROM task_instance WHERE run_id IN RUN")
        xcoms = ask("SELECT task_id, key, value FROM xcom WHERE run_id IN RUN")
        assets = "asset_event JOIN asset ON asset.id = asset_id"
        events = ask(f"SELECT name, asset_event.extra FROM {assets} WHERE source_run_id IN RUN")
    return Ended(
        code,
        {name: (state, number) for name, state, number in tasks},
        {(name, key): json.loads(value) for name, key, value in xcoms},
        [(name, json.loads(extra)) for name, extra in events],
        results(f"{copies}shop.db"),
    )


def results(database):
    """The result tables, sorted; empty before anything is stored."""
    with closing(sqlite3.connect(database)) as connection:
        existing = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}")) if table in existing else []
            for table, columns in TABLES.items()
        }


def copied_shop(airflow, name):
    """A new folder with a copy of the shop before any attribution."""
    folder = airflow.folder / name
    folder.mkdir()
    return folder, Path(shutil.copy(airflow.folder / "shop.db", folder / "shop.db"))


@pytest.fixture(scope="module")
def environment():
    """The folder of the Airflow installation, separate from ihc."""
    folder = os.environ.get("IHC_TEST_AIRFLOW")
    if not folder:
        assert not os.environ.get("CI"), "IHC_TEST_AIRFLOW must be set where CI is set"
        pytest.skip(f"Airflow lives in an environment of its own: {INSTALL}")
    return Path(folder) / "bin"


@pytest.fixture(scope="module")
def api():
    """The API over loopback, with a key; `faults.choose` makes it misbehave."""
    with misbehaving(keys=(KEY,)) as (url, faults):
        yield url, faults


@pytest.fixture(scope="module")
def airflow(environment, api, tmp_path_factory):
    made = Airflow(tmp_path_factory.mktemp("airflow"), environment, api[0])
    (made.home / "dags").mkdir(parents=True)
    source = (RESOURCES / "airflow_dag.py").read_text("utf-8")
    hasty = source.replace(
        "RETRIES, RETRY_DELAY = 3, timedelta(minutes=5)", "RETRIES, RETRY_DELAY = 1, timedelta(seconds=1)"
    )
    assert hasty != source
    (made.home / "dags" / "ihc.py").write_text(hasty)
    write_sample(Database(made.database), conversions=50, seed=7)
    shutil.copy(made.database, made.folder / "shop.db")
    kernel = [sys.executable, "-m", "ipykernel", "install", "--prefix", made.folder, "--name", "ihc"]
    subprocess.run(kernel, check=True, capture_output=True)
    migrated = made.call("airflow", "db", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    return made


@pytest.fixture(scope="module")
def printed_and_runs(airflow, api):
    """DAG runs not in calendar order; the API refuses the first day's run twice."""
    with closing(sqlite3.connect(airflow.database)) as connection:
        orders = connection.execute("SELECT conv_id FROM conversions WHERE conv_date = ?", [FIRST]).fetchall()
    refusals, first = [], {conv_id for (conv_id,) in orders}

    def choose(_number, conversions):
        if not first & set(conversions) or len(refusals) == TRIES:
            return ""
        refusals.append(conversions)
        return "echo"

    api[1].choose = choose
    days = (SECOND, FIRST, FIRST, SECOND)
    ended, printed = airflow.test(airflow.project, [(DAYS[day], DAILY) for day in days])
    return printed, dict(zip(("second", "refused", "first", "again"), ended, strict=True))


@pytest.fixture(scope="module")
def runs(printed_and_runs):
    return printed_and_runs[1]


def success(run):
    return {name: state for name, (state, _) in run.tasks.items()} == dict.fromkeys([*NOTEBOOKS, "report"], "success")


INTERVALS = {
    "a day": ("2025-03-03T00:00:00+00:00", "2025-03-04T00:00:00+00:00", ["2025-03-03", "2025-03-03"]),
    "a month": ("2025-03-01T00:00:00+00:00", "2025-04-01T00:00:00+00:00", ["2025-03-01", "2025-03-31"]),
    "from five to five": ("2025-03-03T05:00:00+00:00", "2025-03-04T05:00:00+00:00", ["2025-03-03", "2025-03-03"]),
    "the last hour of a day": ("2025-03-03T23:00:00+00:00", "2025-03-04T00:00:00+00:00", ["2025-03-03"] * 2),
    "an hour": ("2025-03-03T13:00:00+00:00", "2025-03-03T14:00:00+00:00", ["2025-03-03", "2025-03-03"]),
    "of no length": ("2025-03-03T00:00:00+00:00", "2025-03-03T00:00:00+00:00", ["2025-03-02", "2025-03-02"]),
    "none": (None, None, ["2025-03-07", "2025-03-07"]),
    "told in another zone": ("2025-03-03T02:00:00+02:00", "2025-03-04T02:00:00+02:00", ["2025-03-03"] * 2),
}
ENVIRONMENTS = [
    {"AIRFLOW_VAR_IHC": json.dumps(variable)}
    for variable in (
        {"project": "/srv/ihc", "lookback_days": 30, "export_credits": True, "by": None, "max_requests": 0},
        {"project": "/srv/ihc", "database": "sqlite:////srv/shop.db"},
        {"project": "/srv/ihc", "database": "data/shop.db"},
        {"project": "/srv/ihc", "lokback_days": 30},
        {"project": "/srv/ihc", "api_key": KEY},
        {"lookback_days": 30},
        {"project": "/srv/ihc", "database": "postgresql://ana:S3cret@db.example/shop"},
        {"project": "/srv/ihc", "database": "postgresql://db.example/shop?user=ana&password=S3cret"},
        {"project": "/srv/ihc", "database": "ana:S3/cret@db.example/shop"},
        {"project": "/srv/ihc", "database": "postgresql://ana@db.example:5432/shop"},
    )
]
OUTCOMES = ["waiting", "failed", "unattributed"]
POSTGRES = {"conn_type": "postgres", "login": "ana", "password": "p@ss", "host": "db.example", "schema": "shop"}
EXTRA = {"keepalives_idle": 30, "sslmode": "require", "cursor": "dictcursor"}
CONNECTIONS = {
    "postgres://ana:p%40ss@db.example:5432/shop": "postgresql://ana:p%40ss@db.example:5432/shop",
    json.dumps(POSTGRES | {"port": 5432, "extra": EXTRA}): (
        "postgresql://ana:p%40ss@db.example:5432/shop?keepalives_idle=30&sslmode=require"
    ),
    json.dumps(POSTGRES | {"password": "a/b ü%", "host": "::1"}): "postgresql://ana:a%2Fb%20%C3%BC%25@[::1]/shop",
    json.dumps(POSTGRES | {"password": "", "host": "/tmp"}): "postgresql://ana@/shop?host=%2Ftmp",
    json.dumps(POSTGRES | {"conn_type": "mysql"}): (
        "AirflowFailException: The Connection ihc_database is of type mysql; it must be Postgres. "
        "Set a database file in the Variable ihc."
    ),
}
# Variables stay set for the following environments.
ENVIRONMENTS += [
    {"AIRFLOW_VAR_IHC": json.dumps({"project": "/srv/ihc"}), "AIRFLOW_CONN_IHC_DATABASE": given}
    for given in CONNECTIONS
]


@pytest.fixture(scope="module")
def found(airflow):
    """The DAG as parsed by Airflow."""
    folder = airflow.folder / "shipped"
    folder.mkdir()
    shutil.copy(RESOURCES / "airflow_dag.py", folder)
    intervals = [(start, end, "2025-03-08T00:30:00+00:00") for start, end, _ in INTERVALS.values()]
    given = [json.dumps(each) for each in (intervals, ENVIRONMENTS, OUTCOMES)]
    done = airflow.call("python", ROOT / "tests" / "helpers" / "airflow_structure.py", folder, *given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_imports_without_ihc(airflow, found):
    assert airflow.call("python", "-c", "import ihc").returncode == 1
    listed = airflow.call("airflow", "dags", "list-import-errors", "--local")
    assert (listed.returncode, listed.stdout.splitlines()[-1]) == (0, "No data found")
    assert not found["has ihc"]


def test_each_notebook_is_a_task_and_the_report_is_the_last(found):
    order = [*IN_ORDER, "report"]
    operators = ["PapermillOperator"] * len(NOTEBOOKS) + ["BashOperator"]
    following = [[name] for name in order[1:]] + [[]]
    assert found["tasks"] == [list(task) for task in zip(order, operators, following, strict=True)]
    assert found["kernels"] == ["ihc"]
    assert found["outlets"] == {"report": ["ihc_channel_reporting"]}


def test_it_runs_daily_over_data_intervals_one_at_a_time_and_tries_again(found):
    assert found["schedule"] == ["CronDataIntervalTimetable", "0 0 * * *", "UTC"]
    assert found["runs"] == [1, False]
    assert found["retries"] == [[3, True]]


@pytest.mark.parametrize("name", INTERVALS)
def test_an_interval_means_its_whole_days(name, found):
    assert found["days"][list(INTERVALS).index(name)] == INTERVALS[name][2]


def test_settings_of_the_variable_are_the_environment_of_the_kernels(found, api):
    settings, url, path, *_ = found["environments"]
    key = {"IHC_API_KEY": KEY, "IHC_API_URL": api[0]}
    assert settings == key | {"IHC_LOOKBACK_DAYS": "30", "IHC_EXPORT_CREDITS": "True", "IHC_MAX_REQUESTS": "0"}
    assert url == key | {"IHC_DATABASE": "sqlite:////srv/shop.db"}
    assert path == key | {"IHC_DATABASE": "/srv/ihc/data/shop.db"}


def test_a_variable_with_a_wrong_name_or_without_a_project_is_refused(found):
    misspelt, key, homeless = found["environments"][3:6]
    assert misspelt.startswith(
        "AirflowFailException: The Variable ihc has unknown lokback_days; entries are project, python, "
    )
    assert key.endswith("Set the API key in the Connection ihc_api.")
    assert KEY not in key
    assert (
        homeless
        == 'AirflowFailException: The Variable ihc must contain the path of the project: {"project": "/srv/ihc"}.'
    )


def test_a_password_in_the_variable_is_refused_and_not_shown(found):
    *refused, without = found["environments"][6:10]
    says = "AirflowFailException: The database in the Variable ihc contains a password: use the Connection "
    assert refused == [f"{says}ihc_database."] * 3
    assert without["IHC_DATABASE"] == "postgresql://ana@db.example:5432/shop"


@pytest.mark.parametrize("given", CONNECTIONS)
def test_a_database_on_a_server_comes_from_a_connection_whatever_its_extras(given, found):
    made = found["environments"][10 + list(CONNECTIONS).index(given)]
    expected = CONNECTIONS[given]
    assert (made if isinstance(made, str) else made["IHC_DATABASE"]) == expected
    if not isinstance(made, str):
        assert sa.make_url(made["IHC_DATABASE"]).password in ("p@ss", "a/b ü%", None)


def test_orders_that_wait_are_tried_again_and_orders_that_failed_fail_the_run_after_its_report(found):
    event = {"report": "report.html", "start_date": "2025-03-03", "end_date": "2025-03-03"}
    waits = "AirflowException: Orders waiting for the API: 1. Its answers so far are stored; try again later."
    fails = "AirflowFailException: Failed orders: 1; see orders_without_credit.csv for the reasons. Report: "
    assert found["judged"] == [[waits, None, event], [None, f"{fails}report.html.", {}], [None, None, event]]


def test_two_days_give_the_tables_of_one_run_over_them(airflow, runs, api):
    for name in ("second", "first"):
        assert runs[name].code == 0
        assert success(runs[name])
    given = ["--start-date", FIRST, "--end-date", SECOND, "--engine", "api"]
    variables = {"IHC_API_URL": api[0], "IHC_API_KEY": KEY, "IHC_BOOTSTRAP_DRAWS": "10"}
    done = run_ihc(*copied_shop(airflow, "cli"), *given, **variables)
    assert done.code == 0, done.err
    assert results(done.database) == runs["first"].tables
    assert len(runs["first"].tables["attribution_outcomes"]) == 6  # 4 + 2 orders


@pytest.fixture(scope="module")
def one_run(airflow):
    """The tables after one `ihc run` over all days of the overlapping intervals."""
    days = ["--start-date", WEEK[2], "--end-date", INTO_NEXT_WEEK[3]]
    done = run_ihc(*copied_shop(airflow, "one run"), *days, "--engine", "local", IHC_BOOTSTRAP_DRAWS="10")
    assert done.code == 0, done.err
    return results(done.database)


def test_intervals_that_overlap_leave_the_tables_of_one_run_over_their_days(airflow, one_run):
    project, _ = copied_shop(airflow, "overlapping")
    intervals = (INTO_NEXT_WEEK, WEEK)
    given = [(date, cron) for date, cron, _, _ in intervals]
    ended, printed = airflow.test(project, given, engine="local", max_requests=None)
    assert [success(run) for run in ended] == [True, True], printed
    days = [(event["start_date"], event["end_date"]) for run in ended for _, event in run.events]
    assert days == [(first, last) for _, _, first, last in intervals]
    # Orders per day from 3 to 11 March: 1, 1, 4, 2, 3, 1, 1, 1, 3.
    assert [len(run.tables["attribution_outcomes"]) for run in ended] == [6, 17]
    assert ended[1].tables == one_run


def test_a_refused_key_fails_the_run_and_nothing_after_it_runs(runs):
    refused = runs["refused"]
    assert refused.code != 0
    after = dict.fromkeys([*IN_ORDER[2:], "report"], ("upstream_failed", 0))
    assert refused.tasks == {IN_ORDER[0]: ("success", 1), IN_ORDER[1]: ("failed", TRIES)} | after
    assert refused.tables == runs["second"].tables
    assert ("report", "return_value") not in refused.xcoms
    assert refused.events == []


def test_a_rerun_repairs_it_and_orders_that_wait_are_asked_by_the_next_try(printed_and_runs, runs):
    first = runs["first"]
    assert success(first)
    assert {name: number for name, (_, number) in first.tasks.items() if number > 1} == {"03_attribute": 2}
    assert "Orders waiting for the API: 2." in printed_and_runs[0]
    orders = {conv_id for conv_id, _, _ in first.tables["attribution_outcomes"]}
    assert len(orders) == len(runs["second"].tables["attribution_outcomes"]) + 4


def test_an_interval_that_runs_once_more_after_later_ones_changes_nothing(runs):
    assert success(runs["again"])
    assert runs["again"].tables == runs["first"].tables


def test_each_run_has_its_report_in_xcom_and_in_the_event_of_the_asset(airflow, runs):
    for name, day in (("second", SECOND), ("first", FIRST), ("again", SECOND)):
        report = airflow.project / "out" / day / "report.html"
        assert runs[name].xcoms["report", "return_value"] == str(report)
        assert runs[name].events == [
            ("ihc_channel_reporting", {"report": str(report), "start_date": day, "end_date": day})
        ]
        assert f"orders and sessions: {day}" in report.read_text("utf-8").lower()


def test_the_runs_are_recorded_by_the_names_of_the_dag_runs(airflow, runs):
    with closing(sqlite3.connect(airflow.database)) as connection:
        recorded = connection.execute("SELECT run_id, start_date, end_date FROM report_runs ORDER BY number").fetchall()
    ids = [runs[name].xcoms["03_attribute", "run_id"] for name in ("second", "first", "again")]
    expected = [(run, day, day) for run, day in zip(ids, (SECOND, FIRST, SECOND), strict=True)]
    assert [row for row in recorded if row[0] in ids] == expected
    # Two orders per try: the first try of the day with four orders leaves two waiting. It has stored the answers, and
    # has its own record.
    assert [row[1:] for row in recorded if row[0] not in ids] == [(FIRST, FIRST)]


def test_the_key_appears_nowhere(airflow, printed_and_runs):
    # The API returned it when it refused the request.
    failed = airflow.project / "copies" / "1-out" / FIRST / "notebooks" / "03_attribute.ipynb"
    assert "You sent ***" in failed.read_text("utf-8")
    assert "You sent ***" in printed_and_runs[0]
    assert KEY not in printed_and_runs[0]
    files = [path for path in airflow.folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
