"""Whole runs on MariaDB, as on any database that SQLAlchemy knows: the results of SQLite, and no password anywhere."""

import os
from html import unescape

import pytest
import sqlalchemy as sa
from helpers.commands import Finished, ihc
from helpers.databases import copy_tables, new_mariadb_database, rows_of, sql
from helpers.server_runs import (
    ENCODED,
    PASSWORD,
    assert_a_run_that_is_killed_is_finished_by_another,
    assert_a_sample_is_made_and_init_adds_and_empties,
    assert_a_second_run_stores_the_same_once_more,
    assert_a_server_that_is_not_there_is_said_in_one_sentence,
    assert_answers_of_the_api_are_kept_and_learned_from,
    assert_every_csv_and_chart_is_the_same,
    assert_every_table_is_the_same,
    assert_no_form_of_the_password_is_anywhere,
    assert_rows_in_another_order_give_the_same,
    assert_the_commands_work,
)

from ihc.database.results import create_tables
from ihc.database.tables import HISTORY, LEDGER, RESULTS
from ihc.pipeline.sample import write_sample
from ihc.schemas.tables import COLUMNS
from tests.runs.test_notebooks import papermill

# What is common to all such databases, runs on DuckDB show sooner: a file needs no server.
pytestmark = pytest.mark.slow
USER = f"runner-{os.getpid()}"


def rights(name, user):
    """What a role needs that only runs: to read the inputs and to write the results."""
    who = f"`{user}`@localhost"
    yield f"GRANT CREATE TEMPORARY TABLES ON {name}.* TO {who}"
    yield from (f"GRANT SELECT ON {name}.{table} TO {who}" for table in COLUMNS)
    for table in RESULTS | LEDGER | HISTORY:
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.{table} TO {who}"


@pytest.fixture(scope="module")
def on_server(mariadb_server, finished, shop, tmp_path_factory):
    """The run of `finished`, on MariaDB, with a password in the environment and no right too many."""
    folder = tmp_path_factory.mktemp("on-mariadb")
    with new_mariadb_database(mariadb_server, "CHARACTER SET latin1") as url:
        create_tables(url)
        copy_tables(shop, url, COLUMNS)
        name = sa.make_url(url).database
        sql(url, f"CREATE USER `{USER}`@localhost IDENTIFIED BY '{PASSWORD}'", *rights(name, USER))
        limited = url.replace("root@", f"{USER}:{ENCODED}@")
        done = ihc("run", "--output", folder / "out", cwd=folder, IHC_DATABASE=limited)
        yield Finished(done.returncode, done.stdout, done.stderr, folder / "out", url), limited


def test_every_table_is_the_same_as_on_sqlite_to_the_last_digit(on_server, finished):
    assert_every_table_is_the_same(on_server[0], finished)


def test_every_csv_and_chart_is_the_same_as_on_sqlite_byte_for_byte(on_server, finished):
    assert_every_csv_and_chart_is_the_same(on_server[0], finished)


def test_no_form_of_the_password_is_in_anything_that_a_run_prints_or_writes(on_server):
    assert_no_form_of_the_password_is_anywhere(on_server[0])


def test_the_report_names_the_database_but_neither_server_nor_user(on_server):
    done, limited = on_server
    page = unescape((done.output / "report.html").read_text("utf-8"))
    assert f"ihc run --database mysql+pymysql:///{sa.make_url(limited).database}" in page
    assert not any(word in page for word in (USER, "unix_socket", "localhost"))


def test_the_commands_work_on_the_server(on_server):
    done, limited = on_server
    assert_the_commands_work(done, {"IHC_DATABASE": limited})


def test_a_second_run_stores_the_same_once_more_and_the_history_grows_by_no_row(on_server, tmp_path):
    assert_a_second_run_stores_the_same_once_more(*on_server, tmp_path)


def test_a_sample_is_made_in_an_empty_database_and_init_adds_and_empties(mariadb_url, tmp_path):
    assert_a_sample_is_made_and_init_adds_and_empties(mariadb_url, tmp_path)


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_server_that_is_not_there_ends_a_run_in_one_sentence(where, tmp_path):
    url = f"mysql+pymysql://ann:{ENCODED}@127.0.0.1:1/shop"
    assert_a_server_that_is_not_there_is_said_in_one_sentence(url, where, tmp_path)


def test_a_schema_is_refused_where_the_database_is_none_of_postgresql(tmp_path):
    done = ihc("init", "--database", "mysql+pymysql://ann@127.0.0.1:1/shop", "--schema", "x", cwd=tmp_path)
    assert (done.returncode, "is none of PostgreSQL: leave it out" in done.stderr) == (1, True)


def test_a_notebook_alone_attributes_the_dates(mariadb_url, tmp_path):
    write_sample(mariadb_url, 100, seed=7)
    done = papermill(
        "03_attribute", tmp_path / "out.ipynb", "-p", "output", tmp_path,
        "-p", "start_date", "2025-03-10", "-p", "end_date", "2025-03-12",
        IHC_DATABASE=mariadb_url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    joined = "conversions JOIN attribution_outcomes USING (conv_id)"
    assert sql(mariadb_url, f"SELECT min(conv_date), max(conv_date) FROM {joined}") == [("2025-03-10", "2025-03-12")]
    assert len(rows_of(mariadb_url, "attribution_customer_journey")) > 10


def test_answers_of_the_api_are_kept_on_the_server_and_learned_from(mariadb_url, tmp_path):
    assert_answers_of_the_api_are_kept_and_learned_from(mariadb_url, tmp_path)


def test_rows_in_another_order_give_the_same_tables_and_files(mariadb_url, shop, finished, tmp_path):
    """A table of a server has no order, and no sum depends on one."""
    assert_rows_in_another_order_give_the_same(mariadb_url, shop, finished, tmp_path)


def test_a_run_that_is_killed_is_finished_by_running_it_again(mariadb_url, shop, finished, tmp_path):
    assert_a_run_that_is_killed_is_finished_by_another(mariadb_url, shop, finished, tmp_path)


def test_the_end_of_a_connection_in_the_middle_of_a_run_is_said_and_the_next_run_completes(mariadb_url, shop, tmp_path):
    create_tables(mariadb_url)
    copy_tables(shop, mariadb_url, COLUMNS)
    # Not at the row that a run adds to try it.
    stop = "IF NEW.session_id <> '-17' THEN KILL CONNECTION_ID(); END IF"
    sql(mariadb_url, f"CREATE TRIGGER stop AFTER INSERT ON attribution_phases FOR EACH ROW {stop}")
    done = ihc("run", "--output", "out", cwd=tmp_path, IHC_DATABASE=mariadb_url)
    assert done.returncode == 1
    assert "the connection was lost" in done.stderr
    assert rows_of(mariadb_url, "attribution_customer_journey") == []
    sql(mariadb_url, "DROP TRIGGER stop")
    assert ihc("run", "--output", "out", cwd=tmp_path, IHC_DATABASE=mariadb_url).returncode == 0
    assert len(rows_of(mariadb_url, "attribution_customer_journey")) > 200
