"""Synthetic sample shop with realistic channels, gaps, repeat buyers and costs; reproducible by seed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.types import Integers
from ihc.database.database import Database
from ihc.database.results import store_sample
from ihc.errors import DatabaseError, SettingsError, why
from ihc.formatting import some
from ihc.schemas.tables import COLUMNS, CONVERSIONS, FLAGS, SESSIONS, Tables
from ihc.settings.run import Settings

FIRST_DAY = np.datetime64("2025-03-01T00:00:00", "s")
DAYS = 28
ORDERS = 2000
SEED = 1
# Campaigns of paid channels use a separate random stream, so that they do not change the rest of a shop.
CAMPAIGNS = ("Always on", "New arrivals", "Spring sale")
CAMPAIGN_STREAM = 1


class Channel(NamedTuple):
    """Behaviour of a channel: how often it starts a journey, joins one later, engages, and its cost per session."""

    name: str
    opens: float
    joins: float
    holder: float
    closer: float
    cost: float  # mean cost per session [currency]


CHANNELS = [
    Channel("Paid Search Brand", 0.08, 0.16, 0.95, 0.85, 0.90),
    Channel("Paid Search Generic", 0.17, 0.07, 0.85, 0.60, 3.20),
    Channel("Shopping Ads", 0.20, 0.12, 0.85, 0.65, 1.60),
    Channel("Paid Social", 0.18, 0.06, 0.60, 0.35, 2.60),
    Channel("Display Retargeting", 0.01, 0.10, 0.50, 0.45, 0.90),
    Channel("Influencers", 0.06, 0.01, 0.75, 0.30, 9.00),
    Channel("Price Comparison", 0.04, 0.05, 0.80, 0.80, 1.20),
    Channel("Affiliates", 0.03, 0.07, 0.60, 0.85, 2.20),
    Channel("Newsletter", 0.01, 0.12, 0.90, 0.75, 0.08),
    Channel("Organic Search", 0.15, 0.10, 0.85, 0.65, 0.00),
    Channel("Referral", 0.04, 0.02, 0.80, 0.60, 0.00),
    Channel("Direct", 0.03, 0.12, 0.90, 0.85, 0.00),
]


def make_sample(conversions: int = ORDERS, seed: int = SEED) -> Tables:
    """Make the three tables of a shop with this number of `conversions`; raises SettingsError if it is below 1.

    About one user in four buys, some repeatedly; 3 % of the orders are untracked; 1 % of the sessions have no cost row,
    some a NULL cost, and a few cost rows have no session. Sessions of paid channels have a `campaign`.
    """
    if conversions < 1 or seed < 0:
        raise SettingsError("A sample needs at least 1 conversion and a seed of 0 or more.")
    random = np.random.default_rng(seed)
    orders = _orders(random, conversions, seed)
    sessions = _sessions(random, orders, seed)
    sessions = sessions.assign(campaign=_campaigns(sessions["channel_name"], seed))
    return Tables(sessions, _split(orders, CONVERSIONS), _costs(random, sessions, seed))


def write_sample(database: Database, conversions: int = ORDERS, seed: int = SEED) -> None:
    """Write the shop of `make_sample`. Raises SettingsError as that, and DatabaseError as `write_shop`."""
    write_shop(database, make_sample(conversions, seed))


def write_shop(database: Database, tables: Tables) -> None:
    """Write a synthetic shop atomically: a new SQLite file, or new tables in any other database.

    Raises DatabaseError if the file or one of the tables already exists or cannot be created.
    """
    file = database.file
    if file is None or not database.is_sqlite:
        database.make_empty()
        store_sample(database, tables)
        return
    if file.exists():
        raise DatabaseError(f"Database {database.label} already exists; a sample is only written to a new file.")
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        Database(temporary).make_empty()
        store_sample(Database(temporary), tables)
        temporary.replace(file)
    finally:
        with suppress(OSError):  # e.g. the folder cannot be written, which was already reported
            temporary.unlink(missing_ok=True)


def write_exports(folder: Path, conversions: int = ORDERS, seed: int = SEED) -> list[Path]:
    """Write a sample shop as a shop's tools would export it: sessions, orders and daily spend as CSV files.

    Separated by semicolons, with a decimal comma and dates as DD/MM/YYYY. Cost without a session has no channel.
    Raises SettingsError if one of the files exists or the folder cannot be written.
    """
    sessions, orders, costs = make_sample(conversions, seed)
    exports = {
        "sessions.csv": pd.DataFrame(
            {
                "Visit ID": sessions["session_id"],
                "Customer ID": sessions["user_id"],
                "Started at": _written(sessions["event_date"], sessions["event_time"]),
                "Channel": sessions["channel_name"],
                "Campaign": sessions["campaign"],
                **{name: sessions[name] for name in FLAGS},
            }
        ),
        "orders.csv": pd.DataFrame(
            {
                "Order number": orders["conv_id"],
                "Customer ID": orders["user_id"],
                "Ordered at": _written(orders["conv_date"], orders["conv_time"]),
                "Order total": orders["revenue"],
            }
        ),
        "spend.csv": _daily_spend(sessions, costs),
    }
    if found := [name for name in exports if (folder / name).exists()]:
        raise SettingsError(f"{folder} already has {some(found)}: give a new folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in exports.items():
            frame.to_csv(folder / name, sep=";", decimal=",", index=False)
    except OSError as error:
        raise SettingsError(f"The folder {folder} cannot be written: {why(error)}.") from None
    return [folder / name for name in exports]


def _written(days: pd.Series[str], times: pd.Series[str]) -> pd.Series[str]:
    parts = days.str.split("-", expand=True)
    return parts[2] + "/" + parts[1] + "/" + parts[0] + " " + times


def _daily_spend(sessions: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """The cost of sessions by day, channel and campaign; cost without a session on the first day, without a channel."""
    paid = costs.merge(sessions, on="session_id", how="left").fillna({"event_date": str(FIRST_DAY)[:10]})
    key = ["event_date", "channel_name", "campaign"]
    daily = paid.groupby(key, dropna=False, as_index=False)["cost"].sum().query("cost > 0")
    day = _written(daily["event_date"], pd.Series("", index=daily.index)).str.strip()
    return pd.DataFrame(
        {"Day": day, "Channel": daily["channel_name"], "Campaign": daily["campaign"], "Spend": daily["cost"].round(4)}
    )


def prepare(settings: Settings, say: Callable[[str], object] = print) -> None:
    """Create the sample shop if the default database is used and missing."""
    if settings.is_default_database and not settings.database.exists():
        write_sample(settings.database)
        say(f"{settings.database.label} did not exist and was created with a sample shop.")


def _orders(random: np.random.Generator, count: int, seed: int) -> pd.DataFrame:
    # Drawing users with replacement makes about a fifth of the orders repeat purchases.
    user = random.integers(0, max(1, int(count * 2.2)), count)
    moment = FIRST_DAY + _seconds_of_day_and_week(random, count)
    is_untracked = random.random(count) < 0.03
    return pd.DataFrame(
        {
            "conv_id": _ids("order", seed, count),
            "user": np.where(is_untracked, -1 - np.arange(count), user),
            "moment": moment,
            "revenue": np.round(random.lognormal(4.0, 0.6, count), 2),
        }
    ).assign(user_id=lambda frame: _ids("user", seed, frame["user"]))


def _seconds_of_day_and_week(random: np.random.Generator, count: int) -> npt.NDArray[np.timedelta64]:
    weekday = np.array([1.0, 0.95, 0.95, 1.0, 1.1, 1.2, 1.3])
    hour = 0.15 + np.exp(-((np.arange(24) - 20) ** 2) / 18) + 0.7 * np.exp(-((np.arange(24) - 12) ** 2) / 12)
    days = np.tile(weekday, DAYS // 7 + 1)[:DAYS]
    day = random.choice(DAYS, count, p=days / days.sum())
    return (
        day * 86_400 + random.choice(24, count, p=hour / hour.sum()) * 3_600 + random.integers(0, 3_600, count)
    ).astype("timedelta64[s]")


def _sessions(random: np.random.Generator, orders: pd.DataFrame, seed: int) -> pd.DataFrame:
    buyers = orders[orders["user"] >= 0]
    others = 3 * len(orders)
    end = np.concatenate(
        [buyers["moment"].to_numpy("datetime64[s]"), FIRST_DAY + _seconds_of_day_and_week(random, others)]
    )
    user_id = np.concatenate([buyers["user_id"].to_numpy(object), _ids("visitor", seed, others)])
    length = np.minimum(random.geometric(np.where(np.arange(len(end)) < len(buyers), 0.38, 0.62)), 40)

    path = np.repeat(np.arange(len(end)), length)
    place = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
    # Backwards in time: the last session is minutes before the order, the others hours to days apart.
    gap = np.where(place == 0, random.exponential(0.15, len(path)), random.lognormal(2.3, 1.7, len(path)).clip(max=900))
    hours = pd.Series(gap).groupby(path).cumsum().to_numpy()
    moment = end[path] - (hours * 3_600).astype("timedelta64[s]")

    is_opening = place == length[path] - 1
    channel = np.where(is_opening, _draw(random, "opens", len(path)), _draw(random, "joins", len(path)))
    kinds = pd.DataFrame(CHANNELS)
    sessions = pd.DataFrame(
        {
            "session_id": _ids("session", seed, len(path)),
            "user_id": user_id[path],
            "moment": moment,
            "channel_name": kinds["name"].to_numpy()[channel],
            "holder_engagement": (random.random(len(path)) < kinds["holder"].to_numpy()[channel]).astype("int8"),
            "closer_engagement": (random.random(len(path)) < kinds["closer"].to_numpy()[channel]).astype("int8"),
            "impression_interaction": (random.random(len(path)) < 0.01).astype("int8"),
        }
    )
    return _split(sessions.sort_values(["moment", "session_id"], ignore_index=True), SESSIONS)


def _campaigns(channels: pd.Series[str], seed: int) -> pd.Series[str]:
    random = np.random.default_rng([seed, CAMPAIGN_STREAM])
    drawn = pd.Series(random.choice(CAMPAIGNS, len(channels)), index=channels.index, dtype="str")
    return drawn.where(channels.isin([channel.name for channel in CHANNELS if channel.cost]))


def _draw(random: np.random.Generator, how: str, count: int) -> Integers:
    weights = np.array([getattr(channel, how) for channel in CHANNELS])
    return random.choice(len(CHANNELS), count, p=weights / weights.sum())


def _costs(random: np.random.Generator, sessions: pd.DataFrame, seed: int) -> pd.DataFrame:
    mean = sessions["channel_name"].map({channel.name: channel.cost for channel in CHANNELS}).to_numpy()
    cost = np.round(mean * random.gamma(4, 0.25, len(sessions)), 4)
    cost = np.where(random.random(len(sessions)) < 0.005, np.nan, cost)
    costs = pd.DataFrame({"session_id": sessions["session_id"], "cost": cost})
    costs = costs[random.random(len(costs)) >= 0.01]
    strays = pd.DataFrame({"session_id": _ids("stray", seed, 3), "cost": [0.75, 1.25, 0.5]})
    return pd.concat([costs, strays], ignore_index=True)


def _ids(kind: str, seed: int, which: int | pd.Series[int]) -> npt.NDArray[np.object_]:
    numbers = range(which) if isinstance(which, int) else which
    names = [hashlib.sha256(f"{seed} {kind} {number}".encode()).hexdigest()[:20] for number in numbers]
    return np.array(names, dtype=object)


def _split(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Split `moment` into the date and time columns of the table, in schema order."""
    columns = list(COLUMNS[table])
    day, time = (name for name in columns if name.endswith(("_date", "_time")))
    moment = frame["moment"].dt
    return frame.assign(**{day: moment.strftime("%Y-%m-%d"), time: moment.strftime("%H:%M:%S")})[columns]
