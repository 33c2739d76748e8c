"""The frames that the notebooks of a run share, as Arrow files in the run's folder.

The run writes its checked tables once, the attribution adds the stored results, and each notebook maps them into memory
instead of reading the database. Frames that a report calculates from them are added as they are calculated. Without
such a folder, as in a notebook on its own, the database is read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import portalocker

from ihc.arrays.lookup import share_categories
from ihc.database.database import Database
from ihc.database.frames import Frames
from ihc.database.inputs import read_tables
from ihc.database.results import Results, no_phases, no_results, read_phases, read_results
from ihc.errors import IhcError
from ihc.exhibits.data import CALCULATED, Source, with_codes
from ihc.schemas.tables import Tables
from ihc.settings.run import Settings

FOLDER, RUNNING = "intermediate", "running"
# Prefixes of the tables as read, of the tables with the ids as categories, and of the results. The run prepares tables
# with categories; those of a shop whose stored credits have other ids are made anew.
INPUTS, PREPARED, CODED, STORED = "input", "prepared", "coded", "stored"
RESULTS = (*Results._fields, "phases")
PARTS = ("sessions", "conversions", "costs", "spend", "session_costs")


def frames_of(settings: Settings) -> Frames | None:
    """The frames of the run of this database that started this process, if any."""
    is_of_run = settings.held_lock in (None, settings.database.lock_name)
    return Frames(settings.frames) if settings.frames and is_of_run else None


def write_inputs(settings: Settings, tables: Tables) -> Tables:
    """Write the checked tables for the notebooks of this run. Out: the same tables, mapped into memory if written."""
    frames = frames_of(settings)
    return (frames and _write(frames, INPUTS, tables) and _read(frames, INPUTS)) or tables


def code_inputs(settings: Settings, tables: Tables) -> None:
    """Write the tables with the ids as categories, for the notebook that stores the results."""
    if frames := frames_of(settings):
        _write(frames, PREPARED, with_codes(Source(tables, no_results(), no_phases(), is_stored=False)).tables)


def shared_inputs(settings: Settings) -> Tables:
    """The checked tables: those of the run that started this process, or those of the database.

    Raises DatabaseError or InputError as `read_tables`.
    """
    frames = frames_of(settings)
    found = _read(frames, INPUTS) if frames else None
    return found or read_tables(settings.database)


def stored_source(settings: Settings, tables: Tables, *, has_results: bool = True) -> Source:
    """The tables with the stored results, for a report. `has_results`: whether the database can have any.

    Raises DatabaseError.
    """
    frames = frames_of(settings)
    return (frames and _shared_source(frames)) or _read_source(settings.database if has_results else None, tables)


def share_results(settings: Settings, tables: Tables) -> Source:
    """Read the stored results, and write them for the other notebooks of the run, if there is one.

    Frames that were calculated from earlier results are deleted.
    """
    frames = frames_of(settings)
    prepared = _read(frames, PREPARED) if frames else None
    source = _read_source(settings.database, prepared or tables)
    if frames is None:
        return source
    for prefix in (CALCULATED, STORED, CODED):
        frames.delete(prefix)
    is_prepared = prepared is not None and all(
        share_categories(one[key], other[key])
        for one, other, key in zip(prepared, source.tables, ("session_id", "conv_id"), strict=False)
    )
    if is_prepared or _write(frames, CODED, source.tables):
        for name, frame in zip(RESULTS, (*source.results, source.phases), strict=True):
            frames.write(f"{STORED}-{name}", frame)
    return _shared_source(frames) or source


def _read_source(database: Database | None, tables: Tables) -> Source:
    results, phases = (read_results(database), read_phases(database)) if database else (no_results(), no_phases())
    return with_codes(Source(tables, results, phases, is_stored=True))


def _shared_source(frames: Frames) -> Source | None:
    tables = _read(frames, CODED) or _read(frames, PREPARED)
    found = [frame for name in RESULTS if (frame := frames.read(f"{STORED}-{name}")) is not None]
    if tables is None or len(found) < len(RESULTS):
        return None
    return Source(tables, Results(*found[:-1]), found[-1], is_stored=True, frames=frames)


def _write(frames: Frames, prefix: str, tables: Tables) -> bool:
    """Write the tables: all, or none if one cannot be written; then they are read from the database."""
    parts = [*zip(PARTS, (*tables, tables.spend, tables.session_costs), strict=True)]
    # The optional ones first: once the others are there, all are.
    written = [frames.write(f"{prefix}-{name}", frame) for name, frame in reversed(parts) if frame is not None]
    if not all(written):
        frames.delete(prefix)
    return all(written)


def _read(frames: Frames, prefix: str) -> Tables | None:
    sessions, conversions, costs, spend, own = (frames.read(f"{prefix}-{name}") for name in PARTS)
    if sessions is None or conversions is None or costs is None:
        return None
    tables = Tables(sessions, conversions, costs)
    tables.spend, tables.session_costs = spend, own
    return tables


def have_changed(database: Database, tables: Tables) -> bool:
    """Whether the database has other tables now, or broken ones."""
    try:
        now = read_tables(database).by_name
    except IhcError:
        return True
    return now.keys() != tables.by_name.keys() or not all(
        _same_rows(frame, now[name]) for name, frame in tables.by_name.items()
    )


def _same_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables have the same rows; databases may return them in another order."""
    if one.equals(other) or len(one) != len(other) or list(one) != list(other):
        return one.equals(other)
    keys = [name for name in ("session_id", "conv_id", "date", "channel_name", "cost") if name in one]
    pair = (frame.sort_values(keys, kind="stable", ignore_index=True) for frame in (one, other))
    return next(pair).equals(next(pair))


@contextmanager
def folder_of(settings: Settings, *, is_kept: bool = False) -> Iterator[Path]:
    """The folder of a run's frames, deleted after the block unless `is_kept`.

    A locked file in it shows that the run is going on. The folders of runs that were killed are deleted.
    """
    runs = settings.output / "runs"
    for mark in runs.glob(f"*/{FOLDER}/{RUNNING}"):
        with suppress(OSError, portalocker.LockException), mark.open("a") as file:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
            shutil.rmtree(mark.parent, ignore_errors=True)
    folder = runs / settings.run_id / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / RUNNING).open("a") as file:
        with suppress(portalocker.LockException):
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        try:
            yield folder
        finally:
            if is_kept:
                (folder / RUNNING).unlink(missing_ok=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)
