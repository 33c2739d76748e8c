"""Refunds: conversions with negative revenue.

They return revenue to a customer and do not count as orders.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.arrays.lookup import get_indexer
from ihc.arrays.types import Booleans, Integers
from ihc.errors import InputError
from ihc.formatting import counted, some

REFUND_OF = "refund_of"
NOT_NEGATIVE = "a refund has a negative revenue; leave the column empty for orders"
NO_ORDER = "the value names a refund, not an order; give the conv_id of the order"


def is_purchase(frame: pd.DataFrame) -> Booleans:
    """Mark the rows of orders, whose `revenue` [currency] is 0 or more; all other rows are refunds."""
    mask: Booleans = ~(frame["revenue"].to_numpy("float64") < 0)
    return mask


def purchases(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of orders. In: conversions, or journeys or credits with their `revenue` [currency]."""
    mask = is_purchase(frame)
    return frame if mask.all() else frame[mask]


def purchase_indexer(conversions: pd.DataFrame) -> Integers:
    """Return the position of each conversion's order: its own, or that of the order it refunds.

    In: `conv_id, user_id`, and optionally `refund_of [conv_id; NaN: none]`. A refund whose order is not among those of
    its user gets its own position.
    """
    target = _named_places(conversions)
    return np.where(target >= 0, target, np.arange(len(conversions)))


def _named_places(conversions: pd.DataFrame) -> Integers:
    """Return the position of the same user's conversion named in `refund_of`; -1 if there is none."""
    target = np.full(len(conversions), -1)
    if REFUND_OF in conversions:
        refund = np.flatnonzero(conversions[REFUND_OF].notna())
        place = get_indexer(conversions[REFUND_OF].iloc[refund], conversions["conv_id"])
        users = conversions["user_id"]
        is_own = (place >= 0) & (users.take(place).to_numpy() == users.take(refund).to_numpy())
        target[refund[is_own]] = place[is_own]
    return target


def purchase_ids(ids: pd.Series[str], conversions: pd.DataFrame) -> pd.Series[str]:
    """Replace the `conv_id` of each refund by that of its order, see `purchase_indexer`; other ids are unchanged."""
    order = purchase_indexer(conversions)
    refund = np.flatnonzero(order != np.arange(len(order)))
    if not len(refund):
        return ids
    place = get_indexer(ids, conversions["conv_id"].take(refund))
    names = conversions["conv_id"].take(order[refund[place]])
    return ids.where(place < 0, names.set_axis(ids.index))


def check_refunds(conversions: pd.DataFrame) -> None:
    """Raise InputError for a refund whose revenue is not negative, and for a refund of a refund.

    In: as `purchase_indexer`, with `revenue` [currency].
    """
    if REFUND_OF not in conversions:
        return
    target, is_refund = _named_places(conversions), conversions[REFUND_OF].notna().to_numpy("bool")
    is_wrong = is_refund & is_purchase(conversions)
    names_refund = ~is_wrong & (target >= 0) & (is_refund | ~is_purchase(conversions))[target]
    unfit = [(NOT_NEGATIVE, is_wrong), (NO_ORDER, names_refund)]
    if findings := [_finding(says, conversions["conv_id"][mask]) for says, mask in unfit if mask.any()]:
        raise InputError("\n".join(findings))


def _finding(says: str, ids: pd.Series[str]) -> str:
    return f"Table conversions, column {REFUND_OF}, {counted(len(ids), 'row')} (conv_id {some(ids)}): {says}."
