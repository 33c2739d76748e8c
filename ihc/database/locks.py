"""File lock, held until the last process that has the file open has ended, however it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import portalocker

from ihc.errors import DatabaseError, why


class Lock(Protocol):
    """A lock holder: an open file or a server connection."""

    def fileno(self) -> int:
        """The file descriptor, which child processes inherit."""


@contextmanager
def locked_file(path: Path, wait: Callable[[str], object]) -> Iterator[IO[str]]:
    """Hold a file lock; if another process holds it, `wait` is called with that process.

    Raises DatabaseError if the file cannot be opened.
    """
    with _opened(path) as file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            wait(_who(file))
            portalocker.lock(file, portalocker.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file


def _opened(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise DatabaseError(f"The lock file {path} of the database cannot be opened: {why(error)}.") from None


def _who(file: IO[str]) -> str:
    file.seek(0)
    pid = file.read(20).strip()
    return f" (process {pid})" if pid else ""
