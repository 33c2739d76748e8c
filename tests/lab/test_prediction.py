import numpy as np
import pandas as pd
import pytest
from helpers.frames import converting, idle
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ihc.errors import InputError
from ihc.journeys.build import build_journeys, non_converting_paths
from ihc.lab.prediction import BASELINE, gain_over_users, held_out_scores, log_losses, roc_auc
from ihc.lab.shop import simulate_shop, varied_channels
from ihc.pipeline.sample import make_sample

PREDICTING = ["Learned Shapley", "Path Shapley", "Markov", BASELINE]
SCORES = arrays("float64", 8, elements=st.integers(0, 4).map(float))
KINDS = arrays("bool", 8).filter(lambda each: each.any() and not each.all())


def scored(won, lost):
    return held_out_scores(won, lost).set_index("model")


def test_the_area_under_the_curve_counts_pairs_and_a_tie_counts_half():
    # 0.4 against 0.1 and 0.4: 1 + 0.5; 0.8 against both: 2. 3.5 of 4 pairs.
    score, converts = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    assert roc_auc(score, converts) == 3.5 / 4
    assert np.isnan(roc_auc(score, np.ones(4, dtype=bool)))


def test_the_log_loss_is_that_of_what_happened_and_finite():
    found = log_losses(np.array([0.8, 0.8, 1.0]), np.array([True, False, False]))
    np.testing.assert_allclose(found, [-np.log(0.8), -np.log(0.2), 15 * np.log(10)])


@given(SCORES, KINDS)
def test_the_area_is_that_of_all_pairs_and_its_mirror(score, converts):
    pairs = np.sign(np.subtract.outer(score[converts], score[~converts]))
    assert roc_auc(score, converts) == pytest.approx((1 + pairs).mean() / 2)
    assert roc_auc(-score, converts) == pytest.approx(1 - roc_auc(score, converts))
    assert roc_auc(np.exp(score), converts) == roc_auc(score, converts)


def test_without_information_each_model_predicts_the_training_share():
    """Ten users with an order and ten without, all through A: each fold learns from eight and eight."""
    found = scored(converting(*["A"] * 10), idle(*["A"] * 10))
    assert found.index.tolist() == PREDICTING
    assert found["paths"].tolist() == [20] * 4
    assert found["orders"].tolist() == [10] * 4
    assert found["log_loss"].tolist() == pytest.approx([np.log(2)] * 4)
    assert found["log_loss_gain"].tolist() == pytest.approx([0] * 4, abs=1e-9)
    assert found["auc"].tolist() == pytest.approx([0.5] * 4)


def test_a_channel_that_only_buyers_have_is_learned():
    """Markov: eight known paths end in B, all with an order, and half a path more: 8.5 / 9."""
    found = scored(converting(*["AB"] * 10), idle(*["BA"] * 10))
    assert found.loc["Markov", "log_loss"] == pytest.approx(-np.log(8.5 / 9))
    assert found.loc["Markov", "log_loss_gain"] == pytest.approx(np.log(2) + np.log(8.5 / 9))
    assert found.loc[["Markov", "Path Shapley"], "auc"].tolist() == [1, 1]
    # The order is no feature of Learned Shapley, and both kinds have the same channels.
    assert found.loc["Learned Shapley", "auc"] == 0.5


def test_all_paths_of_a_user_are_held_out_together():
    """Each user has a channel of their own, and each buyer two orders: known paths tell nothing of the held-out ones.

    Each fold learns from eight paths with an order and four without: 2 / 3 for every path. If the paths of a user were
    on both sides, Markov would know the channels of the buyers.
    """
    won = converting(*"AABBCCDDEE").assign(user_id=lambda rows: "buyer of " + rows["channel_name"])
    found = scored(won, idle(*"FGHIJ"))
    expected = -(10 * np.log(2 / 3) + 5 * np.log(1 / 3)) / 15
    assert found.loc[["Markov", BASELINE], "log_loss"].tolist() == pytest.approx([expected, expected])


def test_refunds_are_no_paths_and_the_result_is_reproducible():
    won, lost = converting(*["AB", "B"] * 6), idle(*["A", "AB"] * 6)
    refund = won[won["conv_id"] == won["conv_id"].iloc[0]].assign(conv_id="refund", revenue=-5.0)
    pd.testing.assert_frame_equal(
        held_out_scores(pd.concat([won, refund], ignore_index=True), lost), held_out_scores(won, lost)
    )


def test_journeys_that_restart_after_an_order_say_less_as_documented():
    sessions, conversions, _ = make_sample()
    for restarts, auc in ((False, 0.71), (True, 0.64)):
        rules = {"restart_after_order": restarts}
        lost = non_converting_paths(sessions, conversions, **rules)
        found = scored(build_journeys(sessions, conversions, **rules), lost)
        assert round(found.loc["Learned Shapley", "auc"], 2) == auc


def test_too_few_users_of_a_kind_are_refused():
    with pytest.raises(InputError, match="5 users with an order and 5 without, and the journeys have 6 and 4"):
        held_out_scores(converting(*["A"] * 6), idle(*["A"] * 4))


def test_the_interval_of_the_gain_counts_users_not_paths():
    """Gains 1, 1, 0, 0: mean 0.5. Two users differ by +1 and -1: sqrt(2) / 4. Four by ± 0.5: sqrt(1) / 4."""
    gain = np.array([1.0, 1, 0, 0])
    for user, error in (([0, 0, 1, 1], np.sqrt(2) / 4), ([0, 1, 2, 3], 1 / 4)):
        found = gain_over_users(gain, np.array(user))
        assert found["log_loss_gain"] == 0.5
        assert found["log_loss_gain_high"] - 0.5 == pytest.approx(1.96 * error, rel=1e-4)
        assert 0.5 - found["log_loss_gain_low"] == pytest.approx(1.96 * error, rel=1e-4)


@pytest.mark.slow
def test_the_last_channel_predicts_best_in_the_shop_where_customers_arrive_who_have_decided():
    tables = simulate_shop(2_000, 1, varied_channels(1)).tables
    found = scored(build_journeys(*tables[:2]), non_converting_paths(*tables[:2]))
    assert found["log_loss_gain_low"].idxmax() == "Markov"
    assert found.loc["Markov", "log_loss_gain_low"] > found.loc["Path Shapley", "log_loss_gain_high"]
