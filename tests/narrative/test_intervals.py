import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.formatting import shown
from ihc.narrative.channels import intervals_sentence


def told(*channels, orders=60, roas=(4.0, 8.0, 12.0)):
    """In: `(channel_name, is_thin)`. The shop has 1,234 of attributed revenue (1,100 to 1,300)."""
    summary = pd.DataFrame({"channel_name": [*(name for name, _ in channels), "Total"]})
    summary = summary.assign(influenced_conversions=orders, ihc_revenue=1_234.0, ROAS=roas[1])
    bounds = {"ihc_revenue_low": 1_100.0, "ihc_revenue_high": 1_300.0, "ROAS_low": roas[0], "ROAS_high": roas[2]}
    thin = [*(is_thin for _, is_thin in channels), False]
    return intervals_sentence(summary, summary[["channel_name"]].assign(**bounds, is_thin=thin))


def test_the_sentence_states_the_interval_of_the_total_and_channels_with_few_orders(snapshot):
    assert {
        "no order": told(orders=0),
        "one order": told(("A", True), orders=1),
        "no cost": told(("A", False), roas=(float("nan"),) * 3),
        "none thin": told(("A", False), ("B", False)),
        "one thin": told(("A", True), ("B", False)),
        "many thin": told(*((name, True) for name in "ABCDEFG")),
    } == snapshot


@pytest.mark.parametrize("name", UNTRUSTED)
def test_channel_names_are_printed_on_one_line(name):
    assert shown(name) in told((name, True))
    assert told((name, True)).isprintable()
