import re

import pytest
from helpers.frames import FEW, converting, idle, journey
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import InputError
from ihc.journeys.paths import FIRST, LOST, WON, channel_paths

WORDS = st.lists(st.text("ABCD", min_size=1, max_size=5), max_size=5)


def spelled(paths):
    """The paths as text: + ends a converting path; - ends any other path and marks the start."""
    letters = {LOST: "-", WON: "+"} | dict(enumerate(paths.names, FIRST))
    return "".join(letters[code] for code in paths.codes.tolist())


def ended(text):
    """The individual paths, each with its end marker."""
    return re.findall(r"\w+[+-]", text)


def test_paths_are_concatenated_each_with_its_end_code():
    paths = channel_paths(converting("BAB", "C"), idle("D", "BA"))
    assert spelled(paths) == "-BAB+C+D-BA-"
    # A 2, B 3, C 4, D 5; 0 at the start and after paths without a conversion, 1 after the others
    assert paths.codes.tolist() == [0, 3, 2, 3, 1, 4, 1, 5, 0, 3, 2, 0]
    assert (paths.names.tolist(), paths.size) == (["A", "B", "C", "D"], 6)


def test_without_idle_paths_all_convert_and_without_any_path_there_are_no_channels():
    paths = channel_paths(converting())
    assert (spelled(paths), paths.size) == ("-", FIRST)
    assert spelled(channel_paths(converting("AB", "B"))) == "-AB+B+"


@pytest.mark.parametrize(("channels", "kind"), [(253, "uint8"), (254, "uint16"), (300, "uint16")])
def test_codes_take_one_byte_if_there_are_few_channels(channels, kind):
    # FIRST = 2 and 253 channels: the codes up to 254 and their count 255 fit into one byte.
    rows = journey(*[(hour, f"c{hour:03}", 1, 1) for hour in range(channels)])
    codes = channel_paths(rows).codes
    assert codes.dtype == kind
    assert codes.tolist() == [LOST, *range(FIRST, FIRST + channels), WON]


@FEW
@given(WORDS, WORDS, st.integers(0, 9))
def test_the_order_of_the_rows_within_a_path_is_irrelevant(wins, losses, seed):
    rows, others = converting(*wins), idle(*losses)
    whole = spelled(channel_paths(rows, others))
    assert whole == "-" + "".join(f"{path}+" for path in wins) + "".join(f"{path}-" for path in losses)
    mixed = channel_paths(rows.sample(frac=1, random_state=seed), others.sample(frac=1, random_state=seed))
    assert sorted(ended(spelled(mixed))) == sorted(ended(whole))


def test_idle_paths_with_sessions_of_journeys_are_refused():
    rows = converting("AB")
    with pytest.raises(
        InputError,
        match=r"idle and journeys share 1 session \('k0s1'\).*Create idle with non_converting_paths",
    ):
        channel_paths(rows, rows.iloc[:1])


@pytest.mark.parametrize("column", ["user_id", "session_id", "timestamp", "channel_name"])
def test_idle_paths_that_lack_a_column_are_refused(column):
    with pytest.raises(InputError, match=f"Idle lacks the column '{column}'"):
        channel_paths(converting("A"), idle("B").drop(columns=column))
