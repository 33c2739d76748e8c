"""What journeys look like: how long, how many sessions, through which channels."""

from __future__ import annotations

import numpy as np
import pandas as pd

HOURS = (1, 6, 24, 72, 168, 336, 720)
LABELS = (
    "one session",
    "< 1 h",
    "1-6 h",
    "6-24 h",
    "1-3 days",
    "3-7 days",
    "7-14 days",
    "14-30 days",
    "30 days and more",
)


def journey_lengths(journeys: pd.DataFrame, *, longest: int = 10) -> pd.DataFrame:
    """How many orders have how many sessions: `length [sessions; "10+" from `longest` on], orders, share [1]`."""
    lengths = journeys.groupby("conv_id").size().clip(upper=longest)
    orders = lengths.value_counts().reindex(range(1, longest + 1), fill_value=0)
    labels = [*map(str, range(1, longest)), f"{longest}+"]
    return _with_share(pd.DataFrame({"length": labels, "orders": orders.to_numpy()}))


def time_to_conversion(journeys: pd.DataFrame) -> pd.DataFrame:
    """How long before its converting session each journey began: `time [class], orders, share [1]`."""
    span = journeys.groupby("conv_id")["timestamp"].agg(["min", "max", "size"])
    hours = (span["max"] - span["min"]).dt.total_seconds() / 3600
    classes = np.searchsorted(HOURS, hours, side="right") + 1
    classes = np.where(span["size"] == 1, 0, classes)
    orders = np.bincount(classes, minlength=len(LABELS))
    return _with_share(pd.DataFrame({"time": LABELS, "orders": orders}))


def commonest_paths(journeys: pd.DataFrame, *, most: int = 10) -> pd.DataFrame:
    """The commonest sequences of channels, repeats in a row written once: `path, orders, share [1], revenue`."""
    ordered = journeys.sort_values(["conv_id", "timestamp", "session_id"], kind="stable")
    is_new = (ordered["conv_id"] != ordered["conv_id"].shift()) | (
        ordered["channel_name"] != ordered["channel_name"].shift()
    )
    paths = ordered[is_new].groupby("conv_id")["channel_name"].agg(" > ".join)
    revenue = ordered.groupby("conv_id")["revenue"].first()
    table = pd.DataFrame({"path": paths, "revenue": revenue}).groupby("path")["revenue"].agg(["size", "sum"])
    table = table.rename(columns={"size": "orders", "sum": "revenue"}).reset_index()
    table = _with_share(table).sort_values(["orders", "path"], ascending=[False, True]).head(most)
    return table[["path", "orders", "share", "revenue"]].reset_index(drop=True)


def _with_share(table: pd.DataFrame) -> pd.DataFrame:
    total = table["orders"].sum()
    return table.assign(share=table["orders"] / total if total else np.nan)
