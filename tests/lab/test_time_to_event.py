import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import SettingsError
from ihc.lab.time_to_event import BASE_RATE, DAYS, simulate_time_to_event
from ihc.schemas.tables import check_tables


def test_without_ads_orders_come_at_the_base_rate():
    # 50,000 customers x 0.08 orders = 4,000, standard deviation 63. Any error of the rates or the thinning moves it.
    world = simulate_time_to_event(1, 50_000)
    assert abs(world.anyway_orders - 50_000 * BASE_RATE * DAYS) < 3.5 * 63
    assert len(world.tables.conversions) > 1.1 * world.anyway_orders


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 500))
def test_no_channel_costs_orders_and_without_all_there_are_no_more_than_without_one(seed, customers):
    world = simulate_time_to_event(seed, customers)
    check_tables(*world.tables)
    assert world.truth["incremental_orders"].ge(0).all()
    assert world.anyway_orders <= len(world.tables.conversions) - world.truth["incremental_orders"].max()


def test_orders_of_customers_without_ads_come_anyway():
    world = simulate_time_to_event(1, 5_000)
    sessions, conversions, _ = world.tables
    never = ~conversions["user_id"].isin(sessions["user_id"])
    assert never.sum() <= world.anyway_orders
    assert world.truth["incremental_orders"].max() <= (~never).sum()


def test_the_same_seed_gives_the_same_world_and_another_seed_another():
    one, same, other = (simulate_time_to_event(seed, 500) for seed in (3, 3, 4))
    assert_frame_equal(one.truth, same.truth)
    assert_frame_equal(one.tables.conversions, same.tables.conversions)
    assert not one.truth.equals(other.truth)


@pytest.mark.parametrize("arguments", [(1, 0), (-1, 5)])
def test_what_cannot_be_simulated_is_refused(arguments):
    with pytest.raises(SettingsError, match="at least 1 customer and a seed of 0 or more"):
        simulate_time_to_event(*arguments)
