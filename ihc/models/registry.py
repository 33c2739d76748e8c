"""The models for comparison, by the name used in charts and tables."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import pandas as pd

from ihc.models.equal_split import equal_split
from ihc.models.heuristics import (
    DIRECT,
    first_touch,
    last_non_direct_touch,
    last_touch,
    linear,
    position_based,
    time_decay,
)
from ihc.models.learned_shapley import learned_shapley, learned_shapley_totals, path_shapley, path_shapley_totals
from ihc.models.markov import MOST_STATES, markov
from ihc.models.time_to_event import time_to_event, time_to_event_totals

LAST_NON_DIRECT = "Last non-direct touch"
EQUAL = "Equal shares"  # of all channels: not a model, but what is known without any data
Model = Callable[[pd.DataFrame], pd.DataFrame]
MODELS: dict[str, Model] = {
    "First touch": first_touch,
    "Last touch": last_touch,
    LAST_NON_DIRECT: last_non_direct_touch,
    "Linear": linear,
    "Position-based": position_based,
    "Time decay": time_decay,
    "Markov": markov,
    "Equal split": equal_split,
}


def models_with(direct: Collection[str]) -> dict[str, Model]:
    """Return all models; `direct`: the names of direct channels."""
    return MODELS | {LAST_NON_DIRECT: partial(last_non_direct_touch, direct=direct)}


def models_for(journeys: pd.DataFrame, idle: pd.DataFrame, direct: Collection[str] = DIRECT) -> dict[str, Model]:
    """Return the models that can be compared on these journeys; Markov also uses the `idle` paths.

    In: `journeys`, the frame of `non_converting_paths`, and the names of channels that count as `direct`. Markov is
    left out if there are more channels than its chain supports.
    """
    models = models_with(direct)
    channels = pd.concat([journeys["channel_name"], idle["channel_name"]]).nunique()
    if channels > MOST_STATES:
        return {name: model for name, model in models.items() if model is not markov}
    return models | {"Markov": partial(markov, idle=idle)}


class IncrementalModel(NamedTuple):
    """A model of who buys: `credit` of journeys, as of any model, and `totals`, as of `incremental_table`."""

    credit: Model
    totals: Callable[[], pd.DataFrame]


def incremental_models(
    sessions: pd.DataFrame, conversions: pd.DataFrame, journeys: pd.DataFrame, idle: pd.DataFrame
) -> dict[str, IncrementalModel]:
    """Return the models that learn from all visitors, by name.

    They are not among `MODELS`, which a report compares by default: they take longer, and estimate what the channels
    caused instead of splitting what happened. In: the two tables, their `journeys` and `non_converting_paths`.
    """
    return {
        "Learned Shapley": IncrementalModel(
            partial(learned_shapley, idle=idle), partial(learned_shapley_totals, journeys, idle)
        ),
        "Path Shapley": IncrementalModel(
            partial(path_shapley, idle=idle), partial(path_shapley_totals, journeys, idle)
        ),
        "Time to event": IncrementalModel(
            partial(time_to_event, sessions=sessions, conversions=conversions),
            partial(time_to_event_totals, sessions, conversions),
        ),
    }
