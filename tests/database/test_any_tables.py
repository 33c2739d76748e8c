"""What is made on databases that cannot run here, as SQLAlchemy would send it, and what runs on those that can."""

import re

import pytest
import sqlalchemy as sa

from ihc.database.any_tables import define
from ihc.database.results import schema_statements

SCHEMA = schema_statements()


def sent_to(url, statement, **options):
    """The statements that make a table on a database of which not even the driver is there."""
    sent = []

    def send(made, *_, **__):
        sent.append(str(made.compile(dialect=engine.dialect)))

    engine = sa.create_mock_engine(url, send, **options)
    engine.engine.url = sa.make_url(url)
    define(engine, statement)
    return " ".join(" ".join(sent).split())


def test_oracle_gets_words_of_its_own_quoted_and_texts_that_it_can_compare():
    reporting = sent_to("oracle://", SCHEMA["channel_reporting"])
    assert 'channel_name VARCHAR2(255 CHAR) NOT NULL, "date" VARCHAR2(255 CHAR) NOT NULL' in reporting
    assert "cost DOUBLE PRECISION NOT NULL" in reporting
    assert 'PRIMARY KEY (channel_name, "date")' in reporting
    assert '"number" INTEGER NOT NULL' in sent_to("oracle://", SCHEMA["report_runs"])


def test_oracle_may_keep_an_empty_text_as_null_but_in_no_key():
    outcomes = sent_to("oracle://", SCHEMA["attribution_outcomes"])
    assert "conv_id VARCHAR2(255 CHAR) NOT NULL" in outcomes
    assert "outcome VARCHAR2(2000 CHAR), reason CLOB, " in outcomes
    assert "vanished INTEGER NOT NULL" in sent_to("oracle://", SCHEMA["attribution_runs"])


def test_sql_server_compares_texts_by_their_code_points():
    order = "COLLATE Latin1_General_100_BIN2"
    outcomes = sent_to("mssql://", SCHEMA["attribution_outcomes"], deprecate_large_types=True)  # as of 2012
    assert f"conv_id NVARCHAR(255) {order} NOT NULL" in outcomes
    assert f"reason NVARCHAR(max) {order} NOT NULL" in outcomes


@pytest.mark.parametrize("url", ["oracle://", "mssql://"])
def test_no_table_has_what_sqlite_alone_knows(url):
    made = sent_to(url, SCHEMA["api_answers"])
    assert made.startswith("CREATE TABLE api_answers (")
    assert not re.search(r"\bTEXT\b|ROWID|IF NOT EXISTS", made)
