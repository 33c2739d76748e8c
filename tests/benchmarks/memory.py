"""How much memory this process holds, and at most held since it was last asked (Linux)."""

from __future__ import annotations

import gc
import resource
from collections.abc import Collection
from typing import Any

import pandas as pd
import pyarrow as pa


def current() -> int:
    """What this process holds in memory now [bytes]."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def settle() -> int:
    """Give back what is free, and forget the highest memory so far; what is held then [bytes]."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return current()


def peak() -> int:
    """The process's highest memory since it settled [bytes]."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def size(result: Any) -> int:
    """What a result takes [bytes]: frames, and lists or dictionaries of them or of bytes."""
    if isinstance(result, pd.DataFrame):
        return int(result.memory_usage(deep=True).sum())
    if isinstance(result, bytes):
        return len(result)
    if isinstance(result, dict):
        return size(list(result.values()))
    return sum(map(size, result)) if isinstance(result, Collection) and not isinstance(result, str) else 0
