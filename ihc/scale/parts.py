"""Partial results for a part of the users: exact sums and counts that add up to the report tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

import pandas as pd

from ihc.analysis.reconciliation import account_for, figures_of
from ihc.analysis.reporting import (
    DAILY,
    SUMS,
    channel_counts,
    compared,
    conversion_credits,
    model_revenue,
    summary_of,
    visits_of,
    with_ratios,
)
from ihc.analysis.sensitivity import IHC, phase_credits
from ihc.arrays.lookup import isin
from ihc.arrays.sums import add_parts, part_by, sum_of_parts
from ihc.journeys.build import build_journeys, non_converting_paths, without_new_session
from ihc.journeys.credits import outcomes_of, sound_credits
from ihc.journeys.paths import channel_paths
from ihc.models.heuristics import DIRECT
from ihc.models.ihc import attribute
from ihc.models.markov import MOST_STATES, Chain, add_chains, count_moves, effects_of, markov, spread_by_effects
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution
from ihc.models.registry import MODELS, models_with
from ihc.schemas.refunds import check_refunds, purchases
from ihc.schemas.tables import Tables, inside

CHANNEL = ["channel_name"]
MARKOV = "Markov"


class Plan(NamedTuple):
    """Settings of the local engine: parameters, dates, rules of journeys and direct-traffic channels."""

    parameters: Parameters
    redistribution: Redistribution | None = None
    start_date: str | date | None = None
    end_date: str | date | None = None
    lookback_days: float | None = None
    direct: tuple[str, ...] = DIRECT
    restart_after_order: bool = False

    @property
    def journey_rules(self) -> dict[str, Any]:
        """How journeys are built, as arguments for the library's functions."""
        return {"lookback_days": self.lookback_days, "restart_after_order": self.restart_after_order}

    @property
    def window(self) -> dict[str, Any]:
        """The dates, as arguments for the library's functions."""
        return {"start_date": self.start_date, "end_date": self.end_date}


class Attributed(NamedTuple):
    """The credited journeys of a part, their credits, and the outcome of each conversion in the period."""

    journeys: pd.DataFrame
    credits: pd.DataFrame
    outcomes: pd.DataFrame


class Part(NamedTuple):
    """Partial sums (see `sums.part_by`) and counts of a part.

    `reporting`: by channel and day; `counts`: from `channel_counts`; `orders`: number of orders with credit in the
    period; `comparison`: revenue by channel and model; `figures`: of the reconciliation; `chain`: Markov chain of the
    users' paths, None with too many channels.
    """

    reporting: pd.DataFrame
    counts: pd.DataFrame
    orders: int
    comparison: pd.DataFrame
    figures: pd.DataFrame
    chain: Chain | None


class Reports(NamedTuple):
    """The report tables of all users, by file name."""

    channel_reporting: pd.DataFrame
    channel_summary: pd.DataFrame
    model_comparison: pd.DataFrame
    reconciliation: pd.DataFrame


def attribute_part(tables: Tables, plan: Plan, memory: int | None = None) -> Attributed:
    """Attribute the conversions of a part.

    In: validated tables with all rows of their users; `memory` and InputError as in `build_journeys`. Raises InputError
    for invalid refunds, as in `check_tables`.
    """
    check_refunds(tables.conversions)
    shop, rules = (tables.sessions, tables.conversions), plan.window | plan.journey_rules
    journeys = build_journeys(*shop, **rules, memory=memory)
    credits, failed = sound_credits(attribute(journeys, plan.parameters, plan.redistribution), journeys)
    orders = tables.conversions[inside(tables.conversions["conv_date"], **plan.window)]
    without = pd.concat([failed, without_new_session(*shop, **rules)], ignore_index=True)
    outcomes = outcomes_of(orders, journeys, without)
    return Attributed(journeys[isin(journeys["conv_id"], credits["conv_id"])], credits, outcomes)


def part_for(tables: Tables, found: Attributed, plan: Plan) -> Part:
    """Compute a part's sums without the Markov model. In: as `attribute_part`, and its result."""
    earned = conversion_credits(tables.sessions, tables.conversions, found.credits)
    visits = visits_of(tables.sessions, tables.costs, earned)
    days = [rows[inside(rows["date"], **plan.window)] for rows in (visits, earned)]
    models = {IHC: found.credits} | {
        name: model(found.journeys) for name, model in models_with(plan.direct).items() if model is not markov
    }
    return Part(
        reporting=part_by(visits, DAILY, SUMS),
        counts=channel_counts(*days),
        orders=purchases(days[1])["conv_id"].nunique(),
        comparison=comparison_part(found.journeys, models | phase_credits(found.credits)),
        figures=figures_of(tables, found.credits, found.outcomes, **plan.window),
        chain=_chain(tables, found.journeys, plan),
    )


def comparison_part(journeys: pd.DataFrame, models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Partial sums of revenue by channel and model. In: as `model_comparison`; out: as `sums.part_by`."""
    return part_by(model_revenue(journeys, models), CHANNEL, list(models))


def _chain(tables: Tables, journeys: pd.DataFrame, plan: Plan) -> Chain | None:
    idle = non_converting_paths(tables.sessions, tables.conversions, **plan.window, **plan.journey_rules)
    channels = pd.concat([journeys["channel_name"], idle["channel_name"]]).nunique()
    return count_moves(channel_paths(purchases(journeys), idle)) if channels <= MOST_STATES else None


def add(parts: Iterable[Part]) -> Part:
    """Add parts, in any order; the sum is the part of all their users."""
    reporting, counts, orders, comparison, figures, chains = zip(*parts, strict=True)
    return Part(
        reporting=add_parts(reporting, DAILY),
        counts=pd.concat(counts).groupby(CHANNEL, as_index=False).sum(),
        orders=sum(orders),
        comparison=add_parts(comparison, CHANNEL),
        figures=add_parts(figures, ["figure"]),
        chain=_add_chains(chains),
    )


def _add_chains(chains: tuple[Chain | None, ...]) -> Chain | None:
    known = [chain for chain in chains if chain is not None]
    total = add_chains(known) if len(known) == len(chains) else None
    return total if total is not None and len(total.states) <= MOST_STATES else None


def removal_effects_of(part: Part) -> pd.DataFrame | None:
    """Solve the Markov chain of all users: `channel_name, removal_effect [share]`; None with too many channels."""
    if part.chain is None:
        return None
    names = part.chain.states["channel_name"]
    return pd.DataFrame({"channel_name": names, "removal_effect": effects_of(part.chain, names)})


def markov_part(journeys: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Partial sums of revenue by channel under the Markov model. In: `journeys`, `removal_effects_of` all users."""
    return comparison_part(journeys, {MARKOV: spread_by_effects(journeys, effects)})


def reports_of(part: Part, markov_revenue: pd.DataFrame | None, plan: Plan) -> Reports:
    """Round the sums of all users to the report tables.

    In: the sum of all parts, the sum of their `markov_part`, if any, and the settings.
    Raises ReconciliationError if the report does not reconcile with the input to the cent.
    """
    reporting = sum_of_parts(part.reporting, DAILY)
    shown = reporting[inside(reporting["date"], **plan.window)]
    comparison = sum_of_parts(part.comparison, CHANNEL)
    if markov_revenue is not None:
        comparison[MARKOV] = sum_of_parts(markov_revenue, CHANNEL)[MARKOV].to_numpy()
    models = [name for name in MODELS if name in comparison]
    phases = [name for name in comparison if name not in (*CHANNEL, IHC, *MODELS)]
    return Reports(
        channel_reporting=with_ratios(shown),
        channel_summary=summary_of(shown, part.counts, part.orders),
        model_comparison=compared(comparison[[*CHANNEL, IHC, *models, *phases]]),
        reconciliation=account_for(part.figures, reporting, **plan.window),
    )
