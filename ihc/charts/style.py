"""One function a chart: a finished table in, a matplotlib figure out. Charts compute nothing but positions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ihc.charts.fonts import families
from ihc.formatting import shown

# Okabe and Ito's colours, told apart by colour-blind readers (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "#767676"
INK, PALE = "#222222", "#dddddd"
MOST_PANELS = 12
LINEAR = 0.1  # ROAS below which the scale of powers of ten is straight
WIDTH = 6.2  # inches; narrow, so that the text is still read on a phone
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # names are data: a $ in one is a $
    "svg.fonttype": "none",
    "svg.hashsalt": "ihc",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
}
P = ParamSpec("P")


def _amount(value: float, _place: int) -> str:
    """A tick of an axis of amounts or counts: 0.5, 1,000, 2.5 M."""
    value += 0.0  # a minus zero becomes a plain one
    return f"{value / 1e6:,.10g} M" if abs(value) >= 1e6 else f"{value:,.10g}"


AMOUNTS = FuncFormatter(_amount)


@contextmanager
def styled(texts: Iterable[str] = ()) -> Iterator[None]:
    """The look of all charts, for drawing and for saving them, with fonts for the letters of `texts`."""
    with mpl.rc_context(STYLE | {"font.family": families(texts)}), warnings.catch_warnings():
        # Said once, by `letters_sentence`.
        warnings.filterwarnings("ignore", "(?s)Glyph .* missing from font|Matplotlib currently does not support")
        yield


def chart(
    draw: Callable[Concatenate[Figure, pd.DataFrame, P], None],
) -> Callable[Concatenate[pd.DataFrame, P], Figure]:
    """Give a drawing function an empty styled figure, and say so where the table has no rows."""

    @wraps(draw)
    def drawn(frame: pd.DataFrame, *args: P.args, **kwargs: P.kwargs) -> Figure:
        with styled(_texts(frame, *args, *kwargs.values())):
            figure = Figure(figsize=(WIDTH, 4))
            if frame.empty:
                figure.set_size_inches(WIDTH, 1.2)
                figure.text(0.5, 0.5, "Nothing to show for these dates.", ha="center", va="center", color=GREY)
            else:
                draw(figure, frame, *args, **kwargs)
        return figure

    return cast("Callable[Concatenate[pd.DataFrame, P], Figure]", drawn)


def _texts(frame: pd.DataFrame, *others: object) -> set[str]:
    """What a chart may write: the frame's names and texts, and others that are texts."""
    columns = frame.select_dtypes(exclude=["number", "bool"])
    texts = {str(value) for name in columns for value in columns[name].unique()}
    return {*map(str, frame.columns), *texts, *(other for other in others if isinstance(other, str))}


def name_rows(axes: Axes, names: pd.Series[str], limit: int = 26) -> range:
    """Rows with the channels' names, each cut to `limit` characters, the first on top."""
    places = range(len(names))
    axes.set_yticks(places, labels=[shown(name, limit) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    return places


def power_scale(axis: XAxis | YAxis) -> None:
    """Powers of ten, but straight below LINEAR, so that 0 has a place: ROAS spans 0.05 and 1,000 in one shop."""
    set_scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    set_scale("symlog", linthresh=LINEAR, linscale=0.5)
    axis.set_major_locator(FixedLocator([-100, -10, -1, 0, 0.1, 1, 10, 100, 1_000, 10_000, 100_000]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def short(value: float) -> str:
    """An amount in four characters or so: 950, 28.1k, 1.2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.1f}{letter}"
    return f"{value:.0f}"
