"""Journeys of a published benchmark: a logistic model of the channels in a journey, and of their order.

Rebuilt from `make_attribution_problem` of the package shapley-attribution 2.1.0, in the same order of random draws, so
that a seed gives the same problem (https://pypi.org/project/shapley-attribution/). The probability that a journey
converts has the logit

    intercept + Σ_c 3 n w_c p_c + Σ_{c<d} u_cd p_c p_d + Σ_{c before d} v_cd p_c p_d,

with n channels of weight w_c (Σ w_c = 1) and p_c = 1 if the journey has the channel. u and v are random synergies.
"before" compares the first touches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.logistic import probability
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.lab.world import Purchases, Visits, World, tables_of

CHANNELS, JOURNEYS = 8, 5_000
SHORTEST, LONGEST = 2, 8  # touches of a journey
SYNERGY, DIRECTED = 0.5, 0.6
RATE, TRIALS = 0.3, 2_000  # the conversion rate that the intercept gives to this many trial journeys
UNEVEN = 0.1  # standard deviation of a channel's chance to be drawn, relative to the mean
STEP = 1.0  # days between the touches of a journey
PURCHASE = 1 / 24  # days from the last touch to the order


class Logistic(NamedTuple):
    """The true model: the `weights` of the channels, their synergies in any order and in this order, the intercept."""

    weights: Floats
    pairs: Floats
    directed: Floats
    intercept: float = 0.0

    def logits(self, first: Integers) -> Floats:
        """Return the logit of each journey. In: `first`, the place of each channel's first touch, -1 without one."""
        present = first >= 0
        both = present[:, :, None] & present[:, None, :]
        in_order = both & (first[:, :, None] < first[:, None, :])
        synergy = (both * np.triu(self.pairs, 1)).sum(axis=(1, 2)) + (in_order * self.directed).sum(axis=(1, 2))
        logits: Floats = self.intercept + present @ self.coefficients + synergy
        return logits

    @property
    def coefficients(self) -> Floats:
        """The logit of each channel alone."""
        return 3.0 * len(self.weights) * self.weights


class Problem(NamedTuple):
    """Journeys with a known truth.

    `touches`: one row per journey, the channels in time order, then -1; `converted`; `weights` of the channels, and
    `path_weights`: what each channel added to the conversion probability in the order of the converted journeys.
    """

    touches: Integers
    converted: Booleans
    weights: Floats
    path_weights: Floats


def attribution_problem(seed: int, *, directed: float = 0.0) -> Problem:
    """Draw the weights and journeys of a seed. `directed`: strength of the synergies of channels in one order."""
    random = np.random.RandomState(seed)  # the peer's generator
    model = _draw_model(random, directed)
    trials = np.full((TRIALS, LONGEST), -1)
    for journey in trials:
        length = random.randint(SHORTEST, LONGEST + 1)
        journey[:length] = random.choice(CHANNELS, size=length)
    model = model._replace(intercept=_intercept(model.logits(_first_places(trials))))
    touches, uniform = np.full((JOURNEYS, LONGEST), -1), np.empty(JOURNEYS)
    for number, journey in enumerate(touches):
        length = random.randint(SHORTEST, LONGEST + 1)
        chance = np.clip(1 + random.normal(0, UNEVEN, CHANNELS), 0.3, 1.7)
        journey[:length] = random.choice(CHANNELS, size=length, p=chance / chance.sum())
        uniform[number] = random.random_sample()
    converted = uniform < probability(model.logits(_first_places(touches)))
    return Problem(touches, converted, model.weights, _path_weights(model, touches[converted]))


def _draw_model(random: np.random.RandomState, directed: float) -> Logistic:
    raw = random.dirichlet(np.full(CHANNELS, 2.0)) ** 1.3
    weights = raw / raw.sum()
    scale = (weights[:, None] + weights) * CHANNELS
    pairs, in_order = np.zeros((2, CHANNELS, CHANNELS))
    places = np.triu_indices(CHANNELS, 1)
    pairs[places] = random.uniform(-0.3, 1.0, len(places[0])) * SYNERGY * scale[places]
    if directed > 0:
        different = ~np.eye(CHANNELS, dtype=bool)
        in_order[different] = random.uniform(-0.5, 1.0, int(different.sum())) * directed * scale[different]
    return Logistic(weights, pairs, in_order)


def _intercept(logits: Floats) -> float:
    """Find the intercept from -20 to 20 with the mean probability RATE, by bisection to the last digit.

    If there is none, as for strong synergies, the intercept is minus the median logit, as in the peer: the conversion
    rate is then near one half.
    """
    low, high = -20.0, 20.0
    if not probability(low + logits).mean() <= RATE <= probability(high + logits).mean():
        return -float(np.median(logits))
    while low < (middle := (low + high) / 2) < high:
        is_low = probability(middle + logits).mean() < RATE
        low, high = (middle, high) if is_low else (low, middle)
    return low


def _first_places(touches: Integers) -> Integers:
    """Return the place of each channel's first touch in each journey, -1 without one."""
    first = np.full((len(touches), CHANNELS), -1)
    for place in reversed(range(touches.shape[1])):
        rows = np.flatnonzero(touches[:, place] >= 0)
        first[rows, touches[rows, place]] = place
    return first


def _path_weights(model: Logistic, touches: Integers) -> Floats:
    """Return the share of each channel in what new channels add to the probability, in the order of the journeys.

    A journey's touches after its first ones of a channel add nothing, a loss counts as 0, and the synergies `pairs` are
    left out, as in the peer.
    """
    model = model._replace(pairs=np.zeros_like(model.pairs))
    added = np.zeros(CHANNELS)
    before = np.full(len(touches), probability(np.array([model.intercept]))[0])
    for length in range(1, touches.shape[1] + 1):
        after = probability(model.logits(_first_places(touches[:, :length])))
        channel = touches[:, length - 1]
        gain = np.where(channel >= 0, np.maximum(after - before, 0), 0)
        added += np.bincount(np.maximum(channel, 0), gain, minlength=CHANNELS)
        before = after
    shares: Floats = added / added.sum()
    return shares


def benchmark_a(seed: int) -> World:
    """Benchmark A: synergies in any order. The truth is the weights of the channels."""
    problem = attribution_problem(seed)
    return _world(problem, problem.weights)


def benchmark_b(seed: int) -> World:
    """Benchmark B: synergies in one order too, of strength 0.6. The truth is the weights in the order of the paths."""
    problem = attribution_problem(seed, directed=DIRECTED)
    return _world(problem, problem.path_weights)


def _world(problem: Problem, share: Floats) -> World:
    """Make a shop of a problem: one customer per journey, touches a day apart, an order of 1 at the end if it converts.

    All sessions are engaged. There is no cost, and of the truth only `share`.
    """
    journey, place = np.nonzero(problem.touches >= 0)
    engaged = np.ones(len(journey), dtype=bool)
    visits = Visits(journey, (place * STEP).astype("float64"), problem.touches[journey, place], engaged, engaged)
    buyer = np.flatnonzero(problem.converted)
    last = (problem.touches[buyer] >= 0).sum(axis=1) - 1
    purchases = Purchases(buyer, last * STEP + PURCHASE, np.ones(len(buyer)))
    names = tuple(f"Channel {number + 1}" for number in range(CHANNELS))
    truth = pd.DataFrame({"channel_name": pd.Series(names, dtype="str"), "cost": np.nan})
    truth = truth.assign(incremental_orders=np.nan, incremental_revenue=np.nan, iROAS=np.nan, share=share)
    return World(tables_of(visits, purchases, names, np.zeros(len(journey))), truth)
