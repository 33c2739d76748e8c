"""Whole runs on Firebird, a database that ihc does nothing for but what SQLAlchemy offers everywhere."""

import pytest
from conftest import Finished, ihc
from databases import copy_tables, rows_of, sql
from firebird_files import new_file
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

pytestmark = pytest.mark.slow


@pytest.fixture
def url(firebird, tmp_path_factory):
    """A new database, beside no other file."""
    return new_file(tmp_path_factory.mktemp("firebird-database") / "shop.fdb")


@pytest.fixture(scope="module")
def on_firebird(firebird, finished, shop, tmp_path_factory):
    """The run of `finished`, on Firebird."""
    folder = tmp_path_factory.mktemp("on-firebird")
    url = new_file(folder / "shop.fdb")
    create_tables(url)
    copy_tables(shop, url, COLUMNS)
    done = ihc("run", "--output", "out", cwd=folder, IHC_DATABASE=url)
    return Finished(done.returncode, done.stdout, done.stderr, folder / "out", url)


def test_every_table_is_the_same_as_on_sqlite_to_the_last_digit(on_firebird, finished):
    assert_every_table_is_the_same(on_firebird, finished)


def test_every_csv_and_chart_is_the_same_as_on_sqlite_byte_for_byte(on_firebird, finished):
    assert_every_csv_and_chart_is_the_same(on_firebird, finished)


def test_the_commands_work(on_firebird):
    assert_the_commands_work(on_firebird, {"IHC_DATABASE": on_firebird.database})


def test_a_second_run_stores_the_same_once_more(on_firebird, tmp_path):
    assert_a_second_run_stores_the_same_once_more(on_firebird, on_firebird.database, tmp_path)


def test_a_sample_is_made_in_an_empty_database_and_init_adds_and_empties(url, tmp_path):
    assert_a_sample_is_made_and_init_adds_and_empties(url, tmp_path)


def test_answers_of_the_api_are_kept_and_learned_from(url, tmp_path):
    assert_answers_of_the_api_are_kept_and_learned_from(url, tmp_path)


def test_rows_in_another_order_give_the_same_tables_and_files(url, shop, finished, tmp_path):
    assert_rows_in_another_order_give_the_same(url, shop, finished, tmp_path)


def test_a_run_that_is_killed_is_finished_by_running_it_again(url, shop, finished, tmp_path):
    assert_a_run_that_is_killed_is_finished_by_another(url, shop, finished, tmp_path)


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
