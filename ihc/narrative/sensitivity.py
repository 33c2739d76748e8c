"""Sentences on the sensitivity to model, lookback window, redistribution, engagement flags and damaged tracking."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ihc.analysis.reporting import NO_CREDIT
from ihc.analysis.sensitivity import (
    CROSSES,
    HOLDER,
    STEADY_PLACES,
    VARIED,
    cell_numbers,
    moved_revenue,
    moved_share,
    single_changes,
)
from ihc.formatting import CENT, counted, fixed, general, listed, lookback, named, percent, percentage, shown
from ihc.lab.stress import HOLDS
from ihc.narrative.run import enough_cost
from ihc.schemas.tables import PHASES

STRESS_NOTE = "The worlds damage what was recorded. They show how sensitive a verdict is, not the true figures."


def sensitivity_sentence(fragile: pd.DataFrame, grid: pd.DataFrame, *, roas: float = 1.0) -> str:
    """State the settings tested, which channels stay above or below break-even, and whose rank changes.

    In: `rank_stability` and the `sensitivity` it comes from, with the same break-even `roas` [1].
    """
    if fragile.empty:
        return f"No channel has {enough_cost()}, so there is no ROAS to compare under other settings."
    cells = int(cell_numbers(grid).max()) + 1
    if cells == 1:
        return "Only one setting was tested, so the robustness is unknown."
    sentences = [_tried(grid, cells), _sides(fragile, roas), *_crossing(fragile, grid, cells, roas), _ranks(fragile)]
    return " ".join(filter(None, sentences))


def _tried(grid: pd.DataFrame, cells: int) -> str:
    counts = {_setting(name): grid[column].nunique(dropna=False) for name, column in VARIED.items()}
    parts = [counted(count, name) for name, count in counts.items() if count > 1]
    how = f"{fixed(cells)} combinations of {listed(parts)}" if len(parts) > 1 else parts[0]
    base = grid.iloc[0]
    days = base["lookback_days"]
    window = "the lookback window of the run" if pd.isna(days) else lookback(days)
    return (
        f"We tested {how}. The base is {shown(base['model'])} with {window}, redistribution "
        f"{shown(base['redistribution'])}."
    )


def _setting(name: str) -> str:
    return "lookback window" if name == "lookback" else name


def _sides(fragile: pd.DataFrame, roas: float) -> str:
    """Name the channels that are above, or below, break-even under all settings."""
    above, below = (fragile.loc[fragile["cells_above"] == share, "channel_name"] for share in (1, 0))
    side = "side of break-even" if roas == 1 else f"side of break-even (ROAS {fixed(roas, 2)})"
    same, every = len(above) + len(below), len(fragile)
    ends = [f"{what}: {_named(names)}" for what, names in (("above", above), ("below", below)) if len(names)]
    which = f" ({'; '.join(ends)})" if ends else ""
    where = f"on the same {side} under all settings{which}."
    if every == 1:
        return f"The only channel with {enough_cost()} {'stays' if same else 'does not stay'} {where}"
    if same == every:
        return f"All {fixed(every)} channels with {enough_cost()} stay {where}"
    verb = "stays" if same == 1 else "stay"
    return f"{same or 'None'} of the {fixed(every)} channels with {enough_cost()} {verb} {where}"


def _crossing(fragile: pd.DataFrame, grid: pd.DataFrame, cells: int, roas: float) -> list[str]:
    """Name the channels that break even under some settings only, and the settings that change this alone."""
    crossing = fragile[fragile["stability"] == CROSSES]
    if crossing.empty:
        return []
    cases = [
        f"{shown(row['channel_name'])} (ROAS {fixed(row['ROAS_low'], 2)} to {fixed(row['ROAS_high'], 2)}, "
        f"{fixed(row['ROAS'], 2)} in the base; breaks even under {fixed(row['cells_above'] * cells)} of "
        f"{fixed(cells)} settings)"
        for _, row in crossing.iterrows()
    ]
    text = f"The result depends on the settings for {listed(cases)}."
    changes = single_changes(grid, roas=roas)
    tried = changes[changes["tried"] > 0]
    if len(tried) < 2:
        return [text]
    return [text, f"{_single(tried)}."]


def _single(tried: pd.DataFrame) -> str:
    """State how many channels each setting moves across break-even when it changes alone."""
    (setting, count), *others = zip(tried["setting"], tried["channels_crossing"], strict=True)
    channels = counted(count, "channel") if count else "no channel"
    rest = [f"the {_setting(other)} moves {fixed(count) if count else 'none'}" for other, count in others]
    return "; ".join([f"Changing only the {_setting(setting)} moves {channels} across break-even", *rest])


def _ranks(fragile: pd.DataFrame) -> str:
    """Name the channels whose rank by ROAS changes most; empty if there is nothing to rank."""
    if len(fragile) == 1:
        return ""
    moves = (fragile["rank"] - fragile["rank_best"]).combine(fragile["rank_worst"] - fragile["rank"], max)
    if moves.max() == 0:
        return "The ranking by ROAS is the same under all settings."
    if moves.max() <= STEADY_PLACES:
        return "No channel moves by more than one place in the ranking by ROAS."
    cases = [
        f"{shown(row['channel_name'])} (rank {fixed(row['rank'])} of {len(fragile)} in the base, "
        f"{fixed(row['rank_best'])} to {fixed(row['rank_worst'])} overall)"
        for _, row in fragile[moves == moves.max()].iterrows()
    ]
    return f"In the ranking by ROAS, {listed(cases)} {'changes' if len(cases) == 1 else 'change'} most."


def lookback_sentence(grid: pd.DataFrame) -> str:
    """Count the orders that lose all sessions in a shorter lookback window; empty if none. In: `sensitivity`."""
    if grid.empty:
        return ""
    shorter = grid.drop_duplicates("lookback_days")
    lost = shorter["orders"].iloc[0] - shorter["orders"]
    cases = [
        f"{counted(count, 'order')} with {general(days)} day{'' if days == 1 else 's'}"
        for count, days in zip(lost, shorter["lookback_days"], strict=True)
        if count > 0
    ]
    if not cases:
        return ""
    return (
        "A shorter lookback window leaves orders without a session, so no channel gets their revenue: "
        f"{listed(cases, len(cases))}."
    )


def unmoved_sentence(grid: pd.DataFrame) -> str:
    """Name the models with which no redistribution has an effect; empty if there are none. In: `sensitivity`.

    A single-touch model gives no credit to other sessions, and redistributed credit is shared in proportion to credit.
    """
    if grid.empty or grid["redistribution"].nunique() < 2:
        return ""
    credit = grid.groupby(["model", "lookback_days", "channel_name"], sort=False, dropna=False)["ihc"]
    spread = (credit.max() - credit.min()).groupby("model", sort=False).max()
    still = spread.index[spread < NO_CREDIT].to_series()
    if still.empty:
        return ""
    cause = "the giving channels have no credit there, or no other session can receive it"
    return f"Redistribution has no effect with {_named(still)}: {cause}."


def phases_note(journeys: pd.DataFrame) -> str:
    """State how much revenue has no session in a phase, so that the phase's column shows IHC credit; empty if none.

    In: `conv_id, revenue, initializer, holder, closer`. Unknown phases are NaN and count as none.
    """
    conversion = pd.factorize(journeys["conv_id"])[0]
    sums = journeys[list(PHASES)].groupby(conversion).sum()
    revenue = journeys["revenue"].groupby(conversion).first()
    cases = [
        f"{phase} for {counted(int(is_absent.sum()), 'order')} ({fixed(revenue[is_absent].sum(), 2)} of "
        f"{fixed(revenue.sum(), 2)} revenue)"
        for phase, is_absent in ((phase, sums[phase] < NO_CREDIT) for phase in PHASES)
        if is_absent.any()
    ]
    return f"No session acts as {listed(cases)}; the phase's column shows the IHC credit there." if cases else ""


def _named(names: pd.Series[str]) -> str:
    return listed([shown(name) for name in names])


def range_finding(stability: pd.DataFrame, grid: pd.DataFrame) -> str:
    """Count the channels that stay above or below break-even. In: `rank_stability` and `sensitivity`."""
    if stability.empty:
        return "No channel has enough spend to compare settings"
    stay, cells = int((stability["stability"] != CROSSES).sum()), int(cell_numbers(grid).max()) + 1
    if cells == 1:
        return f"Only one setting was tested for {counted(len(stability), 'channel')}"
    verb = "stays" if stay == 1 else "stay"
    channels = counted(len(stability), "channel")
    return f"{fixed(stay)} of {channels} {verb} on one side of break-even under all {fixed(cells)} settings"


def single_finding(changes: pd.DataFrame) -> str:
    """Count the channels that each setting moves across break-even when it changes alone. In: `single_changes`."""
    tried = changes[changes["tried"] > 0]
    return _single(tried) if len(tried) else ""


def engagement_sentence(effect: pd.DataFrame, flags: Collection[str]) -> str:
    """State which flags are not recorded, how much revenue depends on them, and what to do.

    In: `engagement_effect`, and the `unrecorded_flags`.
    """
    if HOLDER in flags:
        missing = "Engagement is not recorded: both flags are 1 for all sessions."
        remedy = "Recorded flags can move more: record engagement, or derive it from pages and events when importing."
    else:
        missing = "Closer engagement is not recorded: all sessions have the flag 1."
        remedy = "A recorded flag can move more: record it, or derive it from events when importing."
    return f"{missing} If only the last session of each journey counted as closer, {_would_move(effect)}. {remedy}"


def _would_move(effect: pd.DataFrame) -> str:
    revenue, share = moved_revenue(effect), moved_share(effect)
    if revenue < CENT:
        return "no attributed revenue would move"
    change = effect.set_index("channel_name")["difference"]
    amount = fixed(revenue, 2)
    moved = f"{amount} of" if np.isnan(share) else f"{percent(share)} ({amount}) of"
    return (
        f"{moved} attributed revenue would move, most from {shown(change.idxmin())} "
        f"({fixed(change.min(), 2, sign=True)}) to {shown(change.idxmax())} ({fixed(change.max(), 2, sign=True)})"
    )


def stress_finding(table: pd.DataFrame, roas: float = 1.0) -> str:
    """Count the channels whose verdict is robust, and name the others. In: `stress_verdicts`, the break-even `roas`."""
    if table.empty:
        return f"No channel has {enough_cost()}, so no verdict is tested"
    fragile = table.loc[table["holds"] < HOLDS, "channel_name"].tolist()
    robust = len(table) - len(fragile)
    worlds = f"at least {percentage(HOLDS)} of {fixed(table['worlds'].iloc[0])} worlds with damaged tracking"
    verdicts = f"{counted(len(table), 'verdict')} on the break-even ROAS of {general(roas, 4)}"
    text = f"{fixed(robust)} of {verdicts} {'holds' if robust == 1 else 'hold'} in {worlds}"
    return f"{text}; fragile: {named(fragile)}" if fragile else text


def stress_sentences(table: pd.DataFrame) -> list[str]:
    """State for each channel in how many worlds its verdict holds. In: `stress_verdicts`."""
    return [
        f"{shown(row['channel_name'])}: {row['verdict']} break-even in {worlds_text(row)}."
        for row in table.to_dict("records")
    ]


def worlds_text(row: Mapping[Hashable, Any]) -> str:
    """Say in how many worlds a verdict holds. In: a row of `stress_verdicts`."""
    return f"{share_of_worlds(row['holds'])} of {counted(row['worlds'], 'world')}"


def share_of_worlds(share: float) -> str:
    """Format a share so that only all worlds are 100 %, and only none are 0 %."""
    if share in (0, 1) or 0.01 <= share <= 0.99:
        return percentage(share)
    return percentage(min(max(share, 0.001), 0.999), 1)


def effects_sentence(effects: pd.DataFrame) -> str:
    """Rank the kinds of damage by the revenue that they move alone; empty without revenue. In: `damage_effects`."""
    if not effects["moved"].notna().any():
        return ""
    parts = [f"{row['damage']} {percentage(row['moved'], 1)}" for row in effects.to_dict("records")]
    return f"Share of attributed revenue that each kind of damage moves alone, on average: {', '.join(parts)}."


def sample_sentence(worlds: pd.DataFrame, orders: int) -> str:
    """Say on how many orders a world is computed; empty if on all. In: `damaged_worlds`, and the number of `orders`."""
    used = float(worlds["orders"].mean())
    if used >= orders:
        return ""
    return f"Each world is computed on about {fixed(used)} of {fixed(orders)} orders, by users chosen at random."
