"""Markov attribution: how many conversions are lost when a channel is taken out of the chain of the users' paths.

A path goes from the start through its touchpoints to the conversion, or to null where the user did not convert. The
states of the chain are the last `order` channels of a path, fewer at its beginning; the probability of a move is its
share among all moves that were seen from the same state. Source: Anderl, Becker, von Wangenheim, Schumann (2016),
Mapping the customer journey: Lessons learned from graph-based online attribution modeling, International Journal of
Research in Marketing 33(3), 457-474.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.errors import InputError, counted, some
from ihc.ids import is_among
from ihc.touchpoints import (
    Floats,
    Integers,
    Touchpoints,
    channel_codes,
    credits_of,
    in_time_order,
    spread_by_channel,
)

MOST_STATES = 4_000  # the inverse of so many takes some five seconds and half a gigabyte


def markov(journeys: pd.DataFrame, *, order: int = 1, idle: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share each conversion among its journey's channels in proportion to their removal effects.

    In: `journeys`, and `order` and `idle` as in `removal_effects`. Out: `conv_id, session_id, ihc [share]`.

    A channel's part goes to its sessions in the journey evenly: the effect is that of the channel as a whole, and a
    second session does not double it. As each conversion is shared among the channels that it had, the sums over all
    conversions are near the shares of `removal_effects`, not equal to them.
    Raises InputError as `removal_effects` does.
    """
    paths = _paths(journeys, idle)
    # The last channel of a journey has at least the effect 1 / conversions, so no journey is left without any.
    effects = _effects(paths, order)
    steps = paths.steps
    return credits_of(journeys, steps, spread_by_channel(steps, paths.channel[: len(journeys)], effects))


def removal_effects(journeys: pd.DataFrame, *, order: int = 1, idle: pd.DataFrame | None = None) -> pd.DataFrame:
    """How much of the conversion probability each channel holds up, as other packages report it.

    In: `journeys`; `order` [touchpoints]: how many a state remembers; `idle`: the paths without a conversion as
    `idle_paths` makes them, `user_id, session_id, timestamp [UTC], channel_name`.
    Out: `channel_name, removal_effect [share], share`, greatest effect first; all 0 without any journey.

    The removal effect is 1 - P(conversion without the channel) / P(conversion), where all moves to states that end in
    the channel lead to null instead. States that hold the channel further back need no rule of their own: every way to
    them leads through one that ends in it. `share` is the effect over the sum of all effects. Without `idle` every path
    converts, P(conversion) is 1, and the effect is the probability that a path of the chain touches the channel.

    Repeats of a channel stay: they are moves of a state to itself, which change no probability of where a path ends.
    So the effects are those that the package ChannelAttribution approaches by simulation; it leaves such moves out.

    Raises InputError for a missing column, an `order` that is not 1 or more, more than 4,000 states, or sessions of
    `idle` that are in `journeys`.
    """
    paths = _paths(journeys, idle)
    effect = _effects(paths, order)
    table = pd.DataFrame({"channel_name": paths.names, "removal_effect": effect, "share": effect / (effect.sum() or 1)})
    return table.sort_values("removal_effect", ascending=False, kind="stable", ignore_index=True)


class _Paths(NamedTuple):
    """All touchpoints in time order, those of the journeys first."""

    steps: Touchpoints  # of the journeys
    names: pd.Series[str]
    channel: Integers
    rank: Integers
    left: Integers  # touchpoints that follow in the path


def _paths(journeys: pd.DataFrame, idle: pd.DataFrame | None) -> _Paths:
    steps = in_time_order(journeys, "channel_name")
    if idle is None:
        idle = journeys.iloc[:0].assign(user_id="")
    others = in_time_order(idle, "channel_name", path="user_id", what="idle")
    # A session is its user's, so only users who are in both are looked at more closely.
    users = journeys["user_id"].take(steps.row[steps.starts]) if len(idle) else idle["user_id"]
    shared = idle[is_among(idle["user_id"], users)]
    twice = shared.loc[is_among(shared["session_id"], journeys["session_id"]), "session_id"].unique()
    if len(twice):
        raise InputError(
            f"idle holds {counted(len(twice), 'session')} of journeys ({some(twice)}): a path ends in a conversion or "
            "without one. Make it by idle_paths."
        )
    (won, names), (lost, others_names) = (channel_codes(frame["channel_name"]) for frame in (journeys, idle))
    number, names = channel_codes(pd.concat([names, others_names], ignore_index=True))
    channel = np.concatenate([number[won[steps.row]], number[lost[others.row] + len(number) - len(others_names)]])
    rank = np.concatenate([steps.rank, others.rank])
    return _Paths(steps, names, channel, rank, np.concatenate([steps.length, others.length]) - rank - 1)


def _effects(paths: _Paths, order: int) -> Floats:
    """The removal effect of each channel, by number.

    With the expected visits N = (I - Q)^-1 between the states, the conversion probability h from each, and the states
    R of a channel, the paths that convert through R are n_R N_RR^-1 h_R, where n_R counts the visits to R by the paths
    themselves: the chain made of them visits each state as often as they do. So one inverse and a small system for each
    channel do, and nothing is subtracted that could cancel out.
    """
    state = _states(paths, order)
    visits = np.bincount(state)
    is_inner = paths.left > 0
    is_converting = (paths.left == 0) & (np.arange(len(state)) < len(paths.steps.row))
    moves = _counts(state[is_inner], state[1:][is_inner[:-1]], len(visits))
    expected = np.linalg.inv(np.eye(len(visits)) - moves / visits[:, None])
    conversion = expected @ (np.bincount(state[is_converting], minlength=len(visits)) / visits)

    channel_of = np.empty(len(visits), dtype="int64")
    channel_of[state] = paths.channel
    lost = np.zeros(len(paths.names))
    for channel in range(len(lost)):
        own = np.flatnonzero(channel_of == channel)
        lost[channel] = visits[own] @ np.linalg.solve(expected[np.ix_(own, own)], conversion[own])
    # Rounding may leave an effect a few 1e-16 outside of what it can be.
    effects: Floats = np.clip(lost / max(is_converting.sum(), 1), 0.0, 1.0)
    return effects


def _counts(source: Integers, target: Integers, size: int) -> Integers:
    return np.bincount(source * size + target, minlength=size * size).reshape(size, size)


def _states(paths: _Paths, order: int) -> Integers:
    """Number the states: the last `order` channels at each touchpoint, as far as the path has so many."""
    if not isinstance(order, (int, np.integer)) or order < 1:
        raise InputError(f"markov: order is {order!r}, it must be a whole number from 1 on.")
    state, longest = paths.channel, int(paths.rank.max(initial=-1)) + 1
    for back in range(1, min(order, longest)):
        earlier = np.zeros_like(state)  # 0: before the path's beginning
        earlier[back:] = np.where(paths.rank[back:] >= back, paths.channel[:-back] + 1, 0)
        state, _ = pd.factorize(state * (len(paths.names) + 1) + earlier, sort=True)
    if (size := int(state.max(initial=-1)) + 1) > MOST_STATES:
        raise InputError(
            f"markov: these paths have {size:,} states at order {order}, more than {MOST_STATES:,}: give a lower "
            "order, or join channels that are rare."
        )
    return state
