"""What journeys look like: how long, how many sessions, through which channels."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.analysis.dimension import Folding
from ihc.arrays.lookup import equals_previous
from ihc.arrays.types import Integers
from ihc.journeys.touchpoints import channel_codes, in_time_order

HOURS = (1, 6, 24, 72, 168, 336, 720)
LABELS = (
    "one session",
    "< 1 h",
    "1-6 h",
    "6-24 h",
    "1-3 days",
    "3-7 days",
    "7-14 days",
    "14-30 days",
    "30 days and more",
)
ARROW = " > "  # between the channels of a path
ROLES = ("starts", "starts_and_ends", "assists", "ends", "alone")
START, ORDER = "(start)", "(order)"


class Steps(NamedTuple):
    """The channels of all journeys, journey by journey in time order, repeats in a row once."""

    channel: Integers  # the number of each step's channel
    path: Integers  # the number of its journey
    row: Integers  # the row of the journeys that it was taken from
    names: pd.Series[str]  # of the channels, by number

    @property
    def starts(self) -> Integers:
        """The step with which each journey begins, and the number of all steps at the end."""
        return np.append(np.flatnonzero(np.diff(self.path, prepend=-1)), len(self.path))


def channel_steps(journeys: pd.DataFrame, *needs: str) -> Steps:
    """Read each journey as a sequence of channels. In: `journeys`, and the columns that the caller `needs`."""
    touchpoints = in_time_order(journeys, "channel_name", *needs)
    codes, names = channel_codes(journeys["channel_name"])
    channel, path = codes[touchpoints.row], touchpoints.path
    is_new = ~(equals_previous(path) & equals_previous(channel))
    return Steps(channel[is_new], path[is_new], touchpoints.row[is_new], names)


def journey_lengths(journeys: pd.DataFrame, *, longest: int = 10) -> pd.DataFrame:
    """How many orders have how many sessions: `length [sessions; "10+" from `longest` on], orders, share [1]`."""
    lengths = journeys.groupby("conv_id").size().clip(upper=longest)
    orders = lengths.value_counts().reindex(range(1, longest + 1), fill_value=0)
    labels = [*map(str, range(1, longest)), f"{longest}+"]
    return _with_share(pd.DataFrame({"length": labels, "orders": orders.to_numpy()}))


def time_to_conversion(journeys: pd.DataFrame) -> pd.DataFrame:
    """How long before its converting session each journey began: `time [class], orders, share [1]`."""
    span = journeys.groupby("conv_id")["timestamp"].agg(["min", "max", "size"])
    hours = (span["max"] - span["min"]).dt.total_seconds() / 3600
    classes = np.searchsorted(HOURS, hours, side="right") + 1
    classes = np.where(span["size"] == 1, 0, classes)
    orders = np.bincount(classes, minlength=len(LABELS))
    return _with_share(pd.DataFrame({"time": LABELS, "orders": orders}))


def commonest_paths(journeys: pd.DataFrame, *, most: int = 10) -> pd.DataFrame:
    """The commonest sequences of channels, repeats in a row written once: `path, orders, share [1], revenue`."""
    steps = channel_steps(journeys, "revenue")
    starts = steps.starts
    path, example = _same_paths(steps.channel, starts)
    orders = np.bincount(path, minlength=len(example))
    revenue = np.bincount(path, journeys["revenue"].to_numpy()[steps.row[starts[:-1]]], minlength=len(example))
    table = _with_share(pd.DataFrame({"orders": orders, "revenue": revenue}))

    # Only what may be among the commonest is written out; of equally common paths the first by name is.
    may_be: pd.Series[bool] = table["orders"] >= table["orders"].nlargest(most).min()
    table = table[may_be]
    texts = pd.array(_written(steps, starts, example[table.index.to_numpy()]), dtype="str")
    table = table.assign(path=texts).sort_values(["orders", "path"], ascending=[False, True]).head(most)
    return table[["path", "orders", "share", "revenue"]].reset_index(drop=True)


def _same_paths(channel: Integers, starts: Integers) -> tuple[Integers, Integers]:
    """Number the distinct sequences: each journey's number, and the first journey of each number.

    A journey's channel numbers, laid side by side, are its key as bytes: exact, and without a text a journey.
    """
    buffers = [None, pa.py_buffer(starts * channel.itemsize), pa.py_buffer(channel)]
    keys = pa.Array.from_buffers(pa.large_binary(), len(starts) - 1, buffers)
    number = keys.dictionary_encode().indices.to_numpy().astype("int64")
    return number, np.unique(number, return_index=True)[1]


def _written(steps: Steps, starts: Integers, which: Integers) -> npt.NDArray[np.object_]:
    lengths = np.diff(starts)[which]
    offsets = np.append(0, lengths.cumsum())
    step = np.arange(offsets[-1]) + np.repeat(starts[which] - offsets[:-1], lengths)
    names = pa.array(steps.names.to_numpy(object)[steps.channel[step]], pa.string())
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names), ARROW)
    texts: npt.NDArray[np.object_] = joined.to_numpy(zero_copy_only=False)
    return texts


def channels_of(path: str, names: Collection[str]) -> list[str]:
    """The channels of a path of `commonest_paths`; those of `names` that hold an arrow themselves stay whole."""
    whole = sorted((re.escape(name) for name in names if ARROW in name), key=len, reverse=True)
    return re.findall(f"({'|'.join([*whole, '.*?'])}){ARROW}", path + ARROW, re.DOTALL)


def _with_share(table: pd.DataFrame) -> pd.DataFrame:
    total = table["orders"].sum()
    return table.assign(share=table["orders"] / total if total else np.nan)


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
