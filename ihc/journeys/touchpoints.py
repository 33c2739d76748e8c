"""Journey rows in time order, as arrays, and the conversion of model results to credits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ihc.arrays.lookup import break_ties, equals_previous, factorize
from ihc.arrays.types import Floats, Integers
from ihc.errors import InputError
from ihc.schemas.tables import require_columns


@dataclass(frozen=True)
class Touchpoints:
    """One entry per touchpoint, path by path; within a path by time, then `session_id`.

    `row`: its position in the original frame. `path`: the number of its path. `moment` [µs]: its time. `starts`: the
    first entry of each path.
    """

    row: Integers
    path: Integers
    moment: Integers
    starts: Integers

    @cached_property
    def rank(self) -> Integers:
        """Each touchpoint's position in its path, from 0."""
        return np.arange(len(self.row)) - self.starts[self.path]

    @cached_property
    def length(self) -> Integers:
        """The number of touchpoints in its path."""
        return np.diff(self.starts, append=len(self.row))[self.path]

    @property
    def last(self) -> Integers:
        """The entry of the path's last touchpoint, repeated for each of its touchpoints."""
        return np.append(self.starts[1:], len(self.row))[self.path] - 1


def in_time_order(frame: pd.DataFrame, *needs: str, path: str = "conv_id", what: str = "journeys") -> Touchpoints:
    """Sort the rows of a frame by path and time.

    In: the column `path`, `session_id, timestamp [UTC]`, and the other columns that the model `needs`; rows in any
    order. Raises InputError for a missing column or timestamp.
    """
    require_columns(frame, (path, "session_id", "timestamp", *needs), what)
    if frame["timestamp"].isna().any():
        raise InputError(f"{what[0].upper()}{what[1:]} have rows without a timestamp: fill them in or drop these rows.")
    code = factorize(frame[path])
    moment = frame["timestamp"].to_numpy("datetime64[us]").astype("int64")
    row = np.arange(len(code))
    if not _is_sorted(code, moment):
        row = np.lexsort((moment, code))
        code, moment = code[row], moment[row]
    is_first = ~equals_previous(code)
    row = break_ties(row, ~is_first & equals_previous(moment), frame["session_id"])
    return Touchpoints(row, is_first.cumsum() - 1, moment, np.flatnonzero(is_first))


def _is_sorted(code: Integers, moment: Integers) -> bool:
    """Check whether the rows are already sorted by path and time, as `build_journeys` returns them.

    The check is much faster than sorting.
    """
    step = np.diff(code)
    return bool(((step > 0) | ((step == 0) & (np.diff(moment) >= 0))).all())


def channel_codes(names: pd.Series[str]) -> tuple[Integers, pd.Series[str]]:
    """Encode channels in the order of their sorted names. Out: each row's code, and the names."""
    codes, found = pd.factorize(names.astype("str"), sort=True, use_na_sentinel=False)
    return codes.astype("int64"), pd.Series(found, dtype="str", name="channel_name")


def credits_of(journeys: pd.DataFrame, touchpoints: Touchpoints, raw: Floats) -> pd.DataFrame:
    """Normalise a model's raw values to credits.

    In: `raw` [≥ 0, sum above 0 in each journey], one value per touchpoint of `journeys`. Out: `conv_id, session_id, ihc
    [share]`, one row per row of `journeys`, in its order; sum 1 per conversion.
    """
    total = np.bincount(touchpoints.path, weights=raw)[touchpoints.path]
    ihc = np.empty(len(raw))
    ihc[touchpoints.row] = raw / total
    return journeys[["conv_id", "session_id"]].reset_index(drop=True).assign(ihc=ihc)


def spread_by_channel(touchpoints: Touchpoints, channel: Integers, worth: Floats) -> Floats:
    """Weight each journey's channels by `worth`, and split a channel's weight evenly over its sessions there.

    In: `channel` and `worth`, the channel code of each touchpoint and the weight of that channel in its journey. Out:
    raw values for `credits_of`.
    """
    pair = touchpoints.path * (channel.max(initial=0) + 1) + channel
    code, _ = pd.factorize(pair)
    return worth / np.bincount(code)[code]
