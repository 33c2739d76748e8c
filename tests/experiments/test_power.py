from math import ceil
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from ihc.experiments import power
from ihc.experiments.power import next_experiments

NORMAL = NormalDist()
NORMAL_95, POWER_80 = 1.959964, 0.841621


def table(*rows):
    """In: `(channel_name, cost, calibrated_revenue, its standard deviation)`."""
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "calibrated_revenue", "sd"])
    frame["calibrated_revenue_high"] = frame["calibrated_revenue"] + NORMAL_95 * frame["sd"]
    frame = frame.assign(iROAS=1.0, iROAS_low=0.0, iROAS_high=2.0)
    ends = pd.DataFrame({"channel_name": ["anyway", "Total"], "cost": [0.0, frame["cost"].sum()]})
    return pd.concat([frame, ends], ignore_index=True)


def orders(*rows):
    return pd.DataFrame(rows, columns=["user_id", "conv_date", "revenue"])


# Ten days from March 1 to 10, one order of 30 by each of ten users: v = 10 x 900 / 10 days = 900 per day.
TEN = orders(*((f"u{day}", f"2025-03-{day:02}", 30.0) for day in range(1, 11)))


def test_the_probability_and_cost_of_a_wrong_verdict_are_those_of_a_normal_distribution():
    found = next_experiments(table(("Search", 100.0, 130.0, 20.0)), TEN).iloc[0]
    # 30 above break-even with a standard deviation of 20: z = 1.5
    assert found["wrong_verdict"] == pytest.approx(NORMAL.cdf(-1.5))
    assert found["expected_loss"] == pytest.approx(20 * (NORMAL.pdf(1.5) - 1.5 * NORMAL.cdf(-1.5)))
    below = next_experiments(table(("Search", 100.0, 70.0, 20.0)), TEN).iloc[0]
    assert below["expected_loss"] == pytest.approx(found["expected_loss"])


def test_break_even_moves_the_verdict():
    found = next_experiments(table(("Search", 100.0, 200.0, 20.0)), TEN, roas=2).iloc[0]
    assert found["wrong_verdict"] == pytest.approx(0.5)


def test_the_most_valuable_experiment_comes_first_and_small_channels_are_left_out():
    rows = [
        ("Sure", 100.0, 500.0, 10.0),
        ("Cheap", 10.0, 10.0, 5.0),
        ("Open", 100.0, 100.0, 50.0),
        ("Tiny", 1.0, 1.0, 9.0),
    ]
    assert next_experiments(table(*rows), TEN)["channel_name"].tolist() == ["Open", "Cheap", "Sure"]


def test_a_test_is_long_enough_to_find_the_expected_distance_from_break_even():
    found = next_experiments(table(("Search", 100.0, 130.0, 1e-6)), TEN).iloc[0]
    # distance 3 per day, v = 900: 2.8^2 x 900 / (0.5 x 0.5) / 9 = 3,140 days; a tenth: 2.8^2 x 900 / (0.1 x 0.9) / 9
    needed = (NORMAL_95 + POWER_80) ** 2 * 900 / 9
    assert found["holdout_days"] == ceil(needed / 0.25 / 7) * 7
    assert found["small_holdout_days"] == ceil(needed / 0.09 / 7) * 7


@pytest.mark.parametrize("mean", [100.0, 150.0])
def test_an_experiment_of_this_length_settles_about_6_of_10_verdicts(mean):
    days = next_experiments(table(("Search", 100.0, mean, 50.0)), TEN)["holdout_days"].iloc[0]
    random, error = np.random.default_rng(1), np.sqrt(days * 900 / 0.25)  # v = 900 per day
    truth = random.normal(mean - 100, 50, 100_000) / 10 * days  # above break-even; the orders span 10 days
    found = random.normal(truth, error)
    assert np.mean(np.abs(found) > NORMAL_95 * error) == pytest.approx(0.6, abs=0.03)


def test_orders_of_one_user_vary_together():
    often = TEN.assign(user_id="u")  # 300 by one user: v = 300^2 / 10 = 9,000, ten times as much
    one, ten = (
        next_experiments(table(("Search", 100.0, 130.0, 1e-6)), each)["holdout_days"].iloc[0] for each in (often, TEN)
    )
    assert one == pytest.approx(10 * ten, abs=70)


def test_a_geo_test_takes_longer_if_revenue_varies_from_day_to_day():
    steady = orders(*((f"u{day}", f"2025-03-{day:02}", 30.0) for day in range(1, 29)))
    # forty more users on three days: little variance between users, much between days
    crowd = [(f"m{user}-{day}", f"2025-03-{day:02}", 30.0) for day in (5, 11, 23) for user in range(40)]
    uneven = pd.concat([steady, orders(*crowd)])
    rows = table(("Search", 100.0, 130.0, 1e-6))
    found = next_experiments(rows, steady).iloc[0]
    assert found["geo_days"] == found["holdout_days"]
    by_hand = next_experiments(rows, uneven).iloc[0]
    assert by_hand["geo_days"] > by_hand["holdout_days"] > found["holdout_days"]


def test_trend_and_weekly_pattern_are_no_variance():
    days = pd.date_range("2025-03-03", periods=42)
    revenue = 100 + 3 * np.arange(42) + 50 * (days.day_of_week >= 5)
    frame = pd.DataFrame({"user_id": "u", "conv_date": days.strftime("%Y-%m-%d"), "revenue": revenue})
    assert power._daily_variance(frame) == pytest.approx(0, abs=1e-9)
    assert power._daily_variance(frame.drop(index=20)) > 1  # a day without orders counts


def test_without_orders_no_length_is_known():
    found = next_experiments(table(("Search", 100.0, 130.0, 20.0)), TEN[:0]).iloc[0]
    assert found[["holdout_days", "geo_days"]].isna().all()
    assert found["expected_loss"] > 0


def test_without_spend_there_is_nothing_to_test():
    assert next_experiments(table(("Direct", 0.0, 130.0, 20.0)), TEN).empty
