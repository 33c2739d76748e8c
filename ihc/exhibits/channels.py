"""The channels: what they earn and cost, how sure that is, and where in the journeys they work."""

from __future__ import annotations

from functools import partial

from ihc.analysis.bootstrap import with_intervals
from ihc.analysis.break_even import by_cost, by_roas
from ihc.analysis.channels import phase_shares
from ihc.charts.break_even import roas_by_channel_chart, room_to_break_even_chart
from ihc.charts.channels import cost_against_revenue_chart, credit_against_cost_chart, phases_by_channel_chart
from ihc.exhibits.data import ReportData
from ihc.journeys.credits import with_phases
from ihc.narrative.bootstrap import intervals_sentence
from ihc.narrative.break_even import break_even_sentence, headroom_finding
from ihc.narrative.channels import phases_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.refunds import purchases

SHOWN = (
    *("channel_name", "cost", "ihc", "ihc_revenue", "CPO", "ROAS", "share_of_credit", "share_of_cost"),
    *("influenced_conversions", "sessions", "ROAS_low", "ROAS_high"),
)
WITH_BOUNDS = {"ROAS": ("ROAS_low", "ROAS_high")}


def channels(data: ReportData) -> Exhibit:
    """One row per channel: spend, attributed orders and revenue, CPO, ROAS with its interval."""
    bounded = with_intervals(data.few_summary, data.few_intervals)
    shares = ["share_of_credit", "share_of_cost"]
    text = break_even_sentence(data.verdicts, data.options.break_even_roas)
    return Exhibit(
        name="channel_summary",
        chart="roas_by_channel",
        title="ROAS by channel",
        frame=data.summary,
        text=text,
        alt=f"A dot a channel: its ROAS, with the interval as a line. {text}",
        note=data.note,
        draw=partial(roas_by_channel_chart, by_roas(data.few_verdicts), data.colours, data.options.break_even_roas),
        shown=lambda: table(bounded[list(SHOWN)], has_total=True, heat=shares, intervals=WITH_BOUNDS),
    )


def intervals(data: ReportData) -> Exhibit:
    """How far sampling noise moves the channels' figures, and their share of credit against their share of spend."""
    bounded = with_intervals(data.few_summary, data.few_intervals)
    return Exhibit(
        name="channel_intervals",
        chart="credit_against_cost",
        title="Share of credit and share of spend",
        frame=data.intervals,
        text=intervals_sentence(data.summary, data.intervals),
        alt="A dot a channel with its interval: its share of credit; a diamond: its share of spend.",
        note=data.note,
        draw=partial(credit_against_cost_chart, bounded.iloc[:-1], data.colours),
        shown=lambda: table(data.few_intervals, has_total=True),
    )


def break_even(data: ReportData) -> Exhibit:
    """The spend at which each channel breaks even, and its headroom."""
    text = break_even_sentence(data.verdicts, data.options.break_even_roas)
    few = data.few.only(by_cost(data.few_verdicts))
    return Exhibit(
        name="break_even",
        chart="room_to_break_even",
        title="Headroom to break-even",
        frame=data.verdicts,
        text=text,
        alt=f"A bar a channel from its spend to the spend at which it breaks even. {text}",
        note=data.note,
        draw=partial(room_to_break_even_chart, few, currency=data.options.money),
        shown=lambda: table(data.few_verdicts, intervals=WITH_BOUNDS),
        finding=headroom_finding(data.few_verdicts),
    )


def spend_and_revenue(data: ReportData) -> Exhibit:
    """Spend against attributed revenue, in money."""
    few = data.few_summary
    return Exhibit(
        name="channel_summary",
        chart="cost_against_revenue",
        title="Spend and attributed revenue by channel",
        frame=data.summary,
        alt="Two bars a channel: its spend and its attributed revenue; the figures are in the table of channels.",
        note=data.note,
        draw=partial(cost_against_revenue_chart, few.iloc[:-1], currency=data.options.money),
        shown=lambda: table(few[["channel_name", "cost", "ihc_revenue"]], has_total=True),
    )


def phases(data: ReportData) -> Exhibit:
    """Where in the journeys channels work: starting, holding, closing."""
    phased = with_phases(purchases(data.reported), data.source.phases)
    shares = phase_shares(phased)
    few = data.few.table(shares, phase_shares, phased)
    text = phases_sentence(shares)
    return Exhibit(
        name="channel_phases",
        chart="phases_by_channel",
        title="Where channels work",
        frame=shares,
        text=text,
        alt=f"A bar a channel, divided by phase. {text}",
        note=data.note,
        draw=partial(phases_by_channel_chart, few),
        shown=lambda: table(few),
    )
