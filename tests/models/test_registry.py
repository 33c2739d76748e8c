import numpy as np
import pandas as pd
import pytest
from helpers.frames import CHANNELS, FEW, ORIGIN, UNTRUSTED, conversions, journey, journeys, sessions, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.journeys.build import build_journeys, non_converting_paths
from ihc.models.incremental import ANYWAY
from ihc.models.markov import markov
from ihc.models.registry import MODELS, incremental_models, models_for
from ihc.narrative.models import models_left_out

ROWS = journey((0, "A", 1, 1), (7, "B", 1, 1), (14, "A", 1, 1))
KEYS = ["conv_id", "session_id"]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_single_session_gets_all_credit_and_no_journeys_give_none(model):
    assert model(journey((0, "A", 0, 0)))["ihc"].tolist() == [1]
    credits = model(ROWS.iloc[:0])
    assert credits.columns.tolist() == ["conv_id", "session_id", "ihc"]
    assert credits["ihc"].dtype == "float64"
    assert credits.empty
    with pytest.raises(InputError, match="Journeys lacks the column 'timestamp'"):
        model(ROWS.drop(columns="timestamp"))


@FEW
@given(journeys(), st.permutations(UNTRUSTED), st.integers(0, 9))
def test_shares_sum_to_1_and_row_order_and_channel_names_are_irrelevant(rows, names, seed):
    before, mixed = rows.copy(deep=True), shuffled(rows, seed)
    mixed["channel_name"] = mixed["channel_name"].map(dict(zip(CHANNELS, names[:3], strict=True)))
    for model in MODELS.values():
        credits = model(rows)
        assert credits["ihc"].ge(0).all()
        np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1)
        again = model(mixed)
        assert_frame_equal(again[KEYS], mixed[KEYS].reset_index(drop=True))
        assert_frame_equal(*(each.sort_values(KEYS, ignore_index=True) for each in (again, credits)))
    assert_frame_equal(rows, before)


def test_last_non_direct_skips_the_named_channels():
    model = models_for(ROWS, ROWS.iloc[:0], direct=["a"])["Last non-direct touch"]
    assert model(ROWS)["ihc"].tolist() == [0, 1, 0]


IDLE = pd.DataFrame(
    {
        "user_id": ["v", "w"],
        "session_id": ["t1", "t2"],
        "timestamp": [ORIGIN, ORIGIN],
        "channel_name": ["A", "C"],
    }
)


def test_the_comparison_chain_includes_paths_without_an_order():
    found = models_for(ROWS, IDLE)
    assert list(found) == list(MODELS)
    assert_frame_equal(found["Markov"](ROWS), markov(ROWS, idle=IDLE))
    for name in found.keys() - {"Markov"}:
        assert_frame_equal(found[name](ROWS), MODELS[name](ROWS))


def test_models_of_who_buys_are_apart_from_the_default_comparison_and_have_totals():
    visits = sessions([("s1", "u", "2024-05-01 00:00:00", "A"), ("s2", "v", "2024-05-02 00:00:00", "C")])
    orders = conversions([("k", "u", "2024-05-01 12:00:00", 10.0)])
    rows, lost = build_journeys(visits, orders), non_converting_paths(visits, orders)
    found = incremental_models(visits, orders, rows, lost)
    assert list(found) == ["Learned Shapley", "Path Shapley", "Time to event"]
    assert not found.keys() & models_for(rows, lost).keys()
    for credit, totals in found.values():
        assert credit(rows)["ihc"].tolist() == [1]
        assert totals()["channel_name"].tolist() == ["A", "C", ANYWAY]
        assert totals()["incremental_orders"].sum() == pytest.approx(1)


def test_too_many_channels_leave_markov_out_with_a_note(monkeypatch):
    monkeypatch.setattr("ihc.models.registry.MOST_STATES", 2)  # A and B in the journeys, C in the idle paths
    found = models_for(ROWS, IDLE)
    assert list(found) == [name for name in MODELS if name != "Markov"]
    assert models_left_out(found, MODELS) == "Not calculated because there are too many channels: Markov."
    assert models_left_out(MODELS, MODELS) == ""
