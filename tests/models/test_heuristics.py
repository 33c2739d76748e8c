import numpy as np
import pytest
from helpers.frames import FEW, converting, idle, journey
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import InputError
from ihc.journeys.paths import channel_paths
from ihc.models.heuristics import (
    direct_channels,
    first_touch,
    last_non_direct_touch,
    last_touch,
    linear,
    position_based,
    time_decay,
    touch_totals,
)

HALVED = journey((0, "A", 1, 1), (7 * 24, "B", 1, 1), (14 * 24, "A", 1, 1))


@pytest.mark.parametrize(
    ("model", "shares"),
    [
        (first_touch, [1, 0, 0]),
        (last_touch, [0, 0, 1]),
        (linear, [1 / 3, 1 / 3, 1 / 3]),
        (position_based, [0.4, 0.2, 0.4]),
        (time_decay, [1 / 7, 2 / 7, 4 / 7]),  # 14, 7 and 0 days old: 1/4, 1/2, 1; sum 7/4
    ],
)
def test_a_journey_of_three_sessions(model, shares):
    credits = model(HALVED)
    assert credits.columns.tolist() == ["conv_id", "session_id", "ihc"]
    np.testing.assert_allclose(credits["ihc"], shares, atol=1e-15)


@pytest.mark.parametrize(
    ("channels", "shares"),
    [
        (["Search", "Mail", "Direct"], [0, 1, 0]),
        (["Search", "Direct", "Mail"], [0, 0, 1]),
        (["Search", "Direct", "Direct"], [1, 0, 0]),
        (["Direct", "Direct", "Direct"], [0, 0, 1]),
        (["Mail", "Mail", "Direct"], [0, 1, 0]),
        (["Directory", "Direct mail", "Direct"], [0, 1, 0]),
    ],
)
def test_the_last_non_direct_session_gets_all_or_else_the_last_one(channels, shares):
    steps = [(hour, channel, 1, 1) for hour, channel in enumerate(channels)]
    assert last_non_direct_touch(journey(*steps))["ihc"].tolist() == shares


def test_direct_channels_are_returned_once_as_written():
    assert direct_channels(["Mail", "DIRECT ", "accès  direct", "DIRECT ", "Directory"]) == ["DIRECT ", "accès  direct"]
    assert direct_channels(["Mail", "Direct"], ["mail"]) == ["Mail"]
    assert direct_channels([]) == []
    names = ["Direct Traffic", " direct ", "(Direct)/(None)", "(none)", "DIREKT", "ПРЯМЫЕ заходы"]
    assert direct_channels(names) == names
    rows = journey((0, "Direct", 1, 1), (1, "Brand Search", 1, 1))
    assert last_non_direct_touch(rows, direct=["brand search"])["ihc"].tolist() == [1, 0]
    assert last_non_direct_touch(rows, direct=[])["ihc"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("length", "first", "last", "shares"),
    [
        (5, 0.5, 0.2, [0.5, 0.1, 0.1, 0.1, 0.2]),  # 1 - 0.5 - 0.2 = 0.3 among three
        (2, 0.6, 0.2, [0.75, 0.25]),  # in proportion
        (3, 0.9, 0.1, [0.9, 0, 0.1]),
        (3, 0.7, 0.3, [0.7, 0, 0.3]),  # 1 - 0.7 - 0.3 is below 0 in floating point
    ],
)
def test_position_based_splits_the_rest_evenly(length, first, last, shares):
    credits = position_based(journey(*((hour, "A", 1, 1) for hour in range(length))), first=first, last=last)["ihc"]
    np.testing.assert_allclose(credits, shares, atol=1e-15)
    assert credits.min() >= 0


@pytest.mark.parametrize(("first", "last"), [(0, 0.4), (0.4, 0), (0.6, 0.5), (float("nan"), 0.4)])
def test_invalid_arguments_are_refused(first, last):
    with pytest.raises(InputError, match="position_based"):
        position_based(HALVED, first=first, last=last)
    with pytest.raises(InputError, match="half_life_days"):
        time_decay(HALVED, half_life_days=min(first, 0))
    with pytest.raises(InputError, match="direct is the text 'Direct'; give a list"):
        last_non_direct_touch(HALVED, direct="Direct")


@pytest.mark.parametrize(
    ("days", "shares"),
    [
        (14, np.array([1 / 2, 2**-0.5, 1]) / (3 / 2 + 2**-0.5)),  # 14, 7 and 0 days old
        (1e-15, [0, 0, 1]),
        (1e12, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_time_decay_halves_per_half_life(days, shares):
    np.testing.assert_allclose(time_decay(HALVED, half_life_days=days)["ihc"], shares, atol=1e-9)


def test_sessions_at_the_same_time_are_sorted_by_session_id():
    rows = journey((0, "A", 1, 1), (0, "A", 1, 1)).iloc[::-1]
    assert first_touch(rows)["ihc"].tolist() == [0, 1]
    assert last_touch(rows)["ihc"].tolist() == [1, 0]


def test_totals_by_channel_count_each_conversion_once_per_model():
    # ABA: first A, last A, linear A 2/3, B 1/3. BC: first B, last C, 1/2 each. C: all C. DA did not convert.
    table = touch_totals(channel_paths(converting("ABA", "BC", "C"), idle("DA")))
    assert table.columns.tolist() == ["channel_name", "first_touch", "last_touch", "linear"]
    assert table["channel_name"].tolist() == ["A", "B", "C", "D"]
    assert table["first_touch"].tolist() == [1, 1, 1, 0]
    assert table["last_touch"].tolist() == [1, 0, 2, 0]
    np.testing.assert_allclose(table["linear"], [2 / 3, 1 / 3 + 1 / 2, 1 / 2 + 1, 0], rtol=1e-15)


@FEW
@given(st.lists(st.text("ABC", min_size=1, max_size=6), max_size=6), st.lists(st.text("CD", min_size=1), max_size=3))
def test_totals_by_channel_are_the_sums_of_the_credits(wins, losses):
    journeys = converting(*wins)
    table = touch_totals(channel_paths(journeys, idle(*losses))).set_index("channel_name")
    for model in (first_touch, last_touch, linear):
        summed = model(journeys)["ihc"].groupby(journeys["channel_name"]).sum()
        expected = summed.reindex(table.index, fill_value=0.0)
        np.testing.assert_allclose(table[model.__name__], expected, atol=1e-12)
    assert table.sum().to_numpy() == pytest.approx(np.full(3, len(wins)))
    assert table.dtypes.tolist() == ["int64", "int64", "float64"]
