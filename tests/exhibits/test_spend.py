"""Daily spend in every part of a report; see the shop for the figures."""

import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from helpers.reports import change, stored_report, write_groups
from helpers.spend_shop import ALONE, BY_CHANNEL, BY_DAY, DAY, NEXT, make_shop

import ihc
from ihc.report.page import report_page


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("spend") / "shop.db")


@pytest.fixture(scope="module")
def shop(path):
    return ihc.open(path)


@pytest.fixture(scope="module")
def report(shop):
    return shop.report()


def costs_of(exhibit, key="channel_name"):
    frame = exhibit.frame
    return dict(zip(frame[key], frame["cost"].round(6), strict=True))


def test_the_shop_shows_the_table_and_the_total(shop):
    assert "channel_costs" in repr(shop)
    assert "channel_costs" in shop._repr_html_()


def test_channels_have_their_spend_and_one_without_sessions_has_no_order_and_no_verdict(report):
    assert costs_of(report.channels) == BY_CHANNEL
    rows = report.channels.frame.set_index("channel_name")
    assert rows["sessions"].to_dict() == {"Ads": 3, "TV": 0, "Mail": 1, "Total": 4}
    assert rows.loc["TV", ["ihc", "influenced_conversions", "ROAS"]].tolist() == [0, 0, 0]
    assert report.break_even.frame.set_index("channel_name").loc["TV", "verdict"] == "too few orders"


def test_days_and_totals_include_it(report):
    frame = report.roas_by_day.frame
    assert {(row.channel_name, row.date): round(row.cost, 6) for row in frame.itertuples()} == BY_DAY
    value = report.figures.frame.set_index("figure")["value"]
    assert value["Daily spend without a session"] == ALONE
    assert value["Spend without a session"] == 4.0
    assert value["Total spend"] == pytest.approx(17.51 + 4)
    assert "Daily spend without a session: 12.00 (in its channel and in the total spend)." in report.figures.text


def test_the_reconciliation_has_lines_for_it(report):
    lines = report.data.reconciliation
    cost = lines[lines["section"] == "Cost"].set_index("line")["amount"].to_dict()
    assert cost == {
        "cost read": 5.5,
        "plus: daily spend of days with sessions: 3": 6.01,
        "plus: daily spend without a session: 2": 12.0,
        "less: daily spend not used: 1": -2.0,
        "less: cost whose session does not exist": -4.0,
        "cost in channel_reporting.csv": 17.51,
    }


def test_spend_without_a_session_is_spend_without_credit_and_no_session(report):
    found = report.without_credit
    rows = found.frame.set_index("channel_name")
    assert rows.loc["TV", ["sessions", "sessions_without_credit", "cost_without_credit"]].tolist() == [0, 0, 7.0]
    assert rows.loc["Ads", "cost_without_credit"] >= 5.0
    assert "Spend without credit includes 12.00 of daily spend without a session." in found.text


def test_dates_select_it(shop):
    report = shop.report(NEXT, NEXT)
    assert costs_of(report.channels) == {"Mail": 1.5, "TV": 7.0, "Ads": 5.0, "Total": 13.5}
    figures = report.figures.frame.set_index("figure")
    assert figures.loc["Daily spend without a session", "value"] == ALONE
    assert figures.loc["Total spend", "value"] == 13.5
    assert shop.report(DAY, DAY).figures.frame["figure"].eq("Daily spend without a session").sum() == 0


def test_another_dimension_has_it_under_its_campaign_or_without_a_value(shop, path, tmp_path):
    assert costs_of(shop.report(by="campaign").channels) == {"x": 3.01, "(none)": 9.5, "y": 5.0, "Total": 17.51}
    write_groups(tmp_path)
    (tmp_path / "g.csv").write_text("channel_name,channel_group\nTV,Offline\nAds,Online\n")
    grouped = shop.report(channel_groups=str(tmp_path / "g.csv")).channels
    assert costs_of(grouped) == {"Online": 9.01, "Mail": 1.5, "Offline": 7.0, "Total": 17.51}


def test_questions_include_it(report):
    assert costs_of(report.by("campaign"), "campaign") == {"x": 3.01, "(none)": 9.5, "y": 5.0, "Total": 17.51}
    ads = report.by("campaign", where={"channel_name": "Ads"})
    assert costs_of(ads, "campaign") == {"x": 3.01, "(none)": 1.0, "y": 5.0, "Total": 9.01}
    assert costs_of(report.by("channel_name", where={"campaign": "y"})) == {"Ads": 5.0, "Total": 5.0}
    assert report.trend("day", channel="TV").frame["cost"].tolist() == [7.0]
    compared = report.compare("last_click").frame.set_index("channel_name")
    assert compared["cost"].round(6).to_dict() == {name: cost for name, cost in BY_CHANNEL.items() if name != "Total"}
    left = report.without("Ads").frame.set_index("channel_name")
    assert left.loc["Ads", "ihc_revenue_after"] == 0
    assert left["ROAS_after"].isna()["Ads"]
    assert "Daily spend without a session: 12.00." in report.by("customers").text


def test_a_channel_without_sessions_is_in_the_sensitivity_and_the_intervals(report):
    assert "TV" in report.stability.frame["channel_name"].tolist()
    drawn = report.intervals.frame.set_index("channel_name")
    assert drawn.loc["TV", ["ihc_revenue_low", "ihc_revenue_high"]].tolist() == [0, 0]


def test_a_correction_of_daily_spend_is_a_change_since_the_run_before(path, tmp_path):
    copy = shutil.copy(path, tmp_path / "shop.db")
    stored_report(copy, tmp_path)
    change(copy, "UPDATE channel_costs SET cost = 9 WHERE channel_name = 'TV'")
    frame = stored_report(copy, tmp_path).changes.frame.set_index("channel_name")
    assert frame.loc["TV", ["cost_before", "cost_after"]].tolist() == [7.0, 9.0]


def test_the_page_shows_it(report):
    page = " ".join(BeautifulSoup(report_page(report), "html.parser").get_text(" ").split())
    assert "The spend on TV (7) has no session, so no order can be attributed to it." in page
    assert "including 16.00 without a session" in page
    assert "plus: daily spend without a session: 2" in page
    assert "1 channel with daily spend and no session: TV 7.00" in page


def test_a_chosen_conversion_type_changes_nothing_about_daily_spend(tmp_path):
    path = make_shop(tmp_path / "types.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE conversions ADD COLUMN conversion_type TEXT")
        connection.execute("UPDATE conversions SET conversion_type = CASE conv_id WHEN 'k' THEN 'new' ELSE 'old' END")
    every, new = (ihc.open(path).report(engine="local", **chosen) for chosen in ({}, {"conversion_type": "new"}))
    lines = [report.cost_reconciliation.frame.iloc[8:, 2:].reset_index(drop=True) for report in (every, new)]
    pd.testing.assert_frame_equal(*lines)
    costs = [report.tables.frame.iloc[-2:].reset_index(drop=True) for report in (every, new)]
    assert costs[0].iloc[:, 0].tolist() == ["session_costs", "channel_costs"]
    pd.testing.assert_frame_equal(*costs)
    findings = [report.quality.frame["finding"].tolist() for report in (every, new)]
    assert [each for each in findings[0] if "spend" in each] == [each for each in findings[1] if "spend" in each]


def test_a_campaign_stored_as_a_number_is_one_value(tmp_path):
    path = make_shop(tmp_path / "numbers.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE session_sources DROP COLUMN campaign")
        connection.execute("ALTER TABLE session_sources ADD COLUMN campaign REAL")
        connection.execute("UPDATE session_sources SET campaign = 7 WHERE session_id IN ('a', 'b')")
        connection.execute("UPDATE channel_costs SET campaign = '7' WHERE campaign IS NOT NULL")
    found = ihc.open(path).report(engine="local").by("campaign").frame.set_index("campaign")["cost"]
    assert found["7"] == pytest.approx(8.01)  # 3.01 + 5.00
