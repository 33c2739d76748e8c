import numpy as np
import pytest
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.calibration.curves import corners, extrapolate, isotonic


def array(*values):
    return np.array(values, dtype="float64")


def close(*values):
    return pytest.approx(list(values), abs=1e-9)


def test_values_that_rise_stay_as_they_are():
    assert isotonic(array(0, 0.1, 0.1, 0.9), array(1, 5, 2, 1)).tolist() == [0, 0.1, 0.1, 0.9]


def test_neighbours_that_fall_are_pooled_to_their_mean_by_precision():
    # 0.5 (precision 3) before 0.1 (precision 1): (1.5 + 0.1) / 4 = 0.4.
    assert isotonic(array(0, 0.5, 0.1, 0.6), array(1, 3, 1, 1)).tolist() == close(0, 0.4, 0.4, 0.6)


def test_a_pool_that_falls_below_an_earlier_one_takes_it_in():
    # 0.4, 0.0 -> 0.2 each, below 0.3: (0.3 + 0.4 + 0.0) / 3 = 0.7 / 3.
    assert isotonic(array(0.3, 0.4, 0.0), array(1, 1, 1)).tolist() == close(*[0.7 / 3] * 3)


numbers = st.floats(-1, 2).map(lambda value: round(value, 4))


@FIXED
@given(st.lists(st.tuples(numbers, st.floats(0.001, 1e6)), min_size=1, max_size=12))
def test_pooling_never_falls_keeps_the_weighted_mean_and_changes_nothing_twice(pairs):
    values, precision = np.array(pairs).T
    pooled = isotonic(values, precision)
    assert (np.diff(pooled) >= 0).all()
    assert np.average(pooled, weights=precision) == pytest.approx(np.average(values, weights=precision), abs=1e-9)
    np.testing.assert_allclose(isotonic(pooled, precision), pooled, atol=1e-12)


def test_knots_on_a_straight_line_are_left_out_and_corners_kept():
    # Straight from 0 to 3 hours, a corner at 3, straight again.
    is_kept = corners(array(0, 1, 3, 4, 7), array(0, 0.1, 0.3, 0.31, 0.34))
    assert is_kept.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(("off", "is_kept"), [(1e-5, False), (3e-5, True)])
def test_a_knot_is_kept_from_a_few_hundred_thousandths_off_the_line(off, is_kept):
    assert corners(array(0, 1, 2), array(0, 0.5 + off, 1)).tolist() == [True, is_kept, True]


@FIXED
@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=30))
def test_the_curve_through_the_kept_knots_stays_at_all_others(units):
    values = np.sort(np.array(units)) / 10_000
    hours = np.arange(len(values), dtype="float64")
    is_kept = corners(hours, values)
    np.testing.assert_allclose(np.interp(hours, hours[is_kept], values[is_kept]), values, atol=2.1e-5)


def test_a_rising_curve_goes_on_straight_as_over_its_last_tenth_and_stops_short_of_a_restart():
    # From 90 to 100 hours it rises by 0.1, to 0.5; another 0.49 takes 49 hours.
    hours, values = extrapolate(array(0, 90, 100), array(0, 0.4, 0.5), np.inf)
    assert hours.tolist() == close(0, 90, 100, 149)
    assert values.tolist() == close(0, 0.4, 0.5, 0.99)


def test_a_rising_curve_reaches_1_at_the_restart_that_was_seen_at_the_latest():
    # Straight on it would reach 1 after another 50 hours, at 150.
    rising = array(0, 90, 100), array(0, 0.4, 0.5)
    assert [part.tolist() for part in extrapolate(*rising, 120.0)] == [close(0, 90, 100, 120), close(0, 0.4, 0.5, 1)]
    assert [part.tolist() for part in extrapolate(*rising, 180.0)] == [close(0, 90, 100, 150), close(0, 0.4, 0.5, 1)]


def test_a_curve_that_stays_at_0_jumps_to_1_only_at_the_restart():
    hours, values = extrapolate(array(0, 40), array(0, 0), 60.0)
    assert (hours.tolist(), values.tolist()) == ([0, 40, 60], [0, 0, 1])


def test_knots_beyond_the_restart_are_left_out():
    hours, values = extrapolate(array(0, 0.02, 0.03), array(0, 0, 0), 0.025)
    assert (hours.tolist(), values.tolist()) == ([0, 0.02, 0.025], [0, 0, 1])


def test_a_falling_curve_decays_on_by_the_rate_of_its_last_tenth_for_as_long_as_it_was_seen():
    # From 90 to 100 hours it halves, from 0.4 to 0.2: it halves in every 10 hours more, in steps of 12.5, up to 200.
    hours, values = extrapolate(array(0, 90, 100), array(1, 0.4, 0.2), np.inf)
    assert hours.tolist() == close(0, 90, 100, *(100 + 12.5 * step for step in range(1, 9)))
    assert values.tolist() == close(1, 0.4, 0.2, *(0.2 * 0.5 ** (1.25 * step) for step in range(1, 9)))


@pytest.mark.parametrize("last", [0.0, 0.3, 1.0], ids=["nothing", "a constant", "all"])
def test_a_curve_that_does_not_move_any_more_stays(last):
    hours, values = extrapolate(array(0, 50, 100), array(1, last, last), np.inf)
    assert (hours.tolist(), values.tolist()) == ([0, 50, 100], [1, last, last])


def test_a_rise_by_less_than_what_counts_as_straight_is_none():
    hours, _ = extrapolate(array(0, 90, 100), array(0, 0.5, 0.50001), np.inf)
    assert hours.tolist() == [0, 90, 100]
