"""Rules of thumb in the engines' shape: first, last, last non-direct, linear, position-based, time-decay credit."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from ihc.errors import InputError
from ihc.journeys.paths import FIRST, WON, ChannelPaths
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order
from ihc.schemas.tables import plain_names

MICROSECONDS_A_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")
# What the common analytics tools call a session that came from nowhere else, in the languages that they are used in.
DIRECT = (
    *("Direct", "Direct Traffic", "Direct Entry", "Direct Visit", "(direct)", "(none)", "(direct) / (none)"),
    *("Direct / None", "Typed/Bookmarked", "Direkt", "Direkte Zugriffe", "Direktzugriff", "Direkteingabe"),
    *("Accès direct", "Trafic direct", "Entrées directes", "Directo", "Tráfico directo", "Entradas directas"),
    *("Direto", "Tráfego direto", "Acesso direto", "Diretto", "Traffico diretto", "Accesso diretto"),
    *("Direct verkeer", "Direkte", "Direkt trafik", "Bezpośrednie", "Ruch bezpośredni", "Wejścia bezpośrednie"),
    *("Přímý", "Přímá návštěvnost", "Прямые заходы", "Прямые переходы", "Прямой трафик", "Doğrudan", "直接"),
)


def first_touch(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give all credit to the first session. In: `journeys`; out: `conv_id, session_id, ihc [share]`."""
    steps = in_time_order(journeys)
    return credits_of(journeys, steps, (steps.rank == 0).astype("float64"))


def last_touch(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give all credit to the converting session. In: `journeys`; out: `conv_id, session_id, ihc [share]`."""
    steps = in_time_order(journeys)
    return credits_of(journeys, steps, (steps.rank == steps.length - 1).astype("float64"))


def direct_channels(channels: Iterable[str], direct: Collection[str] = DIRECT) -> list[str]:
    """Which of the `channels` are `direct` by name, whatever their case and spaces; each once, as it is written.

    Raises InputError if `direct` is one text instead of several.
    """
    if isinstance(direct, str):
        raise InputError(f"direct is the text {direct!r}, give a list of names: [{direct!r}].")
    names = pd.Series(list(dict.fromkeys(channels)), dtype="str")
    return names[plain_names(names).isin(plain_names(pd.Series(list(direct), dtype="str")))].tolist()


def last_non_direct_touch(journeys: pd.DataFrame, *, direct: Collection[str] = DIRECT) -> pd.DataFrame:
    """Give all credit to the last session that is not direct; where all are direct, to the last one.

    `direct`: the names that count as direct, see `direct_channels`.
    In: `journeys` with `channel_name` too; out: `conv_id, session_id, ihc [share]`.
    Raises InputError as `direct_channels` does.
    """
    steps = in_time_order(journeys, "channel_name")
    code, names = channel_codes(journeys["channel_name"])
    is_direct = names.isin(direct_channels(names, direct)).to_numpy()
    # The latest place counts, and any place that is not direct is ahead of all that are.
    place = steps.rank + np.where(is_direct[code][steps.row], 0, steps.length)
    best = np.zeros(len(place), dtype="int64")
    np.maximum.at(best, steps.path, place)
    return credits_of(journeys, steps, (place == best[steps.path]).astype("float64"))


def linear(journeys: pd.DataFrame) -> pd.DataFrame:
    """Give every session the same credit. In: `journeys`; out: `conv_id, session_id, ihc [share]`."""
    steps = in_time_order(journeys)
    return credits_of(journeys, steps, np.ones(len(journeys)))


def touch_totals(paths: ChannelPaths) -> pd.DataFrame:
    """Sum up what first, last and linear touch give each channel, as other packages report it: without the sessions.

    In: `channel_paths`; those without a conversion do not count.
    Out: `channel_name, first_touch, last_touch, linear [conversions]`, a row a channel of any path, by name.
    """
    won = np.flatnonzero(paths.codes == WON)
    codes = paths.codes[: won[-1] + 1 if len(won) else 1]  # what comes after the last conversion led to none
    ends = np.flatnonzero(codes < FIRST)
    before, after = ends[:-1], ends[1:]
    is_won, length = codes[after] == WON, after - before - 1
    weights = np.repeat(is_won / length, length + 1)  # what follows a path, its end, is no channel
    size = paths.size
    totals = {
        "first_touch": np.bincount(codes[before[is_won] + 1], minlength=size),
        "last_touch": np.bincount(codes[won - 1], minlength=size),
        "linear": np.bincount(codes[1:], weights, minlength=size).astype("float64", copy=False),  # of nothing: integers
    }
    # With few paths half of the time is the frame's: so it copies no array, and its index is that of the names.
    columns = {"channel_name": paths.names.array.copy()} | {name: total[FIRST:] for name, total in totals.items()}
    return pd.DataFrame(columns, index=paths.names.index, copy=False)


def position_based(journeys: pd.DataFrame, *, first: float = 0.4, last: float = 0.4) -> pd.DataFrame:
    """Give `first` and `last` [share] to the ends and the rest to the sessions between them, evenly.

    Where nothing lies between, the ends share all credit in proportion; a single session takes it whole.
    In: `journeys`; out: `conv_id, session_id, ihc [share]`. Raises InputError unless both are above 0 and
    together at most 1.
    """
    if not (first > 0 and last > 0 and first + last <= 1):
        raise InputError(f"position_based: first {first} and last {last} must be above 0 and together at most 1.")
    steps = in_time_order(journeys)
    between = max(0.0, 1 - first - last) / (steps.length - 2).clip(min=1)
    raw = np.select([steps.rank == 0, steps.rank == steps.length - 1], [first, last], default=between)
    return credits_of(journeys, steps, raw)


def time_decay(journeys: pd.DataFrame, *, half_life_days: float = 7.0) -> pd.DataFrame:
    """Halve a session's weight for every `half_life_days` [days] between it and the converting session.

    In: `journeys`; out: `conv_id, session_id, ihc [share]`. Raises InputError unless the half-life is above 0.
    """
    if not half_life_days > 0:
        raise InputError(f"time_decay: half_life_days is {half_life_days}, it must be above 0.")
    steps = in_time_order(journeys)
    days = (steps.moment[steps.last] - steps.moment) / MICROSECONDS_A_DAY
    return credits_of(journeys, steps, np.exp2(-days / half_life_days))
