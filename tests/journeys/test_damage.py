import numpy as np
import pytest
from helpers.frames import FEW, FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.journeys import damage
from ihc.journeys.damage import HOUR, KINDS, SECOND, Damage, Tracked, damaged, draw_damage, no_damage, only

SEEDS = st.integers(0, 10_000)
A, B = 0, 1


def tracked(*rows):
    """`(journey, user, session, channel, hour of the session, hour of the order)`, in order."""
    columns = np.array(rows, dtype="int64").reshape(-1, 6).T
    return Tracked(*columns[:4], columns[4] * HOUR, columns[5] * HOUR)


def with_damage(**kinds):
    return Damage(**{name: kinds.get(name, value) for name, value in vars(no_damage(2)).items()})


def left(rows, seed=1, **kinds):
    """The sessions that are left, with their hour."""
    row, moment = damaged(rows, with_damage(**kinds), np.random.default_rng(seed))
    return list(zip(rows.session[row].tolist(), (moment / HOUR).tolist(), strict=True))


# One user with sessions 0, 1 and 2 at hours 0, 4 and 10, and orders at hours 5 and 12.
TWO_ORDERS = tracked(
    (0, 0, 0, A, 0, 5),
    (0, 0, 1, B, 4, 5),
    (1, 0, 0, A, 0, 12),
    (1, 0, 1, B, 4, 12),
    (1, 0, 2, A, 10, 12),
)


@st.composite
def any_tracked(draw):
    """Users with up to three orders, each with all earlier sessions."""
    rows, path, first = [], 0, 0
    for user in range(draw(st.integers(1, 4))):
        hours = sorted(draw(st.lists(st.integers(0, 100), min_size=1, max_size=6)))
        channels = draw(st.lists(st.sampled_from([A, B]), min_size=len(hours), max_size=len(hours)))
        for ordered in sorted(draw(st.lists(st.integers(hours[0], 120), min_size=1, max_size=3))):
            mine = [number for number, hour in enumerate(hours) if hour <= ordered]
            rows += [(path, user, first + number, channels[number], hours[number], ordered) for number in mine]
            path += 1
        first += len(hours)
    return tracked(*rows)


@FIXED
@given(any_tracked(), SEEDS)
def test_without_damage_all_rows_stay_as_they_are(rows, seed):
    row, moment = damaged(rows, no_damage(2), np.random.default_rng(seed))
    assert row.tolist() == list(range(len(rows.path)))
    assert moment.tolist() == rows.moment.tolist()


@FIXED
@given(any_tracked(), SEEDS)
def test_in_any_world_journeys_keep_their_order_and_their_sessions_are_in_time_order_before_it(rows, seed):
    generator = np.random.default_rng(seed)
    row, moment = damaged(rows, draw_damage(2, generator), generator)
    path = rows.path[row]
    assert (np.diff(path) >= 0).all()
    assert (np.diff(moment)[np.diff(path) == 0] >= 0).all()
    assert (moment <= rows.ordered[row]).all()


@FEW
@given(any_tracked(), SEEDS)
def test_the_same_seed_gives_the_same_world(rows, seed):
    worlds = []
    for _ in range(2):
        generator = np.random.default_rng(seed)
        worlds.append(damaged(rows, draw_damage(2, generator), generator))
    for one, other in zip(*worlds, strict=True):
        assert one.tolist() == other.tolist()


def test_a_lost_session_is_lost_in_all_journeys():
    found = [[session for session, _ in left(TWO_ORDERS, seed, lost=0.5)] for seed in range(40)]
    for sessions in found:
        assert sessions.count(0) in (0, 2)
        assert sessions.count(1) in (0, 2)
    assert len({tuple(sessions) for sessions in found}) == 8  # each of the three sessions is there or not
    assert left(TWO_ORDERS, lost=1.0) == []


def test_missing_consent_hits_its_channel_only():
    assert left(TWO_ORDERS, refused=np.array([0.0, 1.0])) == [(0, 0), (0, 0), (2, 10)]


def test_a_changed_id_cuts_the_sessions_before_it_from_later_orders_only():
    # The id changes after hour 0 and by hour 10. By hour 4, both orders keep session 1; from hour 4 to 5, neither
    # keeps it; after hour 5, the first order keeps all of its journey.
    worlds = {
        tuple(session for session, _ in left(TWO_ORDERS, seed, split=1.0)) for seed in range(80)
    }  # sessions of the first journey, then of the second
    assert worlds == {(1, 1, 2), (2,), (0, 1, 2)}


def test_a_duplicate_follows_its_session_by_seconds():
    found = left(TWO_ORDERS, doubled=1.0)
    assert [session for session, _ in found] == [0, 0, 1, 1, 0, 0, 1, 1, 2, 2]
    for (_, first), (_, second) in zip(found[::2], found[1::2], strict=True):
        assert 1 <= round((second - first) * HOUR / SECOND) <= 10


def test_a_duplicate_after_the_order_is_in_no_journey():
    assert left(tracked((0, 0, 0, A, 5, 5)), doubled=1.0) == [(0, 5)]


def test_a_wrong_clock_changes_the_order_of_touches_and_takes_sessions_after_the_order_away():
    # Channel A is 5 hours ahead: session 0 comes at hour 5, after session 1; session 2 at hour 15, after the order.
    assert left(TWO_ORDERS, shift=np.array([5 * HOUR, 0])) == [(1, 4), (0, 5), (1, 4), (0, 5)]
    # Channel A is 7 hours late: session 2 comes at hour 3, before session 1.
    assert left(TWO_ORDERS, shift=np.array([-7 * HOUR, 0]))[2:] == [(0, -7), (2, 3), (1, 4)]


@FIXED
@given(SEEDS, st.integers(0, 8))
def test_drawn_damage_stays_in_its_ranges(seed, channels):
    found = draw_damage(channels, np.random.default_rng(seed))
    for value, (least, most) in (
        (found.split, damage.SPLIT),
        (found.lost, damage.LOST),
        (found.doubled, damage.DOUBLED),
    ):
        assert least <= value <= most
    assert len(found.refused) == len(found.shift) == channels
    assert ((found.refused >= 0) & (found.refused <= damage.REFUSED[1])).all()
    assert np.count_nonzero(found.shift) <= 1
    assert (np.abs(found.shift) <= damage.SHIFT_HOURS * HOUR).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone_leaves_the_others_out(kind):
    whole, none = draw_damage(3, np.random.default_rng(1)), no_damage(3)
    alone = only(whole, kind)
    for name in KINDS:
        expected = whole if name == kind else none
        assert np.array_equal(getattr(alone, name), getattr(expected, name))
