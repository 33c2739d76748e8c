import pytest
from matplotlib.figure import Figure

from ihc.charts import marks


def test_labels_of_series_do_not_overlap_and_stay_below_the_top():
    assert marks._apart([0.2, 0.5], 0.1) == [0.2, 0.5]
    assert marks._apart([0.2, 0.2, 0.25], 0.1) == pytest.approx([0.2, 0.3, 0.4])
    assert marks._apart([0.95, 0.98, 1.0], 0.1) == pytest.approx([0.8, 0.9, 1.0])


@pytest.mark.parametrize(
    ("amount", "written"), [(-0.0, "0"), (0.5, "0.5"), (12_345.0, "12,345"), (2.5e6, "2.5 M"), (-1e6, "-1 M")]
)
def test_ticks_of_amounts_are_short_and_exact(amount, written):
    assert marks.AMOUNTS(amount) == written


@pytest.mark.parametrize(("share", "written"), [(0.0, "0%"), (0.025, "2.5%"), (1.0, "100%"), (1.2, "")])
def test_ticks_of_shares_have_the_digits_they_need_and_end_at_100_percent(share, written):
    assert marks.UP_TO_ALL(share) == written


@pytest.mark.parametrize(("amount", "written"), [(949.6, "950"), (28_066.0, "28.1k"), (-1.25e6, "-1.2M")])
def test_an_amount_in_a_cell_is_short(amount, written):
    assert marks.short(amount) == written


def test_a_log_scale_includes_0_and_has_no_ticks_outside_the_axes():
    axes = Figure().add_subplot()
    marks.power_scale(axes.yaxis)
    axes.set_ylim(0, 1_000)
    ticks = [axes.yaxis.get_major_formatter()(tick) for tick in axes.get_yticks()]
    assert ticks == ["0", "0.1", "1", "10", "100", "1,000"]
