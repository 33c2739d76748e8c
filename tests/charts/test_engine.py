import pandas as pd
import pytest
from helpers.drawing import renamed, svg, texts
from helpers.frames import UNTRUSTED, curves_of, journey

from ihc.charts import engine as engine_charts
from ihc.charts import style as charts
from ihc.formatting import shown
from ihc.models.explanation import curve_points, explain

NAMES = ["Search", "Mail", "Social"]
WEIGHTS = pd.DataFrame(
    {
        "channel_name": NAMES,
        "initializer_weight": [0.807, 1.0, 1.0],
        "holder_weight": [1.0, 1.25, 1.0],
        "closer_weight": [1.0, 1.0, 1.0],
    }
)
SCORES = pd.DataFrame(
    {
        "channel_name": NAMES,
        "initializer_score": [2.5, 0.0, 0.5],
        "holder_score": [float("nan")] * 3,
        "closer_score": [1.0, 1.5, 0.5],
    }
)
IMPACT = pd.DataFrame(
    {
        "channel_name": NAMES,
        "influenced_conversions": [1_200, 300, 1],
        "share_of_conversions": [0.8, 0.2, 0.001],
        "average_impact": [0.75, 0.5, 0.0],
    }
)
DISTRIBUTION = pd.DataFrame(
    {
        "channel_name": NAMES,
        "sessions_in_journeys": [2_000, 4, 1],
        "no_credit": [0.0, 0.5, 0.0],
        "up_to_10": [0.25, 0.0, 0.0],
        "up_to_25": [0.25, 0.0, 0.0],
        "up_to_50": [0.0, 0.5, 0.0],
        "below_all": [0.25, 0.0, 0.0],
        "all_credit": [0.25, 0.0, 1.0],
    }
)
CHANGES = pd.DataFrame(
    {"channel_name": NAMES, "ihc_before": [10.0, 5.0, 1.0], "ihc_after": [8.0, 7.0, 1.0], "ihc_change": [-2.0, 2.0, 0]}
)
PARAMETERS = curves_of()
RESTARTED = journey((0, "Search", 1, 1), (110, "Mail", 1, 1), (140, "Social", 1, 1))
STEPS = explain(RESTARTED, PARAMETERS, "k").drop(columns=["conv_id", "session_id", "timestamp"])
POINTS = curve_points(PARAMETERS.initializer)
PHASES = pd.DataFrame({"phase": ["initializer", "holder", "closer"], "phase_weight": [0.2, 0.5, 0.3]})


def curve(points):
    return engine_charts.membership_curve(points, "since the previous session")


BY_CHANNEL = {
    "channel_weights": (engine_charts.channel_weights, WEIGHTS),
    "channel_scores": (engine_charts.channel_scores, SCORES),
    "influence": (engine_charts.influence, IMPACT),
    "credit_distribution": (engine_charts.credit_distribution, DISTRIBUTION),
    "before_after": (engine_charts.before_after, CHANGES),
    "explanation": (engine_charts.explanation, STEPS),
}
CHARTS = BY_CHANNEL | {"membership_curve": (curve, POINTS), "phase_weights": (engine_charts.phase_weights, PHASES)}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)
every_chart_of_channels = pytest.mark.parametrize(("draw", "frame"), BY_CHANNEL.values(), ids=BY_CHANNEL)


@every_chart_of_channels
def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is(draw, frame):
    said = set(texts(draw(renamed(_channel_first(frame), UNTRUSTED))))
    full, short = ({shown(name, limit) for name in UNTRUSTED} for limit in (26, engine_charts.NAME_LIMIT))
    assert full <= said or short <= said
    assert "$x_1$" in said


@every_chart_of_channels
def test_a_chart_is_as_wide_as_the_page_and_grows_with_its_rows(draw, frame):
    frame = _channel_first(frame)
    few, many = draw(renamed(frame, ["A"])), draw(renamed(frame, [f"channel {number}" for number in range(12)]))
    assert few.get_size_inches()[0] == many.get_size_inches()[0] == charts.WIDTH
    assert few.get_size_inches()[1] < many.get_size_inches()[1]


def _channel_first(frame):
    return frame[["channel_name", *frame.columns.drop("channel_name")]]


def offsets(marks):
    return marks.get_offsets()[:, 0].tolist()


def test_a_curve_goes_through_its_points_and_on_as_it_ends():
    axes = curve(POINTS).axes[0]
    drawn, beyond = axes.lines
    assert drawn.get_xydata().tolist() == POINTS[["hours", "membership"]].to_numpy().tolist()
    assert beyond.get_ydata().tolist() == [1, 1]
    assert beyond.get_xdata()[1] > 110


def test_a_curve_shows_its_knots_and_labels_its_marks():
    axes = curve(POINTS).axes[0]
    assert [offsets(marks) for marks in axes.collections] == [[0, 10, 110], [10, 24, 72, 110]]
    assert [text.get_text() for text in axes.texts] == ["10 h: 0.00", "24 h: 0.14", "3 days: 0.62", "4.6 days: 1.00"]


@pytest.mark.parametrize(
    ("last", "label", "ticks"),
    [
        (240.0, "since the previous session [days]", ["0", "1", "2", "3"]),
        (50.0, "since the previous session [hours]", ["0", "6", "12", "18"]),
        (1.0, "since the previous session [minutes]", ["0", "6", "12", "18"]),
    ],
)
def test_time_is_read_in_the_unit_that_suits_it(last, label, ticks):
    figure = curve(curve_points(curves_of(initializer=([0, last], [0, 1])).initializer))
    assert figure.axes[0].get_xlabel() == label
    assert [text for text in texts(figure) if text.isdigit()][:4] == ticks


@pytest.mark.parametrize("last", [1e-9, 1e9, 1e200])
def test_a_curve_of_any_length_is_drawn(last):
    svg(curve(curve_points(curves_of(closer=([0, last], [1, 0])).closer)))


def test_phase_weights_are_bars_with_their_value():
    axes = engine_charts.phase_weights(PHASES).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.2, 0.5, 0.3]
    assert [text.get_text() for text in axes.texts] == ["0.200", "0.500", "0.300"]


def test_channel_weights_are_dots_a_panel_a_phase_and_only_those_off_1_are_labelled():
    panels = engine_charts.channel_weights(WEIGHTS).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["Initializer", "Holder", "Closer"]
    assert [offsets(axes.collections[-1]) for axes in panels] == [[0.807, 1, 1], [1, 1.25, 1], [1, 1, 1]]
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [["0.81"], ["1.25"], []]


def test_a_weight_that_cannot_be_told_from_1_is_grey_and_not_labelled():
    row = {"channel_name": ["Mail"], "initializer_weight": [1.004], "holder_weight": [0.996], "closer_weight": [0.994]}
    panels = engine_charts.channel_weights(pd.DataFrame(row)).axes
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [[], [], ["0.99"]]


def test_a_curve_is_dotted_beyond_the_hours_that_were_seen():
    axes = curve(curve_points(PARAMETERS.initializer, 24.0)).axes[0]
    seen, beyond = axes.lines
    assert seen.get_xdata().tolist() == [0, 10, 24]
    assert (seen.get_linestyle(), beyond.get_linestyle()) == ("-", ":")
    assert beyond.get_xdata().tolist() == [24, 72, 110, 137.5]
    assert offsets(axes.collections[0]) == [0, 10]


def test_scores_of_a_phase_that_nobody_has_leave_its_panel_empty():
    panels = engine_charts.channel_scores(SCORES).axes
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [
        ["2.50", "0.00", "0.50"],
        [],
        ["1.50", "0.50"],
    ]


def test_an_axis_around_1_has_no_negative_ticks():
    figure = engine_charts.channel_scores(SCORES.assign(holder_score=[60.0, 0.0, 1.0]))
    svg(figure)
    written = [tick.get_text() for axes in figure.axes for tick in axes.get_xticklabels()]
    assert any(written)
    assert not [text for text in written if text.startswith(("-", "−"))]


def test_influence_is_orders_on_the_left_and_average_credit_on_the_right():
    left, right = engine_charts.influence(IMPACT).axes
    assert [bar.get_width() for bar in left.patches] == [1_200, 300, 1]
    assert [text.get_text() for text in left.texts] == ["1,200 (80%)", "300 (20%)", "1 (0%)"]
    assert [bar.get_width() for bar in right.patches] == [0.75, 0.5, 0]
    assert [text.get_text() for text in right.texts] == ["75%", "50%", "0%"]


def test_the_distribution_of_credit_is_a_bar_in_parts_that_join():
    axes = engine_charts.credit_distribution(DISTRIBUTION).axes[0]
    first = [(bar.get_x(), bar.get_width()) for bar in axes.patches[::3]]
    assert first == [(0, 0), (0, 0.25), (0.25, 0.25), (0.5, 0), (0.5, 0.25), (0.75, 0.25)]
    assert [text.get_text() for text in axes.texts] == ["2,000", "4", "1"]


def test_before_and_after_are_two_marks_with_the_change_beside_them():
    axes = engine_charts.before_after(CHANGES).axes[0]
    assert [offsets(marks) for marks in axes.collections[1:]] == [[10, 5, 1], [8, 7, 1]]
    assert [text.get_text() for text in axes.texts] == ["-2.0", "+2.0", "±0"]


def test_an_order_is_explained_by_time_on_the_left_and_the_phases_parts_on_the_right():
    when, credit = engine_charts.explanation(STEPS).axes
    assert offsets(when.collections[0]) == [-140, -30, 0]
    assert [text.get_text() for text in when.texts] == ["5.8 days", "30 h", "0"]
    parts = [[bar.get_width() for bar in credit.patches[start : start + 3]] for start in (0, 3, 6)]
    assert parts == STEPS[["initializer_credit", "holder_credit", "closer_credit"]].T.to_numpy().tolist()
    ends = [bar.get_x() + bar.get_width() for bar in credit.patches[6:]]
    assert ends == pytest.approx(STEPS["ihc"].tolist())
    said = [text.get_text() for text in credit.texts]
    assert said[0] == "before the restart"
    assert said[1].endswith("%, restart")
    assert said[2] == f"{STEPS['ihc'].iloc[2]:.1%}"


@pytest.mark.parametrize("steps", [[(0, "A", 1, 1)], [(0, "A", 1, 1), (0, "A", 1, 1)]])
def test_an_order_of_a_single_moment_is_drawn(steps):
    assert "0" in texts(engine_charts.explanation(explain(journey(*steps), PARAMETERS, "k")))
