"""Style and fonts of charts. A chart is a function from a finished table to a figure; it calculates positions only."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from io import BytesIO
from typing import Any, Concatenate, ParamSpec, cast

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

from ihc.formatting import month_names
from ihc.schemas.tables import PHASES

# The colours of Okabe and Ito, safe for colour-blind readers (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "#767676"
INK, PALE = "#222222", "#dddddd"
PHASE_COLOURS = dict(zip(PHASES, (BLUE, SKY, ORANGE), strict=True))
MOST_PANELS = 12
WIDTH = 6.2  # inches; narrow, so that text is legible on a phone
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a $ in a channel name is not math
    "text.hinting": "none",  # not needed at 150 dpi, and a quarter faster
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
FIRST = "DejaVu Sans"  # ships with matplotlib
# Font family by letter, or "" if no font has it. Looked up once per process.
_FAMILIES: dict[str, str] = {}
P = ParamSpec("P")


@contextmanager
def styled(texts: Iterable[str] = ()) -> Iterator[None]:
    """Apply the style of all charts for drawing and saving, with fonts for the letters of `texts`."""
    with mpl.rc_context(STYLE | {"font.family": families(texts)}), warnings.catch_warnings():
        # `letters_sentence` reports missing letters once.
        warnings.filterwarnings("ignore", "(?s)Glyph .* missing from font|Matplotlib currently does not support")
        yield


class Drawing(Figure):
    """A figure that a notebook displays without pyplot."""

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        with styled():
            self.savefig(stream, format="png", dpi=2 * self.dpi)
        return stream.getvalue()


def chart(draw: Callable[Concatenate[Figure, pd.DataFrame, P], None]) -> Callable[..., Figure]:
    """Decorate a drawing function: pass it an empty styled figure, or write a sentence if the table has no rows.

    The chart takes the table, the arguments of the drawing function, and `ax`: axes to replace with the chart.
    """

    @wraps(draw)
    def drawn(frame: pd.DataFrame, *args: Any, ax: Axes | None = None, **kwargs: Any) -> Figure:
        with styled(_texts(frame, *args, *kwargs.values())):
            figure = Drawing(figsize=(WIDTH, 4)) if ax is None else _in_the_place_of(ax)
            if frame.empty:
                say(figure, "Nothing to show for these dates.")
            else:
                draw(figure, frame, *args, **kwargs)
        return figure

    return drawn


def _in_the_place_of(axes: Axes) -> Figure:
    """Replace axes with a subfigure, so that the chart can have several axes."""
    figure, place = axes.get_figure(), axes.get_subplotspec()
    if figure is None or place is None:
        raise ValueError("ax must be part of a grid, as from plt.subplots: these axes have no grid position.")
    axes.remove()
    part: Any = figure.add_subfigure(place)
    part.set_size_inches = lambda *_: None  # the grid sets the size
    part.get_size_inches = lambda: part.bbox.size / figure.dpi
    return cast("Figure", part)


def _texts(frame: pd.DataFrame, *others: object) -> set[str]:
    """Collect the texts that a chart may write: column names, text columns, and text arguments."""
    columns = frame.select_dtypes(exclude=["number", "bool"])
    texts = {str(value) for name in columns for value in columns[name].unique()}
    return {*map(str, frame.columns), *texts, *(other for other in others if isinstance(other, str))}


def say(figure: Figure, text: str) -> None:
    """Write a sentence instead of a chart."""
    figure.set_size_inches(WIDTH, 1.2)
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY)


def families(texts: Iterable[str]) -> list[str]:
    """Return the default font, and installed fonts for the letters of `texts` that it does not have."""
    letters = _letters([*texts, *month_names()])
    _look_up(letters)
    return [FIRST, *sorted({_FAMILIES[letter] for letter in letters} - {"", FIRST})]


def letters_without_font(texts: Iterable[str]) -> list[str]:
    """Return the letters of `texts` that no installed font has, sorted."""
    letters = _letters([*texts, *month_names()])
    _look_up(letters)
    return sorted(letter for letter in letters if not _FAMILIES[letter])


def _letters(texts: Iterable[str]) -> set[str]:
    """Return the letters that need a font: no spaces, control characters or variation selectors."""
    return {
        letter
        for letter in set().union(*texts)
        if unicodedata.category(letter)[0] not in "CZ"
        and not unicodedata.name(letter, "").startswith("VARIATION SELECTOR")
    }


def _look_up(letters: Collection[str]) -> None:
    left = {letter for letter in letters if letter not in _FAMILIES}
    for family, path in _fonts():
        if not left:
            return
        if has := _has(path, left):
            if not family:
                fontManager.addfont(path)
            _FAMILIES.update(dict.fromkeys(has, family or FT2Font(path).family_name))
            left -= has
    _FAMILIES.update(dict.fromkeys(left, ""))


def _fonts() -> Iterator[tuple[str, str]]:
    """Yield the font families that matplotlib knows, each with a file, the likeliest first; then unknown font files.

    Matplotlib caches its font list between runs, so fonts installed later are not in it. They have no family yet.
    """
    seen = set()
    for entry in sorted(fontManager.ttflist, key=_place):
        if entry.name not in seen and not entry.name.startswith((".", "Last")):  # fonts of boxes for every letter
            seen.add(entry.name)
            yield entry.name, entry.fname
    known = {entry.fname for entry in fontManager.ttflist}
    new = (path for path in findSystemFonts() if path not in known)
    yield from (("", path) for path in sorted(new, key=lambda path: ("Regular" not in path, "Sans" not in path, path)))


def _place(entry: Any) -> tuple[bool, bool, bool, str]:
    is_regular = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular")
    return entry.name != FIRST, not is_regular, "Sans" not in entry.name, entry.name


def _has(path: str, letters: Collection[str]) -> set[str]:
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # deleted, or an unreadable format
        return set()
    return {letter for letter in letters if font.get_char_index(ord(letter))}
