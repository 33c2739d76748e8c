import json

import pandas as pd
import pytest

from ihc.reasons import why


def error_of(action):
    with pytest.raises((OSError, ValueError, RecursionError)) as error:
        action()
    return error.value


def written(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "it is empty"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields instead of 2"),
        ('a,b\n"1,2\n', "a quotation mark is opened and never closed"),
        (b"a,b\n\xff,1\n", "it is not UTF-8 text"),
    ],
)
def test_a_csv_that_cannot_be_read_is_explained_without_the_words_of_pandas(tmp_path, content, says):
    path = written(tmp_path / "x.csv", content)
    assert why(error_of(lambda: pd.read_csv(path))) == says


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{\n  "a": x\n}', "line 2, column 8 is not JSON"),
        ("[" * 100_000, "it is nested too deeply"),
        (b"\xff{}", "it is not UTF-8 text"),
    ],
)
def test_a_json_that_cannot_be_read_is_explained(tmp_path, content, says):
    path = written(tmp_path / "x.json", content)
    assert why(error_of(lambda: json.loads(path.read_text("utf-8")))) == says


def test_a_path_that_cannot_be_opened_is_explained_without_a_number_of_the_system(tmp_path):
    written(tmp_path / "file", "")
    paths = {
        "nothing": "there is no such file or folder",
        ".": "it is a folder",
        "file/x": "a part of its path is a file, not a folder",
        "x" * 300: "its name is too long",
    }
    assert {name: why(error_of((tmp_path / name).read_bytes)) for name in paths} == paths


def test_an_error_of_a_library_without_a_number_of_its_own_is_explained_alike():
    assert why(FileNotFoundError("s3://bucket/x")) == "there is no such file or folder"


def test_what_is_not_known_keeps_its_first_line_without_the_number_of_the_system():
    assert why(OSError("[Errno 5] Input/output error: 'x'\nmore")) == "Input/output error: 'x'"
    assert why(ValueError()) == "ValueError"
