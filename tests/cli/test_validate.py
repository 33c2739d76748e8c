"""`ihc validate` and `ihc sample --truth` end to end."""

import pandas as pd
import pytest
from helpers.commands import ihc_here

from ihc import build_journeys, read_tables
from ihc.database.database import Database
from ihc.journeys.build import non_converting_paths
from ihc.lab import experiments, validation
from ihc.lab.prediction import held_out_scores
from ihc.lab.shop import simulate_shop, varied_channels
from ihc.lab.time_to_event import simulate_time_to_event
from ihc.pipeline.sample import make_sample, write_shop
from ihc.report.files import read_csv


@pytest.fixture
def one_small_generator(monkeypatch):
    monkeypatch.setattr(validation, "GENERATORS", {"Small": lambda seed: simulate_time_to_event(seed, 300)})
    monkeypatch.setattr(experiments, "SHOP_ORDERS", 1_000)


def test_validate_prints_a_table_and_a_sentence_and_writes_table_and_chart(one_small_generator, tmp_path):
    done = ihc_here("validate", "--seeds", "2", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "Small" in said
    assert "Coverage" in said
    assert "equal shares" in said
    written, every = (read_csv(tmp_path / "out" / f"{name}.csv") for name in ("validation", "validation_seeds"))
    pd.testing.assert_frame_equal(every, validation.validate([1, 2]), check_dtype=False)
    pd.testing.assert_frame_equal(written, validation.mean_scores(every), check_dtype=False)
    assert f"{written.loc[0, 'share_error']:.3f}" in said
    chart = (tmp_path / "out" / "validation.svg").read_text("utf-8")
    assert "Small" in chart
    assert "Means, lowest and highest of 2 seeds" in chart


def test_validate_without_a_folder_writes_nothing(one_small_generator, tmp_path):
    assert ihc_here("validate", "--seeds", "1", cwd=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_one_seed_is_not_a_range_of_seeds(one_small_generator, tmp_path):
    assert ihc_here("validate", "--seeds", "1", "--output", "out", cwd=tmp_path).returncode == 0
    chart = (tmp_path / "out" / "validation.svg").read_text("utf-8")
    assert "One seed" in chart
    assert "lowest and highest" not in chart


def test_with_a_database_its_held_out_paths_are_predicted(tmp_path):
    shop = make_sample(100, 1)
    write_shop(Database(str(tmp_path / "shop.db")), shop)
    done = ihc_here(
        "validate", "--database", "shop.db", "--lookback-days", "5", "--output", "out", cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = read_csv(tmp_path / "out" / "held_out.csv")
    rules = {"lookback_days": 5}
    journeys = build_journeys(shop.sessions, shop.conversions, **rules)
    expected = held_out_scores(journeys, non_converting_paths(shop.sessions, shop.conversions, **rules))
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    assert f"{written.loc[0, 'log_loss']:.3f}" in done.stdout
    assert "AUC" in done.stdout
    assert "held_out.csv" in done.stdout


def test_seeds_are_for_simulated_shops_and_dates_for_a_database(tmp_path):
    done = ihc_here("validate", "--database", "shop.db", "--seeds", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert "--seeds is for simulated shops" in done.stderr
    done = ihc_here("validate", "--start-date", "2025-03-01", cwd=tmp_path)
    assert done.returncode == 1
    assert "--start-date: name the shop with --database" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_validate_checks_the_folder_first(tmp_path):
    (tmp_path / "out").write_text("a file")
    done = ihc_here("validate", "--output", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_sample_with_truth_writes_a_simulated_shop_and_what_each_channel_added(tmp_path):
    done = ihc_here("sample", "shop.db", "--conversions", "150", "--seed", "4", "--truth", "truth.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    world = simulate_shop(150, 4, varied_channels(4))
    orders = len(world.tables.conversions)
    assert f"a simulated shop with {orders} orders, seed 4. {world.anyway_orders:.0f} of them would" in done.stdout
    pd.testing.assert_frame_equal(read_csv(tmp_path / "truth.csv"), world.truth)
    assert sorted(read_tables(tmp_path / "shop.db").conversions["conv_id"]) == sorted(
        world.tables.conversions["conv_id"]
    )


def test_truth_is_refused_for_exports_and_nothing_is_written(tmp_path):
    done = ihc_here("sample", "exports", "--as", "csv", "--truth", "truth.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "leave out --as csv" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("truth", ["shop.db", "./shop.db", "kept.csv"])
def test_truth_replaces_neither_the_database_nor_a_file(tmp_path, truth):
    (tmp_path / "kept.csv").write_text("mine")
    done = ihc_here("sample", "shop.db", "--conversions", "20", "--truth", truth, cwd=tmp_path)
    assert done.returncode == 1
    assert "name a new file, other than the database" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    assert (tmp_path / "kept.csv").read_text() == "mine"


def test_a_truth_that_cannot_be_written_is_named_by_its_option(tmp_path):
    (tmp_path / "kept").write_text("a file")
    done = ihc_here("sample", "shop.db", "--conversions", "20", "--truth", "kept/truth.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "Set another file with --truth." in done.stderr
