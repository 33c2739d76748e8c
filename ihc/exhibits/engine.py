"""The attribution engine: its parameters, and what the credits say of the channels."""

from __future__ import annotations

from functools import cached_property, partial

import pandas as pd
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
from ihc.models.explanation import (
    channel_weight_table,
    curve_points,
    explanations,
    instructive_journey,
    phase_weight_table,
)
from ihc.models.ihc import attribute
from ihc.models.parameters import Parameters
from ihc.models.redistribution import labelled
from ihc.narrative.models import engine_sentence, explanation_sentence, redistribution_effect
from ihc.narrative.run import origin_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table


class Engine:
    """The local engine's parameters beside a report's journeys and credits, always by channel."""

    def __init__(self, data: ReportData) -> None:
        self.data = data

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters of the local engine."""
        return self.data.settings.load_parameters()

    @property
    def label(self) -> str:
        """The parameters and the redistribution in words."""
        return labelled(self.parameters.label, self.data.settings.redistribution_rules)

    @property
    def note(self) -> str:
        """What stands below a chart of the parameters."""
        return f"parameters of the local engine: {self.label}"

    @cached_property
    def credits(self) -> pd.DataFrame:
        """The credits of the journeys, with phases and channels."""
        stored = with_phases(self.data.results.credits, self.data.source.phases)
        return with_channels(stored, self.data.journeys)

    @cached_property
    def few(self) -> Folding:
        """The channels that tables and charts name."""
        visits = self.data.channel_visits
        return folding(visits["channel_name"].unique(), by_weight(visits))


def curve(engine: Engine, phase: str) -> Exhibit:
    """The membership curve of a phase: initializer over the silence before a session, closer over the time left."""
    parameters = engine.parameters
    label, points = {
        "initializer": ("since the previous session", parameters.initializer),
        "closer": ("until the converting session", parameters.closer),
    }[phase]
    frame = curve_points(points, parameters.seen_until(phase))
    text = f"{engine_sentence(engine.label, engine.data.sources)} " + origin_sentence(
        parameters, engine.data.journeys, shop=engine.data.settings.database.name
    )
    return Exhibit(
        name=f"{phase}_membership",
        title=f"{phase.capitalize()} membership",
        frame=frame,
        text=text if phase == "initializer" else "",
        alt=f"A line: {phase} membership over the time {label}, with its values.",
        note=engine.note,
        draw=partial(membership_chart, frame, label),
        shown=lambda: _marked(frame),
    )


def _marked(points: pd.DataFrame) -> Styler:
    """The few points of a curve that its chart names."""
    few = points.loc[points["is_marked"], ["hours", "membership"]]
    return table(few.assign(membership=[fixed(value, 3) for value in few["membership"].astype("float64")]))


def phase_weights(engine: Engine) -> Exhibit:
    """How much of the credit each phase decides."""
    frame = phase_weight_table(engine.parameters)
    return Exhibit(
        name="phase_weights",
        title="Phase weights",
        frame=frame,
        alt="A bar a phase: its weight, the share of the credit that it decides.",
        note=engine.note,
        draw=partial(phase_weights_chart, frame),
    )


def channel_weights(engine: Engine) -> Exhibit:
    """What a channel's sessions count in each phase: 1 is neutral."""
    frame = channel_weight_table(engine.parameters, engine.data.journeys)
    few = engine.few.only(frame)
    return Exhibit(
        name="channel_weights",
        title="Channel weights",
        frame=frame,
        alt="A panel a phase, a dot a channel: its weight in the phase, on a line from 1, the neutral weight.",
        note=engine.note,
        draw=partial(channel_weights_chart, few),
        shown=lambda: table(few),
    )


def scores(engine: Engine) -> Exhibit:
    """A channel's share of a phase's credit against the mean channel's."""
    frame = channel_scores(engine.credits)
    few = engine.few.only(frame)
    return Exhibit(
        name="channel_scores",
        title="Channel scores",
        frame=frame,
        alt="A panel a phase, a dot a channel: its score in the phase, on a line from 1, the mean channel's.",
        note=engine.data.note,
        draw=partial(channel_scores_chart, few),
        shown=lambda: table(few),
    )


def impact(engine: Engine) -> Exhibit:
    """In how many orders a channel took part, and how much of such an order it earned."""
    frame = average_impact(engine.credits)
    few = engine.few.table(frame, average_impact, engine.credits)
    return Exhibit(
        name="channel_impact",
        title="Influence and impact",
        frame=frame,
        alt="Two bars a channel: the orders it took part in, and its average credit in them.",
        note=engine.data.note,
        draw=partial(channel_impact_chart, few),
        shown=lambda: table(few),
    )


def distribution(engine: Engine) -> Exhibit:
    """How the credit of a channel's sessions is spread, from none to a whole order."""
    frame = credit_distribution(engine.credits)
    few = engine.few.table(frame, credit_distribution, engine.credits)
    return Exhibit(
        name="credit_distribution",
        title="Distribution of credit",
        frame=frame,
        alt="A bar a channel: its sessions in journeys, divided by how much credit each got.",
        note=engine.data.note,
        draw=partial(credit_distribution_chart, few),
        shown=lambda: table(few),
    )


def redistribution(engine: Engine) -> Exhibit:
    """What the redistribution moves from channel to channel, if the report has one."""
    data, rules = engine.data, engine.data.settings.redistribution_rules
    before = attribute(data.journeys, engine.parameters)
    after = attribute(data.journeys, engine.parameters, rules) if rules else before
    moved = engine.few.table(before_after(before, after, data.journeys), before_after, before, after, data.journeys)
    moved = moved[moved["ihc_change"].abs() > 0.005]
    text = redistribution_effect(moved, rules)
    return Exhibit(
        name="redistribution",
        title="Redistribution",
        frame=moved,
        text=text,
        alt=f"A line a channel from its credit before the redistribution to that after. {text}",
        note=engine.note,
        draw=partial(redistribution_chart, moved) if len(moved) else None,
    )


def explained(engine: Engine, journey: pd.DataFrame | None = None) -> Exhibit:
    """One order step by step [default: the longest journey that is still read at a glance]."""
    journey = instructive_journey(engine.data.journeys) if journey is None else journey
    steps = explanations(journey, engine.parameters, engine.data.settings.redistribution_rules)
    text = explanation_sentence(steps)
    return Exhibit(
        name="explained_order",
        title="One order, step by step",
        frame=steps,
        text=text,
        alt=f"A row a session: when it was, and its credit by phase. {text}",
        note=engine.note,
        draw=partial(explanation_chart, steps),
    )
