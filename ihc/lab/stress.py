"""Whether the verdict on each channel survives lost tracking.

A few hundred worlds are drawn, each with tracking damaged in its own way, see `journeys.damage`. In each world the IHC
model distributes the orders anew over the sessions that are left, and ROAS is compared with break-even. The spend of
lost sessions was spent all the same, and the revenue of an order without a session left is attributed to no channel.

A world of a large shop is computed on some of its users, with all their orders. Its change of a channel's revenue, a
ratio of sums over the same users with and without damage, is then applied to the reported revenue. Such a ratio varies
far less with the choice of users than the sums do. Source: Cochran (1977), Sampling Techniques, chapter 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.bootstrap import CONFIDENCE
from ihc.analysis.break_even import ABOVE, BELOW
from ihc.analysis.reporting import MATERIAL, ratio
from ihc.analysis.sensitivity import REPORTED_AS, is_above, is_reported
from ihc.arrays.lookup import factorize
from ihc.arrays.types import Floats, Integers
from ihc.errors import InputError
from ihc.journeys.damage import KINDS, Tracked, damaged, draw_damage, only
from ihc.journeys.touchpoints import in_time_order
from ihc.models.conversion_types import ParameterSets, sets_of
from ihc.models.ihc import Sessions, credit_in_time_order, sessions_of
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution
from ihc.schemas.tables import require_columns

ORDERS_A_WORLD = 20_000  # about; a shop with fewer is computed as a whole
EVERY, ALONE = "all damage", 40  # the worlds with each kind of damage alone
HOLDS = 0.95  # share of the worlds from which on a verdict counts as robust


class _Model(NamedTuple):
    sets: list[Parameters]
    redistribution: Redistribution | None


class _Group(NamedTuple):
    """Some users, with the rows of all their journeys.

    `worth` [currency]: the revenue that a row earns with all of the credit; `place`: its channel in the report, the
    last one for any other; `set`: the number of its parameters.
    """

    tracked: Tracked
    sessions: Sessions
    worth: Floats
    place: Integers
    set: Integers

    @property
    def orders(self) -> int:
        return int(self.tracked.path.max(initial=-1)) + 1


def damaged_worlds(  # noqa: PLR0913 - the data, the model, and one argument per setting
    journeys: pd.DataFrame,
    reported: pd.DataFrame,
    parameters: Parameters | ParameterSets,
    redistribution: Redistribution | None = None,
    *,
    worlds: int = 400,
    seed: int = 1,
    window: Mapping[str, str | date | None] | None = None,
) -> pd.DataFrame:
    """Compute each channel's ROAS in worlds with damaged tracking.

    In: `journeys` of `build_journeys`, in its order; if the report's dimension is not the channel, with its value in
    the column `reported_as`; `reported` (`channel_name, cost, ihc_revenue [currency]`), as in `channel_summary` without
    the total; `parameters` and `redistribution` of the IHC model; the number of `worlds` and the `seed`; `window`:
    `start_date` and `end_date` of the reported days; only sessions on these days earn.

    Out: one row per world and channel, channels in the order of `reported`: `damage [EVERY, or one of the kinds], world
    [from 1], orders [count; with a journey, of the users of this world; refunds included],
    channel_name, ihc_revenue [currency; the reported one x the channel's revenue of these users with damage / without],
    ROAS [1; NaN without cost]`. World n is the same whatever the number of worlds. The first `ALONE` worlds are there
    with each kind of damage alone too.

    If the users of a world have little or no revenue of a channel, the difference is added instead, scaled up to all
    users. Raises InputError for a missing column or fewer than one world.
    """
    require_columns(reported, ("channel_name", "cost", "ihc_revenue"), "reported")
    if worlds < 1:
        raise InputError(f"The stress test needs at least one world, not {worlds}.")
    sets, number = sets_of(journeys, parameters)
    model, channels = _Model(sets, redistribution), reported["channel_name"]
    groups = _groups(journeys, number, channels, window or {}, seed)
    before = np.array([_revenue(group, *_undamaged(group), model, len(channels)) for group in groups])
    revenue, whole, tables = reported["ihc_revenue"].to_numpy("float64"), before.sum(axis=0), []
    for world in range(1, worlds + 1):
        place = world % len(groups)
        group = groups[place]
        for kind in (EVERY, *(KINDS if world <= ALONE else ())):
            row, moment = _world(group, [seed, world], kind)
            left = _revenue(group, row, moment, model, len(channels))
            changed = _estimate(revenue, left, before[place], whole, len(groups))
            found = {"damage": KINDS.get(kind, kind), "world": world, "orders": group.orders}
            tables.append(pd.DataFrame({**found, "channel_name": channels, "ihc_revenue": changed}))
    table = pd.concat(tables, ignore_index=True)
    cost = pd.Series(np.tile(reported["cost"].to_numpy("float64"), len(tables)))
    return table.assign(ROAS=ratio(table["ihc_revenue"], cost))


def _world(group: _Group, seed: list[int], kind: str) -> tuple[Integers, Integers]:
    """Draw a world, with all its damage or one kind of it. Out: as `damaged`."""
    generator = np.random.default_rng(seed)
    damage = draw_damage(len(group.sessions.names), generator)
    return damaged(group.tracked, damage if kind == EVERY else only(damage, kind), generator)


def _undamaged(group: _Group) -> tuple[Integers, Integers]:
    return np.arange(len(group.place)), group.tracked.moment


def _estimate(reported: Floats, left: Floats, before: Floats, whole: Floats, groups: int) -> Floats:
    """Return each channel's revenue in a world.

    In: the reported revenue; that of the world's users with damage, and without; that of all users without damage; the
    number of groups. A ratio to next to nothing would mean nothing, so a channel of which these users have less than
    half of their part changes by the difference, scaled up.
    """
    is_usual = (before > 0) & (2 * groups * before >= whole)
    change = np.divide(left, before, out=np.ones_like(left), where=is_usual)
    return np.where(is_usual, reported * change, reported + groups * (left - before))


def _revenue(group: _Group, row: Integers, moment: Integers, model: _Model, count: int) -> Floats:
    """Attribute the rows of a world, and return the revenue of each channel of the report."""
    path, sessions, credit = group.tracked.path[row], group.sessions.take(row), np.zeros(len(row))
    for number, parameters in enumerate(model.sets):
        own = np.flatnonzero(group.set[row] == number)
        credit[own] = credit_in_time_order(sessions.take(own), path[own], moment[own], parameters, model.redistribution)
    worth = credit * group.worth[row]
    return np.bincount(group.place[row], weights=worth, minlength=count + 1)[:count].astype("float64")


def _groups(
    journeys: pd.DataFrame,
    number: Integers,
    channels: pd.Series[str],
    window: Mapping[str, Any],
    seed: int,
) -> list[_Group]:
    """Deal the users at random into groups with about `ORDERS_A_WORLD` orders each.

    Groups have as many orders as the user with the most, at least: without that user, a smaller one would show too
    little of the damage.
    """
    points = in_time_order(journeys, "channel_name", "user_id", "revenue", "conv_timestamp")
    row, path = points.row, points.path
    user, session = (factorize(journeys[name])[row] for name in ("user_id", "session_id"))
    sessions = sessions_of(journeys).take(row)
    ordered = journeys["conv_timestamp"].to_numpy("datetime64[us]").astype("int64")[row]
    worth = np.where(is_reported(journeys["timestamp"], **window), journeys["revenue"].to_numpy("float64"), 0.0)[row]
    names = journeys[REPORTED_AS if REPORTED_AS in journeys else "channel_name"].astype("str")
    place = pd.Index(channels.astype("str")).get_indexer(pd.Index(names))[row]
    place = np.where(place < 0, len(channels), place)
    most = np.bincount(user[points.starts]).max(initial=0)
    size = max(1, round(len(points.starts) / max(ORDERS_A_WORLD, most)))
    dealt = np.random.default_rng(seed).permutation(user.max(initial=-1) + 1) % size
    groups = []
    for group in range(size):
        own = np.flatnonzero(dealt[user] == group)
        numbers = [_numbered(each[own]) for each in (path, user, session)]
        tracked = Tracked(numbers[0], numbers[1], numbers[2], sessions.channel[own], points.moment[own], ordered[own])
        groups.append(_Group(tracked, sessions.take(own), worth[own], place[own], number[row][own]))
    return groups


def _numbered(values: Integers) -> Integers:
    """Number the distinct values from 0, in their order."""
    return np.unique(values, return_inverse=True)[1]


def stress_verdicts(worlds: pd.DataFrame, reported: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Count for each channel the worlds in which it is on the same side of break-even as reported.

    In: `damaged_worlds`, and `reported` as there; `roas` [1]: break-even ROAS.

    Out: the channels with at least 1 % of all cost, highest cost first: `channel_name, ROAS [1; as reported], verdict
    [above or below: whether ROAS is at least `roas`], worlds [count], holds [share of the worlds with this verdict],
    ROAS_low, ROAS_high [1; 2.5 and 97.5 % quantile of the worlds]`.
    """
    require_columns(worlds, ("damage", "world", "channel_name", "ROAS"), "worlds")
    require_columns(reported, ("channel_name", "cost", "ihc_revenue"), "reported")
    worlds, cost = worlds[worlds["damage"] == EVERY], reported["cost"]
    paid = reported[(cost > 0) & (cost >= MATERIAL * cost.sum())]
    paid = paid.sort_values("cost", ascending=False, kind="stable").reset_index(drop=True)
    table = paid[["channel_name"]].assign(ROAS=ratio(paid["ihc_revenue"], paid["cost"]))
    rows = worlds.assign(is_above=is_above(worlds, roas)).groupby("channel_name")
    above = rows["is_above"].mean().reindex(table["channel_name"]).to_numpy()
    bounds = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    low, high = (rows["ROAS"].quantile(bound).reindex(table["channel_name"]).to_numpy() for bound in bounds)
    stays_above = is_above(table, roas)
    return table.assign(
        verdict=pd.array(np.where(stays_above, ABOVE, BELOW), dtype="str"),
        worlds=worlds["world"].nunique(),
        holds=np.where(stays_above, above, 1 - above),
        ROAS_low=low,
        ROAS_high=high,
    )


def damage_effects(worlds: pd.DataFrame, reported: pd.DataFrame) -> pd.DataFrame:
    """Measure how much each kind of damage moves alone.

    In: `damaged_worlds`, and `reported` as there. Out: one row per kind, the most harmful first: `damage, moved [share
    of the reported revenue that another channel gets or none, mean over the worlds; NaN without revenue]`. With
    untracked revenue as one more channel, this is half the sum of all absolute changes.
    """
    require_columns(worlds, ("damage", "world", "channel_name", "ihc_revenue"), "worlds")
    alone = worlds[worlds["damage"] != EVERY]
    before = reported.set_index("channel_name")["ihc_revenue"]
    change = alone["ihc_revenue"] - alone["channel_name"].map(before).to_numpy()
    rows = alone.assign(change=change, size=change.abs()).groupby(["damage", "world"], sort=False)
    sums, whole = rows[["change", "size"]].sum(), before.sum()
    moved = (sums["size"] + sums["change"].abs()) / 2 / (whole if whole > 0 else np.nan)
    table = moved.groupby("damage", sort=False).mean().rename("moved").reset_index()
    return table.sort_values("moved", ascending=False, kind="stable", ignore_index=True)
