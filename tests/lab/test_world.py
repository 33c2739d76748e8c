import numpy as np
import pytest

from ihc.lab.world import Purchases, Visits, tables_of, truth_of
from ihc.schemas.tables import check_tables

NAN = float("nan")


def test_arrays_become_the_three_tables_by_time():
    visits = Visits(
        np.array([7, 0]), np.array([1.25, 0.5]), np.array([1, 0]), np.array([True, False]), np.array([False, True])
    )
    purchases = Purchases(np.array([7]), np.array([2.0]), np.array([80.0]))
    sessions, conversions, costs = tables_of(visits, purchases, ("Search", "Mail"), np.array([3.0, 0.0]))
    assert sessions.to_numpy().tolist() == [
        ["session-1", "user-1", "2025-01-01", "12:00:00", "Search", 0, 1, 0],
        ["session-2", "user-8", "2025-01-02", "06:00:00", "Mail", 1, 0, 0],
    ]
    assert conversions.to_numpy().tolist() == [["order-1", "user-8", "2025-01-03", "00:00:00", 80.0]]
    assert costs.to_numpy().tolist() == [["session-1", 0.0], ["session-2", 3.0]]
    check_tables(sessions, conversions, costs)


def test_the_truth_is_what_is_lost_without_a_channel():
    # Without A the orders of 10 and 20 are lost, without B that of 20, without C none: 3 losses in total.
    remains = np.array([[False, True, True], [False, False, True], [True, True, True]])
    truth = truth_of(("A", "B", "C"), np.array([15.0, 40.0, 0.0]), remains, np.array([10.0, 20.0, 50.0]))
    assert truth["incremental_orders"].tolist() == [2, 1, 0]
    assert truth["incremental_revenue"].tolist() == [30, 20, 0]
    assert truth["iROAS"].tolist() == pytest.approx([2.0, 0.5, NAN], nan_ok=True)
    assert truth["share"].tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def test_without_any_effect_there_are_no_shares():
    truth = truth_of(("A",), np.array([1.0]), np.array([[True]]), np.array([10.0]))
    assert truth["iROAS"].tolist() == [0]
    assert truth["share"].isna().all()
