"""An exhibit: a table, what it shows in a sentence, and a chart, as one thing."""

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

MOST_ROWS, FEW_ROWS = 50, 15  # of a table on a page, and in a notebook; the frame has all


@dataclass(frozen=True)
class Exhibit:
    """Something that a report shows: `frame`, the table; `text`, the finding; and a chart, where one helps.

    `name`: of its file, `<name>.csv`; `title`: what it is about; `finding`: what it shows, with a number, where that is
    not the first sentence of the text; `alt`: the chart in words; `note`: printed below the
    chart; `draw`: makes the chart; `chart`: the name of its file, where that is not `name`; `shown`: makes the table
    that is shown, where that is another than the frame: fewer rows, intervals in brackets.
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
        """Draw the chart as a figure of its own, or in the place of `ax`, on a figure of yours.

        Raises ValueError where the exhibit has no chart.
        """
        if self.draw is None:
            raise ValueError(f"The exhibit {self.name!r} has no chart: its table is in .frame.")
        return self.draw(ax=ax)

    def table(self, most: int = MOST_ROWS) -> Styler:
        """The table as it is shown, under the headings of the glossary; of the frame up to `most` rows."""
        return self.shown() if self.shown else table(self.frame.head(most))

    @cached_property
    def picture(self) -> Picture:
        """The chart, drawn once for its files and for pages. Raises ValueError where the exhibit has no chart."""
        return Picture(self.plot, self.described, self.note)

    def write_chart(self, folder: Path) -> str:
        """Write the chart as SVG and PNG; a sentence where it could not be drawn, which is no error."""
        return write_chart(lambda: self.picture, folder, self.chart_name)

    @property
    def described(self) -> str:
        """The chart in words, for those who do not see it."""
        return printable(self.alt or f"{self.title}. {self.text}")

    @property
    def headline(self) -> str:
        """What the chart shows: its title on a page."""
        return printable(self.finding or first_sentence(self.text) or self.title)

    @property
    def details(self) -> str:
        """What the text says beside the headline."""
        text = printable(self.text)
        return text if self.finding else text[len(first_sentence(text)) :].removeprefix(".").strip()

    @property
    def chart_name(self) -> str:
        """The name of the chart's files."""
        return self.chart or self.name

    def _repr_html_(self) -> str:
        parts = [f"<h3>{escape(printable(self.title))}</h3>"]
        if self.text:
            parts.append(f"<p>{escape(printable(self.text))}</p>")
        if self.draw:
            source = b64encode(self.picture.svg_file).decode()
            parts.append(
                f'<img src="data:image/svg+xml;base64,{source}" alt="{escape(self.described)}" style="max-width:44rem">'
            )
        if not self.frame.empty:
            parts.append(notebook_table(self.table(FEW_ROWS)))
            if not self.shown and len(self.frame) > FEW_ROWS:
                parts.append(f"<p>The first {FEW_ROWS} of {counted(len(self.frame), 'row')}; .frame has them all.</p>")
        return "\n".join(parts)

    def __repr__(self) -> str:
        rows = self.frame.head(MOST_ROWS).to_string(index=False)
        return "\n".join([self.title, *([self.text, ""] if self.text else []), rows])


def first_sentence(text: str) -> str:
    """The first sentence of a text, without its full stop: a title that says what was found."""
    head, dot, _ = text.partition(". ")
    return head if dot else text.rstrip(".")
