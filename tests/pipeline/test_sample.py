import sqlite3

import pandas as pd
import pytest

from ihc import build_journeys, read_tables
from ihc.database.database import Database
from ihc.errors import DatabaseError, SettingsError
from ihc.journeys.build import unattributed
from ihc.pipeline.sample import make_sample, write_sample
from ihc.schemas.tables import check_tables


def dump(path):
    with sqlite3.connect(path) as connection:
        return "\n".join(connection.iterdump())


def test_same_seed_makes_the_same_bytes_in_the_tables(tmp_path):
    write_sample(Database(tmp_path / "a.db"), 50, seed=3)
    write_sample(Database(tmp_path / "b.db"), 50, seed=3)
    write_sample(Database(tmp_path / "c.db"), 50, seed=4)
    assert dump(tmp_path / "a.db") == dump(tmp_path / "b.db")
    assert dump(tmp_path / "a.db") != dump(tmp_path / "c.db")


@pytest.mark.parametrize("orders", [1, 2, 500])
def test_makes_as_many_orders_as_asked_and_passes_every_check(orders):
    tables = check_tables(*make_sample(orders, seed=1))
    assert len(tables.conversions) == orders


def test_the_sample_has_realistic_features():
    tables = make_sample(1000, seed=1)
    sessions, conversions, costs = tables
    journeys = build_journeys(sessions, conversions)
    untracked = len(unattributed(conversions, journeys)) / len(conversions)
    assert 0.01 < untracked < 0.06
    assert conversions["user_id"].duplicated().sum() > 100  # repeat buyers
    lengths = journeys.groupby("conv_id").size()
    assert lengths.min() == 1
    assert lengths.max() > 8
    assert 0 < (~sessions["session_id"].isin(costs["session_id"])).mean() < 0.03
    assert costs["cost"].isna().any()
    assert (~costs["session_id"].isin(sessions["session_id"])).sum() == 3
    gaps = journeys.groupby("conv_id")["timestamp"].diff().dropna()
    assert gaps.quantile(0.1) < pd.Timedelta(hours=3)
    assert gaps.quantile(0.9) > pd.Timedelta(days=1)


def test_sessions_of_paid_channels_have_a_campaign_and_all_else_is_as_without():
    sessions, conversions, costs = make_sample(300, seed=1)
    is_free = sessions["channel_name"].isin(["Organic Search", "Referral", "Direct"])
    assert sessions["campaign"].isna().tolist() == is_free.tolist()
    assert set(sessions.loc[~is_free, "campaign"]) == {"Always on", "New arrivals", "Spring sale"}
    # Figures of the sample before campaigns were added.
    assert (len(sessions), (sessions["channel_name"] == "Direct").sum()) == (2192, 152)
    assert (round(conversions["revenue"].sum(), 2), round(costs["cost"].sum(), 4)) == (20_406.39, 3_470.7596)


def test_a_database_that_exists_is_not_touched(tmp_path):
    path = tmp_path / "shop.db"
    path.write_bytes(b"mine")
    with pytest.raises(DatabaseError, match="already exists"):
        write_sample(Database(path), 10)
    assert path.read_bytes() == b"mine"


def test_the_written_tables_are_those_that_were_made(tmp_path):
    write_sample(Database(tmp_path / "shop.db"), 30, seed=2)
    read = read_tables(tmp_path / "shop.db")
    for was_read, made in zip(read, make_sample(30, seed=2), strict=True):
        pd.testing.assert_frame_equal(was_read, made.reset_index(drop=True), check_dtype=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "shop.db"]


@pytest.mark.parametrize(("orders", "seed"), [(0, 1), (1, -1)])
def test_refuses_a_shop_without_orders_and_a_negative_seed(orders, seed):
    with pytest.raises(SettingsError, match="at least 1"):
        make_sample(orders, seed)
