"""One colour a channel, the same in every chart, and no more series than a reader can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ihc.reporting import session_costs

# Picked so that any two differ by at least 18 in CIELAB, also as readers without red, green or blue cones see them
# (simulated after Machado, Oliveira and Fernandes, 2009), and stand out from white and from a dark page.
COLOURS = (
    *("#117733", "#E69F00", "#56B4E9", "#8400CD", "#EE3377", "#920000"),
    *("#A6761D", "#B66DFF", "#B9AC70", "#AA4499", "#9F0162"),
)
OTHER = "#94A4A2"
MOST_SERIES = len(COLOURS) + 1  # with one for all others


def colours_of(sessions: pd.DataFrame, costs: pd.DataFrame) -> dict[str, str]:
    """Give the channels their colours, whatever dates a report has: the costliest come first, then the most visited.

    In: all sessions and costs. Out: as of `channel_colours`.
    """
    sums = session_costs(sessions, costs).groupby(sessions["channel_name"]).agg(["sum", "size"]).reset_index()
    order = sums.sort_values(["sum", "size", "channel_name"], ascending=[False, False, True])
    return channel_colours(order["channel_name"].tolist())


def channel_colours(names: Sequence[str]) -> dict[str, str]:
    """Give each of the first eleven `names` a colour of its own, and grey to the rest.

    In: channels, the most important first, as `channel_summary` lists them (without its total). Colours go by the
    names' alphabetical order, so that a channel keeps its colour when figures change.
    """
    own = sorted(dict.fromkeys(names[: len(COLOURS)]))
    return dict.fromkeys(names, OTHER) | dict(zip(own, COLOURS, strict=False))


def fold_others(
    frame: pd.DataFrame, colours: Mapping[str, str], by: Sequence[str], figures: Sequence[str]
) -> pd.DataFrame:
    """Add up the channels without a colour of their own as `other (N channels)`.

    In: `channel_name`, the columns `by` and the `figures`, sums of which make sense. Out: the same columns, a row a
    channel and `by`, channels in the order of `colours`, the others last.
    """
    known = [name for name, colour in colours.items() if colour != OTHER]
    is_other = ~frame["channel_name"].isin(known)
    rest = f"other ({frame.loc[is_other, 'channel_name'].nunique()} channels)"
    names = frame["channel_name"].where(~is_other, rest)
    order = pd.CategoricalDtype([*known, rest], ordered=True)
    keys = [names.astype(order), *(frame[name] for name in by)]
    sums = frame[list(figures)].groupby(keys, observed=True, sort=True).sum().reset_index()
    return sums.astype({"channel_name": "str"})
