import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.analysis.break_even import ABOVE, BELOW, TOO_FEW, UNCLEAR
from ihc.formatting import shown
from ihc.narrative.break_even import break_even_sentence


def told(*rows, roas=1.0):
    """`(channel_name, cost, ihc_revenue, verdict)`."""
    table = pd.DataFrame(rows, columns=["channel_name", "cost", "ihc_revenue", "verdict"])
    return break_even_sentence(table.astype({"cost": "float64", "ihc_revenue": "float64"}), roas)


def test_the_channels_are_counted_and_named_by_verdict(snapshot):
    assert {
        "no channel": told(),
        "no cost": told(("A", 0, 5, "no spend")),
        "no channel matters": told(*((f"c{n}", 1, 2, ABOVE) for n in range(150))),
        "one": told(("A", 10, 40, ABOVE), roas=4.0),
        "none above": told(("A", 10, 30, BELOW), ("B", 10, 30, BELOW), roas=4.0),
        "no revenue": told(("A", 10, 0, BELOW), ("B", 5, 0, BELOW)),
        "all verdicts, by cost": told(
            ("A", 100, 150, ABOVE),
            ("B", 110, 150, ABOVE),
            ("C", 100, 50, BELOW),
            ("D", 100, 100, UNCLEAR),
            ("E", 100, 90, UNCLEAR),
            ("F", 100, 100, TOO_FEW),
            ("G", 1_000, 0, BELOW),
            ("free", 0, 90, "no spend"),
            ("tiny", 1, 90, ABOVE),
        ),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    text = told((name, 10, 0, BELOW))
    assert text.count(shown(name)) == 2
    assert text.isprintable()
