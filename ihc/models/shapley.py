"""Shapley attribution: a conversion's credit shared among the channels that had to come together for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel


def shapley(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give each channel its Shapley value in the game of the conversions, and its sessions equal parts of it.

    In: `journeys`; out: `conv_id, session_id, ihc [share]`. Raises InputError for a missing column.

    The worth v(S) of a set S of channels is the number of conversions whose journeys use no channel outside S. That
    game is the sum of one game a conversion: worth 1 for the sets that hold all its journey's channels, 0 for the
    others. In such a unanimity game the Shapley value is the same for each channel that is needed and 0 for the rest,
    and values of a sum of games add up. So each conversion is shared equally among the distinct channels of its
    journey, exactly, without going through the 2^n sets. The same holds for revenue in the place of the count.

    Conversion rates as v(S) are not offered: they are not defined for sets of channels that nobody used, and give
    negative values where a channel lowers the rate.

    Sources: Shapley (1953), A value for n-person games, Contributions to the Theory of Games II, 307-317;
    Zhao, Mahboobi, Bagheri (2018), Shapley value methods for attribution modeling in online advertising,
    arXiv:1804.05327.
    """
    steps = in_time_order(journeys, "channel_name")
    code, names = channel_codes(journeys["channel_name"])
    return credits_of(journeys, steps, spread_by_channel(steps, code[steps.row], np.ones(len(names))))
