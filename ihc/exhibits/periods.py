"""Key figures, trends, conversion lag, and changes since the last run."""

from __future__ import annotations

from functools import partial

from pandas.io.formats.style import Styler

from ihc.analysis.changes import largest_changes, revenue_changes, shown_changes
from ihc.analysis.maturity import immature_from, lookback_of_credit
from ihc.analysis.periods import period_totals, previous_window
from ihc.analysis.reporting import material, with_ratios
from ihc.charts.changes import changes_by_channel_chart
from ihc.charts.maturity import credit_lag_chart
from ihc.charts.periods import cost_and_revenue_chart, revenue_by_week_chart, roas_over_time_chart
from ihc.charts.style import MOST_PANELS
from ihc.exhibits.data import ReportData
from ihc.narrative.changes import changes_sentence, changes_title
from ihc.narrative.maturity import (
    credit_lookback_sentence,
    early_sentence,
    lag_sentence,
    maturity_sentence,
    reach_sentence,
)
from ihc.narrative.periods import (
    change_sentence,
    day_finding,
    spend_sentence,
    trend_finding,
    trend_sentence,
    week_finding,
)
from ihc.quality.clocks import far_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table


def key_figures(data: ReportData) -> Exhibit:
    """Revenue, orders, spend, CPO and ROAS, compared with the previous period."""
    period = data.settings.start_date, data.settings.end_date
    earlier = previous_window(**data.window)
    changed = change_sentence(data.figures, period, earlier, immature_from=immature_from(data.ages))
    return Exhibit(
        name="key_figures",
        title="Key figures",
        frame=data.figures,
        text=f"{spend_sentence(data.figures)} {changed}",
        note=data.note,
    )


def weekly(data: ReportData) -> Exhibit:
    """Attributed revenue by week and channel."""
    began = str(data.placed["conv_date"].min())
    since = data.weekly[data.weekly["week"] >= began]
    text = trend_sentence(since, immature_from=immature_from(data.ages))
    return Exhibit(
        name="channel_weekly",
        chart="revenue_by_week",
        title="Attributed revenue by week",
        frame=data.weekly,
        text=text,
        alt=f"One bar per week: attributed revenue by channel. Pale: partial weeks. {text}",
        note=data.note,
        draw=partial(revenue_by_week_chart, data.weekly, data.colours, currency=data.options.money),
        finding=week_finding(since),
    )


def daily(data: ReportData) -> Exhibit:
    """Spend and attributed revenue by day; incomplete days are shaded."""
    left = far_sentence(data.inside(data.all_days), data.orders, data.far)
    reach = reach_sentence(data.lags, data.arrivals) if data.ages["arrived"].notna().any() else ""
    early = early_sentence(data.rows, data.placed)
    totals = period_totals(data.rows, "day")
    text = " ".join(filter(None, [maturity_sentence(data.ages), reach, left, early]))
    return Exhibit(
        name="days",
        chart="cost_and_revenue",
        title="Spend and attributed revenue by day",
        frame=data.ages,
        text=text,
        alt=f"Two lines by day: spend and attributed revenue. {text}",
        note=data.note,
        draw=partial(cost_and_revenue_chart, totals, data.ages, currency=data.options.money),
        finding=trend_finding(totals, data.ages),
    )


def roas_by_day(data: ReportData) -> Exhibit:
    """ROAS by day of the channels with the most spend. The frame is `channel_reporting` of the dates."""
    names = material(data.summary)["channel_name"].head(MOST_PANELS).tolist()
    young = data.ages.loc[data.ages["is_immature"], "date"].tolist()
    drawn = data.rows[data.rows["channel_name"].isin(names)]
    frame = with_ratios(data.inside(data.reporting))
    return Exhibit(
        name="channel_reporting",
        chart="roas_over_time",
        title="ROAS by day",
        frame=frame,
        text="",
        alt=f"One small line chart per channel: ROAS by day, for the {len(names)} with the most spend.",
        note=data.note,
        draw=partial(roas_over_time_chart, drawn, names, data.colours, young, data.options.break_even_roas),
        shown=lambda: table(frame.head(20)),
        finding=day_finding(data.rows, names),
    )


def lag(data: ReportData) -> Exhibit:
    """Conversion lag: days from a session to the order that gives it credit."""
    is_unlimited = data.sources["lookback_days"].isna().all()
    lookback = credit_lookback_sentence(lookback_of_credit(data.lags)) if is_unlimited else ""
    text = lag_sentence(data.lags)
    return Exhibit(
        name="credit_lag",
        title="Conversion lag",
        frame=data.lags,
        text=f"{text} {lookback}".strip(),
        alt=f"Step chart: cumulative share of credit by conversion lag. {text}",
        note=data.note,
        draw=partial(credit_lag_chart, data.lags, data.arrivals),
    )


def changes(data: ReportData) -> Exhibit:
    """Change in attributed revenue by channel and cause since the last recorded run."""
    found = data.changes
    text = changes_sentence(found, data.last_run, data.this_run)
    is_moved = len(found.causes) > 0 or bool(found.channels[["cost_change", "cost_dates"]].any(axis=None))

    def shown() -> Styler:
        rows = shown_changes(found.channels) if is_moved else found.channels.tail(1)
        return table(revenue_changes(rows), has_total=True)

    return Exhibit(
        name="changes",
        chart="changes_by_channel",
        title="What changed since the last run",
        frame=found.channels,
        text=text,
        alt=f"One bar per channel: the change in attributed revenue by cause. {text}",
        note=data.note,
        draw=partial(changes_by_channel_chart, largest_changes(found.channels), currency=data.options.money)
        if is_moved
        else None,
        finding=changes_title(found.channels) if is_moved else "",
        shown=shown if len(found.channels) else None,
    )
