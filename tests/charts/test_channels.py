import pandas as pd
from helpers.charts import (
    COLOURS,
    DISTRIBUTION,
    IMPACT,
    NAN,
    PHASE_SHARES,
    SCORES,
    SHARES,
    SUMMARY,
    WEIGHTS,
    labels,
    offsets,
    spans,
    texts,
)

from ihc.charts.channels import (
    channel_impact_chart,
    channel_scores_chart,
    channel_weights_chart,
    cost_against_revenue_chart,
    credit_against_cost_chart,
    credit_distribution_chart,
    phases_by_channel_chart,
)


def test_spend_and_revenue_are_two_bars_per_channel():
    axes = cost_against_revenue_chart(SUMMARY).axes[0]
    assert [width for _, width in spans(axes)] == [100, 10, 50, 250, 10, 5]


def test_the_axis_without_amounts_ends_at_1():
    figure = cost_against_revenue_chart(pd.DataFrame({"channel_name": ["A"], "cost": [0.0], "ihc_revenue": [0.0]}))
    assert figure.axes[0].get_xlim() == (0, 1)


def test_shares_are_a_dot_with_its_interval_and_a_diamond_for_spend():
    (axes,) = credit_against_cost_chart(SHARES, COLOURS).axes
    diamonds, lines, dots = axes.collections
    assert [part[:, 0].tolist() for part in lines.get_segments()] == [[0.65, 0.75], [0.2, 0.3], [0.012, 0.0994]]
    assert offsets(dots) == [0.7, 0.251, 0.049]
    assert offsets(diamonds) == [0.6, 0.4, 0]
    assert labels(axes) == [
        "● credit (interval)", "70% (65–75%)", "25% (20–30%)", "4.9% (1.2–9.9%)", "◇ spend", "60%", "40%", "0%",
    ]  # fmt: skip


def test_unknown_shares_are_dashes():
    unknown = SHARES.assign(share_of_cost=NAN, share_of_credit=NAN, share_of_credit_low=NAN, share_of_credit_high=NAN)
    assert labels(credit_against_cost_chart(unknown, COLOURS).axes[0])[1:4] == ["–", "–", "–"]


def test_phases_are_bar_segments_with_figures_where_they_fit():
    axes = phases_by_channel_chart(PHASE_SHARES).axes[0]
    bars = [(round(start, 9), round(width, 9)) for start, width in spans(axes)]
    assert bars == [(0, 0.5), (0, 0.05), (0, 0), (0.5, 0.2), (0.05, 0.065), (0, 0), (0.7, 0.3), (0.115, 0.885), (0, 0)]
    # 5% does not fit.
    assert labels(axes) == [
        "50%", "Initializer", "20%", "6%", "Holder", "30%", "88%", "Closer", "orders", "1,234", "20", "0",
    ]  # fmt: skip


def test_channel_weights_are_dots_with_labels_unless_they_print_as_1():
    panels = channel_weights_chart(WEIGHTS).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["Initializer", "Holder", "Closer"]
    assert [offsets(axes.collections[-1]) for axes in panels] == [[0.807, 1, 1.004], [1, 1.25, 0.996], [1, 1, 0.994]]
    assert [labels(axes) for axes in panels] == [["0.81"], ["1.25"], ["0.99"]]


def test_a_phase_without_scores_has_an_empty_panel():
    assert [labels(axes) for axes in channel_scores_chart(SCORES).axes] == [
        ["2.50", "0.00", "0.50"],
        [],
        ["1.50", "0.50"],
    ]


def test_an_axis_around_1_has_no_negative_ticks():
    said = texts(channel_scores_chart(SCORES.assign(holder_score=[60.0, 0.0, 1.0])))
    assert not [text for text in said if text.startswith(("-", "−"))]


def test_impact_is_orders_on_the_left_and_average_credit_on_the_right():
    left, right = channel_impact_chart(IMPACT).axes
    assert [width for _, width in spans(left)] == [1_200, 300, 1]
    assert labels(left) == ["1,200 (80%)", "300 (20%)", "1 (0%)"]
    assert [width for _, width in spans(right)] == [0.75, 0.5, 0]
    assert labels(right) == ["75%", "50%", "0%"]


def test_the_distribution_of_credit_is_a_stacked_bar():
    axes = credit_distribution_chart(DISTRIBUTION).axes[0]
    assert spans(axes)[::3] == [(0, 0), (0, 0.25), (0.25, 0.25), (0.5, 0), (0.5, 0.25), (0.75, 0.25)]
    assert labels(axes) == ["2,000", "4", "1"]
