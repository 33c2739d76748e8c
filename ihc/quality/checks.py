"""Data quality findings: what is unusual in the tables, its size, and a remedy."""

from __future__ import annotations

from string import punctuation
from unicodedata import category, normalize

import numpy as np
import pandas as pd

from ihc.arrays.sums import total
from ihc.formatting import counted, some
from ihc.quality.clocks import clock_findings
from ihc.quality.findings import COST, LIST, NO_ADVICE, Advice, Finding, Shop
from ihc.quality.ids import near_miss_findings, shared_id_finding
from ihc.quality.spend import NO_SPEND, spend_findings
from ihc.quality.sql import MOST_VALUES, Sql
from ihc.schemas.refunds import is_purchase, purchase_indexer
from ihc.schemas.tables import (
    CONV_UTC,
    CONVERSIONS,
    COSTS,
    EVENT_UTC,
    SESSIONS,
    SPEND,
    Tables,
    has_user,
)

NONE = "(none)"  # the suggested name for a blank channel
USUAL = 0.5  # if at least this share of a channel's sessions has a cost row, a session without one is unusual
UNTRACKED = Advice(
    "No channel gets their revenue; often the tracking lost their sessions.",
    LIST,
    f"SELECT {CONVERSIONS}.* FROM {CONVERSIONS} LEFT JOIN (SELECT user_id, min(event_date || ' ' || event_time) AS "
    f"moment FROM {SESSIONS} GROUP BY user_id) AS visit ON visit.user_id = {CONVERSIONS}.user_id "
    "WHERE revenue >= 0 AND (visit.moment IS NULL OR visit.moment > conv_date || ' ' || conv_time)",
)
NO_ORDER = "They reduce the revenue of all sessions before the refund; they are not orders."
REFUNDS = Advice(
    NO_ORDER,
    "To add refund_of, a column for the conv_id of the refunded order",
    f"ALTER TABLE {CONVERSIONS} ADD COLUMN refund_of TEXT",
)
STRAY_REFUNDS = Advice(NO_ORDER, "To fix it", "Set refund_of to the conv_id of the refunded order.")
FREE = Advice(
    "They count as orders and lower the CPO.", LIST, f"SELECT * FROM {CONVERSIONS} WHERE CAST(revenue AS NUMERIC) = 0"
)
FREE_OF_COST = "If they cost nothing"
NO_COST_ROW = Advice(
    "They count as cost 0; most sessions of their channel have a cost row.",
    FREE_OF_COST,
    f"INSERT INTO {COSTS} SELECT session_id, 0 FROM {SESSIONS} "
    f"WHERE session_id NOT IN (SELECT session_id FROM {COSTS})",
)
NULL_COST = Advice("They count as cost 0.", FREE_OF_COST, f"UPDATE {COSTS} SET cost = 0 WHERE cost IS NULL")
STRAY_COST = Advice(
    "This cost is in the total spend and in no channel.",
    LIST,
    f"SELECT * FROM {COSTS} WHERE CAST(session_id AS TEXT) NOT IN (SELECT CAST(session_id AS TEXT) FROM {SESSIONS})",
)
NO_BUYER = Advice(
    "They count as untracked.",
    LIST,
    f"SELECT * FROM {CONVERSIONS} WHERE revenue >= 0 AND (user_id IS NULL OR trim(user_id) = '')",
)
NO_USER = Advice(
    "They are in no journey. Their cost counts, and they get no credit.",
    LIST,
    f"SELECT * FROM {SESSIONS} WHERE user_id IS NULL OR trim(user_id) = ''",
)
IMPRESSIONS = Advice(
    "They count like other sessions; how the API treats impressions is unverified.",
    LIST,
    f"SELECT * FROM {SESSIONS} WHERE CAST(impression_interaction AS INTEGER) = 1",
)


def table_shapes(tables: Tables) -> pd.DataFrame:
    """Return the size of the tables: `table, rows, users [distinct], first_day, last_day, sum [currency]`."""
    days = {SESSIONS: "event_date", CONVERSIONS: "conv_date", SPEND: "date"}
    amounts = {CONVERSIONS: "revenue", COSTS: "cost", SPEND: "cost"}
    rows = []
    for name, frame in tables.by_name.items():
        users = frame["user_id"].nunique() if name in (SESSIONS, CONVERSIONS) else None
        dates = frame[days[name]] if name in days and len(frame) else None
        ends = ("", "") if dates is None else (dates.min(), dates.max())
        rows.append((name, len(frame), users, *ends, total(frame[amounts[name]]) if name in amounts else np.nan))
    columns = ["table", "rows", "users", "first_day", "last_day", "sum"]
    return pd.DataFrame(rows, columns=columns).astype({"users": "Int64"})


def quality_findings(tables: Tables, sql: Sql | None = None) -> pd.DataFrame:
    """Run all data quality checks.

    In: the tables; the SQL dialect of their database, by default SQLite's. Out: `check, finding, count, amount
    [currency; NaN if not applicable], of [revenue, cost or none], share [of the total], examples [up to five ids],
    consequence, mend [a statement or setting], aim [what it does]`, one row per check: first the findings, then the
    checks without findings, with a count of 0.
    """
    shop = Shop.of(tables, sql or Sql())
    shared = shared_id_finding(shop)
    found = [
        *_conversion_findings(shop),
        shared,
        *near_miss_findings(shop),
        *clock_findings(shop, shared.ids),
        *_cost_findings(shop),
        *spend_findings(shop),
        *_session_findings(shop),
    ]
    rows = [
        (
            *(each.check, each.text, len(each.ids), each.amount, each.of, each.share),
            *(some(each.ids), each.advice.consequence, each.advice.aim, each.advice.mend),
        )
        for each in found
    ]
    columns = ["check", "finding", "count", "amount", "of", "share", "examples", "consequence", "aim", "mend"]
    frame = pd.DataFrame(rows, columns=columns).astype({"amount": "float64", "share": "float64"})
    return pd.concat([frame[frame["count"] > 0], frame[frame["count"] == 0]], ignore_index=True)


def shown_findings(findings: pd.DataFrame) -> pd.DataFrame:
    """Return what is shown to readers: `finding, amount [currency], share, of, consequence`, one row per finding."""
    columns = ["finding", "amount", "share", "of", "consequence"]
    return findings.loc[findings["count"] > 0, columns].reset_index(drop=True)


def mends(findings: pd.DataFrame) -> pd.DataFrame:
    """Return examples and the remedy of each finding: `check, examples, aim, mend`, one row per finding."""
    return findings.loc[findings["count"] > 0, ["check", "examples", "aim", "mend"]].reset_index(drop=True)


def _conversion_findings(shop: Shop) -> list[Finding]:
    conversions, spans = shop.tables.conversions, shop.spans
    is_free = conversions["revenue"] == 0
    is_free &= not is_free.all()  # if no order has revenue, the orders are leads
    is_stray = ~is_purchase(conversions) & (purchase_indexer(conversions) == range(len(conversions)))
    refunds, unknown = conversions[is_stray], conversions[is_purchase(conversions) & ~has_user(conversions)]
    untracked = spans.conversions[(spans.lengths == 0) & (spans.conversions["revenue"] >= 0).to_numpy()]
    return [
        shop.of_conversions("without a session (untracked orders)", untracked, _untracked(shop)),
        *([shop.of_conversions("without a user", unknown, NO_BUYER)] if len(unknown) else []),
        shop.of_conversions(
            "without an order in refund_of", refunds, STRAY_REFUNDS if "refund_of" in conversions else REFUNDS
        )._replace(noun="refund"),
        shop.of_conversions("with revenue 0", conversions[is_free], FREE).without_amount(),
        _currency_finding(shop),
    ]


def _untracked(shop: Shop) -> Advice:
    mend = UNTRACKED.mend
    if not has_user(shop.tables.conversions).all():  # equal but empty ids are not those of one user
        mend = mend.replace(f"FROM {SESSIONS} GROUP", f"FROM {SESSIONS} WHERE trim(user_id) <> '' GROUP")
    if shop.has_utc:
        mend = mend.replace("event_date || ' ' || event_time", EVENT_UTC)
        mend = mend.replace("conv_date || ' ' || conv_time", CONV_UTC)
    return UNTRACKED._replace(mend=mend)


def _currency_finding(shop: Shop) -> Finding:
    conversions, sql = shop.tables.conversions, shop.sql
    column = next((str(name) for name in conversions if str(name).casefold() == "currency"), None)
    what = "in another currency than most"
    if column is None:
        return shop.of_conversions(what, conversions.iloc[:0], NO_ADVICE)
    codes = conversions[column].dropna().astype("str").str.strip()
    codes = codes[codes != ""]
    counts = codes.value_counts()
    others, name = counts.index[1:], f'"{column}"'
    rates = " ".join(
        f"WHEN {sql.literal(code)} THEN :rate_{place}" for place, code in enumerate(others[:MOST_VALUES], 1)
    )
    return shop.of_conversions(
        what,
        conversions.loc[codes.index[codes.isin(others)]],
        Advice(
            "Amounts of different currencies are added up.",
            "To convert them, with your rates",
            f"UPDATE {CONVERSIONS} SET revenue = revenue * CASE trim({name}) {rates} END, {name} = "
            f"{sql.literal(counts.index[0])} WHERE trim({name}) IN {sql.among(others)}",
            f": {some(others, width=24)} instead of {some(counts.index[:1], width=24)}",
        )
        if len(others)
        else NO_ADVICE,
    )


def _cost_findings(shop: Shop) -> list[Finding]:
    sessions, _, costs = shop.tables
    channels, has_cost = sessions["channel_name"], pd.Series(shop.has_cost, index=sessions.index)
    is_odd = ~has_cost & (has_cost.groupby(channels).transform("mean") >= USUAL)
    no_row = NO_COST_ROW if shop.tables.spend is None else NO_COST_ROW._replace(mend=f"{NO_COST_ROW.mend} {NO_SPEND}")
    return [
        shop.of_sessions("without a cost row", sessions[is_odd], no_row).without_amount(),
        shop.of_costs("with an empty cost", costs[costs["cost"].isna()], NULL_COST).without_amount(),
        shop.of_costs("whose session does not exist", shop.stray_costs, STRAY_COST),
    ]


def _session_findings(shop: Shop) -> list[Finding]:
    sessions = shop.tables.sessions
    unknown = sessions[~has_user(sessions)]
    blank = sessions[sessions["channel_name"].str.strip() == ""]
    named = shop.sql.replace(SESSIONS, "channel_name", dict.fromkeys(blank["channel_name"].unique(), NONE))
    return [
        _channel_finding(shop),
        shop.of_sessions(
            "with a blank channel name",
            blank,
            Advice("They are reported under a blank name.", f"To name their channel {NONE}", named),
        ),
        *([shop.of_sessions("without a user", unknown, NO_USER)] if len(unknown) else []),
        shop.of_sessions("that are impressions", sessions[sessions["impression_interaction"] == 1], IMPRESSIONS),
    ]


def _channel_finding(shop: Shop) -> Finding:
    sessions = shop.tables.sessions
    counts = sessions["channel_name"].value_counts()
    usual = channel_variants(counts)
    return Finding(
        "channel name",
        "that differ only by case, blanks, punctuation or Unicode normal form",
        sorted(usual),
        Advice(
            "Each is reported as a channel of its own.",
            "To give all the name of the one with most sessions",
            shop.sql.replace(SESSIONS, "channel_name", {old: new for old, new in usual.items() if old != new}),
        ),
        *(COST, shop.cost_of(sessions.loc[sessions["channel_name"].isin(usual), "session_id"]), shop.cost),
    )


def channel_variants(counts: pd.Series[int]) -> dict[str, str]:
    """Find channel names that differ only by case, blanks, punctuation or Unicode normal form.

    In: sessions [count] by channel name. Out: each such name, mapped to the most common of its variants; of equally
    common ones to the shortest, which prefers composed letters.
    """
    names = counts.rename_axis("name").reset_index(name="sessions").sort_values("name", ignore_index=True)
    names = names.assign(length=names["name"].str.len()).sort_values(
        ["sessions", "length"], ascending=[False, True], kind="stable"
    )
    plain = names["name"].map(_plain)
    is_alike = plain.duplicated(keep=False) & (plain != "")
    commonest = names.groupby(plain)["name"].transform("first")
    return dict(zip(names.loc[is_alike, "name"], commonest[is_alike], strict=True))


def _plain(name: str) -> str:
    """Strip case, blanks, punctuation and invisible characters from a name; marks stay, as some scripts need them."""
    composed = normalize("NFC", name.casefold())
    return "".join(letter for letter in composed if not (letter in punctuation or category(letter)[0] in "PZC"))


def clean_sentence(findings: pd.DataFrame) -> str:
    """List the checks without findings. In: `quality_findings`."""
    names = findings.loc[findings["count"] == 0, "check"]
    return f"{counted(len(names), 'check')} found nothing: {'; '.join(names)}." if len(names) else ""
