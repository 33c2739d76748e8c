"""What is odd in the tables without being wrong: each finding with its size."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from ihc.errors import some
from ihc.ids import is_among
from ihc.journeys import build_journeys, unattributed
from ihc.schemas import Tables, plain_names
from ihc.sums import total


def table_shapes(tables: Tables) -> pd.DataFrame:
    """How large the tables are: `table, rows, users [distinct], first_day, last_day, sum [currency]`."""
    sessions, conversions, costs = tables
    shapes = [
        ("session_sources", len(sessions), sessions["user_id"].nunique(), sessions["event_date"], None),
        (
            "conversions",
            len(conversions),
            conversions["user_id"].nunique(),
            conversions["conv_date"],
            "revenue",
        ),
        ("session_costs", len(costs), None, None, "cost"),
    ]
    amounts = {"revenue": total(conversions["revenue"]), "cost": total(costs["cost"])}
    rows = [
        {
            "table": name,
            "rows": count,
            "users": users,
            "first_day": days.min() if days is not None and len(days) else "",
            "last_day": days.max() if days is not None and len(days) else "",
            "sum": amounts.get(amount) if amount else None,
        }
        for name, count, users, days, amount in shapes
    ]
    return pd.DataFrame(rows).astype({"users": "Int64", "sum": "float64"})


class Finding(NamedTuple):
    """What was found, in which rows, what it amounts to [currency], and what follows from it."""

    finding: str
    ids: Collection[object]
    amount: float | None
    consequence: str


def quality_findings(tables: Tables) -> pd.DataFrame:
    """Look for what an analyst should know before trusting the figures.

    Out: `finding, count, amount [currency; NaN where none belongs to it], examples, consequence`, one row a check,
    also where the count is 0.
    """
    journeys = build_journeys(tables.sessions, tables.conversions)
    findings = [*_of_orders(tables, journeys), *_of_costs(tables, journeys), *_of_channels(tables.sessions)]
    rows = [
        (found.finding, len(found.ids), found.amount, some(found.ids, 3, width=24), found.consequence)
        for found in findings
    ]
    columns = ["finding", "count", "amount", "examples", "consequence"]
    return pd.DataFrame(rows, columns=columns).astype({"amount": "float64"})


def _of_orders(tables: Tables, journeys: pd.DataFrame) -> list[Finding]:
    orders = tables.conversions
    lonely = unattributed(orders, journeys)
    negative, free = orders[orders["revenue"] < 0], orders[orders["revenue"] == 0]
    return [
        Finding("orders without any session", lonely["conv_id"], total(lonely["revenue"]), "stay unattributed"),
        Finding("orders with negative revenue", negative["conv_id"], total(negative["revenue"]), "lower the ROAS"),
        Finding("orders with revenue 0", free["conv_id"], None, "count as orders, earn nothing"),
    ]


def _of_costs(tables: Tables, journeys: pd.DataFrame) -> list[Finding]:
    sessions, _, costs = tables
    without = sessions.loc[~is_among(sessions["session_id"], costs["session_id"]), "session_id"]
    null = costs.loc[costs["cost"].isna(), "session_id"]
    strays = costs[~is_among(costs["session_id"], sessions["session_id"])]
    idle = sessions.loc[~is_among(sessions["session_id"], journeys["session_id"]), "session_id"]
    idle_cost = total(costs.loc[is_among(costs["session_id"], idle), "cost"])
    return [
        Finding("sessions without a cost row", without, None, "cost 0"),
        Finding("cost rows that are NULL", null, None, "cost 0"),
        Finding("cost rows whose session does not exist", strays["session_id"], total(strays["cost"]), "not reported"),
        Finding("sessions in no journey", idle, idle_cost, "cost without any credit"),
    ]


def _of_channels(sessions: pd.DataFrame) -> list[Finding]:
    blank = sessions.loc[sessions["channel_name"].str.strip() == "", "session_id"]
    alike = channel_name_variants(sessions)
    return [
        Finding("channel names that differ only by case or spaces", alike, None, "reported as channels of their own"),
        Finding("sessions with a blank channel name", blank, None, "reported under a blank name"),
    ]


def channel_name_variants(sessions: pd.DataFrame) -> list[str]:
    """Channel names that equal another one but for case and spaces."""
    names = pd.Series(sorted(sessions["channel_name"].unique()), dtype="str")
    return names[plain_names(names).duplicated(keep=False)].tolist()
