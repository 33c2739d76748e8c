"""Channel colours, the same in every chart, for a limited number of series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ihc.analysis.dimension import Folding, others
from ihc.arrays.sums import sum_by

# Any two colours differ by at least 18 in CIELAB, also for colour-blind readers (simulated after Machado, Oliveira and
# Fernandes, 2009), and contrast with white and with a dark page.
COLOURS = (
    *("#117733", "#E69F00", "#56B4E9", "#8400CD", "#EE3377", "#920000"),
    *("#A6761D", "#B66DFF", "#B9AC70", "#AA4499", "#9F0162"),
)
OTHER = "#94A4A2"


def colours_of(visits: pd.DataFrame, chosen: Mapping[str, str]) -> dict[str, str]:
    """Assign colours to channels in the order of `by_weight`, independent of the dates of a report.

    In: `visits_of` all sessions, and the colours that a house style has `chosen`. Out: see `channel_colours`.
    """
    return channel_colours(by_weight(visits), chosen)


def by_weight(visits: pd.DataFrame) -> list[str]:
    """Sort channels by importance: revenue and cost together, then sessions.

    The weight of a channel is its revenue / the largest revenue or its cost / the largest cost, whichever is higher.
    Of equal weights, as for the largest two, the channel with more revenue comes first. In: `visits_of`.
    """
    sums = sum_by(visits, ["channel_name"], ["ihc_revenue", "cost"]).set_index("channel_name")
    parts = sums.abs() / sums.abs().max().where(lambda most: most > 0, 1.0)
    sessions = visits.groupby("channel_name")["sessions"].sum()
    table = parts.assign(weight=parts.max(axis=1), sessions=sessions).reset_index()
    order = ["weight", "ihc_revenue", "sessions", "channel_name"]
    return table.sort_values(order, ascending=[False, False, False, True])["channel_name"].tolist()


def channel_colours(names: Sequence[str], chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """Assign a colour to each of the first eleven `names`, and grey to the others.

    In: channels, the most important first, as in `channel_summary` (without its total), and the colours `chosen` for
    some of them. Colours follow alphabetical order, so that a channel keeps its colour when figures change. No channel
    gets a colour that is chosen for another.
    """
    chosen = {name: colour for name, colour in (chosen or {}).items() if name in names}
    taken = {colour.lower() for colour in chosen.values()}
    own = sorted(set(names[: len(COLOURS)]) - chosen.keys())
    free = [colour for colour in COLOURS if colour.lower() not in taken]
    return dict.fromkeys(names, OTHER) | dict(zip(own, free, strict=False)) | chosen


def fold_others(
    frame: pd.DataFrame, colours: Mapping[str, str], by: Sequence[str], figures: Sequence[str]
) -> pd.DataFrame:
    """Sum the channels after the first eleven of `colours` as `other (N channels)`; a single one keeps its name.

    In: `channel_name`, the columns `by` and the additive `figures`. Out: the same columns, one row per channel and
    `by`, channels in the order of `colours`, the others last.
    """
    known = list(colours)[: len(COLOURS)]
    left = frame.loc[~frame["channel_name"].isin(known), "channel_name"].unique()
    rest = left[0] if len(left) == 1 else others(len(left))
    names = Folding(known, rest).of(frame)["channel_name"]
    order = pd.CategoricalDtype([*known, rest], ordered=True)
    keys = [names.astype(order), *(frame[name] for name in by)]
    sums = frame[list(figures)].groupby(keys, observed=True, sort=True).sum().reset_index()
    return sums.astype({"channel_name": "str"})
