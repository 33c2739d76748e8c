"""Shops with something odd in each: what the checks of the tables find, and their statements mend."""

import numpy as np

from helpers.frames import conversions, costs, sessions
from ihc.schemas.tables import Tables

ODD_SHOP = Tables(
    sessions(
        [
            ("a", "u", "2023-09-01 10:00:07", "Paid Search"),
            ("b", "u", "2023-09-02 10:00:07", "paid-search"),
            ("c", "v", "2023-09-03 10:00:07", "PaidSearch "),
            ("d", "v", "2023-09-04 10:00:07", " "),
            ("e", "x", "2023-09-05 10:00:07", "Mail"),
            ("f", "x", "2023-09-06 10:00:07", "Mail"),
        ]
    ),
    conversions(
        [
            ("k", "u", "2023-09-02 12:00:09", 100.0),
            ("minus", "u", "2023-09-02 13:00:09", -4.0),
            ("free", "u", "2023-09-02 14:00:09", 0.0),
            ("nobody's", "w", "2023-09-02 12:00:09", 5.5),
            ("early", "v", "2023-09-02 12:00:09", 2.5),
            ("minus nobody's", "w", "2023-09-02 12:00:09", -1.0),
        ]
    ),
    costs([("a", 4.0), ("b", None), ("c", 1.25), ("e", 2.5), ("gone", 3.0), ("lost", 0.5)]),
)
CHANNELS = "channel names that differ only by case, blanks, punctuation or Unicode normal form"
# Revenue is 100 - 4 + 0 + 5.5 + 2.5 - 1 = 103, cost is 4 + 1.25 + 2.5 + 3 + 0.5 = 11.25.
ODD_FINDINGS = {
    "orders without a session (untracked orders)": (2, 8.0, "revenue", 8 / 103, "'early', \"nobody's\""),
    "refunds without an order in refund_of": (
        *(2, -5.0, "revenue", np.nan),  # a negative amount has no share
        "'minus', \"minus nobody's\"",
    ),
    "orders with revenue 0": (1, np.nan, "", np.nan, "'free'"),
    "sessions without a cost row": (1, np.nan, "", np.nan, "'f'"),
    "cost rows with an empty cost": (1, np.nan, "", np.nan, "'b'"),
    "cost rows whose session does not exist": (2, 3.5, "cost", 3.5 / 11.25, "'gone', 'lost'"),
    CHANNELS: (3, 5.25, "cost", 5.25 / 11.25, "'Paid Search', 'PaidSearch ', 'paid-search'"),
    "sessions with a blank channel name": (1, 0.0, "cost", 0.0, "'d'"),
}
REFUNDS = "refunds without an order in refund_of"

VISITS = [
    ("a", "u", "2023-09-01 09:00:10", "Search"),
    ("b", "u", "2023-09-03 10:05:37", "Mail"),
    ("c", "v", "2023-09-03 11:00:12", "Mail"),
]
PAID = costs([("a", 2.0), ("b", 1.0), ("c", 1.0)])


def timed_shop(visits, orders):
    return Tables(sessions(visits), conversions(orders), PAID)


SHORTLY = timed_shop(VISITS, [("k", "u", "2023-09-03 10:05:07", 100.0), ("l", "v", "2023-09-03 11:05:00", 50.0)])
CUT = timed_shop(VISITS, [("k", "u", "2023-09-03 10:05:00", 100.0), ("l", "v", "2023-09-03 11:00:00", 50.0)])
MIDNIGHT = timed_shop(VISITS, [("k", "u", "2023-09-03 00:00:00", 100.0), ("l", "v", "2023-09-03 12:00:01", 50.0)])
LATER = timed_shop(VISITS, [("k", "v", "2023-09-03 08:00:01", 30.0), ("l", "v", "2023-09-02 08:00:01", 70.0)])
FAR = timed_shop(
    [*VISITS, ("z", "w", "0001-01-01 00:00:00", "Mail")],
    [("k", "u", "2023-09-04 10:00:01", 75.0), ("l", "u", "9999-12-31 00:00:00", 25.0)],
)
AT_ONCE = timed_shop(
    [*VISITS, ("d", "u", "2023-09-03 10:05:37.5", "Social"), ("e", "v", "2023-09-03 11:00:12", "Mail")],
    [("k", "u", "2023-09-04 10:00:01", 75.0), ("l", "v", "2023-09-04 10:00:01", 75.0)],
)
TWICE = timed_shop(
    VISITS,
    [
        ("k", "u", "2023-09-04 10:00:01", 75.0),
        ("l", "u", "2023-09-04 10:00:58", 75.0),
        ("m", "u", "2023-09-04 10:01:00", 75.0),
        ("n", "u", "2023-09-04 10:00:01", 74.0),
        ("o", "v", "2023-09-04 10:00:01", 75.0),
    ],
)
# Shares: of the revenue of all orders, or of all cost, which is 2 + 1 + 1 = 4.
CLOCK_FINDINGS = [
    (SHORTLY, "orders followed by a session", "1 order followed by", ["k"], 100.0, 100 / 150),
    (CUT, "orders followed by a session", "2 orders followed by", ["k", "l"], 150.0, 1),
    (CUT, "orders with times cut to the minute", "2 orders with times", ["k", "l"], 150.0, 1),
    (CUT, "orders without a session before", "1 order without a session before", ["l"], 50.0, 50 / 150),
    (MIDNIGHT, "orders at 00:00:00", "1 order at 00:00:00", ["k"], 100.0, 100 / 150),
    (LATER, "orders without a session before", "1 order without a session before", ["k"], 30.0, 0.3),
    (FAR, "sessions years away", "1 session years away", ["z"], 0.0, 0),
    (AT_ONCE, "sessions of one buyer in the same second", "2 sessions of one buyer", ["b", "d"], 1.0, 0.25),
    (TWICE, "orders of the same user, amount and minute", "1 order of the same user", ["l"], 75.0, 75 / 374),
]

NEAR_ORDERS, NEAR_COSTS = "orders whose user id differs", "cost rows whose session id differs"
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
NEAR_IDS = [
    ("u1", "u1 ", "blanks at the ends"),
    ("\ufeffu1", "u1", "blanks at the ends"),
    ("u1\u00a0", "\u2003u1", "blanks at the ends"),
    ("ABCDEF", "abcdef", "case"),
    ("\u00c9VA", "\u00e9va", "case"),
    (COMPOSED, DECOMPOSED, "Unicode normal form"),
    ("7", "7.0", "a final .0"),
    ("7", "007", "leading zeros"),
    ("it's \x1b7", "it's \x1b7 ", "blanks at the ends"),
    ("u1", "\u00a0 u1", "blanks at the ends"),
    (" O'Neil", "o'neil", "blanks, case, Unicode normal form, .0 or leading zeros"),
]


def shop_of(user, buyer):
    visits = sessions([("s", user, "2023-09-01 10:00:07", "Mail"), ("t", "w", "2023-09-01 10:00:07", "Mail")])
    orders = conversions([("k", buyer, "2023-09-01 12:00:01", 75.0), ("l", "w", "2023-09-01 12:00:01", 25.0)])
    return Tables(visits, orders, costs([("s", 1.0), ("t", 1.0)]))


def shared_id(user, visits=3, orders=3):
    """A user with so many sessions an hour apart, each order an hour after one of them, and another user with one."""
    of_user = [(f"s{hour}", user, f"2023-09-01 {hour:02}:00:01", "Mail") for hour in range(visits)]
    purchases = [(f"k{hour}", user, f"2023-09-01 {hour:02}:30:01", 10.0) for hour in range(orders)]
    return Tables(
        sessions([*of_user, ("a", "u", "2023-09-01 05:00:01", "Mail")]),
        conversions([*purchases, ("k", "u", "2023-09-01 06:00:01", 70.0)]),
        costs(),
    )
