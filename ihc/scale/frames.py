"""Library functions for Dask DataFrames partitioned by user; each partition uses the same pandas code.

Dask uses `string` where pandas has `str`, so each partition is first converted to pandas types.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd

from ihc.analysis.reporting import DAILY, SUMS, conversion_credits, visits_of
from ihc.arrays.lookup import lookup
from ihc.arrays.sums import add_parts, part_by, sum_of_parts
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.models.ihc import attribute
from ihc.models.parameters import Parameters
from ihc.models.redistribution import Redistribution
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, SESSIONS, as_text, require_columns

AT_ONCE = 8  # partial sums added in one step
NOBODY = "\0"  # begins the ids that stand in for unknown users


def by_user(frame: dd.DataFrame, parts: int) -> dd.DataFrame:
    """Partition sessions or conversions by user. In: `user_id`; out: the same rows in `parts` partitions.

    With the same number of parts, each user's rows are in the same partition number of all tables. Rows without a user
    are spread over all partitions. Raises InputError for a missing column.
    """
    require_columns(frame, ("user_id",), "the frame")
    spread = frame.map_partitions(_spread, meta=_spread(frame._meta))
    gathered = shuffled(spread, "user_id", parts)
    return gathered.map_partitions(_gathered, meta=_gathered(gathered._meta))


def _stand_in(frame: pd.DataFrame) -> pd.Series[str] | None:
    """A user id for each row that may have none; equal for a session and its cost."""
    key = next((name for name in ("session_id", "conv_id") if name in frame), None)
    return None if key is None else NOBODY + as_text(frame[key])


def _spread(frame: pd.DataFrame) -> pd.DataFrame:
    stand_in = _stand_in(frame)
    return frame if stand_in is None else frame.assign(user_id=as_text(frame["user_id"]).fillna(stand_in))


def _gathered(frame: pd.DataFrame) -> pd.DataFrame:
    stand_in = _stand_in(frame)
    return frame if stand_in is None else frame.assign(user_id=frame["user_id"].mask(frame["user_id"] == stand_in))


def costs_by_user(costs: dd.DataFrame, sessions: dd.DataFrame, parts: int) -> dd.DataFrame:
    """Partition costs by the user of their session; costs without a session go to any partition.

    In: `session_id, cost` and the sessions, in any partitions, with unique keys, as text or equivalent numbers.
    Raises InputError for a missing column.
    """
    require_columns(costs, COLUMNS[COSTS], "costs")
    require_columns(sessions, ("session_id", "user_id"), "sessions")
    priced = shuffled(costs[list(COLUMNS[COSTS])], "session_id", parts)
    users = shuffled(sessions[["session_id", "user_id"]], "session_id", parts)
    return by_user(_together(_with_users, priced, users), parts)[list(COLUMNS[COSTS])]


def shuffled(frame: dd.DataFrame, key: str, parts: int) -> dd.DataFrame:
    """Shuffle rows into `parts` partitions, such that equal ids in a column (as text) are in the same one."""
    frame = frame.map_partitions(_with_texts, key, meta=_with_texts(frame._meta, key))
    return frame.shuffle(on=key, npartitions=parts, ignore_index=True)


def _with_texts(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    return frame.assign(**{key: as_text(frame[key])})


def _with_users(costs: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Add the `user_id` of the session to costs; NaN without a session or a user."""
    users = lookup(costs["session_id"], sessions, "session_id", "user_id")
    return costs.assign(user_id=users)


def journeys(
    sessions: dd.DataFrame,
    conversions: dd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
    restart_after_order: bool = False,
) -> dd.DataFrame:
    """Apply `build_journeys` to each partition. In: tables `by_user` with the same parts. Raises the same errors."""
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    rules: dict[str, Any] = {"lookback_days": lookback_days, "restart_after_order": restart_after_order}
    build = partial(build_journeys, start_date=start_date, end_date=end_date, **rules)
    return _together(build, sessions, conversions)


def credits(
    journeys: dd.DataFrame, parameters: Parameters, redistribution: Redistribution | None = None
) -> dd.DataFrame:
    """Apply `attribute` to each partition. In: `journeys`, none split over partitions. Raises the same errors."""
    return _together(partial(attribute, parameters=parameters, redistribution=redistribution), journeys)


def channel_reporting(
    sessions: dd.DataFrame, conversions: dd.DataFrame, costs: dd.DataFrame, credits: dd.DataFrame
) -> Any:
    """`channel_reporting` over all partitions, bit-identical. In: four tables by user, in the same number of parts.

    Out: a Dask Delayed of the frame. Exact partial sums of the partitions are added and rounded once.
    """
    frames = [frame.to_delayed() for frame in _aligned(sessions, conversions, costs, credits)]
    step = dask.delayed(_reporting_part)
    parts = [step(*own) for own in zip(*frames, strict=True)]
    while len(parts) > 1:
        groups = [parts[start : start + AT_ONCE] for start in range(0, len(parts), AT_ONCE)]
        parts = [dask.delayed(add_parts)(group, list(DAILY)) for group in groups]
    return dask.delayed(sum_of_parts)(parts[0], list(DAILY))


def _reporting_part(
    sessions: pd.DataFrame, conversions: pd.DataFrame, costs: pd.DataFrame, credits: pd.DataFrame
) -> pd.DataFrame:
    sessions, conversions, costs, credits = map(own_types, (sessions, conversions, costs, credits))
    return part_by(visits_of(sessions, costs, conversion_credits(sessions, conversions, credits)), DAILY, SUMS)


def _together(function: Callable[..., pd.DataFrame], *frames: dd.DataFrame) -> dd.DataFrame:
    """Call a function with the partitions of the same number of each frame."""
    meta = function(*(own_types(frame._meta) for frame in frames))
    return dd.map_partitions(partial(_typed_call, function), *_aligned(*frames), meta=meta, align_dataframes=False)


def _typed_call(function: Callable[..., pd.DataFrame], *frames: pd.DataFrame) -> pd.DataFrame:
    return function(*map(own_types, frames))


def _aligned(*frames: dd.DataFrame) -> tuple[dd.DataFrame, ...]:
    if len(counts := {frame.npartitions for frame in frames}) > 1:
        raise InputError(
            f"The frames have {', '.join(map(str, sorted(counts)))} partitions: use by_user with the same parts."
        )
    return frames


def own_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert a partition to pandas types: `str` instead of Dask's `string` or categories."""
    return frame.astype({name: "str" for name, kind in frame.dtypes.items() if _is_dask_text(kind)})


def _is_dask_text(kind: Any) -> bool:
    return isinstance(kind, pd.CategoricalDtype) or (isinstance(kind, pd.StringDtype) and str(kind) != "str")
