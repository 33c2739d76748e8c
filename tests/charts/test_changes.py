import pandas as pd
import pytest
from helpers.charts import CHANGES, labels, offsets, overlapping, renamed, spans, texts

from ihc.analysis.changes import CAUSES
from ihc.charts.changes import COLOURS, changes_by_channel_chart


def test_what_was_added_goes_right_and_what_was_taken_goes_left_of_0_one_after_another():
    # By cause in the order of CAUSES: new orders, orders gone, late sessions; a bar a channel each.
    assert spans(changes_by_channel_chart(CHANGES).axes[0]) == [
        *((0, 1200), (0, 300), (0, 0)),
        *((1200, 0), (300, 0), (0, -50)),
        *((0, -200), (300, 100), (0, 0)),
    ]


def test_the_net_change_is_written_beside_each_row_and_marked_where_bars_go_both_ways():
    (axes,) = changes_by_channel_chart(CHANGES).axes
    assert labels(axes) == ["+1,000", "+400", "-50"]
    (marks,) = axes.collections
    assert offsets(marks) == [1000]


def test_only_the_causes_that_occur_are_in_the_legend_and_the_axis_names_the_currency():
    said = texts(changes_by_channel_chart(CHANGES, "EUR"))
    assert {"new orders", "orders gone", "late or changed sessions", "net change"} <= set(said)
    assert not {CAUSES["other_dates"], CAUSES["other_settings"]} & set(said)
    assert "change of attributed revenue [EUR]" in said
    alone = texts(changes_by_channel_chart(CHANGES[["channel_name", "new_orders", "ihc_revenue_change"]]))
    assert "net change" not in alone


def test_each_cause_has_a_colour_of_its_own():
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
    assert labels(changes_by_channel_chart(one).axes[0]) == [written]


@pytest.mark.parametrize("scale", [900, -900, 1e7])
def test_figures_on_either_side_stand_within_the_chart(scale):
    table = renamed(CHANGES, [f"channel {number}" for number in range(12)])
    table = table.assign(**{name: scale * table[name] for name in table.columns[1:]})
    assert overlapping(changes_by_channel_chart(table)) == []
