"""Markov attribution: removal effects of channels in the chain of user paths.

A path runs from the start through its touchpoints to the conversion, or to null if the user did not convert. The states
of the chain are the last `order` channels of a path, fewer at its beginning; a transition probability is its share of
all observed transitions from the same state. Source: Anderl, Becker, von Wangenheim, Schumann (2016), Mapping the
customer journey: Lessons learned from graph-based online attribution modeling, International Journal of Research in
Marketing 33(3), 457-474.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.lookup import get_indexer, lookup
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import InputError
from ihc.journeys.paths import FIRST, LOST, WON, ChannelPaths, channel_paths
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel
from ihc.schemas.refunds import purchases

NEXT_TO_NONE = 1e-12  # below the effect of any channel that led to an order
MOST_STATES = 4_000  # inverting this many takes about five seconds and half a gigabyte


def markov(journeys: pd.DataFrame, *, order: int = 1, idle: pd.DataFrame | None = None) -> pd.DataFrame:
    """Split each conversion between its journey's channels in proportion to their removal effects.

    In: `journeys`, and `idle` as in `channel_paths`, `order` as in `removal_effects`. Out: `conv_id, session_id, ihc
    [share]`.

    A refund is not a path of its own: it is split by the effects from the orders' paths. A channel's share is split
    evenly over its sessions in the journey, because the effect is that of the whole channel, and a second session does
    not double it. As each conversion is split between its own channels only, the sums over all conversions are close to
    the shares of `removal_effects`, but not equal to them. Raises InputError as these two functions do.
    """
    return spread_by_effects(journeys, removal_effects(channel_paths(purchases(journeys), idle), order=order))


def spread_by_effects(journeys: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Split each conversion as `markov` does, with known effects.

    In: `journeys`, and `channel_name, removal_effect` of all their channels. Out: `conv_id, session_id, ihc [share]`.
    """
    steps = in_time_order(journeys, "channel_name")
    codes, names = channel_codes(journeys["channel_name"])
    worth = lookup(names, effects, "channel_name", "removal_effect").fillna(0.0).to_numpy("float64")
    # Channels of orders have an effect above 0. Channels of refunds alone may have none, but refunds are split too.
    worth = np.maximum(worth, NEXT_TO_NONE)
    channel = codes[steps.row]
    return credits_of(journeys, steps, spread_by_channel(steps, channel, worth[channel]))


def removal_effects(paths: ChannelPaths, *, order: int = 1) -> pd.DataFrame:
    """Compute the removal effect of each channel, as other packages report it.

    In: `channel_paths`; `order` [touchpoints]: the memory of a state. Out: `channel_name, removal_effect [share],
    share`, highest effect first; all 0 without a conversion.

    The removal effect is 1 - P(conversion without the channel) / P(conversion), where all transitions to states that
    end in the channel lead to null instead. States with the channel further back need no rule of their own, because
    they are only reachable through a state that ends in it. `share` is the effect / the sum of all effects. Without
    idle paths all paths convert, P(conversion) is 1, and the effect is the probability that a path of the chain touches
    the channel.

    Consecutive repeats of a channel are kept as transitions of a state to itself; they do not change where a path ends.
    The effects therefore equal those that the package ChannelAttribution approximates by simulation, which leaves such
    transitions out.

    Raises InputError for an `order` that is not 1 or more, or more than 4,000 states.
    """
    effect = effects_of(_chain(paths, order), paths.names)
    table = pd.DataFrame({"channel_name": paths.names, "removal_effect": effect, "share": effect / (effect.sum() or 1)})
    return table.sort_values("removal_effect", ascending=False, kind="stable", ignore_index=True)


def conversion_probability(paths: ChannelPaths, known: Booleans) -> Floats:
    """Return the probability that each path ends with a conversion, by the transitions of the `known` paths.

    A path has ended, so that its last channel is followed by the conversion or by null. In the chain of order 1, no
    other channel counts. One path with the share of all known conversions is added to each channel, so that a channel
    with few or no known paths has a probability close to that share, and none is 0 or 1.
    """
    ends = np.flatnonzero(paths.codes < FIRST)[1:]
    last, converts = paths.codes[ends - 1], paths.codes[ends] == WON
    count, conversions = (np.bincount(last[which], minlength=paths.size) for which in (known, known & converts))
    probability: Floats = ((conversions + converts[known].mean()) / (count + 1))[last]
    return probability


class Chain(NamedTuple):
    """Counts of the user paths, sufficient for the removal effects.

    `states`: `channel_name [the last one], visits, conversions [count; paths that convert from there]`, one row per
    state; `moves`: `source, target [rows of states], count`, the transitions.
    """

    states: pd.DataFrame
    moves: pd.DataFrame


def count_moves(paths: ChannelPaths) -> Chain:
    """Count the chain of order 1, whose states are the channels, for all or some users.

    Raises InputError for more than 4,000 channels.
    """
    return _chain(paths, 1)


def add_chains(chains: Iterable[Chain]) -> Chain:
    """Add the chains of `count_moves` of disjoint sets of users. Out: as for all users at once."""
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
    # Only the number of transitions from state to state matters.
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
    """Return the removal effect [share] of each of the channels `names`; 0 for a channel in no state.

    With the expected visits N = (I - Q)^-1 between the states, the conversion probability h from each state, and the
    states R of a channel, the number of paths that convert through R is n_R N_RR^-1 h_R, where n_R counts the visits to
    R in the paths; the chain visits each state as often as the paths do. One inverse and one small linear system per
    channel are enough, and there is no subtraction that could lose precision.
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
    # Rounding may leave an effect a few 1e-16 outside [0, 1].
    effects: Floats = np.clip(lost / max(converting.sum(), 1), 0.0, 1.0)
    return effects


def _states(paths: ChannelPaths, order: int) -> tuple[Integers, Integers]:
    """Number the states: the last `order` channels at each touchpoint, or fewer near the beginning of a path.

    Out: the state at each code of the paths, LOST and WON at the end of a path, otherwise FIRST and above; and the code
    of the latest channel of each state.
    """
    if not isinstance(order, (int, np.integer)) or order < 1:
        raise InputError(f"markov: order is {order!r}; it must be a whole number of 1 or more.")
    state, last, is_within = paths.codes.astype("int64"), np.arange(paths.size), paths.codes >= FIRST
    _check_size(last, 1)
    for back in range(1, order):
        earlier = np.concatenate([np.zeros(back, paths.codes.dtype), paths.codes[:-back]])
        is_within = is_within & (earlier >= FIRST)
        if not is_within.any():
            break  # no path is that long
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
            f"{'use a lower order, or ' if order > 1 else ''}merge rare channels."
        )
