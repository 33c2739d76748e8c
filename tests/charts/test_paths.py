import pandas as pd
import pytest
from helpers.drawing import texts
from helpers.frames import UNTRUSTED, journey

from ihc.analysis.paths import channel_roles, commonest_paths, transition_matrix
from ihc.charts import paths as path_charts
from ihc.charts.palette import OTHER, channel_colours
from ihc.formatting import shown


def of_names(*paths):
    parts = [
        journey(*((hour, name, 1, 1) for hour, name in enumerate(path)), conv_id=f"k{number}")
        for number, path in enumerate(paths)
    ]
    return pd.concat(parts, ignore_index=True)


SHOP = of_names("A", "A", "ABC", "CBA", "ABA", "B")
COLOURS = channel_colours(["A", "B", "C"])


def common(paths):
    return path_charts.commonest_paths_chart(paths, COLOURS)


CHARTS = {
    "roles_by_channel": (path_charts.roles_by_channel, channel_roles(SHOP)),
    "transitions": (path_charts.transitions, transition_matrix(SHOP)),
    "commonest_paths_chart": (common, commonest_paths(SHOP)),
}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)


@pytest.mark.parametrize("name", [*UNTRUSTED, "", "\ufffe", "\x00", "\u202e", "\u2028", "_hidden", "😀", "a > b"])
def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is(name):
    rows = of_names([name, "ordinary"], [name])
    assert shown(name, 26) in texts(path_charts.roles_by_channel(channel_roles(rows)))
    assert {shown(name, 22), shown(name, 19)} <= set(texts(path_charts.transitions(transition_matrix(rows))))
    found = path_charts.commonest_paths_chart(commonest_paths(rows), channel_colours([name, "ordinary"]))
    # Two cells a row leave 30 characters for a name.
    assert shown(name, 30) in texts(found)


def test_a_chart_grows_with_its_rows():
    few, many = of_names("AB"), of_names([f"c{number}" for number in range(13)])
    for draw, view in ((path_charts.roles_by_channel, channel_roles), (path_charts.transitions, transition_matrix)):
        assert draw(view(few)).get_size_inches()[1] < draw(view(many)).get_size_inches()[1]


def labels(axes):
    return [text.get_text() for text in axes.texts]


def test_roles_are_parts_of_a_bar_with_their_shares_and_the_number_of_orders():
    # A: begins ABC, begins and ends ABA, ends CBA, twice alone, of 5. B: between in 3 of 4, alone in 1.
    axes = path_charts.roles_by_channel(channel_roles(SHOP)).axes[0]
    parts = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    first = parts[::3]
    assert first == [pytest.approx(part) for part in [(0, 0.2), (0.2, 0.2), (0.4, 0), (0.4, 0.2), (0.6, 0.4)]]
    said = labels(axes)
    assert sorted(said[:-3]) == sorted(["20%", "20%", "20%", "40%", "75%", "25%", "50%", "50%"])
    assert said[-3:] == ["5", "4", "2"]


def test_a_part_too_small_for_its_figure_has_none():
    roles = channel_roles(of_names(*["A"] * 19, "AB"))
    said = labels(path_charts.roles_by_channel(roles).axes[0])
    assert said == ["100%", "95%", "20", "1"]


def test_the_legend_names_the_roles_from_the_beginning_to_the_end():
    said = texts(path_charts.roles_by_channel(channel_roles(SHOP)))
    names = ["begins", "begins and ends", "between", "ends", "alone"]
    assert [text for text in said if text in names] == names


def test_moves_are_percentages_with_the_number_of_moves_beside_and_none_where_there_is_none():
    # From the start: A four times, B and C once, of 6. A: twice to B, to the order four times. B: twice A, C, order.
    figure = path_charts.transitions(transition_matrix(SHOP))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["(start)", "A", "B", "C"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["A", "B", "C", "(order)", "moves"]
    assert labels(axes) == ["67", "17", "17", "33", "67", "50", "25", "25", "50", "50", "6", "6", "4", "2"]


def test_a_move_that_is_rare_is_not_written_as_none():
    said = labels(path_charts.transitions(transition_matrix(of_names(*["A"] * 499, "B"))).axes[0])
    assert said[:2] == [">99", "<1"]


def strips(figure):
    return [
        (
            float(line.get_segments()[0][0][0]),
            float(line.get_segments()[0][0][1]) // 1,
            line.get_color()[0].tolist()[:3],
        )
        for line in figure.axes[0].collections
    ]


def rgb(colour):
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def test_a_path_is_a_row_of_names_underlined_in_the_channels_colours():
    figure = common(pd.DataFrame({"path": ["A > B", "C"], "orders": [3, 1], "share": [0.75, 0.25]}))
    assert labels(figure.axes[0]) == ["A", "B", "C"]
    assert strips(figure) == [(0, 0, rgb(COLOURS["A"])), (1, 0, rgb(COLOURS["B"])), (0, 1, rgb(COLOURS["C"]))]
    assert labels(figure.axes[1]) == ["3 (75%)", "1 (25%)"]
    assert [bar.get_width() for bar in figure.axes[1].patches] == [3, 1]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("A > B > C > A > B", ["A", "B", "C", "A", "B"]),
        ("A > B > C > A > B > C", ["A", "B", "C", "… 2 more", "C"]),
        (" > ".join("ABC" * 400), ["A", "B", "C", "… 1,196 more", "C"]),
    ],
)
def test_a_long_path_shows_its_first_channels_and_its_last(path, written):
    figure = common(pd.DataFrame({"path": [path], "orders": [1], "share": [0.001]}))
    assert labels(figure.axes[0]) == written
    assert labels(figure.axes[1]) == ["1 (<1%)"]


def test_a_channel_without_a_colour_is_that_of_the_others():
    figure = common(pd.DataFrame({"path": ["Z"], "orders": [1], "share": [1.0]}))
    assert strips(figure) == [(0, 0, rgb(OTHER))]


def test_names_go_on_below_in_narrow_cells_and_stay_within_them():
    path = "Newsletter & Email > Direct Traffic > " + "W" * 60
    figure = common(pd.DataFrame({"path": [path], "orders": [1], "share": [1.0]}))
    first, second, last = figure.axes[0].texts
    assert first.get_text() == "Newsletter & Email"
    assert second.get_text() == "Direct Traffic"
    # 4.3 inches / 3 cells of 14 characters an inch are 20 a line, and two lines 40.
    assert last.get_text() == "W" * 20 + "\n" + "W" * 19 + "…"
    cell = last.get_clip_box().bounds
    left, right = (figure.axes[0].transData.transform([(place, 0)])[0, 0] for place in (2, 2.95))
    assert (cell[0], cell[0] + cell[2]) == pytest.approx((left, right))
    assert last.get_clip_on()
