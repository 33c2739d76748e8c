import pandas as pd
import pytest
from helpers.drawing import renamed, texts
from helpers.frames import UNTRUSTED

from ihc.charts import completeness as completeness_charts
from ihc.charts import style as charts
from ihc.formatting import shown

BARS = pd.DataFrame(
    {
        "line": ["orders read", "less: without any session (unattributed)", "plus: some", "less: failed", "credited"],
        "kind": ["total", "step", "step", "step", "total"],
        "start": [0.0, 1_650.0, 1_600.0, 1_700.5, 0.0],
        "end": [1_650.0, 1_600.0, 1_700.5, 1_700.5, 1_700.5],
        "amount": [1_650.0, -50.0, 100.5, 0.0, 1_700.5],
    }
)
BY_CHANNEL = pd.DataFrame(
    {
        "channel_name": ["Search", "Mail", "Social", "Free"],
        "cost": [1_000.0, 10.0, 50.0, 0.0],
        "cost_without_credit": [250.0, 0.04, 0.0, 0.0],
        "share_without_credit": [0.25, 0.004, 0.0, float("nan")],
    }
)


def by_day(days, waiting=0.0):
    dates = pd.date_range("2023-03-01", periods=days).strftime("%Y-%m-%d")
    revenue = [1_200.0 * (number + 1) for number in range(days)]
    return pd.DataFrame({"day": dates, "unattributed_revenue": revenue, "waiting_or_failed_revenue": waiting})


CHARTS = {
    "waterfall_chart": (completeness_charts.waterfall_chart, BARS),
    "cost_without_credit": (completeness_charts.cost_without_credit, BY_CHANNEL),
    "unattributed_by_day": (completeness_charts.unattributed_by_day, by_day(3, 7.0)),
}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)


@every_chart
def test_a_chart_is_as_wide_as_the_page_names_the_currency_and_leaves_the_place_of_the_note(draw, frame):
    figure = draw(frame, "EUR")
    assert figure.get_size_inches()[0] == charts.WIDTH
    assert not figure.get_supxlabel()
    assert any("EUR" in text for text in texts(figure))


def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is():
    said = texts(completeness_charts.cost_without_credit(renamed(BY_CHANNEL, UNTRUSTED)))
    assert {shown(name, 26) for name in UNTRUSTED} <= set(said)


def test_a_chart_grows_with_its_channels():
    few, many = (
        completeness_charts.cost_without_credit(renamed(BY_CHANNEL, [f"c{number}" for number in range(count)]))
        for count in (1, 25)
    )
    assert few.get_size_inches()[1] < many.get_size_inches()[1]


def spans(axes):
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]


def colours(axes):
    return [bar.get_facecolor() for bar in axes.patches]


def labels(axes):
    return [text.get_text() for text in axes.texts]


def test_bars_of_the_waterfall_span_what_the_table_says_and_carry_their_amounts():
    axes = completeness_charts.waterfall_chart(BARS).axes[0]
    assert spans(axes) == [(0, 1_650), (1_650, 1_600), (1_600, 1_700.5), (1_700.5, 1_700.5), (0, 1_700.5)]
    assert labels(axes) == ["1,650.00", "-50.00", "+100.50", "0", "1,700.50"]
    assert axes.get_xlim()[0] == 0
    total, less, plus, _, end = colours(axes)
    assert total == end
    assert len({total, less, plus}) == 3


def test_a_long_line_goes_on_below():
    axes = completeness_charts.waterfall_chart(BARS).axes[0]
    assert axes.get_yticklabels()[1].get_text() == "less: without any session\n(unattributed)"


def test_each_line_is_joined_to_the_next_so_that_a_tiny_step_has_its_place():
    axes = completeness_charts.waterfall_chart(BARS).axes[0]
    joints = axes.collections[0].get_segments()
    assert [joint[0][0] for joint in joints] == [1_650, 1_600, 1_700.5, 1_700.5]


@pytest.mark.parametrize(
    ("counts", "written"), [([5, -1, 4], ["5", "-1", "4"]), ([2.0, -0.25, 1.75], ["2.00", "-0.25", "1.75"])]
)
def test_counts_are_whole_unless_they_are_of_credit(counts, written):
    bars = pd.DataFrame(
        {
            "line": ["read", "less", "left"],
            "kind": ["total", "step", "total"],
            "start": [0, counts[0], 0],
            "end": [counts[0], counts[2], counts[2]],
            "count": counts,
        }
    )
    assert labels(completeness_charts.waterfall_chart(bars, "orders").axes[0]) == written


def test_a_total_below_zero_is_drawn_to_the_left():
    bars = BARS.iloc[[0]].assign(end=-50.0, amount=-50.0)
    axes = completeness_charts.waterfall_chart(bars).axes[0]
    assert axes.get_xlim()[0] < -50
    assert labels(axes) == ["-50.00"]


def test_the_cost_of_a_channel_is_parted_and_its_part_without_credit_written_beside():
    axes = completeness_charts.cost_without_credit(BY_CHANNEL).axes[0]
    expected = [(0, 250), (0, 0.04), (0, 0), (0, 0), (250, 1_000), (0.04, 10), (0, 50), (0, 0)]
    assert spans(axes) == [pytest.approx(span) for span in expected]
    assert labels(axes) == ["250 (25%)", "<1 (<1%)", "0", "no cost"]
    assert [text.xy[0] for text in axes.texts] == BY_CHANNEL["cost"].tolist()


def test_without_any_cost_the_axis_is_one_of_amounts():
    table = pd.DataFrame(
        {"channel_name": ["A"], "cost": [0.0], "cost_without_credit": [0.0], "share_without_credit": [float("nan")]}
    )
    assert completeness_charts.cost_without_credit(table).axes[0].get_xlim() == (0, 1)


def test_few_days_have_their_figures_and_each_its_tick():
    figure = completeness_charts.unattributed_by_day(by_day(3))
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [1_200, 2_400, 3_600]
    assert labels(axes) == ["1,200", "2,400", "3,600"]
    said = texts(figure)
    assert [text for text in said if "Mar" in text] == ["01 Mar", "02 Mar", "03 Mar"]
    assert "Revenue of orders that are unattributed" in said


def test_a_single_day_is_a_bar_and_not_a_wall():
    axes = completeness_charts.unattributed_by_day(by_day(1)).axes[0]
    low, high = axes.get_xlim()
    assert high - low == pytest.approx(5)


@pytest.mark.parametrize(("days", "tick"), [(11, "05 Mar"), (730, "Jan 2024")])
def test_many_days_have_ticks_that_do_not_crowd(days, tick):
    figure = completeness_charts.unattributed_by_day(by_day(days))
    assert not labels(figure.axes[0])
    ticks = [text for text in texts(figure) if text[:1].isalnum() and ("Mar" in text or "20" in text[-4:-2])]
    assert tick in ticks
    assert 2 <= len(ticks) <= 8


def test_what_waits_or_failed_has_a_panel_of_its_own_where_there_is_any():
    figure = completeness_charts.unattributed_by_day(by_day(2, 7.0))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Revenue of orders that are unattributed",
        "Revenue of orders that are waiting or failed",
    ]
    only = completeness_charts.unattributed_by_day(by_day(2, 7.0).assign(unattributed_revenue=0.0))
    assert [axes.get_title(loc="left") for axes in only.axes] == ["Revenue of orders that are waiting or failed"]
    # The same colour, whether it stands alone or not.
    assert only.axes[0].patches[0].get_facecolor() == figure.axes[1].patches[0].get_facecolor()


def test_days_on_which_all_orders_are_credited_are_told_in_words():
    figure = completeness_charts.unattributed_by_day(by_day(2).assign(unattributed_revenue=0.0))
    assert texts(figure) == ["On every day, all orders are credited."]


def test_negative_revenue_hangs_below_the_line():
    axes = completeness_charts.unattributed_by_day(by_day(2).assign(unattributed_revenue=[-5.0, 5.0])).axes[0]
    assert labels(axes) == ["-5", "5"]
    assert axes.get_ylim()[0] < -5
