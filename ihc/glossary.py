"""Every figure's name, unit and definition: table headers, the report and the README take them from here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ihc.formatting import fixed, percentage

Write = Callable[[Any], str]
MONEY = "currency"
COUNT = "count"
SHARE = "share"
CREDIT = "orders"
RATIO = "ratio"
HOURS = "hours"
WEIGHT = "weight"
ERROR = "error"
TEXT = "text"
FORMATS: dict[str, Write] = {
    MONEY: partial(fixed, decimals=2),
    COUNT: fixed,
    SHARE: partial(percentage, decimals=1),
    CREDIT: partial(fixed, decimals=2),
    RATIO: partial(fixed, decimals=2),
    HOURS: partial(fixed, decimals=2),
    WEIGHT: partial(fixed, decimals=3),
    ERROR: partial(fixed, decimals=6),
    TEXT: str,
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
    "ihc": Term(
        "Attributed orders",
        CREDIT,
        "Sum of the credit: each order's credit sums to 1 over its sessions. A refund is no order.",
    ),
    "ihc_revenue": Term(
        "Attributed revenue", MONEY, "Sum of credit times the order's revenue, less what refunds gave back."
    ),
    "refund": Term(
        "Refund",
        MONEY,
        "A conversion of negative revenue. With `refund_of` its revenue goes to the sessions of that order.",
    ),
    "share_of_credit": Term("Share of credit", SHARE, "The channel's attributed orders / all attributed orders."),
    "share_of_cost": Term("Share of cost", SHARE, "The channel's cost / all cost."),
    "CPO": Term(
        "CPO", MONEY, "Cost per order: cost / attributed orders, without refunds; empty without attributed orders."
    ),
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
    "markov": Term(
        "Markov",
        TEXT,
        "Shares each order among its own channels by removal effect; ChannelAttribution shares the total of orders.",
    ),
    "gap": Term("Gap", HOURS, "Hours since the journey's previous session; empty on the first."),
    "to_conversion": Term("To conversion", HOURS, "Hours until the journey's last session, the converting one."),
    "initializer_hours": Term(
        "Longest gap", HOURS, "Of a journey: the most hours between two sessions in a row; 0 with a single session."
    ),
    "closer_hours": Term(
        "Earliest closer", HOURS, "Of a journey: hours from its first closer-engaged session to its last session."
    ),
    "initializer_membership": Term(
        "Initializer membership", WEIGHT, "What the curve gives for the session's gap; 1 for the first session."
    ),
    "holder_membership": Term(
        "Holder membership",
        WEIGHT,
        "Of engaged sessions: the mean of the arithmetic and the harmonic mean of 1 - initializer and 1 - closer, both "
        "as shares of the whole journey without channel weights.",
    ),
    "closer_membership": Term(
        "Closer membership",
        WEIGHT,
        "Of sessions flagged as closers, and of the last: what the curve gives for the hours to the conversion.",
    ),
    "restart": Term(
        "Restart",
        TEXT,
        "At an initializer membership of 1 the journey restarts: earlier sessions get no credit.",
    ),
    "phase_weight": Term(
        "Phase weight", WEIGHT, "How much of the credit the phase decides; the three weights sum to 1."
    ),
    "channel_weight": Term(
        "Channel weight", WEIGHT, "What a channel's memberships are multiplied with in a phase: 1 is neutral."
    ),
    "channel_score": Term(
        "Channel score",
        RATIO,
        "The channel's share of a phase's credit / the mean share of the channels in journeys.",
    ),
    "average_impact": Term(
        "Average impact", SHARE, "The channel's mean credit in the orders that have it in their journey."
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
        "Break-even",
        TEXT,
        "The ROAS that a channel must reach, 1 unless set: there its attributed revenue just covers what it must.",
    ),
    "interval": Term(
        "Interval",
        TEXT,
        "The 95 % confidence interval (bootstrap over the orders); empty with fewer than two orders.",
    ),
    "break_even_cost": Term(
        "Break-even cost",
        MONEY,
        "Attributed revenue / break-even ROAS: the cost at which the channel just breaks even, if its revenue stays.",
    ),
    "headroom": Term(
        "Headroom",
        MONEY,
        "Break-even cost - cost, negative over break-even; only for channels with at least 1 % of the cost.",
    ),
    "verdict": Term(
        "Verdict",
        TEXT,
        "Above or below break-even with the whole interval; else inconclusive, too few orders (under 30), or no cost.",
    ),
    "lag": Term("Lag [days]", COUNT, "Days from the session to the order that gives it credit."),
    "arrived": Term(
        "Arrived",
        SHARE,
        "The part of a day's final credit that is estimated to be there already.",
    ),
    "still_to_come": Term(
        "Still to come", SHARE, "The part of a day's final credit that has yet to arrive: 1 - arrived."
    ),
    "ihc_expected": Term(
        "Expected orders", CREDIT, "Attributed orders / arrived: what the day is estimated to come to."
    ),
    "ihc_revenue_expected": Term(
        "Expected revenue", MONEY, "Attributed revenue / arrived: what the day is estimated to come to."
    ),
    "is_immature": Term(
        "Immature",
        COUNT,
        "Marks by 1 a day with more than 5 % of its credit still to come, or whose orders are not all credited yet.",
    ),
    "total_spend": Term(
        "Total spend",
        MONEY,
        "All cost, also that without a session. With dates: the cost of the sessions of the dates.",
    ),
    "spend_without_session": Term(
        "Spend without a session",
        MONEY,
        "Cost whose session does not exist: it has no channel and no day. With dates, the total spend leaves it out.",
    ),
    "blended_roas": Term(
        "Blended ROAS",
        RATIO,
        "Revenue of all orders of the dates / total spend: the overall ROAS. It needs no credit.",
    ),
    "paid_roas": Term(
        "Attributed ROAS of paid channels",
        RATIO,
        "Attributed revenue / cost of the channels with any cost. Leaves out untracked orders, channels without cost "
        "and spend without a session.",
    ),
    "rank": Term(
        "Rank", COUNT, "Place by ROAS among the channels with at least 1 % of the cost; 1 is the highest ROAS."
    ),
    "redistribution": Term(
        "Redistribution", TEXT, "Which channels give their credit away to the other sessions of the journey."
    ),
    "cells_above": Term(
        "Settings above", SHARE, "The part of the settings tried in which the channel at least breaks even."
    ),
    "stability": Term(
        "Stability",
        TEXT,
        "Whether the side of break-even, or the rank by more than one place, is another under other settings.",
    ),
    "new_orders": Term("New orders", MONEY, "Attributed revenue of orders that had no credit at the run before."),
    "gone_orders": Term(
        "Orders gone",
        MONEY,
        "Attributed revenue of orders that have no credit any more: deleted, failed, or waiting to be asked again.",
    ),
    "refunds": Term(
        "Refunds",
        MONEY,
        "Attributed revenue that refunds took away since the run before; that of refunds gone is back.",
    ),
    "late_sessions": Term(
        "Late or changed sessions",
        MONEY,
        "What moved in orders whose journeys have other sessions, or sessions of another channel or day, than before.",
    ),
    "other_settings": Term(
        "Other engine or settings",
        MONEY,
        "What moved in orders computed by another engine, other parameters or another lookback, whatever else changed.",
    ),
    "computed_anew": Term(
        "The same sessions computed anew",
        MONEY,
        "What moved in orders with the same sessions and settings: times or flags corrected, or other answers.",
    ),
    "revenue_corrected": Term(
        "Corrected order values", MONEY, "By how much the orders' revenue differs, by their credit at the run before."
    ),
    "other_dates": Term(
        "Other dates",
        MONEY,
        "Attributed revenue of days that only one of the two reports shows, whatever else changed.",
    ),
    "sessions_without_credit": Term(
        "Sessions without credit", COUNT, "Sessions to which no order gave any credit; their cost counts all the same."
    ),
    "cost_without_credit": Term("Cost without credit", MONEY, "The part of the cost at sessions without credit."),
    "share_without_credit": Term(
        "Part without credit", SHARE, "Cost without credit / cost of the same channel; empty without cost."
    ),
    "starts": Term("Begins", COUNT, "Orders whose first session is the channel's, and the last another channel's."),
    "starts_and_ends": Term(
        "Begins and ends", COUNT, "Orders whose first and last session are the channel's, with another channel between."
    ),
    "assists": Term("Between", COUNT, "Orders with the channel in their journey, but neither first nor last."),
    "ends": Term("Ends", COUNT, "Orders whose last session is the channel's, and the first another channel's."),
    "alone": Term("Alone", COUNT, "Orders with no other channel in their journey."),
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
    "of": ("Of all", TEXT),
    "check": ("Finding", TEXT),
    "aim": ("Purpose", TEXT),
    "mend": ("Statement or setting", TEXT),
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
    "rule": ("Left out", TEXT),
    "journeys_before": ("Journeys before", COUNT),
    "sessions_before": ("Sessions before", COUNT),
    "journeys_after": ("Journeys after", COUNT),
    "sessions_after": ("Sessions after", COUNT),
    "percentile": ("Percentile", COUNT),
    "session_id": ("Session", TEXT),
    "timestamp": ("Time", TEXT),
    "phase": ("Phase", TEXT),
    "curve": ("Curve", TEXT),
    "part": ("Part", TEXT),
    "membership": ("Membership", TEXT),
    "hours": ("Hours", COUNT),
    "conversions": ("Orders", COUNT),
    "draw": ("Draw", COUNT),
    "mean": ("Mean error", ERROR),
    "p99": ("99 % within", ERROR),
    "largest": ("Largest error", ERROR),
    "credit": ("Credit [orders]", ERROR),
    "off": ("Of all orders", ERROR),
    "why": ("Why", TEXT),
    "number": ("No.", COUNT),
    "holder_engagement": ("Holder engagement", COUNT),
    "closer_engagement": ("Closer engagement", COUNT),
    "initializer_journeys": ("Initializer journeys", COUNT),
    "holder_journeys": ("Holder journeys", COUNT),
    "closer_journeys": ("Closer journeys", COUNT),
    "initializer_weight": ("Initializer weight", WEIGHT),
    "holder_weight": ("Holder weight", WEIGHT),
    "closer_weight": ("Closer weight", WEIGHT),
    "initializer_before": ("Initializer before redistribution", SHARE),
    "holder_before": ("Holder before redistribution", SHARE),
    "closer_before": ("Closer before redistribution", SHARE),
    "initializer_credit": ("Credit as initializer", SHARE),
    "holder_credit": ("Credit as holder", SHARE),
    "closer_credit": ("Credit as closer", SHARE),
    "initializer_score": ("Initializer score", RATIO),
    "holder_score": ("Holder score", RATIO),
    "closer_score": ("Closer score", RATIO),
    "ihc_score": ("Score of all credit", RATIO),
    "share_of_conversions": ("Share of orders", SHARE),
    "sessions_in_journeys": ("Sessions in journeys", COUNT),
    "no_credit": ("none", SHARE),
    "up_to_10": ("up to 10 %", SHARE),
    "up_to_25": ("10 to 25 %", SHARE),
    "up_to_50": ("25 to 50 %", SHARE),
    "below_all": ("50 to 100 %", SHARE),
    "all_credit": ("all of it", SHARE),
    "ihc_before": ("Orders before", CREDIT),
    "ihc_after": ("Orders after", CREDIT),
    "ihc_change": ("Change", CREDIT),
    "ihc_low": ("Attributed orders, low", CREDIT),
    "ihc_high": ("Attributed orders, high", CREDIT),
    "ihc_revenue_low": ("Attributed revenue, low", MONEY),
    "ihc_revenue_high": ("Attributed revenue, high", MONEY),
    "share_of_credit_low": ("Share of credit, low", SHARE),
    "share_of_credit_high": ("Share of credit, high", SHARE),
    "CPO_low": ("CPO, low", MONEY),
    "CPO_high": ("CPO, high", MONEY),
    "ROAS_low": ("ROAS, low", RATIO),
    "ROAS_high": ("ROAS, high", RATIO),
    "is_thin": ("Few orders", COUNT),
    "cumulated": ("Up to this lag", SHARE),
    "age": ("Age [days]", COUNT),
    "week": ("Week from Monday", TEXT),
    "days": ("Days", COUNT),
    "figure": ("Figure", TEXT),
    "unit": ("Unit", TEXT),
    "value": ("Value", RATIO),
    "note": ("Note", TEXT),
    "before": ("Period before", RATIO),
    "change": ("Change", SHARE),
    "model": ("Model", TEXT),
    "rank_best": ("Best rank", COUNT),
    "rank_worst": ("Worst rank", COUNT),
    "setting": ("Changed alone", TEXT),
    "tried": ("Others tried", COUNT),
    "channels_crossing": ("Channels that cross break-even", COUNT),
    "channels_moving": ("Channels that change rank", COUNT),
    "run_id": ("Run", TEXT),
    "dates": ("Dates", TEXT),
    "recorded_at": ("Recorded at [UTC]", TEXT),
    "start_date": ("First day reported", TEXT),
    "end_date": ("Last day reported", TEXT),
    "version": ("Version of ihc", TEXT),
    "cause": ("Cause", TEXT),
    "ihc_revenue_change": ("Change of attributed revenue", MONEY),
    "shifted": ("Shifted between channels", MONEY),
    "ihc_revenue_before": ("Attributed revenue before", MONEY),
    "ihc_revenue_after": ("Attributed revenue after", MONEY),
    "cost_before": ("Cost before", MONEY),
    "cost_change": ("New or corrected cost", MONEY),
    "cost_dates": ("Cost of other dates", MONEY),
    "cost_after": ("Cost after", MONEY),
    "ROAS_before": ("ROAS before", RATIO),
    "ROAS_after": ("ROAS after", RATIO),
    "start": ("Bar from", MONEY),
    "end": ("Bar to", MONEY),
    "day": ("Day", TEXT),
    "unattributed_orders": ("Unattributed orders", COUNT),
    "unattributed_revenue": ("Unattributed revenue", MONEY),
    "waiting_or_failed_orders": ("Waiting or failed orders", COUNT),
    "waiting_or_failed_revenue": ("Waiting or failed revenue", MONEY),
    "share_starts": ("Begins, share", SHARE),
    "share_starts_and_ends": ("Begins and ends, share", SHARE),
    "share_assists": ("Between, share", SHARE),
    "share_ends": ("Ends, share", SHARE),
    "share_alone": ("Alone, share", SHARE),
    "from": ("From", TEXT),
    "to": ("To", TEXT),
}


def heading(column: object) -> tuple[str, str]:
    """The heading and the unit of a column; a column that is not known here is money under its own name."""
    name = str(column)
    term = GLOSSARY.get(name)
    return (term.heading, term.unit) if term else HEADINGS.get(name, (name, MONEY))
