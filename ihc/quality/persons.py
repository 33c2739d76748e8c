"""User ids that stand for many people: placeholders such as "(not set)", and ids with far more than any other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.arrays.lookup import isin
from ihc.arrays.sums import total
from ihc.arrays.types import Booleans, Integers
from ihc.journeys.build import rows_by_user
from ihc.quality.findings import REVENUE, Finding, Found, Shop
from ihc.quality.near_misses import BLANKS
from ihc.schemas.refunds import purchases
from ihc.schemas.tables import CONVERSIONS

PLACEHOLDERS = (
    *("", "(not set)", "not set", "(none)", "none", "(null)", "null", "nil", "nan", "<na>", "n/a", "na", "undefined"),
    *("(unknown)", "unknown", "anonymous", "anon", "guest", "-1", "false"),
)
ZEROS = r"[0-]+"  # 0, 0000 and 00000000-0000-0000-0000-000000000000
FAR = 10  # times as many sessions, and as many orders, as the user that comes next
FEWEST = 10  # orders without which nobody is called no person for their number
MOST = 5  # users that may stand out by their numbers


def crowd_finding(shop: Shop) -> Finding:
    """Look for user ids that have sessions and orders, and are not one person's."""
    spans, sessions = shop.spans, shop.tables.sessions
    users = rows_by_user(spans)
    users = users[users["sessions"] > 0]
    is_far = _far(users["sessions"].to_numpy()) & _far(users["orders"].to_numpy()) & (users["orders"] >= FEWEST)
    found = users[_is_placeholder(users["user_id"]) | is_far]
    rows = spans.orders[isin(spans.orders["user_id"], found["user_id"])]
    detail = (
        f", with {len(purchases(rows)):,} of {len(purchases(spans.orders)):,} orders, {found['sessions'].sum():,} of "
        f"{len(sessions):,} sessions and {found['rows'].sum():,} of {spans.lengths.sum():,} journey rows"
    )
    return Finding(
        "user id",
        "that may stand for many people",
        found["user_id"],
        Found(
            "If so, their orders give credit to the sessions of other people.",
            "To count their orders as untracked",
            f"UPDATE {CONVERSIONS} SET user_id = 'unknown buyer of ' || conv_id "
            f"WHERE CAST(user_id AS TEXT) IN {shop.sql.among(found['user_id'])}",
            detail,
        ),
        *(REVENUE, total(rows["revenue"]), shop.revenue),
    )


def _is_placeholder(ids: pd.Series[str]) -> Booleans:
    plain = ids.str.strip(BLANKS).str.lower()
    return (plain.isin(PLACEHOLDERS) | plain.str.fullmatch(ZEROS)).to_numpy()


def _far(counts: Integers) -> Booleans:
    """Mark up to MOST users before the last of those gaps that part the largest counts by a factor of FAR."""
    top = np.sort(counts)[::-1][: MOST + 1]
    gaps = np.flatnonzero(top[:-1] >= FAR * top[1:])
    return counts >= (top[gaps[-1]] if len(gaps) else np.inf)
