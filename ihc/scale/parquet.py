"""The three tables in Parquet files, at any address that fsspec knows: read in pieces, as frames to be checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ihc.errors import InputError, SettingsError, why
from ihc.schemas.tables import COLUMNS, FLAGS, OPTIONAL, as_text, columns_of

AMOUNTS = ("revenue", "cost")


class Source(NamedTuple):
    """A Parquet file: the file system that holds it, and its path there."""

    fs: Any
    path: str


class Span(NamedTuple):
    """Rows of a file that are read together: its place among the table's files, and its row groups from, to."""

    file: int
    begin: int
    end: int
    first_row: int
    rows: int


def find_files(pattern: str, what: str) -> list[Source]:
    """The files of a table, in the order of their names.

    In: a path, a glob, a folder or any URL that fsspec knows; `what` names the option in the message.
    Raises SettingsError where there are none, or the address cannot be reached.
    """
    try:
        sources = [file for source in _named(pattern) for file in _files_of(source)]
    except (OSError, ValueError, ImportError) as error:
        raise SettingsError(f"{what} {pattern} cannot be looked up: {why(error)}.") from None
    if not sources:
        raise SettingsError(f"{what} {pattern} matches no file: give a Parquet file, a folder of them, or a glob.")
    return sorted(sources, key=lambda source: source.path)


def _named(pattern: str) -> list[Source]:
    fs, path = fsspec.core.url_to_fs(pattern)
    if "[" in path and fs.exists(path):  # a name that looks like a glob
        return [Source(fs, path)]
    return [Source(file.fs, file.path) for file in fsspec.open_files(pattern, mode="rb")]


def _files_of(source: Source) -> list[Source]:
    try:
        kind = source.fs.info(source.path)["type"]
    except FileNotFoundError:
        return []
    if kind != "directory":
        return [source]
    root = source.path.rstrip("/")
    return [Source(source.fs, path) for path in source.fs.find(root) if _is_data(path.removeprefix(f"{root}/"))]


def _is_data(path: str) -> bool:
    """Say whether a file below a folder is one of its table: not what writers leave aside, `_temporary` or `.crc`."""
    return path.lower().endswith(".parquet") and not any(name.startswith((".", "_")) for name in path.split("/"))


def row_groups(table: str, source: Source) -> list[int]:
    """How many rows each row group of a file has; raises InputError if it is no Parquet or lacks a column."""
    with _opened(table, source) as file:
        _names(table, source, file)
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def _names(table: str, source: Source, file: Any) -> dict[str, str]:
    """How the table's columns are written in a file."""
    return columns_of(table, file.schema_arrow.names, f", file {source.path}")


def spans_of(files: Sequence[Sequence[int]], rows: int) -> list[list[Span]]:
    """Put row groups together to work on: each item has about `rows`, of one file or of several small ones.

    In: for each file the rows of its groups, see `row_groups`.
    """
    items: list[list[Span]] = [[]]
    size = 0
    for file, groups in enumerate(files):
        first = 0
        for group, count in enumerate(groups):
            if size and size + count > rows:
                items.append([])
                size = 0
            items[-1].append(Span(file, group, group + 1, first, count))
            first, size = first + count, size + count
    return items


def read_span(table: str, source: Source, span: Span, rows: int) -> Iterator[tuple[int, pd.DataFrame]]:
    """Read a span, at most `rows` at a time: the place of the first row in its file, and a frame for `check_table`."""
    with _opened(table, source) as file:
        first, written = span.first_row, _names(table, source, file)
        columns = list(written.values())
        batches = file.iter_batches(rows, row_groups=list(range(span.begin, span.end)), columns=columns)
        for batch in _read(batches, table, source):
            found = pa.Table.from_batches([batch]).select(columns).rename_columns(list(written))
            yield first, _plain_frame(found, table, source)
            first += batch.num_rows


def read_rows(table: str, source: Source, rows: Sequence[int], at_a_time: int) -> pd.DataFrame:
    """Read some rows of a file, by their places in it; no more than `at_a_time` are looked through together."""
    wanted, parts = np.asarray(rows), []
    begin = 0
    for group, count in enumerate(row_groups(table, source)):
        own = wanted[(wanted >= begin) & (wanted < begin + count)]
        if len(own):
            for first, frame in read_span(table, source, Span(0, group, group + 1, begin, count), at_a_time):
                parts.append(frame.iloc[own[(own >= first) & (own < first + len(frame))] - first])
        begin += count
    return pd.concat(parts, ignore_index=True)


def read_parquet(table: str, sources: Sequence[Source]) -> pd.DataFrame:
    """Read a whole table, as a frame for `check_table`: what pieces of it are compared with."""
    parts = []
    for source in sources:
        groups = row_groups(table, source)
        span = Span(0, 0, len(groups), 0, sum(groups))
        parts += [frame for _, frame in read_span(table, source, span, max(span.rows, 1))]
    return pd.concat(parts, ignore_index=True) if parts else no_rows(table)


def read_columns(table: str) -> list[str]:
    """The columns that are read, those that a table may lack last."""
    return [*COLUMNS[table], *OPTIONAL[table]]


def no_rows(table: str) -> pd.DataFrame:
    """A table without rows, as a frame for `check_table`."""
    return pd.DataFrame({name: pd.Series(dtype="str") for name in read_columns(table)})


class _opened:  # noqa: N801 - a context manager
    """A Parquet file, open; whatever is wrong with it is an InputError that names it."""

    def __init__(self, table: str, source: Source) -> None:
        self.table, self.source = table, source

    def __enter__(self) -> Any:
        try:
            self.stream = self.source.fs.open(self.source.path, "rb")
            self.file = pq.ParquetFile(self.stream)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self.table, self.source, error) from None
        return self.file

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.stream.close()


def _read(batches: Iterator[Any], table: str, source: Source) -> Iterator[Any]:
    try:
        yield from batches
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(table, source, error) from None


def _unreadable(table: str, source: Source, error: Exception) -> InputError:
    return InputError(f"Table {table}, file {source.path} cannot be read as Parquet: {why(error)}.")


def _plain_frame(found: pa.Table, table: str, source: Source) -> pd.DataFrame:
    columns = {}
    for name in read_columns(table):
        if name not in found.column_names:  # one that the file may lack, so that all files give the same columns
            columns[name] = pd.Series(np.nan, index=range(len(found)), dtype="str")
            continue
        try:
            columns[name] = plain(found.select([name]))[name]
        except InputError as error:
            raise InputError(f"Table {table}, file {source.path}: {error}") from None
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"Table {table}, file {source.path}: column {name} of the type {found.schema.field(name).type} cannot "
                f"be read as {'numbers' if _is_number(name) else 'texts'}: {why(error)}."
            ) from None
    return pd.DataFrame(columns)


def _is_number(name: str) -> bool:
    return name in FLAGS or name in AMOUNTS


def plain(table: pa.Table) -> pd.DataFrame:
    """Columns of any type that means the same as texts and numbers, value by value, so that pieces are as the whole.

    Dictionaries, UUIDs, dates, times, timestamps and ids that are numbers become texts: a timestamp at midnight the
    day, any other what it is (UTC); decimals numbers.
    """
    return pd.DataFrame({name: _plain(name, table[name].combine_chunks()) for name in table.column_names})


def _plain(name: str, values: Any) -> pd.Series[Any]:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        raise TypeError("each value holds several")
    if _is_number(name):
        return _numbers(name, values)
    kind = values.type
    if isinstance(kind, pa.UuidType):
        values = pa.array([None if one is None else str(one) for one in values.to_pylist()], pa.large_string())
    elif pa.types.is_timestamp(kind):
        values = _days(values)
    elif pa.types.is_time(kind):
        values = values.cast(pa.time64("us"), safe=False)
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return as_text(pd.Series(values.to_pandas(), name=name))
    return pd.Series(values.cast(pa.large_string()).to_pandas(), name=name, dtype="str")


def _numbers(name: str, values: Any) -> pd.Series[Any]:
    kind = values.type
    if pa.types.is_decimal(kind) or pa.types.is_large_string(kind):
        return pd.Series(values.cast(pa.string()).to_pandas(), name=name, dtype="str")
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    return pd.Series(values.to_pandas(), name=name)


def _days(values: Any) -> Any:
    """Timestamps as texts: `2023-09-01` at midnight, `2023-09-01 13:05:59` else."""
    utc = values.cast(pa.timestamp("us"), safe=False)
    days = utc.cast(pa.date32(), safe=False)
    is_midnight = pc.equal(days.cast(pa.timestamp("us")), utc)
    return pc.if_else(is_midnight, days.cast(pa.string()), utc.cast(pa.string()))
