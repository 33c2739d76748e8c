"""Which part each channel has in the journeys: where in them it stands, and which channel comes after which."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.errors import counted
from ihc.folding import Folding
from ihc.narrative import percent, shown
from ihc.paths import channel_steps
from ihc.touchpoints import Integers

ROLES = ("starts", "starts_and_ends", "assists", "ends", "alone")
START, ORDER = "(start)", "(order)"
# A channel begins, or ends, clearly more journeys if it does so in two thirds of at least thirty: chance alone does
# that to one channel in twenty.
CLEAR, ENOUGH_ORDERS = 2 / 3, 30
# The upper ends of the classes of `time_to_conversion`, in words; the last has none.
WITHIN = ("an hour", "6 hours", "a day", "3 days", "7 days", "14 days", "30 days")


def channel_roles(journeys: pd.DataFrame) -> pd.DataFrame:
    """Count where in the journeys each channel stands.

    In: `journeys`. Out: a row a channel, by falling orders: `channel_name, orders [distinct orders with the channel]`,
    and what it is in them, each order in one of five columns [orders], which so sum to `orders`:
    `starts`: the first session is the channel's, the last another's; `starts_and_ends`: first and last session are the
    channel's, with another channel between; `assists`: the channel is between, neither first nor last; `ends`: the last
    session is the channel's, the first another's; `alone`: the journey has no other channel.
    Then the same as shares of the channel's orders [1], `share_starts` to `share_alone`, which sum to 1.

    Over all channels `alone + starts_and_ends + starts` sum to the number of orders, as each has one first session, and
    so do `alone + starts_and_ends + ends`.
    """
    steps = channel_steps(journeys)
    starts, size = steps.starts, len(steps.names)
    first, last = steps.channel[starts[:-1]], steps.channel[starts[1:] - 1]
    pairs = pd.unique(steps.path * max(size, 1) + steps.channel)
    path, channel = pairs // max(size, 1), pairs % max(size, 1)
    is_first, is_last = first[path] == channel, last[path] == channel
    is_alone = np.diff(starts)[path] == 1
    role = np.select([is_alone, is_first & is_last, is_first, is_last], [4, 1, 0, 3], default=2)
    counts = np.bincount(channel * len(ROLES) + role, minlength=size * len(ROLES)).reshape(size, len(ROLES))

    orders = counts.sum(axis=1)
    table = pd.DataFrame({"channel_name": steps.names, "orders": orders} | dict(zip(ROLES, counts.T, strict=True)))
    shares = {f"share_{name}": table[name] / table["orders"] for name in ROLES}
    return table.assign(**shares).sort_values("orders", ascending=False, kind="stable", ignore_index=True)


def transition_matrix(journeys: pd.DataFrame, few: Folding | None = None) -> pd.DataFrame:
    """Count which channel follows which, from the start of a journey to its order.

    In: `journeys`; `few`, the channels that are named; the rest is one state [default: all are named].
    Out: `from, to, count [moves], share [1, of all moves from there]`, a row for each pair of states, also where no
    move was seen, row by row of the matrix: from `(start)` and the channels by falling orders, to the channels and
    `(order)`; the rest comes after the channels. The shares of a state sum to 1.

    Repeats of a channel in a row are written once, as in `commonest_paths`: a share says where buyers go when they
    go elsewhere. So only the others are seen to follow each other.
    """
    steps = channel_steps(journeys)
    number, states = _states(channel_roles(journeys)["channel_name"], steps.names, few)
    size = len(states) + 1
    state = number[steps.channel]
    is_first = np.diff(steps.path, prepend=-1) != 0
    is_last = np.append(is_first[1:], True)[: len(state)]
    # A move's row is the state that it leaves, 0 the start; its column the one it comes to, the last the order.
    source = np.concatenate([np.where(is_first, 0, np.roll(state, 1) + 1), state[is_last] + 1])
    target = np.concatenate([state, np.full(int(is_last.sum()), size - 1)])
    count = np.bincount(source * size + target, minlength=size * size).reshape(size, size)
    if not len(state):
        size, count = 0, count[:0, :0]
    table = {
        "from": pd.array(np.repeat([START, *states][:size], size), dtype="str"),
        "to": pd.array(np.tile([*states, ORDER][:size], size), dtype="str"),
        "count": count.ravel(),
        "share": (count / count.sum(axis=1, keepdims=True)).ravel(),
    }
    return pd.DataFrame(table)


def _states(by_orders: pd.Series[str], names: pd.Series[str], few: Folding | None) -> tuple[Integers, list[str]]:
    """The state of each channel number, and the states' names."""
    is_named = by_orders.isin(few.named) if few and few.rest else by_orders.notna()
    states = by_orders[is_named].tolist()
    place = pd.Series(range(len(states)), index=states).reindex(names, fill_value=len(states))
    return np.asarray(place, dtype=np.int64), [*states, *([few.rest] if few and few.rest else [])]


def paths_sentence(lengths: pd.DataFrame, times: pd.DataFrame, paths: pd.DataFrame, roles: pd.DataFrame) -> str:
    """Say how long journeys are and how long they take, which path is the commonest, and who begins and ends them.

    In: the frames of `journey_lengths`, `time_to_conversion`, `commonest_paths` and `channel_roles`.
    """
    if not lengths["orders"].sum():
        return "There is no journey in these dates."
    sentences = [_lengths(lengths, times), _commonest(paths, roles), _begin_and_end(roles)]
    return " ".join(filter(None, sentences))


def _lengths(lengths: pd.DataFrame, times: pd.DataFrame) -> str:
    orders = int(lengths["orders"].sum())
    single = int(lengths.loc[lengths["length"] == "1", "orders"].sum())
    if single == orders:
        return "Every order takes a single session, so all models agree on all of them."
    if not single:
        return f"No order takes a single session; {_times(times)}."
    part = percent(single / orders)
    rest = counted(orders - single, "order")
    return (
        f"{part} of the orders take a single session, on which all models agree; of the rest ({rest}), {_times(times)}."
    )


def _times(times: pd.DataFrame) -> str:
    """Up to which class of time at least half of the orders with several sessions are."""
    longer = times.iloc[1:]["orders"]
    reached = (longer.cumsum() / longer.sum()).to_numpy()
    middle = int((reached >= 0.5).argmax())
    if middle == len(WITHIN):
        share = 1 - (reached[middle - 1] if middle else 0)
        return f"{percent(share)} take {WITHIN[-1]} or more from the first session to the last"
    return f"{percent(reached[middle])} take less than {WITHIN[middle]} from the first session to the last"


def _commonest(paths: pd.DataFrame, roles: pd.DataFrame) -> str:
    first = paths.iloc[0]
    orders = counted(first["orders"], "order")
    if first["share"] == 1:
        return f"All orders have the path {shown(first['path'], 80)}." if len(roles) > 1 else ""
    if len(paths) > 1 and paths["orders"].iloc[1] == first["orders"]:
        return f"Several paths are equally common, with {orders} each."
    alone = " alone" if first["path"] in set(roles["channel_name"]) else ""
    return f"The commonest path is {shown(first['path'], 80)}{alone}, with {orders} ({percent(first['share'])})."


def _begin_and_end(roles: pd.DataFrame) -> str:
    """A channel that clearly begins more journeys than it ends, and one that ends more; empty where neither is."""
    verbs = (("starts", "ends", "begins more than it ends"), ("ends", "starts", "ends more than it begins"))
    found = []
    for one, other, verb in verbs:
        both = roles["starts"] + roles["ends"]
        share = (roles[one] / both.where(both >= ENOUGH_ORDERS)).fillna(0.0)
        if len(share) and share.max() >= CLEAR:
            row = roles.iloc[int(share.argmax())]
            found.append(f"{shown(row['channel_name'])} {verb} ({row[one]:,} against {row[other]:,})")
    return f"Of the journeys through several channels, {', and '.join(found)}." if found else ""
