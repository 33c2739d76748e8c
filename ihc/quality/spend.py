"""Daily spend: channels that no session has, spend that is not used, and spend that may count twice."""

from __future__ import annotations

import pandas as pd

from ihc.arrays.lookup import isin
from ihc.arrays.sums import sum_by, total
from ihc.formatting import fixed, listed, shown
from ihc.quality.findings import COST, LIST, NO_ADVICE, Advice, Finding, Shop
from ihc.schemas.spend import is_beside, is_kept, is_unused
from ihc.schemas.tables import CAMPAIGN, COSTS, SESSIONS, SPEND, spend_ids

# What sessions without a cost row must not have, if their cost is to be set to 0.
NO_SPEND = (
    f"AND NOT EXISTS (SELECT 1 FROM {SPEND} WHERE {SPEND}.channel_name = {SESSIONS}.channel_name AND "
    f"{SPEND}.date = {SESSIONS}.event_date)"
)
STRANGE = "Their spend counts for the channel and in every total, without an order; often the name is misspelt."
ALONE = "It counts for its channel and day, and in every total."
UNUSED = f"It is in no figure: all sessions of its day, channel and campaign have a cost in {COSTS}."
BESIDE = (
    f"It is spread over the other sessions; if it includes the cost of those with a row in {COSTS}, that counts twice."
)
TWICE = "They are added up; a file that was loaded twice counts twice."
EMPTY = Advice("They count as cost 0.", "If they cost nothing", f"UPDATE {SPEND} SET cost = 0 WHERE cost IS NULL")


def spend_findings(shop: Shop) -> list[Finding]:
    """Check daily spend; no findings for a shop without it."""
    spend = shop.tables.spend
    if spend is None:
        return []
    is_paid = spend["cost"] > 0
    is_strange = ~isin(spend["channel_name"], shop.tables.sessions["channel_name"])
    key = [name for name in ("date", "channel_name", CAMPAIGN, "cost") if name in spend]
    found = [
        ("without a session", is_kept(spend) & is_paid & ~is_strange, ALONE),
        ("beside session costs of the same day, channel and campaign", is_beside(spend) & is_paid, BESIDE),
        ("repeating the day, channel, campaign and cost of another", spend.duplicated(key) & is_paid, TWICE),
    ]
    return [
        _strange_finding(shop, spend[is_strange & is_paid]),
        *(_of_spend(shop, what, spend[mask], consequence) for what, mask, consequence in found),
        _of_spend(shop, "not used because of session costs", spend[is_unused(spend) & is_paid], UNUSED)._replace(
            whole=None
        ),
        _of_spend(shop, "with an empty cost", spend[spend["cost"].isna()], "")._replace(advice=EMPTY).without_amount(),
    ]


def _of_spend(shop: Shop, what: str, rows: pd.DataFrame, consequence: str) -> Finding:
    """A finding about rows of `channel_costs`."""
    days = (rows["date"] + " " + rows["channel_name"]).drop_duplicates()
    listing = f"SELECT * FROM {SPEND} WHERE date || ' ' || channel_name IN {shop.sql.among(days)}"
    advice = Advice(consequence, LIST, listing)
    return Finding("row", f"of daily spend {what}", spend_ids(rows), advice, COST, total(rows["cost"]), shop.cost)


def _strange_finding(shop: Shop, rows: pd.DataFrame) -> Finding:
    """Find channels that no session has, those with the highest spend first."""
    by_name = sum_by(rows, ["channel_name"], ["cost"]).sort_values("cost", ascending=False, kind="stable")
    names = by_name["channel_name"].tolist()
    amounts = [f"{shown(name)} {fixed(cost, 2)}" for name, cost in zip(names, by_name["cost"], strict=True)]
    advice = Advice(
        STRANGE,
        "To rename one",
        f"UPDATE {SPEND} SET channel_name = :name_of_the_sessions WHERE channel_name IN {shop.sql.among(names[:1])}",
        f": {listed(amounts)}",
    )
    what = "with daily spend and no session"
    amount = total(by_name["cost"])
    return Finding("channel", what, names, advice if names else NO_ADVICE, COST, amount, shop.cost)
