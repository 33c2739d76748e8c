import pandas as pd
import pytest
from helpers.frames import FIXED, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.paths import LABELS, channels_of, commonest_paths, journey_lengths, time_to_conversion
from ihc.errors import InputError


def together(*lists):
    return pd.concat([journey(*steps, conv_id=f"k{number}") for number, steps in enumerate(lists)], ignore_index=True)


def of_length(number):
    return [(hour, "A", 1, 1) for hour in range(number)]


EMPTY = journey((0, "A", 1, 1)).iloc[:0]


def test_lengths_count_orders_by_their_number_of_sessions_up_to_the_longest_class():
    rows = together(of_length(1), of_length(1), of_length(2), of_length(3), of_length(5))
    expected = pd.DataFrame({"length": ["1", "2", "3+"], "orders": [2, 1, 2], "share": [0.4, 0.2, 0.4]})
    assert_frame_equal(journey_lengths(rows, longest=3), expected)


def test_lengths_have_a_row_a_class_also_where_no_order_falls():
    lengths = journey_lengths(together(of_length(1)))
    assert lengths["length"].tolist() == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10+"]
    assert lengths["orders"].tolist() == [1] + [0] * 9


@pytest.mark.parametrize(
    ("hours", "label"),
    [
        ([0], "one session"),
        ([0, 0], "< 1 h"),
        ([0, 0.999], "< 1 h"),
        ([0, 1], "1-6 h"),
        ([0, 5.99], "1-6 h"),
        ([0, 6], "6-24 h"),
        ([3, 27], "1-3 days"),
        ([0, 20, 71], "1-3 days"),
        ([0, 72], "3-7 days"),
        ([0, 24 * 7], "7-14 days"),
        ([0, 24 * 14], "14-30 days"),
        ([0, 24 * 30], "30 days and more"),
    ],
)
def test_time_to_conversion_is_from_the_first_to_the_last_session(hours, label):
    times = time_to_conversion(together([(hour, "A", 1, 1) for hour in hours]))
    assert times["time"].tolist() == list(LABELS)
    assert times.loc[times["orders"] == 1, "time"].tolist() == [label]
    assert times["share"].sum() == 1


def test_a_path_names_each_channel_once_in_a_row_and_adds_up_orders_and_revenue():
    rows = together(
        [(0, "A", 1, 1), (1, "A", 1, 1), (2, "B", 1, 1)],
        [(0, "A", 1, 1), (1, "B", 1, 1)],
        [(0, "A", 1, 1), (1, "B", 1, 1), (2, "A", 1, 1)],
        [(0, "B", 1, 1)],
    )
    expected = pd.DataFrame(
        {
            "path": ["A > B", "A > B > A", "B"],
            "orders": [2, 1, 1],
            "share": [0.5, 0.25, 0.25],
            "revenue": [200.0, 100.0, 100.0],
        }
    )
    assert_frame_equal(commonest_paths(rows), expected)
    assert commonest_paths(rows, most=1)["path"].tolist() == ["A > B"]


def test_the_last_channel_of_one_order_is_no_repeat_for_the_next():
    assert commonest_paths(together([(0, "A", 1, 1)], [(0, "A", 1, 1)]))["orders"].tolist() == [2]


def test_equally_common_paths_are_by_name_also_where_the_list_ends():
    rows = together(*([(0, name, 1, 1), (1, "Z", 1, 1)] for name in ("D", "A b", "C", "A", "A")))
    # As texts "A > Z" comes after "A b > Z" no more than any other; twice it is first, and of the rest two are shown.
    found = commonest_paths(rows, most=3)
    assert found["path"].tolist() == ["A > Z", "A b > Z", "C > Z"]
    assert found["share"].tolist() == [0.4, 0.2, 0.2]


def test_sessions_at_the_same_moment_are_in_the_order_of_their_ids():
    assert commonest_paths(together([(0, "B", 1, 1), (0, "A", 1, 1)]))["path"].tolist() == ["B > A"]


def test_a_path_of_any_length_is_counted_by_all_its_channels():
    long = [(hour, "AB"[hour % 2], 1, 1) for hour in range(600)]
    found = commonest_paths(together(long, long, long[:-1]))
    assert found["orders"].tolist() == [2, 1]
    assert [path.count(" > ") for path in found["path"]] == [599, 598]


def test_paths_need_their_columns():
    with pytest.raises(InputError, match="Journeys lacks the column 'revenue'"):
        commonest_paths(together(of_length(1)).drop(columns="revenue"))


@pytest.mark.parametrize(
    ("path", "names", "channels"),
    [
        ("A", [], ["A"]),
        ("A > B > A", ["A", "B"], ["A", "B", "A"]),
        ("A > B > C", ["A > B", "C", "A"], ["A > B", "C"]),
        ("A > B > C", ["A > B", "A > B > C"], ["A > B > C"]),
        ("A > B > C", ["B > C"], ["A", "B > C"]),
        ("", [], [""]),
        (" > A > ", [], ["", "A", ""]),
        ("two\nlines > (.*)", ["(.*)"], ["two\nlines", "(.*)"]),
    ],
)
def test_a_path_is_taken_apart_into_its_channels_whatever_their_names(path, names, channels):
    assert channels_of(path, names) == channels


@FIXED
@given(journeys(), st.integers(0, 9))
def test_paths_are_those_that_are_read_journey_by_journey(rows, seed):
    ordered = rows.sort_values(["conv_id", "timestamp", "session_id"])
    read = {}
    for _, journey_rows in ordered.groupby("conv_id"):
        names = journey_rows["channel_name"].tolist()
        path = " > ".join(name for name, before in zip(names, [None, *names], strict=False) if name != before)
        read.setdefault(path, []).append(journey_rows["revenue"].iloc[0])
    found = commonest_paths(shuffled(rows, seed))
    assert dict(zip(found["path"], found["orders"], strict=True)) == {path: len(all_) for path, all_ in read.items()}
    assert found["revenue"].tolist() == pytest.approx([sum(read[path]) for path in found["path"]])
    assert [channels_of(path, []) for path in found["path"]] == [path.split(" > ") for path in found["path"]]


@pytest.mark.parametrize("count", [journey_lengths, time_to_conversion, commonest_paths])
def test_no_journeys_are_counted_as_none(count):
    found = count(EMPTY)
    assert found["orders"].sum() == 0
    assert found["share"].isna().all()
    assert found.columns.tolist() == count(together(of_length(1))).columns.tolist()


@FIXED
@given(journeys(), st.sampled_from([journey_lengths, time_to_conversion, commonest_paths]), st.integers(0, 9))
def test_every_order_is_in_one_class_in_any_row_order_and_the_journeys_are_left_alone(rows, count, seed):
    before = rows.copy(deep=True)
    found = count(rows)
    assert_frame_equal(rows, before)
    assert found["orders"].sum() == rows["conv_id"].nunique()
    assert found["share"].sum() == pytest.approx(1)
    assert_frame_equal(count(shuffled(rows, seed)), found)
