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

from ihc.ids import repeats
from ihc.touchpoints import Integers, channel_codes, in_time_order

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
    is_new = ~(repeats(path) & repeats(channel))
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
