import pandas as pd

from ihc.narrative.models import validation_sentences


def told(**errors):
    """The sentence on one generator; `errors` by model, `equal` for equal shares."""
    names = {"ours": "IHC", "last": "Last touch", "markov": "Markov", "equal": "Equal shares"}
    rows = [{"generator": "Shop", "model": names[name], "share_error": error} for name, error in errors.items()]
    (sentence,) = validation_sentences(pd.DataFrame(rows))
    return sentence


def test_the_nearest_model_and_the_place_of_ihc_are_stated():
    assert told(ours=0.0462, last=0.05, markov=0.0418, equal=0.0623) == (
        "Shop: Markov is nearest (error 0.042); IHC is number 2 of 3 (0.046). All models are nearer than equal shares "
        "(0.062)."
    )


def test_if_ihc_is_nearest_its_place_is_not_repeated_and_equal_errors_share_it():
    assert told(ours=0.0401, last=0.0404, markov=0.05, equal=0.045) == (
        "Shop: IHC and Last touch are nearest (error 0.040). 1 of 3 models is further from the truth than equal shares "
        "(0.045)."
    )


def test_it_is_said_if_no_model_or_few_are_nearer_than_equal_shares():
    assert "2 of 3 models are further from the truth" in told(ours=0.05, last=0.06, markov=0.01, equal=0.02)
    assert "All models are further from the truth" in told(ours=0.05, last=0.06, markov=0.03, equal=0.02)


def test_each_generator_has_a_sentence_in_the_order_of_the_table():
    rows = pd.DataFrame({"model": ["IHC", "Equal shares"], "share_error": [0.1, 0.2]})
    table = pd.concat([rows.assign(generator=name) for name in ("B", "A")])
    assert [sentence[:2] for sentence in validation_sentences(table)] == ["B:", "A:"]
