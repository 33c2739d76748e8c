"""Tooltips for the marks of a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from ihc.charts.marks import SHARES, UP_TO_ALL
from ihc.formatting import fixed, percentage


def told_by(figure: Figure) -> Iterator[Any]:
    """Yield the artists with tooltips. Bars and dots of rows get the row's name and value."""
    for axes in figure.axes:
        low, high = axes.get_ylim()
        names = [label.get_text() for label in axes.get_yticklabels()]
        if low > high and len(names) >= low - high - 0.3:  # the axis of rows points down
            _tell_rows(axes, names)
    yield from figure.findobj(lambda artist: hasattr(artist, "told"))


def _tell_rows(axes: Axes, names: Sequence[str]) -> None:
    write = _writer(axes)
    for container in axes.containers:
        if not isinstance(container, BarContainer):
            continue
        label = str(container.get_label())
        part = "" if label.startswith("_") else f", {label}"
        for bar in container.patches:
            row = round(bar.get_y() + bar.get_height() / 2)
            if 0 <= row < len(names) and bar.get_width():
                _set(bar, [f"{names[row]}{part}: {write(bar.get_width())}"])
    for dots in (each for each in axes.collections if isinstance(each, PathCollection)):
        points = np.asarray(dots.get_offsets(), dtype="float64")
        points = points[np.isfinite(points).all(axis=1)]
        if len(points) and points[:, 1].min() >= 0 and points[:, 1].max() < len(names):
            _set(dots, [f"{names[round(row)]}: {write(value)}" for value, row in points.tolist()])


def _set(artist: Any, texts: list[str]) -> None:
    artist.told = getattr(artist, "told", texts)


def _writer(axes: Axes) -> Callable[[float], str]:
    if axes.xaxis.get_major_formatter() in (SHARES, UP_TO_ALL):
        return lambda value: percentage(value, 1)
    return lambda value: fixed(value, 2) if abs(value) < 1000 else fixed(value)
