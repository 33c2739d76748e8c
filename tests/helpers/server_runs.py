"""What whole runs must show on other databases than SQLite, whichever they are."""

import os
import random
import signal
import subprocess
import sys
import time

from helpers.api_runs import ATTRIBUTE
from helpers.commands import ihc, ihc_here
from helpers.databases import copy_tables, rows_of, sql
from helpers.faults import in_turn, misbehaving
from helpers.serving import started
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import HISTORY, RESULTS
from ihc.pipeline.sample import write_sample
from ihc.schemas.tables import COLUMNS

PASSWORD, ENCODED = "s3cr@t/wörd+ 100%", "s3cr%40t%2Fw%C3%B6rd%2B%20100%25"
FORMS = (PASSWORD, ENCODED, "s3cr%40t", "s3cr@t")
# What a run writes of itself, and differs from run to run.
ITS_OWN = {"attribution_runs": (0, 1), "report_runs": (1, 2)}


def without(table, rows):
    own = ITS_OWN.get(table, ())
    return [tuple(value for place, value in enumerate(row) if place not in own) for row in rows]


def assert_every_table_is_the_same(done, finished):
    assert done.code == 0, done.err
    for table in (*RESULTS, *HISTORY):
        if table == "attribution_outcomes":
            query = "SELECT conv_id, outcome, reason FROM attribution_outcomes ORDER BY 1"
            found, expected = (sorted(sql(database, query)) for database in (done.database, finished.database))
        else:
            found, expected = (without(table, rows_of(each, table)) for each in (done.database, finished.database))
        assert found == expected, table
    assert len(rows_of(done.database, "attribution_customer_journey")) > 200


def assert_every_csv_and_chart_is_the_same(done, finished):
    files = [path for kind in ("*.csv", "charts/*.svg") for path in finished.output.glob(kind)]
    assert len(files) > 30
    other = [
        path.name
        for path in files
        if path.read_bytes() != (done.output / path.relative_to(finished.output)).read_bytes()
    ]
    assert other == []


def assert_no_form_of_the_password_is_anywhere(done):
    written = [path for path in done.output.rglob("*") if path.is_file()]
    assert {".html", ".json", ".ipynb", ".log", ".csv"} <= {path.suffix for path in written}
    for form in FORMS:
        assert form not in done.out + done.err
        assert [path for path in written if form.encode() in path.read_bytes()] == []
    for table in (*RESULTS, *HISTORY):
        assert not any(form in str(rows_of(done.database, table)) for form in FORMS)


def assert_the_commands_work(done, variables, *listed_are):
    order = sql(done.database, "SELECT min(conv_id) FROM attribution_customer_journey")[0][0]
    folder = done.output.parent
    explained = ihc_here("explain", order, "--output", "explained", cwd=folder, **variables)
    assert explained.returncode == 0, explained.stderr
    assert "stored" in explained.stdout
    listed = ihc_here("runs", cwd=folder, **variables)
    assert all(words in listed.stdout for words in ("local", *listed_are)), listed.stdout
    trained = ihc_here("train", "--output", "trained.json", cwd=folder, **variables)
    assert "Written" in trained.stdout, trained.stderr
    calibrated = ihc_here("calibrate", cwd=folder, **variables)
    assert "has no answers of the API" in calibrated.stderr
    difference = ihc_here("diff", "1", "1", cwd=folder, **variables)
    assert difference.returncode == 0, difference.stderr
    said = "".join(f"{each.stdout}{each.stderr}" for each in (explained, listed, trained, calibrated, difference))
    assert not any(form in said for form in FORMS)


def assert_a_second_run_stores_the_same_once_more(done, url, folder):
    """The history grows by no row, and nothing changed."""
    tables = [table for table in (*RESULTS, *HISTORY) if table not in ("attribution_runs", "report_runs")]
    tables.remove("attribution_outcomes")  # it names the run
    before = {table: rows_of(done.database, table) for table in tables}
    again = ihc("run", "--output", "again", cwd=folder, IHC_DATABASE=url)
    assert again.returncode == 0, again.stderr
    assert {table: rows_of(done.database, table) for table in tables} == before
    assert [len(rows_of(done.database, name)) for name in ("attribution_runs", "report_runs")] == [2, 2]
    difference = ihc_here("diff", "1", "2", cwd=folder, IHC_DATABASE=url)
    assert difference.returncode == 0, difference.stderr
    assert "Nothing changed since run 1" in difference.stdout
    for path in done.output.glob("*.csv"):
        assert path.name == "changes.csv" or path.read_bytes() == (folder / "again" / path.name).read_bytes()


def assert_a_sample_is_made_and_init_adds_and_empties(url, folder):
    made = ihc("sample", "--conversions", "20", cwd=folder, IHC_DATABASE=url)
    assert "a synthetic shop with 20 orders" in made.stdout, made.stderr
    assert len(rows_of(url, "conversions")) == 20
    sql(url, "DROP TABLE channel_reporting", "INSERT INTO attribution_outcomes VALUES ('a', 'r', 'failed', '')")
    done = ihc_here("init", "--clean-results", cwd=folder, IHC_DATABASE=url)
    assert "has all tables; the result tables are empty" in done.stdout, done.stderr
    assert rows_of(url, "channel_reporting") == rows_of(url, "attribution_outcomes") == []
    again = ihc_here("sample", cwd=folder, IHC_DATABASE=url)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert list(folder.iterdir()) == []


def assert_a_server_that_is_not_there_is_said_in_one_sentence(url, where, folder):
    if where == ".env":
        (folder / ".env").write_text(f"IHC_DATABASE={url}\n")
    done = ihc("run", cwd=folder, **({} if where == ".env" else {"IHC_DATABASE": url}))
    assert (done.returncode, "Connection refused" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    assert not any(form in done.stdout + done.stderr for form in FORMS)
    assert {path.name for path in folder.iterdir()} <= {".env"}


def assert_answers_of_the_api_are_kept_and_learned_from(database, folder):
    """A third of the requests fail, nothing is asked twice, and parameters come out of the answers."""
    write_sample(Database(database), 150, seed=5)
    with misbehaving(in_turn(0.3)) as (url, api):
        code = ATTRIBUTE.replace('"shop.db"', repr(database))
        for _ in range(2):
            done = started("-c", code, cwd=folder, IHC_API_URL=url, IHC_REQUESTS_PER_SECOND="")
            assert done.wait(100) == 0, done.stderr.read()
            done.stdout.close(), done.stderr.close()
        assert sum(count - 1 for count in api.answered.values()) == 0
    assert len(rows_of(database, "api_answers")) == len(rows_of(database, "attribution_customer_journey")) > 150
    calibrated = ihc_here("calibrate", "--output", "found.json", cwd=folder, IHC_DATABASE=database)
    assert calibrated.returncode == 0, calibrated.stderr
    assert (folder / "found.json").exists()


def assert_rows_in_another_order_give_the_same(url, shop, finished, folder):
    chance = random.Random(1)
    create_tables(Database(url))
    copy_tables(shop, url, COLUMNS, arrange=lambda rows: chance.sample(rows, len(rows)))
    done = ihc("run", "--output", "out", cwd=folder, IHC_DATABASE=url)
    assert done.returncode == 0, done.stderr
    for table in ("attribution_customer_journey", "attribution_phases", "history_orders", "history_credits"):
        assert rows_of(url, table) == rows_of(finished.database, table), table
    for path in finished.output.glob("*.csv"):
        assert (folder / "out" / path.name).read_bytes() == path.read_bytes(), path.name


def assert_a_run_that_is_killed_is_finished_by_another(url, shop, finished, folder):
    create_tables(Database(url))
    copy_tables(shop, url, COLUMNS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IHC_")}
    command = [sys.executable, "-m", "ihc", "run", "--output", str(folder / "out")]
    for notebook, seconds, how in [(2, 0, signal.SIGKILL), (3, 0.6, signal.SIGTERM), (4, 0.2, signal.SIGKILL)]:
        process = subprocess.Popen(
            command, cwd=folder, env=clean | {"IHC_DATABASE": url}, stderr=subprocess.PIPE, text=True
        )
        next(line for line in process.stderr if line.startswith(f"notebook {notebook} "))
        time.sleep(seconds)
        process.send_signal(how)
        process.communicate(timeout=60)
        assert process.returncode != 0
        unlike_one = (
            "SELECT sum(ihc) FROM attribution_customer_journey GROUP BY conv_id HAVING abs(sum(ihc) - 1) > 1e-9"
        )
        assert sql(url, unlike_one) == []
    done = subprocess.run(command, cwd=folder, env=clean | {"IHC_DATABASE": url}, timeout=240, check=False)
    assert done.returncode == 0
    for table in ("attribution_customer_journey", "channel_reporting"):
        assert rows_of(url, table) == rows_of(finished.database, table)
