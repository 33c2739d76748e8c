"""What a report is made of: orders, credit and cost; and which rows of it differ from an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.ids import is_among, look_up
from ihc.narrative import engine_name
from ihc.refunds import of_orders
from ihc.reporting import shares_of
from ihc.schemas import Window, inside
from ihc.sums import sums, total

EQUAL = 1e-9  # sums that differ by no more were only added up in another order
CELL = ["conv_id", "channel_name", "date"]
PLACE = ["channel_name", "date"]

EVER: Window = (None, None)
Codes = npt.NDArray[np.int64]


class State(NamedTuple):
    """What a report is made of, over all days.

    `orders`: `conv_id, revenue [currency], sessions [fingerprint of the journey's sessions], source [engine, parameters
    and lookback]`, refunds among them; `credits`: `conv_id, channel_name, date [the sessions'], ihc [share; no zeros]`;
    `costs`: `channel_name, date, cost [currency; no zeros]`.
    """

    orders: pd.DataFrame
    credits: pd.DataFrame
    costs: pd.DataFrame


class RowChanges(NamedTuple):
    """What leads from one state to another.

    `closed_orders` [conv_id] and `closed_costs` (`channel_name, date`) do not hold any more; `opened` does since.
    """

    closed_orders: pd.Series[str]
    closed_costs: pd.DataFrame
    opened: State


@dataclass(frozen=True)
class RecordedRun:
    """A run whose report was recorded, and the totals of its report over its dates.

    `orders [count; with credit on these dates], ihc [orders], ihc_revenue, cost [currency]`.
    """

    number: int
    run_id: str
    recorded_at: str
    engine: str
    parameters: str
    lookback_days: float | None
    start_date: str | None
    end_date: str | None
    version: str
    orders: int
    ihc: float
    ihc_revenue: float
    cost: float

    @property
    def window(self) -> Window:
        """The first and the last day of the report; None where it is open."""
        return self.start_date, self.end_date


def state_of(earned: pd.DataFrame, outcomes: pd.DataFrame, reporting: pd.DataFrame) -> State:
    """Take down what a report is made of.

    In: `order_credits` over all days, the stored `outcomes` (`conv_id, engine, parameters, lookback_days`), and
    `channel_reporting`; rows in any order.
    """
    order, ids = pd.factorize(earned["conv_id"])
    is_first = ~pd.Series(order).duplicated().to_numpy()
    orders = pd.DataFrame({"conv_id": pd.Series(ids, dtype="str"), "revenue": earned["revenue"].to_numpy()[is_first]})
    orders["sessions"] = _fingerprints(earned, order)
    sources = outcomes[["conv_id"]].assign(source=_sources(outcomes))
    # Of an order with several outcomes, the last counts.
    orders["source"] = (
        look_up(orders["conv_id"], sources.iloc[::-1], "conv_id", "source").astype("str").fillna("unknown")
    )
    credits, cell = _cells(earned, CELL)
    credits["ihc"] = _sums(cell, shares_of(earned), len(credits))
    credits = credits[credits["ihc"] != 0].reset_index(drop=True)
    costs = reporting.loc[reporting["cost"] != 0, [*PLACE, "cost"]]
    return State(orders, _as_texts(credits), costs.reset_index(drop=True))


def _fingerprints(earned: pd.DataFrame, order: Codes) -> npt.NDArray[np.int64]:
    """A number an order for its sessions with their channels and days, in whatever order they come."""
    hashes = pd.util.hash_pandas_object(earned[["session_id", *PLACE]], index=False, categorize=False)
    # Unsigned sums wrap around; databases keep signed numbers.
    return hashes.groupby(order).sum().to_numpy("uint64").view("int64")


def _sources(outcomes: pd.DataFrame) -> pd.Series[str]:
    """The engine of each outcome and its settings in words."""
    settings = ["engine", "parameters", "lookback_days"]
    kind = outcomes.groupby(settings, dropna=False, sort=False).ngroup().to_numpy()
    kinds = outcomes[settings].drop_duplicates()
    labels = [
        f"{engine_name(row)}, {'sessions of any age' if pd.isna(days) else f'lookback {days:g} days'}"
        for row, days in zip(kinds.itertuples(), kinds["lookback_days"], strict=True)
    ]
    return pd.Series(labels, dtype="str").take(kind).set_axis(outcomes.index)


def _cells(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, Codes]:
    """The distinct combinations of `keys`, as categories, and which of them each row has."""
    codes, names = zip(*(pd.factorize(frame[key]) for key in keys), strict=True)
    shape = [max(len(entries), 1) for entries in names]
    cells, cell = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    columns = zip(keys, np.unravel_index(cells, shape), names, strict=True)
    return pd.DataFrame({key: pd.Categorical.from_codes(place, entries) for key, place, entries in columns}), cell


def _sums(cell: Codes, amounts: pd.Series[float], cells: int) -> npt.NDArray[np.float64]:
    return sums(cell, np.asarray(amounts, dtype="float64"), cells)


def _as_texts(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.assign(**{name: cells[name].astype("str") for name in CELL if name in cells})


def side_by_side(before: pd.DataFrame, after: pd.DataFrame, keys: list[str], figure: str) -> pd.DataFrame:
    """Lay a figure of two frames side by side.

    Out: a row a combination of `keys` [categories] of either frame, with `before` and `after`, 0 where it has none.
    """
    table, cell = _cells(pd.concat([before[keys], after[keys]], ignore_index=True), keys)
    for name, frame, part in (("before", before, cell[: len(before)]), ("after", after, cell[len(before) :])):
        table[name] = _sums(part, frame[figure], len(table))
    return table


def orders_side_by_side(before: State, after: State) -> pd.DataFrame:
    """Lay the orders of two states side by side.

    Out: by `conv_id`: `revenue_before, revenue_after [currency; NaN: not there], has_other_source, has_other_sessions
    [bool]`.
    """
    was, now = before.orders.set_index("conv_id"), after.orders.set_index("conv_id")
    ids = was.index.append(now.index[~is_among(after.orders["conv_id"], before.orders["conv_id"])])
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
    """Find the orders and costs that differ; an order is closed and opened as a whole, with all of its credit."""
    orders = orders_side_by_side(before, after)
    is_other = orders["has_other_source"] | orders["has_other_sessions"]
    is_other |= orders["revenue_before"] != orders["revenue_after"]  # also where one is not there
    cells = side_by_side(before.credits, after.credits, CELL, "ihc")
    moved = cells.loc[(cells["after"] - cells["before"]).abs() > EQUAL, "conv_id"].cat.remove_unused_categories()
    changed = orders.index[is_other | is_among(orders.index.to_series(), moved.cat.categories.to_series())]
    costs = _as_texts(side_by_side(before.costs, after.costs, PLACE, "cost"))
    costs = costs[~np.isclose(costs["before"], costs["after"], rtol=EQUAL, atol=0)]
    new_costs = costs.loc[costs["after"] != 0, [*PLACE, "after"]].rename(columns={"after": "cost"})
    closed, opened, credits = (
        frame[is_among(frame["conv_id"], changed.to_series())] for frame in (before.orders, after.orders, after.credits)
    )
    return RowChanges(
        closed_orders=closed["conv_id"],
        closed_costs=costs.loc[costs["before"] != 0, PLACE],
        opened=State(opened, credits, new_costs),
    )


def totals(state: State, window: Window = EVER) -> dict[str, float]:
    """Add up a report over its days.

    Out: `orders [count; with credit on these days], ihc [orders], ihc_revenue, cost [currency]`.
    """
    credits = state.credits[inside(state.credits["date"], *window)]
    revenue = look_up(credits["conv_id"], state.orders, "conv_id", "revenue").astype("float64")
    orders = of_orders(credits.assign(revenue=revenue))
    return {
        "orders": int(orders["conv_id"].nunique()),
        "ihc": total(orders["ihc"]),
        "ihc_revenue": total(credits["ihc"] * revenue),
        "cost": total(state.costs.loc[inside(state.costs["date"], *window), "cost"]),
    }
