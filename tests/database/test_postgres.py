"""PostgreSQL only: types, permissions, passwords, lost connections."""

import os
import re
import socket
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from helpers.databases import new_database, opened, rows_of, sql
from helpers.roles import as_role, grants

from ihc import attribute, build_journeys, channel_reporting, read_tables
from ihc.analysis.changes import record_run, state_of
from ihc.analysis.reporting import conversion_credits
from ihc.database.database import Database
from ihc.database.postgres import PATIENCE, lock_key
from ihc.database.results import create_tables, read_results, store_credits, store_reporting, try_writing
from ihc.database.tables import HISTORY, LEDGER, RESULTS, Run
from ihc.errors import DatabaseError, SettingsError
from ihc.journeys.credits import outcomes_of
from ihc.models.heuristics import first_touch
from ihc.models.parameters import load_parameters
from ihc.pipeline.sample import make_sample, write_sample
from ihc.schemas.tables import COLUMNS, WITH_SPEND, as_text

RUN = Run("run-1", "2023-09-08 00:00:00", "local", "default (abc)", None, None, None, "0")
NOTHING_FAILED = pd.DataFrame(columns=["conv_id", "outcome", "reason"], dtype="str")


def attributed(database, run=RUN):
    """Attribute all orders and store all results of a run."""
    tables = read_tables(database)
    journeys = build_journeys(tables.sessions, tables.conversions)
    credits = attribute(journeys, load_parameters())
    outcomes = outcomes_of(tables.conversions, journeys, NOTHING_FAILED)
    store_credits(database, run, credits, outcomes, tables.conversions)
    reporting = channel_reporting(*tables, credits)
    store_reporting(database, reporting)
    earned = conversion_credits(tables.sessions, tables.conversions, credits)
    record_run(database, run, state_of(earned, read_results(database).outcomes, reporting))


def contents(database):
    return {table: rows_of(database, table) for table in (*RESULTS, *HISTORY)}


# Types


TYPED = {
    "session_sources": (
        "session_id uuid PRIMARY KEY, user_id numeric(12, 2), event_date date, event_time time, "
        "channel_name varchar(40), holder_engagement boolean, closer_engagement smallint, "
        "impression_interaction numeric(1)"
    ),
    "conversions": "conv_id char(12), user_id numeric(12), conv_date date, conv_time time, revenue numeric(12, 4)",
    "session_costs": "session_id text, cost numeric",
}
ONE = "7b0e8a3e-1111-4222-8333-000000000001"
TWO = "7b0e8a3e-1111-4222-8333-000000000002"


def test_an_id_in_a_column_of_any_type_is_the_same_text_in_sql_as_in_python(schema):
    kinds = ("numeric(12, 2)", "numeric", "double precision", "real", "smallint", "text", "bpchar")
    ids = {kind: ["7", "70"] for kind in kinds} | {"float8": ["1000000000000000"]}  # without exponent
    for place, (kind, expected) in enumerate(ids.items()):
        values = ", ".join(f"('{one}')" for one in expected)
        sql(schema, f"CREATE TABLE t{place} (id {kind})", f"INSERT INTO t{place} VALUES {values}, (NULL)")
        column = sa.table(f"t{place}", sa.column("id")).c.id
        with schema.transaction() as opened:
            query = sa.select(column, opened.id_text(column).label("said")).where(column.is_not(None))
            frame = opened.read(query)
        assert as_text(frame["id"]).tolist() == frame["said"].tolist() == expected, kind


@pytest.fixture
def typed(schema):
    """A shop with columns of other types."""
    sql(
        schema,
        *(f"CREATE TABLE {table} ({columns})" for table, columns in TYPED.items()),
        f"INSERT INTO session_sources VALUES ('{ONE}', 7, '2023-09-01', '10:00:00', 'A', true, 1, 0),"
        f" ('{TWO}', 7, '2023-09-02', '10:00:00.250', 'B', false, 0, 1)",
        "INSERT INTO conversions VALUES ('c1', 7, '2023-09-02', '12:00', 10.5), ('c2', 8, '2023-09-03', '12:00', 20)",
        f"INSERT INTO session_costs VALUES ('{ONE}', 0.1), ('{TWO}', NULL)",
    )
    return schema


def test_columns_of_any_type_give_the_frames_of_an_sqlite_shop(typed, tmp_path):
    path = tmp_path / "same.db"
    create_tables(Database(path))
    sql(
        path,
        f"INSERT INTO session_sources VALUES ('{ONE}', '7', '2023-09-01', '10:00:00', 'A', 1, 1, 0),"
        f" ('{TWO}', '7', '2023-09-02', '10:00:00.25', 'B', 0, 0, 1)",
        "INSERT INTO conversions VALUES ('c1','7','2023-09-02','12:00:00',10.5), ('c2','8','2023-09-03','12:00:00',20)",
        f"INSERT INTO session_costs VALUES ('{ONE}', 0.1), ('{TWO}', NULL)",
    )
    for found, expected in zip(read_tables(typed), read_tables(path), strict=True):
        pd.testing.assert_frame_equal(found, expected)
    for asked in ({"start_date": "2023-09-03", "users": ["8"]}, {"end_date": "2023-09-02"}, {"users": ["7"]}):
        for found, expected in zip(read_tables(typed, **asked), read_tables(path, **asked), strict=True):
            pd.testing.assert_frame_equal(found, expected, check_dtype=len(found) > 0)


def test_results_beside_columns_of_any_type_are_stored_and_read_back(typed):
    create_tables(typed)
    try_writing(typed)
    attributed(typed)
    assert read_results(typed).credits["session_id"].tolist() == [ONE, TWO]


def test_result_tables_with_integer_ids_of_another_program_serve_too(schema):
    sql(
        schema,
        "CREATE TABLE attribution_customer_journey (conv_id bigint, session_id integer, ihc numeric)",
        "INSERT INTO attribution_customer_journey VALUES (99, 1, 1)",
    )
    create_tables(schema)
    sql(
        schema,
        "INSERT INTO session_sources VALUES ('1', 'u', '2023-09-01', '10:00:00', 'A', 1, 1, 0)",
        "INSERT INTO conversions VALUES ('11', 'u', '2023-09-01', '11:00:00', 5)",
    )
    attributed(schema)
    attributed(schema)
    assert sql(schema, "SELECT conv_id, session_id, ihc FROM attribution_customer_journey") == [(11, 1, 1)]
    assert read_results(schema).credits.to_numpy().tolist() == [["11", "1", 1.0]]


def test_a_result_table_that_would_change_ids_is_refused(schema):
    sql(schema, "CREATE TABLE attribution_customer_journey (conv_id float, session_id text, ihc float)")
    with pytest.raises(DatabaseError, match="column conv_id: it stores ids as floating-point numbers"):
        try_writing(schema)


OTHERS = {
    "attribution_customer_journey": "conv_id text, session_id text, ihc",
    "channel_reporting": "channel_name text, date date, cost double precision, ihc double precision, ihc_revenue",
}


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (
            (
                f"CREATE TABLE elsewhere ({OTHERS['attribution_customer_journey']} double precision)",
                "CREATE VIEW attribution_customer_journey AS SELECT * FROM elsewhere",
            ),
            "cannot copy to view.*rename it and run again",
        ),
        (
            (f"CREATE TABLE channel_reporting ({OTHERS['channel_reporting']} double precision, n text NOT NULL)",),
            'null value in column "n" of relation "channel_reporting".*rename it and run again',
        ),
        (
            (f"CREATE TABLE attribution_customer_journey ({OTHERS['attribution_customer_journey']} integer)",),
            'for type integer: "0.5" .table attribution_customer_journey, column ihc.; .*rename it and run again',
        ),
    ],
)
def test_a_result_table_that_copy_will_refuse_is_refused_at_once(statements, says, schema):
    sql(schema, *statements)
    with pytest.raises(DatabaseError, match=says):
        try_writing(schema)


def test_result_tables_of_another_program_that_take_the_rows_pass_whatever_they_hold(schema):
    sql(
        schema,
        "CREATE TABLE attribution_customer_journey (conv_id smallint, session_id uuid, "
        "ihc numeric(5, 4) CHECK (ihc >= 0), PRIMARY KEY (conv_id, session_id))",
        "CREATE TABLE attribution_outcomes (conv_id varchar(4), run_id text, outcome text, reason text, at date)",
        f"CREATE TABLE channel_reporting ({OTHERS['channel_reporting']} numeric(12, 2), n text DEFAULT '' NOT NULL)",
    )
    for _ in range(2):
        try_writing(schema)
    assert rows_of(schema, "channel_reporting") == []


def test_every_value_is_stored_by_copy_as_it_is(schema):
    sql(schema, "CREATE TABLE kept (a text, b double precision, c bigint, d text)")
    frame = pd.DataFrame(
        {
            "a": ["", 'a "quoted", \\N\n\ttext', "NULL", "\\.", "é漢"],
            "b": [0.1 + 0.2, np.nan, 5e-324, -1.7976931348623157e308, 1 / 3],
            "c": [2**63 - 1, -(2**63), 0, 1, 2],
            "d": [None] * 5,
        }
    )
    with schema.transaction(is_writing=True) as opened:
        opened.append("kept", frame)
        opened.append("kept", frame.iloc[:0])
    with schema.transaction() as opened:
        pd.testing.assert_frame_equal(opened.read(sa.text("SELECT * FROM kept")), frame, check_dtype=False)


def test_a_text_with_a_byte_that_postgresql_does_not_keep_is_refused_in_a_sentence(schema):
    sql(schema, "CREATE TABLE kept (a text)")
    with (
        pytest.raises(DatabaseError, match=r"invalid byte sequence|NUL"),
        schema.transaction(is_writing=True) as opened,
    ):
        opened.append("kept", pd.DataFrame({"a": ["a\0b"]}))


def round_trip(database, text="Häuser"):
    with database.transaction(is_writing=True) as opened:
        opened.connection.exec_driver_sql("CREATE TABLE kept (a text)")
        opened.append("kept", pd.DataFrame({"a": [text]}))
        opened.insert("kept", ["a"], [(text,)])
    with database.transaction() as opened:
        return opened.read(sa.text("SELECT a FROM kept"))["a"].tolist()


def test_text_is_kept_whatever_encoding_the_environment_and_the_url_name(schema, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    url = schema.url.update_query_dict({"client_encoding": "latin1"})
    assert round_trip(Database(url.render_as_string(hide_password=False)), "Häuser 漢") == ["Häuser 漢"] * 2
    monkeypatch.delenv("PGCLIENTENCODING")
    assert sql(schema, "SELECT DISTINCT a FROM kept") == [("Häuser 漢",)]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_text_is_kept_in_a_database_of_another_encoding_and_refused_where_it_is_none_in_utf8(encoding, server):
    with new_database(server, f"ENCODING {encoding} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'") as url:
        assert round_trip(Database(url)) == ["Häuser"] * 2
        assert sql(url, "SET client_encoding = 'utf8'", "SELECT DISTINCT a FROM kept") == [("Häuser",)]
        if encoding == "SQL_ASCII":
            sql(url, r"INSERT INTO kept VALUES (E'H\xe4user')")
            with pytest.raises(DatabaseError, match="invalid byte sequence"), Database(url).transaction() as opened:
                opened.read(sa.text("SELECT a FROM kept"))


# Choosing the database and schema


@pytest.mark.parametrize("name", ["nothing", 'x"; DROP SCHEMA public; --', "pg_catalog; SELECT 1"])
def test_a_schema_that_is_not_there_is_refused_whatever_its_name(postgres_url, name):
    with pytest.raises(DatabaseError, match="may not use it"):
        tables_of_schema(Database(postgres_url, name))
    assert sql(postgres_url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'public'") == [(1,)]


def tables_of_schema(database):
    with database.transaction() as opened:
        return opened.tables()


def test_a_schema_with_any_name_holds_all_tables_and_none_is_elsewhere(postgres_url):
    name = 'Häuser; "quoted" --'
    with opened(postgres_url) as connection:
        connection.execute('CREATE SCHEMA "Häuser; ""quoted"" --"')
    database = Database(postgres_url, name)
    write_sample(database, 20)
    create_tables(database)
    assert tables_of_schema(database) == {*WITH_SPEND, *RESULTS, *LEDGER, *HISTORY, "ihc_sample_shop"}
    assert tables_of_schema(Database(postgres_url)) == set()


def test_inputs_of_another_schema_serve_as_views(schema, postgres_url):
    write_sample(schema, 30)
    results = Database(postgres_url, "results")
    source = schema.url.query["schema"]
    sql(
        postgres_url,
        "CREATE SCHEMA results",
        *(f'CREATE VIEW results.{table} AS SELECT * FROM "{source}".{table}' for table in COLUMNS),
    )
    create_tables(results)
    attributed(results)
    assert len(rows_of(results, "attribution_customer_journey")) > 30
    assert "attribution_customer_journey" in tables_of_schema(results)


def test_a_sample_is_not_written_over_what_is_there(schema):
    create_tables(schema)
    with pytest.raises(DatabaseError, match="has a table 'session_sources'"):
        write_sample(schema, 10)
    assert rows_of(schema, "conversions") == []


def test_a_sample_is_the_same_as_in_a_file(schema, tmp_path):
    write_sample(schema, 30, seed=2)
    for was_read, made in zip(read_tables(schema), make_sample(30, seed=2), strict=True):
        pd.testing.assert_frame_equal(was_read, made.reset_index(drop=True), check_dtype=False)


# Refused connections


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"database": "nothing there"}, 'database "nothing there" does not exist; check its name in IHC_DATABASE'),
        ({"username": "nobody"}, 'role "nobody" does not exist; check the user in IHC_DATABASE'),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, "Connection refused"),
        ({"host": "no.such.host.invalid", "query": {}}, "no.such.host.invalid"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_without_the_password(postgres_url, change, says):
    url = sa.make_url(postgres_url).set(password="s3cr%t/x")
    url = url.set(**change).render_as_string(hide_password=False)
    with pytest.raises(DatabaseError, match=says) as error:
        read_tables(url)
    assert "s3cr" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_never_answers_times_out():
    assert PATIENCE["connect_timeout"] == 10
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql://ann:s3cret@127.0.0.1:{deaf.getsockname()[1]}/shop?connect_timeout=2"
        with pytest.raises(DatabaseError, match="does not answer"):
            read_tables(url)


def test_a_wrong_password_is_refused_and_neither_form_of_it_is_shown(server, postgres_url):
    if os.environ.get("IHC_TEST_DATABASE_URL"):
        pytest.skip("the rules of this server are not ours to change")
    with psycopg.connect(server, autocommit=True) as connection:
        (rules,) = connection.execute("SHOW hba_file").fetchone()
        with open(rules, "r+") as file:
            text = file.read()
            file.seek(0)
            file.write(f"local all needs_password scram-sha-256\n{text}")
        connection.execute("CREATE ROLE needs_password LOGIN PASSWORD 'r1ght'")
        connection.execute("SELECT pg_reload_conf()")
    url = sa.make_url(postgres_url).set(username="needs_password", password="wr0ng/p@ss wörd")
    with pytest.raises(DatabaseError, match="password authentication failed") as error:
        until_asked_for_a_password(url.render_as_string(hide_password=False))
    assert not any(part in str(error.value) for part in ("wr0ng", "p@ss", "p%40ss", "w%C3%B6rd"))
    with Database(url.set(password="r1ght").render_as_string(hide_password=False)).transaction():
        pass


def until_asked_for_a_password(url):
    """Connect until the server has reloaded its rules."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with Database(url).transaction():
            time.sleep(0.1)


def test_a_server_of_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"pip install 'ihc-attribution\[postgres\]'"):
        Database("postgresql://ann@host/shop")


# Permissions


@pytest.fixture
def schema(schema_url):
    return Database(schema_url)


@pytest.fixture
def shop(schema):
    write_sample(schema, 40)
    return schema


def test_the_permissions_in_the_readme_suffice_and_inputs_cannot_be_written(shop, role):
    sql(shop, *grants(shop, role))
    limited = Database(as_role(shop, role))
    try_writing(limited)
    create_tables(limited)
    attributed(limited)
    assert len(rows_of(limited, "channel_reporting")) > 10
    create_tables(limited, clean_results=True)
    for table in COLUMNS:
        for statement in (f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM {table}", f"DROP TABLE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql(limited, statement)


@pytest.mark.parametrize(
    ("revoked", "says"),
    [
        (
            "SELECT ON conversions",
            'permission denied for table conversions: GRANT SELECT ON SCHEMA."conversions" TO "Reporter',
        ),
        (
            "DELETE ON channel_reporting",
            'for table channel_reporting: GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA."channel_reporting" TO "R',
        ),
        ("INSERT ON api_answers", "permission denied for table api_answers"),
        ("UPDATE ON history_orders", "permission denied for table history_orders"),
    ],
)
def test_a_missing_permission_is_named_with_its_grant_before_anything_is_written(shop, role, revoked, says):
    sql(shop, *grants(shop, role), f'REVOKE {revoked} FROM "{role}"')
    limited, before = Database(as_role(shop, role)), contents(shop)
    says = says.replace("SCHEMA", f'"{shop.url.query["schema"]}"')
    with pytest.raises(DatabaseError, match=re.escape(says)):
        refuse_early(limited)
    assert contents(shop) == before


def test_a_missing_permission_of_a_view_owner_names_that_owner(shop, role):
    sql(
        shop,
        *grants(shop, role),
        "ALTER TABLE conversions RENAME TO orders",
        "CREATE VIEW conversions AS SELECT * FROM orders",
        f'ALTER VIEW conversions OWNER TO "{role}"',
        f'REVOKE ALL ON orders FROM "{role}"',
    )
    with pytest.raises(DatabaseError, match=r"table orders: the owner of the view .*GRANT SELECT ON") as error:
        read_tables(Database(as_role(shop, role)))
    assert not any(word in str(error.value) for word in ("INSERT", "UPDATE", "DELETE"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ALTER TABLE channel_reporting RENAME ihc TO credit", r'column "ihc" .*rename it and run again'),
        ("DROP TABLE channel_reporting", r'relation "channel_reporting" does not exist; `ihc init` creates'),
    ],
)
def test_missing_objects_are_named_with_the_remedy(change, says, shop):
    tables = read_tables(shop)
    reporting = channel_reporting(*tables, first_touch(build_journeys(tables.sessions, tables.conversions)))
    sql(shop, change)
    with pytest.raises(DatabaseError, match=says):
        store_reporting(shop, reporting)


def refuse_early(database):
    read_tables(database)
    try_writing(database)


def test_a_column_that_an_earlier_version_lacks_is_added_by_the_owner(shop, role):
    sql(shop, *grants(shop, role), "ALTER TABLE history_orders DROP COLUMN credits")
    limited = Database(as_role(shop, role))
    with pytest.raises(DatabaseError, match="must be owner of table history_orders: run `ihc init` as its owner"):
        create_tables(limited)
    create_tables(shop, renew=True)
    create_tables(limited)
    attributed(limited)


def test_missing_tables_that_cannot_be_created_are_named(shop, role):
    sql(shop, *grants(shop, role), "DROP TABLE api_answers")
    with pytest.raises(DatabaseError, match=r"permission denied for schema .*run `ihc init` as the owner"):
        try_writing(Database(as_role(shop, role)))


def test_a_role_that_may_not_make_temporary_tables_is_refused_before_anything_is_written(server, role):
    with new_database(server) as url:
        create_tables(Database(url))
        sql(
            url,
            f'REVOKE TEMPORARY ON DATABASE "{sa.make_url(url).database}" FROM PUBLIC',
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{role}"',
        )
        with pytest.raises(DatabaseError, match="GRANT TEMPORARY ON DATABASE"):
            try_writing(Database(as_role(url, role)))


def test_a_read_only_server_is_named(shop, role):
    sql(shop, *grants(shop, role), f'ALTER ROLE "{role}" SET default_transaction_read_only = on')
    with pytest.raises(DatabaseError, match=r"it cannot be written .*connect to the primary server"):
        try_writing(Database(as_role(shop, role)))


def test_checking_that_it_can_be_written_leaves_no_table_and_no_row(shop):
    sql(shop, "DROP TABLE api_answers")
    before = tables_of_schema(shop), contents(shop)
    try_writing(shop)
    assert (tables_of_schema(shop), contents(shop)) == before


# Lost connections


def sleep_at(database, table, seconds):
    """Slow down inserts into a table, so that they can be interrupted."""
    sql(
        database,
        "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$",
        f"CREATE TRIGGER take_time AFTER INSERT ON {table} EXECUTE FUNCTION take_time()",
    )


def writer(database, query):
    """Wait for a server process that runs a query, and return its id."""
    schema, deadline = database.url.query["schema"], time.monotonic() + 30
    find = (
        "SELECT pid FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE wait_event = 'PgSleep' "
        f"AND query LIKE '{query}%' AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = "
        f"(SELECT oid FROM pg_namespace WHERE nspname = '{schema}')) LIMIT 1"
    )
    while time.monotonic() < deadline:
        if found := sql(database, find):
            return found[0][0]
        time.sleep(0.02)
    raise AssertionError(f"nobody was at {query}")


@pytest.mark.parametrize("table", ["attribution_outcomes", "report_runs"])
def test_a_connection_that_is_ended_in_the_middle_of_a_write_leaves_the_previous_state(shop, table):
    create_tables(shop)
    attributed(shop)
    stored_before = contents(shop)
    sql(shop, "UPDATE conversions SET revenue = revenue + 1", "UPDATE session_costs SET cost = cost + 1")
    sleep_at(shop, table, 60)
    failed = []

    def write():
        try:
            attributed(shop, replace(RUN, run_id="run-2"))
        except DatabaseError as error:
            failed.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    pid = writer(shop, f"COPY {table} ")
    sql(shop, f"SELECT pg_terminate_backend({pid})")
    thread.join(timeout=30)
    assert len(failed) == 1
    assert "the connection was lost" in failed[0]
    assert contents(shop)[table] == stored_before[table]
    sql(shop, f"DROP TRIGGER take_time ON {table}")
    attributed(shop, replace(RUN, run_id="run-2"))
    assert contents(shop)[table] != stored_before[table]
    assert sql(shop, "SELECT count(*) FROM report_runs") == [(2,)]


def test_one_transaction_writes_at_a_time_and_the_next_sees_what_it_wrote(shop):
    create_tables(shop)
    order, both = [], threading.Barrier(2)

    def second():
        both.wait()
        with shop.transaction(is_writing=True) as opened:
            order.append(("second", opened.read(sa.text("SELECT version FROM api_refreshes_seen"))["version"].tolist()))

    sql(shop, "CREATE TABLE api_refreshes_seen (version INTEGER)")
    thread = threading.Thread(target=second)
    thread.start()
    with shop.transaction(is_writing=True) as opened:
        both.wait()
        opened.append("api_refreshes_seen", pd.DataFrame({"version": [1]}))
        time.sleep(0.2)
        order.append(("first", []))
    thread.join(timeout=30)
    assert order == [("first", []), ("second", [1])]


def test_roles_with_schemas_of_their_own_take_one_lock_on_the_tables_that_they_share(server, role):
    with new_database(server) as url:
        create_tables(Database(url))
        sql(url, f'CREATE SCHEMA "{role}" AUTHORIZATION "{role}"')
        keys = [f"SELECT current_schema(), {lock_key(purpose)}" for purpose in ("run", "writes")]
        ours, theirs = ([sql(database, key)[0] for key in keys] for database in (url, Database(as_role(url, role))))
        assert [schema for schema, _ in ours + theirs] == ["public", "public", role, role]
        assert [key for _, key in ours] == [key for _, key in theirs]
        apart = Database(url, role)
        assert sql(apart, keys[0])[0][1] != ours[0][1]
        create_tables(Database(as_role(apart, role)))
        assert sql(Database(as_role(url, role)), keys[0])[0][1] != ours[0][1]


def test_a_transaction_reads_one_snapshot(shop):
    with shop.transaction() as opened:
        before = opened.read(sa.text("SELECT count(*) AS n FROM conversions"))["n"].tolist()
        sql(shop, "DELETE FROM conversions")
        assert opened.read(sa.text("SELECT count(*) AS n FROM conversions"))["n"].tolist() == before == [40]
