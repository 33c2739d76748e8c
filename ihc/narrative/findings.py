"""The titles of charts: what each shows, in one short sentence with a number."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.break_even import by_cost
from ihc.analysis.periods import WEEK
from ihc.analysis.sensitivity import CROSSES, cell_numbers
from ihc.formatting import counted, listed, percent, shown


def trend_finding(totals: pd.DataFrame, ages: pd.DataFrame) -> str:
    """How much was spent and attributed, and what of it is incomplete. In: `daily_totals` and `maturity`."""
    spend, revenue = totals["cost"].sum(), totals["ihc_revenue"].sum()
    text = f"{spend:,.0f} spent, {revenue:,.0f} attributed in {counted(len(totals), 'day')}"
    young = int(ages["is_immature"].sum())
    return f"{text}; the last {counted(young, 'day') if young > 1 else 'day'} incomplete" if young else text


def range_finding(stability: pd.DataFrame, grid: pd.DataFrame) -> str:
    """How many channels stay on their side of break-even. In: `rank_stability` and `sensitivity`."""
    if stability.empty:
        return "No channel has enough spend to compare settings"
    stay, cells = int((stability["stability"] != CROSSES).sum()), int(cell_numbers(grid).max()) + 1
    if cells == 1:
        return f"{counted(len(stability), 'channel')} under the only setting tested"
    verb = "stays" if stay == 1 else "stay"
    channels = counted(len(stability), "channel")
    return f"{stay:,} of {channels} {verb} on one side of break-even under all {cells:,} settings"


def headroom_finding(verdicts: pd.DataFrame) -> str:
    """Which channel is furthest above break-even, and which furthest below. In: `break_even_table`."""
    paid = by_cost(verdicts).dropna(subset=["headroom"])
    if paid.empty:
        return "No channel has enough spend for a break-even"
    best, worst = paid.iloc[int(paid["headroom"].argmax())], paid.iloc[int(paid["headroom"].argmin())]
    parts = []
    if best["headroom"] > 0:
        parts.append(f"{shown(best['channel_name'])} has the most headroom, {best['headroom']:,.0f}")
    if worst["headroom"] < 0:
        parts.append(f"{shown(worst['channel_name'])} is {-worst['headroom']:,.0f} over its break-even spend")
    return "; ".join(parts) or "Every channel is exactly at break-even, headroom 0"


def week_finding(weekly: pd.DataFrame) -> str:
    """The full week with the most attributed revenue; of all weeks, where none is full. In: `weekly_reporting`."""
    full = weekly[weekly["days"] == WEEK]
    sums = (full if len(full) else weekly).groupby("week")["ihc_revenue"].sum()
    if sums.empty:
        return ""
    return f"The week from {sums.idxmax()} has the most attributed revenue, {sums.max():,.0f}"


def day_finding(daily: pd.DataFrame, names: list[str]) -> str:
    """How far the daily ROAS of the channel with the most spend ranges. In: `channel_reporting` with ratios."""
    known = daily[daily["channel_name"].isin(names)].dropna(subset=["ROAS"])
    if known.empty:
        return ""
    name = known.groupby("channel_name")["cost"].sum().idxmax()
    values = known.loc[known["channel_name"] == name, "ROAS"]
    return f"The daily ROAS of {shown(name)} ranges from {values.min():,.2f} to {values.max():,.2f}"


def single_finding(changes: pd.DataFrame) -> str:
    """How many channels each setting moves across break-even by itself. In: `single_changes`."""
    tried = changes[changes["tried"] > 0]
    if tried.empty:
        return ""
    counts = dict(zip(tried["setting"], tried["channels_crossing"], strict=True))
    (setting, count), *others = counts.items()
    first = f"the {setting} moves {counted(count, 'channel')} across break-even"
    return f"Changed alone, {listed([first, *(f'the {name} {number:,}' for name, number in others)])}"


def path_finding(paths: pd.DataFrame) -> str:
    """The commonest path. In: `commonest_paths`."""
    if paths.empty:
        return ""
    row = paths.iloc[0]
    return f"The commonest path is {shown(row['path'], 60)}: {counted(row['orders'], 'order')}, {percent(row['share'])}"


def role_finding(roles: pd.DataFrame) -> str:
    """Which channel is first most often, and which last. In: `channel_roles`."""
    if roles.empty or not roles[["starts", "ends"]].to_numpy().any():
        return ""
    first, last = roles.iloc[int(roles["starts"].argmax())], roles.iloc[int(roles["ends"].argmax())]
    return (
        f"Of paths through several channels, {shown(first['channel_name'])} is first most often "
        f"({counted(first['starts'], 'order')}), {shown(last['channel_name'])} last ({counted(last['ends'], 'order')})"
    )
