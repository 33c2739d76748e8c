"""Explain credit step by step, and the model parameters, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ihc.arrays.lookup import distinct_pairs, factorize
from ihc.arrays.types import Floats
from ihc.errors import InputError
from ihc.formatting import some
from ihc.models.ihc import workings
from ihc.schemas.tables import PHASES, require_columns

if TYPE_CHECKING:
    from ihc.models.parameters import Curve, Parameters
    from ihc.models.redistribution import Redistribution


BEFORE, RESTARTS = "before the restart", "restart"
MOST_SESSIONS = 9  # the longest journey that is easy to read
MARKS = (1.0, 6.0, 24.0, 72.0, 120.0, 168.0)  # hours at which a curve is labelled
VISIBLE = 0.05  # the least distance of marks on a curve, so that their labels do not overlap
BEFORE_REDISTRIBUTION = tuple(f"{phase}_before" for phase in PHASES)
STEPS = (
    *("conv_id", "session_id", "timestamp", "channel_name", "holder_engagement", "closer_engagement"),
    *("gap", "to_conversion", "restart"),
    *(f"{phase}_membership" for phase in PHASES),
    *(f"{phase}_weight" for phase in PHASES),
    *BEFORE_REDISTRIBUTION,
    *PHASES,
    *(f"{phase}_credit" for phase in PHASES),
    *("ihc", "ihc_revenue"),
)


def explain(
    journeys: pd.DataFrame, parameters: Parameters, conv_id: str, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Explain how the credit of one order is calculated.

    Parameters
    ----------
    journeys : DataFrame
        The journeys, see `build_journeys`.
    parameters : Parameters
        The model parameters, see `load_parameters`.
    conv_id : str
        The id of the order.
    redistribution : Redistribution, optional
        Which channels give their credit to others, see `load_redistribution`.

    Returns
    -------
    DataFrame
        One row per session of the order, by time, then `session_id`: `conv_id, session_id, timestamp [UTC],
        channel_name, holder_engagement, closer_engagement [0/1], gap [h since the previous session; NaN on the first],
        to_conversion [h until the converting session], restart [empty, or whether the session restarts the journey or
        precedes the restart and so gets no credit]`. Then for each phase `<phase>_membership [1]`, `<phase>_weight [1;
        the channel's]`, `<phase> [share of the phase]` and `<phase>_credit [share of ihc]`; then `ihc [sum of the three
        credits]` and `ihc_revenue [currency]`. With a `redistribution`, also `<phase>_before [share of the phase before
        it]`.

    Raises
    ------
    InputError
        If the order is not in `journeys`, or a column is missing.

    Notes
    -----
    `<phase>` is membership x weight, 0 before a restart, normalised over the order. `<phase>_credit` is the share of
    the phase x its phase weight; the weight of a phase without credit is shared by the others in proportion. The
    formulas are those of `attribute`.

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
    ...         "revenue": 80.0,
    ...     }
    ... )
    >>> steps = ihc.explain(journeys, ihc.load_parameters(), "c")
    >>> steps[["channel_name", "gap", "to_conversion"]]
      channel_name   gap  to_conversion
    0       Search   NaN           24.0
    1         Mail  24.0            0.0

    """
    require_columns(journeys, ("conv_id",), "journeys")
    rows = journeys[journeys["conv_id"] == conv_id]
    if rows.empty:
        raise InputError(f"Order {some([conv_id])} not found, or it has no session. Check the ID and the dates.")
    return explanations(rows, parameters, redistribution)


def explanations(
    journeys: pd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Explain how the credit of each order is calculated, so that it can be reproduced by hand.

    In: `journeys`.

    Out: as `explain`, each order's sessions together. `<phase>_membership` is before a restart as if there were none,
    because the holder depends on the other two phases over the whole order. With a `redistribution`, `<phase>_before`
    is the share of the phase before it, and `<phase>` the share after it.

    Raises InputError for a missing column.
    """
    require_columns(journeys, ("revenue",), "journeys")
    rows = journeys.sort_values(["conv_id", "timestamp", "session_id"], kind="stable", ignore_index=True)
    steps = workings(rows, parameters, redistribution).drop(columns=["conv_id", "session_id"])
    is_first = ~rows.duplicated("conv_id")
    is_before = ~steps["counts"]
    after_cut = steps["counts"] & ~is_first & is_before.shift(fill_value=False)
    table = pd.concat([rows, steps], axis="columns").assign(
        gap=steps["gap"].mask(is_first),
        restart=pd.array(np.select([is_before, after_cut], [BEFORE, RESTARTS], default=""), dtype="str"),
        ihc_revenue=steps["ihc"] * rows["revenue"],
    )
    return table[[name for name in STEPS if redistribution or name not in BEFORE_REDISTRIBUTION]]


def instructive_journey(journeys: pd.DataFrame, *, most: int = MOST_SESSIONS) -> pd.DataFrame:
    """Choose the most instructive journey: the longest with up to `most` sessions.

    Ties are broken by the number of channels, then the lowest `conv_id`. If all journeys are longer, the shortest is
    chosen. In: `journeys`. Out: its rows; none without journeys.
    """
    order = factorize(journeys["conv_id"])
    sessions = np.bincount(order)
    channels = np.bincount(distinct_pairs(order, factorize(journeys["channel_name"]))[0])
    rank = np.where(sessions <= most, sessions, -sessions)
    is_best = rank == rank.max(initial=-len(journeys))
    is_best &= channels == channels[is_best].max(initial=0)
    ids = journeys.loc[is_best[order], "conv_id"].astype("str")
    return journeys[journeys["conv_id"] == ids.min()].reset_index(drop=True) if len(ids) else journeys


def curve_points(curve: Curve, seen_until: float = np.inf) -> pd.DataFrame:
    """Return the knots of a membership curve, and the points to label.

    In: `seen_until` [h]: the range of the data; beyond it, the curve is extrapolated. Out: by hours: `hours [h],
    membership [1], is_knot, is_marked, is_seen [bool]`. Marked are the end of a flat beginning, the hours `MARKS` up to
    the last knot, and the last knot, each only if it differs visibly from the previous mark.
    """
    flat_end = max(
        hours for hours, value in zip(curve.hours, curve.membership, strict=True) if value == curve.membership[0]
    )
    last = curve.hours[-1]
    wanted = np.unique([flat_end or last, *(hours for hours in MARKS if flat_end < hours < last), last])
    marks = wanted[_differ(curve(wanted), VISIBLE)]
    hours = np.union1d(curve.hours, marks)
    return pd.DataFrame(
        {
            "hours": hours,
            "membership": curve(hours),
            "is_knot": np.isin(hours, curve.hours),
            "is_marked": np.isin(hours, marks),
            "is_seen": hours <= seen_until,
        }
    )


def _differ(values: Floats, least: float) -> list[int]:
    """Return the position of the first value, and of each that is at least `least` from the last one kept."""
    kept = [0]
    for place, value in enumerate(values):
        if abs(value - values[kept[-1]]) >= least:
            kept.append(place)
    return kept


def phase_weight_table(parameters: Parameters) -> pd.DataFrame:
    """Return the phase weights: `phase, phase_weight [share]`."""
    return pd.DataFrame({"phase": PHASES, "phase_weight": [parameters.phase_weights[phase] for phase in PHASES]})


def channel_weight_table(parameters: Parameters, journeys: pd.DataFrame) -> pd.DataFrame:
    """Return the weights of the channels in the parameters and in `journeys`; unknown channels have weight 1.

    Out: by name: `channel_name, initializer_weight, holder_weight, closer_weight [1]`.
    """
    names = sorted(parameters.channels | set(journeys["channel_name"].unique()))
    weights = {
        f"{phase}_weight": pd.Series([parameters.channel_weights[phase].get(name, 1.0) for name in names], dtype=float)
        for phase in PHASES
    }
    return pd.DataFrame({"channel_name": pd.Series(names, dtype="str"), **weights})
