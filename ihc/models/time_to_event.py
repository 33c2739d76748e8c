"""Time to event: orders as events of a Poisson process whose rate each session raises for some days.

    log λ(t) = log base + Σ effect_cw x (sessions of channel c whose age at t is in window w),

over windows of the days since the session. The likelihood of all users' time is approximated by a logistic regression
of the moments of orders against random moments of the same users: if these have the rate ρ, a moment is one of an order
with the odds λ / ρ, and ρ goes into the intercept. An effect below 0, or not significantly above, is eliminated.

Sources: Shender, Nasiri Amini, Bao, Dikmen, Richardson, Wang (2024), A time to event framework for multi-touch
attribution, Journal of Data Science 22(1), 56-76, arXiv:2009.08432. Baddeley, Coeurjolly, Rubak, Waagepetersen (2014),
Logistic regression for spatial Gibbs point processes, Biometrika 101(2), 377-392. Lawless, Singhal (1978), Efficient
screening of nonnormal regression models, Biometrics 34(2), 318-327, for the elimination.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.logistic import DRAWS, SEED, Data, Fit, fit_logistic, resampled
from ihc.arrays.lookup import factorize, get_indexer
from ihc.arrays.types import Floats, Integers
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel
from ihc.models.incremental import incremental_table
from ihc.schemas.refunds import purchases
from ihc.schemas.tables import CONV, EVENT, has_user, moments, require_columns

WINDOWS = np.array([0.0, 1.0, 3.0, 7.0, 14.0, 30.0])  # days since the session
A_DAY = 86_400_000  # milliseconds
CONTRASTS, MOST_CONTRASTS = 30, 300_000  # random moments per order, and of all
SIGNIFICANT = 1.28  # standard errors, of a one-sided test at 10 %
RIDGE = 1e-3  # keeps the effect of a channel that only buyers have finite
TINY = np.finfo(float).tiny


class Exposure(NamedTuple):
    """Sessions before moments, one row per pair: `moment`, and the `column` of its channel and window.

    `size`: the number of moments, of which the first `orders` are orders; pairs are sorted by moment. `names` of the
    channels; `untracked`: the number of orders of users without a session.
    """

    moment: Integers
    column: Integers
    size: int
    orders: int
    names: pd.Series[str]
    untracked: int

    @property
    def columns(self) -> int:
        """The number of channels x windows."""
        return len(self.names) * _windows()


def _windows() -> int:
    return len(WINDOWS) - 1


def time_to_event(journeys: pd.DataFrame, sessions: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """Split each conversion by the effects of its sessions on the log-rate, see the module.

    In: `journeys`, and the tables of sessions and conversions to learn from. Out: `conv_id, session_id, ihc [share]`. A
    journey whose sessions have no effect, as those of more than 30 days ago, is split equally between its channels.
    Raises InputError for a missing column.
    """
    require_columns(journeys, ("conv_timestamp",), "journeys")
    steps = in_time_order(journeys, "channel_name")
    exposure = count_exposure(sessions, conversions)
    channel = get_indexer(journeys["channel_name"].astype("str"), exposure.names)[steps.row]
    moment = journeys["conv_timestamp"].to_numpy("datetime64[us]").astype("int64")[steps.row]
    window = np.searchsorted(WINDOWS, (moment - steps.moment) / 1000 / A_DAY, side="right") - 1
    is_known = (channel >= 0) & (window < _windows())
    effect = np.append(learn_effects(exposure), 0.0)
    raw = effect[np.where(is_known, channel * _windows() + window, -1)]
    codes, _ = channel_codes(journeys["channel_name"])
    equal = spread_by_channel(steps, codes[steps.row], np.ones(len(codes)))
    is_split = np.bincount(steps.path, raw)[steps.path] > 0
    return credits_of(journeys, steps, np.where(is_split, raw, equal))


def time_to_event_totals(sessions: pd.DataFrame, conversions: pd.DataFrame, *, draws: int = DRAWS) -> pd.DataFrame:
    """Return the incremental orders of each channel, and those that would have come anyway.

    An order at the rate λ would not have come without channel c with the probability 1 - λ without c / λ, and would
    have come without any with λ without all / λ. An order that needs two channels counts for both, so that the parts
    add up to more than the orders. Orders of users without a session would all have come anyway. The interval is that
    of a Poisson bootstrap of the moments, see `resampled`. Each draw eliminates effects anew, because which ones are
    kept is subject to chance too. Source: Efron (2014), Estimation and accuracy after model selection, Journal of the
    American Statistical Association 109(507), 991-1007.

    In: the tables of sessions and conversions. Out: as `incremental_table`. Raises InputError for a missing column.
    """
    exposure = count_exposure(sessions, conversions)
    every, whole = _fit_all(exposure)
    kept, fit = _eliminate(exposure, every, whole)
    of_order = slice(int(np.searchsorted(exposure.moment, exposure.orders)))
    column, size = exposure.column[of_order], len(exposure.names)
    cell, pair = np.unique(exposure.moment[of_order] * size + column // _windows(), return_inverse=True)
    order, channel = np.divmod(cell, max(size, 1))

    def totals(effects: Floats, orders: Floats) -> Floats:
        logs = np.bincount(pair, effects[column], len(cell))
        lost = np.bincount(channel, orders[order] * -np.expm1(-logs), size)
        left = orders @ np.exp(-np.bincount(order, logs, exposure.orders))
        return np.append(lost, left + exposure.untracked)

    def draw(coefficients: Floats, orders: Floats) -> Floats:
        stays, effects = _significant(whole._replace(coefficients=coefficients))
        return totals(_effects(exposure, every[stays], effects), orders)

    drawn = [draw(*each) for each in resampled(_data(exposure, every), whole, draws)]
    found = totals(_effects(exposure, kept, fit.coefficients[1:]), np.ones(exposure.orders))
    return incremental_table(exposure.names, found, drawn)


def learn_effects(exposure: Exposure) -> Floats:
    """Return the effect on the log-rate of a session of each channel and window, 0 if it is eliminated."""
    kept, fit = _eliminate(exposure, *_fit_all(exposure))
    return _effects(exposure, kept, fit.coefficients[1:])


def _effects(exposure: Exposure, kept: Integers, values: Floats) -> Floats:
    effects = np.zeros(exposure.columns)
    effects[kept] = values
    return effects


def count_exposure(sessions: pd.DataFrame, conversions: pd.DataFrame) -> Exposure:
    """Find the sessions of the last 30 days before each order, and before random moments of the users with sessions.

    Moments are between the first and the last time in the tables; the same tables have the same ones. Raises InputError
    for a missing column.
    """
    require_columns(sessions, ("user_id", "channel_name"), "sessions")
    require_columns(conversions, ("user_id", "revenue"), "conversions")
    known, bought = sessions[has_user(sessions)], purchases(conversions)
    codes, names = channel_codes(known["channel_name"])
    user, buyer = factorize(known["user_id"]), get_indexer(bought["user_id"], known["user_id"])
    is_tracked = (buyer >= 0) & has_user(bought)
    visited, ordered = _milliseconds(known, EVENT), _milliseconds(bought, CONV)[is_tracked]
    if not len(ordered):
        empty = np.empty(0, dtype="int64")
        return Exposure(empty, empty, 0, 0, names, len(bought))
    first = min(visited.min(), ordered.min())
    length = max(visited.max(), ordered.max()) - first + 1
    random = np.random.default_rng(SEED)
    count = min(CONTRASTS * len(ordered), MOST_CONTRASTS)
    key = user * length + visited - first
    by_key = np.argsort(key, kind="stable")
    start = np.concatenate([user[buyer[is_tracked]], random.integers(user.max() + 1, size=count)]) * length
    moment = start + np.concatenate([ordered - first, random.integers(length, size=count)])
    oldest = np.maximum(moment - int(WINDOWS[-1] * A_DAY), start - 1)
    begin, end = (np.searchsorted(key, each, side="right", sorter=by_key) for each in (oldest, moment))
    of = np.repeat(np.arange(len(moment)), end - begin)
    visit = by_key[np.arange(len(of)) - np.repeat((end - begin).cumsum() - end, end - begin)]
    window = np.searchsorted(WINDOWS, (moment[of] - key[visit]) / A_DAY, side="right") - 1
    return Exposure(of, codes[visit] * _windows() + window, len(moment), len(ordered), names, int((~is_tracked).sum()))


def _milliseconds(frame: pd.DataFrame, prefix: str) -> Integers:
    return moments(frame, prefix).to_numpy("datetime64[ms]").astype("int64")


def _data(exposure: Exposure, kept: Integers) -> Data:
    """Return the moments as data of a regression on the columns `kept`."""
    place = np.zeros(exposure.columns, dtype="int64")
    place[kept] = np.arange(1, len(kept) + 1)  # 0: the constant, overwritten below
    of_pair = place[exposure.column]

    def features(rows: slice) -> Floats:
        start, stop, _ = rows.indices(exposure.size)
        pairs = slice(*np.searchsorted(exposure.moment, [start, stop]))
        cell = (exposure.moment[pairs] - start) * (len(kept) + 1) + of_pair[pairs]
        table = np.bincount(cell, minlength=(stop - start) * (len(kept) + 1)).reshape(stop - start, -1)
        table[:, 0] = 1
        return table.astype("float64")

    won = (np.arange(exposure.size) < exposure.orders).astype("float64")
    return Data(features, won, 1 - won)


def _fit_to(exposure: Exposure, columns: Integers) -> Fit:
    return fit_logistic(_data(exposure, columns), np.append(0.0, np.full(len(columns), RIDGE)))


def _fit_all(exposure: Exposure) -> tuple[Integers, Fit]:
    """Fit the effects of all columns with a pair. Out: the columns, and the fit."""
    every = np.unique(exposure.column)
    return every, _fit_to(exposure, every)


def _eliminate(exposure: Exposure, kept: Integers, fit: Fit) -> tuple[Integers, Fit]:
    """Eliminate effects until all are significantly above 0. In, out: the columns that are kept, and their fit."""
    while len(stays := _significant(fit)[0]) < len(kept):
        kept = kept[stays]
        fit = _fit_to(exposure, kept)
    return kept, fit


def _significant(fit: Fit) -> tuple[Integers, Floats]:
    """Drop the effect with the fewest standard errors above 0, until all have SIGNIFICANT.

    Without a coefficient the others change as in a quadratic log-likelihood, without another fit: each step is one of a
    Cholesky decomposition of their covariance, with the dropped coefficient as the pivot. Out: the positions that stay,
    and their effects.
    """
    effects, inverse = fit.coefficients[1:].copy(), fit.inverse[1:, 1:]
    variance, stays = inverse.diagonal().copy(), np.ones(len(effects), dtype=bool)
    steps = np.empty((len(effects), len(effects)))
    for step in range(len(effects)):
        errors = np.where(stays, effects / np.sqrt(np.maximum(variance, TINY)), np.inf)
        worst = int(errors.argmin())
        if errors[worst] >= SIGNIFICANT:
            break
        column = inverse[worst] - steps[:step, worst] @ steps[:step]
        steps[step] = column / np.sqrt(max(column[worst], TINY))
        effects -= steps[step] * errors[worst]
        variance -= steps[step] ** 2
        stays[worst] = False
    return np.flatnonzero(stays), effects[stays]
