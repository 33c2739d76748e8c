"""Exhibit: a table with its finding and chart."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ihc.formatting import counted, printable
from ihc.report.figures import Picture, write_chart
from ihc.report.tables import notebook_table, table

MOST_ROWS, FEW_ROWS = 50, 15  # maximum rows of a table on the page and in a notebook; the frame has all rows


@dataclass(frozen=True)
class Exhibit:
    """Part of a report: a table (`frame`), its findings (`text`) and an optional chart.

    - `name`: name of the file `<name>.csv`
    - `title`: topic
    - `finding`: title of the chart, with a number [default: the first sentence of `text`]
    - `alt`: description of the chart
    - `note`: printed below the chart
    - `draw`: draws the chart
    - `chart`: name of the chart file [default: `name`]
    - `shown`: creates the displayed table, for example with fewer rows or intervals in brackets [default: `frame`]
    """

    name: str
    title: str
    frame: pd.DataFrame
    text: str = ""
    alt: str = ""
    note: str = ""
    draw: Callable[..., Figure] | None = None
    chart: str = ""
    shown: Callable[[], Styler] | None = None
    finding: str = ""

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the chart as a new figure, or in place of `ax` on an existing figure.

        Raises ValueError if the exhibit has no chart.
        """
        if self.draw is None:
            raise ValueError(f"The exhibit {self.name!r} has no chart. Use .frame for its table.")
        return self.draw(ax=ax)

    def table(self, most: int = MOST_ROWS) -> Styler:
        """Return the displayed table with the headings of the glossary; up to `most` rows of the frame."""
        return self.shown() if self.shown else table(self.frame.head(most))

    @cached_property
    def picture(self) -> Picture:
        """The chart, drawn once for files and page. Raises ValueError if the exhibit has no chart."""
        return Picture(self.plot, self.described, self.note)

    @property
    def image(self) -> str:
        """The chart as HTML that needs no other file. Raises ValueError if the exhibit has no chart."""
        source = b64encode(self.picture.svg_file).decode()
        return f'<img src="data:image/svg+xml;base64,{source}" alt="{escape(self.described)}" style="max-width:44rem">'

    def write_chart(self, folder: Path) -> str:
        """Write the chart as SVG and PNG. Out: a sentence if it could not be drawn, otherwise empty."""
        return write_chart(lambda: self.picture, folder, self.chart_name)

    @property
    def described(self) -> str:
        """Text alternative of the chart."""
        return printable(self.alt or f"{self.title}. {self.text}")

    @property
    def headline(self) -> str:
        """Title of the chart on the page: its finding."""
        return printable(self.finding or first_sentence(self.text) or self.title)

    @property
    def details(self) -> str:
        """The text without the headline."""
        text = printable(self.text)
        return text if self.finding else text[len(first_sentence(text)) :].removeprefix(".").strip()

    @property
    def chart_name(self) -> str:
        """Name of the chart files."""
        return self.chart or self.name

    def _repr_html_(self) -> str:
        parts = [f"<h3>{escape(printable(self.title))}</h3>"]
        if self.text:
            parts.append(f"<p>{escape(printable(self.text))}</p>")
        if self.draw:
            parts.append(self.image)
        if not self.frame.empty:
            styled = self.table(FEW_ROWS)
            parts.append(notebook_table(styled))
            if (rows := len(styled.index)) < len(self.frame):
                parts.append(f"<p>{rows} of {counted(len(self.frame), 'row')} shown. Use .frame for all rows.</p>")
        return "\n".join(parts)

    def __repr__(self) -> str:
        rows = self.frame.head(MOST_ROWS).to_string(index=False)
        return "\n".join([self.title, *([self.text, ""] if self.text else []), rows])


def first_sentence(text: str) -> str:
    """Return the first sentence of a text without its full stop, to be used as a title."""
    head, dot, _ = text.partition(". ")
    return head if dot else text.rstrip(".")
