"""One colour a channel, the same in every chart, and no more series than a reader can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ihc.analysis.dimension import Folding, others
from ihc.arrays.sums import sum_by

# Picked so that any two differ by at least 18 in CIELAB, also as readers without red, green or blue cones see them
# (simulated after Machado, Oliveira and Fernandes, 2009), and stand out from white and from a dark page.
COLOURS = (
    *("#117733", "#E69F00", "#56B4E9", "#8400CD", "#EE3377", "#920000"),
    *("#A6761D", "#B66DFF", "#B9AC70", "#AA4499", "#9F0162"),
)
OTHER = "#94A4A2"
MOST_SERIES = len(COLOURS) + 1  # with one for all others


def colours_of(visits: pd.DataFrame, chosen: Mapping[str, str]) -> dict[str, str]:
    """Give the channels their colours, whatever dates a report has, in the order of `by_weight`.

    In: `visits_of` all sessions, and `chosen` colours of a house style. Out: as of `channel_colours`.
    """
    return channel_colours(by_weight(visits), chosen)


def by_weight(visits: pd.DataFrame) -> list[str]:
    """The channels, first the one with the most attributed revenue: by revenue and cost together, then by sessions.

    A channel's weight is its revenue beside the largest of any channel, or its cost beside the largest, whichever is
    more; of equal weights, as those of the two largest are, the one with more revenue comes first. In: `visits_of`.
    """
    sums = sum_by(visits, ["channel_name"], ["ihc_revenue", "cost"]).set_index("channel_name")
    parts = sums.abs() / sums.abs().max().where(lambda most: most > 0, 1.0)
    sessions = visits.groupby("channel_name").size()
    table = parts.assign(weight=parts.max(axis=1), sessions=sessions).reset_index()
    order = ["weight", "ihc_revenue", "sessions", "channel_name"]
    return table.sort_values(order, ascending=[False, False, False, True])["channel_name"].tolist()


def channel_colours(names: Sequence[str], chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give each of the first eleven `names` a colour of its own, and grey to the rest.

    In: channels, the most important first, as `channel_summary` lists them (without its total), and the colours that
    are `chosen` for some. Colours go by the names' alphabetical order, so that a channel keeps its colour when figures
    change; no channel gets one that is chosen for another.
    """
    chosen = {name: colour for name, colour in (chosen or {}).items() if name in names}
    taken = {colour.lower() for colour in chosen.values()}
    own = sorted(set(names[: len(COLOURS)]) - chosen.keys())
    free = [colour for colour in COLOURS if colour.lower() not in taken]
    return dict.fromkeys(names, OTHER) | dict(zip(own, free, strict=False)) | chosen


def fold_others(
    frame: pd.DataFrame, colours: Mapping[str, str], by: Sequence[str], figures: Sequence[str]
) -> pd.DataFrame:
    """Add up the channels after the first eleven of `colours` as `other (N channels)`; a single one keeps its name.

    In: `channel_name`, the columns `by` and the `figures`, sums of which make sense. Out: the same columns, a row a
    channel and `by`, channels in the order of `colours`, the others last.
    """
    known = list(colours)[: len(COLOURS)]
    left = frame.loc[~frame["channel_name"].isin(known), "channel_name"].unique()
    rest = left[0] if len(left) == 1 else others(len(left))
    names = Folding(known, rest).of(frame)["channel_name"]
    order = pd.CategoricalDtype([*known, rest], ordered=True)
    keys = [names.astype(order), *(frame[name] for name in by)]
    sums = frame[list(figures)].groupby(keys, observed=True, sort=True).sum().reset_index()
    return sums.astype({"channel_name": "str"})
