"""Shops with one data quality problem each, which the checks find and their SQL fixes."""

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
CLOCK_SHOPS = (SHORTLY, CUT, MIDNIGHT, LATER, FAR, AT_ONCE, TWICE)
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
SEVERAL_RULES = "blanks, case, Unicode normal form, .0 or leading zeros"
# An id, and a variant of it in another table, by the rule that makes them equal.
NEAR_IDS = {
    "blanks at the ends": {
        **{"u1": "u1 ", "\ufeffu2": "u2", "u3\u00a0": "\u2003u3"},
        **{"it's \x1b7": "it's \x1b7 ", "u4": "\u00a0 u4"},
    },
    "case": {"ABCDEF": "abcdef", "\u00c9VA": "\u00e9va"},
    "Unicode normal form": {COMPOSED: DECOMPOSED},
    "a final .0": {"7": "7.0"},
    "leading zeros": {"8": "008"},
    SEVERAL_RULES: {" O'Neil": "o'neil"},
}
KNOWN, WRITTEN = ([id for ids in NEAR_IDS.values() for id in each(ids)] for each in (dict.keys, dict.values))
# For each user, a session with the same id, and an order and a cost row with the variant.
NEAR_SHOP = Tables(
    sessions((one, one, "2023-09-01 10:00:07", "Mail") for one in [*KNOWN, "t"]),
    conversions((f"k{n}", one, "2023-09-01 12:00:01", 25.0) for n, one in enumerate([*WRITTEN, "t"])),
    costs([*((one, 3.0) for one in WRITTEN), ("t", 1.0), ("gone", 4.0)]),
)


def shared_id(*users, visits=3, orders=3):
    """Users with this number of sessions an hour apart, orders an hour after them, and another user with one."""
    hours = [(f"{n}-{hour}", user, hour) for n, user in enumerate(users) for hour in range(24)]
    of_users = [(key, user, f"2023-09-01 {hour:02}:00:01", "Mail") for key, user, hour in hours if hour < visits]
    purchases = [(key, user, f"2023-09-01 {hour:02}:30:01", 10.0) for key, user, hour in hours if hour < orders]
    return Tables(
        sessions([*of_users, ("a", "u", "2023-09-01 05:00:01", "Mail")]),
        conversions([*purchases, ("k", "u", "2023-09-01 06:00:01", 70.0)]),
        costs(),
    )
