import pandas as pd
import pytest
from helpers.frames import FIXED, UNTRUSTED, journey, journeys, shuffled
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
    commonest_paths,
    journey_lengths,
    time_to_conversion,
    transition_matrix,
)
from ihc.errors import InputError
from ihc.formatting import shown
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.narrative.paths import paths_sentence


def together(*paths):
    """Journeys of one session an hour, a letter a channel."""
    return of_names(*(list(path) for path in paths))


def of_names(*paths):
    parts = [
        journey(*((hour, name, 1, 1) for hour, name in enumerate(path)), conv_id=f"k{number}")
        for number, path in enumerate(paths)
    ]
    return pd.concat(parts, ignore_index=True)


EMPTY = journey((0, "A", 1, 1)).iloc[:0]


def test_each_order_of_a_channel_is_one_of_its_five_roles():
    # A: begins ABC and AB, is alone in AA, begins and ends ABA. B: between in ABC and ABA, ends AB. C: ends ABC.
    found = channel_roles(together("ABC", "AB", "AA", "ABA"))
    assert found.columns.tolist() == ["channel_name", "orders", *ROLES, *(f"share_{role}" for role in ROLES)]
    assert found[["channel_name", "orders", *ROLES]].to_numpy().tolist() == [
        ["A", 4, 2, 1, 0, 0, 1],
        ["B", 3, 0, 0, 2, 1, 0],
        ["C", 1, 0, 0, 0, 1, 0],
    ]
    assert found.iloc[0, 7:].tolist() == [0.5, 0.25, 0.0, 0.0, 0.25]


def test_a_channel_counts_once_in_an_order_and_the_ends_of_a_journey_come_before_its_middle():
    # A stands first and between: it begins. B stands between and last: it ends.
    found = channel_roles(together("ABAB"))
    assert found[["channel_name", *ROLES]].to_numpy().tolist() == [["A", 1, 0, 0, 0, 0], ["B", 0, 0, 0, 1, 0]]


def moves(found):
    return {(row[0], row[1]): row[2] for row in found.itertuples(index=False, name=None) if row[2]}


def test_moves_lead_from_the_start_through_the_channels_to_the_order():
    found = transition_matrix(together("AABBA", "A"))
    # A > B > A, and A.
    assert moves(found) == {(START, "A"): 2, ("A", "B"): 1, ("B", "A"): 1, ("A", ORDER): 2}
    assert found["share"].tolist() == pytest.approx([1, 0, 0, 0, 1 / 3, 2 / 3, 1, 0, 0])
    assert found["from"].tolist() == [START] * 3 + ["A"] * 3 + ["B"] * 3
    assert found["to"].tolist() == ["A", "B", ORDER] * 3


def test_the_last_channel_of_one_order_leads_to_no_other_order():
    assert moves(transition_matrix(together("A", "B"))) == {
        **{(START, name): 1 for name in "AB"},
        **{(name, ORDER): 1 for name in "AB"},
    }


def test_channels_that_are_not_named_are_one_state_that_may_follow_itself_and_comes_last():
    found = transition_matrix(together("A", "AB", "ABCD"), folding("ABCD", "BACD", most=2))
    other = "other (2 channels)"
    assert found["to"].unique().tolist() == ["A", "B", other, ORDER]
    assert moves(found)[("B", other)] == 1
    assert moves(found)[(other, other)] == 1
    assert moves(found)[(other, ORDER)] == 1


def test_channels_called_like_a_state_stay_states_of_their_own():
    # The start, the channel "(order)" and the channel "(start)", to these channels and the order.
    found = transition_matrix(of_names([START, ORDER]))
    assert found["count"].tolist() == [0, 1, 0, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("view", [channel_roles, transition_matrix])
def test_no_journeys_give_an_empty_table_with_the_same_columns(view):
    found = view(EMPTY)
    assert found.empty
    assert found.dtypes.tolist() == view(together("AB")).dtypes.tolist()
    assert found.columns.tolist() == view(together("AB")).columns.tolist()


@pytest.mark.parametrize("view", [channel_roles, transition_matrix])
def test_every_column_has_a_heading(view):
    assert not [name for name in view(EMPTY).columns if name not in {*GLOSSARY, *HEADINGS}]


@pytest.mark.parametrize("view", [channel_roles, transition_matrix])
def test_missing_columns_are_refused(view):
    with pytest.raises(InputError, match="Journeys lacks the column 'channel_name'"):
        view(together("AB").drop(columns="channel_name"))


@FIXED
@given(journeys(), st.integers(0, 9), st.integers(1, 3))
def test_roles_and_moves_add_up_in_any_row_order_and_the_journeys_are_left_alone(rows, seed, most):
    before = rows.copy(deep=True)
    roles = channel_roles(rows)
    few = folding(roles["channel_name"], roles["channel_name"], most=most)
    matrix = transition_matrix(rows, few)
    assert_frame_equal(rows, before)
    orders = rows["conv_id"].nunique()
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
    mixed = shuffled(rows, seed)
    assert_frame_equal(channel_roles(mixed), roles)
    assert_frame_equal(transition_matrix(mixed, few), matrix)


def sentence(rows):
    return paths_sentence(journey_lengths(rows), time_to_conversion(rows), commonest_paths(rows), channel_roles(rows))


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["A"], "Every order takes a single session, so all models agree on all of them."),
        (
            ["A", "B", "B"],
            "Every order takes a single session, so all models agree on all of them. "
            "The commonest path is B alone, with 2 orders (67%).",
        ),
        (
            ["AB"],
            "No order takes a single session; 100% take less than 6 hours from the first session to the last. "
            "All orders have the path A > B.",
        ),
        (["AA"], "No order takes a single session; 100% take less than 6 hours from the first session to the last."),
        (
            ["A", "A", "AA", "AB"],
            "50% of the orders take a single session, on which all models agree; of the rest (2 orders), 100% take "
            "less than 6 hours from the first session to the last. The commonest path is A alone, with 3 orders (75%).",
        ),
        (
            ["A", "BC"],
            "50% of the orders take a single session, on which all models agree; of the rest (1 order), 100% take less "
            "than 6 hours from the first session to the last. Several paths are equally common, with 1 order each.",
        ),
    ],
)
def test_a_sentence_tells_lengths_times_and_the_commonest_path(paths, text):
    assert sentence(together(*paths)) == text


def test_no_journeys_are_told_as_none():
    assert sentence(EMPTY) == "There is no journey in these dates."


def times(*orders):
    return pd.DataFrame({"time": LABELS, "orders": [0, *orders]})


@pytest.mark.parametrize(
    ("orders", "text"),
    [
        # Exactly half is reached with the first class; with one order less, with the second.
        ((5, 5, 0, 0, 0, 0, 0, 0), "50% take less than an hour"),
        ((4, 5, 1, 0, 0, 0, 0, 0), "90% take less than 6 hours"),
        ((0, 0, 1, 0, 0, 0, 0, 0), "100% take less than a day"),
        ((0, 0, 0, 0, 0, 1, 2, 0), "100% take less than 30 days"),
        ((0, 0, 0, 0, 0, 1, 0, 1), "50% take less than 14 days"),
        ((0, 0, 0, 1, 0, 0, 0, 2), "67% take 30 days or more"),
        ((0, 0, 0, 0, 0, 0, 0, 2), "100% take 30 days or more"),
        ((999, 0, 0, 0, 0, 0, 0, 1), "more than 99% take less than an hour"),
    ],
)
def test_the_time_told_is_the_first_class_up_to_which_half_of_the_longer_journeys_are(orders, text):
    rows = together("AB")
    told = paths_sentence(journey_lengths(rows), times(*orders), commonest_paths(rows), channel_roles(rows))
    assert f"; {text} from the first session to the last." in told


def roles(*rows):
    """`(channel_name, starts, ends)`."""
    return pd.DataFrame(rows, columns=["channel_name", "starts", "ends"])


def told(frame):
    """What follows on the commonest path."""
    rows = together("A")
    text = paths_sentence(journey_lengths(rows), time_to_conversion(rows), commonest_paths(rows), frame)
    return text.partition("All orders have the path A.")[2].strip()


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([("A", 15, 15), ("B", 100, 99)], ""),
        # 20 of 30 are two thirds; 19 of 29 are fewer than thirty, and 20 of 31 less than two thirds.
        (
            [("A", 20, 10), ("B", 9, 20)],
            "Of the journeys through several channels, A begins more than it ends (20 against 10).",
        ),
        ([("A", 19, 10), ("B", 11, 20)], ""),
        (
            [("A", 1_000, 0), ("B", 80, 20), ("C", 5, 45)],
            "Of the journeys through several channels, A begins more than it ends (1,000 against 0), and C ends more "
            "than it begins (45 against 5).",
        ),
    ],
)
def test_who_begins_and_who_ends_is_told_only_where_it_is_clear(rows, text):
    assert told(roles(*rows)) == text


@pytest.mark.parametrize("name", UNTRUSTED)
def test_names_from_the_data_stay_on_the_sentences_line(name):
    text = sentence(of_names([name], [name], ["B"]))
    assert f"path is {shown(name, 80)} alone" in text
    assert f"{shown(name)} begins" in told(roles((name, 90, 1), ("B", 0, 0)))
