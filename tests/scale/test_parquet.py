import datetime as dt
from decimal import Decimal
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.frames import sessions
from helpers.scaling import TIES, read_whole, written

from ihc.errors import InputError, SettingsError
from ihc.scale import parquet
from ihc.scale.parquet import find_files, layout_of, plain, read_parquet
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, SESSIONS


def texts(name, values):
    return plain(pa.table({name: values}))[name].astype(object).where(lambda column: column.notna(), None).tolist()


SEVEN = UUID(int=7)
UUIDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([SEVEN.bytes, None], pa.binary(16)))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("session_id", UUIDS, [str(SEVEN), None]),
        ("session_id", pa.array([1, None, 2**62]), ["1", None, "4611686018427387904"]),
        ("session_id", pa.array([7.0, -0.0, None]), ["7", "0", None]),
        ("session_id", pa.array([Decimal("7.00"), None], pa.decimal128(25, 2)), ["7", None]),
        ("session_id", pa.array(["a", None], pa.string()), ["a", None]),
        ("session_id", pa.array([b"a", None], pa.binary()), ["a", None]),
        ("user_id", pa.array(["a", "b", None, "a"]).dictionary_encode(), ["a", "b", None, "a"]),
        ("event_date", pa.array([dt.date(2023, 9, 1), None]), ["2023-09-01", None]),
        (
            "event_date",
            pa.array([dt.datetime(2023, 9, 1), dt.datetime(2023, 9, 1, 10), None], pa.timestamp("ns", "Europe/Berlin")),
            ["2023-09-01", "2023-09-01 10:00:00.000000", None],
        ),
        ("event_time", pa.array([dt.time(13, 5, 59), None], pa.time32("s")), ["13:05:59.000000", None]),
        ("event_time", pa.array([dt.time(1, 2, 3, 4)], pa.time64("ns")), ["01:02:03.000004"]),
    ],
)
def test_columns_of_other_types_become_text_value_by_value(name, values, expected):
    assert texts(name, values) == expected
    assert [texts(name, values.slice(place, 1))[0] for place in range(len(values))] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([Decimal("1.10"), None], pa.decimal128(12, 2)), ["1.10", None]),
        (pa.array([1, 2], pa.int32()), [1, 2]),
        (pa.array(["1.5", None]), ["1.5", None]),
    ],
)
def test_amounts_stay_what_check_table_takes_for_numbers(values, expected):
    assert texts("cost", values) == expected


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (pa.array([1.0, 2.0**60]), r"1.152921504606847e\+18 is a floating point number of 16 and more digits in 1 row"),
        (pa.array([7.0, 7.5, 8.5]), "7.5 is a fractional number in 2 rows"),
        (pa.array([Decimal("7.00"), Decimal("7.50")], pa.decimal128(25, 2)), "7.50 is a fractional number in 1 row"),
    ],
)
def test_ambiguous_numeric_ids_are_refused(values, says):
    with pytest.raises(InputError, match=f"Column session_id: {says}. .* as text"):
        texts("session_id", values)


def looked_at(table, address):
    files = find_files(address, "--sessions")
    return [layout_of(table, files.fs, path) for path in files.paths]


def test_files_are_found_by_path_glob_folder_and_address(tmp_path):
    written(tmp_path, TIES, files=3)
    names = [str(tmp_path / "sessions" / f"{number}.parquet") for number in range(3)]
    (tmp_path / "sessions" / "_SUCCESS").touch()
    for pattern in ("sessions/*.parquet", "sessions", "sessions/"):
        assert find_files(str(tmp_path / pattern), "--sessions").paths == names
    assert find_files(f"file://{tmp_path}/sessions/1*", "--sessions").paths == names[1:2]


@pytest.mark.parametrize("folder", ["in", "i[1]"])
def test_a_folder_gives_the_data_files_of_its_table_only(tmp_path, folder):
    for name in ("a.parquet", "deep/b.PARQUET", "_temporary/c.parquet", ".d.parquet", "_e.parquet", "f.csv"):
        (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).touch()
    expected = [str(tmp_path / folder / name) for name in ("a.parquet", "deep/b.PARQUET")]
    assert find_files(str(tmp_path / folder), "--sessions").paths == expected
    assert find_files(expected[0], "--sessions").paths == expected[:1]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("*.nothing", r"--sessions .*nothing matches no file: give a Parquet file, a folder of them, or a glob"),
        ("nothing.parquet", "matches no file"),
        ("", "matches no file"),
    ],
)
def test_missing_files_are_reported(tmp_path, pattern, says):
    with pytest.raises(SettingsError, match=says):
        find_files(str(tmp_path / pattern), "--sessions")


@pytest.mark.parametrize("address", ["s3://bucket/*.parquet", "nonsense://x", "http://127.0.0.1:9/x.parquet"])
def test_addresses_that_cannot_be_reached_are_refused_in_a_sentence(address):
    with pytest.raises((SettingsError, InputError), match="cannot be"):
        looked_at(SESSIONS, address)


def test_invalid_parquet_and_missing_columns_are_named(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(
        InputError, match=rf"Table session_sources, file {tmp_path}/x.parquet cannot be read as Parquet"
    ):
        looked_at(SESSIONS, str(tmp_path / "x.parquet"))
    pq.write_table(pa.table({"session_id": ["a"]}), tmp_path / "y.parquet")
    with pytest.raises(InputError, match=rf"file {tmp_path}/y.parquet lacks the columns 'user_id', 'event_date'"):
        looked_at(SESSIONS, str(tmp_path / "y.parquet"))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("session_id", pa.array([b"\xff\xfe", b"a"])),
        ("session_id", pa.array([["x"], ["y"]])),
        ("session_id", pa.array([{"a": "x"}, {"a": "y"}])),
        ("cost", pa.array([[1.0], [2.0]])),
        ("cost", pa.array([{"x": 1.0}, {"x": 2.0}])),
    ],
)
def test_a_column_of_an_unusable_type_is_named(tmp_path, name, values):
    columns = {"session_id": ["a", "b"], "cost": [1.0, 2.0]} | {name: values}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=rf"Table session_costs.*: column {name} of the type"):
        read_whole(COSTS, find_files(str(tmp_path / "x.parquet"), ""))


def test_partitions_are_some_row_groups_of_a_file_each(tmp_path, monkeypatch):
    visits = sessions([(f"s{number}", "u", "2023-09-01 10:00:00", "Mail") for number in range(20)])
    folder = written(tmp_path, (visits, TIES.conversions, TIES.costs), files=2, row_group_size=3)
    files = find_files(folder.glob("sessions"), "")
    layouts = looked_at(SESSIONS, folder.glob("sessions"))
    assert [layout.rows for layout in layouts] == [(3, 3, 3, 1)] * 2
    for at_a_time, expected in {1: [3, 3, 3, 1] * 2, 7: [6, 4] * 2, 100: [10, 10]}.items():
        monkeypatch.setattr(parquet, "AT_A_TIME", at_a_time)
        frame = read_parquet(SESSIONS, files, layouts)
        assert frame.map_partitions(len).compute(scheduler="sync").tolist() == expected
        assert frame["session_id"].compute(scheduler="sync").tolist() == visits["session_id"].tolist()


def test_files_that_are_written_in_other_ways_give_one_table(tmp_path):
    tables = [
        pa.table({"Session_ID": [1, None], "cost": [1.0, 2.0]}),
        pa.table({"session_id": ["b"], "more": [0], "cost": [Decimal("3.50")]}),
        pa.table({"session_id": pa.array([], pa.string()), "cost": pa.array([], pa.float64())}),
    ]
    for number, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"{number}.parquet")
    found = read_whole(COSTS, find_files(str(tmp_path), ""))
    assert found["session_id"].fillna("").tolist() == ["1", "", "b"]
    assert found["cost"].astype("float64").tolist() == [1.0, 2.0, 3.5]


def test_a_column_that_some_files_lack_is_read_from_the_others(tmp_path):
    orders = {name: ["x"] for name in COLUMNS[CONVERSIONS]}
    pq.write_table(pa.table(orders), tmp_path / "0.parquet")
    pq.write_table(pa.table(orders | {"refund_of": ["k"]}), tmp_path / "1.parquet")
    assert read_whole(CONVERSIONS, find_files(str(tmp_path), ""))["refund_of"].fillna("").tolist() == ["", "k"]


def test_moments_in_utc_keep_their_time_at_midnight(tmp_path):
    row = {name: ["x"] for name in COLUMNS[SESSIONS]}
    for number, kind in enumerate((pa.timestamp("ns"), pa.timestamp("ms", "Europe/Berlin"))):
        at = pa.array([pd.Timestamp("2025-10-26 00:00")], pa.timestamp("us")).cast(kind)
        pq.write_table(pa.table(row | {"event_utc": at}), tmp_path / f"{number}.parquet")
    found = read_whole(SESSIONS, find_files(str(tmp_path), ""))
    assert found["event_utc"].tolist() == ["2025-10-26 00:00:00.000000"] * 2
