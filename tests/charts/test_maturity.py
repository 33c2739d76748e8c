import numpy as np
import pandas as pd
import pytest
from helpers.charts import ARRIVAL, LAGS, overlapping, texts

from ihc.charts.maturity import credit_lag_chart


def test_marks_show_the_shares_at_which_50_and_90_percent_are_reached():
    said = texts(credit_lag_chart(LAGS, ARRIVAL))
    assert {"60% within 1 day", "100% within 3 days", "credit to date", "estimated completeness"} <= set(said)
    assert "days from session to order (longest: 3)" in said


@pytest.mark.parametrize(
    ("shares", "marks"),
    [
        ([1.0], {"100% on the same day"}),
        ([0.5, 0.9, 1.0], {"50% on the same day", "90% within 1 day"}),
        ([0.1, 0.1, 1.0], {"100% within 2 days"}),
        (np.linspace(0.01, 1, 700).tolist(), {"50% within 346 days", "90% within 629 days"}),
    ],
)
@pytest.mark.parametrize("arrival", [ARRIVAL, ARRIVAL.iloc[:0]], ids=["estimated", "not estimated"])
def test_marks_at_the_limits(shares, marks, arrival):
    figure = credit_lag_chart(pd.DataFrame({"lag": range(len(shares)), "cumulated": shares}), arrival)
    said = texts(figure)
    assert {text for text in said if "% within" in text or "% on" in text} == marks
    assert ("estimated completeness" in said) == bool(len(arrival))
    assert overlapping(figure) == []
