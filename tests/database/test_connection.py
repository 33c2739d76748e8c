"""Rows and transactions, over each kind of database in turn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from helpers.databases import WITH_TRIGGERS, is_duckdb, is_firebird, raise_at, rows_of, sql

from ihc.database.database import Database, append, connected, execute, insert, listed, read, tables_of, upsert
from ihc.database.dialect import named
from ihc.errors import DatabaseError, SettingsError


@pytest.fixture
def kept(nowhere):
    """A database with a table of ids and figures, in which there is one row."""
    nowhere.make_empty()
    sql(
        nowhere,
        "CREATE TABLE kept (id TEXT PRIMARY KEY, figure DOUBLE PRECISION, note TEXT)",
        "INSERT INTO kept VALUES ('a', 1, 'first')",
    )
    return nowhere


def frame(*rows):
    return pd.DataFrame(rows, columns=["id", "figure", "note"])


def test_rows_of_a_frame_are_added_with_null_where_there_is_none(kept):
    with kept.transaction(is_writing=True) as connection:
        append(connection, "kept", frame(("b", np.nan, None), ("", 0.1, ""), ("=c,\"'\n", 2, "x")))
    assert rows_of(kept, "kept") == [
        ("", 0.1, ""),
        ("=c,\"'\n", 2.0, "x"),
        ("a", 1.0, "first"),
        ("b", None, None),
    ]


def test_rows_are_added_one_by_one_and_none_is_no_error(kept):
    with kept.transaction(is_writing=True) as connection:
        insert(connection, "kept", ["figure", "id"], [(2.5, "b"), (None, "c")])
        insert(connection, "kept", ["figure", "id"], [])
    assert rows_of(kept, "kept")[1:] == [("b", 2.5, None), ("c", None, None)]


def test_a_row_replaces_the_one_with_its_key_and_no_other(kept):
    for _ in range(2):
        with kept.transaction(is_writing=True) as connection:
            upsert(connection, "kept", frame(("a", 7, "second"), ("b", 2, "new")), "id")
    assert rows_of(kept, "kept") == [("a", 7.0, "second"), ("b", 2.0, "new")]


def test_a_statement_is_executed_for_each_of_the_rows(kept):
    with kept.transaction(is_writing=True) as connection:
        execute(connection, "UPDATE kept SET figure = ?, note = ? WHERE id = ?", [(5, "50 %", "a"), (6, "?", "nobody")])
        execute(connection, "DELETE FROM kept WHERE id = ?", [])
    assert rows_of(kept, "kept") == [("a", 5.0, "50 %")]


def test_a_query_is_read_with_what_is_given_for_its_names(kept):
    with kept.transaction() as connection:
        query = "SELECT id, figure FROM kept WHERE note = :note AND id = :id"
        found = read(connection, query, {"note": "first", "id": "a"})
        assert found.to_dict("list") == {"id": ["a"], "figure": [1.0]}
        nothing = read(connection, "SELECT id FROM kept WHERE id = :id", {"id": "' OR 1=1 --"})
        assert nothing.empty


def change(database, and_then=lambda: None):
    with database.transaction(is_writing=True) as connection:
        connection.exec_driver_sql("DELETE FROM kept")
        append(connection, "kept", frame(("b", 1, "x")))
        and_then()


@pytest.mark.parametrize("nowhere", WITH_TRIGGERS, indirect=True)
def test_a_transaction_that_fails_leaves_nothing(kept):
    with pytest.raises(ZeroDivisionError):
        change(kept, lambda: 1 / 0)
    raise_at(kept, "BEFORE INSERT", "kept", "no more")
    with pytest.raises(DatabaseError, match="no more"):
        change(kept)
    assert rows_of(kept, "kept") == [("a", 1.0, "first")]


def test_one_connection_serves_many_transactions(kept):
    with connected(kept, is_writing=True) as connection:
        for number in range(8):
            with connection.begin():
                insert(connection, "kept", ["id"], [(f"n{number}",)])
    assert len(rows_of(kept, "kept")) == 9


def test_tables_and_views_are_named(kept):
    sql(kept, "CREATE VIEW seen AS SELECT id FROM kept")
    with kept.transaction() as connection:
        assert tables_of(connection) == {"kept", "seen"}


def test_a_key_twice_is_refused_in_a_sentence(kept):
    with (
        pytest.raises(DatabaseError, match=r"(?i)unique|duplicate"),
        kept.transaction(is_writing=True) as connection,
    ):
        append(connection, "kept", frame(("a", 1, "x")))


@pytest.mark.parametrize(
    "text",
    [
        "ihc:S3cret@host/shop",
        "ihc:S3/cret@host/shop",
        "postgresql:/ihc:S3cret@host/shop",
        "postgres:ihc:S3cret",
        "host=127.0.0.1 password=S3cret dbname=shop",
        "host=127.0.0.1 PASSWORD = 'S3cret'",
        "Driver={ODBC Driver 18};Server=h;UID=sa;PWD=S3cret",
        "oracle:/ann/S3cret",
    ],
)
def test_a_server_that_is_written_without_a_scheme_is_no_file_and_its_password_is_not_shown(text):
    with pytest.raises(SettingsError, match="is no URL that can be understood") as error:
        Database(text)
    assert "S3" not in str(error.value) + Database(text).label


@pytest.mark.parametrize(
    "path",
    ["C:\\shop.db", "C:/a@b/shop.db", "data/10:30@home.db", "a@b.db", "postgres.db", "/tmp/x:y@z", "file:/tmp/shop.db"],
)
def test_a_path_with_signs_of_its_own_is_a_file(path):
    assert (Database(path).url.get_backend_name(), Database(path).label) == ("sqlite", path)


@pytest.mark.parametrize("value", ["\udc80", {"a": 1}])
def test_a_value_that_cannot_be_written_is_refused_in_a_sentence(value, kept):
    if is_firebird(kept) and isinstance(value, dict):
        pytest.skip("the driver of Firebird makes a text of whatever it is given")
    value = object() if is_duckdb(kept) and isinstance(value, dict) else value  # it has a type for a dict
    mixed = pd.DataFrame({"id": pd.Series(["b", value], dtype=object)})
    with (
        pytest.raises(DatabaseError, match=r"^Database .*\.$"),
        kept.transaction(is_writing=True) as connection,
    ):
        append(connection, "kept", mixed)
    assert rows_of(kept, "kept") == [("a", 1.0, "first")]


@pytest.mark.parametrize("nowhere", ["sqlite", "postgresql", "mariadb", "duckdb"], indirect=True)
def test_sqlite_and_duckdb_have_a_file(nowhere, tmp_path):
    has_file = str(tmp_path) in str(nowhere)
    assert nowhere.file == (tmp_path / Path(nowhere).name if has_file else None)
    assert nowhere.exists() != has_file  # a server is asked, not looked for


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_rows_are_found_by_a_list_of_ids_of_any_length(count, kept):
    ids = [f"id-{number}" for number in range(count)]  # of which no database takes more than some in a list
    with kept.transaction(is_writing=True) as connection:
        append(connection, "kept", pd.DataFrame({"id": ids}, dtype="str"))
        found = [
            read(connection, f"SELECT id FROM kept WHERE id IN {among.sql}", among.given)
            for among in listed(connection, ids)
        ]
    assert sorted(pd.concat(found)["id"].tolist()) == sorted(ids)


def test_a_second_list_in_one_transaction_is_one_of_its_own(kept):
    with kept.transaction() as connection:
        found = [
            read(connection, f"SELECT id FROM kept WHERE id IN {among.sql}", among.given)["id"].tolist()
            for ids in (["a", "b"], ["b"], ["a"])
            for among in listed(connection, ids)
        ]
    assert found == [["a"], [], ["a"]]


def test_a_column_is_named_as_the_database_must_have_it():
    oracle = sa.create_mock_engine("oracle://", print)
    assert named(oracle, "channel_name", "date") == 'channel_name, "date"'
