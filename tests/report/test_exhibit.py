"""Exhibit: table, text and chart."""

from functools import partial

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from helpers.frames import UNTRUSTED

from ihc.charts.channels import bars_chart
from ihc.report.exhibit import Exhibit, first_sentence
from ihc.report.tables import table

FRAME = pd.DataFrame({"channel_name": ["Search", "Mail"], "cost": [100.25, 3.0]})
LONG = pd.DataFrame({"cost": range(40)})


def exhibit(frame=FRAME, **more):
    return Exhibit("spend", "Spend", frame, text="Spend is 103.25. Most is Search.", **more)


@pytest.fixture
def charted():
    return exhibit(draw=partial(bars_chart, FRAME, "channel_name", "cost"))


def test_an_exhibit_shows_title_text_chart_and_table(charted):
    page = BeautifulSoup(charted._repr_html_(), "html.parser")
    assert page.h3.text == "Spend"
    assert page.p.text == "Spend is 103.25. Most is Search."
    assert page.img["alt"] == "Spend. Spend is 103.25. Most is Search."
    assert [cell.text for cell in page.find_all("td")] == ["Search", "100.25", "Mail", "3.00"]
    assert "Spend is 103.25" in repr(charted)


def test_an_exhibit_without_chart_or_rows_shows_its_text():
    page = BeautifulSoup(exhibit(FRAME.iloc[:0])._repr_html_(), "html.parser")
    assert page.find(["img", "table"]) is None
    with pytest.raises(ValueError, match=r"The exhibit 'spend' has no chart\. Use \.frame for its table"):
        exhibit().plot()


@pytest.mark.parametrize("shown", [None, lambda: table(LONG.head(15))])
def test_a_shortened_table_says_how_many_rows_there_are(shown):
    page = BeautifulSoup(exhibit(LONG, shown=shown)._repr_html_(), "html.parser")
    assert len(page.find_all("td")) == 15
    assert page.find_all("p")[-1].text == "15 of 40 rows shown. Use .frame for all rows."


def test_a_notebook_displays_the_chart(charted):
    assert charted.plot()._repr_png_().startswith(b"\x89PNG")


def test_the_chart_can_replace_axes_of_an_existing_figure(charted, tmp_path):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    left.plot([1, 2])
    charted.plot(ax=right)
    assert right not in figure.axes
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "100.25" in texts
    figure.savefig(tmp_path / "both.png")
    plt.close(figure)
    with pytest.raises(ValueError, match="ax must be part of a grid"):
        charted.plot(ax=plt.figure().add_axes((0, 0, 1, 1)))
    plt.close("all")


@pytest.mark.parametrize("name", UNTRUSTED)
def test_names_from_the_data_are_text(name):
    frame = FRAME.assign(channel_name=[name, "Mail"])
    shown = Exhibit(
        "spend", f"Spend of {name}", frame, text=name, draw=partial(bars_chart, frame, "channel_name", "cost")
    )
    page = BeautifulSoup(shown._repr_html_(), "html.parser")
    assert page.find("script") is None
    assert len(page.find_all("img")) == 1


def test_the_first_sentence_is_the_title():
    assert first_sentence("Spend is 103.25. Most is Search.") == "Spend is 103.25"
    assert first_sentence("All is well.") == "All is well"
