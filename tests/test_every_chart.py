"""What holds for each chart, whatever it shows; the test file of its module has a table for it in `CHARTS`."""

import pytest
import test_channel_charts
import test_charts
import test_completeness_charts
import test_engine_charts
import test_path_charts
import test_time_charts
from drawing import svg, texts
from pandas.testing import assert_frame_equal

from ihc import channel_charts, charts, completeness_charts, engine_charts, path_charts, time_charts

TESTED = {
    charts: test_charts.CHARTS,
    channel_charts: test_channel_charts.CHARTS,
    completeness_charts: test_completeness_charts.CHARTS,
    engine_charts: test_engine_charts.CHARTS,
    path_charts: test_path_charts.CHARTS,
    time_charts: test_time_charts.CHARTS,
}
CHARTS = {name: entry for tested in TESTED.values() for name, entry in tested.items()}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)


@pytest.mark.parametrize("module", TESTED, ids=lambda module: module.__name__)
def test_every_chart_of_a_module_is_tested(module):
    own = {name: entry for name, entry in vars(module).items() if getattr(entry, "__module__", "") == module.__name__}
    drawn = {name for name, entry in own.items() if hasattr(entry, "__wrapped__") and not name.startswith("_")}
    assert drawn - {"styled"} == set(TESTED[module])


def test_no_chart_hides_another_of_its_name():
    assert len(CHARTS) == sum(map(len, TESTED.values()))


@every_chart
def test_a_chart_without_rows_says_so(draw, frame):
    assert texts(draw(frame.iloc[:0])) == ["Nothing to show for these dates."]


@every_chart
def test_a_chart_leaves_its_table_alone_and_gives_the_same_bytes_again(draw, frame):
    before = frame.copy(deep=True)
    assert svg(draw(frame)) == svg(draw(frame))
    assert_frame_equal(frame, before)


@every_chart
def test_a_chart_is_as_wide_as_the_page_and_leaves_the_place_of_the_note(draw, frame):
    figure = draw(frame)
    assert figure.get_size_inches()[0] == charts.WIDTH
    assert not figure.get_supxlabel()
