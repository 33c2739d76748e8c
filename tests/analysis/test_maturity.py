import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, conversions, outcomes, sessions, shops, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.maturity import (
    arrival,
    complete_span,
    credit_by_lag,
    immature_from,
    lookback_of_credit,
    lookback_of_first_orders,
    maturity,
)
from ihc.analysis.reporting import conversion_credits
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.journeys.build import build_journeys, find_spans
from ihc.models.heuristics import linear


def shop(*rows):
    """`(day of September, lag, credit)`: the credits, with one order each."""
    earned = [(f"k{number}", f"2023-09-{day:02d}", credit) for number, (day, _, credit) in enumerate(rows)]
    orders = [
        (f"k{number}", "u", f"2023-09-{day + lag:02d} 12:00:00", 1.0) for number, (day, lag, _) in enumerate(rows)
    ]
    frame = pd.DataFrame(earned, columns=["conv_id", "date", "ihc"])
    return frame.astype({"conv_id": "str", "date": "str", "ihc": "float64"}), conversions(orders)


# One row per credit: lags 0, 1 and 2 on day 1, 0 and 1 on day 2, 0 on day 3.
TRIANGLE = ((1, 0, 6), (1, 1, 2), (1, 2, 2), (2, 0, 9), (2, 1, 3), (3, 0, 5))


def days(*rows):
    """`(date, ihc, ihc_revenue)`."""
    return pd.DataFrame(rows, columns=["date", "ihc", "ihc_revenue"]).astype({"date": "str"})


def arrivals(*shares):
    return pd.DataFrame({"age": range(len(shares)), "arrived": np.array(shares, dtype="float64")})


def test_credit_is_summed_by_lag_without_gaps():
    # 10 orders: 4 of lag 0, 1 of lag 1, none of lag 2, 5 of lag 3.
    # A session without credit and one whose order is missing do not count.
    earned, orders = shop((1, 0, 3), (2, 0, 1), (1, 1, 1), (1, 3, 5), (1, 5, 0), (1, 9, 1))
    found = credit_by_lag(earned, orders.iloc[:-1])
    assert found["lag"].tolist() == [0, 1, 2, 3]
    assert found["ihc"].tolist() == [4, 1, 0, 5]
    assert found["share"].tolist() == [0.4, 0.1, 0, 0.5]
    assert found["cumulated"].tolist() == [0.4, 0.5, 0.5, 1]


@pytest.mark.parametrize(("day", "lags"), [("2023-09-01", [0, 1]), ("2023-09-05", [0])])
def test_lags_are_calendar_days_and_never_negative(day, lags):
    earned = pd.DataFrame({"conv_id": ["k"], "date": [day], "ihc": [1.0]})
    assert credit_by_lag(earned, conversions([("k", "u", "2023-09-02 00:00:01", 1.0)]))["lag"].tolist() == lags


def test_without_credit_there_is_no_lag_and_one_day_gives_no_estimate():
    for rows in ((), ((1, 0, 0),)):
        assert credit_by_lag(*shop(*rows)).empty
        assert arrival(*shop(*rows), last_day="2023-09-05").empty
    assert arrival(*shop((1, 0, 6)), last_day="2023-09-01").empty


def test_columns_that_are_missing_are_named():
    earned, orders = shop(*TRIANGLE)
    with pytest.raises(InputError, match="Earned lacks the column 'date'"):
        credit_by_lag(earned.drop(columns="date"), orders)
    with pytest.raises(InputError, match="Conversions lacks the column 'conv_date'"):
        arrival(earned, orders.drop(columns="conv_date"), last_day="2023-09-03")
    with pytest.raises(InputError, match="Daily lacks the column 'ihc_revenue'"):
        maturity(days().drop(columns="ihc_revenue"), arrivals(1), last_day="2023-09-03")


def test_the_chain_ladder_calculated_by_hand():
    # Credit up to the lag:   0   1   2
    #   day 1                 6   8  10
    #   day 2                 9  12
    #   day 3                 5
    # f_1 = (8 + 12) / (6 + 9) = 4/3, f_2 = 10/8 = 5/4: arrived(1) = 4/5, arrived(0) = 4/5 x 3/4 = 3/5.
    found = arrival(*shop(*TRIANGLE), last_day="2023-09-03")
    assert found["age"].tolist() == [0, 1, 2]
    assert found["arrived"].tolist() == pytest.approx([0.6, 0.8, 1.0])


def test_sessions_before_the_first_day_of_orders_are_left_out():
    earned, orders = shop((1, 5, 40), *((day + 5, lag, credit) for day, lag, credit in TRIANGLE))
    found = arrival(earned, orders, last_day="2023-09-08")
    assert found["arrived"].tolist() == pytest.approx([0.6, 0.8, 1.0])
    # With a later first day, only day 7 is used: 9 of 12 arrive at once.
    found = arrival(earned, orders, last_day="2023-09-08", first_day="2023-09-07")
    assert found["arrived"].tolist() == pytest.approx([0.75, 1.0])


def test_without_credit_at_lag_0_nothing_has_arrived_at_age_0():
    found = arrival(*shop((1, 2, 1), (2, 2, 1)), last_day="2023-09-05", first_day="2023-09-01")
    assert found["arrived"].tolist() == [0, 0, 1, 1, 1]
    table = maturity(days(("2023-09-05", 0.0, 0.0)), found, last_day="2023-09-05")
    assert table[["still_to_come", "is_immature"]].to_numpy().tolist() == [[1, True]]
    assert np.isnan(table["ihc_expected"].iloc[0])


triangles = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 8), st.integers(0, 50).map(lambda tenths: tenths / 10)), max_size=30
)


@FEW
@given(triangles)
def test_the_estimate_equals_the_chain_ladder_of_the_full_triangle(rows):
    last = 14
    found = arrival(*shop(*rows), last_day=f"2023-09-{last}", first_day="2023-09-01")
    credit = np.zeros((last + 1, last))
    for day, lag, amount in rows:
        if day + lag <= last:
            credit[day, lag] += amount
    upto = credit.cumsum(axis=1)
    used = [day for day in range(1, last + 1) if credit[day].any()]
    oldest = last - min(used, default=last)
    expected = [1.0]
    for age in range(oldest, 0, -1):
        old = [day for day in range(1, last + 1) if last - day >= age]
        after, before = upto[old, age].sum(), upto[old, age - 1].sum()
        expected.insert(0, expected[0] * (before / after if after else 1.0))
    assert found["arrived"].tolist() == pytest.approx(expected if oldest else [])


@FEW
@given(shops(), st.integers(0, 99))
def test_shares_rise_to_one_and_the_order_of_rows_does_not_matter(tables, seed):
    journeys = build_journeys(tables.sessions, tables.conversions)
    earned = conversion_credits(tables.sessions, tables.conversions, linear(journeys))
    lags = credit_by_lag(earned, tables.conversions)
    found = arrival(earned, tables.conversions, last_day="2023-09-05")
    for shares in (lags["cumulated"], found["arrived"]):
        assert shares.is_monotonic_increasing
        assert shares.between(0, 1 + 1e-12).all()
        assert shares.iloc[-1:].tolist() == pytest.approx([1] * bool(len(shares)))
    assert lags["ihc"].sum() == pytest.approx(earned["ihc"].sum())
    mixed = shuffled(earned, seed), shuffled(tables.conversions, seed)
    assert_frame_equal(credit_by_lag(*mixed), lags)
    assert_frame_equal(arrival(*mixed, last_day="2023-09-05"), found)

    table = maturity(earned, found, last_day="2023-09-05")
    assert table["date"].tolist() == sorted(earned["date"].unique())
    assert table["ihc"].sum() == pytest.approx(earned["ihc"].sum())
    assert (table["ihc_expected"].dropna() >= table["ihc"][table["ihc_expected"].notna()] - 1e-9).all()


def test_maturity_sums_channels_per_day_and_extrapolates():
    daily = days(("2023-09-02", 3.0, 30.0), ("2023-09-03", 6.0, 60.0), ("2023-09-02", 1.0, 10.0))
    table = maturity(daily, arrivals(0.6, 0.8, 1.0), last_day="2023-09-03")
    # 4 / 0.8 = 5 and 6 / 0.6 = 10.
    assert table["date"].tolist() == ["2023-09-02", "2023-09-03"]
    assert table["age"].tolist() == [1, 0]
    assert table["arrived"].tolist() == [0.8, 0.6]
    assert table["still_to_come"].tolist() == pytest.approx([0.2, 0.4])
    assert table["ihc_expected"].tolist() == pytest.approx([5, 10])
    assert table["ihc_revenue_expected"].tolist() == pytest.approx([50, 100])
    assert table["is_immature"].tolist() == [True, True]
    assert {*table, *arrivals(), *credit_by_lag(*shop(*TRIANGLE))} <= {*GLOSSARY, *HEADINGS}


def test_days_older_than_the_estimate_covers_are_complete():
    table = maturity(days(("2023-08-01", 1.0, 10.0)), arrivals(0.6, 1.0), last_day="2023-09-03")
    assert table[["age", "arrived", "is_immature"]].to_numpy().tolist() == [[33, 1, False]]


@pytest.mark.parametrize(("arrived", "is_immature"), [(0.949, True), (0.95, False), (0.951, False)])
def test_a_day_exactly_at_the_threshold_is_complete(arrived, is_immature):
    table = maturity(days(("2023-09-03", 1.0, 1.0)), arrivals(arrived, 1.0), last_day="2023-09-03")
    assert table["is_immature"].tolist() == [is_immature]


def test_days_after_the_last_day_are_incomplete_without_an_estimate():
    table = maturity(days(("2023-09-03", 1.0, 1.0), ("2023-09-04", 1.0, 1.0)), arrivals(1, 1), last_day="2023-09-03")
    assert table["is_immature"].tolist() == [False, True]
    assert table.loc[1, ["age", "arrived", "still_to_come", "ihc_expected"]].isna().all()
    assert immature_from(table) == "2023-09-04"


def test_without_an_estimate_no_day_is_incomplete():
    table = maturity(days(("2023-09-03", 1.0, 1.0)), arrivals(), last_day="2023-09-03")
    assert table["arrived"].isna().all()
    assert immature_from(table) is None
    assert maturity(days(), arrivals(), last_day="2023-09-03").empty


# Of the 5th there are two.
ORDERS = conversions([(f"k{n}", "u", f"2023-09-0{min(n, 5)} 12:00:00", 1.0) for n in range(1, 7)])


@pytest.mark.parametrize(
    ("ended", "span"),
    [
        (("credited",) * 6, ("2023-09-01", "2023-09-05")),
        (("credited",) * 5, ("2023-09-01", "2023-09-04")),
        (("credited", "unattributed", "failed", "waiting", "waiting"), ("2023-09-01", "2023-09-03")),
        (("waiting", "waiting", "credited", "credited", "credited", "failed"), ("2023-09-03", "2023-09-05")),
        (("credited", "waiting", "credited", "credited"), ("2023-09-03", "2023-09-04")),
        (("waiting",) * 5, None),
        ((), None),
    ],
)
def test_the_span_is_the_latest_run_of_days_with_only_ended_orders(ended, span):
    assert complete_span(ORDERS, outcomes([(f"k{day}", how) for day, how in enumerate(ended, start=1)])) == span
    assert complete_span(conversions(), outcomes()) is None


@pytest.mark.parametrize(
    ("credits", "days"),
    [
        ([60, 0, 35, 0, 5], 3),  # 95 of 100 by lag 2, which is less than 3 days of 24 hours
        ([60, 0, 34, 1, 5], 4),
        ([96, 4], 1),
        ([60, 0, 40], None),  # the window would keep everything
        ([100], None),
        ([59, 0, 35, 0, 5], None),  # 99 orders are too few
        ([], None),
    ],
)
def test_a_lookback_window_keeps_95_percent_of_the_credit(credits, days):
    credit = pd.Series(credits, dtype="float64")
    lags = pd.DataFrame({"lag": credit.index, "ihc": credit, "cumulated": credit.cumsum() / credit.sum()})
    assert lookback_of_credit(lags) == days


def first_orders(*hours, again=None):
    """Users who order so many hours after their first session; one of them has another order after `again` hours."""
    began = pd.Timestamp("2023-01-01 00:00:00")
    visits = [(f"s{number}", f"u{number}", str(began), "Mail") for number in range(len(hours))]
    orders = [
        (f"k{number}", f"u{number}", str(began + pd.Timedelta(hours=hour)), 1.0) for number, hour in enumerate(hours)
    ]
    if again:
        orders.append(("again", "u0", str(began + pd.Timedelta(hours=again)), 1.0))
    return find_spans(sessions(visits), conversions(orders))


def test_a_lookback_window_covers_95_percent_of_first_orders():
    # 95 of 100 users order within 49 hours, which is less than 3 days.
    assert lookback_of_first_orders(first_orders(*[1] * 94, 49, *[480] * 5)) == 3
    assert lookback_of_first_orders(first_orders(*[1] * 94, 48, *[480] * 5, again=9_000)) == 2
    assert lookback_of_first_orders(first_orders(*[0] * 95, *[480] * 5)) == 1
    assert lookback_of_first_orders(first_orders(*[1] * 94, *[480] * 6)) is None
    assert lookback_of_first_orders(first_orders(*[1] * 94, *[480] * 5)) is None  # 99 users are too few
    # An order before the first session of its user does not count.
    assert lookback_of_first_orders(first_orders(-1, *[1] * 94, *[480] * 5)) is None
    assert lookback_of_first_orders(first_orders()) is None
