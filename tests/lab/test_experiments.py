import numpy as np
import pytest

from ihc.errors import InputError
from ihc.experiments.power import HALF
from ihc.lab.experiments import ATTRIBUTED, holdout, validate_experiments
from ihc.lab.shop import simulate_shop
from ihc.lab.time_to_event import simulate_time_to_event

WORLD = simulate_shop(2_000, 1)


def test_a_holdout_measures_the_true_incremental_revenue():
    channel = "Paid Social"
    truth = WORLD.truth.set_index("channel_name").loc[channel, "incremental_revenue"]
    runs = [holdout(WORLD, channel, np.random.default_rng(seed)).iloc[0] for seed in range(200)]
    found = np.array([run["incremental_revenue"] for run in runs])
    error = np.mean([run["standard_error"] for run in runs])
    assert found.mean() == pytest.approx(truth, abs=4 * error / np.sqrt(200))
    assert found.std() == pytest.approx(error, rel=0.2)
    assert np.mean(np.abs(found - truth) < 1.96 * error) > 0.9


def test_a_channel_without_effect_has_no_incremental_revenue():
    runs = [holdout(WORLD, "Affiliates", np.random.default_rng(seed)).iloc[0] for seed in range(100)]
    mean = np.mean([run["incremental_revenue"] for run in runs])
    assert abs(mean) < 4 * runs[0]["standard_error"] / 10


def test_the_planned_length_has_the_standard_error_of_the_real_experiment():
    orders = WORLD.tables.conversions
    of_users = (orders.groupby("user_id")["revenue"].sum() ** 2).sum()
    planned = np.sqrt(of_users / (HALF * (1 - HALF)))
    assert holdout(WORLD, "Direct", np.random.default_rng(1))["standard_error"].iloc[0] == pytest.approx(
        planned, rel=0.05
    )


def test_a_world_without_counterfactual_orders_cannot_be_tested():
    with pytest.raises(InputError, match="needs a simulated shop"):
        holdout(simulate_time_to_event(1), "Search", np.random.default_rng(1))


@pytest.mark.slow
def test_three_experiments_bring_roas_far_nearer_to_the_truth():
    table = validate_experiments(range(1, 7)).set_index("estimate")
    assert table.index.tolist() == [ATTRIBUTED, "0", "1", "2", "3"]
    assert table.loc["3", "roas_error"] < 0.5 * table.loc[ATTRIBUTED, "roas_error"]
    assert table.loc["3", "coverage"] > 0.85


def test_no_seed_is_an_error():
    with pytest.raises(InputError, match="at least one seed"):
        validate_experiments([])
