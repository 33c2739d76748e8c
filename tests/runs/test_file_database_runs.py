"""Whole runs on files of DuckDB: as on SQLite."""

import pytest
from helpers.commands import Finished, ihc
from helpers.databases import copy_tables, rows_of, sql
from helpers.server_runs import (
    assert_a_run_that_is_killed_is_finished_by_another,
    assert_a_sample_is_made_and_init_adds_and_empties,
    assert_a_second_run_stores_the_same_once_more,
    assert_answers_of_the_api_are_kept_and_learned_from,
    assert_every_csv_and_chart_is_the_same,
    assert_every_table_is_the_same,
    assert_rows_in_another_order_give_the_same,
    assert_the_commands_work,
)

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.schemas.tables import COLUMNS


def place(folder):
    """The URL of a database of DuckDB in a folder."""
    return f"duckdb:///{folder / 'shop.duckdb'}"


@pytest.fixture
def url(tmp_path_factory):
    """A new database, beside no other file."""
    return place(tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="module")
def on_file(finished, shop, tmp_path_factory):
    """The run of `finished`, on such a file that is named as one types it."""
    folder = tmp_path_factory.mktemp("on-file")
    url = place(folder)
    create_tables(Database(url))
    copy_tables(shop, url, COLUMNS)
    done = ihc("run", "--output", "out", cwd=folder, IHC_DATABASE=url.replace(f"duckdb:///{folder}/", "duckdb:///"))
    return Finished(done.returncode, done.stdout, done.stderr, folder / "out", url)


def test_every_table_is_the_same_as_on_sqlite_to_the_last_digit(on_file, finished):
    assert_every_table_is_the_same(on_file, finished)


def test_every_csv_and_chart_is_the_same_as_on_sqlite_byte_for_byte(on_file, finished):
    assert_every_csv_and_chart_is_the_same(on_file, finished)


def test_the_report_names_the_file_by_an_url_that_a_reader_may_type(on_file):
    page = (on_file.output / "report.html").read_text("utf-8")
    assert "ihc run --database duckdb:///shop.duckdb" in page
    assert str(on_file.output.parent) not in page


def test_the_commands_work_on_the_file(on_file):
    assert_the_commands_work(on_file, {"IHC_DATABASE": on_file.database})


def test_a_sample_is_made_in_a_new_file_and_init_adds_and_empties(url, tmp_path):
    assert_a_sample_is_made_and_init_adds_and_empties(url, tmp_path)


@pytest.mark.slow
def test_answers_of_the_api_are_kept_in_the_file_and_learned_from(url, tmp_path):
    assert_answers_of_the_api_are_kept_and_learned_from(url, tmp_path)


@pytest.mark.slow
def test_a_second_run_stores_the_same_once_more(on_file, tmp_path):
    assert_a_second_run_stores_the_same_once_more(on_file, on_file.database, tmp_path)


@pytest.mark.slow
def test_rows_in_another_order_give_the_same_tables_and_files(url, shop, finished, tmp_path):
    assert_rows_in_another_order_give_the_same(url, shop, finished, tmp_path)


@pytest.mark.slow
def test_a_run_that_is_killed_is_finished_by_running_it_again(url, shop, finished, tmp_path):
    assert_a_run_that_is_killed_is_finished_by_another(url, shop, finished, tmp_path)


@pytest.mark.slow
def test_columns_of_other_types_give_the_results_of_texts(url, shop, finished, tmp_path):
    sql(
        url,
        "CREATE TABLE session_sources (session_id VARCHAR(40) PRIMARY KEY, user_id VARCHAR(40), event_date DATE, "
        "event_time TIME, channel_name VARCHAR(40), holder_engagement BOOLEAN, closer_engagement SMALLINT, "
        "impression_interaction NUMERIC(1))",
        "CREATE TABLE conversions (conv_id VARCHAR(40), user_id VARCHAR(40), conv_date DATE, conv_time TIME, "
        "revenue DOUBLE PRECISION)",
        "CREATE TABLE session_costs (session_id VARCHAR(40), cost DOUBLE PRECISION)",
    )
    copy_tables(shop, url, COLUMNS)
    done = ihc("run", "--output", "out", cwd=tmp_path, IHC_DATABASE=url)
    assert done.returncode == 0, done.stderr
    assert rows_of(url, "channel_reporting") == rows_of(finished.database, "channel_reporting")
