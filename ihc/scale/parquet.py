"""Read the three input tables from Parquet files at any fsspec URL into Dask DataFrames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import dask.dataframe as dd
import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ihc.errors import InputError, SettingsError, why
from ihc.schemas.tables import COLUMNS, CONV_UTC, EVENT_UTC, FLAGS, OPTIONAL, as_text, columns_of

AMOUNTS = ("revenue", "cost")
AT_A_TIME = 500_000  # approximate rows per partition, in whole row groups of one file


class Files(NamedTuple):
    """The Parquet files of a table: file system and paths."""

    fs: Any
    paths: list[str]


class Layout(NamedTuple):
    """The layout of a file: for each column ihc's name, the name in the file and the type; the rows per row group."""

    columns: tuple[tuple[str, str, str], ...]
    rows: tuple[int, ...]


def find_files(pattern: str, what: str) -> Files:
    """Find the files of a table, sorted by name.

    In: a path, a glob, a folder or any fsspec URL; `what` is the option named in messages.
    Raises SettingsError if there are no files, or the URL cannot be read.
    """
    try:
        fs, path = fsspec.core.url_to_fs(pattern)
        is_name = "[" in path and fs.exists(path)  # a file name that looks like a glob
        named = [path] if is_name else [file.path for file in fsspec.open_files(pattern, mode="rb")]
        paths = [found for each in named for found in _files_of(fs, each)]
    except (OSError, ValueError, ImportError) as error:
        raise SettingsError(f"{what} {pattern} cannot be read: {why(error)}.") from None
    if not paths:
        raise SettingsError(f"{what} {pattern} matches no file: give a Parquet file, a folder of them, or a glob.")
    return Files(fs, sorted(paths))


def _files_of(fs: Any, path: str) -> list[str]:
    try:
        kind = fs.info(path)["type"]
    except FileNotFoundError:
        return []
    if kind != "directory":
        return [path]
    root = path.rstrip("/")
    return [found for found in fs.find(root) if _is_data(found.removeprefix(f"{root}/"))]


def _is_data(path: str) -> bool:
    """Whether a file in a folder belongs to the table; excludes `_temporary`, `.crc` and other non-data files."""
    return path.lower().endswith(".parquet") and not any(name.startswith((".", "_")) for name in path.split("/"))


def layout_of(table: str, fs: Any, path: str) -> Layout:
    """Read the layout of a file; raises InputError if it is not Parquet, lacks a column, or has an unusable type."""
    try:
        with fs.open(path, "rb") as stream, pq.ParquetFile(stream) as file:
            schema = file.schema_arrow
            rows = tuple(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"Table {table}, file {path} cannot be read as Parquet: {why(error)}.") from None
    names = columns_of(table, schema.names, f", file {path}")
    empty = schema.empty_table().select(list(names.values())).rename_columns(list(names))
    _plain_frame(table, known_columns(table, names), empty, f", file {path}")
    return Layout(tuple((name, found, str(schema.field(found).type)) for name, found in names.items()), rows)


def read_parquet(table: str, files: Files, layouts: Sequence[Layout]) -> dd.DataFrame:
    """Read a table as frames for `check_table`, in file order, grouped by layout.

    In: the `layout_of` each file. Dask reads all files of one call like the first, so each layout needs its own call.
    """
    known = known_columns(table, {name for layout in layouts for name, _, _ in layout.columns})
    alike: dict[Any, list[tuple[str, Layout]]] = {}
    for path, layout in zip(files.paths, layouts, strict=True):
        alike.setdefault(layout.columns, []).append((path, layout))
    return dd.concat([_read_alike(table, known, files.fs, own) for own in alike.values()])


def _read_alike(table: str, known: Sequence[str], fs: Any, files: list[tuple[str, Layout]]) -> dd.DataFrame:
    names = {name: found for name, found, _ in files[0][1].columns}
    largest = max((count for _, layout in files for count in layout.rows), default=0)
    raw = dd.read_parquet(
        [path for path, _ in files],
        filesystem=fs,
        columns=list(names.values()),
        index=False,
        dtype_backend="pyarrow",  # pandas would read numeric ids with NULL as floats, which lose digits
        split_row_groups=max(1, AT_A_TIME // max(1, largest)),
    )
    return raw.map_partitions(partial(_plain_rows, table, known, names), meta=no_rows(known))


def _plain_rows(table: str, known: Sequence[str], names: Mapping[str, str], frame: pd.DataFrame) -> pd.DataFrame:
    rows = pa.Table.from_pandas(frame[list(names.values())], preserve_index=False)
    return _plain_frame(table, known, rows.rename_columns(list(names)))


def known_columns(table: str, names: Collection[str]) -> list[str]:
    """The columns of a table that ihc reads, with the optional ones among `names` last."""
    return [*COLUMNS[table], *(name for name in OPTIONAL[table] if name in names)]


def no_rows(columns: Sequence[str]) -> pd.DataFrame:
    """An empty frame for `check_table`."""
    return pd.DataFrame({name: pd.Series(dtype="str") for name in columns})


def _plain_frame(table: str, known: Sequence[str], found: pa.Table, file: str = "") -> pd.DataFrame:
    columns = {}
    for name in known:
        if name not in found.column_names:  # an optional column, added so that all files have the same columns
            columns[name] = pd.Series(np.nan, index=range(len(found)), dtype="str")
            continue
        try:
            columns[name] = plain(found.select([name]))[name]
        except InputError as error:
            raise InputError(f"Table {table}{file}: {error}") from None
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"Table {table}{file}: column {name} of the type {found.schema.field(name).type} cannot "
                f"be read as {'numbers' if _is_number(name) else 'texts'}: {why(error)}."
            ) from None
    return pd.DataFrame(columns)


def _is_number(name: str) -> bool:
    return name in FLAGS or name in AMOUNTS


def plain(table: pa.Table) -> pd.DataFrame:
    """Convert columns of other types to text and numbers, value by value, so the result is independent of partitions.

    Dictionaries, UUIDs, dates, times, timestamps and numeric ids become text; a timestamp at midnight becomes a date,
    others a UTC timestamp. Decimals become numbers.
    """
    return pd.DataFrame({name: _plain(name, table[name].combine_chunks()) for name in table.column_names})


def _plain(name: str, values: Any) -> pd.Series[Any]:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        raise TypeError("it is a nested type")
    if _is_number(name):
        return _numbers(name, values)
    kind = values.type
    if isinstance(kind, pa.UuidType):
        values = pa.array([None if one is None else str(one) for one in values.to_pylist()], pa.large_string())
    elif pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us"), safe=False) if name in (EVENT_UTC, CONV_UTC) else _days(values)
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
    """Timestamps as text: `2023-09-01` at midnight, otherwise `2023-09-01 13:05:59`."""
    utc = values.cast(pa.timestamp("us"), safe=False)
    days = utc.cast(pa.date32(), safe=False)
    is_midnight = pc.equal(days.cast(pa.timestamp("us")), utc)
    return pc.if_else(is_midnight, days.cast(pa.string()), utc.cast(pa.string()))
