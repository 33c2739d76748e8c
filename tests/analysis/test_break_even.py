import pandas as pd
import pytest
from helpers.frames import FEW
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.break_even import (
    ABOVE,
    BELOW,
    NO_SPEND,
    TOO_FEW,
    UNCLEAR,
    break_even_table,
    by_cost,
    by_roas,
)
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS


def frames_of(*rows):
    """`(channel_name, cost, ihc_revenue, lowest and highest revenue, is_thin)` -> summary and intervals."""
    columns = ["channel_name", "cost", "ihc_revenue", "low", "high", "is_thin"]
    frame = pd.DataFrame(rows, columns=columns)
    total = {"channel_name": "Total", **frame.drop(columns="channel_name").sum().to_dict(), "is_thin": False}
    frame = pd.concat([frame, pd.DataFrame([total])], ignore_index=True).astype(
        {"channel_name": "str", "cost": "float64", "ihc_revenue": "float64", "is_thin": "bool"}
    )
    cost = frame["cost"].where(frame["cost"] != 0)
    summary = frame[["channel_name", "cost", "ihc_revenue"]].assign(ROAS=frame["ihc_revenue"] / cost)
    bounds = {"ROAS_low": frame["low"].astype("float64") / cost, "ROAS_high": frame["high"].astype("float64") / cost}
    return summary, frame[["channel_name", "is_thin"]].assign(**bounds)


def table_of(*rows, roas=1.0):
    return break_even_table(*frames_of(*rows), roas)


def test_the_break_even_cost_is_revenue_divided_by_the_break_even_roas():
    # At ROAS 4, 800 of revenue carries 200 of cost: 100 more than the 100 spent; 100 carries 25, 25 less than the 50.
    found = table_of(("A", 100, 800, 700, 900, False), ("B", 50, 100, 90, 110, False), roas=4.0)
    assert found["channel_name"].tolist() == ["A", "B"]
    assert found["break_even_cost"].tolist() == [200, 25]
    assert found["headroom"].tolist() == [100, -25]
    assert found["ROAS"].tolist() == [8, 2]
    assert found["ROAS_low"].tolist() == [7, 1.8]
    assert found["verdict"].tolist() == [ABOVE, BELOW]
    assert not {*found} - {*GLOSSARY, *HEADINGS}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (100, 120, ABOVE),  # exactly at break-even
        (100, 100, ABOVE),
        (99, 120, UNCLEAR),
        (80, 100, UNCLEAR),
        (80, 99, BELOW),
        (-50, -10, BELOW),
    ],
)
def test_the_verdict_depends_on_the_whole_interval(low, high, verdict):
    assert table_of(("A", 100, 100, low, high, False))["verdict"].tolist() == [verdict]


def test_too_few_orders_applies_only_to_intervals_across_break_even_and_no_cost_comes_first():
    nan = float("nan")
    found = table_of(
        ("above", 100, 300, 200, 400, True),
        ("below", 100, 50, 0, 99, True),
        ("spans", 100, 300, 99, 400, True),
        ("at the line", 100, 300, 100, 400, True),
        ("no interval", 100, 300, nan, nan, True),
        ("free", 0, 300, 200, 400, True),
        ("free, many orders", 0, 300, 200, 400, False),
    )
    assert found["verdict"].tolist() == [ABOVE, BELOW, TOO_FEW, ABOVE, TOO_FEW, NO_SPEND, NO_SPEND]


def test_a_channel_below_1_percent_of_the_cost_has_no_headroom():
    # 1 of 101 is less than 1 %, too little cost to estimate headroom. Neither is there headroom for 0 of cost.
    found = table_of(("small", 1, 50, 40, 60, False), ("large", 100, 300, 200, 400, False), ("free", 0, 9, 9, 9, False))
    assert found["headroom"].tolist() == pytest.approx([float("nan"), 200, float("nan")], nan_ok=True)
    assert found["break_even_cost"].tolist() == [50, 300, 9]


def test_intervals_of_other_channels_missing_columns_and_an_invalid_break_even_roas_are_refused():
    summary, intervals = frames_of(("A", 1, 1, 1, 1, False), ("B", 1, 1, 1, 1, False))
    for roas in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="The break-even ROAS must be a number above 0"):
            break_even_table(summary, intervals, roas)
    with pytest.raises(InputError, match="have different channels"):
        break_even_table(summary, intervals.iloc[1:])
    with pytest.raises(InputError, match="Summary lacks the column 'ROAS'"):
        break_even_table(summary.drop(columns="ROAS"), intervals)
    with pytest.raises(InputError, match="Intervals lacks the column 'is_thin'"):
        break_even_table(summary, intervals.drop(columns="is_thin"))


def test_rows_are_selected_and_sorted_for_the_charts():
    # 1 of 201 is less than 1 % of the cost, 2.01 is exactly 1 %.
    found = table_of(
        ("free", 0, 9, 9, 9, False),
        ("small", 1, 9, 9, 9, False),
        ("large", 100, 50, 50, 50, False),
        ("middling", 99, 99, 99, 99, False),
        ("edge", 200 / 99, 0, 0, 0, True),
    )
    assert by_roas(found)["channel_name"].tolist() == ["small", "middling", "large", "edge"]
    assert by_cost(found)["channel_name"].tolist() == ["large", "middling", "edge"]
    assert by_cost(found).index.tolist() == [0, 1, 2]


amount = st.integers(-900, 9_000).map(float)


@FEW
@given(
    st.lists(st.tuples(st.integers(0, 500), amount, amount, amount, st.booleans()), max_size=6),
    st.sampled_from([0.25, 1.0, 4.0]),
)
def test_a_verdict_never_contradicts_the_headroom(rows, roas):
    # An interval that contains the figure, as with many orders.
    rows = [(f"c{n}", cost, *_around(a, b, c), thin) for n, (cost, a, b, c, thin) in enumerate(rows)]
    summary, intervals = frames_of(*rows)
    before = summary.copy(deep=True), intervals.copy(deep=True)
    found = break_even_table(summary, intervals, roas)
    assert len(found) == len(rows)
    assert found["verdict"].isin([ABOVE, BELOW, UNCLEAR, TOO_FEW, NO_SPEND]).all()
    headroom = found["headroom"].dropna()
    assert (headroom[found["verdict"] == ABOVE] >= 0).all()
    assert (headroom[found["verdict"] == BELOW] < 0).all()
    assert ((found["verdict"] == NO_SPEND) == found["ROAS"].isna()).all()
    assert found["break_even_cost"].mul(roas).tolist() == pytest.approx(found["ihc_revenue"].tolist())
    assert_frame_equal(summary, before[0])
    assert_frame_equal(intervals, before[1])


def _around(*values):
    low, value, high = sorted(values)
    return value, low, high
