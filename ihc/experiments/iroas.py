"""Incremental ROAS (iROAS) of each channel, from attribution and experiments.

What a channel i with spend s and attributed revenue r causes is, with the break-even ROAS B,

    y_i = (α + a_i) x B x s_i + (β + b_i) x r_i.

α and β are common to all channels: the part of break-even spend, and of attributed revenue, that is caused. a_i and b_i
are a channel's own deviations. All are normal a priori: α with `OF_SPEND`, β with `OF_REVENUE` (mean, standard
deviation), a_i and b_i with mean 0 and standard deviation τ. An experiment measures y of its channel, on its days, with
a normal error. So channels without an experiment learn from the others through α and β (partial pooling), and an
experiment on other days, or with other spend, counts with its own s and r.

Given τ, all y and measurements are jointly normal with the means m and the covariances

    K_ij = x_i' S x_j + [same channel] x τ² x x_i'x_j,  x = (B x s, r),  S = diag(variances of α and β),

and the posterior of y given the measurements z with errors e (Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, equations 2.23 and 2.24) has

    mean m + A (K + diag(e²))⁻¹ (z - m_z),  covariance K_yy - A (K + diag(e²))⁻¹ A',  A = K_yz.

τ is averaged over `SPREADS` with the weight prior x likelihood (Gelman et al., Bayesian Data Analysis, 2013, chapter
5), and the mixture is summed up by its mean and variance.

The model has no change over time. If experiments on a channel differ by more than their errors allow, their errors are
multiplied by the ratio of Birge (Physical Review 40, 1932, 207), see `widening`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.break_even import ABOVE, BELOW, NO_SPEND, UNCLEAR
from ihc.analysis.reporting import ratio, total_name
from ihc.arrays.types import Floats, Integers
from ihc.errors import InputError
from ihc.experiments.results import COLUMNS, ORDERS, REVENUE, check_days
from ihc.models.incremental import ANYWAY
from ihc.schemas.tables import inside, require_columns

OF_SPEND = (0.5, 0.5)
OF_REVENUE = (0.25, 0.25)
SPREADS = np.linspace(0.1, 3, 30)  # the values of τ
USUAL_SPREAD = 0.6  # τ is half-normal a priori, with this scale
SUMS = ("cost", "ihc", "ihc_revenue")
ROUNDING = 1e-9  # the least squared error / prior variance; below it, equal experiments give a singular matrix
NORMAL_95 = 1.959964  # 97.5 % quantile of the standard normal distribution


class _Points(NamedTuple):
    """What is estimated or measured: the `channel` as a number, and x, one row per point."""

    channel: Integers
    x: Floats


def measured(experiments: pd.DataFrame, days: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Compare the experiments with attribution.

    In: the frame of `load_experiments`; `days`, the `channel_reporting` of all days (`channel_name, date, cost, ihc,
    ihc_revenue`); `summary`, the `channel_summary` of the report's days, with the total in the last row.

    Out: one row per experiment, in their order: `channel_name, kind, start_date, end_date, spend [currency],
    attributed_revenue [currency; of this spend], incremental_revenue [currency], standard_error [currency], ROAS [1;
    attributed], iROAS, iROAS_low, iROAS_high [1; of the experiment alone, with its 95 % confidence interval; NaN
    without spend], agrees [bool; attributed revenue is inside the interval of incremental revenue]`.

    The attributed revenue is that of the channel on the days of the experiment x the spend of the experiment / all
    spend of the channel on these days. If the tables have nothing on these days, the report's days are used.
    Incremental orders are multiplied by the mean attributed revenue per order of the same days.

    Raises InputError for a missing column, for incremental orders of a channel without attributed orders, and as
    `check_days`.
    """
    require_columns(experiments, COLUMNS, "experiments")
    require_columns(days, ("channel_name", "date", *SUMS), "days")
    require_columns(summary, ("channel_name", *SUMS), "summary")
    check_days(experiments, days)
    experiments = experiments.reset_index(drop=True)
    found = [_sums(row, days, summary) for row in experiments.to_dict("records")]
    sums = pd.DataFrame(found, columns=list(SUMS), dtype="float64")
    has_orders = experiments[REVENUE].isna()
    worth = ratio(sums["ihc_revenue"], sums["ihc"]).where(has_orders, 1.0)
    if worth.isna().any():
        row = experiments[worth.isna()].iloc[0]
        raise InputError(
            f"The experiment on {row['channel_name']} from {row['start_date']} has {ORDERS}, but the channel has no "
            f"attributed orders that tell what an order is worth: give {REVENUE}."
        )
    spend = experiments["spend"].fillna(sums["cost"])
    attributed = sums["ihc_revenue"] * ratio(spend, sums["cost"]).fillna(1.0)
    revenue, error = experiments[REVENUE].fillna(experiments[ORDERS]) * worth, experiments["standard_error"] * worth
    margin = NORMAL_95 * error
    return experiments[["channel_name", "kind", "start_date", "end_date"]].assign(
        spend=spend,
        attributed_revenue=attributed,
        incremental_revenue=revenue,
        standard_error=error,
        ROAS=ratio(attributed, spend),
        iROAS=ratio(revenue, spend),
        iROAS_low=ratio(revenue - margin, spend),
        iROAS_high=ratio(revenue + margin, spend),
        agrees=(attributed - revenue).abs() <= margin,
    )


def _sums(experiment: Mapping[Any, Any], days: pd.DataFrame, summary: pd.DataFrame) -> pd.Series[float]:
    """Return the `SUMS` of the channel on the days of the experiment, or on the report's days if there is nothing."""
    is_own = days["channel_name"] == experiment["channel_name"]
    is_own &= inside(days["date"], experiment["start_date"], experiment["end_date"])
    rows = days[is_own]
    if not (rows[list(SUMS)] != 0).any(axis=None):
        rows = summary.iloc[:-1][summary["channel_name"].iloc[:-1] == experiment["channel_name"]]
    sums: pd.Series[float] = rows[list(SUMS)].sum()
    return sums


def widening(evidence: pd.DataFrame) -> pd.Series[float]:
    """Return the factor [1] by which calibration multiplies the standard error of each experiment.

    In: the frame of `measured`. With the iROAS q of the n experiments on a channel, their standard errors e and their
    mean m, weighted by 1 / e^2, it is the ratio of Birge, sqrt(sum((q - m)^2 / e^2) / (n - 1)), where that is above 1.
    It is 1 for a channel with one experiment, and without spend.
    """
    spend = evidence["spend"].where(evidence["spend"] > 0)
    found, weight = ratio(evidence[REVENUE], spend), ratio(spend, evidence["standard_error"]) ** 2
    names = evidence["channel_name"]
    mean = (weight * found).groupby(names).transform("sum") / weight.groupby(names).transform("sum")
    squares = (weight * (found - mean) ** 2).groupby(names).transform("sum")
    others = found.groupby(names).transform("count") - 1
    return ratio(squares, others).clip(lower=1.0).fillna(1.0) ** 0.5


def calibrate(summary: pd.DataFrame, evidence: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Estimate what each channel causes, from its spend, its attributed revenue and the experiments.

    In: `channel_summary` with the total in the last row; the frame of `measured`; `roas` [1]: break-even.

    Out: the channels of `summary`, then ANYWAY, then the total: `channel_name, cost, ihc_revenue [currency], ROAS [1],
    experiments [count], calibrated_revenue, calibrated_revenue_low, calibrated_revenue_high [currency; what the channel
    causes, with its 95 % interval], factor [1; calibrated / attributed revenue; NaN without any], iROAS, iROAS_low,
    iROAS_high [1; NaN without spend], verdict [ABOVE, BELOW, UNCLEAR or NO_SPEND: whether the interval of iROAS is
    above break-even]`. The calibrated revenue of ANYWAY is what is left of the attributed one. It is below 0 if the
    channels cause more than that: an order that needs two of them counts for both.

    Raises InputError for a missing column.
    """
    require_columns(summary, ("channel_name", "cost", "ihc_revenue"), "summary")
    require_columns(evidence, ("channel_name", "spend", "attributed_revenue", REVENUE, "standard_error"), "evidence")
    channels, total = summary.iloc[:-1], summary.iloc[-1]
    names = pd.Index(pd.concat([channels["channel_name"], evidence["channel_name"]]).unique())
    points = _points(channels, names, ("cost", "ihc_revenue"), roas)
    tests = _points(evidence, names, ("spend", "attributed_revenue"), roas)
    error = (evidence["standard_error"] * widening(evidence)).to_numpy("float64")
    mean, sd = _posterior(points, tests, evidence[REVENUE].to_numpy("float64"), error)
    mean[-1] = total["ihc_revenue"] - mean[:-1].sum()
    counts = np.bincount(tests.channel, minlength=len(names))[: len(channels)]
    rows = [*channels["channel_name"], ANYWAY, total_name(channels["channel_name"])]
    table = pd.DataFrame(
        {
            "channel_name": pd.Series(rows, dtype="str"),
            "cost": [*channels["cost"], 0.0, total["cost"]],
            "ihc_revenue": [*channels["ihc_revenue"], 0.0, total["ihc_revenue"]],
            "experiments": [*counts, 0, len(evidence)],
        }
    )
    table.insert(3, "ROAS", ratio(table["ihc_revenue"], table["cost"]))
    table["calibrated_revenue"] = [*mean, total["ihc_revenue"]]
    margin = np.append(NORMAL_95 * sd, np.nan)
    table["calibrated_revenue_low"] = table["calibrated_revenue"] - margin
    table["calibrated_revenue_high"] = table["calibrated_revenue"] + margin
    is_whole = table.index >= len(channels)
    table["factor"] = ratio(table["calibrated_revenue"], table["ihc_revenue"]).mask(is_whole)
    for end in ("", "_low", "_high"):
        table[f"iROAS{end}"] = ratio(table[f"calibrated_revenue{end}"], table["cost"]).mask(is_whole)
    verdict = np.select(
        [is_whole, table["cost"] == 0, table["iROAS_low"] >= roas, table["iROAS_high"] < roas],
        ["", NO_SPEND, ABOVE, BELOW],
        UNCLEAR,
    )
    return table.assign(verdict=pd.array(verdict, dtype="str"))


def _points(frame: pd.DataFrame, channels: pd.Index[str], columns: tuple[str, str], roas: float) -> _Points:
    """Return the points of the rows of a frame. In: its `columns` of spend and attributed revenue."""
    x = frame[list(columns)].to_numpy("float64") * [roas, 1.0]
    return _Points(channels.get_indexer(pd.Index(frame["channel_name"])), x)


def _posterior(points: _Points, tests: _Points, found: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of y of the points, and of their sum in the last place."""
    prior = np.array([OF_SPEND, OF_REVENUE])
    summed = np.vstack([np.eye(len(points.x)), np.ones(len(points.x))])
    off = found - tests.x @ prior[:, 0]
    means, variances, weights = [], [], []
    for spread in SPREADS:
        of_tests = _covariance(tests, tests, prior[:, 1], spread)
        of_tests += np.diag(np.maximum(error**2, ROUNDING * np.diag(of_tests)))
        across = _covariance(points, tests, prior[:, 1], spread)
        gain = np.linalg.solve(of_tests, across.T).T
        covariance = _covariance(points, points, prior[:, 1], spread) - gain @ across.T
        means.append(summed @ (points.x @ prior[:, 0] + gain @ off))
        variances.append(np.einsum("ij,jk,ik->i", summed, covariance, summed))
        likelihood = -0.5 * (np.linalg.slogdet(of_tests)[1] + off @ np.linalg.solve(of_tests, off))
        weights.append(likelihood - 0.5 * (spread / USUAL_SPREAD) ** 2)
    weight = np.exp(np.array(weights) - max(weights))
    weight /= weight.sum()
    mean = weight @ np.array(means)
    variance = weight @ (np.array(variances) + np.array(means) ** 2) - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def _covariance(one: _Points, other: _Points, sd: Floats, spread: float) -> Floats:
    """Return K between the points of two sets."""
    is_same = one.channel[:, None] == other.channel
    made: Floats = one.x * sd**2 @ other.x.T + is_same * spread**2 * (one.x @ other.x.T)
    return made


def calibrated_days(days: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Spread the calibrated revenue over the days, so that each day keeps its revenue.

    In: `channel_reporting` of the report's days, and `calibrate` for them. Out: one row per channel and day, and one
    for ANYWAY and day: `channel_name, date, cost, ihc_revenue, calibrated_revenue [currency]`. A channel has its factor
    x its attributed revenue of the day; without attributed revenue, its share of spend of the day.
    """
    require_columns(days, ("channel_name", "date", "cost", "ihc_revenue"), "days")
    of_channel = table.iloc[:-2].set_index("channel_name")
    by, names = of_channel["ihc_revenue"] > 0, days["channel_name"]
    base = days["ihc_revenue"].where(names.map(by).astype("bool"), days["cost"])
    whole = of_channel["ihc_revenue"].where(by, of_channel["cost"])
    calibrated = base * names.map(ratio(of_channel["calibrated_revenue"], whole)).fillna(0.0)
    rows = days[["channel_name", "date", "cost", "ihc_revenue"]].assign(calibrated_revenue=calibrated)
    sums = rows.groupby("date", sort=True)[["ihc_revenue", "calibrated_revenue"]].sum()
    rest = (sums["ihc_revenue"] - sums["calibrated_revenue"]).rename("calibrated_revenue").reset_index()
    rest = rest.assign(channel_name=ANYWAY, cost=0.0, ihc_revenue=0.0)
    order = np.argsort(pd.concat([rows["date"], rest["date"]]).to_numpy("str"), kind="stable")
    return pd.concat([rows, rest[rows.columns]], ignore_index=True).take(order).reset_index(drop=True)
