"""How much memory is free, so that a shop that needs more is refused instead of killed."""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM = Path("/")
MEMORY = "proc/meminfo"
GROUPS = {  # of a container: what it may use and what it uses, by the folder of either version of control groups
    "sys/fs/cgroup": ("memory.max", "memory.current"),
    "sys/fs/cgroup/memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}
CACHE = "inactive_file"  # what of it the system gives back: files that were read


def free_memory(system: Path = SYSTEM) -> int | None:
    """The memory [bytes] that is free, or that the container may still use where that is less; None: not known."""
    free = [_available(system / MEMORY), *(_left(system / group, *names) for group, names in GROUPS.items())]
    return min((each for each in free if each is not None), default=None)


def _available(file: Path) -> int | None:
    """What Linux says is free for a program; elsewhere all memory that is built in, if the system says that."""
    try:
        return 1024 * _figures(file)["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _left(group: Path, most: str, used: str) -> int | None:
    """What a control group may still use; None where there is no group, or it has no limit."""
    try:
        limit, usage = (int((group / name).read_text("ascii")) for name in (most, used))
        return max(limit - usage + _figures(group / "memory.stat")[CACHE], 0)
    except (OSError, ValueError, KeyError):
        return None


def _figures(file: Path) -> dict[str, int]:
    """The figures in a file, each behind its name on a line of its own."""
    lines = [line.split() for line in file.read_text("ascii").splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1}
