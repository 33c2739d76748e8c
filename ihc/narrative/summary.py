"""Headline, status and priorities of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from ihc.analysis.break_even import ABOVE, BELOW, by_cost
from ihc.analysis.dimension import Folding
from ihc.analysis.reconciliation import ORDERS, UNATTRIBUTED
from ihc.experiments.results import REVENUE
from ihc.formatting import CENT, counted, fixed, general, listed, lookback, percent, percentage, shown, some
from ihc.lab.stress import HOLDS
from ihc.narrative.experiments import contradictions
from ihc.narrative.sensitivity import worlds_text

MOST_NAMED, MOST_POINTS = 3, 5
ENOUGH = 0.05  # a smaller share of spend does not make the headline
BY_CHANNEL = (
    "Always by channel: model parameters, changes since the last run, channel_reporting.csv and order_credits.csv."
)


class Point(NamedTuple):
    """A priority: its amount [currency] and its text."""

    amount: float
    text: str


def headline(verdicts: pd.DataFrame, roas: float = 1.0) -> str:
    """State where most of the spend is, and what breaks even. In: `break_even_table`, and its break-even `roas` [1]."""
    spend, revenue = verdicts["cost"].sum(), verdicts["ihc_revenue"].sum()
    if not spend:
        return f"There is no spend on these dates; attributed revenue is {fixed(revenue)}."
    paid = by_cost(verdicts)
    # As many as the channel table marks; small channels never lead the headline as below break-even.
    below, above = paid[paid["verdict"] == BELOW], verdicts[verdicts["verdict"] == ABOVE]
    if below["cost"].sum() < ENOUGH * spend:
        found = _above(above, spend, roas)
        return f"{found[:1].upper()}{found[1:]}: spend {fixed(spend)}, attributed revenue {fixed(revenue)}."
    return f"{_below(below, spend)}; {_above(above, spend, roas)}."


def _below(below: pd.DataFrame, spend: float) -> str:
    """Name up to three channels that make up two thirds of the spend below break-even."""
    reached = below["cost"].cumsum() >= 2 / 3 * below["cost"].sum()
    many = min(int(reached.to_numpy().argmax()) + 1, MOST_NAMED)
    most = below.head(many)
    share = percent(most["cost"].sum() / spend)
    low, high = (fixed(value, 2) for value in (most["ROAS"].min(), most["ROAS"].max()))
    returns = low if low == high else f"{low} to {high}"
    names = listed([shown(name) for name in most["channel_name"]])
    return f"{share} of spend is in {names} at a ROAS of {returns}"


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
    """Name the engine and its parameters briefly. In: the frame of `provenance`."""
    if sources.empty:
        return "no credits"
    if len(sources) > 1:
        return f"credits of {len(sources)} different settings"
    row = sources.iloc[0]
    name = "IHC API" if row["engine"] == "api" else f"{row['engine']} engine"
    days = "" if pd.isna(row["lookback_days"]) else f", {lookback(row['lookback_days'])}"
    return shown(f"{name}, parameters {row['parameters']}{days}", 90)


def reconciled(lines: pd.DataFrame) -> str:
    """State that all revenue is accounted for. In: the frame of `reconcile`, which raises if it is not."""
    orders = lines[lines["section"] == ORDERS]
    return f"reconciled {percentage(1, 2)} of {fixed(orders['amount'].iloc[0], 2)}"


def points(
    verdicts: pd.DataFrame,
    lines: pd.DataFrame,
    idle: pd.DataFrame,
    ages: pd.DataFrame,
    moved: pd.DataFrame,
    more: Sequence[Point] = (),
) -> list[Point]:
    """List up to five priorities, the largest amount first.

    In: `break_even_table`, the frame of `reconcile`, `without_credit_by_channel`, `maturity`, `Changes.channels`, and
    `more` priorities.
    """
    found = [*_headrooms(verdicts), *_untracked(lines), *_idle(idle), *_expected(ages), *_moved(moved), *more]
    return sorted(found, key=lambda point: -point.amount)[:MOST_POINTS]


def _headrooms(verdicts: pd.DataFrame) -> list[Point]:
    paid = by_cost(verdicts)
    found = []
    for row in paid[paid["verdict"] == BELOW].to_dict("records"):
        name, over = shown(row["channel_name"]), -row["headroom"]
        text = (
            f"{name} is {fixed(over)} over its break-even spend: spend {fixed(row['cost'])}, attributed revenue "
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


def contradicted(tests: pd.DataFrame) -> list[Point]:
    """Make a priority of each experiment that attribution contradicts. In: `measured`."""
    off = (tests["attributed_revenue"] - tests[REVENUE]).abs()[~tests["agrees"]]
    told = [f"Attribution contradicts an experiment. {text}" for text in contradictions(tests)]
    return [Point(*each) for each in zip(off.sort_values(ascending=False), told, strict=True)]


def fragile(verdicts: pd.DataFrame, stressed: pd.DataFrame) -> list[Point]:
    """Make a priority of each fragile verdict of a channel with at least ENOUGH of spend.

    Its amount is the spend x the share of worlds on the other side of break-even. In: `break_even_table` and
    `stress_verdicts`. An inconclusive verdict is none that could fall.
    """
    rows = verdicts.merge(stressed[["channel_name", "worlds", "holds"]], on="channel_name")
    is_large = rows["cost"] >= ENOUGH * verdicts["cost"].sum()
    rows = rows[is_large & rows["verdict"].isin([ABOVE, BELOW]) & (rows["holds"] < HOLDS)]
    return [
        Point(
            row["cost"] * (1 - row["holds"]),
            f"{shown(row['channel_name'])} is {row['verdict']} break-even, but only in {worlds_text(row)} with damaged "
            f"tracking: check how its sessions are tracked before you move its spend of {fixed(row['cost'])}.",
        )
        for row in rows.to_dict("records")
    ]


def _untracked(lines: pd.DataFrame) -> list[Point]:
    orders = lines[(lines["section"] == ORDERS) & (lines["line"] == UNATTRIBUTED)]
    count, amount = -orders["count"].sum(), -orders["amount"].sum()
    if count <= 0:
        return []
    verb = "is" if round(count) == 1 else "are"
    which = f"{counted(round(count), 'order')} with {fixed(amount)} of revenue"
    return [Point(amount, f"{which} {verb} untracked: check the tracking.")]


def _idle(idle: pd.DataFrame) -> list[Point]:
    channels = idle.iloc[:-1]
    if channels.empty or not channels["cost_without_credit"].any():
        return []
    most = channels.iloc[int(channels["cost_without_credit"].argmax())]
    amount, share = most["cost_without_credit"], percent(most["share_without_credit"])
    spend = f"the spend on {shown(most['channel_name'])} ({fixed(amount)})"
    text = f"{share} of {spend} went to sessions that led to no order."
    if not most["sessions"]:
        text = f"T{spend[1:]} has no session, so no order can be attributed to it."
    return [Point(float(amount), text)]


def _expected(ages: pd.DataFrame) -> list[Point]:
    young = ages[ages["is_immature"]]
    missing = float((young["ihc_revenue_expected"] - young["ihc_revenue"]).clip(lower=0).sum())
    if not missing > CENT:
        return []
    last, verb = (f"last {counted(len(young), 'day')}", "are") if len(young) > 1 else ("last day", "is")
    return [
        Point(
            missing, f"The {last} {verb} incomplete: about {fixed(missing)} more revenue is expected (conversion lag)."
        )
    ]


def _moved(moved: pd.DataFrame) -> list[Point]:
    if moved.empty:
        return []
    total = moved.iloc[-1]
    change = float(total["ihc_revenue_after"] - total["ihc_revenue_before"])
    if abs(change) < CENT:
        return []
    verb = "rose" if change > 0 else "fell"
    return [Point(abs(change), f"Attributed revenue on these dates {verb} by {fixed(abs(change))} since the last run.")]


def dimension_sentence(
    sessions: pd.DataFrame, *, by: str | None = None, groups: Mapping[str, str] | None = None
) -> str:
    """State what the rows show instead of channels, and which channels have no group.

    In: the sessions as read, or `visits_of` them by channel.
    """
    if by is not None:
        return f"Rows and channels in this report are the values of the column {by}. {BY_CHANNEL}"
    if groups is None:
        return ""
    names = sorted(sessions["channel_name"].unique())
    unmapped = [name for name in names if name not in groups]
    text = f"Grouped channels: {len(names) - len(unmapped)} of {len(names)}."
    if not unmapped:
        return f"{text} Rows and channels in this report are groups. {BY_CHANNEL}"
    return f"{text} Channels without a group keep their own name: {some(unmapped, 12)}."


def folding_sentence(few: Folding, summary: pd.DataFrame) -> str:
    """State which channels tables and charts show, and the share of the others; empty if all are shown.

    In: the folding, and the `channel_summary` of its channels, with the others in one row and the total in the last.
    """
    if not few.rest:
        return ""
    rest, total = summary[summary["channel_name"] == few.rest].iloc[0], summary.iloc[-1]
    sums = ("cost", "ihc_revenue")
    cost, revenue = (percent(rest[name] / total[name] if total[name] else 0) for name in sums)
    named = counted(len(few.named), "channel")
    return (
        f"Charts and tables show the {named} with the most attributed revenue or spend. The others have {cost} of "
        f"spend and {revenue} of attributed revenue. Where figures add up, they are combined as {few.rest!r}. "
        "The CSV files contain all channels."
    )
