import pandas as pd
from helpers.frames import sessions

from ihc.analysis.dimension import Folding
from ihc.narrative.summary import dimension_sentence, folding_sentence

VISITS = sessions([(name, "u", "2023-09-01 10:00:00", name) for name in ("Search", "Brand", "Mail")])
GROUPS = {"Search": "Paid", "Brand": "Paid"}
FEW = Folding(["c"], "other (3 channels)")
SUMMARY = pd.DataFrame(
    {"channel_name": ["c", FEW.rest, "Total"], "cost": [4.0, 6.0, 10.0], "ihc_revenue": [0.0, 100.0, 100.0]}
)


def test_what_the_rows_stand_for_is_told(snapshot):
    assert {
        "channels": dimension_sentence(VISITS),
        "a column": dimension_sentence(VISITS, by="campaign"),
        "groups": dimension_sentence(VISITS, groups=GROUPS),
        "groups of all": dimension_sentence(VISITS, groups=GROUPS | {"Mail": "Owned"}),
        "groups of none": dimension_sentence(VISITS, groups={}),
        "a long name": dimension_sentence(VISITS.assign(channel_name="<b>" * 100), groups={}),
    } == snapshot


def test_what_the_others_come_to_is_told(snapshot):
    assert {
        "all named": folding_sentence(Folding(["c"], ""), SUMMARY),
        "others": folding_sentence(FEW, SUMMARY),
        "no cost": folding_sentence(FEW, SUMMARY.assign(cost=0.0)),
    } == snapshot
