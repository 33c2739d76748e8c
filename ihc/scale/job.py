"""Attribute data larger than memory on a Dask cluster, with results bit-identical to a single pass.

The tables are shuffled by user into files, so a lost worker only repeats its own steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NamedTuple, NoReturn
from uuid import uuid4

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import CancelledError, Client, KilledWorker, as_completed
from distributed.comm.core import CommClosedError
from fsspec.implementations.dirfs import DirFileSystem

from ihc.arrays.sums import add_parts
from ihc.errors import InputError, ScaleError, why
from ihc.formatting import counted
from ihc.memory import free_memory
from ihc.scale.checks import count_unfit, finding, unfit_rows
from ihc.scale.output import CREDITS, JOURNEYS, OUTCOMES, SCRATCH, check_output, claimed, publish, write_tables
from ihc.scale.parquet import AT_A_TIME, Files, Layout, layout_of, read_parquet
from ihc.scale.parts import (
    Part,
    Plan,
    Reports,
    add,
    attribute_part,
    markov_part,
    part_for,
    removal_effects_of,
    reports_of,
)
from ihc.scale.shuffle import Shuffle, by_key, make_folders, match_keys, read_rows, write_rows
from ihc.schemas.tables import COLUMNS, CONVERSIONS, SESSIONS, Tables, check_clocks

ROWS = 500_000  # approximate number of sessions per part, unless the number of parts is given
PATHS = "paths"
READING, SHUFFLING, MATCHING, ATTRIBUTING, MARKOV = STAGES = (
    "Reading files",
    "Checking and shuffling rows",
    "Matching keys and costs",
    "Attributing",
    "Markov model",
)
COUNTING, AGAIN = "Counting invalid rows", "Reading invalid rows again"
PUBLISHING = "Publishing the results"
Progress = Callable[[str, int, int], object]  # stage, parts done, total parts


class Input(NamedTuple):
    """The files of the three tables."""

    sessions: Files
    conversions: Files
    costs: Files


@dataclass(frozen=True)
class Job:
    """The input files, settings, number of parts and output of a job."""

    files: Input
    plan: Plan
    output: DirFileSystem
    parts: int | None = None
    journeys: bool = False


class Scaled(NamedTuple):
    """The result of a job: the report tables, and the numbers of rows, parts, credits and failed orders."""

    reports: Reports
    rows: dict[str, int]
    parts: int
    credits: int
    failed: int  # orders


def scale(client: Client, job: Job, progress: Progress = lambda *_: None) -> Scaled:
    """Attribute conversions on a cluster, part by part, and write credits and report tables to the job's output.

    Raises InputError for invalid tables, with the messages of `check_tables`; SettingsError if the output contains
    other files; ScaleError if the cluster fails.
    Results get their final names only when all of them are complete.
    """
    check_output(job.output, job.files)
    run = _Run(client, job, progress)
    try:
        with claimed(job.output):
            return run.whole()
    except KilledWorker as error:
        raise ScaleError(
            f"{run.stage}: {counted(error.allowed_failures + 1, 'worker')} died on the same part, probably out of "
            "memory. Increase --partitions, or give workers more memory."
        ) from None
    except (CancelledError, CommClosedError, TimeoutError):
        raise ScaleError(
            f"{run.stage}: lost the connection to the scheduler. Run the same command again when it is available."
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise ScaleError(
            f"{run.stage}: a file could not be read or written: {why(error)}. Check the free disk space, and that "
            "the files do not change during the run."
        ) from None


@dataclass
class _Run:
    client: Client
    job: Job
    progress: Progress
    stage: str = READING
    parts: int = 1
    rows: dict[str, int] = field(default_factory=dict)

    def whole(self) -> Scaled:
        tables = self._read()
        part, credits, failed = self._attributed(self._shuffle(tables))
        reports = reports_of(part, self._markov(removal_effects_of(part)), self.job.plan)
        write_tables(self.job.output, reports)
        self.progress(PUBLISHING, 0, 1)
        publish(self.job.output, _about(self.job, self.rows, self.parts))
        self.progress(PUBLISHING, 1, 1)
        return Scaled(reports, self.rows, self.parts, credits, failed)

    def _each(self, stage: str, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Compute Dask collections on the cluster; yields the index and result of each as it completes."""
        self.stage = stage
        self.progress(stage, 0, len(tasks))
        futures = self.client.compute(list(tasks))
        place = {future.key: number for number, future in enumerate(futures)}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                yield place[future.key], future.result()
                future.release()
                self.progress(stage, done, len(tasks))
        finally:
            with suppress(CancelledError, OSError, TimeoutError):  # a lost scheduler has nothing to cancel
                self.client.cancel(futures)

    def _in_order(self, stage: str, tasks: Sequence[Any]) -> list[Any]:
        return [result for _, result in sorted(self._each(stage, tasks), key=lambda found: found[0])]

    def _read(self) -> dict[str, dd.DataFrame]:
        """The tables as stored in the files."""
        by_table = dict(zip(COLUMNS, self.job.files, strict=True))
        look = dask.delayed(layout_of, pure=False)
        tasks = [look(table, files.fs, path) for table, files in by_table.items() for path in files.paths]
        layouts = iter(self._in_order(READING, tasks))
        tables = {}
        for table, files in by_table.items():
            own: list[Layout] = [next(layouts) for _ in files.paths]
            self.rows[table] = sum(sum(layout.rows) for layout in own)
            tables[table] = read_parquet(table, files, own)
        check_clocks(tables[SESSIONS]._meta, tables[CONVERSIONS]._meta)
        self.parts = self.job.parts or max(1, -(-self.rows[SESSIONS] // ROWS))
        return tables

    def _shuffle(self, tables: dict[str, dd.DataFrame]) -> Shuffle:
        """Write the rows into parts by user. Raises InputError for an invalid value or a duplicate key."""
        wanted = {table: max(1, -(-self.rows[table] // AT_A_TIME)) for table in tables}
        frames = {
            table: frame.repartition(npartitions=min(frame.npartitions, wanted[table]))
            for table, frame in tables.items()
        }
        # In a folder of its own, which no task of an earlier run can write to.
        folder = DirFileSystem(f"{self.job.output.path}/{SCRATCH}/{uuid4().hex}", self.job.output.fs)
        partitions = {table: frame.npartitions for table, frame in frames.items()}
        shuffle = Shuffle(folder, self.parts, partitions[SESSIONS], partitions)
        make_folders(shuffle)
        match = dask.delayed(partial(match_keys, shuffle), pure=False)
        rows = [
            dask.delayed(partial(write_rows, shuffle, table), pure=False)(number, partition)
            for table, frame in frames.items()
            for number, partition in enumerate(frame.to_delayed())
        ]
        for stage, tasks in ((SHUFFLING, rows), (MATCHING, [match(number) for number in range(shuffle.key_parts)])):
            if not all(self._in_order(stage, tasks)):
                self._refuse(tables)
        for table in tables:
            folder.rm(by_key(table), recursive=True)
        return shuffle

    def _refuse(self, tables: dict[str, dd.DataFrame]) -> NoReturn:
        """Raise InputError for invalid tables, with the messages of `check_tables`."""
        counts = self._in_order(COUNTING, [count_unfit(table, frame, self.parts) for table, frame in tables.items()])
        unfit = {table: own for table, own in zip(tables, counts, strict=True) if own["rows"].any()}
        if not unfit:
            raise InputError(
                "The files had an invalid value or a duplicate key, and have changed since: run the same command again."
            )
        rows = self._in_order(AGAIN, [unfit_rows(table, tables[table], own) for table, own in unfit.items()])
        raise InputError("\n".join(map(finding, unfit, rows, unfit.values())))

    def _attributed(self, shuffle: Shuffle) -> tuple[Part, int, int]:
        """The sum of all parts, and the numbers of credits and failed orders.

        Raises ScaleError unless all parts together have the rows of the files.
        """
        job, sizes = self.job, []
        for folder in (CREDITS, OUTCOMES, PATHS, *([JOURNEYS] if job.journeys else [])):
            job.output.makedirs(f"{SCRATCH}/{folder}")
        attribute = dask.delayed(partial(_attribute, shuffle, job), pure=False)

        def parts() -> Iterator[Part]:
            for _, (part, *size) in self._each(ATTRIBUTING, [attribute(number) for number in range(self.parts)]):
                sizes.append(size)
                yield part

        part = reduce(lambda whole, one: add([whole, one]), parts())  # holds at most two parts
        *rows, credits, failed = np.sum(sizes, axis=0).tolist()
        if rows != list(self.rows.values()):
            read, came = (", ".join(f"{count:,}" for count in counts) for counts in (self.rows.values(), rows))
            raise ScaleError(
                f"The files have {read} rows of {', '.join(self.rows)}, but {came} arrived in the parts. No results "
                "were written: run the same command again, and report this bug if it happens again."
            )
        return part, credits, failed

    def _markov(self, effects: pd.DataFrame | None) -> pd.DataFrame | None:
        """Revenue by channel under the Markov model, from `markov_part`; None if there are too many channels."""
        if effects is None:
            return None
        task = dask.delayed(partial(_markov, self.job.output, effects), pure=False)
        found = (one for _, one in self._each(MARKOV, [task(number) for number in range(self.parts)]))
        revenue: pd.DataFrame = reduce(lambda whole, one: add_parts([whole, one], ["channel_name"]), found)
        return revenue


def _attribute(shuffle: Shuffle, job: Job, number: int) -> tuple[Part, int, int, int, int, int]:
    """Attribute one part: write its credits to a file and return its contribution to the report.

    Out: also the numbers of sessions, conversions, costs, credits and failed orders.
    """
    sessions, conversions, costs = (read_rows(shuffle, table, number) for table in COLUMNS)
    # Outcomes follow the order of the conversions, which depends on the partitions of the files.
    tables = Tables(sessions, conversions.sort_values("conv_id", ignore_index=True), costs)
    found, output = attribute_part(tables, job.plan, free_memory()), job.output
    _write_part(output, CREDITS, number, found.credits)
    _write_part(output, OUTCOMES, number, found.outcomes)
    _write_part(output, PATHS, number, found.journeys[list(STEPS)])
    if job.journeys:
        _write_part(output, JOURNEYS, number, found.journeys)
    part = part_for(tables, found, job.plan)
    pa.default_memory_pool().release_unused()
    failed = int((found.outcomes["outcome"] == "failed").sum())
    return part, len(sessions), len(conversions), len(costs), len(found.credits), failed


STEPS = ("conv_id", "session_id", "timestamp", "channel_name", "revenue")  # columns needed by the Markov model


def _markov(output: DirFileSystem, effects: pd.DataFrame, number: int) -> pd.DataFrame:
    with output.open(_file(PATHS, number), "rb") as file:
        return markov_part(pq.read_table(file).to_pandas(), effects)


def _file(folder: str, number: int) -> str:
    return f"{SCRATCH}/{folder}/part-{number:05d}.parquet"


def _write_part(output: DirFileSystem, folder: str, number: int, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with output.open(_file(folder, number), "wb") as file:
        pq.write_table(table, file, compression="zstd")


def _about(job: Job, rows: dict[str, int], parts: int) -> dict[str, Any]:
    plan = job.plan
    return {
        "parameters": plan.parameters.label,
        "redistribution": plan.redistribution.fingerprint if plan.redistribution else None,
        **{name: str(day) if day else None for name, day in plan.window.items()},
        "lookback_days": plan.lookback_days,
        **({"restart_after_order": True} if plan.restart_after_order else {}),
        "rows": rows,
        "parts": parts,
    }
