import numpy as np
import pandas as pd
import pytest
from helpers.drawing import svg, texts
from helpers.frames import UNTRUSTED
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pandas.testing import assert_frame_equal

from ihc.analysis.sensitivity import AS_IS, rank_stability
from ihc.charts import sensitivity as sensitivity_charts
from ihc.charts import style as charts
from ihc.charts.palette import channel_colours
from ihc.charts.sensitivity import rank_under_settings, roas_under_settings
from ihc.formatting import shown
from tests.analysis.test_sensitivity import BASE, NAN, OTHER, grid_of

NAMES = ["A", "B"]
CELLS = [
    ((days, model, redistribution), {"A": 2.0, "B": 0.5})
    for redistribution in (AS_IS, "direct gives")
    for days in (NAN, 7)
    for model in ("IHC", "Linear", "Last touch")
]
GRID = grid_of(*CELLS)


def many(names, models=4, lookbacks=3):
    """Cells of a shop with so many channels, all different."""
    random = np.random.default_rng(1)
    days = [NAN, *range(1, lookbacks)]
    return grid_of(*(
        ((day, f"model {number}", AS_IS), dict(zip(names, random.lognormal(0, 2, len(names)), strict=True)))
        for day in days for number in range(models)
    ))  # fmt: skip


def ranks(grid):
    fragile = rank_stability(grid)
    return rank_under_settings(fragile, channel_colours(fragile["channel_name"].tolist()))


DRAWN = {"roas_under_settings": roas_under_settings, "rank_under_settings": ranks}
every_chart = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


def test_every_chart_is_tested_here():
    drawn = {name for name, entry in vars(sensitivity_charts).items() if hasattr(entry, "__wrapped__")}
    assert drawn == set(DRAWN)


@every_chart
def test_a_chart_without_rows_says_so(draw):
    assert texts(draw(GRID.iloc[:0])) == ["Nothing to show for these dates."]


def test_a_shop_without_a_channel_that_matters_has_no_heat_map():
    assert texts(roas_under_settings(GRID.assign(rank=NAN))) == ["No channel has enough of the cost."]


@every_chart
def test_a_chart_leaves_its_table_alone_and_gives_the_same_bytes(draw):
    grid = GRID.copy(deep=True)
    assert svg(draw(grid)) == svg(draw(grid))
    assert_frame_equal(grid, GRID)


@every_chart
def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is(draw):
    said = texts(draw(many([*UNTRUSTED, "", "\x00", "😀"])))
    cut = 24 if draw is roas_under_settings else 26
    assert {shown(name, cut) for name in UNTRUSTED} <= set(said)


@every_chart
def test_a_chart_is_as_wide_as_the_page_and_grows_with_its_rows(draw):
    few, more = draw(many(["A"])), draw(many([f"channel {number}" for number in range(25)]))
    assert few.get_size_inches()[0] == more.get_size_inches()[0] == charts.WIDTH
    assert few.get_size_inches()[1] < more.get_size_inches()[1]


def heads(axes):
    models = sorted((text.xy[0], text.get_text()) for text in axes.texts if hasattr(text, "xy"))
    return [name for _, name in models], [label.get_text() for label in axes.get_xticklabels()]


def numbered(axes):
    """Only the texts that are cells."""
    return {text.get_position(): text.get_text() for text in axes.texts if not hasattr(text, "xy")}


def test_a_block_has_the_lookbacks_of_one_model_side_by_side_in_whatever_order_the_cells_come():
    # By lookback, then model, as `sensitivity` gives them.
    values = {(NAN, "IHC"): 1.11, (NAN, "Linear"): 1.22, (7, "IHC"): 1.33, (7, "Linear"): 1.44}
    grid = grid_of(*(((days, model, AS_IS), {"A": roas}) for (days, model), roas in values.items()))
    (axes,) = roas_under_settings(grid).axes
    drawn = [text for _, text in sorted(numbered(axes).items())]
    assert drawn == ["1.11", "1.33", "1.22", "1.44"]
    assert heads(axes) == (["IHC", "Linear"], ["run", "7 d", "run", "7 d"])


def test_each_redistribution_is_a_block():
    titles = [axes.get_title(loc="left") for axes in roas_under_settings(GRID).axes]
    assert titles == ["Redistribution: none", "Redistribution: direct gives"]


@pytest.mark.parametrize(
    ("models", "lookbacks", "blocks"), [(4, 3, 1), (5, 3, 2), (9, 1, 3), (2, 5, 1), (3, 5, 2), (1, 20, 1), (2, 20, 2)]
)
def test_no_more_columns_stand_side_by_side_than_can_be_read_and_none_is_left_out(models, lookbacks, blocks):
    figure = roas_under_settings(many(NAMES, models, lookbacks))
    assert len(figure.axes) == blocks
    assert sum(len(numbered(axes)) for axes in figure.axes) == models * lookbacks * len(NAMES)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_what_is_on_the_other_side_of_break_even_than_in_the_base_is_framed():
    grid = grid_of((BASE, {"A": 2.0, "B": 0.5}), (OTHER, {"A": 0.9, "B": 0.6}), ((NAN, "C", AS_IS), {"A": 1, "B": 1.0}))
    (axes,) = roas_under_settings(grid).axes
    drawn = numbered(axes)
    framed = [(frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2) for frame in axes.patches]
    assert sorted(drawn[(round(x), round(y))] for x, y in framed) == ["0.90", "1.00"]
    assert not roas_under_settings(grid, 3.0).axes[0].patches


def test_the_colour_turns_at_break_even_and_stays_the_same_four_times_from_it():
    grid = grid_of(*(((NAN, str(roas), AS_IS), {"A": roas}) for roas in (2.0, 8.0, 80.0, 0.5, 0.01, 0.0, -1.0)))
    shades = np.concatenate([
        axes.collections[0].get_array().ravel() for axes in roas_under_settings(grid, 2.0).axes
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
    (axes,) = roas_under_settings(grid_of((BASE, {"A": roas}))).axes
    assert list(numbered(axes).values()) == [text]


def test_what_the_colours_and_frames_mean_is_said():
    said = " ".join(texts(roas_under_settings(GRID, 2.0)))
    assert "purple above 2, orange below, darkest from 8 and 0.5 on" in said
    assert "framed: on the other side of break-even than in the base" in said
    assert "framed" not in " ".join(texts(roas_under_settings(grid_of((BASE, {"A": 1.0})))))


def test_figures_stand_out_from_their_cells():
    grid = grid_of(((NAN, "IHC", AS_IS), {"pale": 1.0, "dark": 9.0, "brown": 0.1, "light": 0.6}))
    (axes,) = roas_under_settings(grid).axes
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    dark, pale = sensitivity_charts.ON_DARK, sensitivity_charts.ON_PALE
    assert (colours["9.00"], colours["0.10"], colours["1.00"], colours["0.60"]) == (dark, dark, pale, pale)


FRAGILE = pd.DataFrame(
    {
        "channel_name": ["A", "B", "C"],
        "rank": [2.0, 1.0, 3.0],
        "rank_best": [1.0, 1.0, 3.0],
        "rank_worst": [3.0, 1.0, 3.0],
        "stability": ["changes rank", "stable", "crosses break-even"],
    }
)


def test_ranks_are_lines_from_best_to_worst_with_a_dot_at_the_base_the_first_rank_on_top():
    figure = rank_under_settings(FRAGILE, {"A": "#ff0000", "B": "#00ff00"})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["B", "A", "C"]
    lines, dots = axes.collections
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[1, 1], [1, 3], [3, 3]]
    assert dots.get_offsets()[:, 0].tolist() == [1, 2, 3]
    assert [text.get_text() for text in axes.texts] == ["changes rank", "crosses break-even"]


def test_dots_have_the_colours_of_their_channels_and_grey_without_one():
    dots = rank_under_settings(FRAGILE, {"A": "#ff0000", "B": "#00ff00"}).axes[0].collections[1]
    assert dots.get_facecolor()[:2, :3].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert dots.get_facecolor()[2, :3] == pytest.approx([0x76 / 255] * 3)


@pytest.mark.parametrize("count", [1, 2, 12, 25, 60])
def test_ticks_are_whole_ranks_that_there_are_and_few_enough_to_be_read(count):
    figure = ranks(many([f"channel {number}" for number in range(count)]))
    ticks = [tick for tick in figure.axes[0].get_xticks() if tick <= count]
    assert ticks == [int(tick) for tick in ticks]
    assert ticks[0] == 1
    assert len(ticks) == len(figure.axes[0].get_xticks()) <= 12


@pytest.mark.parametrize(
    ("channels", "models", "lookbacks"), [(1, 1, 1), (1, 4, 3), (25, 4, 3), (12, 9, 1), (3, 2, 24)]
)
@every_chart
def test_texts_do_not_overlap_and_stay_within_the_chart(draw, channels, models, lookbacks):
    names = [f"A channel with quite a long name {number}" for number in range(channels)]
    figure = draw(many(names, models, lookbacks))
    with charts.styled():
        FigureCanvasAgg(figure).draw()
        boxes = [
            text.get_window_extent()
            for axes in figure.axes
            for text in (
                *axes.texts,
                *axes.get_xticklabels(),
                *axes.get_yticklabels(),
                axes.xaxis.label,
                axes._left_title,
            )
            if text.get_text()
        ]
    edges = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])
    width, height = figure.bbox.width, figure.bbox.height
    assert (edges[:, :2] > -1).all()
    assert (edges[:, 2] < width + 1).all()
    assert (edges[:, 3] < height + 1).all()
    across = np.minimum(edges[:, None, 2], edges[None, :, 2]) - np.maximum(edges[:, None, 0], edges[None, :, 0])
    along = np.minimum(edges[:, None, 3], edges[None, :, 3]) - np.maximum(edges[:, None, 1], edges[None, :, 1])
    overlaps = (across > 0.5) & (along > 0.5) & ~np.eye(len(edges), dtype=bool)
    assert not overlaps.any()
