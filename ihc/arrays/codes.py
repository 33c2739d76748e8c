"""Ids and names as categories: each row holds a whole number, and the texts are kept once.

Categories are sorted, so that sorting rows by their numbers sorts them by their texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.lookup import are_equal, arrow_texts, get_indexer, share_categories
from ihc.arrays.types import Integers


def with_shared_codes(*columns: pd.Series[Any]) -> list[pd.Series[Any]]:
    """Convert columns of ids to categories that all of them share. NaN stays NaN.

    Most ids should occur in the first column. If it has categories already, they stay unless another column has ids
    that are not among them.
    """
    known = columns[0].dtype if isinstance(columns[0].dtype, pd.CategoricalDtype) else None
    texts, codes = _encoded(columns[0])
    places, count = [codes], len(texts)
    for column in columns[1:]:
        place = _known(column, columns, places)
        if place is None:
            place = get_indexer(column, pd.Series(pd.array(texts, dtype="str")))
            strange = np.flatnonzero((place < 0) & column.notna().to_numpy())
            if len(strange):
                more, first = arrow_texts(column.iloc[strange]).dictionary_encode(), len(texts)
                texts = pa.concat_arrays([texts, more.dictionary])
                place[strange] = first + np.asarray(more.indices)
        places.append(place)
    if known is not None and len(texts) == count:
        return [_as_categories(column, place, known) for column, place in zip(columns, places, strict=True)]
    order = np.asarray(pc.sort_indices(texts))
    code = np.empty(len(order) + 1, dtype="int32")
    code[order], code[-1] = np.arange(len(order), dtype="int32"), -1
    dtype = dtype_of(pd.Index(pd.array(texts.take(pa.array(order)), dtype="str")))
    return [_as_categories(column, code[place], dtype) for column, place in zip(columns, places, strict=True)]


def _encoded(column: pd.Series[Any]) -> tuple[Any, Integers]:
    """Return the distinct texts of a column, and the place of each row's text in them; -1 for NaN."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return arrow_texts(pd.Series(column.cat.categories.array)), column.array.codes.astype("int64")
    found = arrow_texts(column).dictionary_encode()
    return found.dictionary, np.asarray(pc.fill_null(found.indices, -1), dtype="int64")


def _known(column: pd.Series[Any], columns: Sequence[pd.Series[Any]], places: list[Integers]) -> Integers | None:
    """Return the places of a column that shares the first one's categories, or that equals one before it."""
    if share_categories(column, columns[0]):
        return _encoded(column)[1]
    for other, place in zip(columns, places, strict=False):
        if len(other) == len(column) and are_equal(other, column):
            return place
    return None


def dtype_of(texts: pd.Index[Any]) -> pd.CategoricalDtype:
    """Return the type of categories with these texts, which are sorted and distinct.

    pandas tests whether categories are distinct. To ask first whether they are sorted answers that in half of the time.
    """
    if not texts.is_monotonic_increasing:
        raise ValueError("Categories must be sorted.")
    return pd.CategoricalDtype(texts)


def _as_categories(column: pd.Series[Any], codes: Any, dtype: pd.CategoricalDtype) -> pd.Series[Any]:
    return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype), index=column.index, name=column.name)
