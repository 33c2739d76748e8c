from helpers.frames import conversions, costs, credits_of, outcomes, refunds, sessions
from pandas.testing import assert_frame_equal

from ihc.analysis.channels import by_channel_and_type, by_type
from ihc.analysis.reporting import channel_summary, conversion_credits
from ihc.glossary import GLOSSARY, HEADINGS

VISITS = sessions([("a", "u", "2023-09-01 09:00:00", "Search"), ("b", "u", "2023-09-01 09:30:00", "Mail")])
ORDERS = refunds(
    [
        ("k1", "u", "2023-09-01 10:00:00", 0.0, None),
        ("k2", "u", "2023-09-02 10:00:00", 80.0, None),
        ("k3", "v", "2023-09-03 10:00:00", 30.0, None),
        ("back", "u", "2023-09-04 10:00:00", -20.0, "k2"),
    ]
).assign(conversion_type=["lead", "purchase", "purchase", None])
CREDITS = credits_of(
    [("k1", "a", 0.5), ("k1", "b", 0.5), ("k2", "a", 0.25), ("k2", "b", 0.75), ("back", "a", 0.25), ("back", "b", 0.75)]
)
ENDS = outcomes([("k1", "credited"), ("k2", "credited"), ("k3", "unattributed"), ("back", "credited")])
EARNED = conversion_credits(VISITS, ORDERS, CREDITS)


def test_orders_and_credit_are_summed_by_type_with_a_total():
    found = by_type(ORDERS, ORDERS, ENDS, EARNED)
    # purchase: 80 + 30 - 20 = 90 of revenue, of which 80 - 20 = 60 is attributed.
    assert found.to_numpy().tolist() == [
        ["purchase", 2, 1, 90.0, 1.0, 60.0],
        ["lead", 1, 0, 0.0, 1.0, 0.0],
        ["Total", 3, 1, 90.0, 2.0, 60.0],
    ]
    assert {*found} <= {*GLOSSARY, *HEADINGS}


def test_attributed_figures_add_up_to_those_of_the_channels():
    found = by_channel_and_type(ORDERS, EARNED)
    # Search: 0.25 of 80 - 20 is 15; Mail: 0.75 of it is 45.
    assert found.to_numpy().tolist() == [
        ["Mail", "lead", 0.5, 0.0],
        ["Mail", "purchase", 0.75, 45.0],
        ["Search", "lead", 0.5, 0.0],
        ["Search", "purchase", 0.25, 15.0],
    ]
    summary = channel_summary(VISITS, ORDERS, costs([]), CREDITS).set_index("channel_name")
    sums = found.groupby("channel_name")[["ihc", "ihc_revenue"]].sum()
    assert_frame_equal(sums, summary.loc[["Mail", "Search"], ["ihc", "ihc_revenue"]], check_names=False)


def test_a_type_with_credit_but_no_order_on_the_dates_and_a_table_without_orders():
    found = by_type(ORDERS, ORDERS.iloc[2:3], ENDS, EARNED)
    assert found["conversion_type"].tolist() == ["purchase", "lead", "Total"]
    assert found["orders"].tolist() == [1, 0, 1]
    empty = by_type(conversions(), conversions(), ENDS.iloc[:0], EARNED.iloc[:0])
    assert empty.to_numpy().tolist() == [["Total", 0, 0, 0.0, 0.0, 0.0]]
