"""Fonts of this machine for the letters of any script that names in the data have."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from matplotlib.font_manager import findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

FIRST = "DejaVu Sans"  # ships with matplotlib
# The family that has a letter, or "" where none has; looked up once in a process.
_FAMILIES: dict[str, str] = {}


def families(texts: Iterable[str]) -> list[str]:
    """The first font, and of the machine's others those that have what it lacks of the letters of `texts`."""
    letters = _letters(texts)
    _look_up(letters)
    return [FIRST, *sorted({_FAMILIES[letter] for letter in letters} - {"", FIRST})]


def letters_without_font(texts: Iterable[str]) -> list[str]:
    """The letters of `texts` that no font of this machine has, sorted."""
    letters = _letters(texts)
    _look_up(letters)
    return sorted(letter for letter in letters if not _FAMILIES[letter])


def _letters(texts: Iterable[str]) -> set[str]:
    """The letters that need a font: no spaces, no controls, nothing that only changes the look of another."""
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
        has = _has(path, left)
        if has and not family:
            fontManager.addfont(path)
        _FAMILIES.update(dict.fromkeys(has, family or FT2Font(path).family_name))
        left -= has
    _FAMILIES.update(dict.fromkeys(left, ""))


def _fonts() -> Iterator[tuple[str, str]]:
    """The families that matplotlib knows, with a file of each, the likeliest first; then files that it does not know.

    It keeps its list of fonts from run to run, so that one installed since is not in it: these have no family yet.
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
    except (OSError, RuntimeError):  # gone since, or in a form that cannot be read
        return set()
    return {letter for letter in letters if font.get_char_index(ord(letter))}
