"""Access SQLite, PostgreSQL and DuckDB like another program, for tests that run on each."""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex

import duckdb
import pandas as pd
import psycopg
import sqlalchemy as sa

from ihc.database.database import Database

WITH_TRIGGERS = ("sqlite", "postgresql")
KINDS = (*WITH_TRIGGERS, "duckdb")


def address_of(database):
    """The path or URL of a database or Database object."""
    return database.address if isinstance(database, Database) else str(database)


def is_file(database):
    return "://" not in address_of(database)


def is_duckdb(database):
    return address_of(database).startswith("duckdb")


@contextmanager
def opened(database, **options):
    """A driver connection in the schema of the URL; committed at the end."""
    if is_file(database):
        with closing(sqlite3.connect(address_of(database), timeout=0)) as connection, connection:
            yield connection
        return
    url = sa.make_url(address_of(database))
    if is_duckdb(database):
        with duckdb.connect(url.database) as connection:
            yield connection
        return
    schema = url.query.get("schema")
    plain = url.difference_update_query(["schema"]).render_as_string(hide_password=False)
    with psycopg.connect(plain, **options) as connection:
        if schema:
            connection.execute(f'SET search_path = "{schema}"')
        yield connection


@contextmanager
def new_database(server, options=""):
    """Create a PostgreSQL database and drop it at the end despite open connections; yields its URL."""
    name = f"ihc_test_{token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" {options}')
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def sql(database, *statements):
    """Execute statements as another program; returns the rows of the last one, if any."""
    with opened(database) as connection:
        for statement in statements:
            cursor = connection.cursor()
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def rows_of(database, table):
    """All rows of a table, sorted."""
    return sorted(sql(database, f"SELECT * FROM {table}"), key=lambda row: tuple(map(repr, row)))


def raise_at(database, event, table, says, when=""):
    """Make an event of a table, such as BEFORE INSERT, fail with an error; not in DuckDB, which has no triggers."""
    name = f"{says}_{event}_{table}".replace(" ", "_").lower()
    when = f" WHEN ({when})" if when else ""
    if is_file(database):
        body = f"BEGIN SELECT RAISE(ABORT, '{says}'); END"
        sql(database, f"CREATE TRIGGER {name} {event} ON {table}{when} {body}")
        return
    sql(
        database,
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{says}'; END $$",
        f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW{when} EXECUTE FUNCTION {name}()",
    )


def stop_raising(database, event, table, says):
    name = f"{says}_{event}_{table}".replace(" ", "_").lower()
    sql(database, f"DROP TRIGGER {name}" + ("" if is_file(database) else f" ON {table}"))


def copy_tables(source: Path, target, tables, arrange=lambda rows: rows):
    """Copy the rows of tables, ordered by `arrange`, from an SQLite file to the same tables of another database.

    In: `tables`, the columns by table in the other database; further text columns are added to it.
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
            with other.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in arrange(rows):
                    copy.write_row(row)
