"""Ad-hoc analyses: breakdowns, trends, model comparison, lookback windows, cohorts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ihc.analysis.dimension import NO_VALUE, value_texts
from ihc.analysis.periods import PERIODS, period_totals
from ihc.analysis.reporting import by_channel, model_revenue, ratio, session_costs, total_name
from ihc.analysis.sensitivity import IHC
from ihc.arrays.lookup import factorize, get_indexer, isin
from ihc.charts.channels import bars_chart
from ihc.charts.periods import roas_trend_chart
from ihc.errors import InputError
from ihc.exhibits.data import ReportData, attributed
from ihc.exhibits.models import Comparison
from ihc.formatting import counted, dated, fixed, general, listed, percent, shown, some
from ihc.glossary import heading
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.conversion_types import CONVERSION_TYPE, NO_TYPE, types_of
from ihc.schemas.refunds import is_purchase, purchase_indexer, purchases
from ihc.schemas.spend import without_spend_of
from ihc.schemas.tables import CONV, EVENT, has_user, inside, moments

Where = Mapping[str, object]
CUSTOMERS = "customers"
NEW, RETURNING = "new", "returning"
CLICKS = {"last_click": "last_touch", "first_click": "first_touch", "last_non_direct_click": "last_non_direct_touch"}


def by(data: ReportData, column: str, where: Where | None = None) -> Exhibit:
    """Break the report down by a column of sessions or conversions, or by `customers`: new and returning."""
    sessions, conversions = data.tables.sessions, _conversions(data)
    if column == CUSTOMERS:
        return _by_conversion(data, column, customers(conversions), where)
    if column in conversions and column not in sessions:
        return _by_conversion(data, column, conversions[column], where)
    return _by_session(data, column, where)


def _by_session(data: ReportData, column: str, where: Where | None) -> Exhibit:
    if column not in data.tables.sessions:
        there = sorted({*data.tables.sessions.columns, *data.tables.conversions.columns, CUSTOMERS})
        raise InputError(f"No table has a column {column!r}. Available columns: {some(there, 30)}.")
    names = data.names_by(column)
    is_meant = _matching(where, data.tables.sessions, data.alone)
    visits = data.visits.assign(channel_name=names.array)[is_meant]
    visit = data.earned["visit"].to_numpy()
    earned = data.earned.assign(channel_name=names.array.take(visit))[is_meant[visit]]
    frame = by_channel(visits, earned, **data.window)
    return _breakdown(data, column, frame, where)


def _breakdown(data: ReportData, column: str, frame: pd.DataFrame, where: Where | None) -> Exhibit:
    whole, rows = frame.iloc[-1], frame.iloc[:-1]
    best = rows.iloc[int(rows["ROAS"].argmax())] if rows["ROAS"].notna().any() else None
    text = f"Total ROAS is {fixed(whole['ROAS'], 2)}." if pd.notna(whole["ROAS"]) else "There is no spend."
    if best is not None and len(rows) > 1:
        text += f" {shown(best['channel_name'])} has the highest ROAS, {fixed(best['ROAS'], 2)}."
    name = _label(column, frame.columns.drop("channel_name"))
    title = f"Broken down by {heading(column)[0]}{_where(where)}"
    return _broken_down(data, column, frame.rename(columns={"channel_name": name}), "ROAS", title, text)


def _label(column: str, figures: Collection[str]) -> str:
    """Name the column of a breakdown so that it does not clash with a figure."""
    return f"{column} (value)" if column in figures else column


def _broken_down(data: ReportData, column: str, frame: pd.DataFrame, figure: str, title: str, text: str) -> Exhibit:
    """Create a breakdown with values in the first column, the total in the last row, and bars of the `figure`."""
    return Exhibit(
        name=f"by_{column}",
        title=title,
        frame=frame,
        text=text,
        note=data.note,
        draw=partial(bars_chart, frame.iloc[:-1], frame.columns[0], figure),
        shown=lambda: table(frame, has_total=True),
    )


def _by_conversion(data: ReportData, column: str, values: pd.Series[Any], where: Where | None) -> Exhibit:
    """Break orders down by a column of conversions. Their cost is that of the sessions in their journeys."""
    conversions = _conversions(data)
    texts = values.astype("str").where(values.notna(), NO_VALUE)
    is_meant = inside(conversions["conv_date"], **data.window) & _matching(where, conversions)
    orders = conversions.assign(value=texts)[is_meant]
    counted_orders = purchases(orders)
    groups = orders.groupby("value", sort=True)
    frame = pd.DataFrame({"orders": counted_orders.groupby("value").size(), "revenue": groups["revenue"].sum()})
    cost, earlier, other = _cost_of(data, counted_orders)
    spent = cost.groupby(counted_orders["value"].to_numpy()).sum()
    frame = frame.assign(cost=spent).fillna({"orders": 0, "cost": 0.0})
    name = _label(column, [*frame.columns, "share_of_cost", "CPO", "ROAS"])
    frame = frame.rename_axis(name).reset_index().sort_values("revenue", ascending=False, ignore_index=True)
    whole = {name: total_name(frame[name]), **frame[["orders", "revenue", "cost"]].sum()}
    frame = pd.concat([frame, pd.DataFrame([whole])], ignore_index=True).astype({"orders": "int64"})
    frame = frame.assign(
        share_of_cost=ratio(frame["cost"], frame["cost"] * 0 + whole["cost"]),
        CPO=ratio(frame["cost"], frame["orders"].astype("float64")),
        ROAS=ratio(frame["revenue"], frame["cost"]),
    )
    text = (
        "Spend is the cost of the sessions in the journeys of these orders, on any date. The cost of a session in "
        f"several journeys is split equally. {fixed(earlier, 2)} of this spend is outside these dates. Another "
        f"{fixed(other, 2)} was spent within these dates on sessions that led to none of these orders."
    )
    if data.spend_alone:
        text += f" Daily spend without a session: {fixed(data.spend_alone, 2)}."
    title = f"Orders broken down by {column}{_where(where)}"
    return _broken_down(data, column, frame, "CPO", title, text)


def _conversions(data: ReportData) -> pd.DataFrame:
    """Return the conversions; a refund has the conversion type of its order."""
    conversions = data.tables.conversions
    if CONVERSION_TYPE not in conversions:
        return conversions
    types = types_of(conversions)
    return conversions.assign(conversion_type=types.where(types != NO_TYPE))


def _cost_of(data: ReportData, orders: pd.DataFrame) -> tuple[pd.Series[float], float, float]:
    """Return the cost [currency] of each journey, the part of it outside the dates, and the remaining cost inside."""
    cost = session_costs(data.tables.sessions, data.tables.costs)
    pairs = data.credited.loc[isin(data.credited["conv_id"], orders["conv_id"]), ["conv_id", "session_id"]]
    visit = get_indexer(pairs["session_id"], data.tables.sessions["session_id"])
    journeys_with = np.bincount(visit, minlength=len(cost))
    shares = cost.to_numpy()[visit] / journeys_with[visit]
    place = get_indexer(pairs["conv_id"], orders["conv_id"])
    of_orders = pd.Series(np.bincount(place, shares, minlength=len(orders)))
    is_dated = inside(data.tables.sessions["event_date"], **data.window)
    earlier, other = cost[(journeys_with > 0) & ~is_dated].sum(), cost[(journeys_with == 0) & is_dated].sum()
    return of_orders, float(earlier), float(other)


def customers(conversions: pd.DataFrame) -> pd.Series[str]:
    """Classify each conversion as by a new customer, or by one with an earlier order; NaN without a user.

    A refund counts as its order.
    """
    at = moments(conversions, CONV)
    first = at.where(is_purchase(conversions)).groupby(factorize(conversions["user_id"])).transform("min")
    kinds = pd.Series(np.where(at > first, RETURNING, NEW), index=conversions.index, dtype="str")
    kinds = kinds.where(has_user(conversions))
    return kinds.take(purchase_indexer(conversions)).set_axis(conversions.index)


def trend(data: ReportData, unit: str = "week", channel: str | None = None) -> Exhibit:
    """Spend, attributed revenue and ROAS by day, week or month, for one channel or all."""
    rows = data.rows
    if channel is not None:
        names = rows["channel_name"].unique()
        if channel not in names:
            raise InputError(
                f"No session or spend on these dates has the channel {channel!r}. "
                f"Available channels: {some(sorted(names), 20)}."
            )
        rows = rows[rows["channel_name"] == channel]
    frame = period_totals(rows, unit)
    column = PERIODS[unit]
    young = data.ages.loc[data.ages["is_immature"], "date"]
    first = dated(young.min()) if len(young) else ""
    known = frame.dropna(subset=["ROAS"])
    text = "There is no spend."
    if len(known):
        first_known, last_known = known.iloc[0], known.iloc[-1]
        text = (
            f"ROAS was {fixed(first_known['ROAS'], 2)} in the first {unit} ({dated(first_known[column])}) and "
            f"{fixed(last_known['ROAS'], 2)} in the last ({dated(last_known[column])})."
        )
    text += f" Days from {first} on are incomplete because of conversion lag." if first else ""
    return Exhibit(
        name=f"trend_by_{unit}",
        title=f"{shown(channel) if channel else 'All channels'} by {unit}",
        frame=frame,
        text=text,
        note=data.note,
        draw=partial(roas_trend_chart, frame, column, data.options.break_even_roas),
    )


def compare(compared: Comparison, *models: str, where: Where | None = None) -> Exhibit:
    """Compare attributed revenue and ROAS under the given models with IHC."""
    data = compared.data
    chosen = [_model_of(name, compared) for name in models] or [*compared.chosen]
    chosen = [IHC, *(name for name in dict.fromkeys(chosen) if name != IHC)]
    sessions, credited = data.tables.sessions, data.credited
    is_inside = inside(data.visits["date"], **data.window)
    is_meant = np.asarray(_matching(where, sessions, data.alone) & is_inside, dtype="bool")
    visit = get_indexer(credited["session_id"], sessions["session_id"])
    credits = {name: credited if name == IHC else compared.chosen[name](credited) for name in chosen}
    revenue = model_revenue(credited.assign(channel_name=credited["reported_as"]), credits)[is_meant[visit]]
    cost = data.visits[is_meant].groupby("channel_name")["cost"].sum()
    frame = pd.DataFrame({"cost": cost, **revenue.groupby("channel_name")[chosen].sum()})
    frame = frame.fillna(0.0).rename_axis("channel_name").reset_index()
    frame = frame.sort_values(IHC, ascending=False, ignore_index=True)
    for name in chosen:
        frame[f"ROAS {name}"] = ratio(frame[name], frame["cost"])
    totals = frame[chosen].sum()
    text = "; ".join(f"{name} {fixed(totals[name], 2)}" for name in chosen)
    return Exhibit(
        name="compare_" + "_".join(name.lower().replace(" ", "_") for name in chosen),
        title=f"Attributed revenue: {', '.join(chosen)}{_where(where)}",
        frame=frame,
        text=f"Attributed revenue: {text}.",
        note=data.note,
        draw=partial(bars_chart, frame, "channel_name", *chosen),
    )


def _model_of(name: str, compared: Comparison) -> str:
    known = {_plain(each): each for each in (IHC, *compared.chosen)}
    wanted = CLICKS.get(_plain(name), _plain(name))
    if wanted not in known:
        raise InputError(f"There is no model {name!r}. Available models: {some(list(known), 20)}.")
    return known[wanted]


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")


def lookbacks(data: ReportData, *days: float) -> Exhibit:
    """Attributed revenue and ROAS with other lookback windows [days], calculated by the local engine."""
    if not days:
        raise InputError("Give the lookback windows in days, such as 7 and 30.")
    days = tuple(dict.fromkeys(map(float, days)))
    columns, notes = [], []
    for each in days:
        settings = replace(data.settings, lookback_days=each)
        other = ReportData(settings, attributed(settings, data.tables))
        figures = other.summary.set_index("channel_name")[["ihc_revenue", "ROAS"]]
        columns.append(figures.add_suffix(f" {each:g} days"))
        lost = _unattributed(other, purchases(data.orders)["conv_id"])
        notes.append(f"{fixed(lost)} with {general(each)} days")
    frame = pd.concat(columns, axis=1).rename_axis("channel_name").reset_index()
    return Exhibit(
        name="lookbacks",
        title=f"Lookback window: {' and '.join(map(general, days))} days",
        frame=frame,
        text=f"Untracked orders by lookback window: {'; '.join(notes)}.",
        draw=partial(bars_chart, frame.iloc[:-1], "channel_name", *(f"ihc_revenue {each:g} days" for each in days)),
        shown=lambda: table(frame, has_total=True),
    )


def without_channel(data: ReportData, *channels: str) -> Exhibit:
    """Recalculate the report without the sessions of some channels, with the local engine."""
    if not channels:
        raise InputError("Give the channels to leave out, such as 'Direct'.")
    known = data.tables.sessions["channel_name"].unique()
    if missing := [name for name in channels if name not in known]:
        raise InputError(f"No session has the channel {some(missing)}. Available channels: {some(sorted(known), 20)}.")
    before = ReportData(data.settings, attributed(data.settings, data.tables))
    sessions = data.tables.sessions
    left = data.tables._replace(
        sessions=sessions[~sessions["channel_name"].isin(list(channels))],
        costs=without_spend_of(data.tables.costs, channels),
    )
    after = ReportData(data.settings, attributed(data.settings, left))
    total = before.summary["channel_name"].iloc[-1]
    sides = []
    for each in (before, after):
        rows = each.summary.assign(channel_name=[*each.summary["channel_name"].iloc[:-1], total])
        sides.append(rows.set_index("channel_name")[["ihc_revenue", "ROAS"]])
    frame = sides[0].add_suffix("_before").join(sides[1].add_suffix("_after"), how="left")
    frame = frame.fillna({"ihc_revenue_after": 0.0}).rename_axis("channel_name").reset_index()
    orders = purchases(data.orders)["conv_id"]
    lost = _unattributed(after, orders) - _unattributed(before, orders)
    names = listed([shown(name) for name in channels])
    share = percent(lost / len(orders) if len(orders) else 0)
    text = (
        f"{fixed(lost)} of {counted(len(orders), 'order')} ({share}) "
        f"would be untracked without {names}, because {'it has' if lost == 1 else 'they have'} no other session."
    )
    return Exhibit(
        name="without_channels",
        title=f"Without {names}",
        frame=frame,
        text=text,
        draw=partial(bars_chart, frame.iloc[:-1], "channel_name", "ihc_revenue_before", "ihc_revenue_after"),
        shown=lambda: table(frame, has_total=True),
    )


def _unattributed(data: ReportData, orders: pd.Series[str]) -> int:
    outcomes = data.results.outcomes
    return int((outcomes.loc[isin(outcomes["conv_id"], orders), "outcome"] == "unattributed").sum())


def cohorts(data: ReportData) -> Exhibit:
    """Customers by the channel of their first session: orders and revenue per customer."""
    orders = purchases(data.orders)
    sessions = data.sessions[isin(data.sessions["user_id"], orders["user_id"])]
    at = moments(sessions, EVENT)
    by_time = sessions.assign(_at=at).sort_values(["_at", "session_id"]).drop_duplicates("user_id")
    place = get_indexer(orders["user_id"], by_time["user_id"])
    names = np.append(by_time["channel_name"].to_numpy(object), "(no session)")[place]
    groups = orders.assign(channel_name=pd.array(names, dtype="str")).groupby("channel_name")
    frame = groups.agg(customers=("user_id", "nunique"), orders=("conv_id", "size"), revenue=("revenue", "sum"))
    frame = frame.sort_values("revenue", ascending=False).reset_index()
    people = frame["customers"].astype("float64")
    frame = frame.assign(
        orders_per_customer=ratio(frame["orders"].astype("float64"), people),
        revenue_per_customer=ratio(frame["revenue"], people),
    )
    text = "There are no orders of known customers on these dates."
    if frame["revenue_per_customer"].notna().any():
        best = frame.iloc[int(frame["revenue_per_customer"].argmax())]
        text = (
            f"Customers with a first session from {shown(best['channel_name'])} have the highest revenue per "
            f"customer, {fixed(best['revenue_per_customer'], 2)}."
        )
    return Exhibit(
        name="cohorts",
        title="Customers by first channel",
        frame=frame,
        text=f"{text} Revenue is before refunds. The first session can be on any date in the tables.",
        draw=partial(bars_chart, frame, "channel_name", "revenue_per_customer"),
    )


def buyers(data: ReportData, who: str) -> pd.DataFrame:
    """Select the journeys of the dates' orders by `new` or `returning` customers."""
    if who not in (NEW, RETURNING):
        raise InputError(f"Customers are {NEW} or {RETURNING}, not {who!r}.")
    conversions = data.tables.conversions
    ids = conversions.loc[customers(conversions) == who, "conv_id"]
    return data.shown_journeys[isin(data.shown_journeys["conv_id"], ids)].reset_index(drop=True)


def _matching(where: Where | None, *frames: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a mask of the rows with the given values. In: `frames` with the same columns; the mask is for all rows."""
    mask = np.ones(sum(map(len, frames)), dtype=bool)
    for column, value in (where or {}).items():
        if column not in frames[0]:
            raise InputError(f"There is no column {column!r}. Available columns: {some(list(frames[0].columns), 20)}.")
        is_meant = np.zeros(len(mask), dtype=bool)
        for each in _several(column, value):
            is_equal = np.concatenate([_equals(frame[column], each) for frame in frames])
            if not is_equal.any():
                values = sorted({text for frame in frames for text in frame[column].dropna().astype("str").unique()})
                raise InputError(f"No row has {each!r} in column {column!r}. Available values: {some(values, 20)}.")
            is_meant |= is_equal
        mask &= is_meant
    return mask


def _several(column: str, value: object) -> list[object]:
    """The wanted values, each once: a single one, or those of a list, a set or a Series."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return [value]
    values = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    if not values:
        raise InputError(f"No value is given for the column {column!r}: give one, or leave the column out.")
    return list(dict.fromkeys(values))


def _equals(values: pd.Series[Any], value: object) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if value == NO_VALUE:
        return values.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and isinstance(value, int | float):
        return (values == value).to_numpy()
    return (value_texts(values) == str(value)).to_numpy()


def _where(where: Where | None) -> str:
    chosen = {column: " or ".join(map(str, _several(column, value))) for column, value in (where or {}).items()}
    filters = "; ".join(f"{heading(column)[0]}: {values}" for column, values in chosen.items())
    return f" ({filters})" if filters else ""
