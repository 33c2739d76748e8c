"""Sentences on what changed between two runs."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.changes import ANEW, CAUSES, LATE, OTHER_SETTINGS, REFUNDED, Changes
from ihc.database.history import RecordedRun
from ihc.formatting import CENT, counted, dated, engine_name, fixed, lookback, shown
from ihc.narrative.run import dates_sentence

# These causes move credit of an order from one channel to another.
SHIFTING = {CAUSES[cause] for cause in (LATE, OTHER_SETTINGS, ANEW)}


def changes_sentence(changes: Changes, before: RecordedRun | None, after: RecordedRun) -> str:
    """Describe what changed between two recorded runs and why, the largest cause first.

    In: the result of `compare`, and the runs. `before` is None if there is no earlier record; `after` has no
    `recorded_at` if it is not recorded itself.
    """
    if before is None and not after.recorded_at:
        return "No run is recorded yet, so there is nothing to compare with."
    if before is None:
        return f"This is the first recorded run (number {after.number}). The next run will be compared with it."
    total = changes.channels.iloc[-1]
    figures = changes.channels[[*CAUSES, "cost_change", "cost_dates"]]
    since = f"run {before.number} of {dated(before.recorded_at[:10])}"
    if before.window == after.window and not (figures.abs() >= CENT).any(axis=None):
        earned, spent = fixed(total["ihc_revenue_after"], 2), fixed(total["cost_after"], 2)
        same = f"attributed revenue is still {earned}, spend {spent}"
        return " ".join(filter(None, [f"Nothing changed since {since}: {same}.", _idle(changes.causes)]))
    dates, settings = (
        [dates_sentence(*run.window) for run in (before, after)],
        [f"{engine_name(run)}, {lookback(run.lookback_days)}" for run in (before, after)],
    )
    sentences = [
        f"Compared with {since}.",
        _differ("The dates differ", *dates),
        _differ("The settings differ", *settings),
        _revenue(changes),
        _idle(changes.causes),
        _most_changed(changes.channels),
        _cost(total),
    ]
    return " ".join(filter(None, sentences))


def changes_title(channels: pd.DataFrame) -> str:
    """State the change in attributed revenue as a title. In: `Changes.channels`."""
    total = channels.iloc[-1]
    return _moved("Attributed revenue", total["ihc_revenue_before"], total["ihc_revenue_after"])


def _differ(what: str, before: str, after: str) -> str:
    return f"{what}: {before} before, {after} now." if before != after else ""


def _moved(name: str, before: float, after: float) -> str:
    change = after - before
    if abs(change) < CENT:
        return f"{name} is unchanged at {fixed(after, 2)}"
    verb = "rose" if change > 0 else "fell"
    return f"{name} {verb} by {fixed(abs(change), 2)}, from {fixed(before, 2)} to {fixed(after, 2)}"


def _revenue(changes: Changes) -> str:
    text = changes_title(changes.channels)
    parts = ", ".join(filter(None, (_part(row) for _, row in changes.causes.iterrows())))
    return f"{text}: {parts}." if parts else f"{text}."


def _part(row: pd.Series) -> str:
    """Describe the effect of a cause and its number of orders; empty if it has no effect."""
    cause, net, shifted = row["cause"], row["ihc_revenue_change"], row["shifted"]
    what = [fixed(net, 2, sign=True)] if abs(net) >= CENT else []
    if shifted >= CENT and cause in SHIFTING:
        what.append(f"{fixed(shifted, 2)} moved between channels")
    elif shifted >= CENT and not what:
        what.append("±0.00 in total")
    noun = "refund" if cause == CAUSES[REFUNDED] else "order"
    return f"{cause} {' and '.join(what)} ({counted(row['orders'], noun)})" if what else ""


def _idle(causes: pd.DataFrame) -> str:
    """List the causes that apply to some orders but have no effect."""
    idle = causes[(causes["ihc_revenue_change"].abs() < CENT) & (causes["shifted"] < CENT)]
    parts = [f"{row['cause']} ({counted(row['orders'], 'order')})" for _, row in idle.iterrows()]
    return f"No effect on attributed revenue: {', '.join(parts)}." if parts else ""


def _most_changed(channels: pd.DataFrame) -> str:
    """Name the channel whose attributed revenue changed most, and the main cause."""
    row = channels.iloc[0]
    change = row["ihc_revenue_after"] - row["ihc_revenue_before"]
    if len(channels) == 1 or abs(change) < CENT:
        return ""
    by_cause = row[list(CAUSES)].astype("float64") * (1 if change > 0 else -1)
    cause = str(by_cause.idxmax())
    is_alone = (by_cause.drop(cause).abs() < CENT).all()
    return (
        f"{shown(row['channel_name'])} changed {'most, ' if len(channels) > 2 else ''}by "
        f"{fixed(change, 2, sign=True)} to {fixed(row['ihc_revenue_after'], 2)}, "
        f"{'entirely' if is_alone else 'mainly'} due to {CAUSES[cause]}"
        f"{'' if is_alone else f' ({fixed(row[cause], 2, sign=True)})'}."
    )


def _cost(total: pd.Series) -> str:
    text = _moved("Spend", total["cost_before"], total["cost_after"])
    if abs(total["cost_dates"]) >= CENT and abs(total["cost_change"]) >= CENT:
        dates, corrected = (fixed(total[name], 2, sign=True) for name in ("cost_dates", "cost_change"))
        text += f": other dates {dates}, new or corrected spend {corrected}"
    if pd.isna(total["ROAS_before"]) or pd.isna(total["ROAS_after"]):
        return f"{text}."
    was, now = fixed(total["ROAS_before"], 2), fixed(total["ROAS_after"], 2)
    return f"{text}. ROAS is unchanged at {now}." if was == now else f"{text}. ROAS went from {was} to {now}."
