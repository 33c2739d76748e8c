"""Current and peak memory of this process (Linux)."""

from __future__ import annotations

import dataclasses
import gc
import resource
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def current() -> int:
    """The current memory of this process [bytes]."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def settle() -> int:
    """Release free memory and reset the peak; returns the current memory [bytes]."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return current()


def peak() -> int:
    """The peak memory of the process since `settle` [bytes]."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def size(result: Any, given: Any = ()) -> int:
    """The memory of a result [bytes] without columns shared with the input; shared columns count once."""
    known = dict(_parts(given))
    return sum(count for place, count in dict(_parts(result)).items() if place not in known)


def _parts(values: Any) -> Iterator[tuple[int, int]]:
    """The addresses and sizes of frames' columns and of bytes."""
    if isinstance(values, pd.DataFrame):
        yield from (
            (_place(values[name].array), int(values[name].memory_usage(index=False, deep=True))) for name in values
        )
    elif isinstance(values, np.ndarray):
        yield _place(values), values.nbytes
    elif dataclasses.is_dataclass(values):
        yield from _parts(vars(values))
    elif isinstance(values, bytes):
        yield id(values), len(values)
    elif isinstance(values, dict):
        yield from _parts(list(values.values()))
    elif isinstance(values, list | tuple):
        for each in values:
            yield from _parts(each)


def _place(column: Any) -> int:
    """The address of a column's values."""
    if isinstance(column, pd.arrays.ArrowStringArray):
        whole = pa.array(column)
        first = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) and whole.num_chunks else whole
        return int(first.buffers()[-1].address)
    return int(np.asarray(column).__array_interface__["data"][0])
