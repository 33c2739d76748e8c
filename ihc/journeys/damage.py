"""Damage to tracking: what other ids, blockers, missing consent, double counting and wrong clocks do to journeys.

A world is the same shop with damaged tracking. Orders stay; their journeys lose, repeat or reorder sessions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ihc.arrays.lookup import equals_previous
from ihc.arrays.types import Floats, Integers

# How much a world is damaged at least and at most.
SPLIT = (0.05, 0.20)  # share of the users
LOST = (0.10, 0.30)  # share of the sessions
REFUSED = (0.0, 0.30)  # share of the remaining sessions of a channel with less consent
DOUBLED = (0.0, 0.05)  # share of the sessions
SHIFT_HOURS = 6.0  # in either direction
DELAY_SECONDS = (1, 10)  # between a session and its duplicate
SECOND, HOUR = 10**6, 3_600 * 10**6  # [µs]


@dataclass(frozen=True)
class Damage:
    """How the tracking of a world is damaged.

    - `split`: share of the users whose id changes at a random moment between their first and last session
    - `lost`: share of the sessions that are missing, whatever their channel
    - `refused`: by channel, the share of the remaining sessions that are missing because there is no consent
    - `doubled`: share of the sessions that are recorded twice, a few seconds apart
    - `shift`: by channel, how far its clock is ahead [µs]
    """

    split: float
    lost: float
    refused: Floats
    doubled: float
    shift: Integers


KINDS = {
    "split": "split identities",
    "lost": "lost sessions",
    "refused": "less consent",
    "doubled": "duplicates",
    "shift": "a wrong clock",
}  # field of `Damage`: its name


def no_damage(channels: int) -> Damage:
    """Return the damage of a world in which tracking is as recorded."""
    return Damage(0.0, 0.0, np.zeros(channels), 0.0, np.zeros(channels, dtype="int64"))


def draw_damage(channels: int, generator: np.random.Generator) -> Damage:
    """Draw the damage of a world.

    Each share is uniform in its range. A random share of the channels has less consent, and one channel a wrong clock.
    In: the number of channels, and the source of random numbers.
    """
    split, lost, doubled = (float(generator.uniform(*limits)) for limits in (SPLIT, LOST, DOUBLED))
    is_refused = generator.random(channels) < generator.random()
    refused = np.where(is_refused, generator.uniform(*REFUSED, channels), 0.0)
    shift = np.zeros(channels, dtype="int64")
    if channels:
        shift[generator.integers(channels)] = round(generator.uniform(-SHIFT_HOURS, SHIFT_HOURS) * HOUR)
    return Damage(split, lost, refused, doubled, shift)


def only(damage: Damage, kind: str) -> Damage:
    """Return one kind of damage without the others. In: a key of `KINDS`."""
    return replace(no_damage(len(damage.shift)), **{kind: getattr(damage, kind)})


@dataclass(frozen=True)
class Tracked:
    """The rows of journeys as whole numbers: journey by journey, sessions in time order.

    `path`, `user`, `session`: the numbers, each from 0, of the row's journey, user and session; `channel`: its channel
    code; `moment`, `ordered` [µs]: the time of its session and of its order.
    """

    path: Integers
    user: Integers
    session: Integers
    channel: Integers
    moment: Integers
    ordered: Integers

    @cached_property
    def sessions(self) -> int:
        """The number of sessions."""
        return int(self.session.max(initial=-1)) + 1

    @cached_property
    def spans(self) -> tuple[Integers, Integers]:
        """The time of each user's first and last session [µs]."""
        users = int(self.user.max(initial=-1)) + 1
        first, last = np.full(users, np.iinfo("int64").max), np.full(users, np.iinfo("int64").min)
        np.minimum.at(first, self.user, self.moment)
        np.maximum.at(last, self.user, self.moment)
        return first, last


def damaged(tracked: Tracked, damage: Damage, generator: np.random.Generator) -> tuple[Integers, Integers]:
    """Return the rows that the journeys have in a world.

    A session that is lost or doubled is so in all journeys. If the id of a user changes, orders after that moment lose
    the sessions before it; orders before it keep theirs. A session that its clock or its delay places after the order
    leaves the journey, and none enters it, because sessions after an order are in no journey.

    Out: the positions of the rows in `tracked`, a doubled session's twice, and their time [µs]; journey by journey in
    the same order, sessions in time order.
    """
    # Drawn whether needed or not, so that each kind of damage meets the same sessions with and without the others.
    is_kept, is_doubled = generator.random((2, tracked.sessions))
    delay = generator.integers(*DELAY_SECONDS, tracked.sessions, endpoint=True) * SECOND
    first, last = tracked.spans
    is_split, changes = generator.random((2, len(first)))
    change = np.where(is_split < damage.split, first + np.ceil(changes * (last - first)).astype("int64"), first)

    reach = (1 - damage.lost) * (1 - damage.refused)
    change = change[tracked.user]
    is_cut = (tracked.moment < change) & (tracked.ordered >= change)
    row = np.flatnonzero((is_kept[tracked.session] < reach[tracked.channel]) & ~is_cut)
    row = np.repeat(row, 1 + (is_doubled[tracked.session[row]] < damage.doubled))
    moment = tracked.moment[row] + damage.shift[tracked.channel[row]]
    moment += np.where(equals_previous(row), delay[tracked.session[row]], 0)
    is_before = moment <= tracked.ordered[row]
    row, moment = row[is_before], moment[is_before]
    order = _in_time_order(tracked.path[row], moment)
    return row[order], moment[order]


def _in_time_order(path: Integers, moment: Integers) -> Integers:
    """Return the positions that sort the rows of each journey by time. Only journeys out of order are sorted."""
    order = np.arange(len(path))
    is_back = equals_previous(path)
    is_back[1:] &= moment[1:] < moment[:-1]
    is_unsorted = np.zeros(int(path.max(initial=-1)) + 1, dtype=bool)
    is_unsorted[path[is_back]] = True
    rows = np.flatnonzero(is_unsorted[path])
    order[rows] = rows[np.lexsort((moment[rows], path[rows]))]
    return order
