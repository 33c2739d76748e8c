"""Reading and writing through Arrow is the same as by rows, or falls back to it."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pandas as pd
import pytest
import sqlalchemy as sa

from ihc.database import sqlite
from ihc.database.database import Database
from ihc.database.inputs import read_tables
from ihc.database.sqlite import read_through_arrow
from ihc.errors import DatabaseError

MANY = 3000  # more rows than the driver inspects to infer a type


def database_of(path, declared, values):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE t ({declared})")
        rows = [value if isinstance(value, tuple) else (value,) for value in values]
        if rows:
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return path


def by_rows(path):
    with Database(path).transaction() as opened:
        return opened.read(sa.text("SELECT * FROM t"), coerce_float=False)


QUICK = {
    "integers": ("a INTEGER", [1, 2]),
    "integers with a NULL": ("a INTEGER", [1, None, 3]),
    "NULLs and then integers": ("a INTEGER", [None] * MANY + [7]),
    "integers of 63 bits": ("a INTEGER", [2**62, 1]),
    "floats": ("a REAL", [1, 2.5, None, float("inf")]),
    "integers and floats": ("a NUMERIC", [1, 2.5]),
    "texts": ("a TEXT", ["a", None, "b", ""]),
    "numbers in a text column": ("a TEXT", [1, "b"]),
    "a text with a zero byte": ("a TEXT", ["a\0b", "ü€😀"]),
    "dates": ("a DATE", ["2023-01-01", "2023-01-02"]),
    "columns without a type": ("a, b", [("1", 2), ("3", 4)]),
    "a name with a quote": ('"a ""b" TEXT', ["x"]),
    "truth values": ("a BOOLEAN", [True, False]),
}
BY_ROWS = {
    "no rows": ("a TEXT", []),
    "only NULLs": ("a TEXT", [None, None]),
    "NULLs and then texts": ("a TEXT", [None] * MANY + ["x"]),
    "integers and then a float": ("a INTEGER", [*range(MANY), 5.5]),
    "integers and then a text": ("a INTEGER", [*range(MANY), "x"]),
    "an integer and a text": ("a INTEGER", [1, "x"]),
    "texts and then a number": ("a", ["x"] * MANY + [5]),
    "a date and a number": ("a DATE", ["20230101", "2023-01-02"]),
    "bytes": ("a TEXT", [b"a", b"b"]),
    "texts and then bytes": ("a TEXT", ["x"] * MANY + [b"yy"]),
    "texts and then no bytes": ("a TEXT", ["x"] * MANY + [b""]),
}


@pytest.mark.parametrize(("declared", "values"), QUICK.values(), ids=QUICK)
def test_frames_equal_those_of_the_standard_reader(tmp_path, declared, values):
    file = database_of(tmp_path / "a.db", declared, values)
    (frame,) = read_through_arrow(file, ["t"])
    pd.testing.assert_frame_equal(frame, by_rows(file))


@pytest.mark.parametrize(("declared", "values"), BY_ROWS.values(), ids=BY_ROWS)
def test_what_arrow_cannot_represent_exactly_is_read_by_rows(tmp_path, declared, values):
    assert read_through_arrow(database_of(tmp_path / "a.db", declared, values), ["t"]) is None


def test_a_text_that_is_no_utf_8_is_left_to_the_rows(tmp_path):
    file = database_of(tmp_path / "a.db", "a TEXT", ["x"])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
    assert read_through_arrow(file, ["t"]) is None


@pytest.mark.parametrize("name", ["a b.db", "100%25.db", "what?.db", "a#b.db", "ü.db"])
def test_a_file_may_have_any_name(tmp_path, name):
    (frame,) = read_through_arrow(database_of(tmp_path / name, "a TEXT", ["x"]), ["t"])
    assert frame["a"].tolist() == ["x"]


def test_a_view_is_read_like_a_table(tmp_path):
    file = database_of(tmp_path / "a.db", "a INTEGER", [1, None])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE VIEW v AS SELECT a + 1 AS b, 'x' || a AS c FROM t")
    (frame,) = read_through_arrow(file, ["v"])
    with Database(file).transaction() as opened:
        pd.testing.assert_frame_equal(frame, opened.read(sa.text("SELECT * FROM v"), coerce_float=False))


def test_a_table_that_another_program_changes_meanwhile_is_left_to_the_rows(tmp_path, monkeypatch):
    """With a write-ahead log, writers do not wait for readers, so two readers may see different states."""
    file = database_of(tmp_path / "a.db", "a TEXT", ["x"])
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        assert read_through_arrow(file, ["t", "t"])[1]["a"].tolist() == ["x"]
        real = sys.modules["ihc.database.sqlite"]._cursor
        opened = []

        def and_write(stack, connection):
            opened.append(connection)
            if len(opened) == 2:  # the first one watches for changes
                cursor = real(stack, connection)
                return Late(cursor, lambda: writer.execute("INSERT INTO t VALUES ('y')"))
            return real(stack, connection)

        class Late:
            def __init__(self, cursor, after):
                self._cursor, self._after = cursor, after

            def execute(self, query):
                self._cursor.execute(query)
                self._after()

            def __getattr__(self, name):
                return getattr(self._cursor, name)

        monkeypatch.setattr("ihc.database.sqlite._cursor", and_write)
        assert read_through_arrow(file, ["t", "t"]) is None


def test_without_the_driver_the_rows_are_read(shop, monkeypatch):
    quick = read_tables(shop)
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    assert read_through_arrow(shop, ["conversions"]) is None
    for with_driver, without in zip(quick, read_tables(shop), strict=True):
        pd.testing.assert_frame_equal(with_driver, without)


def test_the_input_tables_are_read_through_arrow(shop):
    frames = read_through_arrow(shop, ["session_sources", "conversions", "session_costs"])
    assert [len(frame) > 0 for frame in frames] == [True] * 3


def test_reading_leaves_the_file_as_it_is(tmp_path):
    file = database_of(tmp_path / "a.db", "a TEXT", ["x"])
    before = file.read_bytes()
    read_through_arrow(file, ["t"])
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.db"]


def test_reading_sqlite_never_loads_the_driver_of_postgresql(shop):
    code = f"import sys; from ihc import read_tables; read_tables({str(shop)!r}); print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


TWO = ("CREATE TABLE one (id INTEGER, name TEXT PRIMARY KEY)", "CREATE TABLE other (name TEXT, share REAL, day TEXT)")
ROWS = pd.DataFrame(
    {"id": [7, 8, 9], "name": ["ü€😀", "", "a\0b"], "share": [0.1 + 0.2, float("nan"), 5e-324], "day": [None] * 3}
)


def two(tmp_path):
    file = tmp_path / "two.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in TWO:
            connection.execute(statement)
    return Database(file)


def appended(database, frame=ROWS):
    """Append a frame to both tables; returns their rows."""
    with database.transaction(is_writing=True) as opened:
        opened.append_each({"one": ["id", "name"], "other": ["name", "share", "day"]}, frame)
        opened.append("other", frame[["name", "share", "day"]])
    with closing(sqlite3.connect(database.file)) as connection:
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("one", "other")]


@pytest.mark.parametrize("part", [1, 2, sqlite.PART])
def test_many_rows_are_inserted_like_few(tmp_path, monkeypatch, part):
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    expected = appended(two(tmp_path / "few"))
    monkeypatch.setattr(sqlite, "MANY", 1)
    monkeypatch.setattr(sqlite, "PART", part)
    monkeypatch.setattr(sqlite.Sqlite, "insert", None)
    assert appended(two(tmp_path / "many")) == expected
    assert expected[1][:3] == expected[1][3:] == [("ü€😀", 0.1 + 0.2, None), ("", None, None), ("a\0b", 5e-324, None)]


def test_many_rows_take_the_type_of_the_column(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "MANY", 1)
    assert appended(two(tmp_path), ROWS.assign(id=["1", "2", "x"]))[0] == [(1, "ü€😀"), (2, ""), ("x", "a\0b")]


@pytest.mark.parametrize("obstacle", ["no driver", "no room", "truth values"])
def test_many_rows_are_inserted_by_rows_where_arrow_cannot(tmp_path, monkeypatch, obstacle):
    monkeypatch.setattr(sqlite, "MANY", 1)
    if obstacle == "no driver":
        monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    if obstacle == "no room":
        monkeypatch.setattr(sqlite, "quote", lambda file: "/missing/rows.db")
    inserted, real = [], sqlite.Sqlite.insert
    monkeypatch.setattr(sqlite.Sqlite, "insert", lambda *given: (inserted.append(given[1]), real(*given)))
    frame = ROWS.assign(day=True) if obstacle == "truth values" else ROWS
    assert [len(rows) for rows in appended(two(tmp_path), frame)] == [3, 6]
    assert inserted == ["one", "other", "other"]


def test_many_rows_vanish_with_their_transaction_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "MANY", 1)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    database = two(tmp_path)
    with pytest.raises(DatabaseError, match="UNIQUE"):
        appended(database, pd.concat([ROWS, ROWS]))
    assert [len(rows) for rows in appended(database)] == [3, 6]
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("part", [sqlite.MANY // 4, sqlite.PART])
def test_any_number_of_large_inserts_fits_into_a_transaction(tmp_path, monkeypatch, part):
    monkeypatch.setattr(sqlite, "PART", part)
    database = Database(tmp_path / "new.db")
    database.make_empty()
    rows = pd.DataFrame({"number": range(sqlite.MANY)})
    with database.transaction(is_writing=True) as opened:
        opened.connection.exec_driver_sql("CREATE TABLE rows (number INTEGER)")
        for _ in range(12):  # SQLite attaches ten files at most
            opened.append("rows", rows)
    with database.transaction() as opened:
        assert opened.read(sa.text("SELECT count(*) AS count FROM rows"))["count"].tolist() == [12 * sqlite.MANY]
