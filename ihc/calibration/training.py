"""Train model parameters on journeys alone, without API answers.

The vendor describes in words where the curves and weights of a conversion type come from (https://ihc-attribution.com).
The end points of the curves follow the rule of its published training example, see `end_points`. Their shape is our own
choice, as the vendor does not publish it. Trained on the journeys of a public sample shop, the initializer's curve
differs from the vendor's by 0.010 of membership on average and 0.023 at most, the closer's by 0.009 and 0.023.
Including journeys with two sessions would end both curves too early there: by 0.088 and 0.125 on average.

The weights are not the vendor's. Phase weights count sessions; no tested count explains the vendor's weights on two
sets. Channel weights stay at 1: weights based on each channel's value in a phase / its equal share of the phase, shrunk
towards 1, did not improve the prediction for the shop. Journeys are not cut at restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.types import Booleans, Floats
from ihc.calibration.curves import WIDTH, corners
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.journeys.build import last_orders
from ihc.models.ihc import Timeline, attribute, time_order
from ihc.models.parameters import Parameters, parse_parameters
from ihc.schemas.tables import COLUMNS, CONVERSIONS, EVENT, PHASES, SESSIONS, moments, require_columns

TRAINING_COLUMNS = (
    *("conv_id", "timestamp", "session_id", "channel_name", "holder_engagement", "closer_engagement"),
    "conv_timestamp",
)
FEWEST_SESSIONS = 3  # per journey; with journeys of 2 sessions, curves end too early on a real shop
FEWEST_JOURNEYS = 2
GOOD_JOURNEYS = 15_000  # a good amount according to the vendor
LONGEST_LENGTH = 10  # sessions; longer journeys are counted together
OUTLIER_QUANTILE = 0.8  # values from this quantile on are outliers
END_PERCENTILE = 90  # of the remaining values: the end of a curve
LONG_GAPS = 0.99  # gaps from this quantile on are ignored for the initializer's curve
FLAT_HOURS = 0.1  # before the conversion, where a closer's membership is 1
LEAST_PHASE = 0.01
BELOW_RESTART = 1 - 1e-9  # the largest membership that does not restart a journey
CLEANING: dict[str, Callable[[pd.DataFrame], pd.Series[bool]]] = {
    "sessions after the conversion": lambda rows: rows["timestamp"] > rows["conv_timestamp"],
    "repeated sessions": lambda rows: rows.duplicated(["conv_id", "session_id"]),
    f"journeys of fewer than {FEWEST_SESSIONS} sessions": lambda rows: (
        rows.groupby("conv_id", sort=False)["session_id"].transform("size") < FEWEST_SESSIONS
    ),
}
Entry = dict[str, list[float]]


class Trained(NamedTuple):
    """The result of a training: parameters and a report.

    `rules`: see `Cleaned`. `lengths`: `length [sessions], journeys_before, journeys_after [count]`, of the journeys
    before and after cleaning. `distributions`: see `EndPoints`. `curves`: `curve, hours [h], membership [1]`, one row
    per knot. `warnings`: the limitations of the set.
    """

    parameters: Parameters
    rules: pd.DataFrame
    lengths: pd.DataFrame
    distributions: pd.DataFrame
    curves: pd.DataFrame
    warnings: tuple[str, ...]


def train(journeys: pd.DataFrame, *, name: str, made: str) -> Trained:
    """Train model parameters on journeys alone, without API answers.

    Parameters
    ----------
    journeys : DataFrame
        The journeys: `conv_id, timestamp [UTC], session_id, channel_name, holder_engagement, closer_engagement [0/1],
        conv_timestamp [UTC]`, rows in any order.
    name : str
        The name of the parameter set.
    made : str
        The day of the training, for the provenance.

    Returns
    -------
    Trained
        `parameters`; `rules`: `rule, journeys_before, sessions_before, journeys_after, sessions_after [count]` of the
        cleaning; `lengths`: `length [sessions], journeys_before, journeys_after [count]`; `distributions`: `percentile
        [0 to 100], initializer_hours, closer_hours [h]`; `curves`: `curve, hours [h], membership [1]`; `warnings`,
        sentences. The parameters do not depend on the order of the rows.

    Raises
    ------
    InputError
        For a missing column or value, too few journeys, or if all gaps are 0.

    Notes
    -----
    The curves' end points follow the training example that the vendor published at https://ihc-attribution.com: the
    initializer runs from the median gap to the 90 % quantile of the longest gap per journey, the closer from 0 to the
    90 % quantile of the hours from the earliest closing session to the conversion, without outliers. In between, the
    initializer is the running integral of the gaps' distribution function, and the closer the share of closing sessions
    farther away. Phase weights are the phases' shares of the sessions; channel weights are 1.

    Examples
    --------
    >>> import pandas as pd
    >>> import ihc
    >>> starts = pd.to_datetime(["2023-09-01 12:00", "2023-09-01 15:00", "2023-09-02 12:00"])
    >>> journeys = pd.DataFrame(
    ...     {
    ...         "conv_id": ["c"] * 3 + ["d"] * 3,
    ...         "timestamp": [*starts, *starts],
    ...         "session_id": ["s1", "s2", "s3", "s4", "s5", "s6"],
    ...         "channel_name": ["Search", "Mail", "Search"] * 2,
    ...         "holder_engagement": 1,
    ...         "closer_engagement": 1,
    ...         "conv_timestamp": starts[-1],
    ...     }
    ... )
    >>> trained = ihc.train(journeys, name="my shop", made="2023-09-03")
    >>> trained.parameters.name
    'my shop'
    >>> len(trained.warnings) > 0  # two journeys are far too few
    True

    """
    cleaned = clean_journeys(journeys)
    rows, steps = cleaned.journeys, time_order(cleaned.journeys)[1]
    _check_enough(steps)
    closes = _closes(rows, steps)
    points = end_points(steps, closes)
    entries: dict[str, Any] = {
        "name": name,
        "initializer": _initializer(steps.gap[~steps.is_first], points),
        "closer": _closer(steps.to_conversion[closes & ~steps.is_last], points),
        "phase_weights": dict.fromkeys(PHASES, 1 / len(PHASES)),
        "channel_weights": {phase: {} for phase in PHASES},
        "provenance": _provenance(cleaned, made),
    }
    entries["phase_weights"] = _phase_weights(rows, entries)
    return Trained(
        parse_parameters(entries),
        cleaned.rules,
        _lengths(journeys, rows),
        points.distributions,
        pd.concat([pd.DataFrame({"curve": curve, **entries[curve]}) for curve in ("initializer", "closer")]),
        tuple(_warnings(rows, steps, points)),
    )


class Cleaned(NamedTuple):
    """Journeys fit for training, and the effect of each cleaning rule.

    `rules`: `rule, journeys_before, sessions_before, journeys_after, sessions_after [count]`, one row per rule.
    """

    journeys: pd.DataFrame
    rules: pd.DataFrame


def clean_journeys(journeys: pd.DataFrame) -> Cleaned:
    """Remove what would distort a training, and count it.

    In: `journeys` as of `train`. Out: `Cleaned`, with the remaining rows in time order, journey by journey.

    Removed are, in this order: sessions after their conversion, repeated (`conv_id`, `session_id`), and journeys with
    fewer than `FEWEST_SESSIONS` sessions.

    Raises InputError for a missing column or an empty value.
    """
    require_columns(journeys, TRAINING_COLUMNS, "journeys")
    _check_filled(journeys)
    rows = journeys.assign(channel_name=journeys["channel_name"].astype("str"))
    rows = rows.sort_values(list(TRAINING_COLUMNS), kind="stable", ignore_index=True)
    rules = []
    for rule, is_out in CLEANING.items():
        counts = {"rule": rule, "journeys_before": rows["conv_id"].nunique(), "sessions_before": len(rows)}
        rows = rows[~is_out(rows)]
        rules.append(counts | {"journeys_after": rows["conv_id"].nunique(), "sessions_after": len(rows)})
    return Cleaned(rows.reset_index(drop=True), pd.DataFrame(rules))


def _check_filled(journeys: pd.DataFrame) -> None:
    for name in ("timestamp", "conv_timestamp"):
        if not pd.api.types.is_datetime64_dtype(journeys[name]):
            raise InputError(
                f"Journeys, column {name}: training needs timestamps [UTC] without a time zone, not "
                f"{journeys[name].dtype}."
            )
    empty = [name for name in TRAINING_COLUMNS if journeys[name].isna().any()]
    if empty:
        raise InputError(f"Journeys: the column {some(empty)} has empty values; fill them or drop these rows.")


def sessions_after_conversion(sessions: pd.DataFrame, conversions: pd.DataFrame) -> int:
    """Count the sessions after a user's last conversion; they belong to no journey.

    In: `sessions` and `conversions` with the tables' columns. Raises InputError for a missing column or an invalid
    time.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    visits = moments(sessions, EVENT).to_numpy()
    return int((visits > last_orders(sessions["user_id"], conversions)).sum())


def _check_enough(steps: Timeline) -> None:
    journeys = int(steps.is_first.sum())
    if journeys < FEWEST_JOURNEYS:
        raise InputError(
            f"Training needs at least {FEWEST_JOURNEYS} journeys of {FEWEST_SESSIONS} or more sessions. "
            f"{counted(journeys, 'journey')} left after cleaning: use more days."
        )
    if not (steps.gap > 0).any():
        raise InputError(
            f"Training found no hours between sessions: in each of the {journeys:,} journeys all sessions have the "
            "same time. Check the sessions' times."
        )


def _closes(rows: pd.DataFrame, steps: Timeline) -> Booleans:
    """Mark the closer-engaged sessions; all sessions if none of them precedes its conversion."""
    engaged: Booleans = rows["closer_engagement"].to_numpy() == 1
    return engaged if (steps.to_conversion[engaged] > 0).any() else np.ones(len(rows), dtype=bool)


class EndPoints(NamedTuple):
    """The hours between which the curves run, and the distributions behind them.

    `start`, `initializer_end`, `closer_end` [h]; the closer starts at 0. `distributions`: `percentile [0 to 100],
    initializer_hours, closer_hours [h]`, of the values without outliers.
    """

    start: float
    initializer_end: float
    closer_end: float
    distributions: pd.DataFrame


def end_points(steps: Timeline, closes: Booleans) -> EndPoints:
    """Estimate the end points of the curves from journeys with at least one gap and one closing session.

    In: `steps` in time order; `closes`: which of the sessions are closer-engaged.

    The initializer starts at the median of all gaps. It ends at the 90 % quantile of the longest gap of each journey (0
    for a single session). The closer ends at the 90 % quantile of the hours from the earliest closing session of each
    journey to its last session; journeys without a closing session do not count. Values from their 80 % quantile on are
    removed first. All quantiles interpolate.
    """
    longest = np.maximum.reduceat(steps.gap, np.flatnonzero(steps.is_first))
    _, earliest = np.unique(steps.journey[closes], return_index=True)
    begins, closers = _percentiles(longest), _percentiles(steps.to_conversion[closes][earliest])
    table = {"percentile": np.arange(101), "initializer_hours": begins, "closer_hours": closers}
    start = float(np.median(steps.gap[~steps.is_first]))
    return EndPoints(start, float(begins[END_PERCENTILE]), float(closers[END_PERCENTILE]), pd.DataFrame(table))


def _percentiles(values: Floats) -> Floats:
    """Return the percentiles 0 to 100 of the values without outliers; of all values if none is left."""
    inside = values[values < np.quantile(values, OUTLIER_QUANTILE)]
    found: Floats = np.quantile(inside if len(inside) else values, np.arange(101) / 100)
    return found


def _initializer(gaps: Floats, points: EndPoints) -> Entry:
    """Return the membership over the gap: the running integral of the gaps' distribution function.

    It is 0 up to the start and 1 at the end. The longest 1 % of the gaps are ignored, which matters if some of them are
    shorter than the end. If most gaps are equal, the end by the rule is not after the start; then the longest gap is
    the end, or twice the only gap.
    """
    start, end = points.start, points.initializer_end
    if end <= start:
        end = float(gaps.max()) if gaps.max() > start else 2 * start
    hours = np.concatenate([[start], _knots(gaps, start, end), [end]])
    inside = gaps[gaps < np.quantile(gaps, LONG_GAPS)]
    beyond = np.sort(np.maximum((inside if len(inside) else gaps) - start, 0.0))
    shorter = np.searchsorted(beyond, hours - start, side="right")
    integral = shorter * (hours - start) - np.append(0.0, beyond.cumsum())[shorter]
    return _curve(hours, integral / integral[-1])


def _closer(hours: Floats, points: EndPoints) -> Entry:
    """Return the membership over the hours to the conversion: the share of closing sessions that are farther away.

    It is 1 up to a tenth of an hour and 0 at the end. Sessions at the time of their conversion are ignored. If the end
    by the rule is 0, the curve ends at the farthest session. If no session lies before the end, the curve is a straight
    line.
    """
    hours = np.sort(hours[hours > 0])
    end = points.closer_end or float(hours[-1])
    if end <= FLAT_HOURS + WIDTH or hours[0] >= end:
        return _curve(np.array([0.0, end]), np.array([1.0, 0.0]))
    knots = np.concatenate([[0.0, FLAT_HOURS, FLAT_HOURS + WIDTH], _knots(hours, FLAT_HOURS + WIDTH, end), [end]])
    nearer = np.where(knots > FLAT_HOURS, np.searchsorted(hours, knots, side="right"), 0)
    return _curve(knots, 1 - nearer / nearer[-1])


def _knots(hours: Floats, start: float, end: float) -> Floats:
    """Return the percentiles of the hours between two others, rounded to a tenth of an hour: at most 101 knots."""
    inside = hours[(hours > start) & (hours < end)]
    if not len(inside):
        return inside
    tenths = np.unique(np.quantile(inside, np.arange(101) / 100, method="inverted_cdf").round(1))
    return tenths[(tenths > start + WIDTH) & (tenths < end - WIDTH)]


def _curve(hours: Floats, membership: Floats) -> Entry:
    """Return the curve as in the parameters file, from 0 hours on, without needless knots."""
    if hours[0] > 0:
        hours, membership = np.append(0.0, hours), np.append(membership[0], membership)
    is_kept = corners(hours, membership)
    return {"hours": hours[is_kept].tolist(), "membership": membership[is_kept].round(6).tolist()}


def _phase_weights(rows: pd.DataFrame, entries: dict[str, Any]) -> dict[str, float]:
    """Return each phase's share of the sessions; a session belongs to each phase in proportion to its shares.

    According to the vendor, a phase weighs more the more slowly it is passed. Here, slowness is measured in sessions:
    measured in hours to the conversion, the closer would have almost no weight. A phase without sessions still gets 1
    %, as no weight may be 0.
    """
    rising = entries["initializer"]
    uncut = {**rising, "membership": np.minimum(rising["membership"], BELOW_RESTART).tolist()}
    shares = attribute(rows, parse_parameters({**entries, "initializer": uncut}))[list(PHASES)].to_numpy("float64")
    total = shares.sum(axis=1, keepdims=True)
    sessions = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0).sum(axis=0)
    weights = np.maximum(sessions / sessions.sum(), LEAST_PHASE)
    initializer, holder, _ = map(float, (weights / weights.sum()).round(4))
    return {"initializer": initializer, "holder": holder, "closer": round(1 - initializer - holder, 4)}


def _lengths(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"length": [*map(str, range(1, LONGEST_LENGTH)), f"{LONGEST_LENGTH}+"]})
    for name, journeys in (("journeys_before", before), ("journeys_after", after)):
        lengths = journeys.groupby("conv_id").size().clip(upper=LONGEST_LENGTH)
        table[name] = np.bincount(lengths, minlength=LONGEST_LENGTH + 1)[1:]
    return table


def _provenance(cleaned: Cleaned, made: str) -> dict[str, Any]:
    rows, rules = cleaned
    first, last = rows["conv_timestamp"].min(), rows["conv_timestamp"].max()
    journeys = rows["conv_id"].nunique()
    return {
        "how": "Trained on journeys alone: curves from the hours between sessions and to the conversion, phase weights "
        "from each phase's share of the sessions. Channel weights are 1.",
        "source": f"{counted(journeys, 'journey')} with {counted(len(rows), 'session')}, "
        f"conversions from {first:%Y-%m-%d} to {last:%Y-%m-%d}.",
        "made": made,
        "journeys": journeys,
        "cleaning": {str(rule.pop("rule")): rule for rule in rules.to_dict("records")},
    }


def _warnings(rows: pd.DataFrame, steps: Timeline, points: EndPoints) -> Iterator[str]:
    journeys = int(steps.is_first.sum())
    if journeys < GOOD_JOURNEYS:
        yield f"Trained on {counted(journeys, 'journey')}, fewer than {GOOD_JOURNEYS:,}: the curves are rough."
    if points.initializer_end <= points.start:
        yield "Most hours between sessions are the same, so the initializer's curve is almost a straight line."
    yield from _closer_warnings(rows, steps)
    if not (rows["holder_engagement"] == 1).any():
        yield "No session has holder_engagement = 1, so the holder's weight has no meaning."


def _closer_warnings(rows: pd.DataFrame, steps: Timeline) -> Iterator[str]:
    hours = steps.to_conversion[(rows["closer_engagement"].to_numpy() == 1) & ~steps.is_last]
    if not (hours > 0).any():
        yield (
            "No session with closer_engagement = 1 precedes its conversion, so the closer's curve is estimated from "
            "all sessions."
        )
    elif hours.min() == hours.max():
        yield "All closing sessions are equally far from their conversion, so the closer's curve is a straight line."
