"""Sentences on conversion lag and incomplete days."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.maturity import LOOKBACK_SHARE, THRESHOLD, lag_marks
from ihc.analysis.reporting import NO_CREDIT
from ihc.formatting import counted, dated, fixed, percent, percentage


def lag_sentence(lags: pd.DataFrame) -> str:
    """State the share of credit by conversion lag. In: `credit_by_lag`."""
    if lags.empty:
        return "There is no credit yet, so the conversion lag is unknown."
    longest = int(lags["lag"].iloc[-1])
    if not longest:
        return "All credit goes to sessions on the day of the order."
    first, *others = (f"to sessions {_within(lag)}" for lag in lag_marks(lags))
    share, *shares = (percent(share) for share in lag_marks(lags).values())
    text = f"{share[0].upper()}{share[1:]} of credit goes {first}"
    text += "".join(f", {share} {where}" for share, where in zip(shares, others, strict=True))
    return f"{text}; the longest lag is {counted(longest, 'day')}."


def credit_lookback_sentence(days: int | None) -> str:
    """Suggest a lookback window that keeps most credit; empty if there is none. In: `lookback_of_credit`."""
    if days is None:
        return ""
    return (
        f"Sessions within {counted(days, 'day')} before the order have {percent(LOOKBACK_SHARE)} of the credit or "
        f"more: consider --lookback-days {days}."
    )


def order_lookback_sentence(days: int | None) -> str:
    """Suggest a lookback window by first orders; empty if there is none. In: `lookback_of_first_orders`."""
    if days is None:
        return ""
    return (
        f"{percent(LOOKBACK_SHARE)} of users order within {counted(days, 'day')} of their first session: consider "
        f"--lookback-days {days}."
    )


def _within(lag: int) -> str:
    return f"within {counted(lag, 'day')} before the order" if lag else "on the day of the order"


def maturity_sentence(table: pd.DataFrame) -> str:
    """Name the incomplete days, and estimate how much of their credit is outstanding. In: `maturity`."""
    is_past = table["age"].notna()
    if table.empty:
        return "There are no sessions on these dates."
    if is_past.any() and not table["arrived"].notna().any():
        return "There are too few days of orders to estimate how much credit is outstanding."
    young = table[is_past & table["is_immature"]]
    after = table.loc[~is_past, "date"]
    sentences = []
    if len(young):
        verb = "is" if len(young) == 1 else "are"
        days = _listed(young["date"])
        cause = "incomplete because of conversion lag"
        sentences.append(f"{days[0].upper()}{days[1:]} {verb} {cause}: {_outstanding(young)}")
    elif is_past.any():
        sentences.append(f"No day has more than {percentage(THRESHOLD)} of its credit outstanding.")
    if len(after):
        whose = "its" if len(after) == 1 else "their"
        sentences.append(f"There is no estimate for {_listed(after)}: {whose} orders are not all credited yet.")
    return " ".join(sentences)


def _listed(days: pd.Series[str]) -> str:
    if len(days) == 1:
        return dated(days.iloc[0])
    return f"the {counted(len(days), 'day')} from {dated(days.min())}"


def _outstanding(young: pd.DataFrame) -> str:
    """Estimate how much of the final credit of these days is outstanding."""
    whose = "its" if len(young) == 1 else "their"
    known = young.dropna(subset=["ihc_expected"])
    final, arrived = known["ihc_expected"].sum(), known["ihc"].sum()
    if final < NO_CREDIT:
        return f"none of {whose} credit is assigned yet."
    share = 1 - arrived / final
    part = percentage(share) if share >= 0.005 else f"less than {percentage(0.01)}"
    orders = f"{fixed(final - arrived)} of {fixed(final)} orders"
    return f"an estimated {part} of {whose} credit ({orders}) is outstanding."


def reach_sentence(lags: pd.DataFrame, arrivals: pd.DataFrame) -> str:
    """State the share of credit that the estimate misses; empty if none. In: `credit_by_lag` and `arrival`."""
    if lags.empty or arrivals.empty:
        return ""
    reach = int(arrivals["age"].iloc[-1])
    late = float(lags.loc[lags["lag"] > reach, "share"].sum())
    if int(lags["lag"].iloc[-1]) <= reach:
        return ""
    part = percentage(late, 1) if late >= 0.0005 else f"less than {percentage(0.001, 1)}"
    return (
        f"The estimate covers lags of up to {counted(reach, 'day')}, the range of the order dates. It misses {part} of "
        "the credit so far, which has a longer lag."
    )


def early_sentence(daily: pd.DataFrame, conversions: pd.DataFrame) -> str:
    """Warn about days before the first order, which have too little credit; empty if there are none.

    In: `date` of the sessions, and the conversions.
    """
    if conversions.empty:
        return ""
    first_day = conversions["conv_date"].min()
    days = daily.loc[daily["date"] < first_day, "date"].drop_duplicates()
    if days.empty:
        return ""
    first = dated(days.min())
    which = first if len(days) == 1 else f"the {counted(len(days), 'day')} from {first}"
    return (
        f"ROAS is too low for {which}: orders start on {dated(first_day)}, so spend is complete but credit from "
        "earlier orders is missing."
    )
