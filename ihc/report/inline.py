"""Embed charts as inline SVG with unique ids, searchable text and tooltips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from ihc.formatting import printable
from ihc.report.figures import NOTE, Picture

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
DROPPED = {f"{{{SVG}}}{name}" for name in ("metadata", "title", "style")}
USE = f"{{{SVG}}}use"
MARKS = (USE, f"{{{SVG}}}path")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FONT_SIZE = re.compile(r"(?:font-size:\s*|font:\s*(?:\w+\s+)*?)([\d.]+)px")


def inline_svg(picture: Picture, key: str) -> str:
    """Convert a chart to an `<svg>` element without its note. In: `key`, the prefix of all its ids."""
    root = ET.fromstring(picture.svg)  # noqa: S314 - made by matplotlib
    _drop(root)
    for gid, texts in picture.told.items():
        _say(root, gid, texts)
    _name_ids(root, key)
    left, top, width, _ = root.attrib["viewBox"].split()
    root.attrib |= {"viewBox": f"{left} {top} {width} {picture.note_at:g}"}
    root.attrib |= {"class": "chart", "role": "img", "aria-label": picture.alt}
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")


def _say(root: ET.Element, gid: str, texts: Sequence[str]) -> None:
    """Add a title to each mark of a group, if the number of marks matches the number of texts."""
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
    """Remove the note, metadata and style. An inline style would apply to the whole page."""
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in DROPPED or each.get("id") == NOTE]:
            parent.remove(child)


def _name_ids(root: ET.Element, key: str) -> None:
    """Prefix the referenced ids with the key of the chart, and record its smallest font size."""
    used = {name for element in root.iter() for value in element.attrib.values() for name in _pointed_at(value)}
    sizes = [float(size) for each in root.iter() for size in FONT_SIZE.findall(each.get("style", ""))]
    for element in root.iter():
        own = element.attrib.pop("id", "")
        element.attrib.update({name: _renamed(value, key) for name, value in element.attrib.items()})
        if own in used:
            element.set("id", f"{key}-{own}")
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    width = float(root.attrib["viewBox"].split()[2])
    root.set("style", f"--wide: {width:g}; --least: {min(sizes, default=10):g}")


def _renamed(value: str, key: str) -> str:
    return f"#{key}-{value[1:]}" if value.startswith("#") else REFERENCE.sub(rf"url(#{key}-\1)", value)


def _pointed_at(value: str) -> list[str]:
    return [value[1:]] if value.startswith("#") else REFERENCE.findall(value)
