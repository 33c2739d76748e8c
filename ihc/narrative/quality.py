"""Sentences on the quality of the data."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from ihc.formatting import counted, some

MOST_LETTERS = 5


def far_sentence(rows: pd.DataFrame, orders: pd.DataFrame, days: Collection[str]) -> str:
    """Say what charts and tables over time leave out, as it lies on far days; empty where nothing does.

    In: `channel_reporting` and the conversions of the reported dates, and the `far_dates`.
    """
    sums, placed = rows[rows["date"].isin(days)], orders[orders["conv_date"].isin(days)]
    named = sorted({*sums["date"], *placed["conv_date"]})
    if not named:
        return ""
    which = "1 day that lies" if len(named) == 1 else f"{len(named):,} days that lie"
    return (
        f"Charts and tables over time leave out {which} years apart from all others ({some(named)}): "
        f"{sums['cost'].sum():,.2f} of cost, {sums['ihc_revenue'].sum():,.2f} of attributed revenue and "
        f"{counted(len(placed), 'order')}. All totals have them."
    )


def clean_sentence(findings: pd.DataFrame) -> str:
    """Name the checks that found nothing. In: `quality_findings`."""
    names = findings.loc[findings["count"] == 0, "check"]
    return f"{counted(len(names), 'check')} found nothing: {'; '.join(names)}." if len(names) else ""


def letters_sentence(missing: Sequence[str]) -> str:
    """Say which letters the PNG charts lack; empty where they have all. In: `letters_without_font`."""
    if not missing:
        return ""
    named = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in missing[:MOST_LETTERS])
    more = f" and {len(missing) - MOST_LETTERS:,} more" if len(missing) > MOST_LETTERS else ""
    boxes = "a box" if len(missing) == 1 else "boxes"
    return (
        f"No font on this machine has {named}{more}: PNG charts show {boxes} instead. The charts on this page use the "
        "fonts of your browser. Install a Noto font on this machine and run again."
    )
