"""Whole runs on PostgreSQL: the results of SQLite to the last digit, with few rights, and no password anywhere."""

import os
import random
import re
import signal
import time
from html import unescape

import pytest
import sqlalchemy as sa
from helpers.api_runs import ATTRIBUTE
from helpers.commands import Finished, ihc, ihc_here
from helpers.databases import copy_tables, new_database, rows_of, sql
from helpers.faults import misbehaving
from helpers.roles import README, as_role, grants, statements
from helpers.server_runs import (
    ENCODED,
    assert_a_run_that_is_killed_is_finished_by_another,
    assert_a_sample_is_made_and_init_adds_and_empties,
    assert_a_server_that_is_not_there_is_said_in_one_sentence,
    assert_answers_of_the_api_are_kept_and_learned_from,
    assert_every_csv_and_chart_is_the_same,
    assert_every_table_is_the_same,
    assert_no_form_of_the_password_is_anywhere,
    assert_rows_in_another_order_give_the_same,
    assert_the_commands_work,
    without,
)
from helpers.serving import started

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import HISTORY, RESULTS
from ihc.pipeline.sample import write_sample
from ihc.report.files import read_csv
from ihc.schemas.tables import COLUMNS
from tests.runs.test_notebooks import papermill


@pytest.fixture(scope="module")
def on_server(postgres_url, finished, shop, tmp_path_factory):
    """The run of `finished`, in a schema of PostgreSQL, with a password in the environment and no right too many."""
    folder = tmp_path_factory.mktemp("on-server")
    name = f"Runs {os.getpid()}"
    sql(postgres_url, f'CREATE SCHEMA "{name}"', f'CREATE ROLE "runner-{os.getpid()}" LOGIN')
    schema = sa.make_url(postgres_url).update_query_dict({"schema": name}).render_as_string(hide_password=False)
    create_tables(Database(schema))
    copy_tables(shop, schema, COLUMNS)
    sql(schema, *grants(schema, f"runner-{os.getpid()}"))
    url = as_role(postgres_url, f"runner-{os.getpid()}").replace("@/", f":{ENCODED}@/", 1)
    variables = {"IHC_DATABASE": url, "IHC_SCHEMA": name}
    done = ihc("run", "--output", folder / "out", cwd=folder, **variables)
    return Finished(done.returncode, done.stdout, done.stderr, folder / "out", schema), variables


@pytest.mark.slow
def test_the_section_of_the_readme_works_in_the_order_in_which_it_stands(server, role, tmp_path):
    section = README.split("\n## PostgreSQL\n")[1].split("\n## ")[0]
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


def test_every_table_is_the_same_as_on_sqlite_to_the_last_digit(on_server, finished):
    assert_every_table_is_the_same(on_server[0], finished)


def test_every_csv_and_chart_is_the_same_as_on_sqlite_byte_for_byte(on_server, finished):
    assert_every_csv_and_chart_is_the_same(on_server[0], finished)


def test_no_form_of_the_password_is_in_anything_that_a_run_prints_or_writes(on_server):
    assert_no_form_of_the_password_is_anywhere(on_server[0])


def test_the_report_names_database_and_schema_but_neither_server_nor_user(on_server):
    done, variables = on_server
    page = unescape((done.output / "report.html").read_text("utf-8"))
    name = sa.make_url(variables["IHC_DATABASE"]).database
    assert f"ihc run --database postgresql:///{name} --schema '{variables['IHC_SCHEMA']}'" in page
    assert f"runner-{os.getpid()}" not in page


def test_the_commands_work_on_the_server(on_server):
    done, variables = on_server
    assert_the_commands_work(done, variables, "(schema Runs")


def test_a_sample_is_made_in_an_empty_schema_and_init_adds_and_empties(schema_url, tmp_path):
    assert_a_sample_is_made_and_init_adds_and_empties(schema_url, tmp_path)


def test_a_schema_is_an_option_and_is_refused_for_a_file(schema_url, postgres_url, tmp_path):
    name = sa.make_url(schema_url).query["schema"]
    done = ihc_here("init", "--database", postgres_url, "--schema", name, cwd=tmp_path)
    assert f"(schema {name}) has all tables" in done.stdout, done.stderr
    assert rows_of(schema_url, "conversions") == []
    refused = ihc_here("run", "--database", "shop.db", "--schema", name, cwd=tmp_path)
    assert (refused.returncode, "which has none" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "text",
    ["ihc:S3cret@host/shop", "postgresql:/ihc:S3cret@host/shop", "host=127.0.0.1 password=S3cret dbname=shop"],
)
def test_a_server_that_is_written_without_a_scheme_is_refused_and_no_file_is_named_after_it(text, tmp_path):
    done = ihc_here("init", cwd=tmp_path, IHC_DATABASE=text)
    assert (done.returncode, "is no URL that can be understood" in done.stderr) == (1, True)
    assert "S3cret" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_server_that_is_not_there_ends_a_run_in_one_sentence(where, tmp_path):
    url = f"postgresql://ann:{ENCODED}@127.0.0.1:1/shop"
    assert_a_server_that_is_not_there_is_said_in_one_sentence(url, where, tmp_path)


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
def test_a_report_alone_is_made_of_what_is_stored_and_changes_nothing(on_server, tmp_path):
    done, variables = on_server
    before = {table: rows_of(done.database, table) for table in (*RESULTS, *HISTORY)}
    again = ihc("run", "--report-only", "--output", "again", cwd=tmp_path, **variables)
    assert again.returncode == 0, again.stderr
    assert {table: rows_of(done.database, table) for table in (*RESULTS, *HISTORY)} == before
    summary = (tmp_path / "again" / "channel_summary.csv").read_bytes()
    assert summary == (done.output / "channel_summary.csv").read_bytes()


def test_answers_of_the_api_are_kept_on_the_server_and_learned_from(schema_url, tmp_path):
    assert_answers_of_the_api_are_kept_and_learned_from(schema_url, tmp_path)


@pytest.mark.slow
def test_rows_in_another_order_give_the_same_tables_in_the_same_order(server, shop, finished, tmp_path):
    """A table of PostgreSQL has no order, and no sum depends on one."""
    with new_database(server) as url:
        assert_rows_in_another_order_give_the_same(url, shop, finished, tmp_path)


@pytest.mark.slow
def test_a_run_on_the_api_that_is_killed_again_and_again_asks_only_for_the_rest(schema_url, tmp_path):
    chance, kills, workers, batch = random.Random(1), 6, 4, 100
    write_sample(Database(schema_url), 1500)
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
def test_a_run_that_is_killed_is_finished_by_running_it_again(server, shop, finished, tmp_path):
    with new_database(server) as url:
        assert_a_run_that_is_killed_is_finished_by_another(url, shop, finished, tmp_path)


@pytest.mark.slow
def test_the_servers_end_in_the_middle_of_a_run_is_said_and_the_next_run_completes(server, shop, tmp_path):
    with new_database(server) as url:
        create_tables(Database(url))
        copy_tables(shop, url, COLUMNS)
        sql(
            url,
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
            # Not at the row that a run adds to try it.
            "CREATE TRIGGER stop AFTER INSERT ON attribution_phases FOR EACH ROW WHEN (NEW.session_id <> '-17') "
            "EXECUTE FUNCTION stop()",
        )
        done = ihc("run", "--output", "out", cwd=tmp_path, IHC_DATABASE=url)
        assert done.returncode == 1
        assert "the connection was lost" in done.stderr
        assert rows_of(url, "attribution_customer_journey") == []
        sql(url, "DROP TRIGGER stop ON attribution_phases")
        assert ihc("run", "--output", "out", cwd=tmp_path, IHC_DATABASE=url).returncode == 0
        assert len(rows_of(url, "attribution_customer_journey")) > 200


@pytest.mark.slow
def test_the_real_shop_is_the_same_to_the_last_digit(server, real_database, tmp_path):
    with new_database(server) as url:
        create_tables(Database(url))
        copy_tables(real_database, url, COLUMNS)
        runs = {"lite": str(real_database), "server": url}
        for name, database in runs.items():
            began = time.monotonic()
            done = ihc("run", "--output", tmp_path / name, "--export-credits", cwd=tmp_path, IHC_DATABASE=database)
            assert done.returncode == 0, done.stderr
            print(f"{name}: {time.monotonic() - began:.1f} s")
        for path in (tmp_path / "lite").glob("*.csv"):
            assert path.read_bytes() == (tmp_path / "server" / path.name).read_bytes(), path.name
        for table in {*RESULTS, *HISTORY} - {"attribution_outcomes"}:
            assert without(table, rows_of(url, table)) == without(table, rows_of(real_database, table)), table
        lines = read_csv(tmp_path / "server" / "reconciliation.csv").set_index("line")
        assert lines.loc["orders read", ["count", "amount"]].tolist() == [1946, 112062.07]
