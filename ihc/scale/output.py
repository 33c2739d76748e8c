"""The folder that `ihc scale` writes to: what may be overwritten there, and how all of it gets its name at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import fsspec
import portalocker
from fsspec.implementations.dirfs import DirFileSystem

from ihc.errors import ScaleError, SettingsError, why
from ihc.formatting import some
from ihc.report.files import csv_bytes
from ihc.scale.parquet import Files
from ihc.scale.parts import Reports

CREDITS, OUTCOMES, JOURNEYS = "credits", "outcomes", "journeys"
FOLDERS = (CREDITS, OUTCOMES, JOURNEYS)
ABOUT = "scale.json"
SCRATCH = ".ihc-scale"  # holds what a run writes, until all of it is there
LOCK = f"{SCRATCH}/lock"
WRITTEN = (*FOLDERS, *(f"{name}.csv" for name in Reports._fields), ABOUT)
KEYS = {"parameters", "redistribution", "lookback_days", "rows", "parts"}


def open_output(url: str) -> DirFileSystem:
    """Name a folder by path or URL, and write to it for a trial; raises SettingsError where that cannot be done."""
    try:
        fs, root = fsspec.core.url_to_fs(url)
        fs.makedirs(root, exist_ok=True)
        output = DirFileSystem(root.rstrip("/"), fs)
        output.pipe_file(trial := f"{SCRATCH}.trial", b"")
        output.rm(trial)
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        raise SettingsError(f"--output {url} cannot be written: {why(error)}. Name another folder.") from None
    return output


def check_output(output: DirFileSystem, inputs: Iterable[Files]) -> None:
    """See that nothing is overwritten but results of `ihc scale`, and no file that is read; raises SettingsError."""
    taken = [name for name in WRITTEN if output.exists(name)]
    if taken and not any(_is_ours(output, name) for name in (ABOUT, f"{SCRATCH}/{ABOUT}")):
        raise SettingsError(
            f"--output {output.path} holds {some(taken)}, and no {ABOUT} says that ihc scale wrote it: name another "
            "folder, or move that away."
        )
    for files in inputs:
        for path, name in ((path, name) for path in files.paths for name in FOLDERS):
            if files.fs == output.fs and _is_below(path, folder := f"{output.path}/{name}", is_disk(output)):
                raise SettingsError(
                    f"The input {path} lies in the folder {folder}, which is written anew: name another --output."
                )


def _is_ours(output: DirFileSystem, name: str) -> bool:
    try:
        about = json.loads(output.cat_file(name)) if output.isfile(name) else None
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.keys() >= KEYS


def _is_below(path: str, folder: str, follows_links: bool) -> bool:
    if follows_links:
        path, folder = str(Path(path).resolve()), str(Path(folder).resolve())
    return Path(path).is_relative_to(folder)


def is_disk(output: DirFileSystem) -> bool:
    """Say whether the folder is on a file system of this machine."""
    protocol = output.fs.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


@contextmanager
def claimed(output: DirFileSystem) -> Iterator[None]:
    """Keep other runs out of an output, and delete what lies in its scratch folder before and afterwards.

    On a disk a lock, that ends with its process, tells a run that goes on from one that was killed; elsewhere nothing
    does, and a user has to. What holds results that have got their names in part is left for the next run.
    Raises ScaleError where another run goes on.
    """
    if not is_disk(output) and output.exists(LOCK):
        raise _others_run(output, f", or was killed: delete {output.path}/{SCRATCH} where none goes on")
    output.makedirs(SCRATCH, exist_ok=True)
    output.touch(LOCK)
    lock = portalocker.Lock(f"{output.path}/{LOCK}", "a", timeout=0) if is_disk(output) else nullcontext()
    try:
        with lock:
            for name in output.ls(SCRATCH, detail=False):
                if name not in (LOCK, f"{SCRATCH}/{ABOUT}"):
                    output.rm(name, recursive=True)
            try:
                yield
            finally:
                if not output.exists(f"{SCRATCH}/{ABOUT}"):
                    output.rm(SCRATCH, recursive=True)
    except portalocker.LockException:
        raise _others_run(output, "") from None


def _others_run(output: DirFileSystem, more: str) -> ScaleError:
    return ScaleError(f"Another run with --output {output.path} goes on{more}. Give each run an --output of its own.")


def write_tables(output: DirFileSystem, reports: Reports) -> None:
    """Write the report tables where the run's other results wait for their names."""
    for name, table in reports._asdict().items():
        output.pipe_file(f"{SCRATCH}/{name}.csv", csv_bytes(table))


def publish(output: DirFileSystem, about: Mapping[str, Any]) -> None:
    """Give a run's results their final names; `scale.json`, that says what they are, gets its own at the very end.

    Raises ScaleError where a file cannot be moved.
    """
    try:
        output.pipe_file(f"{SCRATCH}/{ABOUT}", f"{json.dumps(about, indent=2, ensure_ascii=False)}\n".encode())
        for name in WRITTEN:
            if output.exists(name):
                output.rm(name, recursive=True)
        for name in WRITTEN:
            if name != JOURNEYS or output.exists(f"{SCRATCH}/{name}"):
                output.mv(f"{SCRATCH}/{name}", name, recursive=name in FOLDERS)
    except OSError as error:
        raise ScaleError(
            f"The results could not all get their names in {output.path}: {why(error)}. What is there is not whole: "
            "run the same command again."
        ) from None
