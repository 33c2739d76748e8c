"""Rules of thumb in the engines' shape: first, last, linear, position-based and time-decay credit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.errors import InputError
from ihc.schemas import require_columns

NEEDS = ("conv_id", "session_id", "timestamp")


def first_touch(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give all credit to the first session. In: `journeys`; out: `conv_id, session_id, ihc [share]`."""
    ranked = _ranked(journeys)
    return _credits(ranked, (ranked["rank"] == 0).astype("float64"))


def last_touch(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give all credit to the converting session. In: `journeys`; out: `conv_id, session_id, ihc [share]`."""
    ranked = _ranked(journeys)
    return _credits(ranked, (ranked["rank"] == ranked["length"] - 1).astype("float64"))


def linear(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give every session the same credit. In: `journeys`; out: `conv_id, session_id, ihc [share]`."""
    ranked = _ranked(journeys)
    return _credits(ranked, 1 / ranked["length"])


def position_based(journeys: pd.DataFrame, *, first: float = 0.4, last: float = 0.4) -> pd.DataFrame:
    """Give `first` and `last` [share] to the ends and the rest to the sessions between them, evenly.

    Where nothing lies between, the ends share all credit in proportion; a single session takes it whole.
    In: `journeys`; out: `conv_id, session_id, ihc [share]`. Raises InputError unless both are above 0 and
    together at most 1.
    """
    if not (first > 0 and last > 0 and first + last <= 1):
        raise InputError(f"position_based: first {first} and last {last} must be above 0 and together at most 1.")
    ranked = _ranked(journeys)
    is_first, is_last = ranked["rank"] == 0, ranked["rank"] == ranked["length"] - 1
    between = max(0.0, 1 - first - last) / (ranked["length"] - 2).clip(lower=1)
    raw = np.select([is_first & is_last, is_first, is_last], [1.0, first, last], default=between)
    return _credits(ranked, pd.Series(raw, index=ranked.index))


def time_decay(journeys: pd.DataFrame, *, half_life_days: float = 7.0) -> pd.DataFrame:
    """Halve a session's weight for every `half_life_days` [days] between it and the converting session.

    In: `journeys`; out: `conv_id, session_id, ihc [share]`. Raises InputError unless the half-life is above 0.
    """
    if not half_life_days > 0:
        raise InputError(f"time_decay: half_life_days is {half_life_days}, it must be above 0.")
    ranked = _ranked(journeys)
    age = ranked.groupby("conv_id", sort=False)["timestamp"].transform("max") - ranked["timestamp"]
    days = age.dt.total_seconds() / 86_400
    return _credits(ranked, 0.5 ** (days / half_life_days))


MODELS = {
    "First touch": first_touch,
    "Last touch": last_touch,
    "Linear": linear,
    "Position-based": position_based,
    "Time decay": time_decay,
}


def _ranked(journeys: pd.DataFrame) -> pd.DataFrame:
    require_columns(journeys, NEEDS, "journeys")
    rows = journeys[list(NEEDS)].reset_index(drop=True)
    by_order = rows.sort_values(["timestamp", "session_id"], kind="stable").groupby("conv_id", sort=False)["session_id"]
    return rows.assign(rank=by_order.cumcount(), length=by_order.transform("size"))


def _credits(ranked: pd.DataFrame, raw: pd.Series) -> pd.DataFrame:
    total = raw.groupby(ranked["conv_id"], sort=False).transform("sum")
    return ranked[["conv_id", "session_id"]].assign(ihc=raw / total)
