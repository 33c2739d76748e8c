from itertools import combinations

import numpy as np
import pandas as pd
from frames import costs, sessions
from pandas.testing import assert_frame_equal

from ihc.palette import COLOURS, MOST_SERIES, OTHER, channel_colours, colours_of, fold_others

# Linear RGB as seen without red, green and blue cones (Machado, Oliveira and Fernandes, 2009, severity 1).
EYES = [
    np.eye(3),
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
]
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(light):
    ratio = XYZ @ np.clip(light, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_any_two_colours_are_told_apart_by_every_reader():
    assert MOST_SERIES == 12
    for first, second in combinations([*COLOURS, OTHER], 2):
        apart = [
            np.linalg.norm(lab(np.array(eye) @ linear(first)) - lab(np.array(eye) @ linear(second))) for eye in EYES
        ]
        assert min(apart) > 18, (first, second)


def test_channels_keep_their_colour_when_their_order_changes():
    assert (
        channel_colours(["Mail", "Ads"]) == channel_colours(["Ads", "Mail"]) == {"Ads": COLOURS[0], "Mail": COLOURS[1]}
    )


def test_from_the_twelfth_on_channels_are_grey():
    names = [f"c{number:02}" for number in range(14)]
    colours = channel_colours(names)
    assert list(colours) == names
    assert [colour for colour in colours.values() if colour == OTHER] == [OTHER] * 3
    assert len(set(colours.values())) == MOST_SERIES


def test_channels_without_a_colour_are_added_up_last():
    names = [f"c{number:02}" for number in range(13)]
    colours = channel_colours(names)
    frame = pd.DataFrame({"channel_name": [*names, "c12"], "week": ["w1"] * 13 + ["w2"], "cost": [1.0] * 13 + [5.0]})
    folded = fold_others(frame, colours, ["week"], ["cost"])
    # c11 and c12 are the others: 1 + 1 in the first week, 5 in the second.
    others = pd.DataFrame({"channel_name": ["other (2 channels)"] * 2, "week": ["w1", "w2"], "cost": [2.0, 5.0]})
    assert folded["channel_name"].tolist() == [*names[:11], *others["channel_name"]]
    assert_frame_equal(folded.tail(2).reset_index(drop=True), others)


def test_nothing_is_folded_where_every_channel_has_a_colour():
    frame = pd.DataFrame({"channel_name": ["b", "a", "b"], "cost": [1.0, 2.0, 3.0]})
    folded = fold_others(frame, channel_colours(["b", "a"]), [], ["cost"])
    assert_frame_equal(folded, pd.DataFrame({"channel_name": ["b", "a"], "cost": [4.0, 2.0]}))


def test_the_costliest_channels_have_colours_and_then_the_most_visited():
    visits = sessions([(f"s{number}", "u", "2023-09-01 10:00:00", f"c{number:02}") for number in range(13)])
    more = sessions([("t", "u", "2023-09-01 11:00:00", "c10")])
    # c12 and c11 cost something, c10 has two sessions; of the others the first eight by name are left.
    colours = colours_of(pd.concat([visits, more]), costs([("s12", 5.0), ("s11", 1.0), ("s0", None)]))
    assert list(colours)[:3] == ["c12", "c11", "c10"]
    assert [name for name, colour in colours.items() if colour == OTHER] == ["c08", "c09"]
    assert colours_of(sessions(), costs()) == {}


def test_an_empty_frame_stays_empty():
    frame = pd.DataFrame({"channel_name": pd.array([], dtype="str"), "cost": pd.array([], dtype="float64")})
    assert fold_others(frame, {}, [], ["cost"]).empty
