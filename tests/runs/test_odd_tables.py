"""Tables with unusual values: accepted, or rejected with a message whose remedy works."""

import re
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
import sqlalchemy as sa
from helpers.databases import opened, sql
from helpers.frames import FIXED
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc import build_journeys, read_tables
from ihc.database.database import Database
from ihc.database.inputs import read_columns, read_conversion_ids, users_of
from ihc.database.results import create_tables
from ihc.errors import DatabaseError, InputError
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, FLAGS, KEYS, SESSIONS

SESSION = {
    "session_id": "s1",
    "user_id": "u1",
    "event_date": "2024-05-01",
    "event_time": "10:00:00",
    "channel_name": "Mail",
    "holder_engagement": 1,
    "closer_engagement": 1,
    "impression_interaction": 0,
}
ORDER = {"conv_id": "c1", "user_id": "u1", "conv_date": "2024-05-02", "conv_time": "11:00:00", "revenue": 100}
COST = {"session_id": "s1", "cost": 2.5}
ROWS = {SESSIONS: [SESSION], CONVERSIONS: [ORDER], COSTS: [COST]}
EVERY_DAY = {"start_date": "0001-01-01", "end_date": "9999-12-31"}  # filtered by the database


def made(path, rows=ROWS):
    """A database that stores values unchanged, because no column has a type."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, columns in COLUMNS.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            places = ", ".join("?" * len(columns))
            given_rows = [tuple(row[name] for name in columns) for row in rows[table]]
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", given_rows)
    return path


def with_value(path, table, column, *values):
    """The same with one row per value of a column, with unique keys unless the column is the key."""
    key, row = KEYS[table], ROWS[table][0]
    rows = [row | {key: f"{row[key]}{'+' * place}", column: value} for place, value in enumerate(values)]
    return made(path, ROWS | {table: rows})


def refusal(path, **chosen):
    with pytest.raises(InputError) as error:
        read_tables(path, **chosen)
    return str(error.value)


# table, column, stored value; its name in the message; its value in the view of the remedy
UNFIT = [
    (CONVERSIONS, "conv_date", "2024-05-01T10:00:00Z", "is an ISO timestamp", "2024-05-01"),
    (SESSIONS, "event_date", "2024-05-01 10:00:00", "is an ISO timestamp", "2024-05-01"),
    (SESSIONS, "event_date", "2024-05-01T23:30:00-02:00", "is an ISO timestamp with a time zone offset", "2024-05-02"),
    (CONVERSIONS, "conv_date", "2024-05-01 00:00:00", "is a day with a time of 00:00", "2024-05-01"),
    (SESSIONS, "event_date", "20240501", "looks like YYYYMMDD", "2024-05-01"),
    (CONVERSIONS, "conv_date", 20240501, "looks like YYYYMMDD", "2024-05-01"),
    (CONVERSIONS, "conv_date", "26/03/2025", "looks like DD/MM/YYYY", "2025-03-26"),
    (CONVERSIONS, "conv_date", "03/26/2025", "looks like MM/DD/YYYY", "2025-03-26"),
    (CONVERSIONS, "conv_date", "05/03/2025", "looks like DD/MM/YYYY or MM/DD/YYYY", "2025-03-05"),
    (CONVERSIONS, "conv_date", "5.3.2025", "has its year at the end", None),
    (SESSIONS, "event_date", "05.03.2025", "looks like DD.MM.YYYY", "2025-03-05"),
    (SESSIONS, "event_date", "2025/03/05", "looks like YYYY/MM/DD", "2025-03-05"),
    (SESSIONS, "event_date", "2025-3-5", "lacks a leading zero", None),
    (SESSIONS, "event_date", "05-03-25", "has a year of two digits", None),
    (CONVERSIONS, "conv_date", 45413, "looks like an Excel serial number", "2024-05-01"),
    (CONVERSIONS, "conv_date", 1714557600, "looks like Unix time in seconds", "2024-05-01"),
    (CONVERSIONS, "conv_date", 1714557600000, "looks like Unix time in milliseconds", "2024-05-01"),
    (CONVERSIONS, "conv_date", 1714557600000000, "looks like Unix time in microseconds", "2024-05-01"),
    (CONVERSIONS, "conv_date", "0000-00-00", "is a zero date", None),
    (SESSIONS, "event_date", "2024-02-30", "is not a day of the calendar", None),
    (SESSIONS, "event_date", " 2024-05-01 ", "has blanks around it", "2024-05-01"),
    (SESSIONS, "event_date", "", "is an empty text", None),
    (SESSIONS, "event_date", "May 1", "is not a date like 2023-09-01", None),
    (SESSIONS, "event_time", "2024-05-01T10:00:00.5Z", "is an ISO timestamp", "10:00:00"),
    (
        SESSIONS,
        "event_time",
        "2024-05-01T10:00+02:00",
        "is an ISO timestamp with an offset or without seconds",
        "08:00:00",
    ),
    (SESSIONS, "event_time", "10:00", "is a time without seconds", "10:00:00"),
    (CONVERSIONS, "conv_time", "9:05:00", "is a time without a leading zero", "09:05:00"),
    (CONVERSIONS, "conv_time", "9:05", "is a time without a leading zero and seconds", None),
    (CONVERSIONS, "conv_time", "3:00 PM", "is a time of a 12-hour clock", None),
    (CONVERSIONS, "conv_time", "10:00:00.123456789", "has more than six digits after the second", "10:00:00.123456"),
    (CONVERSIONS, "conv_time", "10:00:00Z", "has a time zone", "10:00:00"),
    (CONVERSIONS, "conv_time", "10:00:00+02:00", "has a time zone offset", "08:00:00"),
    (CONVERSIONS, "conv_time", "24:00:00", "is the midnight that ends a day", "23:59:59"),
    (CONVERSIONS, "conv_time", "23:59:60", "is a leap second", "23:59:59"),
    (CONVERSIONS, "conv_time", "100500", "looks like HHMMSS", "10:05:00"),
    (CONVERSIONS, "conv_time", 0.4166667, "looks like an Excel fraction of a day", "10:00:00"),
    (CONVERSIONS, "conv_time", "10:00:00 ", "has blanks around it", "10:00:00"),
    (CONVERSIONS, "conv_time", "", "is an empty text", None),
    (CONVERSIONS, "conv_time", "noon", "is not a time like 13:05:59", None),
    (SESSIONS, "holder_engagement", "true", "is a truth value as a text", 1),
    (SESSIONS, "closer_engagement", "No", "is a truth value as a text", 0),
    (SESSIONS, "impression_interaction", "", "is an empty text", 0),
    (SESSIONS, "holder_engagement", 2, "is a flag other than 0 or 1", None),
    (CONVERSIONS, "revenue", "12,50", "has a decimal comma", 12.5),
    (COSTS, "cost", "12,5", "has a decimal comma", 12.5),
    (CONVERSIONS, "revenue", "1,234.50", "has a thousands separator", 1234.5),
    (CONVERSIONS, "revenue", "1,234,567", "has a thousands separator", 1234567),
    (CONVERSIONS, "revenue", "1.234.567", "has a thousands separator", 1234567),
    (CONVERSIONS, "revenue", "1.234.50", "is not a number", None),
    (CONVERSIONS, "revenue", "1 234.50", "has a thousands separator", 1234.5),
    (CONVERSIONS, "revenue", "1\u202f234", "has a thousands separator", 1234),
    (CONVERSIONS, "revenue", "1'234.50", "has a thousands separator", 1234.5),
    (CONVERSIONS, "revenue", "1.234,50", "has a thousands separator and a decimal comma", 1234.5),
    (CONVERSIONS, "revenue", "1,234", "has a comma before decimals or thousands", 1.234),
    (CONVERSIONS, "revenue", "€ 12.50", "has a currency sign", 12.5),
    (CONVERSIONS, "revenue", "12.50 EUR", "has a currency sign", 12.5),
    (CONVERSIONS, "revenue", "-$12", "has a currency sign", -12),
    (CONVERSIONS, "revenue", "", "is an empty text", 0),
    (CONVERSIONS, "revenue", "(12.50)", "is a negative amount in accounting style", -12.5),
    (CONVERSIONS, "revenue", "0x10", "is a hexadecimal number", None),
    (CONVERSIONS, "revenue", "'12.50", "begins with an apostrophe", 12.5),
    (CONVERSIONS, "revenue", "True", "is a truth value", None),
    (CONVERSIONS, "revenue", "١٢", "is not a number", None),
    (CONVERSIONS, "revenue", float("inf"), "is not a finite number below 1e15", None),
    (CONVERSIONS, "revenue", "1e15", "is not a finite number below 1e15", None),
    (CONVERSIONS, "revenue", b"12.5", "is a BLOB", 12.5),
    (COSTS, "cost", b"2", "is a BLOB", 2),
    (SESSIONS, "holder_engagement", b"1", "is a BLOB", 1),
    (COSTS, "cost", -2.0, "is negative", 0),
    (SESSIONS, "user_id", b"\x00\x01\xff", "is a BLOB", "0001FF"),
    (CONVERSIONS, "user_id", 1234567890.125, "is a fractional number", None),
    (COSTS, "session_id", 2.0**60, "is a floating point number of 16 and more digits", None),
    (SESSIONS, "channel_name", None, "NULL", "unknown"),
    (CONVERSIONS, "revenue", None, "NULL", 0),
    (SESSIONS, "closer_engagement", None, "NULL", 0),
    (SESSIONS, "event_time", None, "NULL", "00:00:00"),
    (CONVERSIONS, "conv_date", None, "NULL", None),
]
# The value of the other rows and how it is read: the view must not change it.
RIGHT = {
    **{day: {"2024-05-01": "2024-05-01"} for day in ("event_date", "conv_date")},
    **{time: {"10:00:00": "10:00:00"} for time in ("event_time", "conv_time")},
    **{flag: {1: 1, "1": 1, 0: 0, "0": 0} for flag in FLAGS},
    "revenue": {"12.50": 12.5, 12.25: 12.25, -3: -3},
    "cost": {"12.50": 12.5, 12.25: 12.25},
    "channel_name": {"Mail": "Mail"},
}
NAMES = [f"{column}-{value!r}" for _, column, value, *_ in UNFIT]


@pytest.mark.parametrize(("table", "column", "value", "says", "mended"), UNFIT, ids=NAMES)
def test_an_invalid_value_is_named_with_its_row_and_the_view_of_its_remedy_fixes_it(
    tmp_path, table, column, value, says, mended
):
    right = RIGHT.get(column, {})
    path = with_value(tmp_path / "shop.db", table, column, value, *right)
    message = refusal(path)
    assert message.count("\n") == 0
    assert re.match(rf"Table {table}, column {column}: .*{re.escape(says)} in 1 row \({KEYS[table]} ", message)
    if isinstance(value, str):
        assert repr(value) in message
    view = re.search(rf"in a view[^:]*: (.*?) AS {column}\b", message, re.IGNORECASE)
    assert (view is None) == (mended is None)
    if view:
        columns = [f"{view[1]} AS {column}" if name == column else name for name in COLUMNS[table]]
        sql(path, f"ALTER TABLE {table} RENAME TO own", f"CREATE VIEW {table} AS SELECT {', '.join(columns)} FROM own")
        assert getattr(read_tables(path), {SESSIONS: "sessions", CONVERSIONS: "conversions", COSTS: "costs"}[table])[
            column
        ].tolist() == [mended, *right.values()]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("conv_time", "10:00:00.123456", "10:00:00.123456"),
        ("revenue", "12.50", 12.5),
        ("revenue", "1e3", 1000),
        ("revenue", " 12.5 ", 12.5),
        ("revenue", 12500000, 12500000),  # possibly in millionths, which cannot be detected
        ("conv_id", "c\0" + "1", "c\0" + "1"),
        ("user_id", 7.0, "7"),
    ],
)
def test_an_unusual_but_unambiguous_value_is_accepted(tmp_path, column, value, expected):
    path = with_value(tmp_path / "shop.db", CONVERSIONS, column, value)
    for tables in (read_tables(path), read_tables(path, **EVERY_DAY)):
        assert tables.conversions[column].tolist() == [expected]


def test_ambiguous_dates_are_read_like_unambiguous_ones(tmp_path):
    path = with_value(tmp_path / "shop.db", CONVERSIONS, "conv_date", "05/03/2025", "26/03/2025")
    assert "conv_date: '26/03/2025' looks like DD/MM/YYYY in 2 rows (conv_id 'c1+', 'c1')" in refusal(path)
    both = with_value(tmp_path / "both.db", CONVERSIONS, "conv_date", "05/03/2025", "26/03/2025", "03/26/2025")
    assert len(refusal(both).splitlines()) == 3


@pytest.mark.parametrize("date", ["26/03/2025", 20240501, "0000-00-00"])
def test_a_date_that_cannot_be_compared_is_never_dropped_by_a_filter(tmp_path, date):
    path = with_value(tmp_path / "shop.db", CONVERSIONS, "conv_date", "2024-05-02", date)
    expected = refusal(path)
    assert refusal(path, start_date="2024-05-02", end_date="2024-05-02") == expected
    assert read_tables(path, users=["u2"]).conversions.empty  # dates are not compared


COPIES = {
    "equal sessions": (
        SESSIONS,
        {},
        "the rows are equal. If a row was loaded twice, keep one; in a view: SELECT DISTINCT",
    ),
    "order lines": (
        CONVERSIONS,
        {"revenue": 5},
        "the rows differ in revenue. If they are parts of one amount, sum them",
    ),
    "costs of two kinds": (COSTS, {"cost": 0.5}, "the rows differ in cost. If they are parts of one amount, sum them"),
    "orders of two shops": (
        CONVERSIONS,
        {"revenue": 5, "user_id": "u2"},
        "the rows differ in user_id, revenue. Keep one row, or make the ids unique",
    ),
    "sessions of two channels": (SESSIONS, {"channel_name": "Ads"}, "the rows differ in channel_name. Keep one row"),
    "costs twice": (COSTS, {}, "the rows are equal. If a row was loaded twice, keep one"),
}


@pytest.mark.parametrize(("table", "change", "says"), COPIES.values(), ids=COPIES)
def test_a_duplicate_key_names_the_differences_and_the_view_of_the_remedy_merges_its_rows(
    tmp_path, table, change, says
):
    row = ROWS[table][0]
    path = made(tmp_path / "shop.db", ROWS | {table: [row, row | change]})
    key = KEYS[table]
    message = refusal(path)
    assert f"column {key}: '{row[key]}' is a duplicate key in 2 rows ({key} '{row[key]}'); {says}" in message
    if view := re.search(rf"in a view: (SELECT .*? FROM your_{table}(?: GROUP BY [\w, ]+)?)\.", message):
        sql(path, f"ALTER TABLE {table} RENAME TO your_{table}", f"CREATE VIEW {table} AS {view[1]}")
        tables = read_tables(path)
        assert [len(frame) for frame in tables] == [1, 1, 1]
        # 100 + 5, 2.5 + 0.5
        assert tables.conversions["revenue"].item() == (105 if change == {"revenue": 5} else 100)
        assert tables.costs["cost"].item() == (3 if change == {"cost": 0.5} else 2.5)


def test_equal_costs_of_a_session_may_be_partial_amounts(tmp_path):
    message = refusal(made(tmp_path / "shop.db", ROWS | {COSTS: [COST, COST]}))
    assert "If they are parts of one amount, sum them: SELECT session_id, SUM(cost) AS cost FROM" in message


def test_copies_that_are_equal_and_copies_that_differ_are_two_findings(tmp_path):
    rows = [COST, COST, {"session_id": "s2", "cost": 1}, {"session_id": "s2", "cost": 2}]
    first, second = refusal(made(tmp_path / "shop.db", ROWS | {COSTS: rows})).splitlines()
    assert "(session_id 's1'); the rows are equal" in first
    assert "(session_id 's2'); the rows differ in cost" in second


def test_a_shop_without_flags_gets_constants_to_use(tmp_path):
    path = made(tmp_path / "shop.db")
    flags = ("holder_engagement", "closer_engagement", "impression_interaction")
    sql(path, *(f"ALTER TABLE session_sources DROP COLUMN {flag}" for flag in flags))
    message = refusal(path)
    constants = re.search("takes constants in a view: (.*)[.]", message)[1]
    assert constants == "1 AS holder_engagement, 1 AS closer_engagement, 0 AS impression_interaction"
    sql(
        path,
        "ALTER TABLE session_sources RENAME TO own",
        f"CREATE VIEW session_sources AS SELECT *, {constants} FROM own",
    )
    assert read_tables(path).sessions[list(flags)].values.tolist() == [[1, 1, 0]]


def test_tables_and_columns_are_found_in_any_case(tmp_path):
    path = tmp_path / "shop.db"
    made(path)
    for table, columns in COLUMNS.items():
        renamed = [f"ALTER TABLE {table} RENAME COLUMN {name} TO {name.upper()}" for name in columns]
        sql(path, *renamed, f"ALTER TABLE {table} RENAME TO own", f"ALTER TABLE own RENAME TO {table.title()}")
    create_tables(Database(path))  # creates none of them again
    for tables in (
        read_tables(path),
        read_tables(path, **EVERY_DAY),
        read_tables(path, users=users_of(Database(path), "c1")),
    ):
        assert [frame.columns.tolist() for frame in tables] == [[*columns] for columns in COLUMNS.values()]
        assert [len(frame) for frame in tables] == [1, 1, 1]
    assert read_conversion_ids(Database(path))["conv_id"].tolist() == ["c1"]
    assert read_columns(Database(path)).columns.tolist() == [*COLUMNS[SESSIONS]]


def test_columns_in_capitals_of_a_postgresql_are_found_and_a_table_in_capitals_is_named(schema_url):
    create_tables(Database(schema_url))
    sql(
        schema_url,
        *(f'ALTER TABLE {table} RENAME {name} TO "{name.upper()}"' for table in COLUMNS for name in COLUMNS[table]),
        "INSERT INTO session_sources VALUES ('s1', 'u1', '2024-05-01', '10:00:00', 'Mail', 1, 1, 0)",
        "INSERT INTO conversions VALUES ('c1', 'u1', '2024-05-02', '11:00:00', 100)",
        "INSERT INTO session_costs VALUES ('s1', 2.5)",
    )
    for tables in (
        read_tables(schema_url),
        read_tables(schema_url, users=users_of(Database(schema_url), "c1"), **EVERY_DAY),
    ):
        assert [len(frame) for frame in tables] == [1, 1, 1]
    sql(schema_url, 'ALTER TABLE session_costs RENAME TO "Session_Costs"')
    view = """CREATE VIEW session_costs AS SELECT * FROM "Session_Costs\""""
    assert f"'Session_Costs' differs only in upper and lower case: {view}." in refusal(schema_url)
    sql(schema_url, view)
    assert len(read_tables(schema_url).costs) == 1


def test_extra_columns_with_names_used_by_ihc_change_nothing(tmp_path):
    path = made(tmp_path / "shop.db")
    plain = read_tables(path)
    for table in COLUMNS:
        others = [name for name in ("conv_id", "revenue", "cost", "date", "ihc") if name not in COLUMNS[table]]
        sql(path, *(f"ALTER TABLE {table} ADD COLUMN {name} DEFAULT 9" for name in others))
    for tables in (read_tables(path), read_tables(path, **EVERY_DAY)):
        for found, expected in zip(tables, plain, strict=True):
            pd.testing.assert_frame_equal(found[expected.columns], expected)
        journeys = build_journeys(tables.sessions, tables.conversions)
        assert journeys[["conv_id", "revenue"]].values.tolist() == [["c1", 100]]


def test_views_virtual_and_strict_tables_are_read(tmp_path):
    path = made(tmp_path / "shop.db")
    sql(
        path,
        "ALTER TABLE session_costs RENAME TO a",
        "CREATE VIEW session_costs AS SELECT * FROM a",
        "ALTER TABLE conversions RENAME TO b",
        "CREATE TABLE conversions (conv_id TEXT PRIMARY KEY, user_id TEXT, moment TEXT, conv_date TEXT AS"
        " (substr(moment, 1, 10)), conv_time TEXT AS (substr(moment, 12)) STORED, revenue ANY) STRICT, WITHOUT ROWID",
        "INSERT INTO conversions (conv_id, user_id, moment, revenue)"
        " SELECT conv_id, user_id, conv_date || ' ' || conv_time, revenue FROM b",
        "ALTER TABLE session_sources RENAME TO c",
        f"CREATE VIRTUAL TABLE session_sources USING fts5({', '.join(COLUMNS[SESSIONS])})",
        "INSERT INTO session_sources SELECT * FROM c",
    )
    for tables in (read_tables(path), read_tables(path, **EVERY_DAY)):
        assert [frame[[*columns]].values.tolist() for frame, columns in zip(tables, COLUMNS.values(), strict=True)] == [
            [list(SESSION.values())],
            [list(ORDER.values())],
            [list(COST.values())],
        ]


def test_a_view_whose_table_is_gone_is_refused_by_its_name(tmp_path):
    path = made(tmp_path / "shop.db")
    sql(
        path,
        "ALTER TABLE session_costs RENAME TO a",
        "CREATE VIEW session_costs AS SELECT * FROM a",
        "DROP TABLE a",
    )
    with pytest.raises(DatabaseError, match=r"no such table: main\.a; a view reads it: recreate"):
        read_tables(path)


def test_a_text_in_another_encoding_is_refused_by_its_column(tmp_path):
    path = made(tmp_path / "shop.db")
    sql(path, "UPDATE session_sources SET channel_name = CAST(x'fc' AS TEXT)")  # ü in Latin-1
    for chosen in ({}, EVERY_DAY):
        with pytest.raises(DatabaseError, match=r"column 'channel_name' .*; the data has another encoding: import"):
            read_tables(path, **chosen)


@pytest.mark.parametrize("empty", [(SESSIONS, CONVERSIONS, COSTS), (CONVERSIONS,), (SESSIONS, COSTS)])
def test_tables_without_rows_are_read_as_such(tmp_path, empty):
    path = made(tmp_path / "shop.db", ROWS | {table: [] for table in empty})
    found = dict(zip(COLUMNS, read_tables(path), strict=True))
    assert {table for table, frame in found.items() if frame.empty} == set(empty)


# Joining ids, with and without a filter


IDS = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3).map(float),
    st.integers(0, 3).map(str),
    st.sampled_from([2**53 + 1, float(2**53 + 2), "9007199254740993", 2**62 + 1, "7.0", "007", -0.0, "", " 1", 1e300]),
    st.sampled_from([1.5, "1.5", b"1", b"\xff", float("inf")]),
)
SOUND = IDS.filter(lambda one: isinstance(one, int | str) or (isinstance(one, float) and one % 1 == 0 and one < 2**53))


def joined(path, **chosen):
    """Which orders have which sessions and costs; None if the tables are rejected."""
    try:
        tables = read_tables(path, **chosen)
    except InputError:
        return None
    rows = tables.conversions.merge(tables.sessions, on="user_id").merge(tables.costs, on="session_id", how="left")
    return sorted(rows[["conv_id", "user_id", "session_id", "cost"]].fillna(0).values.tolist())


def shop_of(path, buyers, visitors, priced):
    path.unlink(missing_ok=True)
    return made(
        path,
        {
            SESSIONS: [SESSION | {"session_id": place, "user_id": user} for place, user in enumerate(visitors)],
            CONVERSIONS: [ORDER | {"conv_id": place, "user_id": user} for place, user in enumerate(buyers)],
            COSTS: [{"session_id": session, "cost": 1 + place} for place, session in enumerate(priced)],
        },
    )


@settings(FIXED, max_examples=10)
@given(
    st.lists(IDS, min_size=1, max_size=4),
    st.lists(IDS, max_size=4),
    st.lists(st.integers(0, 3).map(float), unique=True),
)
def test_any_mixture_of_stored_ids_is_joined_alike_with_and_without_a_filter(shared_path, buyers, visitors, priced):
    path = shop_of(shared_path, buyers, visitors, priced)
    assert joined(path) == joined(path, **EVERY_DAY)


@settings(FIXED, max_examples=10)
@given(st.lists(SOUND, min_size=1, max_size=4), st.lists(SOUND, max_size=4), st.lists(st.integers(0, 3), unique=True))
def test_equivalent_ids_are_joined_whatever_their_type(shared_path, buyers, visitors, priced):
    path = shop_of(shared_path, buyers, visitors, priced)
    plain = [[one if isinstance(one, str) else str(int(one)) for one in ids] for ids in (buyers, visitors)]
    expected = sorted(
        [str(order), buyer, str(session), 1.0 + priced.index(session) if session in priced else 0.0]
        for order, buyer in enumerate(plain[0])
        for session, visitor in enumerate(plain[1])
        if buyer == visitor
    )
    assert joined(path) == joined(path, **EVERY_DAY) == expected


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    return tmp_path_factory.mktemp("ids") / "shop.db"


@pytest.mark.parametrize("chosen", [{}, EVERY_DAY, {"users": ["1"]}])
def test_one_damaged_id_is_named_and_takes_no_session_from_any_order(tmp_path, chosen):
    rows = [SESSION | {"session_id": f"s{place}", "user_id": user} for place, user in enumerate([1.0, 2.0, 1.5])]
    path = made(tmp_path / "shop.db", ROWS | {SESSIONS: rows, CONVERSIONS: [ORDER | {"user_id": 1}]})
    assert refusal(path, **chosen) == (
        "Table session_sources, column user_id: 1.5 is a fractional number in 1 row (session_id 's2'). An id is a text "
        "or a whole number. Export the ids again as text."
    )


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("DOUBLE PRECISION", "1.5", "1.5 is a fractional number"),
        ("REAL", "'inf'", "inf is a floating point number of 16 and more digits"),
        ("NUMERIC", "1.5", "1.5 is a fractional number"),
        ("NUMERIC(30, 2)", "9007199254740993", "9007199254740992.0 is a floating point number of 16 and more digits"),
        ("BYTEA", r"'\x0001ff'", "x'0001ff' is a BLOB"),
    ],
)
def test_an_ambiguous_id_is_refused_with_and_without_a_filter_in_postgresql(schema_url, kind, value, says):
    create_tables(Database(schema_url))
    sql(
        schema_url,
        f"ALTER TABLE session_sources DROP COLUMN user_id, ADD user_id {kind}",
        "INSERT INTO session_sources (session_id, event_date, event_time, channel_name, holder_engagement,"
        " closer_engagement, impression_interaction, user_id)"
        f" VALUES ('s1', '2024-05-01', '10:00:00', 'Mail', 1, 1, 0, {value})",
        "INSERT INTO conversions VALUES ('c1', '1', '2024-05-02', '11:00:00', 100)",
    )
    for chosen in ({}, EVERY_DAY):
        assert refusal(schema_url, **chosen).startswith(f"Table session_sources, column user_id: {says} in 1 row")


def test_large_whole_numbers_stay_whole_beside_a_float_and_a_null(tmp_path):
    path = tmp_path / "shop.db"
    with opened(path) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(2**62 + 1, 2**62 + 1), (7.0, None)])
    with Database(path).transaction() as connection:
        found = connection.read(sa.text("SELECT * FROM t"), coerce_float=False)
    assert found["a"].tolist() == [2**62 + 1, 7.0]
    assert found["b"].tolist() == [2**62 + 1, None]


@pytest.mark.parametrize(
    ("value", "mended"),
    [
        ("2024-05-01T08:00:00Z", "2024-05-01 08:00:00"),
        ("2024-05-01 10:00:00+02:00", "2024-05-01 08:00:00"),
        (" 2024-05-01 08:00:00", "2024-05-01 08:00:00"),
        ("2024-05-01 08:00:00.1234567", "2024-05-01 08:00:00.123456"),
        (1714550400, "2024-05-01 08:00:00"),
        (1714550400000, "2024-05-01 08:00:00"),
        (1714550400000000, "2024-05-01 08:00:00"),
    ],
)
def test_the_view_of_a_remedy_fixes_moments_in_utc(tmp_path, value, mended):
    path = made(tmp_path / "shop.db")
    for table, column in ((SESSIONS, "event_utc"), (CONVERSIONS, "conv_utc")):
        sql(path, f"ALTER TABLE {table} ADD COLUMN {column}", f"UPDATE {table} SET {column} = '2024-05-02 09:00:00'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {SESSIONS} SET event_utc = ?", [value])
    view = re.search(r"in a view[^:]*: (.*?) AS event_utc\b", refusal(path), re.IGNORECASE)
    columns = ", ".join(COLUMNS[SESSIONS])
    sql(
        path,
        f"ALTER TABLE {SESSIONS} RENAME TO own",
        f"CREATE VIEW {SESSIONS} AS SELECT {columns}, {view[1]} AS event_utc FROM own",
    )
    assert read_tables(path).sessions["event_utc"].tolist() == [mended]
