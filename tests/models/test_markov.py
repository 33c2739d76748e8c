from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, converting, idle, shuffled
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import InputError
from ihc.journeys.paths import channel_paths
from ihc.models import markov as module
from ihc.models.markov import (
    add_chains,
    conversion_probability,
    count_moves,
    effects_of,
    markov,
    removal_effects,
    spread_by_effects,
)


def effects_table(journeys, idle=None, **options):
    return removal_effects(channel_paths(journeys, idle), **options)


def effects(journeys, idle=None, **options):
    table = effects_table(journeys, idle, **options)
    return dict(zip(table["channel_name"], table["removal_effect"], strict=True))


def exact_effects(wins, losses, order):
    """The removal effects by their definition: the chain is built anew without the channel, and solved in fractions.

    A channel is taken out with every state that holds it anywhere, not only at its end.
    """
    moves = {}
    for path, end in [(path, "won") for path in wins] + [(path, "null") for path in losses]:
        states = ["", *(path[max(0, at - order) : at] for at in range(1, len(path) + 1)), end]
        if order > 1:  # the start of a path is a state of its own
            states = [f"^{state}" if 0 < at < order else state for at, state in enumerate(states[:-1])] + [end]
        for source, target in pairwise(states):
            moves.setdefault(source, []).append(target)

    def won(without=None):
        alive = [state for state in moves if without is None or without not in state]
        rows = []
        for state in alive:
            share = Fraction(1, len(moves[state]))
            row = {other: Fraction(int(other == state)) - share * moves[state].count(other) for other in alive}
            rows.append([*row.values(), share * moves[state].count("won")])
        return solved(rows)[alive.index("")]

    whole = won()
    return {name: float(1 - won(name) / whole) for name in sorted(set("".join([*wins, *losses])))}


def solved(rows):
    """Gauss and Jordan in fractions: the unknowns of rows of coefficients with the right side last."""
    for pivot in range(len(rows)):
        swap = next(at for at in range(pivot, len(rows)) if rows[at][pivot])
        rows[pivot], rows[swap] = rows[swap], rows[pivot]
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for at in range(len(rows)):
            if at != pivot and rows[at][pivot]:
                factor = rows[at][pivot]
                rows[at] = [value - factor * lead for value, lead in zip(rows[at], rows[pivot], strict=True)]
    return [row[-1] for row in rows]


def test_a_conversion_is_split_by_the_effects_of_its_channels():
    # start: A 2/3, B 1/3. A: B 1/2, null 1/2. B: C 1. C: conversion 1/2, null 1/2.
    # P(conversion) = (2/3 * 1/2 + 1/3) * 1 * 1/2 = 1/3. Without A: 1/3 * 1/2 = 1/6, effect 1/2. Without B or C: 0.
    table = effects_table(converting("ABC"), idle=idle("A", "BC"))
    assert table["channel_name"].tolist() == ["B", "C", "A"]
    np.testing.assert_allclose(table["removal_effect"], [1, 1, 1 / 2])
    np.testing.assert_allclose(table["share"], [2 / 5, 2 / 5, 1 / 5])
    np.testing.assert_allclose(markov(converting("ABC"), idle=idle("A", "BC"))["ihc"], [1 / 5, 2 / 5, 2 / 5])


def test_each_order_is_split_between_its_own_channels_unlike_channelattribution():
    # 9 orders of A alone and 1 of A, B: effects 1 and 0.1. Of the total, 10 orders, B would have 0.1 / 1.1 = 0.91; of
    # its own order it has 0.09.
    rows = converting(*["A"] * 9, "AB")
    shared = effects_table(rows).set_index("channel_name")["share"] * 10
    assert shared[["A", "B"]].tolist() == pytest.approx([10 / 1.1, 1 / 1.1])
    orders = markov(rows)["ihc"].groupby(rows["channel_name"]).sum()
    assert orders[["A", "B"]].tolist() == pytest.approx([10 - 0.1 / 1.1, 0.1 / 1.1])


def test_a_channels_share_is_split_evenly_over_its_sessions():
    # start: A 1. A: B 1/3, itself 1/3, conversion 1/3. B: A 1. Without B, from A: a = 1/3 a + 1/3, a = 1/2.
    # Effects A 1, B 1/2: A gets 2/3 over its three sessions, B 1/3.
    np.testing.assert_allclose(markov(converting("ABAA"))["ihc"], [2 / 9, 1 / 3, 2 / 9, 2 / 9])


def test_a_second_order_chain_remembers_two_channels():
    # AC converts, BC does not. First order: 1/2 of the paths at C convert, so B has half of it.
    # Second order: (A, C) always converts and (B, C) never does, so B is not needed.
    paths = {"journeys": converting("AC"), "idle": idle("BC")}
    assert effects(**paths) == pytest.approx({"A": 1 / 2, "B": 1 / 2, "C": 1})
    for order in (2, np.int64(2)):
        assert effects(**paths, order=order) == pytest.approx({"A": 1, "B": 0, "C": 1})


def test_an_order_beyond_the_longest_path_has_no_further_effect():
    paths = {"journeys": converting("ABCAB", "AB"), "idle": idle("ABC", "BA")}
    assert effects(**paths, order=10**9) == effects(**paths, order=5)


paths = st.lists(st.text("ABCD", min_size=1, max_size=5), min_size=1, max_size=5)


@FEW
@given(paths, st.one_of(st.just([]), paths), st.integers(1, 3), st.integers(0, 9))
def test_effects_are_those_of_the_chain_built_anew_without_the_channel_and_solved_in_fractions(
    wins, losses, order, seed
):
    rows, others = converting(*wins), idle(*losses) if losses else None
    table = effects_table(rows, others, order=order)
    exact = exact_effects(wins, losses, order)
    assert dict(zip(table["channel_name"], table["removal_effect"], strict=True)) == pytest.approx(exact, abs=1e-12)
    assert table["removal_effect"].between(0, 1).all()
    parts = [exact[name] / path.count(name) / sum(exact[each] for each in set(path)) for path in wins for name in path]
    np.testing.assert_allclose(markov(rows, idle=others, order=order)["ihc"], parts, atol=1e-12)
    mixed = shuffled(rows, seed), None if others is None else shuffled(others, seed)
    pd.testing.assert_frame_equal(effects_table(*mixed, order=order), table)


def test_a_path_of_many_repeats_loses_no_precision():
    assert effects(converting("A" * 1000 + "B", "B")) == pytest.approx({"A": 1 / 2, "B": 1}, abs=1e-12)


def test_without_journeys_there_is_no_effect_and_no_credit():
    assert markov(converting(), idle=idle("AB")).empty
    assert effects(converting(), idle=idle("AB")) == {"A": 0, "B": 0}
    assert effects_table(converting(), idle=idle("AB"))["share"].tolist() == [0, 0]
    assert effects_table(converting()).columns.tolist() == ["channel_name", "removal_effect", "share"]


@pytest.mark.parametrize("order", [0, -1, 1.5, 2.0, "1"])
def test_an_order_that_is_not_a_positive_whole_number_is_refused(order):
    with pytest.raises(InputError, match=r"order is .*; it must be a whole number of 1 or more"):
        markov(converting("AB"), order=order)


def test_too_many_states_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_STATES", 3)
    assert len(effects_table(converting("ABC"))) == 3
    with pytest.raises(InputError, match="these paths have 4 states at order 2, more than 3: use a lower order"):
        effects_table(converting("ABCA"), order=2)


@FEW
@given(
    st.lists(st.text("ABC", min_size=1, max_size=4), max_size=5),
    st.lists(st.text("BCD", min_size=1, max_size=4), max_size=5),
    st.integers(1, 3),
)
def test_chains_of_disjoint_users_add_up(wins, losses, parts):
    journeys, others = converting(*wins), idle(*losses)
    # The paths are distributed in turn; a part can be empty.
    of_journey = journeys["conv_id"].str.removeprefix("k").astype("int64") % parts
    of_idle = others["user_id"].astype("str").str.removeprefix("u").astype("int64") % parts
    chains = [count_moves(channel_paths(journeys[of_journey == one], others[of_idle == one])) for one in range(parts)]
    found, whole = add_chains(chains), count_moves(channel_paths(journeys, others))
    pd.testing.assert_frame_equal(found.states, whole.states)
    pd.testing.assert_frame_equal(found.moves, whole.moves)


def test_known_effects_give_the_same_credit_as_the_chain():
    journeys, others = converting("AB", "B", "ACB", "CCA"), idle("A", "CB", "D")
    chain = count_moves(channel_paths(journeys, others))
    names = chain.states["channel_name"]
    effects = pd.DataFrame({"channel_name": names, "removal_effect": effects_of(chain, names)})
    expected = markov(journeys, idle=others)
    for rows in (journeys, journeys[journeys["conv_id"] == "k2"]):
        found = spread_by_effects(rows, effects)
        pd.testing.assert_frame_equal(
            found, expected[expected["conv_id"].isin(rows["conv_id"])].reset_index(drop=True), check_exact=True
        )


def test_the_conversion_probability_of_an_ended_path_is_that_of_its_last_channel():
    """Known: AB+, B+, B-, A-; held out: BC+, CA-. Half of the known paths convert.

    B: 2 of 3 with an order, and half a path more of one: 2.5 / 4. A: 0.5 / 2. C ends no known path: 0.5 / 1.
    """
    paths = channel_paths(converting("AB", "B", "BC"), idle("B", "A", "CA"))
    known = np.array([True, True, False, True, True, False])
    np.testing.assert_allclose(conversion_probability(paths, known), [0.625, 0.625, 0.5, 0.625, 0.25, 0.25])
