"""Attributed and unattributed revenue and cost: waterfall bars, and what got no credit."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ihc.analysis.reconciliation import conversion_outcomes
from ihc.analysis.reporting import ratio, total_name
from ihc.arrays.sums import sum_by
from ihc.errors import InputError
from ihc.schemas.refunds import is_purchase
from ihc.schemas.tables import COLUMNS, CONVERSIONS, REPORTING, inside, require_columns

IDLE_SUMS = ["sessions", "cost", "sessions_without_credit", "cost_without_credit"]


def waterfall(lines: pd.DataFrame, section: str) -> pd.DataFrame:
    """Convert one section of the reconciliation to waterfall bars.

    In: the frame of `reconcile`, and one of its sections. Out: one row per line: `line, kind [total or step], start,
    end, amount [currency]`. Totals start at 0. The first line, from which the others are subtracted, also counts as a
    total. A step starts where the previous line ends. Amounts are whole cents, and the last step before a total ends at
    it.

    Raises InputError for an unknown section.
    """
    part = lines[lines["section"] == section].reset_index(drop=True)
    if part.empty:
        raise InputError(
            f"The reconciliation has no section {section!r}: it has {', '.join(lines['section'].unique())}."
        )
    is_total = (part["kind"] == "total") | (part.index == 0)
    amount = part["amount"]
    steps = amount.where(~is_total | (part.index == 0), 0.0)
    end = amount.where(is_total, steps.cumsum()).round(2) + 0.0  # no minus zero
    start = end.shift(fill_value=0.0).where(~is_total, 0.0)
    kind = pd.Series(np.where(is_total, "total", "step"), dtype="str")
    return pd.DataFrame({"line": part["line"], "kind": kind, "start": start, "end": end, "amount": amount})


def without_credit_by_channel(
    visits: pd.DataFrame, *, start_date: str | date | None = None, end_date: str | date | None = None
) -> pd.DataFrame:
    """Compute each channel's spend on sessions that led to no order, and its daily spend without any session.

    In: `visits_of` all sessions; the dates select the days of the sessions. Out: one row per channel, highest
    `cost_without_credit` first, and the total last: `channel_name, sessions [count], cost [currency],
    sessions_without_credit [count], cost_without_credit [currency], share_without_credit [1, of the channel's cost; NaN
    without cost]`. A session is without credit if no order gives it credit above 0.

    Raises InputError for a missing column or an invalid date.
    """
    table = sum_by(_additions(visits, start_date, end_date), ["channel_name"], IDLE_SUMS)
    by = ["cost_without_credit", "cost", "sessions"]
    table = table.sort_values(by, ascending=False, kind="stable")
    total = table[IDLE_SUMS].sum().to_frame().T.assign(channel_name=total_name(table["channel_name"]))
    counts = {"sessions": "int64", "sessions_without_credit": "int64", "channel_name": "str"}
    table = pd.concat([table, total], ignore_index=True).astype(counts)
    return table.assign(share_without_credit=ratio(table["cost_without_credit"], table["cost"]))


def _additions(visits: pd.DataFrame, start_date: str | date | None, end_date: str | date | None) -> pd.DataFrame:
    """Return each session's contribution to the sums: `channel_name, day`, and IDLE_SUMS."""
    require_columns(visits, REPORTING, "visits")
    visits = visits[inside(visits["date"], start_date, end_date)]
    is_idle = ~(visits["ihc"] > 0)
    return pd.DataFrame(
        {
            "channel_name": visits["channel_name"],
            "day": visits["date"],
            "sessions": visits["sessions"],
            "cost": visits["cost"],
            "sessions_without_credit": visits["sessions"].where(is_idle, 0),
            "cost_without_credit": visits["cost"].where(is_idle, 0.0),
        }
    )


def without_credit_by_day(
    visits: pd.DataFrame,
    conversions: pd.DataFrame,
    credits: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Compute per day the orders without credit, and the cost of sessions without credit.

    In: `visits_of` all sessions, the conversions, all stored `credits` and the `outcomes` (`conv_id, outcome`). Out:
    one row per day with any order, refund or session: `day [YYYY-MM-DD]`; for the orders placed on it `orders,
    unattributed_orders, waiting_or_failed_orders [count], unattributed_revenue, waiting_or_failed_revenue [currency;
    less the refunds of the day]`; for the sessions and the daily spend on it `cost, cost_without_credit
    [currency]`. The sums equal the lines of the reconciliation.

    Raises InputError for a missing column or an invalid date.
    """
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    missing = _missing(conversions[inside(conversions["conv_date"], start_date, end_date)], credits, outcomes)
    idle = _additions(visits, start_date, end_date)[["day", "cost", "cost_without_credit"]]
    by_day = [sum_by(rows, ["day"], list(rows.columns.drop("day"))).set_index("day") for rows in (missing, idle)]
    table = pd.concat(by_day, axis="columns").sort_index().fillna(0.0)
    counts = {name: "int64" for name in table.columns if name.endswith("orders")}
    return table.astype(counts).rename_axis("day").reset_index()


def _missing(orders: pd.DataFrame, credits: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    outcome = conversion_outcomes(orders, credits, outcomes)
    counts = pd.Series(is_purchase(orders), index=orders.index)
    columns: dict[str, pd.Series] = {"day": orders["conv_date"], "orders": counts.astype("int64")}
    for name, is_so in (
        ("unattributed", outcome == "unattributed"),
        ("waiting_or_failed", ~outcome.isin(("credited", "unattributed"))),
    ):
        columns |= {
            f"{name}_orders": (is_so & counts).astype("int64"),
            f"{name}_revenue": orders["revenue"].where(is_so, 0.0),
        }
    return pd.DataFrame(columns)
