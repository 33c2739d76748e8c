"""Charts as SVG and PNG: as files, and as text for a page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ihc.charts.style import GREY, INK, PALE, styled
from ihc.formatting import printable
from ihc.report.files import write_whole

PNG_DPI = 150
# What the neutral colours of the charts become on a dark page, the ground of which is the first one.
ON_DARK = {"#ffffff": "#111418", INK: "#e4e6e8", GREY: "#9aa0a6", PALE: "#3a4048"}


def chart_svg(draw: Callable[[], Figure], alt: str, note: str = "") -> bytes:
    """Draw a chart as SVG; `alt` says in words what it shows, `note` is printed below it."""
    figure = laid_out(draw, printable(note))
    with styled([note]):
        return _with_dark(svg_bytes(figure, printable(alt)))


def write_chart(draw: Callable[[], Figure], folder: Path, name: str, *, alt: str, note: str = "") -> str:
    """Draw a chart and write it as `name.svg` and `name.png` into `folder`.

    `alt` says in words what the chart shows; `note` (engine, parameters, dates) is printed below it. A chart that
    cannot be drawn ends nothing: no file of its name is left, and a sentence is given back; empty where all went well.
    """
    svg, png = (folder / f"{name}.{kind}" for kind in ("svg", "png"))
    try:
        figure = laid_out(draw, printable(note))
        with styled([note]):
            images = _with_dark(svg_bytes(figure, printable(alt))), _png(figure, printable(alt))
        for path, image in zip((svg, png), images, strict=True):
            write_whole(path, image)
    except Exception as error:
        for path in (svg, png):
            with suppress(OSError):
                path.unlink()  # that of an earlier run is not of this one
        return f"The chart {name} was not drawn ({reason(error)}). The tables and CSV files have its figures."
    return ""


def reason(error: Exception) -> str:
    """Why a chart could not be drawn, in a line."""
    # An OSError's own text begins with a number and names a file of the moment.
    says = (error.strerror or "") if isinstance(error, OSError) else str(error)
    return printable(" ".join(f"{type(error).__name__}: {says}".split()))


def laid_out(draw: Callable[[], Figure], note: str = "") -> Figure:
    """Draw a figure and settle where all is; `note` is printed below it."""
    figure = draw()
    with styled([note]):
        if note:
            figure.supxlabel(note, fontsize=8, color=GREY, x=0.01, ha="left")
        # Laid out once, and not anew by `savefig` for each format, which takes longer than the drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def svg_bytes(figure: Figure, alt: str) -> bytes:
    """The figure as SVG; call it in the look of charts."""
    stream = BytesIO()
    # Without a date the same table gives the same bytes.
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Title": alt, "Date": None})
    return stream.getvalue()


def _with_dark(svg: bytes) -> bytes:
    return svg.replace(b"</style>", f"\n{dark_rules()}</style>".encode(), 1)


def _png(figure: Figure, alt: str) -> bytes:
    stream = BytesIO()
    figure.set_dpi(PNG_DPI)
    FigureCanvasAgg(figure).print_png(stream, metadata={"Title": alt.encode("latin-1", "replace").decode("latin-1")})
    return stream.getvalue()


def dark_rules(scope: str = "") -> str:
    """Let an SVG follow the reader's dark scheme, as an image in a page does too; channels keep their colours.

    `scope`: a selector of the charts, in the style sheet of a page.
    """
    rules = [
        # White text stands in a coloured cell, which stays as it is.
        f'{scope}{"*:not(text)" if light == "#ffffff" else ""}[style*="{what}: {light}"] {{{what}: {dark} !important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    ]
    rules.append(f'{scope}text:not([style*="fill:"]) {{fill: {ON_DARK[INK]}}}')
    return "@media screen and (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
