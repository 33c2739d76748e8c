"""Sentences on credit that is still to come."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.maturity import THRESHOLD, lag_marks
from ihc.analysis.reporting import NO_CREDIT
from ihc.formatting import counted, dated, fixed, percent, percentage


def lag_sentence(lags: pd.DataFrame) -> str:
    """Say which share of the credit goes to sessions how long before the order. In: `credit_by_lag`."""
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


def _within(lag: int) -> str:
    return f"within {counted(lag, 'day')} before the order" if lag else "on the day of the order"


def maturity_sentence(table: pd.DataFrame) -> str:
    """Say which days' credit is still arriving, and how much of it is to come. In: `maturity`."""
    is_past = table["age"].notna()
    if table.empty:
        return "There is no session on the reported days."
    if is_past.any() and not table["arrived"].notna().any():
        return "How much credit is still to come cannot be estimated from so few days of orders."
    young = table[is_past & table["is_immature"]]
    after = table.loc[~is_past, "date"]
    sentences = []
    if len(young):
        sentences.append(f"The credit of {_listed(young['date'])} is still arriving: {_to_come(young)}")
    elif is_past.any():
        sentences.append(f"No day is estimated to have more than {percentage(THRESHOLD)} of its credit still to come.")
    if len(after):
        sentences.append(f"Nothing is estimated for {_listed(after)}, whose orders are not all credited yet.")
    return " ".join(sentences)


def _listed(days: pd.Series[str]) -> str:
    if len(days) == 1:
        return dated(days.iloc[0])
    return f"the {counted(len(days), 'day')} from {dated(days.min())} on"


def _to_come(young: pd.DataFrame) -> str:
    """How much of the final credit of these days is to come, in the sum."""
    known = young.dropna(subset=["ihc_expected"])
    final, arrived = known["ihc_expected"].sum(), known["ihc"].sum()
    if final < NO_CREDIT:
        return "none of it is there yet."
    share = 1 - arrived / final
    part = percentage(share) if share >= 0.005 else f"less than {percentage(0.01)}"
    orders = f"about {fixed(final - arrived)} of {fixed(final)} orders in the end"
    return f"an estimated {part} of it is still to come, {orders}."


def reach_sentence(lags: pd.DataFrame, arrivals: pd.DataFrame) -> str:
    """Say what credit the estimate cannot see; empty where it sees all. In: `credit_by_lag` and `arrival`."""
    if lags.empty or arrivals.empty:
        return ""
    reach = int(arrivals["age"].iloc[-1])
    late = float(lags.loc[lags["lag"] > reach, "share"].sum())
    if int(lags["lag"].iloc[-1]) <= reach:
        return ""
    part = percentage(late, 1) if late >= 0.0005 else f"less than {percentage(0.001, 1)}"
    return (
        f"The estimate looks {counted(reach, 'day')} ahead, as far as the dates of the orders reach; {part} of the "
        "credit so far took longer and is not in it."
    )


def early_sentence(daily: pd.DataFrame, conversions: pd.DataFrame) -> str:
    """Say which days lie before the first orders and so have too little credit; empty where none does.

    In: `date [the sessions']`, and the conversions.
    """
    if conversions.empty:
        return ""
    first_day = conversions["conv_date"].min()
    days = daily.loc[daily["date"] < first_day, "date"].drop_duplicates()
    if days.empty:
        return ""
    first = dated(days.min())
    which = f"{first} lies" if len(days) == 1 else f"The {counted(len(days), 'day')} from {first} on lie"
    whose = "its" if len(days) == 1 else "their"
    return (
        f"{which} before {dated(first_day)}, the first day of the orders: {whose} cost is whole, but credit of earlier "
        f"orders is missing, so {whose} ROAS reads too low."
    )
