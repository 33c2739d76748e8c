"""Reconciliation of orders, credit and spend, spend without credit, and untracked orders."""

from __future__ import annotations

from functools import partial

from ihc.analysis.completeness import waterfall, without_credit_by_channel, without_credit_by_day
from ihc.analysis.reconciliation import COST, CREDIT, ORDERS
from ihc.charts.completeness import cost_without_credit_chart, unattributed_by_day_chart, waterfall_chart
from ihc.exhibits.data import ReportData
from ihc.formatting import fixed
from ihc.narrative.completeness import alone_sentence, completeness_sentence
from ihc.narrative.run import costless_sentence, orders_sentence, restarted_sentence
from ihc.quality.clocks import without
from ihc.report.exhibit import Exhibit
from ihc.report.tables import reconciliation_table, table

WATERFALLS = {ORDERS: "waterfall", CREDIT: "waterfall_credit", COST: "waterfall_cost"}


def reconciliation(data: ReportData, section: str = ORDERS) -> Exhibit:
    """A section of the reconciliation: orders, credit or cost, from input tables to report."""
    lines = data.reconciliation
    bars = waterfall(lines, section)
    restarted = restarted_sentence(data.results.outcomes, data.orders)
    text = f"{orders_sentence(lines)} {restarted}".strip() if section == ORDERS else ""
    unit = "revenue" if section in (ORDERS, CREDIT) else "spend"
    return Exhibit(
        name="reconciliation",
        chart=WATERFALLS[section],
        title=f"Reconciliation: {'spend' if section == COST else section.lower()}",
        frame=lines,
        text=text,
        alt=f"Waterfall chart of {unit}, from input tables to report. {text}",
        note=data.note,
        draw=partial(waterfall_chart, bars, currency=data.options.money),
        shown=lambda: reconciliation_table(lines, section),
    )


def without_credit(data: ReportData) -> Exhibit:
    """Spend on sessions without credit, by channel."""
    by_channel = without_credit_by_channel(data.visits, **data.window)
    few = data.few.table(by_channel, without_credit_by_channel, data.visits, **data.window, has_total=True)
    sentences = [
        completeness_sentence(data.reconciliation, by_channel),
        alone_sentence(data.spend_alone),
        costless_sentence(data.tables.sessions, data.tables.costs),
    ]
    text = " ".join(filter(None, sentences))
    return Exhibit(
        name="without_credit",
        chart="cost_without_credit",
        title="Spend without credit",
        frame=by_channel,
        text=text,
        alt=f"One bar per channel: spend on sessions with and without credit. {text}",
        note=data.note,
        draw=partial(cost_without_credit_chart, few.iloc[:-1], currency=data.options.money),
        shown=lambda: table(few, has_total=True),
    )


def untracked(data: ReportData) -> Exhibit:
    """Revenue of untracked orders by day. Consecutive days with high amounts suggest broken tracking."""
    by_day = without_credit_by_day(
        data.visits, data.tables.conversions, data.results.credits, data.results.outcomes, **data.window
    )
    drawn = without(by_day[by_day["orders"] > 0], "day", data.far)
    orders, revenue = int(by_day["unattributed_orders"].sum()), by_day["unattributed_revenue"].sum()
    return Exhibit(
        name="without_credit_by_day",
        chart="unattributed_by_day",
        title="Untracked revenue by day",
        frame=by_day,
        text=f"Untracked orders: {fixed(orders)}, with {fixed(revenue, 2)} of revenue.",
        alt="Bar chart by day: revenue of untracked orders. The figures are in without_credit_by_day.csv.",
        note=data.note,
        draw=partial(unattributed_by_day_chart, drawn, currency=data.options.money),
    )
