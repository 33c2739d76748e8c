"""Logistic regression on counts, with a ridge penalty, in plain NumPy.

A row stands for all cases with the same features: `won` of them happened and `lost` did not. The log-likelihood minus
Σ ridge x coefficient² / 2 is maximised by Newton's method (iteratively reweighted least squares). Source: le Cessie,
van Houwelingen (1992), Ridge estimators in logistic regression, Journal of the Royal Statistical Society C 41(1),
191-201.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ihc.arrays.types import Floats

Features = Callable[[slice], Floats]
BLOCK = 2**14  # rows of features at a time, so that memory does not depend on their number
LARGEST_STEP, PRECISE, MOST_STEPS = 3.0, 1e-8, 100
LARGEST_LOGIT = 500.0  # its exponential is a number
DRAWS, SEED = 200, 1


class Data(NamedTuple):
    """Counts per row, and the `features` of a slice of rows: a constant 1 first, then one column per coefficient."""

    features: Features
    won: Floats
    lost: Floats

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Return the rows in blocks, with their features."""
        for start in range(0, len(self.won), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, self.features(rows)


class Fit(NamedTuple):
    """The `coefficients`, intercept first, and the `inverse` of the penalised information matrix."""

    coefficients: Floats
    inverse: Floats


def probability(logit: float | Floats) -> Floats:
    """Return 1 / (1 + exp(-logit))."""
    found: Floats = 1 / (1 + np.exp(-np.clip(logit, -LARGEST_LOGIT, LARGEST_LOGIT)))
    return found


def fit_logistic(data: Data, ridge: Floats) -> Fit:
    """Fit the coefficients. In: `ridge` [>= 0], one penalty per coefficient, intercept first.

    Without cases of both kinds nothing can be learned: all coefficients and their inverse are 0.
    """
    if not (data.won.any() and data.lost.any()):
        return Fit(np.zeros(len(ridge)), np.zeros((len(ridge), len(ridge))))
    coefficients = np.zeros(len(ridge))
    coefficients[0] = np.log(data.won.sum() / data.lost.sum())
    for _ in range(MOST_STEPS):
        score, information = -ridge * coefficients, np.diag(ridge)
        for rows, features in data.blocks():
            chance = probability(features @ coefficients)
            cases = data.won[rows] + data.lost[rows]
            score = score + (data.won[rows] - cases * chance) @ features
            information = information + features.T @ (features * (cases * chance * (1 - chance))[:, None])
        step = np.linalg.solve(information, score)
        largest = np.abs(step).max()
        coefficients = coefficients + step * min(1.0, LARGEST_STEP / max(largest, PRECISE))
        if largest < PRECISE:
            break
    inverse: Floats = np.linalg.inv(information).astype("float64")
    return Fit(coefficients, inverse)


def resampled(data: Data, fit: Fit, draws: int = DRAWS) -> Iterator[tuple[Floats, Floats]]:
    """Draw the cases again. Out: of each draw the coefficients, and the cases won in the rows that have any.

    Each case occurs Poisson(1) times (Poisson bootstrap). The coefficients of a draw take one Newton step from those of
    the data, with the same information matrix. Source: Kline, Santos (2012), A score based approach to wild bootstrap
    inference, Journal of Econometric Methods 1(1), 23-41.
    """
    random = np.random.default_rng(SEED)
    parts = []
    scores = np.zeros((draws, len(fit.coefficients)))
    for rows, features in data.blocks():
        chance = probability(features @ fit.coefficients)
        won, lost = (random.poisson(each[rows], (draws, len(chance))) for each in (data.won, data.lost))
        scores += ((won - data.won[rows]) * (1 - chance) - (lost - data.lost[rows]) * chance) @ features
        parts.append(won[:, data.won[rows] > 0].astype("int32"))
    drawn = np.concatenate(parts, axis=1) if parts else np.zeros((draws, 0))
    for score, won in zip(scores, drawn, strict=True):
        yield fit.coefficients + score @ fit.inverse, won.astype("float64")
