"""Phrases that read like a translation stay out of what people read: code, notebooks, page, documentation."""

import re

import pytest
from helpers.commands import ROOT

PLACES = ("ihc/**/*.py", "ihc/resources/page/*", "notebooks/*.ipynb", "docs/**/*.md", "*.md", ".env.example")
PHRASES = {
    "a row a channel": r"\ba (row|bar|line|column|cell|file|sheet|chart|task|panel|dot|test) an? \w+",
    "parted by": r"\b(parted|foretell|foretold|lonely)\b",
    "bears credit": r"\bbears?\b (no |any )?(credit|it)",
    "stands at sessions": r"\bstands? at\b",
    "whom the API is asked for": r"\bwhom\b",
    "for want of": r"\bfor want of\b|\bin vain\b",
    "Tried were": r"^\W*(Tried|Shown|Counted) (were|is|are)\b",
    "as others come by chance": r"\b(come|came) by chance\b",
    "what is to be known": r"\b(is|are) to be known\b",
    "still arriving": r"\bstill (to come|arriving)\b",
    "a long silence": r"\ba long silence\b",
    "an order is asked again": r"\b(is|are) asked (again|for)\b|\basks? twice\b",
    "packages on floors": r"\bon (one |lower |the same )?floors?\b",
    "by money": r"\bby money\b",
    "spend returns revenue": r"\bspend returns\b",
}
FILES = sorted({path for place in PLACES for path in ROOT.glob(place) if path.is_file()})


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_that_reads_like_a_translation_is_nowhere(phrase):
    pattern = re.compile(PHRASES[phrase], re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []
