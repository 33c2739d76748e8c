import sqlite3
from contextlib import closing

from helpers.databases import rows_of, sql

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import METADATA
from ihc.shipped import shipped


def described(connection, table):
    """The columns, types, keys and unique columns of an SQLite table, and whether it has row ids."""
    columns = [(*row[1:4], row[5]) for row in connection.execute(f"PRAGMA table_info({table})")]
    unique = {
        tuple(name for _, _, name in connection.execute(f"PRAGMA index_info({index})"))
        for _, index, is_unique, *_ in connection.execute(f"PRAGMA index_list({table})")
        if is_unique
    }
    ((statement,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ? AND type = 'table'", [table])
    return columns, unique, "WITHOUT ROWID" in statement


def test_the_tables_that_are_made_are_those_of_the_schema_file(tmp_path):
    create_tables(Database(tmp_path / "made.db"))
    documented = shipped("fixtures/schema.sql").read_text("utf-8")
    with closing(sqlite3.connect(tmp_path / "made.db")) as made, closing(sqlite3.connect(":memory:")) as written:
        written.executescript(documented)
        for table in METADATA.tables:
            assert described(made, table) == described(written, table)
    assert len(sql(tmp_path / "made.db", "SELECT 1 FROM sqlite_master WHERE type = 'table'")) == len(METADATA.tables)
    assert documented.count("CREATE TABLE") == len(METADATA.tables)


# What the version 0.2.0 created, where it differs.
EARLIER = {
    "attribution_customer_journey": (
        "\nCREATE TABLE attribution_customer_journey (\n\tconv_id TEXT NOT NULL, \n\tsession_id TEXT NOT NULL, "
        "\n\tihc DOUBLE PRECISION NOT NULL, \n\tPRIMARY KEY (conv_id, session_id)\n)\n\n",
        [("b", "s1", 1.0), ("a", "s2", 0.25), ("a", "s1", 0.75)],
    ),
    "attribution_phases": (
        "\nCREATE TABLE attribution_phases (\n\tconv_id TEXT NOT NULL, \n\tsession_id TEXT NOT NULL, "
        "\n\tinitializer DOUBLE PRECISION NOT NULL, \n\tholder DOUBLE PRECISION NOT NULL, "
        "\n\tcloser DOUBLE PRECISION NOT NULL, \n\tPRIMARY KEY (conv_id, session_id)\n)\n\n",
        [("a", "s2", 0.0, 0.0, 1.0), ("a", "s1", 1.0, 1.0, 0.0)],
    ),
    "attribution_outcomes": (
        "\nCREATE TABLE attribution_outcomes (\n\tconv_id TEXT NOT NULL, \n\trun_id TEXT NOT NULL, "
        "\n\toutcome TEXT NOT NULL, \n\treason TEXT NOT NULL, \n\tPRIMARY KEY (conv_id)\n)\n\n",
        [("a", "r", "credited", "")],
    ),
    "history_orders": (
        "\nCREATE TABLE history_orders (\n\tversion INTEGER NOT NULL, \n\tconv_id TEXT NOT NULL, "
        "\n\trevenue DOUBLE PRECISION NOT NULL, \n\tsessions BIGINT NOT NULL, \n\tsource TEXT NOT NULL, "
        "\n\tfirst_run INTEGER NOT NULL, \n\tlast_run INTEGER, \n\tPRIMARY KEY (version)\n)\n\n",
        [(1, "a", 5.0, 7, "local", 1, None)],
    ),
    "history_credits": (
        "\nCREATE TABLE history_credits (\n\tversion INTEGER NOT NULL, \n\tchannel_name TEXT NOT NULL, "
        "\n\tdate TEXT NOT NULL, \n\tihc DOUBLE PRECISION NOT NULL, \n\tPRIMARY KEY (version, channel_name, date)"
        "\n)\n\n",
        [(1, "Search", "2023-09-01", 1.0)],
    ),
}


def of_earlier_version(path):
    for table, (made, rows) in EARLIER.items():
        values = ", ".join(f"({', '.join('NULL' if each is None else repr(each) for each in row)})" for row in rows)
        sql(path, made, f"INSERT INTO {table} VALUES {values}")
    return Database(path)


def test_tables_of_an_earlier_version_get_the_present_form_and_keep_their_rows(tmp_path):
    earlier, new = of_earlier_version(tmp_path / "earlier.db"), Database(tmp_path / "new.db")
    sql(earlier, "CREATE VIEW mine AS SELECT conv_id FROM attribution_customer_journey")
    before = {table: rows_of(earlier, table) for table in EARLIER}
    for _ in range(2):
        create_tables(earlier, renew=True)
    create_tables(new)
    with closing(sqlite3.connect(earlier.file)) as one, closing(sqlite3.connect(new.file)) as other:
        for table in METADATA.tables:
            assert described(one, table) == described(other, table)
    # The history has a new column, still without a value.
    before["history_orders"] = [(*row, None) for row in before["history_orders"]]
    assert {table: rows_of(earlier, table) for table in EARLIER} == before
    assert len(rows_of(earlier, "mine")) == 3


def test_a_table_made_with_comments_gets_the_present_form(tmp_path):
    earlier = of_earlier_version(tmp_path / "earlier.db")
    made, _ = EARLIER["attribution_phases"]
    first, _, rest = made.partition("\n\t")
    sql(earlier, "DROP TABLE attribution_phases", f"{first} -- shares\n\t{rest}")
    create_tables(earlier, renew=True)
    (form,) = sql(earlier, "SELECT sql FROM sqlite_master WHERE name = 'attribution_phases'")[0]
    assert form.strip().endswith("WITHOUT ROWID")


def test_a_table_to_which_others_added_something_is_not_rewritten(tmp_path):
    earlier = of_earlier_version(tmp_path / "earlier.db")
    sql(
        earlier,
        "CREATE INDEX theirs ON attribution_phases (session_id)",
        "ALTER TABLE attribution_outcomes ADD COLUMN note TEXT DEFAULT 'x'",
    )
    create_tables(earlier, renew=True)
    forms = dict(sql(earlier, "SELECT name, sql LIKE '%WITHOUT ROWID%' FROM sqlite_master WHERE type = 'table'"))
    assert [forms[table] for table in EARLIER] == [1, 0, 0, 0, 1]
    assert rows_of(earlier, "attribution_outcomes") == [("a", "r", "credited", "", "x")]


def test_a_run_leaves_tables_of_an_earlier_version_in_their_form(tmp_path):
    earlier = of_earlier_version(tmp_path / "earlier.db")
    create_tables(earlier)
    forms = "SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%' AND name NOT LIKE 'api%'"
    assert sql(earlier, forms) == []
    create_tables(earlier, renew=True)
    assert len(sql(earlier, forms)) == 4
    assert rows_of(earlier, "history_orders") == [(1, "a", 5.0, 7, "local", 1, None, None)]
