"""The setting `parameters`: one file for all conversion types, files for single types, or both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ihc.errors import SettingsError

GIVE = "give FILE, TYPE=FILE, or several of these separated by commas, e.g. lead=lead.json,purchase=purchase.json"


def parameter_files(given: Sequence[str], base: Path) -> dict[str | None, Path]:
    """Read the setting: the file of each conversion type, absolute; None: of all types without a file of their own.

    In: texts `FILE` or `TYPE=FILE`, each also several separated by commas. A file that exists is taken as a whole, with
    commas and "=" in its path. `base`: the folder at which relative paths start. Raises SettingsError for a type that
    is empty or given twice, a type without a file, and two files for all types.
    """
    files: dict[str | None, Path] = {}
    for name, path in _entries(",".join(given).split(","), base):
        if name == "" or not path:
            what = "an empty conversion type" if name == "" else f"the type {name!r} without a file"
            raise SettingsError(f"parameters (IHC_PARAMETERS) names {what}: {GIVE}.")
        if name in files:
            which = "for all conversion types" if name is None else f"for the type {name!r}"
            raise SettingsError(
                f"parameters (IHC_PARAMETERS) names two files {which}, {files[name].name} and {path}: {GIVE}."
            )
        files[name] = (base / path).resolve()
    return files


def parameter_texts(files: Mapping[str | None, Path], *, with_folders: bool = True) -> tuple[str, ...]:
    """The setting as texts, one per file, in the form that `parameter_files` reads."""
    names = {name: str(path) if with_folders else path.name for name, path in files.items()}
    return tuple(path if name is None else f"{name}={path}" for name, path in names.items())


def _entries(parts: list[str], base: Path) -> Iterator[tuple[str | None, str]]:
    """Type, None if there is none, and path of each entry: the fewest parts that name an existing file, else one."""
    while parts:
        ends = (end for end in range(1, len(parts) + 1) if _is_file(base, _split(",".join(parts[:end]), base)[1]))
        end = next(ends, 1)
        text = ",".join(parts[:end]).strip()
        parts = parts[end:]
        if text:
            yield _split(text, base)


def _split(text: str, base: Path) -> tuple[str | None, str]:
    name, equals, path = text.strip().partition("=")
    return (name.strip(), path.strip()) if equals and not _is_file(base, text.strip()) else (None, text.strip())


def _is_file(base: Path, path: str) -> bool:
    try:
        return path != "" and (base / path).is_file()
    except (OSError, ValueError):
        return False
