"""The sentences that say what the figures mean; plain text, nothing in it is markup."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ihc.analysis.reconciliation import CREDITED, FAILED, ORDERS, UNATTRIBUTED, WAITING, refunded
from ihc.analysis.reporting import MATERIAL, material
from ihc.arrays.lookup import isin
from ihc.formatting import counted, dated, engine_name, fixed, lookback, named, percentage, shown, some
from ihc.journeys.credits import REFUND
from ihc.models.redistribution import Redistribution, labelled

if TYPE_CHECKING:
    from ihc.models.parameters import Parameters
    from ihc.schemas.tables import Tables


# How the reasons of credited orders begin.
CUT, KEPT = "its journey was cut", "it keeps its earlier answer"
MOST_LETTERS = 5


def enough_cost() -> str:
    """How much of the cost a channel must have to be compared, in words."""
    return f"at least {percentage(MATERIAL)} of the cost"


def best_and_worst(summary: pd.DataFrame) -> str:
    """Name the channels with the highest and the lowest ROAS of those that have at least 1 % of all cost.

    In: `channel_summary`, the total in its last row.
    """
    paid = material(summary).sort_values("ROAS", ascending=False, kind="stable")
    if not summary["ihc_revenue"].any():
        return "There is no attributed revenue on the reported days to compare channels by."
    if paid.empty:
        return f"No channel has {enough_cost()}, so none are compared by ROAS."
    best, worst = paid.iloc[0], paid.iloc[-1]
    if len(paid) == 1:
        return f"Only one channel has {enough_cost()}: {_earned(best)}."
    if best["ROAS"] == worst["ROAS"]:
        return f"All {len(paid)} channels with {enough_cost()} have the same ROAS, {fixed(best['ROAS'], 2)}."
    return (
        f"Of the {len(paid)} channels with {enough_cost()}, the best is {_earned(best)}, the worst is {_earned(worst)}."
    )


def _earned(row: pd.Series) -> str:
    figures = f"{fixed(row['ihc_revenue'], 2)} of revenue for {fixed(row['cost'], 2)} of cost"
    return f"{shown(row['channel_name'])} with ROAS {fixed(row['ROAS'], 2)} ({figures})"


def orders_sentence(lines: pd.DataFrame) -> str:
    """Say how the orders ended. In: the frame of `reconcile`."""
    orders = lines[lines["section"] == ORDERS]
    counts = {line: round(count) for line, count in zip(orders["line"], orders["count"], strict=True)}
    read, credited = orders["count"].iloc[0], counts[CREDITED]
    refunds = refunded(lines)
    if not read:
        return f"There is no order in these dates{f', only refunds of {fixed(refunds, 2)}' if refunds else ''}."
    verb = "is" if read == 1 or credited <= 1 else "are"
    amount = f", {fixed(orders['amount'].iloc[-1], 2)} of revenue{after_refunds(lines)}" if credited else ""
    text = f"{f'{fixed(credited)}' if credited else 'None'} of {counted(read, 'order')} {verb} credited{amount}"
    rest = (
        (UNATTRIBUTED, "has no session", "have no session"),
        (FAILED, "failed", "failed"),
        (WAITING, "waits for a run", "wait for a run"),
    )
    others = [
        f"{fixed(-counts[line])} {one if counts[line] == -1 else more}" for line, one, more in rest if counts.get(line)
    ]
    return f"{text}{'; ' if others else ''}{', '.join(others)}."


def after_refunds(lines: pd.DataFrame) -> str:
    """What refunds took, behind an amount of revenue; empty without refunds. In: the frame of `reconcile`."""
    refunds = refunded(lines)
    return f" after refunds of {fixed(refunds, 2)}" if refunds else ""


def missing_sentence(tables: Tables, orders: pd.DataFrame, reported: pd.DataFrame, dates: str) -> str:
    """Say what a report cannot be made without, and lacks: orders of its dates, orders or sessions; else empty.

    In: the tables, the conversions of the `dates`, and the `conversion_credits` of the reported days.
    """
    if tables.conversions.empty:
        what = "no order" if len(tables.sessions) else "no session and no order"
        return f"The tables have {what}, so there is nothing to attribute."
    if tables.sessions.empty:
        return f"The tables have no session, so {counted(len(tables.conversions), 'order')} cannot be attributed."
    if len(orders):
        return ""
    days = tables.conversions["conv_date"]
    there = f"the table has {counted(len(days), 'order')} of {dated(days.min())} to {dated(days.max())}"
    others = counted(reported["conv_id"].nunique(), "order")
    credit = f" All credit of these days comes from {others} of other days." if len(reported) else ""
    return f"There is no order of {dates}; {there}.{credit}"


def costless_sentence(sessions: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Say how many sessions count as free because their cost is not known. In: the tables."""
    without = int((~isin(sessions["session_id"], costs["session_id"])).sum())
    null = int(costs["cost"].isna().sum())
    if not without and not null:
        return "Every session has a cost."
    no_row, no_figure = counted(without, "session"), counted(null, "cost row")
    return f"Counted as cost 0: {no_row} without a cost row, {no_figure} without a figure."


def provenance_sentence(sources: pd.DataFrame) -> str:
    """Say which engine and parameters made the stored credits, and warn when they are not the same for all.

    In: the frame of `provenance`: `engine, parameters, lookback_days, orders`.
    """
    if sources.empty:
        return "There are no credits to report."
    texts = [
        f"{engine_name(row)} and {lookback(row['lookback_days'])} ({counted(row['orders'], 'order')})"
        for _, row in sources.iterrows()
    ]
    if len(texts) == 1:
        return f"All credits come from the {texts[0]}."
    return f"Attention: the stored credits come from different settings and are not alike: {'; '.join(texts)}."


def source_note(sources: pd.DataFrame, start_date: str | None, end_date: str | None) -> str:
    """What stands below every chart: engine, parameters and dates. In: the frame of `provenance`, and the dates."""
    dates = dates_sentence(start_date, end_date)
    if sources.empty:
        return f"no credits; {dates}"
    others = "" if len(sources) == 1 else ", and others"
    return f"IHC credit: {engine_name(sources.iloc[0])}{others}; {dates}"


def dates_sentence(start_date: str | None, end_date: str | None) -> str:
    """The dates of a run in words."""
    if not start_date and not end_date:
        return "all days"
    first, last = dated(start_date or "the first day"), dated(end_date or "the last day")
    return f"{first} to {last}"


def span_sentence(sessions: pd.DataFrame, conversions: pd.DataFrame) -> str:
    """Say which days the tables reach over; empty where one has no row. In: the tables."""
    if sessions.empty or conversions.empty:
        return ""
    visits, orders = (
        f"{dated(days.min())} to {dated(days.max())}" for days in (sessions["event_date"], conversions["conv_date"])
    )
    return f"The tables have sessions of {visits} and orders of {orders}."


def currency_sentence(currency: str) -> str:
    """Say what amounts are in; empty where that is not known."""
    return f"Amounts are in {shown(currency)}." if currency else ""


def colours_sentence(chosen: Collection[str], channels: Collection[str]) -> str:
    """Say which channels a house style has colours for and the shop has not; empty where it has all."""
    absent = sorted(set(chosen) - set(channels))
    return f"The house style has a colour for channels that do not occur: {named(absent)}." if absent else ""


def journeys_sentence(journeys: pd.DataFrame, lonely: pd.DataFrame) -> str:
    """Say how many orders have a journey. In: `journeys` of orders, and the orders without any session."""
    orders = journeys["conv_id"].nunique()
    if not orders and lonely.empty:
        return "There is no order in these dates, so there is no journey."
    each = f", {fixed(len(journeys) / orders, 2)} sessions each on average" if orders else ""
    return (
        f"Orders with a journey: {fixed(orders)}{each}. Without any session, and so unattributed: "
        f"{fixed(len(lonely))}, {fixed(lonely['revenue'].sum(), 2)} of revenue."
    )


def parameters_sentence(
    parameters: Parameters, journeys: pd.DataFrame, redistribution: Redistribution | None = None, *, shop: str = ""
) -> str:
    """Say which parameters the engine uses, and their origin. In: as `origin_sentence`, and the redistribution."""
    label = labelled(parameters.label, redistribution)
    return f"The local engine uses the parameters {label}. {origin_sentence(parameters, journeys, shop=shop)}"


def origin_sentence(parameters: Parameters, journeys: pd.DataFrame, *, shop: str = "") -> str:
    """Say which shop parameters come from, and for how many of these channels they hold weights.

    In: `journeys`, or any frame with their `channel_name`; the name of the database of this `shop`.
    """
    origin, channels = parameters.shop, set(journeys["channel_name"].unique())
    if not origin:
        source = "The parameters do not say which shop they come from."
    elif origin == shop:
        source = f"The parameters come from this shop, {shown(origin, 64)}."
    else:
        source = f"The parameters come from another shop: {shown(origin, 64)}."
    if not parameters.channels:
        return f"{source} They hold no channel weights, so every channel has the neutral weight 1."
    unknown = channels - parameters.channels
    weights = f"They hold weights for {len(channels - unknown)} of {counted(len(channels), 'channel')}"
    others = f"; these have the neutral weight 1: {_named(unknown)}" if unknown else ""
    return f"{source} {weights}{others}."


def redistribution_sentence(redistribution: Redistribution, journeys: pd.DataFrame) -> str:
    """Say which channels a redistribution lists in vain; empty where each occurs, or no journey. In: `journeys`."""
    absent = redistribution.channels - set(journeys["channel_name"].unique())
    if not absent or journeys.empty:
        return ""
    return (
        f"The redistribution moves nothing for {len(absent)} of the {counted(len(redistribution.channels), 'channel')} "
        f"that it lists, as these journeys have no session of that name: {_named(absent)}."
    )


def _named(channels: Collection[str]) -> str:
    names = sorted(shown(name) for name in channels)
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def api_sentence(account: str, asked_for: int, known: int, ends: pd.DataFrame) -> str:
    """Say what the API was asked. In: the account's label, counts of orders, and the engine's `ends`."""
    text = (
        f"The IHC Attribution API computes, {account}: {counted(asked_for, 'order')}, {fixed(known)} of them known "
        "already."
    )
    return " ".join(filter(None, [text, waiting_sentence(ends), kept_sentence(ends), cut_sentence(ends)]))


def asked_sentence(asked: dict[str, int], ends: pd.DataFrame) -> str:
    """Say what a run asked of the API, and how its orders ended.

    In: counts `calls, asked, answered`, and `outcome` of the run's orders.
    """
    counts = ends["outcome"].value_counts()
    kept = len(_credited_because(ends, KEPT))
    known = counts.get("credited", 0) - asked["answered"] - kept
    return (
        f"API: {counted(asked['calls'], 'request')} sent; orders asked {fixed(asked['asked'])}, answered "
        f"{fixed(asked['answered'])}, skipped as known {fixed(known)}, waiting "
        f"{fixed(counts.get('waiting', 0) + kept)}, failed {fixed(counts.get('failed', 0))}."
    )


def waiting_sentence(outcomes: pd.DataFrame) -> str:
    """Say how many orders wait, and for what; empty where none does. In: `outcome, reason`."""
    waiting = outcomes.loc[outcomes["outcome"] == "waiting", "reason"]
    if waiting.empty:
        return ""
    verb = "waits" if len(waiting) == 1 else "wait"
    return f"{counted(len(waiting), 'order')} {verb} for the next run: {waiting.iloc[-1]}"


def cut_sentence(outcomes: pd.DataFrame) -> str:
    """Say how many journeys were cut to what a request may hold; empty where none was. In: `outcome, reason`."""
    cut = len(_credited_because(outcomes, CUT))
    return f"Longer than the API takes, and cut to their latest sessions: {counted(cut, 'journey')}." if cut else ""


def kept_sentence(outcomes: pd.DataFrame) -> str:
    """Say how many orders a refresh did not reach; empty where none. In: `outcome, reason`."""
    kept = _credited_because(outcomes, KEPT)
    if kept.empty:
        return ""
    why = kept.iloc[-1].removeprefix(f"{KEPT}: ")
    return f"Not asked again yet, and credited by an earlier answer: {counted(len(kept), 'order')}. {why}"


def _credited_because(outcomes: pd.DataFrame, why: str) -> pd.Series[str]:
    reasons = outcomes.loc[outcomes["outcome"] == "credited", "reason"]
    return reasons[reasons.str.startswith(why)]


def stored_sentence(outcomes: pd.DataFrame) -> str:
    """Say what was stored. In: `outcomes` of the run."""
    is_refund = outcomes["reason"] == REFUND
    counts = outcomes.loc[~is_refund, "outcome"].value_counts()
    refunds = f" Credited refunds: {fixed(is_refund.sum())}." if is_refund.any() else ""
    return (
        f"Orders of this run: {fixed((~is_refund).sum())}. Credited and stored: {fixed(counts.get('credited', 0))}; "
        f"without any session: {fixed(counts.get('unattributed', 0))}; failed: {fixed(counts.get('failed', 0))}; "
        f"waiting: {fixed(counts.get('waiting', 0))}.{refunds}"
    )


def left_out_sentence(vanished: int, unsound: pd.DataFrame) -> str:
    """Say which stored credits are not in the figures; empty where all are.

    In: how many stored orders were gone from the tables, and `conv_id, reason` of stored credits that are not whole.
    """
    gone = f"Gone from the table of conversions, and removed from the results: {counted(vanished, 'order')}."
    which = f"{counted(len(unsound), 'order')} ({some(unsound['conv_id'])})"
    not_whole = f"Left out, as the stored credits are not whole: {which}; run their dates again."
    return " ".join([*([gone] if vanished else []), *([not_whole] if len(unsound) else [])])


def run_sentence(database: str, run_id: str, dates: str) -> str:
    """Say what the report is about."""
    return f"Orders and sessions of {dates}, from the database {database}; run {run_id}."


def letters_sentence(missing: Sequence[str]) -> str:
    """Say which letters the PNG charts lack; empty where they have all. In: `letters_without_font`."""
    if not missing:
        return ""
    named = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in missing[:MOST_LETTERS])
    more = f" and {fixed(len(missing) - MOST_LETTERS)} more" if len(missing) > MOST_LETTERS else ""
    boxes = "a box" if len(missing) == 1 else "boxes"
    return (
        f"No font on this machine has {named}{more}: PNG charts show {boxes} instead. The charts on this page use the "
        "fonts of your browser. Install a Noto font on this machine and run again."
    )
