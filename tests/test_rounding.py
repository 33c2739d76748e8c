import numpy as np
import pandas as pd
import pytest
from frames import FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.rounding import round_shares


def rounded(*journeys):
    number = np.repeat(np.arange(len(journeys)), [len(shares) for shares in journeys])
    return round_shares(np.array([share for shares in journeys for share in shares], dtype="float64"), number).tolist()


def test_what_the_cut_leaves_over_goes_to_the_share_that_lost_most():
    # 2/7 = 0.285714...: cut 0.2857, lost 0.14 units; 5/7 = 0.714285...: cut 0.7142, lost 0.86: one unit is left over.
    assert rounded([2 / 7, 5 / 7]) == [0.2857, 0.7143]


def test_of_equal_shares_the_first_gets_it():
    assert rounded([1 / 3] * 3) == [0.3334, 0.3333, 0.3333]
    assert rounded([1 / 6] * 6) == [0.1667] * 4 + [0.1666] * 2


def test_each_journey_keeps_its_own_sum():
    assert rounded([1 / 3] * 3, [1.0], [0.0, 0.0], [2 / 7, 5 / 7]) == [0.3334, 0.3333, 0.3333, 1, 0, 0, 0.2857, 0.7143]


def test_a_share_of_nothing_stays_nothing_and_one_of_all_stays_all():
    assert rounded([0.0, 1.0, 0.0]) == [0, 1, 0]
    assert rounded([0.0, 0.99995, 0.00005]) == [0, 1, 0]  # both lost half a unit: the first gets it


def test_nothing_gives_nothing():
    assert rounded() == []


@pytest.mark.parametrize("noise", [1e-13, -1e-13])
def test_noise_in_the_last_bits_moves_no_unit(noise):
    assert rounded([0.3 + noise, 0.7 - noise]) == [0.3, 0.7]
    assert rounded([1 / 3 + noise, 1 / 3 - noise, 1 / 3]) == [0.3334, 0.3333, 0.3333]


journeys_of_shares = st.lists(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1)), min_size=1, max_size=30), min_size=1, max_size=5
)


@FIXED
@given(journeys_of_shares)
def test_sums_are_exact_and_no_share_moves_by_a_unit(journeys):
    whole = [np.array(raw) / (sum(raw) or 1) for raw in journeys]
    found = rounded(*whole)
    number = np.repeat(np.arange(len(whole)), [len(shares) for shares in whole])
    units = pd.Series(np.rint(np.array(found) * 10_000).astype("int64"))
    assert (units / 10_000).tolist() == found
    assert units.groupby(number).sum().tolist() == [10_000 if sum(raw) else 0 for raw in journeys]
    assert np.abs(np.array(found) - np.concatenate(whole)).max() < 0.0001
    assert min(found) >= 0
    assert max(found) <= 1
