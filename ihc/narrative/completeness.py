"""Sentences on credited orders and on spend without credit."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.reconciliation import CREDITED, ORDERS, refunded
from ihc.analysis.reporting import MATERIAL, ratio
from ihc.formatting import counted, fixed, percent, shown
from ihc.narrative.run import after_refunds, enough_cost


def completeness_sentence(lines: pd.DataFrame, by_channel: pd.DataFrame) -> str:
    """State the share of credited orders, and the share of spend on sessions without credit.

    In: the frames of `reconcile` and `without_credit_by_channel`, the latter with the total in the last row.
    """
    orders = lines[lines["section"] == ORDERS]
    read, credited = orders.iloc[0], orders[orders["line"] == CREDITED].iloc[0]
    net = read["amount"] - refunded(lines)
    sentences = [
        _credited(read["count"], net, credited, after_refunds(lines)),
        _idle_cost(by_channel.iloc[-1], bool(credited["count"])),
        _most_idle(by_channel),
    ]
    return " ".join(filter(None, sentences))


def alone_sentence(spend: float) -> str:
    """State the daily spend without any session [currency]; empty if there is none."""
    return f"Spend without credit includes {fixed(spend, 2)} of daily spend without a session." if spend else ""


def _credited(orders: float, revenue: float, credited: pd.Series, after: str) -> str:
    if not orders:
        return "There are no orders on these dates."
    if credited["count"] == orders:
        which = "The only order is" if orders == 1 else f"All {fixed(orders)} orders are"
        return f"{which} credited, {fixed(credited['amount'], 2)} of revenue{after}."
    if not credited["count"]:
        return f"None of {counted(orders, 'order')} is credited."
    verb = "is" if credited["count"] == 1 else "are"
    purchases = f"{fixed(credited['count'])} of {fixed(orders)} orders ({percent(credited['count'] / orders)})"
    # With refunds the credited revenue can exceed the total; a share would be meaningless.
    is_part = 0 <= credited["amount"] <= revenue != 0
    part = f" ({percent(credited['amount'] / revenue)})" if is_part else ""
    amount = fixed(credited["amount"], 2)
    return f"{purchases} {verb} credited, {amount} of {fixed(revenue, 2)} of revenue{part}{after}."


def _idle_cost(total: pd.Series, has_credit: bool) -> str:
    cost, idle = total["cost"], total["cost_without_credit"]
    if not cost:
        return "There is no spend on these dates."
    if not idle:
        return f"All spend ({fixed(cost, 2)}) went to sessions with credit."
    if not has_credit:
        return f"{fixed(idle, 2)} of {fixed(cost, 2)} of spend went to sessions without credit."
    return (
        f"{percent(idle / cost)} of spend ({fixed(idle, 2)} of {fixed(cost, 2)}) went to sessions without credit. "
        "This spend is included in all figures."
    )


def _most_idle(by_channel: pd.DataFrame) -> str:
    """Name the channel with the highest share of spend without credit; empty if there is nothing to compare."""
    channels, total = by_channel.iloc[:-1], by_channel.iloc[-1]
    paid = channels[ratio(channels["cost"], channels["cost"] * 0 + total["cost"]) >= MATERIAL]
    if len(paid) < 2 or not total["cost_without_credit"]:
        return ""
    share = paid["share_without_credit"].round(4)
    most = paid[share == share.max()]
    part = percent(most["share_without_credit"].iloc[0])
    if len(most) == len(paid):
        return f"The share is {part} in each of the {len(paid)} channels with {enough_cost()}."
    first, others = shown(most["channel_name"].iloc[0]), len(most) - 1
    who = f"{first} and {counted(others, 'other')} have" if others else f"{first} has"
    return f"Of the {len(paid)} channels with {enough_cost()}, {who} the highest share without credit: {part}."
