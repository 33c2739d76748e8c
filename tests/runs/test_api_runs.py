"""Whole runs against the API over real sockets: killed, parallel, refused, and compared with the local engine."""

import json
import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pandas as pd
import portalocker
import pytest
from helpers.api_runs import ATTRIBUTE, ask, assert_right, make_journeys
from helpers.commands import ihc_here, run_ihc
from helpers.faults import in_turn, misbehaving
from helpers.serving import free_port, is_up, started, until

from ihc import attribute, build_journeys, load_parameters, read_tables
from ihc.api.batching import pack_requests
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.models.redistribution import load_redistribution
from ihc.pipeline.sample import write_sample
from ihc.report.files import read_csv
from ihc.schemas.tables import PHASES

KILLS = int(os.environ.get("KILL_TEST_KILLS", "20"))
RESULTS = {
    "attribution_customer_journey": "conv_id, session_id, ihc",
    "attribution_phases": "conv_id, session_id, initializer, holder, closer",
    "attribution_outcomes": "conv_id, outcome, reason",
    "channel_reporting": "channel_name, date, cost, ihc, ihc_revenue",
}


def results(database):
    """The result tables, sorted."""
    with closing(sqlite3.connect(database)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}")) for table, columns in RESULTS.items()
        }


def answered_twice(api):
    return sum(count - 1 for count in api.answered.values())


@pytest.mark.slow
def test_ten_thousand_conversions_with_three_in_ten_requests_failing_are_all_stored_and_asked_once(tmp_path):
    journeys = make_journeys(10_400)
    assert journeys["conv_id"].nunique() >= 10_000
    database = Database(tmp_path / "shop.db")
    create_tables(database)
    with misbehaving(in_turn(0.3)) as (url, api):
        stopped, known = ask(database, url, journeys)
    least = len(pack_requests(journeys))
    print(f"{journeys['conv_id'].nunique():,} conversions: {api.requests} requests, {least} without faults")
    assert stopped is None
    assert_right(known.answers, journeys)
    assert answered_twice(api) == 0
    assert api.requests <= 1.6 * least


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_tables_of_an_undisturbed_one(tmp_path):
    chance, kills, workers, batch = random.Random(1), KILLS, 4, 100
    write_sample(Database(tmp_path / "undisturbed" / "shop.db"), 3000)
    (tmp_path / "killed").mkdir()
    shutil.copy(tmp_path / "undisturbed" / "shop.db", tmp_path / "killed" / "shop.db")
    with misbehaving(wait=0.4) as (url, api):
        undisturbed = started("-c", ATTRIBUTE, cwd=tmp_path / "undisturbed", IHC_API_URL=url)
        assert undisturbed.wait(120) == 0
        api.asked.clear(), api.answered.clear()
        for _ in range(kills):
            run = started("-c", ATTRIBUTE, cwd=tmp_path / "killed", IHC_API_URL=url)
            assert run.stdout.readline() == "started\n"
            time.sleep(chance.uniform(0, 1.5))
            run.send_signal(signal.SIGKILL)
            run.wait()
            run.stdout.close(), run.stderr.close()
        time.sleep(1)
        last = started("-c", ATTRIBUTE, cwd=tmp_path / "killed", IHC_API_URL=url)
        assert last.wait(120) == 0
        twice = answered_twice(api)
        print(f"{len(api.answered):,} conversions answered, {twice:,} of them twice over {kills} kills")
        assert results(tmp_path / "killed" / "shop.db") == results(tmp_path / "undisturbed" / "shop.db")
        assert twice <= kills * workers * batch
        # Nearly everything must be answered before the last run, otherwise the kills came too early to prove anything.
        with closing(sqlite3.connect(tmp_path / "killed" / "shop.db")) as connection:
            runs = connection.execute("SELECT count(DISTINCT run_id) FROM api_requests").fetchone()[0]
        assert runs > KILLS // 4


@pytest.mark.slow
def test_killing_the_command_ends_its_kernels_and_the_next_run_requests_only_what_was_in_flight(tmp_path):
    write_sample(Database(tmp_path / "shop.db"), 1500)
    with misbehaving(wait=0.5) as (url, api):
        command = ("-m", "ihc", "run", "--engine", "api", "--database", "shop.db", "--output", "out")
        run = started(*command, cwd=tmp_path, IHC_API_URL=url)
        until(lambda: api.requests >= 9, 100)
        run.send_signal(signal.SIGKILL)
        run.wait()
        with (tmp_path / "shop.db.lock").open("a") as file:
            until(lambda: is_free(file), 20)
        before = api.requests
        time.sleep(2)
        assert api.requests == before
        done = run_ihc(tmp_path, "shop.db", "--engine", "api", IHC_API_URL=url)
        assert done.code == 0, done.err
        assert answered_twice(api) <= 4 * 100
        assert "already answered: 0" not in done.out
        assert "already answered: " in done.out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_run_stores_requests_in_flight(tmp_path):
    write_sample(Database(tmp_path / "shop.db"), 1500)
    with misbehaving(wait=0.5) as (url, api):
        run = started("-c", ATTRIBUTE, cwd=tmp_path, IHC_API_URL=url)
        until(lambda: api.requests >= 5)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
        assert run.returncode != 0
        assert "KeyboardInterrupt" in err
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            stored = {row[0] for row in connection.execute("SELECT DISTINCT conv_id FROM api_answers")}
            ends = {row[0] for row in connection.execute("SELECT DISTINCT outcome FROM api_ledger")}
        assert stored == set(api.answered) == set(api.asked)
        # Asked or waiting: recorded, and interrupted just before being sent.
        assert ends <= {"answered", "asked", "waiting"}


def is_free(file):
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.LockException:
        return False
    portalocker.unlock(file)
    return True


@pytest.mark.slow
def test_two_runs_at_once_ask_each_conversion_once_and_leave_the_journal_mode(tmp_path):
    write_sample(Database(tmp_path / "shop.db"), 300)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("PRAGMA journal_mode = wal")
    with misbehaving(wait=0.3) as (url, api):
        command = ("-m", "ihc", "run", "--engine", "api", "--database", "shop.db", "--output")
        runs = [started(*command, name, cwd=tmp_path, IHC_API_URL=url) for name in ("one", "two")]
        ends = [run.communicate(timeout=200) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends
    assert set(api.asked.values()) == {1}
    assert sum("waiting for it to finish" in err for _, err in ends) == 1
    assert sum("already answered: 0" in out for out, _ in ends) == 1
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.slow
def test_the_commands_of_the_readme_give_the_credits_of_the_local_engine(own_shop, tmp_path):
    """`ihc serve` without keys on this machine, and `ihc run --engine api` with only its URL."""
    port = free_port()
    server = started("-m", "ihc", "serve", "--no-auth", "--port", str(port), cwd=tmp_path)
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}"))
        url = f"http://127.0.0.1:{port}/v1/compute_ihc"
        by_api = run_ihc(tmp_path, own_shop, "--engine", "api", IHC_API_URL=url)
    finally:
        server.terminate()
        server.wait(10)
    assert by_api.code == 0, by_api.err
    stored = pd.DataFrame(results(own_shop)["attribution_customer_journey"], columns=["conv_id", "session_id", "ihc"])
    tables = read_tables(own_shop)
    local = attribute(build_journeys(tables.sessions, tables.conversions), load_parameters())
    both = stored.merge(local, on=["conv_id", "session_id"], suffixes=("", "_local"))
    assert len(both) == len(stored) == len(local)
    assert (both["ihc"] - both["ihc_local"]).abs().max() <= 0.0005
    assert f"IHC Attribution API, conversion type default of 127.0.0.1:{port}" in by_api.out


@pytest.mark.slow
def test_a_redistribution_gives_the_credits_of_the_local_engine_and_each_output_names_it(own_shop, tmp_path):
    phase = {"direction": "any_session", "receive_threshold": 0.05, "redistribution_channel_labels": ["Direct"]}
    file = tmp_path / "redistribution.json"
    file.write_text(json.dumps(dict.fromkeys(PHASES, phase)))
    fingerprint = load_redistribution(file).fingerprint
    columns = ["conv_id", "session_id", "ihc"]
    with misbehaving() as (url, _):
        done = run_ihc(tmp_path, own_shop, "--engine", "api", "--redistribution", file, IHC_API_URL=url)
    assert done.code == 0, done.err
    named = [done.out, *((done.output / name).read_text("utf-8") for name in ("report.html", "run.json"))]
    assert [f"redistribution {fingerprint}" in text for text in named] == [True] * 3
    stored = pd.DataFrame(results(own_shop)["attribution_customer_journey"], columns=columns)
    tables = read_tables(own_shop)
    journeys = build_journeys(tables.sessions, tables.conversions)
    local = attribute(journeys, load_parameters(), load_redistribution(file))
    both = stored.merge(local[columns], on=columns[:2], suffixes=("", "_local"))
    assert len(both) == len(stored) == len(local)
    assert (both["ihc"] - both["ihc_local"]).abs().max() <= 0.0005
    without = attribute(journeys, load_parameters())
    assert (without["ihc"] - local["ihc"]).abs().max() > 0.1


def run_api(folder, database, url, *arguments, **more):
    return run_ihc(folder, database, "--engine", "api", *arguments, IHC_API_URL=url, IHC_API_KEY="k3y-of-ann", **more)


@pytest.mark.slow
def test_a_ceiling_of_requests_leaves_orders_waiting_and_the_next_run_finishes(own_shop, tmp_path):
    with misbehaving() as (url, api):
        first = run_api(tmp_path, own_shop, url, "--max-requests", 1)
        assert first.code == 3
        assert api.requests == 1
        waiting = read_csv(first.output / "orders_without_credit.csv").query("outcome == 'waiting'")
        assert len(waiting) > 20
        assert f"{len(waiting)} orders wait for the next run: The run reached the limit of --max-requests" in first.out
        lines = read_csv(first.output / "reconciliation.csv").set_index("line")
        assert lines.loc["less: waiting, not attributed yet", "count"] == -len(waiting)
        assert lines.loc["less: waiting, not attributed yet", "amount"] == -round(waiting["revenue"].sum(), 2)
        assert f"waiting: {len(waiting)}, failed: 0" in first.out
        assert "wait for the next run" in (first.output / "report.html").read_text("utf-8")
        second = run_api(tmp_path, own_shop, url)
    assert second.code == 0
    assert f"Orders sent: {len(waiting)}, answered: {len(waiting)}, already answered: " in second.out
    assert set(api.answered.values()) == {1}


@pytest.mark.slow
def test_an_order_that_the_api_answers_wrongly_fails_alone_and_the_key_is_nowhere(own_shop, tmp_path):
    with misbehaving(lambda number, conversions: "sums to two" if number == 0 else "") as (url, _):
        done = run_api(tmp_path, own_shop, url)
    assert done.code == 1
    failed = read_csv(done.output / "orders_without_credit.csv").query("outcome == 'failed'")
    assert len(failed) == 1
    assert "does not match" in failed["reason"].iloc[0]
    assert "1 order failed (full list: orders_without_credit.csv)" in done.out
    assert read_csv(done.output / "reconciliation.csv").set_index("line").loc["less: failed", "count"] == -1
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [1 for content in files if b"k3y-of-ann" in content]
    assert "k3y-of-ann" not in done.out + done.err


@pytest.mark.slow
def test_a_rejected_key_is_reported_in_a_sentence(own_shop, tmp_path):
    with misbehaving(lambda number, conversions: "403") as (url, api):
        done = run_api(tmp_path, own_shop, url)
    assert done.code == 1
    assert "The API rejected the key (403: Forbidden): check IHC_API_KEY" in done.err
    assert "Traceback" not in done.err
    assert api.requests <= 4
    assert results(own_shop)["attribution_customer_journey"] == []


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (("--engine", "api"), {}, "The API needs a key: set IHC_API_KEY"),
        (("--engine", "api"), {"IHC_API_KEY": "k3y-of-ann"}, "The API needs a conversion type"),
        (
            ("--engine", "api", "--conv-type-id", "t"),
            {"IHC_API_KEY": "k3y-of-ann", "IHC_API_URL": "http://api.example.com/v1"},
            "must start with https://",
        ),
        (("--engine", "api", "--conv-type-id", "t"), {"IHC_API_KEY": "k3y-of-ann"}, "The sample shop is synthetic"),
        (("--engine", "local", "--redistribution", "r.json"), {}, "r.json"),
        (("--engine", "api", "--redistribution", "r.json"), {"IHC_API_URL": "http://127.0.0.1:9/"}, "r.json"),
    ],
)
def test_wrong_settings_of_the_api_are_refused_before_anything_is_sent(arguments, variables, says, own_shop, tmp_path):
    before = own_shop.read_bytes()
    done = ihc_here("run", "--database", own_shop, *arguments, cwd=tmp_path, **variables)
    assert done.returncode == 1
    assert says in done.stderr
    assert "k3y-of-ann" not in done.stderr
    assert own_shop.read_bytes() == before
