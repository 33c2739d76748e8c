"""Calibration diagnostics: warnings, each with its consequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ihc.arrays.types import Booleans
from ihc.calibration.curves import Fitted, Pairs
from ihc.formatting import counted, some
from ihc.models.ihc import attribute, time_order, workings
from ihc.models.parameters import Parameters
from ihc.schemas.tables import PHASES

LEAST_ANSWERS = 30  # answers with two or more sessions; a single session gets all credit under any parameters
CONSTANT = 0.002  # smaller changes of a curve are within the rounding of printed shares
FITTING = 0.01  # a larger error is not due to rounding
NEGLIGIBLE_WEIGHT = 0.002  # below this weight, the shares of a channel are printed as 0
LEAST_JOURNEYS = 5  # with fewer journeys, a weight is not identified
TELLING_SHARE = 0.01  # below this share of a phase, four decimals hardly determine a weight


def calibration_warnings(
    journeys: pd.DataFrame,
    used: pd.DataFrame,
    fitted: pd.DataFrame,
    parameters: Parameters,
    curves: Mapping[str, Fitted],
    pairs: Mapping[str, Pairs],
) -> tuple[str, ...]:
    """Return the warnings of a calibration.

    In: `journeys` of the database; the `used` answers; the `fitted` sessions of answers with two or more sessions, with
    the columns of both; the estimated `parameters`; by phase, the two `curves` and the `pairs` behind them.
    """
    return (
        *_too_few(used),
        *_initializer_curve(curves["initializer"]),
        *_closer_curve(curves["closer"], pairs["closer"]),
        *_contradictions(fitted, parameters, curves),
        *_redistribution(parameters),
        *_channels(journeys, fitted),
        *_hours(journeys, curves),
    )


def _too_few(used: pd.DataFrame) -> Iterator[str]:
    long = used.loc[used["conv_id"].duplicated(), "conv_id"].nunique()
    if long < LEAST_ANSWERS:
        yield (
            f"Too few answers: {long:,} with two or more sessions are usable, and a calibration needs "
            f"{LEAST_ANSWERS}. The curves are rough, and the error of a single credit may be several hundredths. Get "
            "more answers before you rely on it."
        )


def _initializer_curve(fit: Fitted) -> Iterator[str]:
    low, high = fit.curve(np.array([0.0, fit.seen_until])).tolist()
    where = f"over the hours in the answers, 0 to {fit.seen_until:,.1f}"
    if high < CONSTANT:
        yield f"The initializer's curve is 0 {where}: the first session of a journey gets the whole phase."
    elif high - low < CONSTANT:
        yield (
            f"The initializer's curve is constant {where}: each later session counts {high:.3f} times as much as the "
            "first one, whatever the gap before it."
        )


def _closer_curve(fit: Fitted, pairs: Pairs) -> Iterator[str]:
    if not len(pairs.hours):
        yield (
            "The closer's curve is unknown, because no answer has a closing session before the converting one. Such "
            "sessions will count as much as the converting one, whatever the time between them."
        )
    elif fit.curve(np.array([fit.seen_until]))[0] > 1 - CONSTANT:
        yield (
            f"The closer's curve is constant over the hours in the answers, 0 to {fit.seen_until:,.1f}: all closing "
            "sessions count the same, whatever the time to the conversion."
        )


def _contradictions(fitted: pd.DataFrame, parameters: Parameters, curves: Mapping[str, Fitted]) -> Iterator[str]:
    error = (attribute(fitted, parameters)["ihc"].to_numpy() - fitted["ihc"]).abs()
    # Closers before a restart are missing from the closer's shares, but the holder depends on their curve.
    is_known = ~fitted["conv_id"].isin(fitted.loc[_beyond(fitted, curves)["closer"], "conv_id"])
    is_off = (error > FITTING) & is_known
    ids = fitted.loc[is_off, "conv_id"].drop_duplicates()
    if len(ids):
        yield (
            f"{len(ids):,} of {counted(fitted['conv_id'].nunique(), 'answer')} contradict the parameters that fit the "
            f"others, by up to {error[is_off].max():.4f} ({some(ids)}). They may be of another conversion type or "
            "redistributed. They were down-weighted; it is better to leave them out."
        )
    if not (fitted["holder"] > 0).any():
        yield (
            "No answer has a holder, so its phase weight of about 1/3 and its channel weights of 1 are guesses. They "
            "apply to every session with holder_engagement = 1."
        )


def _redistribution(parameters: Parameters) -> Iterator[str]:
    """Name the channels with almost no share in a phase, as if their credit were redistributed."""
    weights = parameters.channel_weights
    empty = sorted({name for phase in PHASES for name, weight in weights[phase].items() if weight < NEGLIGIBLE_WEIGHT})
    if empty:
        yield (
            f"The answers give the channels {some(empty)} no share in some phase, as after a redistribution. The "
            "parameters do the same. For credit before a redistribution, calibrate on answers without one."
        )


def _channels(journeys: pd.DataFrame, fitted: pd.DataFrame) -> Iterator[str]:
    known = set(fitted["channel_name"].astype("str"))
    if unseen := sorted(set(journeys["channel_name"].astype("str")) - known):
        yield f"No answer with two or more sessions has the channels {some(unseen)}: their weights are 1 in each phase."


def _hours(journeys: pd.DataFrame, curves: Mapping[str, Fitted]) -> Iterator[str]:
    """Count the journey sessions that read a curve beyond the hours in the answers."""
    for phase, is_beyond in _beyond(journeys, curves).items():
        if is_beyond.any():
            yield (
                f"For {counted(is_beyond.sum(), 'session')} of the database, the {phase}'s curve is extrapolated "
                f"beyond the {curves[phase].seen_until:,.1f} hours in the answers."
            )


def _beyond(journeys: pd.DataFrame, curves: Mapping[str, Fitted]) -> dict[str, Booleans]:
    """Mark, by phase, the rows that read its curve beyond the hours in the answers."""
    order, steps = time_order(journeys)
    may_close = (journeys["closer_engagement"].to_numpy() == 1)[order]
    hours = {"initializer": steps.gap, "closer": np.where(may_close, steps.to_conversion, 0.0)}
    found = {phase: np.empty(len(order), dtype=bool) for phase in hours}
    for phase, is_beyond in found.items():
        is_beyond[order] = hours[phase] > curves[phase].seen_until
    return found


def splits(fitted: pd.DataFrame, parameters: Parameters) -> dict[str, pd.DataFrame]:
    """Find the journeys that split a phase between channels.

    In: the `fitted` sessions, with the engine's columns, and the estimated `parameters`. Out: by phase `conv_id,
    channel_name`, one row per channel of such a journey. Channel weights are ignored: a channel with a weight near 0
    counts too.
    """
    rows, found = workings(fitted, parameters), {}
    for phase in PHASES:
        membership = rows[f"{phase}_membership"].where(rows["counts"], 0.0)
        share = membership / membership.groupby(rows["conv_id"]).transform("sum")
        names = fitted["channel_name"].astype("str").to_numpy()
        pairs = rows[["conv_id"]].assign(channel_name=names)[share >= TELLING_SHARE].drop_duplicates()
        found[phase] = pairs[pairs["conv_id"].duplicated(keep=False)]
    return found


def unidentified(channels: pd.DataFrame, fitted: pd.DataFrame, found: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Name the weights that the answers do not identify.

    In: `channel_name`, and for each phase `<phase>_journeys [count]`; the `fitted` sessions; `splits`.
    """
    for phase, pairs in found.items():
        journeys = channels.set_index("channel_name")[f"{phase}_journeys"]
        few = journeys[journeys < LEAST_JOURNEYS].sort_index()
        if len(channels) > 1 and len(few) and fitted[phase].any():
            names = [f"{counted(count, 'journey')}: {some(few.index[few == count])}" for count in sorted(set(few))]
            yield (
                f"Not identified: {len(few):,} of {len(channels):,} {phase} weights ({'; '.join(names)}). A weight "
                f"needs {LEAST_JOURNEYS} journeys that split the {phase} between its channel and another. Of all "
                f"{fitted['conv_id'].nunique():,} journeys, {pairs['conv_id'].nunique():,} split it between channels."
            )
