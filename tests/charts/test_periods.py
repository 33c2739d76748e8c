import numpy as np
import pandas as pd
import pytest
from helpers.charts import DAILY, MATURITY, NAN, TOTALS, WEEKLY, overlapping, renamed, spans, texts
from matplotlib.colors import to_hex

from ihc.charts.palette import COLOURS, OTHER, channel_colours
from ihc.charts.periods import FAINT, cost_and_revenue_chart, revenue_by_week_chart, roas_over_time_chart
from ihc.charts.style import MOST_PANELS

BOTH = channel_colours(["Search", "Mail"])


def by_week(weekly=WEEKLY):
    return revenue_by_week_chart(weekly, BOTH)


def by_day(totals=TOTALS, maturity=MATURITY):
    return cost_and_revenue_chart(totals, maturity)


def many_days(count, channels=("Search",)):
    """Days from 2022-12-20 on for each channel, with different figures."""
    days = np.datetime_as_string(np.datetime64("2022-12-20") + np.arange(count))
    rows = pd.DataFrame({"channel_name": np.repeat(list(channels), count), "date": np.tile(days, len(channels))})
    numbers = 1.0 + np.arange(len(rows)) % 7
    rows = rows.assign(cost=numbers, ihc_revenue=10 * numbers, ROAS=numbers)
    return rows.astype({"channel_name": "str", "date": "str"})


def many_weeks(count, channels):
    mondays = np.datetime_as_string(np.datetime64("2022-12-19") + 7 * np.arange(count))
    return many_days(count, channels).assign(week=pd.array(np.tile(mondays, len(channels)), dtype="str"), days=7)


def test_currencies_are_unchanged():
    assert "EUR <&> $x$ per day" in texts(cost_and_revenue_chart(TOTALS, MATURITY, "EUR <&> $x$"))
    assert "attributed revenue [EUR <&>]" in texts(revenue_by_week_chart(WEEKLY, {}, "EUR <&>"))


def test_weeks_are_stacked_bars_in_the_channels_colours():
    axes = by_week().axes[0]
    parts = [(bar.get_y(), bar.get_height(), to_hex(bar.get_facecolor()).upper()) for bar in axes.patches[:4]]
    # The most important channel is at the bottom.
    assert parts == [
        (0, 100, BOTH["Search"]), (0, 50, BOTH["Search"]), (100, 30, BOTH["Mail"]), (50, 20, BOTH["Mail"])
    ]  # fmt: skip


def test_a_partial_week_is_pale_and_labelled():
    figure = by_week()
    assert [bar.get_alpha() for bar in figure.axes[0].patches[:4]] == [None, FAINT] * 2
    assert any("pale: partial week, 2023-09-11 (4 days)" in text for text in texts(figure))
    assert not any("pale" in text for text in texts(by_week(WEEKLY.assign(days=7))))


def test_negative_revenue_is_below_the_axis():
    axes = by_week(WEEKLY.assign(ihc_revenue=[100.0, 50.0, -30.0, -20.0])).axes[0]
    assert [(bar.get_y(), bar.get_height()) for bar in axes.patches[:4]] == [(0, 100), (0, 50), (0, -30), (0, -20)]
    assert axes.get_ylim()[0] < -30


def test_a_missing_week_is_a_gap():
    first, last = by_week(WEEKLY.assign(week=["2023-09-04", "2023-10-02"] * 2)).axes[0].patches[:2]
    assert last.get_x() - first.get_x() == 28


@pytest.mark.parametrize("weeks", [1, 10, 105])
def test_of_25_channels_all_but_eleven_are_summed_and_texts_do_not_overlap(weeks):
    names = [f"A quite long name of channel {number}" for number in range(25)]
    figure = revenue_by_week_chart(many_weeks(weeks, names), channel_colours(names))
    assert overlapping(figure) == []
    said = texts(figure)
    assert "other (14 channels)" in said
    assert sum(text.startswith("A quite") for text in said) == len(COLOURS)


@pytest.mark.parametrize(("days", "channels"), [(1, 1), (2, 5), (3, 2), (40, 5), (100, 1), (400, 2), (731, 5)])
def test_dates_never_overlap(days, channels):
    names = [f"channel {number}" for number in range(channels)]
    daily = many_days(days, names)
    dates = daily["date"].unique().tolist()
    assert overlapping(roas_over_time_chart(daily, names, channel_colours(names), dates[-3:])) == []
    young = pd.DataFrame({"date": dates, "ihc_revenue_expected": 50.0, "is_immature": [*[False] * (days - 1), True]})
    figure = by_day(daily.drop_duplicates("date"), young)
    assert overlapping(figure) == []
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert 1 <= len(ticks) == len(set(ticks)) <= 7


def test_the_axis_names_the_years():
    assert "day of the sessions, 2023" in texts(by_day())
    assert "day of the sessions, 2022 to 2023" in texts(by_day(many_days(20)))


def test_roas_over_time_has_one_panel_per_channel_in_the_given_order_and_colour():
    figure = roas_over_time_chart(DAILY, ["Mail", "Search"], {"Mail": "#117733"})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Mail", "Search"]
    mail, search = (axes.lines[-1] for axes in figure.axes)
    assert [mail.get_color(), search.get_color()] == ["#117733", OTHER]
    assert mail.get_ydata().tolist() == [0.0, 1_000.0]
    np.testing.assert_array_equal(search.get_ydata(), [2.5, NAN])  # NaN leaves a gap


@pytest.mark.parametrize("count", [0, 1, 4, MOST_PANELS])
def test_roas_over_time_has_no_empty_panels(count):
    names = [f"channel {number}" for number in range(count)]
    figure = roas_over_time_chart(renamed(DAILY, [*names, "not asked for"]), names, {})
    assert [axes.get_title(loc="left") for axes in figure.axes] == names


@pytest.mark.parametrize(
    ("immature", "spanned"),
    [
        (None, []),
        ([], []),
        (["2023-09-02"], [(19601.5, 1)]),
        (["2023-09-01", "2023-09-02", "2023-10-01"], [(19600.5, 2)]),
    ],
)
def test_incomplete_days_are_shaded(immature, spanned):
    # 2023-09-01 is day 19,601 since 1970.
    figure = roas_over_time_chart(DAILY, ["Mail"], {}, immature)
    assert spans(figure.axes[0]) == spanned
    assert ("shaded: incomplete days" in texts(figure)[-1]) == bool(spanned)


def test_the_break_even_line_is_drawn_and_labelled():
    figure = roas_over_time_chart(DAILY, ["Mail"], {}, roas=4)
    assert figure.axes[0].lines[0].get_ydata() == [4, 4]
    assert any("dashed: break-even 4.00" in text for text in texts(figure))


def test_expected_revenue_starts_at_the_last_complete_day():
    figure = by_day()
    cost, revenue, expected = figure.axes[0].lines[:3]
    assert cost.get_ydata().tolist() == [10, 20, 30]
    assert revenue.get_ydata().tolist() == [50, 40, 8]
    assert expected.get_ydata().tolist() == [41, 16]
    assert {"spend", "attributed revenue", "expected revenue", "shaded: incomplete days"} <= set(texts(figure))


@pytest.mark.parametrize(
    "maturity",
    [MATURITY.iloc[:0], MATURITY.assign(is_immature=False), MATURITY.assign(ihc_revenue_expected=NAN)],
    ids=["empty", "all mature", "no estimate"],
)
def test_there_is_no_expected_revenue_without_an_estimate_or_incomplete_days(maturity):
    said = texts(by_day(TOTALS, maturity))
    assert "expected revenue" not in said
    assert ("shaded: incomplete days" in said) == bool(maturity["is_immature"].any())


def test_days_outside_the_report_are_not_shaded():
    assert not by_day(TOTALS.iloc[:2]).axes[0].patches


def test_the_axis_includes_zero_and_negative_amounts():
    below = by_day(TOTALS.assign(cost=0.0, ihc_revenue=[0.0, -5.0, 0.0]))
    assert below.axes[0].get_ylim()[0] < -5
    assert by_day(TOTALS.assign(cost=0.0, ihc_revenue=0.0), MATURITY.iloc[:0]).axes[0].get_ylim() == (0, 1)
