import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, journey

from ihc.analysis.paths import LABELS, channel_roles, commonest_paths, journey_lengths, time_to_conversion
from ihc.formatting import shown
from ihc.narrative.paths import paths_sentence


def together(*paths):
    """Journeys with one session per hour, one channel per session."""
    parts = [
        journey(*((hour, name, 1, 1) for hour, name in enumerate(path)), conv_id=f"k{number}")
        for number, path in enumerate(paths)
    ]
    return pd.concat(parts, ignore_index=True)


def told(rows, times=None, roles=None):
    times = time_to_conversion(rows) if times is None else pd.DataFrame({"time": LABELS, "orders": [0, *times]})
    if roles is not None:
        roles = pd.DataFrame(roles, columns=["channel_name", "starts", "ends"])
    return paths_sentence(
        journey_lengths(rows), times, commonest_paths(rows), channel_roles(rows) if roles is None else roles
    )


def test_lengths_times_and_the_most_common_path_are_stated(snapshot):
    cases = {"none": together("A").iloc[:0]} | {
        " ".join(paths): together(*paths)
        for paths in (["A"], ["A", "B", "B"], ["AB"], ["AA"], ["A", "A", "AA", "AB"], ["A", "BC"])
    }
    assert {name: told(rows) for name, rows in cases.items()} == snapshot


def test_the_stated_time_covers_at_least_half_of_the_longer_journeys(snapshot):
    # Exactly half is reached with the first class; with one order less, with the second.
    cases = (
        *((5, 5, 0, 0, 0, 0, 0, 0), (4, 5, 1, 0, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 1, 2, 0)),
        *((0, 0, 0, 0, 0, 1, 0, 1), (0, 0, 0, 1, 0, 0, 0, 2), (0, 0, 0, 0, 0, 0, 0, 2), (999, 0, 0, 0, 0, 0, 0, 1)),
    )
    assert {str(times): told(together("AB"), times).split(";")[1] for times in cases} == snapshot


def test_first_and_last_channels_are_named_only_if_the_difference_is_clear(snapshot):
    # 20 of 30 are two thirds; 19 of 29 are fewer than thirty, and 20 of 31 less than two thirds.
    cases = {
        "as many, or none to tell": [("A", 15, 15), ("B", 100, 99)],
        "exactly clear": [("A", 20, 10), ("B", 9, 20)],
        "just not clear": [("A", 19, 10), ("B", 11, 20)],
        "both": [("A", 1_000, 0), ("B", 80, 20), ("C", 5, 45)],
    }
    assert {name: told(together("A"), roles=roles) for name, roles in cases.items()} == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    assert f"path is {shown(name, 80)} alone" in told(together([name], [name], ["B"]))
    assert f"{shown(name)} is more often first" in told(together("A"), roles=[(name, 90, 1), ("B", 0, 0)])
