"""Every figure's name, unit and definition: table headers, the report and the README take them from here."""

from __future__ import annotations

from typing import NamedTuple

MONEY = "currency"
COUNT = "count"
SHARE = "share"
CREDIT = "orders"
RATIO = "ratio"
TEXT = "text"

FORMATS = {
    MONEY: "{:,.2f}",
    COUNT: "{:,.0f}",
    SHARE: "{:.1%}",
    CREDIT: "{:,.2f}",
    RATIO: "{:,.2f}",
    TEXT: "{}",
}


class Term(NamedTuple):
    """A column's heading, what it is measured in, and what it means."""

    heading: str
    unit: str
    definition: str


GLOSSARY = {
    "channel_name": Term("Channel", TEXT, "How a session came to the shop, as the sessions table names it."),
    "date": Term("Date", TEXT, "The day of the sessions, not of the orders."),
    "sessions": Term("Sessions", COUNT, "Visits to the shop, whether or not they led to an order."),
    "influenced_conversions": Term(
        "Influenced orders",
        COUNT,
        "Distinct orders with the channel in their journey; one with two channels counts in both, once in the total.",
    ),
    "cost": Term("Cost", MONEY, "Cost of all sessions, each counted once, whether or not they led to an order."),
    "ihc": Term("Attributed orders", CREDIT, "Sum of the credit: each order's credit sums to 1 over its sessions."),
    "ihc_revenue": Term("Attributed revenue", MONEY, "Sum of credit times the order's revenue."),
    "share_of_credit": Term("Share of credit", SHARE, "The channel's attributed orders / all attributed orders."),
    "share_of_cost": Term("Share of cost", SHARE, "The channel's cost / all cost."),
    "CPO": Term("CPO", MONEY, "Cost per order: cost / attributed orders; empty without attributed orders."),
    "ROAS": Term(
        "ROAS",
        RATIO,
        "Return on ad spend: attributed revenue / cost; empty without cost. At 1, revenue equals cost.",
    ),
    "initializer": Term("Initializer", SHARE, "The session's part in beginning the journey: first contact."),
    "holder": Term("Holder", SHARE, "The session's part in keeping the interest alive."),
    "closer": Term("Closer", SHARE, "The session's part in the decision to buy."),
    "removal_effect": Term(
        "Removal effect", SHARE, "The part of the conversion probability that is lost without the channel (Markov)."
    ),
    "journey": Term(
        "Journey",
        TEXT,
        "All sessions of an order's user at or before the order, as far back as the lookback reaches.",
    ),
    "unattributed": Term("Unattributed", TEXT, "An order without any session: no channel gets its revenue."),
    "failed": Term("Failed", TEXT, "An order for which the engine gave no whole credit; the reason is stored."),
    "waiting": Term("Waiting", TEXT, "An order that the API was not asked about yet: the next run does."),
    "break-even": Term(
        "Break-even", TEXT, "ROAS 1: the attributed revenue equals the cost. Goods and margin are not in it."
    ),
}

# Headings of columns that explain themselves.
HEADINGS = {
    "table": ("Table", TEXT),
    "rows": ("Rows", COUNT),
    "users": ("Users", COUNT),
    "first_day": ("First day", TEXT),
    "last_day": ("Last day", TEXT),
    "sum": ("Sum", MONEY),
    "finding": ("Finding", TEXT),
    "count": ("Count", COUNT),
    "amount": ("Amount", MONEY),
    "examples": ("Examples", TEXT),
    "consequence": ("Consequence", TEXT),
    "length": ("Sessions", TEXT),
    "path": ("Path", TEXT),
    "orders": ("Orders", COUNT),
    "share": ("Share", SHARE),
    "revenue": ("Revenue", MONEY),
    "time": ("First to last session", TEXT),
    "line": ("", TEXT),
    "section": ("Section", TEXT),
    "kind": ("Kind", TEXT),
    "counted": ("Counted", TEXT),
    "engine": ("Engine", TEXT),
    "parameters": ("Parameters", TEXT),
    "lookback_days": ("Lookback [days]", COUNT),
    "conv_id": ("Order", TEXT),
    "outcome": ("Outcome", TEXT),
    "reason": ("Reason", TEXT),
    "session_id": ("Session", TEXT),
    "timestamp": ("Time", TEXT),
}


def heading(column: object) -> tuple[str, str]:
    """The heading and the unit of a column; a column that is not known here is money under its own name."""
    name = str(column)
    term = GLOSSARY.get(name)
    return (term.heading, term.unit) if term else HEADINGS.get(name, (name, MONEY))
