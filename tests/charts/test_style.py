import pandas as pd
import pytest
from helpers.drawing import renamed, texts
from helpers.frames import UNTRUSTED

from ihc.charts.channels import cost_against_revenue
from ihc.charts.models import models_by_channel
from ihc.charts.paths import conversions_by_class
from ihc.charts.style import WIDTH
from ihc.formatting import shown

SUMMARY = pd.DataFrame(
    {
        "channel_name": ["Search", "Mail", "Social"],
        "cost": [100.0, 10.0, 50.0],
        "ihc_revenue": [250.0, 10.0, 5.0],
        "ROAS": [2.5, 1.0, 0.1],
        "share_of_cost": [0.6, 0.1, 0.3],
        "share_of_credit": [0.7, 0.2, 0.1],
    }
)
CLASSES = pd.DataFrame({"length": ["1", "2", "3+"], "orders": [1_200, 0, 300], "share": [0.8, 0.0, 0.2]})

RELATIVE = pd.DataFrame(
    {"channel_name": ["Search", "Mail"], "IHC": [28_066.0, 950.0], "First touch": [0.123, -0.5], "Linear": [0.0, 20.0]}
)


def by_class(classes):
    return conversions_by_class(classes, classes.columns[0], "sessions in the journey")


CHARTS = {
    "cost_against_revenue": (cost_against_revenue, SUMMARY),
    "conversions_by_class": (by_class, CLASSES),
    "models_by_channel": (models_by_channel, RELATIVE),
}
every_chart = pytest.mark.parametrize(("draw", "frame"), CHARTS.values(), ids=CHARTS)


@every_chart
def test_any_name_makes_valid_xml_and_stands_in_it_as_it_is(draw, frame):
    said = texts(draw(renamed(frame, UNTRUSTED)))
    cut = 22 if frame is RELATIVE else 26
    assert {shown(name, cut) for name in UNTRUSTED} <= set(said)
    assert "$x_1$" in said


@every_chart
@pytest.mark.parametrize("name", ["", "\ufffe", "\uffff", "\x00", "\u202e", "\u2028", "_hidden", "😀"])
def test_a_strange_name_makes_valid_xml(draw, frame, name, recwarn):
    assert "ordinary" in texts(draw(renamed(frame, [name, "ordinary"])))


@every_chart
def test_a_chart_is_as_wide_as_the_page_and_grows_with_its_rows(draw, frame):
    few, many = draw(renamed(frame, ["A"])), draw(renamed(frame, [f"channel {number}" for number in range(12)]))
    assert few.get_size_inches()[0] == many.get_size_inches()[0] == WIDTH
    assert few.get_size_inches()[1] < many.get_size_inches()[1]


def bars(figure):
    return [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]


def test_cost_and_revenue_are_two_bars_a_channel():
    assert [width for _, width in bars(cost_against_revenue(SUMMARY))] == [100, 10, 50, 250, 10, 5]


def test_without_any_amount_the_axis_is_one_of_amounts():
    figure = cost_against_revenue(pd.DataFrame({"channel_name": ["A"], "cost": [0.0], "ihc_revenue": [0.0]}))
    assert figure.axes[0].get_xlim() == (0, 1)


def test_classes_are_bars_with_their_orders_and_share():
    figure = by_class(CLASSES)
    assert [width for _, width in bars(figure)] == [1_200, 0, 300]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1,200 (80%)", "0", "300 (20%)"]


def test_models_are_columns_of_differences_beside_the_first_in_money():
    said = texts(models_by_channel(RELATIVE))
    assert [text for text in said if text in ("IHC, revenue", "First touch", "Linear")] == said[:3]
    for text in ("28.1k", "950", "+12", "-50", "0", ">+999", "% more or less than under IHC"):
        assert text in said


@pytest.mark.parametrize(
    ("revenue", "share", "written"),
    [
        (0.0, float("nan"), ["0", "–"]),
        (-1_250.0, -11.0, ["-1.2k", "<-999"]),
        (2.5e6, -0.001, ["2.5M", "0"]),
        (1e12, 0.006, ["1,000.0G", "+1"]),
    ],
)
def test_any_amount_and_any_difference_fit_into_a_cell(revenue, share, written):
    figure = models_by_channel(pd.DataFrame({"channel_name": ["A"], "IHC": [revenue], "First": [share]}))
    assert [text.get_text() for text in figure.axes[0].texts] == written


def test_no_model_is_left_out_however_many_there_are():
    names = [f"model {number}" for number in range(12)]
    figure = models_by_channel(pd.DataFrame({"channel_name": ["A"]} | {name: [1.0] for name in names}))
    assert texts(figure)[:12] == ["model 0, revenue", *names[1:]]
