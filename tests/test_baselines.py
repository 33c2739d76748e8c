import numpy as np
import pytest
from frames import FIXED, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.baselines import MODELS, first_touch, last_touch, linear, position_based, time_decay
from ihc.errors import InputError

HALVED = journey((0, "A", 1, 1), (7 * 24, "B", 1, 1), (14 * 24, "A", 1, 1))


@pytest.mark.parametrize(
    ("model", "shares"),
    [
        (first_touch, [1, 0, 0]),
        (last_touch, [0, 0, 1]),
        (linear, [1 / 3, 1 / 3, 1 / 3]),
        (position_based, [0.4, 0.2, 0.4]),
        (time_decay, [1 / 7, 2 / 7, 4 / 7]),  # 14, 7 and 0 days old: 1/4, 1/2, 1; sum 7/4
    ],
)
def test_a_journey_of_three_sessions(model, shares):
    credits = model(HALVED)
    assert credits.columns.tolist() == ["conv_id", "session_id", "ihc"]
    np.testing.assert_allclose(credits["ihc"], shares, atol=1e-15)


def test_every_model_has_a_name_in_the_comparison():
    assert list(MODELS.values()) == [first_touch, last_touch, linear, position_based, time_decay]


def test_position_based_shares_the_rest_evenly_between_the_ends():
    steps = [(hour, "A", 1, 1) for hour in range(5)]
    # 1 - 0.5 - 0.2 = 0.3 among three.
    np.testing.assert_allclose(position_based(journey(*steps), first=0.5, last=0.2)["ihc"], [0.5, 0.1, 0.1, 0.1, 0.2])


def test_position_based_shares_all_credit_between_two_ends_in_proportion():
    credits = position_based(journey((0, "A", 1, 1), (1, "A", 1, 1)), first=0.6, last=0.2)
    np.testing.assert_allclose(credits["ihc"], [0.75, 0.25])


@pytest.mark.parametrize(("first", "last"), [(0.5, 0.5), (0.9, 0.1), (0.7, 0.3), (0.1, 0.9)])
def test_position_based_may_leave_nothing_between_the_ends_but_never_less(first, last):
    credits = position_based(HALVED, first=first, last=last)["ihc"]
    np.testing.assert_allclose(credits, [first, 0, last], atol=1e-15)
    assert credits.min() >= 0


@pytest.mark.parametrize(("first", "last"), [(0, 0.4), (0.4, 0), (0.6, 0.5), (-0.1, 0.5), (float("nan"), 0.4)])
def test_position_based_refuses_ends_that_cannot_be(first, last):
    with pytest.raises(InputError, match="position_based"):
        position_based(HALVED, first=first, last=last)


def test_time_decay_halves_by_the_half_life_it_is_given():
    # 336, 168 and 0 hours old at a half-life of 14 days: 1/2, 2^-0.5, 1.
    raw = np.array([0.5, 2**-0.5, 1])
    np.testing.assert_allclose(time_decay(HALVED, half_life_days=14)["ihc"], raw / raw.sum())


@pytest.mark.parametrize(("days", "shares"), [(1e-15, [0, 0, 1]), (1e12, [1 / 3, 1 / 3, 1 / 3])])
def test_time_decay_bears_extreme_half_lives(days, shares):
    np.testing.assert_allclose(time_decay(HALVED, half_life_days=days)["ihc"], shares, atol=1e-9)


@pytest.mark.parametrize("days", [0, -1, float("nan")])
def test_time_decay_refuses_a_half_life_that_is_not_above_0(days):
    with pytest.raises(InputError, match="half_life_days"):
        time_decay(HALVED, half_life_days=days)


def test_sessions_of_the_same_moment_stand_by_session_id():
    rows = journey((0, "A", 1, 1), (0, "A", 1, 1)).iloc[::-1]
    assert first_touch(rows)["ihc"].tolist() == [0, 1]
    assert last_touch(rows)["ihc"].tolist() == [1, 0]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_single_session_gets_all(model):
    assert model(journey((0, "A", 0, 0)))["ihc"].tolist() == [1]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_no_journeys_give_no_credits(model):
    credits = model(HALVED.iloc[:0])
    assert credits.columns.tolist() == ["conv_id", "session_id", "ihc"]
    assert credits["ihc"].dtype == "float64"
    assert credits.empty


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_missing_column_is_refused_and_the_input_left_alone(model):
    rows = HALVED.copy(deep=True)
    model(rows)
    assert_frame_equal(rows, HALVED)
    with pytest.raises(InputError, match="Journeys lacks the column 'timestamp'"):
        model(rows.drop(columns="timestamp"))


@FIXED
@given(journeys(), st.sampled_from(list(MODELS.values())), st.integers(0, 9))
def test_shares_sum_to_1_an_order_and_row_order_is_irrelevant(rows, model, seed):
    credits = model(rows)
    assert credits["ihc"].ge(0).all()
    np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1)
    keys = ["conv_id", "session_id"]
    again = model(shuffled(rows, seed)).sort_values(keys, ignore_index=True)
    assert_frame_equal(again, credits.sort_values(keys, ignore_index=True))
