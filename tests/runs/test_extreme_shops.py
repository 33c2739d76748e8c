"""A run over a shop with too many channels for a page, days years apart, and a failing chart."""

import re
import sqlite3
from contextlib import closing

import pytest
from bs4 import BeautifulSoup
from helpers.commands import run_ihc

from ihc.analysis.dimension import MOST_ROWS
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.report.files import read_csv

pytestmark = pytest.mark.slow

CHANNELS = 200
BIGGEST = "channel 199"  # the only one without cost, and with the largest order
OTHERS = f"other ({CHANNELS - MOST_ROWS} channels)"
FAILED = "cost_and_revenue"


@pytest.fixture(scope="module")
def run(once):
    """Each channel has two sessions of one buyer, on two days of March 2025; all but one cost 1 per session."""

    def made(folder):
        create_tables(Database(folder / "shop.db"))
        with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
            add = "INSERT INTO session_sources VALUES (?, ?, ?, '10:00:00', ?, 1, 1, 0)"
            for number in range(CHANNELS):
                for day in (3, 4):
                    key = f"{number} {day}"
                    connection.execute(add, (key, f"u{number}", f"2025-03-{day:02}", f"channel {number}"))
                    connection.execute("INSERT INTO session_costs VALUES (?, ?)", (key, float(number < CHANNELS - 1)))
                order = (f"k{number}", f"u{number}", "2025-03-05", 1_000.0 if number == CHANNELS - 1 else 10.0)
                connection.execute("INSERT INTO conversions VALUES (?, ?, ?, '12:00:00', ?)", order)
            connection.execute(add, ("far", "u0", "9999-12-31", "channel 0"))
            connection.execute("INSERT INTO conversions VALUES ('early', 'u1', '0001-01-01', '12:00:00', 7)")
        (folder / "out" / "charts" / f"{FAILED}.svg").mkdir(parents=True)  # blocks the chart's file
        return run_ihc(folder, folder / "shop.db")

    return once("extreme", made)


@pytest.fixture(scope="module")
def page(run):
    return BeautifulSoup((run.output / "report.html").read_text("utf-8"), "html.parser")


def test_the_credits_are_stored_and_the_chart_that_failed_is_named_with_an_exit_code(run, page):
    assert run.code == 1, run.err
    with closing(sqlite3.connect(run.database)) as connection:
        assert connection.execute("SELECT count(DISTINCT conv_id) FROM attribution_customer_journey").fetchone() == (
            200,
        )
    sentence = next(line for line in run.out.splitlines() if line.startswith("The chart "))
    assert re.match(rf"The chart {FAILED} was not drawn \(\w+Error: ", sentence)
    assert not (run.output / "charts" / f"{FAILED}.png").exists()
    assert len(page.select("svg.chart")) > 8


def test_the_page_is_small_and_its_tables_are_short(run, page):
    assert (run.output / "report.html").stat().st_size < 2_000_000
    lengths = [len(table.select("tbody tr")) for table in page.select("table.ihc:not(.glossary)")]
    assert max(lengths) <= 50


def test_the_others_are_one_row_and_the_csv_files_have_every_channel(run, page):
    rows = [[cell.text for cell in row.select("td")] for row in page.select("tbody tr")]
    assert len([row for row in rows if row and row[0] == OTHERS]) >= 3
    assert f"Charts and tables show the {MOST_ROWS} channels with the most attributed revenue or spend." in page.text
    for name in ("channel_summary", "channel_intervals", "break_even", "without_credit", "model_comparison"):
        assert len(read_csv(run.output / f"{name}.csv")) >= CHANNELS, name


def test_the_channel_with_the_most_credit_has_a_row_and_a_colour_of_its_own(run, page):
    assert read_csv(run.output / "channel_summary.csv")["channel_name"].iloc[0] == BIGGEST
    weeks = (run.output / "charts" / "revenue_by_week.svg").read_text("utf-8")
    assert f">{BIGGEST}<" in weeks
    assert f">{OTHERS.replace('170', '189')}<" in weeks


def test_days_far_apart_are_excluded_over_time_and_named(run, page):
    assert "leave out 2 days that lie years apart from all others (0001-01-01 and 9999-12-31)" in page.text
    for name, column in (("channel_weekly", "week"), ("days", "date")):
        assert read_csv(run.output / f"{name}.csv")[column].str[:4].unique().tolist() == ["2025"]
    assert "9999-12-31" in read_csv(run.output / "channel_reporting.csv")["date"].tolist()
    assert len(read_csv(run.output / "credit_lag.csv")) == 3
