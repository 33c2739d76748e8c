from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
from helpers.frames import CHANNELS, FEW, journey, journeys
from hypothesis import given

from ihc.models.equal_split import equal_split


def enumerated(rows):
    """Each channel's Shapley value by its definition, over all subsets; v(S): conversions with no channel outside S."""
    sets = rows.groupby("conv_id")["channel_name"].agg(frozenset)
    others = {channel: [name for name in CHANNELS if name != channel] for channel in CHANNELS}

    def worth(coalition):
        return sum(used <= coalition for used in sets)

    values = {}
    for channel in CHANNELS:
        values[channel] = 0.0
        for size in range(len(CHANNELS)):
            weight = factorial(size) * factorial(len(CHANNELS) - size - 1) / factorial(len(CHANNELS))
            for some in map(set, combinations(others[channel], size)):
                values[channel] += weight * (worth(some | {channel}) - worth(some))
    return pd.Series(values)


def test_distinct_channels_share_evenly_and_so_do_the_sessions_of_one():
    # Two channels: 1/2 each. Search has two sessions: 1/4 each.
    rows = journey((0, "Search", 1, 1), (1, "Mail", 1, 1), (2, "Search", 1, 1))
    assert equal_split(rows)["ihc"].tolist() == [0.25, 0.5, 0.25]


@FEW
@given(journeys(most=6))
def test_the_channels_sums_are_their_shapley_values_by_the_definition(rows):
    found = equal_split(rows)["ihc"].groupby(rows["channel_name"]).sum()
    np.testing.assert_allclose(found.reindex(CHANNELS, fill_value=0), enumerated(rows), atol=1e-12)
