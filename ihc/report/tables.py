"""Style frames as HTML tables: glossary headings, right-aligned figures, escaped text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from html import escape, unescape
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from pandas.io.formats.style import Styler

from ihc.arrays.types import Booleans
from ihc.formatting import dated
from ihc.glossary import COUNT, CREDIT, FORMATS, GLOSSARY, TEXT, Write, heading

# Transparent shades of blue, light enough for figures to be legible on a light and a dark page.
HUE, DARKEST = "0, 114, 178", 0.4
TO_THE_LEFT = 'style="text-align: left"'
DATES = ("date", "week", "day", "month", "first_day", "last_day", "timestamp")
DEFINITIONS = {term.heading: term.definition for term in GLOSSARY.values()}


def table(
    frame: pd.DataFrame,
    *,
    has_total: bool = False,
    heat: Collection[str] = (),
    intervals: Mapping[str, tuple[str, str]] | None = None,
    is_fixed: bool = False,
) -> Styler:
    """Style a frame for notebook and report.

    In: any frame with columns of the glossary; NaN is empty. `has_total`: highlight the last row as the total.
    `heat`: columns to shade by value, except for the total. `intervals`: bounds by figure, written as 2.31 (1.90–2.80).
    `is_fixed`: readers of the page cannot sort the rows.
    """
    frame = frame.reset_index(drop=True)
    intervals = intervals or {}
    bounds = {bound for pair in intervals.values() for bound in pair}
    columns = [column for column in frame.columns if column not in bounds]
    units = {column: unit_of(frame[column]) for column in columns}
    figures = [column for column, unit in units.items() if unit != TEXT]
    texts = {name: _with_bounds(frame, name, *pair) for name, pair in intervals.items()}
    shown = frame[columns].assign(**texts)
    shades = pd.DataFrame({column: _shades(frame[column], has_total) for column in heat}, index=shown.index)
    styles: dict[Any, Any] = {name: _when if name in DATES else FORMATS[unit] for name, unit in units.items()}
    styles |= {name: lambda value: "yes" if value else "" for name in columns if is_bool_dtype(shown[name])}
    return (
        shown.style.hide(axis="index")
        .format_index(lambda column: heading(column)[0], axis="columns", escape="html")
        .format(styles | dict.fromkeys(texts, FORMATS[TEXT]), na_rep="", escape="html")
        .apply(lambda _: shades, subset=list(heat), axis=None)
        .set_td_classes(_classes(shown, figures, has_total & (shown.index == len(shown) - 1)))
        .set_table_attributes('class="ihc fixed"' if is_fixed else 'class="ihc"')
        .set_table_styles(_styles(shown, figures), overwrite=True)
    )


def unit_of(values: pd.Series[Any]) -> str:
    """Return the unit of a column; TEXT for text and boolean columns, whatever their name."""
    return heading(values.name)[1] if is_numeric_dtype(values) and not is_bool_dtype(values) else TEXT


def _when(text: str) -> str:
    """Write a date in the language of the report, sortable on the page; the escaped text itself if nothing changes."""
    told = dated(text)
    return text if told == text else f'<time datetime="{text}">{escape(told)}</time>'


def _with_bounds(frame: pd.DataFrame, column: str, low: str, high: str) -> list[str]:
    """Write figures with their bounds; without bounds, only the figure."""
    write = FORMATS[heading(column)[1]]
    rows = zip(frame[column], frame[low], frame[high], strict=True)
    return [_interval(write, *row) for row in rows]


def _interval(write: Write, value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return ""
    if np.isnan(low) or np.isnan(high):
        return write(value)
    between = "–" if low >= 0 else " to "  # a dash before a minus sign is confusing
    return f"{write(value)} ({write(low)}{between}{write(high)})"


def _shades(values: pd.Series[float], has_total: bool) -> list[str]:
    """Return the shade of each cell, from none (minimum) to DARKEST (maximum); none if all are equal or unknown."""
    figures = values.astype("float64").replace([np.inf, -np.inf], np.nan)
    figures = figures.where(pd.Series(range(len(figures))) < len(figures) - has_total)
    shares = (figures - figures.min()) / (figures.max() - figures.min())
    return [f"background-color: rgba({HUE}, {DARKEST * share:.3f})" if share > 0 else "" for share in shares]


def _classes(frame: pd.DataFrame, figures: Sequence[str], is_total: Booleans) -> pd.DataFrame:
    classes = pd.DataFrame("text", index=frame.index, columns=frame.columns)
    classes[list(figures)] = "figure"
    classes.loc[is_total] += " total"
    return classes


def _styles(frame: pd.DataFrame, figures: list[str]) -> list[Any]:
    # Needed in notebooks, which do not have the style sheet of the page.
    heads = [{"selector": f"th.col{frame.columns.get_loc(column)}", "props": "text-align: right"} for column in figures]
    return [
        {"selector": "td, th", "props": "text-align: left"},
        {
            "selector": "td.figure",
            "props": "text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums",
        },
        {"selector": "td.total", "props": "font-weight: bold; border-top: 1px solid"},
        *heads,
    ]


def notebook_table(styler: Styler) -> str:
    """Convert a table to HTML for a notebook, with left-aligned text even if the notebook is not trusted.

    Jupyter then drops the style sheet of a table, but not the style of a cell (https://jupyterlab.readthedocs.io).
    """
    html = styler.to_html()
    texts = set(re.findall(r'class="data row\d+ (col\d+) text', html))
    at = "|".join(texts) or "none"
    return re.sub(rf'(class="(?:col_heading level0|data row\d+) (?:{at})(?: text[^"]*)?")', rf"\1 {TO_THE_LEFT}", html)


def page_table(styler: Styler, key: str) -> str:
    """Convert a table to HTML for the page, with ids that start with `key` and definitions in the headings."""
    html = styler.set_uuid(key).to_html().replace("<th id=", '<th scope="col" id=')
    return re.sub(r"(<th [^>]*>)([^<>]+)(</th>)", _defined, html)


def _defined(match: re.Match[str]) -> str:
    definition = DEFINITIONS.get(unescape(match[2]))
    inside = f'<abbr title="{escape(definition)}">{match[2]}</abbr>' if definition else match[2]
    return f"{match[1]}{inside}{match[3]}"


def reconciliation_table(lines: pd.DataFrame, section: str) -> Styler:
    """Style one section of the reconciliation: `line, count, amount`, with highlighted totals."""
    part = lines[lines["section"] == section].reset_index(drop=True)
    headings = {"line": section, "count": part["counted"].iloc[0].capitalize(), "amount": "Amount"}
    frame = part[["line", "count", "amount"]]
    return (
        table(frame, is_fixed=True)
        .format(count_format(part["count"]), subset=["count"])
        .format_index(lambda column: headings[str(column)], axis="columns")
        .set_td_classes(_classes(frame, ["count", "amount"], (part["kind"] == "total").to_numpy()))
    )


def count_format(counts: pd.Series[float]) -> Write:
    """Return the number format: decimals for credit, none for whole orders or rows."""
    return FORMATS[COUNT] if (counts == counts.round()).all() else FORMATS[CREDIT]


def glossary_table() -> Styler:
    """Return the table of definitions."""
    rows = [(term.heading, term.definition) for term in GLOSSARY.values()]
    frame = pd.DataFrame(rows, columns=["Term", "Definition"])
    return frame.style.hide(axis="index").set_table_attributes('class="ihc glossary fixed"').format(escape="html")
