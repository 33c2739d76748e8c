"""The lock of a run on a PostgreSQL database: who has it, and whether it is held still."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ihc.database.postgres import driver_connection, driver_errors, lock_key, plain_engine
from ihc.database.postgres_errors import quoted, schema_of
from ihc.errors import LOCK_LOST, DatabaseError

if TYPE_CHECKING:
    import psycopg


HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = %s
"""


@contextmanager
def run_lock(url: sa.URL, wait: Callable[[str], object]) -> Iterator[psycopg.Connection]:
    """Hold the schema's lock for a run, by a connection of its own; where another has it, `wait` is told who.

    The lock lasts as long as the connection, that is until the last process that holds it has ended. Raises
    DatabaseError at the end where it did not last that long.
    """
    name = f"ihc, process {os.getpid()} on {socket.gethostname()}"
    schema = schema_of(url)
    with plain_engine(url, application_name=name[:63]).connect() as connection:
        lock = driver_connection(connection)
        # It is idle while the run works, and waits as long as another does.
        for setting in ("statement_timeout", "lock_timeout", "idle_session_timeout"):
            lock.execute("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = %s", [setting])
        if schema:
            lock.execute(f"SET search_path = {quoted(schema)}".encode())
        ((key,),) = lock.execute(f"SELECT {lock_key('run')}".encode()).fetchall()
        if not lock.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchall()[0][0]:
            holder = lock.execute(HOLDER, [key]).fetchone()
            wait(f" ({holder[0]})" if holder and holder[0] else "")
            lock.execute("SELECT pg_advisory_lock(%s)", [key])
        yield lock
        _check_held(lock)


def _check_held(lock: psycopg.Connection) -> None:
    try:
        lock.execute("SELECT 1")
    except driver_errors():
        raise DatabaseError(LOCK_LOST) from None
