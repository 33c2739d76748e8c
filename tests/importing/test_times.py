"""Dates and times of an export: their forms, their order of day and month, their place in UTC."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import AmbiguousError, SettingsError
from ihc.importing.times import read_days, read_moments

BERLIN = "Europe/Berlin"


def utc(values, **options):
    """The moments in UTC as texts, all of which must be readable."""
    read = read_moments(pd.Series(values), **options)
    assert dict(read.problems) == {}
    return [stamp.isoformat(" ") for stamp in read.utc]


def problems(values, **options):
    return dict(read_moments(pd.Series(values), **options).problems)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-03-01", "2025-03-01 00:00:00"),
        ("2025-3-1", "2025-03-01 00:00:00"),
        ("2025-03-01T12:00", "2025-03-01 12:00:00"),
        ("2025-03-01 9:05:00", "2025-03-01 09:05:00"),
        ("\t2025-03-01 12:00 \n", "2025-03-01 12:00:00"),
        ("2025-03-01T12:00:00Z", "2025-03-01 12:00:00"),
        ("2025-03-01 12:00:00 UTC", "2025-03-01 12:00:00"),
        ("2025-03-01 12:00:00.5 GMT", "2025-03-01 12:00:00.500000"),
        ("2025-03-01T12:00:00+02", "2025-03-01 10:00:00"),
        ("2025-03-01T12:00:00+0200", "2025-03-01 10:00:00"),
        ("2025-03-01T12:00:00+02:00", "2025-03-01 10:00:00"),
        ("2025-03-01 12:00:00 +0530", "2025-03-01 06:30:00"),
        ("2025-03-01T23:00:00-02:30", "2025-03-02 01:30:00"),
        ("2025-03-01T12:00:00.1Z", "2025-03-01 12:00:00.100000"),
        ("2025-03-01T12:00:00,123456Z", "2025-03-01 12:00:00.123456"),
        ("2025-03-01T12:00:00.123456789Z", "2025-03-01 12:00:00.123456"),
        ("2025-12-31T24:00", "2026-01-01 00:00:00"),
        ("20250301T120000Z", "2025-03-01 12:00:00"),
        ("20250301", "2025-03-01 00:00:00"),
        ("20250301.0", "2025-03-01 00:00:00"),
        ("20250301 10:00:00", "2025-03-01 10:00:00"),
        ("20250301 10", "2025-03-01 10:00:00"),
        ("2025030123", "2025-03-01 23:00:00"),
        ("202503012359", "2025-03-01 23:59:00"),
        ("2025/03/01 12:00", "2025-03-01 12:00:00"),
        ("13/03/2025", "2025-03-13 00:00:00"),
        ("03/13/2025 12:30 AM", "2025-03-13 00:30:00"),
        ("3/13/2025, 3:04:05\u202fPM", "2025-03-13 15:04:05"),
        ("13-03-2025 12:00:00.25", "2025-03-13 12:00:00.250000"),
        ("01.03.2025 23:59", "2025-03-01 23:59:00"),
        ("1 Mar 2025", "2025-03-01 00:00:00"),
        ("01-MAR-2025 12:00", "2025-03-01 12:00:00"),
        ("Mar 1, 2025 3:04 PM", "2025-03-01 15:04:00"),
        ("Sept. 30, 2025 12 p.m.", "2025-09-30 12:00:00"),
        ("february 28 2025", "2025-02-28 00:00:00"),
        ("2025-03-01 00:00:00 10:30", "2025-03-01 10:30:00"),  # a date stored as a timestamp, joined to a time
    ],
)
def test_a_text_of_a_usual_form_is_read(text, moment):
    assert utc([text]) == [moment]


# 19,844 days lie between 1970-01-01 and 2024-05-01: 19,844 × 86,400 = 1,714,521,600 seconds.
@pytest.mark.parametrize(
    ("number", "fraction", "form"),
    [
        ("1714521600", "", "epoch seconds"),
        ("1714521600.123456", ".123456", "epoch seconds"),
        ("1714521600.1", ".100000", "epoch seconds"),
        (1714521600.123456, ".123456", "epoch seconds"),
        (1714521600123, ".123000", "epoch milliseconds"),
        ("1714521600123.0", ".123000", "epoch milliseconds"),
        ("1714521600123.456", ".123456", "epoch milliseconds"),
        (1714521600123456, ".123456", "epoch microseconds"),
        ("1714521600123456789", ".123456", "epoch nanoseconds"),
        (1714521600123456789, ".123456", "epoch nanoseconds"),
    ],
)
def test_epoch_numbers_are_exact_and_tell_their_unit_by_their_size(number, fraction, form):
    assert utc([number], timezone=BERLIN) == [f"2024-05-01 00:00:00{fraction}"]
    assert read_moments(pd.Series([number]), timezone=BERLIN).form == form


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (45413, "2024-05-01 00:00:00"),  # 25,569 + 19,844
        ("45413", "2024-05-01 00:00:00"),
        (45413.5, "2024-05-01 12:00:00"),
        ("45413,25", "2024-05-01 06:00:00"),
        ("45413.0416666667", "2024-05-01 01:00:00"),
        (45413.99999999999, "2024-05-02 00:00:00"),  # rounded to milliseconds
        ("45413 0.75", "2024-05-01 18:00:00"),  # a column of days joined to a column of times
    ],
)
def test_excel_serial_numbers_are_local_days_since_1899_12_30(number, moment):
    assert utc([number]) == [moment]
    assert read_moments(pd.Series([number]), timezone=BERLIN).form == "Excel serial numbers in Europe/Berlin"


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([20250301, None], dtype="Int64"),
        pd.Series([20250301.0, np.nan]),
        pd.Series([20250301, None], dtype="object"),
        pd.Series(["20250301", None], dtype="str"),
        pd.Series(["20250301", " "], dtype="category"),
        pd.Series(["20250301", ""], dtype=pd.ArrowDtype(pa.string())),
        pd.Series([date(2025, 3, 1), None], dtype="object"),
        pd.Series([date(2025, 3, 1), None], dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([datetime(2025, 3, 1), None], dtype=pd.ArrowDtype(pa.timestamp("ns"))),
        pd.Series(pd.to_datetime(["2025-03-01", None])),
        pd.Series(np.array(["2025-03-01", "NaT"], "datetime64[ns]")),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_column_of_any_type_is_read_and_its_empty_cells_are_problems(values):
    read = read_moments(values, timezone=BERLIN)
    assert read.utc[0] == pd.Timestamp("2025-02-28 23:00:00")
    assert read.local[0] == pd.Timestamp("2025-03-01")
    assert pd.isna(read.utc[1])
    assert pd.isna(read.local[1])
    assert dict(read.problems) == {1: "is empty"}
    assert str(read.utc.dtype) == str(read.local.dtype) == "datetime64[us]"
    assert read.form in ("YYYYMMDD in Europe/Berlin", "ISO 8601 in Europe/Berlin", "timestamps in Europe/Berlin")


@pytest.mark.parametrize("dtype", ["datetime64[us, America/New_York]", pd.ArrowDtype(pa.timestamp("ms", "UTC"))])
def test_timestamps_with_a_zone_keep_their_moment(dtype):
    values = pd.Series(pd.to_datetime(["2025-03-01T12:00:00Z"])).astype(dtype)
    read = read_moments(values, timezone=BERLIN)
    assert read.utc[0] == pd.Timestamp("2025-03-01 12:00")
    assert read.local[0] == pd.Timestamp("2025-03-01 13:00")
    assert read.form == "timestamps with offset"


def test_python_datetimes_with_and_without_a_zone_keep_their_meaning():
    values = [datetime(2025, 3, 1, 12), datetime(2025, 3, 1, 12, tzinfo=UTC), "2025-03-01 12:00:00+01:00"]
    assert utc(values, timezone=BERLIN) == ["2025-03-01 11:00:00", "2025-03-01 12:00:00", "2025-03-01 11:00:00"]


def test_an_offset_counts_more_than_the_time_zone():
    read = read_moments(pd.Series(["2025-07-01T12:00:00-04:00", "2025-07-01T12:00:00"]), timezone=BERLIN)
    assert [str(moment) for moment in read.utc] == ["2025-07-01 16:00:00", "2025-07-01 10:00:00"]
    assert [str(moment) for moment in read.local] == ["2025-07-01 18:00:00", "2025-07-01 12:00:00"]
    assert read.form == "ISO 8601 with offset or in Europe/Berlin"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2024-02-30", "'2024-02-30' is no date"),
        ("2025-02-29", "'2025-02-29' is no date"),
        ("0000-00-00", "'0000-00-00' is no date"),
        ("31/02/2025", "'31/02/2025' is no date"),
        ("2025-13-01", "'2025-13-01' is no date"),
        ("2016-12-31 23:59:60", "'2016-12-31 23:59:60' has no valid time"),
        ("2025-03-01 25:00", "'2025-03-01 25:00' has no valid time"),
        ("2025-03-01 24:01", "'2025-03-01 24:01' has no valid time"),
        ("2025-03-01 12:60", "'2025-03-01 12:60' has no valid time"),
        ("03/13/2025 13:00 PM", "'03/13/2025 13:00 PM' has no valid time"),
        ("03/13/2025 0:30 AM", "'03/13/2025 0:30 AM' has no valid time"),
        ("2025-03-01 12:00+15:00", "'2025-03-01 12:00+15:00' has no valid offset from UTC"),
        ("2025-03-01 12:00+01:75", "'2025-03-01 12:00+01:75' has no valid offset from UTC"),
        ("01-05-24", "'01-05-24' has a year of two digits"),
        ("5/1/24 10:00", "'5/1/24 10:00' has a year of two digits"),
        ("1989-12-31", "'1989-12-31' is outside the years 1990 to 2100"),
        ("2101-01-01", "'2101-01-01' is outside the years 1990 to 2100"),
        (25569, "'25569' is outside the years 1990 to 2100"),
        (4133980800000, "'4133980800000' is outside the years 1990 to 2100"),
        (0, "'0' is no date"),
        (-1714521600, "'-1714521600' is no date"),
        (float("inf"), "'inf' is no date"),
        (1e300, "'1e+300' is no date"),
        (True, "'true' is no date"),
        ("1.7145216E+09", "'1.7145216E+09' is no date"),
        ("tomorrow", "'tomorrow' is no date"),
        ("2025-03-01\x00", "'2025-03-01\\x00' is no date"),
        ("٢٠٢٥-٠٣-٠١", "'٢٠٢٥-٠٣-٠١' is no date"),
        ("9" * 400, f"'{'9' * 39}…' is no date"),
    ],
)
def test_what_is_no_moment_is_a_problem_with_its_value(value, reason):
    read = read_moments(pd.Series([value]))
    assert dict(read.problems) == {0: reason}
    assert pd.isna(read.utc[0])


@pytest.mark.parametrize("value", [b"\xff\xfe", "\ud800", [1, 2], {"a": 1}, 10**40, timedelta(1), 1 + 2j])
def test_odd_cells_are_problems_and_the_others_are_read(value):
    read = read_moments(pd.Series(["2025-03-01", value], dtype="object"))
    assert list(read.problems.index) == [1]
    assert read.utc[0] == pd.Timestamp("2025-03-01")


def test_timestamps_out_of_range_are_problems():
    values = pd.Series(np.array(["290000-01-01", "2025-03-01", "1850-01-01"], "datetime64[s]"))
    assert problems(values) == {
        0: "'290000-01-01' is outside the years 1990 to 2100",
        2: "'1850-01-01' is outside the years 1990 to 2100",
    }


def test_a_column_has_the_form_that_reads_the_most_distinct_values():
    # "2025-03-01" occurs three times but is one value; the other form reads two.
    values = ["2025-03-01"] * 3 + ["01.03.2025", "02.03.2025"]
    read = read_moments(pd.Series(values))
    assert read.form == "DD.MM.YYYY in UTC"
    assert dict(read.problems) == dict.fromkeys(range(3), "'2025-03-01' is no date in the form DD.MM.YYYY")


def test_forms_that_are_alike_are_told_apart_by_all_values():
    # As hours of a calendar (YYYYMMDDHH) only the first is valid, so all are seconds since 1970. 2034-07-08 is
    # 3,720 days after 2024-05-01: 1,714,521,600 + 3,720 × 86,400 = 2,035,929,600; 80,512 seconds later it is 22:21:52.
    assert utc(["2036010112", "2036019999", "2036999999"])[0] == "2034-07-08 22:21:52"
    assert utc(["2036010112", "2036010113"])[0] == "2036-01-01 12:00:00"


def test_the_index_is_kept_even_if_labels_repeat():
    read = read_moments(pd.Series(["2025-03-01", "x", None], index=["a", "b", "b"]))
    assert list(read.utc.index) == ["a", "b", "b"]
    assert list(read.problems.items()) == [("b", "'x' is no date in the form ISO 8601"), ("b", "is empty")]


@pytest.mark.parametrize("values", [[], [None, " ", float("nan")]])
def test_a_column_without_values_has_no_form(values):
    read = read_moments(pd.Series(values, dtype="object"))
    assert read.form == "no dates"
    assert list(read.problems) == ["is empty"] * len(values)
    assert len(read.utc) == len(read.local) == len(values)
    assert str(read.utc.dtype) == "datetime64[us]"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["01.03.2025 12:00"], "DD.MM.YYYY HH:MM in Europe/Berlin"),
        (["13/03/2025", "14/03/2025 12:00:01"], "DD/MM/YYYY HH:MM:SS in Europe/Berlin"),
        (["03-13-2025 1:00 pm"], "MM-DD-YYYY HH:MM AM/PM in Europe/Berlin"),
        (["2025-03-01T12:00:00Z"], "ISO 8601 with offset"),
        (["1 Mar 2025"], "D Month YYYY in Europe/Berlin"),
    ],
)
def test_the_form_is_named_for_the_user(values, form):
    assert read_moments(pd.Series(values), timezone=BERLIN).form == form


# Day and month


def test_any_value_above_12_decides_the_order_of_day_and_month():
    assert utc(["03/04/2025", "13/04/2025"]) == ["2025-04-03 00:00:00", "2025-04-13 00:00:00"]
    assert utc(["03/04/2025", "04/13/2025"]) == ["2025-03-04 00:00:00", "2025-04-13 00:00:00"]


def test_an_impossible_day_still_shows_the_order():
    read = read_moments(pd.Series(["03/04/2025", "31/02/2025"]))
    assert read.local[0] == pd.Timestamp("2025-04-03")
    assert dict(read.problems) == {1: "'31/02/2025' is no date in the form DD/MM/YYYY"}


def test_values_of_the_other_order_are_problems():
    read = read_moments(pd.Series(["13/02/2025", "14/02/2025", "02/15/2025"]))
    assert dict(read.problems) == {2: "'02/15/2025' is no date in the form DD/MM/YYYY"}


@pytest.mark.parametrize("text", ["03/04/2025", "3-4-2025 12:00"])
def test_an_order_that_nothing_decides_is_refused_with_both_readings(text):
    with pytest.raises(AmbiguousError) as refused:
        read_moments(pd.Series([None, text], name="Date"))
    assert str(refused.value) == (
        f"Column 'Date': '{text}' can be 3 April or March 4, 2025: set day_first = true or false in the mapping."
    )


def test_an_order_that_values_contradict_equally_is_refused():
    with pytest.raises(AmbiguousError, match="'13/02/2025' has the day first, but '02/14/2025' has the month first"):
        read_moments(pd.Series(["13/02/2025", "02/14/2025"]))


def test_day_first_decides_what_the_values_do_not():
    assert utc(["03/04/2025"], day_first=True) == ["2025-04-03 00:00:00"]
    assert utc(["03/04/2025"], day_first=False) == ["2025-03-04 00:00:00"]


def test_dates_with_dots_are_always_day_first():
    assert utc(["03.04.2025"], day_first=False) == ["2025-04-03 00:00:00"]


def test_equal_days_and_months_need_no_order():
    assert utc(["03/03/2025", "12/12/2025"]) == ["2025-03-03 00:00:00", "2025-12-12 00:00:00"]


# Change of clocks


def test_the_hour_that_comes_twice_is_read_as_summer_time_unless_an_offset_tells():
    values = ["2025-10-26 02:30", "2025-10-26 02:30", "2025-10-26 02:30+01:00", "2025-10-26 03:00"]
    read = read_moments(pd.Series(values), timezone=BERLIN)
    assert [str(moment)[-8:] for moment in read.utc] == ["00:30:00", "00:30:00", "01:30:00", "02:00:00"]
    assert [str(moment)[-8:] for moment in read.local] == ["02:30:00", "02:30:00", "02:30:00", "03:00:00"]
    assert read.notes == ("2 times are in the hour that comes twice on 2025-10-26; read as summer time.",)


def test_the_hour_that_does_not_exist_is_moved_forward():
    read = read_moments(pd.Series(["2025-03-30 01:59", "2025-03-30 02:30", "2025-03-30 03:00"]), timezone=BERLIN)
    assert [str(moment)[-8:] for moment in read.utc] == ["00:59:00", "01:30:00", "01:00:00"]
    assert [str(moment)[-8:] for moment in read.local] == ["01:59:00", "03:30:00", "03:00:00"]
    assert read.notes == ("1 time is in the hour that does not exist on 2025-03-30; moved forward by that hour.",)


def test_timestamps_without_a_zone_are_placed_as_texts_are():
    read = read_moments(pd.Series(pd.to_datetime(["2025-10-26 02:30", "2025-03-30 02:30"])), timezone=BERLIN)
    assert [str(moment) for moment in read.utc] == ["2025-10-26 00:30:00", "2025-03-30 01:30:00"]
    assert len(read.notes) == 2


@pytest.mark.parametrize("zone", ["Berlin", "", "Europe", "../etc/passwd", "/etc/passwd", "a\x00b", "x" * 999])
def test_an_unknown_time_zone_is_refused_with_an_example(zone):
    with pytest.raises(SettingsError, match=r"^Time zone '.*' is unknown: .* such as Europe/Berlin\.$"):
        read_moments(pd.Series(["2025-03-01"]), timezone=zone)


# Whole days


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2025-03-01", "2025-03-01"),
        ("20250301", "2025-03-01"),
        ("2025-03-01T23:30:00-05:00", "2025-03-01"),  # the day as written
        ("2025-02-28T24:00", "2025-03-01"),
        (45413.9, "2024-05-01"),
        (1714521599, "2024-04-30"),
        (pd.Timestamp("2025-03-01 23:30", tz="America/New_York"), "2025-03-01"),
    ],
)
def test_days_are_read_as_written_without_their_time(value, day):
    read = read_days(pd.Series([value, None]))
    assert read.utc[0] == read.local[0] == pd.Timestamp(day)
    assert dict(read.problems) == {1: "is empty"}
    assert BERLIN not in read.form


def test_days_know_no_change_of_clocks():
    assert read_days(pd.Series(["2025-03-30"])).notes == ()


def test_days_need_the_order_of_day_and_month_too():
    with pytest.raises(AmbiguousError):
        read_days(pd.Series(["03/04/2025"]))
    assert read_days(pd.Series(["03/04/2025"]), day_first=True).local[0] == pd.Timestamp("2025-04-03")


# Invariants

ZONES = ["UTC", BERLIN, "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"]
MOMENTS = st.lists(st.datetimes(datetime(1990, 1, 2), datetime(2100, 12, 30)), min_size=1, max_size=5)
EXCEL = datetime(1899, 12, 30)
SHAPES = {  # how a time is written, and the precision that is kept [µs]
    "iso": (lambda moment: moment.isoformat(), 1),
    "fraction": (lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%f"), 1),
    "basic": (lambda moment: moment.strftime("%Y%m%dT%H%M%S"), 1_000_000),
    "day": (lambda moment: moment.strftime("%Y%m%d"), 86_400_000_000),
    "hour": (lambda moment: moment.strftime("%Y%m%d%H"), 3_600_000_000),
    "minute": (lambda moment: moment.strftime("%Y%m%d%H%M"), 60_000_000),
    "british": (lambda moment: moment.strftime("%d/%m/%Y %H:%M:%S"), 1_000_000),
    "german": (lambda moment: moment.strftime("%d.%m.%Y %H:%M"), 60_000_000),
    "named": (lambda moment: moment.strftime("%b %d, %Y %I:%M:%S %p"), 1_000_000),
    "excel": (lambda moment: (moment - EXCEL) / timedelta(days=1), 1_000),
}


def cut(moment, precision):
    micros = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    return datetime(1970, 1, 1) + timedelta(microseconds=micros // precision * precision)


@FIXED
@given(moments=MOMENTS, shape=st.sampled_from(sorted(SHAPES)), zone=st.sampled_from(ZONES))
def test_a_local_time_that_is_written_and_read_is_the_same(moments, shape, zone):
    write, precision = SHAPES[shape]
    moments = [cut(moment, precision) for moment in moments]
    read = read_moments(pd.Series([write(moment) for moment in moments]), timezone=zone, day_first=True)
    placed = [moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for moment in moments]
    assert [stamp.to_pydatetime() for stamp in read.utc] == [moment.replace(tzinfo=None) for moment in placed]
    local = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in placed]
    assert [stamp.to_pydatetime() for stamp in read.local] == local


@FIXED
@given(moments=MOMENTS, zone=st.sampled_from(ZONES), digits=st.sampled_from([0, 3, 6, 9]))
def test_an_exact_moment_that_is_written_and_read_is_the_same(moments, zone, digits):
    moments = [cut(moment, 10 ** max(6 - digits, 0)) for moment in moments]
    micros = [(moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) for moment in moments]
    numbers = pd.Series([f"{micro * 1000 // 10 ** (9 - digits)}" for micro in micros])
    stamps = pd.Series([moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).isoformat() for moment in moments])
    for values in (numbers, numbers.astype("int64"), stamps):
        read = read_moments(values, timezone="Asia/Tokyo")
        assert [stamp.to_pydatetime() for stamp in read.utc] == moments
        assert [stamp.to_pydatetime() for stamp in read.local] == [moment + timedelta(hours=9) for moment in moments]


@FIXED
@given(st.lists(st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.none(), st.binary(max_size=9))))
def test_any_column_is_read_or_each_row_has_a_reason(values):
    read = read_moments(pd.Series(values, dtype="object"), day_first=True)
    unread = read.utc.isna()
    assert list(read.problems.index) == list(np.flatnonzero(unread))
    assert (read.local.isna() == unread).all()
