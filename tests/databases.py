"""SQLite and PostgreSQL as another program sees them, so that the same test runs over both."""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex

import psycopg
import sqlalchemy as sa

KINDS = ("sqlite", "postgresql")


def is_file(database):
    return "://" not in str(database)


@contextmanager
def opened(database, **options):
    """A connection of the driver, in the schema that the URL names; committed at the end."""
    if is_file(database):
        with closing(sqlite3.connect(database, timeout=0)) as connection, connection:
            yield connection
        return
    url = sa.make_url(str(database))
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
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def rows_of(database, table):
    """All rows of a table, in one order."""
    return sorted(sql(database, f"SELECT * FROM {table}"), key=lambda row: tuple(map(repr, row)))


def raise_at(database, event, table, says, when=""):
    """Let a table refuse an event, such as BEFORE INSERT, with an error."""
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
    """Copy the rows of tables, as `arrange` puts them, from an SQLite file into a PostgreSQL database that has them."""
    with closing(sqlite3.connect(source)) as connection, opened(target) as other:
        for table in tables:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            with other.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in arrange(rows):
                    copy.write_row(row)
