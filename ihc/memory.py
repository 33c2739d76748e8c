"""Free memory: how much there is, so that a run that needs more is refused instead of killed, and giving it back."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

SYSTEM = Path("/")
MEMORY = "proc/meminfo"
GROUPS = {  # limit and usage of a container, in the folder of control groups v2 and v1
    "sys/fs/cgroup": ("memory.max", "memory.current"),
    "sys/fs/cgroup/memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}
CACHE = "inactive_file"  # the part that the system can reclaim: cached files


def free_memory(system: Path = SYSTEM) -> int | None:
    """Return the free memory [bytes]: of the system, or of the container if that is less. None: unknown."""
    free = [_available(system / MEMORY), *(_left(system / group, *names) for group, names in GROUPS.items())]
    return min((each for each in free if each is not None), default=None)


def give_back_memory() -> None:
    """Return memory that this process no longer uses to the system, as far as the system can.

    The C library of Linux keeps freed memory between blocks in use: 1.1 GB after reading 3.7 million sessions.
    """
    pa.default_memory_pool().release_unused()
    with suppress(OSError, TypeError, AttributeError):  # there is no such function on other systems
        ctypes.CDLL(None).malloc_trim(0)


def _available(file: Path) -> int | None:
    """Return the memory that Linux reports as available; elsewhere, the installed memory if known."""
    try:
        return 1024 * _figures(file)["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _left(group: Path, most: str, used: str) -> int | None:
    """Return what a control group may still use; None without a group or a limit."""
    try:
        limit, usage = (int((group / name).read_text("ascii")) for name in (most, used))
        return max(limit - usage + _figures(group / "memory.stat")[CACHE], 0)
    except (OSError, ValueError, KeyError):
        return None


def _figures(file: Path) -> dict[str, int]:
    """Parse the lines `name value` of a file."""
    lines = [line.split() for line in file.read_text("ascii").splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1}
