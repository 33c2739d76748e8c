"""Ids shared by several people, and ids that match only after normalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.lookup import arrow_texts, isin
from ihc.arrays.sums import total
from ihc.arrays.types import Booleans, Integers
from ihc.formatting import fixed
from ihc.journeys.build import rows_by_user
from ihc.quality.findings import NO_ADVICE, REVENUE, Advice, Finding, Shop
from ihc.quality.sql import Sql
from ihc.schemas.refunds import purchases
from ihc.schemas.tables import CONVERSIONS, COSTS, SESSIONS, has_user

PLACEHOLDERS = (
    *("", "(not set)", "not set", "(none)", "none", "(null)", "null", "nil", "nan", "<na>", "n/a", "na", "undefined"),
    *("(unknown)", "unknown", "anonymous", "anon", "guest", "-1", "false"),
)
ZEROS = r"[0-]+"  # 0, 0000 and 00000000-0000-0000-0000-000000000000
FAR = 10  # a shared id has this many times the sessions and the orders of the next user
FEWEST = 10  # the fewest orders for an id to count as shared because of their number
MOST_USERS = 5  # the most users that can stand out by their numbers
# All Unicode blanks, and invisible characters: joiners and the byte order mark.
_CODES = (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x200E), 0x2028, 0x2029, 0x202F)
BLANKS = "".join(map(chr, (*_CODES, 0x205F, 0x2060, 0x3000, 0xFEFF)))
SCIENTIFIC = r"^[0-9](\.[0-9]+)?[eE]\+[0-9]+$"  # a long number from Excel: its last digits are lost


class Rule(NamedTuple):
    """A difference between ids: the function that removes it, and the same in SQL if databases agree on it."""

    plain: Callable[[Any], Any]
    sql: str = ""


RULES = {
    "blanks at the ends": Rule(lambda ids: pc.utf8_trim(ids, characters=BLANKS), "trim({0}, {blanks})"),
    "case": Rule(pc.utf8_lower, "lower({0})"),
    "Unicode normal form": Rule(lambda ids: pc.utf8_normalize(ids, form="NFC")),
    "a final .0": Rule(
        lambda ids: pc.replace_substring_regex(ids, pattern=r"\.0$", replacement=""),
        "CASE WHEN {0} LIKE '%.0' THEN substr({0}, 1, length({0}) - 2) ELSE {0} END",
    ),
    "leading zeros": Rule(lambda ids: pc.utf8_ltrim(ids, characters="0"), "ltrim({0}, '0')"),
}
ANY = "blanks, case, Unicode normal form, .0 or leading zeros"
ALL = Rule(lambda ids: reduce(lambda texts, rule: rule.plain(texts), RULES.values(), ids))


def shared_id_finding(shop: Shop) -> Finding:
    """Find user ids with sessions and orders that do not belong to one person."""
    spans, sessions = shop.spans, shop.tables.sessions
    users = rows_by_user(spans)
    users = users[users["sessions"] > 0]
    is_far = _far(users["sessions"].to_numpy()) & _far(users["orders"].to_numpy()) & (users["orders"] >= FEWEST)
    found = users[_is_placeholder(users["user_id"]) | is_far]
    rows, orders = spans.conversions[isin(spans.conversions["user_id"], found["user_id"])], purchases(spans.conversions)
    detail = (
        f", with {fixed(len(purchases(rows)))} of {fixed(len(orders))} orders, {fixed(found['sessions'].sum())} of "
        f"{fixed(len(sessions))} sessions and {fixed(found['rows'].sum())} of {fixed(spans.lengths.sum())} journey rows"
    )
    return Finding(
        "user id",
        "that may be shared by several people",
        found["user_id"],
        Advice(
            "If so, their orders give credit to other people's sessions.",
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
    """Mark up to MOST_USERS users above the last gap of a factor of FAR among the largest counts."""
    top = np.sort(counts)[::-1][: MOST_USERS + 1]
    gaps = np.flatnonzero(top[:-1] >= FAR * top[1:])
    return counts >= (top[gaps[-1]] if len(gaps) else np.inf)


def near_miss_findings(shop: Shop) -> list[Finding]:
    """Find ids that match a session only after normalisation, and ids with lost digits."""
    sessions = shop.tables.sessions
    strangers = shop.spans.conversions[~shop.is_known_buyer & has_user(shop.spans.conversions)]
    strays = shop.stray_costs
    free = sessions.loc[~shop.has_cost_row, "session_id"]
    return [
        *_misses(shop, shop.of_conversions, strangers, "user_id", sessions["user_id"].dropna()),
        *_misses(shop, shop.of_costs, strays, "session_id", free),
        *_scientific(shop),
    ]


def _misses(
    shop: Shop, about: Callable[..., Finding], rows: pd.DataFrame, column: str, known: pd.Series[str]
) -> list[Finding]:
    """Return one finding per rule that matches some rows; an empty one if there is none."""
    near = near_ids(rows[column], known)
    rule_of = rows[column].map(dict(zip(near["id"], near["rule"], strict=True)))
    what = f"whose {column.replace('_', ' ')} differs from that of a session only by "
    rules = [rule for rule in (*RULES, ANY) if (near["rule"] == rule).any()]
    return [
        about(what + rule, rows[rule_of == rule], _advice(shop.sql, column, rule, near[near["rule"] == rule]))
        for rule in rules
    ] or [about(what + ANY, rows.iloc[:0], NO_ADVICE)]


def near_ids(strange: pd.Series[str], known: pd.Series[str]) -> pd.DataFrame:
    """Find ids that equal a known one after normalisation.

    In: ids, none of them among the known ones. Out: `id, near, rule`: for each match, the nearest known id and the rule
    that makes them equal; ANY if several are needed.
    """
    ids, known_ids = (pc.unique(arrow_texts(column)) for column in (strange, known if len(strange) else known[:0]))
    # Apply all rules at once to reduce the known ids, then each rule separately to the remaining ones.
    known_ids = known_ids.filter(pc.is_in(ALL.plain(known_ids), value_set=ALL.plain(ids)))
    parts = []
    for name, rule in [*RULES.items(), (ANY, ALL)]:
        plain = rule.plain(ids)
        place = pc.index_in(plain, value_set=rule.plain(known_ids))
        is_near = pc.and_(pc.is_valid(place), pc.not_equal(plain, ""))
        near = known_ids.take(place.filter(is_near))
        parts.append(pd.DataFrame({"id": ids.filter(is_near), "near": near, "rule": name}, dtype="str"))
        ids = ids.filter(pc.invert(is_near))
    return pd.concat(parts, ignore_index=True)


def _advice(sql: Sql, column: str, rule: str, near: pd.DataFrame) -> Advice:
    """Return the consequence, and a statement that sets the id of the matching session."""
    table = CONVERSIONS if column == "user_id" else COSTS
    consequence = (
        "They count as untracked." if table == CONVERSIONS else "This cost is in the total spend and in no channel."
    )
    aim = "To give them the id of the session"
    letters = set("".join(near[["id", "near"]].to_numpy().ravel()))
    forms = [each.sql for name, each in RULES.items() if rule in (name, ANY) and each.sql]
    if not forms or (
        rule in ("case", ANY) and not all(map(str.isascii, letters))
    ):  # databases differ for other letters
        return Advice(consequence, aim, sql.replace(table, column, dict(zip(near["id"], near["near"], strict=True))))
    blanks = sql.literal("".join(letter for letter in BLANKS if letter in letters))

    def plain(name: str) -> str:
        return reduce(lambda text, form: form.format(text, blanks=blanks), forms, f"CAST({name} AS TEXT)")

    taken = f" AND near.id NOT IN (SELECT CAST(session_id AS TEXT) FROM {COSTS})" if table == COSTS else ""
    return Advice(
        consequence,
        aim,
        f"UPDATE {table} SET {column} = near.id FROM (SELECT min(CAST({column} AS TEXT)) AS id, {plain(column)} AS "
        f"plain FROM {SESSIONS} GROUP BY plain) AS near WHERE near.plain = {plain(f'{table}.{column}')} AND "
        f"near.plain <> '' AND CAST({table}.{column} AS TEXT) NOT IN (SELECT CAST({column} AS TEXT) FROM {SESSIONS})"
        f"{taken}",
    )


def _scientific(shop: Shop) -> list[Finding]:
    what = "with a user id in scientific notation, such as 1.23457E+15"
    lost = Advice(
        "The last digits are lost, so users are mixed up or not found.",
        "To fix it",
        "Export the ids again as text.",
    )
    sessions, conversions, _ = shop.tables
    return [
        about(what, rows[_is_scientific(rows["user_id"])], lost)
        for about, rows in ((shop.of_conversions, conversions), (shop.of_sessions, sessions))
    ]


def _is_scientific(ids: pd.Series[str]) -> Booleans:
    texts = arrow_texts(ids)
    found = np.array(pc.fill_null(pc.match_substring(texts, "+"), False), dtype=bool)
    found[found] = pc.match_substring_regex(texts.filter(pa.array(found)), SCIENTIFIC)
    return found
