"""`ihc runs` and `ihc diff` end to end."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from helpers.commands import ihc_here
from helpers.states import of_shop

from ihc import read_tables
from ihc.analysis.changes import CAUSES, record_run
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import Run
from ihc.report.files import read_csv
from ihc.schemas.tables import Tables


def run(number, **dates):
    asked = {"start_date": None, "end_date": None} | dates
    return Run(
        f"2025040{number}T060000Z-ab", f"2025-04-0{number} 06:00:00", "local", "p (abc)", None, **asked, version="0"
    )


@pytest.fixture(scope="module")
def history(shop, tmp_path_factory):
    """A shop with three recorded runs: without the last day, all days, and all days again."""
    path = shutil.copy(shop, tmp_path_factory.mktemp("history") / "shop.db")
    create_tables(Database(path))
    tables = read_tables(path)
    day = tables.conversions["conv_date"].max()
    earlier = Tables(
        tables.sessions[tables.sessions["event_date"] < day],
        tables.conversions[tables.conversions["conv_date"] < day],
        tables.costs,
    )
    for number, made in enumerate((earlier, tables, tables), start=1):
        record_run(Database(path), run(number), of_shop(made))
    return path


def dumped(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_runs_are_listed_with_their_ids_dates_settings_and_totals(history, tmp_path):
    done = ihc_here("runs", "--database", history, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if "T060000Z" in line]
    assert [line[:2] for line in lines] == [[str(number), f"2025040{number}T060000Z-ab"] for number in (1, 2, 3)]
    assert all(line[2:6] == ["all", "days", "local", "p"] for line in lines)
    with closing(sqlite3.connect(history)) as connection:
        ((orders, revenue),) = connection.execute("SELECT orders, ihc_revenue FROM report_runs WHERE number = 3")
    assert lines[2][-4:-2] == [str(orders), f"{revenue:,.2f}"]


def test_diff_prints_changes_and_causes_and_writes_them_on_request(history, tmp_path):
    before = dumped(history), history.read_bytes()
    done = ihc_here("diff", "1", "20250402T060000Z-ab", "--database", history, "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Compared with run 1 of 2025-04-01. Attributed revenue rose by ")
    for words in ("Causes", "new orders", "Attributed revenue before", "Spend before", "ROAS after", "Total"):
        assert words in done.stdout
    assert done.stdout.rstrip().endswith("Written: out/changes.csv")
    table = read_csv(tmp_path / "out" / "changes.csv")
    parts = table["ihc_revenue_before"] + table[list(CAUSES)].sum(axis=1)
    assert parts.tolist() == pytest.approx(table["ihc_revenue_after"].tolist())
    assert table["channel_name"].iloc[-1] == "Total"
    assert (dumped(history), history.read_bytes()) == before
    assert [path.name for path in history.parent.iterdir()] == [history.name]


def test_diff_of_equal_runs_reports_no_change(history, tmp_path):
    done = ihc_here("diff", "2", "3", "--database", history, cwd=tmp_path)
    assert done.stdout.startswith("Nothing changed since run 2 of 2025-04-02")
    assert "Causes" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["1", "9"], "Run '9' not found"),
        (["20250401T060000Z-ac", "1"], "did you mean 20250401T060000Z-ab? `ihc runs` lists all runs"),
        (["1", "2", "--output", "blocked/sub"], "cannot be written"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_in_a_sentence(arguments, says, history, tmp_path):
    (tmp_path / "blocked").write_text("a file", "utf-8")
    done = ihc_here("diff", *arguments, "--database", history, cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_database_without_history_has_no_runs_and_stays_unchanged(shop, tmp_path):
    path = shutil.copy(shop, tmp_path / "shop.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("report_runs", "history_orders", "history_credits", "history_costs"):
            connection.execute(f"DROP TABLE {table}")
    before = path.read_bytes()
    listed, compared = (ihc_here(*call, "--database", path, cwd=tmp_path) for call in (["runs"], ["diff", "1", "2"]))
    assert listed.returncode == 0
    assert listed.stdout == f"{path} has no recorded runs yet: `ihc run` records one.\n"
    assert compared.returncode == 1
    assert "has no recorded runs yet: `ihc run` records one." in compared.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("call", [["runs"], ["diff", "1", "2"]])
def test_without_a_database_no_sample_is_created(call, tmp_path):
    done = ihc_here(*call, cwd=tmp_path)
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert list(tmp_path.iterdir()) == []
