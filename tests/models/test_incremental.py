import numpy as np
import pandas as pd
import pytest

from ihc.models.incremental import ANYWAY, incremental_table, with_anyway

NAMES = pd.Series(["A", "B"])


def test_the_rest_of_the_orders_would_have_come_anyway():
    assert with_anyway(np.array([3.0, 1.0]), 10).tolist() == [3, 1, 6]


def test_the_interval_holds_95_of_100_draws_and_shares_are_of_the_channels():
    # A has 0, 1, ... 200 orders in the draws: the percentiles 2.5 and 97.5 are 5 and 195. B has as many.
    drawn = [np.array([count, count, 1.0]) for count in range(201)]
    table = incremental_table(NAMES, np.array([30.0, 10.0, 60.0]), drawn).set_index("channel_name")
    assert table.index.tolist() == ["A", "B", ANYWAY]
    assert table["incremental_orders"].tolist() == [30, 10, 60]
    assert table.loc["A", ["incremental_orders_low", "incremental_orders_high"]].tolist() == [5, 195]
    assert table["incremental_share"].tolist()[:2] == [0.75, 0.25]
    assert table.loc["A", "incremental_share_high"] == pytest.approx(0.5)
    assert table.loc[ANYWAY, ["incremental_share", "incremental_share_low"]].isna().all()


def test_without_draws_there_is_no_interval_and_without_incremental_orders_all_shares_are_0():
    table = incremental_table(NAMES, np.array([0.0, 0.0, 9.0]), [])
    assert table["incremental_orders_low"].isna().all()
    assert table["incremental_share"].tolist()[:2] == [0, 0]
