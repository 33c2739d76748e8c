import pandas as pd
import pytest

from ihc.narrative.models import prediction_sentences, validation_sentences

NAMES = {"ours": "IHC", "last": "Last touch", "markov": "Markov", "equal": "Equal shares"}


def told(noise=0.001, **errors):
    """The sentence on one generator; `errors` by model, all differences with the standard error `noise`."""
    rows = pd.DataFrame([{"model": NAMES[name], "share_error": error} for name, error in errors.items()])
    rows = rows.assign(generator="Shop", noise_to_nearest=noise, noise_to_equal=noise)
    (sentence,) = validation_sentences(rows)
    return sentence


def test_the_nearest_model_and_the_error_of_ihc_are_stated():
    assert told(ours=0.0462, last=0.05, markov=0.0418, equal=0.0623) == (
        "Shop: Markov is nearest (error 0.042, IHC 0.046). Compared with equal shares (0.062), 3 models are nearer "
        "to the truth."
    )


def test_models_within_three_standard_errors_are_as_near_and_no_further_than_equal_shares():
    # Last touch is 0.0029 behind IHC and 0.0002 behind equal shares, Markov 0.01 and 0.0073: the noise is 0.003.
    assert told(noise=0.001, ours=0.04, last=0.0429, markov=0.05, equal=0.0427) == (
        "Shop: IHC is nearest (error 0.040); Last touch is as near within noise. Compared with equal shares (0.043), "
        "1 model is further from the truth and 2 models are as near within noise."
    )


def test_one_seed_does_not_tell_models_apart():
    assert told(noise=float("nan"), ours=0.05, markov=0.01, equal=0.02) == (
        "Shop: Markov has the lowest error (0.010, IHC 0.050, equal shares 0.020). One seed does not tell models apart."
    )


def test_each_generator_has_a_sentence_in_the_order_of_the_table():
    rows = pd.DataFrame({"model": ["IHC", "Equal shares"], "share_error": [0.1, 0.2]})
    rows = rows.assign(noise_to_nearest=0.01, noise_to_equal=0.01)
    table = pd.concat([rows.assign(generator=name) for name in ("B", "A")])
    assert [sentence[:2] for sentence in validation_sentences(table)] == ["B:", "A:"]


@pytest.mark.parametrize(
    ("low", "gain", "high", "says"),
    [
        (0.01, 0.02, 0.03, "Markov predicts better: gain 0.020 (95% interval 0.010 to 0.030), AUC 0.61."),
        (-0.01, 0.02, 0.05, "Markov does not predict better beyond noise: gain 0.020"),
        (-0.03, -0.02, -0.01, "Markov predicts worse: gain -0.020"),
    ],
)
def test_a_model_predicts_better_if_the_interval_of_its_gain_is_above_0(low, gain, high, says):
    rows = pd.DataFrame({"model": ["Markov", "Training share"], "paths": 1200, "orders": 300, "log_loss": [0.54, 0.56]})
    gains = {"log_loss_gain_low": [low, 0], "log_loss_gain": [gain, 0], "log_loss_gain_high": [high, 0]}
    first, model, last = prediction_sentences(rows.assign(**gains, auc=[0.612, 0.5]))
    assert first == (
        "25.0% of 1,200 paths end with an order. Predicting the share of the other users for each path has a log-loss "
        "of 0.560."
    )
    assert model.startswith(says)
    assert last == "A model that predicts orders well can still credit channels that cause none."
