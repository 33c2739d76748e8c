"""The sentences on the models: what the engine did with an order, and where the models part."""

from __future__ import annotations

import pandas as pd

from ihc.errors import counted
from ihc.explanation import BEFORE, RESTARTS
from ihc.glossary import heading
from ihc.narrative import shown
from ihc.schemas import PHASES

DAY = 24


def explanation_sentence(steps: pd.DataFrame) -> str:
    """Say how the credit of one order comes about. In: the rows of `explain`."""
    if steps.empty:
        return "There is no order with a journey to explain."
    order = f"Order {shown(steps['conv_id'].iloc[0])}"
    if len(steps) == 1:
        return f"{order} has a single session, of {shown(steps['channel_name'].iloc[0])}, that gets all credit."
    best = steps.iloc[int(steps["ihc"].argmax())]
    parts = [f"{best[f'{phase}_credit']:.1%} as {heading(phase)[0].lower()}" for phase in PHASES]
    sentences = [
        f"{order} has {len(steps):,} sessions; {shown(best['channel_name'])}, {_before(best['to_conversion'])}, gets "
        f"the most of its credit, {best['ihc']:.1%}: {', '.join(parts[:2])} and {parts[2]}."
    ]
    return " ".join([*sentences, *_restart(steps), *_absent(steps)])


def _before(hours: float) -> str:
    return f"{duration(hours)} before the converting session" if hours else "at the moment of the conversion"


def _restart(steps: pd.DataFrame) -> list[str]:
    restarts = steps[steps["restart"] == RESTARTS]
    if restarts.empty:
        return []
    lost = int((steps["restart"] == BEFORE).sum())
    silence = f"A silence of {duration(restarts['gap'].iloc[-1])} restarted the journey"
    return [f"{silence}, so the {counted(lost, 'session')} before it count{'s' if lost == 1 else ''} for nothing."]


def _absent(steps: pd.DataFrame) -> list[str]:
    absent = [heading(phase)[0].lower() for phase in PHASES if not steps[phase].any()]
    return [f"No session counts as {phase}, so the other phases share its weight in proportion." for phase in absent]


def duration(hours: float) -> str:
    """A length of time in its own unit: 12 min, 6 h, 2.4 days."""
    if hours == 0:
        return "0"
    if hours < 1:
        return f"{max(hours * 60, 1):.0f} min"
    return f"{round(hours, 1):,.10g} h" if hours < 2 * DAY else f"{round(hours / DAY, 1):,.10g} days"


def model_spread(comparison: pd.DataFrame) -> str:
    """Name the channel whose revenue depends most on the model. In: `model_comparison`."""
    revenue = comparison.set_index("channel_name")
    spread = revenue.max(axis=1) - revenue.min(axis=1)
    if revenue.empty or spread.max() < 0.005:
        return "All models give every channel the same revenue."
    models = revenue.iloc[int(spread.argmax())]
    return (
        f"The model matters most for {shown(models.name)}: {models.min():,.2f} under {models.idxmin()}, "
        f"{models.max():,.2f} under {models.idxmax()}."
    )
