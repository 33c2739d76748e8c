"""A shop whose purchases follow a hazard in continuous time, with confounded channels and a known truth.

A customer i buys at the rate

    b_i x (1 + INTENT_EFFECT x intent_i(t)) x (1 + Σ_c effect_c x s_c(t) + Σ_cd synergy_cd x s_c(t) x s_d(t)),

with a base rate b_i that differs between customers, and intent_i(t), the number of phases in which the customer looks
for a product. s_c = 1 - exp(-a_c) saturates; a_c = Σ exp(-days / carry_over_c) sums the earlier touches of the channel,
each decaying with the days since then. All effects are at least 0, and a purchase does not make a later one less
likely. A channel can be confounded in three ways: it reaches customers who buy often (`targeting`), it is used in
phases of intent (`follows`), and it is how customers arrive who have already decided (`arrivals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import SettingsError
from ihc.lab.processes import Pairs, Points, earlier_pairs, joined, poisson_points
from ihc.lab.world import Purchases, Visits, World, tables_of, truth_of

DAYS = 90.0
BASE_RATE, BASE_SHAPE = 0.0009, 0.7  # mean [orders per day] and shape of the gamma distribution of base rates
PHASES_A_DAY, PHASE_DAYS, INTENT_EFFECT = 0.6 / DAYS, 3.0, 25.0
ECHO_DAYS = 1.0  # mean delay of an echo
SAME_VISIT = 1 / 24  # [days] an order within an hour of a touch needs no other session
ARRIVAL = 1 / 144  # mean time from arrival to order [days]
ORDERS_A_CUSTOMER = 0.169  # mean, for choosing the number of customers


class Channel(NamedTuple):
    """Behaviour of a channel.

    `reach`: touches per customer outside phases of intent; `follows`: touches per day of intent; `targeting`: the power
    of a customer's base rate in their reach; `echo`: the probability that a touch of a channel with `reach` causes one
    of this channel; `arrivals`: weight among the channels of customers who come to buy; `effect` on the rate [1] and
    its `carry_over` [days]; `click_cost`: mean per session; `day_cost`: per 1,000 customers and day with a session
    [currency].
    """

    name: str
    reach: float = 0.0
    follows: float = 0.0
    targeting: float = 0.0
    echo: float = 0.0
    arrivals: float = 0.0
    effect: float = 0.0
    carry_over: float = 1.0
    click_cost: float = 0.0
    day_cost: float = 0.0


CHANNELS = (
    Channel("Paid Social", reach=0.9, targeting=0.2, effect=0.9, carry_over=8, click_cost=0.6),
    Channel("Display Prospecting", reach=0.6, effect=0.3, carry_over=5, click_cost=0.5),
    Channel("Paid Search Generic", reach=0.2, follows=0.25, effect=1.6, carry_over=3, click_cost=1.6),
    Channel("Shopping Ads", reach=0.15, follows=0.3, effect=1.2, carry_over=2, click_cost=1.0),
    Channel("Influencers", reach=0.2, effect=1.6, carry_over=10, day_cost=1.5),
    Channel("Newsletter", reach=0.6, targeting=0.8, effect=0.6, carry_over=2, day_cost=0.6),
    Channel("Display Retargeting", follows=0.2, echo=0.15, effect=0.3, carry_over=2, click_cost=0.7),
    Channel("Paid Search Brand", follows=0.25, echo=0.06, arrivals=0.3, effect=0.05, carry_over=1, click_cost=0.7),
    Channel("Affiliates", follows=0.05, arrivals=0.12, click_cost=2.5),
    Channel("Organic Search", reach=0.2, follows=0.3, arrivals=0.23, effect=0.4, carry_over=2),
    Channel("Direct", follows=0.3, arrivals=0.35),
)
SYNERGIES = {("Paid Social", "Paid Search Generic"): 1.0, ("Influencers", "Newsletter"): 1.0}


class Customers(NamedTuple):
    """Base rate of each customer [orders per day], and the phases of intent: their starts and lengths [days]."""

    rates: Floats
    phases: Points
    lengths: Floats

    @property
    def size(self) -> int:
        """The number of customers."""
        return len(self.rates)

    def draw(self, random: np.random.Generator, rates: Floats) -> Points:
        """Draw points at constant `rates` [per day] per customer."""
        return poisson_points(random, rates, np.zeros(self.size), np.full(self.size, DAYS))

    def draw_in_phases(self, random: np.random.Generator, rates: Floats) -> Points:
        """Draw points at constant `rates` [per day] per customer in each phase of intent."""
        points = poisson_points(random, rates[self.phases.row], self.phases.time, self.lengths)
        return Points(self.phases.row[points.row], points.time)


class Touches(NamedTuple):
    """The touches of all customers by customer, then time.

    `points`: customer and time; `channel`; `cause`: the channel whose touch caused it, -1 if none did; `is_intent`.
    """

    points: Points
    channel: Integers
    cause: Integers
    is_intent: Booleans


class Candidates(NamedTuple):
    """Possible purchases: customer and time; `level`, the channel factor above which it is one; `revenue`."""

    points: Points
    level: Floats
    revenue: Floats


def simulate_shop(orders: int, seed: int, channels: Sequence[Channel] = CHANNELS) -> World:
    """Simulate a shop with about this number of `orders` in 90 days.

    The truth of a channel is without its touches and their echoes. Customers who come to buy arrive through another
    channel then, so that arrivals cause nothing. Spend is that of the clicks, plus the cost of each day with a session.

    Raises SettingsError for fewer than one order, a seed below 0, no channel, two of the same name, or a channel with a
    value that is below 0 or not finite, a carry-over of 0, or an echo above 1.
    """
    if orders < 1 or seed < 0:
        raise SettingsError("A shop needs at least 1 order and a seed of 0 or more.")
    _check(channels)
    random, names = np.random.default_rng(seed), tuple(channel.name for channel in channels)
    customers = _customers(random, max(1, round(orders / ORDERS_A_CUSTOMER)))
    touches = _touches(random, channels, customers)
    candidates = _candidates(random, channels, customers, touches)
    bought, remains = _thin(channels, touches, candidates)
    purchases = Purchases(*candidates.points.take(bought), candidates.revenue[bought])
    visits = _visits(random, channels, touches, purchases)
    cost = _costs(random, channels, visits, customers.size)
    spend = np.bincount(visits.channel, cost, len(names)).astype("float64")  # integers without a visit
    truth = truth_of(names, spend, remains[:, :-1], purchases.revenue)
    tables = tables_of(visits, purchases, names, cost)
    by_time = np.argsort(purchases.time, kind="stable")  # as in the tables
    return World(tables, truth, float(remains[:, -1].sum()), remains[by_time, :-1])


def _check(channels: Sequence[Channel]) -> None:
    if not channels or len({channel.name for channel in channels}) < len(channels):
        raise SettingsError("A shop needs at least 1 channel, and each needs a name of its own.")
    for channel in channels:
        for name, value in channel._asdict().items():
            if name == "name":
                continue
            if not (np.isfinite(value) and value >= 0):
                raise SettingsError(f"{name} of {channel.name} is {value}; give a number of 0 or more.")
        if channel.carry_over == 0:
            raise SettingsError(f"carry_over of {channel.name} is 0; give more than 0 days.")
        if channel.echo > 1:
            raise SettingsError(f"echo of {channel.name} is {channel.echo}; it is a probability: give 0 to 1.")


def varied_channels(seed: int, channels: Sequence[Channel] = CHANNELS) -> list[Channel]:
    """Draw other effects: each times a lognormal factor with median 1 and a standard deviation of the log of 0.5."""
    factors = np.random.default_rng([seed, len(channels)]).lognormal(0, 0.5, len(channels))
    return [
        channel._replace(effect=channel.effect * float(factor))
        for channel, factor in zip(channels, factors, strict=True)
    ]


def _customers(random: np.random.Generator, count: int) -> Customers:
    rates = random.gamma(BASE_SHAPE, BASE_RATE / BASE_SHAPE, count)
    phases = poisson_points(random, np.full(count, PHASES_A_DAY), np.zeros(count), np.full(count, DAYS))
    return Customers(rates, phases, np.minimum(random.exponential(PHASE_DAYS, len(phases.row)), DAYS - phases.time))


def _touches(random: np.random.Generator, channels: Sequence[Channel], customers: Customers) -> Touches:
    """Draw the touches of each channel: outside and inside phases of intent, and the echoes of those outside."""
    outside, inside = [], []
    for number, channel in enumerate(channels):
        weight = customers.rates**channel.targeting
        points = customers.draw(random, channel.reach / DAYS * weight / weight.mean())
        outside.append(_touched(points, number))
        points = customers.draw_in_phases(random, np.full(customers.size, channel.follows))
        inside.append(_touched(points, number, is_intent=True))
    causes = _joined(outside)
    echoes = []
    for number, channel in enumerate(channels):
        at = causes.points.time + random.exponential(ECHO_DAYS, len(causes.channel))
        is_echo = (random.random(len(at)) < channel.echo) & (causes.channel != number) & (at < DAYS)
        points = Points(causes.points.row, at).take(is_echo)
        echoes.append(_touched(points, number)._replace(cause=causes.channel[is_echo]))
    touches = _joined([causes, *inside, *echoes])
    order = np.lexsort((touches.points.time, touches.points.row))
    return Touches(touches.points.take(order), touches.channel[order], touches.cause[order], touches.is_intent[order])


def _touched(points: Points, channel: int, *, is_intent: bool = False) -> Touches:
    count = len(points.row)
    return Touches(points, np.full(count, channel), np.full(count, -1), np.full(count, is_intent))


def _joined(parts: Sequence[Touches]) -> Touches:
    points, channels, causes, is_intent = zip(*parts, strict=True)
    return Touches(joined(points), np.concatenate(channels), np.concatenate(causes), np.concatenate(is_intent))


def _candidates(
    random: np.random.Generator, channels: Sequence[Channel], customers: Customers, touches: Touches
) -> Candidates:
    """Draw the process that dominates the purchases of every world.

    The channel factor of a customer is at most that with each channel that ever touches them saturated.
    """
    saturated = np.zeros((customers.size, len(channels)))
    saturated[touches.points.row, touches.channel] = 1.0
    bound = _factor(channels, saturated)
    outside = customers.draw(random, customers.rates * bound)
    inside = customers.draw_in_phases(random, INTENT_EFFECT * customers.rates * bound)
    points = joined([outside, inside])
    level = random.random(len(points.row)) * bound[points.row]
    return Candidates(points, level, np.round(random.lognormal(4.0, 0.6, len(level)), 2))


def _factor(channels: Sequence[Channel], saturation: Floats) -> Floats:
    """Return 1 + Σ effect x s + Σ synergy x s x s. In: `saturation [1]`, one row per point, one column per channel."""
    place = {channel.name: number for number, channel in enumerate(channels)}
    factor = np.ones(len(saturation))
    for number, channel in enumerate(channels):  # in this order in every world, so that equal sums are equal
        factor += channel.effect * saturation[:, number]
    for (one, other), synergy in SYNERGIES.items():
        if one in place and other in place:
            factor += synergy * saturation[:, place[one]] * saturation[:, place[other]]
    return factor


def _thin(channels: Sequence[Channel], touches: Touches, candidates: Candidates) -> tuple[Integers, Booleans]:
    """Accept the purchases of each world.

    Out: the candidates that are orders; and for each of them and each channel, then for all channels at once, whether
    it remains without them. A candidate that is no order of the whole shop is none of any other world.
    """
    every = np.ones(len(touches.channel), dtype=bool)
    pairs = earlier_pairs(candidates.points, touches.points)
    whole = _factor(channels, _saturation(channels, touches, pairs, every, len(candidates.level)))
    orders = np.flatnonzero(candidates.level < whole)
    level = candidates.level[orders]
    pairs = earlier_pairs(candidates.points.take(orders), touches.points)
    remains = np.empty((len(orders), len(channels) + 1), dtype=bool)
    for channel in range(len(channels)):
        is_kept = (touches.channel != channel) & (touches.cause != channel)
        remains[:, channel] = level < _factor(channels, _saturation(channels, touches, pairs, is_kept, len(orders)))
    remains[:, -1] = level < 1
    return orders, remains


def _saturation(channels: Sequence[Channel], touches: Touches, pairs: Pairs, is_kept: Booleans, points: int) -> Floats:
    """Return the saturation [1] at each of the later `points` by channel, from the touches that are kept."""
    kept, size = is_kept[pairs.earlier], len(channels)
    channel = touches.channel[pairs.earlier[kept]]
    carry_over = np.array([each.carry_over for each in channels])[channel]
    stock = np.bincount(pairs.later[kept] * size + channel, np.exp(-pairs.days[kept] / carry_over), points * size)
    saturation: Floats = -np.expm1(-stock.reshape(points, size))
    return saturation


def _visits(random: np.random.Generator, channels: Sequence[Channel], touches: Touches, purchases: Purchases) -> Visits:
    """Return the touches, and an arrival before each order without a touch in the hour before."""
    orders = Points(purchases.customer, purchases.time)
    pairs = earlier_pairs(orders, touches.points)
    is_alone = np.bincount(pairs.later, pairs.days <= SAME_VISIT, len(orders.row)) == 0
    weights = np.array([channel.arrivals for channel in channels])
    is_alone &= weights.sum() > 0
    count = int(is_alone.sum())
    before = np.minimum(random.exponential(ARRIVAL, count), SAME_VISIT)
    arrived = random.choice(len(channels), count, p=weights / weights.sum()) if count else np.empty(0, dtype="int64")
    time = np.concatenate([touches.points.time, np.maximum(orders.time[is_alone] - before, 0)])
    is_decided = np.concatenate([touches.is_intent, np.ones(count, dtype=bool)])
    return Visits(
        np.concatenate([touches.points.row, orders.row[is_alone]]),
        time,
        np.concatenate([touches.channel, arrived]),
        random.random(len(time)) < np.where(is_decided, 0.9, 0.6),
        random.random(len(time)) < np.where(is_decided, 0.8, 0.3),
    )


def _costs(random: np.random.Generator, channels: Sequence[Channel], visits: Visits, customers: int) -> Floats:
    """Return the cost of each visit: that of the click, and its equal part of the cost of the channel's day."""
    click, a_day = (np.array([getattr(each, name) for each in channels]) for name in ("click_cost", "day_cost"))
    cell = visits.channel * round(DAYS) + visits.time.astype("int64")
    of_clicks = click[visits.channel] * random.gamma(4, 0.25, len(cell))
    of_days = a_day[visits.channel] * customers / 1000 / np.bincount(cell)[cell]
    cost: Floats = np.round(of_clicks + of_days, 4)
    return cost
