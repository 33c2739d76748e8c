"""The hazard shop. Statistical tests have fixed seeds and bounds of at least three standard deviations."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import SettingsError
from ihc.journeys.build import build_journeys, unattributed
from ihc.lab.shop import CHANNELS, DAYS, ORDERS_A_CUSTOMER, Channel, simulate_shop, varied_channels
from ihc.schemas.tables import check_tables

# Saturated soon: with 100 touches in 90 days, exp(-touches) is 1.6 % on average over the days.
ALWAYS = {"reach": 100.0, "carry_over": 1e6}
# Without reach it causes no echo either.
NO_EFFECT = Channel("Nothing", follows=0.5, arrivals=1, click_cost=1)


def truth(world):
    return world.truth.set_index("channel_name")


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.integers(0, 10**6), st.sets(st.sampled_from(CHANNELS), min_size=1))
def test_no_channel_costs_orders_and_without_all_there_are_no_more_than_without_one(orders, seed, some):
    channels = [*(channel for channel in CHANNELS if channel in some), NO_EFFECT]
    world = simulate_shop(orders, seed, channels)
    total, lost = len(world.tables.conversions), world.truth["incremental_orders"]
    assert lost.ge(0).all()
    assert world.truth["incremental_revenue"].ge(0).all()
    assert world.anyway_orders <= total - lost.max()
    assert truth(world).loc["Nothing", ["incremental_orders", "incremental_revenue"]].tolist() == [0, 0]
    check_tables(*world.tables)


def test_the_same_seed_gives_the_same_shop_and_another_seed_another():
    one, same, other = (simulate_shop(200, seed) for seed in (3, 3, 4))
    assert_frame_equal(one.truth, same.truth)
    for frame, again in zip(one.tables, same.tables, strict=True):
        assert_frame_equal(frame, again)
    assert not one.truth.equals(other.truth)


def test_a_shop_has_about_as_many_orders_as_wanted_each_with_a_session():
    world = simulate_shop(5000, 1)
    conversions = world.tables.conversions
    assert abs(len(conversions) - 5000) < 300
    journeys = build_journeys(world.tables.sessions, conversions)
    assert unattributed(conversions, journeys).empty
    last = journeys[journeys["conversion"] == 1]
    assert (last["conv_timestamp"] - last["timestamp"]).max().total_seconds() <= 3601


def test_a_saturated_channel_adds_its_effect_to_the_rate():
    # A orders come anyway, and 0.5 x 0.984 x A more; the variance of their difference from 0.492 A is below 0.75 A.
    world = simulate_shop(1000, 1, [Channel("A", effect=0.5, **ALWAYS)])
    added = truth(world).loc["A", "incremental_orders"]
    assert abs(added - 0.492 * world.anyway_orders) < 3.5 * np.sqrt(0.75 * world.anyway_orders)
    assert added == len(world.tables.conversions) - world.anyway_orders > 100


def test_an_effect_decays_over_the_days_of_the_carry_over():
    # A rare touch adds effect x (1 - exp(-exp(-days))): effect x 0.7966 (= Ein(1)) over all days. With 0.2 touches in
    # 90 days and an effect of 50: 0.2 / 90 x 50 x 0.7966 = 8.85 % more orders.
    world = simulate_shop(20_000, 1, [Channel("A", reach=0.2, effect=50, carry_over=1)])
    added = truth(world).loc["A", "incremental_orders"] / world.anyway_orders
    assert added == pytest.approx(0.0885, rel=0.1)


def test_a_synergy_is_lost_without_either_channel():
    channels = [Channel(name, **ALWAYS) for name in ("Paid Social", "Paid Search Generic")]
    world = simulate_shop(500, 1, channels)
    one, other = world.truth["incremental_orders"]
    assert one == other == len(world.tables.conversions) - world.anyway_orders
    assert one == pytest.approx(world.anyway_orders, rel=0.2)  # the synergy is 1


def test_a_channel_is_credited_with_the_echoes_that_it_causes():
    echo = Channel("Echo", echo=1, effect=2, carry_over=5)
    world = simulate_shop(1000, 1, [Channel("Cause", reach=3), echo])
    assert truth(world).loc["Cause", "incremental_orders"] == truth(world).loc["Echo", "incremental_orders"] > 0


def test_targeting_reaches_those_who_buy_anyway():
    channels = [Channel("At random", reach=2), Channel("Targeted", reach=2, targeting=1.5)]
    sessions, conversions, _ = simulate_shop(2000, 1, channels).tables
    of_buyers = sessions["user_id"].isin(conversions["user_id"]).groupby(sessions["channel_name"]).mean()
    assert of_buyers["Targeted"] > 1.5 * of_buyers["At random"]


def test_arrivals_follow_their_weights_and_cause_nothing():
    world = simulate_shop(1000, 1, [Channel("A", arrivals=3), Channel("B", arrivals=1)])
    counts = world.tables.sessions["channel_name"].value_counts()
    assert counts.sum() == len(world.tables.conversions) == world.anyway_orders
    assert counts["A"] / counts.sum() == pytest.approx(0.75, abs=0.05)


def test_spend_is_that_of_the_clicks_and_of_each_day_with_a_session():
    channels = [Channel("Clicks", reach=2, click_cost=3), Channel("Days", reach=2, day_cost=5), NO_EFFECT]
    world = simulate_shop(338, 1, channels)
    sessions, _, costs = world.tables
    by_channel = costs["cost"].groupby(sessions["channel_name"]).sum()
    assert truth(world)["cost"].to_dict() == pytest.approx(by_channel.to_dict())
    customers = 338 / ORDERS_A_CUSTOMER  # 2,000, so 10 per day, on all days with sessions
    days = sessions.loc[sessions["channel_name"] == "Days", "event_date"].nunique()
    assert by_channel["Days"] == pytest.approx(5 * customers / 1000 * days, rel=1e-3)
    assert days == DAYS
    clicks = sessions["channel_name"].value_counts()["Clicks"]
    assert by_channel["Clicks"] / clicks == pytest.approx(3, rel=0.05)


def test_effects_vary_by_seed_and_nothing_else_does():
    drawn, again, other = varied_channels(1), varied_channels(1), varied_channels(2)
    assert drawn == again != other
    assert [channel._replace(effect=0) for channel in drawn] == [channel._replace(effect=0) for channel in CHANNELS]
    logs = [np.log([each.effect / own.effect for each, own in zip(varied_channels(seed), CHANNELS, strict=True)
                    if own.effect]) for seed in range(50)]  # fmt: skip
    assert np.mean(logs) == pytest.approx(0, abs=0.08)
    assert np.std(logs) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 1), "at least 1 order"),
        ((5, -1), "a seed of 0 or more"),
        ((5, 1, []), "at least 1 channel"),
        ((5, 1, [Channel("A"), Channel("A")]), "a name of its own"),
        ((5, 1, [Channel("A", effect=-0.1)]), "effect of A is -0.1; give a number of 0 or more"),
        ((5, 1, [Channel("A", arrivals=-1)]), "arrivals of A is -1"),
        ((5, 1, [Channel("A", click_cost=float("nan"))]), "click_cost of A is nan"),
        ((5, 1, [Channel("A", reach=float("inf"))]), "reach of A is inf"),
        ((5, 1, [Channel("A", carry_over=0)]), "carry_over of A is 0; give more than 0 days"),
        ((5, 1, [Channel("A", echo=1.1)]), "echo of A is 1.1; it is a probability"),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments, says):
    with pytest.raises(SettingsError, match=says):
        simulate_shop(*arguments)


@pytest.mark.slow
def test_twenty_thousand_orders_take_seconds():
    start = time.perf_counter()
    simulate_shop(20_000, 1)
    assert time.perf_counter() - start < 15
