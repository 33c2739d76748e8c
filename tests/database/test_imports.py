"""Writing imported rows: what is new is added, what changed is replaced, the rest stays."""

import pandas as pd
import pytest
import sqlalchemy as sa

from ihc.database.database import Database
from ihc.database.imports import store_import
from ihc.database.inputs import read_tables
from ihc.database.results import create_tables
from ihc.errors import DatabaseError
from ihc.schemas.tables import CONVERSIONS, COSTS, SESSIONS

SPEND = "channel_costs"


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "shop.db")


def sessions(*rows):
    names = ["session_id", "user_id", "channel_name"]
    return pd.DataFrame(rows, columns=names).assign(
        event_date="2025-03-01",
        event_time="10:00:00",
        holder_engagement=1,
        closer_engagement=1,
        impression_interaction=0,
    )


def orders(*rows):
    return pd.DataFrame(rows, columns=["conv_id", "revenue"]).assign(
        user_id="u", conv_date="2025-03-01", conv_time="11:00:00"
    )


def spend(*rows):
    return pd.DataFrame(rows, columns=["date", "channel_name", "campaign", "cost"])


def counts(database, **tables):
    names = {"sessions": SESSIONS, "orders": CONVERSIONS, "costs": COSTS, "spend": SPEND}
    stored = store_import(database, {names[name]: frame for name, frame in tables.items()})
    return [tuple(row) for row in stored[["table", "new", "changed", "unchanged"]].to_numpy().tolist()]


def rows_of(database, table, *columns):
    with database.transaction() as opened:
        frame = opened.read(sa.select(*map(sa.column, columns)).select_from(sa.table(table)).order_by(sa.text("1, 2")))
    return [tuple(None if pd.isna(value) else value for value in row) for row in frame.to_numpy().tolist()]


def test_the_same_import_changes_nothing_and_a_longer_one_adds_what_is_new(database):
    first = sessions(("s", "u", "Mail"), ("t", "u", "Ads"))
    assert counts(database, sessions=first, orders=orders(("o", 9.99))) == [(SESSIONS, 2, 0, 0), (CONVERSIONS, 1, 0, 0)]
    before = database.file.read_bytes()
    assert counts(database, sessions=first, orders=orders(("o", 9.99))) == [(SESSIONS, 0, 0, 2), (CONVERSIONS, 0, 0, 1)]
    assert database.file.read_bytes()[100:] == before[100:]  # but for the change counter in the header
    longer = sessions(("s", "u", "Mail"), ("t", "u", "Social"), ("v", "w", "Ads"))
    assert counts(database, sessions=longer) == [(SESSIONS, 1, 1, 1)]
    assert rows_of(database, SESSIONS, "session_id", "channel_name") == [("s", "Mail"), ("t", "Social"), ("v", "Ads")]


def test_rows_that_the_import_does_not_have_stay(database):
    counts(database, sessions=sessions(("s", "u", "Mail")))
    counts(database, sessions=sessions(("t", "u", "Ads")))
    assert len(read_tables(database).sessions) == 2


def test_missing_columns_are_added_and_empty_for_older_rows(database):
    counts(database, sessions=sessions(("s", "u", "Mail")))
    later = sessions(("t", "u", "Ads")).assign(campaign="Spring", **{"land of 'x'": "DE"})
    assert counts(database, sessions=later) == [(SESSIONS, 1, 0, 0)]
    assert rows_of(database, SESSIONS, "session_id", "campaign") == [("s", None), ("t", "Spring")]
    assert counts(database, sessions=later) == [(SESSIONS, 0, 0, 1)]


def test_costs_of_sessions_and_daily_spend_are_replaced_by_their_keys(database):
    costs = pd.DataFrame({"session_id": ["s"], "cost": [1.25]})
    assert counts(database, sessions=sessions(("s", "u", "Mail")), costs=costs)[1] == (COSTS, 1, 0, 0)
    assert counts(database, costs=costs.assign(cost=2.5)) == [(COSTS, 0, 1, 0)]
    day = "2025-03-01"
    assert counts(database, spend=spend((day, "Ads", "a", 1.0), (day, "Ads", None, 2.0))) == [(SPEND, 2, 0, 0)]
    assert counts(database, spend=spend((day, "Ads", "a", 1.0), (day, "Ads", None, 3.0))) == [(SPEND, 0, 1, 1)]
    assert rows_of(database, SPEND, "campaign", "cost") == [(None, 3.0), ("a", 1.0)]


def test_ids_stored_as_numbers_are_the_same_ids(database):
    create_tables(database)
    with database.transaction(is_writing=True) as opened:
        opened.connection.exec_driver_sql("DROP TABLE session_costs")
        opened.connection.exec_driver_sql("CREATE TABLE session_costs (session_id INTEGER PRIMARY KEY, cost REAL)")
        opened.connection.exec_driver_sql("INSERT INTO session_costs VALUES (7, 1.5)")
    assert counts(database, costs=pd.DataFrame({"session_id": ["7"], "cost": [2.5]})) == [(COSTS, 0, 1, 0)]
    assert rows_of(database, COSTS, "session_id", "cost") == [(7, 2.5)]


def test_a_view_is_not_written_to(database):
    create_tables(database)
    with database.transaction(is_writing=True) as opened:
        opened.connection.exec_driver_sql("DROP TABLE session_sources")
        opened.connection.exec_driver_sql("CREATE VIEW session_sources AS SELECT 1 AS session_id")
    with pytest.raises(DatabaseError, match=r"'session_sources' of .* is a view: import into a database of its own"):
        counts(database, sessions=sessions(("s", "u", "Mail")))


def test_days_of_two_time_zones_do_not_mix(database):
    counts(database, sessions=sessions(("s", "u", "Mail")))
    with pytest.raises(DatabaseError, match="The days in session_sources are in UTC"):
        counts(database, sessions=sessions(("t", "u", "Mail")).assign(event_utc="2025-03-01 09:00:00"))
    assert len(rows_of(database, SESSIONS, "session_id", "user_id")) == 1


def test_a_failure_leaves_all_tables_as_they_were(database):
    counts(database, sessions=sessions(("s", "u", "Mail")))
    with pytest.raises(DatabaseError):
        counts(
            database,
            sessions=sessions(("t", "u", "Mail")),
            orders=orders(("o", 1.0)).assign(user_id=None, conv_date=None),
        )
    assert rows_of(database, SESSIONS, "session_id", "user_id") == [("s", "u")]


def test_orders_that_no_longer_count_are_removed(database):
    counts(database, orders=orders(("o", 9.99), ("p", 5.0), ("q", 1.0)))
    stored = store_import(database, {CONVERSIONS: orders(("p", 6.0))}, {CONVERSIONS: ["o", "p", "unknown"]})
    assert stored[["changed", "removed", "total"]].to_numpy().tolist() == [[1, 1, 2]]
    assert rows_of(database, CONVERSIONS, "conv_id", "revenue") == [("p", 6.0), ("q", 1.0)]


def test_spend_of_the_same_days_under_other_names_is_counted(database):
    store_import(database, {SPEND: spend(("2025-03-01", "Ads", None, 5.5), ("2025-03-02", "Ads", None, 7.0))})
    stored = store_import(database, {SPEND: spend(("2025-03-01", "Search", None, 5.5))})
    assert stored[["total", "others", "others_cost"]].to_numpy().tolist() == [[3, 1, 5.5]]
