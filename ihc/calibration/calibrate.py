"""Calibrate model parameters on answers of the IHC Attribution API.

The API prints each session's initializer, holder, closer and ihc with four decimals. As the local engine's formulas are
exact (see `models.ihc`), the shares of a few hundred journeys determine the two curves, the channel weights and the
phase weights. The engine then answers for all other journeys as the API would.

The remaining errors come from rounding and interpolation. Rounding: the API calculates `ihc` from the printed phases,
rounds it to four decimals and makes each journey sum to 1; the remainder, up to 0.0003, goes to the session with the
largest value, the first of equals. Interpolation: a curve is known at the hours in the answers. The largest errors are
in journeys that read the curve where no other answer does: beyond the longest gap, where it is extrapolated, or at a
bend that only their session shows; `worst_journeys` in `validation` names the hours. If the initializer's curve reaches
1 between two observed gaps, a new gap between them can be misread as a restart or not, which moves all credit of its
journey.

A few answers of another conversion type, or with a redistribution, are down-weighted and named. If all answers are
redistributed, the channels that give their credit get weights of almost 0, and a warning says so.
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
REWEIGHTINGS = 20  # the most iterations for the phase weights, more than ever needed
HOURS = (0, 0.1, 1, 6, 24, 72, 168, np.inf)  # [h] edges of the parts of a curve


class Calibrated(NamedTuple):
    """The result of a calibration: parameters and diagnostics.

    `left_out`: `conv_id, reason` of the unusable answers; `support`: `curve, part [hours], sessions, membership`, the
    number of sessions behind each part of a curve; `seen_until`: by phase, the range of the data [h]; `channels`:
    `channel_name`, and for each phase `<phase>_weight` and `<phase>_journeys`, the number of journeys that identify the
    weight; `warnings`: sentences, each with its consequence.
    """

    parameters: Parameters
    left_out: pd.DataFrame
    support: pd.DataFrame
    seen_until: Mapping[str, float]
    channels: pd.DataFrame
    warnings: tuple[str, ...]


class _Rows(NamedTuple):
    """The sessions of usable answers in time order, for journeys with at least two sessions."""

    frame: pd.DataFrame
    steps: Timeline
    channel: Integers
    names: tuple[str, ...]


def calibrate(
    journeys: pd.DataFrame, answers: pd.DataFrame, *, name: str = "calibrated", made: str = "", source: str = ""
) -> Calibrated:
    """Estimate model parameters from answers of the IHC Attribution API.

    Parameters
    ----------
    journeys : DataFrame
        The journeys of the database, with the columns for `attribute`: `conv_id, session_id, timestamp [UTC],
        channel_name, holder_engagement, closer_engagement [0/1]`, rows in any order.
    answers : DataFrame
        The answers of the API: `conv_id, session_id, initializer, holder, closer, ihc [share]`.
    name : str, default "calibrated"
        The name of the parameter set.
    made : str, optional
        The day of the calibration, for the provenance.
    source : str, optional
        The source of the answers, for the provenance.

    Returns
    -------
    Calibrated
        `parameters`; `left_out`: `conv_id, reason` of the unusable answers; `support`: `curve, part [hours], sessions
        [count], membership [from - to]`; `seen_until [h]` by phase; `channels`: `channel_name`, and for each phase
        `<phase>_weight [1]` and `<phase>_journeys [count]`; `warnings`, sentences.

    Raises
    ------
    InputError
        For a missing column, more than 1,000 channels, or if no usable answer has two sessions.
    ParametersError
        For a blank name.

    Notes
    -----
    The curves and channel weights are fitted by weighted least squares to the ratios of the printed shares, see
    `calibration.curves`: robust (Huber 1964, Annals of Mathematical Statistics 35), with heavy-tailed priors solved by
    reweighting (Holland and Welsch 1977, Communications in Statistics A6), then made monotone by isotonic regression
    (Barlow et al. 1972). Phase weights p sum to 1 and are fitted so that
    Σ p (ihc - phase) is 0 on every session.

    Examples
    --------
    >>> import pandas as pd
    >>> import ihc
    >>> journeys = pd.DataFrame(
    ...     {
    ...         "conv_id": "c",
    ...         "session_id": ["s1", "s2"],
    ...         "timestamp": pd.to_datetime(["2023-09-01 12:00", "2023-09-02 12:00"]),
    ...         "channel_name": ["Search", "Mail"],
    ...         "holder_engagement": 1,
    ...         "closer_engagement": 1,
    ...     }
    ... )
    >>> answers = ihc.attribute(journeys, ihc.load_parameters()).round(4)
    >>> found = ihc.calibrate(journeys, answers)
    >>> found.parameters.name
    'calibrated'
    >>> len(found.left_out)
    0

    """
    require_columns(journeys, ENGINE_COLUMNS, "journeys")
    used, left_out = usable_answers(journeys, answers)
    rows = _rows(journeys, used)
    if rows.frame.empty:
        raise InputError(_nothing_to_use(used["conv_id"].nunique(), left_out))
    if len(rows.names) > MOST_CHANNELS:
        raise InputError(
            f"The answered orders have {len(rows.names):,} channels, and a calibration supports at most "
            f"{MOST_CHANNELS:,}: give similar channels one name."
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
    what = "A calibration needs answers for orders with two or more sessions, and none is usable: "
    if left_out.empty:
        return what + f"there are only {counted(single, 'answer')} for orders with one session. Get more answers."
    return what + (
        f"{counted(len(left_out), 'answer')} cannot be used ({some(left_out['conv_id'].head(1))}: "
        f"{left_out['reason'].iloc[0]}), {single:,} are for orders with one session. Use answers and a database of the "
        "same shop and days."
    )


def _rows(journeys: pd.DataFrame, used: pd.DataFrame) -> _Rows:
    frame = journeys[list(ENGINE_COLUMNS)].merge(used[["conv_id", "session_id", *SHARES]], on=["conv_id", "session_id"])
    frame = frame[frame["conv_id"].duplicated(keep=False)]
    # A fixed order of rows gives the same sums for any input order.
    frame = frame.sort_values("conv_id", kind="stable", ignore_index=True)
    order, steps = time_order(frame)
    frame = frame.take(order).reset_index(drop=True)
    channel, names = pd.factorize(frame["channel_name"].astype("str"), sort=True, use_na_sentinel=False)
    return _Rows(frame, steps, channel.astype("int64"), tuple(map(str, names)))


def _fit(rows: _Rows, name: str) -> tuple[Parameters, dict[str, Fitted], dict[str, Pairs]]:
    """Fit the curves, which are independent; then the holder's weights, which need them; then the phase weights."""
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
    """Scale the weights so that the median channel has 1, as only ratios matter and most channels are neutral."""
    seen = np.union1d(pairs.channel, pairs.reference_channel)
    middle = np.median(log_weights[seen]) if len(seen) else 0.0
    return np.clip(log_weights - middle, -FARTHEST, FARTHEST)


def _first_counting(rows: _Rows) -> Integers:
    """Return for each row the first row of its journey that counts: the first with an initializer share."""
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
    """Return the log weights that turn the holder's neutral shares into the printed ones, relative to the largest."""
    share = rows.frame["holder"].to_numpy("float64")
    by_size = np.lexsort((-neutral, rows.steps.journey))
    largest = by_size[rows.steps.is_first][rows.steps.journey]
    chosen = (np.arange(len(share)) != largest) & (neutral > 0) & (share[largest] > 0)
    pairs = _pairs(rows, "holder", largest, chosen, np.zeros(len(share), bool))
    return _centred(fit_weights(pairs, (neutral / neutral[largest].clip(1e-9))[chosen], len(rows.names)), pairs)


def _phase_weights(frame: pd.DataFrame) -> dict[str, float]:
    """Fit the weights p with sum 1 for which Σ p (ihc - phase), over a journey's phases, is 0 on every session.

    What the answers do not determine stays near 1/3. Weights have four decimals, like `ihc`. A session that contradicts
    the others is down-weighted, as in `curves`.
    """
    is_present = frame.groupby("conv_id")[list(PHASES)].transform("sum") > 0
    off = (frame["ihc"].to_numpy("float64")[:, None] - frame[list(PHASES)].to_numpy("float64")) * is_present.to_numpy()
    even = np.full(3, 1 / 3)
    found, trust = even, np.ones(len(off))
    for _ in range(REWEIGHTINGS):
        pulls = off.T @ (off * trust[:, None])
        normal = pulls + 1e-7 * len(off) * np.eye(3)  # well above the effect of rounding
        toward, step = np.linalg.solve(normal, np.column_stack([np.ones(3), pulls @ even])).T
        found = even - step + toward * (step.sum() / toward.sum())
        trust = np.minimum(1, OUTLIER * 2 * DECIMAL / np.maximum(np.abs(off @ found), 1e-12))
    found = np.maximum(found, 0)
    rounded = np.maximum((found / found.sum()).round(4), 1e-4)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return dict(zip(PHASES, rounded.round(4).tolist(), strict=True))


def _support(phase: str, pairs: Pairs, fit: Fitted) -> pd.DataFrame:
    """Count the sessions behind each part of a curve: `curve, part, sessions [count], membership [from - to]`."""
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
    """Return the weights, each with the number of journeys that identify it, see `splits`."""
    table = pd.DataFrame({"channel_name": list(names)})
    for phase, pairs in by_phase.items():
        journeys = pairs["channel_name"].value_counts().reindex(names, fill_value=0).to_numpy("int64")
        table[f"{phase}_weight"] = [parameters.channel_weights[phase][name] for name in names]
        table[f"{phase}_journeys"] = journeys
    return table


def _provenance(rows: _Rows, answers: int, made: str, source: str) -> dict[str, Any]:
    return {
        "how": "Calibrated: monotone curves of straight pieces, channel weights and phase weights, fitted to the "
        "printed shares of answers of the IHC Attribution API. Beyond the hours in the answers, the initializer's "
        "curve is extrapolated linearly and the closer's exponentially.",
        "source": source,
        "made": made,
        "answers": answers,
        "journeys": int(rows.steps.is_first.sum()),
        "sessions": len(rows.frame),
    }
