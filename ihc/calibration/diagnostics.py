"""Calibration diagnostics: sentences, each with its consequence."""

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

LEAST_ANSWERS = 30  # answers of two and more sessions; one session gets all credit, whatever the parameters
CONSTANT = 0.002  # a curve that moves less is constant: the rounding of printed shares moves it as far
FITTING = 0.01  # an error of the fit itself above this is no rounding
NEGLIGIBLE_WEIGHT = 0.002  # a channel's weight below this gives it no share that is printed
LEAST_JOURNEYS = 5  # journeys below which a weight is not identified
TELLING_SHARE = 0.01  # share of a phase, without weights, below which four decimals hardly tell a weight


def calibration_warnings(
    journeys: pd.DataFrame,
    used: pd.DataFrame,
    fitted: pd.DataFrame,
    parameters: Parameters,
    curves: Mapping[str, Fitted],
    pairs: Mapping[str, Pairs],
) -> tuple[str, ...]:
    """Say what weakens a calibration.

    In: `journeys` of the database; the `used` answers; the `fitted` sessions, of answers of two and more, with the
    columns of both; the `parameters` that were found, and the two `curves` and the `pairs` that told them, by phase.
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
            f"These are too few answers: {long:,} of two and more sessions can be used, and a calibration needs "
            f"{LEAST_ANSWERS}. The curves are guessed in between, and single credits may be off by several hundredths. "
            "Get more answers before you rely on it."
        )


def _initializer_curve(fit: Fitted) -> Iterator[str]:
    low, high = fit.curve(np.array([0.0, fit.seen_until])).tolist()
    where = f"over the hours that the answers show, 0 to {fit.seen_until:,.1f}"
    if high < CONSTANT:
        yield f"The initializer's curve stays at 0 {where}: the first session of a journey takes the whole phase."
    elif high - low < CONSTANT:
        yield (
            f"The initializer's curve is constant {where}: each later session counts {high:.3f} of what the first one "
            "does, however long the silence before it."
        )


def _closer_curve(fit: Fitted, pairs: Pairs) -> Iterator[str]:
    if not len(pairs.hours):
        yield (
            "No answer shows the closer's curve, as in none a session before the converting one closes: any that does "
            "will count as much as the converting one, however early it was."
        )
    elif fit.curve(np.array([fit.seen_until]))[0] > 1 - CONSTANT:
        yield (
            f"The closer's curve is constant over the hours that the answers show, 0 to {fit.seen_until:,.1f}: all "
            "sessions that close count alike, however early they were."
        )


def _contradictions(fitted: pd.DataFrame, parameters: Parameters, curves: Mapping[str, Fitted]) -> Iterator[str]:
    error = (attribute(fitted, parameters)["ihc"].to_numpy() - fitted["ihc"]).abs()
    # A restart hides the closers before it from the closer's shares, but the holder reads their curve.
    is_known = ~fitted["conv_id"].isin(fitted.loc[_beyond(fitted, curves)["closer"], "conv_id"])
    is_off = (error > FITTING) & is_known
    ids = fitted.loc[is_off, "conv_id"].drop_duplicates()
    if len(ids):
        yield (
            f"{len(ids):,} of {counted(fitted['conv_id'].nunique(), 'answer')} cannot be explained by the parameters "
            f"that explain the others, by up to {error[is_off].max():.4f} ({some(ids)}): they may be of another "
            "conversion type, or redistributed. They were weighed down, but better leave them out."
        )
    if not (fitted["holder"] > 0).any():
        yield (
            "No answer has a holder: its phase gets a weight of about 1/3 and its channel weights are 1, both guessed. "
            "It matters as soon as a session may hold."
        )


def _redistribution(parameters: Parameters) -> Iterator[str]:
    """Say which channels get next to nothing in a phase, as those do whose credit is given away."""
    weights = parameters.channel_weights
    empty = sorted({name for phase in PHASES for name, weight in weights[phase].items() if weight < NEGLIGIBLE_WEIGHT})
    if empty:
        yield (
            f"In some phase the answers give no share to the channels {some(empty)}, as a redistribution does: these "
            "parameters give them nothing there either. For credit before a redistribution, get answers without one."
        )


def _channels(journeys: pd.DataFrame, fitted: pd.DataFrame) -> Iterator[str]:
    known = set(fitted["channel_name"].astype("str"))
    if unseen := sorted(set(journeys["channel_name"].astype("str")) - known):
        yield f"No answer of two and more sessions has the channels {some(unseen)}: their weights are 1 in each phase."


def _hours(journeys: pd.DataFrame, curves: Mapping[str, Fitted]) -> Iterator[str]:
    """Count the sessions of the journeys that read a curve beyond the hours that the answers show."""
    for phase, is_beyond in _beyond(journeys, curves).items():
        if is_beyond.any():
            yield (
                f"{counted(is_beyond.sum(), 'session')} of the database read the {phase}'s curve beyond the "
                f"{curves[phase].seen_until:,.1f} hours that the answers show: there it is extrapolated."
            )


def _beyond(journeys: pd.DataFrame, curves: Mapping[str, Fitted]) -> dict[str, Booleans]:
    """By phase, the rows that read its curve beyond the hours that the answers show."""
    order, steps = time_order(journeys)
    may_close = (journeys["closer_engagement"].to_numpy() == 1)[order]
    hours = {"initializer": steps.gap, "closer": np.where(may_close, steps.to_conversion, 0.0)}
    found = {phase: np.empty(len(order), dtype=bool) for phase in hours}
    for phase, is_beyond in found.items():
        is_beyond[order] = hours[phase] > curves[phase].seen_until
    return found


def splits(fitted: pd.DataFrame, parameters: Parameters) -> dict[str, pd.DataFrame]:
    """Find the journeys that split a phase between channels.

    In: the `fitted` sessions, with the engine's columns, and the `parameters` that were found.
    Out: by phase `conv_id, channel_name`, one row per channel of such a journey. Channel weights do not matter: a
    channel whose weight is near 0 takes part as well.
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
                f"needs {LEAST_JOURNEYS} journeys that split the {phase} between its channel and another; "
                f"{pairs['conv_id'].nunique():,} of {fitted['conv_id'].nunique():,} split it between any."
            )
