"""One run at a time on a database: a lock that dies with the processes that write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import portalocker

from ihc.errors import DatabaseError
from ihc.settings import Settings, held_lock, lock_file


def _say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def one_run_at_a_time(settings: Settings, say: Callable[[str], object] = _say) -> Iterator[IO[str] | None]:
    """Hold the lock of the settings' database; wait, and say so, while another run holds it.

    The lock belongs to an open file. A run hands that file on to its kernels, so the lock is free only when the last
    process of the run that could write has ended, however it ended. A kernel of a run has it already, and gets None.

    Raises DatabaseError if the lock file cannot be opened.
    """
    path = lock_file(settings)
    if held_lock() == str(path):
        yield None
        return
    with _opened(path) as file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            say(f"Another run{_who(file)} is working on {settings.database_label}; waiting for it to end.")
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
        raise DatabaseError(f"The lock file {path} beside the database cannot be opened: {error.strerror}.") from None


def _who(file: IO[str]) -> str:
    file.seek(0)
    pid = file.read(20).strip()
    return f" (process {pid})" if pid else ""
