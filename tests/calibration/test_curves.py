import numpy as np
import pytest
from helpers.frames import FIXED
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.calibration.curves import Pairs, corners, extrapolate, fit_curve, fit_weights, isotonic


def pairs_of(*rows):
    """`(hours, share, reference[, channel, reference channel])`, channels 0 unless given; no restarts."""
    full = [(*row, 0, 0)[:5] for row in rows]
    hours, share, reference, channel, other = np.array(full, dtype="float64").reshape(-1, 5).T
    none = np.zeros(len(full), dtype=bool)
    return Pairs(hours, share, reference, channel.astype("int64"), other.astype("int64"), none)


def with_restarts(pairs, *hours):
    """The same, with gaps of these `hours` that restart a journey."""
    more = pairs_of(*[(hour, 1.0, 1.0) for hour in hours])._replace(is_restart=np.ones(len(hours), dtype=bool))
    return Pairs(*(np.concatenate(both) for both in zip(pairs, more, strict=True)))


def points(membership, hours):
    """A pair at each of `hours`: a journey of two sessions, so share m / (1 + m) beside 1 / (1 + m)."""
    values = [(hour, membership(hour)) for hour in hours]
    return [(hour, round(m / (1 + m), 4), round(1 / (1 + m), 4)) for hour, m in values]


def read(fit, *hours):
    return fit.curve(np.array(hours, dtype="float64")).tolist()


def close(*values, within=3e-4):
    return pytest.approx(list(values), abs=within)


def test_a_pair_determines_a_point_of_the_curve():
    # 0.2 beside 0.4 at 10 hours: m = 1/2; 0.3 beside 0.4 at 20 hours: 3/4.
    fit = fit_curve(pairs_of((10, 0.2, 0.4), (20, 0.3, 0.4)), 1, rising=True)
    assert read(fit, 10, 20) == close(0.5, 0.75)
    assert fit.seen_until == 20
    assert fit.log_weights.tolist() == close(0)


def test_one_contradicting_pair_hardly_changes_the_curve():
    rows = points(lambda hour: hour / 100, [10, 20, 30] * 20)
    alone = fit_curve(pairs_of(*rows), 1, rising=True)
    fit = fit_curve(pairs_of(*rows, (20, 0.5, 0.5)), 1, rising=True)
    assert read(alone, 10, 20, 30) == close(0.1, 0.2, 0.3)
    assert read(fit, 10, 20, 30) == close(0.1, 0.2, 0.3)


def test_without_a_pair_the_curve_is_constant():
    for rising, level in ((True, 0), (False, 1)):
        fit = fit_curve(pairs_of(), 2, rising=rising)
        assert read(fit, 0, 1, 1000) == [level] * 3
        assert (fit.seen_until, fit.log_weights.tolist()) == (0, [0, 0])


def test_the_curve_reaches_1_at_a_restarting_gap_only():
    # Straight from 0 to 1 over 50 hours; 47 hours did not restart, 61 did: the line reaches 1 at 50.
    told = pairs_of(*points(lambda hour: hour / 50, range(1, 48)))
    fit = fit_curve(with_restarts(told, 61.0, 80.0), 1, rising=True)
    assert read(fit, 61, 80, 500) == [1, 1, 1]
    assert read(fit, 25, 47) == close(0.5, 0.94)
    assert fit.curve.hours[-1] == pytest.approx(50, abs=0.1)
    assert fit.seen_until == np.inf


def test_a_restart_is_exact_at_the_observed_gap():
    # 53.12345678 hours has more decimals than a curve; rounded up, the engine would not restart there.
    seconds = 53.12345678
    fit = fit_curve(with_restarts(pairs_of((1, 0.0, 1.0), (53.0, 0.0, 1.0)), seconds), 1, rising=True)
    assert read(fit, seconds) == [1]
    assert read(fit, 53.0)[0] < 0.001


def test_a_curve_close_to_1_stays_below_it_where_no_restart_was_seen():
    fit = fit_curve(pairs_of(*[(hour, 0.5, 0.5) for hour in range(10, 20)]), 1, rising=True)
    assert max(fit.curve.membership) < 1


def test_restarts_contradicted_by_most_pairs_are_ignored():
    told = pairs_of(*points(lambda hour: hour / 100, range(1, 61)))
    fit = fit_curve(with_restarts(told, 0.0, 5.0, 20.0), 1, rising=True)
    assert read(fit, 30, 60) == close(0.3, 0.6)
    assert fit.seen_until == 60


def test_restarts_alone_give_a_curve_that_reaches_1_there():
    fit = fit_curve(with_restarts(pairs_of(), 40.0, 70.0), 1, rising=True)
    assert fit.curve.hours == (0, 40)
    assert fit.curve.membership == (0, 1)


def test_weights_are_fitted_with_a_known_membership():
    # 1/2 of the reference without weights, and 0.8 of it with: the second channel weighs 1.6.
    weights = fit_weights(pairs_of(*[(0, 0.4, 0.5, 1, 0)] * 20), np.full(20, 0.5), 3)
    assert np.exp(weights[1] - weights[0]) == pytest.approx(1.6, abs=0.005)
    assert weights[2] == 0
    assert fit_weights(pairs_of(), np.zeros(0), 2).tolist() == [0, 0]


share = st.integers(1, 10_000).map(lambda unit: unit / 10_000)
any_pair = st.tuples(st.sampled_from([0, 1e-6, 0.1, 0.3, 1, 53.12345678, 400, 1e6]), share | st.just(0.0), share)


@settings(FIXED, max_examples=20)
@pytest.mark.filterwarnings("error")
@given(st.lists(st.tuples(any_pair, st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=12), st.booleans())
def test_any_shares_give_a_valid_curve_and_finite_weights(rows, rising):
    pairs = pairs_of(*[(*numbers, channel, other) for numbers, channel, other, _ in rows])
    if rising:
        pairs = pairs._replace(is_restart=np.array([row[-1] for row in rows], dtype=bool))
    fit = fit_curve(pairs, 3, rising=rising)
    hours, membership = np.array(fit.curve.hours), np.array(fit.curve.membership)
    assert hours[0] == 0
    assert (np.diff(hours) > 0).all()
    assert np.isfinite(hours).all()
    assert ((membership >= 0) & (membership <= 1)).all()
    assert (np.diff(membership) * (1 if rising else -1) >= 0).all()
    assert membership[0] < 1 if rising else membership[0] == 1
    assert np.isfinite(fit.log_weights).all()
    assert (np.abs(fit.log_weights) <= np.log(1000)).all()


# The shape of the curve


def exactly(*values):
    return pytest.approx(list(values), abs=1e-9)


def array(*values):
    return np.array(values, dtype="float64")


def test_violating_neighbours_are_pooled_to_their_weighted_mean():
    # 0.5 (precision 3) before 0.1 (precision 1): (1.5 + 0.1) / 4 = 0.4.
    assert isotonic(array(0, 0.5, 0.1, 0.6), array(1, 3, 1, 1)).tolist() == exactly(0, 0.4, 0.4, 0.6)


numbers = st.floats(-1, 2).map(lambda value: round(value, 4))


@FIXED
@given(st.lists(st.tuples(numbers, st.floats(0.001, 1e6)), min_size=1, max_size=12))
def test_pooling_is_monotone_keeps_the_weighted_mean_and_is_idempotent(pairs):
    values, precision = np.array(pairs).T
    pooled = isotonic(values, precision)
    assert (np.diff(pooled) >= 0).all()
    assert np.average(pooled, weights=precision) == pytest.approx(np.average(values, weights=precision), abs=1e-9)
    np.testing.assert_allclose(isotonic(pooled, precision), pooled, atol=1e-12)


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


def test_a_rising_curve_is_extrapolated_linearly_and_stops_below_a_restart():
    # From 90 to 100 hours it rises by 0.1, to 0.5; another 0.49 takes 49 hours.
    hours, values = extrapolate(array(0, 90, 100), array(0, 0.4, 0.5), np.inf)
    assert hours.tolist() == exactly(0, 90, 100, 149)
    assert values.tolist() == exactly(0, 0.4, 0.5, 0.99)


def test_a_rising_curve_reaches_1_at_the_restart_that_was_seen_at_the_latest():
    # Straight on it would reach 1 after another 50 hours, at 150.
    rising = array(0, 90, 100), array(0, 0.4, 0.5)
    for restart, end in ((120.0, 120), (180.0, 150)):
        hours, values = extrapolate(*rising, restart)
        assert hours.tolist() == exactly(0, 90, 100, end)
        assert values.tolist() == exactly(0, 0.4, 0.5, 1)


def test_knots_beyond_the_restart_are_left_out():
    # A curve that stays at 0 jumps to 1 there.
    hours, values = extrapolate(array(0, 0.02, 0.03), array(0, 0, 0), 0.025)
    assert (hours.tolist(), values.tolist()) == ([0, 0.02, 0.025], [0, 0, 1])


def test_a_falling_curve_is_extrapolated_exponentially():
    # From 90 to 100 hours it halves, from 0.4 to 0.2: it halves in every 10 hours more, in steps of 12.5, up to 200.
    hours, values = extrapolate(array(0, 90, 100), array(1, 0.4, 0.2), np.inf)
    assert hours.tolist() == exactly(0, 90, 100, *(100 + 12.5 * step for step in range(1, 9)))
    assert values.tolist() == exactly(1, 0.4, 0.2, *(0.2 * 0.5 ** (1.25 * step) for step in range(1, 9)))


@pytest.mark.parametrize("last", [0.0, 0.3, 1.0], ids=["nothing", "a constant", "all"])
def test_a_flat_end_is_extrapolated_as_constant(last):
    hours, values = extrapolate(array(0, 50, 100), array(1, last, last), np.inf)
    assert (hours.tolist(), values.tolist()) == ([0, 50, 100], [1, last, last])


def test_a_negligible_rise_is_not_extrapolated():
    hours, _ = extrapolate(array(0, 90, 100), array(0, 0.5, 0.50001), np.inf)
    assert hours.tolist() == [0, 90, 100]
