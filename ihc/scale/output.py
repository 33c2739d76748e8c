"""Output folder of `ihc scale`: overwrite protection, locking and atomic publishing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
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
SCRATCH = ".ihc-scale"  # holds the results of a run until they are complete
LOCK = f"{SCRATCH}/lock"
WRITTEN = (*FOLDERS, *(f"{name}.csv" for name in Reports._fields), ABOUT)
KEYS = {"parameters", "redistribution", "lookback_days", "rows", "parts"}


def open_output(url: str) -> DirFileSystem:
    """Open a folder by path or URL and test writing to it; raises SettingsError if that fails."""
    try:
        fs, root = fsspec.core.url_to_fs(url)
        fs.makedirs(root, exist_ok=True)
        output = DirFileSystem(root.rstrip("/"), fs)
        output.pipe_file(trial := f"{SCRATCH}.trial", b"")
        output.rm(trial)
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        raise SettingsError(f"--output {url} cannot be written: {why(error)}. Choose another folder.") from None
    return output


def check_output(output: DirFileSystem, inputs: Iterable[Files]) -> None:
    """Check that only results of `ihc scale` are overwritten, and no input file; raises SettingsError."""
    taken = [name for name in WRITTEN if output.exists(name)]
    if taken and not any(_is_ours(output, name) for name in (ABOUT, f"{SCRATCH}/{ABOUT}")):
        raise SettingsError(
            f"--output {output.path} contains {some(taken)}, but no {ABOUT} of ihc scale: choose another folder, or "
            "move these files away."
        )
    for files in inputs:
        for path, name in ((path, name) for path in files.paths for name in FOLDERS):
            if files.fs == output.fs and _is_below(path, folder := f"{output.path}/{name}", is_disk(output)):
                raise SettingsError(
                    f"The input {path} is in the folder {folder}, which would be overwritten: choose another --output."
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
    """Whether the folder is on a local file system."""
    protocol = output.fs.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


@contextmanager
def claimed(output: DirFileSystem) -> Iterator[None]:
    """Lock an output against other runs, and empty its scratch folder before and after.

    On a local disk, the file lock ends with its process, so a killed run leaves no lock. Elsewhere a running and a
    killed run look the same, and the user must decide. The scratch folder is kept if results were published in part.
    Raises ScaleError if another run is active.
    """
    if not is_disk(output) and output.exists(LOCK):
        raise _others_run(output, f", or was killed: delete {output.path}/{SCRATCH} if no run is active")
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
                # A task that is still writing may keep the folder; the next run empties it.
                with suppress(OSError):
                    if not output.exists(f"{SCRATCH}/{ABOUT}"):
                        output.rm(SCRATCH, recursive=True)
    except portalocker.LockException:
        raise _others_run(output, "") from None


def _others_run(output: DirFileSystem, more: str) -> ScaleError:
    return ScaleError(f"Another run with --output {output.path} is active{more}. Use a separate --output for each run.")


def write_tables(output: DirFileSystem, reports: Reports) -> None:
    """Write the report tables to the scratch folder."""
    for name, table in reports._asdict().items():
        output.pipe_file(f"{SCRATCH}/{name}.csv", csv_bytes(table))


def publish(output: DirFileSystem, about: Mapping[str, Any]) -> None:
    """Move the results of a run to their final names; `scale.json`, which describes them, comes last.

    Raises ScaleError if a file cannot be moved.
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
            f"Not all results could be published in {output.path}: {why(error)}. The folder is incomplete: run the "
            "same command again."
        ) from None
