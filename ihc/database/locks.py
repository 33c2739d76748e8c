"""One run at a time on a database: a lock that dies with the processes that write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ihc.database.connection import database_file, lock_name, server_lock
from ihc.database.file_lock import locked_file
from ihc.settings.run import Settings, held_lock


class Lock(Protocol):
    """What holds a lock: an open file, or a connection to a server."""

    def fileno(self) -> int:
        """The number that a process hands on to its children."""


def _say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def one_run_at_a_time(settings: Settings, say: Callable[[str], object] = _say) -> Iterator[Lock | None]:
    """Hold the lock of the settings' database; wait, and say so, while another run holds it.

    The lock belongs to an open file beside a database of SQLite or DuckDB, to a connection to PostgreSQL, or else to a
    file of this user on this machine, see `any_lock.py`. A run hands that on to its kernels, so the lock is free only
    when the last process of the run that could write has ended, however it ended. A kernel of a run has it already, and
    gets None.

    Raises DatabaseError if the lock file cannot be opened or the server not be reached.
    """
    name, waits = lock_name(settings.database), _waits(settings)
    if held_lock() == name:
        yield None
    elif database_file(settings.database):
        with locked_file(Path(name), lambda who: say(waits(who))) as file:
            yield file
    else:
        with server_lock(settings.database, lambda who: say(waits(who))) as lock:
            yield lock


def _waits(settings: Settings) -> Callable[[str], str]:
    return lambda who: f"Another run{who} is working on {settings.database_label}; waiting for it to end."
