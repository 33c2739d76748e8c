"""Charts as files, SVG and PNG, and as images in a notebook and the report."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from html import escape
from io import BytesIO
from pathlib import Path

from IPython.display import HTML
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ihc.charts.style import GREY, INK, PALE, styled
from ihc.formatting import printable
from ihc.report.files import FAILED_CHART, write_whole

PNG_DPI = 150
# What the neutral colours of the charts become on a dark page, the ground of which is the first one.
ON_DARK = {"#ffffff": "#111418", INK: "#e4e6e8", GREY: "#9aa0a6", PALE: "#3a4048"}


def publish_chart(draw: Callable[[], Figure], folder: Path, name: str, *, alt: str, note: str = "") -> HTML:
    """Draw a chart, write it as `name.svg` and `name.png` into `folder`, and give it back for the notebook.

    `alt` says in words what the chart shows; `note` (engine, parameters, dates) is printed below it. A chart that
    cannot be drawn ends nothing: no file of its name is left, and a sentence is given back in its place, which
    `page.write_page` finds in the executed notebook.
    """
    files = {kind: folder / f"{name}.{kind}" for kind in ("svg", "png")}
    try:
        images = dict(zip(files, _images(draw, printable(alt), printable(note)), strict=True))
        for kind, path in files.items():
            write_whole(path, images[kind])
    except Exception as error:
        for path in files.values():
            with suppress(OSError):
                path.unlink()  # that of an earlier run is not of this one
        return _failed(name, error)
    source = "data:image/svg+xml;base64," + b64encode(images["svg"]).decode()
    return HTML(f'<figure><img src="{source}" alt="{escape(printable(alt))}"></figure>')


def _failed(name: str, error: Exception) -> HTML:
    # An OSError's own text begins with a number and names a file of the moment.
    says = (error.strerror or "") if isinstance(error, OSError) else str(error)
    reason = printable(" ".join(f"{type(error).__name__}: {says}".split()))
    sentence = f"The chart {name} was not drawn ({reason}). The tables and CSV files have its figures."
    return HTML(f'<p class="warning">{escape(sentence)}</p>', metadata={FAILED_CHART: sentence})


def _images(draw: Callable[[], Figure], alt: str, note: str) -> tuple[bytes, bytes]:
    figure = draw()
    with styled([note]):
        if note:
            figure.supxlabel(note, fontsize=8, color=GREY, x=0.01, ha="left")
        # Laid out once, and not anew by `savefig` for each format, which takes longer than the drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return _svg(figure, alt), _png(figure, alt)


def _svg(figure: Figure, alt: str) -> bytes:
    stream = BytesIO()
    # Without a date the same table gives the same bytes.
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Title": alt, "Date": None})
    return stream.getvalue().replace(b"</style>", f"\n{_dark_rules()}</style>".encode(), 1)


def _png(figure: Figure, alt: str) -> bytes:
    stream = BytesIO()
    figure.set_dpi(PNG_DPI)
    FigureCanvasAgg(figure).print_png(stream, metadata={"Title": alt.encode("latin-1", "replace").decode("latin-1")})
    return stream.getvalue()


def _dark_rules() -> str:
    """Let an SVG follow the reader's dark scheme, as an image in a page does too; channels keep their colours."""
    rules = [
        # White text stands in a coloured cell, which stays as it is.
        f'{"*:not(text)" if light == "#ffffff" else ""}[style*="{what}: {light}"] {{{what}: {dark} !important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    ]
    rules.append(f'text:not([style*="fill:"]) {{fill: {ON_DARK[INK]}}}')
    return "@media screen and (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
