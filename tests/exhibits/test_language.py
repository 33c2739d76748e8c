"""Every exhibit writes its numbers and dates in the language of the house style."""

import re
import xml.etree.ElementTree as ET

import pytest
from bs4 import BeautifulSoup

import ihc

# Swedish: 1 234,5 and 12 % and 8 mars 2025.
TEXT = "{http://www.w3.org/2000/svg}text"
NAMES = re.compile(r"such as 1\.23457E\+15|\d+ to \d+%|\b100%|\d+% or less|under \d+%|up to \d+%")  # not figures
PLAIN = re.compile(r"\d\.\d|\d%|\d{4}-\d\d(?!\d)")


def texts(exhibit):
    """All that a reader sees of an exhibit."""
    yield from (exhibit.title, exhibit.text, exhibit.finding, exhibit.alt, exhibit.note)
    if exhibit.draw:
        yield from (text.text or "" for text in ET.fromstring(exhibit.picture.svg).iter(TEXT))
        yield from (text for of_mark in exhibit.picture.told.values() for text in of_mark)
    if len(exhibit.frame):
        table = BeautifulSoup(exhibit.table().to_html(), "html.parser")
        yield from (cell.text for cell in table.find_all(["td", "th"]))


@pytest.fixture
def swedish(shop, tmp_path, plain_language):
    (tmp_path / "house.toml").write_text('language = "sv"')
    return ihc.open(shop, style=tmp_path / "house.toml").report("2025-03-08", "2025-03-20", break_even_roas=2.5)


def test_no_number_and_no_date_is_written_as_in_english(swedish):
    questions = [swedish.trend(unit) for unit in ("day", "week", "month")]
    questions += [swedish.lookbacks(7, 30), swedish.without("Direct"), swedish.cohorts(), swedish.compare("linear")]
    questions += [swedish.by("campaign"), swedish.by("customers"), swedish.paths("new")]
    found = {
        (exhibit.name, match[0], text)
        for exhibit in [*swedish.exhibits, *questions]
        for text in texts(exhibit)
        if (match := PLAIN.search(NAMES.sub("", text)))
    }
    assert found == set()
    at_the_top = [swedish.headline, swedish.status, *swedish.warnings, *(point.text for point in swedish.points)]
    assert [text for text in at_the_top if PLAIN.search(text)] == []
