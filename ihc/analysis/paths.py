"""Customer journeys: length, duration, paths, channel roles and transitions."""

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
from ihc.arrays.lookup import distinct_pairs, equals_previous, factorize
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
    """The channels of all journeys, journey by journey in time order, with consecutive repeats merged."""

    channel: Integers  # the channel number of each step
    path: Integers  # the number of its journey
    row: Integers  # its row in the journeys
    names: pd.Series[str]  # channel names, by number

    @property
    def starts(self) -> Integers:
        """The first step of each journey, with the number of all steps appended."""
        return np.append(np.flatnonzero(np.diff(self.path, prepend=-1)), len(self.path))


def channel_steps(journeys: pd.DataFrame, *needs: str) -> Steps:
    """Convert journeys to sequences of channels. In: `journeys`, with the columns that the caller `needs`."""
    touchpoints = in_time_order(journeys, "channel_name", *needs)
    codes, names = channel_codes(journeys["channel_name"])
    channel, path = codes[touchpoints.row], touchpoints.path
    is_new = ~(equals_previous(path) & equals_previous(channel))
    return Steps(channel[is_new], path[is_new], touchpoints.row[is_new], names)


def journey_lengths(journeys: pd.DataFrame, *, longest: int = 10) -> pd.DataFrame:
    """Count orders by number of sessions: `length [sessions; "10+" from `longest` on], orders, share [1]`."""
    lengths = np.minimum(np.bincount(factorize(journeys["conv_id"])), longest)
    labels = [*map(str, range(1, longest)), f"{longest}+"]
    return _with_share(pd.DataFrame({"length": labels, "orders": np.bincount(lengths, minlength=longest + 1)[1:]}))


def time_to_conversion(journeys: pd.DataFrame) -> pd.DataFrame:
    """Count orders by time from the first to the converting session: `time [class], orders, share [1]`."""
    span = journeys["timestamp"].groupby(factorize(journeys["conv_id"])).agg(["min", "max", "size"])
    hours = (span["max"] - span["min"]).dt.total_seconds() / 3600
    classes = np.searchsorted(HOURS, hours, side="right") + 1
    classes = np.where(span["size"] == 1, 0, classes)
    orders = np.bincount(classes, minlength=len(LABELS))
    return _with_share(pd.DataFrame({"time": LABELS, "orders": orders}))


def commonest_paths(journeys: pd.DataFrame, *, most: int = 10) -> pd.DataFrame:
    """List the most common paths, consecutive repeats merged: `path, orders, share [1], revenue [currency]`."""
    steps = channel_steps(journeys, "revenue")
    starts = steps.starts
    path, example = _same_paths(steps.channel, starts)
    orders = np.bincount(path, minlength=len(example))
    revenue = np.bincount(path, journeys["revenue"].to_numpy()[steps.row[starts[:-1]]], minlength=len(example))
    table = _with_share(pd.DataFrame({"orders": orders, "revenue": revenue}))

    # Only candidates for the list are converted to text; ties are broken by name.
    is_candidate: pd.Series[bool] = table["orders"] >= table["orders"].nlargest(most).min()
    table = table[is_candidate]
    texts = pd.array(_written(steps, starts, example[table.index.to_numpy()]), dtype="str")
    table = table.assign(path=texts).sort_values(["orders", "path"], ascending=[False, True]).head(most)
    return table[["path", "orders", "share", "revenue"]].reset_index(drop=True)


def _same_paths(channel: Integers, starts: Integers) -> tuple[Integers, Integers]:
    """Number the distinct sequences: each journey's number, and the first journey of each number.

    The key of a journey is the bytes of its channel numbers: exact, and no text per journey is needed.
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
    """Split a path of `commonest_paths` into channels; `names` that contain an arrow stay whole."""
    whole = sorted((re.escape(name) for name in names if ARROW in name), key=len, reverse=True)
    return re.findall(f"({'|'.join([*whole, '.*?'])}){ARROW}", path + ARROW, re.DOTALL)


def _with_share(table: pd.DataFrame) -> pd.DataFrame:
    total = table["orders"].sum()
    return table.assign(share=table["orders"] / total if total else np.nan)


def channel_roles(journeys: pd.DataFrame) -> pd.DataFrame:
    """Count each channel's roles in the journeys: first, assist, last or only touch.

    In: `journeys`. Out: one row per channel, highest orders first: `channel_name, orders [distinct orders with the
    channel]`, then the channel's role in them. Each order is in exactly one of five columns [orders]: `starts`: the
    first session is the channel's, the last is another channel's; `starts_and_ends`: the first and the last session are
    the channel's, with another channel in between; `assists`: neither the first nor the last session is the channel's;
    `ends`: the last session is the channel's, the first is another channel's; `alone`: the journey has no other
    channel. The shares of the channel's orders [1], `share_starts` to `share_alone`, follow; they sum to 1.

    Over all channels, `alone + starts_and_ends + starts` sums to the number of orders, because each order has one first
    session; so does `alone + starts_and_ends + ends`.
    """
    steps = channel_steps(journeys)
    starts, size = steps.starts, len(steps.names)
    first, last = steps.channel[starts[:-1]], steps.channel[starts[1:] - 1]
    path, channel = distinct_pairs(steps.path, steps.channel)
    is_first, is_last = first[path] == channel, last[path] == channel
    is_alone = np.diff(starts)[path] == 1
    role = np.select([is_alone, is_first & is_last, is_first, is_last], [4, 1, 0, 3], default=2)
    counts = np.bincount(channel * len(ROLES) + role, minlength=size * len(ROLES)).reshape(size, len(ROLES))

    orders = counts.sum(axis=1)
    table = pd.DataFrame({"channel_name": steps.names, "orders": orders} | dict(zip(ROLES, counts.T, strict=True)))
    shares = {f"share_{name}": table[name] / table["orders"] for name in ROLES}
    return table.assign(**shares).sort_values("orders", ascending=False, kind="stable", ignore_index=True)


def transition_matrix(journeys: pd.DataFrame, few: Folding | None = None) -> pd.DataFrame:
    """Count the transitions between channels, from the start of a journey to its order.

    In: `journeys`; `few`, the channels to name; the rest is one state [default: all are named]. Out: `from, to, count
    [transitions], share [1, of all transitions from that state]`, one row per pair of states, including pairs with
    count 0, in row order of the matrix: from `(start)` and the channels by falling orders, to the channels and
    `(order)`; the rest follows the channels. The shares of a state sum to 1.

    Consecutive repeats of a channel are merged, as in `commonest_paths`: a share is where customers go next when they
    change channel. Only the rest can follow itself.
    """
    steps = channel_steps(journeys)
    number, states = _states(channel_roles(journeys)["channel_name"], steps.names, few)
    size = len(states) + 1
    state = number[steps.channel]
    is_first = np.diff(steps.path, prepend=-1) != 0
    is_last = np.append(is_first[1:], True)[: len(state)]
    # The row of a transition is its source, 0 for the start; its column is its target, the last one for the order.
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
    """Return the state of each channel number, and the names of the states."""
    is_named = by_orders.isin(few.named) if few and few.rest else by_orders.notna()
    states = by_orders[is_named].tolist()
    place = pd.Series(range(len(states)), index=states).reindex(names, fill_value=len(states))
    return np.asarray(place, dtype=np.int64), [*states, *([few.rest] if few and few.rest else [])]
