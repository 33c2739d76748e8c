"""Parameters from journeys alone: what the vendor says of its training, and choices of this package's own.

The vendor says in words where a conversion type's curves and weights come from (https://ihc-attribution.com), not by
which formulas. What it leaves open is chosen here so that the curves come near those that it trained on a public sample
shop: within 0.08 of membership, 0.05 on average, on the very sample that they were chosen on. Another conversion type
that it trained on the same shop has quite other curves, so a set trained here is a start, and no copy of what the API
would answer. Each choice is documented where it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.cleaning import Cleaned, clean_journeys
from ihc.engine import Booleans, Floats, Steps, attribute, time_order
from ihc.errors import InputError, counted, some
from ihc.parameters import Parameters, parse_parameters
from ihc.schemas import PHASES

GOOD_JOURNEYS = 15_000  # what the vendor calls a good amount
FEWEST_JOURNEYS = 2
FEW_SESSIONS = 100  # a channel with fewer is named in a warning
KNOTS = 50

LONG_GAP = 0.9  # the share of the gaps that are shorter than the silence after which a journey begins anew
LATE_CLOSERS = 0.75  # the share of the closer-engaged sessions that come late enough to close

LEAST_PHASE = 0.01
NEUTRAL_SESSIONS = 500  # a channel's own value counts as much as the neutral 1 from so many sessions on
LEAST_WEIGHT, MOST_WEIGHT = 0.25, 4.0


class Trained(NamedTuple):
    """A set of parameters, what was left out (`reason, conversions, sessions`), and what weakens the set."""

    parameters: Parameters
    dropped: pd.DataFrame
    warnings: tuple[str, ...]


def train(journeys: pd.DataFrame, *, name: str, made: str) -> Trained:
    """Learn the engine's parameters from journeys, without any answer of the API.

    In: `journeys` with `conv_id, timestamp [UTC], session_id, channel_name, holder_engagement, closer_engagement
    [0/1], conv_timestamp [UTC]`, rows in any order; `name`: the set's name; `made`: the day of the training, for the
    provenance.

    Out: `Trained`. The parameters do not depend on the order of the rows, and times in another unit change only the
    curves' hours.

    Raises InputError for a missing column or value, and where the journeys are too few or all gaps are 0.
    """
    cleaned = clean_journeys(journeys)
    rows, steps = cleaned.journeys, time_order(cleaned.journeys)[1]
    gaps = steps.gap[~steps.is_first]
    _check_enough(steps, gaps)
    entries: dict[str, Any] = {
        "name": name,
        "initializer": _initializer(gaps),
        "closer": _closer(_closing_hours(rows, steps)),
        "phase_weights": dict.fromkeys(PHASES, 1 / len(PHASES)),
        "channel_weights": {phase: {} for phase in PHASES},
        "provenance": _provenance(cleaned, made),
    }
    phases = attribute(rows, parse_parameters(entries))
    entries["phase_weights"] = _phase_weights(phases)
    entries["channel_weights"] = {phase: _channel_weights(rows, steps, phase, phases[phase]) for phase in PHASES}
    return Trained(parse_parameters(entries), cleaned.dropped, tuple(_warnings(rows, steps)))


def _check_enough(steps: Steps, gaps: Floats) -> None:
    journeys = int(steps.is_first.sum())
    if journeys < FEWEST_JOURNEYS:
        raise InputError(
            f"Training needs at least {FEWEST_JOURNEYS} journeys of two and more sessions, and {journeys:,} "
            "are left after cleaning: take more days."
        )
    if not (gaps > 0).any():
        raise InputError(
            f"Training found no hours between sessions: in all {journeys:,} journeys the sessions are of the same "
            "moment. Check the sessions' times."
        )


def _quantile(values: Floats, share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def _initializer(gaps: Floats) -> dict[str, list[float]]:
    """The membership over the hours between sessions: 0 up to the median gap, then the distribution's integral.

    The vendor takes the inverse quantile function of the gaps. Its curve leaves 0 at their median, and the running
    integral of their distribution function comes close to it. Where it ends is not published: here at the gap that
    nine of ten do not exceed. Gaps that are mostly equal leave nothing between the two: then the longest gap is the
    end, or twice the only one.
    """
    start, end = _quantile(gaps, 0.5), _quantile(gaps, LONG_GAP)
    if end == start:
        end = float(gaps.max()) if gaps.max() > start else 2 * start
    hours = np.unique(np.linspace(start, end, KNOTS))
    beyond = np.sort(np.maximum(gaps - start, 0.0))
    shorter = np.searchsorted(beyond, hours - start, side="right")
    integral = shorter * (hours - start) - np.append(0.0, beyond.cumsum())[shorter]
    return _curve(hours, integral / integral[-1])


def _closing_hours(rows: pd.DataFrame, steps: Steps) -> Floats:
    """Hours from the closer-engaged sessions to their conversion; of all sessions where those say nothing.

    The converting sessions are left out: they would add zeros, which the curve's scaling takes out again.
    """
    hours = steps.to_conversion[_engaged_before(rows, steps)]
    return hours if (hours > 0).any() else steps.to_conversion[~steps.is_last]


def _engaged_before(rows: pd.DataFrame, steps: Steps) -> Booleans:
    engaged: Booleans = (rows["closer_engagement"].to_numpy() == 1) & ~steps.is_last
    return engaged


def _closer(hours: Floats) -> dict[str, list[float]]:
    """The membership over the hours to the conversion: the share of closing sessions that are farther away.

    The vendor takes the quantile function of those hours. 1 minus their distribution function, scaled to be 1 at 0
    hours and 0 at an end, comes close to its curve. The end is not published: here the hours within which three of
    four come, or the largest where those are all 0.
    """
    end = _quantile(hours, LATE_CLOSERS) or float(hours.max())
    inner = np.sort(hours[(hours > 0) & (hours < end)])
    places = np.linspace(0, len(inner) - 1, min(KNOTS, len(inner))).round().astype("int64")
    knots = np.unique(np.concatenate([[0.0, end], inner[places]]))
    nearer = np.searchsorted(np.sort(hours), knots, side="right")
    return _curve(knots, (nearer[-1] - nearer) / (nearer[-1] - nearer[0]))


def _curve(hours: Floats, membership: Floats) -> dict[str, list[float]]:
    """The curve as the parameters file has it, from 0 hours on."""
    if hours[0] > 0:
        hours, membership = np.append(0.0, hours), np.append(membership[0], membership)
    return {"hours": hours.tolist(), "membership": membership.round(6).tolist()}


def _phase_weights(phases: pd.DataFrame) -> dict[str, float]:
    """How many sessions a phase takes: a session belongs to each phase in proportion to its shares.

    The vendor says that a phase weighs more the more slowly it is passed. Counted in sessions, that gives about the
    weights it has for the public sample, and was chosen for that; in hours to the conversion the closer would get
    next to none. A phase that no session is in still weighs 1 %: none may weigh 0.
    """
    shares = phases[list(PHASES)].to_numpy("float64")
    total = shares.sum(axis=1, keepdims=True)
    sessions = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0).sum(axis=0)
    weights = np.maximum(sessions / sessions.sum(), LEAST_PHASE)
    initializer, holder, _ = map(float, (weights / weights.sum()).round(4))
    return {"initializer": initializer, "holder": holder, "closer": round(1 - initializer - holder, 4)}


def _eligible(rows: pd.DataFrame, steps: Steps, phase: str) -> Booleans:
    if phase == "initializer":
        return np.ones(len(rows), dtype=bool)
    engaged: Booleans = rows[f"{phase}_engagement"].to_numpy() == 1
    return engaged | steps.is_last if phase == "closer" else engaged


def _channel_weights(rows: pd.DataFrame, steps: Steps, phase: str, shares: pd.Series[float]) -> dict[str, float]:
    """Give each channel its value in a phase / what as many sessions chosen at random would have, shrunk towards 1.

    The vendor speaks of the marginal value that a channel adds, shrunk for small samples. Here each eligible session of
    a journey is expected to have the same part of the phase; NEUTRAL_SESSIONS says how many expected sessions the
    neutral 1 stands for.
    """
    eligible: Floats = _eligible(rows, steps, phase).astype("float64")
    value: Floats = np.asarray(shares, dtype="float64")
    expected: Floats = steps.share(eligible) * steps.sum(value)
    each = pd.DataFrame({"sessions": eligible, "value": value, "expected": expected})
    channels = each.groupby(rows["channel_name"].to_numpy()).sum()
    ratio = (channels["value"] / channels["expected"].where(channels["expected"] > 0)).fillna(1.0)
    ratio = ratio.clip(LEAST_WEIGHT, MOST_WEIGHT)
    weights = (channels["sessions"] * ratio + NEUTRAL_SESSIONS) / (channels["sessions"] + NEUTRAL_SESSIONS)
    return {str(name): float(weight) for name, weight in weights.round(4).items()}


def _provenance(cleaned: Cleaned, made: str) -> dict[str, Any]:
    rows, dropped = cleaned
    first, last = rows["conv_timestamp"].min(), rows["conv_timestamp"].max()
    journeys = rows["conv_id"].nunique()
    return {
        "how": "Trained on journeys alone: curves from the hours between sessions and to the conversion, phase weights "
        "from the sessions that a phase takes, channel weights from the value a channel has beyond its sessions.",
        "source": f"{counted(journeys, 'journey')} with {counted(len(rows), 'session')}, "
        f"conversions from {first:%Y-%m-%d} to {last:%Y-%m-%d}.",
        "made": made,
        "journeys": journeys,
        "dropped": {
            row.reason: {"conversions": row.conversions, "sessions": row.sessions} for row in dropped.itertuples()
        },
    }


def _warnings(rows: pd.DataFrame, steps: Steps) -> Iterator[str]:
    journeys = int(steps.is_first.sum())
    if journeys < GOOD_JOURNEYS:
        yield f"Trained on {counted(journeys, 'journey')}; {GOOD_JOURNEYS:,} are a good amount: expect rough curves."
    gaps = steps.gap[~steps.is_first]
    if _quantile(gaps, 0.5) == _quantile(gaps, LONG_GAP):
        yield "Most hours between sessions are the same, so the initializer's curve is about a straight line."
    yield from _closer_warnings(rows, steps)
    if not (rows["holder_engagement"] == 1).any():
        yield "No session has holder_engagement = 1, so the holder's weight means nothing."
    counts = rows["channel_name"].value_counts().sort_index()
    if few := counts.index[counts < FEW_SESSIONS].tolist():
        yield f"Channels with fewer than {FEW_SESSIONS} sessions, whose weights stay close to 1: {some(few)}."


def _closer_warnings(rows: pd.DataFrame, steps: Steps) -> Iterator[str]:
    hours = steps.to_conversion[_engaged_before(rows, steps)]
    if not (hours > 0).any():
        yield (
            "No session with closer_engagement = 1 comes any time before its conversion, so the closer's curve is that "
            "of all sessions."
        )
    elif hours.min() == hours.max():
        yield "All closing sessions are equally far from their conversion, so the closer's curve is a straight line."
