"""What buyers did before their orders, whatever credit it earns."""

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
    """The journeys of some orders, and what they look like; each frame is computed when it is first asked for."""

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
        """The journeys in sentences."""
        return paths_sentence(self.lengths, self.times, commonest_paths(self.journeys), self.roles)


def lengths(paths: Paths) -> Exhibit:
    """How many sessions an order takes."""
    frame, orders = paths.lengths, purchases(paths.data.orders)
    return Exhibit(
        name="journey_lengths",
        title="Sessions per order",
        frame=frame,
        text=journeys_sentence(paths.journeys, unattributed(orders, paths.journeys)),
        alt="Bars: how many orders have a journey of one, two and more sessions.",
        draw=partial(conversions_by_class_chart, frame, "length", "sessions in the journey"),
    )


def times(paths: Paths) -> Exhibit:
    """How long an order takes, from the first session to the converting one."""
    frame = paths.times
    return Exhibit(
        name="time_to_conversion",
        title="Time to conversion",
        frame=frame,
        alt="Bars: how many orders took so long from their first to their converting session.",
        draw=partial(conversions_by_class_chart, frame, "time", "from the first to the converting session"),
    )


def commonest(paths: Paths, most: int = 10) -> Exhibit:
    """The commonest paths through the channels; repeats in a row are written once."""
    frame = commonest_paths(paths.journeys, most=most)
    return Exhibit(
        name="paths",
        chart="commonest_paths",
        title="Commonest paths",
        frame=frame,
        text=paths.text,
        alt="A row a path: its channels from left to right, and how many orders took it; the figures are in paths.csv.",
        draw=partial(commonest_paths_chart, frame, paths.data.colours),
        finding=path_finding(frame),
    )


def roles(paths: Paths) -> Exhibit:
    """In which orders a channel is first, assists, or is last."""
    frame, text = paths.roles, paths.text
    few = folding(frame["channel_name"], paths.data.colours).table(frame, channel_roles, paths.journeys)
    return Exhibit(
        name="channel_roles",
        title="First, assist, last",
        frame=frame,
        text=text,
        alt=f"A bar a channel of its orders, divided by where it stands in their journeys. {text}",
        draw=partial(channel_roles_chart, few),
        shown=lambda: table(few),
        finding=role_finding(few),
    )


def transitions(paths: Paths) -> Exhibit:
    """Which channel follows which."""
    few = folding(paths.roles["channel_name"], paths.data.colours, most=len(COLOURS))
    frame = transition_matrix(paths.journeys, few)
    return Exhibit(
        name="transitions",
        title="Channel transitions",
        frame=frame,
        alt="A grid: a row a channel, a column what follows it, in percent; the figures are in transitions.csv.",
        draw=partial(transitions_chart, frame),
        shown=lambda: table(frame.head(20)),
    )
