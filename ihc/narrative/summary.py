"""The sentences at the top: the headline, what the rows stand for, and what to look at first, by money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from ihc.analysis.break_even import ABOVE, BELOW, by_cost
from ihc.analysis.dimension import Folding
from ihc.analysis.reconciliation import ORDERS, UNATTRIBUTED
from ihc.formatting import CENT, counted, fixed, general, listed, lookback, percent, percentage, shown, some

MOST_NAMED, MOST_POINTS = 3, 5
ENOUGH = 0.05  # a smaller share of spend is no headline


BY_CHANNEL = "the engine, what changed since the last run, channel_reporting.csv and order_credits.csv"


class Point(NamedTuple):
    """Something to look at: how much money it is about [currency], and what it is."""

    amount: float
    text: str


def headline(verdicts: pd.DataFrame, roas: float = 1.0) -> str:
    """Where most of the spend is, and what breaks even. In: `break_even_table`, and the `roas` [1] it was made with."""
    spend, revenue = verdicts["cost"].sum(), verdicts["ihc_revenue"].sum()
    if not spend:
        return f"Nothing was spent on these days; {fixed(revenue)} of revenue is attributed."
    paid = by_cost(verdicts)
    below, above = paid[paid["verdict"] == BELOW], paid[paid["verdict"] == ABOVE]
    if below["cost"].sum() < ENOUGH * spend:
        found = _above(above, spend, roas)
        returns = f"{fixed(spend)} of spend returns {fixed(revenue)} of attributed revenue"
        return f"{found[:1].upper()}{found[1:]}: {returns}."
    return f"{_below(below, spend)}; {_above(above, spend, roas)}."


def _below(below: pd.DataFrame, spend: float) -> str:
    """The channels below break-even that make two thirds of what is spent on such, three of them at most."""
    reached = below["cost"].cumsum() >= 2 / 3 * below["cost"].sum()
    many = min(int(reached.to_numpy().argmax()) + 1, MOST_NAMED)
    most = below.head(many)
    share = percent(most["cost"].sum() / spend)
    low, high = (fixed(value, 2) for value in (most["ROAS"].min(), most["ROAS"].max()))
    returns = low if low == high else f"{low} to {high}"
    names = listed([shown(name) for name in most["channel_name"]])
    verb = "returns" if many == 1 else "return"
    return f"{share} of spend is in {names}, which {verb} {returns} per unit of spend"


def _above(above: pd.DataFrame, spend: float, roas: float) -> str:
    even = f"above break-even (ROAS {general(roas, 4)})"
    if above.empty:
        return f"no channel is clearly {even}"
    share = percent(above["cost"].sum() / spend)
    if len(above) == 1:
        row = above.iloc[0]
        return f"only {shown(row['channel_name'])} ({share} of spend, ROAS {fixed(row['ROAS'], 2)}) is clearly {even}"
    return f"{counted(len(above), 'channel')} with {share} of spend are clearly {even}"


def made_with(sources: pd.DataFrame) -> str:
    """The engine and its parameters, briefly. In: the frame of `provenance`."""
    if sources.empty:
        return "no credits"
    if len(sources) > 1:
        return f"credits of {len(sources)} different settings"
    row = sources.iloc[0]
    name = "IHC API" if row["engine"] == "api" else f"{row['engine']} engine"
    days = "" if pd.isna(row["lookback_days"]) else f", {lookback(row['lookback_days'])}"
    return shown(f"{name}, parameters {row['parameters']}{days}", 90)


def reconciled(lines: pd.DataFrame) -> str:
    """Say that all revenue is accounted for. In: the frame of `reconcile`, which raises where it does not close."""
    orders = lines[lines["section"] == ORDERS]
    return f"reconciled {percentage(1, 2)} of {fixed(orders['amount'].iloc[0], 2)}"


def points(
    verdicts: pd.DataFrame, lines: pd.DataFrame, idle: pd.DataFrame, ages: pd.DataFrame, moved: pd.DataFrame
) -> list[Point]:
    """Up to five things to look at, those about the most money first.

    In: `break_even_table`, the frame of `reconcile`, `without_credit_by_channel`, `maturity` and `Changes.channels`.
    """
    found = [*_headrooms(verdicts), *_untracked(lines), *_idle(idle), *_expected(ages), *_moved(moved)]
    return sorted(found, key=lambda point: -point.amount)[:MOST_POINTS]


def _headrooms(verdicts: pd.DataFrame) -> list[Point]:
    paid = by_cost(verdicts)
    found = []
    for row in paid[paid["verdict"] == BELOW].to_dict("records"):
        name, over = shown(row["channel_name"]), -row["headroom"]
        text = (
            f"{name} costs {fixed(over)} more than break-even: spend {fixed(row['cost'])}, attributed revenue "
            f"{fixed(row['ihc_revenue'])}."
        )
        found.append(Point(over, text))
    above = paid[paid["verdict"] == ABOVE]
    if len(above):
        best = above.iloc[int(above["headroom"].argmax())]
        text = (
            f"{shown(best['channel_name'])} has the most headroom, {fixed(best['headroom'])}: test a larger budget in "
            "an experiment."
        )
        found.append(Point(float(best["headroom"]), text))
    return found


def _untracked(lines: pd.DataFrame) -> list[Point]:
    orders = lines[(lines["section"] == ORDERS) & (lines["line"] == UNATTRIBUTED)]
    count, amount = -orders["count"].sum(), -orders["amount"].sum()
    if count <= 0:
        return []
    return [
        Point(
            amount, f"{counted(round(count), 'order')} of {fixed(amount)} revenue have no session: check the tracking."
        )
    ]


def _idle(idle: pd.DataFrame) -> list[Point]:
    channels = idle.iloc[:-1]
    if channels.empty or not channels["cost_without_credit"].any():
        return []
    most = channels.iloc[int(channels["cost_without_credit"].argmax())]
    amount, share = most["cost_without_credit"], percent(most["share_without_credit"])
    text = (
        f"{share} of the spend on {shown(most['channel_name'])} ({fixed(amount)}) went to sessions that led to no "
        "order."
    )
    return [Point(float(amount), text)]


def _expected(ages: pd.DataFrame) -> list[Point]:
    young = ages[ages["is_immature"]]
    missing = float((young["ihc_revenue_expected"] - young["ihc_revenue"]).clip(lower=0).sum())
    if not missing > CENT:
        return []
    last = f"last {counted(len(young), 'day')}" if len(young) > 1 else "last day"
    return [
        Point(missing, f"The {last} are incomplete: about {fixed(missing)} more revenue is expected by conversion lag.")
    ]


def _moved(moved: pd.DataFrame) -> list[Point]:
    if moved.empty:
        return []
    total = moved.iloc[-1]
    change = float(total["ihc_revenue_after"] - total["ihc_revenue_before"])
    if abs(change) < CENT:
        return []
    verb = "rose" if change > 0 else "fell"
    return [
        Point(abs(change), f"Since the last run the attributed revenue of these days {verb} by {fixed(abs(change))}.")
    ]


def dimension_sentence(
    sessions: pd.DataFrame, *, by: str | None = None, groups: Mapping[str, str] | None = None
) -> str:
    """Say what stands in the channels' place, and which channels have no group. In: the sessions as they were read."""
    if by is not None:
        return (
            f"The rows are the values of the column {by}, not channels; what says channel below means those, but for "
            f"{BY_CHANNEL}."
        )
    if groups is None:
        return ""
    names = sorted(sessions["channel_name"].unique())
    unmapped = [name for name in names if name not in groups]
    text = f"{counted(len(names) - len(unmapped), 'channel')} of {len(names)} are put into groups"
    if not unmapped:
        return f"{text}; what says channel below means a group, but for {BY_CHANNEL}."
    return f"{text}; without a group, and under their own name: {some(unmapped, 12)}."


def folding_sentence(few: Folding, summary: pd.DataFrame) -> str:
    """Say which channels tables and charts name, and what the others come to; empty where all are named.

    In: the folding, and the `channel_summary` of its channels, the rest in one row and the total in the last.
    """
    if not few.rest:
        return ""
    rest, total = summary[summary["channel_name"] == few.rest].iloc[0], summary.iloc[-1]
    sums = ("cost", "ihc_revenue")
    cost, revenue = (percent(rest[name] / total[name] if total[name] else 0) for name in sums)
    named = counted(len(few.named), "channel")
    return (
        f"Charts and tables name the {named} with the most attributed revenue or cost. The others have {cost} of the "
        f"cost and {revenue} of the attributed revenue; where figures can be summed up, they are the row {few.rest!r}. "
        "The CSV files have every channel."
    )
