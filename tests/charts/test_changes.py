import pandas as pd
import pytest
from helpers.drawing import renamed, svg, texts
from helpers.frames import UNTRUSTED
from pandas.testing import assert_frame_equal

from ihc.analysis.changes import CAUSES
from ihc.charts import style as charts
from ihc.charts.changes import COLOURS, changes_by_channel
from ihc.formatting import shown

CHANGES = pd.DataFrame(
    {
        "channel_name": ["Search", "Mail", "Social"],
        "new_orders": [1200.0, 300.0, 0.0],
        "late_sessions": [-200.0, 100.0, 0.0],
        "gone_orders": [0.0, 0.0, -50.0],
        "ihc_revenue_change": [1000.0, 400.0, -50.0],
    }
)


def bars(figure):
    return [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]


def test_a_table_without_rows_says_so():
    assert texts(changes_by_channel(CHANGES.iloc[:0])) == ["Nothing to show for these dates."]


def test_the_table_is_left_alone_and_the_same_table_gives_the_same_bytes():
    before = CHANGES.copy(deep=True)
    assert svg(changes_by_channel(CHANGES)) == svg(changes_by_channel(CHANGES))
    assert_frame_equal(CHANGES, before)


def test_what_was_added_goes_right_and_what_was_taken_goes_left_of_nothing_one_after_another():
    # By cause in the order of CAUSES: new orders, orders gone, late sessions; a bar a channel each.
    assert bars(changes_by_channel(CHANGES)) == [
        *((0, 1200), (0, 300), (0, 0)),
        *((1200, 0), (300, 0), (0, -50)),
        *((0, -200), (300, 100), (0, 0)),
    ]


def test_the_net_change_is_written_beside_each_row_and_marked_where_bars_go_both_ways():
    figure = changes_by_channel(CHANGES)
    said = texts(figure)
    assert {"+1,000", "+400", "-50"} <= set(said)
    (marks,) = figure.axes[0].collections
    assert marks.get_offsets().tolist() == [[1000, 0]]


def test_only_the_causes_that_occur_are_in_the_legend_and_the_axis_names_the_currency():
    said = texts(changes_by_channel(CHANGES, "EUR"))
    assert {"new orders", "orders gone", "late or changed sessions", "net change"} <= set(said)
    assert not {CAUSES["other_dates"], CAUSES["other_settings"]} & set(said)
    assert "change of attributed revenue [EUR]" in said
    alone = texts(changes_by_channel(CHANGES[["channel_name", "new_orders", "ihc_revenue_change"]]))
    assert "net change" not in alone


def test_each_cause_has_a_colour_of_its_own_and_the_figures_are_ink():
    assert set(COLOURS) == set(CAUSES)
    assert len(set(COLOURS.values())) == len(CAUSES)


@pytest.mark.parametrize(
    ("change", "written"),
    [
        (0.0, "±0"),
        (0.004, "±0"),
        (-0.004, "±0"),
        (0.05, "+0.05"),
        (-9.99, "-9.99"),
        (10.0, "+10"),
        (999_999.0, "+999,999"),
        (1.56e6, "+1.6 M"),
    ],
)
def test_a_change_of_any_size_is_written_no_more_exactly_than_it_is_read(change, written):
    one = pd.DataFrame({"channel_name": ["A"], "new_orders": [change], "ihc_revenue_change": [change]})
    assert [text.get_text() for text in changes_by_channel(one).axes[0].texts] == [written]


def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is():
    said = texts(changes_by_channel(renamed(CHANGES, UNTRUSTED)))
    assert {shown(name, 26) for name in UNTRUSTED} <= set(said)


@pytest.mark.parametrize("name", ["", "\ufffe", "\x00", "\u202e", "_hidden", "😀"])
def test_a_strange_name_makes_valid_xml(name, recwarn):
    assert "ordinary" in texts(changes_by_channel(renamed(CHANGES, [name, "ordinary"])))


def test_a_chart_is_as_wide_as_the_page_and_grows_with_its_rows():
    few, many = (changes_by_channel(renamed(CHANGES, ["A"] * count)) for count in (1, 12))
    assert few.get_size_inches()[0] == many.get_size_inches()[0] == charts.WIDTH
    assert few.get_size_inches()[1] < many.get_size_inches()[1]


@pytest.mark.parametrize("scale", [1, 100, 900, 1e7])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_figure_stands_on_a_name_or_outside_the_chart(sign, scale):
    table = renamed(CHANGES, [f"a channel of a long name {number}" for number in range(12)])
    table = table.assign(**{name: sign * scale * table[name] for name in table.columns[1:]})
    figure = changes_by_channel(table)
    svg(figure)  # lays it out
    axes = figure.axes[0]
    area = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert area.x0 <= box.x0
        assert box.x1 <= area.x1
