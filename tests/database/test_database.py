"""Rows and transactions, with each kind of database."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from helpers.databases import WITH_TRIGGERS, is_duckdb, raise_at, rows_of, sql

from ihc.database.database import Database
from ihc.errors import DatabaseError, SettingsError

KEPT = sa.table("kept", *map(sa.column, ("id", "figure", "note")))


@pytest.fixture
def kept(nowhere):
    """A database with a table of one row."""
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
    with kept.transaction(is_writing=True) as opened:
        opened.append("kept", frame(("b", np.nan, None), ("", 0.1, ""), ("=c,\"'\n", 2, "x")))
    assert rows_of(kept, "kept") == [
        ("", 0.1, ""),
        ("=c,\"'\n", 2.0, "x"),
        ("a", 1.0, "first"),
        ("b", None, None),
    ]


def test_rows_are_added_one_by_one_and_none_is_no_error(kept):
    with kept.transaction(is_writing=True) as opened:
        opened.insert("kept", ["figure", "id"], [(2.5, "b"), (None, "c")])
        opened.insert("kept", ["figure", "id"], [])
    assert rows_of(kept, "kept")[1:] == [("b", 2.5, None), ("c", None, None)]


def test_a_statement_is_executed_for_each_of_the_rows(kept):
    noted = sa.update(KEPT).where(KEPT.c.id == sa.bindparam("key")).values(note=sa.bindparam("text"))
    with kept.transaction(is_writing=True) as opened:
        opened.each(noted, [{"key": "a", "text": "50 %"}, {"key": "nobody", "text": "?"}])
        opened.each(noted, [])
    assert rows_of(kept, "kept") == [("a", 1.0, "50 %")]


def test_a_query_is_read_with_its_parameters(kept):
    with kept.transaction() as opened:
        query = sa.text("SELECT id, figure FROM kept WHERE note = :note AND id = :id")
        found = opened.read(query, {"note": "first", "id": "a"})
        assert found.to_dict("list") == {"id": ["a"], "figure": [1.0]}
        assert opened.read(sa.select(KEPT.c.id).where(KEPT.c.id == "' OR 1=1 --")).empty


def change(database, and_then=lambda: None):
    with database.transaction(is_writing=True) as opened:
        opened.connection.execute(sa.delete(KEPT))
        opened.append("kept", frame(("b", 1, "x")))
        and_then()


@pytest.mark.parametrize("nowhere", WITH_TRIGGERS, indirect=True)
def test_a_transaction_that_fails_leaves_nothing(kept):
    with pytest.raises(ZeroDivisionError):
        change(kept, lambda: 1 / 0)
    raise_at(kept, "BEFORE INSERT", "kept", "no more")
    with pytest.raises(DatabaseError, match="no more"):
        change(kept)
    assert rows_of(kept, "kept") == [("a", 1.0, "first")]


def test_many_transactions_follow_each_other(kept):
    with kept.transactions() as begin:
        for number in range(8):
            with begin() as opened:
                opened.insert("kept", ["id"], [(f"n{number}",)])
    assert len(rows_of(kept, "kept")) == 9


def test_tables_and_views_are_named(kept):
    sql(kept, "CREATE VIEW seen AS SELECT id FROM kept")
    with kept.transaction() as opened:
        assert opened.tables() == {"kept", "seen"}


def test_a_key_twice_is_refused_in_a_sentence(kept):
    says = pytest.raises(DatabaseError, match=r"(?i)unique|duplicate")
    with says, kept.transaction(is_writing=True) as opened:
        opened.append("kept", frame(("a", 1, "x")))


@pytest.mark.parametrize("value", ["\udc80", {"a": 1}])
def test_a_value_that_cannot_be_written_is_refused_in_a_sentence(value, kept):
    if is_duckdb(kept) and isinstance(value, dict):
        pytest.skip("it has a type for a dict")
    mixed = pd.DataFrame({"id": pd.Series(["b", value], dtype=object)})
    with pytest.raises(DatabaseError, match=r"^Database .*\.$"), kept.transaction(is_writing=True) as opened:
        opened.append("kept", mixed)
    assert rows_of(kept, "kept") == [("a", 1.0, "first")]


@pytest.mark.parametrize("count", [0, 1, 2500])
def test_rows_are_found_by_a_list_of_ids_of_any_length(count, kept):
    ids = [f"id-{number}" for number in range(count)]  # more than any database accepts in a list
    with kept.transaction(is_writing=True) as opened:
        opened.append("kept", pd.DataFrame({"id": ids}, dtype="str"))
        with opened.listed(ids) as listed:
            found = opened.read(sa.select(KEPT.c.id).where(KEPT.c.id.in_(listed)))
    assert sorted(found["id"].tolist()) == sorted(ids)


def test_two_lists_in_one_transaction_are_independent(kept):
    found = []
    with kept.transaction() as opened:
        for ids in (["a", "b"], ["b"], ["a"]):
            with opened.listed(ids) as listed:
                found.append(opened.read(sa.select(KEPT.c.id).where(KEPT.c.id.in_(listed)))["id"].tolist())
    assert found == [["a"], [], ["a"]]


def test_sqlite_and_duckdb_have_a_file_and_its_name_is_all_that_a_report_says(nowhere, tmp_path):
    has_file = not nowhere.is_postgres
    assert nowhere.file == (tmp_path / Path(nowhere.url.database).name if has_file else None)
    assert nowhere.exists() != has_file  # a server is not checked in advance
    assert str(tmp_path) not in nowhere.name
    assert Database(nowhere.address) == nowhere


def test_a_relative_path_starts_at_the_base(tmp_path):
    made = Database("duckdb:///sub/shop.duckdb", base=tmp_path)
    assert (made.file, made.name) == (tmp_path / "sub" / "shop.duckdb", "duckdb:///shop.duckdb")
    assert Database("sub/shop.db", base=tmp_path) == Database(f"sqlite:///{tmp_path}/sub/shop.db")
    with pytest.raises(SettingsError, match="is a relative file: URL; give an absolute path"):
        Database("sqlite:///file:shop.db?uri=true", base=tmp_path)


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
        "postgresql://ann:S3cr@et@host/shop",
        "postgresql://ann:S3cr@e/t@host/shop",
        "postgresql://ann:S3cr@et:1@host/shop",
        "no S3://url",
    ],
)
def test_an_invalid_address_is_refused_without_showing_its_password(text):
    with pytest.raises(SettingsError, match=r"URL is invalid.*write @ as %40") as error:
        Database(text)
    assert "S3" not in str(error.value)


@pytest.mark.parametrize(
    "path",
    ["C:\\shop.db", "C:/a@b/shop.db", "data/10:30@home.db", "a@b.db", "postgres.db", "/tmp/x:y@z", "file:/tmp/shop.db"],
)
def test_a_path_with_signs_of_its_own_is_a_file(path):
    assert (Database(path).is_sqlite, Database(path).label) == (True, path)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "oracle+cx_oracle://ann:s3cret@host/shop",
            "oracle.cx_oracle:// database needs its SQLAlchemy dialect .*'cx_Oracle'.: pip",
        ),
        ("nosuch://ann:s3cret@host/shop", "nosuch:// database needs its SQLAlchemy dialect"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("duckdb://", "in memory"),
        ("duckdb:///:memory:", "in memory"),
        ("duckdb://ann:s3cret@host/shop.duckdb", "must be a file"),
        ("duckdb://host:1/shop.duckdb", "must be a file"),
    ],
)
def test_urls_that_cannot_serve_are_refused_without_showing_the_password(url, says):
    with pytest.raises(SettingsError, match=says) as error:
        Database(url)
    assert "s3cret" not in str(error.value)


def test_neither_label_nor_repr_shows_password_or_query():
    made = Database("postgres://ann:s3cret@host/shop?password=s3cret", "a b")
    assert made.label == "postgresql://ann:***@host/shop (schema a b)"
    assert repr(made) == "Database('postgresql://ann:***@host/shop (schema a b)')"
    assert made == Database(made.address)  # the address is passed to other processes


def test_a_schema_is_refused_for_a_file():
    with pytest.raises(SettingsError, match="is a file: leave out"):
        Database("shop.db", "x")


@pytest.mark.parametrize("name", ["what?.db", "a#b.db", "50%.db", "with space.db"])
def test_odd_file_names_mean_the_file_of_that_name(tmp_path, name):
    Database(tmp_path / name).make_empty()
    assert [path.name for path in tmp_path.iterdir()] == [name]
