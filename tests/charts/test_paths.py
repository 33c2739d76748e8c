import pandas as pd
import pytest
from helpers.charts import CLASSES, SHOP, journeys_of, labels, row_names, spans, texts
from helpers.frames import converting
from matplotlib.colors import to_rgb

from ihc.analysis.paths import channel_roles, transition_matrix
from ihc.charts.palette import OTHER, channel_colours
from ihc.charts.paths import (
    channel_roles_chart,
    commonest_paths_chart,
    conversions_by_class_chart,
    transitions_chart,
)

COLOURS = channel_colours(["A", "B", "C"])


def test_classes_are_bars_with_orders_and_share():
    axes = conversions_by_class_chart(CLASSES, "length", "sessions in the journey").axes[0]
    assert [width for _, width in spans(axes)] == CLASSES["orders"].tolist()
    assert labels(axes) == ["1,200 (80%)", "0", "294 (20%)", "5 (<1%)", "1 (<1%)"]


def test_roles_are_bar_segments_with_shares_and_the_number_of_orders():
    # A, of 5: first (ABC), first and last (ABA), last (CBA), only channel twice. B, of 4: 3 assists, only channel once.
    axes = channel_roles_chart(channel_roles(SHOP)).axes[0]
    first = spans(axes)[::3]
    assert first == [pytest.approx(part) for part in [(0, 0.2), (0.2, 0.2), (0.4, 0), (0.4, 0.2), (0.6, 0.4)]]
    *shares, a, b, c = labels(axes)
    assert sorted(shares) == ["20%", "20%", "20%", "25%", "40%", "50%", "50%", "75%"]
    assert (a, b, c) == ("5", "4", "2")


def test_a_small_segment_has_no_figure():
    roles = channel_roles(converting(*["A"] * 19, "AB"))
    assert labels(channel_roles_chart(roles).axes[0]) == ["100%", "95%", "20", "1"]


def test_the_legend_names_the_roles_in_order():
    said = texts(channel_roles_chart(channel_roles(SHOP)))
    names = ["first", "first and last", "assist", "last", "only channel"]
    assert [text for text in said if text in names] == names


def test_transitions_are_percentages_with_row_totals_and_empty_cells():
    # From the start: A four times, B and C once, of 6. A: twice to B, to the order four times. B: twice A, C, order.
    (axes,) = transitions_chart(transition_matrix(SHOP)).axes
    assert row_names(axes) == ["(start)", "A", "B", "C"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["A", "B", "C", "(order)", "total"]
    assert labels(axes) == ["67", "17", "17", "33", "67", "50", "25", "25", "50", "50", "6", "6", "4", "2"]


def test_a_rare_transition_is_not_written_as_0():
    assert labels(transitions_chart(transition_matrix(converting(*["A"] * 499, "B"))).axes[0])[:2] == [">99", "<1"]


def test_a_name_with_a_path_separator_is_unchanged():
    rows = journeys_of(["a > b", "ordinary"])
    assert "a > b" in texts(transitions_chart(transition_matrix(rows)))
    table = pd.DataFrame({"path": ["a > b > ordinary"], "orders": [1], "share": [1.0]})
    colours = channel_colours(["a > b", "ordinary"])
    assert labels(commonest_paths_chart(table, colours).axes[0]) == ["a > b", "ordinary"]


def common(*paths, share=0.5):
    table = pd.DataFrame({"path": paths, "orders": range(len(paths), 0, -1), "share": share})
    return commonest_paths_chart(table, COLOURS)


def strips(figure):
    """Return position, row and colour of each line below a name."""
    lines = [(line.get_segments()[0][0].tolist(), line.get_color()[0]) for line in figure.axes[0].collections]
    return [(place, row // 1, tuple(colour[:3])) for (place, row), colour in lines]


def test_a_path_is_a_row_of_names_underlined_in_their_colours():
    figure = common("A > B", "C")
    assert labels(figure.axes[0]) == ["A", "B", "C"]
    assert strips(figure) == [
        (0, 0, to_rgb(COLOURS["A"])),
        (1, 0, to_rgb(COLOURS["B"])),
        (0, 1, to_rgb(COLOURS["C"])),
    ]
    assert labels(figure.axes[1]) == ["2 (50%)", "1 (50%)"]
    assert [width for _, width in spans(figure.axes[1])] == [2, 1]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("A > B > C > A > B", ["A", "B", "C", "A", "B"]),
        ("A > B > C > A > B > C", ["A", "B", "C", "… 2 more", "C"]),
        (" > ".join("ABC" * 400), ["A", "B", "C", "… 1,196 more", "C"]),
    ],
)
def test_a_long_path_shows_its_first_channels_and_its_last(path, written):
    assert labels(common(path).axes[0]) == written


def test_a_channel_without_a_colour_has_the_colour_of_the_others():
    assert strips(common("Z")) == [(0, 0, to_rgb(OTHER))]


def test_names_wrap_in_narrow_cells_and_are_clipped():
    figure = common("Newsletter & Email > Direct Traffic > " + "W" * 60)
    first, second, last = figure.axes[0].texts
    assert (first.get_text(), second.get_text()) == ("Newsletter & Email", "Direct Traffic")
    # 4.3 inches / 3 cells x 14 characters per inch = 20 per line and 40 in two lines.
    assert last.get_text() == "W" * 20 + "\n" + "W" * 19 + "…"
    cell = last.get_clip_box().bounds
    left, right = (figure.axes[0].transData.transform([(place, 0)])[0, 0] for place in (2, 2.95))
    assert (cell[0], cell[0] + cell[2]) == pytest.approx((left, right))
    assert last.get_clip_on()
