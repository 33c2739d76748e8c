from datetime import date, datetime

import pandas as pd
import pytest
from helpers.frames import clock_change, conversions, costs, sessions
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.schemas.tables import (
    COLUMNS,
    CONV,
    CONVERSIONS,
    COSTS,
    EVENT,
    FLAGS,
    SESSIONS,
    check_table,
    check_tables,
    check_window,
    has_user,
    inside,
    moments,
    plain_names,
    require_columns,
    timestamps,
)

VISITS = sessions([("a", "u", "2023-09-01 10:00:00", "Search"), ("b", "u", "2023-09-02 11:00:00", "Mail")])
ORDERS = conversions([("k", "u", "2023-09-02 12:00:00", 9.5), ("l", "v", "2023-09-03 12:00:00", -1.0)])
PRICES = costs([("a", 1.5), ("b", None)])
FRAMES = {SESSIONS: VISITS, CONVERSIONS: ORDERS, COSTS: PRICES}


def with_value(table, column, value):
    """The table with `value` in the first row of `column`."""
    frame = FRAMES[table].astype({column: "object"})
    frame.loc[0, column] = value
    return frame


@pytest.mark.parametrize("table", COLUMNS)
def test_a_valid_table_is_returned_typed_and_the_input_is_unchanged(table):
    given = FRAMES[table].astype("object").assign(own="EUR")
    before = given.copy(deep=True)
    assert_frame_equal(check_table(table, given), FRAMES[table].assign(own="EUR"))
    assert_frame_equal(check_table(table, given.iloc[:0]), FRAMES[table].assign(own="EUR").iloc[:0])
    assert_frame_equal(given, before)


def test_ids_that_were_numbers_become_text_and_flags_int8():
    given = VISITS.assign(
        session_id=[1, 2], user_id=[7, 7], holder_engagement=[True, False], closer_engagement=["1", 0]
    )
    checked = check_table(SESSIONS, given)
    assert checked["session_id"].tolist() == ["1", "2"]
    assert checked["holder_engagement"].tolist() == [1, 0]
    assert checked["closer_engagement"].tolist() == [1, 0]
    assert {str(checked[flag].dtype) for flag in FLAGS} == {"int8"}
    with pytest.raises(InputError, match="duplicate key"):
        check_table(SESSIONS, VISITS.assign(session_id=pd.Series([1, "1"], dtype="object")))


def test_columns_are_found_in_any_case_unless_ambiguous():
    assert check_table(COSTS, PRICES.rename(columns={"cost": "Cost"}))["cost"].iloc[0] == 1.5
    assert check_table(COSTS, PRICES.assign(COST=9.0))["cost"].iloc[0] == 1.5
    with pytest.raises(InputError, match=r"Table session_costs has several columns for cost: 'Cost', 'COST'\. Keep"):
        check_table(COSTS, PRICES.rename(columns={"cost": "Cost"}).assign(COST=9.0))


@pytest.mark.parametrize(
    ("table", "column", "value", "says"),
    [
        (SESSIONS, "event_date", "2023-9-1", "'2023-9-1' lacks a leading zero"),
        (SESSIONS, "event_date", "2023-02-30", "'2023-02-30' is not a day of the calendar"),
        (SESSIONS, "event_date", "01.09.2023", "'01.09.2023' looks like DD.MM.YYYY"),
        (SESSIONS, "event_date", "2023-09-01\n", r"'2023-09-01\n' has blanks around it"),
        (SESSIONS, "event_date", "٢٠٢٣-٠٩-٠١", "'٢٠٢٣-٠٩-٠١' is not a date like 2023-09-01"),
        (SESSIONS, "event_time", "09:60:00", "'09:60:00' is not a time like 13:05:59"),
        (SESSIONS, "event_time", b"10:00:00", "x'31303a30303a3030' is a BLOB"),
        (SESSIONS, "holder_engagement", 2, "2 is a flag other than 0 or 1"),
        (SESSIONS, "closer_engagement", "yes", "'yes' is a truth value as a text"),
        (SESSIONS, "impression_interaction", 0.5, "0.5 is a flag other than 0 or 1"),
        (SESSIONS, "impression_interaction", None, "NULL"),
        (SESSIONS, "impression_interaction", b"1", "x'31' is a BLOB"),
        (SESSIONS, "session_id", "b", "'b' is a duplicate key"),
        (SESSIONS, "session_id", None, "NULL"),
        (SESSIONS, "channel_name", None, "NULL"),
        (SESSIONS, "channel_name", b"Mail", "x'4d61696c' is a BLOB"),
        (CONVERSIONS, "conv_id", "l", "'l' is a duplicate key"),
        (CONVERSIONS, "conv_date", "today", "'today' is not a date like 2023-09-01"),
        (CONVERSIONS, "conv_time", "noon", "'noon' is not a time like 13:05:59"),
        (CONVERSIONS, "revenue", "ten", "'ten' is not a number"),
        (CONVERSIONS, "revenue", float("inf"), "inf is not a finite number below 1e15"),
        (CONVERSIONS, "revenue", 10**400, f"{str(10**400)[:63]}… is not a finite number below 1e15"),
        (CONVERSIONS, "revenue", b"12.5", "x'31322e35' is a BLOB"),
        (CONVERSIONS, "revenue", None, "NULL"),
        (COSTS, "session_id", "b", "'b' is a duplicate key"),
        (COSTS, "cost", -0.01, "-0.01 is negative"),
        (COSTS, "cost", "-0.01", "'-0.01' is negative"),
        (COSTS, "cost", bytearray(b"1"), "x'31' is a BLOB"),
        (COSTS, "cost", float("-inf"), "-inf is not a finite number below 1e15"),
        (COSTS, "cost", "free", "'free' is not a number"),
    ],
)
def test_an_invalid_value_is_refused_with_table_column_value_and_reason(table, column, value, says):
    with pytest.raises(InputError) as refusal:
        check_table(table, with_value(table, column, value))
    assert f"Table {table}, column {column}: {says} in " in str(refusal.value)


@pytest.mark.parametrize("time", ["00:00:00", "23:59:59", "13:05:59.5", "13:05:59.123456"])
def test_a_time_may_have_fractions_of_a_second(time):
    assert check_table(SESSIONS, with_value(SESSIONS, "event_time", time))["event_time"].iloc[0] == time


def test_a_finding_counts_its_own_rows_and_names_five_of_their_ids():
    visits = sessions([(f"s{number}", "u", "2023-09-01 10:00:00", "Search", 7, 1) for number in range(7)])
    with pytest.raises(InputError, match=r"in 7 rows \(session_id 's0', 's1', 's2', 's3', 's4' and 2 more\)"):
        check_table(SESSIONS, visits)
    with pytest.raises(InputError, match=r"in 1 row \(session_id 'a'\)"):
        check_table(SESSIONS, with_value(SESSIONS, "holder_engagement", 3).set_axis([0, 0]))  # a repeated index


def test_the_findings_of_all_three_tables_are_reported_together():
    with pytest.raises(InputError) as refusal:
        check_tables(
            with_value(SESSIONS, "event_date", "?"), with_value(CONVERSIONS, "revenue", "?"), PRICES[["session_id"]]
        )
    lines = str(refusal.value).splitlines()
    assert [line.split()[1].strip(",") for line in lines] == [SESSIONS, CONVERSIONS, COSTS]
    assert lines[2] == "Table session_costs lacks the column 'cost'; it needs session_id, cost."
    assert_frame_equal(check_tables(VISITS, ORDERS, PRICES).costs, PRICES)


def test_missing_columns_are_listed():
    with pytest.raises(InputError, match=r"^Frame lacks the columns 'b', 'c'; it needs a, b, c\.$"):
        require_columns(pd.DataFrame(columns=["a"]), ["a", "b", "c"], "frame")


def test_timestamps_join_date_and_time_to_the_microsecond():
    joined = timestamps(pd.Series(["2023-09-01", "2023-09-02"]), pd.Series(["13:05:59", "00:00:00.000001"]))
    assert joined.tolist() == [pd.Timestamp("2023-09-01 13:05:59"), pd.Timestamp("2023-09-02 00:00:00.000001")]
    assert joined.dtype == "datetime64[us]"


@pytest.mark.parametrize(
    ("day", "time"),
    [("2023-09-31", "10:00:00"), ("2023-09-01", "25:00:00"), ("yesterday", "10:00:00"), (None, "10:00:00")],
)
def test_invalid_timestamps_are_refused(day, time):
    days = pd.Series([day, "2023-09-01"], name="event_date", dtype="str")
    times = pd.Series([time, "10:00:00"], name="event_time", dtype="str")
    wrong = repr(day) if day not in (None, "2023-09-01") else "NULL" if day is None else repr(time)
    with pytest.raises(InputError, match=rf"event_date and event_time .* has {wrong}\.$"):
        timestamps(days, times)
    for column in (pd.Series([date(2023, 9, 1)]), pd.Series([20230901])):
        with pytest.raises(InputError, match="must be texts"):
            timestamps(column, pd.Series(["10:00:00"]))


@pytest.mark.parametrize(
    ("given", "window"),
    [
        ((None, None), (None, None)),
        (("", ""), (None, None)),
        (("2023-09-01", "2023-09-01"), ("2023-09-01", "2023-09-01")),
        ((date(2023, 9, 1), None), ("2023-09-01", None)),
        ((None, datetime(2023, 9, 1, 23, 59)), (None, "2023-09-01")),
        (("0001-01-01", "2023-09-01"), ("0001-01-01", "2023-09-01")),
    ],
)
def test_check_window_returns_iso_dates(given, window):
    assert check_window(*given) == window


@pytest.mark.parametrize("value", ["2023-13-01", "01.09.2023", "today", 20230901, 1.5, pd.NaT])
def test_an_invalid_date_or_one_before_the_start_is_refused_by_option_name(value):
    with pytest.raises(InputError, match=r"end_date .* is not a date"):
        check_window(None, value)
    with pytest.raises(InputError, match="end_date 2023-09-01 is before start_date 2023-09-02"):
        check_window("2023-09-02", "2023-09-01")


@pytest.mark.parametrize(
    ("start", "end", "marks"),
    [
        (None, None, [True, True, True]),
        ("2023-09-02", None, [False, True, True]),
        (None, "2023-09-02", [True, True, False]),
        ("2023-09-02", date(2023, 9, 2), [False, True, False]),
        ("2024-01-01", "2024-01-02", [False, False, False]),
        ("0999-12-31", None, [True, True, True]),
    ],
)
def test_inside_marks_the_days_of_a_window_both_ends_included(start, end, marks):
    days = pd.Series(["2023-09-01", "2023-09-02", "2023-09-03"], index=[5, 6, 5])
    mask = inside(days, start, end)
    assert mask.tolist() == marks
    assert mask.index.tolist() == [5, 6, 5]
    assert inside(days.iloc[:0], start, end).empty


def test_plain_names_are_equal_where_only_case_and_spaces_differ():
    plain = plain_names(pd.Series([" Paid  Search", "paidsearch\n", "STRASSE", "straße", "paid-search"]))
    assert plain.tolist() == ["paidsearch", "paidsearch", "strasse", "strasse", "paid-search"]


def test_moments_are_those_in_utc_if_there_is_such_a_column_else_date_and_time():
    visits, orders = clock_change()
    assert moments(orders, CONV).astype("str").tolist() == ["2025-10-26 01:15:00"]
    assert moments(orders.drop(columns="conv_utc"), CONV).astype("str").tolist() == ["2025-10-26 02:15:00"]
    exact = visits.assign(event_utc="2025-10-26 00:30:00.000001")
    assert moments(exact, EVENT).dt.microsecond.tolist() == [1, 1, 1]
    for unfit in ("2025-10-26", "2025-10-26 24:00:00", None, 5):
        with pytest.raises(InputError, match="Column event_utc must hold texts like"):
            moments(visits.assign(event_utc=unfit), EVENT)


@pytest.mark.parametrize("offset", ["", "+00", "+00:00", "Z"])  # as PostgreSQL writes a timestamp with a time zone
def test_an_offset_of_zero_is_accepted_and_removed(offset):
    visits, _ = clock_change()
    checked = check_table(SESSIONS, visits.assign(event_utc=visits["event_utc"] + offset))
    assert_frame_equal(checked, visits)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "NULL in 1 row"),
        ("", "'' is an empty text"),
        ("2025-10-26", "is a day without a time"),
        ("2025-10-26T00:30:00Z", "is an ISO timestamp with a T"),
        ("2025-10-26 02:30:00+02:00", "has a time zone offset"),
        ("2025-10-26 00:30:00.1234567", "has more than six digits"),
        ("2025-02-30 00:30:00", "is not a moment like"),
        ("2025-10-26\t00:30:00", "is not a moment like"),
        (1761438600, "looks like Unix time in seconds"),
        (b"2025-10-26 00:30:00", "is a BLOB"),
    ],
)
def test_every_row_needs_a_valid_moment_in_utc_if_the_column_is_there(value, says):
    visits = clock_change()[0].astype({"event_utc": "object"})
    visits.loc[1, "event_utc"] = value
    with pytest.raises(InputError, match="Table session_sources, column event_utc: ") as error:
        check_table(SESSIONS, visits)
    assert says in str(error.value)
    assert "(session_id 'b')" in str(error.value)


def test_both_tables_have_moments_in_utc_or_none():
    visits, orders = clock_change()
    assert check_tables(visits, orders, PRICES.iloc[:0]).sessions["event_utc"].equals(visits["event_utc"])
    for given in ((visits, orders.drop(columns="conv_utc")), (visits.drop(columns="event_utc"), orders)):
        with pytest.raises(InputError, match=r"has no column \w+_utc: their times cannot be compared\. Add \w+_utc"):
            check_tables(*given, PRICES.iloc[:0])


@pytest.mark.parametrize("table", [SESSIONS, CONVERSIONS])
@pytest.mark.parametrize("unknown", [None, float("nan"), "", "  "])
def test_a_row_may_have_no_user(table, unknown):
    checked = check_table(table, with_value(table, "user_id", unknown))
    assert checked["user_id"].isna().tolist() == [True, False]
    assert has_user(checked).tolist() == [False, True]
    assert checked["user_id"].dtype == FRAMES[table]["user_id"].dtype
    nobody = check_table(table, FRAMES[table].assign(user_id=pd.Series([unknown] * 2, dtype="object")))
    assert nobody["user_id"].isna().all()


def test_users_that_are_numbers_may_be_missing():
    assert check_table(SESSIONS, VISITS.assign(user_id=[7.0, None]))["user_id"].fillna("").tolist() == ["7", ""]
    assert has_user(VISITS.assign(user_id=["", "u"])).tolist() == [False, True]
