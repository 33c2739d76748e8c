import numpy as np
import pandas as pd
import pytest
from helpers.commands import ROOT
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.schemas.tables import PHASES
from ihc.server.answers import credit_of_printed, round_shares


def rounded(*journeys):
    shares = np.array([share for shares in journeys for share in shares], dtype="float64")
    return round_shares(shares, numbers_of(journeys)).tolist()


def test_the_largest_share_takes_the_difference_to_1_upwards_and_downwards():
    # 0.2856 + 0.2856 + 0.4287 = 0.9999: 0.0001 more for the largest. The cut of 2/7 loses most, and gets nothing.
    assert rounded([0.28564, 0.28564, 0.42872]) == [0.2856, 0.2856, 0.4288]
    # 0.2857 + 0.2857 + 0.4287 = 1.0001.
    assert rounded([0.28566, 0.28566, 0.42868]) == [0.2857, 0.2857, 0.4286]


def test_of_equal_shares_the_first_takes_it():
    assert rounded([1 / 3] * 3) == [0.3334, 0.3333, 0.3333]
    # 6 x 0.1667 = 1.0002.
    assert rounded([1 / 6] * 6) == [0.1665] + [0.1667] * 5
    # As a real answer has it: 1/14, 4/14, 4/14, 4/14, 1/14.
    assert rounded([1 / 14, 4 / 14, 4 / 14, 4 / 14, 1 / 14]) == [0.0714, 0.2858, 0.2857, 0.2857, 0.0714]


def test_a_half_is_rounded_upwards():
    # 0.12345 -> 0.1235, 0.00005 -> 0.0001, and the largest 0.8765 -> 0.8764.
    assert rounded([0.12345, 0.8765, 0.00005]) == [0.1235, 0.8764, 0.0001]


def test_no_share_falls_below_0_where_a_long_journey_is_rounded_up():
    # 198 x 1/198 = 198 x 0.00505...: 0.0051 each is 1.0098. The first could not take 0.0098, so 98 give 0.0001 each.
    assert rounded([1 / 198] * 198, [1.0]) == [0.0050] * 98 + [0.0051] * 100 + [1]


def test_each_journey_keeps_its_own_sum():
    assert rounded([1 / 3] * 3, [1.0], [0.0, 0.0], [2 / 7, 5 / 7]) == [0.3334, 0.3333, 0.3333, 1, 0, 0, 0.2857, 0.7143]


def test_a_share_of_nothing_stays_nothing_and_one_of_all_stays_all():
    assert rounded([0.0, 1.0, 0.0]) == [0, 1, 0]
    assert rounded([0.0, 0.99996, 0.00004]) == [0, 1, 0]


def test_nothing_gives_nothing():
    assert rounded() == []


@pytest.mark.parametrize("noise", [1e-13, -1e-13])
def test_noise_in_the_last_bits_moves_no_unit(noise):
    assert rounded([0.3 + noise, 0.7 - noise]) == [0.3, 0.7]
    assert rounded([1 / 3 + noise, 1 / 3 - noise, 1 / 3]) == [0.3334, 0.3333, 0.3333]


journeys_of_shares = st.lists(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1)), min_size=1, max_size=30), min_size=1, max_size=5
)


def numbers_of(journeys):
    return np.repeat(np.arange(len(journeys)), [len(shares) for shares in journeys])


@FIXED
@given(journeys_of_shares)
def test_sums_are_exact_and_only_the_largest_share_moves_by_more_than_half_a_unit(journeys):
    whole = [np.array(raw) / (sum(raw) or 1) for raw in journeys]
    found = rounded(*whole)
    units = pd.Series(np.rint(np.array(found) * 10_000).astype("int64"))
    assert (units / 10_000).tolist() == found
    assert units.groupby(numbers_of(whole)).sum().tolist() == [10_000 if sum(raw) else 0 for raw in journeys]
    moved = pd.Series(np.abs(np.array(found) - np.concatenate(whole)) > 0.0000501)
    assert moved.groupby(numbers_of(whole)).sum().max() <= 1
    assert min(found) >= 0
    assert max(found) <= 1


def test_the_credit_is_made_of_the_printed_phases():
    # 0.345 x 0.9876 + 0.38 x 0.2976 + 0.275 x 0.2296 = 0.516950 -> 0.5170; 0.483050 -> 0.4831; in all 1.0001.
    phases = {"initializer": [0.9876, 0.0124], "holder": [0.2976, 0.7024], "closer": [0.2296, 0.7704]}
    assert credit(phases) == [0.5169, 0.4831]


def test_a_phase_without_a_share_leaves_its_weight_to_the_others():
    # The first journey has no holder: (0.345 x 1 + 0.275 x 0.25) / 0.62 = 0.667338..., and 0.332661...
    phases = {"initializer": [1, 0, 1], "holder": [0, 0, 0], "closer": [0.25, 0.75, 1]}
    assert credit(phases, [0, 0, 1]) == [0.6673, 0.3327, 1]


def credit(phases, journey=(0, 0)):
    weights = {"initializer": 0.345, "holder": 0.38, "closer": 0.275}
    arrays = {phase: np.array(shares, dtype="float64") for phase, shares in phases.items()}
    return credit_of_printed(arrays, weights, np.array(journey)).tolist()


REAL = ROOT.parent / "shared"


@pytest.mark.skipif(not REAL.exists(), reason="the real answers are not on this machine")
@pytest.mark.parametrize(
    ("answers", "weights", "journeys", "exact"),
    [
        ("real_sample/api_results.csv", (0.345, 0.38, 0.275), 471, 469),
        ("real_sample_b/answers.csv", (0.323, 0.374, 0.303), 265, 263),
    ],
)
def test_real_answers_are_printed_by_this_rule(answers, weights, journeys, exact):
    printed = pd.read_csv(REAL / answers)
    printed = printed[printed.duplicated("conversion_id", keep=False)]
    journey = pd.factorize(printed["conversion_id"])[0]
    phases = {name: printed[name].to_numpy() for name in PHASES}
    for shares in phases.values():
        assert round_shares(shares, journey).tolist() == shares.tolist()
    found = credit_of_printed(phases, dict(zip(PHASES, weights, strict=True)), journey)
    is_exact = pd.Series(found == printed["ihc"]).groupby(journey).all()
    assert (len(is_exact), is_exact.sum()) == (journeys, exact)
