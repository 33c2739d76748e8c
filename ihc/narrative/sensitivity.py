"""The sentences on what depends on the settings: which channels hold under all of them, which do not."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.reporting import NO_CREDIT
from ihc.analysis.sensitivity import CROSSES, STEADY_PLACES, VARIED, cell_numbers, single_changes
from ihc.formatting import counted, shown
from ihc.narrative.run import ENOUGH_COST
from ihc.schemas.tables import PHASES

MOST_CASES = 4


def sensitivity_sentence(fragile: pd.DataFrame, grid: pd.DataFrame, *, roas: float = 1.0) -> str:
    """Say how many settings were tried, which channels stay on their side of break-even, and whose rank changes.

    In: `rank_stability` and the `sensitivity` that it is made of, with the same break-even `roas` [1].
    """
    if fragile.empty:
        return f"No channel has {ENOUGH_COST}, so there is no ROAS to compare under other settings."
    cells = int(cell_numbers(grid).max()) + 1
    if cells == 1:
        return "Only one setting was tried, so nothing can be said of what depends on it."
    alone = _alone(grid, roas) if fragile["stability"].eq(CROSSES).any() else ""
    sentences = [_tried(grid, cells), _sides(fragile, roas), _crossing(fragile, cells), alone, _ranks(fragile)]
    return " ".join(filter(None, sentences))


def _tried(grid: pd.DataFrame, cells: int) -> str:
    counts = {name: grid[column].nunique(dropna=False) for name, column in VARIED.items()}
    parts = [counted(count, name) for name, count in counts.items() if count > 1]
    how = f"{cells:,} combinations of {_listed(parts)}" if len(parts) > 1 else parts[0]
    base = grid.iloc[0]
    return f"We tested {how}. The base is {setting_name(base)}."


def setting_name(row: pd.Series) -> str:
    """One of the settings in words. In: a row of `sensitivity`."""
    days = row["lookback_days"]
    sight = "the lookback of the run" if pd.isna(days) else f"a lookback of {_days(days)}"
    return f"{shown(row['model'])} with {sight}, redistribution {shown(row['redistribution'])}"


def _days(days: float) -> str:
    return f"{days:,g} day{'' if days == 1 else 's'}"


def _sides(fragile: pd.DataFrame, roas: float) -> str:
    """Which channels are on the same side of break-even under all settings, and on which."""
    above, below = (fragile.loc[fragile["cells_above"] == share, "channel_name"] for share in (1, 0))
    side = "side of break-even" if roas == 1 else f"side of break-even (ROAS {roas:,.2f})"
    same, every = len(above) + len(below), len(fragile)
    ends = [f"{what} it {_named(names)}" for what, names in (("above", above), ("below", below)) if len(names)]
    where = f"on the same {side} under all of them" + (f": {'; '.join(ends)}." if ends else ".")
    if every == 1:
        return f"The only channel with {ENOUGH_COST} {'stays' if same else 'does not stay'} {where}"
    if same == every:
        return f"All {every:,} channels with {ENOUGH_COST} stay {where}"
    return f"{same or 'None'} of the {every:,} channels with {ENOUGH_COST} {'stays' if same == 1 else 'stay'} {where}"


def _crossing(fragile: pd.DataFrame, cells: int) -> str:
    """Which channels break even under some settings only; empty where none does."""
    crossing = fragile[fragile["stability"] == CROSSES]
    if crossing.empty:
        return ""
    cases = [
        f"{shown(row['channel_name'])} (ROAS {row['ROAS_low']:,.2f} to {row['ROAS_high']:,.2f}, {row['ROAS']:,.2f} in "
        f"the base; at or above break-even in {row['cells_above'] * cells:,.0f} of {cells:,})"
        for _, row in crossing.head(MOST_CASES).iterrows()
    ]
    return f"It depends on the settings for {_listed([*cases, *_rest(len(crossing))])}."


def _alone(grid: pd.DataFrame, roas: float) -> str:
    """Which of the settings does it by itself."""
    changes = single_changes(grid, roas=roas)
    changes = changes[changes["tried"] > 0]
    if len(changes) < 2:
        return ""
    first, *others = (
        (f"the {setting}", f"{count:,}" if count else "no")
        for setting, count in zip(changes["setting"], changes["channels_crossing"], strict=True)
    )
    noun = "channel" if first[1] in ("1", "no") else "channels"
    rest = [f"{setting} {'none' if count == 'no' else count}" for setting, count in others]
    return f"Changed alone, {_listed([f'{first[0]} takes {first[1]} {noun} across break-even', *rest])}."


def _ranks(fragile: pd.DataFrame) -> str:
    """Whose rank by ROAS changes most; empty where there is nothing to rank."""
    if len(fragile) == 1:
        return ""
    moves = (fragile["rank"] - fragile["rank_best"]).combine(fragile["rank_worst"] - fragile["rank"], max)
    if moves.max() == 0:
        return "The order of the channels by ROAS is always the same."
    if moves.max() <= STEADY_PLACES:
        return "No channel moves by more than one place in the order by ROAS."
    moving = fragile[moves == moves.max()]
    cases = [
        f"{shown(row['channel_name'])} ({row['rank']:.0f} of {len(fragile)} in the base, {row['rank_best']:.0f} to "
        f"{row['rank_worst']:.0f} in all)"
        for _, row in moving.head(MOST_CASES).iterrows()
    ]
    noun, verb = ("place", "changes") if len(moving) == 1 else ("places", "change")
    return f"By ROAS, the {noun} of {_listed([*cases, *_rest(len(moving))])} {verb} most."


def lookback_sentence(grid: pd.DataFrame) -> str:
    """Say how many orders a shorter lookback leaves without any session; empty where none. In: `sensitivity`."""
    if grid.empty:
        return ""
    shorter = grid.drop_duplicates("lookback_days")
    lost = shorter["orders"].iloc[0] - shorter["orders"]
    cases = [
        f"{counted(count, 'order')} within {_days(days)}"
        for count, days in zip(lost, shorter["lookback_days"], strict=True)
        if count > 0
    ]
    if not cases:
        return ""
    return f"Without any session in a shorter lookback, so that no channel gets the revenue: {_listed(cases)}."


def unmoved_sentence(grid: pd.DataFrame) -> str:
    """Name the models under which no redistribution that was tried moves anything; empty where none. In: `sensitivity`.

    A model of a single touch gives the other sessions of the journey nothing, and receivers share by what they have.
    """
    if grid.empty or grid["redistribution"].nunique() < 2:
        return ""
    keys = ["model", "lookback_days", "channel_name"]
    orders = grid.groupby(keys, sort=False, dropna=False)["ihc"]
    spread = (orders.max() - orders.min()).groupby("model", sort=False).max()
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
    order = pd.factorize(journeys["conv_id"])[0]
    sums = journeys[list(PHASES)].groupby(order).sum()
    revenue = journeys["revenue"].groupby(order).first()
    cases = [
        f"{phase} for {counted(int(is_absent.sum()), 'order')} ({revenue[is_absent].sum():,.2f} of "
        f"{revenue.sum():,.2f} revenue)"
        for phase, is_absent in ((phase, sums[phase] < NO_CREDIT) for phase in PHASES)
        if is_absent.any()
    ]
    if not cases:
        return ""
    return f"No session counts as {_listed(cases)}: there the phase's column has the credit of IHC."


def _named(names: pd.Series[str]) -> str:
    return _listed([*(shown(name) for name in names.head(MOST_CASES)), *_rest(len(names))])


def _rest(count: int) -> list[str]:
    return [f"{count - MOST_CASES:,} more"] if count > MOST_CASES else []


def _listed(parts: list[str]) -> str:
    """Parts as a list in words: a, b and c."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""
