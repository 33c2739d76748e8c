"""Attribute the orders of each day: one task per notebook, then the report.

Copy this file into Airflow's DAGs folder. It needs Airflow with the Papermill provider, but not ihc: the notebooks run
in a separate environment, with its Jupyter kernel `ihc`.

The Variable `ihc` (JSON) holds the path of the project, `{"project": "/srv/ihc"}`, and settings (see the docs).
The Connections `ihc_api` (password: the API key) and `ihc_database` (type Postgres) are optional.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Connection, CronDataIntervalTimetable, Variable, chain
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

# Schedule, and the time zone of days. A run covers the whole days of its interval, whatever the hour of the schedule.
SCHEDULE, TIMEZONE = "0 0 * * *", "UTC"
FIRST_DAY = datetime(2025, 1, 1, tzinfo=ZoneInfo(TIMEZONE))
# Retries cover one to two hours; longer outages need attention.
RETRIES, RETRY_DELAY = 3, timedelta(minutes=5)

KERNEL = "ihc"
# The analysis notebooks need the stored results of the attribution.
NOTEBOOKS = (
    *("01_check_data", "03_attribute", "02_journeys", "04_channels", "05_over_time", "06_what_changed"),
    *("07_compare_models", "08_engine_parameters"),
)
ATTRIBUTE = "03_attribute"
REPORT = Asset("ihc_channel_reporting")
ONE_DAY = timedelta(days=1)

# Entries of the Variable: paths, and settings as in .env.example, in lower case without IHC_.
PATHS = ("project", "python", "notebooks", "output", "database")
SETTINGS = (
    *("schema", "lookback_days", "restart_after_order", "engine", "parameters", "conv_type_id", "redistribution"),
    *("max_requests", "max_sessions", "max_journeys", "long_journeys", "workers", "requests_per_second"),
    *("request_seconds", "conversion_type", "by"),
    *("direct", "currency", "break_even_roas", "export_credits", "bootstrap_draws", "bootstrap_seed"),
    *("channel_groups", "experiments", "stress", "style", "sensitivity_lookbacks", "sensitivity_models"),
)

# Connection extras for the driver, not for Airflow.
EXTRAS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "target_session_attrs"),
    *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)


class Plan(NamedTuple):
    """Paths and period of a DAG run."""

    project: str
    python: str
    notebooks: str
    output: str
    first_day: date
    last_day: date


def plan(dag_run: Any) -> Plan:
    """Read the paths and period at run time; relative paths start at the project."""
    given, days = _variable(), days_of(dag_run)
    project = Path(given["project"])
    interval = "_".join(dict.fromkeys(map(str, days)))
    return Plan(
        project=str(project),
        python=str(project / given.get("python", ".venv/bin/python")),
        notebooks=str(project / given.get("notebooks", "notebooks")),
        # Each interval has its own folder, so runs may be in any order.
        output=str(project / given.get("output", "data") / interval),
        first_day=days[0],
        last_day=days[1],
    )


def days_of(dag_run: Any) -> tuple[date, date]:
    """First and last whole day of the data interval; without an interval, the last whole day before the run.

    An interval within one day covers that day so far.
    """
    zone = ZoneInfo(TIMEZONE)
    end = (dag_run.data_interval_end or dag_run.run_after).astimezone(zone)
    start = (dag_run.data_interval_start or end).astimezone(zone)
    last = end.date() - ONE_DAY
    return (last, last) if start == end else (start.date(), max(start.date(), last))


def _variable() -> Mapping[str, Any]:
    given = Variable.get("ihc", default={}, deserialize_json=True)
    if unknown := set(given) - {*PATHS, *SETTINGS}:
        raise AirflowFailException(
            f"The Variable ihc has unknown {', '.join(sorted(unknown))}; entries are {', '.join((*PATHS, *SETTINGS))}. "
            "Set the API key in the Connection ihc_api."
        )
    if not given.get("project"):
        raise AirflowFailException('The Variable ihc must contain the path of the project: {"project": "/srv/ihc"}.')
    # Variables are visible in the Airflow UI, and text in this form is not a path.
    if re.search(r":(?!//).*@|password\s*=", str(given.get("database") or ""), re.IGNORECASE | re.DOTALL):
        raise AirflowFailException(
            "The database in the Variable ihc contains a password: use the Connection ihc_database."
        )
    return dict(given)


def _connection(name: str) -> Any:
    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        return None


def _url(connection: Any) -> str:
    """The URL of a database, with the connection's extras that the driver knows."""
    if not str(connection.conn_type).startswith("postgres"):
        raise AirflowFailException(
            f"The Connection ihc_database is of type {connection.conn_type}; it must be Postgres. "
            "Set a database file in the Variable ihc."
        )
    extras = {name: value for name, value in connection.extra_dejson.items() if name in EXTRAS}
    host, password = connection.host or "", quote(connection.password or "", safe="")
    if host.startswith("/"):
        extras, host = {"host": host, **extras}, ""
    server = f"[{host}]" if ":" in host else host
    user = quote(connection.login or "", safe="") + (f":{password}" if password else "")
    place = (f"{user}@" if user else "") + server + (f":{connection.port}" if connection.port else "")
    query = f"?{urlencode(extras)}" if extras else ""
    return f"postgresql://{place}/{quote(connection.schema or '', safe='')}{query}"


def _environment(given: Mapping[str, Any]) -> dict[str, str]:
    """The settings as environment of the kernels. Secrets, such as database URLs, are passed only here."""
    values = {f"IHC_{name.upper()}": str(given[name]) for name in SETTINGS if given.get(name) is not None}
    if database := given.get("database"):
        values["IHC_DATABASE"] = database if "://" in database else str(Path(given["project"]) / database)
    if connection := _connection("ihc_database"):
        values["IHC_DATABASE"] = _url(connection)
    if api := _connection("ihc_api"):
        values |= {"IHC_API_KEY": api.password or "", "IHC_API_URL": api.host or ""}
    return values


def prepare(context: Any) -> None:
    """Set the environment of the task process, which the kernel inherits. It ends with the task."""
    instance = context["ti"]
    if instance.task_id == ATTRIBUTE:
        # Each try is a separate run; the following notebooks belong to the successful one.
        name = re.sub("[^A-Za-z0-9_.-]", "-", context["dag_run"].run_id)
        instance.xcom_push(key="run_id", value=f"{name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    run_id = instance.xcom_pull(task_ids=ATTRIBUTE, key="run_id")
    os.environ.update(_environment(_variable()) | {"IHC_RUN_ID": run_id or ""})
    now = plan(context["dag_run"])
    os.chdir(now.project)
    Path(now.output, "notebooks").mkdir(parents=True, exist_ok=True)


def _without_credit(context: Any) -> Counter[str]:
    """The number of orders without credit, by outcome."""
    path = Path(plan(context["dag_run"]).output) / "orders_without_credit.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return Counter(row["outcome"] for row in csv.DictReader(file))


def check_waiting(context: Any, _result: Any) -> None:
    """Fail the attribution task while orders wait for the API, so that it is retried."""
    if waiting := _without_credit(context)["waiting"]:
        raise AirflowException(
            f"Orders waiting for the API: {waiting}. Its answers so far are stored; try again later."
        )


def announce(context: Any, result: Any) -> None:
    """Publish the path of the report in the asset event; fail the run if orders failed, as `ihc run` does."""
    days = plan(context["dag_run"])
    if failed := _without_credit(context)["failed"]:
        raise AirflowFailException(
            f"Failed orders: {failed}; see orders_without_credit.csv for the reasons. Report: {result}."
        )
    extra = {"report": result, "start_date": str(days.first_day), "end_date": str(days.last_day)}
    context["outlet_events"][REPORT].extra = extra


with DAG(
    dag_id="ihc",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable(SCHEDULE, timezone=TIMEZONE),
    start_date=FIRST_DAY,
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": RETRIES,
        "retry_delay": RETRY_DELAY,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(hours=1),
        "pre_execute": prepare,
    },
    user_defined_macros={"plan": plan},
    user_defined_filters={"quote": shlex.quote},
    tags=["ihc"],
):
    notebooks = [
        PapermillOperator(
            task_id=name,
            input_nb=f"{{{{ plan(dag_run).notebooks }}}}/{name}.ipynb",
            output_nb=f"{{{{ plan(dag_run).output }}}}/notebooks/{name}.ipynb",
            parameters={
                "output": "{{ plan(dag_run).output }}",
                "start_date": "{{ plan(dag_run).first_day }}",
                "end_date": "{{ plan(dag_run).last_day }}",
            },
            kernel_name=KERNEL,
            post_execute=check_waiting if name == ATTRIBUTE else None,
        )
        for name in NOTEBOOKS
    ]
    report = BashOperator(
        task_id="report",
        # The last line of output, the path of the report, becomes the task's XCom.
        bash_command="{{ plan(dag_run).python | quote }} -m ihc run --report-only --quiet"
        " --output {{ plan(dag_run).output | quote }}"
        " --start-date {{ plan(dag_run).first_day }} --end-date {{ plan(dag_run).last_day }}",
        cwd="{{ plan(dag_run).project }}",
        outlets=[REPORT],
        post_execute=announce,
    )
    chain(*notebooks, report)
