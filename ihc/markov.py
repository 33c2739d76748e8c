"""Markov attribution: how many conversions are lost when a channel is taken out of the chain of the users' paths.

A path goes from the start through its touchpoints to the conversion, or to null where the user did not convert. The
states of the chain are the last `order` channels of a path, fewer at its beginning; the probability of a move is its
share among all moves that were seen from the same state. Source: Anderl, Becker, von Wangenheim, Schumann (2016),
Mapping the customer journey: Lessons learned from graph-based online attribution modeling, International Journal of
Research in Marketing 33(3), 457-474.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.errors import InputError, counted, some
from ihc.ids import is_among, look_up, places
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
    effects = effects_of(_chain(paths, order), paths.names)
    return _spread(journeys, paths.steps, paths.channel[: len(journeys)], effects)


def spread_by_effects(journeys: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Share each conversion as `markov` does, by effects that are known.

    In: `journeys`, and `channel_name, removal_effect` of all their channels. Out: `conv_id, session_id, ihc [share]`.
    """
    steps = in_time_order(journeys, "channel_name")
    codes, names = channel_codes(journeys["channel_name"])
    worth = look_up(names, effects, "channel_name", "removal_effect").to_numpy("float64")
    return _spread(journeys, steps, codes[steps.row], worth)


def _spread(journeys: pd.DataFrame, steps: Touchpoints, channel: Integers, effects: Floats) -> pd.DataFrame:
    # The last channel of a journey has at least the effect 1 / conversions, so no journey is left without any.
    return credits_of(journeys, steps, spread_by_channel(steps, channel, effects))


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
    effect = effects_of(_chain(paths, order), paths.names)
    table = pd.DataFrame({"channel_name": paths.names, "removal_effect": effect, "share": effect / (effect.sum() or 1)})
    return table.sort_values("removal_effect", ascending=False, kind="stable", ignore_index=True)


class Chain(NamedTuple):
    """What was seen of the users' paths, counted: all that the effects depend on.

    `states`: `channel_name [the last one], visits, conversions [count; paths that convert from there]`, a row a state;
    `moves`: `source, target [rows of states], count`.
    """

    states: pd.DataFrame
    moves: pd.DataFrame


def count_moves(journeys: pd.DataFrame, idle: pd.DataFrame) -> Chain:
    """Count the chain of order 1, whose states are the channels, for all users or some of them.

    In and raises: as `removal_effects`.
    """
    return _chain(_paths(journeys, idle), 1)


def add_chains(chains: Iterable[Chain]) -> Chain:
    """Add together the chains of `count_moves` of different users; out: as for all users at once."""
    found = list(chains)
    states = pd.concat([chain.states for chain in found]).groupby("channel_name", as_index=False).sum()
    parts = []
    for chain in found:
        number = places(chain.states["channel_name"], states["channel_name"])
        ends = {end: number[chain.moves[end].to_numpy()] for end in ("source", "target")}
        parts.append(chain.moves.assign(**ends))
    return Chain(states, pd.concat(parts).groupby(["source", "target"], as_index=False).sum())


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


def _chain(paths: _Paths, order: int) -> Chain:
    state = _states(paths, order)
    visits = np.bincount(state)
    size = len(visits)
    is_inner = paths.left > 0
    is_converting = (paths.left == 0) & (np.arange(len(state)) < len(paths.steps.row))
    channel_of = np.empty(size, dtype="int64")
    channel_of[state] = paths.channel
    conversions = np.bincount(state[is_converting], minlength=size)
    names = paths.names.take(channel_of).array
    states = pd.DataFrame({"channel_name": names, "visits": visits, "conversions": conversions})
    count = np.bincount(state[is_inner] * size + state[1:][is_inner[:-1]], minlength=size * size)
    seen = np.flatnonzero(count)
    return Chain(
        states, pd.DataFrame({"source": seen // max(size, 1), "target": seen % max(size, 1), "count": count[seen]})
    )


def effects_of(chain: Chain, names: pd.Series[str]) -> Floats:
    """The removal effect [share] of each of the channels `names`, 0 for one that is in no state.

    With the expected visits N = (I - Q)^-1 between the states, the conversion probability h from each, and the states
    R of a channel, the paths that convert through R are n_R N_RR^-1 h_R, where n_R counts the visits to R by the paths
    themselves: the chain made of them visits each state as often as they do. So one inverse and a small system for each
    channel do, and nothing is subtracted that could cancel out.
    """
    visits = chain.states["visits"].to_numpy("int64")
    moves = np.zeros((len(visits), len(visits)), dtype="int64")
    moves[chain.moves["source"], chain.moves["target"]] = chain.moves["count"]
    expected = np.linalg.inv(np.eye(len(visits)) - moves / visits[:, None])
    converting = chain.states["conversions"].to_numpy("int64")
    conversion = expected @ (converting / visits)

    channel_of = places(chain.states["channel_name"], names)
    lost = np.zeros(len(names))
    for channel in range(len(lost)):
        own = np.flatnonzero(channel_of == channel)
        lost[channel] = visits[own] @ np.linalg.solve(expected[np.ix_(own, own)], conversion[own])
    # Rounding may leave an effect a few 1e-16 outside of what it can be.
    effects: Floats = np.clip(lost / max(converting.sum(), 1), 0.0, 1.0)
    return effects


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
