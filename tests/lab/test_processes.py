import numpy as np
import pytest

from ihc.lab.processes import Points, earlier_pairs, joined, poisson_points


def points(*pairs):
    rows, times = zip(*pairs, strict=True) if pairs else ((), ())
    return Points(np.array(rows, dtype="int64"), np.array(times, dtype="float64"))


def test_each_point_is_paired_with_the_earlier_ones_of_its_row_up_to_the_same_time():
    earlier = points((0, 1.0), (0, 4.0), (2, 0.5))
    later = points((2, 2.0), (0, 4.0), (1, 9.0), (0, 0.5))
    pairs = earlier_pairs(later, earlier)
    assert pairs.later.tolist() == [0, 1, 1]
    assert pairs.earlier.tolist() == [2, 0, 1]
    assert pairs.days.tolist() == [1.5, 3.0, 0.0]


@pytest.mark.parametrize(("later", "earlier"), [(points((0, 1.0)), points()), (points(), points((0, 1.0)))])
def test_without_points_there_are_no_pairs(later, earlier):
    assert [len(each) for each in earlier_pairs(later, earlier)] == [0, 0, 0]


def test_a_process_has_its_rate_in_its_time():
    # 1,000 rows with 2 points per day in 3 days: 6,000 points, standard deviation sqrt(6,000) = 77.
    rate = np.repeat([0.0, 2.0], 1000)
    found = poisson_points(np.random.default_rng(1), rate, np.full(2000, 5.0), np.full(2000, 3.0))
    assert found.row.min() >= 1000
    assert abs(len(found.row) - 6000) < 4 * 77
    assert 5 <= found.time.min() < 5.1
    assert 7.9 < found.time.max() < 8


def test_processes_are_joined_one_after_the_other_and_some_points_are_taken():
    both = joined([points((1, 0.5)), points((0, 2.0), (3, 1.0))])
    assert both.row.tolist() == [1, 0, 3]
    assert both.take(np.array([False, True, True])).time.tolist() == [2.0, 1.0]
