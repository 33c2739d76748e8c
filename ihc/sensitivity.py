"""Does the model matter? The same orders under other models, lookbacks and redistributions: what holds, what does not.

All reasonable settings are tried, and what is said of a channel is asked of each: a multiverse analysis. Source:
Steegen, Tuerlinckx, Gelman, Vanpaemel (2016), Increasing transparency through a multiverse analysis, Perspectives on
Psychological Science 11(5), 702-712.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.errors import InputError
from ihc.redistribution import Redistribution
from ihc.refunds import is_order, of_orders
from ihc.reporting import MATERIAL, ratio
from ihc.schemas import check_window, require_columns
from ihc.touchpoints import Integers, channel_codes, in_time_order
from ihc.variants import AS_IS, LOOKBACKS, Booleans, Floats, Variant, aligned, is_within

SETTINGS = {"model": "model", "lookback": "lookback_days", "redistribution": "redistribution"}  # and their columns
COLUMNS = (
    "lookback_days",
    "model",
    "redistribution",
    "channel_name",
    "orders",
    "ihc",
    "ihc_revenue",
    "cost",
    "ROAS",
    "rank",
)
STABLE, MOVES, CROSSES = "stable", "changes rank", "crosses break-even"
STEADY = 1  # a channel that moves by so many places still keeps its rank
REPORTED_AS = "reported_as"
DIGITS = 9  # ROAS that differ further behind differ by rounding only


class _Rows(NamedTuple):
    """Journeys in time order, keys as numbers; the numbers of their channels, and whether their day is reported."""

    journeys: pd.DataFrame
    channel: Integers
    is_reported: Booleans

    def within(self, lookback_days: float | None) -> _Rows:
        keep = is_within(self.journeys, lookback_days)
        return _Rows(self.journeys[keep], self.channel[keep], self.is_reported[keep])


def sensitivity(
    journeys: pd.DataFrame,
    costs: pd.DataFrame,
    models: Mapping[str, Variant],
    lookbacks: Sequence[float | None] = LOOKBACKS,
    redistributions: Mapping[str, Redistribution | None] | None = None,
    window: Mapping[str, str | date | None] | None = None,
) -> pd.DataFrame:
    """Compute each channel's ROAS under each combination of lookback, model and redistribution, a cell each.

    In: `journeys` of `build_journeys` with the run's own lookback, and, where the report's rows are no channels, the
    column `reported_as` with what stands in their place; `costs` (`channel_name, cost [currency]`) of the
    reported days, as in `channel_summary` without its total; `models` as of `variants_of`; `lookbacks` [days; None as
    the journeys are]; `redistributions` by name, the run's own first [default: none]; `window`: `start_date` and
    `end_date` of the reported days, whose sessions alone earn. With the journeys of all credited orders, the cell of
    the run's own settings has the ROAS of `channel_summary`.

    Out: a row a cell and channel, channels in the order of `costs`: `lookback_days [NaN: None], model, redistribution,
    channel_name, orders [count; those that have a journey in this cell], ihc [orders], ihc_revenue, cost [currency],
    ROAS [1], rank [1 the highest ROAS of the cell's channels with at least 1 % of all cost; NaN for the others]`. The
    revenue of an order without a session in the lookback is not attributed.

    Raises InputError for a missing column, a wrong lookback, no setting to try, or a model that leaves rows out.
    """
    require_columns(costs, ("channel_name", "cost"), "costs")
    rules = {AS_IS: None} if redistributions is None else redistributions
    if not (models and lookbacks and rules):
        raise InputError("sensitivity needs at least one model, one lookback and one redistribution.")
    rows, frame = _numbered(journeys, costs, window)
    tables = []
    for days in dict.fromkeys(lookbacks):
        part = rows.within(days)
        orders = int(of_orders(part.journeys)["conv_id"].nunique())
        for (name, model), (label, rule) in product(models.items(), rules.items()):
            values = aligned(model(part.journeys, rule), part.journeys, f"credits of {name}")
            setting = {"lookback_days": days, "model": name, "redistribution": label, "orders": orders}
            tables.append(_cell(frame, part, values).assign(**setting))
    return pd.concat(tables, ignore_index=True).astype({"lookback_days": "float64"})[list(COLUMNS)]


def _numbered(
    journeys: pd.DataFrame, costs: pd.DataFrame, window: Mapping[str, str | date | None] | None
) -> tuple[_Rows, pd.DataFrame]:
    """The journeys with numbers for keys, on which the models are twice as fast, and the channels with their cost."""
    points = in_time_order(journeys, "channel_name", "revenue", "conv_timestamp")
    rows = journeys.take(points.row).assign(conv_id=points.path, session_id=np.arange(len(journeys)))
    codes, names = channel_codes(rows[REPORTED_AS if REPORTED_AS in rows else "channel_name"])
    channels = costs[["channel_name", "cost"]].astype({"channel_name": "str"})
    others = names[~names.isin(channels["channel_name"])].to_frame().assign(cost=0.0)
    channels = pd.concat([channels, others], ignore_index=True)
    place = pd.Index(channels["channel_name"]).get_indexer(pd.Index(names))
    return _Rows(rows, place[codes], _is_reported(rows["timestamp"], **(window or {}))), channels


def _is_reported(
    times: pd.Series[Any], start_date: str | date | None = None, end_date: str | date | None = None
) -> Booleans:
    start, end = check_window(start_date, end_date)
    mask = pd.Series(True, index=times.index)
    if start:
        mask &= times >= pd.Timestamp(start)
    if end:
        mask &= times < pd.Timestamp(end) + pd.Timedelta(days=1)
    return mask.to_numpy(dtype=bool)


def _cell(channels: pd.DataFrame, rows: _Rows, values: Floats) -> pd.DataFrame:
    """What each channel earns under one setting, its ROAS and its rank."""
    values = np.where(rows.is_reported, values, 0.0)
    worth = values * rows.journeys["revenue"].to_numpy()
    credit = np.where(is_order(rows.journeys), values, 0.0)
    sums = [_by_channel(rows.channel, weights, len(channels)) for weights in (credit, worth)]
    table = channels.assign(ihc=sums[0], ihc_revenue=sums[1])
    table["ROAS"] = ratio(table["ihc_revenue"], table["cost"])
    is_material = table["cost"] / (table["cost"].sum() or np.nan) >= MATERIAL
    comparable = table["ROAS"].where(is_material).round(DIGITS)
    return table.assign(rank=comparable.rank(ascending=False, method="min"))


def _by_channel(channel: Integers, weights: Floats, count: int) -> Floats:
    # Without any row, numpy counts in whole numbers.
    return np.bincount(channel, weights=weights, minlength=count).astype("float64")


def fragile_channels(grid: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Say of each channel that matters whether its rank, or its side of break-even, depends on the settings.

    In: `sensitivity`; its first cell is the base that the others are compared with. `roas` [1]: break-even.

    Out: the channels with at least 1 % of all cost, by falling revenue in the base: `channel_name, ROAS [1; base],
    ROAS_low, ROAS_high [1; of all cells], rank [base], rank_best, rank_worst, cells_above [share of cells with at
    least `roas`], stability`: `crosses break-even`, else `changes rank` by more than one place from the base, else
    `stable`.
    """
    matter = grid[grid["rank"].notna()]
    above = is_above(matter, roas)
    table = matter.assign(above=above).groupby("channel_name", sort=False).agg(
        ROAS_low=("ROAS", "min"),
        ROAS_high=("ROAS", "max"),
        rank_best=("rank", "min"),
        rank_worst=("rank", "max"),
        cells_above=("above", "mean"),
    )  # fmt: skip
    base = matter[cell_numbers(matter) == 0].sort_values("ihc_revenue", ascending=False, kind="stable")
    table = base[["channel_name", "ROAS", "rank"]].merge(table, on="channel_name")
    moves = pd.concat([table["rank"] - table["rank_best"], table["rank_worst"] - table["rank"]], axis=1).max(axis=1)
    crosses = table["cells_above"].between(0, 1, inclusive="neither")
    stabilities = np.select([crosses, moves > STEADY], [CROSSES, MOVES], default=STABLE)
    ordered = ["channel_name", "ROAS", "ROAS_low", "ROAS_high", "rank", "rank_best", "rank_worst", "cells_above"]
    return table[ordered].assign(stability=pd.array(stabilities, dtype="str"))


def is_above(grid: pd.DataFrame, roas: float) -> pd.Series[bool]:
    """Does each row reach break-even? What differs by rounding only does not decide it."""
    return grid["ROAS"].round(DIGITS) >= round(roas, DIGITS)


def cell_numbers(grid: pd.DataFrame) -> pd.Series[int]:
    """The number of each row's cell, from 0, in the order in which they come."""
    return grid.groupby(list(SETTINGS.values()), sort=False, dropna=False).ngroup()


def single_changes(grid: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Say what changes where one setting alone is another than in the base, the first cell of `sensitivity`.

    Out: a row a setting: `setting [model, lookback, redistribution], tried [count of its other values],
    channels_crossing [count; those on the other side of break-even, `roas`, under any of these], channels_moving
    [count; those that move by more than one place under any of these]`.
    """
    matter = grid[grid["rank"].notna()]
    matter = matter.assign(above=is_above(matter, roas), cell=cell_numbers(matter))
    base = matter[matter["cell"] == 0].set_index("channel_name")
    other = {name: pd.factorize(matter[column], use_na_sentinel=False)[0] > 0 for name, column in SETTINGS.items()}
    rows = []
    for name in other:
        alone = matter[other[name] & (np.sum(list(other.values()), axis=0) == 1)]
        crossing = alone["above"] != alone["channel_name"].map(base["above"])
        moving = (alone["rank"] - alone["channel_name"].map(base["rank"]).astype("float64")).abs() > STEADY
        counts = [alone.loc[mask, "channel_name"].nunique() for mask in (crossing, moving)]
        rows.append((name, alone["cell"].nunique(), *counts))
    return pd.DataFrame(rows, columns=["setting", "tried", "channels_crossing", "channels_moving"])
