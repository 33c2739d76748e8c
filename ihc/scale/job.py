"""A shop that is larger than memory, attributed on a Dask cluster part by part, equal to the last bit to one pass.

Every step between parts goes through files, each written whole or not at all, and every step is a function of its
files: so a worker that dies costs the time of its steps and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import CancelledError, Client, KilledWorker, as_completed
from distributed.comm.core import CommClosedError

from ihc.arrays.memory import free_memory
from ihc.arrays.sums import add_parts
from ihc.errors import ScaleError, why
from ihc.formatting import counted
from ihc.scale.output import CREDITS, JOURNEYS, OUTCOMES, SCRATCH, check_output, claimed, new_run, publish, write_tables
from ihc.scale.parquet import Source, row_groups, spans_of
from ihc.scale.parts import (
    Asked,
    Part,
    Reports,
    add,
    attribute_part,
    markov_part,
    part_for,
    removal_effects_of,
    reports_of,
)
from ihc.scale.shuffle import AT_A_TIME, FOLDERS, Deal, Dealt, Meeting, deal, meet, read_part, refuse
from ihc.scale.store import Store, make_folders, whole_file
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, SESSIONS

ROWS = 500_000  # sessions a part has, about, unless the number of parts is given
PATHS = "paths"
STAGES = ("Reading the files", "Dealing rows out by user", "Matching keys and costs", "Attributing", "Markov's model")
PUBLISHING = "Naming the results"
Progress = Callable[[str, int, int], object]  # stage, parts done, parts in all


class Input(NamedTuple):
    """The files of the three tables."""

    sessions: list[Source]
    conversions: list[Source]
    costs: list[Source]


@dataclass(frozen=True)
class Job:
    """What is to be done: which files, with what settings, in how many parts, and where the results go."""

    files: Input
    asked: Asked
    output: Store
    parts: int | None = None
    journeys: bool = False
    run: str = field(default_factory=new_run)

    @property
    def scratch(self) -> Store:
        """Where files between the steps lie until the job ends."""
        return self.output.below(f"{SCRATCH}{self.run}")

    def by_table(self) -> dict[str, list[Source]]:
        """The files of each table."""
        return dict(zip(COLUMNS, self.files, strict=True))


class Scaled(NamedTuple):
    """What a job led to: the report tables, and how large it was."""

    reports: Reports
    rows: dict[str, int]
    parts: int
    credits: int
    failed: int  # orders
    others: tuple[str, ...] = ()  # scratch folders of runs that go on, or were killed on another machine


def scale(client: Client, job: Job, progress: Progress = lambda *_: None) -> Scaled:
    """Attribute a shop's orders on a cluster, part by part, and write credits and report tables to the job's output.

    Raises InputError for tables that are unfit, in the words of `check_tables`; SettingsError where the output holds
    anything else; ScaleError where the cluster gives up.
    Nothing is written under its final name before all of it is whole.
    """
    check_output(job.output, [source for own in job.files for source in own])
    try:
        with claimed(job.output, job.run) as others:
            kept = [JOURNEYS] if job.journeys else []
            make_folders(job.scratch, *FOLDERS, CREDITS, OUTCOMES, PATHS, *kept)
            return _Run(client, job, progress).whole()._replace(others=tuple(others))
    except OSError as error:
        raise ScaleError(
            f"A file in {job.output.root} could not be written: {why(error)}. See that the disk has room and that "
            "nobody changes the folder meanwhile."
        ) from None


@dataclass
class _Run:
    client: Client
    job: Job
    progress: Progress
    parts: int = 1
    rows: dict[str, int] = field(default_factory=dict)

    def whole(self) -> Scaled:
        met = self._met(self._dealt())
        part, credits = self._attributed(met)
        effects = removal_effects_of(part)
        revenue = None
        if effects is not None:
            task = partial(_markov, self.job.scratch, effects)
            revenue = _sum(self._each(STAGES[4], task, range(self.parts)), _add_comparisons)
        reports = reports_of(part, revenue, self.job.asked)
        write_tables(self.job.scratch, reports)
        self.progress(PUBLISHING, 0, 1)
        publish(self.job.output, self.job.run, _about(self.job, self.rows, self.parts))
        self.progress(PUBLISHING, 1, 1)
        return Scaled(reports, self.rows, self.parts, *credits)

    def _each(self, stage: str, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Run a task for each item on the cluster; what they give, as it comes."""
        self.progress(stage, 0, len(items))
        futures = self.client.map(task, items, pure=False, key=stage.lower().replace(" ", "-"))
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                yield future.result()
                future.release()
                self.progress(stage, done, len(items))
        except KilledWorker as error:
            raise ScaleError(_killed(stage, error)) from None
        except (CancelledError, CommClosedError, TimeoutError):
            raise ScaleError(f"{stage}: the scheduler is gone. Run the same command again when it is back.") from None
        except OSError as error:
            raise ScaleError(
                f"{stage}: a file could not be read or written: {why(error)}. See that the disk has room, that the "
                "files stay as they are meanwhile, and that no other run has the same --output."
            ) from None
        finally:
            with suppress(CancelledError, OSError, TimeoutError):  # a scheduler that is gone has nothing to cancel
                self.client.cancel(futures)

    def _dealt(self) -> dict[str, list[Dealt]]:
        files = [
            (table, place, source) for table, own in self.job.by_table().items() for place, source in enumerate(own)
        ]
        groups: dict[str, list[list[int]]] = {table: [[]] * len(own) for table, own in self.job.by_table().items()}
        for table, place, found in self._each(STAGES[0], _row_groups, files):
            groups[table][place] = found
        self.rows = {table: sum(map(sum, own)) for table, own in groups.items()}
        self.parts = self.job.parts or max(1, -(-self.rows[SESSIONS] // ROWS))
        deals = [
            Deal(table, sources, spans, number, self.parts, self.job.scratch)
            for table, sources in self.job.by_table().items()
            for number, spans in enumerate(spans_of(groups[table], AT_A_TIME))
        ]
        dealt: dict[str, list[Dealt]] = {table: [] for table in COLUMNS}
        for table, found in self._each(STAGES[1], _deal, deals):
            dealt[table].append(found)
        # In the order of the input, whatever came first.
        return {table: sorted(own, key=lambda one: one.files) for table, own in dealt.items()}

    def _met(self, dealt: dict[str, list[Dealt]]) -> dict[str, list[str]]:
        files = {table: [name for one in own for name in one.files] for table, own in dealt.items()}
        keys = {table: [name for one in dealt[table] for name in one.keys] for table in (SESSIONS, CONVERSIONS)}
        meetings = [Meeting(q, self.parts, keys, files[COSTS], self.job.scratch) for q in range(self.parts)]
        met = list(self._each(STAGES[2], meet, meetings))
        unfit = {table: [one.unfit for one in own] + [one.twice[table] for one in met] for table, own in dealt.items()}
        refuse(self.job.by_table(), unfit)
        return files | {COSTS: sorted(one.file for one in met)}

    def _attributed(self, files: dict[str, list[str]]) -> tuple[Part, tuple[int, int]]:
        """The sum of all parts, and how many credits and failed orders there are."""
        job = self.job
        task = partial(_attribute, job.scratch, files, job.asked, job.journeys)
        counts: list[tuple[int, int]] = []

        def parts() -> Iterator[Part]:
            for part, *count in self._each(STAGES[3], task, range(self.parts)):
                counts.append((count[0], count[1]))
                yield part

        whole = _sum(parts(), add)
        return whole, (sum(one for one, _ in counts), sum(one for _, one in counts))


def _sum(parts: Iterable[Any], add: Callable[[list[Any]], Any]) -> Any:
    """Add up parts as they come, so that no more than two are held."""
    whole = None
    for part in parts:
        whole = add([part] if whole is None else [whole, part])
    return whole


def _add_comparisons(parts: list[Any]) -> Any:
    return add_parts(parts, ["channel_name"])


def _row_groups(file: tuple[str, int, Source]) -> tuple[str, int, list[int]]:
    table, place, source = file
    return table, place, row_groups(table, source)


def _deal(task: Deal) -> tuple[str, Dealt]:
    return task.table, deal(task)


def _attribute(
    store: Store, files: dict[str, list[str]], asked: Asked, with_journeys: bool, number: int
) -> tuple[Part, int, int]:
    """Attribute one part: its credits go to a file, what it adds to the report comes back."""
    tables = read_part(store, files, number)
    found = attribute_part(tables, asked, free_memory())
    _write_parquet(store, f"{CREDITS}/{_file(number)}", found.credits)
    if with_journeys:
        _write_parquet(store, f"{JOURNEYS}/{_file(number)}", found.journeys)
    _write_parquet(store, f"{OUTCOMES}/{_file(number)}", found.outcomes)
    _write_parquet(store, f"{PATHS}/{_file(number)}", found.journeys[list(STEPS)])
    part = part_for(tables, found, asked)
    pa.default_memory_pool().release_unused()
    return part, len(found.credits), int((found.outcomes["outcome"] == "failed").sum())


STEPS = ("conv_id", "session_id", "timestamp", "channel_name", "revenue")  # what Markov asks of journeys


def _markov(store: Store, effects: Any, number: int) -> Any:
    with store.fs.open(store.path(f"{PATHS}/{_file(number)}"), "rb") as file:
        journeys = pq.read_table(file).to_pandas()
    return markov_part(journeys, effects)


def _file(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _write_parquet(store: Store, name: str, frame: Any) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with whole_file(store, name) as file:
        pq.write_table(table, file, compression="zstd")


def _about(job: Job, rows: dict[str, int], parts: int) -> dict[str, Any]:
    asked = job.asked
    return {
        "parameters": asked.parameters.label,
        "redistribution": asked.redistribution.fingerprint if asked.redistribution else None,
        **{name: str(day) if day else None for name, day in asked.window.items()},
        "lookback_days": asked.lookback_days,
        "rows": rows,
        "parts": parts,
    }


def _killed(stage: str, error: KilledWorker) -> str:
    return (
        f"{stage}: {counted(error.allowed_failures + 1, 'worker')} died over one part, most often because memory is "
        "short. Give more --partitions, or workers with more memory."
    )
