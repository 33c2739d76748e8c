"""The models that are compared with the engines, by the name that charts and tables give them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import pandas as pd

from ihc.models.heuristics import (
    DIRECT,
    first_touch,
    last_non_direct_touch,
    last_touch,
    linear,
    position_based,
    time_decay,
)
from ihc.models.markov import MOST_STATES, markov
from ihc.models.shapley import shapley

Model = Callable[[pd.DataFrame], pd.DataFrame]
MODELS: dict[str, Model] = {
    "First touch": first_touch,
    "Last touch": last_touch,
    "Last non-direct touch": last_non_direct_touch,
    "Linear": linear,
    "Position-based": position_based,
    "Time decay": time_decay,
    "Markov": markov,
    "Shapley": shapley,
}


def models_with(direct: Collection[str]) -> dict[str, Model]:
    """All models, with the names of channels that count as `direct`."""
    return MODELS | {"Last non-direct touch": partial(last_non_direct_touch, direct=direct)}


def models_for(journeys: pd.DataFrame, idle: pd.DataFrame, direct: Collection[str] = DIRECT) -> dict[str, Model]:
    """The models that these journeys can be compared by; Markov's chain knows the `idle` paths too.

    In: `journeys`, the frame of `non_converting_paths`, and the names of channels that count as `direct`. With more
    channels than a chain may have states, Markov is left out.
    """
    models = models_with(direct)
    channels = pd.concat([journeys["channel_name"], idle["channel_name"]]).nunique()
    if channels > MOST_STATES:
        return {name: model for name, model in models.items() if model is not markov}
    return models | {"Markov": partial(markov, idle=idle)}
