"""The folder that `ihc scale` writes to: what may be overwritten there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ihc.errors import SettingsError, some
from ihc.parquet import Source
from ihc.parts import Reports
from ihc.store import Store, is_disk

CREDITS, OUTCOMES, JOURNEYS = "credits", "outcomes", "journeys"
FOLDERS = (CREDITS, OUTCOMES, JOURNEYS)
ABOUT = "scale.json"
WRITTEN = (*FOLDERS, *(f"{name}.csv" for name in Reports._fields), ABOUT)
KEYS = {"parameters", "redistribution", "lookback_days", "rows", "parts"}


def check_output(output: Store, sources: Iterable[Source]) -> None:
    """See that nothing is overwritten but results of `ihc scale`, and no file that is read; raises SettingsError."""
    taken = [name for name in WRITTEN if output.fs.exists(output.path(name))]
    if taken and not _is_ours(output, ABOUT):
        raise SettingsError(
            f"--output {output.root} holds {some(taken)}, and no {ABOUT} says that ihc scale wrote it: name another "
            "folder, or move that away."
        )
    for source in sources:
        if lies_in := [name for name in FOLDERS if _is_below(source, output.below(name))]:
            raise SettingsError(
                f"The input {source.path} lies in the folder {output.path(lies_in[0])}, which is written anew: name "
                "another --output."
            )


def _is_ours(output: Store, name: str) -> bool:
    path = output.path(name)
    try:
        about = json.loads(output.fs.cat_file(path)) if output.fs.isfile(path) else None
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.keys() >= KEYS


def _is_below(source: Source, folder: Store) -> bool:
    if is_disk(source.fs) and is_disk(folder.fs):
        return Path(source.path).resolve().is_relative_to(Path(folder.root).resolve())
    return bool(source.fs == folder.fs) and source.path.startswith(f"{folder.root}/")
