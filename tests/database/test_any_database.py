"""What holds on any database: on MariaDB, and on a PostgreSQL that goes by a name of which ihc knows nothing."""

import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pymysql
import pytest
import sqlalchemy as sa
from helpers.databases import new_database, new_mariadb_database, raise_at, rows_of, sql
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from typer.testing import CliRunner

from ihc import read_tables
from ihc.api.account import Account
from ihc.api.ledger import REJECTED, Asked, Ended, answered_accounts, open_ledger, read_known
from ihc.cli.app import app
from ihc.database.any_database import make_engine
from ihc.database.connection import (
    append,
    connected,
    database_file,
    database_url,
    execute,
    id_text,
    insert,
    label,
    read,
    same_id,
    tables_of,
    transaction,
    upsert,
    with_schema,
)
from ihc.database.results import check_writable, create_tables, read_results, store_credits, users_of
from ihc.database.tables import HISTORY, LEDGER, RESULTS
from ihc.errors import DatabaseError, SettingsError
from ihc.pipeline.sample import make_sample, write_sample
from ihc.schemas.tables import COLUMNS, as_text
from tests.database.test_postgres import ONE, RUN, TWO, attributed, contents


class OtherDialect(PGDialect_psycopg):
    """PostgreSQL as a database that ihc knows nothing of: what is done with it is what SQLAlchemy does everywhere."""

    name = "other"
    supports_statement_cache = True


@pytest.fixture(scope="module")
def other_database(server):
    with new_database(server) as url:
        yield url


@pytest.fixture
def other_url(other_database, monkeypatch):
    """A new schema of PostgreSQL, by the URL of a dialect that another package brings."""
    monkeypatch.setitem(sa.dialects.registry.impls, "other", lambda: OtherDialect)
    name = f"other_{time.monotonic_ns()}"
    sql(other_database, f"CREATE SCHEMA {name}")
    url = sa.make_url(other_database).set(drivername="other")
    return url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)


@pytest.fixture(params=["mariadb", "other"])
def anywhere(request):
    return request.getfixturevalue(f"{request.param}_url")


def do(database, *statements):
    """Execute statements as ihc's own connection would."""
    with transaction(database, is_writing=True) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


# Types


TYPED = {
    "mariadb": {
        "session_sources": (
            "session_id uuid PRIMARY KEY, user_id decimal(12, 2), event_date date, event_time time(3), "
            "channel_name varchar(40) CHARACTER SET latin1, holder_engagement bit(1), closer_engagement boolean, "
            "impression_interaction decimal(1)"
        ),
        "conversions": (
            "conv_id char(12), user_id decimal(12), conv_date date, conv_time time, revenue decimal(12, 4)"
        ),
        "session_costs": "session_id text, cost decimal(30, 10)",
    },
    "other": {
        "session_sources": (
            "session_id uuid PRIMARY KEY, user_id numeric(12, 2), event_date date, event_time time, "
            "channel_name varchar(40), holder_engagement boolean, closer_engagement smallint, "
            "impression_interaction numeric(1)"
        ),
        "conversions": (
            "conv_id varchar(12), user_id numeric(12, 0), conv_date date, conv_time time, revenue numeric(12, 4)"
        ),
        "session_costs": "session_id text, cost numeric",
    },
}


@pytest.fixture
def typed(anywhere):
    """A shop as another team's columns would hold it."""
    kind = "other" if anywhere.startswith("other") else "mariadb"
    do(anywhere, *(f"CREATE TABLE {table} ({columns})" for table, columns in TYPED[kind].items()))
    yes, no = ("true", "false") if kind == "other" else ("1", "0")
    do(
        anywhere,
        f"INSERT INTO session_sources VALUES ('{ONE}', 7, '2023-09-01', '10:00:00', 'Ä', {yes}, 1, 0),"
        f" ('{TWO}', 7, '2023-09-02', '09:00:00.250', 'B', {no}, 0, 1)",
        "INSERT INTO conversions VALUES ('c1', 7, '2023-09-02', '12:00', 10.5), ('c2', 8, '2023-09-03', '12:00', 20)",
        f"INSERT INTO session_costs VALUES ('{ONE}', 0.1), ('{TWO}', NULL)",
    )
    return anywhere


@pytest.fixture
def same(tmp_path):
    """The same shop in SQLite."""
    create_tables(tmp_path / "same.db")
    sql(
        tmp_path / "same.db",
        f"INSERT INTO session_sources VALUES ('{ONE}', '7', '2023-09-01', '10:00:00', 'Ä', 1, 1, 0),"
        f" ('{TWO}', '7', '2023-09-02', '09:00:00.25', 'B', 0, 0, 1)",
        "INSERT INTO conversions VALUES ('c1','7','2023-09-02','12:00:00',10.5), ('c2','8','2023-09-03','12:00:00',20)",
        f"INSERT INTO session_costs VALUES ('{ONE}', 0.1), ('{TWO}', NULL)",
    )
    return tmp_path / "same.db"


def test_columns_of_any_type_give_the_frames_of_an_sqlite_shop(typed, same):
    asked = ({}, {"start_date": "2023-09-03", "users": ["8"]}, {"end_date": "2023-09-02"}, {"users": ["7"]})
    for choice in asked:
        for found, expected in zip(read_tables(typed, **choice), read_tables(same, **choice), strict=True):
            pd.testing.assert_frame_equal(found, expected, check_dtype=len(found) > 0)


def test_results_beside_columns_of_any_type_are_stored_and_read_back(typed):
    create_tables(typed)
    check_writable(typed)
    attributed(typed)
    assert sorted(read_results(typed).credits["session_id"]) == [ONE, TWO]


KINDS = ("decimal(12, 2)", "decimal(12)", "double precision", "float", "smallint", "bigint", "varchar(9)", "char(9)")


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_in_a_column_of_any_type_is_the_same_text_in_sql_as_in_python(kind, anywhere):
    do(anywhere, f"CREATE TABLE ids (id {kind})", "INSERT INTO ids VALUES ('7'), ('70'), (NULL)")
    with transaction(anywhere) as connection:
        text = id_text(connection, "ids", "id")
        frame = read(connection, f"SELECT id, {text} AS said FROM ids WHERE id IS NOT NULL ORDER BY id")
    said = frame["said"].str.rstrip().tolist()
    assert as_text(frame["id"]).str.rstrip().tolist() == said == ["7", "70"]


def test_a_long_id_in_a_column_of_floats_has_no_exponent(anywhere):
    do(anywhere, "CREATE TABLE ids (id double precision)", "INSERT INTO ids VALUES (1000000000000000)")
    with transaction(anywhere) as connection:
        found = read(connection, f"SELECT id, {id_text(connection, 'ids', 'id')} AS said FROM ids")
    assert as_text(found["id"]).tolist() == found["said"].tolist() == ["1000000000000000"]


WORDS = ["a", "A", "ä", "a ", "Z", "é漢", "ß", "ss", "\U0001f6d2", "'; DROP TABLE conversions; --", "50 %s", ":x ?"]


def test_ids_that_differ_in_case_accents_or_blanks_stay_apart_and_sort_by_code_point(anywhere):
    create_tables(anywhere)
    with transaction(anywhere, is_writing=True) as connection:
        insert(connection, "attribution_outcomes", RESULTS["attribution_outcomes"], [(w, "r", "o", w) for w in WORDS])
    with transaction(anywhere) as connection:
        found = read(connection, "SELECT conv_id, reason FROM attribution_outcomes")
        greatest = read(connection, "SELECT MAX(reason) AS m FROM attribution_outcomes WHERE reason < 'b'")
        one = read(connection, "SELECT conv_id FROM attribution_outcomes WHERE conv_id = :id", {"id": "a"})
    assert sorted(found["conv_id"]) == sorted(found["reason"]) == sorted(WORDS)
    assert one["conv_id"].tolist() == ["a"]
    if anywhere.startswith("mysql"):  # of the other one its administrator said how it sorts
        assert greatest["m"].tolist() == [max(word for word in WORDS if word < "b")]


def test_a_key_with_the_longest_ids_is_taken_and_a_longer_one_refused(mariadb_url):
    create_tables(mariadb_url)
    rows = [("漢" * 255, "漢" * 255, "漢" * 255, 0, 0, 0, 0)]
    with transaction(mariadb_url, is_writing=True) as connection:
        insert(connection, "api_answers", LEDGER["api_answers"], rows)
    with (
        pytest.raises(DatabaseError, match=r"too long.*255 characters"),
        transaction(mariadb_url, is_writing=True) as connection,
    ):
        insert(connection, "api_answers", LEDGER["api_answers"], [("a" * 256, "b", "c", 0, 0, 0, 0)])


@pytest.fixture
def one_mariadb(mariadb_server):
    with new_mariadb_database(mariadb_server, "CHARACTER SET utf8mb4") as url:
        do(url, "CREATE TABLE kept (id INTEGER PRIMARY KEY, figure DOUBLE PRECISION, note TEXT)")
        yield url


def test_every_number_and_text_comes_back_as_it_was(one_mariadb):
    # No server keeps a NUL in a text that all others keep, and half a pair of UTF-16 is no character.
    texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))

    @given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), texts), max_size=20))
    @FIXED
    def check(values):
        values = [(number, text) for number, text in values if number == 0 or abs(number) >= sys.float_info.min]
        rows = pd.DataFrame(values, columns=["figure", "note"]).assign(id=range(len(values)))
        with transaction(one_mariadb, is_writing=True) as connection:
            connection.exec_driver_sql("DELETE FROM kept")
            append(connection, "kept", rows)
        with transaction(one_mariadb) as connection:
            found = read(connection, "SELECT figure, note FROM kept ORDER BY id")
        assert list(found.itertuples(index=False, name=None)) == values

    check()


def test_a_text_keeps_what_a_statement_could_take_for_its_own(one_mariadb):
    odd = ["\\", "\\'", "%", "%s", "%(x)s", ":x", "?", "\n", "", " ", '"', "`", "\0"]
    longer = [(f"{text}+", place) for place, text in enumerate(odd)]
    with transaction(one_mariadb, is_writing=True) as connection:
        insert(connection, "kept", ["id", "note"], list(enumerate(odd)))
        execute(connection, "UPDATE kept SET note = ? WHERE id = ?", longer)
    assert [note for (note,) in sql(one_mariadb, "SELECT note FROM kept ORDER BY id")] == [f"{text}+" for text in odd]


# Which database


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://ann:s3cret@host/shop", r"mysql:// needs its driver .*: pip install mysqlclient, or name one"),
        ("mysql+aiomysql://ann:s3cret@host/shop", r"mysql\+aiomysql:// is one for asyncio"),
        ("oracle://ann:s3cret@host/shop", "oracle:// needs its driver .*: pip install"),
        ("nosuch://ann:s3cret@host/shop", "no dialect for a database of nosuch://"),
        ("mysql+nosuch://ann:s3cret@host/shop", r"no dialect for a database of mysql\+nosuch://"),
        ("mysql+pymysql://ann:s3cret@host/shop?connect_timeout=s3cret", "what stands behind the question mark"),
    ],
)
def test_a_url_that_cannot_serve_is_refused_and_says_what_to_install(url, says):
    with pytest.raises(SettingsError, match=says) as error:
        database_url(url)
    assert "s3cret" not in str(error.value)


def test_a_driver_for_asyncio_is_refused(monkeypatch):
    class Asynchronous(OtherDialect):
        is_async = True

    monkeypatch.setitem(sa.dialects.registry.impls, "later", lambda: Asynchronous)
    with pytest.raises(SettingsError, match="one for asyncio"):
        database_url("later://ann@host/shop")


def test_a_dialect_that_asks_its_driver_for_the_address_is_given_one(monkeypatch):
    class Asking(OtherDialect):
        def create_connect_args(self, url):
            return [self.dbapi.__name__], {}

    monkeypatch.setitem(sa.dialects.registry.impls, "asking", lambda: Asking)
    assert database_url("asking://host/shop").host == "host"


def test_any_other_database_has_no_file_and_no_schema(anywhere):
    assert database_file(anywhere) is None
    with pytest.raises(SettingsError, match="none of PostgreSQL: leave it out"):
        with_schema(anywhere, "x")
    assert with_schema(anywhere, None) == anywhere


def test_a_label_shows_neither_password_nor_query():
    assert label("mysql+pymysql://ann:s3cret@host/shop?passwd=s3cret&schema=x") == "mysql+pymysql://ann:***@host/shop"


def test_a_run_on_sqlite_loads_no_other_driver(shop):
    code = f"import sys; from ihc import read_tables; read_tables({str(shop)!r}); print('pymysql' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Tables


def names_in(database):
    with transaction(database) as connection:
        return tables_of(connection)


def test_the_tables_of_the_schema_file_are_made_once_and_again_with_all_columns_and_keys(anywhere):
    create_tables(anywhere)
    create_tables(anywhere)
    assert names_in(anywhere) == {*COLUMNS, *RESULTS, *LEDGER, *HISTORY}
    with connected(anywhere) as connection:
        inspector = sa.inspect(connection)
        for table, columns in (COLUMNS | RESULTS | LEDGER | HISTORY).items():
            assert [column["name"] for column in inspector.get_columns(table)] == list(columns), table
        keys = {
            table: inspector.get_pk_constraint(table)["constrained_columns"] for table in RESULTS | LEDGER | HISTORY
        }
        nullable = {column["name"] for column in inspector.get_columns("report_runs") if column["nullable"]}
        unique = inspector.get_unique_constraints("report_runs")
    assert keys["attribution_customer_journey"] == ["conv_id", "session_id"]
    assert keys["api_answers"] == ["request_id", "conv_id", "session_id"]
    assert keys["history_costs"] == ["channel_name", "date", "first_run"]
    assert (keys["report_runs"], keys["attribution_outcomes"]) == (["number"], ["conv_id"])
    assert nullable == {"lookback_days", "start_date", "end_date"}
    assert [each["column_names"] for each in unique] == [["run_id"]]


def test_a_sample_is_the_same_as_in_a_file(anywhere):
    write_sample(anywhere, 30, seed=2)
    for was_read, made in zip(read_tables(anywhere), make_sample(30, seed=2), strict=True):
        found, expected = (frame.sort_values(frame.columns[0], ignore_index=True) for frame in (was_read, made))
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    with pytest.raises(DatabaseError, match="already"):
        write_sample(anywhere, 30)


def test_everything_that_a_run_stores_is_as_in_a_file_and_storing_it_again_changes_nothing(anywhere, tmp_path):
    for database in (anywhere, tmp_path / "shop.db"):
        write_sample(database, 40, seed=2)
        attributed(database)
    first = {table: seen(anywhere, table) for table in RESULTS | HISTORY}
    assert first == {table: rows_of(tmp_path / "shop.db", table) for table in RESULTS | HISTORY}
    attributed(anywhere)
    assert {table: seen(anywhere, table) for table in RESULTS | HISTORY} == first


MAY_BE_EMPTY = {"attribution_outcomes": "reason", "api_ledger": "reason", "api_requests": "redistribution"}


def with_empty_as_null(database):
    """Make the tables as they are in Oracle, to which an empty text is NULL."""
    create_tables(database)
    for table, column in MAY_BE_EMPTY.items():
        nulled = f"BEGIN NEW.{column} = nullif(NEW.{column}, ''); RETURN NEW; END"
        do(
            database,
            f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL",
            f"CREATE FUNCTION null_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ {nulled} $$",
            f"CREATE TRIGGER nulled BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION null_{table}()",
        )


def test_where_an_empty_text_is_null_the_same_is_read_back(other_url, tmp_path):
    with_empty_as_null(other_url)
    create_tables(tmp_path / "shop.db")
    read_back = []
    for database in (other_url, tmp_path / "shop.db"):
        outcomes = pd.DataFrame({"conv_id": ["a", "b"], "outcome": ["credited", "failed"], "reason": ["", "refused"]})
        credits = pd.DataFrame({"conv_id": ["a"], "session_id": ["s"]}).assign(
            initializer=1.0, holder=0.0, closer=1.0, ihc=1.0
        )
        store_credits(database, RUN, credits, outcomes, outcomes)
        account = Account("https://api.example.com/v1", "key", "sales")
        asked = Asked({"a": "f", "b": "g"}, {"a": ["s"], "b": ["t"]})
        with open_ledger(database, account, "run") as ledger:
            ledger.write([asked], [])
            ledger.write([], [Ended(asked, 1, "answered", {"b": (REJECTED, "")}, {"a": [("s", 1, 0, 1, 1.0)]})])
        marks = pd.DataFrame({"conv_id": ["a", "b"], "fingerprint": ["f", "g"]})
        known = read_known(database, account, marks)
        read_back.append([*read_results(database), *known, answered_accounts(database)])
    for found, expected in zip(*read_back, strict=True):
        pd.testing.assert_frame_equal(found, expected)
    assert read_back[0][1]["reason"].tolist() == ["", "refused"]
    assert nulls_in(other_url) == [(1,), (2,), (1,)]


def nulls_in(database):
    """How many NULLs there really are: one reason of two outcomes, and of the ledger both."""
    with transaction(database) as connection:
        counts = [f"SELECT count(*) FROM {table} WHERE {column} IS NULL" for table, column in MAY_BE_EMPTY.items()]
        return [tuple(connection.exec_driver_sql(each).one()) for each in counts]


def seen(database, table):
    """All rows of a table, as ihc itself reads them."""
    with transaction(database) as connection:
        rows = read(connection, f"SELECT * FROM {table}").astype(object)
    rows = rows.where(rows.notna(), None).itertuples(index=False, name=None)
    return sorted(rows, key=lambda row: tuple(map(repr, row)))


def test_a_row_replaces_the_one_with_its_key_and_keeps_the_columns_of_others(anywhere):
    do(
        anywhere,
        "CREATE TABLE kept (id VARCHAR(9) PRIMARY KEY, figure DOUBLE PRECISION, theirs VARCHAR(9))",
        "INSERT INTO kept VALUES ('a', 1, 'stays')",
    )
    for _ in range(2):
        with transaction(anywhere, is_writing=True) as connection:
            upsert(connection, "kept", pd.DataFrame({"id": ["a", "b"], "figure": [7.0, np.nan]}), "id")
    assert seen(anywhere, "kept") == [("a", 7.0, "stays"), ("b", None, None)]


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (
            (
                "CREATE TABLE elsewhere (conv_id varchar(9), session_id varchar(9), ihc double precision)",
                "CREATE VIEW attribution_customer_journey AS SELECT * FROM elsewhere",
            ),
            "because it is a view",
        ),
        (
            ("CREATE TABLE attribution_customer_journey (conv_id varchar(9), session_id varchar(9), ihc integer)",),
            "column ihc: its type would round what is stored there",
        ),
        (
            ("CREATE TABLE attribution_customer_journey (conv_id float, session_id varchar(9), ihc float)",),
            "column conv_id: it keeps ids as floating point numbers",
        ),
        (
            ("CREATE TABLE attribution_customer_journey (conv_id char(9), session_id char(9), ihc decimal(9, 4))",),
            "column ihc: its type would round what is stored there",
        ),
        (("CREATE TABLE attribution_customer_journey (conv_id varchar(9), ihc double precision)",), "session_id"),
        (
            (
                "CREATE TABLE attribution_customer_journey (conv_id varchar(9), session_id varchar(9), "
                "ihc double precision, note varchar(9) NOT NULL)",
            ),
            "note",
        ),
    ],
)
def test_a_result_table_that_does_not_take_the_rows_is_refused_at_once(statements, says, anywhere):
    do(anywhere, *statements)
    with pytest.raises(DatabaseError, match=says):
        check_writable(anywhere)


def test_result_tables_of_another_program_that_take_the_rows_pass_and_stay_empty(anywhere):
    do(
        anywhere,
        "CREATE TABLE attribution_customer_journey (conv_id smallint, session_id varchar(36), ihc decimal(10, 9))",
        "CREATE TABLE attribution_outcomes (conv_id varchar(4), run_id varchar(99), outcome varchar(9), "
        "reason varchar(99), happened date)",
        "CREATE TABLE channel_reporting (channel_name varchar(9), date date, cost double precision, "
        "ihc double precision, ihc_revenue decimal(12, 2), n varchar(9) DEFAULT '' NOT NULL)",
    )
    for _ in range(2):
        check_writable(anywhere)
    tables = ("attribution_customer_journey", "attribution_outcomes", "channel_reporting")
    assert [seen(anywhere, table) for table in tables] == [[]] * 3


def test_result_tables_with_integer_ids_of_another_program_serve_too(anywhere):
    do(
        anywhere,
        "CREATE TABLE attribution_customer_journey (conv_id bigint, session_id integer, ihc decimal(20, 10))",
        "INSERT INTO attribution_customer_journey VALUES (9007199254740993, 1, 1)",
    )
    create_tables(anywhere)
    do(
        anywhere,
        "INSERT INTO session_sources VALUES ('1', 'u', '2023-09-01', '10:00:00', 'A', 1, 1, 0)",
        "INSERT INTO conversions VALUES ('11', 'u', '2023-09-01', '11:00:00', 5)",
    )
    attributed(anywhere)
    attributed(anywhere)
    assert read_results(anywhere).credits.to_numpy().tolist() == [["11", "1", 1.0]]


@pytest.mark.parametrize("order", ["latin1 COLLATE latin1_german2_ci", "utf8mb4 COLLATE utf8mb4_unicode_ci"])
def test_ids_are_told_apart_by_case_though_the_tables_of_the_shop_do_not(order, mariadb_server):
    """A shop's texts may be kept in any character set and compared without regard to case."""
    with new_mariadb_database(mariadb_server, f"CHARACTER SET {order}") as url:
        do(
            url,
            "CREATE TABLE session_sources (session_id varchar(9), user_id varchar(9), event_date varchar(10), "
            "event_time varchar(8), channel_name varchar(9), holder_engagement int, closer_engagement int, "
            "impression_interaction int)",
            "CREATE TABLE conversions (conv_id varchar(9), user_id varchar(9), conv_date varchar(10), "
            "conv_time varchar(8), revenue double)",
            "CREATE TABLE session_costs (session_id varchar(9), cost double)",
            "INSERT INTO session_sources VALUES ('s', 'u', '2023-09-01', '10:00:00', 'A', 1, 1, 0), "
            "('S', 'U', '2023-09-01', '10:00:00', 'A', 1, 1, 0)",
            "INSERT INTO conversions VALUES ('c', 'u', '2023-09-02', '12:00:00', 1), "
            "('C', 'U', '2023-09-03', '12:00:00', 1), ('ä', 'Ä', '2023-09-04', '12:00:00', 1)",
            "INSERT INTO session_costs VALUES ('s', 1), ('S', 2)",
        )
        create_tables(url)
        for choice in ({"users": ["u"]}, {"users": users_of(url, "c")}, {"end_date": "2023-09-02"}):
            assert [frame.iloc[:, 0].tolist() for frame in read_tables(url, **choice)] == [["s"], ["c"], ["s"]]
        attributed(url)
        assert rows_of(url, "attribution_customer_journey") == [("C", "S", 1.0), ("c", "s", 1.0)]


def test_a_type_that_sqlalchemy_does_not_know_is_no_warning(mariadb_url):
    create_tables(mariadb_url)
    do(mariadb_url, "ALTER TABLE session_sources ADD COLUMN address inet6")
    with warnings.catch_warnings(action="error"), transaction(mariadb_url) as connection:
        assert same_id(connection, "session_sources", "user_id") == "session_sources.user_id"


# Transactions


@pytest.fixture
def shop_url(anywhere):
    write_sample(anywhere, 40)
    return anywhere


def test_a_reader_sees_one_moment_whatever_others_write_meanwhile(shop_url):
    with transaction(shop_url) as connection:
        before = read(connection, "SELECT COUNT(*) AS n FROM conversions")
        do(shop_url, "DELETE FROM session_sources", "DELETE FROM conversions")
        after = read(connection, "SELECT COUNT(*) AS n FROM conversions")
        sessions = read(connection, "SELECT COUNT(*) AS n FROM session_sources")
    assert before["n"].tolist() == after["n"].tolist() == [40]
    assert sessions["n"].tolist() > [40]


def test_of_two_that_write_the_same_at_once_none_spoils_the_others_work(shop_url):
    """Each reads how many rows there are and adds one with that number: two with the same number are two too many."""
    do(shop_url, "CREATE TABLE counted (id INTEGER)")
    start, refused = threading.Barrier(4), []

    def count():
        start.wait()
        for _ in range(5):
            try:
                with transaction(shop_url, is_writing=True) as connection:
                    (number,) = read(connection, "SELECT COUNT(*) AS n FROM counted")["n"]
                    insert(connection, "counted", ["id"], [(int(number),)])
            except DatabaseError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [number for (number,) in seen(shop_url, "counted")]
    assert sorted(numbers) == list(range(len(numbers)))
    assert len(numbers) + len(refused) == 20
    assert all(error.endswith("run again.") for error in refused), refused


def test_the_end_of_a_connection_in_the_middle_of_a_write_leaves_the_previous_state(mariadb_url):
    write_sample(mariadb_url, 40)
    attributed(mariadb_url)
    before = contents(mariadb_url)
    sql(mariadb_url, "UPDATE conversions SET revenue = revenue + 1")
    kill = "IF NEW.session_id > 'a' THEN KILL CONNECTION_ID(); END IF"
    sql(mariadb_url, f"CREATE TRIGGER stop AFTER INSERT ON attribution_phases FOR EACH ROW {kill}")
    with pytest.raises(DatabaseError, match=r"the connection was lost.*: run again"):
        attributed(mariadb_url)
    assert contents(mariadb_url) == before
    sql(mariadb_url, "DROP TRIGGER stop")
    attributed(mariadb_url)
    assert contents(mariadb_url) != before


def test_a_table_that_another_keeps_locked_is_given_up_with_what_to_do(mariadb_url):
    create_tables(mariadb_url)
    sql(mariadb_url, "INSERT INTO channel_reporting VALUES ('A', '2023-09-01', 1, 1, 1)")
    url = sa.make_url(mariadb_url)
    theirs = pymysql.connect(**url.translate_connect_args(username="user"), **url.query)
    theirs.cursor().execute("DELETE FROM channel_reporting")
    try:
        with (
            pytest.raises(DatabaseError, match="kept it locked: end that one and run again"),
            transaction(mariadb_url, is_writing=True) as connection,
        ):
            connection.exec_driver_sql("SET STATEMENT innodb_lock_wait_timeout = 1 FOR DELETE FROM channel_reporting")
    finally:
        theirs.close()


def test_temporary_tables_are_gone_with_their_transaction(shop_url):
    before = names_in(shop_url)
    for _ in range(2):
        attributed(shop_url)
        assert len(read_tables(shop_url, users=["nobody"]).conversions) == 0
    assert names_in(shop_url) >= before
    assert not {"touched", "chosen_users", "wanted"} & names_in(shop_url)


def test_a_session_is_strict_and_compares_by_code_points_whatever_the_server_does_by_default(mariadb_url):
    with transaction(mariadb_url) as connection:
        query = "SELECT @@sql_mode AS mode, @@collation_connection AS c, @@tx_isolation AS level, @@time_zone AS zone"
        found = read(connection, query).iloc[0].to_dict()
    assert "STRICT_ALL_TABLES" in found["mode"]
    assert (found["c"], found["level"], found["zone"]) == ("utf8mb4_nopad_bin", "REPEATABLE-READ", "+00:00")
    with transaction(mariadb_url, is_writing=True) as connection:
        assert read(connection, "SELECT @@tx_isolation AS level")["level"].tolist() == ["SERIALIZABLE"]


# What a server refuses


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"database": "nothing_there"}, "Unknown database 'nothing_there'; check its name in IHC_DATABASE"),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, "Connection refused.*check host and port"),
        ({"host": "no.such.host.invalid", "query": {}}, "no.such.host.invalid"),
        ({"query": {"nosuchoption": "s3cr%t/x"}}, "nosuchoption"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_without_the_password(mariadb_url, change, says):
    url = sa.make_url(mariadb_url)
    url = (url if "database" in change else url.set(password="s3cr%t/x")).set(**change)
    with pytest.raises(DatabaseError, match=says) as error:
        read_tables(url.render_as_string(hide_password=False))
    assert "s3cr" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("password", ["r1ght/p@ss wörd", "r1ght漢"])
def test_a_right_password_is_taken_whatever_its_letters_and_no_form_of_a_wrong_one_is_shown(password, mariadb_url):
    name = f"needs-{time.monotonic_ns()}"
    sql(mariadb_url, f"CREATE USER `{name}`@localhost IDENTIFIED BY '{password}'")
    sql(mariadb_url, f"GRANT ALL ON {sa.make_url(mariadb_url).database}.* TO `{name}`@localhost")
    url = sa.make_url(mariadb_url).set(username=name, password=password)
    create_tables(url.render_as_string(hide_password=False))
    wrong = url.set(password="wr0ng/p@ss wörd").render_as_string(hide_password=False)
    with pytest.raises(DatabaseError, match="check user and password in IHC_DATABASE") as error:
        create_tables(wrong)
    assert not any(part in str(error.value) for part in ("wr0ng", "p@ss", "p%40ss", "w%C3%B6rd"))


def test_a_right_that_is_missing_is_said_before_anything_is_written(mariadb_url):
    write_sample(mariadb_url, 20)
    name = f"reader-{time.monotonic_ns()}"
    database = sa.make_url(mariadb_url).database
    sql(mariadb_url, f"CREATE USER `{name}`@localhost", f"GRANT SELECT ON {database}.* TO `{name}`@localhost")
    limited = sa.make_url(mariadb_url).set(username=name).render_as_string(hide_password=False)
    assert len(read_tables(limited).conversions) == 20
    with pytest.raises(DatabaseError, match=r"denied .*; let the administrator grant that"):
        check_writable(limited)


def test_a_table_that_is_missing_is_said(anywhere):
    do(anywhere, "CREATE TABLE mine (a INTEGER)")
    with pytest.raises(DatabaseError, match="`ihc init` makes the tables that are missing"):
        read_results(anywhere)


def test_a_fault_of_the_drivers_own_is_refused_in_a_sentence(one_mariadb):
    with (
        pytest.raises(DatabaseError, match="dict can not be used as parameter"),
        transaction(one_mariadb, is_writing=True) as connection,
    ):
        insert(connection, "kept", ["id", "note"], [(1, {"a": 1})])
    assert rows_of(one_mariadb, "kept") == []


def test_an_error_in_the_middle_of_storing_leaves_the_previous_state(mariadb_url):
    write_sample(mariadb_url, 20)
    raise_at(mariadb_url, "BEFORE INSERT", "attribution_phases", "disk full")
    with pytest.raises(DatabaseError, match="disk full"):
        attributed_after_init(mariadb_url)
    assert rows_of(mariadb_url, "attribution_customer_journey") == []


def attributed_after_init(database):
    create_tables(database)
    attributed(database)


def test_one_engine_serves_all_transactions_of_a_kind(mariadb_url):
    url = database_url(mariadb_url)
    assert make_engine(url, is_writing=True) is make_engine(url, is_writing=True)
    assert make_engine(url, is_writing=True) is not make_engine(url, is_writing=False)


def test_an_amount_of_which_the_server_gives_six_digits_is_refused(mariadb_url):
    # 12345.67 in a FLOAT comes as 12345.7.
    create_tables(mariadb_url)
    do(
        mariadb_url,
        "ALTER TABLE conversions MODIFY revenue FLOAT",
        "INSERT INTO conversions VALUES ('c', 'u', '2023-09-02', '12:00:00', 12345.67)",
    )
    with pytest.raises(DatabaseError, match=r"Column revenue is a FLOAT.*make it DOUBLE or DECIMAL"):
        read_tables(mariadb_url)


def test_a_column_of_bytes_of_the_shops_own_is_kept(mariadb_url):
    create_tables(mariadb_url)
    do(
        mariadb_url,
        "ALTER TABLE session_sources ADD ip VARBINARY(16)",
        "INSERT INTO session_sources VALUES "
        "('s', 'u', '2023-09-01', '10:00:00', 'A', 1, 1, 0, INET6_ATON('fe80::1')), "
        "('t', 'u', '2023-09-01', '11:00:00', 'A', 1, 1, 0, NULL)",
    )
    assert read_tables(mariadb_url).sessions["session_id"].tolist() == ["s", "t"]


def test_rows_are_added_some_at_a_time(anywhere, monkeypatch):
    monkeypatch.setattr("ihc.database.any_database.BATCH", 3)
    do(anywhere, "CREATE TABLE kept (id varchar(9))")
    with transaction(anywhere, is_writing=True) as connection:
        insert(connection, "kept", ["id"], [(str(number),) for number in range(8)])
    assert [number for (number,) in seen(anywhere, "kept")] == [*"01234567"]


def test_a_sample_that_cannot_be_marked_is_not_written(anywhere):
    do(anywhere, "CREATE TABLE ihc_sample_shop (made_up integer)")
    with pytest.raises(DatabaseError):
        write_sample(anywhere, 10)
    with transaction(anywhere) as connection:
        made = tables_of(connection) & {*COLUMNS}
    assert [seen(anywhere, table) for table in made] == [[]] * len(made)


def test_a_sample_on_a_server_is_made_without_a_word_of_the_password(mariadb_url):
    password = "geheim-17"
    do(mariadb_url, f"CREATE USER IF NOT EXISTS 'sampler'@'localhost' IDENTIFIED BY '{password}'")
    do(mariadb_url, "GRANT ALL ON *.* TO 'sampler'@'localhost'")
    url = sa.make_url(mariadb_url).set(username="sampler", password=password).render_as_string(hide_password=False)
    done = CliRunner().invoke(app, ["sample", url, "--conversions", "10"])
    assert (done.exit_code, password in done.output) == (0, False), done.output
    assert "a synthetic shop with 10 orders" in done.output
