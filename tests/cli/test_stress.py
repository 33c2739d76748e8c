"""`ihc stress` end to end."""

import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from helpers.commands import ihc_here

import ihc
from ihc.report.files import read_csv


def test_stress_prints_table_and_sentences_and_writes_table_and_chart_and_nothing_else(shop, tmp_path):
    database = shutil.copy(shop, tmp_path / "shop.db")
    before = database.read_bytes()
    options = ("--worlds", "5", "--seed", "3", "--break-even-roas", "2", "--output", "out")
    done = ihc_here("stress", "--database", "shop.db", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    exhibit = ihc.open(database).report(break_even_roas=2).stress(worlds=5, seed=3)
    for value in exhibit.frame["ROAS_low"]:
        assert f"{value:.2f}" in done.stdout
    for sentence in exhibit.text.splitlines():
        assert sentence in done.stdout
    pd.testing.assert_frame_equal(read_csv(tmp_path / "out" / "stress.csv"), exhibit.frame, check_dtype=False)
    assert "Paid Social" in (tmp_path / "out" / "charts" / "stress.svg").read_text("utf-8")
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == ["charts/stress.png", "charts/stress.svg", "stress.csv"]
    assert database.read_bytes() == before


def test_stress_limits_orders_and_sessions_to_the_dates(shop, tmp_path):
    database = shutil.copy(shop, tmp_path / "shop.db")
    dates = ("2025-03-01", "2025-03-14")
    given = ("--start-date", dates[0], "--end-date", dates[1], "--worlds", "2", "--output", "out")
    done = ihc_here("stress", "--database", "shop.db", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    frame = ihc.open(database).report(*dates).break_even.frame.set_index("channel_name")
    found = read_csv(tmp_path / "out" / "stress.csv").set_index("channel_name")
    assert found["ROAS"].tolist() == pytest.approx(frame.loc[found.index, "ROAS"].tolist())


def test_stress_checks_the_folder_first(shop, tmp_path):
    shutil.copy(shop, tmp_path / "shop.db")
    (tmp_path / "out").write_text("a file")
    done = ihc_here("stress", "--database", "shop.db", "--output", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_stress_of_a_shop_without_orders_has_a_roas_of_0(shop, tmp_path):
    database = shutil.copy(shop, tmp_path / "shop.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM conversions")
    done = ihc_here("stress", "--database", "shop.db", "--worlds", "2", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (read_csv(tmp_path / "out" / "stress.csv")["ROAS"] == 0).all()
