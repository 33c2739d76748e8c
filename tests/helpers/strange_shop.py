"""The changes to the shop between the two shared runs."""

from helpers.frames import UNTRUSTED

# Channel name in the sample -> unusual name.
STRANGE = dict(
    zip(
        (
            *("Affiliates", "Direct", "Display Retargeting", "Influencers", "Newsletter", "Organic Search"),
            *("Paid Search Brand", "Paid Search Generic", "Referral", "Shopping Ads"),
        ),
        (*UNTRUSTED, "Total", "[bold]markup[/bold]"),
        strict=True,
    )
)
GROUPS = {"Total": "=SUM(A1)", "[bold]markup[/bold]": "=SUM(A1)", "$x_1$": "<img src=x onerror='window.ran = 1'>"}
FIRST, LAST, CURRENCY = "2025-03-10", "2025-03-16", "<i>€$x_1$"
SINCE = [
    # Deleted orders, a new order of a new buyer, corrected values and costs, only within the period.
    "DELETE FROM conversions WHERE conv_id IN (SELECT min(conv_id) FROM conversions WHERE conv_date = '2025-03-12')",
    "INSERT INTO conversions SELECT '=new', user_id, '2025-03-16', '23:59:59', 50 FROM session_sources "
    "WHERE event_date = '2025-03-14' AND user_id NOT IN (SELECT user_id FROM conversions) LIMIT 1",
    "UPDATE conversions SET revenue = revenue + 10 WHERE conv_date = '2025-03-11'",
    "UPDATE session_costs SET cost = cost * 2 WHERE session_id IN "
    "(SELECT session_id FROM session_sources WHERE event_date = '2025-03-13')",
]
