"""Validate a calibration on held-out answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.calibration.calibrate import calibrate
from ihc.errors import InputError
from ihc.formatting import counted
from ihc.journeys.credits import usable_answers
from ihc.models.ihc import attribute, time_order
from ihc.schemas.tables import PHASES, SHARES

FOLDS = 5
SMALL_QUOTA = 100  # answers with two or more sessions, as from a small quota
DRAWS = 10


def cross_validate(journeys: pd.DataFrame, answers: pd.DataFrame, *, folds: int = FOLDS) -> pd.DataFrame:
    """Cross-validate a calibration: predict each fold from a calibration on all others.

    In: as `calibrate`. Out: one row per session of the usable answers for orders with two or more sessions (single
    sessions are trivially right): `conv_id, session_id, channel_name, sessions [count in the journey], gap,
    to_conversion [h], seen_gap, seen_to_conversion [h: the range of the answers used for calibration]`, and for each of
    `initializer, holder, closer, ihc` the error [share]: predicted minus answered, including the answer's rounding to
    four decimals. For a session that does not close, `to_conversion` is NaN, because no curve is read there.

    The folds consist of conversions and depend on a hash of their ids, so the same answers give the same errors. Raises
    InputError for fewer than 2 folds, or fewer than `folds` such answers.
    """
    if folds < 2:
        raise InputError(f"cross_validate: folds is {folds}; it must be 2 or more.")
    used = _of_two_and_more(usable_answers(journeys, answers)[0])
    conv_ids = _shuffled(used["conv_id"])
    if len(conv_ids) < folds:
        raise InputError(
            f"A cross-validation with {folds} folds needs {folds} answers with two or more sessions, and "
            f"{counted(len(conv_ids), 'answer')} can be used: get more answers."
        )
    parts = [used["conv_id"].isin(conv_ids[number::folds]) for number in range(folds)]
    errors = [_predicted(journeys, used[~is_held_out], used[is_held_out]) for is_held_out in parts]
    return pd.concat(errors, ignore_index=True)


def from_few(journeys: pd.DataFrame, answers: pd.DataFrame, *, count: int, draws: int = DRAWS) -> pd.DataFrame:
    """Calibrate on `count` answers with two or more sessions and predict all others, in several draws.

    In: as `calibrate`; answers with one session carry no information. Out: `draw, mean, largest [error of ihc per
    session, share]`, one row per draw; no rows if there are not more than `count` such answers. Raises InputError for a
    count below 1.
    """
    if count < 1:
        raise InputError(f"from_few: count is {count}; it must be 1 or more.")
    used = _of_two_and_more(usable_answers(journeys, answers)[0])
    rows = []
    for draw in range(draws if used["conv_id"].nunique() > count else 0):
        chosen = used["conv_id"].isin(_shuffled(used["conv_id"], str(draw))[:count])
        error = _predicted(journeys, used[chosen], used[~chosen])["ihc"].abs()
        rows.append((draw, error.mean(), error.max()))
    return pd.DataFrame(rows, columns=["draw", "mean", "largest"])


def _of_two_and_more(answers: pd.DataFrame) -> pd.DataFrame:
    return answers[answers["conv_id"].duplicated(keep=False)]


def _shuffled(conv_ids: pd.Series[str], salt: str = "") -> npt.NDArray[np.object_]:
    """Return the distinct ids in a pseudo-random but reproducible order."""
    ids = np.sort(conv_ids.unique().astype("object"))
    mixed = pd.util.hash_array(np.array([f"{salt} {name}" for name in ids], dtype="object"), categorize=False)
    return ids[np.argsort(mixed, kind="stable")]


def _predicted(journeys: pd.DataFrame, known: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    known_journeys = journeys[journeys["conv_id"].isin(known["conv_id"])]
    found = calibrate(known_journeys, known)
    rows = journeys[journeys["conv_id"].isin(held_out["conv_id"])]
    both = attribute(rows, found.parameters).merge(held_out, on=["conv_id", "session_id"], suffixes=("", "_answered"))
    errors = {share: both[share] - both[f"{share}_answered"] for share in SHARES}
    hours = _hours(rows)
    about = hours.assign(sessions=hours.groupby("conv_id")["session_id"].transform("size"))
    about = about.assign(seen_gap=found.seen_until["initializer"], seen_to_conversion=found.seen_until["closer"])
    return about.merge(both[["conv_id", "session_id"]].assign(**errors), on=["conv_id", "session_id"])


def _hours(journeys: pd.DataFrame) -> pd.DataFrame:
    # A fixed order of rows gives the same errors for any input order.
    journeys = journeys.sort_values("conv_id", kind="stable")
    order, steps = time_order(journeys)
    rows = journeys[["conv_id", "session_id", "channel_name"]].take(order).reset_index(drop=True)
    closes = (journeys["closer_engagement"].to_numpy() == 1)[order] | steps.is_last
    return rows.assign(gap=steps.gap, to_conversion=np.where(closes, steps.to_conversion, np.nan))


def error_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Summarise errors: `phase, mean, p99, largest [absolute error per session, share]`. In: `cross_validate`."""
    sizes = errors[list(SHARES)].abs()
    return pd.DataFrame(
        {"phase": list(SHARES), "mean": sizes.mean(), "p99": sizes.quantile(0.99), "largest": sizes.max()}
    ).reset_index(drop=True)


def channel_errors(errors: pd.DataFrame, conversions: int) -> pd.DataFrame:
    """Sum the error of each channel: `channel_name, sessions [count], credit [orders], off [share]`.

    In: errors as of `cross_validate`; `conversions`: the number of answered conversions, including those with one
    session. `off` is `credit` / `conversions`; the channel with the largest absolute error comes first.

    Raises InputError for fewer than 1 conversion.
    """
    if conversions < 1:
        raise InputError(f"channel_errors: conversions is {conversions}; it must be 1 or more.")
    totals = errors.groupby("channel_name")["ihc"].agg(sessions="size", credit="sum").reset_index()
    totals = totals.assign(off=totals["credit"] / conversions)
    return totals.sort_values("off", key=abs, ascending=False, kind="stable", ignore_index=True)


def worst_journeys(errors: pd.DataFrame, *, most: int = 5) -> pd.DataFrame:
    """List the journeys with the largest error of ihc and its cause: `conv_id, sessions, largest, why`."""
    size = errors["ihc"].abs()
    largest = size.groupby(errors["conv_id"]).max().sort_values(ascending=False, kind="stable").head(most)
    parts = [errors[errors["conv_id"] == conv_id] for conv_id in largest.index]
    return pd.DataFrame(
        {
            "conv_id": largest.index.astype("str"),
            "sessions": [len(part) for part in parts],
            "largest": largest.to_numpy(),
            "why": [_why(part) for part in parts],
        }
    )


def _why(journey: pd.DataFrame) -> str:
    """Name the hours at which a curve was extrapolated, or else the phase and the session with the largest error."""
    beyond = list(_beyond(journey))
    if beyond:
        return "; ".join(beyond)
    sizes = journey[list(PHASES)].abs()
    phase = str(sizes.max().idxmax())
    off = f"the {phase} is off by {sizes[phase].max():.4f}"
    if phase == "holder":
        return f"{off}; it depends on both curves"
    column, where = (
        ("gap", "after a gap of {:,.2f} hours")
        if phase == "initializer"
        else ("to_conversion", "{:,.2f} hours before the conversion")
    )
    # The first and the converting session read no curve: their errors come from other sessions.
    read = sizes[phase].where(journey[column] > 0, -1.0).to_numpy()
    hours = journey[column].iloc[int(read.argmax())]
    return f"{off}, most {where.format(hours)}"


def _beyond(journey: pd.DataFrame) -> Iterator[str]:
    for column, what in (("gap", "a gap"), ("to_conversion", "a session before the conversion")):
        longest, seen = journey[column].max(), journey[f"seen_{column}"].iloc[0]
        if longest > seen:
            yield f"{what} of {longest:,.1f} hours, where the other answers have at most {seen:,.1f}: extrapolated"
