"""Heading, unit and definition of every figure in tables, report and documentation."""

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
    """Heading, unit and definition of a column."""

    heading: str
    unit: str
    definition: str


GLOSSARY = {
    "channel_name": Term("Channel", TEXT, "Marketing channel of a session, as named in the sessions table."),
    "date": Term("Date", TEXT, "Day of the sessions, not of the orders."),
    "sessions": Term("Sessions", COUNT, "Visits to the shop, with or without an order."),
    "influenced_conversions": Term(
        "Influenced orders",
        COUNT,
        "Orders with the channel in their journey. An order with two channels counts for both, but once in the total.",
    ),
    "cost": Term("Spend", MONEY, "Cost of all sessions, with or without an order. Each session counts once."),
    "ihc": Term(
        "Attributed orders",
        CREDIT,
        "Sum of credit. The credit of an order sums to 1 over its sessions. Refunds do not count as orders.",
    ),
    "ihc_revenue": Term("Attributed revenue", MONEY, "Sum of credit × order revenue, minus refunds."),
    "refund": Term(
        "Refund",
        MONEY,
        "A conversion with negative revenue. With `refund_of`, it is charged to the sessions of that order.",
    ),
    "share_of_credit": Term("Share of credit", SHARE, "Attributed orders of the channel / all attributed orders."),
    "share_of_cost": Term("Share of spend", SHARE, "Spend of the channel / spend of all channels."),
    "CPO": Term(
        "CPO", MONEY, "Cost per order: spend / attributed orders, excluding refunds. Empty without attributed orders."
    ),
    "ROAS": Term(
        "ROAS",
        RATIO,
        "Return on ad spend: attributed revenue / spend. Empty without spend. At 1, revenue equals spend.",
    ),
    "initializer": Term("Initializer", SHARE, "Share in starting the journey (first contact)."),
    "holder": Term("Holder", SHARE, "Share in keeping the customer interested."),
    "closer": Term("Closer", SHARE, "Share in the decision to buy."),
    "removal_effect": Term(
        "Removal effect", SHARE, "Share of the conversion probability that is lost without the channel (Markov model)."
    ),
    "markov": Term(
        "Markov",
        TEXT,
        "Splits each order among its own channels by removal effect. ChannelAttribution splits the total of orders.",
    ),
    "gap": Term("Gap [hours]", HOURS, "Hours since the previous session of the journey. Empty for the first session."),
    "to_conversion": Term(
        "Time to conversion [hours]", HOURS, "Hours until the converting session, which is the last of the journey."
    ),
    "initializer_hours": Term(
        "Longest gap [hours]", HOURS, "Longest gap between consecutive sessions of a journey. 0 for a single session."
    ),
    "closer_hours": Term(
        "Earliest closer [hours]",
        HOURS,
        "Hours from the first closer-engaged session of a journey to its last session.",
    ),
    "initializer_membership": Term(
        "Initializer membership",
        WEIGHT,
        "Value of the initializer curve at the session's gap. 1 for the first session.",
    ),
    "holder_membership": Term(
        "Holder membership",
        WEIGHT,
        "For engaged sessions: average of the arithmetic and the harmonic mean of 1 - initializer and 1 - closer. Both "
        "are shares of the whole journey before channel weights.",
    ),
    "closer_membership": Term(
        "Closer membership",
        WEIGHT,
        "For the last session and sessions flagged as closers: value of the closer curve at the time to conversion.",
    ),
    "restart": Term(
        "Restart",
        TEXT,
        "A session with an initializer membership of 1 restarts the journey: earlier sessions get no credit.",
    ),
    "phase_weight": Term(
        "Phase weight", WEIGHT, "Share of the credit that a phase assigns. The three weights sum to 1."
    ),
    "channel_weight": Term(
        "Channel weight", WEIGHT, "Factor for a channel's memberships in a phase. A weight of 1 is neutral."
    ),
    "channel_score": Term(
        "Channel score",
        RATIO,
        "The channel's share of a phase's credit / the average share of the channels in journeys.",
    ),
    "average_impact": Term("Average impact", SHARE, "Average credit of the channel in the orders it influenced."),
    "journey": Term(
        "Journey",
        TEXT,
        "All sessions of a customer up to and including the order, within the lookback window.",
    ),
    "unattributed": Term(
        "Untracked",
        TEXT,
        "An order without a session, so no channel gets its revenue. Its outcome is stored as `unattributed`.",
    ),
    "failed": Term("Failed", TEXT, "An order without complete credit from the engine. The reason is stored."),
    "waiting": Term("Waiting", TEXT, "An order that has not been sent to the API yet. The next run sends it."),
    "break-even": Term(
        "Break-even",
        TEXT,
        "The ROAS that a channel needs to pay for itself. The default of 1 means that revenue covers spend.",
    ),
    "interval": Term(
        "Confidence interval",
        TEXT,
        "Bootstrap interval over the orders at 95% confidence. Empty with fewer than two orders.",
    ),
    "break_even_cost": Term(
        "Break-even spend",
        MONEY,
        "Attributed revenue / break-even ROAS: the spend at which the channel breaks even at constant revenue.",
    ),
    "headroom": Term(
        "Headroom",
        MONEY,
        "Break-even spend minus spend. Negative below break-even. Only for channels with at least 1% of spend.",
    ),
    "verdict": Term(
        "Verdict",
        TEXT,
        "Above or below break-even with the whole confidence interval. Otherwise inconclusive, too few orders (under "
        "30) or no spend. In the stress test, the side of break-even that the reported ROAS is on.",
    ),
    "lag": Term("Conversion lag [days]", COUNT, "Days from a session to the order that gives it credit."),
    "arrived": Term("Completeness", SHARE, "Estimated share of a day's final credit that is already assigned."),
    "still_to_come": Term(
        "Outstanding credit",
        SHARE,
        "Estimated share of a day's final credit that is not assigned yet: 1 - completeness.",
    ),
    "ihc_expected": Term(
        "Expected orders", CREDIT, "Attributed orders / completeness: the estimated final value of the day."
    ),
    "ihc_revenue_expected": Term(
        "Expected revenue", MONEY, "Attributed revenue / completeness: the estimated final value of the day."
    ),
    "is_immature": Term(
        "Incomplete day",
        COUNT,
        "Marks days with more than 5% outstanding credit, or with orders that are not all attributed yet.",
    ),
    "total_spend": Term(
        "Total spend",
        MONEY,
        "All spend, including spend without a session. With dates: the spend of the sessions on these dates.",
    ),
    "spend_without_session": Term(
        "Spend without a session",
        MONEY,
        "Spend of sessions that do not exist. It has no channel and no day. With dates, it is not in the total spend.",
    ),
    "daily_spend_without_session": Term(
        "Daily spend without a session",
        MONEY,
        "Spend in channel_costs for a day, channel and campaign without any session. It counts for its channel and "
        "day.",
    ),
    "blended_roas": Term(
        "Blended ROAS",
        RATIO,
        "Revenue of all orders / total spend of the dates. It does not depend on attribution.",
    ),
    "paid_roas": Term(
        "Attributed ROAS of paid channels",
        RATIO,
        "Attributed revenue / spend of the channels with spend. Excludes untracked orders, channels without spend and "
        "spend without a session.",
    ),
    "rank": Term("Rank", COUNT, "Rank by ROAS among the channels with at least 1% of spend. 1 is the highest ROAS."),
    "redistribution": Term(
        "Redistribution", TEXT, "Which channels pass their credit on to the other sessions of the journey."
    ),
    "cells_above": Term(
        "Settings above break-even", SHARE, "Share of the tested settings in which the channel reaches break-even."
    ),
    "holds": Term(
        "Verdict holds",
        SHARE,
        "Share of the worlds with damaged tracking in which the channel is on the same side of break-even as reported.",
    ),
    "stability": Term(
        "Robustness",
        TEXT,
        "Whether other settings move the channel across break-even, or its rank by more than one place.",
    ),
    "new_orders": Term("New orders", MONEY, "Attributed revenue of orders that had no credit in the previous run."),
    "gone_orders": Term(
        "Removed orders",
        MONEY,
        "Attributed revenue of orders that no longer have credit: deleted, failed, or waiting for the API.",
    ),
    "refunds": Term(
        "Refunds",
        MONEY,
        "Attributed revenue lost to refunds since the previous run. Refunds that were removed are added back.",
    ),
    "late_sessions": Term(
        "Late or changed sessions",
        MONEY,
        "Change in orders whose journeys have other sessions than before, or sessions with another channel or day.",
    ),
    "other_settings": Term(
        "Other engine or settings",
        MONEY,
        "Change in orders with another engine, other parameters or another lookback window, whatever else changed.",
    ),
    "computed_anew": Term(
        "Same sessions, recalculated",
        MONEY,
        "Change in orders with the same sessions and settings: corrected times or flags, or other API answers.",
    ),
    "revenue_corrected": Term(
        "Corrected order values", MONEY, "Change in the revenue of orders, split by their credit in the previous run."
    ),
    "other_dates": Term(
        "Other dates",
        MONEY,
        "Attributed revenue of days that only one of the two reports covers, whatever else changed.",
    ),
    "sessions_without_credit": Term(
        "Sessions without credit",
        COUNT,
        "Sessions with no credit from any order. Their spend is included in all figures.",
    ),
    "cost_without_credit": Term("Spend without credit", MONEY, "Spend on sessions without credit."),
    "share_without_credit": Term(
        "Share without credit", SHARE, "Spend without credit / spend of the same channel. Empty without spend."
    ),
    "incremental_orders": Term(
        "Incremental orders",
        CREDIT,
        "Orders that would not have come without the channel: the estimate of a model or, in a simulated shop, its "
        "orders minus those of the same shop, with the same random numbers, without the channel.",
    ),
    "incremental_share": Term(
        "Share of incremental orders", SHARE, "Incremental orders of the channel / their sum over all channels."
    ),
    "incremental_revenue": Term("Incremental revenue", MONEY, "Revenue of the incremental orders."),
    "iROAS": Term("iROAS", RATIO, "Incremental return on ad spend: incremental revenue / spend. Empty without spend."),
    "calibrated_revenue": Term(
        "Calibrated revenue",
        MONEY,
        "Estimate of the revenue that the channel causes, from its spend, its attributed revenue and experiments, with "
        "its 95% interval.",
    ),
    "factor": Term("Factor", RATIO, "Calibrated revenue / attributed revenue. Empty without attributed revenue."),
    "agrees": Term(
        "Attribution agrees", TEXT, "Whether attributed revenue is inside the 95% interval of the experiment."
    ),
    "wrong_verdict": Term(
        "Wrong verdict", SHARE, "Probability that iROAS is on the other side of break-even than its estimate."
    ),
    "expected_loss": Term(
        "Value of an experiment",
        MONEY,
        "Spend × uncertainty of the verdict: what deciding by the estimate costs on average, compared with knowing "
        "iROAS, in as many days as the orders of the report span.",
    ),
    "holdout_days": Term(
        "Days, holdout of 50%",
        COUNT,
        "Days of an experiment without the channel for half of the users that finds the expected distance from "
        "break-even with a power of 80%.",
    ),
    "small_holdout_days": Term("Days, holdout of 10%", COUNT, "The same for a tenth of the users."),
    "geo_days": Term("Days, geo test", COUNT, "The same for half of the regions, if regions vary independently."),
    "share_error": Term(
        "Error of shares",
        WEIGHT,
        "Mean absolute difference between a channel's share of credit, or of incremental orders, and its true share "
        "(NMAE). 0 is perfect.",
    ),
    "rank_correlation": Term(
        "Rank correlation",
        WEIGHT,
        "Kendall's tau-b between share of credit and true share. 1: the same order; 0: unrelated; -1: reversed.",
    ),
    "roas_error": Term(
        "Error of ROAS",
        RATIO,
        "Sum of the absolute differences between the revenue by the model and the incremental revenue / spend, over "
        "channels with spend. 0 is perfect.",
    ),
    "verdicts_right": Term(
        "Right verdicts", SHARE, "Share of the verdicts above or below break-even that hold for the iROAS."
    ),
    "coverage": Term(
        "Coverage",
        SHARE,
        "Share of channels with sessions whose confidence interval contains the true figure. The interval is that of "
        "the model's figure, so it covers chance, but not what a model gets wrong.",
    ),
    "log_loss": Term(
        "Log-loss",
        WEIGHT,
        "Mean of -log of the probability that the model gives to what happened to a held-out path: an order or none. 0 "
        "is perfect.",
    ),
    "log_loss_gain": Term(
        "Gain in log-loss",
        WEIGHT,
        "Log-loss of predicting the share of paths with an order for every path, minus the log-loss of the model. "
        "Above 0: the model predicts better.",
    ),
    "auc": Term(
        "AUC",
        WEIGHT,
        "Probability that the model gives a held-out path with an order a higher score than one without. 0.5: no "
        "better than chance; 1: always.",
    ),
    "starts": Term("First", COUNT, "Orders with the channel in the first session and another channel in the last."),
    "starts_and_ends": Term(
        "First and last", COUNT, "Orders with the channel in the first and last session and another channel in between."
    ),
    "assists": Term("Assist", COUNT, "Orders with the channel in the journey, but not in the first or last session."),
    "ends": Term("Last", COUNT, "Orders with the channel in the last session and another channel in the first."),
    "alone": Term("Only channel", COUNT, "Orders with no other channel in the journey."),
}
# Headings of columns that need no definition.
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
    "of": ("Share of", TEXT),
    "check": ("Finding", TEXT),
    "aim": ("Purpose", TEXT),
    "mend": ("SQL statement or setting", TEXT),
    "length": ("Sessions per order", TEXT),
    "path": ("Path", TEXT),
    "orders": ("Orders", COUNT),
    "conversion_type": ("Conversion type", TEXT),
    "untracked": ("Untracked orders", COUNT),
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
    "rule": ("Exclusion rule", TEXT),
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
    "draw": ("Sample", COUNT),
    "mean": ("Mean error", ERROR),
    "p99": ("99th percentile of the error", ERROR),
    "largest": ("Largest error", ERROR),
    "credit": ("Credit [orders]", ERROR),
    "off": ("Share of all orders", ERROR),
    "why": ("Reason", TEXT),
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
    "ihc_score": ("Overall score", RATIO),
    "share_of_conversions": ("Share of orders", SHARE),
    "sessions_in_journeys": ("Sessions in journeys", COUNT),
    "no_credit": ("none", SHARE),
    "up_to_10": ("up to 10%", SHARE),
    "up_to_25": ("10 to 25%", SHARE),
    "up_to_50": ("25 to 50%", SHARE),
    "below_all": ("50 to 100%", SHARE),
    "all_credit": ("100%", SHARE),
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
    "cumulated": ("Cumulative share", SHARE),
    "age": ("Age [days]", COUNT),
    "week": ("Week (from Monday)", TEXT),
    "days": ("Days", COUNT),
    "figure": ("Figure", TEXT),
    "unit": ("Unit", TEXT),
    "value": ("Value", RATIO),
    "note": ("Note", TEXT),
    "before": ("Previous period", RATIO),
    "change": ("Change", SHARE),
    "model": ("Model", TEXT),
    "rank_best": ("Best rank", COUNT),
    "rank_worst": ("Worst rank", COUNT),
    "setting": ("Setting changed", TEXT),
    "tried": ("Alternatives tested", COUNT),
    "channels_crossing": ("Channels crossing break-even", COUNT),
    "channels_moving": ("Channels changing rank", COUNT),
    "run_id": ("Run", TEXT),
    "dates": ("Dates", TEXT),
    "recorded_at": ("Recorded at [UTC]", TEXT),
    "start_date": ("First day of the report", TEXT),
    "end_date": ("Last day of the report", TEXT),
    "version": ("ihc version", TEXT),
    "cause": ("Cause", TEXT),
    "ihc_revenue_change": ("Change in attributed revenue", MONEY),
    "shifted": ("Moved between channels", MONEY),
    "ihc_revenue_before": ("Attributed revenue before", MONEY),
    "ihc_revenue_after": ("Attributed revenue after", MONEY),
    "cost_before": ("Spend before", MONEY),
    "cost_change": ("New or corrected spend", MONEY),
    "cost_dates": ("Spend on other dates", MONEY),
    "cost_after": ("Spend after", MONEY),
    "ROAS_before": ("ROAS before", RATIO),
    "ROAS_after": ("ROAS after", RATIO),
    "start": ("Bar start", MONEY),
    "end": ("Bar end", MONEY),
    "day": ("Day", TEXT),
    "unattributed_orders": ("Untracked orders", COUNT),
    "unattributed_revenue": ("Untracked revenue", MONEY),
    "ihc_revenue_last_closer": ("Attributed revenue, only the last session as closer", MONEY),
    "difference": ("Difference", MONEY),
    "waiting_or_failed_orders": ("Waiting or failed orders", COUNT),
    "waiting_or_failed_revenue": ("Waiting or failed revenue", MONEY),
    "share_starts": ("First, share", SHARE),
    "share_starts_and_ends": ("First and last, share", SHARE),
    "share_assists": ("Assist, share", SHARE),
    "share_ends": ("Last, share", SHARE),
    "share_alone": ("Only channel, share", SHARE),
    "from": ("From", TEXT),
    "to": ("To", TEXT),
    "customers": ("Customers", COUNT),
    "worlds": ("Worlds", COUNT),
    "world": ("World", COUNT),
    "damage": ("Damage", TEXT),
    "moved": ("Moved revenue", SHARE),
    "generator": ("Generator", TEXT),
    "seeds": ("Seeds", COUNT),
    "seed": ("Seed", COUNT),
    "noise_to_nearest": ("Difference to the nearest model, standard error", WEIGHT),
    "noise_to_equal": ("Difference to equal shares, standard error", WEIGHT),
    "paths": ("Paths", COUNT),
    "log_loss_gain_low": ("Gain in log-loss, low", WEIGHT),
    "log_loss_gain_high": ("Gain in log-loss, high", WEIGHT),
    "share_error_low": ("Error of shares, lowest", WEIGHT),
    "share_error_high": ("Error of shares, highest", WEIGHT),
    "incremental_orders_low": ("Incremental orders, low", CREDIT),
    "incremental_orders_high": ("Incremental orders, high", CREDIT),
    "incremental_share_low": ("Share of incremental orders, low", SHARE),
    "incremental_share_high": ("Share of incremental orders, high", SHARE),
    "spend": ("Spend", MONEY),
    "attributed_revenue": ("Attributed revenue", MONEY),
    "standard_error": ("Standard error", MONEY),
    "iROAS_low": ("iROAS, low", RATIO),
    "iROAS_high": ("iROAS, high", RATIO),
    "calibrated_revenue_low": ("Calibrated revenue, low", MONEY),
    "calibrated_revenue_high": ("Calibrated revenue, high", MONEY),
    "experiments": ("Experiments", COUNT),
    "estimate": ("Estimate", TEXT),
    "evidence": ("Evidence", TEXT),
    "spend_change": ("Change in spend", MONEY),
    "revenue_low": ("Change in revenue, low", MONEY),
    "revenue_high": ("Change in revenue, high", MONEY),
    "orders_per_customer": ("Orders per customer", RATIO),
    "revenue_per_customer": ("Revenue per customer", MONEY),
}
BY_SETTING = ("ihc_revenue", "ROAS")  # figures whose columns can end in a setting, such as `ROAS 7 days`


def heading(column: object) -> tuple[str, str]:
    """Look up the heading and unit of a column. An unknown column keeps its name and has the unit MONEY."""
    name = str(column)
    figure, _, setting = name.partition(" ")
    if setting and figure in BY_SETTING:
        return f"{GLOSSARY[figure].heading}, {setting}", GLOSSARY[figure].unit
    term = GLOSSARY.get(name)
    return (term.heading, term.unit) if term else HEADINGS.get(name, (name, MONEY))
