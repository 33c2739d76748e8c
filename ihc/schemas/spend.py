"""Daily spend: the optional table `channel_costs`, for sessions without a cost of their own.

A row is the spend of a channel, or of one of its campaigns, on a day. Rows of the same day, channel and campaign are
added up. Each session belongs to at most one of these groups: that of its day, channel and campaign, otherwise that of
its day and channel without a campaign. Campaigns are compared only if the sessions have a column `campaign`.

- A session with a cost in `session_costs` keeps it and gets no share. The other sessions of a group share its spend
  equally, in whole cents; the cents that are left go to the first of them by `session_id`. The shares add up to the
  spend.
- If every session of a group has a cost in `session_costs`, the group's spend is not used: it would count twice.
- If a group has no session, its spend is kept without one: it counts for its channel and day, and in every total.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.lookup import arrow_texts, isin, lookup
from ihc.arrays.sums import sum_by
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import InputError
from ihc.schemas.tables import CAMPAIGN, SPEND, Tables, as_text, check_table, check_tables

GROUP = ("date", "channel_name", CAMPAIGN)
# The columns that costs have only with daily spend: the group that an amount comes from.
ORIGIN = ("spend_date", "spend_channel", "spend_campaign")
# The sessions of a group, those of them that share its spend, and those that have a cost above 0 of their own.
COUNTS = ("group_sessions", "group_sharing", "group_paid")
NEARLY = 1e-6  # [cents] amounts this close to whole cents differ from them only by floating-point error


class Groups(NamedTuple):
    """Daily spend by day, channel and campaign.

    `table`: `date, channel_name, campaign [empty: none], cost [currency]` and the `COUNTS`; `of_spend` and
    `of_sessions`: the row in it of each row of spend and of each session, -1 if a session has none; `shares`: the
    sessions that share the spend.
    """

    table: pd.DataFrame
    of_spend: Integers
    of_sessions: Integers
    shares: Booleans


def check_shop(frames: Sequence[pd.DataFrame], spend: pd.DataFrame | None = None) -> Tables:
    """Check the input tables, and add daily spend to the costs, if there is any.

    In: the three tables and `channel_costs`, as they were read. Raises InputError with the findings of all of them.
    """
    if spend is None or spend.empty:
        return check_tables(*frames)
    findings = []
    try:
        spend = check_table(SPEND, spend)
    except InputError as error:
        findings.append(str(error))
    try:
        tables = check_tables(*frames)
    except InputError as error:
        findings.insert(0, str(error))
    if findings:
        raise InputError("\n".join(findings))
    return with_spend(tables, spend)


def with_spend(tables: Tables, spend: pd.DataFrame) -> Tables:
    """Add daily spend to the costs of checked tables.

    In: `spend`, checked. Out: new tables; their `spend` has the `COUNTS` of each row's group.
    """
    groups = group_spend(tables.sessions, tables.costs, spend)
    made = Tables(*tables[:2], _spread(groups, tables.sessions["session_id"], tables.costs))
    counts = {name: groups.table[name].to_numpy()[groups.of_spend] for name in COUNTS}
    made.spend, made.session_costs = spend.assign(**counts), tables.costs
    return made


def spread_spend(sessions: pd.DataFrame, costs: pd.DataFrame, spend: pd.DataFrame) -> pd.DataFrame:
    """Add daily spend to the costs of sessions.

    In: the sessions, `costs` (`session_id, cost [currency; NaN if empty]`) and `spend` (`date, channel_name, cost
    [currency; NaN counts as 0]`, optionally `campaign`). Out: `session_id, cost`, and for an amount of daily spend
    `spend_date, spend_channel` and, if it has one, `spend_campaign`. A session has one row; spend without any session
    has rows without a `session_id`, at the end. A session with an empty cost that gets a share has only the share.
    """
    return _spread(group_spend(sessions, costs, spend), sessions["session_id"], costs)


def _spread(groups: Groups, sessions: pd.Series[str], costs: pd.DataFrame) -> pd.DataFrame:
    """Add daily spend to costs. In: the ids of the `sessions`. Out: as `spread_spend`."""
    visit = np.flatnonzero(groups.shares)
    place, ids = groups.of_sessions[visit], sessions.take(visit).reset_index(drop=True)
    spread = _rows(groups.table, place, ids, _shares(groups.table, place, ids))
    kept = np.flatnonzero(is_kept(groups.table) & (groups.table["cost"] > 0))
    nobody: pd.Series[str] = pd.Series(np.nan, index=range(len(kept))).astype("str")
    rest = _rows(groups.table, kept, nobody, groups.table["cost"].to_numpy()[kept])
    is_filled = costs["cost"].isna().to_numpy() & isin(costs["session_id"], ids)
    own = costs.loc[~is_filled, ["session_id", "cost"]].assign(**dict.fromkeys(ORIGIN, np.nan))
    return pd.concat([own.astype(dict.fromkeys(ORIGIN, "str")), spread, rest], ignore_index=True)


def _rows(groups: pd.DataFrame, place: Integers, ids: pd.Series[str], amounts: Floats) -> pd.DataFrame:
    """Return rows of costs for the groups at `place`."""
    named = groups[list(GROUP)].replace({CAMPAIGN: {"": np.nan}}).astype("str")
    origin = {column: named[name].array.take(place) for column, name in zip(ORIGIN, GROUP, strict=True)}
    return pd.DataFrame({"session_id": ids, "cost": amounts, **origin})


def group_spend(sessions: pd.DataFrame, costs: pd.DataFrame, spend: pd.DataFrame) -> Groups:
    """Sum daily spend by group, and find the group of each session. In: as `spread_spend`."""
    own = campaigns_of(sessions)
    blank = pd.Series("", index=spend.index, dtype="str")
    campaigns = blank if own is None or CAMPAIGN not in spend else spend[CAMPAIGN].fillna("")
    rows = spend[["date", "channel_name", "cost"]].assign(**{CAMPAIGN: campaigns})
    table = sum_by(rows, GROUP, ["cost"])
    of_spend = _find(table, [rows[name] for name in GROUP])
    whole = pd.Series("", index=sessions.index, dtype="str")
    keys = [sessions["event_date"], sessions["channel_name"]]
    of_sessions = _find(table, [*keys, whole])
    if own is not None:
        exact = _find(table, [*keys, own])
        of_sessions = np.where(exact >= 0, exact, of_sessions)
    has_group = of_sessions >= 0
    cost = lookup(sessions["session_id"], costs, "session_id", "cost").to_numpy("float64")
    shares = has_group & np.isnan(cost)
    masks = (has_group, shares, has_group & (cost > 0))
    counts = (np.bincount(of_sessions[mask], minlength=len(table)) for mask in masks)
    table = table.assign(**dict(zip(COUNTS, counts, strict=True)))
    return Groups(table, of_spend, of_sessions, shares)


def campaign_column(sessions: pd.DataFrame) -> str | None:
    """Return the name of the sessions' column of campaigns, in any case; None if there is none."""
    names = [str(name) for name in sessions.columns]
    alike = [name for name in names if name.lower() == CAMPAIGN]
    return CAMPAIGN if CAMPAIGN in alike else next(iter(alike), None)


def campaigns_of(sessions: pd.DataFrame) -> pd.Series[str] | None:
    """Return the campaign of each session, empty if it has none; None without a column of campaigns."""
    name = campaign_column(sessions)
    if name is None:
        return None
    texts = as_text(sessions[name]).fillna("")
    return texts.where(texts.str.strip() != "", "")


def _find(table: pd.DataFrame, keys: list[pd.Series[Any]]) -> Integers:
    """Return the row of `table` with these values of `GROUP`; -1 if there is none."""
    number, wanted = np.zeros(len(table), dtype="int64"), np.zeros(len(keys[0]), dtype="int64")
    is_known = np.ones(len(wanted), dtype=bool)
    for name, values in zip(GROUP, keys, strict=True):
        codes, names = pd.factorize(table[name])
        place, distinct = pd.factorize(values)
        found = np.append(pd.Index(names).get_indexer(pd.Index(distinct)), -1)[place]
        is_known &= found >= 0
        number, wanted = number * len(names) + codes, wanted * len(names) + found
    row: Integers = np.asarray(pd.Index(number).get_indexer(pd.Index(wanted)), dtype="int64")
    return np.where(is_known, row, -1)


def _shares(groups: pd.DataFrame, place: Integers, ids: pd.Series[str]) -> Floats:
    """Split the cost of each group [currency] into equal shares in cents, by largest remainder and then by id.

    The fraction of a cent in a group's cost, if any, goes to the next session.
    """
    in_cents = groups["cost"].to_numpy("float64") * 100
    nearest = np.rint(in_cents)
    is_whole = np.abs(in_cents - nearest) <= NEARLY + 1e-15 * in_cents
    cents = np.where(is_whole, nearest, np.floor(in_cents))
    base, left = np.divmod(cents, np.maximum(groups[COUNTS[1]].to_numpy("float64"), 1))
    rank = _rank(place, ids)
    more = (rank < left[place]) + (rank == left[place]) * (np.where(is_whole, nearest, in_cents) - cents)[place]
    shares: Floats = (base[place] + more) / 100
    return shares


def _rank(place: Integers, ids: pd.Series[str]) -> Integers:
    """Number the sessions of each group by id, from 0."""
    rows = pa.table({"place": place, "id": arrow_texts(ids)})
    order = np.asarray(pc.sort_indices(rows, sort_keys=[("place", "ascending"), ("id", "ascending")]), dtype="int64")
    counts = np.bincount(place)
    rank = np.empty(len(place), dtype="int64")
    rank[order] = np.arange(len(place)) - (counts.cumsum() - counts)[place[order]]
    return rank


def is_kept(spend: pd.DataFrame) -> pd.Series[bool]:
    """Mark spend without any session. In: rows with the `COUNTS` of their group."""
    return spend[COUNTS[0]] == 0


def is_unused(spend: pd.DataFrame) -> pd.Series[bool]:
    """Mark spend that is not used: all sessions of its group have a cost in `session_costs`. In: as `is_kept`."""
    return (spend[COUNTS[0]] > 0) & (spend[COUNTS[1]] == 0)


def is_beside(spend: pd.DataFrame) -> pd.Series[bool]:
    """Mark spend that is shared although other sessions of its group have costs of their own. In: as `is_kept`."""
    return (spend[COUNTS[1]] > 0) & (spend[COUNTS[2]] > 0)


def is_daily(costs: pd.DataFrame) -> Booleans:
    """Mark the rows of costs that come from daily spend."""
    if ORIGIN[0] not in costs:
        return np.zeros(len(costs), dtype=bool)
    mask: Booleans = costs[ORIGIN[0]].notna().to_numpy()
    return mask


def without_session(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of daily spend without any session: `cost [currency]`, `spend_date` and so on."""
    rows = costs[is_daily(costs) & costs["session_id"].isna().to_numpy()]
    return rows.reindex(columns=["cost", *ORIGIN]).astype(dict.fromkeys(ORIGIN, "str")).reset_index(drop=True)


def without_spend_of(costs: pd.DataFrame, channels: Collection[str]) -> pd.DataFrame:
    """Drop the spend of some channels that has no session."""
    is_alone = is_daily(costs) & costs["session_id"].isna().to_numpy()
    return costs[~(is_alone & costs[ORIGIN[1]].isin(list(channels)))] if is_alone.any() else costs


def as_sessions(sessions: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return spend without any session as rows with the columns of `sessions`, to sort it into rows of a report.

    Out: its day, channel and campaign; all other columns are empty.
    """
    rows = without_session(costs)
    known = {"event_date": rows[ORIGIN[0]], "channel_name": rows[ORIGIN[1]]}
    if campaign := campaign_column(sessions):
        known[campaign] = rows[ORIGIN[2]]
    return pd.DataFrame(known).reindex(columns=sessions.columns)
