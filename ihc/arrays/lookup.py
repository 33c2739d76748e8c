"""Where ids stand in a long column of them, and what stands beside them.

pandas' own ways to find out (`isin`, `map`, `merge`, `get_indexer`) make an object of each text, and so take up to
twenty times as long with millions of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.types import Booleans, Integers

PAIR = ["conv_id", "session_id"]


def get_indexer(ids: pd.Series[Any], known: pd.Series[Any]) -> Integers:
    """The place of each id in the column `known`, the first one where it stands in several; -1 where it is not there.

    Ids are compared as texts, whatever they are stored as.
    """
    if ids.empty:
        return np.empty(0, dtype="int64")
    found = pc.index_in(arrow_texts(ids), value_set=arrow_texts(known), skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1), dtype="int64")


def isin(ids: pd.Series[Any], known: pd.Series[Any]) -> Booleans:
    """Mark the ids that stand in the column `known`."""
    return get_indexer(ids, known) >= 0


def factorize(ids: pd.Series[Any]) -> Integers:
    """Number the ids by their first appearance.

    Equal ids often stand together, as a journey's rows do: then only the first of each run is looked up.
    """
    texts = arrow_texts(ids)
    is_other = np.ones(len(texts), dtype=bool)
    is_other[1:] = pc.fill_null(pc.not_equal(texts[1:], texts[:-1]), True)
    first = np.flatnonzero(is_other)
    found, _ = pd.factorize(ids.array.take(first))
    return np.repeat(found.astype("int64"), np.diff(first, append=len(texts)))


def lookup(ids: pd.Series[Any], table: pd.DataFrame, key: str, column: str) -> pd.Series[Any]:
    """What `table` has in `column` beside each id, which it has in `key`; NaN where the id is not there.

    Out: with the index of `ids`. Of an id that stands there several times, the first counts.
    """
    found = pd.api.extensions.take(table[column].array, get_indexer(ids, table[key]), allow_fill=True)
    return pd.Series(found, index=ids.index, name=column)


def get_pair_indexer(rows: pd.DataFrame, known: pd.DataFrame) -> Integers:
    """The place in `known` of each row's `conv_id` and `session_id`, which it has once; -1 where it is not there.

    Where both have the same rows in the same order, as often, comparing them says so at once: each has its own place.
    Of a pair that stands there several times, the first counts else.
    """
    if all(arrow_texts(rows[name]).equals(arrow_texts(known[name])) for name in PAIR):
        return np.arange(len(rows))
    numbered = known[PAIR].assign(place=np.arange(len(known))).drop_duplicates(PAIR)
    found = rows[PAIR].merge(numbered, how="left", on=PAIR)["place"]
    return found.fillna(-1).to_numpy("int64")


def join(rows: pd.DataFrame, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Put beside each row what `table` has in `columns` for its `conv_id` and `session_id`; NaN where it has none."""
    place = get_pair_indexer(rows, table)
    return rows.assign(**{name: pd.api.extensions.take(table[name].array, place, allow_fill=True) for name in columns})


def argsort(keys: npt.NDArray[Any], ids: pd.Series[Any]) -> Integers:
    """The places of the rows by rising key, and by id where keys are equal. In: a key and an id for each row."""
    order = np.argsort(keys, kind="stable")
    return break_ties(order, equals_previous(keys[order]), ids)


def equals_previous(keys: npt.NDArray[Any]) -> Booleans:
    """Mark each entry that is equal to the one before it."""
    is_repeat = np.zeros(len(keys), dtype=bool)
    np.equal(keys[1:], keys[:-1], out=is_repeat[1:])
    return is_repeat


def break_ties(order: Integers, is_equal: Booleans, ids: pd.Series[Any]) -> Integers:
    """Sort rows that are equal in what they are sorted by, by their ids.

    In: the sorted places of the rows (`order`), whether each `is_equal` to the one before, and the id of each place.
    Sorting texts is slow and few rows are equal, so only those are sorted by their id.
    """
    is_tied = is_equal | np.append(is_equal[1:], False)[: len(order)]
    tied = order[is_tied]
    run = (~is_equal[is_tied]).cumsum()
    by_id = pd.DataFrame({"run": run, "id": ids.array.take(tied)}).sort_values(["run", "id"], kind="stable").index
    sorted_order = order.copy()
    sorted_order[is_tied] = tied[by_id]
    return sorted_order


def arrow_texts(ids: pd.Series[Any]) -> Any:
    """The texts of a column as one Arrow array."""
    texts = pa.array(ids.astype("str"), type=pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
