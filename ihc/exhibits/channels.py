"""Channel performance: spend, revenue, confidence intervals, break-even, phases and conversion types."""

from __future__ import annotations

from functools import partial

from ihc.analysis.bootstrap import with_intervals
from ihc.analysis.break_even import by_cost, by_roas
from ihc.analysis.channels import by_channel_and_type, by_type, phase_shares
from ihc.charts.break_even import roas_by_channel_chart, room_to_break_even_chart
from ihc.charts.channels import cost_against_revenue_chart, credit_against_cost_chart, phases_by_channel_chart
from ihc.exhibits.data import ReportData
from ihc.journeys.credits import with_phases
from ihc.narrative.break_even import break_even_sentence, headroom_finding
from ihc.narrative.channels import intervals_sentence, phases_sentence, types_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.refunds import purchases

SHOWN = (
    *("channel_name", "cost", "ihc", "ihc_revenue", "CPO", "ROAS", "share_of_credit", "share_of_cost"),
    *("influenced_conversions", "sessions", "ROAS_low", "ROAS_high"),
)
WITH_BOUNDS = {"ROAS": ("ROAS_low", "ROAS_high")}

TYPES, CHANNEL_TYPES = "conversion_types", "channel_conversion_types"


def channels(data: ReportData) -> Exhibit:
    """One row per channel: spend, attributed orders and revenue, CPO, ROAS with its confidence interval."""
    bounded = with_intervals(data.few_summary, data.few_intervals)
    shares = ["share_of_credit", "share_of_cost"]
    text = break_even_sentence(data.verdicts, data.options.break_even_roas)
    return Exhibit(
        name="channel_summary",
        chart="roas_by_channel",
        title="ROAS by channel",
        frame=data.summary,
        text=text,
        alt=f"One dot per channel: ROAS, with the confidence interval as a line. {text}",
        note=data.note,
        draw=partial(roas_by_channel_chart, by_roas(data.few_verdicts), data.colours, data.options.break_even_roas),
        shown=lambda: table(bounded[list(SHOWN)], has_total=True, heat=shares, intervals=WITH_BOUNDS),
    )


def intervals(data: ReportData) -> Exhibit:
    """Confidence intervals of the channels' figures, and share of credit compared with share of spend."""
    bounded = with_intervals(data.few_summary, data.few_intervals)
    return Exhibit(
        name="channel_intervals",
        chart="credit_against_cost",
        title="Share of credit and share of spend",
        frame=data.intervals,
        text=intervals_sentence(data.summary, data.intervals),
        alt="One dot per channel with its confidence interval: share of credit. A diamond: share of spend.",
        note=data.note,
        draw=partial(credit_against_cost_chart, bounded.iloc[:-1], data.colours),
        shown=lambda: table(data.few_intervals, has_total=True),
    )


def break_even(data: ReportData) -> Exhibit:
    """Break-even spend and headroom of each channel."""
    text = break_even_sentence(data.verdicts, data.options.break_even_roas)
    few = data.few.only(by_cost(data.few_verdicts))
    return Exhibit(
        name="break_even",
        chart="room_to_break_even",
        title="Headroom to break-even",
        frame=data.verdicts,
        text=text,
        alt=f"One bar per channel, from its spend to its break-even spend. {text}",
        note=data.note,
        draw=partial(room_to_break_even_chart, few, currency=data.options.money),
        shown=lambda: table(data.few_verdicts, intervals=WITH_BOUNDS),
        finding=headroom_finding(data.few_verdicts),
    )


def spend_and_revenue(data: ReportData) -> Exhibit:
    """Spend and attributed revenue of each channel."""
    few = data.few_summary
    return Exhibit(
        name="channel_summary",
        chart="cost_against_revenue",
        title="Spend and attributed revenue by channel",
        frame=data.summary,
        alt="Two bars per channel: spend and attributed revenue. The figures are in the channel table.",
        note=data.note,
        draw=partial(cost_against_revenue_chart, few.iloc[:-1], currency=data.options.money),
        shown=lambda: table(few[["channel_name", "cost", "ihc_revenue"]], has_total=True),
    )


def phases(data: ReportData) -> Exhibit:
    """Credit of each channel by phase: initializer, holder, closer."""
    phased = with_phases(purchases(data.reported), data.source.phases)
    shares = phase_shares(phased)
    few = data.few.table(shares, phase_shares, phased)
    text = phases_sentence(shares)
    return Exhibit(
        name="channel_phases",
        chart="phases_by_channel",
        title="Channel roles by phase",
        frame=shares,
        text=text,
        alt=f"One bar per channel: its credit by phase. {text}",
        note=data.note,
        draw=partial(phases_by_channel_chart, few),
        shown=lambda: table(few),
    )


def conversion_types(data: ReportData) -> Exhibit:
    """One row per conversion type: orders, untracked orders, revenue, attributed orders and revenue."""
    frame = by_type(data.tables.conversions, data.orders, data.results.outcomes, data.reported)
    return Exhibit(
        name=TYPES,
        title="Conversion types",
        frame=frame,
        text=types_sentence(frame),
        note=data.note,
        shown=lambda: table(frame, has_total=True),
    )


def channel_conversion_types(data: ReportData) -> Exhibit:
    """One row per channel and conversion type: attributed orders and revenue."""
    return Exhibit(
        name=CHANNEL_TYPES,
        title="Channels by conversion type",
        frame=by_channel_and_type(data.tables.conversions, data.reported),
        note=data.note,
    )
