"""Sensitivity of channel results to model, lookback window and redistribution, and to engagement flags.

All reasonable settings are computed, and each conclusion is checked under each of them: a multiverse analysis. Source:
Steegen, Tuerlinckx, Gelman, Vanpaemel (2016), Increasing transparency through a multiverse analysis, Perspectives on
Psychological Science 11(5), 702-712.

A shop that does not record engagement sets the flags to 1 for all sessions. Closer engagement has a natural
alternative: only the last session of each journey is a closer. The difference shows what depends on the flags.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.reporting import MATERIAL, NO_CREDIT, model_comparison, ratio
from ihc.arrays.lookup import PAIR
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import InputError
from ihc.formatting import some
from ihc.journeys.limits import LONGEST_LOOKBACK
from ihc.journeys.touchpoints import channel_codes, in_time_order
from ihc.models.conversion_types import ParameterSets, attribute_by_type
from ihc.models.heuristics import DIRECT, direct_channels
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution, move, parse_redistribution
from ihc.models.registry import Model, models_with
from ihc.schemas.refunds import is_purchase, purchases
from ihc.schemas.tables import CREDITS, PHASES, SHARES, check_window, require_columns

IHC = "IHC"
AS_IS, OWN, DIRECT_GIVES = "none", "as in the run", "direct traffic"
Variant = Callable[[pd.DataFrame, Redistribution | None], pd.DataFrame]
VARIED = {"model": "model", "lookback": "lookback_days", "redistribution": "redistribution"}  # setting: column
COLUMNS = (
    *("lookback_days", "model", "redistribution", "channel_name"),
    *("orders", "ihc", "ihc_revenue", "cost", "ROAS", "rank"),
)
STABLE, MOVES, CROSSES = "stable", "changes rank", "crosses break-even"
STEADY_PLACES = 1  # a move by this many places does not count as a change of rank
REPORTED_AS = "reported_as"
HOLDER, CLOSER = "holder_engagement", "closer_engagement"
ALL_CLOSERS, LAST_CLOSER = "ihc_revenue", "ihc_revenue_last_closer"
DIGITS = 9  # ROAS values that agree to this many decimals are equal


def variants_of(
    parameters: Parameters | ParameterSets, names: Sequence[str], direct: Collection[str] = DIRECT
) -> dict[str, Variant]:
    """Return the models to test, by name, as functions of `journeys` and a redistribution.

    IHC applies a redistribution to its phases, any other model of `MODELS` to its credit, see `redistributed`.
    With several sets of parameters, IHC needs journeys with types, see `attribute_by_type`. `direct`: the names of
    channels that are direct traffic. Raises InputError for an unknown name.
    """
    known: dict[str, Variant] = {IHC: lambda journeys, rules: attribute_by_type(journeys, parameters, rules)}
    known |= {name: partial(with_rules, model) for name, model in models_with(direct).items()}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"Unknown model {some(unknown)}; choose from {', '.join(known)}.")
    return {name: known[name] for name in names}


def with_rules(model: Model, journeys: pd.DataFrame, rules: Redistribution | None) -> pd.DataFrame:
    """Attribute journeys with a model, and redistribute its credit."""
    return redistributed(model(journeys), journeys, rules)


def lookbacks_to_try(lookback_days: float | None, tried: Sequence[float | None]) -> list[float | None]:
    """Return the lookback windows [days] to test: the run's own as None, then the shorter ones of `tried`."""
    reach = np.inf if lookback_days is None else lookback_days
    return [None, *(days for days in dict.fromkeys(tried) if days is not None and days < reach)]


def redistributions_to_try(
    channels: Iterable[str], own: Redistribution | None = None, direct: Collection[str] = DIRECT
) -> dict[str, Redistribution | None]:
    """Return the redistributions to test.

    These are the run's `own` and none; or else none and, if there is direct traffic, its redistribution to the other
    sessions of the journey.
    """
    if own:
        return {OWN: own, AS_IS: None}
    found = direct_channels(channels, direct)
    if not found:
        return {AS_IS: None}
    entry = {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": found}
    rules = parse_redistribution(dict.fromkeys(PHASES, entry), "The redistribution of direct traffic")
    return {AS_IS: None, DIRECT_GIVES: rules}


def redistributed(credits: pd.DataFrame, journeys: pd.DataFrame, rules: Redistribution | None) -> pd.DataFrame:
    """Apply a redistribution to credit without phases.

    Channels that give in any phase give their credit. Direction and threshold are those of the phases that list
    channels if they agree, otherwise `any_session` and 0. Receivers share in proportion to their own credit. If the
    other sessions of the journey have no credit, as under a single-touch model, the credit stays.

    In: `credits` (`conv_id, session_id, ihc`), one row per row of `journeys`, in its order. Out: the same rows, with
    the same sum of `ihc` per conversion. Raises InputError if the rows differ.
    """
    if rules is None:
        return credits
    values = _values(credits, journeys, "Credits")
    points = in_time_order(journeys, "channel_name")
    codes, names = channel_codes(journeys["channel_name"])
    gives = names.isin(list(rules.channels)).to_numpy()[codes][points.row]
    moved = np.empty(len(values))
    moved[points.row] = move(values[points.row], gives, points.path, *_common(rules))
    return credits.assign(ihc=moved)


def _common(rules: Redistribution) -> tuple[str, float]:
    """Return the common direction and threshold of the phases that list channels, or the most permissive ones."""
    entries = [entry for entry in rules.entries.values() if entry["redistribution_channel_labels"]]
    directions, thresholds = ({entry[name] for entry in entries} for name in ("direction", "receive_threshold"))
    return (
        directions.pop() if len(directions) == 1 else "any_session",
        thresholds.pop() if len(thresholds) == 1 else 0.0,
    )


def _values(credits: pd.DataFrame, journeys: pd.DataFrame, what: str) -> Floats:
    """Return the values of `ihc`, after checking that the rows are those of `journeys`."""
    require_columns(credits, CREDITS, what)
    if not credits[PAIR].reset_index(drop=True).equals(journeys[PAIR].reset_index(drop=True)):
        raise InputError(f"{what} must have one row per row of journeys, in the same order.")
    values = credits["ihc"].to_numpy("float64")
    if not np.isfinite(values).all():
        raise InputError(f"{what} must have a number in every row of ihc.")
    return values


def is_within(journeys: pd.DataFrame, lookback_days: float | None) -> Booleans:
    """Mark the sessions inside a lookback window, as in `build_journeys`.

    A session exactly `lookback_days` [24 h each] older than its conversion is inside. A conversion with only older
    sessions has no rows left. Raises InputError for a `lookback_days` outside 0 to 100,000.
    """
    if lookback_days is None:
        return np.ones(len(journeys), dtype=bool)
    if not 0 < lookback_days <= LONGEST_LOOKBACK:
        raise InputError(
            f"The lookback window is {lookback_days} days: it must be above 0 and up to {LONGEST_LOOKBACK:,}, or None."
        )
    age = journeys["conv_timestamp"].to_numpy() - journeys["timestamp"].to_numpy()
    mask: Booleans = age <= np.timedelta64(round(lookback_days * 86_400_000_000), "us")
    return mask


def phase_credits(credits: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return each phase as a model of its own, for `model_comparison`.

    In: `credits` (`conv_id, session_id, initializer, holder, closer, ihc`; a phase is NaN if another program stored the
    credit). Out: by the heading of the phase: `conv_id, session_id, ihc [share]`. An order without credit in a phase
    gets its `ihc` there, so that every model distributes the same revenue. Raises InputError for a missing column.
    """
    require_columns(credits, (*PAIR, *SHARES), "credits")
    conversion = pd.factorize(credits["conv_id"])[0]
    models = {}
    for phase in PHASES:
        share = credits[phase].fillna(0.0).to_numpy("float64")
        is_absent = np.bincount(conversion, weights=share)[conversion] < NO_CREDIT
        models[phase.capitalize()] = credits[PAIR].assign(ihc=np.where(is_absent, credits["ihc"], share))
    return models


class _Rows(NamedTuple):
    """Journeys in time order with integer keys, the channel numbers, and whether their day is reported."""

    journeys: pd.DataFrame
    channel: Integers
    is_reported: Booleans

    def within(self, lookback_days: float | None) -> _Rows:
        keep = is_within(self.journeys, lookback_days)
        return _Rows(self.journeys[keep], self.channel[keep], self.is_reported[keep])


def sensitivity(
    journeys: pd.DataFrame,
    costs: pd.DataFrame,
    models: Mapping[str, Variant],
    lookbacks: Sequence[float | None],
    redistributions: Mapping[str, Redistribution | None] | None = None,
    window: Mapping[str, str | date | None] | None = None,
) -> pd.DataFrame:
    """Compute each channel's ROAS under each combination of lookback window, model and redistribution.

    In: `journeys` of `build_journeys` with the run's own lookback window; if the report's dimension is not the channel,
    with its value in the column `reported_as`; `costs` (`channel_name, cost [currency]`) of the reported days, as in
    `channel_summary` without the total; `models` as of `variants_of`; `lookbacks` [days; None: the journeys as they
    are]; `redistributions` by name, the run's own first [default: none]; `window`: `start_date` and `end_date` of the
    reported days; only sessions on these days earn. With the journeys of all credited orders, the cell with the run's
    own settings has the ROAS of `channel_summary`.

    Out: one row per cell and channel, channels in the order of `costs`: `lookback_days [NaN: None], model,
    redistribution, channel_name, orders [count; with a journey in this cell], ihc [orders], ihc_revenue, cost
    [currency], ROAS [1], rank [1 is the highest ROAS among the cell's channels with at least 1 % of all cost; NaN for
    the others]`. The revenue of an order without a session in the lookback window is not attributed.

    Raises InputError for a missing column, an invalid lookback window, no setting to test, or a model that omits rows.
    """
    require_columns(costs, ("channel_name", "cost"), "costs")
    rules = {AS_IS: None} if redistributions is None else redistributions
    if not (models and lookbacks and rules):
        raise InputError("sensitivity needs at least one model, one lookback window and one redistribution.")
    rows, frame = _numbered(journeys, costs, window)
    tables = []
    for days in dict.fromkeys(lookbacks):
        part = rows.within(days)
        orders = int(purchases(part.journeys)["conv_id"].nunique())
        for (name, model), (label, rule) in product(models.items(), rules.items()):
            values = _values(model(part.journeys, rule), part.journeys, f"Credits of {name}")
            setting = {"lookback_days": days, "model": name, "redistribution": label, "orders": orders}
            tables.append(_cell(frame, part, values).assign(**setting))
    return pd.concat(tables, ignore_index=True).astype({"lookback_days": "float64"})[list(COLUMNS)]


def _numbered(
    journeys: pd.DataFrame, costs: pd.DataFrame, window: Mapping[str, str | date | None] | None
) -> tuple[_Rows, pd.DataFrame]:
    """Return the journeys with integer keys, which doubles the speed of the models, and the channels with cost."""
    points = in_time_order(journeys, "channel_name", "revenue", "conv_timestamp")
    rows = journeys.take(points.row).assign(conv_id=points.path, session_id=np.arange(len(journeys)))
    codes, names = channel_codes(rows[REPORTED_AS if REPORTED_AS in rows else "channel_name"])
    channels = costs[["channel_name", "cost"]].astype({"channel_name": "str"})
    others = names[~names.isin(channels["channel_name"])].to_frame().assign(cost=0.0)
    channels = pd.concat([channels, others], ignore_index=True)
    place = pd.Index(channels["channel_name"]).get_indexer(pd.Index(names))
    return _Rows(rows, place[codes], is_reported(rows["timestamp"], **(window or {}))), channels


def is_reported(
    times: pd.Series[Any], start_date: str | date | None = None, end_date: str | date | None = None
) -> Booleans:
    """Mark the times [UTC] on the days from `start_date` to `end_date` [inclusive; None: no limit]."""
    start, end = check_window(start_date, end_date)
    mask = pd.Series(True, index=times.index)
    if start:
        mask &= times >= pd.Timestamp(start)
    if end:
        mask &= times < pd.Timestamp(end) + pd.Timedelta(days=1)
    return mask.to_numpy(dtype=bool)


def _cell(channels: pd.DataFrame, rows: _Rows, values: Floats) -> pd.DataFrame:
    """Return each channel's credit, revenue, ROAS and rank under one setting."""
    values = np.where(rows.is_reported, values, 0.0)
    worth = values * rows.journeys["revenue"].to_numpy()
    credit = np.where(is_purchase(rows.journeys), values, 0.0)
    # Without rows, numpy.bincount returns integers.
    ihc, revenue = (
        np.bincount(rows.channel, weights=each, minlength=len(channels)).astype("float64") for each in (credit, worth)
    )
    table = channels.assign(ihc=ihc, ihc_revenue=revenue)
    table["ROAS"] = ratio(table["ihc_revenue"], table["cost"])
    is_material = table["cost"] / (table["cost"].sum() or np.nan) >= MATERIAL
    comparable = table["ROAS"].where(is_material).round(DIGITS)
    return table.assign(rank=comparable.rank(ascending=False, method="min"))


def rank_stability(grid: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Check for each material channel whether its rank or its side of break-even depends on the settings.

    In: `sensitivity`; its first cell is the base of the comparison. `roas` [1]: break-even ROAS.

    Out: the channels with at least 1 % of all cost, highest revenue in the base first: `channel_name, ROAS [1; base],
    ROAS_low, ROAS_high [1; of all cells], rank [base], rank_best, rank_worst, cells_above [share of cells with at least
    `roas`], stability`: `crosses break-even`; otherwise `changes rank` if it moves by more than one place from the
    base; otherwise `stable`.
    """
    matter = grid[grid["rank"].notna()]
    above = is_above(matter, roas)
    table = matter.assign(above=above).groupby("channel_name", sort=False).agg(
        ROAS_low=("ROAS", "min"),
        ROAS_high=("ROAS", "max"),
        rank_best=("rank", "min"),
        rank_worst=("rank", "max"),
        cells_above=("above", "mean"),
    )  # fmt: skip
    base = matter[cell_numbers(matter) == 0].sort_values("ihc_revenue", ascending=False, kind="stable")
    table = base[["channel_name", "ROAS", "rank"]].merge(table, on="channel_name")
    moves = pd.concat([table["rank"] - table["rank_best"], table["rank_worst"] - table["rank"]], axis=1).max(axis=1)
    crosses = table["cells_above"].between(0, 1, inclusive="neither")
    stabilities = np.select([crosses, moves > STEADY_PLACES], [CROSSES, MOVES], default=STABLE)
    ordered = ["channel_name", "ROAS", "ROAS_low", "ROAS_high", "rank", "rank_best", "rank_worst", "cells_above"]
    return table[ordered].assign(stability=pd.array(stabilities, dtype="str"))


def is_above(grid: pd.DataFrame, roas: float) -> pd.Series[bool]:
    """Mark the rows that reach break-even; rounding differences are ignored."""
    return grid["ROAS"].round(DIGITS) >= round(roas, DIGITS)


def cell_numbers(grid: pd.DataFrame) -> pd.Series[int]:
    """Number the cells from 0 in order of appearance, and return each row's cell."""
    return grid.groupby(list(VARIED.values()), sort=False, dropna=False).ngroup()


def single_changes(grid: pd.DataFrame, *, roas: float = 1.0) -> pd.DataFrame:
    """Count the changes if only one setting differs from the base, the first cell of `sensitivity`.

    Out: one row per setting: `setting [model, lookback, redistribution], tried [count of its other values],
    channels_crossing [count; on the other side of break-even, `roas`, under any of these], channels_moving [count;
    moving by more than one place under any of these]`.
    """
    matter = grid[grid["rank"].notna()]
    matter = matter.assign(above=is_above(matter, roas), cell=cell_numbers(matter))
    base = matter[matter["cell"] == 0].set_index("channel_name")
    other = {name: pd.factorize(matter[column], use_na_sentinel=False)[0] > 0 for name, column in VARIED.items()}
    rows = []
    for name in other:
        alone = matter[other[name] & (np.sum(list(other.values()), axis=0) == 1)]
        crossing = alone["above"] != alone["channel_name"].map(base["above"])
        moving = (alone["rank"] - alone["channel_name"].map(base["rank"]).astype("float64")).abs() > STEADY_PLACES
        counts = [alone.loc[mask, "channel_name"].nunique() for mask in (crossing, moving)]
        rows.append((name, alone["cell"].nunique(), *counts))
    return pd.DataFrame(rows, columns=["setting", "tried", "channels_crossing", "channels_moving"])


def unrecorded_flags(sessions: pd.DataFrame) -> list[str]:
    """Name the engagement flags that are 1 for all sessions; none without sessions.

    In: `holder_engagement, closer_engagement [0/1]`. Raises InputError for a missing column.
    """
    require_columns(sessions, (HOLDER, CLOSER), "sessions")
    return [name for name in (HOLDER, CLOSER) if len(sessions) and (sessions[name] == 1).all()]


def closer_variants(
    journeys: pd.DataFrame, parameters: Parameters | ParameterSets, redistribution: Redistribution | None = None
) -> dict[str, pd.DataFrame]:
    """Attribute journeys with all sessions as closers, and with the last session of each journey only.

    In: as `attribute_by_type`; the closer flags of the journeys do not matter. Out: its credits, by the column of
    `engagement_effect` that they lead to. Raises InputError as `attribute`.
    """
    # The model counts the last session as closer whatever its flag, so 0 for all leaves the last one.
    flags = {ALL_CLOSERS: 1, LAST_CLOSER: 0}
    variants = {name: journeys.assign(**{CLOSER: flag}) for name, flag in flags.items()}
    return {name: attribute_by_type(variant, parameters, redistribution) for name, variant in variants.items()}


def engagement_effect(journeys: pd.DataFrame, variants: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare each channel's revenue with all sessions as closers and with only the last ones.

    In: `journeys` (`conv_id, session_id, channel_name, revenue`) and their `closer_variants`. Out: one row per channel,
    highest `ihc_revenue` first: `channel_name, ihc_revenue [currency; all closer flags 1], ihc_revenue_last_closer
    [currency; only the last session of each journey], difference [currency; the second minus the first]`.
    """
    table = model_comparison(journeys, variants)
    return table.assign(difference=table[LAST_CLOSER] - table[ALL_CLOSERS])


def moved_revenue(effect: pd.DataFrame) -> float:
    """Return the revenue [currency] that moves between channels: half the sum of all absolute differences."""
    return float(effect["difference"].abs().sum() / 2)


def moved_share(effect: pd.DataFrame) -> float:
    """Return `moved_revenue` as a share of all attributed revenue [1]; NaN if that is not above 0."""
    whole = float(effect[ALL_CLOSERS].sum())
    return moved_revenue(effect) / whole if whole > 0 else np.nan
