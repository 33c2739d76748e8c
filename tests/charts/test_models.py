import pandas as pd
import pytest
from helpers.charts import MOVED, PARAMETERS, PHASES, POINTS, RELATIVE, STEPS, labels, offsets, spans, svg, texts
from helpers.frames import curves_of, journey

from ihc.charts.models import (
    explanation_chart,
    membership_chart,
    models_by_channel_chart,
    phase_weights_chart,
    redistribution_chart,
)
from ihc.models.explanation import curve_points, explain


def test_models_are_columns_of_differences_and_the_first_is_an_amount():
    said = texts(models_by_channel_chart(RELATIVE))
    assert said[:3] == ["IHC, revenue", "First touch", "Linear"]
    assert {"28.1k", "950", "+12", "-50", "0", ">+999", "–", "% difference from IHC"} <= set(said)


@pytest.mark.parametrize(
    ("revenue", "share", "written"),
    [
        (0.0, float("nan"), ["0", "–"]),
        (-1_250.0, -11.0, ["-1.2k", "<-999"]),
        (2.5e6, -0.001, ["2.5M", "0"]),
        (1e12, 0.006, ["1,000.0G", "+1"]),
    ],
)
def test_any_amount_and_any_difference_fit_into_a_cell(revenue, share, written):
    figure = models_by_channel_chart(pd.DataFrame({"channel_name": ["A"], "IHC": [revenue], "First": [share]}))
    assert labels(figure.axes[0]) == written


def test_all_models_are_drawn():
    names = [f"model {number}" for number in range(12)]
    figure = models_by_channel_chart(pd.DataFrame({"channel_name": ["A"]} | {name: [1.0] for name in names}))
    assert texts(figure)[:12] == ["model 0, revenue", *names[1:]]


def curve(points):
    return membership_chart(points, "since the previous session")


def test_a_curve_has_its_points_knots_and_labels_and_continues_constant():
    (axes,) = curve(POINTS).axes
    drawn, beyond = axes.lines
    assert drawn.get_xydata().tolist() == POINTS[["hours", "membership"]].to_numpy().tolist()
    assert beyond.get_ydata().tolist() == [1, 1]
    assert beyond.get_xdata()[1] > 110
    assert [offsets(marks) for marks in axes.collections] == [[0, 10, 110], [10, 24, 72, 110]]
    assert labels(axes) == ["10 h: 0.00", "24 h: 0.14", "3 days: 0.62", "4.6 days: 1.00"]


def test_a_curve_is_dotted_beyond_the_observed_hours():
    (axes,) = curve(curve_points(PARAMETERS.initializer, 24.0)).axes
    seen, beyond = axes.lines
    assert seen.get_xdata().tolist() == [0, 10, 24]
    assert (seen.get_linestyle(), beyond.get_linestyle()) == ("-", ":")
    assert beyond.get_xdata().tolist() == [24, 72, 110, 137.5]
    assert offsets(axes.collections[0]) == [0, 10]


@pytest.mark.parametrize(
    ("last", "label", "ticks"),
    [
        (240.0, "since the previous session [days]", ["0", "1", "2", "3"]),
        (50.0, "since the previous session [hours]", ["0", "6", "12", "18"]),
        (1.0, "since the previous session [minutes]", ["0", "6", "12", "18"]),
    ],
)
def test_the_time_axis_has_a_suitable_unit(last, label, ticks):
    figure = curve(curve_points(curves_of(initializer=([0, last], [0, 1])).initializer))
    assert figure.axes[0].get_xlabel() == label
    assert [text for text in texts(figure) if text.isdigit()][:4] == ticks


@pytest.mark.parametrize("last", [1e-9, 1e200])
def test_a_curve_of_any_length_is_drawn(last):
    svg(curve(curve_points(curves_of(closer=([0, last], [1, 0])).closer)))


def test_phase_weights_are_bars_with_their_value():
    axes = phase_weights_chart(PHASES).axes[0]
    assert [width for _, width in spans(axes)] == [0.2, 0.5, 0.3]
    assert labels(axes) == ["0.200", "0.500", "0.300"]


def test_credit_before_and_after_redistribution_are_two_marks_with_the_change():
    axes = redistribution_chart(MOVED).axes[0]
    assert [offsets(marks) for marks in axes.collections[1:]] == [[10, 5, 1], [8, 7, 1]]
    assert labels(axes) == ["-2.0", "+2.0", "±0"]


def test_an_explained_order_has_time_on_the_left_and_credit_by_phase_on_the_right():
    when, credit = explanation_chart(STEPS).axes
    assert offsets(when.collections[0]) == [-140, -30, 0]
    assert labels(when) == ["5.8 days", "30 h", "0"]
    parts = [[width for _, width in spans(credit)[start : start + 3]] for start in (0, 3, 6)]
    assert parts == STEPS[["initializer_credit", "holder_credit", "closer_credit"]].T.to_numpy().tolist()
    assert [start + width for start, width in spans(credit)[6:]] == pytest.approx(STEPS["ihc"].tolist())
    before, restart, last = labels(credit)
    assert before == "before the restart"
    assert restart.endswith("%, restart")
    assert last == f"{STEPS['ihc'].iloc[2]:.1%}"


@pytest.mark.parametrize("steps", [[(0, "A", 1, 1)], [(0, "A", 1, 1), (0, "A", 1, 1)]])
def test_an_order_with_a_duration_of_0_is_drawn(steps):
    assert "0" in texts(explanation_chart(explain(journey(*steps), PARAMETERS, "k")))
