from itertools import combinations

import pandas as pd
import pytest
from helpers.drawing import renamed, texts
from helpers.frames import UNTRUSTED
from matplotlib.colors import to_hex

from ihc.analysis.break_even import ABOVE, BELOW, TOO_FEW
from ihc.charts import channels as channel_charts
from ihc.charts import style as charts
from ihc.charts.palette import OTHER
from ihc.formatting import shown

NAN = float("nan")
NAMES = ["Search", "Mail", "Social"]
COLOURS = {"Search": "#117733", "Mail": "#e69f00"}
ROAS = pd.DataFrame(
    {
        "channel_name": NAMES,
        "cost": [60.0, 39.0, 1.0],
        "ROAS": [2.306, 0.5, 0.0],
        "ROAS_low": [1.901, 0.25, 0.0],
        "ROAS_high": [2.8, 0.99, 0.0],
        "verdict": [ABOVE, BELOW, TOO_FEW],
    }
)
SHARES = pd.DataFrame(
    {
        "channel_name": NAMES,
        "share_of_credit": [0.7, 0.251, 0.049],
        "share_of_credit_low": [0.65, 0.2, 0.012],
        "share_of_credit_high": [0.75, 0.3, 0.0994],
        "share_of_cost": [0.6, 0.4, 0.0],
    }
)
PHASES = pd.DataFrame(
    {
        "channel_name": NAMES,
        "ihc": [1_234.5, 20.0, 0.0],
        "initializer": [0.5, 0.05, NAN],
        "holder": [0.2, 0.065, NAN],
        "closer": [0.3, 0.885, NAN],
    }
)
ROOM = pd.DataFrame(
    {
        "channel_name": NAMES,
        "cost": [100.0, 12_300.0, 50.0],
        "break_even_cost": [250.0, 1_000.0, 50.0],
        "headroom": [150.0, -11_300.0, 0.0],
    }
)


def roas(table):
    return channel_charts.roas_intervals(table, COLOURS)


def shares(table):
    return channel_charts.share_intervals(table, COLOURS)


CHARTS = {
    "roas_intervals": (roas, ROAS),
    "share_intervals": (shares, SHARES),
    "phases_by_channel": (channel_charts.phases_by_channel, PHASES),
    "room_to_break_even": (channel_charts.room_to_break_even, ROOM),
}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)


@every_chart
def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is(draw, frame):
    said = set(texts(draw(renamed(frame, UNTRUSTED))))
    assert {shown(name, channel_charts.NAME_LIMIT) for name in UNTRUSTED} <= said
    assert "$x_1$" in said


@every_chart
def test_a_chart_is_as_wide_as_the_page_and_grows_with_its_rows(draw, frame):
    few, many = draw(renamed(frame, ["A"])), draw(renamed(frame, [f"channel {number}" for number in range(25)]))
    assert few.get_size_inches()[0] == many.get_size_inches()[0] == charts.WIDTH
    assert few.get_size_inches()[1] < many.get_size_inches()[1]


@every_chart
@pytest.mark.parametrize("count", [1, 3, 25])
def test_no_text_overlaps_another_or_leaves_the_figure(draw, frame, count):
    rows = frame.iloc[[number % len(frame) for number in range(count)]].reset_index(drop=True)
    if frame is ROOM:
        rows[["cost", "break_even_cost", "headroom"]] *= 70.0  # up to 861,000, as wide as ticks become
    names = [("M" * 30 if number % 2 else "m") for number in range(count)]
    figure = draw(rows.assign(channel_name=pd.array(names, dtype="str")))
    with charts.styled():
        figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    drawn = [text for text in [*axes.texts, *ticks, *axes.get_yticklabels(), axes.xaxis.label] if text.get_text()]
    # Half a pixel less, as boxes may touch.
    boxes = {f"{place} {text.get_text()}": text.get_window_extent().padded(-0.5) for place, text in enumerate(drawn)}
    assert not [
        name
        for name, box in boxes.items()
        if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1
    ]
    assert not [(one, other) for one, other in combinations(boxes, 2) if boxes[one].overlaps(boxes[other])]


def said(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def marks(figure):
    """The lines and the dots on them."""
    lines, dots = figure.axes[0].collections[-2:]
    return [part[:, 0].tolist() for part in lines.get_segments()], dots.get_offsets()[:, 0].tolist()


def test_roas_is_a_dot_on_the_line_of_its_interval_with_its_figures_beside_it():
    figure = roas(ROAS)
    assert marks(figure) == ([[1.901, 2.8], [0.25, 0.99], [0, 0]], [2.306, 0.5, 0.0])
    assert "2.31 (1.90–2.80)" in said(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == NAMES
    assert figure.axes[0].yaxis_inverted()


def test_channels_have_their_colours_and_those_with_few_orders_are_hollow_and_grey():
    figure = roas(ROAS)
    dots = figure.axes[0].collections[-1]
    assert [to_hex(colour) for colour in dots.get_edgecolors()] == [*COLOURS.values(), OTHER.lower()]
    assert [to_hex(colour) for colour in dots.get_facecolors()] == [*COLOURS.values(), "#ffffff"]
    grey = {text.get_text() for text in figure.axes[0].texts if text.get_color() == charts.GREY}
    assert {"0.00 (0.00–0.00)", "few orders"} <= grey
    assert "0.50 (0.25–0.99)" not in grey
    assert said(figure).count("few orders") == 1
    assert "few orders" not in said(roas(ROAS.iloc[:2]))


def test_a_channel_that_cost_next_to_nothing_is_a_text_below_the_others_and_sets_no_scale():
    # 0.02 and 0.98 of 101 are 0.02 % and 0.97 %.
    table = ROAS.assign(cost=[0.02, 100.0, 0.98], ROAS=[3_412.0, 0.5, 700.0], ROAS_high=[9_000.0, 0.99, 800.0])
    figure = roas(table)
    assert marks(figure) == ([[0.25, 0.99]], [0.5])
    assert figure.axes[0].get_xlim()[1] < 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Mail", "Search", "Social"]
    notes = {text.get_position()[1]: text.get_text() for text in figure.axes[0].texts if "drawn" in text.get_text()}
    assert notes == {1: "ROAS 3,412 (<0.1% of spend), not drawn", 2: "ROAS 700 (0.9% of spend), not drawn"}
    assert not [text for text in said(figure) if "(1.90" in text]


@pytest.mark.parametrize(
    ("needed", "written"), [(1.0, "break-even 1"), (4.0, "break-even 4"), (1 / 0.3, "break-even 3.333")]
)
def test_the_break_even_line_stands_at_the_roas_that_is_needed_and_is_named(needed, written):
    figure = channel_charts.roas_intervals(ROAS, COLOURS, needed)
    assert figure.axes[0].lines[0].get_xdata() == [needed, needed]
    assert written in texts(figure)


@pytest.mark.parametrize(
    ("value", "written"), [(9.994, "9.99"), (12.34, "12.3"), (123.4, "123"), (12_345.6, "12,346"), (-0.5, "-0.50")]
)
def test_roas_of_any_size_is_written_in_about_three_digits(value, written):
    one = ROAS.iloc[:1].assign(ROAS=value, ROAS_low=value, ROAS_high=value)
    assert f"{written} ({written}–{written})" in texts(roas(one))


@pytest.mark.parametrize(
    ("high", "ticks"), [(2.0, ["0.2", "0.5", "1", "2"]), (20.0, ["0.3", "1", "3", "10"]), (900.0, ["1", "10", "100"])]
)
def test_a_short_axis_has_ticks_between_the_powers_of_ten(high, ticks):
    one = ROAS.iloc[:1].assign(ROAS=0.15, ROAS_low=0.15, ROAS_high=high)
    shown_ticks = texts(roas(one))
    assert [tick for tick in shown_ticks if tick.replace(".", "").isdigit()][-len(ticks) :] == ticks


def test_a_roas_below_0_has_its_place():
    one = ROAS.iloc[:1].assign(ROAS=-2.0, ROAS_low=-5.0, ROAS_high=0.5)
    assert "−1" in texts(roas(one)) or "-1" in texts(roas(one))


def test_shares_are_a_dot_with_its_interval_and_a_diamond_for_the_cost():
    figure = shares(SHARES)
    assert marks(figure) == ([[0.65, 0.75], [0.2, 0.3], [0.012, 0.0994]], [0.7, 0.251, 0.049])
    assert figure.axes[0].collections[0].get_offsets()[:, 0].tolist() == [0.6, 0.4, 0]
    assert said(figure) == [
        "● credit (interval)", "70% (65–75%)", "25% (20–30%)", "4.9% (1.2–9.9%)", "◇ cost", "60%", "40%", "0%",
    ]  # fmt: skip


def test_shares_that_are_not_known_are_no_figures():
    nothing = SHARES.assign(share_of_cost=NAN, share_of_credit=NAN, share_of_credit_low=NAN, share_of_credit_high=NAN)
    assert "–" in texts(shares(nothing))
    assert not [text for text in texts(shares(nothing)) if "(–" in text]


def test_a_roas_without_an_interval_stands_alone():
    nothing = ROAS.assign(ROAS_low=NAN, ROAS_high=NAN)
    assert not [text for text in texts(roas(nothing)) if "nan" in text or ("(" in text and text != "ROAS (interval)")]


def test_phases_are_parts_of_a_bar_with_figures_where_they_fit():
    figure = channel_charts.phases_by_channel(PHASES)
    bars = [(round(bar.get_x(), 9), round(bar.get_width(), 9)) for bar in figure.axes[0].patches]
    assert bars == [(0, 0.5), (0, 0.05), (0, 0), (0.5, 0.2), (0.05, 0.065), (0, 0), (0.7, 0.3), (0.115, 0.885), (0, 0)]
    # 5 % has no room.
    assert said(figure) == [
        "50%", "Initializer", "20%", "6%", "Holder", "30%", "88%", "Closer", "orders", "1,234", "20", "0",
    ]  # fmt: skip


def test_room_is_a_bar_from_the_cost_to_where_it_breaks_even():
    figure = channel_charts.room_to_break_even(ROOM, currency="EUR")
    blue, orange, none = figure.axes[0].patches
    # A bar of negative width starts on its left.
    assert [sorted((bar.get_x(), bar.get_x() + bar.get_width())) for bar in (blue, orange, none)] == [
        [100, 250],
        [1_000, 12_300],
        [50, 50],
    ]
    assert to_hex(blue.get_facecolor()) == to_hex(none.get_facecolor()) == charts.BLUE.lower()
    assert to_hex(orange.get_facecolor()) == charts.ORANGE.lower()
    assert said(figure) == ["| cost", "100", "12.3k", "50", "break-even", "250", "1.0k", "50"]
    assert figure.axes[0].get_xlabel().startswith("cost [EUR]")
    assert figure.axes[0].get_xlim()[0] < 0


def test_room_of_channels_that_cost_and_earned_nothing_is_drawn_too():
    assert "0" in texts(channel_charts.room_to_break_even(ROOM.assign(cost=0.0, break_even_cost=0.0, headroom=0.0)))
