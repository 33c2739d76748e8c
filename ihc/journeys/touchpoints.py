"""The rows of `journeys` in time order, as arrays: what every model counts on, and how it hands its credit back."""

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
    """One entry a touchpoint, path by path, by time and then `session_id` within a path.

    `row`: its place in the frame it came from. `path`: the number of its path. `moment` [µs]: its time. `starts`: the
    entry with which each path begins.
    """

    row: Integers
    path: Integers
    moment: Integers
    starts: Integers

    @cached_property
    def rank(self) -> Integers:
        """Each touchpoint's place in its path, from 0."""
        return np.arange(len(self.row)) - self.starts[self.path]

    @cached_property
    def length(self) -> Integers:
        """How many touchpoints its path has."""
        return np.diff(self.starts, append=len(self.row))[self.path]

    @property
    def last(self) -> Integers:
        """The entry of the path's last touchpoint, on each of its touchpoints."""
        return np.append(self.starts[1:], len(self.row))[self.path] - 1


def in_time_order(frame: pd.DataFrame, *needs: str, path: str = "conv_id", what: str = "journeys") -> Touchpoints:
    """Put the rows of a frame in time order.

    In: the column `path`, `session_id, timestamp [UTC]`, and what else the model `needs`; rows in any order.
    Raises InputError for a missing column or timestamp.
    """
    require_columns(frame, (path, "session_id", "timestamp", *needs), what)
    if frame["timestamp"].isna().any():
        raise InputError(f"{what[0].upper()}{what[1:]} have rows without a timestamp: fill them in or leave them out.")
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
    """Do the rows come path by path in time order, as of `build_journeys`? Looking is much faster than sorting."""
    step = np.diff(code)
    return bool(((step > 0) | ((step == 0) & (np.diff(moment) >= 0))).all())


def channel_codes(names: pd.Series[str]) -> tuple[Integers, pd.Series[str]]:
    """Number the channels by their sorted names: each row's number, and the names."""
    codes, found = pd.factorize(names.astype("str"), sort=True, use_na_sentinel=False)
    return codes.astype("int64"), pd.Series(found, dtype="str", name="channel_name")


def credits_of(journeys: pd.DataFrame, touchpoints: Touchpoints, raw: Floats) -> pd.DataFrame:
    """Normalise a model's raw values to credits.

    In: `raw` [≥ 0, its sum above 0 in each journey], one value a touchpoint of `journeys`.
    Out: `conv_id, session_id, ihc [share]`, one row for each row of `journeys`, in its order; sum 1 per conversion.
    """
    total = np.bincount(touchpoints.path, weights=raw)[touchpoints.path]
    ihc = np.empty(len(raw))
    ihc[touchpoints.row] = raw / total
    return journeys[["conv_id", "session_id"]].reset_index(drop=True).assign(ihc=ihc)


def spread_by_channel(touchpoints: Touchpoints, channel: Integers, worth: Floats) -> Floats:
    """Give each journey's channels what they are worth, and a channel's sessions in the journey equal parts of it.

    In: `channel`, a touchpoint's channel as a number; `worth`, a value for each such number.
    Out: raw values for `credits_of`.
    """
    pair = touchpoints.path * len(worth) + channel
    code, _ = pd.factorize(pair)
    return worth[channel] / np.bincount(code)[code]
