"""Pack journeys into as few API requests as possible.

A request is limited in journeys and in sessions, and a journey is never split. Calls are billed, so requests must be
full: journeys are assigned longest first, each to the request with the most free capacity (bin packing with two limits,
after the longest-first rule of Graham 1969), using the smallest number of requests found to hold all of them.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.api.limits import MAX_JOURNEYS, MAX_SESSIONS
from ihc.arrays.types import Integers
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.models.redistribution import Redistribution
from ihc.schemas.tables import FLAGS, require_columns

# The API's field -> the column of `journeys`.
FIELDS = {
    "conversion_id": "conv_id",
    "session_id": "session_id",
    "timestamp": "timestamp",
    "channel_label": "channel_name",
    "holder_engagement": "holder_engagement",
    "closer_engagement": "closer_engagement",
    "conversion": "conversion",
    "impression_interaction": "impression_interaction",
}
SENT = ("session_id", "timestamp", "channel_name", *FLAGS, "conversion")


def pack_requests(
    journeys: pd.DataFrame, *, max_journeys: int = MAX_JOURNEYS, max_sessions: int = MAX_SESSIONS
) -> list[pd.DataFrame]:
    """Split journeys into requests for the IHC Attribution API.

    Journeys are never split, and as few requests as found are used. The result is deterministic.

    Parameters
    ----------
    journeys : DataFrame
        The journeys, with `conv_id`, one row per session. The rows of a journey keep their order.
    max_journeys : int, optional
        The most journeys per request [count].
    max_sessions : int, optional
        The most sessions per request [count].

    Returns
    -------
    list of DataFrame
        One frame per request, with the rows and columns of `journeys`.

    Raises
    ------
    InputError
        For a missing column, a limit below 1, or a journey longer than `max_sessions`. Such a journey cannot be sent
        whole; `fit_journeys` cuts it or leaves it out.

    Notes
    -----
    Bin packing with two limits: the journeys are assigned longest first, each to the request with the most room, after
    the longest-first rule of Graham (1969).

    Examples
    --------
    >>> import pandas as pd
    >>> import ihc
    >>> journeys = pd.DataFrame({"conv_id": ["a", "a", "b", "c"], "session_id": ["s1", "s2", "s3", "s4"]})
    >>> [len(request) for request in ihc.pack_requests(journeys, max_journeys=2, max_sessions=2)]
    [2, 2]

    """
    require_columns(journeys, ("conv_id",), "journeys")
    if max_journeys < 1 or max_sessions < 1:
        raise InputError(
            f"Both limits must be 1 or more: max_journeys is {max_journeys}, max_sessions is {max_sessions}."
        )
    codes, ids = pd.factorize(journeys["conv_id"])
    lengths = np.bincount(codes, minlength=len(ids))
    if (lengths > max_sessions).any():
        raise InputError(
            f"{_too_long(ids[lengths > max_sessions], max_sessions)} Truncate or drop them with fit_journeys."
        )
    request = _assign(lengths, max_journeys, max_sessions)[codes]
    order = np.lexsort((codes, request))
    packed = journeys.take(order)
    edges = np.flatnonzero(np.diff(request[order], prepend=-1, append=len(ids)))
    return [packed.iloc[begin:end] for begin, end in pairwise(edges)]


def _assign(lengths: Integers, max_journeys: int, max_sessions: int) -> Integers:
    """The request number of each journey."""
    order = np.argsort(-lengths, kind="stable")
    sizes = lengths[order].tolist()
    halves = int((lengths > max_sessions / 2).sum())  # no two of these fit into one request
    enough = max(-(-len(sizes) // max_journeys), -(-sum(sizes) // max_sessions), halves)
    too_few, step = enough - 1, max(1, enough // 200)
    while (places := _distribute(sizes, enough, max_journeys, max_sessions)) is None:
        too_few, enough, step = enough, enough + step, 2 * step
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        fewer = _distribute(sizes, middle, max_journeys, max_sessions)
        too_few, enough, places = (middle, enough, places) if fewer is None else (too_few, middle, fewer)
    request = np.empty(len(sizes), dtype="int64")
    request[order] = places
    return request


def _distribute(sizes: Sequence[int], requests: int, max_journeys: int, max_sessions: int) -> list[int] | None:
    """Assign journeys, longest first, each to the request with the most free capacity; None if one does not fit.

    Free capacity is the number of free sessions per journey that the request can still take. Requests with a long
    journey are thus filled up with short ones, and both limits are reached together.
    """
    most_free = [(-max_sessions / max_journeys, number) for number in range(requests)]
    sessions, places_left = [max_sessions] * requests, [max_journeys] * requests
    places = []
    for size in sizes:
        if not most_free or sessions[most_free[0][1]] < size:
            return None
        number = most_free[0][1]
        places.append(number)
        sessions[number] -= size
        places_left[number] -= 1
        if places_left[number]:
            heapq.heapreplace(most_free, (-sessions[number] / places_left[number], number))
        else:
            heapq.heappop(most_free)
    return places


def fit_journeys(
    journeys: pd.DataFrame, max_sessions: int, long_journeys: str = "latest"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truncate or drop the journeys that are longer than a request may be.

    In: `journeys` with `conv_id`, rows of a journey in time order; `long_journeys`: `latest` keeps their latest
    `max_sessions` sessions, `skip` drops them, `raise` raises InputError.
    Out: the journeys that fit, and `conv_id, sessions [count before]` of those that were too long.
    """
    require_columns(journeys, ("conv_id",), "journeys")
    codes, ids = pd.factorize(journeys["conv_id"])
    lengths = np.bincount(codes, minlength=len(ids))
    is_long = lengths > max_sessions
    if is_long.any() and long_journeys == "raise":
        raise InputError(
            f"{_too_long(ids[is_long], max_sessions)} Raise IHC_MAX_SESSIONS if the account allows it, shorten the "
            "lookback window, or set IHC_LONG_JOURNEYS to latest or skip."
        )
    place = journeys.groupby(codes, sort=False).cumcount().to_numpy()
    keep = 0 if long_journeys == "skip" else max_sessions
    fits = ~is_long[codes] | (lengths[codes] - place <= keep)
    too_long = pd.DataFrame({"conv_id": ids[is_long].astype("str"), "sessions": lengths[is_long]})
    return journeys[fits], too_long


def _too_long(ids: pd.Index, max_sessions: int) -> str:
    verb = "is" if len(ids) == 1 else "are"
    return f"{counted(len(ids), 'journey')} {verb} longer than {max_sessions} sessions (conv_id {some(ids)})."


def halves(request: pd.DataFrame) -> list[pd.DataFrame]:
    """Split a request of two or more journeys into two requests with similar numbers of sessions."""
    starts = np.flatnonzero((request["conv_id"] != request["conv_id"].shift()).to_numpy())[1:]
    middle = starts[np.abs(starts - len(request) / 2).argmin()]
    return [request.iloc[:middle], request.iloc[middle:]]


def request_body(request: pd.DataFrame, redistribution: Redistribution | None = None) -> bytes:
    """The JSON body of a request."""
    columns = [_values(request[column]) for column in FIELDS.values()]
    sessions = [dict(zip(FIELDS, values, strict=True)) for values in zip(*columns, strict=True)]
    entries = {"redistribution_parameter": redistribution.entries} if redistribution else {}
    return orjson.dumps({"customer_journeys": sessions, **entries})


def _values(column: pd.Series) -> list[Any]:
    """The values for JSON. Fractions of a second are dropped; missing values are None or NaN."""
    if column.name != "timestamp":
        return column.tolist()
    texts: list[Any] = pa.array(column.to_numpy("datetime64[s]")).cast(pa.string()).to_pylist()
    return texts


def fingerprints(journeys: pd.DataFrame) -> pd.DataFrame:
    """Hash each journey: sixteen characters that change with everything that is sent about its sessions.

    In: `journeys` as returned by `build_journeys`: a journey's rows together and in time order.
    Out: `conv_id, fingerprint`, one row per journey, in the order of the journeys.
    """
    require_columns(journeys, ("conv_id", *SENT), "journeys")
    end_of_row, end_of_value = pa.scalar("\x1e", pa.large_string()), pa.scalar("\x1f", pa.large_string())
    columns = [_text(journeys[name]) for name in SENT]
    rows = pc.binary_join_element_wise(*columns, end_of_row, end_of_value).to_pylist()
    starts = np.flatnonzero((journeys["conv_id"] != journeys["conv_id"].shift()).to_numpy())
    edges = pairwise([*starts.tolist(), len(rows)])
    marks = [hashlib.blake2b("".join(rows[begin:end]).encode(), digest_size=8).hexdigest() for begin, end in edges]
    conv_id = journeys["conv_id"].take(starts).reset_index(drop=True)
    return pd.DataFrame({"conv_id": conv_id, "fingerprint": pd.array(marks, dtype="str")})


def _text(values: pd.Series) -> pa.Array:
    if values.name == "timestamp":
        values = values.astype("datetime64[s]").astype("int64")
    return pa.array(values).cast(pa.large_string())
