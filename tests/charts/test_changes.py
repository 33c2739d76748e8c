import pandas as pd
import pytest
from helpers.charts import CHANGES, labels, offsets, overlapping, renamed, spans, texts

from ihc.analysis.changes import CAUSES
from ihc.charts.changes import COLOURS, changes_by_channel_chart


def test_gains_are_stacked_to_the_right_of_0_and_losses_to_the_left():
    # In the order of CAUSES: new orders, removed orders, late sessions; one bar per channel each.
    assert spans(changes_by_channel_chart(CHANGES).axes[0]) == [
        *((0, 1200), (0, 300), (0, 0)),
        *((1200, 0), (300, 0), (0, -50)),
        *((0, -200), (300, 100), (0, 0)),
    ]


def test_the_net_change_is_written_next_to_each_row_and_marked_if_bars_go_both_ways():
    (axes,) = changes_by_channel_chart(CHANGES).axes
    assert labels(axes) == ["+1,000", "+400", "-50"]
    (marks,) = axes.collections
    assert offsets(marks) == [1000]


def test_the_legend_has_only_causes_that_occur_and_the_axis_names_the_currency():
    said = texts(changes_by_channel_chart(CHANGES, "EUR"))
    assert {CAUSES["new_orders"], CAUSES["gone_orders"], CAUSES["late_sessions"], "net change"} <= set(said)
    assert not {CAUSES["other_dates"], CAUSES["other_settings"]} & set(said)
    assert "change in attributed revenue [EUR]" in said
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
def test_the_number_format_depends_on_the_size_of_the_change(change, written):
    one = pd.DataFrame({"channel_name": ["A"], "new_orders": [change], "ihc_revenue_change": [change]})
    assert labels(changes_by_channel_chart(one).axes[0]) == [written]


@pytest.mark.parametrize("scale", [900, -900, 1e7])
def test_figures_on_both_sides_are_inside_the_chart(scale):
    table = renamed(CHANGES, [f"channel {number}" for number in range(12)])
    table = table.assign(**{name: scale * table[name] for name in table.columns[1:]})
    assert overlapping(changes_by_channel_chart(table)) == []
