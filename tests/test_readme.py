"""The README: short, in order, and with links that lead somewhere. Its examples run in test_docs.py."""

import re

import pytest
from helpers.commands import ROOT

README = (ROOT / "README.md").read_text("utf-8")
PARTS = [
    "Two commands",
    "Your own data",
    "Step through the notebooks",
    "Read the report",
    "Schedule it",
    "The API or the local engine",
    "Ten lines of library",
    "Comparison and limits",
    "License",
]


def test_it_is_short():
    assert len(README.splitlines()) <= 200
    assert len(README.split()) <= 1_300


def test_its_parts_are_in_the_order_in_which_a_newcomer_needs_them():
    introduction, *_ = README.split("\n## ")
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == PARTS
    assert "](fixtures/report.png)" in introduction


@pytest.mark.parametrize("part", PARTS[:-1])
def test_each_part_leads_to_a_page_of_the_site(part):
    text = README.split(f"\n## {part}\n")[1].split("\n## ")[0]
    assert re.search(r"\]\(docs/[\w/-]+\.md\)", text)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_and_pictures_exist(name):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
