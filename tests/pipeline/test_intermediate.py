"""What the notebooks of a run share, and that it equals what each of them would read."""

import shutil
import sqlite3
from contextlib import closing, nullcontext
from dataclasses import replace

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import ihc
from ihc.database.frames import Frames
from ihc.exhibits.data import with_codes
from ihc.pipeline import intermediate, runner
from ihc.settings.run import load_settings

IDS = ("session_id", "conv_id", "user_id", "refund_of")


@pytest.fixture
def in_a_run(own_shop, tmp_path, monkeypatch, bare_environment):
    """The settings of a notebook of a run that has shared its tables."""
    monkeypatch.setenv("IHC_RUN_FRAMES", str(tmp_path / "frames"))
    monkeypatch.setenv("IHC_RUN_ID", "20260101T000000Z-0000")
    settings = load_settings(base=tmp_path, database="shop.db", output="out")
    intermediate.write_inputs(settings, ihc.read_tables(own_shop))
    return settings


def execute(database, statement):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def plain(frame):
    return frame.astype({name: "str" for name in IDS if name in frame})


def assert_same_source(one, other):
    pairs = [*zip(one.tables, other.tables, strict=True), *zip(one.results, other.results, strict=True)]
    for each, its in [*pairs, (one.phases, other.phases)]:
        assert_frame_equal(plain(each), plain(its))


def test_the_tables_of_the_run_are_read_even_if_the_database_changes(in_a_run, own_shop):
    before = ihc.read_tables(own_shop)
    execute(own_shop, "DELETE FROM conversions")
    shared = intermediate.shared_inputs(in_a_run)
    assert_frame_equal(shared.conversions, before.conversions)
    assert_frame_equal(shared.sessions, before.sessions)
    assert intermediate.have_changed(in_a_run.database, shared)


@pytest.mark.parametrize("is_coded_before", [True, False])
def test_shared_results_equal_those_in_the_database(is_coded_before, in_a_run, own_shop):
    tables = intermediate.shared_inputs(in_a_run)
    if is_coded_before:
        intermediate.code_inputs(in_a_run, tables)
    attribution = ihc.from_notebook({"database": str(own_shop), "output": str(in_a_run.output)}).attribute()
    attribution.store()
    shared = intermediate.stored_source(in_a_run, tables)
    assert shared.frames
    assert len(shared.results.credits)
    read = with_codes(intermediate._read_source(in_a_run.database, tables))
    assert_same_source(shared, read)
    assert shared.results.credits["session_id"].dtype is shared.tables.sessions["session_id"].dtype


@pytest.mark.parametrize("is_late", [False, True])  # the tables with categories are there after the results
def test_credits_of_a_session_that_is_gone_keep_their_id(is_late, in_a_run, own_shop):
    ihc.open(own_shop, output=str(in_a_run.output)).attribute().store()
    gone = intermediate.stored_source(in_a_run, intermediate.shared_inputs(in_a_run)).results.credits["session_id"][0]
    execute(own_shop, f"DELETE FROM session_sources WHERE session_id = '{gone}'")
    tables = ihc.read_tables(own_shop)
    intermediate.write_inputs(in_a_run, tables)
    if is_late:
        intermediate.share_results(in_a_run, tables)
    intermediate.code_inputs(in_a_run, tables)
    source = intermediate.stored_source(in_a_run, tables) if is_late else intermediate.share_results(in_a_run, tables)
    assert gone in source.results.credits["session_id"].astype("str").tolist()
    assert gone not in source.tables.sessions["session_id"].astype("str").tolist()
    assert source.results.credits["session_id"].dtype == source.tables.sessions["session_id"].dtype


def test_what_was_calculated_from_earlier_results_is_deleted(in_a_run, own_shop):
    shop = ihc.open(own_shop, output=str(in_a_run.output))
    shop.attribute().store()
    before = shop.report().channels.frame
    execute(own_shop, "UPDATE attribution_customer_journey SET ihc = 1 - ihc WHERE conv_id IN "
            "(SELECT conv_id FROM attribution_customer_journey GROUP BY conv_id HAVING count(*) = 2)")  # fmt: skip
    intermediate.share_results(in_a_run, shop.tables)
    assert not shop.report().channels.frame.equals(before)


def test_tables_that_arrow_cannot_hold_are_read_from_the_database(in_a_run, own_shop):
    tables = ihc.read_tables(own_shop)
    mixed = pd.Series([1, "a"] * len(tables.sessions), dtype="object").iloc[: len(tables.sessions)]
    intermediate.write_inputs(in_a_run, tables._replace(sessions=tables.sessions.assign(mixed=mixed)))
    assert Frames(in_a_run.frames).read("input-conversions") is None
    assert not intermediate.have_changed(in_a_run.database, intermediate.shared_inputs(in_a_run))


def test_folders_of_killed_runs_are_deleted_and_others_stay(tmp_path, own_shop, bare_environment):
    first = load_settings(base=tmp_path, database="shop.db", output="out")
    with (
        intermediate.folder_of(first, is_kept=True) as kept,
        intermediate.folder_of(second := replace(first, run_id="2")),
    ):
        (kept / "f.arrow").write_text("")
        killed = kept.parents[1] / "killed" / intermediate.FOLDER
        killed.mkdir(parents=True)
        (killed / intermediate.RUNNING).write_text("")
        with intermediate.folder_of(replace(first, run_id="3")):
            assert sorted(folder.parent.name for folder in kept.parents[1].glob("*/intermediate")) == sorted(
                [first.run_id, second.run_id, "3"]
            )
    with intermediate.folder_of(second):
        assert [path.name for path in kept.iterdir()] == ["f.arrow"]


def test_another_database_in_a_notebook_of_a_run_is_read(in_a_run, own_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_RUN_LOCK", in_a_run.database.lock_name)
    other = tmp_path / "other.db"
    shutil.copy(own_shop, other)
    execute(other, "DELETE FROM conversions")
    execute(own_shop, "DELETE FROM conversions")
    assert ihc.open(other).tables.conversions.empty
    assert len(ihc.open(own_shop).tables.conversions)


def test_a_run_deletes_what_its_notebooks_shared(finished):
    assert not list(finished.output.glob(f"runs/*/{intermediate.FOLDER}"))


def test_a_run_shares_its_tables_and_says_if_they_changed_meanwhile(own_shop, tmp_path, bare_environment):
    settings, said, steps = load_settings(base=tmp_path, database="shop.db", output="out"), [], []

    def step(name):
        if name == "03_attribute":
            execute(own_shop, "INSERT INTO conversions SELECT 'late', user_id, conv_date, conv_time, 5.0 FROM "
                    "conversions LIMIT 1")  # fmt: skip
        steps.append(name)
        return nullcontext()

    result = runner.run(settings, said.append, step, keep_intermediate=True)
    assert runner.CHANGED in said
    assert "late" not in result.outcomes["conv_id"].tolist()
    assert set(steps) == {*runner.NOTEBOOKS, runner.REPORT}
    folder = settings.output / "runs" / settings.run_id / intermediate.FOLDER
    names = sorted(path.stem for path in folder.glob("*-*.arrow"))
    assert {"input-sessions", "prepared-sessions", "stored-credits"} <= set(names)
    calculated = [name.split("-")[1] for name in names if name.startswith("report-")]
    assert len(calculated) == len(set(calculated))  # all notebooks have the same settings
