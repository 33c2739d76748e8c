import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.formatting import shown
from ihc.narrative.channels import phases_sentence
from ihc.schemas.tables import PHASES

NAN = float("nan")
THREE = (("A", 90, 0.6, 0.2, 0.2), ("B", 60, 0.2, 0.3, 0.5), ("C", 30, 0.4, 0.4, 0.2))


def told(*rows):
    """`(channel_name, ihc, initializer, holder, closer)`."""
    return phases_sentence(pd.DataFrame(rows, columns=["channel_name", "ihc", *PHASES]))


def test_the_highest_initializer_and_closer_shares_are_named(snapshot):
    assert {
        "no order": told(),
        "no phases": told(("A", 99, NAN, NAN, NAN)),
        "few orders": told(("A", 29.9, 0.5, 0.0, 0.5)),
        "one, to a rounding": told(("A", 30 - 1e-9, 0.5, 0.2, 0.3), ("B", 29, 1.0, 0.0, 0.0)),
        # Means: (0.6 + 0.2 + 0.4) / 3 = 0.4 and (0.2 + 0.5 + 0.2) / 3 = 0.3; B2 is too small to lead.
        "two lead": told(*THREE, ("B2", 1, 0, 0, 1)),
        "one leads in both": told(("A", 90, 0.5, 0.0, 0.5), ("B", 60, 0.3, 0.4, 0.3)),
        "none starts most": told(("A", 90, 0.5, 0.1, 0.4), ("B", 60, 0.5, 0.3, 0.2)),
        "alike as printed": told(("A", 90, 0.5, 0.1, 0.4), ("B", 60, 0.501, 0.1, 0.399)),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    for others in ([], [("B", 60, 0.3, 0.4, 0.3)], [("B", 60, 0.3, 0.1, 0.6)]):
        text = told((name, 90, 0.5, 0.0, 0.5), *others)
        assert shown(name) in text
        assert text.isprintable()
