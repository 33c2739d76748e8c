"""User paths as channel codes.

This is all that channel totals need; sessions are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.lookup import isin
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.journeys.touchpoints import Touchpoints, channel_codes, in_time_order

LOST, WON, FIRST = 0, 1, 2  # codes: end without a conversion; end with one; the first channel
Codes = npt.NDArray[np.integer[Any]]  # unsigned; one byte if there are few channels


@dataclass(frozen=True)
class ChannelPaths:
    """All paths in one array, each touchpoint as the code of its channel.

    `codes`: FIRST and above for channels; LOST or WON after each path, and one before the first path. `names`: the
    channel names, sorted; the first one has code FIRST.
    """

    codes: Codes
    names: pd.Series[str]

    @property
    def size(self) -> int:
        """The number of codes, including LOST and WON."""
        return FIRST + len(self.names)


def channel_paths(journeys: pd.DataFrame, idle: pd.DataFrame | None = None) -> ChannelPaths:
    """Encode the channels of all paths in time order, once for all models that use them.

    In: `journeys`, each a path to its conversion; `idle`, as of `non_converting_paths`: `user_id, session_id, timestamp
    [UTC], channel_name`. Raises InputError for a missing column or timestamp, and for sessions in both frames.
    """
    won = in_time_order(journeys, "channel_name")
    if idle is None:
        idle = journeys.iloc[:0].assign(user_id="")
    lost = in_time_order(idle, "channel_name", path="user_id", what="idle")
    _check_apart(journeys, won, idle)
    (of_won, names), (of_lost, others) = (channel_codes(frame["channel_name"]) for frame in (journeys, idle))
    number, names = channel_codes(pd.concat([names, others], ignore_index=True))
    number = (number + FIRST).astype(np.min_scalar_type(FIRST + len(names)))
    paths = (
        np.array([LOST], dtype=number.dtype),
        _closed(number[of_won[won.row]], won, WON),
        _closed(number[of_lost[lost.row] + len(number) - len(others)], lost, LOST),
    )
    return ChannelPaths(np.concatenate(paths), names)


def _check_apart(journeys: pd.DataFrame, won: Touchpoints, idle: pd.DataFrame) -> None:
    """Raise InputError if a session is in both frames.

    A session belongs to one user, so only users in both frames are checked.
    """
    users = journeys["user_id"].take(won.row[won.starts]) if len(idle) else idle["user_id"]
    shared = idle[isin(idle["user_id"], users)]
    twice = shared.loc[isin(shared["session_id"], journeys["session_id"]), "session_id"].unique()
    if len(twice):
        raise InputError(
            f"idle and journeys share {counted(len(twice), 'session')} ({some(twice)}): a path either converts or "
            "does not. Create idle with non_converting_paths."
        )


def _closed(channel: Codes, paths: Touchpoints, end: int) -> Codes:
    """Append the code `end` to each path."""
    return np.insert(channel, np.append(paths.starts[1:], len(channel))[: len(paths.starts)], end)
