"""Shops of any size and the inputs of all stages, cached in a folder.

The number of sessions per user follows a Pareto distribution: most users have one or two, a few have hundreds. Any
session may lead to an order, so frequent visitors order often, and journeys have about 2.3 rows per session at any
size. Users, times and ids are drawn for the whole shop at once.
"""

from __future__ import annotations

import pickle
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.journeys.build import build_journeys, non_converting_paths
from ihc.journeys.paths import ChannelPaths, channel_paths
from ihc.models.ihc import attribute
from ihc.models.parameters import load_parameters
from ihc.pipeline.sample import CHANNELS
from ihc.schemas.tables import COLUMNS, CONVERSIONS, FLAGS, SESSIONS, Tables

SIZES = {"4k": 4_000, "200k": 200_000, "5m": 5_000_000}  # sessions
SESSIONS_AN_ORDER = 10
TAIL, MOST = 1.4, 480  # exponent of the Pareto distribution, and maximum sessions per user
FIRST_DAY = np.datetime64("2025-01-01", "s")
DAYS = 90
ID_BYTES = 10

Made = TypeVar("Made")
Integers = npt.NDArray[np.int64]


def make_shop(count: int, seed: int = 1) -> Tables:
    """Make the three tables of a shop with this number of sessions [count], sorted by time like a log."""
    random = np.random.default_rng(seed)
    lengths = np.minimum(random.random(count) ** (-1 / TAIL), MOST).astype("int64")
    user = np.repeat(np.arange(count), lengths)[:count]
    users = _ids(random, int(user[-1]) + 1)
    moment = np.sort(random.integers(0, DAYS * 86_400, count))
    user = random.permutation(user)
    sessions = _split(users, user, moment, COLUMNS[SESSIONS])
    channel = random.choice(len(CHANNELS), count, p=_weights())
    sessions["session_id"] = _ids(random, count)
    sessions["channel_name"] = pd.array([each.name for each in CHANNELS], dtype="str").take(channel)
    for name in FLAGS:
        sessions[name] = random.integers(0, 2, count, dtype="int8")

    last = np.sort(random.choice(count, count // SESSIONS_AN_ORDER, replace=False))
    conversions = _split(users, user[last], moment[last], COLUMNS[CONVERSIONS])
    conversions["conv_id"] = _ids(random, len(last))
    conversions["revenue"] = np.round(random.lognormal(4.0, 0.6, len(last)), 2)
    costs = pd.DataFrame({"session_id": sessions["session_id"], "cost": np.round(random.gamma(4, 0.25, count), 4)})
    return Tables(sessions[list(COLUMNS[SESSIONS])], conversions[list(COLUMNS[CONVERSIONS])], costs)


def _weights() -> npt.NDArray[np.float64]:
    joins = np.array([channel.opens + channel.joins for channel in CHANNELS])
    return joins / joins.sum()


def _ids(random: np.random.Generator, count: int) -> Any:
    """Texts of 20 hexadecimal digits, cut from one long text."""
    digits = pa.py_buffer(random.bytes(ID_BYTES * count).hex().encode())
    ends = pa.py_buffer(np.arange(0, 2 * ID_BYTES * (count + 1), 2 * ID_BYTES))
    return pd.array(pa.LargeStringArray.from_buffers(count, ends, digits), dtype="str")


def _split(users: Any, user: Integers, moment: Integers, columns: tuple[str, ...]) -> pd.DataFrame:
    """The user, date and time columns. In: `moment` [s since the first day]."""
    date, time = (name for name in columns if name.endswith(("_date", "_time")))
    days = np.datetime_as_string(FIRST_DAY + 86_400 * np.arange(DAYS), unit="D")
    clock = np.char.partition(np.datetime_as_string(FIRST_DAY + np.arange(86_400)), "T")[:, 2]
    return pd.DataFrame(
        {
            "user_id": users.take(user),
            date: pd.array(days, dtype="str").take(moment // 86_400),
            time: pd.array(clock, dtype="str").take(moment % 86_400),
        }
    )


class Shop:
    """The tables of one size and the results of the stages; each is computed once and then read from the folder."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder, self.size = folder / size, size
        self.folder.mkdir(parents=True, exist_ok=True)

    def tables(self) -> Tables:
        return self._kept("tables", lambda: make_shop(SIZES[self.size]))

    def journeys(self) -> pd.DataFrame:
        return self._kept("journeys", lambda: build_journeys(self.tables().sessions, self.tables().conversions))

    def idle(self) -> pd.DataFrame:
        return self._kept("idle", lambda: non_converting_paths(self.tables().sessions, self.tables().conversions))

    def credits(self) -> pd.DataFrame:
        return self._kept("credits", lambda: attribute(self.journeys(), load_parameters()))

    def channel_paths(self) -> ChannelPaths:
        return self._kept("channel_paths", lambda: channel_paths(self.journeys(), self.idle()))

    def path_texts(self) -> pd.DataFrame:
        """Input of ChannelAttribution: `path` as text, and the number of each outcome."""
        return self._kept("path_texts", lambda: path_texts(self.journeys(), self.idle()))

    def database(self) -> Path:
        """The tables in SQLite, indexed by user."""
        file = self.folder / "shop.db"
        if not file.exists():
            create_tables(Database(file))
            with Database(file).transaction(is_writing=True) as opened:
                for table, frame in zip(COLUMNS, self.tables(), strict=True):
                    opened.append(table, frame)
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("CREATE INDEX by_user ON session_sources (user_id)")
        return file

    def _kept(self, name: str, make: Callable[[], Made]) -> Made:
        file = self.folder / f"{name}.pickle"
        if not file.exists():
            file.write_bytes(pickle.dumps(make(), protocol=5))
        with file.open("rb") as content:
            kept: Made = pickle.load(content)
        return kept


def path_texts(journeys: pd.DataFrame, idle: pd.DataFrame) -> pd.DataFrame:
    """Join the channels of each path to a text. Out: `path, conversions, nulls [count], revenue`, one row per path."""
    won = journeys.groupby("conv_id", sort=False).agg(path=("channel_name", " > ".join), revenue=("revenue", "first"))
    lost = idle.groupby("user_id", sort=False).agg(path=("channel_name", " > ".join))
    won, lost = won.assign(conversions=1, nulls=0), lost.assign(conversions=0, nulls=1, revenue=0.0)
    return pd.concat([won, lost], ignore_index=True)


if __name__ == "__main__":
    made = Shop(Path(sys.argv[1]), sys.argv[2])
    for make in (
        made.tables,
        made.journeys,
        made.idle,
        made.credits,
        made.channel_paths,
        made.path_texts,
        made.database,
    ):
        make()
