"""Whole runs on MariaDB, as on any database that SQLAlchemy knows: the results of SQLite, and no password anywhere."""

import os
import random
import signal
import subprocess
import sys
import time
from html import unescape

import pytest
import sqlalchemy as sa
from conftest import Finished, ihc
from databases import copy_tables, new_mariadb_database, rows_of, sql
from faults import in_turn, misbehaving
from serving import started
from test_api_runs import ATTRIBUTE
from test_notebooks import papermill
from test_postgres_runs import ENCODED, FORMS, PASSWORD, without

from ihc.database import create_tables
from ihc.result_tables import HISTORY, LEDGER, RESULTS
from ihc.sample import write_sample
from ihc.schemas import COLUMNS

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
    done, _ = on_server
    assert done.code == 0, done.err
    for table in (*RESULTS, *HISTORY):
        if table == "attribution_outcomes":
            query = "SELECT conv_id, outcome, reason FROM attribution_outcomes ORDER BY 1"
            found, expected = (sorted(sql(database, query)) for database in (done.database, finished.database))
        else:
            found, expected = (without(table, rows_of(each, table)) for each in (done.database, finished.database))
        assert found == expected, table
    assert len(rows_of(done.database, "attribution_customer_journey")) > 200


def test_every_csv_and_chart_is_the_same_as_on_sqlite_byte_for_byte(on_server, finished):
    done, _ = on_server
    files = [path for kind in ("*.csv", "charts/*.svg") for path in finished.output.glob(kind)]
    assert len(files) > 30
    other = [
        path.name
        for path in files
        if path.read_bytes() != (done.output / path.relative_to(finished.output)).read_bytes()
    ]
    assert other == []


def test_no_form_of_the_password_is_in_anything_that_a_run_prints_or_writes(on_server):
    done, _ = on_server
    written = [path for path in done.output.rglob("*") if path.is_file()]
    assert {".html", ".json", ".ipynb", ".log", ".csv"} <= {path.suffix for path in written}
    for form in FORMS:
        assert form not in done.out + done.err
        assert [path for path in written if form.encode() in path.read_bytes()] == []
    for table in (*RESULTS, *HISTORY):
        assert not any(form in str(rows_of(done.database, table)) for form in FORMS)


def test_the_report_names_the_database_but_neither_server_nor_user(on_server):
    done, limited = on_server
    page = unescape((done.output / "report.html").read_text("utf-8"))
    assert f"ihc run --database mysql+pymysql:///{sa.make_url(limited).database}" in page
    assert not any(word in page for word in (USER, "unix_socket", "localhost"))


def test_the_commands_work_on_the_server(on_server):
    done, limited = on_server
    order = sql(done.database, "SELECT min(conv_id) FROM attribution_customer_journey")[0][0]
    folder, variables = done.output.parent, {"IHC_DATABASE": limited}
    explained = ihc("explain", order, "--output", "explained", cwd=folder, **variables)
    assert explained.returncode == 0, explained.stderr
    assert "stored" in explained.stdout
    listed = ihc("runs", cwd=folder, **variables)
    assert "local" in listed.stdout
    trained = ihc("train", "--output", "trained.json", cwd=folder, **variables)
    assert "Written" in trained.stdout, trained.stderr
    calibrated = ihc("calibrate", cwd=folder, **variables)
    assert "has no answers of the API" in calibrated.stderr
    difference = ihc("diff", "1", "1", cwd=folder, **variables)
    assert difference.returncode == 0, difference.stderr
    said = "".join(f"{each.stdout}{each.stderr}" for each in (explained, listed, trained, calibrated, difference))
    assert not any(form in said for form in FORMS)


@pytest.mark.slow
def test_a_second_run_stores_the_same_once_more_and_the_history_grows_by_no_row(on_server, tmp_path):
    done, limited = on_server
    tables = [table for table in (*RESULTS, *HISTORY) if table not in ("attribution_runs", "report_runs")]
    tables.remove("attribution_outcomes")  # it names the run
    before = {table: rows_of(done.database, table) for table in tables}
    again = ihc("run", "--output", "again", cwd=tmp_path, IHC_DATABASE=limited)
    assert again.returncode == 0, again.stderr
    assert {table: rows_of(done.database, table) for table in tables} == before
    assert [len(rows_of(done.database, name)) for name in ("attribution_runs", "report_runs")] == [2, 2]
    difference = ihc("diff", "1", "2", cwd=tmp_path, IHC_DATABASE=limited)
    assert difference.returncode == 0, difference.stderr
    assert "Nothing changed since run 1" in difference.stdout
    for path in done.output.glob("*.csv"):
        assert path.name == "changes.csv" or path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_sample_is_made_in_an_empty_database_and_init_adds_and_empties(mariadb_url, tmp_path):
    variables = {"IHC_DATABASE": mariadb_url}
    made = ihc("sample", "--conversions", "20", cwd=tmp_path, **variables)
    assert "a synthetic shop with 20 orders" in made.stdout, made.stderr
    assert len(rows_of(mariadb_url, "conversions")) == 20
    sql(mariadb_url, "DROP TABLE channel_reporting", "INSERT INTO attribution_outcomes VALUES ('a', 'r', 'failed', '')")
    done = ihc("init", "--clean-results", cwd=tmp_path, **variables)
    assert "has all tables; the result tables are empty" in done.stdout, done.stderr
    assert rows_of(mariadb_url, "channel_reporting") == rows_of(mariadb_url, "attribution_outcomes") == []
    again = ihc("sample", cwd=tmp_path, **variables)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_server_that_is_not_there_ends_a_run_in_one_sentence(where, tmp_path):
    url = f"mysql+pymysql://ann:{ENCODED}@127.0.0.1:1/shop"
    if where == ".env":
        (tmp_path / ".env").write_text(f"IHC_DATABASE={url}\n")
    done = ihc("run", cwd=tmp_path, **({} if where == ".env" else {"IHC_DATABASE": url}))
    assert (done.returncode, "Connection refused" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    assert not any(form in done.stdout + done.stderr for form in FORMS)
    assert {path.name for path in tmp_path.iterdir()} <= {".env"}


def test_a_schema_is_refused_where_the_database_is_none_of_postgresql(tmp_path):
    done = ihc("init", "--database", "mysql+pymysql://ann@127.0.0.1:1/shop", "--schema", "x", cwd=tmp_path)
    assert (done.returncode, "is none of PostgreSQL: leave it out" in done.stderr) == (1, True)


@pytest.mark.slow
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


@pytest.mark.slow
def test_answers_of_the_api_are_kept_on_the_server_and_learned_from(mariadb_url, tmp_path):
    """A third of the requests fail, nothing is asked twice, and parameters come out of the answers."""
    write_sample(mariadb_url, 150, seed=5)
    with misbehaving(in_turn(0.3)) as (url, api):
        code = ATTRIBUTE.replace('"shop.db"', repr(mariadb_url))
        for _ in range(2):
            done = started("-c", code, cwd=tmp_path, IHC_API_URL=url, IHC_REQUESTS_PER_SECOND="")
            assert done.wait(100) == 0, done.stderr.read()
            done.stdout.close(), done.stderr.close()
        assert sum(count - 1 for count in api.answered.values()) == 0
    assert len(rows_of(mariadb_url, "api_answers")) == len(rows_of(mariadb_url, "attribution_customer_journey")) > 150
    calibrated = ihc("calibrate", "--output", "found.json", cwd=tmp_path, IHC_DATABASE=mariadb_url)
    assert calibrated.returncode == 0, calibrated.stderr
    assert (tmp_path / "found.json").exists()


@pytest.mark.slow
def test_rows_in_another_order_give_the_same_tables_and_files(mariadb_url, shop, finished, tmp_path):
    """A table of a server has no order, and no sum depends on one."""
    chance = random.Random(1)
    create_tables(mariadb_url)
    copy_tables(shop, mariadb_url, COLUMNS, arrange=lambda rows: chance.sample(rows, len(rows)))
    done = ihc("run", "--output", "out", cwd=tmp_path, IHC_DATABASE=mariadb_url)
    assert done.returncode == 0, done.stderr
    for table in ("attribution_customer_journey", "attribution_phases", "history_orders", "history_credits"):
        assert rows_of(mariadb_url, table) == rows_of(finished.database, table), table
    for path in finished.output.glob("*.csv"):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_a_run_that_is_killed_is_finished_by_running_it_again(mariadb_url, shop, finished, tmp_path):
    create_tables(mariadb_url)
    copy_tables(shop, mariadb_url, COLUMNS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IHC_")}
    command = [sys.executable, "-m", "ihc.cli", "run", "--output", str(tmp_path / "out")]
    for seconds, how in [(4, signal.SIGKILL), (7, signal.SIGTERM), (9, signal.SIGKILL)]:
        process = subprocess.Popen(command, cwd=tmp_path, env=clean | {"IHC_DATABASE": mariadb_url})
        time.sleep(seconds)
        process.send_signal(how)
        process.wait(timeout=60)
        unlike_one = (
            "SELECT sum(ihc) FROM attribution_customer_journey GROUP BY conv_id HAVING abs(sum(ihc) - 1) > 1e-9"
        )
        assert sql(mariadb_url, unlike_one) == []
    done = subprocess.run(command, cwd=tmp_path, env=clean | {"IHC_DATABASE": mariadb_url}, timeout=240, check=False)
    assert done.returncode == 0
    for table in ("attribution_customer_journey", "channel_reporting"):
        assert rows_of(mariadb_url, table) == rows_of(finished.database, table)


@pytest.mark.slow
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
