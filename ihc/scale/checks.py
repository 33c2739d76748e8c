"""Validate tables distributed over a cluster, with the messages and totals of `check_tables`."""

from __future__ import annotations

from functools import partial
from typing import Any

import dask.dataframe as dd
import pandas as pd

from ihc.errors import InputError
from ihc.formatting import counted
from ihc.scale.frames import shuffled
from ihc.schemas.tables import KEYS, NULLABLE, check_table, fits, ruled_columns

SHOWN = 10_000  # maximum number of invalid rows that are read again for the message
FOUND = pd.DataFrame({"key": pd.Series(dtype="str"), "is_unfit": pd.Series(dtype="bool")})
COUNTS = pd.DataFrame({"key": pd.Series(dtype="str"), "rows": pd.Series(dtype="int64")})


def count_unfit(table: str, frame: dd.DataFrame, parts: int) -> dd.DataFrame:
    """Count the invalid rows of a table after shuffling by key. In: `read_parquet`.

    Out: `key` and `rows`: without a key, the number of invalid rows of each part; for a duplicate key, its copies.
    """
    found = frame.map_partitions(partial(_inspected, table), meta=FOUND)
    return shuffled(found, "key", parts).map_partitions(_counted, meta=COUNTS)


def _inspected(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"key": frame[KEYS[table]], "is_unfit": is_unfit(table, frame)})


def _counted(found: pd.DataFrame) -> pd.DataFrame:
    is_copy = found["key"].duplicated(keep=False) & found["key"].notna()
    copies = found.loc[is_copy, "key"].value_counts().sort_index().head(SHOWN)
    rows = int((is_copy | found["is_unfit"]).sum())
    return pd.DataFrame({"key": pd.Series([None, *copies.index], dtype="str"), "rows": [rows, *copies]})


def is_unfit(table: str, frame: pd.DataFrame) -> pd.Series[bool]:
    """Mark the rows with a value that `check_table` rejects. Duplicate keys are found after shuffling."""
    key = KEYS[table]
    numbers = pd.Series(range(len(frame)), index=frame.index).astype("str")
    try:
        check_table(table, frame.assign(**{key: numbers.where(frame[key].notna())}))
    except InputError:
        columns = [_is_unfit_value(name, frame[name]) for name in ruled_columns(table, frame)]
        return pd.concat(columns, axis="columns").any(axis="columns")
    return pd.Series(False, index=frame.index)


def _is_unfit_value(name: str, values: pd.Series[Any]) -> pd.Series[bool]:
    is_unfit = pd.Series(name not in NULLABLE, index=values.index)
    known = values.dropna()
    is_unfit[known.index] = ~fits(name, known)
    return is_unfit


def unfit_rows(table: str, frame: dd.DataFrame, counts: pd.DataFrame) -> dd.DataFrame:
    """The invalid rows, in file order, at most `SHOWN`. In: the result of `count_unfit`."""
    copies = counts.dropna().sort_values("key")
    is_shown = copies["rows"].cumsum() <= SHOWN  # a key with all its copies, because one alone is valid
    is_shown.iloc[:1] = True
    suspects = partial(_suspects, table, copies["key"][is_shown].tolist())
    return frame.map_partitions(suspects, meta=frame._meta).head(SHOWN, npartitions=-1, compute=False)


def _suspects(table: str, keys: list[str], frame: pd.DataFrame) -> pd.DataFrame:
    return frame[is_unfit(table, frame) | frame[KEYS[table]].isin(keys)].head(SHOWN)


def finding(table: str, rows: pd.DataFrame, counts: pd.DataFrame) -> str:
    """The message about `unfit_rows`, with the total if not all were read."""
    every = int(counts.loc[counts["key"].isna(), "rows"].sum())
    try:
        check_table(table, rows)
    except InputError as error:
        more = f"\nTable {table} has {counted(every, 'row')} like this; {counted(len(rows), 'row')} are included above."
        return f"{error}{more if every > len(rows) else ''}"
    return f"Table {table} had {counted(every, 'row')} with an invalid value or a duplicate key, and has changed since."
