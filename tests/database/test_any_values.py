from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc.database.any_values import plain_rows


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (Decimal("7"), 7),
        (Decimal("9007199254740993"), 9007199254740993),  # 2^53 + 1, which no float is
        (Decimal("7.00"), 7.0),
        (Decimal("-0.10"), -0.1),
        (True, 1),
        (date(2023, 9, 1), "2023-09-01"),
        (datetime(2023, 9, 1, 13, 5, 59), "2023-09-01 13:05:59"),
        (time(13, 5, 59), "13:05:59"),
        (time(13, 5, 59, 20), "13:05:59.00002"),
        (datetime(2023, 9, 1, 10, 0, 0, 250_000), "2023-09-01 10:00:00.25"),
        (datetime(2023, 9, 1, 10, 0, 0, 500_000, tzinfo=UTC), "2023-09-01 10:00:00.5+00:00"),
        (datetime(2023, 9, 1, 10, tzinfo=UTC), "2023-09-01 10:00:00+00:00"),
        (timedelta(hours=9, minutes=5), "09:05:00"),
        (timedelta(hours=23, microseconds=250_000), "23:00:00.25"),
        (b"\x01", 1),
        (b"\x00", 0),
        ("H\xe4user".encode(), "H\xe4user"),
        (bytearray(b"a"), "a"),
        (memoryview(b"a"), "a"),
        (UUID(int=17), "00000000-0000-0000-0000-000000000011"),
        ("text", "text"),
        (None, None),
    ],
)
def test_a_value_is_held_as_in_sqlite_beside_null_and_others(value, held):
    found = plain_rows([(1, value), (2, None), (3, value)])
    assert found == [(1, held), (2, None), (3, held)]
    assert [type(row[1]) for row in found] == [type(held), type(None), type(held)]


def test_bytes_that_are_no_text_stay_what_they_are():
    assert plain_rows([(b"\xff\xfe\xfd",), (b"a",)]) == [(b"\xff\xfe\xfd",), ("a",)]


@pytest.mark.parametrize("rows", [[], [(1, "a")], [("a", 0.1), ("b", None)]])
def test_rows_that_are_plain_stay_as_they_are(rows):
    assert plain_rows(rows) == rows


@given(st.times())
def test_a_time_is_the_same_text_whether_a_driver_gives_it_as_one_or_as_a_span(moment):
    span = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
    assert plain_rows([(span,)]) == plain_rows([(moment,)])
