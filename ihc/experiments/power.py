"""Which experiment to run next, and how long it must be."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import pandas as pd

from ihc.analysis.reporting import MATERIAL
from ihc.arrays.types import Floats
from ihc.experiments.iroas import NORMAL_95
from ihc.schemas.tables import require_columns

POWER_80 = 0.841621  # 80 % quantile of the standard normal distribution
HALF, TENTH = 0.5, 0.1  # the parts of users, or of regions, without the channel
WEEK = 7  # days


def next_experiments(table: pd.DataFrame, orders: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Rank the channels by what an experiment on them is worth, and say how long it must be.

    In: `calibrate`; `orders`, the conversions of the report's days (`user_id, conv_date, revenue [currency]`; a user
    with several orders counts once); `roas` [1]: break-even.

    Out: the channels with at least 1 % of all spend, the most valuable experiment first: `channel_name, cost
    [currency], iROAS, iROAS_low, iROAS_high [1], wrong_verdict [probability that iROAS is on the other side of
    break-even than its estimate], expected_loss [currency; what deciding by the estimate costs on average, in as many
    days as the orders span], holdout_days, small_holdout_days, geo_days [days; NaN without orders]`.

    The decision is to keep or to stop the channel. With the estimate m and the standard deviation s of revenue above
    break-even, and z = |m| / s, a wrong decision has the probability Φ(-z) and costs s x (φ(z) - z x Φ(-z)) on average.
    This is the expected value of perfect information (Raiffa and Schlaifer, Applied Statistical Decision Theory, 1961).

    An experiment with the part h of the users without the channel, for L days, measures its revenue with the standard
    error √(L x v / (h x (1 - h))), where v is the sum of the squared revenue of all users per day: the difference of
    two independent groups, scaled up to the shop. It finds the difference d per day with a power of 80 % at a level of
    5 % (two-sided) if d x L is 2.8 standard errors, so that L = 2.8² x v / (h x (1 - h) x d²). d is the mean distance
    of revenue from break-even that is expected. The true distance may be shorter: an experiment of this length settles
    about 6 of 10 verdicts. A geo test has half of the regions without the channel. If regions vary independently, v is
    then the variance of the shop's revenue from day to day, without its trend and its weekly pattern (or v of users, if
    that is larger).
    """
    require_columns(table, ("channel_name", "cost", "calibrated_revenue", "calibrated_revenue_high"), "table")
    require_columns(orders, ("user_id", "conv_date", "revenue"), "orders")
    rows = table[(table["cost"] > 0) & (table["cost"] >= MATERIAL * table["cost"].iloc[-1])].iloc[:-1]
    mean = (rows["calibrated_revenue"] - roas * rows["cost"]).to_numpy("float64")
    sd = ((rows["calibrated_revenue_high"] - rows["calibrated_revenue"]) / NORMAL_95).to_numpy("float64")
    z = np.abs(mean) / sd
    density, tail = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), _lower_tail(-z)
    loss = sd * (density - z * tail)
    dates = pd.to_datetime(orders["conv_date"])
    days = (dates.max() - dates.min()).days + 1 if len(dates) else 1
    distance = (np.abs(mean) + 2 * loss) / days  # E|y| = |mean| + 2 x expected loss
    of_users = float((orders.groupby("user_id")["revenue"].sum() ** 2).sum()) / days
    of_days = max(of_users, _daily_variance(orders))
    ranked = rows[["channel_name", "cost", "iROAS", "iROAS_low", "iROAS_high"]].assign(
        wrong_verdict=tail,
        expected_loss=loss,
        holdout_days=_days(of_users, distance, HALF),
        small_holdout_days=_days(of_users, distance, TENTH),
        geo_days=_days(of_days, distance, HALF),
    )
    made: pd.DataFrame = ranked.sort_values("expected_loss", ascending=False, kind="stable", ignore_index=True)
    return made


def _days(variance: float, distance: Floats, held_out: float) -> Floats:
    """Return the whole weeks that a test needs [days]."""
    needed = (NORMAL_95 + POWER_80) ** 2 * variance / (held_out * (1 - held_out) * distance**2)
    weeks: Floats = np.ceil(needed / WEEK) * WEEK
    return np.where(np.isfinite(weeks) & (weeks > 0), weeks, np.nan)


def _daily_variance(orders: pd.DataFrame) -> float:
    """Return the variance of revenue from day to day around its trend and its weekly pattern; 0 for a few days."""
    daily = orders.groupby("conv_date")["revenue"].sum()
    if len(daily) <= 2 * WEEK:
        return 0.0
    when = pd.to_datetime(daily.index)
    every = np.bincount((when - when[0]).days, daily.to_numpy("float64"))  # a day without orders has no row
    number = np.arange(len(every))
    design = np.column_stack([number, np.eye(WEEK)[number % WEEK]])
    residual = every - design @ np.linalg.lstsq(design, every, rcond=None)[0]
    return float(residual @ residual / (len(every) - design.shape[1]))


def _lower_tail(z: Floats) -> Floats:
    """Return Φ(z) of the standard normal distribution."""
    return np.array([erfc(-value / sqrt(2)) / 2 for value in z])
