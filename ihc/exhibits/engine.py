"""Model parameters of the attribution engine, and channel scores from its credits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ihc.analysis.channels import average_impact, before_after, channel_scores, credit_distribution, with_channels
from ihc.analysis.dimension import Folding, folding
from ihc.charts.channels import (
    channel_impact_chart,
    channel_scores_chart,
    channel_weights_chart,
    credit_distribution_chart,
)
from ihc.charts.models import explanation_chart, membership_chart, phase_weights_chart, redistribution_chart
from ihc.charts.palette import by_weight
from ihc.exhibits.data import ReportData
from ihc.formatting import fixed
from ihc.journeys.credits import with_phases
from ihc.models.conversion_types import attribute_by_type
from ihc.models.explanation import (
    channel_weight_table,
    curve_points,
    explanations,
    instructive_journey,
    phase_weight_table,
)
from ihc.models.parameters import Parameters
from ihc.narrative.models import engine_sentence, explanation_sentence, redistribution_effect
from ihc.narrative.run import origins_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.conversion_types import CONVERSION_TYPE


class Engine:
    """Parameters of the local engine with a report's journeys and credits, always by channel."""

    def __init__(self, data: ReportData) -> None:
        self.data = data

    def by_set(self, make: Callable[[Parameters], pd.DataFrame]) -> pd.DataFrame:
        """Make a table of each set; with several sets, their conversion types are in its first column."""
        tables = {name: make(parameters) for name, parameters in self.data.used_sets.items()}
        if len(tables) == 1:
            return next(iter(tables.values()))
        typed = [pd.DataFrame({CONVERSION_TYPE: name}, index=table.index).join(table) for name, table in tables.items()]
        return pd.concat(typed, ignore_index=True)

    def drawn(self, draw: Callable[..., Figure], frame: pd.DataFrame, *more: str) -> Callable[..., Figure] | None:
        """A chart of the parameters; None with several sets, whose curves and weights would overlap."""
        return partial(draw, frame, *more) if len(self.data.used_sets) == 1 else None

    @property
    def note(self) -> str:
        """The note below a chart of the parameters."""
        return f"parameters of the local engine: {self.data.settings.local_source}"

    @cached_property
    def credits(self) -> pd.DataFrame:
        """The credits of the journeys, with phases and channels."""
        stored = with_phases(self.data.results.credits, self.data.source.phases)
        return with_channels(stored, self.data.journeys)

    @cached_property
    def few(self) -> Folding:
        """The channels that tables and charts show."""
        visits = self.data.channel_visits
        return folding(visits["channel_name"].unique(), by_weight(visits))


def curve(engine: Engine, phase: str) -> Exhibit:
    """Membership curve of a phase: initializer by gap since the previous session, closer by time to conversion."""
    label = {"initializer": "since the previous session", "closer": "until the converting session"}[phase]
    frame = engine.by_set(lambda parameters: curve_points(getattr(parameters, phase), parameters.seen_until(phase)))
    data, settings = engine.data, engine.data.settings
    origins = origins_sentence(data.used_sets, data.journeys, shop=settings.database.name)
    text = f"{engine_sentence(settings.local_source, data.sources)} {origins}"
    return Exhibit(
        name=f"{phase}_membership",
        title=f"{phase.capitalize()} membership",
        frame=frame,
        text=text if phase == "initializer" else "",
        alt=f"Line chart: {phase} membership by the time {label}, with its values.",
        note=engine.note,
        draw=engine.drawn(membership_chart, frame, label),
        shown=lambda: _marked(frame),
    )


def _marked(points: pd.DataFrame) -> Styler:
    few = points[points["is_marked"]].drop(columns=["is_knot", "is_marked", "is_seen"])
    return table(few.assign(membership=[fixed(value, 3) for value in few["membership"].astype("float64")]))


def phase_weights(engine: Engine) -> Exhibit:
    """Share of the credit that each phase assigns."""
    frame = engine.by_set(phase_weight_table)
    return Exhibit(
        name="phase_weights",
        title="Phase weights",
        frame=frame,
        alt="One bar per phase: its weight, the share of the credit that it assigns.",
        note=engine.note,
        draw=engine.drawn(phase_weights_chart, frame),
    )


def channel_weights(engine: Engine) -> Exhibit:
    """Weight of a channel's sessions in each phase; 1 is neutral."""
    frame = engine.by_set(lambda parameters: channel_weight_table(parameters, engine.data.journeys))
    few = engine.few.only(frame)
    return Exhibit(
        name="channel_weights",
        title="Channel weights",
        frame=frame,
        alt="One panel per phase, one dot per channel: its weight, with a line from the neutral weight of 1.",
        note=engine.note,
        draw=engine.drawn(channel_weights_chart, few),
        shown=lambda: table(few),
    )


def scores(engine: Engine) -> Exhibit:
    """A channel's share of a phase's credit relative to the average channel."""
    frame = channel_scores(engine.credits)
    few = engine.few.only(frame)
    return Exhibit(
        name="channel_scores",
        title="Channel scores",
        frame=frame,
        alt="One panel per phase, one dot per channel: its score, with a line from the average score of 1.",
        note=engine.data.note,
        draw=partial(channel_scores_chart, few),
        shown=lambda: table(few),
    )


def impact(engine: Engine) -> Exhibit:
    """Influenced orders of each channel, and its average credit in them."""
    frame = average_impact(engine.credits)
    few = engine.few.table(frame, average_impact, engine.credits)
    return Exhibit(
        name="channel_impact",
        title="Influenced orders and average credit",
        frame=frame,
        alt="Two bars per channel: influenced orders, and average credit in these orders.",
        note=engine.data.note,
        draw=partial(channel_impact_chart, few),
        shown=lambda: table(few),
    )


def distribution(engine: Engine) -> Exhibit:
    """Distribution of credit over each channel's sessions, from none to a whole order."""
    frame = credit_distribution(engine.credits)
    few = engine.few.table(frame, credit_distribution, engine.credits)
    return Exhibit(
        name="credit_distribution",
        title="Distribution of credit per session",
        frame=frame,
        alt="One bar per channel: its sessions in journeys by amount of credit.",
        note=engine.data.note,
        draw=partial(credit_distribution_chart, few),
        shown=lambda: table(few),
    )


def redistribution(engine: Engine) -> Exhibit:
    """Credit before and after redistribution, if the report has one."""
    data, rules = engine.data, engine.data.settings.redistribution_rules
    journeys = data.sets.with_types(data.journeys, data.tables.conversions)
    before = attribute_by_type(journeys, data.sets)
    after = attribute_by_type(journeys, data.sets, rules) if rules else before
    moved = engine.few.table(before_after(before, after, data.journeys), before_after, before, after, data.journeys)
    moved = moved[moved["ihc_change"].abs() > 0.005]
    text = redistribution_effect(moved, rules)
    return Exhibit(
        name="redistribution",
        title="Redistribution",
        frame=moved,
        text=text,
        alt=f"One line per channel, from its credit before to its credit after redistribution. {text}",
        note=engine.note,
        draw=partial(redistribution_chart, moved) if len(moved) else None,
    )


def explained(engine: Engine, journey: pd.DataFrame | None = None) -> Exhibit:
    """Explain the credit of one order [default: the longest journey that is easy to read]."""
    journey = instructive_journey(engine.data.journeys) if journey is None else journey
    journey = journey.astype({"conv_id": "str", "session_id": "str"})
    data, settings = engine.data, engine.data.settings
    parameters = data.sets.of_conversions(journey["conv_id"], data.tables.conversions)
    steps = explanations(journey, parameters, settings.redistribution_rules)
    text = explanation_sentence(steps)
    return Exhibit(
        name="explained_order",
        title="Credit of one order, step by step",
        frame=steps,
        text=text,
        alt=f"One row per session: its time and its credit by phase. {text}",
        note=f"parameters of the local engine: {settings.labelled(parameters)}",
        draw=partial(explanation_chart, steps),
    )
