import pandas as pd

from ihc.far_days import far_days


def marks(*days):
    return far_days(pd.Series(list(days), dtype="str")).tolist()


def test_a_default_date_and_a_typing_error_in_the_year_are_far():
    days = ("2025-03-03", "0001-01-01", "2025-03-04", "9999-12-31", "2025-03-03")
    assert marks(*days) == [False, True, False, True, False]


def test_a_break_of_two_years_is_not_far_and_one_day_more_is():
    # 2023-01-01 + 730 days = 2024-12-31, as 2024 has 366 days.
    assert marks("2023-01-01", "2024-12-31") == [False, False]
    assert marks("2023-01-01", "2025-01-01") == [True, False]  # of groups of one row the latest is the shop's own


def test_the_group_with_most_rows_is_the_shops_own_wherever_it_lies():
    assert marks("2010-01-01", "2010-01-01", "2025-01-01") == [False, False, True]


def test_no_row_is_no_far_day():
    assert marks() == []
