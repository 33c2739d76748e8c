import pandas as pd
from helpers.frames import conversions, costs, credits_of, sessions
from pandas.testing import assert_frame_equal

from ihc.analysis.dimension import MOST_ROWS, Folding, folding
from ihc.analysis.reporting import TOTAL, by_channel, conversion_credits, visits_of
from ihc.narrative.dimension import folding_sentence

# c earns nothing; a and b earn 60 and 40, and cost 1 and 3 of 10.
VISITS = sessions([(name, "u", "2025-01-01 10:00:00", name) for name in "abcd"])
EARNED = conversion_credits(
    VISITS, conversions([("k", "u", "2025-01-01 11:00:00", 100)]), credits_of([("k", "a", 0.6), ("k", "b", 0.4)])
)
ROWS = visits_of(VISITS, costs([("a", 1), ("b", 3), ("c", 4), ("d", 2)]), EARNED)
WHOLE = by_channel(ROWS, EARNED)
FEW = Folding(["c"], "other (3 channels)")


def test_the_first_channels_of_the_order_that_are_there_are_named():
    assert folding("dcba", "xabcd", most=2) == Folding(["a", "b"], "other (2 channels)")
    assert folding("abc", "cab", most=2) == Folding(["c", "a", "b"], "")  # a single one is no rest
    names = [f"c{number}" for number in range(2_000)]
    assert folding(names, names) == Folding(names[:MOST_ROWS], "other (1,970 channels)")


def test_the_rest_is_summed_up_behind_the_named_channels_and_before_the_total():
    found = FEW.table(WHOLE, by_channel, ROWS, EARNED, has_total=True)
    assert found["channel_name"].tolist() == ["c", "other (3 channels)", TOTAL]
    # One order, 100 of revenue for 1 + 3 + 2 of cost.
    assert found.loc[1, ["influenced_conversions", "cost", "ihc_revenue", "CPO"]].tolist() == [1, 6, 100, 6]
    assert_frame_equal(found.tail(1).reset_index(drop=True), WHOLE.tail(1).reset_index(drop=True))


def test_a_channel_called_like_the_total_is_no_total():
    rows = ROWS.assign(channel_name=[TOTAL, "b", "c", "d"])
    found = Folding([TOTAL], "other (3 channels)").table(WHOLE, by_channel, rows, EARNED.iloc[:0], has_total=True)
    assert found["channel_name"].tolist() == [TOTAL, "other (3 channels)", "Total of all channels"]
    assert found["cost"].tolist() == [1, 9, 10]


def test_without_a_rest_everything_stays_as_it_is():
    every = Folding(list("abcd"), "")
    assert every.table(WHOLE, by_channel, ROWS, EARNED, has_total=True) is WHOLE
    assert every.of(ROWS) is ROWS
    assert every.only(WHOLE) is WHOLE
    assert folding_sentence(every, WHOLE) == ""


def test_figures_that_cannot_be_summed_up_are_of_the_named_channels():
    assert FEW.only(WHOLE)["channel_name"].tolist() == ["c"]


def test_folding_leaves_the_frame_alone_and_has_its_rows():
    before = ROWS.copy(deep=True)
    assert FEW.of(ROWS)["channel_name"].tolist() == [FEW.rest, FEW.rest, "c", FEW.rest]
    assert_frame_equal(ROWS, before)
    assert FEW.of(ROWS.iloc[:0]).empty


def test_the_sentence_says_what_the_others_come_to():
    found = FEW.table(WHOLE, by_channel, ROWS, EARNED, has_total=True)
    # 6 of 10 of the cost.
    assert folding_sentence(FEW, found) == (
        "Charts and tables name the 1 channel with the most attributed revenue or cost. The others have 60% of the "
        "cost and 100% of the attributed revenue; where figures can be summed up, they are the row "
        "'other (3 channels)'. The CSV files have every channel."
    )
    free = pd.concat([found.iloc[:-1].assign(cost=0.0), found.tail(1).assign(cost=0.0)], ignore_index=True)
    assert "have 0% of the cost" in folding_sentence(FEW, free)
