"""Whole runs on a file of DuckDB: the results of SQLite."""

import pytest
from conftest import Finished, ihc
from databases import copy_tables
from server_runs import (
    assert_a_run_that_is_killed_is_finished_by_another,
    assert_a_sample_is_made_and_init_adds_and_empties,
    assert_a_second_run_stores_the_same_once_more,
    assert_answers_of_the_api_are_kept_and_learned_from,
    assert_every_csv_and_chart_is_the_same,
    assert_every_table_is_the_same,
    assert_rows_in_another_order_give_the_same,
    assert_the_commands_work,
)

from ihc.database import create_tables
from ihc.schemas import COLUMNS


@pytest.fixture
def url(tmp_path_factory):
    """A file that is not there."""
    return f"duckdb:///{tmp_path_factory.mktemp('duckdb') / 'shop.duckdb'}"


@pytest.fixture(scope="module")
def on_duckdb(finished, shop, tmp_path_factory):
    """The run of `finished`, on a file of DuckDB that is named as one types it."""
    folder = tmp_path_factory.mktemp("on-duckdb")
    create_tables(f"duckdb:///{folder / 'shop.duckdb'}")
    copy_tables(shop, f"duckdb:///{folder / 'shop.duckdb'}", COLUMNS)
    done = ihc("run", "--output", "out", cwd=folder, IHC_DATABASE="duckdb:///shop.duckdb")
    return Finished(done.returncode, done.stdout, done.stderr, folder / "out", f"duckdb:///{folder / 'shop.duckdb'}")


def test_every_table_is_the_same_as_on_sqlite_to_the_last_digit(on_duckdb, finished):
    assert_every_table_is_the_same(on_duckdb, finished)


def test_every_csv_and_chart_is_the_same_as_on_sqlite_byte_for_byte(on_duckdb, finished):
    assert_every_csv_and_chart_is_the_same(on_duckdb, finished)


def test_the_report_names_the_file_by_an_url_that_a_reader_may_type(on_duckdb):
    page = (on_duckdb.output / "report.html").read_text("utf-8")
    assert "ihc run --database duckdb:///shop.duckdb" in page
    assert str(on_duckdb.output.parent) not in page


def test_the_commands_work_on_the_file(on_duckdb):
    assert_the_commands_work(on_duckdb, {"IHC_DATABASE": on_duckdb.database})


def test_a_sample_is_made_in_a_new_file_and_init_adds_and_empties(url, tmp_path):
    assert_a_sample_is_made_and_init_adds_and_empties(url, tmp_path)


@pytest.mark.slow
def test_answers_of_the_api_are_kept_in_the_file_and_learned_from(url, tmp_path):
    assert_answers_of_the_api_are_kept_and_learned_from(url, tmp_path)


@pytest.mark.slow
def test_a_second_run_stores_the_same_once_more(on_duckdb, tmp_path):
    assert_a_second_run_stores_the_same_once_more(on_duckdb, on_duckdb.database, tmp_path)


@pytest.mark.slow
def test_rows_in_another_order_give_the_same_tables_and_files(url, shop, finished, tmp_path):
    assert_rows_in_another_order_give_the_same(url, shop, finished, tmp_path)


@pytest.mark.slow
def test_a_run_that_is_killed_is_finished_by_running_it_again(url, shop, finished, tmp_path):
    assert_a_run_that_is_killed_is_finished_by_another(url, shop, finished, tmp_path)
