import sqlite3
from contextlib import closing

from helpers.databases import sql

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import METADATA
from ihc.shipped import shipped


def described(connection, table):
    """The columns, types, keys and unique columns of an SQLite table, and whether it has row ids."""
    columns = [(*row[1:4], row[5]) for row in connection.execute(f"PRAGMA table_info({table})")]
    unique = {
        tuple(name for _, _, name in connection.execute(f"PRAGMA index_info({index})"))
        for _, index, is_unique, *_ in connection.execute(f"PRAGMA index_list({table})")
        if is_unique
    }
    ((statement,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ? AND type = 'table'", [table])
    return columns, unique, "WITHOUT ROWID" in statement


def test_the_tables_that_are_made_are_those_of_the_schema_file(tmp_path):
    create_tables(Database(tmp_path / "made.db"))
    documented = shipped("fixtures/schema.sql").read_text("utf-8")
    with closing(sqlite3.connect(tmp_path / "made.db")) as made, closing(sqlite3.connect(":memory:")) as written:
        written.executescript(documented)
        for table in METADATA.tables:
            assert described(made, table) == described(written, table)
    assert len(sql(tmp_path / "made.db", "SELECT 1 FROM sqlite_master WHERE type = 'table'")) == len(METADATA.tables)
    assert documented.count("CREATE TABLE") == len(METADATA.tables)
