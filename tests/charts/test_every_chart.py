"""What holds for each chart, whatever it shows; the test file of its module has a table for it in `CHARTS`."""

import pytest
from helpers.drawing import svg, texts
from pandas.testing import assert_frame_equal

from ihc.charts import channels, completeness, engine, maturity, models, paths, periods
from ihc.charts.style import WIDTH
from tests.charts import test_channels, test_completeness, test_engine, test_paths, test_periods, test_style

TESTED = [test_style, test_channels, test_completeness, test_engine, test_paths, test_periods]
MODULES = [channels, completeness, engine, maturity, models, paths, periods]
CHARTS = {name: entry for tested in TESTED for name, entry in tested.CHARTS.items()}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)


def drawn_by(module):
    own = {name: entry for name, entry in vars(module).items() if getattr(entry, "__module__", "") == module.__name__}
    return {name for name, entry in own.items() if hasattr(entry, "__wrapped__") and not name.startswith("_")}


def test_every_chart_is_tested():
    assert set().union(*map(drawn_by, MODULES)) == set(CHARTS)


def test_no_chart_hides_another_of_its_name():
    assert len(CHARTS) == sum(len(tested.CHARTS) for tested in TESTED)


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
    assert figure.get_size_inches()[0] == WIDTH
    assert not figure.get_supxlabel()
