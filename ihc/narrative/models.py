"""Sentences on attribution models: how an order is credited, where they differ, and how near they are to the truth."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pandas as pd

from ihc.analysis.reporting import material
from ihc.analysis.sensitivity import IHC
from ihc.formatting import CENT, counted, duration, engine_name, fixed, general, listed, named, percentage, shown, some
from ihc.models.explanation import BEFORE, RESTARTS
from ihc.models.heuristics import DIRECT, direct_channels
from ihc.models.registry import EQUAL
from ihc.narrative.run import enough_cost, provenance_sentence
from ihc.schemas.tables import PHASES

if TYPE_CHECKING:
    from ihc.models.redistribution import Redistribution


SAME = 5e-5  # smaller differences between credits are not visible in print
MOST_MODELS = 3
LAST_TOUCH = "Last touch"
SURE = 3  # standard errors; a generator has about ten comparisons, so that 2 would often be noise


def explanation_sentence(steps: pd.DataFrame) -> str:
    """Explain how the credit of one order is assigned. In: the rows of `explain`."""
    if steps.empty:
        return "There is no order with a journey to explain."
    order = f"Order {shown(steps['conv_id'].iloc[0])}"
    if len(steps) == 1:
        return f"{order} has one session, {shown(steps['channel_name'].iloc[0])}, which gets all credit."
    best = steps.iloc[int(steps["ihc"].argmax())]
    hours = best["to_conversion"]
    when = f"{duration(hours)} before the converting session" if hours else "at the time of the conversion"
    parts = [f"{percentage(best[f'{phase}_credit'], 1)} as {phase}" for phase in PHASES]
    text = (
        f"{order} has {fixed(len(steps))} sessions. {shown(best['channel_name'])}, {when}, gets the most credit, "
        f"{percentage(best['ihc'], 1)}: {listed(parts)}."
    )
    absent = [
        f"No session acts as {phase}, so the other phases share its weight in proportion."
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
        f"A gap of {duration(restarts['gap'].iloc[-1])} restarted the journey, so the {counted(lost, 'session')} "
        f"before it get{'s' if lost == 1 else ''} no credit."
    )


def stored_credit_sentence(steps: pd.DataFrame, stored: pd.DataFrame) -> str:
    """Compare the stored credit of an order with the explained one. In: the rows of `explain` and `read_credit`."""
    if stored.empty:
        return "No credit is stored for this order yet."
    both = steps[["session_id", "ihc"]].merge(stored, how="outer", on="session_id", suffixes=("", "_stored"))
    off = (both["ihc"].fillna(0.0) - both["ihc_stored"].fillna(0.0)).abs().max()
    differs = "is the same" if off < SAME else f"differs by up to {fixed(off, 4)} per session"
    return f"The stored credit, from the {engine_name(stored.iloc[0])}, {differs}."


def engine_sentence(label: str, sources: pd.DataFrame) -> str:
    """Name the parameters whose curves and weights are shown, and warn if stored credits were made with others.

    In: the label of the local engine's parameters, with its redistribution, and the frame of `provenance`.
    """
    others = "Some or all stored credits were calculated differently, so the explained credit of an order may differ."
    is_same = sources.empty or made_by(label, sources)
    shown_here = f"This section shows the local engine with parameters {label}."
    return " ".join([shown_here, *([] if is_same else [others]), provenance_sentence(sources)])


def made_by(label: str, sources: pd.DataFrame) -> bool:
    """Check that all stored credits come from the local engine with these parameters. In: the frame of `provenance`."""
    return bool((sources["engine"] == "local").all() and (sources["parameters"] == label).all())


def grid_source_sentence(label: str, sources: pd.DataFrame) -> str:
    """Warn if the sensitivity analysis uses other parameters than the report's credits; empty if it does not.

    In: the label of the local engine's parameters, and the frame of `provenance`.
    """
    if sources.empty or made_by(label, sources):
        return ""
    return (
        f"Here, IHC is calculated by the local engine with parameters {label}. Some or all credits of the report were "
        "calculated differently, so the figures may differ from the report."
    )


def redistribution_effect(moved: pd.DataFrame, redistribution: Redistribution | None) -> str:
    """Describe the effect of a redistribution. In: the rows of `before_after` that change."""
    if not redistribution:
        return "There is no redistribution: every channel keeps its credit."
    if moved.empty:
        return "The redistribution has no effect: its channels have no credit here, or no other session can receive it."
    change = moved.set_index("channel_name")["ihc_change"]
    orders = change.clip(lower=0).sum()
    return (
        f"The redistribution moves the credit of {fixed(orders, 1)} orders. {shown(change.idxmin())} gives the most "
        f"({fixed(change.min(), 1, sign=True)}), {shown(change.idxmax())} receives the most "
        f"({fixed(change.max(), 1, sign=True)})."
    )


def direct_sentence(channels: Collection[str], direct: Collection[str] = DIRECT) -> str:
    """List the channels that count as direct. In: the channels of the journeys, and the names of direct traffic."""
    found = direct_channels(channels, direct)
    known = direct_channels(direct, found)
    missing = [] if direct == DIRECT else [shown(name) for name in direct if name not in known]
    absent = f"No channel is named {some(missing)}." if missing else ""
    if found:
        return f"Direct traffic: {', '.join(map(shown, found))}. {absent}".strip()
    why = absent or "No channel has a common name for direct traffic; set yours with --direct."
    return f"{why} Last non-direct touch is therefore the same as last touch."


def models_left_out(compared: Collection[str], every: Collection[str]) -> str:
    """Name the models that were not calculated; empty if all were."""
    missing = [name for name in every if name not in compared]
    return f"Not calculated because there are too many channels: {', '.join(missing)}." if missing else ""


def model_differences(comparison: pd.DataFrame, summary: pd.DataFrame, *, roas: float = 1.0) -> str:
    """Describe the main differences between models: the largest, those from last touch, and across break-even.

    In: `model_comparison`, the `channel_summary` with the channels' cost and the total in the last row, and the
    break-even `roas` [1].
    """
    revenue = comparison.set_index("channel_name")
    return " ".join(filter(None, [_spread(revenue), _against(revenue), _sides(comparison, summary, roas)]))


def _spread(revenue: pd.DataFrame) -> str:
    """Name the channel whose revenue depends most on the model."""
    if revenue.empty:
        return "No order has credit, so there are no models to compare."
    spread = revenue.max(axis=1) - revenue.min(axis=1)
    if spread.max() < CENT:
        return "All models give every channel the same revenue."
    models = revenue.iloc[int(spread.argmax())]
    return (
        f"The model matters most for {shown(models.name)}: {fixed(models.min(), 2)} with {models.idxmin()}, "
        f"{fixed(models.max(), 2)} with {models.idxmax()}."
    )


def _against(revenue: pd.DataFrame) -> str:
    """Compare the first model with last touch; empty if there is no difference."""
    if LAST_TOUCH not in revenue.columns[1:]:
        return ""
    first = revenue.columns[0]
    change = revenue[first] - revenue[LAST_TOUCH]
    moved = []
    if change.max() >= CENT:
        moved.append(f"adds the most to {shown(change.idxmax())} ({fixed(change.max(), 2, sign=True)})")
    if change.min() <= -CENT:
        moved.append(f"takes the most from {shown(change.idxmin())} ({fixed(change.min(), 2, sign=True)})")
    return f"Compared with last touch, {first} {' and '.join(moved)}." if moved else ""


def _sides(comparison: pd.DataFrame, summary: pd.DataFrame, roas: float) -> str:
    """Name the channels that break even with some models only; empty if no channel has enough spend."""
    paid = material(summary)[["channel_name", "cost"]].merge(comparison, how="left", on="channel_name").fillna(0.0)
    if paid.empty:
        return ""
    models = [name for name in comparison.columns if name != "channel_name"]
    earns = paid[models].ge(roas * paid["cost"], axis="index")
    turning = earns.any(axis=1) & ~earns.all(axis=1)
    if not turning.any():
        return f"No channel with {enough_cost()} crosses break-even when the model changes."
    cases = [
        f"{shown(name)} ({_where(row)})"
        for name, (_, row) in zip(paid.loc[turning, "channel_name"], earns[turning].iterrows(), strict=True)
    ]
    rest = f", and {len(cases) - MOST_MODELS} more" if len(cases) > MOST_MODELS else ""
    one, more = ("breaks even", "break even") if roas == 1 else ("reaches", "reach")
    what = "" if roas == 1 else f" the break-even ROAS of {general(roas, 4)}"
    return (
        f"Of the {counted(len(paid), 'channel')} with {enough_cost()}, {len(cases)} {one if len(cases) == 1 else more}"
        f"{what} with some models only: {'; '.join(cases[:MOST_MODELS])}{rest}."
    )


def _where(earns: pd.Series[bool]) -> str:
    """Name the models with which a channel breaks even, or those with which it does not, whichever are fewer."""
    does, does_not = earns.index[earns].tolist(), earns.index[~earns].tolist()
    fewer, word = (does, "only") if len(does) <= len(does_not) else (does_not, "not")
    rest = f" and {len(fewer) - MOST_MODELS} more" if len(fewer) > MOST_MODELS else ""
    return f"{word} with {', '.join(fewer[:MOST_MODELS])}{rest}"


def validation_sentences(table: pd.DataFrame) -> list[str]:
    """State the nearest models of each generator, the error of IHC, and which are nearer than equal shares.

    In: `mean_scores`. Models differ if the difference of their errors is more than SURE standard errors.
    """
    return [_nearness(str(name), rows) for name, rows in table.groupby("generator", sort=False)]


def _nearness(generator: str, rows: pd.DataFrame) -> str:
    table = rows.set_index("model")
    every = table["share_error"].astype("float64")
    errors, equal = every.drop(EQUAL), float(every[EQUAL])
    best, ours = str(errors.idxmin()), float(errors[IHC])
    lowest = float(errors[best])
    known = f"{fixed(lowest, 3)}{'' if best == IHC else f', IHC {fixed(ours, 3)}'}"
    if table["noise_to_equal"].isna().all():
        return (
            f"{shown(generator)}: {shown(best)} has the lowest error ({known}, equal shares {fixed(equal, 3)}). One "
            "seed does not tell models apart."
        )
    to_nearest, to_equal = (SURE * table.drop(EQUAL)[name] for name in ("noise_to_nearest", "noise_to_equal"))
    alike = errors.index[(errors - lowest <= to_nearest) & (errors.index != best)].tolist()
    also = f"; {named(alike, 4)} {'is' if len(alike) == 1 else 'are'} as near within noise" if alike else ""
    nearer, further = int((errors - equal < -to_equal).sum()), int((errors - equal > to_equal).sum())
    against = _against_equal(nearer, further, len(errors) - nearer - further)
    return (
        f"{shown(generator)}: {shown(best)} is nearest (error {known}){also}. "
        f"Compared with equal shares ({fixed(equal, 3)}), {against}."
    )


def _against_equal(nearer: int, further: int, alike: int) -> str:
    parts = ((nearer, "nearer to the truth"), (further, "further from the truth"), (alike, "as near within noise"))
    return listed(
        [f"{counted(count, 'model')} {'is' if count == 1 else 'are'} {what}" for count, what in parts if count]
    )


def prediction_sentences(table: pd.DataFrame) -> list[str]:
    """State how well held-out paths are predicted, and what that does not say. In: `held_out_scores`."""
    base = table.iloc[-1]
    share = percentage(base["orders"] / base["paths"], 1)
    first = (
        f"{share} of {counted(int(base['paths']), 'path')} end with an order. Predicting the share of the other users "
        f"for each path has a log-loss of {fixed(base['log_loss'], 3)}."
    )
    models = [_prediction(row) for row in table.iloc[:-1].to_dict("records")]
    return [first, *models, "A model that predicts orders well can still credit channels that cause none."]


def _prediction(row: dict[Any, Any]) -> str:
    low, gain, high = (fixed(row[f"log_loss_gain{end}"], 3) for end in ("_low", "", "_high"))
    is_better, is_worse = row["log_loss_gain_low"] > 0, row["log_loss_gain_high"] < 0
    verb = "predicts better" if is_better else "predicts worse" if is_worse else "does not predict better beyond noise"
    return f"{row['model']} {verb}: gain {gain} (95% interval {low} to {high}), AUC {fixed(row['auc'], 2)}."
