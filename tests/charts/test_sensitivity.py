import numpy as np
import pandas as pd
import pytest
from helpers.charts import GRID, NAN, STRESSED, many_cells, offsets, overlapping, row_names, texts
from helpers.grids import grid_of
from matplotlib.colors import to_hex

from ihc.analysis.sensitivity import AS_IS
from ihc.charts import sensitivity as sensitivity_charts
from ihc.charts.sensitivity import roas_range_chart, roas_under_settings_chart, stress_chart
from ihc.charts.style import BLUE, ORANGE

BASE = (NAN, "IHC", AS_IS)
OTHER = (NAN, "Linear", AS_IS)


def test_without_enough_spend_there_is_no_heat_map():
    assert texts(roas_under_settings_chart(GRID.assign(rank=NAN))) == ["No channel has enough spend."]


def heads(axes):
    models = sorted((text.xy[0], text.get_text()) for text in axes.texts if hasattr(text, "xy"))
    return [name for _, name in models], [label.get_text() for label in axes.get_xticklabels()]


def numbered(axes):
    """Return the texts of the cells only."""
    return {text.get_position(): text.get_text() for text in axes.texts if not hasattr(text, "xy")}


def test_the_columns_of_a_block_are_sorted_by_model_and_then_lookback_window():
    # By lookback window, then model, as from `sensitivity`.
    values = {(NAN, "IHC"): 1.11, (NAN, "Linear"): 1.22, (7, "IHC"): 1.33, (7, "Linear"): 1.44}
    grid = grid_of(*(((days, model, AS_IS), {"A": roas}) for (days, model), roas in values.items()))
    (axes,) = roas_under_settings_chart(grid).axes
    drawn = [text for _, text in sorted(numbered(axes).items())]
    assert drawn == ["1.11", "1.33", "1.22", "1.44"]
    assert heads(axes) == (["IHC", "Linear"], ["run", "7 d", "run", "7 d"])


def test_each_redistribution_is_a_block():
    titles = [axes.get_title(loc="left") for axes in roas_under_settings_chart(GRID).axes]
    assert titles == ["Redistribution: none", "Redistribution: direct gives"]


@pytest.mark.parametrize(
    ("models", "lookbacks", "blocks"), [(4, 3, 1), (5, 3, 2), (9, 1, 3), (2, 5, 1), (3, 5, 2), (1, 20, 1), (2, 20, 2)]
)
def test_columns_are_split_into_legible_blocks_and_none_is_left_out(models, lookbacks, blocks):
    figure = roas_under_settings_chart(many_cells(["A", "B"], models, lookbacks))
    assert len(figure.axes) == blocks
    assert sum(len(numbered(axes)) for axes in figure.axes) == models * lookbacks * 2
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_cells_on_the_other_side_of_break_even_than_the_base_are_framed():
    grid = grid_of((BASE, {"A": 2.0, "B": 0.5}), (OTHER, {"A": 0.9, "B": 0.6}), ((NAN, "C", AS_IS), {"A": 1, "B": 1.0}))
    (axes,) = roas_under_settings_chart(grid).axes
    drawn = numbered(axes)
    framed = [(frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2) for frame in axes.patches]
    assert sorted(drawn[(round(x), round(y))] for x, y in framed) == ["0.90", "1.00"]
    assert not roas_under_settings_chart(grid, 3.0).axes[0].patches


def test_the_colour_changes_at_break_even_and_the_scale_ends_at_four_times_break_even():
    grid = grid_of(*(((NAN, str(roas), AS_IS), {"A": roas}) for roas in (2.0, 8.0, 80.0, 0.5, 0.01, 0.0, -1.0)))
    shades = np.concatenate([
        axes.collections[0].get_array().ravel() for axes in roas_under_settings_chart(grid, 2.0).axes
    ])  # fmt: skip
    assert shades.tolist() == pytest.approx([0.5, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("roas", "text"),
    [
        (0.0, "0.00"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.96, "100"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (1e7, ">99k"),
        (-12.34, "-12.3"),
        (-1e7, "<-99k"),
    ],
)
def test_a_roas_of_any_size_fits_into_its_cell(roas, text):
    (axes,) = roas_under_settings_chart(grid_of((BASE, {"A": roas}))).axes
    assert list(numbered(axes).values()) == [text]


def test_the_legend_explains_colours_and_frames():
    said = " ".join(texts(roas_under_settings_chart(GRID, 2.0)))
    assert "purple: above 2, orange: below; darkest at 8 and 0.5" in said
    assert "framed: on the other side of break-even than the base" in said
    assert "framed" not in " ".join(texts(roas_under_settings_chart(grid_of((BASE, {"A": 1.0})))))


def test_figures_contrast_with_their_cells():
    grid = grid_of(((NAN, "IHC", AS_IS), {"pale": 1.0, "dark": 9.0, "brown": 0.1, "light": 0.6}))
    (axes,) = roas_under_settings_chart(grid).axes
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    dark, pale = sensitivity_charts.ON_DARK, sensitivity_charts.ON_PALE
    assert (colours["9.00"], colours["0.10"], colours["1.00"], colours["0.60"]) == (dark, dark, pale, pale)


STABILITY = pd.DataFrame(
    {
        "channel_name": ["A", "B", "C"],
        "ROAS": [2.0, 4.0, 0.5],
        "ROAS_low": [0.8, 3.0, 0.5],
        "ROAS_high": [2.5, 4.0, 0.6],
        "stability": ["crosses break-even", "changes rank", "stable"],
    }
)


def test_ranges_are_lines_with_a_dot_at_the_base_and_sorted_by_roas():
    (axes,) = roas_range_chart(STABILITY).axes
    assert row_names(axes) == ["B", "A", "C"]
    lines, dots = axes.collections
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[3, 4], [0.8, 2.5], [0.5, 0.6]]
    assert offsets(dots) == [4, 2, 0.5]


def test_a_channel_that_crosses_break_even_has_its_own_colour():
    dots = roas_range_chart(STABILITY).axes[0].collections[1].get_facecolor().tolist()
    assert dots[0] == dots[2] != dots[1]


@pytest.mark.parametrize("roas", [1.0, 4.0])
def test_break_even_is_a_dashed_line(roas):
    (line,) = roas_range_chart(STABILITY, roas).axes[0].lines
    assert (line.get_xdata(), line.get_linestyle()) == ([roas, roas], "--")


@pytest.mark.parametrize(("channels", "models", "lookbacks"), [(1, 1, 1), (1, 4, 3), (12, 9, 1), (3, 2, 24)])
def test_texts_of_many_models_and_lookbacks_do_not_overlap(channels, models, lookbacks):
    names = [f"A channel with quite a long name {number}" for number in range(channels)]
    assert overlapping(roas_under_settings_chart(many_cells(names, models, lookbacks))) == []


def test_the_stress_chart_shows_range_reported_roas_break_even_and_how_often_the_verdict_holds():
    figure = stress_chart(STRESSED.iloc[::-1], 1.5)
    (axes,) = figure.axes
    assert row_names(axes) == ["A", "B"]
    ranges, dots = axes.collections
    assert [line.vertices[:, 0].tolist() for line in ranges.get_paths()] == [[2.0, 4.5], [0.6, 1.2]]
    assert offsets(dots) == [4.0, 1.1]
    assert [to_hex(colour) for colour in dots.get_facecolor()] == [BLUE.lower(), ORANGE.lower()]
    assert axes.lines[0].get_xdata()[0] == 1.5
    assert {"100.0% of worlds", "40.0% of worlds"} <= set(texts(figure))
    assert overlapping(figure) == []
