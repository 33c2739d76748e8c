"""Finished frames and sentences as HTML: headings from the glossary, figures to the right, every text escaped."""

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

# Shades of blue over whatever the ground is, so light that figures are well read on a light page and on a dark one.
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

    In: any frame whose columns the glossary knows; NaN is shown empty. `has_total` sets off the last row. The columns
    `heat` are shaded by value, but for the total; `intervals` names of a figure the columns of its bounds, which are
    then written behind it: 2.31 (1.90–2.80). The report's readers may sort the rows, unless `is_fixed`.
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
    styles: dict[Any, Any] = {
        name: _yes if is_bool_dtype(shown[name]) else _when if name in DATES else FORMATS[unit]
        for name, unit in units.items()
    }
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
    """What a column is measured in; texts and marks in nothing, whatever its name."""
    return heading(values.name)[1] if is_numeric_dtype(values) and not is_bool_dtype(values) else TEXT


def _yes(value: object) -> str:
    return "yes" if value else ""


def _when(text: str) -> str:
    """A date in words that a page can sort by; the text, escaped already, where it is as it stands in the data."""
    told = dated(text)
    return text if told == text else f'<time datetime="{text}">{escape(told)}</time>'


def _with_bounds(frame: pd.DataFrame, column: str, low: str, high: str) -> list[str]:
    """A figure and its bounds as one text; the figure alone where there are none."""
    write = FORMATS[heading(column)[1]]
    rows = zip(frame[column], frame[low], frame[high], strict=True)
    return [_interval(write, *row) for row in rows]


def _interval(write: Write, value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return ""
    if np.isnan(low) or np.isnan(high):
        return write(value)
    between = "–" if low >= 0 else " to "  # a dash before a minus sign is misread
    return f"{write(value)} ({write(low)}{between}{write(high)})"


def _shades(values: pd.Series[float], has_total: bool) -> list[str]:
    """A shade a cell, from none for the least value to DARKEST; none at all where all are equal or not known."""
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
    # Written into the notebook too, where the report's style sheet does not reach.
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
    """A table as HTML for a notebook, its texts to the left even where the notebook is not trusted.

    Jupyter then drops a table's style sheet, but not the style of a cell (https://jupyterlab.readthedocs.io).
    """
    html = styler.to_html()
    texts = set(re.findall(r'class="data row\d+ (col\d+) text', html))
    at = "|".join(texts) or "none"
    return re.sub(rf'(class="(?:col_heading level0|data row\d+) (?:{at})(?: text[^"]*)?")', rf"\1 {TO_THE_LEFT}", html)


def page_table(styler: Styler, key: str) -> str:
    """A table as HTML for a page: ids that begin with `key`, and the glossary's definitions at the headings."""
    html = styler.set_uuid(key).to_html().replace("<th id=", '<th scope="col" id=')
    return re.sub(r"(<th [^>]*>)([^<>]+)(</th>)", _defined, html)


def _defined(match: re.Match[str]) -> str:
    definition = DEFINITIONS.get(unescape(match[2]))
    inside = f'<abbr title="{escape(definition)}">{match[2]}</abbr>' if definition else match[2]
    return f"{match[1]}{inside}{match[3]}"


def reconciliation_table(lines: pd.DataFrame, section: str) -> Styler:
    """One section of the reconciliation: `line, count, amount`, totals set off."""
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
    """Decimals for counts of credit, none for counts of whole orders or rows."""
    return FORMATS[COUNT] if (counts == counts.round()).all() else FORMATS[CREDIT]


def glossary_table() -> Styler:
    """The definitions of all figures."""
    rows = [(term.heading, term.definition) for term in GLOSSARY.values()]
    frame = pd.DataFrame(rows, columns=["Term", "Definition"])
    return frame.style.hide(axis="index").set_table_attributes('class="ihc glossary fixed"').format(escape="html")
