"""Render charts as SVG and PNG, for files and for the page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ihc.charts.style import GREY, INK, PALE, styled
from ihc.formatting import printable
from ihc.report.files import write_whole
from ihc.report.told import told_by

PNG_DPI, SVG_DPI = 150, 72
FAST = {"compress_level": 1}  # PNG; higher levels hardly reduce the size of charts
NOTE = "note"  # id of the note below a chart
# Neutral colours of the charts on a dark page. The first is the background.
ON_DARK = {"#ffffff": "#111418", INK: "#e4e6e8", GREY: "#9aa0a6", PALE: "#3a4048"}


class Picture:
    """A chart with its layout, drawn once for files and page.

    `draw`: draws the figure; `alt`: text alternative; `note`: engine, parameters and dates, printed below the chart.
    """

    def __init__(self, draw: Callable[[], Figure], alt: str, note: str = "") -> None:
        self.alt = printable(alt)
        self._note = printable(note)
        self._figure = draw()
        self._figure.set_dpi(PNG_DPI)
        self._canvas = FigureCanvasAgg(self._figure)  # used for layout and PNG, so that text is measured once
        with styled([self._note]):
            self._lay_out()

    def _lay_out(self) -> None:
        """Run the layout once. `savefig` would repeat it for each format, which takes longer than drawing."""
        figure = self._figure
        note = figure.supxlabel(self._note, fontsize=8, color=GREY, x=0.01, ha="left", gid=NOTE) if self._note else None
        for axes in figure.axes:
            _place_empty_labels(axes)
        if figure.axes and (engine := figure.get_layout_engine()):
            engine.execute(figure)
        figure.set_layout_engine("none")
        height = figure.get_size_inches()[1]
        top = note.get_window_extent().y1 / figure.dpi if note else 0.0
        self.note_at = round(SVG_DPI * (height - top), 2)
        artists = {f"told-{number}": artist for number, artist in enumerate(told_by(figure))}
        self.told: dict[str, list[str]] = {gid: artist.told for gid, artist in artists.items()}
        for gid, artist in artists.items():
            artist.set_gid(gid)

    @cached_property
    def svg(self) -> bytes:
        """The chart as SVG on a light background."""
        stream = BytesIO()
        with styled([self._note]):
            # Without a date, the same table gives the same bytes.
            FigureCanvasSVG(self._figure).print_svg(stream, metadata={"Title": self.alt, "Date": None})
        self._figure.set_dpi(PNG_DPI)  # matplotlib leaves it at that of the SVG, and a later PNG would be small
        return stream.getvalue()

    @property
    def svg_file(self) -> bytes:
        """The chart as SVG that follows the reader's colour scheme."""
        return self.svg.replace(b"</style>", f"\n{dark_rules()}</style>".encode(), 1)

    @property
    def png_file(self) -> bytes:
        """The chart as PNG."""
        stream = BytesIO()
        title = self.alt.encode("latin-1", "replace").decode("latin-1")
        with styled([self._note]):
            self._canvas.print_png(stream, metadata={"Title": title}, pil_kwargs=FAST)
        return stream.getvalue()


def _place_empty_labels(axes: Axes) -> None:
    """Fix the places of empty axis labels: to find one, matplotlib measures all ticks, in each pass and format."""
    for axis in (axes.xaxis, axes.yaxis):
        if not axis.get_label_text():
            axis.set_label_coords(0, 0)


def write_chart(make: Callable[[], Picture], folder: Path, name: str) -> str:
    """Draw a chart and write it as `name.svg` and `name.png` into `folder`.

    A chart that fails does not stop the run: its files are deleted. Out: a sentence on the failure, otherwise empty.
    """
    svg, png = (folder / f"{name}.{kind}" for kind in ("svg", "png"))
    try:
        picture = make()
        images = picture.svg_file, picture.png_file
        for path, image in zip((svg, png), images, strict=True):
            write_whole(path, image)
    except Exception as error:
        for path in (svg, png):
            with suppress(OSError):
                path.unlink()  # it belongs to an earlier run
        return f"The chart {name} was not drawn ({reason(error)}). Its figures are in the tables and CSV files."
    return ""


def reason(error: Exception) -> str:
    """Return in one line why a chart could not be drawn."""
    # The text of an OSError starts with a number and names a temporary file.
    says = (error.strerror or "") if isinstance(error, OSError) else str(error)
    return printable(" ".join(f"{type(error).__name__}: {says}".split()))


def dark_rules(scope: str = "") -> str:
    """Write CSS rules for charts in a dark colour scheme. Channels keep their colours.

    `scope`: selector of the charts in the style sheet of a page.
    """
    rules = [
        # White text is on a coloured cell, which keeps its colour.
        f'{scope}{"*:not(text)" if light == "#ffffff" else ""}[style*="{what}: {light}"] {{{what}: {dark} !important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    ]
    rules.append(f'{scope}text:not([style*="fill:"]) {{fill: {ON_DARK[INK]}}}')
    return "@media screen and (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
