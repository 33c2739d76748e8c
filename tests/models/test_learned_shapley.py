from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, conversions, converting, idle, journeys, refunds, sessions, shuffled
from hypothesis import given
from hypothesis import strategies as st

from ihc.arrays.logistic import probability
from ihc.errors import InputError
from ihc.journeys.build import build_journeys, non_converting_paths
from ihc.models import learned_shapley as module
from ihc.models.incremental import ANYWAY
from ihc.models.learned_shapley import (
    ABSENT,
    Worth,
    along_path,
    conversion_probability,
    count_cells,
    learn,
    learned_shapley,
    learned_shapley_totals,
    path_shapley,
    path_shapley_totals,
    shapley_values,
)

MODELS = {learned_shapley: learned_shapley_totals, path_shapley: path_shapley_totals}
both = pytest.mark.parametrize("model", MODELS)
# v: 0.1 without a channel, 0.5 with A or B, 0.9 with both, 0.99 if A comes before B.
WORTH = Worth(-np.log(9), np.log([9.0, 9.0]), np.array([[0, np.log(11)], [0, 0]]))


def test_paths_are_counted_by_their_distinct_channels_in_order_of_first_touch():
    cells = count_cells(converting("ABA", "AB", "BA"), idle("A", "AAB"), in_order=True)
    counted = {tuple(row): tuple(counts) for row, *counts in zip(cells.places, cells.orders, cells.lost, strict=True)}
    assert counted == {(0, 1): (2, 1), (1, 0): (1, 0), (0, ABSENT): (0, 1)}
    assert cells.places[cells.cell].tolist() == [[0, 1], [0, 1], [1, 0], [0, ABSENT], [0, 1]]


def test_without_their_order_paths_of_the_same_channels_are_one():
    cells = count_cells(converting("ABA", "BA"), idle("B", "BBA"), in_order=False)
    counted = {tuple(row): tuple(counts) for row, *counts in zip(cells.places, cells.orders, cells.lost, strict=True)}
    assert counted == {(0, 1): (2, 1), (ABSENT, 0): (0, 1)}


def test_along_the_path_a_channel_gets_what_it_adds_when_it_is_reached():
    # A, B: 0.5 - 0.1 and 0.99 - 0.5. B, A: 0.5 - 0.1 and 0.9 - 0.5. A alone: 0.5 - 0.1.
    gains = along_path(np.array([[0, 1], [1, 0], [0, ABSENT]]))(WORTH)
    np.testing.assert_allclose(gains, [[0.4, 0.49], [0.4, 0.4], [0.4, 0]])


def test_the_shapley_value_is_the_mean_over_both_orders():
    # A adds 0.4 if it is first and 0.49 if it is second, and so does B: 0.445 each.
    gains = shapley_values(np.array([[0, 1], [ABSENT, 0]]))(WORTH)
    np.testing.assert_allclose(gains, [[0.445, 0.445], [0, 0.4]])


def random_worth(size, seed=1):
    random = np.random.default_rng(seed)
    return Worth(-2.0, random.normal(0.5, 1, size), np.triu(random.normal(0, 0.5, (size, size)), 1))


def test_the_shapley_values_of_all_sets_follow_the_definition():
    """The mean over all 24 orders of what a channel adds, where both orders of two channels have their synergy."""
    worth = random_worth(4)
    both_ways = worth._replace(synergies=worth.synergies + worth.synergies.T)
    every = [along_path(np.array([order]))(both_ways) for order in permutations(range(4))]
    np.testing.assert_allclose(shapley_values(np.arange(4)[None])(worth), np.mean(every, axis=0))


def test_with_many_channels_drawn_orders_come_near_the_exact_values(monkeypatch):
    worth, places = random_worth(5), np.array([[0, 1, 2, 3, 4], [0, ABSENT, 1, ABSENT, 2]])
    exact = shapley_values(places)(worth)
    monkeypatch.setattr(module, "EXACT", 4)
    drawn = shapley_values(places)(worth)
    np.testing.assert_allclose(drawn, exact, atol=0.02)
    np.testing.assert_allclose(drawn.sum(axis=1), exact.sum(axis=1))
    assert not np.array_equal(drawn, exact)


@both
def test_a_channel_without_an_effect_gets_nothing_and_the_parts_add_up_to_the_orders(model, monkeypatch):
    """v(A) = v(A, B) = 1/2 and v(B) = 1/10, so that v(no channel) = 1/10 and B adds nothing.

    Of the 10 orders of A and the 10 of A and B 1/5 would have come anyway, and the 2 of B: 2 + 2 + 2. A has 8 + 8.
    """
    monkeypatch.setattr(module, "RIDGE_EFFECT", 0.0)
    won = converting(*["A"] * 10, *["B"] * 2, *["AB"] * 10)
    lost = idle(*["A"] * 10, *["B"] * 18, *["AB"] * 10)
    totals = MODELS[model](won, lost).set_index("channel_name")
    assert totals["incremental_orders"].tolist() == pytest.approx([16, 0, 6], abs=1e-4)
    assert totals.loc["A", "incremental_orders_low"] < 16 < totals.loc["A", "incremental_orders_high"]
    credit = model(won, lost)["ihc"].groupby([won["conv_id"], won["channel_name"]]).sum()
    assert credit["k12"].tolist() == pytest.approx([1, 0], abs=1e-4)
    assert credit["k10"].tolist() == [1]  # B alone


@both
def test_a_channels_credit_is_split_over_its_sessions(model):
    won, lost = converting("ABA", "A"), idle("B", "B", "A")
    credits = model(won, lost).head(3)["ihc"].tolist()
    assert credits[0] == credits[2] > 0
    assert sum(credits) == pytest.approx(1)


@both
def test_if_all_paths_convert_the_split_is_equal_and_nothing_is_incremental(model):
    won, none = converting("AB", "ABB", "B"), idle()
    assert model(won, none)["ihc"].tolist() == [0.5, 0.5, 0.5, 0.25, 0.25, 1]
    totals = MODELS[model](won, none)
    assert totals["incremental_orders"].tolist() == [0, 0, 3]
    assert totals[["incremental_orders_low", "incremental_orders_high"]].isna().all(axis=None)  # not 0 for sure


@both
def test_without_journeys_there_is_no_credit_and_a_missing_column_is_refused(model):
    assert model(converting(), idle("A")).empty
    assert MODELS[model](converting(), idle("A"))["incremental_orders"].tolist() == [0, 0]
    with pytest.raises(InputError, match="Journeys lacks the column 'timestamp'"):
        model(converting("A").drop(columns="timestamp"), idle("A"))


@both
def test_a_refund_is_split_and_is_no_path(model):
    visits = sessions([("s1", "u", "2024-05-01 10:00:00", "A"), ("s2", "u", "2024-05-02 10:00:00", "B"),
                       ("s3", "v", "2024-05-02 10:00:00", "B")])  # fmt: skip
    orders = pd.concat(
        [conversions([("c", "u", "2024-05-03 10:00:00", 9.0)]).assign(refund_of=None),
         refunds([("back", "u", "2024-05-09 10:00:00", -9.0, "c")])]
    )  # fmt: skip
    rows, lost = build_journeys(visits, orders), non_converting_paths(visits, orders)
    credits = model(rows, lost)
    assert (
        credits.loc[credits["conv_id"] == "back", "ihc"].tolist()
        == credits.loc[credits["conv_id"] == "c", "ihc"].tolist()
    )
    assert MODELS[model](rows, lost)["incremental_orders"].sum() == pytest.approx(1)


@both
@FEW
@given(
    rows=journeys(),
    lost=st.lists(st.text("SM", min_size=1, max_size=4), max_size=5),
    seed=st.integers(0, 9),
)
def test_credits_sum_to_1_and_the_parts_are_not_negative(model, rows, lost, seed):
    names = {"S": "Search", "M": "Mail"}
    never = idle(*lost)
    never = never.assign(channel_name=never["channel_name"].map(names).astype("str"))
    rows = rows.assign(session_id=rows["conv_id"] + rows["session_id"], revenue=rows["revenue"].abs())
    credits = model(rows, never)
    assert credits["ihc"].ge(0).all()
    np.testing.assert_allclose(credits.groupby("conv_id")["ihc"].sum(), 1)
    again = model(shuffled(rows, seed), never).set_index(["conv_id", "session_id"])["ihc"]
    np.testing.assert_allclose(
        again.reindex(credits.set_index(["conv_id", "session_id"]).index), credits["ihc"], atol=1e-6
    )
    totals = MODELS[model](rows, never, draws=3)
    assert totals["incremental_orders"].ge(0).all()
    assert totals["incremental_orders"].sum() == pytest.approx(rows["conv_id"].nunique())
    assert totals["channel_name"].iloc[-1] == ANYWAY


def test_only_the_synergies_of_the_most_paths_are_learned(monkeypatch):
    cells = count_cells(converting("AB", "AB", "BC"), idle("AB", "CA", "C"), in_order=True)
    monkeypatch.setattr(module, "MOST_SYNERGIES", 1)
    row, column = np.nonzero(learn(cells).synergies)
    assert (row.tolist(), column.tolist()) == ([0], [1])


def test_the_conversion_probability_of_a_cell_is_its_worth():
    """Along the path, v is v(no channel) and what the channels add; a cell without known paths has one too."""
    cells = count_cells(converting("A", "A", "AB", "B"), idle("A", "B", "B", "BA"), in_order=True)
    cells = cells._replace(lost=np.where((cells.places == [1, 0]).all(axis=1), 0, cells.lost))
    worth = learn(cells)
    expected = probability(worth.intercept) + along_path(cells.places)(worth).sum(axis=1)
    np.testing.assert_allclose(conversion_probability(cells), expected)
