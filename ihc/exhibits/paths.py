"""Customer journeys and paths, independent of attribution."""

from __future__ import annotations

from functools import cached_property, partial

import pandas as pd

from ihc.analysis.dimension import folding
from ihc.analysis.paths import channel_roles, commonest_paths, journey_lengths, time_to_conversion, transition_matrix
from ihc.charts.palette import COLOURS
from ihc.charts.paths import (
    channel_roles_chart,
    commonest_paths_chart,
    conversions_by_class_chart,
    transitions_chart,
)
from ihc.exhibits.data import ReportData
from ihc.journeys.build import unattributed
from ihc.narrative.paths import path_finding, paths_sentence, role_finding
from ihc.narrative.run import journeys_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.refunds import purchases


class Paths:
    """Journeys of selected orders. Each frame is calculated on first access."""

    def __init__(self, data: ReportData, journeys: pd.DataFrame) -> None:
        self.data = data
        self.journeys = journeys

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """`journey_lengths`."""
        return journey_lengths(self.journeys)

    @cached_property
    def times(self) -> pd.DataFrame:
        """`time_to_conversion`."""
        return time_to_conversion(self.journeys)

    @cached_property
    def roles(self) -> pd.DataFrame:
        """`channel_roles`."""
        return channel_roles(self.journeys)

    @cached_property
    def text(self) -> str:
        """Sentences on the journeys."""
        return paths_sentence(self.lengths, self.times, commonest_paths(self.journeys), self.roles)


def lengths(paths: Paths) -> Exhibit:
    """Orders by number of sessions."""
    frame, orders = paths.lengths, purchases(paths.data.orders)
    return Exhibit(
        name="journey_lengths",
        title="Sessions per order",
        frame=frame,
        text=journeys_sentence(paths.journeys, unattributed(orders, paths.journeys)),
        alt="Bar chart: number of orders by number of sessions in the journey.",
        draw=partial(conversions_by_class_chart, frame, "length", "sessions in the journey"),
    )


def times(paths: Paths) -> Exhibit:
    """Orders by time from the first to the converting session."""
    frame = paths.times
    return Exhibit(
        name="time_to_conversion",
        title="Time to conversion",
        frame=frame,
        alt="Bar chart: number of orders by time from the first to the converting session.",
        draw=partial(conversions_by_class_chart, frame, "time", "from the first to the converting session"),
    )


def commonest(paths: Paths, most: int = 10) -> Exhibit:
    """Most common paths through the channels. Consecutive repeats are merged."""
    frame = commonest_paths(paths.journeys, most=most)
    return Exhibit(
        name="paths",
        chart="commonest_paths",
        title="Most common paths",
        frame=frame,
        text=paths.text,
        alt="One row per path: its channels from left to right and its number of orders. The figures are in paths.csv.",
        draw=partial(commonest_paths_chart, frame, paths.data.colours),
        finding=path_finding(frame),
    )


def roles(paths: Paths) -> Exhibit:
    """Orders in which a channel is first, assist, last or the only channel."""
    frame, text = paths.roles, paths.text
    few = folding(frame["channel_name"], paths.data.colours).table(frame, channel_roles, paths.journeys)
    return Exhibit(
        name="channel_roles",
        title="First, assist, last",
        frame=frame,
        text=text,
        alt=f"One bar per channel: its influenced orders by role. {text}",
        draw=partial(channel_roles_chart, few),
        shown=lambda: table(few),
        finding=role_finding(few),
    )


def transitions(paths: Paths) -> Exhibit:
    """Transitions from channel to channel."""
    few = folding(paths.roles["channel_name"], paths.data.colours, most=len(COLOURS))
    frame = transition_matrix(paths.journeys, few)
    return Exhibit(
        name="transitions",
        title="Channel transitions",
        frame=frame,
        alt="Heat map: one row per channel, one column per next channel, in %. The figures are in transitions.csv.",
        draw=partial(transitions_chart, frame),
        shown=lambda: table(frame.head(20)),
    )
