"""Filtering in the database gives the same rows as reading everything and filtering in pandas."""

import shutil

import pandas as pd
import pytest
import sqlalchemy as sa
from helpers.databases import is_file, sql

from ihc import build_journeys, read_tables
from ihc.database.database import Database
from ihc.database.inputs import Selection, read_chosen, read_conversion_ids, users_of
from ihc.database.results import create_tables
from ihc.errors import InputError
from ihc.pipeline.sample import make_sample, write_sample
from ihc.schemas.tables import SPEND, inside

DATES = {"start_date": "2025-03-10", "end_date": "2025-03-12"}


@pytest.fixture(scope="module")
def sample_files(tmp_path_factory):
    """The sample shop as files of databases, to copy."""
    folder = tmp_path_factory.mktemp("sample")
    for address in (folder / "shop.db", f"duckdb:///{folder / 'shop.duckdb'}"):
        write_sample(Database(address), 60, seed=3)
    return folder


@pytest.fixture
def shop(nowhere, sample_files):
    if nowhere.file:
        shutil.copy(sample_files / nowhere.file.name, nowhere.file)
    else:
        write_sample(nowhere, 60, seed=3)
    return nowhere


def by_key(frame):
    return frame.sort_values(frame.columns[0], ignore_index=True)


def chosen_here(tables, users=None, **dates):
    """The same selection in pandas."""
    orders = tables.conversions[inside(tables.conversions["conv_date"], dates.get("start_date"), dates.get("end_date"))]
    orders = orders if users is None else orders[orders["user_id"].isin(users)]
    sessions = tables.sessions[tables.sessions["user_id"].isin(orders["user_id"])]
    return sessions, orders, tables.costs[tables.costs["session_id"].isin(sessions["session_id"])]


def test_the_database_filters_like_pandas(shop):
    whole = read_tables(shop)
    some = whole.conversions["user_id"].iloc[::7].tolist()
    for asked in (
        {"start_date": "2025-03-20"},
        {"end_date": "2025-03-05"},
        {"users": some, **DATES},
        {"users": []},
        {"users": ["nobody", "'; DROP TABLE conversions; --"]},
    ):
        for found, expected in zip(read_tables(shop, **asked), chosen_here(whole, **asked), strict=True):
            assert len(found) == len(expected)
            pd.testing.assert_frame_equal(by_key(found), by_key(expected), check_dtype=len(found) > 0)
    chosen = read_tables(shop, **DATES)
    expected = build_journeys(whole.sessions, whole.conversions, **DATES)
    pd.testing.assert_frame_equal(build_journeys(chosen.sessions, chosen.conversions, **DATES), expected)
    assert len(chosen.sessions) < len(whole.sessions) / 4


@pytest.mark.parametrize("nowhere", ["postgresql"], indirect=True)  # the others do not count rows
def test_only_the_chosen_rows_leave_the_database(shop):
    """Counted at the cursor, where rows that pandas filters later would count too."""
    fetched = []
    with shop.transaction() as opened:

        @sa.event.listens_for(opened.connection, "after_cursor_execute")
        def _count(_connection, cursor, statement, *_):
            fetched.append((statement.split()[0], cursor.rowcount))

        frames = read_chosen(opened, Selection("2025-03-10", "2025-03-12", None))
    reads = [count for verb, count in fetched if verb == "SELECT"]
    # The queries before them read columns, their types, and rows that cannot be compared.
    assert reads[-3:] == [len(frame) for frame in frames]
    assert set(reads[:-3]) == {0}
    assert len(frames[0]) < len(make_sample(60, seed=3).sessions) / 4


def test_without_a_choice_nothing_is_left_out():
    assert Selection.of(None, None, None) is None
    assert Selection.of("", "", None) is None
    assert Selection.of(None, None, []) == (None, None, (), False)


def test_invalid_dates_are_refused(tmp_path):
    with pytest.raises(InputError, match="is not a date"):
        read_tables(tmp_path / "shop.db", start_date="tomorrow")


@pytest.mark.parametrize("nowhere", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "choose", [lambda shop: read_tables(shop, **DATES), lambda shop: users_of(shop, "c"), read_tables]
)
def test_columns_that_are_missing_are_named_all_at_once_before_anything_is_chosen(shop, choose):
    sql(
        shop,
        "ALTER TABLE conversions RENAME COLUMN conv_date TO on_day",
        "ALTER TABLE session_sources RENAME COLUMN user_id TO customer",
    )
    with pytest.raises(InputError) as error:
        choose(shop)
    assert [line.split(";")[0] for line in str(error.value).splitlines()] == [
        "Table session_sources lacks the column 'user_id'",
        "Table conversions lacks the column 'conv_date'",
    ]


@pytest.mark.parametrize("nowhere", ["sqlite", "postgresql"], indirect=True)
def test_an_order_is_found_by_its_id_and_what_is_unfit_elsewhere_is_not_read(shop):
    orders = read_tables(shop).conversions
    assert users_of(shop, orders["conv_id"].iloc[5]) == [orders["user_id"].iloc[5]]
    assert users_of(shop, "nothing") == []
    assert sorted(read_conversion_ids(shop)["conv_id"]) == sorted(orders["conv_id"])
    sql(shop, "UPDATE conversions SET revenue = 1e300 WHERE conv_date = '2025-03-20'")
    assert len(read_tables(shop, **DATES).conversions)
    with pytest.raises(InputError, match="revenue"):
        read_tables(shop)


def test_ids_match_across_columns_of_different_types(database):
    kinds = ("REAL", "INTEGER", "REAL") if is_file(database) else ("DOUBLE PRECISION", "BIGINT", "NUMERIC")
    sql(
        database,
        *(f"DROP TABLE {table}" for table in ("session_sources", "conversions", "session_costs")),
        f"CREATE TABLE session_sources (session_id BIGINT, user_id {kinds[0]}, event_date TEXT, event_time TEXT,"
        " channel_name TEXT, holder_engagement INTEGER, closer_engagement INTEGER, impression_interaction INTEGER)",
        f"CREATE TABLE conversions (conv_id BIGINT, user_id {kinds[1]}, conv_date TEXT, conv_time TEXT,"
        " revenue DOUBLE PRECISION)",
        f"CREATE TABLE session_costs (session_id {kinds[2]}, cost DOUBLE PRECISION)",
        "INSERT INTO session_sources VALUES (1, 7, '2023-09-01', '10:00:00', 'A', 1, 1, 0),"
        " (2, 8, '2023-09-01', '10:00:00', 'A', 1, 1, 0)",
        "INSERT INTO conversions VALUES (11, 7, '2023-09-01', '11:00:00', 5), (12, 8, '2023-09-02', '11:00:00', 5)",
        "INSERT INTO session_costs VALUES (1, 2.5), (2, 4)",
    )
    for chosen in (read_tables(database, users=users_of(database, "11")), read_tables(database, end_date="2023-09-01")):
        assert [frame.iloc[:, 0].tolist() for frame in chosen] == [["1"], ["11"], ["1"]]


@pytest.fixture
def refunded(database):
    """An order on the 1st, one by another user on the 3rd, and on the 9th a refund of the first order."""
    sql(
        database,
        "ALTER TABLE conversions ADD COLUMN refund_of VARCHAR(40)",
        "INSERT INTO session_sources VALUES ('s1', 'u1', '2024-05-01', '09:00:00', 'Ads', 1, 1, 0)",
        "INSERT INTO session_sources VALUES ('s2', 'u1', '2024-05-05', '09:00:00', 'Mail', 1, 1, 0)",
        "INSERT INTO conversions VALUES ('c1', 'u1', '2024-05-01', '10:00:00', 100, NULL)",
        "INSERT INTO conversions VALUES ('c2', 'u2', '2024-05-03', '10:00:00', 60, '')",
        "INSERT INTO conversions VALUES ('back', 'u1', '2024-05-09', '10:00:00', -40, 'c1')",
    )
    return database


@pytest.mark.parametrize("nowhere", ["sqlite", "postgresql"], indirect=True)
def test_with_a_refund_of_the_dates_its_order_is_read_too(refunded):
    day = {"start_date": "2024-05-09", "end_date": "2024-05-09"}
    for users in (None, ["u1"]):
        found = read_tables(refunded, **day, users=users)
        assert sorted(found.conversions["conv_id"]) == ["back", "c1"]
    journeys = build_journeys(*found[:2], **day)
    assert journeys[["conv_id", "session_id"]].to_numpy().tolist() == [["back", "s1"]]
    whole = read_tables(refunded)
    pd.testing.assert_frame_equal(journeys, build_journeys(*whole[:2], **day))
    others = read_tables(refunded, start_date="2024-05-02", end_date="2024-05-04")
    assert others.conversions["conv_id"].tolist() == ["c2"]
    # Without dates, only the user's own orders and refunds are selected.
    assert sorted(read_tables(refunded, users=["u1"]).conversions["conv_id"]) == ["back", "c1"]
    assert read_tables(refunded, users=["u2"]).conversions["conv_id"].tolist() == ["c2"]


def test_daily_spend_is_read_and_spread_and_a_selection_has_the_shares_of_its_sessions(shop):
    without = read_tables(shop)
    assert without.spend is None  # the table is there, and empty
    buyers = without.conversions["user_id"].unique().tolist()
    first = without.sessions[without.sessions["user_id"].isin(buyers)].iloc[0]
    paid, day = first["channel_name"], first["event_date"]
    sql(
        shop,
        "DELETE FROM session_costs",
        f"INSERT INTO channel_costs (date, channel_name, cost) VALUES ('{day}', '{paid}', 10.01), ('{day}', 'TV', 7)",
    )
    whole = read_tables(shop)
    sessions = whole.sessions
    theirs = sessions[(sessions["channel_name"] == paid) & (sessions["event_date"] == day)]
    assert sorted(whole.costs["session_id"].dropna()) == sorted(theirs["session_id"])
    assert whole.costs["cost"].sum() == pytest.approx(17.01)
    assert len(whole.by_name[SPEND]) == 2
    chosen = read_tables(shop, users=buyers)
    assert 0 < len(chosen.costs) == theirs["user_id"].isin(buyers).sum()
    assert chosen.spend is None
    expected = whole.costs[whole.costs["session_id"].isin(chosen.costs["session_id"])]
    pd.testing.assert_frame_equal(by_key(chosen.costs), by_key(expected))


def test_a_selection_spreads_daily_spend_by_campaign_and_leaves_sessions_with_a_cost(database):
    visit = "('{}', '{}', '2023-09-01', '10:00:00', 'Ads', 1, 1, 0, '{}')"
    visits = [("a", "u", "x"), ("b", "v", "x"), ("c", "u", "y"), ("d", "v", "x")]
    sql(
        database,
        "ALTER TABLE session_sources ADD COLUMN campaign TEXT",
        f"INSERT INTO session_sources VALUES {', '.join(visit.format(*row) for row in visits)}",
        "INSERT INTO conversions (conv_id, user_id, conv_date, conv_time, revenue) "
        "VALUES ('k', 'u', '2023-09-02', '10:00:00', 5)",
        "INSERT INTO session_costs VALUES ('d', 2.5)",
        "INSERT INTO channel_costs (date, channel_name, campaign, cost) VALUES ('2023-09-01', 'Ads', 'x', 3), "
        "('2023-09-01', 'Ads', NULL, 1)",
    )
    # a and b share 3.00, as d has a cost of its own; c has the 1.00 without a campaign.
    assert read_tables(database).costs.set_index("session_id")["cost"].to_dict() == {
        "d": 2.5,
        "a": 1.5,
        "b": 1.5,
        "c": 1,
    }
    chosen = read_tables(database, start_date="2023-09-02").costs
    assert chosen.set_index("session_id")["cost"].to_dict() == {"a": 1.5, "c": 1.0}


@pytest.mark.parametrize("name", ["Channel_Costs", "CHANNEL_COSTS"])
def test_daily_spend_is_read_from_a_view_in_any_case(shop, name):
    sql(
        shop,
        "DROP TABLE channel_costs",
        f"CREATE VIEW \"{name}\" AS SELECT '2001-01-01' AS \"Date\", 'TV' AS channel_name, 2.5 AS cost",
    )
    create_tables(shop, optional=True)  # does not add a second one
    for asked in ({}, {"start_date": "2025-03-10"}):
        assert len(read_tables(shop, **asked).costs.columns) == 5
    assert read_tables(shop).costs.iloc[-1].tolist()[1:4] == [2.5, "2001-01-01", "TV"]


def test_existing_databases_get_the_optional_table_only_on_request(shop):
    sql(shop, "DROP TABLE channel_costs")
    for optional in (False, True):
        create_tables(shop, optional=optional)
        with shop.transaction() as opened:
            assert (SPEND in opened.tables()) == optional
        assert read_tables(shop).spend is None


@pytest.mark.parametrize("kind", ["VARCHAR(40)", "TIMESTAMP", "TIMESTAMPTZ"])
def test_moments_in_utc_are_read_from_texts_and_timestamps(database, kind):
    if is_file(database) and kind != "VARCHAR(40)":
        pytest.skip("SQLite has no timestamps")
    at = "SET TimeZone = 'UTC'" if kind == "TIMESTAMPTZ" else "SELECT 1"  # of the client that writes
    sql(
        database,
        at,
        f"ALTER TABLE session_sources ADD COLUMN event_utc {kind}",
        f"ALTER TABLE conversions ADD COLUMN conv_utc {kind}",
        "INSERT INTO session_sources VALUES"
        " ('a', 'u', '2025-10-26', '02:30:00', 'Ads', 1, 1, 0, '2025-10-26 00:30:00')",
        "INSERT INTO session_sources VALUES"
        " ('b', 'u', '2025-10-26', '02:30:00', 'Mail', 1, 1, 0, '2025-10-26 01:30:00.25')",
        "INSERT INTO conversions VALUES ('k', 'u', '2025-10-26', '02:15:00', 9, '2025-10-26 01:15:00')",
    )
    for found in (read_tables(database), read_tables(database, start_date="2025-10-26")):
        assert sorted(found.sessions["event_utc"]) == ["2025-10-26 00:30:00", "2025-10-26 01:30:00.25"]
        assert build_journeys(*found[:2])["session_id"].tolist() == ["a"]


@pytest.mark.parametrize("nothing", ["NULL", "''"])
def test_sessions_without_a_user_are_not_those_of_an_order_without_one(database, nothing):
    sql(
        database,
        f"INSERT INTO session_sources VALUES ('s1', {nothing}, '2024-05-01', '09:00:00', 'Ads', 1, 1, 0)",
        "INSERT INTO session_sources VALUES ('s2', 'u', '2024-05-01', '09:00:00', 'Ads', 1, 1, 0)",
        f"INSERT INTO conversions VALUES ('k1', {nothing}, '2024-05-01', '10:00:00', 100)",
        "INSERT INTO conversions VALUES ('k2', 'u', '2024-05-01', '10:00:00', 60)",
        "INSERT INTO session_costs VALUES ('s1', 2), ('s2', 3)",
    )
    found = read_tables(database, start_date="2024-05-01")
    assert sorted(found.conversions["conv_id"]) == ["k1", "k2"]
    assert (found.sessions["session_id"].tolist(), found.costs["session_id"].tolist()) == (["s2"], ["s2"])
    whole = read_tables(database)
    assert sorted(whole.sessions["user_id"].fillna("nobody")) == ["nobody", "u"]
    assert build_journeys(*whole[:2])["conv_id"].tolist() == ["k2"]
    assert users_of(database, "k1") == []
    assert users_of(database, "k2") == ["u"]


def test_with_every_order_the_database_also_selects_earlier_and_later_orders_of_the_users(shop):
    whole = read_tables(shop)
    chosen = read_tables(shop, **DATES, every_order=True)
    orders = whole.conversions
    users = orders.loc[inside(orders["conv_date"], **DATES), "user_id"]
    assert sorted(chosen.conversions["conv_id"]) == sorted(orders.loc[orders["user_id"].isin(users), "conv_id"])
    assert len(chosen.conversions) > len(read_tables(shop, **DATES).conversions)
    rules = DATES | {"restart_after_order": True}
    pd.testing.assert_frame_equal(build_journeys(*chosen[:2], **rules), build_journeys(*whole[:2], **rules))
    assert len(read_tables(shop, every_order=True).conversions) == len(orders)
