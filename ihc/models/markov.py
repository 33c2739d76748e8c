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

from ihc.arrays.lookup import get_indexer, lookup
from ihc.arrays.types import Floats, Integers
from ihc.errors import InputError
from ihc.journeys.paths import FIRST, LOST, WON, ChannelPaths, channel_paths
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel
from ihc.schemas.refunds import purchases

NEXT_TO_NONE = 1e-12  # below any effect of a channel that led to an order
MOST_STATES = 4_000  # the inverse of so many takes some five seconds and half a gigabyte


def markov(journeys: pd.DataFrame, *, order: int = 1, idle: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share each conversion among its journey's channels in proportion to their removal effects.

    In: `journeys`, and `idle` as in `channel_paths`, `order` as in `removal_effects`.
    Out: `conv_id, session_id, ihc [share]`.

    A refund is no path of its own: it is shared by the effects that the orders' paths have. A channel's part goes to
    its sessions in the journey evenly: the effect is that of the channel as a whole, and a second session does not
    double it. As each conversion is shared among the channels that it had, the sums over all
    conversions are near the shares of `removal_effects`, not equal to them.
    Raises InputError as these two do.
    """
    return spread_by_effects(journeys, removal_effects(channel_paths(purchases(journeys), idle), order=order))


def spread_by_effects(journeys: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Share each conversion as `markov` does, by effects that are known.

    In: `journeys`, and `channel_name, removal_effect` of all their channels. Out: `conv_id, session_id, ihc [share]`.
    """
    steps = in_time_order(journeys, "channel_name")
    codes, names = channel_codes(journeys["channel_name"])
    worth = lookup(names, effects, "channel_name", "removal_effect").fillna(0.0).to_numpy("float64")
    # A channel of an order has an effect above 0. Channels of refunds alone may have none, but a refund is shared too.
    worth = np.maximum(worth, NEXT_TO_NONE)
    return credits_of(journeys, steps, spread_by_channel(steps, codes[steps.row], worth))


def removal_effects(paths: ChannelPaths, *, order: int = 1) -> pd.DataFrame:
    """How much of the conversion probability each channel holds up, as other packages report it.

    In: `channel_paths`; `order` [touchpoints]: how many a state remembers.
    Out: `channel_name, removal_effect [share], share`, greatest effect first; all 0 without any conversion.

    The removal effect is 1 - P(conversion without the channel) / P(conversion), where all moves to states that end in
    the channel lead to null instead. States that hold the channel further back need no rule of their own: every way to
    them leads through one that ends in it. `share` is the effect over the sum of all effects. Without idle paths all
    convert, P(conversion) is 1, and the effect is the probability that a path of the chain touches the channel.

    Repeats of a channel stay: they are moves of a state to itself, which change no probability of where a path ends.
    So the effects are those that the package ChannelAttribution approaches by simulation; it leaves such moves out.

    Raises InputError for an `order` that is not 1 or more, or more than 4,000 states.
    """
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


def count_moves(paths: ChannelPaths) -> Chain:
    """Count the chain of order 1, whose states are the channels, for all users or some of them.

    Raises InputError for more than 4,000 channels.
    """
    return _chain(paths, 1)


def add_chains(chains: Iterable[Chain]) -> Chain:
    """Add together the chains of `count_moves` of different users; out: as for all users at once."""
    found = list(chains)
    states = pd.concat([chain.states for chain in found]).groupby("channel_name", as_index=False).sum()
    parts = []
    for chain in found:
        number = get_indexer(chain.states["channel_name"], states["channel_name"])
        ends = {end: number[chain.moves[end].to_numpy()] for end in ("source", "target")}
        parts.append(chain.moves.assign(**ends))
    return Chain(states, pd.concat(parts).groupby(["source", "target"], as_index=False).sum())


def _chain(paths: ChannelPaths, order: int) -> Chain:
    state, channel = _states(paths, order)
    # All there is to know is which state stands before which, and how often.
    size = len(channel)
    count = np.bincount(state[:-1] * size + state[1:], minlength=size * size).reshape(size, size)[FIRST:]
    visits, conversions = count.sum(axis=1), count[:, WON]
    names = paths.names.take(channel[FIRST:] - FIRST).array
    source, target = np.nonzero(count[:, FIRST:])
    return Chain(
        pd.DataFrame({"channel_name": names, "visits": visits, "conversions": conversions}),
        pd.DataFrame({"source": source, "target": target, "count": count[source, target + FIRST]}),
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

    channel_of = get_indexer(chain.states["channel_name"], names)
    lost = np.zeros(len(names))
    for channel in range(len(lost)):
        own = np.flatnonzero(channel_of == channel)
        lost[channel] = visits[own] @ np.linalg.solve(expected[np.ix_(own, own)], conversion[own])
    # Rounding may leave an effect a few 1e-16 outside of what it can be.
    effects: Floats = np.clip(lost / max(converting.sum(), 1), 0.0, 1.0)
    return effects


def _states(paths: ChannelPaths, order: int) -> tuple[Integers, Integers]:
    """Number the states: the last `order` channels at each touchpoint, as far as the path has so many.

    Out: the state at each of the paths' codes, LOST and WON where a path ends and else from FIRST on; and of each state
    the code of its latest channel.
    """
    if not isinstance(order, (int, np.integer)) or order < 1:
        raise InputError(f"markov: order is {order!r}, it must be a whole number from 1 on.")
    state, last, is_within = paths.codes.astype("int64"), np.arange(paths.size), paths.codes >= FIRST
    _check_size(last, 1)
    for back in range(1, order):
        earlier = np.concatenate([np.zeros(back, paths.codes.dtype), paths.codes[:-back]])
        is_within = is_within & (earlier >= FIRST)
        if not is_within.any():
            break  # no path is as long
        state = state * paths.size + np.where(is_within, earlier, 0)
        seen = np.zeros(len(last) * paths.size, dtype=bool)
        seen[state] = seen[[LOST, WON * paths.size]] = True
        last, state = last[np.flatnonzero(seen) // paths.size], (np.cumsum(seen) - 1)[state]
        _check_size(last, back + 1)
    return state, last


def _check_size(states: Integers, order: int) -> None:
    if (size := len(states) - FIRST) > MOST_STATES:
        raise InputError(
            f"markov: these paths have {size:,} states at order {order}, more than {MOST_STATES:,}: "
            f"{'give a lower order, or ' if order > 1 else ''}join channels that are rare."
        )
