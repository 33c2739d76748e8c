"""The lock of a run on any other database: one on this machine, and on MySQL and MariaDB one on the server too."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from ihc import mysql
from ihc.any_database import make_engine
from ihc.file_lock import locked_file


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
    where = f"{url.get_backend_name()}://{url.host or ''}:{url.port or ''}/{url.database or ''}"
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"ihc-locks-{user}" / f"{sha256(where.encode()).hexdigest()[:32]}.lock"
