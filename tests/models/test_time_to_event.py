import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, conversions, journey, sessions, shops
from hypothesis import given
from hypothesis import strategies as st

from ihc.arrays.logistic import Fit
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.lab.time_to_event import simulate_time_to_event
from ihc.lab.validation import normalised_error
from ihc.models import time_to_event as module
from ihc.models.heuristics import linear
from ihc.models.incremental import ANYWAY
from ihc.models.time_to_event import count_exposure, time_to_event, time_to_event_totals

# u orders half a day after B and 3 days after A, v half a day after A twice, w without a session, x never.
VISITS = sessions(
    [
        ("s1", "u", "2024-05-01 00:00:00", "A"),
        ("s2", "u", "2024-05-03 12:00:00", "B"),
        ("s3", "v", "2024-05-06 00:00:00", "A"),
        ("s4", "v", "2024-05-06 00:00:00", "A"),
        ("s5", "x", "2024-05-09 00:00:00", "A"),
    ]
)
ORDERS = conversions(
    [
        ("k1", "u", "2024-05-04 00:00:00", 10.0),
        ("k2", "v", "2024-05-06 12:00:00", 10.0),
        ("k3", "w", "2024-05-07 00:00:00", 10.0),
    ]
)
WINDOWS = 5


@pytest.fixture
def one_effect(monkeypatch):
    """A session of A within a day doubles the rate for sure; nothing else has an effect."""
    coefficients = np.array([-5.0, np.log(2)])
    monkeypatch.setattr(module, "_eliminate", lambda *_: (np.array([0]), Fit(coefficients, np.zeros((2, 2)))))
    monkeypatch.setattr(
        module, "_fit_to", lambda _, columns: Fit(np.r_[coefficients, -columns[1:]], np.eye(1 + len(columns)) * 1e-9)
    )


def test_sessions_before_an_order_are_counted_by_channel_and_window():
    # Windows start at 0, 1, 3, 7 and 14 days: 3 days are in the third, half a day in the first.
    found = count_exposure(VISITS, ORDERS)
    of_orders = found.moment < found.orders
    assert found.names.tolist() == ["A", "B"]
    assert sorted(zip(found.moment[of_orders], found.column[of_orders], strict=True)) == [
        (0, 2), (0, WINDOWS), (1, 0), (1, 0)
    ]  # fmt: skip
    assert (found.orders, found.untracked) == (2, 1)
    assert found.size == 2 + 2 * module.CONTRASTS


def test_sessions_of_30_days_ago_or_after_the_order_do_not_count():
    visits = sessions(
        [
            ("s1", "u", "2024-05-01 00:00:00", "A"),
            ("s2", "u", "2024-05-01 00:00:01", "B"),
            ("s3", "u", "2024-05-31 00:00:01", "C"),
        ]
    )
    found = count_exposure(visits, conversions([("k", "u", "2024-05-31 00:00:00", 1.0)]))
    assert found.column[found.moment < 1].tolist() == [2 * WINDOWS - 1]


def test_orders_that_need_a_channel_are_incremental(one_effect):
    """k1 has no effective session. k2 has two: the rate without A is 1/4, so that 3/4 of it is incremental."""
    totals = time_to_event_totals(VISITS, ORDERS).set_index("channel_name")
    assert totals.index.tolist() == ["A", "B", ANYWAY]
    assert totals["incremental_orders"].tolist() == pytest.approx([0.75, 0, 1 + 0.25 + 1])
    assert totals.loc["A", "incremental_orders_low"] == 0  # k2 is in no draw
    assert totals.loc["A", "incremental_orders_high"] > 0.75


def test_sessions_share_an_order_by_their_effects(monkeypatch):
    # Of A, 3 within a day and 1 from then to the third day; B has none. k: A two days before, A half a day before, B.
    effects = np.array([3.0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    monkeypatch.setattr(module, "learn_effects", lambda _: effects)
    rows = journey((0, "A", 1, 1), (36, "A", 1, 1), (48, "B", 1, 1))
    assert time_to_event(rows, VISITS, ORDERS)["ihc"].tolist() == [0.25, 0.75, 0]
    # A of 40 days ago, B, and C, which is in no table to learn from.
    rows = journey((0, "A", 1, 1), (960, "B", 1, 1), (960, "B", 1, 1), (960, "C", 1, 1))
    assert time_to_event(rows, VISITS, ORDERS)["ihc"].tolist() == pytest.approx([1 / 3, 1 / 6, 1 / 6, 1 / 3])


def test_an_effect_that_is_weak_beside_another_is_dropped_and_the_other_takes_it_over():
    """Two effects of 1 with standard error 1 and correlation -0.9.

    Without the first, the second is 1 + 0.9 = 1.9 with the variance 1 - 0.81 = 0.19: 4.4 standard errors.
    """
    inverse = np.eye(3)
    inverse[1, 2] = inverse[2, 1] = -0.9
    stays, effects = module._significant(Fit(np.array([0.0, 1.0, 1.0]), inverse))
    assert (stays.tolist(), effects.tolist()) == ([1], pytest.approx([1.9]))
    assert module._significant(Fit(np.array([0.0, 2.0, -1.0]), np.eye(3)))[0].tolist() == [0]
    assert module._significant(Fit(np.array([0.0, -1.0, 0.5]), np.eye(3)))[0].tolist() == []


@FEW
@given(st.integers(0, 1_000))
def test_the_effects_that_stay_are_those_of_the_quadratic_log_likelihood_without_the_others(seed):
    """Without the others, the maximum of the quadratic is where the information of the rest x effects is unchanged."""
    random = np.random.default_rng(seed)
    factors, effects = random.normal(size=(9, 6)), random.normal(1, 1.5, 6)
    information = factors.T @ factors
    fit = Fit(np.append(-3.0, effects), np.pad(np.linalg.inv(information), ((1, 0), (1, 0))))
    stays, found = module._significant(fit)
    rest = information[np.ix_(stays, stays)]
    np.testing.assert_allclose(found, np.linalg.solve(rest, information[stays] @ effects), atol=1e-6)
    assert (found >= module.SIGNIFICANT * np.sqrt(np.linalg.inv(rest).diagonal()) - 1e-6).all()


def test_the_fit_comes_near_the_exact_maximum_of_the_likelihood_of_the_process():
    """With one session per user, log-rates are those of orders per user's time in each window and outside of all.

    That is the maximum of Σ log λ - ∫ λ of a Poisson process with piecewise constant rate. The random moments add an
    error of about 1 / √(moments in the window).
    """
    random, users, days = np.random.default_rng(3), 4_000, 60.0
    start = random.random(users) * days
    rates = 0.02 * np.array([1, 6, 4, 3, 2, 1.5])  # outside, then by window
    ends = np.append(module.WINDOWS, np.inf)
    exposed = np.clip(days - start[:, None], ends[:-1], ends[1:]) - ends[:-1]  # each user's days in each window
    exposed = np.c_[start + exposed[:, -1], exposed[:, :-1]]
    count = random.poisson(exposed * rates)
    user, window = (np.repeat(each.ravel(), count.ravel()) for each in np.indices(count.shape))
    part = random.random(len(user)) * exposed[user, window]
    is_early = part < start[user]
    outside = np.where(is_early, part, part + module.WINDOWS[-1])
    moment = np.where(window == 0, outside, start[user] + ends[np.maximum(window - 1, 0)] + part)
    zero = pd.Timestamp("2024-05-01")
    visits = pd.DataFrame({"user_id": np.arange(users).astype("str"), "channel_name": "A"})
    visits = visits.assign(session_id=visits["user_id"], **stamps(zero, start, "event"))
    orders = pd.DataFrame({"user_id": user.astype("str"), "revenue": 1.0})
    orders = orders.assign(conv_id=np.arange(len(user)).astype("str"), **stamps(zero, moment, "conv"))
    exact = np.log(count.sum(axis=0) / exposed.sum(axis=0))
    exposure = count_exposure(visits, orders)
    fit = module._fit_to(exposure, np.arange(WINDOWS))
    contrasts = np.bincount(exposure.column[exposure.moment >= exposure.orders])
    assert np.abs(fit.coefficients[1:] - (exact[1:] - exact[0])) * np.sqrt(contrasts) == pytest.approx(0, abs=4)


def stamps(zero, days, prefix):
    times = zero + pd.to_timedelta(days, unit="D")
    return {f"{prefix}_date": times.strftime("%Y-%m-%d"), f"{prefix}_time": times.strftime("%H:%M:%S")}


@pytest.mark.slow
def test_the_intervals_contain_the_truth_about_as_often_as_they_say():
    """With the effects kept in the data, 76 % of these 120 intervals would."""
    inside = []
    for seed in range(101, 121):
        world = simulate_time_to_event(seed, 3_000)
        totals = time_to_event_totals(*world.tables[:2]).set_index("channel_name").reindex(world.truth["channel_name"])
        truth = world.truth.set_index("channel_name")["incremental_orders"]
        inside += truth.between(totals["incremental_orders_low"], totals["incremental_orders_high"]).tolist()
    assert np.mean(inside) > 0.91


def test_a_channel_that_is_eliminated_is_not_certain_to_have_no_effect():
    world = simulate_time_to_event(3, 400)
    totals = time_to_event_totals(*world.tables[:2]).set_index("channel_name")
    dropped = totals[totals["incremental_orders"] == 0]
    assert len(dropped) == 4
    assert (dropped["incremental_orders_low"] == 0).all()
    assert (dropped["incremental_orders_high"] > 1).all()


def test_in_its_own_world_it_is_much_nearer_to_the_truth_than_credit():
    world = simulate_time_to_event(7, 6_000)
    visits, orders, _ = world.tables
    truth = world.truth.set_index("channel_name")
    totals = time_to_event_totals(visits, orders).set_index("channel_name")
    rows = build_journeys(visits, orders)
    credit = linear(rows)["ihc"].groupby(rows["channel_name"]).sum()
    found, split = (
        normalised_error(truth["share"].to_numpy(), each.reindex(truth.index).to_numpy())
        for each in (totals["incremental_orders"], credit)
    )
    assert found < split / 2
    assert totals.loc[ANYWAY, "incremental_orders"] == pytest.approx(world.anyway_orders, rel=0.1)


def test_without_orders_nothing_is_incremental_and_a_missing_column_is_refused():
    assert time_to_event_totals(VISITS, ORDERS.iloc[:0])["incremental_orders"].tolist() == [0, 0, 0]
    assert time_to_event_totals(VISITS.iloc[:0], ORDERS)["incremental_orders"].tolist() == [3]
    assert time_to_event(journey((0, "A", 1, 1)).iloc[:0], VISITS, ORDERS).empty
    with pytest.raises(InputError, match="Sessions lacks the column 'user_id'"):
        time_to_event_totals(VISITS.drop(columns="user_id"), ORDERS)


@FEW
@given(shops())
def test_credits_sum_to_1_and_all_orders_are_accounted_for(shop):
    rows = build_journeys(shop.sessions, shop.conversions)
    credits = time_to_event(rows, shop.sessions, shop.conversions)
    assert credits["ihc"].ge(0).all()
    np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1)
    totals = time_to_event_totals(shop.sessions, shop.conversions, draws=3)["incremental_orders"]
    orders = (shop.conversions["revenue"] >= 0).sum()
    assert totals.ge(0).all()
    assert totals.iloc[-1] <= orders + 1e-9 <= totals.sum() + 2e-9  # an order that needs two channels counts for both


def test_a_later_run_has_the_same_random_moments():
    once, twice = (time_to_event_totals(VISITS, ORDERS) for _ in range(2))
    pd.testing.assert_frame_equal(once, twice)
