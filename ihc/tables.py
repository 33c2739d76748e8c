"""Finished frames and sentences as HTML: headings from the glossary, figures to the right, every text escaped."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
from IPython.display import HTML
from pandas.io.formats.style import Styler

from ihc.glossary import COUNT, CREDIT, FORMATS, GLOSSARY, TEXT, heading


def table(frame: pd.DataFrame, *, has_total: bool = False) -> Styler:
    """Style a frame for notebook and report.

    In: any frame whose columns the glossary knows; NaN is shown empty. `has_total` sets off the last row.
    """
    frame = frame.reset_index(drop=True)
    units = {column: heading(column)[1] for column in frame.columns}
    styler = frame.style.hide(axis="index").format_index(
        lambda column: heading(column)[0], axis="columns", escape="html"
    )
    for column, unit in units.items():
        styler = styler.format(FORMATS[unit], subset=[column], na_rep="", escape="html" if unit == TEXT else None)
    figures = [column for column, unit in units.items() if unit != TEXT]
    classes = pd.DataFrame("text", index=frame.index, columns=frame.columns)
    classes[figures] = "figure"
    if has_total and len(frame):
        classes.iloc[-1] += " total"
    return (
        styler.set_td_classes(classes)
        .set_table_attributes('class="ihc"')
        .set_table_styles(_styles(frame, figures), overwrite=True)
    )


def _styles(frame: pd.DataFrame, figures: list[str]) -> list[Any]:
    # Written into the notebook too, where the report's style sheet does not reach.
    heads = [{"selector": f"th.col{frame.columns.get_loc(column)}", "props": "text-align: right"} for column in figures]
    return [
        {"selector": "td, th", "props": "text-align: left"},
        {"selector": "td.figure", "props": "text-align: right; font-variant-numeric: tabular-nums"},
        {"selector": "td.total", "props": "font-weight: bold; border-top: 1px solid"},
        *heads,
    ]


def reconciliation_table(lines: pd.DataFrame, section: str) -> Styler:
    """One section of the reconciliation: `line, count, amount`, totals set off."""
    part = lines[lines["section"] == section].reset_index(drop=True)
    headings = {"line": section, "count": part["counted"].iloc[0].capitalize(), "amount": "Amount"}
    frame = part[["line", "count", "amount"]]
    is_total = part["kind"] == "total"
    classes = pd.DataFrame({"line": "text", "count": "figure", "amount": "figure"}, index=frame.index)
    return (
        table(frame)
        .format(count_format(part["count"]), subset=["count"])
        .format_index(lambda column: headings[str(column)], axis="columns")
        .set_td_classes(classes.where(~is_total, classes + " total", axis="index"))
    )


def count_format(counts: pd.Series[float]) -> str:
    """Decimals for counts of credit, none for counts of whole orders or rows."""
    return FORMATS[COUNT] if (counts == counts.round()).all() else FORMATS[CREDIT]


def glossary_table() -> Styler:
    """The definitions of all figures."""
    rows = [(term.heading, term.definition) for term in GLOSSARY.values()]
    frame = pd.DataFrame(rows, columns=["Term", "Definition"])
    return frame.style.hide(axis="index").set_table_attributes('class="ihc glossary"').format(escape="html")


def paragraph(*sentences: str, strong: bool = False) -> HTML:
    """Show generated sentences as a paragraph; names from the data stay plain text."""
    text = escape(" ".join(sentence for sentence in sentences if sentence))
    start = '<p class="warning">' if strong else "<p>"
    return HTML(f"{start}{text}</p>" if text else "")
