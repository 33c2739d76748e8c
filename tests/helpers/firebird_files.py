"""Firebird as another program sees it: files that several processes have open at once, without a server."""

import os
import re
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

ENGINE = "/usr/lib/*/firebird/3.0"
# Without this, the first process that opens a file keeps all others out.
SETTINGS = "ServerMode = Classic\n"
PAGE = 16_384  # bytes: the largest, of which a key may have a quarter


def prepare(folder):
    """Let this process and those that it starts share files, by an installation in a folder that is set so.

    Raises FileNotFoundError where Firebird is not installed.
    """
    found = sorted(Path("/").glob(ENGINE.removeprefix("/")))
    if not found:
        raise FileNotFoundError(f"{ENGINE}: apt-get install firebird3.0-server-core")
    for part in found[-1].iterdir():
        if part.name != "firebird.conf":
            (folder / part.name).symlink_to(part)
    (folder / "firebird.conf").write_text(SETTINGS)
    (folder / "locks").mkdir()
    os.environ |= {"FIREBIRD": str(folder), "FIREBIRD_LOCK": str(folder / "locks")}


def new_file(path):
    """Make a database; its URL."""
    from firebird.driver import create_database, driver_config

    known = driver_config.get_database("new") or driver_config.register_database("new")
    known.database.value, known.user.value, known.page_size.value = str(path), "SYSDBA", PAGE
    known.db_charset.value = known.charset.value = "UTF8"
    create_database("new").close()
    return f"firebird+firebird://SYSDBA@/{path}?charset=UTF8"


@contextmanager
def opened(url):
    """A connection of the driver; committed at the end."""
    from firebird.driver import connect

    with closing(connect(sa.make_url(url).database, user="SYSDBA", charset="UTF8")) as connection:
        yield connection
        if connection.main_transaction.is_active():
            connection.commit()


def statements_of(statement):
    """A statement as Firebird has it: texts have an end, REAL has few digits, and an INSERT adds one row."""
    statement = re.sub(r"\bTEXT\b", "VARCHAR(255)", statement)
    statement = re.sub(r"\bREAL\b", "DOUBLE PRECISION", statement)
    statement = re.sub(r"\bRENAME COLUMN\b", "ALTER COLUMN", statement)
    statement = re.sub(r"\bADD COLUMN\b", "ADD", statement)
    into, values, rows = statement.partition(" VALUES ")
    is_many = statement.startswith("INSERT") and re.search(r"\)\s*,\s*\(", rows)
    return (
        [f"{into}{values}({row})" for row in re.split(r"\)\s*,\s*\(", rows.strip()[1:-1])] if is_many else [statement]
    )


def raise_at(database, event, table, says, when):
    """Let a table refuse an event with an error."""
    name = name_of(event, table, says)
    with opened(database) as connection:
        connection.execute_immediate(f"CREATE EXCEPTION {name} '{says}'")
        connection.commit()
        when = f"IF {when.removeprefix(' WHEN ')} THEN " if when else ""
        connection.execute_immediate(f"CREATE TRIGGER {name} FOR {table} {event} AS BEGIN {when}EXCEPTION {name}; END")


def stop_raising(database, event, table, says):
    """Let it take them again."""
    with opened(database) as connection:
        connection.execute_immediate(f"DROP TRIGGER {name_of(event, table, says)}")


def name_of(event, table, says):
    """A name of a trigger, in the 31 characters that it may have."""
    return f"t{zlib.crc32(f'{says} {event} {table}'.encode())}"
