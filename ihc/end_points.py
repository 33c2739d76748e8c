"""Where the trained curves begin and end, by the rule that the vendor's published training example follows.

Both curves take one value a journey, leave out the outliers and read the end out of what is left. The rule was found
from the example's journeys and reproduces all percentiles that were printed for them, to the last digit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.engine import Booleans, Floats, Steps

OUTLIERS = 0.8  # values from this quantile on are outliers
END = 90  # the percentile of what is left at which a curve ends


class EndPoints(NamedTuple):
    """The hours between which the curves run, and the distributions that tell them.

    `start`, `initializer_end`, `closer_end` [h]; the closer starts at 0. `distributions`: `percentile [0 to 100],
    initializer_hours, closer_hours [h]`, of the values without outliers.
    """

    start: float
    initializer_end: float
    closer_end: float
    distributions: pd.DataFrame


def end_points(steps: Steps, closes: Booleans) -> EndPoints:
    """Read the curves' end points from journeys, of which at least one has a gap and one a closing session.

    In: `steps` in time order; `closes`: which of their sessions are closer-engaged.

    The initializer starts at the median of all gaps. It ends at the 90 % quantile of the longest gap of each journey
    (0 for a single session). The closer ends at the 90 % quantile of the hours from the earliest closing session of
    each journey to its last; a journey without one does not count. Values from their 80 % quantile on are left out
    before. All quantiles interpolate.
    """
    longest = np.maximum.reduceat(steps.gap, np.flatnonzero(steps.is_first))
    _, earliest = np.unique(steps.journey[closes], return_index=True)
    begins, closers = _percentiles(longest), _percentiles(steps.to_conversion[closes][earliest])
    table = {"percentile": np.arange(101), "initializer_hours": begins, "closer_hours": closers}
    start = float(np.median(steps.gap[~steps.is_first]))
    return EndPoints(start, float(begins[END]), float(closers[END]), pd.DataFrame(table))


def _percentiles(values: Floats) -> Floats:
    """The percentiles 0 to 100 of the values below the outliers; of all values where that leaves none."""
    inside = values[values < np.quantile(values, OUTLIERS)]
    found: Floats = np.quantile(inside if len(inside) else values, np.arange(101) / 100)
    return found
