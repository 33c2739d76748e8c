"""First, last and linear attribution of an imported path table, against sums over the table itself."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from helpers import presets
from helpers.presets import read_preset

from ihc.journeys.build import build_journeys
from ihc.models.heuristics import first_touch, last_touch, linear

CHANNELS = np.array(["Search", "Social", "Email", "Display", "Direct", "Affiliates"])
ROWS = 10_000


@pytest.fixture(scope="module")
def table():
    """Paths of 1 to 8 steps, up to 3 conversions and 3 users without, with values that do not divide evenly."""
    rng = np.random.default_rng(7)
    steps = [CHANNELS[rng.integers(0, len(CHANNELS), size)].tolist() for size in rng.integers(1, 9, ROWS)]
    conversions = rng.integers(0, 4, ROWS)
    value = np.where(conversions > 0, rng.integers(0, 100_000, ROWS), 0) / 100
    return pd.DataFrame({"steps": steps, "conversions": conversions, "value": value, "null": rng.integers(0, 4, ROWS)})


@pytest.fixture(scope="module")
def imported(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    written = table.assign(path=table["steps"].str.join(" > "))[["path", "conversions", "value", "null"]]
    written.to_csv(folder / "paths.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "EXPORTS", folder)
        return read_preset("paths", sessions="paths.csv")


@pytest.fixture(scope="module")
def journeys(imported):
    sessions, orders = imported
    day, time = sessions["time"].str.slice(0, 10), sessions["time"].str.slice(11, 19)
    flags = {"holder_engagement": 1, "closer_engagement": 1, "impression_interaction": 0}
    sessions = sessions.assign(event_date=day, event_time=time, **flags)
    day, time = orders["time"].str.slice(0, 10), orders["time"].str.slice(11, 19)
    orders = orders.rename(columns={"order_id": "conv_id"}).assign(conv_date=day, conv_time=time)
    return build_journeys(sessions, orders)


def test_every_user_session_and_cent_is_there(table, imported):
    sessions, orders = imported
    users = table["conversions"] + table["null"]
    assert len(sessions) == (users * table["steps"].str.len()).sum()
    assert sessions["user_id"].nunique() == users.sum()
    assert len(orders) == table["conversions"].sum()
    assert round(orders["revenue"].sum() * 100) == round(table["value"].sum() * 100)


@pytest.mark.parametrize(
    ("model", "share"),
    [
        (first_touch, lambda place, length: float(place == 0)),
        (last_touch, lambda place, length: float(place == length - 1)),
        (linear, lambda place, length: 1 / length),
    ],
)
def test_a_model_gives_each_channel_its_sum_over_the_table(table, journeys, model, share):
    revenue, orders = defaultdict(float), defaultdict(float)
    for row in table.itertuples():
        for place, channel in enumerate(row.steps):
            revenue[channel] += row.value * share(place, len(row.steps))
            orders[channel] += row.conversions * share(place, len(row.steps))
    credits = model(journeys).merge(journeys[["conv_id", "session_id", "channel_name", "revenue"]])
    found = (
        credits.assign(revenue=credits["ihc"] * credits["revenue"]).groupby("channel_name")[["ihc", "revenue"]].sum()
    )
    for channel in CHANNELS:
        assert found["ihc"][channel] == pytest.approx(orders[channel], abs=1e-6)
        assert found["revenue"][channel] == pytest.approx(revenue[channel], abs=1e-4)
