"""Parameters from answers of the IHC Attribution API: the engine's curves and weights, recovered from its figures.

The API prints each session's initializer, holder, closer and ihc with four decimals. As the engine's arithmetic is
exact (see `engine`), the shares of a few hundred journeys tell the two curves, the channel weights and the phase
weights, and the engine then answers for all other journeys as the API would.

What remains is rounding and reading between the lines. Rounding: the API makes `ihc` of the printed phases, rounds it
to four decimals and makes each journey sum to 1; the remainder, up to 0.0003, goes to the session with the largest
value, the first of equals. Between the lines: a curve is known at the hours that the answers show. The largest errors
are of journeys that read it where no other answer does: beyond the longest gap, where the curve is extrapolated, or at
a bend that their session alone shows; `worst_journeys` in `validation` names the hours. Where the initializer's curve
reaches 1 between two gaps that were seen, a new journey's gap between them may be taken for a restart or not, which
moves all of its credit.

A few answers of another conversion type, or with a redistribution, are weighed down and named. Where all answers are
redistributed, the channels that give their credit away get weights of almost 0, and a warning says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.calibration.curves import DECIMAL, FARTHEST, OUTLIER, Fitted, Pairs, fit_curve, fit_weights
from ihc.calibration.diagnostics import calibration_warnings, splits, unidentified
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.journeys.credits import usable_answers
from ihc.models.ihc import ENGINE_COLUMNS, Timeline, attribute, time_order
from ihc.models.parameters import Parameters, parse_parameters
from ihc.schemas.tables import PHASES, SHARES, require_columns

MOST_CHANNELS = 1_000  # the equations grow with their square
REWEIGHTINGS = 20  # of reweighting the phase weights, more than they ever take
HOURS = (0, 0.1, 1, 6, 24, 72, 168, np.inf)  # [h] edges of the parts of a curve


class Calibrated(NamedTuple):
    """What answers gave: the parameters, and what they rest on.

    `left_out`: `conv_id, reason` of the answers that could not be used; `support`: `curve, part [hours], sessions,
    membership`: how many sessions tell each part of a curve; `seen_until`: by phase the hours up to which they tell it
    [h]; `channels`: `channel_name`, and for each phase `<phase>_weight` and `<phase>_journeys`: how many journeys tell
    the weight; `warnings`: sentences, each with its consequence.
    """

    parameters: Parameters
    left_out: pd.DataFrame
    support: pd.DataFrame
    seen_until: Mapping[str, float]
    channels: pd.DataFrame
    warnings: tuple[str, ...]


class _Rows(NamedTuple):
    """The sessions of usable answers in time order, of journeys of two and more sessions."""

    frame: pd.DataFrame
    steps: Timeline
    channel: Integers
    names: tuple[str, ...]


def calibrate(
    journeys: pd.DataFrame, answers: pd.DataFrame, *, name: str = "calibrated", made: str = "", source: str = ""
) -> Calibrated:
    """Recover the engine's parameters from answers of the API.

    In: `journeys` of the database, with the engine's columns, rows in any order; `answers` with `conv_id, session_id,
    initializer, holder, closer, ihc [share]`; `name`, and for the provenance the day `made` and the answers' `source`.

    Raises InputError for a missing column, for more than `MOST_CHANNELS` channels, or where no usable answer has two
    sessions; ParametersError for a blank name.
    """
    require_columns(journeys, ENGINE_COLUMNS, "journeys")
    used, left_out = usable_answers(journeys, answers)
    rows = _rows(journeys, used)
    if rows.frame.empty:
        raise InputError(_nothing_to_use(used["conv_id"].nunique(), left_out))
    if len(rows.names) > MOST_CHANNELS:
        raise InputError(
            f"The orders that are answered have {len(rows.names):,} channels, and a calibration weighs "
            f"{MOST_CHANNELS:,} at most: give similar channels one name."
        )
    parameters, curves, pairs = _fit(rows, name)
    support = pd.concat([_support(phase, pairs[phase], curves[phase]) for phase in curves], ignore_index=True)
    found = splits(rows.frame, parameters)
    channels = _channel_table(rows.names, parameters, found)
    seen_until = {phase: fit.seen_until for phase, fit in curves.items()}
    provenance = _provenance(rows, used["conv_id"].nunique(), made, source) | {
        "seen_until_hours": {phase: round(hours, 6) for phase, hours in seen_until.items() if np.isfinite(hours)}
    }
    warnings = (
        *calibration_warnings(journeys, used, rows.frame, parameters, curves, pairs),
        *unidentified(channels, rows.frame, found),
    )
    parameters = replace(parameters, provenance=MappingProxyType(provenance))
    return Calibrated(parameters, left_out, support, seen_until, channels, warnings)


def _nothing_to_use(single: int, left_out: pd.DataFrame) -> str:
    what = "A calibration takes answers for orders of two and more sessions, and there is none that can be used: "
    if left_out.empty:
        return what + f"{counted(single, 'answer')} for orders of one session are all there is. Get more answers."
    return what + (
        f"{counted(len(left_out), 'answer')} cannot ({some(left_out['conv_id'].head(1))}: "
        f"{left_out['reason'].iloc[0]}), {single:,} are for orders of one session. Take the answers and the database "
        "of the same shop and days."
    )


def _rows(journeys: pd.DataFrame, used: pd.DataFrame) -> _Rows:
    frame = journeys[list(ENGINE_COLUMNS)].merge(used[["conv_id", "session_id", *SHARES]], on=["conv_id", "session_id"])
    frame = frame[frame["conv_id"].duplicated(keep=False)]
    frame = frame.sort_values("conv_id", kind="stable", ignore_index=True)  # sums in one order, whatever came in
    order, steps = time_order(frame)
    frame = frame.take(order).reset_index(drop=True)
    channel, names = pd.factorize(frame["channel_name"].astype("str"), sort=True, use_na_sentinel=False)
    return _Rows(frame, steps, channel.astype("int64"), tuple(map(str, names)))


def _fit(rows: _Rows, name: str) -> tuple[Parameters, dict[str, Fitted], dict[str, Pairs]]:
    """The curves first, as they hold alone; then the holder's weights, that read them; then the phases' weights."""
    pairs = {"initializer": _initializer_pairs(rows), "closer": _closer_pairs(rows)}
    curves = {phase: fit_curve(pairs[phase], len(rows.names), rising=phase == "initializer") for phase in pairs}
    weights = {phase: _centred(curves[phase].log_weights, pairs[phase]) for phase in pairs}
    entries: dict[str, Any] = {
        "name": name,
        **{phase: {entry: list(values) for entry, values in asdict(curves[phase].curve).items()} for phase in curves},
        "phase_weights": _phase_weights(rows.frame),
        "channel_weights": {phase: _named(rows.names, weights[phase]) for phase in pairs} | {"holder": {}},
        "provenance": {},
    }
    neutral = attribute(rows.frame, parse_parameters(entries))["holder"].to_numpy()
    entries["channel_weights"]["holder"] = _named(rows.names, _holder_weights(rows, neutral))
    entries["channel_weights"] = {phase: entries["channel_weights"][phase] for phase in PHASES}
    return parse_parameters(entries), curves, pairs


def _named(names: tuple[str, ...], log_weights: Floats) -> dict[str, float]:
    return dict(zip(names, np.exp(log_weights).round(4).tolist(), strict=True))


def _centred(log_weights: Floats, pairs: Pairs) -> Floats:
    """Weights count against each other only: the median channel's is made 1, as most channels are neutral."""
    seen = np.union1d(pairs.channel, pairs.reference_channel)
    middle = np.median(log_weights[seen]) if len(seen) else 0.0
    return np.clip(log_weights - middle, -FARTHEST, FARTHEST)


def _first_counting(rows: _Rows) -> Integers:
    """The row with which each row's journey begins to count: the first with an initializer share."""
    places = np.arange(len(rows.frame))
    counting = np.where(rows.frame["initializer"] > 0, places, len(places))
    begins = np.minimum.reduceat(counting, np.flatnonzero(rows.steps.is_first))
    first: Integers = begins[rows.steps.journey]
    return first


def _initializer_pairs(rows: _Rows) -> Pairs:
    first, places = _first_counting(rows), np.arange(len(rows.frame))
    is_restart = (places == first) & ~rows.steps.is_first
    return _pairs(rows, "initializer", first, (places > first) | is_restart, is_restart)


def _closer_pairs(rows: _Rows) -> Pairs:
    places = np.arange(len(rows.frame))
    last = places[rows.steps.is_last][rows.steps.journey]
    may_close = (rows.frame["closer_engagement"] == 1).to_numpy() & ~rows.steps.is_last
    return _pairs(rows, "closer", last, may_close & (places >= _first_counting(rows)), np.zeros(len(places), bool))


def _pairs(rows: _Rows, phase: str, reference: Integers, chosen: Booleans, is_restart: Booleans) -> Pairs:
    share = rows.frame[phase].to_numpy("float64")
    hours = rows.steps.gap if phase == "initializer" else rows.steps.to_conversion
    chosen = chosen & (share[reference] > 0)
    to = reference[chosen]
    return Pairs(hours[chosen], share[chosen], share[to], rows.channel[chosen], rows.channel[to], is_restart[chosen])


def _holder_weights(rows: _Rows, neutral: Floats) -> Floats:
    """The log weights that turn the holder's neutral shares into the printed ones: beside a journey's largest."""
    share = rows.frame["holder"].to_numpy("float64")
    by_size = np.lexsort((-neutral, rows.steps.journey))
    largest = by_size[rows.steps.is_first][rows.steps.journey]
    chosen = (np.arange(len(share)) != largest) & (neutral > 0) & (share[largest] > 0)
    pairs = _pairs(rows, "holder", largest, chosen, np.zeros(len(share), bool))
    return _centred(fit_weights(pairs, (neutral / neutral[largest].clip(1e-9))[chosen], len(rows.names)), pairs)


def _phase_weights(frame: pd.DataFrame) -> dict[str, float]:
    """The weights p with sum 1 for which, over a journey's present phases, Σ p (ihc - phase) is 0 on every session.

    What the answers leave open stays near 1/3. As `ihc` has four decimals, so have they. A session that contradicts
    the others is weighed down, as in `curve_fitting`.
    """
    is_present = frame.groupby("conv_id")[list(PHASES)].transform("sum") > 0
    off = (frame["ihc"].to_numpy("float64")[:, None] - frame[list(PHASES)].to_numpy("float64")) * is_present.to_numpy()
    even = np.full(3, 1 / 3)
    found, trust = even, np.ones(len(off))
    for _ in range(REWEIGHTINGS):
        pulls = off.T @ (off * trust[:, None])
        normal = pulls + 1e-7 * len(off) * np.eye(3)  # well above what rounding alone would pull
        toward, step = np.linalg.solve(normal, np.column_stack([np.ones(3), pulls @ even])).T
        found = even - step + toward * (step.sum() / toward.sum())
        trust = np.minimum(1, OUTLIER * 2 * DECIMAL / np.maximum(np.abs(off @ found), 1e-12))
    found = np.maximum(found, 0)
    rounded = np.maximum((found / found.sum()).round(4), 1e-4)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return dict(zip(PHASES, rounded.round(4).tolist(), strict=True))


def _support(phase: str, pairs: Pairs, fit: Fitted) -> pd.DataFrame:
    """How many sessions tell each part of a curve: `curve, part, sessions [count], membership [from - to]`."""
    rows = []
    for begin, end in pairwise(HOURS):
        count = int(((pairs.hours >= begin) & (pairs.hours < end)).sum())
        start, stop = fit.curve(np.minimum([begin, end], fit.seen_until)).tolist()
        is_seen = count > 0 or begin < fit.seen_until
        part = f"{begin:g} - {end:g} h" if end < np.inf else f"{begin:g} h and more"
        rows.append((phase, part, count, f"{start:.3f} - {stop:.3f}" if is_seen else "extrapolated"))
    return pd.DataFrame(rows, columns=["curve", "part", "sessions", "membership"])


def _channel_table(
    names: tuple[str, ...], parameters: Parameters, by_phase: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The weights, and beside each the journeys that tell it, see `splits`."""
    table = pd.DataFrame({"channel_name": list(names)})
    for phase, pairs in by_phase.items():
        journeys = pairs["channel_name"].value_counts().reindex(names, fill_value=0).to_numpy("int64")
        table[f"{phase}_weight"] = [parameters.channel_weights[phase][name] for name in names]
        table[f"{phase}_journeys"] = journeys
    return table


def _provenance(rows: _Rows, answers: int, made: str, source: str) -> dict[str, Any]:
    return {
        "how": "Calibrated: monotone curves of straight pieces, channel weights and phase weights, fitted to the "
        "printed shares of answers of the IHC Attribution API. Beyond the hours that were seen, the initializer's "
        "curve goes on straight and the closer's decays on.",
        "source": source,
        "made": made,
        "answers": answers,
        "journeys": int(rows.steps.is_first.sum()),
        "sessions": len(rows.frame),
    }
