"""Heuristic models: first, last, last non-direct, linear, position-based and time-decay."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from ihc.errors import InputError
from ihc.journeys.paths import FIRST, WON, ChannelPaths
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order
from ihc.schemas.tables import plain_names

MICROSECONDS_A_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")
# Names of direct traffic in common analytics tools, in their usual languages.
DIRECT = (
    *("Direct", "Direct Traffic", "Direct Entry", "Direct Visit", "(direct)", "(none)", "(direct) / (none)"),
    *("Direct / None", "Typed/Bookmarked", "Direkt", "Direkte Zugriffe", "Direktzugriff", "Direkteingabe"),
    *("Accès direct", "Trafic direct", "Entrées directes", "Directo", "Tráfico directo", "Entradas directas"),
    *("Direto", "Tráfego direto", "Acesso direto", "Diretto", "Traffico diretto", "Accesso diretto"),
    *("Direct verkeer", "Direkte", "Direkt trafik", "Bezpośrednie", "Ruch bezpośredni", "Wejścia bezpośrednie"),
    *("Přímý", "Přímá návštěvnost", "Прямые заходы", "Прямые переходы", "Прямой трафик", "Doğrudan", "直接"),
)


def first_touch(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give all credit to the first session. In: `journeys`. Out: `conv_id, session_id, ihc [share]`."""
    steps = in_time_order(journeys)
    return credits_of(journeys, steps, (steps.rank == 0).astype("float64"))


def last_touch(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give all credit to the converting session. In: `journeys`. Out: `conv_id, session_id, ihc [share]`."""
    steps = in_time_order(journeys)
    return credits_of(journeys, steps, (steps.rank == steps.length - 1).astype("float64"))


def direct_channels(channels: Iterable[str], direct: Collection[str] = DIRECT) -> list[str]:
    """Return the `channels` that are `direct` by name, ignoring case and spaces; each once, as written.

    Raises InputError if `direct` is a single text instead of several.
    """
    if isinstance(direct, str):
        raise InputError(f"direct is the text {direct!r}; give a list of names: [{direct!r}].")
    names = pd.Series(list(dict.fromkeys(channels)), dtype="str")
    return names[plain_names(names).isin(plain_names(pd.Series(list(direct), dtype="str")))].tolist()


def last_non_direct_touch(journeys: pd.DataFrame, *, direct: Collection[str] = DIRECT) -> pd.DataFrame:
    """Give all credit to the last session that is not direct; if all are direct, to the last one.

    `direct`: the names that count as direct, see `direct_channels`. In: `journeys`, including `channel_name`. Out:
    `conv_id, session_id, ihc [share]`. Raises InputError as `direct_channels` does.
    """
    steps = in_time_order(journeys, "channel_name")
    code, names = channel_codes(journeys["channel_name"])
    is_direct = names.isin(direct_channels(names, direct)).to_numpy()
    # The latest session wins, and every session that is not direct ranks above all direct ones.
    place = steps.rank + np.where(is_direct[code][steps.row], 0, steps.length)
    best = np.zeros(len(place), dtype="int64")
    np.maximum.at(best, steps.path, place)
    return credits_of(journeys, steps, (place == best[steps.path]).astype("float64"))


def linear(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give every session the same credit. In: `journeys`. Out: `conv_id, session_id, ihc [share]`."""
    steps = in_time_order(journeys)
    return credits_of(journeys, steps, np.ones(len(journeys)))


def touch_totals(paths: ChannelPaths) -> pd.DataFrame:
    """Compute the first-, last- and linear-touch totals per channel, as other packages report them.

    In: `channel_paths`; paths without a conversion do not count. Out: `channel_name, first_touch, last_touch, linear
    [conversions]`, one row per channel of any path, by name.
    """
    won = np.flatnonzero(paths.codes == WON)
    codes = paths.codes[: won[-1] + 1 if len(won) else 1]  # what follows the last conversion did not convert
    ends = np.flatnonzero(codes < FIRST)
    before, after = ends[:-1], ends[1:]
    is_won, length = codes[after] == WON, after - before - 1
    weights = np.repeat(is_won / length, length + 1)  # the end code after a path is not a channel
    size = paths.size
    totals = {
        "first_touch": np.bincount(codes[before[is_won] + 1], minlength=size),
        "last_touch": np.bincount(codes[won - 1], minlength=size),
        "linear": np.bincount(codes[1:], weights, minlength=size).astype("float64", copy=False),  # integers if empty
    }
    # With few paths, creating the frame takes half of the time: copy no array, and reuse the index of the names.
    columns = {"channel_name": paths.names.array.copy()} | {name: total[FIRST:] for name, total in totals.items()}
    return pd.DataFrame(columns, index=paths.names.index, copy=False)


def position_based(journeys: pd.DataFrame, *, first: float = 0.4, last: float = 0.4) -> pd.DataFrame:
    """Give `first` and `last` [share] to the first and last session, and split the rest evenly between the others.

    With two sessions, they share all credit in proportion; a single session takes it all. In: `journeys`. Out:
    `conv_id, session_id, ihc [share]`. Raises InputError unless both are above 0 and together at most 1.
    """
    if not (first > 0 and last > 0 and first + last <= 1):
        raise InputError(f"position_based: first {first} and last {last} must be above 0 and together at most 1.")
    steps = in_time_order(journeys)
    between = max(0.0, 1 - first - last) / (steps.length - 2).clip(min=1)
    raw = np.select([steps.rank == 0, steps.rank == steps.length - 1], [first, last], default=between)
    return credits_of(journeys, steps, raw)


def time_decay(journeys: pd.DataFrame, *, half_life_days: float = 7.0) -> pd.DataFrame:
    """Halve a session's weight for every `half_life_days` [days] before the converting session.

    In: `journeys`. Out: `conv_id, session_id, ihc [share]`. Raises InputError unless the half-life is above 0.
    """
    if not half_life_days > 0:
        raise InputError(f"time_decay: half_life_days is {half_life_days}; it must be above 0.")
    steps = in_time_order(journeys)
    days = (steps.moment[steps.last] - steps.moment) / MICROSECONDS_A_DAY
    return credits_of(journeys, steps, np.exp2(-days / half_life_days))
