import sqlite3
from contextlib import closing

import pytest
from helpers.databases import opened
from helpers.frames import FEW, UNTRUSTED
from helpers.mending import finding, findings, is_listing
from helpers.odd_shops import (
    CLOCK_FINDINGS,
    CLOCK_SHOPS,
    NEAR_IDS,
    NEAR_ORDERS,
    NEAR_SHOP,
    ODD_FINDINGS,
    ODD_SHOP,
    REFUNDS,
    shared_id,
)
from hypothesis import given
from hypothesis import strategies as st

from ihc import read_tables
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.quality.checks import quality_findings
from ihc.quality.sql import MOST_VALUES, Sql, seconds
from ihc.schemas.tables import COLUMNS

# Checks by the shop that has what they find.
MENDED = [
    *((tables, [check for each, check, *_ in CLOCK_FINDINGS if each is tables]) for tables in CLOCK_SHOPS),
    (NEAR_SHOP, [f"{NEAR_ORDERS} from that of a session only by {rule}" for rule in NEAR_IDS]),
    (ODD_SHOP, [check for check in ODD_FINDINGS if check != REFUNDS]),
    (shared_id("null\u00a0"), ["user ids"]),
]


def evaluated(expression):
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(f"SELECT {expression}").fetchone()[0]


@FEW
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_literal_is_printable_and_evaluates_to_the_same_text(text):
    literal = Sql().literal(text)
    assert literal.isprintable()
    assert evaluated(literal) == text


def test_invisible_characters_are_written_by_code():
    assert [evaluated(Sql().literal(text)) for text in UNTRUSTED] == UNTRUSTED
    assert Sql().literal("O'Neil\u00a0") == "'O''Neil' || char(160)"
    assert Sql(is_postgres=True).literal("cafe\u0301") == "'cafe' || chr(769)"
    assert Sql().literal("") == "''"


def test_a_statement_names_up_to_twenty_values():
    becomes = {f"a{n}": "b" for n in range(MOST_VALUES + 2)}
    statement = Sql().replace("sessions", "channel", becomes)
    assert statement.endswith(" -- and 2 more like these")
    assert statement.count("WHEN") == MOST_VALUES == 20


def test_seconds_since_midnight():
    assert evaluated(seconds("'13:05:59.5'")) == 13 * 3600 + 5 * 60 + 59.5


@pytest.mark.parametrize(("tables", "checks"), MENDED)
def test_statements_work_in_postgresql_too(schema_url, tables, checks):
    create_tables(Database(schema_url))
    with Database(schema_url).transaction(is_writing=True) as writing:
        for table, frame in zip(COLUMNS, tables, strict=True):
            writing.append(table, frame)
    whole, mended = quality_findings(tables, Sql(is_postgres=True)), []
    with opened(schema_url) as connection:
        for check in checks:
            found = finding(tables, check, whole)
            if is_listing(found["mend"]):
                rows = connection.execute(found["mend"]).fetchall()
                assert len(rows) == found["count"] + (found["aim"] != "To list them"), check
            else:
                mended.append((check, found["mend"]))
        for _, mend in mended:
            connection.execute(mend)
    left = findings(read_tables(schema_url))
    checks = tuple(check for check, _ in mended)
    assert not left.loc[left["count"] > 0, "check"].str.startswith(checks).any()
