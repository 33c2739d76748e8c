"""What buyers did before their orders, whatever credit it earns."""

from __future__ import annotations

from functools import partial

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


def _sentence(journeys: pd.DataFrame) -> str:
    lengths, times = journey_lengths(journeys), time_to_conversion(journeys)
    return paths_sentence(lengths, times, commonest_paths(journeys), channel_roles(journeys))


def lengths(data: ReportData) -> Exhibit:
    """How many sessions an order takes."""
    frame = journey_lengths(data.shown_journeys)
    return Exhibit(
        name="journey_lengths",
        title="Sessions per order",
        frame=frame,
        text=journeys_sentence(data.shown_journeys, unattributed(purchases(data.orders), data.shown_journeys)),
        alt="Bars: how many orders have a journey of one, two and more sessions.",
        draw=partial(conversions_by_class_chart, frame, "length", "sessions in the journey"),
    )


def times(data: ReportData) -> Exhibit:
    """How long an order takes, from the first session to the converting one."""
    frame = time_to_conversion(data.shown_journeys)
    return Exhibit(
        name="time_to_conversion",
        title="Time to conversion",
        frame=frame,
        alt="Bars: how many orders took so long from their first to their converting session.",
        draw=partial(conversions_by_class_chart, frame, "time", "from the first to the converting session"),
    )


def commonest(data: ReportData, journeys: pd.DataFrame, most: int = 10) -> Exhibit:
    """The commonest paths through the channels; repeats in a row are written once."""
    frame = commonest_paths(journeys, most=most)
    return Exhibit(
        name="paths",
        chart="commonest_paths",
        title="Commonest paths",
        frame=frame,
        text=_sentence(journeys),
        alt="A row a path: its channels from left to right, and how many orders took it; the figures are in paths.csv.",
        draw=partial(commonest_paths_chart, frame, data.colours),
        finding=path_finding(frame),
    )


def roles(data: ReportData) -> Exhibit:
    """In which orders a channel is first, assists, or is last."""
    journeys = data.shown_journeys
    frame = channel_roles(journeys)
    few = folding(frame["channel_name"], data.colours).table(frame, channel_roles, journeys)
    text = _sentence(journeys)
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


def transitions(data: ReportData) -> Exhibit:
    """Which channel follows which."""
    journeys = data.shown_journeys
    names = channel_roles(journeys)["channel_name"]
    frame = transition_matrix(journeys, folding(names, data.colours, most=len(COLOURS)))
    return Exhibit(
        name="transitions",
        title="Channel transitions",
        frame=frame,
        alt="A grid: a row a channel, a column what follows it, in percent; the figures are in transitions.csv.",
        draw=partial(transitions_chart, frame),
        shown=lambda: table(frame.head(20)),
    )
