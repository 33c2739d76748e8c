"""The sentences on the models: what the engine did with an order, and where the models part."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from ihc.analysis.reporting import material
from ihc.formatting import CENT, counted, duration, engine_name, fixed, general, listed, percentage, shown, some
from ihc.models.explanation import BEFORE, RESTARTS
from ihc.models.heuristics import DIRECT, direct_channels
from ihc.narrative.run import enough_cost, provenance_sentence
from ihc.schemas.tables import PHASES

if TYPE_CHECKING:
    from ihc.models.redistribution import Redistribution


SAME = 5e-5  # credits that differ by less are printed alike
MOST_MODELS = 3
LAST_TOUCH = "Last touch"


def explanation_sentence(steps: pd.DataFrame) -> str:
    """Say how the credit of one order comes about. In: the rows of `explain`."""
    if steps.empty:
        return "There is no order with a journey to explain."
    order = f"Order {shown(steps['conv_id'].iloc[0])}"
    if len(steps) == 1:
        return f"{order} has a single session, of {shown(steps['channel_name'].iloc[0])}, that gets all credit."
    best = steps.iloc[int(steps["ihc"].argmax())]
    hours = best["to_conversion"]
    when = f"{duration(hours)} before the converting session" if hours else "at the moment of the conversion"
    parts = [f"{percentage(best[f'{phase}_credit'], 1)} as {phase}" for phase in PHASES]
    text = (
        f"{order} has {fixed(len(steps))} sessions; {shown(best['channel_name'])}, {when}, gets the most of its "
        f"credit, {percentage(best['ihc'], 1)}: {listed(parts)}."
    )
    absent = [
        f"No session counts as {phase}, so the other phases share its weight in proportion."
        for phase in PHASES
        if not steps[phase].any()
    ]
    return " ".join(filter(None, [text, _restart(steps), *absent]))


def _restart(steps: pd.DataFrame) -> str:
    restarts = steps[steps["restart"] == RESTARTS]
    if restarts.empty:
        return ""
    lost = int((steps["restart"] == BEFORE).sum())
    return (
        f"A silence of {duration(restarts['gap'].iloc[-1])} restarted the journey, so the {counted(lost, 'session')} "
        f"before it get{'s' if lost == 1 else ''} no credit."
    )


def stored_credit_sentence(steps: pd.DataFrame, stored: pd.DataFrame) -> str:
    """Say whether the stored credit of the order is the explained one. In: `explain`'s rows and `read_credit`'s."""
    if stored.empty:
        return "No credit of this order is stored yet."
    both = steps[["session_id", "ihc"]].merge(stored, how="outer", on="session_id", suffixes=("", "_stored"))
    off = (both["ihc"].fillna(0.0) - both["ihc_stored"].fillna(0.0)).abs().max()
    differs = "is the same" if off < SAME else f"differs by up to {fixed(off, 4)} for a session"
    return f"The stored credit, of the {engine_name(stored.iloc[0])}, {differs}."


def engine_sentence(label: str, sources: pd.DataFrame) -> str:
    """Say whose curves and weights are shown, and whether the stored credits come from them.

    In: the label of the local engine's parameters, with its redistribution, and the frame of `provenance`.
    """
    others = "It is not, or not alone, what made the stored credits, and an order explained by it may have other ones."
    is_same = sources.empty or made_by(label, sources)
    shown_here = f"Shown is what the local engine knows with the parameters {label}."
    return " ".join([shown_here, *([] if is_same else [others]), provenance_sentence(sources)])


def made_by(label: str, sources: pd.DataFrame) -> bool:
    """Do all stored credits come from the local engine with what `label` names? In: the frame of `provenance`."""
    return bool((sources["engine"] == "local").all() and (sources["parameters"] == label).all())


def grid_source_sentence(label: str, sources: pd.DataFrame) -> str:
    """Say where IHC under other settings starts from something else than the report; empty where it does not.

    In: the label of the local engine's parameters, and the frame of `provenance`.
    """
    if sources.empty or made_by(label, sources):
        return ""
    return (
        f"IHC is computed here by the local engine with the parameters {label}, which did not, or not alone, make the "
        "report's credits: its figures may differ from the report's."
    )


def redistribution_effect(moved: pd.DataFrame, redistribution: Redistribution | None) -> str:
    """Say what a redistribution moves. In: the rows of `before_after` that change."""
    if not redistribution:
        return "The run has no redistribution: every channel keeps what it earns."
    if moved.empty:
        return "The redistribution moves nothing: its channels have no credit here, or nobody could receive it."
    change = moved.set_index("channel_name")["ihc_change"]
    orders = change.clip(lower=0).sum()
    return (
        f"The redistribution moves the credit of {fixed(orders, 1)} orders: most is given by {shown(change.idxmin())} "
        f"({fixed(change.min(), 1, sign=True)}), most is received by {shown(change.idxmax())} "
        f"({fixed(change.max(), 1, sign=True)})."
    )


def direct_sentence(channels: Collection[str], direct: Collection[str] = DIRECT) -> str:
    """Say which channels count as direct. In: the channels of the journeys, and the names that count as direct."""
    found = direct_channels(channels, direct)
    known = direct_channels(direct, found)
    missing = [] if direct == DIRECT else [shown(name) for name in direct if name not in known]
    absent = f"No channel is named {some(missing)}." if missing else ""
    if found:
        return f"Counted as direct traffic: {', '.join(map(shown, found))}. {absent}".strip()
    why = absent or "No channel has a usual name of direct traffic; set yours by --direct."
    return f"{why} Last non-direct touch is the same as last touch."


def models_left_out(compared: Collection[str], every: Collection[str]) -> str:
    """Name the models that were not computed; empty where all were."""
    missing = [name for name in every if name not in compared]
    return f"Left out, as there are too many channels: {', '.join(missing)}." if missing else ""


def model_differences(comparison: pd.DataFrame, summary: pd.DataFrame, *, roas: float = 1.0) -> str:
    """Say which differences between the models matter: the widest, those from last touch, those across break-even.

    In: `model_comparison`, the `channel_summary` with the channels' cost, the total in its last row, and the `roas`
    [1] that breaks even.
    """
    revenue = comparison.set_index("channel_name")
    return " ".join(filter(None, [_spread(revenue), _against(revenue), _sides(comparison, summary, roas)]))


def _spread(revenue: pd.DataFrame) -> str:
    """The channel whose revenue depends most on the model."""
    if revenue.empty:
        return "There is no credited order to compare models by."
    spread = revenue.max(axis=1) - revenue.min(axis=1)
    if spread.max() < CENT:
        return "All models give every channel the same revenue."
    models = revenue.iloc[int(spread.argmax())]
    return (
        f"The model matters most for {shown(models.name)}: {fixed(models.min(), 2)} under {models.idxmin()}, "
        f"{fixed(models.max(), 2)} under {models.idxmax()}."
    )


def _against(revenue: pd.DataFrame) -> str:
    """What the first model gives more and less than last touch; empty where there is nothing to say."""
    if LAST_TOUCH not in revenue.columns[1:]:
        return ""
    first = revenue.columns[0]
    change = revenue[first] - revenue[LAST_TOUCH]
    moved = []
    if change.max() >= CENT:
        moved.append(f"gives most more to {shown(change.idxmax())} ({fixed(change.max(), 2, sign=True)})")
    if change.min() <= -CENT:
        moved.append(f"takes most from {shown(change.idxmin())} ({fixed(change.min(), 2, sign=True)})")
    return f"Against last touch, {first} {' and '.join(moved)}." if moved else ""


def _sides(comparison: pd.DataFrame, summary: pd.DataFrame, roas: float) -> str:
    """Which channels break even under some of the models only; empty where no cost matters."""
    paid = material(summary)[["channel_name", "cost"]].merge(comparison, how="left", on="channel_name").fillna(0.0)
    if paid.empty:
        return ""
    models = [name for name in comparison.columns if name != "channel_name"]
    earns = paid[models].ge(roas * paid["cost"], axis="index")
    turning = earns.any(axis=1) & ~earns.all(axis=1)
    if not turning.any():
        return f"No channel with {enough_cost()} changes its side of break-even with the model."
    cases = [
        f"{shown(name)} ({_where(row)})"
        for name, (_, row) in zip(paid.loc[turning, "channel_name"], earns[turning].iterrows(), strict=True)
    ]
    rest = f", and {len(cases) - MOST_MODELS} more" if len(cases) > MOST_MODELS else ""
    one, more = ("earns its cost", "earn their cost") if roas == 1 else ("reaches", "reach")
    what = "" if roas == 1 else f" the break-even ROAS of {general(roas, 4)}"
    return (
        f"Of the {counted(len(paid), 'channel')} with {enough_cost()}, {len(cases)} {one if len(cases) == 1 else more}"
        f"{what} under some models only: {'; '.join(cases[:MOST_MODELS])}{rest}."
    )


def _where(earns: pd.Series[bool]) -> str:
    """Under which models a channel earns its cost, or under which not, whichever are fewer."""
    does, does_not = earns.index[earns].tolist(), earns.index[~earns].tolist()
    fewer, word = (does, "only") if len(does) <= len(does_not) else (does_not, "not")
    rest = f" and {len(fewer) - MOST_MODELS} more" if len(fewer) > MOST_MODELS else ""
    return f"{word} under {', '.join(fewer[:MOST_MODELS])}{rest}"
