"""The folder that `ihc scale` writes to: what may be overwritten there, and which run may do so."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from ihc.errors import ScaleError, SettingsError, why
from ihc.formatting import some
from ihc.report.files import csv_bytes
from ihc.scale.parquet import Source
from ihc.scale.parts import Reports
from ihc.scale.store import Store, clear, is_disk, whole_file

CREDITS, OUTCOMES, JOURNEYS = "credits", "outcomes", "journeys"
FOLDERS = (CREDITS, OUTCOMES, JOURNEYS)
ABOUT = "scale.json"
UNFINISHED = ".ihc-scale.unfinished.json"  # in the place of `scale.json` while results get their names
LATEST = ".ihc-scale.run"  # the name of the run that began last
SCRATCH = ".ihc-scale-"
SCRATCH_NAME = re.compile(rf"{re.escape(SCRATCH)}(?P<host>.+)-(?P<process>\d+)-[0-9a-f]{{12}}(\.gone-.*)?")
WRITTEN = (*FOLDERS, *(f"{name}.csv" for name in Reports._fields), ABOUT)
KEYS = {"parameters", "redistribution", "lookback_days", "rows", "parts"}


def check_output(output: Store, sources: Iterable[Source]) -> None:
    """See that nothing is overwritten but results of `ihc scale`, and no file that is read; raises SettingsError."""
    taken = [name for name in WRITTEN if output.fs.exists(output.path(name))]
    if taken and not any(_is_ours(output, name) for name in (ABOUT, UNFINISHED)):
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


def new_run() -> str:
    """Name a run, so that its machine and process are known where it was killed."""
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', socket.gethostname())}-{os.getpid()}-{uuid4().hex[:12]}"


@contextmanager
def claimed(output: Store, run: str) -> Iterator[list[str]]:
    """Note a run as the latest on an output, and delete its scratch folder in the end.

    Gives the scratch folders of other runs; those of processes of this machine that are gone are deleted.
    """
    with whole_file(output, LATEST) as file:
        file.write(run.encode())
    try:
        yield _others(output, run)
    finally:
        clear(output.below(f"{SCRATCH}{run}"))
        if _latest(output) == run:
            output.fs.rm(output.path(LATEST))


def _latest(output: Store) -> str | None:
    path = output.path(LATEST)
    return str(output.fs.cat_file(path), "utf-8") if output.fs.exists(path) else None


def _others(output: Store, run: str) -> list[str]:
    output.fs.invalidate_cache()
    found = (str(path).rsplit("/", 1)[-1] for path in output.fs.ls(output.root, detail=False))
    names = [name for name in found if SCRATCH_NAME.fullmatch(name) and name != f"{SCRATCH}{run}"]
    own_host = SCRATCH_NAME.fullmatch(f"{SCRATCH}{new_run()}")
    for name in names:
        made = SCRATCH_NAME.fullmatch(name)
        if made and own_host and made["host"] == own_host["host"] and not _runs(int(made["process"])):
            output.fs.rm(output.path(name), recursive=True)
    return sorted(name for name in names if output.fs.exists(output.path(name)))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def write_tables(scratch: Store, reports: Reports) -> None:
    """Write the report tables where the run's other results wait for their names."""
    for name, table in reports._asdict().items():
        with whole_file(scratch, f"{name}.csv") as file:
            file.write(csv_bytes(table))


def publish(output: Store, run: str, about: Mapping[str, Any]) -> None:
    """Give a run's results their final names, and write `scale.json`, that says what they are, at the very end.

    Raises ScaleError where another run has begun since, or a file cannot be moved.
    """
    if _latest(output) != run:
        raise ScaleError(
            f"Another run with --output {output.root} began since. This one has changed nothing there: give each run "
            "an --output of its own."
        )
    try:
        text = f"{json.dumps(about, indent=2, ensure_ascii=False)}\n"
        _publish(output, output.below(f"{SCRATCH}{run}"), text.encode())
    except OSError as error:
        raise ScaleError(
            f"The results could not all get their names in {output.root}: {why(error)}. What is there is not whole: "
            "run the same command again."
        ) from None


def _publish(output: Store, scratch: Store, about: bytes) -> None:
    with whole_file(output, UNFINISHED) as file:
        file.write(about)
    for name in (ABOUT, *(name for name in WRITTEN if name != ABOUT)):
        clear(output.below(name))
        if name not in (ABOUT, JOURNEYS) or output.fs.exists(scratch.path(name)):
            output.fs.mv(scratch.path(name), output.path(name), recursive=name in FOLDERS)
    with whole_file(output, ABOUT) as file:
        file.write(about)
    output.fs.rm(output.path(UNFINISHED))
