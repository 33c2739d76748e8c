"""Reading exports: formats, folders, and one sentence for each kind of broken file."""

import gzip
import json
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ihc.errors import InputError, SettingsError
from ihc.importing.files import FILE, find_dialect, find_files, open_exports


def read(path, query=None, **columns):
    with open_exports() as opened:
        opened.add("sessions", str(path), columns)
        opened.close_files()
        return opened.read("sessions", query), opened.forms["sessions"]


def rows(frame):
    return frame.drop(columns=FILE).to_dict("records")


@pytest.mark.parametrize(
    ("text", "encoding", "form"),
    [
        ("id;name\n1,5;Zoë\n", "utf-8", "CSV, separated by semicolon, UTF-8"),
        ("id;name\n1,5;Zoë\n", "utf-8-sig", "CSV, separated by semicolon, UTF-8"),
        ("id;name\n1,5;Zoë\n", "cp1252", "CSV, separated by semicolon, cp1252"),
        ("id;name\n1,5;Zoë\n", "utf-16", "CSV, separated by semicolon, UTF-16"),
        ('id,name\n"1,5",Zoë\n', "utf-8", "CSV, separated by comma, UTF-8"),
        ("id\tname\n1,5\tZoë\n", "utf-8", "CSV, separated by tab, UTF-8"),
        ("id|name\r\n1,5|Zoë\r\n", "utf-8", "CSV, separated by pipe, UTF-8"),
        (
            "# ---\n\n# Acquisition\nid;name\n1,5;Zoë\n",
            "utf-8",
            "CSV, separated by semicolon, UTF-8, 3 lines above the header",
        ),
    ],
)
def test_separator_encoding_and_lines_above_the_header_are_detected(tmp_path, text, encoding, form):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    frame, found = read(tmp_path / "a.csv")
    assert rows(frame) == [{"id": "1,5", "name": "Zoë"}]
    assert found == form


def test_a_quoted_header_may_hold_the_other_separators(tmp_path):
    (tmp_path / "a.csv").write_text('"a,b,c";d\n1;2\n')
    assert find_dialect(tmp_path / "a.csv").header == ["a,b,c", "d"]


@pytest.mark.parametrize(
    "title",
    [
        'Campaign report\n"1 March, 2025 - 28 March, 2025"\n',
        "Campaign report;;\n;;\n",
        "sep=;\n",
        "# Free-form, March\n",
    ],
)
def test_a_title_above_the_header_is_skipped(tmp_path, title):
    (tmp_path / "a.csv").write_text(f"{title}Day;Cost;#\n2025-03-01;1,50;7\n")
    assert rows(read(tmp_path / "a.csv")[0]) == [{"Day": "2025-03-01", "Cost": "1,50", "#": "7"}]


def test_a_header_may_have_line_breaks_a_number_sign_or_one_name_alone(tmp_path):
    (tmp_path / "a.csv").write_text('#,"Cost\n(EUR)"\n1,2\n')
    assert rows(read(tmp_path / "a.csv")[0]) == [{"#": "1", "Cost (EUR)": "2"}]
    (tmp_path / "a.csv").write_text('"Order\n""no"";",Cost\n1,2\n')
    assert rows(read(tmp_path / "a.csv")[0]) == [{'Order "no";': "1", "Cost": "2"}]
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    assert rows(read(tmp_path / "a.csv")[0]) == [{"id": "1"}, {"id": "2"}]


def test_a_title_above_the_header_of_a_sheet_is_skipped(tmp_path):
    sheet = pd.DataFrame([["Orders of March", None], [None, None], ["id", "total"], ["007", 1.5]])
    sheet.to_excel(tmp_path / "a.xlsx", index=False, header=False)
    assert rows(read(tmp_path / "a.xlsx")[0]) == [{"id": "007", "total": "1.5"}]


@pytest.mark.parametrize("title", ["", "Report\n"])
def test_lines_that_end_in_different_ways_are_all_read(tmp_path, title):
    (tmp_path / "a.csv").write_bytes(f"{title}id,name\r\n1,x\n2,y\r\n".encode())
    assert rows(read(tmp_path / "a.csv")[0]) == [{"id": "1", "name": "x"}, {"id": "2", "name": "y"}]


def test_columns_without_a_name_get_their_number(tmp_path):
    (tmp_path / "a.csv").write_text("id,,\n1,2,3\n")
    assert list(read(tmp_path / "a.csv")[0]) == ["id", "column 2", "column 3", FILE]


def test_texts_keep_zeros_blanks_and_line_breaks_and_an_empty_value_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text('id,name\n007," x\ny"\n1e3,\n')
    first, second = rows(read(tmp_path / "a.csv")[0])
    assert first == {"id": "007", "name": " x\ny"}
    assert second["id"] == "1e3"
    assert pd.isna(second["name"])


def test_json_lines_keep_long_ids_and_name_nested_fields_by_their_path(tmp_path):
    lines = [
        {"id": 2**63 - 1, "geo": {"country": "DE", "at x": {"lat": 1.5}}, "tags": ["a"]},
        {"id": None, "geo": None},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    frame, form = read(tmp_path / "a.jsonl")
    assert frame["id"].tolist()[0] == "9223372036854775807"
    assert frame["geo.country"].tolist()[0] == "DE"
    assert frame["geo.at x.lat"].tolist()[0] == 1.5
    assert frame["tags"].tolist()[0] == "[a]"
    assert form == "JSON"


def test_json_keeps_offsets_of_times_and_texts_beside_numbers(tmp_path):
    lines = [
        {"at": "2025-03-01T10:00:00Z", "visit": {"TIME": "2025-03-01"}, "id": 7, "json": {"a": 1}},
        {"at": "2025-03-01T10:00:00+02:00", "visit": {"TIME": "2025-03-02"}, "id": "007", "json": "x"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(lines))
    assert rows(read(tmp_path / "a.json")[0]) == [
        {"at": "2025-03-01T10:00:00Z", "visit.TIME": "2025-03-01", "id": "7", "json": '{"a":1}'},
        {"at": "2025-03-01T10:00:00+02:00", "visit.TIME": "2025-03-02", "id": "007", "json": "x"},
    ]


def test_a_known_schema_gives_columns_that_no_row_has(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "1"}\n')
    frame, _ = read(tmp_path / "a.jsonl", id="VARCHAR", source="STRUCT(name VARCHAR)")
    assert rows(frame)[0] | {"source.name": None} == {"id": "1", "source.name": None}


def test_parquet_is_read_with_its_types(tmp_path):
    table = pa.table({"id": pa.array([10**17], pa.int64()), "paid": pa.array([Decimal("12.50")])})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows(read(tmp_path / "a.parquet")[0]) == [{"id": "100000000000000000", "paid": 12.5}]


def test_excel_is_read_from_its_first_sheet(tmp_path):
    cells = pd.DataFrame(
        {"Order": [1001, 1002], "At": pd.to_datetime(["2025-03-01 10:00", None]), "Total": [12.5, 3.0]}
    )
    cells.to_excel(tmp_path / "a.xlsx", index=False)
    first, second = rows(read(tmp_path / "a.xlsx")[0])
    assert first == {"Order": "1001", "At": "2025-03-01 10:00:00", "Total": "12.5"}
    assert second["Order"] == "1002"
    assert pd.isna(second["At"])


def test_a_folder_and_a_glob_join_their_files_by_column_names(tmp_path):
    (tmp_path / "1.csv").write_text("id;a\n1;x\n")
    with gzip.open(tmp_path / "2.csv.gz", "wt") as file:
        file.write("a,id,b\ny,2,z\n")
    (tmp_path / "notes.pdf").write_text("not an export")
    for path in (tmp_path, tmp_path / "*.csv*"):
        frame, form = read(path)
        assert frame["id"].tolist() == ["1", "2"]
        assert frame["a"].tolist() == ["x", "y"]
        assert frame[FILE].tolist() == ["0", "1"]
        assert form == "CSV, separated by semicolon, UTF-8; CSV, separated by comma, UTF-8"


def test_a_name_with_the_letters_of_a_glob_is_one_file(tmp_path):
    (tmp_path / "a[1].csv").write_text("id\n1\n")
    (tmp_path / "a1.csv").write_text("id\n2\n")
    assert rows(read(tmp_path / "a[1].csv")[0]) == [{"id": "1"}]


BROKEN = {
    "nothing.csv": (b"", "it is empty"),
    "nothing.jsonl": (b"", "it is empty"),
    "three.csv": (b"a;b\n1;2\n1;2;3\n", "line 3 has 3 instead of 2 values"),
    "one.csv": (b"a;b\n1;2\n1\n", "line 3 has 1 instead of 2 values"),
    "open.csv": (b'a;b\n1;"x\n2;y\n', "a quotation mark opened in line 2 is never closed"),
    "nul.csv": (b"a;b\n1;x\0y\n", "it has NUL bytes, so it is not a text file"),
    "twice.csv": (b"id;ID\n1;2\n", "its header has 'ID', 'id' twice: rename one of the columns"),
    "half.jsonl": (b'{"a": 1}\n{"a": \n', "line 3 is not valid JSON"),
    "no.parquet": (b"nonsense", "it is not a Parquet file"),
    "no.xlsx": (b"nonsense", "it is not a readable Excel file (.xlsx)"),
    "no.csv.gz": (b"nonsense", "Not a gzipped file"),
    "page.pdf": (b"%PDF", "its format is not known: give .csv"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_sentence(tmp_path, name):
    content, says = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name} cannot be read: {says}")
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_missing_files_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^--orders no\.csv does not exist\.$"):
        find_files("orders", "no.csv")
    with pytest.raises(InputError, match="has no CSV, JSON, Parquet or Excel file"):
        find_files("orders", str(tmp_path))


def test_a_query_sees_the_tables_and_no_files(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    frame, _ = read(tmp_path / "a.csv", "SELECT count(*) AS n FROM sessions")
    assert frame["n"].tolist() == ["2"]
    for query in (
        "SELECT * FROM read_csv('/etc/hostname')",
        "COPY sessions TO 'out.csv'",
        "SELECT nonsense FROM sessions",
    ):
        with pytest.raises(SettingsError, match=r"^The query of \[sessions\]"):
            read(tmp_path / "a.csv", query)
