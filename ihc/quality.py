"""What is odd in the tables without being wrong: each finding with its size."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from ihc.errors import some
from ihc.journeys import build_journeys, unattributed
from ihc.schemas import Tables


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
    amounts = {"revenue": conversions["revenue"].sum(), "cost": costs["cost"].sum()}
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


def quality_findings(tables: Tables) -> pd.DataFrame:
    """Look for what an analyst should know before trusting the figures.

    Out: `finding, count, amount [currency; NaN where none belongs to it], examples, consequence`, one row a check,
    also where the count is 0.
    """
    sessions, conversions, costs = tables
    journeys = build_journeys(sessions, conversions)
    lonely = unattributed(conversions, journeys)
    negative = conversions[conversions["revenue"] < 0]
    free = conversions[conversions["revenue"] == 0]
    no_row = sessions[~sessions["session_id"].isin(costs["session_id"])]
    null_cost = costs[costs["cost"].isna()]
    strays = costs[~costs["session_id"].isin(sessions["session_id"])]
    idle = sessions.loc[~sessions["session_id"].isin(journeys["session_id"]), "session_id"]
    idle_cost = costs.loc[costs["session_id"].isin(idle), "cost"].sum()
    unnamed = sessions[sessions["channel_name"].str.strip() == ""]
    names = channel_name_variants(sessions)

    rows: list[tuple[str, Collection[object], float | None, str]] = [
        ("orders without any session", lonely["conv_id"], lonely["revenue"].sum(), "stay unattributed"),
        (
            "orders with negative revenue",
            negative["conv_id"],
            negative["revenue"].sum(),
            "lower their channels' ROAS",
        ),
        ("orders with revenue 0", free["conv_id"], None, "count as orders, earn nothing"),
        ("sessions without a cost row", no_row["session_id"], None, "cost 0"),
        ("cost rows that are NULL", null_cost["session_id"], None, "cost 0"),
        (
            "cost rows whose session does not exist",
            strays["session_id"],
            strays["cost"].sum(),
            "not reported",
        ),
        ("sessions in no journey", idle, idle_cost, "cost without any credit"),
        (
            "channel names that differ only by case or spaces",
            names,
            None,
            "reported as channels of their own",
        ),
        ("sessions with a blank channel name", unnamed["session_id"], None, "reported under a blank name"),
    ]
    return pd.DataFrame(
        [
            (finding, len(ids), amount, some(ids, 3, width=24), consequence)
            for finding, ids, amount, consequence in rows
        ],
        columns=["finding", "count", "amount", "examples", "consequence"],
    ).astype({"amount": "float64"})


def channel_name_variants(sessions: pd.DataFrame) -> list[str]:
    """Channel names that equal another one but for case and spaces."""
    names = pd.Series(sorted(sessions["channel_name"].unique()), dtype="str")
    plain = names.str.casefold().str.replace(r"\s+", "", regex=True)
    return names[plain.duplicated(keep=False)].tolist()
