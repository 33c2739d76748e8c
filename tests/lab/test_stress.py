from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, curves_of, journey, journeys
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.break_even import ABOVE, BELOW
from ihc.errors import InputError
from ihc.journeys.damage import HOUR, KINDS, draw_damage, no_damage
from ihc.lab import stress
from ihc.lab.stress import EVERY, damage_effects, damaged_worlds, stress_verdicts
from ihc.models.conversion_types import ParameterSets, attribute_by_type
from ihc.models.ihc import attribute, credit_in_time_order

CURVES = curves_of()


def reported_by(shop, parameters=CURVES, **costs):
    """Cost, and revenue by the model, of each channel; spend is 100 unless given."""
    credit = attribute_by_type(shop, parameters)["ihc"].to_numpy() * shop["revenue"].to_numpy()
    revenue = pd.Series(credit).groupby(shop["channel_name"].to_numpy()).sum()
    rows = [(name, costs.get(name, 100.0), value) for name, value in revenue.items()]
    return pd.DataFrame(rows, columns=["channel_name", "cost", "ihc_revenue"])


def patch(monkeypatch, **kinds):
    """Let every world have this damage and no other, whatever its seed."""

    def draw(channels, _generator):
        return replace(no_damage(channels), **kinds)

    monkeypatch.setattr(stress, "draw_damage", draw)


def shop_of(orders, *steps):
    """Users who all have the same journey of one order of 100."""
    parts = [journey(*steps, conv_id=f"k{number}", prefix=f"k{number}s") for number in range(orders)]
    return pd.concat(parts, ignore_index=True)


A_THEN_B = ((0, "A", 1, 1), (50, "B", 1, 1))


@pytest.mark.parametrize("size", [1, 20_000])
def test_without_damage_the_figures_are_the_reported_ones_exactly(monkeypatch, size):
    monkeypatch.setattr(stress, "ORDERS_A_WORLD", size)
    patch(monkeypatch)
    shop = pd.concat([shop_of(3, *A_THEN_B), journey((0, "C", 1, 1), conv_id="x", prefix="x")], ignore_index=True)
    reported = reported_by(shop).assign(ihc_revenue=[123.4, 0.1 + 0.2, 7.0])  # of another model, say
    worlds = damaged_worlds(shop, reported, CURVES, worlds=5)
    for _, rows in worlds.groupby("world"):
        every = rows[rows["damage"] == EVERY]
        assert every["ihc_revenue"].tolist() == reported["ihc_revenue"].tolist()
        assert every["ROAS"].tolist() == (reported["ihc_revenue"] / 100).tolist()
    assert (damage_effects(worlds, reported)["moved"] == 0).all()
    assert (stress_verdicts(worlds, reported)["holds"] == 1).all()


def test_a_channel_without_its_sessions_loses_its_revenue_to_the_others_and_keeps_its_cost(monkeypatch):
    # Channels are coded by name: B, the second, loses all sessions, and A has all credit. Reported: A and B share 200.
    patch(monkeypatch, refused=np.array([0.0, 1.0]))
    shop = shop_of(2, *A_THEN_B)
    worlds = damaged_worlds(shop, reported_by(shop, A=50.0), CURVES, worlds=1)
    every = worlds[worlds["damage"] == EVERY]
    assert every["ihc_revenue"].tolist() == pytest.approx([200, 0])
    assert every["ROAS"].tolist() == pytest.approx([200 / 50, 0 / 100])


def test_an_order_without_a_session_is_attributed_to_no_channel(monkeypatch):
    patch(monkeypatch, lost=1.0)
    shop = shop_of(2, *A_THEN_B)
    worlds = damaged_worlds(shop, reported_by(shop), CURVES, worlds=1)
    assert worlds.loc[worlds["damage"] == EVERY, "ROAS"].tolist() == [0, 0]
    effects = damage_effects(worlds, reported_by(shop)).set_index("damage")["moved"]
    assert effects[KINDS["lost"]] == pytest.approx(1)
    assert effects.drop(KINDS["lost"]).tolist() == [0] * (len(KINDS) - 1)


def test_a_wrong_clock_gives_the_credit_of_the_reversed_journey(monkeypatch):
    # A comes 60 hours later, at hour 60 of an order at hour 70: the journey is B, A with 10 hours between.
    patch(monkeypatch, shift=np.array([60 * HOUR, 0]))
    shop = shop_of(2, *A_THEN_B)
    shop["conv_timestamp"] = shop["conv_timestamp"].iloc[0] + pd.Timedelta(hours=20)
    worlds = damaged_worlds(shop, reported_by(shop), CURVES, worlds=1)
    expected = attribute(journey((50, "B", 1, 1), (60, "A", 1, 1)), CURVES)["ihc"].to_numpy()[::-1] * 200
    assert worlds.loc[worlds["damage"] == EVERY, "ihc_revenue"].tolist() == pytest.approx(expected.tolist())


def test_a_world_of_some_users_is_applied_to_the_revenue_of_all(monkeypatch):
    # All users have the same journey, so that any of them show what B loses.
    patch(monkeypatch, refused=np.array([0.0, 1.0]))
    shop = shop_of(12, *A_THEN_B)
    whole = damaged_worlds(shop, reported_by(shop), CURVES, worlds=3)
    monkeypatch.setattr(stress, "ORDERS_A_WORLD", 4)
    some = damaged_worlds(shop, reported_by(shop), CURVES, worlds=3)
    assert whole["orders"].unique().tolist() == [12]
    assert some["orders"].unique().tolist() == [4]
    assert some["ROAS"].tolist() == pytest.approx(whole["ROAS"].tolist())


def test_a_channel_that_few_users_have_changes_by_what_all_like_them_would_gain_or_lose(monkeypatch):
    # 4 users with A then B, 1 of them with C too. In groups of 2, C is lost in one group only: by all of its revenue,
    # 100 x its credit, times two groups where a ratio would have been 0; in the other nothing changes.
    patch(monkeypatch, refused=np.array([0.0, 0.0, 1.0]))
    monkeypatch.setattr(stress, "ORDERS_A_WORLD", 2)
    shop = pd.concat([shop_of(3, *A_THEN_B), journey((0, "C", 1, 1), conv_id="x", prefix="x")], ignore_index=True)
    worlds = damaged_worlds(shop, reported_by(shop), CURVES, worlds=2)
    found = worlds[(worlds["damage"] == EVERY) & (worlds["channel_name"] == "C")]["ihc_revenue"].tolist()
    assert sorted(found) == [0, 100]


def test_worlds_of_a_shop_with_most_orders_under_one_user_all_show_the_damage(monkeypatch):
    # 8 of 9 orders are of one user, say all guests. B loses all its sessions, so it has nothing in any world.
    patch(monkeypatch, refused=np.array([0.0, 1.0]))
    monkeypatch.setattr(stress, "ORDERS_A_WORLD", 1)
    shop = shop_of(9, *A_THEN_B)
    shop["user_id"] = np.where(shop["conv_id"] == "k0", "u", "guest")
    worlds = damaged_worlds(shop, reported_by(shop), CURVES, worlds=6)
    left = worlds[(worlds["damage"] == EVERY) & (worlds["channel_name"] == "B")]
    assert left["ihc_revenue"].tolist() == [0] * 6


@FEW
@given(journeys(), st.integers(0, 1_000))
def test_the_orders_that_keep_a_session_are_attributed_whole(shop, seed):
    (group,) = stress._groups(shop, np.zeros(len(shop), dtype="int64"), pd.Series(["Mail"]), {}, seed)
    row, moment = stress._world(group, [seed, 1], EVERY)
    path = group.tracked.path[row]
    credit = credit_in_time_order(group.sessions.take(row), path, moment, CURVES)
    assert np.bincount(path, weights=credit)[np.unique(path)] == pytest.approx(1)
    assert (credit >= 0).all()


@FEW
@given(journeys(), st.integers(0, 1_000))
def test_the_same_seed_gives_the_same_worlds_and_more_worlds_keep_the_first(shop, seed):
    reported = reported_by(shop.assign(revenue=100.0))
    few, again, more = (damaged_worlds(shop, reported, CURVES, worlds=count, seed=seed) for count in (2, 2, 3))
    assert_frame_equal(few, again)
    assert_frame_equal(few, more[more["world"] <= 2])


def test_another_seed_gives_other_worlds():
    shop = shop_of(30, *A_THEN_B)
    one, other = (damaged_worlds(shop, reported_by(shop), CURVES, worlds=3, seed=seed) for seed in (1, 2))
    assert one["ROAS"].tolist() != other["ROAS"].tolist()


def test_a_channel_far_above_break_even_holds_in_all_worlds_and_one_at_break_even_does_not():
    # Both channels earn about half of 6,000; A costs 10, and B what it earns.
    shop = shop_of(60, *A_THEN_B)
    revenue = reported_by(shop).set_index("channel_name")["ihc_revenue"]
    reported = reported_by(shop, A=40.0, B=float(revenue["B"]))
    table = stress_verdicts(damaged_worlds(shop, reported, CURVES, worlds=60), reported).set_index("channel_name")
    assert table["verdict"].tolist() == [ABOVE, ABOVE]
    assert table.loc["A", "holds"] == 1
    assert table.loc["B", "holds"] < 0.5


def test_only_sessions_on_the_reported_days_earn(monkeypatch):
    # A is on 1 September, B on the 3rd. In a report of the 3rd, A earns nothing, with or without damage.
    patch(monkeypatch, refused=np.array([0.0, 1.0]))
    shop = shop_of(2, *A_THEN_B)
    reported = reported_by(shop).assign(ihc_revenue=[0.0, 80.0])
    window = {"start_date": "2023-09-03", "end_date": "2023-09-03"}
    worlds = damaged_worlds(shop, reported, CURVES, worlds=1, window=window)
    assert worlds.loc[worlds["damage"] == EVERY, "ihc_revenue"].tolist() == [0, 0]


def test_a_report_by_another_dimension_has_its_values_as_rows(monkeypatch):
    patch(monkeypatch, refused=np.array([0.0, 1.0]))
    shop = shop_of(2, *A_THEN_B)
    shop["reported_as"] = shop["channel_name"].map({"A": "brand", "B": "other"})
    reported = reported_by(shop).assign(channel_name=["brand", "other"])
    worlds = damaged_worlds(shop, reported, CURVES, worlds=1)
    assert worlds.loc[worlds["damage"] == EVERY, "ihc_revenue"].tolist() == pytest.approx([200, 0])


def test_each_conversion_type_is_attributed_by_its_own_parameters(monkeypatch):
    # C, the last of three channels, is never recorded, so that each set distributes a journey of A and B.
    patch(monkeypatch, refused=np.array([0.0, 0.0, 1.0]))
    leads, sales = curves_of(phases=(0.98, 0.01, 0.01)), curves_of(phases=(0.01, 0.01, 0.98))
    steps = ((0, "A", 1, 1), (5, "B", 1, 1), (10, "C", 1, 1))
    shop = shop_of(2, *steps).assign(conversion_type=["lead"] * 3 + ["sale"] * 3)
    sets = ParameterSets(sales, {"lead": leads})
    worlds = damaged_worlds(shop, reported_by(shop, sets), sets, worlds=1)
    expected = sum(attribute(journey(*steps[:2]), each)["ihc"].to_numpy() * 100 for each in (leads, sales))
    assert worlds.loc[worlds["damage"] == EVERY, "ihc_revenue"].tolist() == pytest.approx([*expected, 0])


def test_verdicts_count_the_worlds_on_the_same_side():
    # Break-even 2. Reported: A 300 / 100 = 3, above; B 150 / 100 = 1.5, below; C has 1 of 201 of cost, less than 1 %.
    reported = pd.DataFrame(
        {"channel_name": ["B", "C", "A"], "cost": [100.0, 1.0, 100.5], "ihc_revenue": [150.0, 9.0, 301.5]}
    )
    values = {"A": [3.0, 2.0, 1.9, 4.0], "B": [1.5, 1.0, 2.1, 1.9], "C": [9.0] * 4}
    worlds = pd.DataFrame(
        [(EVERY, world, name, values[name][world - 1]) for world in range(1, 5) for name in "BCA"]
        + [(KINDS["lost"], 1, name, 0.0) for name in "BCA"],
        columns=["damage", "world", "channel_name", "ROAS"],
    )
    table = stress_verdicts(worlds, reported, roas=2.0)
    assert table[["channel_name", "ROAS", "verdict", "worlds", "holds"]].to_numpy().tolist() == [
        ["A", 3.0, ABOVE, 4, 0.75],  # at break-even counts as above
        ["B", 1.5, BELOW, 4, 0.75],
    ]
    # 1.9, 2, 3, 4: the quantile of 2.5 % is 7.5 % of the way from 1.9 to 2; of 97.5 % 92.5 % of the way from 3 to 4.
    assert table.loc[0, ["ROAS_low", "ROAS_high"]].tolist() == pytest.approx([1.9075, 3.925])


def test_the_effect_of_a_kind_counts_revenue_that_moves_and_revenue_that_becomes_untracked():
    # Of 200: A loses 30, of which B gets 10, so that 20 become untracked: 30 of 200 moved. In the second world, none.
    reported = pd.DataFrame({"channel_name": ["A", "B"], "cost": [1.0, 1.0], "ihc_revenue": [120.0, 80.0]})
    rows = [
        (EVERY, 1, "A", 0.0), (EVERY, 1, "B", 0.0),
        ("duplicates", 1, "A", 120.0), ("duplicates", 1, "B", 80.0),
        ("lost sessions", 1, "A", 90.0), ("lost sessions", 1, "B", 90.0),
        ("lost sessions", 2, "A", 120.0), ("lost sessions", 2, "B", 80.0),
    ]  # fmt: skip
    worlds = pd.DataFrame(rows, columns=["damage", "world", "channel_name", "ihc_revenue"])
    assert damage_effects(worlds, reported).to_numpy().tolist() == [["lost sessions", 0.075], ["duplicates", 0.0]]


def test_a_shop_without_journeys_has_worlds_without_change():
    reported = pd.DataFrame({"channel_name": ["A"], "cost": [10.0], "ihc_revenue": [0.0]})
    worlds = damaged_worlds(shop_of(1, *A_THEN_B).iloc[:0], reported, CURVES, worlds=2)
    assert (worlds["ROAS"] == 0).all()
    assert stress_verdicts(worlds, reported)["holds"].tolist() == [1]
    assert damage_effects(worlds, reported)["moved"].isna().all()


def test_each_world_has_damage_of_its_own_from_the_seed():
    found = [draw_damage(3, np.random.default_rng([1, world])).lost for world in (1, 2, 3)]
    assert len(set(found)) == 3


def test_less_than_one_world_and_missing_columns_are_refused():
    shop = shop_of(1, *A_THEN_B)
    with pytest.raises(InputError, match="at least one world, not 0"):
        damaged_worlds(shop, reported_by(shop), CURVES, worlds=0)
    with pytest.raises(InputError, match="ihc_revenue"):
        damaged_worlds(shop, reported_by(shop).drop(columns="ihc_revenue"), CURVES)
    with pytest.raises(InputError, match="world"):
        stress_verdicts(reported_by(shop), reported_by(shop))
