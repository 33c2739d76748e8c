"""Whole runs on other databases than SQLite: identical results, and no password in any output."""

import os
import random
import re
import signal
import time
from html import unescape
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from helpers.api_runs import ATTRIBUTE, ask, make_journeys
from helpers.commands import Finished, ihc, ihc_here
from helpers.databases import copy_tables, new_database, rows_of, sql
from helpers.faults import in_turn, misbehaving
from helpers.roles import GUIDE, as_role, grants, statements
from helpers.serving import started

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import HISTORY, RESULTS
from ihc.pipeline.sample import write_sample
from ihc.schemas.tables import COLUMNS
from tests.runs.test_notebooks import papermill

pytestmark = pytest.mark.timeout(900)  # the fixtures make two whole runs
PASSWORD, ENCODED = "s3cr@t/wörd+ 100%", "s3cr%40t%2Fw%C3%B6rd%2B%20100%25"
FORMS = (PASSWORD, ENCODED, "s3cr%40t", "s3cr@t")
# Output that differs from run to run.
ITS_OWN = {"attribution_runs": (0, 1), "report_runs": (1, 2), "attribution_outcomes": (1,)}


class OtherRun(NamedTuple):
    """A whole run on another database: its result, its environment, and the database name in the report."""

    done: Finished
    variables: dict[str, str]
    named: str
    hidden: str


def on_server(postgres_url):
    """A PostgreSQL schema for a role with a password and only the needed permissions."""
    schema, role = f"Runs {os.getpid()}", f"runner-{os.getpid()}"
    sql(postgres_url, f'CREATE SCHEMA "{schema}"', f'CREATE ROLE "{role}" LOGIN')
    url = sa.make_url(postgres_url)
    database = url.update_query_dict({"schema": schema}).render_as_string(hide_password=False)
    create_tables(Database(database))
    sql(database, *grants(database, role))
    variables = {
        "IHC_DATABASE": as_role(postgres_url, role).replace("@/", f":{ENCODED}@/", 1),
        "IHC_SCHEMA": schema,
    }
    return database, variables, f"postgresql:///{url.database} --schema '{schema}'", role


def in_file(folder):
    """A DuckDB file with a relative URL."""
    database = f"duckdb:///{folder / 'shop.duckdb'}"
    create_tables(Database(database))
    return database, {"IHC_DATABASE": "duckdb:///shop.duckdb"}, "duckdb:///shop.duckdb", str(folder)


@pytest.fixture(scope="module", params=["postgresql", "duckdb"])
def other(request, shop, tmp_path_factory):
    """The run of `finished` on another database, with rows in another order."""
    folder, chance = tmp_path_factory.mktemp("other"), random.Random(1)
    is_server = request.param == "postgresql"
    database, variables, *names = on_server(request.getfixturevalue("postgres_url")) if is_server else in_file(folder)
    copy_tables(shop, database, COLUMNS, arrange=lambda rows: chance.sample(rows, len(rows)))
    done = ihc("run", "--output", "out", cwd=folder, **variables)
    return OtherRun(Finished(done.returncode, done.stdout, done.stderr, folder / "out", database), variables, *names)


def without_its_own(table, database):
    own = ITS_OWN.get(table, ())
    rows = [tuple(value for place, value in enumerate(row) if place not in own) for row in rows_of(database, table)]
    return sorted(rows, key=repr)


@pytest.mark.slow
def test_every_table_csv_and_chart_is_the_same_as_on_sqlite_to_the_last_digit(other, finished):
    done = other.done
    assert done.code == 0, done.err
    for table in (*RESULTS, *HISTORY):
        assert without_its_own(table, done.database) == without_its_own(table, finished.database), table
    assert len(rows_of(done.database, "attribution_customer_journey")) > 200
    names = [
        path.relative_to(finished.output) for kind in ("*.csv", "charts/*.svg") for path in finished.output.glob(kind)
    ]
    assert len(names) > 30
    # Its examples are the first rows found, and its SQL depends on the database.
    names = [name for name in names if name.stem != "data_quality_remedies"]
    assert [name for name in names if (done.output / name).read_bytes() != (finished.output / name).read_bytes()] == []


@pytest.mark.slow
def test_the_password_appears_nowhere_in_the_output_of_a_run(other):
    done = other.done
    written = [path for path in done.output.rglob("*") if path.is_file()]
    assert {".html", ".json", ".ipynb", ".log", ".csv"} <= {path.suffix for path in written}
    for form in FORMS:
        assert form not in done.out + done.err
        assert [path for path in written if form.encode() in path.read_bytes()] == []
    assert not any(form in str(rows_of(done.database, table)) for table in (*RESULTS, *HISTORY) for form in FORMS)


@pytest.mark.slow
def test_the_report_names_the_database_as_a_reader_may_type_it_but_neither_server_user_nor_folder(other):
    page = unescape((other.done.output / "report.html").read_text("utf-8"))
    assert f"ihc run --database {other.named}" in page
    assert other.hidden not in page


@pytest.mark.slow
def test_the_commands_work(other):
    order = sql(other.done.database, "SELECT min(conv_id) FROM attribution_customer_journey")[0][0]
    commands = {
        ("explain", order, "--output", "explained"): "stored",
        ("runs",): "local",
        ("train", "--output", "trained.json"): "Written",
        ("calibrate",): "has no API answers",
        ("diff", "1", "1"): "run 1",
    }
    for arguments, says in commands.items():
        done = ihc_here(*arguments, cwd=other.done.output.parent, **other.variables)
        said = done.stdout + done.stderr
        assert says in said
        assert (done.returncode != 0) == (arguments == ("calibrate",)), said
        assert not any(form in said for form in FORMS)


@pytest.mark.slow
def test_the_section_of_the_readme_works_in_the_order_in_which_it_stands(server, role, tmp_path):
    section = GUIDE
    blocks = re.findall(r"```(sql|console)\n(.*?)```", section, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["sql", "console", "sql", "console"]
    with new_database(server) as url:
        sql(url, "CREATE SCHEMA sales")
        sales = sa.make_url(url).update_query_dict({"schema": "sales"}).render_as_string(hide_password=False)
        write_sample(Database(sales), 60)
        renamed = {"conv_id": "order_id", "user_id": "customer_id", "conv_date": "day", "conv_time": "hour"}
        for old, new in (renamed | {"revenue": "amount"}).items():
            sql(sales, f"ALTER TABLE conversions RENAME {old} TO {new}")
        sql(sales, "ALTER TABLE conversions RENAME TO orders")
        views = [
            f"CREATE VIEW attribution.{name} AS TABLE sales.{name}" for name in ("session_sources", "session_costs")
        ]
        for kind, block in blocks:
            if kind == "sql":
                sql(url, *statements(block, {"shop": sa.make_url(url).database, "ihc": role}), *views)
                views = []
                continue
            (user, schema), (command,) = (
                re.findall(r"IHC_DATABASE=postgresql://(\w+):.* IHC_SCHEMA=(\w+)", block)[0],
                re.findall(r"uv run ihc (\w+)", block),
            )
            who = as_role(url, role) if user == "ihc" else url
            done = ihc(command, cwd=tmp_path, IHC_DATABASE=who, IHC_SCHEMA=schema)
            assert done.returncode == 0, done.stderr
        assert sql(url, "SELECT count(*) FROM attribution.attribution_outcomes") == [(60,)]


@pytest.mark.slow
def test_a_notebook_alone_attributes_the_dates_in_the_schema_that_is_its_parameter(schema_url, postgres_url, tmp_path):
    write_sample(Database(schema_url), 100, seed=7)
    done = papermill(
        "03_attribute", tmp_path / "out.ipynb", "-p", "output", tmp_path,
        "-p", "schema", sa.make_url(schema_url).query["schema"],
        "-p", "start_date", "2025-03-10", "-p", "end_date", "2025-03-12",
        IHC_DATABASE=postgres_url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    joined = "conversions JOIN attribution_outcomes USING (conv_id)"
    assert sql(schema_url, f"SELECT min(conv_date), max(conv_date) FROM {joined}") == [("2025-03-10", "2025-03-12")]
    assert len(rows_of(schema_url, "attribution_customer_journey")) > 10


@pytest.mark.slow
def test_a_run_on_the_api_that_is_killed_repeatedly_requests_only_the_rest(schema_url, tmp_path):
    chance, kills, workers, batch = random.Random(1), 3, 4, 100
    write_sample(Database(schema_url), 800)
    code = ATTRIBUTE.replace('"shop.db"', repr(schema_url))
    with misbehaving(wait=0.4) as (url, api):
        for _ in range(kills):
            run = started("-c", code, cwd=tmp_path, IHC_API_URL=url)
            assert run.stdout.readline() == "started\n"
            time.sleep(chance.uniform(0.3, 2))
            run.send_signal(signal.SIGKILL)
            run.wait()
            run.stdout.close(), run.stderr.close()
        last = started("-c", code, cwd=tmp_path, IHC_API_URL=url)
        assert last.wait(120) == 0
        assert sum(count - 1 for count in api.answered.values()) <= kills * workers * batch
    assert sql(schema_url, "SELECT count(DISTINCT run_id) FROM api_requests")[0][0] > 1
    sums = "SELECT sum(ihc) AS s FROM attribution_customer_journey GROUP BY conv_id"
    assert sql(schema_url, f"SELECT count(*) FROM ({sums}) AS sums WHERE abs(s - 1) > 1e-9") == [(0,)]
    assert sql(schema_url, "SELECT DISTINCT outcome FROM attribution_outcomes ORDER BY 1") == [
        ("credited",),
        ("unattributed",),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("nowhere", ["postgresql", "duckdb"], indirect=True)
def test_parameters_are_learned_from_answers_of_the_api(nowhere, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    write_sample(nowhere, 150, seed=5)
    with misbehaving(in_turn()) as (url, _):
        stopped, _ = ask(nowhere, url, make_journeys(150, seed=5))
    assert stopped is None
    calibrated = ihc_here("calibrate", "--output", "found.json", cwd=folder, IHC_DATABASE=nowhere.address)
    assert calibrated.returncode == 0, calibrated.stderr
    assert (folder / "found.json").exists()


@pytest.mark.parametrize("nowhere", ["postgresql", "duckdb"], indirect=True)
def test_a_sample_is_created_in_an_empty_database_and_init_adds_and_empties(nowhere, tmp_path_factory):
    folder, url = tmp_path_factory.mktemp("folder"), nowhere.address
    made = ihc_here("sample", "--conversions", "20", cwd=folder, IHC_DATABASE=url)
    assert "a synthetic shop with 20 orders" in made.stdout, made.stderr
    assert len(rows_of(url, "conversions")) == 20
    sql(url, "DROP TABLE channel_reporting", "INSERT INTO attribution_outcomes VALUES ('a', 'r', 'failed', '')")
    done = ihc_here("init", "--clean-results", cwd=folder, IHC_DATABASE=url)
    assert "has all tables; the result tables are empty" in done.stdout, done.stderr
    assert rows_of(url, "channel_reporting") == rows_of(url, "attribution_outcomes") == []
    again = ihc_here("sample", cwd=folder, IHC_DATABASE=url)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert list(folder.iterdir()) == []


def test_a_schema_is_an_option_and_is_refused_for_a_file(schema_url, postgres_url, tmp_path):
    name = sa.make_url(schema_url).query["schema"]
    done = ihc_here("init", "--database", postgres_url, "--schema", name, cwd=tmp_path)
    assert f"(schema {name}) has all tables" in done.stdout, done.stderr
    assert rows_of(schema_url, "conversions") == []
    refused = ihc_here("run", "--database", "shop.db", "--schema", name, cwd=tmp_path)
    assert (refused.returncode, "is a file" in refused.stderr) == (1, True)


def test_a_server_that_is_written_without_a_scheme_is_refused_and_no_file_is_named_after_it(tmp_path):
    done = ihc_here("init", cwd=tmp_path, IHC_DATABASE="ihc:S3cret@host/shop")
    assert (done.returncode, "database URL is invalid" in done.stderr) == (1, True)
    assert "S3cret" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_ends_a_run_in_one_sentence(tmp_path):
    url = f"postgresql://ann:{ENCODED}@127.0.0.1:1/shop"
    by_environment = ihc_here("run", cwd=tmp_path, IHC_DATABASE=url)
    (tmp_path / ".env").write_text(f"IHC_DATABASE={url}\n")
    for done in (by_environment, ihc_here("run", cwd=tmp_path)):
        assert (done.returncode, "Connection refused" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
        assert not any(form in done.stdout + done.stderr for form in FORMS)
    assert {path.name for path in tmp_path.iterdir()} == {".env"}
