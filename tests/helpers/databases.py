"""SQLite, PostgreSQL, MariaDB, Firebird and DuckDB as another program sees them: the same test runs over each."""

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from secrets import token_hex

import duckdb
import pandas as pd
import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from helpers import firebird_files

WITH_TRIGGERS = ("sqlite", "postgresql", "mariadb", pytest.param("firebird", marks=pytest.mark.slow))
KINDS = (*WITH_TRIGGERS, "duckdb")
# Nothing that is written must outlive the machine.
PROGRAMS = ("mariadb-install-db", "mariadbd")
QUICK = (
    *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M"),
    *("--performance-schema=OFF", "--skip-log-bin", "--skip-networking", "--skip-name-resolve"),
)


def is_file(database):
    return "://" not in str(database)


def is_mariadb(database):
    return str(database).startswith("mysql")


def is_duckdb(database):
    return str(database).startswith("duckdb")


def is_firebird(database):
    return str(database).startswith("firebird")


@contextmanager
def opened(database, **options):
    """A connection of the driver, in the schema that the URL names; committed at the end."""
    if is_file(database):
        with closing(sqlite3.connect(database, timeout=0)) as connection, connection:
            yield connection
        return
    url = sa.make_url(str(database))
    if is_duckdb(database):
        with duckdb.connect(url.database) as connection:
            yield connection
        return
    if is_firebird(database):
        with firebird_files.opened(database) as connection:
            yield connection
        return
    if is_mariadb(database):
        with closing(pymysql.connect(**url.translate_connect_args(username="user"), **url.query)) as connection:
            yield connection
            connection.commit()
        return
    schema = url.query.get("schema")
    plain = url.difference_update_query(["schema"]).render_as_string(hide_password=False)
    with psycopg.connect(plain, **options) as connection:
        if schema:
            connection.execute(f'SET search_path = "{schema}"')
        yield connection


@contextmanager
def new_database(server, options=""):
    """Make a PostgreSQL database on a server, and drop it at the end, whoever is connected; yields its URL."""
    name = f"ihc_test_{token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" {options}')
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def sql(database, *statements):
    """Execute statements as another program would, and give back the rows of the last, if it has any."""
    with opened(database) as connection:
        for statement in chain.from_iterable(as_it_is_there(database, statement) for statement in statements):
            cursor = connection.cursor()
            cursor.execute(statement)
            if is_firebird(database) and not cursor.description:
                connection.commit()  # what was made can only then be used
        return list(cursor.fetchall()) if cursor.description else []


def as_it_is_there(database, statement):
    """A statement as a kind of database has it; in MariaDB, no key may be a TEXT."""
    if is_firebird(database):
        return firebird_files.statements_of(statement)
    return [re.sub(r"\bTEXT PRIMARY KEY", "VARCHAR(255) PRIMARY KEY", statement) if is_mariadb(database) else statement]


def rows_of(database, table):
    """All rows of a table, in one order."""
    return sorted(sql(database, f"SELECT * FROM {table}"), key=lambda row: tuple(map(repr, row)))


def raise_at(database, event, table, says, when=""):
    """Let a table refuse an event, such as BEFORE INSERT, with an error; not in DuckDB, which has no triggers."""
    name = f"{says}_{event}_{table}".replace(" ", "_").lower()
    when = f" WHEN ({when})" if when else ""
    if is_file(database):
        body = f"BEGIN SELECT RAISE(ABORT, '{says}'); END"
        sql(database, f"CREATE TRIGGER {name} {event} ON {table}{when} {body}")
        return
    if is_firebird(database):
        firebird_files.raise_at(database, event, table, says, when)
        return
    if is_mariadb(database):
        body = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{says}'"
        body = f"IF {when.removeprefix(' WHEN ')} THEN {body}; END IF" if when else body
        sql(database, f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW {body}")
        return
    sql(
        database,
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{says}'; END $$",
        f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW{when} EXECUTE FUNCTION {name}()",
    )


def stop_raising(database, event, table, says):
    if is_firebird(database):
        firebird_files.stop_raising(database, event, table, says)
        return
    name = f"{says}_{event}_{table}".replace(" ", "_").lower()
    sql(database, f"DROP TRIGGER {name}" + (f" ON {table}" if "postgresql" in str(database) else ""))


@contextmanager
def mariadb():
    """A server of MariaDB for the time of the block, with a data folder of its own; yields its URL.

    Raises FileNotFoundError where MariaDB is not installed.
    """
    programs = [shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") for name in PROGRAMS]
    if not all(programs):
        raise FileNotFoundError(f"{' and '.join(PROGRAMS)}: apt-get install mariadb-server")
    install, serve = programs
    with tempfile.TemporaryDirectory(prefix="ihc-mariadb-") as folder:
        common = ["--no-defaults", f"--datadir={folder}/data", "--innodb-log-file-size=8M"]
        common += ["--user=root"] if os.getuid() == 0 else []
        made = [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(made, check=True, capture_output=True, timeout=120)
        with open(f"{folder}/log", "wb") as log:
            server = subprocess.Popen([serve, *common, *QUICK, f"--socket={folder}/s"], stdout=log, stderr=log)
        try:
            url = f"mysql+pymysql://root@localhost/?unix_socket={folder}/s"
            until_it_answers(url, server)
            yield url
        finally:
            server.terminate()
            server.wait(60)


def until_it_answers(url, server):
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            sql(url, "SELECT 1")
            return
        except pymysql.OperationalError:
            time.sleep(0.05)
    raise OSError(f"MariaDB did not start (code {server.poll()})")


@contextmanager
def new_mariadb_database(server, options=""):
    """Make a database on a server of MariaDB, and drop it at the end; yields its URL."""
    name = f"ihc_test_{token_hex(4)}"
    sql(server, f"CREATE DATABASE {name} {options}")
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        sql(server, f"DROP DATABASE {name}")


def copy_tables(source: Path, target, tables, arrange=lambda rows: rows):
    """Copy the rows of tables, as `arrange` puts them, from an SQLite file into another database that has them.

    In: `tables`, the columns by table that the other database has; further columns of texts are added to it.
    """
    with closing(sqlite3.connect(source)) as connection:
        for table, columns in tables.items():
            found = [name for (name,) in connection.execute(f"SELECT name FROM pragma_table_info('{table}')")]
            for name in filter(lambda name: name not in columns, found):
                sql(target, f"ALTER TABLE {table} ADD {name} VARCHAR(255)")
    with closing(sqlite3.connect(source)) as connection, opened(target) as other:
        for table in tables:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            if is_duckdb(target):
                frame = pd.DataFrame(arrange(rows))
                other.register("copied", frame).execute(f"INSERT INTO {table} SELECT * FROM copied")
                continue
            if is_firebird(target):
                values = ", ".join(["?"] * len(rows[0]))
                other.cursor().executemany(f"INSERT INTO {table} VALUES ({values})", arrange(rows))
                continue
            if is_mariadb(target):
                values = ", ".join(["%s"] * len(rows[0]))
                other.cursor().executemany(f"INSERT INTO {table} VALUES ({values})", arrange(rows))
                continue
            with other.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in arrange(rows):
                    copy.write_row(row)
