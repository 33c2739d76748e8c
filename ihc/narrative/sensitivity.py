"""The sentences on what depends on the settings: which channels hold under all of them, which do not."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.reporting import NO_CREDIT
from ihc.analysis.sensitivity import CROSSES, STEADY_PLACES, VARIED, cell_numbers, single_changes
from ihc.formatting import counted, fixed, general, listed, lookback, shown
from ihc.narrative.run import enough_cost
from ihc.schemas.tables import PHASES


def sensitivity_sentence(fragile: pd.DataFrame, grid: pd.DataFrame, *, roas: float = 1.0) -> str:
    """Say how many settings were tried, which channels stay on their side of break-even, and whose rank changes.

    In: `rank_stability` and the `sensitivity` that it is made of, with the same break-even `roas` [1].
    """
    if fragile.empty:
        return f"No channel has {enough_cost()}, so there is no ROAS to compare under other settings."
    cells = int(cell_numbers(grid).max()) + 1
    if cells == 1:
        return "Only one setting was tried, so nothing can be said of what depends on it."
    sentences = [_tried(grid, cells), _sides(fragile, roas), *_crossing(fragile, grid, cells, roas), _ranks(fragile)]
    return " ".join(filter(None, sentences))


def _tried(grid: pd.DataFrame, cells: int) -> str:
    counts = {name: grid[column].nunique(dropna=False) for name, column in VARIED.items()}
    parts = [counted(count, name) for name, count in counts.items() if count > 1]
    how = f"{fixed(cells)} combinations of {listed(parts)}" if len(parts) > 1 else parts[0]
    base = grid.iloc[0]
    days = base["lookback_days"]
    sight = "the lookback of the run" if pd.isna(days) else lookback(days)
    return (
        f"We tested {how}. The base is {shown(base['model'])} with {sight}, redistribution "
        f"{shown(base['redistribution'])}."
    )


def _sides(fragile: pd.DataFrame, roas: float) -> str:
    """Which channels are on the same side of break-even under all settings, and on which."""
    above, below = (fragile.loc[fragile["cells_above"] == share, "channel_name"] for share in (1, 0))
    side = "side of break-even" if roas == 1 else f"side of break-even (ROAS {fixed(roas, 2)})"
    same, every = len(above) + len(below), len(fragile)
    ends = [f"{what} it {_named(names)}" for what, names in (("above", above), ("below", below)) if len(names)]
    where = f"on the same {side} under all of them{':' if ends else ''} {'; '.join(ends)}".rstrip() + "."
    if every == 1:
        return f"The only channel with {enough_cost()} {'stays' if same else 'does not stay'} {where}"
    if same == every:
        return f"All {fixed(every)} channels with {enough_cost()} stay {where}"
    verb = "stays" if same == 1 else "stay"
    return f"{same or 'None'} of the {fixed(every)} channels with {enough_cost()} {verb} {where}"


def _crossing(fragile: pd.DataFrame, grid: pd.DataFrame, cells: int, roas: float) -> list[str]:
    """Which channels break even under some settings only, and which of the settings does it by itself."""
    crossing = fragile[fragile["stability"] == CROSSES]
    if crossing.empty:
        return []
    cases = [
        f"{shown(row['channel_name'])} (ROAS {fixed(row['ROAS_low'], 2)} to {fixed(row['ROAS_high'], 2)}, "
        f"{fixed(row['ROAS'], 2)} in the base; at or above break-even in {fixed(row['cells_above'] * cells)} of "
        f"{fixed(cells)})"
        for _, row in crossing.iterrows()
    ]
    text = f"It depends on the settings for {listed(cases)}."
    changes = single_changes(grid, roas=roas)
    tried = changes[changes["tried"] > 0]
    if len(tried) < 2:
        return [text]
    counts = dict(zip(tried["setting"], tried["channels_crossing"], strict=True))
    (setting, count), *others = counts.items()
    first = f"the {setting} takes {counted(count, 'channel') if count else 'no channel'} across break-even"
    rest = [f"the {other} {f'{fixed(count)}' if count else 'none'}" for other, count in others]
    return [text, f"Changed alone, {listed([first, *rest])}."]


def _ranks(fragile: pd.DataFrame) -> str:
    """Whose rank by ROAS changes most; empty where there is nothing to rank."""
    if len(fragile) == 1:
        return ""
    moves = (fragile["rank"] - fragile["rank_best"]).combine(fragile["rank_worst"] - fragile["rank"], max)
    if moves.max() == 0:
        return "The order of the channels by ROAS is always the same."
    if moves.max() <= STEADY_PLACES:
        return "No channel moves by more than one place in the order by ROAS."
    cases = [
        f"{shown(row['channel_name'])} ({fixed(row['rank'])} of {len(fragile)} in the base, "
        f"{fixed(row['rank_best'])} to {fixed(row['rank_worst'])} in all)"
        for _, row in fragile[moves == moves.max()].iterrows()
    ]
    noun, verb = ("place", "changes") if len(cases) == 1 else ("places", "change")
    return f"By ROAS, the {noun} of {listed(cases)} {verb} most."


def lookback_sentence(grid: pd.DataFrame) -> str:
    """Say how many orders a shorter lookback leaves without any session; empty where none. In: `sensitivity`."""
    if grid.empty:
        return ""
    shorter = grid.drop_duplicates("lookback_days")
    lost = shorter["orders"].iloc[0] - shorter["orders"]
    cases = [
        f"{counted(count, 'order')} within {general(days)} day{'' if days == 1 else 's'}"
        for count, days in zip(lost, shorter["lookback_days"], strict=True)
        if count > 0
    ]
    if not cases:
        return ""
    return (
        f"Without any session in a shorter lookback, so that no channel gets the revenue: {listed(cases, len(cases))}."
    )


def unmoved_sentence(grid: pd.DataFrame) -> str:
    """Name the models under which no redistribution that was tried moves anything; empty where none. In: `sensitivity`.

    A model of a single touch gives the other sessions of the journey nothing, and receivers share by what they have.
    """
    if grid.empty or grid["redistribution"].nunique() < 2:
        return ""
    credit = grid.groupby(["model", "lookback_days", "channel_name"], sort=False, dropna=False)["ihc"]
    spread = (credit.max() - credit.min()).groupby("model", sort=False).max()
    still = spread.index[spread < NO_CREDIT].to_series()
    if still.empty:
        return ""
    cause = "the channels that give have no credit there, or nobody could receive it"
    return f"Redistribution moves nothing under {_named(still)}: {cause}."


def phases_note(journeys: pd.DataFrame) -> str:
    """Say how much revenue has no session in a phase, so that IHC divides it in the phase's column.

    In: `conv_id, revenue, initializer, holder, closer`; the phases are NaN where they are not known, and then there is
    none. Empty where every order has all.
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
    return f"No session counts as {listed(cases)}: there the phase's column has the credit of IHC." if cases else ""


def _named(names: pd.Series[str]) -> str:
    return listed([shown(name) for name in names])


def range_finding(stability: pd.DataFrame, grid: pd.DataFrame) -> str:
    """How many channels stay on their side of break-even. In: `rank_stability` and `sensitivity`."""
    if stability.empty:
        return "No channel has enough spend to compare settings"
    stay, cells = int((stability["stability"] != CROSSES).sum()), int(cell_numbers(grid).max()) + 1
    if cells == 1:
        return f"{counted(len(stability), 'channel')} under the only setting tested"
    verb = "stays" if stay == 1 else "stay"
    channels = counted(len(stability), "channel")
    return f"{fixed(stay)} of {channels} {verb} on one side of break-even under all {fixed(cells)} settings"


def single_finding(changes: pd.DataFrame) -> str:
    """How many channels each setting moves across break-even by itself. In: `single_changes`."""
    tried = changes[changes["tried"] > 0]
    if tried.empty:
        return ""
    counts = dict(zip(tried["setting"], tried["channels_crossing"], strict=True))
    (setting, count), *others = counts.items()
    first = f"the {setting} moves {counted(count, 'channel')} across break-even"
    return f"Changed alone, {listed([first, *(f'the {name} {fixed(number)}' for name, number in others)])}"
