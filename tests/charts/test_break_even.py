import pytest
from helpers.charts import CALIBRATED, COLOURS, NAMES, NAN, ROAS, ROOM, labels, offsets, row_names, texts
from matplotlib.colors import to_hex

from ihc.charts.break_even import calibrated_roas_chart, roas_by_channel_chart, room_to_break_even_chart
from ihc.charts.palette import OTHER
from ihc.charts.style import BLUE, GREY, ORANGE


def roas(table=ROAS, needed=1.0):
    return roas_by_channel_chart(table, COLOURS, needed)


def one(value, low, high):
    return ROAS.iloc[:1].assign(ROAS=value, ROAS_low=low, ROAS_high=high)


def marks(figure):
    """Return the lines and the dots on them."""
    lines, dots = figure.axes[0].collections[-2:]
    return [part[:, 0].tolist() for part in lines.get_segments()], offsets(dots)


def test_roas_is_a_dot_on_its_interval_with_figures_next_to_it():
    figure = roas()
    assert marks(figure) == ([[1.901, 2.8], [0.25, 0.99], [0, 0]], [2.306, 0.5, 0.0])
    assert "2.31 (1.90–2.80)" in labels(figure.axes[0])
    assert row_names(figure.axes[0]) == NAMES
    assert figure.axes[0].yaxis_inverted()


def test_channels_have_their_colours_and_few_orders_are_hollow_and_grey():
    axes = roas().axes[0]
    dots = axes.collections[-1]
    assert [to_hex(colour) for colour in dots.get_edgecolors()] == [*COLOURS.values(), OTHER.lower()]
    assert [to_hex(colour) for colour in dots.get_facecolors()] == [*COLOURS.values(), "#ffffff"]
    grey = {text.get_text() for text in axes.texts if text.get_color() == GREY}
    assert {"0.00 (0.00–0.00)", "few orders"} <= grey
    assert "0.50 (0.25–0.99)" not in grey
    assert labels(axes).count("few orders") == 1
    assert "few orders" not in labels(roas(ROAS.iloc[:2]).axes[0])


def test_a_channel_with_hardly_any_spend_is_text_and_does_not_affect_the_scale():
    # 0.02 and 0.98 of 101 are 0.02 % and 0.97 %.
    table = ROAS.assign(cost=[0.02, 100.0, 0.98], ROAS=[3_412.0, 0.5, 700.0], ROAS_high=[9_000.0, 0.99, 800.0])
    figure = roas(table)
    assert marks(figure) == ([[0.25, 0.99]], [0.5])
    assert figure.axes[0].get_xlim()[1] < 2
    assert row_names(figure.axes[0]) == ["Mail", "Search", "Social"]
    notes = {text.get_position()[1]: text.get_text() for text in figure.axes[0].texts if "drawn" in text.get_text()}
    assert notes == {1: "ROAS 3,412 (<0.1% of spend), not drawn", 2: "ROAS 700 (0.9% of spend), not drawn"}


@pytest.mark.parametrize(("needed", "written"), [(1.0, "break-even 1"), (1 / 0.3, "break-even 3.333")])
def test_the_break_even_line_is_at_the_break_even_roas_and_labelled(needed, written):
    axes = roas(needed=needed).axes[0]
    assert axes.lines[0].get_xdata() == [needed, needed]
    assert written in labels(axes)


@pytest.mark.parametrize(
    ("value", "written"), [(9.994, "9.99"), (12.34, "12.3"), (123.4, "123"), (12_345.6, "12,346"), (-0.5, "-0.50")]
)
def test_roas_of_any_size_has_about_three_digits(value, written):
    to = "–" if value >= 0 else " to "  # a dash before a minus sign would be hard to read
    assert f"{written} ({written}{to}{written})" in labels(roas(one(value, value, value)).axes[0])


@pytest.mark.parametrize(
    ("high", "ticks"), [(2.0, ["0.2", "0.5", "1", "2"]), (20.0, ["0.3", "1", "3", "10"]), (900.0, ["1", "10", "100"])]
)
def test_a_short_axis_has_ticks_between_the_powers_of_ten(high, ticks):
    shown_ticks = texts(roas(one(0.15, 0.15, high)))
    assert [tick for tick in shown_ticks if tick.replace(".", "").isdigit()][-len(ticks) :] == ticks


def test_a_negative_roas_is_on_the_scale():
    assert "-1" in texts(roas(one(-2.0, -5.0, 0.5)))


def test_a_roas_without_an_interval_has_no_brackets():
    written = labels(roas(ROAS.assign(ROAS_low=NAN, ROAS_high=NAN)).axes[0])
    assert {"2.31", "0.50", "0.00"} <= set(written)


def test_headroom_is_a_bar_from_spend_to_break_even_spend():
    axes = room_to_break_even_chart(ROOM, currency="EUR").axes[0]
    # A bar of negative width starts on its left.
    ends = [sorted((bar.get_x(), bar.get_x() + bar.get_width())) for bar in axes.patches]
    assert ends == [[100, 250], [1_000, 12_300], [50, 50]]
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [BLUE, ORANGE, BLUE]
    assert labels(axes) == ["| spend", "100", "12.3k", "50", "break-even", "250", "1.0k", "50"]
    assert axes.get_xlabel().startswith("spend [EUR]")
    assert axes.get_xlim()[0] < 0


def test_headroom_without_spend_and_revenue_is_drawn():
    assert "0" in texts(room_to_break_even_chart(ROOM.assign(cost=0.0, break_even_cost=0.0, headroom=0.0)))


def test_iroas_is_a_dot_on_its_interval_beside_a_diamond_for_attributed_roas():
    axes = calibrated_roas_chart(CALIBRATED, 1.0).axes[0]
    lines, dots, diamonds = axes.collections
    assert row_names(axes) == ["Search", "Social", "Mail"]  # by iROAS
    assert [part[:, 0].tolist() for part in lines.get_segments()] == [[1.1, 1.9], [-6.0, 8.0], [-0.4, 0.8]]
    assert offsets(dots) == [1.5, 0.9, 0.2]
    assert offsets(diamonds) == [2.3, 40.0, 0.5]
    assert [to_hex(colour) for colour in dots.get_edgecolors()] == [each.lower() for each in (BLUE, GREY, ORANGE)]
    assert "1.50 (1.10–1.90)" in labels(axes)


def test_a_channel_without_an_experiment_has_a_hollow_dot():
    dots = calibrated_roas_chart(CALIBRATED, 1.0).axes[0].collections[1]
    assert [to_hex(colour) for colour in dots.get_facecolors()] == [BLUE.lower(), "#ffffff", ORANGE.lower()]


def test_the_scale_of_iroas_is_linear_up_to_break_even_and_shows_every_mark():
    axes = calibrated_roas_chart(CALIBRATED, 4.0).axes[0]
    assert axes.lines[0].get_xdata() == [4.0, 4.0]
    assert axes.get_xlim()[0] < -6 < 40 < axes.get_xlim()[1]
    assert "dashed: break-even 4" in axes.get_xlabel()
