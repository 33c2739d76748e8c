from itertools import combinations

import numpy as np
import pandas as pd
from pandas.testing import assert_frame_equal

from ihc.charts.palette import COLOURS, OTHER, by_weight, channel_colours, colours_of, fold_others

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


def test_all_colours_are_distinguishable_for_colour_blind_readers():
    assert len(COLOURS) == 11
    for first, second in combinations([*COLOURS, OTHER], 2):
        apart = [
            np.linalg.norm(lab(np.array(eye) @ linear(first)) - lab(np.array(eye) @ linear(second))) for eye in EYES
        ]
        assert min(apart) > 18, (first, second)


def test_channels_keep_their_colour_when_their_order_changes():
    assert (
        channel_colours(["Mail", "Ads"]) == channel_colours(["Ads", "Mail"]) == {"Ads": COLOURS[0], "Mail": COLOURS[1]}
    )


def test_channels_are_grey_from_the_twelfth_on():
    names = [f"c{number:02}" for number in range(14)]
    colours = channel_colours(names)
    assert list(colours) == names
    assert [colour for colour in colours.values() if colour == OTHER] == [OTHER] * 3
    assert len(set(colours.values())) == len(COLOURS) + 1


def test_channels_without_a_colour_are_summed_and_come_last():
    names = [f"c{number:02}" for number in range(13)]
    colours = channel_colours(names)
    frame = pd.DataFrame({"channel_name": [*names, "c12"], "week": ["w1"] * 13 + ["w2"], "cost": [1.0] * 13 + [5.0]})
    folded = fold_others(frame, colours, ["week"], ["cost"])
    # c11 and c12 are the others: 1 + 1 in the first week, 5 in the second.
    others = pd.DataFrame({"channel_name": ["other (2 channels)"] * 2, "week": ["w1", "w2"], "cost": [2.0, 5.0]})
    assert folded["channel_name"].tolist() == [*names[:11], *others["channel_name"]]
    assert_frame_equal(folded.tail(2).reset_index(drop=True), others)


def test_a_single_channel_without_a_colour_keeps_its_name():
    names = [f"c{number:02}" for number in range(12)]
    frame = pd.DataFrame({"channel_name": names, "cost": [1.0] * 12})
    assert fold_others(frame, channel_colours(names), [], ["cost"])["channel_name"].tolist() == names


def test_nothing_is_summed_if_every_channel_has_a_colour():
    frame = pd.DataFrame({"channel_name": ["b", "a", "b"], "cost": [1.0, 2.0, 3.0]})
    folded = fold_others(frame, channel_colours(["b", "a"]), [], ["cost"])
    assert_frame_equal(folded, pd.DataFrame({"channel_name": ["b", "a"], "cost": [4.0, 2.0]}))


def visits(*rows):
    """`(channel_name, cost, ihc_revenue)` of each session."""
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "ihc_revenue"])
    return frame.astype({"channel_name": "str", "cost": "float64", "ihc_revenue": "float64"}).assign(sessions=1)


def test_colours_go_by_revenue_and_cost_and_then_by_sessions():
    # Relative to the largest: c12 has 1 of cost, c11 0.2, and c09 0.5 of revenue; c10 has two sessions.
    paid = [("c12", 5, 10), ("c11", 1, 0), ("c09", 0, 5), ("c10", 0, 0), ("c10", 0, 0)]
    colours = colours_of(visits(*paid, *((f"c{number:02}", 0, 0) for number in range(9))), {})
    assert list(colours)[:5] == ["c12", "c09", "c11", "c10", "c00"]
    assert [name for name, colour in colours.items() if colour == OTHER] == ["c07", "c08"]
    assert colours_of(visits(), {}) == {}


def test_the_channel_with_the_most_revenue_has_a_colour_even_if_twenty_others_cost_more():
    # Slightly more revenue than the others, and the only one without cost.
    rows = [(f"paid {number}", 100, 9.9) for number in range(20)]
    assert by_weight(visits(*rows, ("free", 0, 10)))[0] == "free"


def test_negative_revenue_counts_with_its_absolute_value():
    assert by_weight(visits(("a", 0, 1), ("lost", 0, -50))) == ["lost", "a"]


def test_an_empty_frame_stays_empty():
    frame = pd.DataFrame({"channel_name": pd.array([], dtype="str"), "cost": pd.array([], dtype="float64")})
    assert fold_others(frame, {}, [], ["cost"]).empty


def test_chosen_colours_are_kept_for_their_channels_and_change_nothing_else():
    names = [f"c{number:02}" for number in range(14)]
    colours = channel_colours(names, {"c01": COLOURS[0].lower(), "c13": "#0b6e4f", "Fax": "#000000"})
    assert list(colours) == names
    assert (colours["c01"], colours["c13"], colours["c12"]) == (COLOURS[0].lower(), "#0b6e4f", OTHER)
    own = [colours[name] for name in names[:11] if name != "c01"]
    assert set(own) == set(COLOURS[1:])
    frame = pd.DataFrame({"channel_name": names, "cost": 1.0})
    assert fold_others(frame, colours, [], ["cost"])["channel_name"].tolist() == [*names[:11], "other (3 channels)"]
