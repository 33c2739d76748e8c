import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.formatting import shown
from ihc.narrative.sensitivity import engagement_sentence

HOLDER, CLOSER = "holder_engagement", "closer_engagement"


def told(*rows, flags=(HOLDER, CLOSER)):
    """`(channel_name, revenue with all closers, revenue with the last closers)`."""
    frame = pd.DataFrame(rows, columns=["channel_name", "ihc_revenue", "ihc_revenue_last_closer"])
    return engagement_sentence(
        frame.assign(difference=frame["ihc_revenue_last_closer"] - frame["ihc_revenue"]), list(flags)
    )


def test_the_sentence_states_what_is_missing_how_much_moves_and_what_to_do(snapshot):
    # 30 + 10 move from Search and Mail to Direct: 40 of 1,000.
    three = [("Search", 500.0, 470.0), ("Direct", 300.0, 340.0), ("Mail", 200.0, 190.0)]
    assert {
        "both flags": told(*three),
        "closer only": told(*three, flags=[CLOSER]),
        "a little": told(("Search", 500_000.0, 499_999.0), ("Direct", 300.0, 301.0)),
        "nothing": told(("Search", 500.0, 500.004), ("Direct", 300.0, 299.996)),
        "refunds above revenue": told(("Search", -50.0, -60.0), ("Direct", 20.0, 30.0)),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    assert f"most from {shown(name)} (-5.00) to Direct" in told((name, 10.0, 5.0), ("Direct", 10.0, 15.0))
