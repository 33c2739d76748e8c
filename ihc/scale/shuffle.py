"""The three tables parted by user, through files: each row checked, each key unique over all parts, memory bounded.

Rows are dealt out twice: by user, so that a part holds whole journeys, and their keys by themselves, so that equal keys
meet wherever they stand, and costs meet their sessions. A file of dealt rows has one record batch for each part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ihc.arrays.lookup import get_indexer
from ihc.arrays.types import Booleans, Integers
from ihc.errors import InputError
from ihc.formatting import counted
from ihc.scale.parquet import Source, Span, no_rows, read_rows, read_span
from ihc.scale.store import Store, read_batch, write_batches
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, KEYS, NULLABLE, SESSIONS, Tables, check_table, fits

AT_A_TIME = 250_000  # rows of a table that are read at a time; twice as many at most are dealt out together
SHOWN = 10_000  # rows that are unfit, at most so many of which are read again to say why
PLACE = ["file", "row"]
BY_USER = "costs_by_user"
FOLDERS = (*COLUMNS, *(f"keys/{table}" for table in (SESSIONS, CONVERSIONS)), BY_USER)


class Deal(NamedTuple):
    """Some rows of a table to deal out: where they stand, to how many parts, into which folder."""

    table: str
    sources: list[Source]
    spans: list[Span]
    number: int
    parts: int
    store: Store


class Dealt(NamedTuple):
    """The files that the rows were dealt out to, and the places `file, row` of those that are unfit."""

    rows: int
    files: list[str]
    keys: list[str]
    unfit: pd.DataFrame


def part_of(ids: pd.Series[str], parts: int) -> Integers:
    """The part of each id, from 0 up to `parts`: the same in every process, and whatever else is dealt out."""
    hashes = pd.util.hash_array(ids.to_numpy(object), categorize=False)
    return (hashes % np.uint64(parts)).astype("int64")


def deal(task: Deal) -> Dealt:
    """Check rows one by one and deal them out, sessions and conversions by user, costs by session."""
    rows, files, keys, unfit = 0, [], [], [_places(np.zeros(0, "int64"), np.zeros(0, "int64"))]
    for number, (place, frame) in enumerate(_pieces(task)):
        name = f"{task.number:05d}-{number:04d}.arrow"
        typed, is_fit = fit_rows(task.table, frame)
        files.append(f"{task.table}/{name}")
        # Keys of unfit rows meet the others too, so that whatever is wrong is said at once.
        known = place.assign(key=frame[KEYS[task.table]])
        if task.table == COSTS:
            known = known.assign(cost=typed["cost"]).dropna(subset="key")
            _write(task.store, files[-1], known, part_of(known["key"], task.parts), task.parts)
        else:
            _write(task.store, files[-1], typed, part_of(typed["user_id"], task.parts), task.parts)
            keys.append(f"keys/{task.table}/{name}")
            known = known.assign(part=part_of(frame["user_id"], task.parts)).dropna(subset="key")
            _write(task.store, keys[-1], known, part_of(known["key"], task.parts), task.parts)
        rows += len(frame)
        unfit.append(place[~is_fit])
    return Dealt(rows, files, keys, pd.concat(unfit, ignore_index=True))


def _pieces(task: Deal) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The rows of a task, some at a time: their places, and themselves."""
    held: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    is_first = True
    for span in task.spans:
        for first, frame in read_span(task.table, task.sources[span.file], span, AT_A_TIME):
            here = _places(np.full(len(frame), span.file), np.arange(first, first + len(frame)))
            held.append((here, frame))
            if sum(len(rows) for _, rows in held) >= AT_A_TIME:
                yield _joined(held)
                held, is_first = [], False
    if held:
        yield _joined(held)
    elif is_first:  # a table without rows has a piece too
        nothing = np.zeros(0, "int64")
        yield _places(nothing, nothing), no_rows(task.table)


def _joined(held: list[tuple[pd.DataFrame, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    place, frame = (pd.concat(parts, ignore_index=True) for parts in zip(*held, strict=True))
    return place, frame


def _places(file: Integers, row: Integers) -> pd.DataFrame:
    return pd.DataFrame({"file": file.astype("int64"), "row": row.astype("int64")})


def fit_rows(table: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, Booleans]:
    """Mark the rows that pass `check_table`, and give them as it types them; equal keys are left to their meeting."""
    is_fit = np.ones(len(frame), dtype=bool)
    try:
        return _checked(table, frame), is_fit
    except InputError:
        for name in COLUMNS[table]:
            is_fit &= _fit_values(name, frame[name])
    return _checked(table, frame[is_fit]), is_fit


def _checked(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    key = KEYS[table]
    numbers = pd.Series(range(len(frame)), index=frame.index).astype("str")
    typed = check_table(table, frame.assign(**{key: numbers.where(frame[key].notna())}))
    return typed.set_index(frame.index).assign(**{key: frame[key]})


def _fit_values(name: str, values: pd.Series[Any]) -> Booleans:
    known = values.dropna()
    is_fit = pd.Series(name in NULLABLE, index=values.index)
    is_fit[known.index] = fits(name, known)
    return is_fit.to_numpy()


def _write(store: Store, name: str, frame: pd.DataFrame, part: Integers, parts: int) -> None:
    order = np.argsort(part, kind="stable")
    rows = pa.Table.from_pandas(frame.iloc[order], preserve_index=False).replace_schema_metadata(None)
    batch = rows.combine_chunks().to_batches()[0] if len(frame) else pa.RecordBatch.from_pylist([], rows.schema)
    ends = np.searchsorted(part[order], np.arange(parts + 1))
    slices = (batch.slice(begin, end - begin) for begin, end in pairwise(ends.tolist()))
    write_batches(store, name, slices, rows.schema)


def _read(store: Store, names: Iterable[str], part: int) -> pd.DataFrame:
    """All rows of a part."""
    batches = [read_batch(store, name, part) for name in names]
    frame: pd.DataFrame = pa.Table.from_batches(batches).to_pandas()
    return frame


class Meeting(NamedTuple):
    """Where equal keys meet: all rows of one hash of the keys."""

    number: int
    parts: int
    keys: dict[str, list[str]]
    costs: list[str]
    store: Store


class Met(NamedTuple):
    """The file that costs were dealt out to by user, and by table the keys that stand twice.

    `twice`: `file, row` of each copy, and `first`, that all copies of a key share, see `_rank`.
    """

    file: str
    twice: dict[str, pd.DataFrame]


def meet(task: Meeting) -> Met:
    """Look for keys that stand in several rows, and deal the costs out to the parts of their sessions.

    A cost of no session goes to any part, where it is found to have none.
    """
    known = {table: _read(task.store, names, task.number) for table, names in task.keys.items()}
    costs = _read(task.store, task.costs, task.number)
    place = get_indexer(costs["key"], known[SESSIONS]["key"])
    parts = known[SESSIONS]["part"].to_numpy("int64")
    of_session = np.append(parts, 0)[place]  # the last one, where there is no session
    part = np.where(place >= 0, of_session, part_of(costs["key"], task.parts))
    name = f"{BY_USER}/{task.number:05d}.arrow"
    by_user = costs.rename(columns={"key": "session_id"})[list(COLUMNS[COSTS])]
    _write(task.store, name, by_user, part, task.parts)
    rows = known | {COSTS: costs}
    return Met(name, {table: _twice(found) for table, found in rows.items()})


def _twice(found: pd.DataFrame) -> pd.DataFrame:
    copies = found[found["key"].duplicated(keep=False)]
    return copies[PLACE].assign(first=_rank(copies).groupby(copies["key"]).transform("min"))


def _rank(places: pd.DataFrame) -> pd.Series[int]:
    """Places as numbers in the order of the input."""
    return places["file"] * 2**40 + places["row"]


def read_part(store: Store, files: dict[str, list[str]], part: int) -> Tables:
    """The three tables of a part's users, rows in the order of the input. In: by table the files dealt out by user."""
    return Tables(*(_read(store, files[table], part) for table in COLUMNS))


def refuse(sources: dict[str, list[Source]], unfit: Mapping[str, Sequence[pd.DataFrame]]) -> None:
    """Say what is wrong with the input, if anything is, in the words of `check_tables`: InputError.

    In: by table its files, and of its unfit rows the places `file, row`, and `first` where a key stands twice. Only
    those are read again, `SHOWN` at most; any unfit row is refused, whatever is found in them.
    """
    findings = []
    for table in COLUMNS:
        places = [own.assign(first=own["first"] if "first" in own else _rank(own)) for own in unfit[table]]
        rows = pd.concat(places, ignore_index=True)
        rows = rows.sort_values(["first", *PLACE]).drop_duplicates(PLACE)
        if len(rows):
            findings.append(_finding(table, sources[table], rows))
    if findings:
        raise InputError("\n".join(findings))


def _finding(table: str, sources: Sequence[Source], rows: pd.DataFrame) -> str:
    shown = _shown(rows)
    more = f"\nTable {table} has {counted(len(rows), 'row')} like this; {counted(len(shown), 'row')} are counted above."
    try:
        check_table(table, _read_again(table, sources, shown))
    except InputError as error:
        return f"{error}{more if len(rows) > len(shown) else ''}"
    file, row = rows[PLACE].iloc[0]
    return (
        f"Table {table} has {counted(len(rows), 'row')} with an unfit value or a duplicate key, the first of them row "
        f"{row + 1:,} of {sources[file].path}. Correct the table and run again."
    )


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Keys with all their copies, as long as there is room, in the order of the input: a copy alone would pass."""
    last_copy = rows["first"].map(rows["first"].value_counts(sort=False).cumsum())
    is_shown = last_copy <= SHOWN
    return (rows[is_shown] if is_shown.any() else rows.head(SHOWN)).sort_values(PLACE)


def _read_again(table: str, sources: Sequence[Source], rows: pd.DataFrame) -> pd.DataFrame:
    parts = [
        read_rows(table, sources[int(str(file))], own["row"].tolist(), AT_A_TIME) for file, own in rows.groupby("file")
    ]
    return pd.concat(parts, ignore_index=True)
