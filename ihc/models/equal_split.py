"""Equal split: each conversion by the Shapley values of its channels in the game of the conversions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel


def equal_split(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give each channel its Shapley value in the game of the conversions, split evenly over its sessions.

    In: `journeys`. Out: `conv_id, session_id, ihc [share]`. Raises InputError for a missing column.

    The worth v(S) of a set S of channels is the number of conversions whose journeys use no channel outside S. This
    game is the sum of one game per conversion: worth 1 for the sets that contain all channels of the journey, 0 for the
    others. In such a unanimity game, each needed channel has the same Shapley value and all others have 0, and Shapley
    values are additive over games. Each conversion is therefore split equally between the distinct channels of its
    journey, exactly, without enumerating 2^n sets. The same holds for revenue instead of the count.

    Conversion rates as v(S) need idle paths and a model for the sets that nobody used: see `learned_shapley`.

    Sources: Shapley (1953), A value for n-person games, Contributions to the Theory of Games II, 307-317; Zhao,
    Mahboobi, Bagheri (2018), Shapley value methods for attribution modeling in online advertising, arXiv:1804.05327.
    """
    steps = in_time_order(journeys, "channel_name")
    code, _ = channel_codes(journeys["channel_name"])
    return credits_of(journeys, steps, spread_by_channel(steps, code[steps.row], np.ones(len(code))))
