"""Conversions as events of a Poisson process whose log-rate is raised by each ad for some days.

    log λ_i(t) = log base + Σ_ads effect_c x part(t - s),

over the ads of customer i at earlier times s, of channel c, with a part of the effect that is constant in windows of
the days since the ad and falls from one to the next. Ads are shown by chance, so that nothing is confounded, but many
orders come without any. Source: Shender, Nasiri Amini, Bao, Dikmen, Richardson, Wang (2024), A time to event framework
for multi-touch attribution, Journal of Data Science 22(1), 56-76, arXiv:2009.08432. The figures here are our own.
"""

from __future__ import annotations

import numpy as np

from ihc.arrays.types import Floats, Integers
from ihc.errors import SettingsError
from ihc.lab.processes import Points, earlier_pairs, poisson_points
from ihc.lab.world import Purchases, Visits, World, tables_of, truth_of

CUSTOMERS, CHANNELS, DAYS = 12_000, 6, 30.0
BASE_RATE = 0.08 / DAYS  # orders per day without any ad
ADS = (0.1, 0.8)  # least and most mean ads of a channel per customer
EFFECTS = (0.0, 2.0)  # least and most effect of a channel on the log-rate, in the first window
WINDOWS, PARTS = np.array([0.0, 1.0, 3.0, 7.0, 14.0]), np.array([1.0, 0.6, 0.3, 0.1, 0.0])  # from each day on


def simulate_time_to_event(seed: int, customers: int = CUSTOMERS) -> World:
    """Simulate customers who see ads of six channels, with random numbers of ads and effects.

    All sessions are engaged, and an order has revenue 1. There is no cost. Raises SettingsError for no customer or a
    seed below 0.
    """
    if customers < 1 or seed < 0:
        raise SettingsError("A simulation needs at least 1 customer and a seed of 0 or more.")
    random = np.random.default_rng(seed)
    means, effects = random.uniform(*ADS, CHANNELS), random.uniform(*EFFECTS, CHANNELS)
    count = random.poisson(means, (customers, CHANNELS))
    customer, channel = (np.repeat(each.ravel(), count.ravel()) for each in np.indices(count.shape))
    time = random.random(len(customer)) * DAYS
    order = np.lexsort((time, customer))
    ads, channel = Points(customer[order], time[order]), channel[order]
    orders = _orders(random, customers, ads, effects[channel])
    uniform = random.random(len(orders.row))
    logs = _log_rates(orders, ads, channel, effects)
    remains = uniform[:, None] < np.exp(-logs)
    is_anyway = uniform < np.exp(-logs.sum(axis=1))
    names = tuple(f"Channel {number + 1}" for number in range(CHANNELS))
    revenue, engaged = np.ones(len(orders.row)), np.ones(len(channel), dtype=bool)
    visits = Visits(ads.row, ads.time, channel, engaged, engaged)
    tables = tables_of(visits, Purchases(*orders, revenue), names, np.zeros(len(channel)))
    truth = truth_of(names, np.full(CHANNELS, np.nan), remains, revenue)
    return World(tables, truth, float(is_anyway.sum()))


def _orders(random: np.random.Generator, customers: int, ads: Points, effects: Floats) -> Points:
    """Draw the orders: between two changes of the log-rate, the rate of a customer is constant."""
    row = np.concatenate([np.arange(customers), np.repeat(ads.row, len(WINDOWS))])
    start = np.concatenate([np.zeros(customers), np.add.outer(ads.time, WINDOWS).ravel()])
    change = np.concatenate([np.zeros(customers), np.outer(effects, np.diff(PARTS, prepend=0)).ravel()])
    order = np.lexsort((start, row))
    row, start, change = row[order], np.minimum(start[order], DAYS), change[order]
    ends = np.append(start[1:], DAYS)
    ends[np.append(np.diff(row) > 0, True)] = DAYS
    total = change.cumsum()
    first = np.flatnonzero(np.diff(row, prepend=-1))
    log_rate = total - (total - change)[first][row]
    points = poisson_points(random, BASE_RATE * np.exp(log_rate), start, ends - start)
    return Points(row[points.row], points.time)


def _log_rates(orders: Points, ads: Points, channel: Integers, effects: Floats) -> Floats:
    """Return what the ads of each channel add to the log-rate at each order: one row per order, one column each."""
    pairs = earlier_pairs(orders, ads)
    part = PARTS[np.searchsorted(WINDOWS, pairs.days, side="right") - 1]
    of_pairs = channel[pairs.earlier]
    cell = pairs.later * len(effects) + of_pairs
    logs = np.bincount(cell, part * effects[of_pairs], len(orders.row) * len(effects)).astype("float64")
    return logs.reshape(-1, len(effects))
