"""The report: what is on the page, without a browser and in a real one."""

import re
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup

from ihc.outputs import read_csv

WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def page(finished):
    assert finished.code == 0, finished.err
    return BeautifulSoup((finished.output / "report.html").read_text("utf-8"), "html.parser")


def test_the_page_has_title_language_and_policy(page):
    assert page.title.text == "Channel report"
    assert page.html["lang"] == "en"
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_nothing_on_the_page_loads_from_elsewhere_or_runs(page):
    assert page.find_all(["script", "link", "iframe", "object", "embed"]) == []
    sources = [tag[name] for name in ("src", "href") for tag in page.find_all(attrs={name: True})]
    assert [source for source in sources if not source.startswith(("data:image/svg+xml;base64,", "#"))] == []
    assert re.findall(r"@import|url\(", str(page.style)) == []


def test_headings_are_in_order_and_there_is_one_title(page):
    levels = [int(tag.name[1]) for tag in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_chart_has_an_alternative_text_that_says_something(page):
    texts = [image["alt"] for image in page.find_all("img")]
    assert len(texts) == 9
    assert min(map(len, texts)) > 40


def test_no_code_is_shown(page):
    text = page.get_text()
    assert "import " not in text
    assert "load_settings" not in text
    assert page.find_all("pre") == []


def test_the_page_holds_the_parts_of_the_four_notebooks(page):
    assert [tag.text for tag in page.find_all("h2")] == [
        "At a glance",
        "Does it add up?",
        "Channels",
        "Over time",
        "Data quality",
        "Does the model matter?",
        "What the engine knows",
        "Definitions",
        "Files",
    ]


def test_the_page_says_which_engine_and_parameters_made_it(page):
    assert re.search(r"local engine with parameters default \([0-9a-f]{12}\)", page.get_text())


def test_the_table_of_channels_shows_the_figures_of_the_csv(page, finished):
    summary = read_csv(finished.output / "channel_summary.csv")
    table = next(table for table in page.find_all("table") if "Influenced orders" in table.get_text())
    rows = [[cell.text.strip() for cell in row.find_all("td")] for row in table.tbody.find_all("tr")]
    assert [row[0] for row in rows] == summary["channel_name"].tolist()
    assert [row[5] for row in rows] == [f"{value:,.2f}" for value in summary["ihc_revenue"]]
    assert [row[9] for row in rows] == ["" if value != value else f"{value:,.2f}" for value in summary["ROAS"]]


def test_every_column_heading_of_a_table_says_that_it_is_one(page):
    headings = page.find_all("th")
    assert len(headings) > 20
    assert {heading.get("scope") for heading in headings} == {"col"}


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_no_request_leaves_the_page_in_a_real_browser(chromium, finished, width):
    context = chromium.new_context(viewport={"width": width, "height": 900}, offline=True)
    tab = context.new_page()
    requests, complaints = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto((finished.output / "report.html").as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [(finished.output / "report.html").as_uri()]
    assert complaints == []
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.slow
def test_charts_fit_on_the_printed_page(chromium, finished, tmp_path):
    tab = chromium.new_page()
    tab.goto((finished.output / "report.html").as_uri())
    tab.emulate_media(media="print")
    heights = tab.evaluate("[...document.images].map(image => image.getBoundingClientRect().height)")
    assert max(heights) < 1000  # an A4 page is 1122 pixels high, less its margins
    tab.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    tab.close()
