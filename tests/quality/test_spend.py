import sqlite3
from contextlib import closing

import pytest
from helpers.frames import conversions, costs, sessions, spend
from helpers.mending import finding, findings, is_listing

from ihc import read_tables
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.quality.checks import quality_findings, table_shapes
from ihc.schemas.spend import check_shop
from ihc.schemas.tables import SPEND

DAY, NEXT = "2023-09-01", "2023-09-02"
VISITS = sessions(
    [
        ("a", "u", f"{DAY} 10:00:07", "Ads"),
        ("b", "u", f"{DAY} 11:00:07", "Ads"),
        ("m", "v", f"{DAY} 12:00:07", "Mail"),
        ("n", "v", f"{NEXT} 12:00:07", "Mail"),
    ]
)
ROWS = [
    (DAY, "Ads", None, 10.0),  # beside the cost of a
    (NEXT, "Ads", None, 5.0),  # no session
    (NEXT, "Ads", None, 5.0),  # again
    (DAY, "Adds", None, 7.0),  # misspelt
    (NEXT, "Adds", None, 1.0),
    (DAY, "TV", None, 3.0),
    (DAY, "Mail", None, 2.0),  # m has a cost
    (NEXT, "Mail", None, None),
]
SHOP = check_shop([VISITS, conversions(), costs([("a", 4.0), ("m", 1.0), ("gone", 9.0)])], spend(ROWS))
# check: rows or names, amount, examples
FOUND = {
    "channels with daily spend": (2, 11.0, "'Adds', 'TV'"),
    "rows of daily spend without a session": (2, 10.0, f"'{NEXT} Ads', '{NEXT} Ads'"),
    "rows of daily spend beside session costs": (1, 10.0, f"'{DAY} Ads'"),
    "rows of daily spend repeating": (1, 5.0, f"'{NEXT} Ads'"),
    "rows of daily spend not used": (1, 2.0, f"'{DAY} Mail'"),
}


@pytest.mark.parametrize("check", FOUND)
def test_what_is_odd_about_daily_spend_is_found_with_its_amount(check):
    found = finding(SHOP, check)
    assert (found["count"], found["amount"], found["examples"]) == FOUND[check]


def test_channels_that_no_session_has_are_named_with_their_spend():
    found = finding(SHOP, "channels with daily spend")
    assert found["finding"] == "2 channels with daily spend and no session: Adds 8.00 and TV 3.00"
    # 4 + 1 + 9 of session costs, and all daily spend but the 2.00 that are not used.
    assert found["share"] == pytest.approx(11 / 45)


def test_shares_of_daily_spend_are_no_stray_costs_and_no_missing_ones():
    assert finding(SHOP, "cost rows whose session does not exist")["examples"] == "'gone'"
    assert finding(SHOP, "sessions without a cost row") is None
    assert finding(SHOP, "rows of daily spend with an empty cost")["count"] == 1


def test_a_stray_cost_is_a_near_miss_although_its_session_has_a_share():
    shop = check_shop([VISITS, conversions(), costs([("b ", 4.0)])], spend([(DAY, "Ads", None, 1.0)]))
    assert finding(shop, "cost rows whose session id differs from that of a session only by blanks")["count"] == 1


def test_a_cost_of_0_is_not_suggested_for_sessions_of_days_with_spend():
    visits = sessions([(key, "u", f"{DAY} 10:00:0{second}", "Ads") for second, key in enumerate("abc")])
    shop = check_shop([visits, conversions(), costs([("a", 1.0), ("b", 1.0)])], spend([(NEXT, "Ads", None, 1.0)]))
    assert "NOT EXISTS (SELECT 1 FROM channel_costs" in finding(shop, "sessions without a cost row")["mend"]


def test_a_shop_without_daily_spend_is_not_checked_for_it():
    shop = check_shop([VISITS, conversions(), costs([("a", 4.0)])])
    assert not findings(shop)["check"].str.contains("daily spend").any()
    assert SPEND not in table_shapes(shop)["table"].tolist()


def test_the_size_of_each_table_is_that_of_the_table():
    shapes = table_shapes(SHOP).set_index("table")
    assert shapes["rows"].tolist() == [4, 0, 3, 8]
    assert shapes.loc[SPEND, ["first_day", "last_day", "sum"]].tolist() == [DAY, NEXT, 33.0]


def test_the_statements_list_the_rows_and_empty_costs_become_0(tmp_path):
    path = tmp_path / "shop.db"
    create_tables(Database(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, frame in SHOP.by_name.items():
            own = [column for column in frame if not column.startswith("group_")]
            frame[own].astype(object).to_sql(name, connection, index=False, if_exists="append")
        found = quality_findings(read_tables(path))
        found = found[(found["count"] > 0) & found["check"].str.contains("of daily spend")]
        assert len(found) == len(FOUND)
        for row in found[found["mend"].map(is_listing)].itertuples():
            # The statement for a repeated row lists both.
            assert len(connection.execute(row.mend).fetchall()) == row.count + ("repeating" in row.check)
        for mend in found.loc[~found["mend"].map(is_listing), "mend"]:
            connection.execute(mend)
    assert finding(read_tables(path), "rows of daily spend with an empty cost") is None
