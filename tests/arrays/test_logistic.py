import numpy as np
import pytest

from ihc.arrays import logistic
from ihc.arrays.logistic import Data, fit_logistic, probability, resampled

FEATURES = np.array([[1.0, 0.0], [1.0, 1.0]])
WON, LOST = np.array([10.0, 30.0]), np.array([30.0, 10.0])
TWO_BY_TWO = Data(lambda rows: FEATURES[rows], WON, LOST)
# The variance of a log odds ratio is the sum of the inverse counts.
VARIANCE = 1 / 10 + 1 / 30 + 1 / 30 + 1 / 10


def test_without_a_penalty_the_effect_is_the_log_odds_ratio():
    # Odds 1/3 without the feature and 3 with it.
    fit = fit_logistic(TWO_BY_TWO, np.zeros(2))
    assert fit.coefficients.tolist() == pytest.approx([-np.log(3), np.log(9)])
    assert fit.inverse[1, 1] == pytest.approx(VARIANCE)


def test_a_penalty_shrinks_the_effect_to_where_it_balances_the_score():
    fit = fit_logistic(TWO_BY_TWO, np.array([0.0, 5.0]))
    intercept, effect = fit.coefficients
    assert 0 < effect < np.log(9)
    # All cases won less those expected: 0. Those with the feature: the penalty times the effect.
    expected = 40 * probability(intercept + FEATURES @ [0, effect])
    assert (WON - expected).sum() == pytest.approx(0, abs=1e-9)
    assert (WON - expected)[1] == pytest.approx(5 * effect)


def test_blocks_of_rows_do_not_change_the_fit_or_the_draws_of_coefficients(monkeypatch):
    whole = fit_logistic(TWO_BY_TWO, np.ones(2))
    monkeypatch.setattr(logistic, "BLOCK", 1)
    parts = fit_logistic(TWO_BY_TWO, np.ones(2))
    np.testing.assert_allclose(parts.coefficients, whole.coefficients)
    np.testing.assert_allclose(parts.inverse, whole.inverse)


@pytest.mark.parametrize(("won", "lost"), [(WON, LOST * 0), (WON * 0, LOST), (WON[:0], LOST[:0])])
def test_cases_of_one_kind_teach_nothing(won, lost):
    data = Data(lambda rows: FEATURES[: len(won)][rows], won, lost)
    fit = fit_logistic(data, np.ones(2))
    assert fit.coefficients.tolist() == [0, 0]
    assert all(not coefficients.any() for coefficients, _ in resampled(data, fit, 3))


def test_a_feature_that_only_buyers_have_gets_a_finite_effect():
    data = Data(lambda rows: FEATURES[rows], np.array([10.0, 30.0]), np.array([30.0, 0.0]))
    assert 2 < fit_logistic(data, np.array([0.0, 0.1])).coefficients[1] < 20


def test_draws_vary_as_much_as_the_coefficients_and_counts_do():
    fit = fit_logistic(TWO_BY_TWO, np.zeros(2))
    coefficients, won = map(np.array, zip(*resampled(TWO_BY_TWO, fit, 2_000), strict=True))
    assert coefficients[:, 1].mean() == pytest.approx(np.log(9), abs=0.05)
    assert coefficients[:, 1].std() == pytest.approx(np.sqrt(VARIANCE), rel=0.1)
    assert won.mean(axis=0) == pytest.approx(WON, rel=0.03)
    assert won.var(axis=0) == pytest.approx(WON, rel=0.1)  # of a Poisson distribution, the mean


def test_rows_without_a_case_won_are_not_drawn():
    data = Data(lambda rows: FEATURES[rows], np.array([0.0, 30.0]), LOST)
    (draw,) = resampled(data, fit_logistic(data, np.ones(2)), 1)
    assert draw[1].shape == (1,)
