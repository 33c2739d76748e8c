"""Errors that a run raises before it writes anything or starts a kernel."""

import json
import os
import shutil
import sqlite3
from contextlib import closing, nullcontext

import pytest
from helpers.commands import ROOT

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.errors import IhcError, InputError
from ihc.pipeline.runner import check, notebook_parameters, run
from ihc.settings.run import kernel_environment, load_settings

DEFAULT = ROOT / "ihc" / "resources" / "default_parameters.json"

RUBBISH = {
    "missing table": (["DROP TABLE session_costs"], "has no table 'session_costs'"),
    "missing column": (["ALTER TABLE conversions DROP COLUMN revenue"], "Table conversions lacks the column 'revenue'"),
    "impossible date": (
        ["UPDATE session_sources SET event_date = '2025-02-30' WHERE rowid <= 7"],
        r"Table session_sources, column event_date: .* in 7 rows \(session_id ('\w+', ){4}'\w+' and 2 more\)",
    ),
    "duplicate key": (
        [
            "CREATE TABLE t AS SELECT * FROM conversions UNION ALL SELECT * FROM conversions LIMIT 201",
            "DROP TABLE conversions",
            "ALTER TABLE t RENAME TO conversions",
        ],
        "Table conversions, column conv_id: '.*' is a duplicate key in 2 rows",
    ),
}


def settings_for(folder, **options):
    return load_settings(base=folder, **{"database": "shop.db", "output": "out"} | options)


def everything_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", RUBBISH)
def test_invalid_tables_are_refused_with_table_column_count_and_ids(name, own_shop, tmp_path):
    statements, says = RUBBISH[name]
    with closing(sqlite3.connect(own_shop)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    before = everything_in(tmp_path)
    with pytest.raises(IhcError, match=says):
        check(settings_for(tmp_path))
    assert everything_in(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"{}", b'{"name": "x"}'])
def test_a_bad_parameters_file_is_refused_by_name(content, own_shop, tmp_path):
    (tmp_path / "mine.json").write_bytes(content)
    with pytest.raises(IhcError, match=r"mine\.json"):
        check(settings_for(tmp_path, parameters="mine.json"))
    assert not (tmp_path / "out").exists()


def test_own_parameters_are_used(own_shop, tmp_path):
    entries = json.loads(DEFAULT.read_text())
    (tmp_path / "mine.json").write_text(json.dumps(entries | {"name": "mine"}))
    settings = settings_for(tmp_path, parameters="mine.json")
    check(settings)
    assert settings.load_parameter_sets().default.name == "mine"


def test_an_output_that_is_a_file_is_refused(own_shop, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(IhcError, match=r"output folder .* cannot be written"):
        check(settings_for(tmp_path))
    assert (tmp_path / "out").read_text() == "mine"


def test_a_given_database_is_never_replaced_by_a_sample(tmp_path):
    with pytest.raises(IhcError, match="does not exist"):
        check(settings_for(tmp_path, database="nothing.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("report_only", [True, False])
def test_a_column_to_report_by_that_is_not_there_is_refused_before_any_notebook(own_shop, tmp_path, report_only):
    begun = []
    with pytest.raises(InputError, match=r"--by 'nosuch' is not a column of session_sources; .*'campaign'"):
        run(
            settings_for(tmp_path, by="nosuch"),
            step=lambda name: nullcontext(begun.append(name)),
            report_only=report_only,
        )
    assert begun == []


def test_a_shop_that_needs_more_memory_than_is_free_is_refused_before_anything_is_written(
    own_shop, tmp_path, monkeypatch
):
    settings = load_settings(base=tmp_path, database=own_shop, output="out")
    monkeypatch.setattr("ihc.pipeline.runner.free_memory", lambda: 100_000)
    with pytest.raises(IhcError, match=r"a run would need 0\.9 GB of memory, and 0\.0 GB are free\. User '"):
        check(settings)
    assert not (tmp_path / "out").exists()


def test_empty_tables_are_no_error(tmp_path):
    create_tables(Database(tmp_path / "shop.db"))
    check(settings_for(tmp_path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_database_without_write_permission_is_refused(own_shop, tmp_path):
    own_shop.chmod(0o444)
    with pytest.raises(IhcError, match="cannot be written"):
        check(settings_for(tmp_path))


def test_a_database_url_never_becomes_a_parameter_of_a_notebook(tmp_path):
    url = "postgresql://ann:s3cret@host/shop"
    parameters = notebook_parameters(settings_for(tmp_path, database=url))
    assert "database" not in parameters
    assert kernel_environment(settings_for(tmp_path, database=url))["IHC_DATABASE"] == url


def test_the_sample_is_only_made_in_the_place_of_the_default_database(tmp_path, monkeypatch):
    from ihc.pipeline.sample import prepare

    monkeypatch.delenv("IHC_DATABASE", raising=False)
    said = []
    prepare(load_settings(base=tmp_path), said.append)
    assert said == [f"{tmp_path / 'data' / 'ihc.db'} did not exist and was created with a sample shop."]
    prepare(load_settings(base=tmp_path), said.append)
    assert len(said) == 1
    shutil.rmtree(tmp_path / "data")
    prepare(load_settings(base=tmp_path, database="data/shop.db"), said.append)
    assert not (tmp_path / "data").exists()
