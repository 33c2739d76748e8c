"""The models that are compared with the engines, by the name that charts and tables give them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from ihc.baselines import first_touch, last_non_direct_touch, last_touch, linear, position_based, time_decay
from ihc.markov import markov
from ihc.shapley import shapley

MODELS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "First touch": first_touch,
    "Last touch": last_touch,
    "Last non-direct touch": last_non_direct_touch,
    "Linear": linear,
    "Position-based": position_based,
    "Time decay": time_decay,
    "Markov": markov,
    "Shapley": shapley,
}
