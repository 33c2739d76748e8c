"""`ihc check` end to end."""

import sqlite3
from contextlib import closing

import pytest
from helpers.commands import ihc_here

from ihc.database.database import Database
from ihc.database.results import create_tables

CLEAN = """
INSERT INTO session_sources VALUES ('s', 'u', '2023-09-01', '10:00:07', 'Mail', 1, 1, 0);
INSERT INTO conversions VALUES ('k', 'u', '2023-09-01', '12:00:09', 100);
INSERT INTO session_costs VALUES ('s', 2);
"""


@pytest.fixture
def clean(tmp_path):
    path = tmp_path / "clean.db"
    create_tables(Database(path))
    execute(path, CLEAN)
    return path


def execute(path, statements):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


def test_a_shop_without_findings_exits_with_0_and_stays_unchanged(clean, tmp_path):
    before = clean.read_bytes()
    done = ihc_here("check", "--database", clean, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    checks, summary = done.stdout.splitlines()
    assert "checks found nothing: orders without a session" in checks
    assert summary == f"0 findings in {clean}; rows: 1 in session_sources, 1 in conversions, 1 in session_costs."
    assert clean.read_bytes() == before
    assert list(tmp_path.iterdir()) == [clean]


def test_a_finding_is_printed_with_size_ids_consequence_and_sql_and_exits_with_1(clean, tmp_path):
    execute(clean, "INSERT INTO session_costs VALUES ('s ', 6)")
    execute(clean, "DELETE FROM session_costs WHERE session_id = 's'")
    done = ihc_here("check", "--database", clean, cwd=tmp_path)
    assert done.returncode == 1
    first, ids, consequence, statement, *_ = done.stdout.splitlines()
    assert first == (
        "1 cost row whose session id differs from that of a session only by blanks at the ends: cost 6.00, "
        "100.0% of all"
    )
    assert (ids, consequence) == ("  's '", "  This cost is in the total spend and in no channel.")
    assert done.stdout.splitlines()[-1].startswith("2 findings in ")
    execute(clean, statement.removeprefix("  To give them the id of the session: "))
    assert ihc_here("check", "--database", clean, cwd=tmp_path).returncode == 0


def test_a_lookback_window_is_suggested_before_the_summary_unless_one_is_set(clean, tmp_path):
    # Of 100 users, 95 order on the day of their first session, and five on the 20th.
    rows = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 99) INSERT INTO"
    execute(
        clean,
        f"{rows} session_sources SELECT 's' || n, 'u' || n, '2023-09-01', '10:00:07', 'Mail', 1, 1, 0 FROM n;"
        f"{rows} conversions SELECT 'k' || n, 'u' || n, iif(n < 6, '2023-09-20', '2023-09-01'), '12:00:09', 9 FROM n;",
    )
    said = ihc_here("check", "--database", clean, cwd=tmp_path).stdout.splitlines()
    assert said[-2] == "95% of users order within 1 day of their first session: consider --lookback-days 1."
    (tmp_path / ".env").write_text("IHC_LOOKBACK_DAYS=30")
    assert "--lookback-days" not in ihc_here("check", "--database", clean, cwd=tmp_path).stdout


def test_unfit_tables_are_refused(clean, tmp_path):
    execute(clean, "UPDATE conversions SET conv_date = 'soon'")
    done = ihc_here("check", "--database", clean, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "column conv_date" in done.stderr


def test_the_sample_shop_has_its_intended_findings(shop, tmp_path):
    done = ihc_here("check", "--database", shop, cwd=tmp_path)
    found = [line for line in done.stdout.splitlines() if line[:1].isdigit()][:-3]
    kinds = ["without a session (", "without a cost row", "empty cost", "session does not exist", "are impressions"]
    assert len(found) == len(kinds)
    assert all(kind in line for kind, line in zip(kinds, found, strict=True))
