"""A whole run of a shop with daily spend: every file adds up to the spend that was read."""

import pytest
from helpers.commands import ihc, run_ihc
from helpers.databases import sql
from helpers.spend_shop import ALONE, BY_CHANNEL, BY_DAY, make_shop

from ihc.report.files import read_csv

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(once):
    return once("spend", lambda folder: run_ihc(folder, make_shop(folder / "shop.db")))


def test_every_table_has_the_spend_of_channels_days_and_the_total(run):
    assert run.code == 0, run.err
    stored = sql(run.database, "SELECT channel_name, date, cost FROM channel_reporting")
    assert {row[:2]: round(row[2], 6) for row in stored} == BY_DAY
    daily, summary, idle = (
        read_csv(run.output / f"{name}.csv") for name in ("channel_reporting", "channel_summary", "without_credit")
    )
    assert {(row.channel_name, row.date): round(row.cost, 6) for row in daily.itertuples()} == BY_DAY
    for table in (summary, idle):
        assert table.set_index("channel_name")["cost"].round(6).to_dict() == BY_CHANNEL
    figures = read_csv(run.output / "key_figures.csv").set_index("figure")["value"]
    assert figures["Daily spend without a session"] == ALONE
    assert figures["Total spend"] == pytest.approx(BY_CHANNEL["Total"] + 4)
    lines = read_csv(run.output / "reconciliation.csv")
    cost = lines[lines["section"] == "Cost"]
    # All that was read, 5.50 and 18.01, less the 4.00 without a channel and the 2.00 that are not used.
    assert cost["amount"].iloc[:-1].sum() == pytest.approx(cost["amount"].iloc[-1]) == 5.5 + 18.01 - 4 - 2


def test_the_run_is_recorded_and_the_check_counts_the_rows(run):
    recorded = sql(run.database, "SELECT channel_name, date, cost FROM history_costs")
    assert {row[:2]: round(row[2], 6) for row in recorded} == BY_DAY
    checked = ihc("check", "--database", run.database, cwd=run.output)
    assert "2 in session_costs, 5 in channel_costs." in checked.stdout
    assert "1 row of daily spend not used because of session costs" in checked.stdout
