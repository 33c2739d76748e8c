"""Sentences on runs: orders, credits, parameters and API calls. Plain text without markup."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ihc.analysis.reconciliation import CREDITED, FAILED, ORDERS, UNATTRIBUTED, WAITING, refunded
from ihc.analysis.reporting import MATERIAL, material
from ihc.arrays.lookup import isin
from ihc.formatting import counted, dated, engine_name, fixed, lookback, named, percentage, shown, some
from ihc.journeys.build import NO_NEW_SESSION
from ihc.journeys.credits import REFUND
from ihc.models.redistribution import Redistribution
from ihc.schemas.refunds import purchases

if TYPE_CHECKING:
    from ihc.models.parameters import Parameters
    from ihc.schemas.tables import Tables


# Prefixes of the reasons of credited orders.
CUT, KEPT = "its journey was cut", "it keeps its earlier answer"
MOST_LETTERS = 5


def enough_cost() -> str:
    """State the minimum share of spend of the channels that are compared."""
    return f"at least {percentage(MATERIAL)} of spend"


def best_and_worst(summary: pd.DataFrame) -> str:
    """Name the channels with the highest and the lowest ROAS, among those with at least 1% of spend.

    In: `channel_summary`, with the total in the last row.
    """
    paid = material(summary).sort_values("ROAS", ascending=False, kind="stable")
    if not summary["ihc_revenue"].any():
        return "There is no attributed revenue on these dates, so channels are not compared."
    if paid.empty:
        return f"No channel has {enough_cost()}, so channels are not compared by ROAS."
    best, worst = paid.iloc[0], paid.iloc[-1]
    if len(paid) == 1:
        return f"Only one channel has {enough_cost()}: {_earned(best)}."
    if best["ROAS"] == worst["ROAS"]:
        return f"All {len(paid)} channels with {enough_cost()} have the same ROAS, {fixed(best['ROAS'], 2)}."
    return (
        f"Of the {len(paid)} channels with {enough_cost()}, the best is {_earned(best)}, the worst is {_earned(worst)}."
    )


def _earned(row: pd.Series) -> str:
    figures = f"revenue {fixed(row['ihc_revenue'], 2)}, spend {fixed(row['cost'], 2)}"
    return f"{shown(row['channel_name'])} with ROAS {fixed(row['ROAS'], 2)} ({figures})"


def orders_sentence(lines: pd.DataFrame) -> str:
    """Count the orders by outcome. In: the frame of `reconcile`."""
    orders = lines[lines["section"] == ORDERS]
    counts = {line: round(count) for line, count in zip(orders["line"], orders["count"], strict=True)}
    read, credited = orders["count"].iloc[0], counts[CREDITED]
    refunds = refunded(lines)
    if not read:
        return f"There are no orders on these dates{f', only refunds of {fixed(refunds, 2)}' if refunds else ''}."
    verb = "is" if read == 1 or credited <= 1 else "are"
    amount = f", with {fixed(orders['amount'].iloc[-1], 2)} of revenue{after_refunds(lines)}" if credited else ""
    text = f"{fixed(credited) if credited else 'None'} of {counted(read, 'order')} {verb} credited{amount}"
    rest = (
        (UNATTRIBUTED, "is untracked", "are untracked"),
        (FAILED, "failed", "failed"),
        (WAITING, "waits for the next run", "wait for the next run"),
    )
    others = [
        f"{fixed(-counts[line])} {one if counts[line] == -1 else more}" for line, one, more in rest if counts.get(line)
    ]
    return f"{text}{'; ' if others else ''}{', '.join(others)}."


def restarted_sentence(outcomes: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Count the orders that are untracked because journeys restart after an order; empty if none is.

    In: `conv_id, reason` of the stored outcomes, and the conversions of the dates.
    """
    spent = outcomes.loc[outcomes["reason"] == NO_NEW_SESSION, "conv_id"]
    count = int(isin(purchases(orders)["conv_id"], spent).sum())
    if not count:
        return ""
    has = "1 untracked order has" if count == 1 else f"{fixed(count)} untracked orders have"
    return f"{has} no session since the previous order of the user: journeys restart after an order."


def after_refunds(lines: pd.DataFrame) -> str:
    """State the refunds deducted from an amount of revenue; empty without refunds. In: the frame of `reconcile`."""
    refunds = refunded(lines)
    return f" after refunds of {fixed(refunds, 2)}" if refunds else ""


def missing_sentence(tables: Tables, orders: pd.DataFrame, reported: pd.DataFrame, dates: str) -> str:
    """State what is missing for a report: sessions, orders, or orders on its dates; empty if nothing is.

    In: the tables, the conversions of the `dates`, and the `conversion_credits` of the reported days.
    """
    if tables.conversions.empty:
        what = "no orders" if len(tables.sessions) else "no sessions and no orders"
        return f"The tables have {what}, so there is nothing to attribute."
    if tables.sessions.empty:
        orders = purchases(tables.conversions)
        return f"The tables have no sessions, so {counted(len(orders), 'order')} cannot be attributed."
    if len(orders):
        return ""
    days = tables.conversions["conv_date"]
    there = f"The table has {counted(len(days), 'order')} from {dated(days.min())} to {dated(days.max())}"
    others = counted(reported["conv_id"].nunique(), "order")
    credit = f" All credit on these days comes from {others} on other days." if len(reported) else ""
    return f"There are no orders from {dates}. {there}.{credit}"


def costless_sentence(sessions: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Count the sessions whose cost is unknown and therefore counts as 0. In: the tables."""
    without = int((~isin(sessions["session_id"], costs["session_id"])).sum())
    null = int(costs["cost"].isna().sum())
    if not without and not null:
        return "Every session has a cost."
    no_row = f"{counted(without, 'session')} {'has' if without == 1 else 'have'} no cost row"
    no_figure = f"{counted(null, 'cost row')} {'has' if null == 1 else 'have'} no cost"
    return f"{no_row} and {no_figure}; all count as 0."


def provenance_sentence(sources: pd.DataFrame) -> str:
    """Name the engine and parameters of the stored credits, and warn if they differ between orders.

    In: the frame of `provenance`: `engine, parameters, lookback_days, orders`.
    """
    if sources.empty:
        return "There are no credits to report."
    texts = [
        f"{engine_name(row)}, {lookback(row['lookback_days'])} ({counted(row['orders'], 'order')})"
        for _, row in sources.iterrows()
    ]
    if len(texts) == 1:
        return f"All credits come from the {texts[0]}."
    return f"Warning: the stored credits mix settings and are not comparable: {'; '.join(texts)}."


def source_note(sources: pd.DataFrame, start_date: str | None, end_date: str | None) -> str:
    """Write the note below each chart: engine, parameters and dates. In: the frame of `provenance`, and the dates."""
    dates = dates_sentence(start_date, end_date)
    if sources.empty:
        return f"no credits; {dates}"
    others = "" if len(sources) == 1 else " and others"
    return f"IHC credit: {engine_name(sources.iloc[0])}{others}; {dates}"


def dates_sentence(start_date: str | None, end_date: str | None) -> str:
    """Write the dates of a run in words."""
    if not start_date and not end_date:
        return "all days"
    first, last = dated(start_date or "the first day"), dated(end_date or "the last day")
    return f"{first} to {last}"


def span_sentence(sessions: pd.DataFrame, conversions: pd.DataFrame) -> str:
    """State the days that the tables cover; empty if one has no rows. In: the tables."""
    if sessions.empty or conversions.empty:
        return ""
    visits, orders = (
        f"{dated(days.min())} to {dated(days.max())}" for days in (sessions["event_date"], conversions["conv_date"])
    )
    return f"The tables have sessions from {visits} and orders from {orders}."


def currency_sentence(currency: str) -> str:
    """State the currency; empty if it is unknown."""
    return f"Amounts are in {shown(currency)}." if currency else ""


def colours_sentence(chosen: Collection[str], channels: Collection[str]) -> str:
    """Name the channels of the house style that the shop does not have; empty if it has all."""
    absent = sorted(set(chosen) - set(channels))
    return f"The house style has colours for channels that do not exist: {named(absent)}." if absent else ""


def journeys_sentence(journeys: pd.DataFrame, untracked: pd.DataFrame) -> str:
    """Count the orders with a journey and the untracked ones. In: `journeys` of orders, and the untracked orders."""
    orders = journeys["conv_id"].nunique()
    if not orders and untracked.empty:
        return "There are no orders on these dates, so there are no journeys."
    each = f", with {fixed(len(journeys) / orders, 2)} sessions on average" if orders else ""
    return (
        f"Orders with a journey: {fixed(orders)}{each}. Untracked orders: {fixed(len(untracked))}, with "
        f"{fixed(untracked['revenue'].sum(), 2)} of revenue."
    )


def parameters_sentence(label: str, used: Mapping[str, Parameters], journeys: pd.DataFrame, *, shop: str = "") -> str:
    """Name the parameters of the engine and their origin. In: their label, and as `origins_sentence`."""
    return f"The local engine uses the parameters {label}. {origins_sentence(used, journeys, shop=shop)}"


def origins_sentence(used: Mapping[str, Parameters], journeys: pd.DataFrame, *, shop: str = "") -> str:
    """State the origin of each set of parameters after its conversion type, which is left out if there is one set.

    In: as `origin_sentence`, but the sets by conversion type, at least one.
    """
    origins = {name: origin_sentence(parameters, journeys, shop=shop) for name, parameters in used.items()}
    if len(origins) == 1:
        return next(iter(origins.values()))
    return " ".join(f"For {shown(name, 64)}: {origin}" for name, origin in origins.items())


def origin_sentence(parameters: Parameters, journeys: pd.DataFrame, *, shop: str = "") -> str:
    """State which shop the parameters come from, and how many of these channels have weights.

    In: `journeys`, or any frame with their `channel_name`, and the name of this `shop`'s database.
    """
    origin, channels = parameters.shop, set(journeys["channel_name"].unique())
    if not origin:
        source = "The parameters do not name the shop they come from."
    elif origin == shop:
        source = f"The parameters come from this shop, {shown(origin, 64)}."
    else:
        source = f"The parameters come from another shop: {shown(origin, 64)}."
    if not parameters.channels:
        return f"{source} They have no channel weights, so every channel has the neutral weight 1."
    unknown = channels - parameters.channels
    weights = f"They have weights for {len(channels - unknown)} of {counted(len(channels), 'channel')}"
    others = f". The others have the neutral weight 1: {_named(unknown)}" if unknown else ""
    return f"{source} {weights}{others}."


def redistribution_sentence(redistribution: Redistribution, journeys: pd.DataFrame) -> str:
    """Name the channels of a redistribution that have no session; empty if all have, or without journeys.

    In: `journeys`.
    """
    absent = redistribution.channels - set(journeys["channel_name"].unique())
    if not absent or journeys.empty:
        return ""
    return (
        f"The redistribution has no effect for {len(absent)} of its "
        f"{counted(len(redistribution.channels), 'channel')}, because no session in these journeys has that channel "
        f"name: {_named(absent)}."
    )


def _named(channels: Collection[str]) -> str:
    names = sorted(shown(name) for name in channels)
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def api_sentence(account: str, asked_for: int, known: int, outcomes: pd.DataFrame) -> str:
    """Describe the request to the API. In: the account's label, counts of orders, and the engine's `outcomes`."""
    text = (
        f"The IHC Attribution API ({account}) attributes {counted(asked_for, 'order')}; {fixed(known)} of them were "
        "already answered."
    )
    return " ".join(filter(None, [text, waiting_sentence(outcomes), kept_sentence(outcomes), cut_sentence(outcomes)]))


def requests_sentence(requests: dict[str, int], outcomes: pd.DataFrame) -> str:
    """Count the API requests of a run, and its orders by outcome.

    In: counts `calls, asked, answered`, and `outcome` of the run's orders.
    """
    counts = outcomes["outcome"].value_counts()
    kept = len(_credited_because(outcomes, KEPT))
    known = counts.get("credited", 0) - requests["answered"] - kept
    return (
        f"API: {counted(requests['calls'], 'request')}. Orders sent: {fixed(requests['asked'])}, answered: "
        f"{fixed(requests['answered'])}, already answered: {fixed(known)}, waiting: "
        f"{fixed(counts.get('waiting', 0) + kept)}, failed: {fixed(counts.get('failed', 0))}."
    )


def waiting_sentence(outcomes: pd.DataFrame) -> str:
    """Count the waiting orders and give the reason; empty if there are none. In: `outcome, reason`."""
    waiting = outcomes.loc[outcomes["outcome"] == "waiting", "reason"]
    if waiting.empty:
        return ""
    verb = "waits" if len(waiting) == 1 else "wait"
    return f"{counted(len(waiting), 'order')} {verb} for the next run: {waiting.iloc[-1]}"


def cut_sentence(outcomes: pd.DataFrame) -> str:
    """Count the journeys that were cut to the size limit of a request; empty if none was. In: `outcome, reason`."""
    cut = len(_credited_because(outcomes, CUT))
    if not cut:
        return ""
    was, whose = ("was", "its") if cut == 1 else ("were", "their")
    return f"{counted(cut, 'journey')} exceeded the limit of the API and {was} cut to {whose} latest sessions."


def kept_sentence(outcomes: pd.DataFrame) -> str:
    """Count the orders that a refresh did not reach; empty if there are none. In: `outcome, reason`."""
    kept = _credited_because(outcomes, KEPT)
    if kept.empty:
        return ""
    why = kept.iloc[-1].removeprefix(f"{KEPT}: ")
    text = (
        "keeps its earlier credit because it was" if len(kept) == 1 else "keep their earlier credit because they were"
    )
    return f"{counted(len(kept), 'order')} {text} not sent again yet. {why}"


def _credited_because(outcomes: pd.DataFrame, why: str) -> pd.Series[str]:
    reasons = outcomes.loc[outcomes["outcome"] == "credited", "reason"]
    return reasons[reasons.str.startswith(why)]


def stored_sentence(outcomes: pd.DataFrame) -> str:
    """Count the stored orders by outcome. In: `outcomes` of the run."""
    is_refund = outcomes["reason"] == REFUND
    counts = outcomes.loc[~is_refund, "outcome"].value_counts()
    refunds = f" Credited refunds: {fixed(is_refund.sum())}." if is_refund.any() else ""
    return (
        f"Orders of this run: {fixed((~is_refund).sum())}. Credited and stored: {fixed(counts.get('credited', 0))}; "
        f"untracked: {fixed(counts.get('unattributed', 0))}; failed: {fixed(counts.get('failed', 0))}; "
        f"waiting: {fixed(counts.get('waiting', 0))}.{refunds}"
    )


def left_out_sentence(removed: int, unsound: pd.DataFrame) -> str:
    """Name the stored orders that are not in the figures; empty if all are.

    In: the number of stored orders that are no longer in the tables, and `conv_id, reason` of incomplete credits.
    """
    is_gone, was = ("is", "was") if removed == 1 else ("are", "were")
    gone = (
        f"{counted(removed, 'order')} {is_gone} no longer in the conversions table and {was} removed from the results."
    )
    which = f"{counted(len(unsound), 'order')} ({some(unsound['conv_id'])})"
    is_out, whose = ("is", "its") if len(unsound) == 1 else ("are", "their")
    not_whole = f"{which} {is_out} left out because of incomplete stored credit. Run {whose} dates again."
    return " ".join([*([gone] if removed else []), *([not_whole] if len(unsound) else [])])


def run_sentence(database: str, run_id: str, dates: str) -> str:
    """State the dates, database and run of the report."""
    return f"Orders and sessions: {dates}. Database: {database}. Run: {run_id}."


def letters_sentence(missing: Sequence[str]) -> str:
    """Name the letters that no font for PNG charts has; empty if there are none. In: `letters_without_font`."""
    if not missing:
        return ""
    named = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in missing[:MOST_LETTERS])
    more = f" and {fixed(len(missing) - MOST_LETTERS)} more" if len(missing) > MOST_LETTERS else ""
    boxes = "a box" if len(missing) == 1 else "boxes"
    return (
        f"No font on this machine has {named}{more}: PNG charts show {boxes} instead. The charts on this page use the "
        "fonts of your browser. Install a Noto font on this machine and run again."
    )
