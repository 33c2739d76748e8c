"""A shop whose ad platforms report spend by day, with the figures by hand.

Ads: 3.01 of campaign x are 1.51 for a and 1.50 for b; 1.00 without a campaign is for c; 5.00 of y have no session.
TV: 7.00 without any session. Mail: m has a cost of 1.50, so the 2.00 of that day are not used. 4.00 have no channel.
"""

import sqlite3
from contextlib import closing

from helpers.frames import conversions, costs, sessions, spend
from ihc.database.database import Database
from ihc.database.results import create_tables

DAY, NEXT = "2023-09-01", "2023-09-02"
SESSIONS = sessions(
    [
        ("a", "ann", f"{DAY} 10:00:07", "Ads"),
        ("b", "ann", f"{DAY} 11:00:07", "Ads"),
        ("c", "bob", f"{DAY} 12:00:07", "Ads"),
        ("m", "bob", f"{NEXT} 12:00:07", "Mail"),
    ]
).assign(campaign=["x", "x", None, None])
CONVERSIONS = conversions([("k", "ann", f"{DAY} 20:00:07", 100.0), ("l", "bob", f"{NEXT} 20:00:07", 50.0)])
COSTS = costs([("m", 1.5), ("gone", 4.0)])
SPEND = spend(
    [
        (DAY, "Ads", "x", 3.01),
        (DAY, "Ads", None, 1.0),
        (NEXT, "Ads", "y", 5.0),
        (NEXT, "TV", None, 7.0),
        (NEXT, "Mail", None, 2.0),
    ]
)
BY_DAY = {("Ads", DAY): 4.01, ("Ads", NEXT): 5.0, ("Mail", NEXT): 1.5, ("TV", NEXT): 7.0}
BY_CHANNEL = {"Ads": 9.01, "TV": 7.0, "Mail": 1.5, "Total": 17.51}
ALONE = 12.0  # 5.00 of Ads and 7.00 of TV


def make_shop(path):
    """Write the shop to an SQLite file."""
    create_tables(Database(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE session_sources ADD COLUMN campaign TEXT")
        tables = {
            "session_sources": SESSIONS,
            "conversions": CONVERSIONS,
            "session_costs": COSTS,
            "channel_costs": SPEND,
        }
        for name, frame in tables.items():
            frame.astype(object).to_sql(name, connection, index=False, if_exists="append")
    return path
