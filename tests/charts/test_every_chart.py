"""Properties that every chart has."""

import pkgutil
from importlib import import_module

import pytest
from helpers.charts import CHARTS, overlapping, svg, texts
from helpers.frames import UNTRUSTED
from pandas.testing import assert_frame_equal

import ihc.charts
from ihc.charts.palette import COLOURS
from ihc.charts.style import WIDTH
from ihc.formatting import shown

STRANGE = ["", "\ufffe", "\x00", "\u202e", "\u2028", "_hidden", "😀", "ordinary"]
CHANNELS = {name: chart for name, chart in CHARTS.items() if chart.of}
every_chart = pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
every_chart_of_channels = pytest.mark.parametrize("chart", CHANNELS.values(), ids=CHANNELS)


def test_every_chart_is_tested():
    modules = [import_module(f"ihc.charts.{module.name}") for module in pkgutil.iter_modules(ihc.charts.__path__)]
    found = {name for module in modules for name in vars(module) if name.endswith("_chart")}
    assert found == set(CHARTS)


@every_chart
def test_a_chart_without_rows_is_a_sentence(chart):
    assert texts(chart.draw(chart.frame.iloc[:0])) == ["Nothing to show for these dates."]


@every_chart
def test_a_chart_does_not_change_its_table_and_is_reproducible(chart):
    before = chart.frame.copy(deep=True)
    assert svg(chart.draw(chart.frame)) == svg(chart.draw(chart.frame))
    assert_frame_equal(chart.frame, before)


@every_chart
def test_a_chart_has_the_page_width_and_space_for_the_note_and_its_texts_do_not_overlap(chart):
    figure = chart.draw(chart.frame)
    assert figure.get_size_inches()[0] == WIDTH
    assert not figure.get_supxlabel()
    assert overlapping(figure) == []


@every_chart_of_channels
@pytest.mark.parametrize("names", [UNTRUSTED, STRANGE], ids=["untrusted", "strange"])
def test_any_name_gives_valid_xml_and_is_unchanged(chart, names):
    written = " ".join(texts(chart.draw(chart.of(names))))
    assert [name for name in names if shown(name, chart.limit) not in written] == []


@every_chart_of_channels
def test_a_chart_grows_with_its_channels_and_its_texts_do_not_overlap(chart):
    most = len(COLOURS) if chart is CHARTS["transitions_chart"] else 25  # the report sums the others
    names = [f"A channel with quite a long name {number}" for number in range(most)]
    figures = [chart.draw(chart.of(names[:count])) for count in (1, 11, most)]
    assert [overlapping(figure) for figure in figures] == [[], [], []]
    assert {figure.get_size_inches()[0] for figure in figures} == {WIDTH}
    if chart is not CHARTS["revenue_by_week_chart"]:  # sums all but eleven
        assert figures[0].get_size_inches()[1] < figures[-1].get_size_inches()[1]
