"""Parameters from answers of the IHC Attribution API: the engine's curves and weights, recovered from its figures.

The API prints each session's initializer, holder, closer and ihc with four decimals. As the engine's arithmetic is
exact (see `engine`), the shares of a few hundred journeys tell the two curves, the channel weights and the phase
weights, and the engine then answers for all other journeys as the API would.

What remains is rounding and reading between the lines. Rounding: the API prints `ihc` within 0.00005 and makes each
journey sum to 1; the remainder, up to 0.0003, falls on one session, nearly always the first. Between the lines: a curve
is known at the hours that the answers show. The largest errors are of journeys that read it where no other answer does:
beyond the longest gap, where it can only be led on, or at a bend that their session alone shows. `worst_journeys` names
both. Journeys that are answered by another conversion type, or with a redistribution, do not fit at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.credits import usable_answers
from ihc.curve_fitting import DECIMAL, LOOSE, NEUTRAL, OUTLIER, Fitted, Pairs, fit_curve
from ihc.engine import Booleans, Floats, Integers, Steps, attribute, time_order
from ihc.errors import InputError, counted, some
from ihc.parameters import Parameters, parse_parameters
from ihc.schemas import PHASES, SHARES

ENOUGH = 100  # answers
ENOUGH_LONG = 30  # answers of two and more sessions
FITTING = 0.01  # an error of the fit itself above this is no rounding
FEW = 10  # sessions of a channel that tell little of its weights
HOURS = (0, 0.1, 1, 6, 24, 72, 168, np.inf)  # [h] edges of the parts of a curve


class Calibrated(NamedTuple):
    """What answers gave: the parameters, and what they rest on.

    `left_out`: `conv_id, reason` of the answers that could not be used; `support`: `curve, part [hours], sessions,
    membership`: how many sessions tell each part of a curve; `channels`: `channel_name, sessions, initializer_weight,
    holder_weight, closer_weight`; `warnings`: sentences, each with its consequence.
    """

    parameters: Parameters
    left_out: pd.DataFrame
    support: pd.DataFrame
    channels: pd.DataFrame
    warnings: tuple[str, ...]


class _Rows(NamedTuple):
    """The sessions of usable answers in time order, of journeys of two and more sessions."""

    frame: pd.DataFrame
    steps: Steps
    channel: Integers
    names: tuple[str, ...]


def calibrate(
    journeys: pd.DataFrame, answers: pd.DataFrame, *, name: str = "calibrated", made: str = "", source: str = ""
) -> Calibrated:
    """Recover the engine's parameters from answers of the API.

    In: `journeys` of the database, with the engine's columns, rows in any order; `answers` with `conv_id, session_id,
    initializer, holder, closer, ihc [share]`; `name`, and for the provenance the day `made` and the answers' `source`.

    Raises InputError for a missing column, or where no usable answer has two sessions.
    """
    used, left_out = usable_answers(journeys, answers)
    rows = _rows(journeys, used)
    if rows.frame.empty:
        raise InputError(
            f"No answer can be used: a calibration takes answers for orders of two and more sessions. Of "
            f"{counted(answers['conv_id'].nunique(), 'answer')}, {len(left_out):,} do not fit the database"
            f"{_first_reason(left_out)}: take the answers and the database of the same shop and days."
        )
    parameters, curves, pairs = _fit(rows, name)
    support = pd.concat([_support(phase, pairs[phase], curves[phase]) for phase in curves], ignore_index=True)
    channels = _channels(rows, parameters)
    provenance = _provenance(rows, used["conv_id"].nunique(), made, source) | {
        "seen_until_hours": {phase: round(fit.seen_until, 6) for phase, fit in curves.items()}
    }
    warnings = [*_thin(rows, used), *_flat(curves), *_misfit(rows, parameters), *_unseen(rows, journeys, curves)]
    return Calibrated(
        replace(parameters, provenance=MappingProxyType(provenance)), left_out, support, channels, tuple(warnings)
    )


def _first_reason(left_out: pd.DataFrame) -> str:
    return f" ({some(left_out['conv_id'].head(1))}: {left_out['reason'].iloc[0]})" if len(left_out) else ""


def _rows(journeys: pd.DataFrame, used: pd.DataFrame) -> _Rows:
    frame = journeys.merge(used[["conv_id", "session_id", *SHARES]], on=["conv_id", "session_id"])
    frame = frame[frame["conv_id"].duplicated(keep=False)]
    order, steps = time_order(frame)
    frame = frame.take(order).reset_index(drop=True)
    channel, names = pd.factorize(frame["channel_name"], sort=True)
    return _Rows(frame, steps, channel.astype("int64"), tuple(map(str, names)))


def _fit(rows: _Rows, name: str) -> tuple[Parameters, dict[str, Fitted], dict[str, Pairs]]:
    """The curves first, as they hold alone; then the holder's weights, that read them; then the phases' weights."""
    pairs = {"initializer": _initializer_pairs(rows), "closer": _closer_pairs(rows)}
    curves = {phase: fit_curve(pairs[phase], len(rows.names), rising=phase == "initializer") for phase in pairs}
    weights = {phase: _centred(curves[phase].log_weights, pairs[phase]) for phase in pairs}
    entries: dict[str, Any] = {
        "name": name,
        **{phase: {name: list(values) for name, values in asdict(curves[phase].curve).items()} for phase in curves},
        "phase_weights": _phase_weights(rows.frame),
        "channel_weights": {phase: _named(rows.names, weights[phase]) for phase in pairs} | {"holder": {}},
        "provenance": {},
    }
    neutral = attribute(rows.frame, parse_parameters(entries))["holder"].to_numpy()
    entries["channel_weights"]["holder"] = _named(rows.names, _share_weights(rows, neutral))
    entries["channel_weights"] = {phase: entries["channel_weights"][phase] for phase in PHASES}
    return parse_parameters(entries), curves, pairs


def _named(names: tuple[str, ...], log_weights: Floats) -> dict[str, float]:
    return dict(zip(names, np.exp(log_weights).round(4).tolist(), strict=True))


def _centred(log_weights: Floats, pairs: Pairs) -> Floats:
    """Weights count against each other only: 1 is made the weight that most channels have."""
    seen = np.union1d(pairs.channel, pairs.reference_channel)
    return log_weights - np.median(log_weights[seen]) if len(seen) else log_weights


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


def _share_weights(rows: _Rows, neutral: Floats) -> Floats:
    """The log weights that turn the holder's neutral shares into the printed ones, as in `curve_fitting`."""
    printed, size = rows.frame["holder"].to_numpy("float64"), len(rows.names)
    log_weights, scale = np.zeros(size), np.full(size, LOOSE)
    journey, steps = rows.steps.journey, rows.steps
    one_hot = np.eye(size)[rows.channel]
    for _ in range(20):
        share = steps.share(neutral * np.exp(log_weights[rows.channel]))
        means = np.zeros((journey[-1] + 1, size))
        np.add.at(means, (journey, rows.channel), share)
        slopes = share[:, None] * (one_hot - means[journey])
        error = printed - share
        # What the curves leave open weighs on the holder too, so its errors are several times those of rounding.
        pull = np.minimum(1, 10 * DECIMAL * OUTLIER / np.maximum(np.abs(error), 1e-12)) / (10 * DECIMAL) ** 2
        normal = slopes.T @ (pull[:, None] * slopes) + np.diag(1 / scale**2)
        log_weights = log_weights + np.linalg.solve(normal, slopes.T @ (pull * error) - log_weights / scale**2)
        scale = np.sqrt((NEUTRAL**2 + log_weights**2) / 2)
    seen = np.unique(rows.channel[printed > 0])
    return log_weights - np.median(log_weights[seen]) if len(seen) else log_weights


def _phase_weights(frame: pd.DataFrame) -> dict[str, float]:
    """The weights p with sum 1 for which, over a journey's present phases, Σ p (ihc - phase) is 0 on every session.

    A phase that no answer has keeps the weight 1/3. The API prints few decimals of them: four are kept.
    """
    is_present = frame.groupby("conv_id")[list(PHASES)].transform("sum") > 0
    off = (frame["ihc"].to_numpy("float64")[:, None] - frame[list(PHASES)].to_numpy("float64")) * is_present.to_numpy()
    even = np.full(3, 1 / 3)
    normal = off.T @ off + 1e-7 * len(off) * np.eye(3)  # well above what rounding alone would pull
    toward = np.linalg.solve(normal, np.ones(3))
    step = np.linalg.solve(normal, off.T @ off @ even)
    found = even - step + toward * (step.sum() / toward.sum())
    found = np.maximum(found, 1e-4)
    rounded = (found / found.sum()).round(4)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return dict(zip(PHASES, rounded.round(4).tolist(), strict=True))


def _support(phase: str, pairs: Pairs, fit: Fitted) -> pd.DataFrame:
    """How many sessions tell each part of a curve: `curve, part, sessions [count], membership [from - to]`."""
    rows = []
    for begin, end in pairwise(HOURS):
        is_here = (pairs.hours >= begin) & (pairs.hours < end)
        edges = np.minimum([begin, end], fit.seen_until)
        start, stop = fit.curve(edges).tolist()
        text = f"{start:.3f} - {stop:.3f}" if begin < fit.seen_until else "extrapolated"
        rows.append(
            (phase, f"{begin:g} - {end:g} h" if end < np.inf else f"{begin:g} h and more", int(is_here.sum()), text)
        )
    return pd.DataFrame(rows, columns=["curve", "part", "sessions", "membership"])


def _channels(rows: _Rows, parameters: Parameters) -> pd.DataFrame:
    counts = np.bincount(rows.channel, minlength=len(rows.names))
    weights = {f"{phase}_weight": [parameters.channel_weights[phase][name] for name in rows.names] for phase in PHASES}
    return pd.DataFrame({"channel_name": list(rows.names), "sessions": counts, **weights})


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


def _thin(rows: _Rows, used: pd.DataFrame) -> Iterator[str]:
    answers, journeys = used["conv_id"].nunique(), int(rows.steps.is_first.sum())
    if answers < ENOUGH or journeys < ENOUGH_LONG:
        yield (
            f"These are too few answers: {answers:,} can be used, {journeys:,} of them of two and more sessions, and "
            f"it takes {ENOUGH} and {ENOUGH_LONG}. The curves are guessed in between, and single credits may be off by "
            "several hundredths: get more answers before you rely on it."
        )


def _flat(curves: Mapping[str, Fitted]) -> Iterator[str]:
    """Say which curve the answers leave constant, and what that means."""
    means = {
        "initializer": "of each journey, the first session alone takes the whole phase",
        "closer": "all sessions that close count alike, however early they were",
    }
    for phase, fit in curves.items():
        values = {
            value for hour, value in zip(fit.curve.hours, fit.curve.membership, strict=True) if hour <= fit.seen_until
        }
        if len(values) < 2:
            yield (
                f"The {phase}'s curve is constant over the hours that the answers show, 0 to {fit.seen_until:,.1f}: "
                f"{means[phase]}."
            )


def _misfit(rows: _Rows, parameters: Parameters) -> Iterator[str]:
    error = (attribute(rows.frame, parameters)["ihc"].to_numpy() - rows.frame["ihc"]).abs()
    is_off = error > FITTING
    if is_off.any():
        ids = rows.frame.loc[is_off, "conv_id"].drop_duplicates()
        yield (
            f"{counted(len(ids), 'answer')} cannot be explained by the parameters that explain the others, by up to "
            f"{error.max():.4f} ({some(ids)}): they may be of another conversion type, or redistributed. They were "
            "weighed down, but better leave them out."
        )
    if not (rows.frame["holder"] > 0).any():
        yield "No answer has a holder: its phase keeps the weight 1/3, and its channel weights are 1."


def _unseen(rows: _Rows, journeys: pd.DataFrame, curves: Mapping[str, Fitted]) -> Iterator[str]:
    """Say for what in the journeys there is no answer: channels, and hours beyond those seen."""
    if unseen := sorted(set(map(str, journeys["channel_name"].unique())) - set(rows.names)):
        yield (
            f"No answer of two and more sessions has the channels {some(unseen)}: they count as neutral, 1, in each "
            "phase."
        )
    few = [name for name, count in zip(rows.names, np.bincount(rows.channel), strict=True) if count < FEW]
    if few:
        yield f"Fewer than {FEW} sessions tell the weights of {some(few)}: take them as a guess."
    _, steps = time_order(journeys)
    for phase, hours in (("initializer", steps.gap), ("closer", steps.to_conversion)):
        beyond = int((hours > curves[phase].seen_until).sum())
        if beyond:
            yield (
                f"{counted(beyond, 'session')} of the database read the {phase}'s curve beyond the "
                f"{curves[phase].seen_until:,.1f} hours that the answers show: there it is extrapolated."
            )
