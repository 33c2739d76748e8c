import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, curves_of, shops, shuffled, windows
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.bootstrap import ENOUGH_ORDERS, bootstrap_intervals, with_intervals
from ihc.analysis.reporting import channel_summary, conversion_credits
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.journeys.build import build_journeys
from ihc.models.ihc import attribute
from ihc.schemas.tables import inside

BOUNDED = ("ihc", "ihc_revenue", "share_of_credit", "CPO", "ROAS")
LOW, HIGH = ([f"{name}_{end}" for name in BOUNDED] for end in ("low", "high"))


def earned_of(*rows):
    """`(conv_id, channel_name, ihc, revenue)`."""
    frame = pd.DataFrame(rows, columns=["conv_id", "channel_name", "ihc", "revenue"]).astype(
        {"conv_id": "str", "channel_name": "str", "ihc": "float64", "revenue": "float64"}
    )
    return frame.assign(ihc_revenue=frame["ihc"] * frame["revenue"])


def summary_of(earned, **cost):
    """The summary of `earned`: one row per channel of `cost`, the total last."""
    sums = earned.groupby("channel_name")[["ihc", "ihc_revenue"]].sum().reindex(list(cost), fill_value=0.0)
    orders = earned.groupby("channel_name")["conv_id"].nunique().reindex(list(cost), fill_value=0)
    sums = sums.assign(cost=[float(value) for value in cost.values()], influenced_conversions=orders).reset_index()
    total = sums.sum(numeric_only=True).to_dict() | {
        "channel_name": "Total",
        "influenced_conversions": earned["conv_id"].nunique(),
    }
    table = pd.concat([sums, pd.DataFrame([total])], ignore_index=True).astype({"influenced_conversions": "int64"})
    return table.assign(ROAS=table["ihc_revenue"] / table["cost"].where(table["cost"] != 0))


# Two orders, A all of the first, B all of the second: 2, 1 or 0 of the two drawn are the first, at 1/4, 1/2, 1/4.
TWO = earned_of(("k1", "A", 1, 10), ("k2", "B", 1, 30))


def test_bounds_are_percentiles_of_sums_over_resampled_orders():
    found = bootstrap_intervals(TWO, summary_of(TWO, A=5, B=0)).set_index("channel_name")
    assert found.loc["A", ["ihc_low", "ihc_high", "ihc_revenue_low", "ihc_revenue_high"]].tolist() == [0, 2, 0, 20]
    assert found.loc["B", ["ihc_low", "ihc_high", "ihc_revenue_low", "ihc_revenue_high"]].tolist() == [0, 2, 0, 60]
    assert found.loc["A", ["share_of_credit_low", "share_of_credit_high"]].tolist() == [0, 1]
    # Two orders each time: 20 to 60 of revenue for 5 of cost.
    assert found.loc["Total", ["ihc_low", "ihc_high", "ihc_revenue_low", "ihc_revenue_high"]].tolist() == [2, 2, 20, 60]
    assert found.loc["Total", ["ROAS_low", "ROAS_high", "CPO_low", "CPO_high"]].tolist() == [4, 12, 2.5, 2.5]


def test_ratios_are_nan_without_cost_without_credit_and_if_unbounded():
    found = bootstrap_intervals(TWO, summary_of(TWO, A=5, B=0, C=7, D=0)).set_index("channel_name")
    # A has no order in a quarter of the draws, so its CPO is unbounded.
    assert found.loc["A", "CPO_low"] == 2.5
    assert np.isnan(found.loc["A", "CPO_high"])
    assert found.loc[["B", "D"], ["ROAS_low", "ROAS_high"]].isna().all(axis=None)
    assert found.loc[["C", "D"], ["CPO_low", "CPO_high"]].isna().all(axis=None)
    assert found.loc["C", ["ROAS_low", "ROAS_high", "share_of_credit_low", "share_of_credit_high"]].eq(0).all()


def test_all_credit_of_an_order_is_drawn_together():
    # Each order gives A and B one half, so every draw gives each 1 of the 2.
    earned = earned_of(*((key, name, 0.5, 10) for key in ("k1", "k2") for name in "AB"))
    found = bootstrap_intervals(earned, summary_of(earned, A=5, B=5))
    assert found[["ihc_low", "ihc_high"]].to_numpy().tolist() == [[1, 1], [1, 1], [2, 2]]
    assert found["share_of_credit_low"].tolist() == found["share_of_credit_high"].tolist() == [0.5, 0.5, 1]


def test_a_channel_is_thin_below_the_threshold():
    summary = summary_of(TWO, A=5, B=0).assign(influenced_conversions=[0, ENOUGH_ORDERS - 1, ENOUGH_ORDERS])
    assert bootstrap_intervals(TWO, summary, draws=1)["is_thin"].tolist() == [True, True, False]


@pytest.mark.parametrize("orders", [0, 1])
def test_fewer_than_two_orders_have_no_intervals(orders):
    few = TWO.iloc[:orders]
    found = bootstrap_intervals(few, summary_of(few, A=5))
    assert found[LOW + HIGH].isna().all(axis=None)
    assert found["is_thin"].all()
    assert len(bootstrap_intervals(few.iloc[:0], summary_of(few.iloc[:0]))) == 1  # only the total


def random_orders(count):
    """Orders of random revenue, each spread over two sessions of random channels."""
    generator = np.random.default_rng(5)
    first = generator.random(count)
    revenue = generator.lognormal(4, 1, count)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "conv_id": [f"k{number}" for number in range(count)],
                    "channel_name": np.array(["A", "B", "C"])[generator.integers(3, size=count)],
                    "ihc": share,
                    "ihc_revenue": share * revenue,
                }
            )
            for share in (first, 1 - first)
        ],
        ignore_index=True,
    ).astype({"conv_id": "str", "channel_name": "str"})


def test_interval_width_matches_the_standard_error_of_a_sum():
    # A sum over n orders drawn of n has the variance Σ (x - mean x)²; its 95 % interval is 2 x 1.96 times its root.
    earned = random_orders(1_000)
    summary = summary_of(earned, A=1_000, B=1_000, C=1_000)
    found = bootstrap_intervals(earned, summary, draws=3_000).set_index("channel_name")
    for name in ("ihc", "ihc_revenue"):
        by_order = earned.pivot_table(name, "conv_id", "channel_name", "sum", fill_value=0.0)
        by_order["Total"] = by_order.sum(axis=1)
        expected = 2 * 1.96 * np.sqrt(((by_order - by_order.mean()) ** 2).sum())
        width = found[f"{name}_high"] - found[f"{name}_low"]
        channels = ["A", "B", "C"] if name == "ihc" else ["A", "B", "C", "Total"]
        np.testing.assert_allclose(width[channels], expected[channels], rtol=0.05)
        middle = (found[f"{name}_high"] + found[f"{name}_low"]) / 2
        np.testing.assert_allclose(middle[channels], by_order.sum()[channels], rtol=0.02)
    assert found.loc["Total", "ihc_high"] - found.loc["Total", "ihc_low"] < 1e-9


def test_draws_depend_on_the_seed_only():
    earned = random_orders(50)
    summary = summary_of(earned, A=1, B=1, C=1)
    first, again, other = (bootstrap_intervals(earned, summary, seed=seed) for seed in (1, 1, 2))
    assert_frame_equal(first, again, check_exact=True)
    assert not first[LOW].equals(other[LOW])


def test_intervals_are_joined_to_their_own_summary_only():
    summary = summary_of(TWO, A=5, B=0)
    intervals = bootstrap_intervals(TWO, summary)
    both = with_intervals(summary, intervals.set_index(pd.Index([7, 8, 9])))
    assert list(both) == [*summary, *intervals.columns.drop("channel_name")]
    assert not {*intervals} - {*GLOSSARY, *HEADINGS}
    assert both["ROAS_high"].equals(intervals["ROAS_high"])
    with pytest.raises(InputError, match="have different channels"):
        with_intervals(summary.iloc[::-1], intervals)


@pytest.mark.parametrize(
    ("earned", "summary", "draws", "says"),
    [
        (TWO, summary_of(TWO, A=5, B=0), 0, "at least one draw, not 0"),
        (TWO, summary_of(TWO, A=5), 1, r"earned has channels that summary lacks \('B'\)"),
        (TWO.drop(columns="ihc_revenue"), summary_of(TWO, A=5, B=0), 1, "Earned lacks the column 'ihc_revenue'"),
        (TWO, summary_of(TWO, A=5, B=0).drop(columns="cost"), 1, "Summary lacks the column 'cost'"),
    ],
)
def test_invalid_input_is_refused(earned, summary, draws, says):
    with pytest.raises(InputError, match=says):
        bootstrap_intervals(earned, summary, draws=draws)


@FEW
@given(shops(), windows(), st.integers(0, 9))
def test_bounds_are_ordered_and_plausible_in_any_row_order(shop, window, seed):
    credits = attribute(build_journeys(shop.sessions, shop.conversions), curves_of())
    visits = shop.sessions[inside(shop.sessions["event_date"], *window)]
    earned = conversion_credits(visits, shop.conversions, credits)
    summary = channel_summary(*shop, credits, start_date=window[0], end_date=window[1])
    before = earned.copy(deep=True), summary.copy(deep=True)
    found = bootstrap_intervals(earned, summary, draws=30)
    assert found["channel_name"].tolist() == summary["channel_name"].tolist()
    low, high = found[LOW].to_numpy(), found[HIGH].to_numpy()
    assert ((low <= high) | np.isnan(low) | np.isnan(high)).all()
    # No draw exceeds the number of orders times the largest credit of one order.
    largest = earned.groupby(["channel_name", "conv_id"])["ihc"].sum().groupby("channel_name").max()
    most = largest.reindex(found["channel_name"].iloc[:-1], fill_value=0.0) * earned["conv_id"].nunique()
    bounds = found.iloc[:-1][["ihc_low", "ihc_high"]].to_numpy()
    assert ((bounds >= 0) & (bounds <= most.to_numpy()[:, None] + 1e-9) | np.isnan(bounds)).all()
    orders = earned.loc[earned["revenue"] >= 0, "conv_id"].nunique()
    assert np.isnan(bounds).all() == (orders < 2 or not len(bounds))
    shares = found[["share_of_credit_low", "share_of_credit_high"]].to_numpy().ravel()
    assert ((shares >= 0) & (shares <= 1 + 1e-12) | np.isnan(shares)).all()
    # Half the revenue: half the bounds, exactly, as halving loses no bit.
    half = earned.assign(ihc_revenue=earned["ihc_revenue"] / 2)
    again = bootstrap_intervals(shuffled(half, seed), summary, draws=30)
    money = ["ihc_revenue_low", "ihc_revenue_high", "ROAS_low", "ROAS_high"]
    assert_frame_equal(again.assign(**again[money] * 2), found, check_exact=True)
    assert_frame_equal(earned, before[0])
    assert_frame_equal(summary, before[1])


def test_a_refund_is_drawn_with_its_order_or_is_in_every_draw():
    # Orders k and l of 100 each, and a refund of 40 in k's channel.
    rows = earned_of(("k", "Ads", 1, 100), ("l", "Mail", 1, 100), ("r", "Ads", 0, -40))
    earned = rows.assign(ihc_revenue=[100.0, 100.0, -40.0])
    summary, bounds = summary_of(earned, Ads=1, Mail=1), ["ihc_low", "ihc_high", "ihc_revenue_low", "ihc_revenue_high"]
    # Twice l, once each, or twice k: -40, 60 or 160 for Ads while the refund stays.
    alone = bootstrap_intervals(earned, summary).set_index("channel_name")
    assert alone.loc["Ads", bounds].tolist() == [0, 2, -40, 160]
    assert alone.loc["Total", bounds].tolist() == [2, 2, 160, 160]
    # With its order it comes twice or never: 0, 60 or 120.
    joined = bootstrap_intervals(earned.assign(conv_id=["k", "l", "k"]), summary).set_index("channel_name")
    assert joined.loc["Ads", bounds].tolist() == [0, 2, 0, 120]
