"""What MySQL and MariaDB need beyond what SQLAlchemy does everywhere: how a session compares texts, and its locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from ihc.database.sqlite import BUSY_SECONDS
from ihc.errors import LOCK_LOST, DatabaseError

NAMES = ("mysql", "mariadb")
# By code point, as Python and SQLite do; the last one alone takes 'a' and 'a ' for the same.
COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")
LONG = 2_147_483  # seconds: what both take for the longest wait
CODE_OF_FLOAT = "4"  # as drivers say it of a column
OF_SESSION = (
    "SET SESSION sql_mode = 'TRADITIONAL'",  # a text that is too long is refused, never cut
    "SET SESSION time_zone = '+00:00'",
    f"SET SESSION innodb_lock_wait_timeout = {BUSY_SECONDS}",
    f"SET SESSION lock_wait_timeout = {BUSY_SECONDS}",
    f"SET SESSION wait_timeout = {LONG}",  # a run waits for the API, or for another run
    # Of `IN (SELECT ...)` in `IN (SELECT ...)` it makes loops in loops else, which take minutes with 100,000 sessions.
    "SET SESSION optimizer_switch = 'semijoin=off'",
)


def in_utf8(url: sa.URL) -> sa.URL:
    """The URL with a driver that speaks UTF-8, whatever the URL says; one of the drivers does nothing else."""
    is_its_own = url.get_backend_name() not in NAMES or url.get_driver_name() == "mariadbconnector"
    return url if is_its_own else url.update_query_dict({"charset": "utf8mb4"})


def connect(dialect: sa.Dialect, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """A connection of the driver that refuses what a table cannot keep."""
    password = named.get("password")
    if dialect.driver == "pymysql" and isinstance(password, str):
        named = {**named, "password": password.encode()}  # of a text it would make Latin-1
    connection = dialect.connect(*given, **named)
    cursor = connection.cursor()
    for statement in OF_SESSION:
        cursor.execute(statement)
    cursor.close()
    return connection


def by_code_points(connection: Any) -> None:
    """Let a connection compare texts by their code points; after SQLAlchemy has said its SET NAMES."""
    cursor = connection.cursor()
    known = ", ".join(f"'{name}'" for name in COLLATIONS)
    cursor.execute(f"SELECT collation_name FROM information_schema.collations WHERE collation_name IN ({known})")
    found = {str(name) for (name,) in cursor.fetchall()}
    cursor.execute(f"SET NAMES utf8mb4 COLLATE {next(name for name in COLLATIONS if name in found)}")
    cursor.close()
    connection.commit()


def collation(connection: sa.Connection) -> str | None:
    """By what texts are compared; None in a database that is neither MySQL nor MariaDB."""
    if connection.dialect.name not in NAMES:
        return None
    return str(connection.execute(sa.text("SELECT @@collation_connection")).scalar_one())


@contextmanager
def server_lock(engine: sa.Engine, wait: Callable[[str], object]) -> Iterator[None]:
    """Hold a lock on the database for a run, by a connection of its own; where another has it, `wait` is told who.

    Raises DatabaseError at the end where the server ended it earlier.
    """
    # A lock is one of the whole server, and has 64 characters at most.
    name = {"name": f"ihc run {sha256(str(engine.url.database).encode()).hexdigest()[:32]}"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        longest = "max_statement_time" if getattr(connection.dialect, "is_mariadb", False) else "max_execution_time"
        connection.exec_driver_sql(f"SET SESSION {longest} = 0")
        if not _got(connection, name, 0):
            holder = connection.execute(sa.text("SELECT IS_USED_LOCK(:name)"), name).scalar()
            wait(f" (connection {holder})" if holder else "")
            while not _got(connection, name, LONG):
                pass
        try:
            yield
            _check_held(connection, name)
        finally:
            connection.invalidate()  # closed as it is, for it may be gone, and another error goes before that


def _got(connection: sa.Connection, name: dict[str, str], seconds: int) -> bool:
    got = connection.execute(sa.text(f"SELECT GET_LOCK(:name, {seconds})"), name).scalar()
    if got is None:
        raise DatabaseError("The server gives no lock by GET_LOCK: see its error log, or let its administrator do so.")
    return bool(got)


def _check_held(connection: sa.Connection, name: dict[str, str]) -> None:
    try:
        is_held = connection.execute(sa.text("SELECT IS_USED_LOCK(:name) = CONNECTION_ID()"), name).scalar()
    except sa.exc.DBAPIError:
        is_held = False
    if not is_held:
        raise DatabaseError(LOCK_LOST)
