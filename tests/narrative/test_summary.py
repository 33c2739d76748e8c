import pandas as pd
from helpers.frames import sessions

from ihc.analysis.dimension import Folding
from ihc.narrative.summary import dimension_sentence, folding_sentence, fragile, headline

VISITS = sessions([(name, "u", "2023-09-01 10:00:00", name) for name in ("Search", "Brand", "Mail")])
GROUPS = {"Search": "Paid", "Brand": "Paid"}
FEW = Folding(["c"], "other (3 channels)")
SUMMARY = pd.DataFrame(
    {"channel_name": ["c", FEW.rest, "Total"], "cost": [4.0, 6.0, 10.0], "ihc_revenue": [0.0, 100.0, 100.0]}
)


def test_the_dimension_of_the_rows_is_stated(snapshot):
    assert {
        "channels": dimension_sentence(VISITS),
        "a column": dimension_sentence(VISITS, by="campaign"),
        "groups": dimension_sentence(VISITS, groups=GROUPS),
        "groups of all": dimension_sentence(VISITS, groups=GROUPS | {"Mail": "Owned"}),
        "groups of none": dimension_sentence(VISITS, groups={}),
        "a long name": dimension_sentence(VISITS.assign(channel_name="<b>" * 100), groups={}),
    } == snapshot


def test_the_share_of_the_other_channels_is_stated(snapshot):
    assert {
        "all named": folding_sentence(Folding(["c"], ""), SUMMARY),
        "others": folding_sentence(FEW, SUMMARY),
        "no cost": folding_sentence(FEW, SUMMARY.assign(cost=0.0)),
    } == snapshot


def verdicts(*rows):
    columns = ["channel_name", "cost", "ihc_revenue", "ROAS", "verdict", "headroom"]
    return pd.DataFrame(rows, columns=columns)


def test_the_headline_covers_the_largest_amounts(snapshot):
    below = ("Generic", 700.0, 70.0, 0.1, "below", -630.0), ("Social", 200.0, 40.0, 0.2, "below", -160.0)
    above = ("Brand", 100.0, 300.0, 3.0, "above", 200.0), ("Mail", 50.0, 400.0, 8.0, "above", 350.0)
    assert {
        "one breaks even": headline(verdicts(*below, above[0])),
        "some break even": headline(verdicts(*below, *above), 2),
        "none does": headline(verdicts(*below)),
        "all do": headline(verdicts(*above)),
        "nothing spent": headline(verdicts(("Direct", 0.0, 50.0, float("nan"), "no spend", float("nan")))),
    } == snapshot


def test_a_fragile_verdict_of_a_channel_with_much_spend_is_a_priority():
    # Of spend 1,000, at least 50 is much. Robust: Generic. Inconclusive: Social. Little spend: Mail. Not tested: Radio.
    table = verdicts(
        ("Generic", 500.0, 50.0, 0.1, "below", -450.0),
        ("Brand", 200.0, 300.0, 1.5, "above", 100.0),
        ("Social", 200.0, 200.0, 1.0, "inconclusive", 0.0),
        ("Radio", 51.0, 60.0, 1.2, "above", 9.0),
        ("Mail", 49.0, 60.0, 1.2, "above", 11.0),
    )
    stressed = pd.DataFrame(
        [("Generic", 0.95), ("Brand", 0.75), ("Social", 0.5), ("Mail", 0.5)], columns=["channel_name", "holds"]
    )
    (point,) = fragile(table, stressed.assign(worlds=400))
    assert point.amount == 50  # 200 x 25 %
    assert point.text == (
        "Brand is above break-even, but only in 75% of 400 worlds with damaged tracking: check how its sessions are "
        "tracked before you move its spend of 200."
    )
