"""Charts as SVG inside a page: ids of their own, texts that a reader finds, and what each mark stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ihc.charts.marks import UP_TO_ALL
from ihc.charts.style import styled
from ihc.formatting import fixed, percentage, printable
from ihc.report.figures import laid_out, svg_bytes

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
DROPPED = {f"{{{SVG}}}{name}" for name in ("metadata", "title", "style")}
USE = f"{{{SVG}}}use"
MARKS = (USE, f"{{{SVG}}}path")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FONT_SIZE = re.compile(r"(?:font-size:\s*|font:\s*(?:\w+\s+)*?)([\d.]+)px")
Plot = Callable[..., Figure]


def inline_svg(plot: Plot, alt: str, key: str, size: tuple[float, float] | None = None) -> str:
    """Draw a chart as an `<svg>` element of a page.

    In: what draws it, or in the place of `ax`; `alt`, the chart in words; `key`, that all its ids begin with; `size`
    [inches], where it is not to have its own.
    """
    figure = laid_out((lambda: _sized(plot, size)) if size else plot)
    told = {f"{key}-told-{number}": artist for number, artist in enumerate(_told(figure))}
    for gid, artist in told.items():
        artist.set_gid(gid)
    with styled():
        root = ET.fromstring(svg_bytes(figure, printable(alt)))  # noqa: S314 - made a line above, by matplotlib
    _drop(root)
    for gid, artist in told.items():
        _say(root, gid, artist.told)  # type: ignore[attr-defined]
    _name_ids(root, key)
    root.attrib |= {"class": "chart", "role": "img", "aria-label": printable(alt)}
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")


def _sized(plot: Plot, size: tuple[float, float]) -> Figure:
    with styled():
        figure = Figure(figsize=size)
    plot(ax=figure.add_subplot())
    return figure


def _told(figure: Figure) -> Iterator[Artist]:
    """The artists that say what their marks stand for; bars and dots of rows are given their row's name and value."""
    for axes in figure.axes:
        low, high = axes.get_ylim()
        names = [label.get_text() for label in axes.get_yticklabels()]
        if low > high and len(names) >= low - high - 0.3:  # rows count downwards
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
    formatter = axes.xaxis.get_major_formatter()
    if isinstance(formatter, PercentFormatter) or formatter is UP_TO_ALL:
        return lambda value: percentage(value, 1)
    return lambda value: fixed(value, 2) if abs(value) < 1000 else fixed(value)


def _say(root: ET.Element, gid: str, texts: Sequence[str]) -> None:
    """Put a title into each mark of a group, where there are as many marks as texts."""
    group = next((each for each in root.iter() if each.get("id") == gid), None)
    if group is None:
        return
    hidden = {mark for defs in group.iter(f"{{{SVG}}}defs") for mark in defs.iter()}
    seen = [mark for mark in group.iter() if mark.tag in MARKS and mark not in hidden]
    uses = [mark for mark in seen if mark.tag == USE]
    targets = uses if len(uses) == len(texts) else seen
    if len(targets) == len(texts):
        for mark, text in zip(targets, texts, strict=True):
            ET.SubElement(mark, f"{{{SVG}}}title").text = printable(text)


def _drop(root: ET.Element) -> None:
    """Leave out what is not of the picture: inside a page, a style would be that of the whole page."""
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in DROPPED]:
            parent.remove(child)


def _name_ids(root: ET.Element, key: str) -> None:
    """Give the ids that are pointed at names of this chart alone, and say how small its texts are."""
    used = {name for element in root.iter() for value in element.attrib.values() for name in _pointed_at(value)}
    sizes = [float(size) for each in root.iter() for size in FONT_SIZE.findall(each.get("style", ""))]
    for element in root.iter():
        own = element.attrib.pop("id", "")
        element.attrib.update({name: _renamed(value, key) for name, value in element.attrib.items()})
        if own in used:
            element.set("id", f"{key}-{own}")
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    width = float(root.get("viewBox", "0 0 446 0").split()[2])
    root.set("style", f"--wide: {width:g}; --least: {min(sizes, default=10):g}")


def _renamed(value: str, key: str) -> str:
    return f"#{key}-{value[1:]}" if value.startswith("#") else REFERENCE.sub(rf"url(#{key}-\1)", value)


def _pointed_at(value: str) -> list[str]:
    return [value[1:]] if value.startswith("#") else REFERENCE.findall(value)
