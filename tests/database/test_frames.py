from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from ihc.arrays.codes import with_shared_codes
from ihc.database.frames import Frames


def a_frame():
    return pd.DataFrame(
        {
            "id": pd.Series(["x", "", None], dtype="str"),
            "cost": [1.5, np.nan, -0.0],
            "flag": np.array([0, 1, 1], dtype="int8"),
            "is_new": [True, False, True],
            "at": np.array(["2025-03-01T12:00:00.000001", "NaT", "1970-01-01"], dtype="datetime64[us]"),
            "count": pd.array([1, None, 3], dtype="Int64"),
        }
    )


def test_a_frame_comes_back_with_its_types_its_order_and_its_missing_values(tmp_path):
    frame = a_frame().drop(columns="count")
    Frames(tmp_path).write("f", frame)
    found = Frames(tmp_path).read("f")
    assert_frame_equal(found, frame)
    assert np.signbit(found["cost"][2])
    Frames(tmp_path).write("empty", frame.iloc[:0])
    assert_frame_equal(Frames(tmp_path).read("empty"), frame.iloc[:0])
    assert Frames(tmp_path).read("other") is None


def test_frames_share_their_categories_after_reading(tmp_path):
    sessions, credits = with_shared_codes(*[pd.Series(ids, dtype="str") for ids in (["b", "a"], ["a", None, "c"])])
    frames = Frames(tmp_path)
    frames.write("sessions", sessions.to_frame("session_id"))
    frames.write("credits", credits.to_frame("session_id"))
    assert len(list(tmp_path.iterdir())) == 3  # the texts are in one file
    read = Frames(tmp_path)
    one, other = read.read("sessions")["session_id"], read.read("credits")["session_id"]
    assert one.dtype is other.dtype
    assert (one.tolist(), other.astype("str").fillna("-").tolist()) == (["b", "a"], ["a", "-", "c"])


def test_a_kept_frame_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return a_frame()[["id"]]

    for frames in (Frames(tmp_path), Frames(tmp_path)):
        assert frames.kept("f", make)["id"].tolist()[:2] == ["x", ""]
    assert made == [1]


def test_another_that_needs_a_frame_waits_until_it_is_made(tmp_path):
    begun, made = Event(), []

    def make():
        begun.set()
        sleep(0.2)
        made.append(1)
        return a_frame()[["id"]]

    def make_again():
        made.append(2)
        return a_frame()[["id"]]

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(Frames(tmp_path).kept, "f", make)
        assert begun.wait(60)
        assert Frames(tmp_path).kept("f", make_again).equals(first.result())
    assert made == [1]


def test_a_frame_that_cannot_be_made_is_made_by_the_next(tmp_path):
    def fail():
        raise KeyError("no such channel")

    with pytest.raises(KeyError):
        Frames(tmp_path).kept("f", fail)
    assert len(Frames(tmp_path).kept("f", lambda: a_frame()[["id"]])) == 3


@pytest.mark.parametrize(
    "frame",
    [
        a_frame().iloc[1:],  # another index
        pd.DataFrame({"mixed": pd.Series([1, "a"], dtype="object")}),
        pd.DataFrame({"whole": pd.Series([1, None], dtype="object")}),  # would come back as 1.0
        a_frame()[["count"]],
    ],
)
def test_a_frame_that_would_come_back_different_is_not_written(frame, tmp_path):
    assert not Frames(tmp_path).write("f", frame)
    assert Frames(tmp_path).read("f") is None
    assert Frames(tmp_path).kept("f", lambda: frame) is frame


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert not Frames(tmp_path / "file").write("f", a_frame()[["id"]])


def test_a_frame_whose_texts_are_gone_counts_as_missing(tmp_path):
    (coded,) = with_shared_codes(pd.Series(["b", "a"], dtype="str"))
    Frames(tmp_path).write("f", coded.to_frame("session_id"))
    (texts,) = (path for path in tmp_path.iterdir() if path.name != "f.arrow")
    texts.unlink()
    assert Frames(tmp_path).read("f") is None
    assert Frames(tmp_path).kept("f", lambda: coded.to_frame("session_id"))["session_id"].tolist() == ["b", "a"]
    assert Frames(tmp_path).read("f")["session_id"].tolist() == ["b", "a"]


def test_a_small_frame_can_be_changed(tmp_path):
    Frames(tmp_path).write("f", a_frame()[["cost"]])
    frame = Frames(tmp_path).read("f")
    frame.loc[0, "cost"] = 9.0
    assert frame["cost"][0] == 9.0


def test_frames_are_deleted_by_prefix(tmp_path):
    frames = Frames(tmp_path)
    for name in ("report-a", "report-b", "reports"):
        frames.write(name, a_frame()[["id"]])
    frames.delete("report")
    assert [path.name for path in tmp_path.iterdir()] == ["reports.arrow"]


def test_a_written_file_is_whole_or_absent(tmp_path):
    frames = Frames(tmp_path)
    frames.write("f", a_frame()[["id"]])
    before = frames.read("f")
    frames.write("f", a_frame()[["id"]].iloc[:1])  # replaces the file that is mapped
    assert before["id"].tolist()[:2] == ["x", ""]
    assert len(frames.read("f")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["f.arrow"]
