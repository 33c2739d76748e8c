import pandas as pd
import pytest

from ihc.quality.clocks import far_dates, far_days, far_sentence, without


@pytest.mark.parametrize(
    ("days", "is_far"),
    [
        (["2025-03-03", "0001-01-01", "2025-03-04", "9999-12-31"], [False, True, False, True]),
        # 2023-01-01 + 730 days = 2024-12-31, as 2024 has 366 days.
        (["2023-01-01", "2024-12-31"], [False, False]),
        (["2023-01-01", "2025-01-01"], [True, False]),  # of groups of one row the latest is the shop's own
        (["2010-01-01", "2010-01-01", "2025-01-01"], [False, False, True]),
        ([], []),
    ],
)
def test_days_more_than_two_years_from_those_of_most_rows_are_far(days, is_far):
    assert far_days(pd.Series(days, dtype="str")).tolist() == is_far


# Two sessions of the year 2025, one of the year 9999, and an order of each of 2025 and of the year 1.
ROWS = pd.DataFrame(
    {"date": ["2025-03-03", "2025-03-04", "9999-12-31"], "cost": [1.0, 2.0, 4.0], "ihc_revenue": [5.0, 0.0, 0.5]}
)
ORDERS = pd.DataFrame({"conv_id": ["a", "b"], "conv_date": ["0001-01-01", "2025-03-04"]})


def test_days_of_sessions_and_orders_are_checked_together():
    # By itself, the order of the year 1 would be as good as that of 2025.
    assert far_dates(ROWS["date"], ORDERS["conv_date"].iloc[:1]) == ["0001-01-01", "9999-12-31"]
    assert far_dates(ROWS["date"].iloc[:2]) == []


def test_rows_of_far_days_are_left_out():
    assert without(ORDERS, "conv_date", ["0001-01-01"])["conv_id"].tolist() == ["b"]
    assert without(ORDERS, "conv_date", []) is ORDERS


def test_the_sentence_names_the_days_and_their_amounts():
    far = far_dates(ROWS["date"], ORDERS["conv_date"])
    assert far_sentence(ROWS, ORDERS, far) == (
        "Charts and tables over time leave out 2 days that lie years apart from all others (0001-01-01 and "
        "9999-12-31): 4.00 of spend, 0.50 of attributed revenue and 1 order. All totals include them."
    )
    assert "leave out 1 day that lies years apart" in far_sentence(ROWS, ORDERS.iloc[1:], far)
    assert far_sentence(ROWS.iloc[:2], ORDERS.iloc[1:], far) == ""
