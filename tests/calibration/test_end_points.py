from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np
import pandas as pd
import pytest
from helpers.commands import ROOT
from helpers.frames import FIXED, ORIGIN, journey, shuffled
from hypothesis import given
from hypothesis import strategies as st

from ihc.calibration.training import end_points
from ihc.models.ihc import time_order

PUBLISHED = ROOT.parent / "shared" / "vendor_training"


def of(rows):
    order, steps = time_order(rows)
    return end_points(steps, rows["closer_engagement"].to_numpy()[order] == 1)


def of_hours(*journeys):
    """Journeys of sessions at these hours; a negative hour is that of a session that does not close."""
    parts = [
        journey(*[(abs(hour), "A", 1, int(hour >= 0)) for hour in hours], conv_id=f"k{number}")
        for number, hours in enumerate(journeys)
    ]
    return pd.concat(parts, ignore_index=True)


def quantile(values, share):
    """The quantile in fractions: linear between the two values around the place share * (n - 1)."""
    values, place = sorted(values), share * (len(values) - 1)
    low = floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def by_the_rule(values):
    outlier = quantile(values, Fraction(80, 100))
    inside = [value for value in values if value < outlier] or values
    return [quantile(inside, Fraction(percent, 100)) for percent in range(101)]


def test_the_initializer_runs_from_the_median_gap_to_the_90_percent_quantile_of_the_longest_without_outliers():
    # Longest gaps 0 (one session), 2, 4, 6, 8, 20. Their 80 % quantile is at place 4: 8. Below it: 0, 2, 4, 6.
    # Of these the 90 % quantile is at place 2.7: 4 + 0.7 * 2. All gaps: 1, 2, 4, 6, 8, 20; median 5.
    found = of(of_hours([0], [0, 1, 3], [0, 4], [0, 6], [0, 8], [0, 20]))
    assert (found.start, found.initializer_end) == pytest.approx((5, 5.4), abs=1e-12)


def test_the_closer_ends_at_the_same_quantile_of_the_hours_from_the_earliest_closing_session_to_the_last():
    # Earliest closers 0, 3, 4, 8 and 20 hours before the end; the third journey's first session does not close. The
    # 80 % quantile is at place 3.2: 8 + 0.2 * 12. Below it: 0, 3, 4, 8, whose 90 % quantile is at 2.7: 4 + 0.7 * 4.
    found = of(of_hours([5], [0, 1, 3], [-1, 2, 6], [0, 8], [0, 5, 20]))
    assert found.closer_end == pytest.approx(6.8, abs=1e-12)


def test_a_journey_without_a_closing_session_tells_nothing_of_the_closer():
    # Only 0 and 6 count: the 80 % quantile is 4.8, and 0 is left.
    assert of(of_hours([0], [0, 6], [-1, -50])).closer_end == 0


def test_where_all_values_are_outliers_all_count():
    found = of(of_hours([0, 6], [0, 6], [0, 6]))
    assert (found.start, found.initializer_end, found.closer_end) == (6, 6, 6)


def made_up(seed, count):
    """Journeys of the published form: some of one session, some of dozens, seconds to weeks apart."""
    draw = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        length = int(draw.choice([1, 2, 5, 20, 60]))
        seconds = draw.integers(1, 10 ** draw.integers(1, 7, length)).cumsum()
        closes = draw.random(length) < 0.4
        closes[-1] = True
        parts.append(
            pd.DataFrame(
                {
                    "conv_id": f"k{number}",
                    "session_id": [f"s{place:02}" for place in range(length)],
                    "timestamp": ORIGIN + pd.to_timedelta(seconds, unit="s"),
                    "closer_engagement": closes.astype("int8"),
                    "seconds": seconds,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(("seed", "count"), [(1, 157), (2, 121)])
def test_all_percentiles_are_those_of_the_rule_in_fractions(seed, count):
    rows = made_up(seed, count)
    longest, closers = [], []
    for _, part in rows.groupby("conv_id"):
        seconds = part["seconds"].tolist()
        longest.append(Fraction(max((b - a for a, b in pairwise(seconds)), default=0), 86_400))
        first = part.loc[part["closer_engagement"] == 1, "seconds"].min()
        closers.append(Fraction(int(seconds[-1] - first), 86_400))
    found = of(shuffled(rows, seed)).distributions
    assert found["percentile"].tolist() == list(range(101))
    for column, values in (("initializer_hours", longest), ("closer_hours", closers)):
        expected = np.array([float(value) for value in by_the_rule(values)])
        assert expected[-1] > 1
        assert np.abs(found[column] / 24 - expected).max() <= 1e-12


@FIXED
@given(st.lists(st.lists(st.integers(0, 500), min_size=1, max_size=5), min_size=1, max_size=12))
def test_the_ends_are_the_90th_percentiles_and_no_later_than_the_largest_value(hours):
    found = of(of_hours(*[sorted(part) for part in hours], [0, 1]))
    table = found.distributions
    assert table.loc[90, ["initializer_hours", "closer_hours"]].tolist() == [found.initializer_end, found.closer_end]
    assert (table.diff().iloc[1:] >= 0).all(axis=None)
    assert table.loc[100, "closer_hours"] <= max(1, *(max(part) - min(part) for part in hours))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published example is not part of the project")
@pytest.mark.parametrize(("number", "start", "end", "closer"), [(1, 0.66, 19.84, 63.51), (2, 0.54, 8.38, 7.53)])
def test_the_published_percentiles_are_reproduced(number, start, end, closer):
    rows = pd.read_csv(PUBLISHED / f"journeys_{number}.csv", dtype={"conversion_id": "str"}, parse_dates=["timestamp"])
    rows = rows.rename(columns={"conversion_id": "conv_id"})
    found = of(rows.assign(session_id=[f"s{place:05}" for place in range(len(rows))]))
    answer = pd.read_csv(PUBLISHED / f"answer_{number}.csv")
    for phase in ("initializer", "closer"):
        off = found.distributions[f"{phase}_hours"] / 24 - answer[f"{phase}_end_days"]
        assert len(off) == 101
        assert off.abs().max() <= 1e-12
    days = [hours / 24 for hours in (found.start, found.initializer_end, found.closer_end)]
    assert days == pytest.approx([start, end, closer], abs=0.005)
