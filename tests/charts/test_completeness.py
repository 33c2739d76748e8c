import pandas as pd
import pytest
from helpers.charts import BARS, IDLE, labels, row_names, spans, texts

from ihc.charts.completeness import cost_without_credit_chart, unattributed_by_day_chart, waterfall_chart


def by_day(days, waiting=0.0):
    dates = pd.date_range("2023-03-01", periods=days).strftime("%Y-%m-%d")
    revenue = [1_200.0 * (number + 1) for number in range(days)]
    return pd.DataFrame({"day": dates, "unattributed_revenue": revenue, "waiting_or_failed_revenue": waiting})


@pytest.mark.parametrize(
    ("draw", "frame"),
    [(waterfall_chart, BARS), (cost_without_credit_chart, IDLE), (unattributed_by_day_chart, by_day(2))],
)
def test_the_currency_is_named(draw, frame):
    assert any("EUR" in text for text in texts(draw(frame, "EUR")))


def test_bars_of_the_waterfall_match_the_table_and_have_labels():
    (axes,) = waterfall_chart(BARS).axes
    assert spans(axes) == [(0, 1_650), (1_650, -50), (1_600, 100.5), (1_700.5, 0), (0, 1_700.5)]
    assert labels(axes) == ["1,650.00", "-50.00", "+100.50", "0", "1,700.50"]
    assert axes.get_xlim()[0] == 0
    total, less, plus, _, end = (bar.get_facecolor() for bar in axes.patches)
    assert total == end
    assert len({total, less, plus}) == 3
    # A long label wraps.
    assert row_names(axes)[1] == "less: without any session\n(unattributed)"


def test_each_bar_is_connected_to_the_next_so_that_tiny_steps_are_visible():
    joints = waterfall_chart(BARS).axes[0].collections[0].get_segments()
    assert [joint[0][0] for joint in joints] == [1_650, 1_600, 1_700.5, 1_700.5]


def test_a_total_below_zero_is_drawn_to_the_left():
    axes = waterfall_chart(BARS.iloc[[0]].assign(end=-50.0, amount=-50.0)).axes[0]
    assert axes.get_xlim()[0] < -50
    assert labels(axes) == ["-50.00"]


def test_spend_is_split_by_credit_and_spend_without_credit_is_labelled():
    axes = cost_without_credit_chart(IDLE).axes[0]
    assert spans(axes) == [(0, 250), (0, 0.04), (0, 0), (250, 750), (0.04, pytest.approx(9.96)), (0, 0)]
    assert labels(axes) == ["250 (25%)", "<1 (<1%)", "no spend"]
    assert [text.xy[0] for text in axes.texts] == IDLE["cost"].tolist()


def test_the_axis_without_spend_ends_at_1():
    assert cost_without_credit_chart(IDLE.iloc[2:]).axes[0].get_xlim() == (0, 1)


def test_with_few_days_each_has_a_figure_and_a_tick():
    figure = unattributed_by_day_chart(by_day(3))
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [1_200, 2_400, 3_600]
    assert labels(axes) == ["1,200", "2,400", "3,600"]
    assert [text for text in texts(figure) if "Mar" in text] == ["01 Mar", "02 Mar", "03 Mar"]


def test_the_bar_of_a_single_day_has_a_limited_width():
    low, high = unattributed_by_day_chart(by_day(1)).axes[0].get_xlim()
    assert high - low == pytest.approx(5)


@pytest.mark.parametrize(("days", "tick"), [(11, "05 Mar"), (730, "Jan 2024")])
def test_many_days_have_few_ticks(days, tick):
    figure = unattributed_by_day_chart(by_day(days))
    assert not labels(figure.axes[0])
    ticks = [text for text in texts(figure) if text[:1].isalnum() and ("Mar" in text or "20" in text[-4:-2])]
    assert tick in ticks
    assert 2 <= len(ticks) <= 8


def test_waiting_or_failed_orders_have_their_own_panel_and_colour_if_there_are_any():
    first, second = unattributed_by_day_chart(by_day(2, 7.0)).axes
    titles = ["Revenue of untracked orders", "Revenue of waiting or failed orders"]
    assert [axes.get_title(loc="left") for axes in (first, second)] == titles
    (only,) = unattributed_by_day_chart(by_day(2, 7.0).assign(unattributed_revenue=0.0)).axes
    assert only.get_title(loc="left") == titles[1]
    assert only.patches[0].get_facecolor() == second.patches[0].get_facecolor()


def test_a_sentence_replaces_the_chart_if_all_orders_are_credited():
    figure = unattributed_by_day_chart(by_day(2).assign(unattributed_revenue=0.0))
    assert texts(figure) == ["All orders are credited on every day."]


def test_negative_revenue_is_below_the_axis():
    axes = unattributed_by_day_chart(by_day(2).assign(unattributed_revenue=[-5.0, 5.0])).axes[0]
    assert labels(axes) == ["-5", "5"]
    assert axes.get_ylim()[0] < -5
