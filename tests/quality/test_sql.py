import sqlite3
from contextlib import closing

from helpers.databases import opened
from helpers.frames import FEW, UNTRUSTED
from helpers.mending import finding, is_listing
from helpers.odd_shops import CLOCK_FINDINGS, NEAR_IDS, NEAR_ORDERS, ODD_FINDINGS, ODD_SHOP, REFUNDS, shared_id, shop_of
from hypothesis import given
from hypothesis import strategies as st

from ihc import read_tables
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.quality.sql import MOST_VALUES, Sql, seconds
from ihc.schemas.tables import COLUMNS

MENDED = [
    *(case[:2] for case in CLOCK_FINDINGS),
    *((shop_of(user, buyer), NEAR_ORDERS) for user, buyer, _ in NEAR_IDS),
    *((ODD_SHOP, check) for check in ODD_FINDINGS if check != REFUNDS),
    (shared_id("null\u00a0"), "user ids"),
]


def evaluated(expression):
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(f"SELECT {expression}").fetchone()[0]


@FEW
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_literal_is_printed_as_it_is_and_means_the_same_text(text):
    literal = Sql().literal(text)
    assert literal.isprintable()
    assert evaluated(literal) == text


def test_what_is_not_seen_is_written_by_its_number():
    assert [evaluated(Sql().literal(text)) for text in UNTRUSTED] == UNTRUSTED
    assert Sql().literal("O'Neil\u00a0") == "'O''Neil' || char(160)"
    assert Sql(is_postgres=True).literal("cafe\u0301") == "'cafe' || chr(769)"
    assert Sql().literal("") == "''"


def test_a_statement_names_up_to_twenty_values():
    becomes = {f"a{n}": "b" for n in range(MOST_VALUES + 2)}
    statement = Sql().replace("sessions", "channel", becomes)
    assert statement.endswith(" -- and 2 more alike")
    assert statement.count("WHEN") == MOST_VALUES == 20


def test_seconds_since_midnight():
    assert evaluated(seconds("'13:05:59.5'")) == 13 * 3600 + 5 * 60 + 59.5


def test_statements_mend_findings_or_list_their_rows_in_postgresql_too(schema_url):
    create_tables(Database(schema_url))
    for tables, check in MENDED:
        with opened(schema_url) as connection:
            connection.execute(f"TRUNCATE {', '.join(COLUMNS)}")
        with Database(schema_url).transaction(is_writing=True) as writing:
            for table, frame in zip(COLUMNS, tables, strict=True):
                writing.append(table, frame)
        found = finding(tables, check, Sql(is_postgres=True))
        with opened(schema_url) as connection:
            rows = connection.execute(found["mend"])
            if is_listing(found["mend"]):
                assert len(rows.fetchall()) == found["count"] + (found["aim"] != "To list them"), check
                continue
        assert finding(read_tables(schema_url), check) is None, check
