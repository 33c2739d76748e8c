from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from helpers.drawing import renamed, texts
from helpers.frames import UNTRUSTED
from matplotlib.colors import to_hex
from matplotlib.text import Text

from ihc.charts import periods as time_charts
from ihc.charts import style as charts
from ihc.charts.palette import COLOURS, OTHER, channel_colours
from ihc.formatting import shown

NAN = float("nan")
WEEKLY = pd.DataFrame(
    {
        "channel_name": ["Search", "Search", "Mail", "Mail"],
        "week": ["2023-09-04", "2023-09-11"] * 2,
        "days": [7, 4] * 2,
        "ihc_revenue": [100.0, 50.0, 30.0, 20.0],
    }
)
DAILY = pd.DataFrame(
    {
        "channel_name": ["Search", "Search", "Mail", "Mail"],
        "date": ["2023-09-01", "2023-09-02"] * 2,
        "ROAS": [2.5, NAN, 0.0, 1_000.0],
    }
)
DATES = ["2023-09-01", "2023-09-02", "2023-09-03"]
TOTALS = pd.DataFrame({"date": DATES, "cost": [10.0, 20.0, 30.0], "ihc_revenue": [50.0, 40.0, 8.0]})
MATURITY = pd.DataFrame(
    {"date": DATES, "ihc_revenue_expected": [50.0, 41.0, 16.0], "is_immature": [False, False, True]}
)
LAGS = pd.DataFrame({"lag": [0, 1, 2, 3], "cumulated": [0.4, 0.6, 0.8, 1.0]})
ARRIVAL = pd.DataFrame({"age": [0, 1, 2, 3], "arrived": [0.3, 0.5, 0.75, 1.0]})


def by_week(weekly):
    return time_charts.revenue_by_week(weekly, channel_colours(weekly["channel_name"].unique().tolist()))


def over_time(daily):
    names = daily["channel_name"].unique().tolist()
    return time_charts.roas_over_time(daily, names, channel_colours(names), ["2023-09-02"])


def by_day(totals):
    return time_charts.daily_cost_and_revenue(totals, MATURITY)


def lag(lags):
    return time_charts.credit_lag(lags, ARRIVAL)


CHARTS = {
    "revenue_by_week": (by_week, WEEKLY),
    "roas_over_time": (over_time, DAILY),
    "daily_cost_and_revenue": (by_day, TOTALS),
    "credit_lag": (lag, LAGS),
}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)
of_channels = pytest.mark.parametrize(("draw", "frame"), [(by_week, WEEKLY), (over_time, DAILY)])


def many_days(count, channels=("Search",)):
    """Days from 2022-12-20 on of each channel, with figures that differ."""
    days = np.datetime_as_string(np.datetime64("2022-12-20") + np.arange(count))
    rows = pd.DataFrame({"channel_name": np.repeat(list(channels), count), "date": np.tile(days, len(channels))})
    numbers = 1.0 + np.arange(len(rows)) % 7
    rows = rows.assign(cost=numbers, ihc_revenue=10 * numbers, ROAS=numbers)
    return rows.astype({"channel_name": "str", "date": "str"})


def many_weeks(count, channels=("Search",)):
    weeks = many_days(count, channels)
    mondays = np.datetime_as_string(np.datetime64("2022-12-19") + 7 * np.arange(count))
    return weeks.assign(week=pd.array(np.tile(mondays, len(channels)), dtype="str"), days=7)


def overlapping(figure):
    """Pairs of texts of the chart that lie on each other, and texts that are cut off by its edge."""
    with charts.styled():
        figure.draw_without_rendering()
        said = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in said if in_sight(text)]
    edge = figure.bbox.padded(1)
    cut = [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))]
    return cut + [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.shrunk(0.98, 0.9).overlaps(other)]


def in_sight(text):
    """Whether a text is drawn: ticks that have no label, or lie beyond the axis, have a text of their own too."""
    for axes in text.figure.axes:
        for axis, (low, high), place in ((axes.xaxis, axes.get_xlim(), 0), (axes.yaxis, axes.get_ylim(), 1)):
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if text in (tick.label1, tick.label2):
                    return (
                        tick.label1 is text and tick.label1.get_visible() and low <= text.get_position()[place] <= high
                    )
    return True


@every_chart
def test_no_texts_overlap(draw, frame):
    assert overlapping(draw(frame)) == []


@of_channels
def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is(draw, frame):
    said = texts(draw(renamed(frame, UNTRUSTED)))
    assert {shown(name, 22) for name in UNTRUSTED} <= set(said)


@of_channels
@pytest.mark.parametrize("name", ["", "\ufffe", "\uffff", "\x00", "\u202e", "\u2028", "_hidden", "😀"])
def test_a_strange_name_makes_valid_xml(draw, frame, name, recwarn):
    assert "ordinary" in texts(draw(renamed(frame, [name, "ordinary"])))


def test_names_with_currency_signs_stay_as_they_are():
    assert "EUR <&> $x$ a day" in texts(time_charts.daily_cost_and_revenue(TOTALS, MATURITY, "EUR <&> $x$"))
    assert "attributed revenue [EUR <&>]" in texts(time_charts.revenue_by_week(WEEKLY, {}, "EUR <&>"))


def test_weeks_are_bars_of_parts_in_the_channels_colours():
    colours = channel_colours(["Search", "Mail"])
    axes = by_week(WEEKLY).axes[0]
    parts = [(bar.get_y(), bar.get_height(), to_hex(bar.get_facecolor()).upper()) for bar in axes.patches[:4]]
    # The most important channel is at the bottom.
    assert parts == [
        (0, 100, colours["Search"]), (0, 50, colours["Search"]), (100, 30, colours["Mail"]), (50, 20, colours["Mail"])
    ]  # fmt: skip
    assert {"Search", "Mail"} <= set(texts(by_week(WEEKLY)))


def test_a_week_that_is_not_full_is_pale_and_named():
    figure = by_week(WEEKLY)
    assert [bar.get_alpha() for bar in figure.axes[0].patches[:4]] == [None, time_charts.FAINT] * 2
    assert any("pale: not a full week, 2023-09-11 (4 days)" in text for text in texts(figure))
    assert not any("pale" in text for text in texts(by_week(WEEKLY.assign(days=7))))


def test_revenue_below_zero_hangs_under_the_axis():
    weekly = WEEKLY.assign(ihc_revenue=[100.0, 50.0, -30.0, -20.0])
    axes = by_week(weekly).axes[0]
    assert [(bar.get_y(), bar.get_height()) for bar in axes.patches[:4]] == [(0, 100), (0, 50), (0, -30), (0, -20)]
    assert axes.get_ylim()[0] < -30


def test_a_week_that_is_missing_leaves_a_gap():
    weekly = WEEKLY.assign(week=["2023-09-04", "2023-10-02"] * 2)
    first, last = by_week(weekly).axes[0].patches[:2]
    assert last.get_x() - first.get_x() == 28


@pytest.mark.parametrize("weeks", [1, 2, 10, 30, 105])
def test_25_channels_are_eleven_and_the_others_and_no_texts_overlap(weeks):
    names = [f"A quite long name of channel {number}" for number in range(25)]
    weekly = many_weeks(weeks, names)
    figure = time_charts.revenue_by_week(weekly, channel_colours(names))
    assert overlapping(figure) == []
    said = texts(figure)
    assert "other (14 channels)" in said
    assert sum(text.startswith("A quite") for text in said) == len(COLOURS)


@pytest.mark.parametrize("days", [1, 2, 3, 40, 100, 400, 731])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_dates_never_overlap(days, channels):
    names = [f"channel {number}" for number in range(channels)]
    daily = many_days(days, names)
    dates = daily["date"].unique().tolist()
    figure = time_charts.roas_over_time(daily, names, channel_colours(names), dates[-3:])
    assert overlapping(figure) == []
    totals = daily.drop_duplicates("date")
    young = pd.DataFrame({"date": dates, "ihc_revenue_expected": 50.0, "is_immature": [*[False] * (days - 1), True]})
    figure = time_charts.daily_cost_and_revenue(totals, young)
    assert overlapping(figure) == []
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert 1 <= len(ticks) == len(set(ticks)) <= 7


def test_years_are_told():
    assert "day of the sessions, 2023" in texts(by_day(TOTALS))
    assert "day of the sessions, 2022 to 2023" in texts(by_day(many_days(20)))


def panel(axes):
    """The line of days of a panel, not that of break-even."""
    return axes.lines[-1]


def test_roas_over_time_has_a_panel_a_channel_in_the_order_asked_for_and_in_its_colour():
    figure = time_charts.roas_over_time(DAILY, ["Mail", "Search"], {"Mail": "#117733"})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Mail", "Search"]
    drawn = [panel(axes) for axes in figure.axes]
    assert [line.get_color() for line in drawn] == ["#117733", OTHER]
    assert drawn[0].get_ydata().tolist() == [0.0, 1_000.0]
    assert drawn[1].get_ydata()[0] == 2.5
    assert np.isnan(drawn[1].get_ydata()[1])  # NaN leaves a gap


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, charts.MOST_PANELS])
def test_roas_over_time_has_no_empty_panels(count):
    names = [f"channel {number}" for number in range(count)]
    figure = time_charts.roas_over_time(renamed(DAILY, [*names, "not asked for"]), names, {})
    assert [axes.get_title(loc="left") for axes in figure.axes] == names


@pytest.mark.parametrize(
    ("immature", "spans"),
    [
        (None, []),
        ([], []),
        (["2023-09-02"], [(19601.5, 1)]),
        (["2023-09-01", "2023-09-02", "2023-10-01"], [(19600.5, 2)]),
    ],
)
def test_days_whose_credit_is_still_arriving_are_on_grey_ground(immature, spans):
    # 2023-09-01 is day 19,601 since 1970.
    figure = time_charts.roas_over_time(DAILY, ["Mail"], {}, immature)
    assert [(span.get_x(), span.get_width()) for span in figure.axes[0].patches] == [
        (start + 0.0, width) for start, width in spans
    ]
    assert ("grey: credit still arriving" in texts(figure)[-1]) == bool(spans)


def test_the_line_that_pays_is_where_it_is_asked_for_and_named():
    figure = time_charts.roas_over_time(DAILY, ["Mail"], {}, roas=4)
    assert figure.axes[0].lines[0].get_ydata() == [4, 4]
    assert any("dashed: ROAS 4.00" in text for text in texts(figure))


def test_cost_and_revenue_are_lines_and_the_expected_revenue_begins_at_the_last_whole_day():
    figure = by_day(TOTALS)
    cost, revenue, expected = figure.axes[0].lines[:3]
    assert cost.get_ydata().tolist() == [10, 20, 30]
    assert revenue.get_ydata().tolist() == [50, 40, 8]
    assert expected.get_ydata().tolist() == [41, 16]
    assert {"cost", "attributed revenue", "expected revenue", "grey: credit still arriving"} <= set(texts(figure))


@pytest.mark.parametrize(
    "maturity",
    [MATURITY.iloc[:0], MATURITY.assign(is_immature=False), MATURITY.assign(ihc_revenue_expected=NAN)],
)
def test_without_an_estimate_or_a_young_day_nothing_is_expected(maturity):
    figure = time_charts.daily_cost_and_revenue(TOTALS, maturity)
    assert "expected revenue" not in texts(figure)
    assert ("grey: credit still arriving" in texts(figure)) == bool(maturity["is_immature"].any())


def test_days_of_the_maturity_that_are_not_shown_stay_out():
    figure = time_charts.daily_cost_and_revenue(TOTALS.iloc[:2], MATURITY)
    assert len(figure.axes[0].patches) == 0


def test_amounts_of_zero_and_below_have_an_axis():
    figure = by_day(TOTALS.assign(cost=0.0, ihc_revenue=[0.0, -5.0, 0.0]))
    assert figure.axes[0].get_ylim()[0] < -5
    nothing = time_charts.daily_cost_and_revenue(TOTALS.assign(cost=0.0, ihc_revenue=0.0), MATURITY.iloc[:0])
    assert nothing.axes[0].get_ylim() == (0, 1)


def test_the_lag_is_marked_by_the_share_found_where_half_and_90_percent_are_reached():
    said = texts(lag(LAGS))
    assert {"60% within 1 day", "100% within 3 days", "credit so far", "estimated arrival"} <= set(said)
    assert "days from the session to the order, at most 3" in said


@pytest.mark.parametrize(
    ("shares", "marks"),
    [
        ([1.0], {"100% on the same day"}),
        ([0.5, 0.9, 1.0], {"50% on the same day", "90% within 1 day"}),
        ([0.1, 0.1, 1.0], {"100% within 2 days"}),
        (np.linspace(0.01, 1, 700).tolist(), {"50% within 346 days", "90% within 629 days"}),
    ],
)
def test_marks_of_the_lag_at_their_turning_points(shares, marks):
    lags = pd.DataFrame({"lag": range(len(shares)), "cumulated": shares})
    for arrival in (ARRIVAL, ARRIVAL.iloc[:0]):
        figure = time_charts.credit_lag(lags, arrival)
        assert {text for text in texts(figure) if "% within" in text or "% on" in text} == marks
        assert overlapping(figure) == []
        assert ("estimated arrival" in texts(figure)) == bool(len(arrival))


def test_places_are_moved_apart_and_stay_below_the_top():
    assert time_charts._apart([0.2, 0.5], 0.1) == [0.2, 0.5]
    assert time_charts._apart([0.2, 0.2, 0.25], 0.1) == pytest.approx([0.2, 0.3, 0.4])
    assert time_charts._apart([0.95, 0.98, 1.0], 0.1) == pytest.approx([0.8, 0.9, 1.0])
