import numpy as np
from helpers.charts import ERRORS, row_names, texts

from ihc.charts.models import share_errors_chart
from ihc.charts.style import BLUE, GREY


def test_each_generator_is_a_panel_with_one_row_per_model():
    figure = share_errors_chart(ERRORS)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["Shop", "Time to event", "Benchmark A"]
    assert row_names(panels[0]) == ["IHC", "Last non-direct touch"]
    assert "error of shares; dashed: equal shares" in texts(figure)


def test_errors_are_dots_on_the_range_of_the_seeds_ihc_is_coloured_and_equal_shares_are_a_line():
    axes = share_errors_chart(ERRORS).axes[0]
    lines, dots = axes.collections
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[0.02, 0.06], [0.01, 0.03]]
    assert dots.get_offsets()[:, 0].tolist() == [0.04, 0.02]
    np.testing.assert_allclose(dots.get_facecolor()[:, :3] * 255, [rgb(BLUE), rgb(GREY)], atol=0.5)
    (equal,) = axes.lines
    assert equal.get_xdata() == [0.03, 0.03]


def rgb(colour):
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def test_a_single_generator_has_a_single_panel():
    assert len(share_errors_chart(ERRORS[ERRORS["generator"] == "Shop"]).axes) == 1
