"""Fast id lookups.

pandas' own functions (`isin`, `map`, `merge`, `get_indexer`) create one Python object per text, which takes up to
twenty times as long on millions of ids.
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
    """Return the position of each id in the column `known`, or -1 if it is missing.

    If an id occurs several times in `known`, its first position is returned. Ids are compared as texts, whatever their
    dtype. Equal ids are often adjacent, as in the rows of a journey; only the first of them is looked up.
    """
    if ids.empty:
        return np.empty(0, dtype="int64")
    if share_categories(ids, known):
        return _get_code_indexer(ids, known)
    wanted, first = arrow_texts(ids), run_starts(ids)
    is_repeating = 2 * len(first) < len(ids)  # otherwise, copying the first ones takes longer than it saves
    found = pc.index_in(wanted.take(pa.array(first)) if is_repeating else wanted, arrow_texts(known), skip_nulls=True)
    place = np.asarray(pc.fill_null(found, -1), dtype="int64")
    return np.repeat(place, np.diff(first, append=len(ids))) if is_repeating else place


def share_categories(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    """Whether two columns are categories with the same texts, so that their codes can be compared."""
    return isinstance(one.dtype, pd.CategoricalDtype) and one.dtype == other.dtype


def _get_code_indexer(ids: pd.Series[Any], known: pd.Series[Any]) -> Integers:
    """`get_indexer` for columns that share their categories."""
    place = np.full(len(known.cat.categories) + 1, -1)
    place[known.array.codes[::-1]] = np.arange(len(known))[::-1]  # the first position is written last
    place[-1] = -1  # NaN
    found: Integers = place[ids.array.codes]
    return found


def isin(ids: pd.Series[Any], known: pd.Series[Any]) -> Booleans:
    """Mark the ids that occur in the column `known`."""
    return get_indexer(ids, known) >= 0


def factorize(ids: pd.Series[Any]) -> Integers:
    """Encode the ids as integers, in order of first appearance."""
    first = run_starts(ids)
    found, _ = pd.factorize(ids.array.take(first))
    return np.repeat(found.astype("int64"), np.diff(first, append=len(ids)))


def run_starts(ids: pd.Series[Any]) -> Integers:
    """Return the position of each id that differs from the one before it."""
    is_other = np.ones(len(ids), dtype=bool)
    if isinstance(ids.dtype, pd.CategoricalDtype):
        is_other[1:] = ids.array.codes[1:] != ids.array.codes[:-1]
    else:
        texts = arrow_texts(ids)
        is_other[1:] = pc.fill_null(pc.not_equal(texts[1:], texts[:-1]), True)
    return np.flatnonzero(is_other)


def distinct_pairs(one: Integers, other: Integers) -> tuple[Integers, Integers]:
    """Return each pair of numbers once, in order of first appearance. In: two columns of numbers from 0."""
    size = other.max(initial=0) + 1
    pairs = pd.unique(one * size + other)
    return pairs // size, pairs % size


def lookup(ids: pd.Series[Any], table: pd.DataFrame, key: str, column: str) -> pd.Series[Any]:
    """Look up each id in `table[key]` and return its value in `table[column]`; NaN if the id is missing.

    Out: a series with the index of `ids`. If an id occurs several times in the table, the first row is used.
    """
    found = pd.api.extensions.take(table[column].array, get_indexer(ids, table[key]), allow_fill=True)
    return pd.Series(found, index=ids.index, name=column)


def get_pair_indexer(rows: pd.DataFrame, known: pd.DataFrame) -> Integers:
    """Return the position in `known` of each row's `conv_id` and `session_id`, or -1 if it is missing.

    In: `rows`, and `known` with each pair once; if a pair occurs several times, its first position is returned. If both
    frames have the same pairs in the same order, which is common, a single comparison is enough and nothing is looked
    up.
    """
    if all(are_equal(rows[name], known[name]) for name in PAIR):
        return np.arange(len(rows))
    # As whole numbers: comparing pairs of texts takes several times as long.
    keys = [get_indexer(frame["conv_id"], known["conv_id"]) for frame in (rows, known)]
    visits = [get_indexer(frame["session_id"], known["session_id"]) for frame in (rows, known)]
    key, known_key = (order * len(known) + visit for order, visit in zip(keys, visits, strict=True))
    is_there = (keys[0] >= 0) & (visits[0] >= 0)
    sorter = np.argsort(known_key, kind="stable")
    place = np.append(sorter, -1)[np.searchsorted(known_key, key, sorter=sorter)]
    return np.where(is_there & (known_key[place] == key), place, -1) if len(known) else np.full(len(rows), -1)


def are_equal(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    """Whether two columns have the same ids in the same order."""
    if share_categories(one, other):
        return np.array_equal(one.array.codes, other.array.codes)
    return bool(arrow_texts(one).equals(arrow_texts(other)))


def join(rows: pd.DataFrame, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Left join `columns` of `table` on `conv_id` and `session_id`; NaN where `table` has no such row."""
    place = get_pair_indexer(rows, table)
    return rows.assign(**{name: pd.api.extensions.take(table[name].array, place, allow_fill=True) for name in columns})


def argsort(keys: npt.NDArray[Any], ids: pd.Series[Any]) -> Integers:
    """Return the positions that sort the rows by key, and by id where keys are equal.

    In: one key and one id per row.
    """
    order = np.argsort(keys, kind="stable")
    return break_ties(order, equals_previous(keys[order]), ids)


def equals_previous(keys: npt.NDArray[Any]) -> Booleans:
    """Mark each entry that equals the one before it."""
    is_repeat = np.zeros(len(keys), dtype=bool)
    np.equal(keys[1:], keys[:-1], out=is_repeat[1:])
    return is_repeat


def break_ties(order: Integers, is_equal: Booleans, ids: pd.Series[Any]) -> Integers:
    """Order rows with equal sort keys by id.

    In: the sorted positions of the rows (`order`), whether each row `is_equal` to the one before it, and the id at each
    position. Sorting texts is slow and ties are rare, so only the tied rows are sorted by id.
    """
    is_tied = is_equal | np.append(is_equal[1:], False)[: len(order)]
    tied = order[is_tied]
    run = (~is_equal[is_tied]).cumsum()
    by_id = pd.DataFrame({"run": run, "id": ids.array.take(tied)}).sort_values(["run", "id"], kind="stable").index
    sorted_order = order.copy()
    sorted_order[is_tied] = tied[by_id]
    return sorted_order


def arrow_texts(ids: pd.Series[Any]) -> Any:
    """Convert a column to one Arrow array of texts."""
    texts = pa.array(ids.astype("str"), type=pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
