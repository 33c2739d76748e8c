"""Explain the difference between two reports, per channel and by cause.

The parts per cause add up to the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.dimension import MOST_ROWS, others
from ihc.analysis.reporting import ratio, shares_of, total_name
from ihc.arrays.lookup import isin, lookup
from ihc.arrays.sums import sum_by, sums, total
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.database.database import Database
from ihc.database.history import (
    PLACE,
    RecordedRun,
    RowChanges,
    State,
    noted,
    read_state,
    record,
    recorded_runs,
)
from ihc.database.tables import Run
from ihc.formatting import CENT, engine_name
from ihc.schemas.refunds import purchases
from ihc.schemas.tables import Window, inside

EQUAL = 1e-9  # smaller differences come from the order of summation
CELL = ["conv_id", "channel_name", "date"]
EVER: Window = (None, None)
# The causes of a difference in attributed revenue.
NEW, GONE, OTHER_SETTINGS, LATE = "new_orders", "gone_orders", "other_settings", "late_sessions"
ANEW, CORRECTED, DATES, REFUNDED = "computed_anew", "revenue_corrected", "other_dates", "refunds"
CAUSES = {
    NEW: "new orders",
    GONE: "removed orders",
    REFUNDED: "refunds",
    LATE: "late or changed sessions",
    OTHER_SETTINGS: "other engine or settings",
    ANEW: "same sessions, recalculated",
    CORRECTED: "corrected order values",
    DATES: "other dates",
}
PLACES = {cause: place for place, cause in enumerate(CAUSES)}
NOISE = 1e-6  # [currency] smaller amounts are floating-point noise
MOST_BARS = 12  # channels in a chart, including the one for all others


def state_of(earned: pd.DataFrame, outcomes: pd.DataFrame, reporting: pd.DataFrame) -> State:
    """Collect the data behind a report, so that later reports can be compared with it.

    In: `conversion_credits` over all days, the stored `outcomes` (`conv_id, engine, parameters, lookback_days`), and
    `channel_reporting`; rows in any order.
    """
    conversion, ids = pd.factorize(earned["conv_id"])
    is_first = ~pd.Series(conversion).duplicated().to_numpy()
    orders = pd.DataFrame({"conv_id": pd.Series(ids, dtype="str"), "revenue": earned["revenue"].to_numpy()[is_first]})
    orders["sessions"] = _fingerprints(earned, conversion)
    # For an order with several outcomes, the last one is used.
    sources = outcomes[["conv_id"]].assign(source=_sources(outcomes)).iloc[::-1]
    orders["source"] = lookup(orders["conv_id"], sources, "conv_id", "source").astype("str").fillna("unknown")
    credits, cell = _cells(earned, CELL)
    credits["ihc"] = sums(cell, np.asarray(shares_of(earned), dtype="float64"), len(credits))
    credits = credits[credits["ihc"] != 0].reset_index(drop=True)
    costs = reporting.loc[reporting["cost"] != 0, [*PLACE, "cost"]]
    return State(orders, credits.astype(dict.fromkeys(CELL, "str")), costs.reset_index(drop=True))


def _fingerprints(earned: pd.DataFrame, conversion: Integers) -> Integers:
    """Return one hash per order of its sessions, their channels and days, independent of their order."""
    hashes = pd.util.hash_pandas_object(earned[["session_id", *PLACE]], index=False, categorize=False)
    # Unsigned sums wrap around; databases keep signed numbers.
    return hashes.groupby(conversion).sum().to_numpy("uint64").view("int64")


def _sources(outcomes: pd.DataFrame) -> pd.Series[str]:
    """Name the engine of each outcome and its settings."""
    settings = ["engine", "parameters", "lookback_days"]
    kind = outcomes.groupby(settings, dropna=False, sort=False).ngroup().to_numpy()
    kinds = outcomes[settings].drop_duplicates()
    labels = [
        f"{engine_name(row)}, {'sessions of any age' if pd.isna(days) else f'lookback {days:g} days'}"
        for row, days in zip(kinds.itertuples(), kinds["lookback_days"], strict=True)
    ]
    return pd.Series(labels, dtype="str").take(kind).set_axis(outcomes.index)


def _cells(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, Integers]:
    """Return the distinct combinations of `keys`, as categories, and the combination of each row."""
    codes, found = zip(*(pd.factorize(frame[key]) for key in keys), strict=True)
    names = [pd.Index(entries).astype("str") for entries in found]
    shape = [max(len(entries), 1) for entries in names]
    cells, cell = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    columns = zip(keys, np.unravel_index(cells, shape), names, strict=True)
    return pd.DataFrame({key: pd.Categorical.from_codes(place, entries) for key, place, entries in columns}), cell


def _side_by_side(before: pd.DataFrame, after: pd.DataFrame, keys: list[str], figure: str) -> pd.DataFrame:
    """Put a figure of two frames side by side.

    Out: one row per combination of `keys` [categories] in either frame, with `before` and `after`; 0 if it is missing.
    """
    table, cell = _cells(pd.concat([before[keys], after[keys]], ignore_index=True), keys)
    for name, frame, part in (("before", before, cell[: len(before)]), ("after", after, cell[len(before) :])):
        table[name] = sums(part, frame[figure].to_numpy("float64"), len(table))
    return table


def _conversions_side_by_side(before: State, after: State) -> pd.DataFrame:
    """Put the orders of two states side by side.

    Out: by `conv_id`: `revenue_before, revenue_after [currency; NaN: missing], has_other_source, has_other_sessions
    [bool]`.
    """
    was, now = before.orders.set_index("conv_id"), after.orders.set_index("conv_id")
    ids = was.index.append(now.index[~isin(after.orders["conv_id"], before.orders["conv_id"])])
    return pd.DataFrame(
        {
            "revenue_before": was["revenue"].reindex(ids),
            "revenue_after": now["revenue"].reindex(ids),
            "has_other_source": was["source"].reindex(ids) != now["source"].reindex(ids),
            "has_other_sessions": was["sessions"].reindex(ids, fill_value=0)
            != now["sessions"].reindex(ids, fill_value=0),
        }
    )


def changed_rows(before: State, after: State) -> RowChanges:
    """Find the orders and costs that differ.

    An order is closed and opened as a whole, with all of its credit.
    """
    orders = _conversions_side_by_side(before, after)
    is_other = orders["has_other_source"] | orders["has_other_sessions"]
    is_other |= orders["revenue_before"] != orders["revenue_after"]  # also if one is missing
    cells = _side_by_side(before.credits, after.credits, CELL, "ihc")
    moved = cells.loc[(cells["after"] - cells["before"]).abs() > EQUAL, "conv_id"].cat.remove_unused_categories()
    changed = orders.index[is_other | isin(orders.index.to_series(), moved.cat.categories.to_series())]
    costs = _side_by_side(before.costs, after.costs, PLACE, "cost").astype(dict.fromkeys(PLACE, "str"))
    costs = costs[~np.isclose(costs["before"], costs["after"], rtol=EQUAL, atol=0)]
    new_costs = costs.loc[costs["after"] != 0, [*PLACE, "after"]].rename(columns={"after": "cost"})
    closed, opened, credits = (
        frame[isin(frame["conv_id"], changed.to_series())] for frame in (before.orders, after.orders, after.credits)
    )
    return RowChanges(
        closed_orders=closed["conv_id"],
        closed_costs=costs.loc[costs["before"] != 0, PLACE],
        opened=State(opened, credits, new_costs),
    )


def totals(state: State, window: Window = EVER) -> dict[str, float]:
    """Sum a report over its days.

    Out: `orders [count; with credit on these days], ihc [orders], ihc_revenue, cost [currency]`.
    """
    credits = state.credits[inside(state.credits["date"], *window)]
    revenue = lookup(credits["conv_id"], state.orders, "conv_id", "revenue").astype("float64")
    orders = purchases(credits.assign(revenue=revenue))
    return {
        "orders": int(orders["conv_id"].nunique()),
        "ihc": total(orders["ihc"]),
        "ihc_revenue": total(credits["ihc"] * revenue),
        "cost": total(state.costs.loc[inside(state.costs["date"], *window), "cost"]),
    }


class Changes(NamedTuple):
    """Two reports compared: `channels`, one row per channel and a total; `causes`, one row per cause. See `compare`."""

    channels: pd.DataFrame
    causes: pd.DataFrame


def compare(before: State, after: State, before_window: Window = EVER, after_window: Window = EVER) -> Changes:
    """Break down the difference between two reports by cause.

    In: the states, and the days (first, last; inclusive, None: open) of each report.

    Out: `channels`, the largest change of attributed revenue first, the total in the last row: `channel_name,
    ihc_revenue_before`, one column per cause, which add up to the difference, `ihc_revenue_after, cost_before,
    cost_change [on days of both reports], cost_dates [on days of one report], cost_after [currency], ROAS_before,
    ROAS_after [1; NaN without cost]`.

    `causes`, those that occur, the one that moved most first: `cause`, `orders [count, including refunds; an order can
    count under several causes]`, `ihc_revenue_change [currency; net]`, `shifted [currency; moved between channels]`.

    Differences on days that only one report shows have the cause `other_dates`. On all other days, an order gets the
    first cause that applies: a refund in one state only; an order in one state only; other settings; other sessions;
    otherwise it was recomputed. Other settings precede other sessions: they alone would have moved credit of every
    affected order, and the share of the sessions cannot be derived from the stored data. If an order's revenue was
    corrected, its earlier credit times the difference belongs to `revenue_corrected`, so that the other causes only
    move credit.
    """
    cells = _cells_by_cause(before, after, before_window, after_window)
    names = cells["channel_name"].cat.categories
    channel, cause = (np.asarray(each, dtype=np.int64) for each in (cells["channel_name"].cat.codes, cells["cause"]))
    place = channel * len(CAUSES) + cause
    parts = sums(place, cells["rest"].to_numpy(), len(names) * len(CAUSES)).reshape(-1, len(CAUSES))
    parts[:, PLACES[CORRECTED]] += sums(channel, cells["correction"].to_numpy(), len(names))
    table = pd.DataFrame(parts, index=pd.Index(names, dtype="str"), columns=list(CAUSES))
    table.insert(0, "ihc_revenue_before", sums(channel, cells["before"].to_numpy(), len(names)))
    table["ihc_revenue_after"] = sums(channel, cells["after"].to_numpy(), len(names))
    table = table.join(_cost_changes(before.costs, after.costs, before_window, after_window), how="outer").fillna(0.0)
    return Changes(_with_total(table[(table != 0).any(axis=1)]), _causes(parts, cells))


def _cells_by_cause(before: State, after: State, before_window: Window, after_window: Window) -> pd.DataFrame:
    """Return one row per order, channel and day: its revenue `before` and `after`, and the cause of the difference.

    The difference is `correction [due to the order's revenue]` + `rest [due to the cause]`, all [currency].
    `is_corrected` and `is_touched` [bool]: the order counts under corrected revenue, and under its `cause`.
    """
    cells = _side_by_side(before.credits, after.credits, CELL, "ihc")
    order = cells["conv_id"].cat.codes.to_numpy("int64")
    orders = _conversions_side_by_side(before, after).loc[cells["conv_id"].cat.categories]
    had, has = (orders[f"revenue_{side}"].fillna(0.0).to_numpy()[order] for side in ("before", "after"))
    was_shown, is_shown = (_shown(cells["date"], window) for window in (before_window, after_window))
    of_order = _cause_of(orders)[order]
    cause = np.where(was_shown == is_shown, of_order, PLACES[DATES])
    old, new = cells["before"].to_numpy() * was_shown, cells["after"].to_numpy() * is_shown
    is_kept = was_shown & is_shown & ~np.isin(of_order, [PLACES[NEW], PLACES[GONE], PLACES[REFUNDED]])
    correction = np.where(is_kept, old * (has - had), 0.0)
    has_credit = (old != 0) | (new != 0)
    return cells[["channel_name"]].assign(
        order=order,
        before=old * had,
        after=new * has,
        correction=correction,
        rest=new * has - old * had - correction,
        cause=cause,
        is_corrected=is_kept & (had != has) & (old != 0),
        is_touched=has_credit & ((cause != PLACES[ANEW]) | (np.abs(new - old) > EQUAL)),
    )


def _cause_of(orders: pd.DataFrame) -> Integers:
    """Return the first cause that applies, as a position in CAUSES. In: the frame of `_conversions_side_by_side`."""
    is_refund = (orders[["revenue_before", "revenue_after"]] < 0).any(axis=1)
    tests = {
        REFUNDED: is_refund & orders[["revenue_before", "revenue_after"]].isna().any(axis=1),
        NEW: orders["revenue_before"].isna(),
        GONE: orders["revenue_after"].isna(),
        OTHER_SETTINGS: orders["has_other_source"],
        LATE: orders["has_other_sessions"],
    }
    return np.select(list(tests.values()), [PLACES[cause] for cause in tests], default=PLACES[ANEW]).astype("int64")


def _shown(days: pd.Series[Any], window: Window) -> Booleans:
    """Mark the rows of a categorical column whose day is in the report."""
    each = pd.Series(days.cat.categories, dtype="str", name="date")
    return inside(each, *window).to_numpy("bool")[days.cat.codes.to_numpy()]


def _cost_changes(before: pd.DataFrame, after: pd.DataFrame, *windows: Window) -> pd.DataFrame:
    """Return `cost_before, cost_change, cost_dates, cost_after` [currency] by channel."""
    cells = _side_by_side(before, after, PLACE, "cost")
    was_shown, is_shown = (_shown(cells["date"], window) for window in windows)
    old, new = cells["before"] * was_shown, cells["after"] * is_shown
    is_common = was_shown & is_shown
    parts = {"cost_before": old, "cost_change": (new - old) * is_common, "cost_dates": (new - old) * ~is_common}
    table = pd.DataFrame(parts | {"cost_after": new}).assign(channel_name=cells["channel_name"].astype("str"))
    return sum_by(table, ["channel_name"], [*parts, "cost_after"]).set_index("channel_name")


def _with_total(table: pd.DataFrame) -> pd.DataFrame:
    """Sort by the size of the change, and add the total and ROAS."""
    table = table.rename_axis("channel_name").reset_index()
    net = (table["ihc_revenue_after"] - table["ihc_revenue_before"]).abs().round(6)
    gross = table[list(CAUSES)].abs().sum(axis=1).round(6)
    order = table[["channel_name"]].assign(net=net, gross=gross)
    table = table.loc[order.sort_values(["net", "gross", "channel_name"], ascending=[False, False, True]).index]
    total = table.drop(columns="channel_name").sum().to_frame().T.assign(channel_name=total_name(table["channel_name"]))
    table = pd.concat([table, total], ignore_index=True).set_index("channel_name")
    return _with_roas(table.where(table.abs() > NOISE, 0.0).reset_index())


def _with_roas(table: pd.DataFrame) -> pd.DataFrame:
    roas = {f"ROAS_{side}": ratio(table[f"ihc_revenue_{side}"], table[f"cost_{side}"]) for side in ("before", "after")}
    return table.assign(**roas)


def _causes(parts: Floats, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the causes that occur, with their orders and amounts. In: [currency] per channel and cause."""
    cause = np.tile(np.arange(len(CAUSES)), len(parts))
    gross, net = (sums(cause, each.ravel(), len(CAUSES)) for each in (np.abs(parts), parts))
    net = np.where(np.abs(net) > NOISE, net, 0.0)
    touched = [cells["is_touched"] & (cells["cause"] == place) for place in PLACES.values()]
    touched[PLACES[CORRECTED]] = cells["is_corrected"]
    table = pd.DataFrame(
        {
            "cause": pd.Series(list(CAUSES.values()), dtype="str"),
            "orders": [cells.loc[is_touched, "order"].nunique() for is_touched in touched],
            "ihc_revenue_change": net,
            "shifted": (gross - np.abs(net)) / 2,
        }
    )
    table = table.take(np.argsort(-gross.round(6), kind="stable"))
    return table[table["orders"] > 0].reset_index(drop=True)


def revenue_changes(channels: pd.DataFrame) -> pd.DataFrame:
    """Return the revenue columns of `Changes.channels`, with the causes that changed anything."""
    return channels[["channel_name", "ihc_revenue_before", *_occurring(channels), "ihc_revenue_after"]]


def _occurring(channels: pd.DataFrame) -> list[str]:
    return [cause for cause in CAUSES if (channels[cause].abs() >= CENT).any()]


def cost_changes(channels: pd.DataFrame) -> pd.DataFrame:
    """Return the cost and ROAS columns of `Changes.channels`; `cost_dates` only if it is not 0."""
    other = ["cost_dates"] if (channels["cost_dates"].abs() >= CENT).any() else []
    return channels[["channel_name", "cost_before", "cost_change", *other, "cost_after", "ROAS_before", "ROAS_after"]]


def shown_changes(channels: pd.DataFrame) -> pd.DataFrame:
    """Return the rows shown in tables: largest changes, the top-earning channel, others, the total.

    In and out: `Changes.channels`.
    """
    return _with_roas(pd.concat([_first(channels.iloc[:-1], MOST_ROWS), channels.iloc[-1:]], ignore_index=True))


def _first(channels: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the first `most` channels, the top-earning one, and the sum of the others if there are several."""
    is_named = np.arange(len(channels)) < most
    is_named |= channels["ihc_revenue_after"].rank(method="first", ascending=False).to_numpy() == 1
    rest = channels[~is_named]
    if len(rest) < 2:
        return channels
    summed = rest.drop(columns="channel_name").sum().to_frame().T.assign(channel_name=others(len(rest)))
    return pd.concat([channels[is_named], summed], ignore_index=True)


def largest_changes(channels: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the chart of changes.

    In: `Changes.channels`. Out: `channel_name`, the causes that changed anything, `ihc_revenue_change` [currency]; only
    channels with a change, largest first. Channels beyond the 11th are summed to one row if there are several; the one
    with the most attributed revenue is always shown.
    """
    moved = channels.iloc[:-1]
    moved = moved[(moved[list(CAUSES)].abs() >= CENT).any(axis=1)]
    moved = _first(moved, MOST_BARS - 1)
    change = moved["ihc_revenue_after"] - moved["ihc_revenue_before"]
    return moved[["channel_name", *_occurring(moved)]].assign(ihc_revenue_change=change).reset_index(drop=True)


def record_run(database: Database, run: Run, state: State) -> RecordedRun:
    """Record the data behind a run's report, for later comparisons; see `history.record`.

    In: the run, and its `state_of`. Out: the record, with its number and the totals over the run's dates. Raises
    DatabaseError if it cannot be stored.
    """
    return record(database, run, _totals(run, state), state, changed_rows)


def unrecorded_run(database: Database, run: Run, state: State) -> RecordedRun:
    """Return the record that a report-only run would get, after all recorded runs; nothing is written.

    Its `recorded_at` is empty, and its engine is that of the last recorded run. Raises DatabaseError.
    """
    runs = recorded_runs(database)
    if runs:
        last = runs[-1]
        run = replace(run, engine=last.engine, parameters=last.parameters, lookback_days=last.lookback_days)
    return noted(run, _totals(run, state), len(runs) + 1, "")


def _totals(run: Run, state: State) -> dict[str, float]:
    return totals(state, (run.start_date, run.end_date))


def list_runs(database: Database) -> pd.DataFrame:
    """List the recorded runs, oldest first.

    Out: the columns of `report_runs`, with an empty text for an open date, and `ROAS [1; NaN without cost]`.
    """
    runs = pd.DataFrame(
        [asdict(run) for run in recorded_runs(database)], columns=[field.name for field in fields(RecordedRun)]
    )
    figures = runs[["ihc", "ihc_revenue", "cost", "lookback_days"]].astype("float64")
    dates = runs[["start_date", "end_date"]].astype("object").fillna("").astype("str")
    return runs.assign(**figures, **dates, ROAS=ratio(figures["ihc_revenue"], figures["cost"]))


def over_dates_of(run: RecordedRun, before: RecordedRun | None) -> RecordedRun | None:
    """Return the earlier run with the dates of `run`: what was stored then for the same days."""
    return replace(before, start_date=run.start_date, end_date=run.end_date) if before else None


def changes_since(database: Database, before: RecordedRun | None, after: RecordedRun, state: State) -> Changes:
    """Compare a run with an earlier recorded run; if that is None, the result is empty.

    In: the `state` of the later run. Raises DatabaseError.
    """
    if before is None:
        nothing = State(*(frame.iloc[:0] for frame in state))
        return Changes(*(frame.iloc[:0] for frame in compare(nothing, nothing)))
    return compare(read_state(database, before, like=state), state, before.window, after.window)
