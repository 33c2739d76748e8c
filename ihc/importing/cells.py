"""The cells of a raw column: its distinct texts, and the reasons why some cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.types import Integers
from ihc.formatting import some

EMPTY = "is empty"
WHOLE_BELOW = 2.0**63  # whole floating-point numbers below fit into 64 bits and are written without an exponent
WIDTH = 40  # [characters] of a value in a message
PLAIN = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean),
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
)


class Cells(NamedTuple):
    """The distinct texts of a column without blanks around, and for each row the position of its text; -1: empty."""

    codes: Integers
    texts: pa.Array


def read_cells(values: pd.Series[Any]) -> Cells:
    """Write the cells of a column of any type as texts, each distinct text once.

    Numbers are written with all their digits and without an exponent where possible; NaN, None and blanks are empty.
    """
    trimmed = pc.utf8_trim_whitespace(_written(values))
    filled = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, trimmed.type), trimmed).dictionary_encode()
    codes = as_numpy(filled.indices.fill_null(-1)).astype("int64")
    return Cells(codes, filled.dictionary)


def _written(values: pd.Series[Any]) -> pa.Array:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    array = _plain(values)
    if array is None:
        return _objects(values.astype("object"))
    return _floats(array) if pa.types.is_floating(array.type) else array.cast(pa.large_string())


def _plain(values: pd.Series[Any]) -> pa.Array | None:
    """Return texts and numbers as an Arrow array; None for a column of anything else."""
    if values.dtype == object:
        return None
    try:
        array = pa.array(values, from_pandas=True)
    except (TypeError, NotImplementedError):  # types unknown to Arrow, such as sparse or complex numbers
        return None
    if not any(is_kind(array.type) for is_kind in PLAIN):
        return None
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _objects(values: pd.Series[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.large_string(), from_pandas=True)
    except (TypeError, ValueError):
        missing = values.isna()
        texts = [None if gone else _text(value) for value, gone in zip(values, missing, strict=True)]
        return pa.array(texts, pa.large_string())


def _floats(array: pa.Array) -> pa.Array:
    numbers = as_numpy(array).astype("float64")
    whole = np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < WHOLE_BELOW)
    texts = pa.array(np.where(whole, numbers, 0).astype("int64")).cast(pa.large_string())
    return pc.if_else(pa.array(whole), texts, array.cast(pa.large_string()))


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE_BELOW:
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_numpy(values: pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow array as numpy holds it."""
    array: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


def quoted(text: object) -> str:
    """Quote a value for a message, on one line and cut to a readable length."""
    return some([text], width=WIDTH)


def reasons_of(texts: Sequence[str], faults: npt.NDArray[np.int8], says: dict[int, str]) -> npt.NDArray[np.object_]:
    """Say for each text with a fault what is wrong with it, as in "'31/02/2025' is no date"; "" for the others."""
    reasons = np.full(len(faults), "", dtype=object)
    wrong = np.flatnonzero(faults).tolist()
    reasons[wrong] = [f"{quoted(texts[place])} {says[int(faults[place])]}" for place in wrong]
    return reasons


def problems_of(codes: Integers, reasons: npt.NDArray[np.object_], index: pd.Index[Any]) -> pd.Series[str]:
    """List the rows that cannot be read, with their reasons. In: `reasons` of the distinct values."""
    rows = np.append(reasons, EMPTY)[codes]
    wrong = rows != ""
    return pd.Series(rows[wrong], index=index[wrong], dtype="str")


def taken(distinct: npt.NDArray[Any], codes: Integers, empty: object) -> npt.NDArray[Any]:
    """Give each row what belongs to its distinct value, and `empty` to empty cells."""
    return np.append(distinct, np.asarray([empty], dtype=distinct.dtype))[codes]
