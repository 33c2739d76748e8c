"""Changes since the last run, by cause."""

from __future__ import annotations

from functools import partial

from pandas.io.formats.style import Styler

from ihc.analysis.changes import largest_changes, revenue_changes, shown_changes
from ihc.charts.changes import changes_by_channel_chart
from ihc.exhibits.data import ReportData
from ihc.narrative.changes import changes_sentence, changes_title
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table


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
