"""The lock of a run on any other database: one on this machine, and on MySQL and MariaDB one on the server too."""

from __future__ import annotations

import getpass
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from ihc.database import mysql
from ihc.database.any_database import make_engine
from ihc.database.locks import locked_file
from ihc.errors import DatabaseError


@contextmanager
def run_lock(url: sa.URL, wait: Callable[[str], object]) -> Iterator[IO[str]]:
    """Hold the database's lock for a run; where another has it, `wait` is told who.

    The lock is a file of this user in the machine's temporary folder, and lasts until the last process of the run has
    ended. A server of MySQL or MariaDB gives one too, which other machines wait for, as long as the run itself goes on.
    """
    with locked_file(_file(url), wait) as file:
        if url.get_backend_name() not in mysql.NAMES:
            yield file
            return
        with mysql.server_lock(make_engine(url, is_writing=False), wait):
            yield file


def _file(url: sa.URL) -> Path:
    """The file by which the lock on a database is known, whoever logs in."""
    where = f"{url.get_backend_name()}://{(url.host or '').lower()}:{url.port or ''}/{url.database or ''}"
    return _folder() / f"{sha256(where.encode()).hexdigest()[:32]}.lock"


def _folder() -> Path:
    """The folder of this user's locks; raises DatabaseError where another user could put something into it."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    folder = Path(tempfile.gettempdir()) / f"ihc-locks-{user}"
    with suppress(OSError):  # what is wrong is said when the file is opened
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
        if hasattr(os, "getuid") and not is_ours:
            raise DatabaseError(
                f"The folder of locks {folder} is not this user's alone: remove it, or name another in TMPDIR."
            )
    return folder
