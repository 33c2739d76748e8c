"""Random shops with answers from known parameters, which a calibration must recover."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.frames import ORIGIN, curves_of
from ihc.models.ihc import attribute
from ihc.models.parameters import Parameters
from ihc.schemas.tables import PHASES
from ihc.server.answers import credit_of_printed, round_shares

SHOP_CHANNELS = ("Search", "Social", "Mail", "Direct", "Referral", "Video")

# Realistic curves: a piecewise linear initializer, and a closer that falls fast at first.
INITIALIZER = ([0, 20, 60, 180, 400], [0, 0, 0.02, 0.35, 0.8])
CLOSER = ([0, 0.5, 2, 12, 60, 200, 500], [1, 0.85, 0.6, 0.45, 0.3, 0.06, 0])


def truth(**changes) -> Parameters:
    """The true parameters; each entry may be changed as in `curves_of`."""
    return curves_of(**{"initializer": INITIALIZER, "closer": CLOSER, "phases": (0.345, 0.38, 0.275), **changes})


def random_journeys(
    count: int,
    *,
    seed: int = 1,
    channels: Sequence[str] = SHOP_CHANNELS,
    mean_length: float = 4.0,
    longest: int = 40,
    flags: float = 0.8,
) -> pd.DataFrame:
    """Journeys of 1 to `longest` sessions, seconds to weeks apart; `flags`: share eligible as holder or closer."""
    draw = np.random.default_rng(seed)
    lengths = np.minimum(draw.geometric(1 / mean_length, count), longest)
    journey = np.repeat(np.arange(count), lengths)
    size = len(journey)
    hours = np.minimum(draw.lognormal(mean=0.5, sigma=2.5, size=size), 300)
    seconds = (hours * 3600).round().astype("int64").cumsum()
    number = np.arange(size)
    return pd.DataFrame(
        {
            "conv_id": [f"k{key}" for key in journey],
            "session_id": [f"s{key:06}" for key in number],
            "timestamp": ORIGIN + pd.to_timedelta(seconds, unit="s"),
            "channel_name": draw.choice(np.array(channels, dtype="object"), size),
            "holder_engagement": (draw.random(size) < flags).astype("int8"),
            "closer_engagement": (draw.random(size) < flags).astype("int8"),
        }
    )


def answers_of(journeys: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """The answers of the API for the journeys."""
    shares = attribute(journeys, parameters)
    journey = pd.factorize(shares["conv_id"])[0].astype("int64")
    phases = {phase: round_shares(shares[phase].to_numpy(), journey) for phase in PHASES}
    return shares.assign(**phases, ihc=credit_of_printed(phases, parameters.phase_weights, journey))
