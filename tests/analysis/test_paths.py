import pandas as pd
import pytest
from helpers.frames import FEW, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.dimension import folding
from ihc.analysis.paths import (
    LABELS,
    ORDER,
    ROLES,
    START,
    channel_roles,
    channels_of,
    commonest_paths,
    journey_lengths,
    time_to_conversion,
    transition_matrix,
)
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS


def together(*lists):
    return pd.concat([journey(*steps, conv_id=f"k{number}") for number, steps in enumerate(lists)], ignore_index=True)


def of_names(*names_of):
    """Journeys with one session per hour, on these channels."""
    return together(*([(hour, name, 1, 1) for hour, name in enumerate(names)] for names in names_of))


EMPTY = journey((0, "A", 1, 1)).iloc[:0]


def test_lengths_count_orders_by_their_number_of_sessions_up_to_the_longest_class():
    found = journey_lengths(of_names("A", "A", "AA", "A" * 10, "A" * 12))
    assert found["length"].tolist() == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10+"]
    assert found["orders"].tolist() == [2, 1, *[0] * 7, 2]
    assert found["share"].tolist() == [0.4, 0.2, *[0] * 7, 0.4]


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


def test_a_path_merges_consecutive_repeats_and_sums_orders_and_revenue():
    rows = of_names("AAB", "AB", "ABA", "B")
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


def test_ties_between_paths_are_broken_by_name():
    rows = of_names(*([name, "Z"] for name in ("D", "A b", "C", "A", "A")))
    # As texts "A > Z" comes after "A b > Z" no more than any other; twice it is first, and of the rest two are shown.
    found = commonest_paths(rows, most=3)
    assert found["path"].tolist() == ["A > Z", "A b > Z", "C > Z"]
    assert found["share"].tolist() == [0.4, 0.2, 0.2]


def test_sessions_at_the_same_time_are_sorted_by_id():
    assert commonest_paths(together([(0, "B", 1, 1), (0, "A", 1, 1)]))["path"].tolist() == ["B > A"]


def test_a_path_of_any_length_is_counted_by_all_its_channels():
    found = commonest_paths(of_names("AB" * 300, "AB" * 300, "AB" * 299 + "A"))
    assert found["orders"].tolist() == [2, 1]
    assert [path.count(" > ") for path in found["path"]] == [599, 598]


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
def test_a_path_is_split_into_its_channels(path, names, channels):
    assert channels_of(path, names) == channels


def test_each_order_counts_in_one_of_five_roles():
    # A: begins ABC and AB, is alone in AA, begins and ends ABA. B: between in ABC and ABA, ends AB. C: ends ABC.
    found = channel_roles(of_names("ABC", "AB", "AA", "ABA"))
    assert found.columns.tolist() == ["channel_name", "orders", *ROLES, *(f"share_{role}" for role in ROLES)]
    assert found[["channel_name", "orders", *ROLES]].to_numpy().tolist() == [
        ["A", 4, 2, 1, 0, 0, 1],
        ["B", 3, 0, 0, 2, 1, 0],
        ["C", 1, 0, 0, 0, 1, 0],
    ]
    assert found.iloc[0, 7:].tolist() == [0.5, 0.25, 0.0, 0.0, 0.25]


def test_a_channel_has_one_role_per_order_and_first_and_last_take_precedence():
    # A is first and in between: it starts. B is in between and last: it ends.
    found = channel_roles(of_names("ABAB"))
    assert found[["channel_name", *ROLES]].to_numpy().tolist() == [["A", 1, 0, 0, 0, 0], ["B", 0, 0, 0, 1, 0]]


def moves(found):
    return {(row[0], row[1]): row[2] for row in found.itertuples(index=False, name=None) if row[2]}


def test_transitions_run_from_the_start_through_the_channels_to_the_order():
    found = transition_matrix(of_names("AABBA", "A"))
    # A > B > A, and A.
    assert moves(found) == {(START, "A"): 2, ("A", "B"): 1, ("B", "A"): 1, ("A", ORDER): 2}
    assert found["share"].tolist() == pytest.approx([1, 0, 0, 0, 1 / 3, 2 / 3, 1, 0, 0])
    assert found["from"].tolist() == [START] * 3 + ["A"] * 3 + ["B"] * 3
    assert found["to"].tolist() == ["A", "B", ORDER] * 3


def test_there_are_no_transitions_between_journeys():
    assert moves(transition_matrix(of_names("A", "B"))) == {
        **{(START, name): 1 for name in "AB"},
        **{(name, ORDER): 1 for name in "AB"},
    }


def test_the_rest_is_one_state_that_can_follow_itself_and_comes_last():
    found = transition_matrix(of_names("A", "AB", "ABCD"), folding("ABCD", "BACD", most=2))
    other = "other (2 channels)"
    assert found["to"].unique().tolist() == ["A", "B", other, ORDER]
    assert moves(found)[("B", other)] == 1
    assert moves(found)[(other, other)] == 1
    assert moves(found)[(other, ORDER)] == 1


def test_channels_named_like_a_state_are_separate_states():
    # The start, the channel "(order)" and the channel "(start)", to these channels and the order.
    found = transition_matrix(of_names([START, ORDER]))
    assert found["count"].tolist() == [0, 1, 0, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("view", [journey_lengths, time_to_conversion, commonest_paths])
def test_no_journeys_give_counts_of_0(view):
    found = view(EMPTY)
    assert found["orders"].sum() == 0
    assert found["share"].isna().all()
    assert found.columns.tolist() == view(of_names("A")).columns.tolist()


@pytest.mark.parametrize("view", [channel_roles, transition_matrix])
def test_no_journeys_give_an_empty_table_with_the_same_columns_that_have_headings(view):
    found, full = view(EMPTY), view(of_names("AB"))
    assert found.empty
    assert found.dtypes.to_dict() == full.dtypes.to_dict()
    assert not {*found} - {*GLOSSARY, *HEADINGS}


@pytest.mark.parametrize(
    ("view", "column"),
    [(channel_roles, "channel_name"), (transition_matrix, "channel_name"), (commonest_paths, "revenue")],
)
def test_missing_columns_are_refused(view, column):
    with pytest.raises(InputError, match=f"Journeys lacks the column '{column}'"):
        view(of_names("AB").drop(columns=column))


@FEW
@given(journeys(), st.integers(0, 9), st.integers(1, 3))
def test_sums_hold_in_any_row_order_and_the_input_is_unchanged(rows, seed, most):
    before, mixed = rows.copy(deep=True), shuffled(rows, seed)
    roles = channel_roles(rows)
    few = folding(roles["channel_name"], roles["channel_name"], most=most)
    matrix = transition_matrix(rows, few)
    assert_frame_equal(rows, before)
    orders = rows["conv_id"].nunique()
    for count in (journey_lengths, time_to_conversion, commonest_paths):
        found = count(rows)
        assert found["orders"].sum() == orders
        assert found["share"].sum() == pytest.approx(1)
        assert_frame_equal(count(mixed), found)
    read = {}  # journey by journey
    for _, steps in rows.sort_values(["timestamp", "session_id"]).groupby("conv_id"):
        names = steps["channel_name"].tolist()
        path = " > ".join(name for name, before in zip(names, [None, *names], strict=False) if name != before)
        read.setdefault(path, []).append(steps["revenue"].iloc[0])
    assert dict(zip(found["path"], found["orders"], strict=True)) == {path: len(each) for path, each in read.items()}
    assert found["revenue"].tolist() == pytest.approx([sum(read[path]) for path in found["path"]])
    assert [channels_of(path, []) for path in found["path"]] == [path.split(" > ") for path in found["path"]]

    assert roles[list(ROLES)].sum(axis=1).tolist() == roles["orders"].tolist()
    assert roles[[f"share_{role}" for role in ROLES]].sum(axis=1).tolist() == pytest.approx([1] * len(roles))
    for end in ("starts", "ends"):
        assert roles[["alone", "starts_and_ends", end]].sum().sum() == orders
    assert roles["orders"].is_monotonic_decreasing
    assert (
        roles.set_index("channel_name")["orders"].to_dict()
        == rows.groupby("channel_name")["conv_id"].nunique().to_dict()
    )

    assert matrix.groupby("from", sort=False)["share"].sum().tolist() == pytest.approx([1] * matrix["from"].nunique())
    assert matrix.loc[matrix["from"] == START, "count"].sum() == orders
    assert matrix.loc[matrix["to"] == ORDER, "count"].sum() == orders
    left = matrix[matrix["from"] != START].groupby("from")["count"].sum()
    come = matrix[matrix["to"] != ORDER].groupby("to")["count"].sum()
    assert left.to_dict() == come.to_dict()
    assert_frame_equal(channel_roles(mixed), roles)
    assert_frame_equal(transition_matrix(mixed, few), matrix)
