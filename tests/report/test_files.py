import csv
import json

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FIXED, UNTRUSTED
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.report.files import read_csv, write_csv, write_json, write_text

SUMMARY = pd.DataFrame({"channel_name": ["Search", "Mail"], "cost": [100.25, np.nan], "ihc_revenue": [250.0, 10.0]})
FORMULAS = ["=cmd()", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1", "＠x"]


def written(tmp_path, frame):
    return read_csv(write_csv(frame, tmp_path / "table.csv"))


def fields(tmp_path, frame):
    """Return the first field of each row, as a spreadsheet reads it."""
    with write_csv(frame, tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        return [row[0] for row in csv.reader(file)][1:]


def named(*names):
    """Return a frame with one row per name, and another that is certainly text."""
    return pd.DataFrame({"channel_name": [*names, "text"], "cost": [1.5] * (len(names) + 1)})


def test_a_csv_has_headings_plain_numbers_and_empty_fields_for_nan(tmp_path):
    path = write_csv(SUMMARY, tmp_path / "table.csv")
    assert path.read_text("utf-8") == "channel_name,cost,ihc_revenue\nSearch,100.25,250.0\nMail,,10.0\n"


@pytest.mark.parametrize(
    "frame",
    [
        SUMMARY,
        *(
            pd.DataFrame({"channel_name": names, "cost": [1.5, -2.5]})
            for names in (["007", "08"], ["1", "2"], ["1e5", "2e5"], ["True", "False"], ["inf", "nan"])
        ),
        pd.DataFrame({"channel_name": ["", "A"], "ROAS": [np.nan, 1.5], "amount": [2.5, np.nan]}),
    ],
)
def test_text_and_numbers_survive_the_round_trip_even_if_names_look_like_numbers(tmp_path, frame):
    assert_frame_equal(written(tmp_path, frame), frame)


@pytest.mark.parametrize("name", [*UNTRUSTED, *FORMULAS, "", "NA", "nan", "None", "'", "'=1", "''=1"])
def test_a_name_survives_the_round_trip(tmp_path, name):
    assert_frame_equal(written(tmp_path, named(name)), named(name))


@pytest.mark.parametrize("name", [*FORMULAS, "\nnext", "\tnext"])
def test_formulas_start_with_an_apostrophe(tmp_path, name):
    assert fields(tmp_path, named(name)) == ["'" + name, "text"]
    assert fields(tmp_path, named(name).astype({"channel_name": "category"})) == ["'" + name, "text"]


@pytest.mark.parametrize(("name", "back"), [("a\rb", "a\nb"), ("a\r\nb", "a\nb"), ("\rnext", "\nnext")])
def test_carriage_returns_become_line_breaks(tmp_path, name, back):
    assert_frame_equal(written(tmp_path, named(name)), named(back))


def test_a_frame_without_rows_keeps_its_columns(tmp_path):
    assert written(tmp_path, SUMMARY.iloc[:0]).columns.tolist() == SUMMARY.columns.tolist()


@FIXED
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4))
def test_any_text_survives_the_round_trip_and_is_no_formula(tmp_path_factory, names):
    folder = tmp_path_factory.getbasetemp()
    back = written(folder, named(*names))["channel_name"].tolist()
    assert back == [name.replace("\r\n", "\n").replace("\r", "\n") for name in names] + ["text"]
    assert not [field for field in fields(folder, named(*names)) if field.lstrip().startswith(("=", "+", "-", "@"))]


def test_writing_does_not_change_the_frame(tmp_path):
    frame = named("=cmd()")
    before = frame.copy(deep=True)
    write_csv(frame, tmp_path / "table.csv")
    assert_frame_equal(frame, before)


def test_folders_are_created_and_old_files_replaced_without_leftovers(tmp_path):
    path = tmp_path / "new" / "folder" / "text.txt"
    write_text("old and long", path)
    assert write_text("neu: é", path) == path
    assert path.read_bytes() == "neu: é".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["text.txt"]


def test_a_failed_write_leaves_no_partial_file(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_text("text", tmp_path / "taken")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_json_is_readable_and_keeps_all_characters(tmp_path):
    path = write_json({"run_id": "r1", "start_date": None, "names": ["é", '"']}, tmp_path / "run.json")
    assert (
        path.read_text("utf-8")
        == '{\n  "run_id": "r1",\n  "start_date": null,\n  "names": [\n    "é",\n    "\\""\n  ]\n}\n'
    )


def test_nan_is_written_as_valid_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    path = write_json({"sources": pd.DataFrame({"lookback_days": [np.nan], "orders": [3]})}, tmp_path / "run.json")
    entries = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    assert entries == {"sources": [{"lookback_days": None, "orders": 3}]}
