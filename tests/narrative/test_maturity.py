import pandas as pd

from ihc.analysis.maturity import maturity
from ihc.narrative.maturity import (
    credit_lookback_sentence,
    early_sentence,
    lag_sentence,
    maturity_sentence,
    order_lookback_sentence,
    reach_sentence,
)

THREE = pd.DataFrame(
    {"date": [f"2023-09-0{day}" for day in (1, 2, 3)], "ihc": [10.0, 8.0, 6.0], "ihc_revenue": [100.0, 80.0, 60.0]}
).astype({"date": "str"})


def lags(*credits):
    """The credit of each lag, from 0 on."""
    credit = pd.Series(credits, dtype="float64")
    share = credit / credit.sum()
    return pd.DataFrame({"lag": credit.index, "ihc": credit, "share": share, "cumulated": share.cumsum()})


def arrivals(*shares):
    return pd.DataFrame({"age": range(len(shares)), "arrived": pd.Series(shares, dtype="float64")})


def matured(*shares, last_day="2023-09-03"):
    return maturity_sentence(maturity(THREE, arrivals(*shares), last_day=last_day))


def test_the_lag_sentence_states_the_share_of_credit_by_lag(snapshot):
    assert {
        "no credit": lag_sentence(lags()),
        "at once": lag_sentence(lags(1)),
        "both marks": lag_sentence(lags(5, 4, 0, 1)),
        # Half is reached at 6 of 10, 90 % only at all of them.
        "found, not looked for": lag_sentence(lags(4, 0, 2, 0, 4)),
        "one mark": lag_sentence(lags(97, 3)),
        "more than 99 %": lag_sentence(lags(999, 1)),
    } == snapshot


def test_incomplete_days_are_named_with_their_outstanding_credit(snapshot):
    assert {
        "no day": maturity_sentence(maturity(THREE.iloc[:0], arrivals(1), last_day="2023-09-03")),
        "all mature": matured(1, 1),
        "one": matured(0.6, 1),
        "two": matured(0.6, 0.8, 1),  # 8 / 0.8 + 6 / 0.6 = 20, of which 14 are there
        "mature, and after the last day": matured(1, 1, last_day="2023-09-02"),
        "one, and after the last day": matured(0.8, 1, last_day="2023-09-01"),
        "nothing arrived": matured(0, 1),
        "all after the last day": matured(0.8, 1, last_day="2023-08-31"),
        "no estimate": matured(),
    } == snapshot


def test_credit_that_the_estimate_misses_is_stated(snapshot):
    assert {
        "a quarter": reach_sentence(lags(3, 0, 0, 1), arrivals(0.5, 1)),
        "next to nothing": reach_sentence(lags(9_999, 0, 0, 1), arrivals(0.5, 0.7, 1)),
        "nothing": reach_sentence(lags(3, 0, 0, 1), arrivals(0.5, 0.7, 0.9, 1)),
        "no estimate": reach_sentence(lags(3, 1), arrivals()),
        "no credit": reach_sentence(lags(), arrivals(0.5, 1)),
    } == snapshot


def test_days_before_the_first_order_are_warned_about(snapshot):
    assert {
        f"orders from {day}": early_sentence(THREE, pd.DataFrame({"conv_date": [day, "2023-09-05"]}))
        for day in ("2023-09-01", "2023-09-02", "2023-09-03")
    } | {"no order": early_sentence(THREE, pd.DataFrame({"conv_date": []}))} == snapshot


def test_a_lookback_window_is_suggested_with_its_share():
    assert credit_lookback_sentence(22) == (
        "Sessions within 22 days before the order have 95% of the credit or more: consider --lookback-days 22."
    )
    assert order_lookback_sentence(1) == (
        "95% of users order within 1 day of their first session: consider --lookback-days 1."
    )
    assert credit_lookback_sentence(None) == order_lookback_sentence(None) == ""
