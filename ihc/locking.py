"""One run at a time on a database: a lock that dies with the processes that write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import portalocker

from ihc.connection import database_file, lock_name, server_lock
from ihc.errors import DatabaseError
from ihc.settings import Settings, held_lock


class Lock(Protocol):
    """What holds a lock: an open file, or a connection to a server."""

    def fileno(self) -> int:
        """The number that a process hands on to its children."""


def _say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def one_run_at_a_time(settings: Settings, say: Callable[[str], object] = _say) -> Iterator[Lock | None]:
    """Hold the lock of the settings' database; wait, and say so, while another run holds it, on whatever machine.

    The lock belongs to an open file beside an SQLite database, or to a connection to a server. A run hands that on to
    its kernels, so the lock is free only when the last process of the run that could write has ended, however it
    ended. A kernel of a run has it already, and gets None.

    Raises DatabaseError if the lock file cannot be opened or the server not be reached.
    """
    name, waits = lock_name(settings.database), _waits(settings)
    if held_lock() == name:
        yield None
    elif database_file(settings.database):
        with _locked(Path(name), say, waits) as file:
            yield file
    else:
        with server_lock(settings.database, lambda who: say(waits(who))) as connection:
            yield connection


def _waits(settings: Settings) -> Callable[[str], str]:
    return lambda who: f"Another run{who} is working on {settings.database_label}; waiting for it to end."


@contextmanager
def _locked(path: Path, say: Callable[[str], object], waits: Callable[[str], str]) -> Iterator[IO[str]]:
    with _opened(path) as file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            say(waits(_who(file)))
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
