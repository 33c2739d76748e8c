"""Ad-hoc analyses of a small shop, with figures calculated by hand."""

import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from helpers.frames import conversions, costs, sessions
from openpyxl import load_workbook

import ihc
from ihc.errors import DatabaseError, InputError
from ihc.glossary import heading
from ihc.pipeline.attribution import attribute_shop
from ihc.settings.run import load_settings

# Ann buys twice, Bob once, Cid never. Costs: every session of Search 10, of Social 4, of Direct nothing.
SESSIONS = sessions(
    [
        ("a1", "ann", "2025-03-03 10:00:00", "Search"),
        ("a2", "ann", "2025-03-04 10:00:00", "Direct"),
        ("a3", "ann", "2025-03-11 10:00:00", "Search"),
        ("b1", "bob", "2025-02-01 10:00:00", "Social"),
        ("b2", "bob", "2025-03-05 10:00:00", "Direct"),
        ("c1", "cid", "2025-03-05 10:00:00", "Social"),
        ("d1", "dan", "2025-03-06 10:00:00", "Direct"),
    ]
).assign(campaign=["spring", None, "summer", "spring", None, "summer", None])
CONVERSIONS = conversions(
    [
        ("k1", "ann", "2025-03-04 11:00:00", 100.0),
        ("k2", "ann", "2025-03-11 11:00:00", 60.0),
        ("k3", "bob", "2025-03-05 11:00:00", 50.0),
        ("k4", "dan", "2025-03-06 11:00:00", 30.0),
        ("k5", "eve", "2025-03-07 11:00:00", 20.0),
    ]
).assign(country=["DE", "DE", "FR", "FR", None])
COSTS = costs([("a1", 10.0), ("a3", 10.0), ("b1", 4.0), ("c1", 4.0)])


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "shop.db"
    tables = {"session_sources": SESSIONS, "conversions": CONVERSIONS, "session_costs": COSTS}
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, frame in tables.items():
            frame.to_sql(name, connection, index=False)
    return path


@pytest.fixture(scope="module")
def report(database):
    return ihc.open(database).report("2025-03-01", "2025-03-31", break_even_roas=4)


def rows(exhibit, *columns):
    return exhibit.frame[list(columns)].round(6).to_numpy().tolist()


def test_a_shop_shows_its_tables_and_writes_nothing(database):
    before = database.read_bytes()
    shop = ihc.open(database)
    assert "session_sources" in repr(shop)
    assert "No credits are stored yet" in shop._repr_html_()
    assert "computed here, not stored" in shop.report().status
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["shop.db"]


def test_a_missing_database_is_refused_with_its_path(tmp_path):
    with pytest.raises(DatabaseError, match=r"There is no database .*gone\.db: check the path"):
        ihc.open(tmp_path / "gone.db")


def test_a_column_of_sessions_breaks_down_the_selected_rows(report):
    found = report.by("campaign", where={"channel_name": "Search"})
    # a1 is in k1 and k2, a3 in k2 alone; both cost 10.
    assert rows(found, "campaign", "influenced_conversions", "cost") == [
        ["spring", 2, 10.0],
        ["summer", 1, 10.0],
        ["Total", 2, 20.0],
    ]
    both = report.by("campaign", where={"channel_name": ["Search", "Social"]})
    assert both.title == "Broken down by campaign (Channel: Search or Social)"
    assert (
        both.frame["cost"].iloc[-1]
        == 20.0 + report.by("channel_name").frame.set_index("channel_name")["cost"]["Social"]
    )
    assert report.by("campaign", where={"channel_name": pd.Series(["Search", "Social", "Search"])}).title == both.title
    with pytest.raises(InputError, match="No value is given for the column 'channel_name'"):
        report.by("campaign", where={"channel_name": []})
    whole = report.by("channel_name").frame.set_index("channel_name")
    assert whole.loc["Search", "ihc_revenue"] == pytest.approx(found.frame["ihc_revenue"].iloc[-1])


def test_a_column_of_conversions_has_the_cost_of_the_journeys_and_states_the_rest(report):
    found = report.by("country")
    # DE: k1 and k2 share a1 (10), k2 has a3 (10); FR: k3 has b1 (4), of February. c1 (4) is in no journey.
    assert rows(found, "country", "orders", "revenue", "cost", "CPO") == [
        ["DE", 2, 160.0, 20.0, 10.0],
        ["FR", 2, 80.0, 4.0, 2.0],
        ["(none)", 1, 20.0, 0.0, 0.0],
        ["Total", 5, 260.0, 24.0, 4.8],
    ]
    assert "4.00 of this spend is outside these dates" in found.text
    assert "Another 4.00 was spent within these dates on sessions that led to none of these orders" in found.text


def test_returning_customers_have_an_earlier_order(report):
    # k2 is Ann's second order: half of a1, shared with k1, and a3.
    assert rows(report.by("customers"), "customers", "orders", "cost") == [
        ["new", 4, 9.0],
        ["returning", 1, 15.0],
        ["Total", 5, 24.0],
    ]
    assert rows(report.paths(customers="returning"), "path", "orders") == [["Search > Direct > Search", 1]]
    with pytest.raises(InputError, match="Customers are new or returning, not 'old'"):
        report.paths(customers="old")


def test_a_trend_is_a_ratio_of_sums_by_week_of_one_channel(report):
    found = report.trend("week", channel="Search")
    assert found.frame["week"].tolist() == ["2025-03-03", "2025-03-10"]
    assert found.frame["cost"].tolist() == [10.0, 10.0]
    for row in found.frame.itertuples():
        assert pytest.approx(row.ihc_revenue / row.cost) == row.ROAS
    assert report.trend("month").frame["month"].tolist() == ["2025-03"]
    with pytest.raises(InputError, match="A trend is by day, week, month, not by 'year'"):
        report.trend("year")
    with pytest.raises(
        InputError, match=r"No session or spend on these dates has the channel 'TV'\. Available channels: 'Direct'"
    ):
        report.trend("week", channel="TV")


def test_models_are_compared_with_ihc_for_the_selected_rows(report):
    # Last touch: k1 and k3 and k4 end with Direct, k2 with Search.
    found = report.compare("last_click", "linear").frame.set_index("channel_name")
    assert found["Last touch"].to_dict() == {"Direct": 180.0, "Search": 60.0, "Social": 0.0}
    assert found.loc["Search", "Linear"] == pytest.approx(100 / 2 + 60 * 2 / 3)
    assert found.loc["Search", "ROAS Last touch"] == pytest.approx(60 / 20)
    summer = report.compare("last_click", where={"campaign": "summer"}).frame
    assert summer["Last touch"].sum() == 60.0
    with pytest.raises(InputError, match=r"There is no model 'best'\. Available models: 'ihc'"):
        report.compare("best")


def test_a_shorter_lookback_window_or_a_missing_channel_leaves_orders_untracked(report):
    found = report.lookbacks(7, 60)
    # Within 7 days k3 loses b1, but no order loses all of its sessions. k5 has none.
    assert "Untracked orders by lookback window: 1 with 7 days; 1 with 60 days." in found.text
    social = found.frame.set_index("channel_name")
    assert social["ihc_revenue 7 days"].get("Social", 0.0) == 0.0
    lost = report.without("Direct")
    assert lost.text == "1 of 5 orders (20%) would be untracked without Direct, because it has no other session."
    after = lost.frame.set_index("channel_name")
    assert after.loc["Direct", "ihc_revenue_after"] == 0.0
    with pytest.raises(InputError, match="No session has the channel 'TV'"):
        report.without("TV")


def test_tables_of_lookbacks_models_and_cohorts_have_plain_headings(report):
    headings = {heading(column)[0] for found in (report.lookbacks(7), report.cohorts()) for column in found.frame}
    assert {"Attributed revenue, 7 days", "ROAS, 7 days", "Customers", "Revenue per customer"} <= headings
    headings |= {heading(column)[0] for column in report.compare("linear").frame}
    assert "ROAS, Linear" in headings
    assert not [each for each in headings if "_" in each]


def test_customers_are_grouped_by_the_channel_of_their_first_session(report):
    assert sorted(rows(report.cohorts(), "channel_name", "customers", "orders", "revenue_per_customer")) == [
        ["(no session)", 1, 1, 20.0],
        ["Direct", 1, 1, 30.0],
        ["Search", 1, 2, 160.0],
        ["Social", 1, 1, 50.0],
    ]


def test_an_order_is_explained_and_a_missing_one_is_refused(report):
    steps = report.explain("k2").frame
    assert steps["session_id"].tolist() == ["a1", "a2", "a3"]
    assert steps["ihc"].sum() == pytest.approx(1)
    with pytest.raises(InputError, match=r"Order k5 not found, or it has no session\. Check the ID and the dates\."):
        report.explain("k5")


@pytest.mark.parametrize(
    ("column", "where", "says"),
    [
        ("nosuch", None, "No table has a column 'nosuch'. Available columns: .*'country', 'customers'"),
        ("user_id", None, "is the key, user, time or flag of a session"),
        ("campaign", {"nosuch": 1}, "There is no column 'nosuch'. Available columns"),
        ("campaign", {"channel_name": "TV"}, "No row has 'TV' in column 'channel_name'"),
    ],
)
def test_a_missing_column_or_value_is_refused(report, column, where, says):
    with pytest.raises(InputError, match=says):
        report.by(column, where=where)


def test_a_workbook_has_one_sheet_per_exhibit_and_figures_as_numbers(report, tmp_path):
    book = load_workbook(report.to_excel(tmp_path / "out" / "march.xlsx"))
    assert book["Summary"]["A1"].value == report.headline
    sheet = book["channel_summary"]
    heads = [cell.value for cell in sheet[4]]
    assert heads[:4] == ["Channel", "Sessions", "Influenced orders", "Spend"]
    assert [cell.value for cell in sheet[5]][3] == report.channels.frame["cost"].iloc[0]
    assert sheet.cell(5, 4).number_format == "#,##0.00"
    assert sheet.freeze_panes == "B5"
    assert set(book.sheetnames) == {"Summary", *(exhibit.name[:31] for exhibit in report.exhibits)}


def test_stored_credits_are_used_if_they_match_the_settings(database, tmp_path):
    copy = shutil.copy(database, tmp_path / "shop.db")
    attribute_shop(load_settings(base=tmp_path, database=copy, lookback_days=60, output="out")).store()
    shop = ihc.open(copy)
    assert "(stored credits)" in shop.report().status
    assert "(stored credits)" in shop.report(lookback_days=60).status
    assert "computed here" in shop.report(lookback_days=7).status
    assert shop.report().channels.frame.equals(shop.report(lookback_days=60).channels.frame)


def test_a_refund_counts_with_its_order_and_has_no_cost(database, tmp_path):
    copy = shutil.copy(database, tmp_path / "shop.db")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("ALTER TABLE conversions ADD COLUMN refund_of TEXT")
        connection.execute("INSERT INTO conversions VALUES ('r3', 'bob', '2025-03-09', '10:00:00', -50, 'FR', 'k3')")
    report = ihc.open(copy).report("2025-03-01", "2025-03-31")
    # k3 of Bob, a new customer, is refunded: 200 - 50 = 150.
    assert rows(report.by("customers"), "customers", "orders", "revenue", "cost") == [
        ["new", 4, 150.0, 9.0],
        ["returning", 1, 60.0, 15.0],
        ["Total", 5, 210.0, 24.0],
    ]
    assert report.explain("r3").frame["session_id"].tolist() == ["b1", "b2"]


def test_the_next_report_of_a_shop_uses_newly_stored_credits(database, tmp_path, monkeypatch):
    monkeypatch.setenv("IHC_OUTPUT", str(tmp_path))
    shop = ihc.open(shutil.copy(database, tmp_path / "shop.db"))
    assert "computed here" in shop.report().status
    assert "Credited and stored: 4" in shop.attribute().store().text
    assert "(stored credits)" in shop.report().status


def test_a_report_of_the_api_without_stored_credits_is_refused(database, monkeypatch):
    monkeypatch.setenv("IHC_API_KEY", "secret")
    with pytest.raises(InputError, match="The engine is the API, but no credits are stored yet"):
        ihc.open(database, conv_type_id="mine").report()
    # In a run its dates may have had no order at all.
    monkeypatch.setenv("IHC_RUN_ID", "quiet")
    day = ihc.open(database, conv_type_id="mine").report("2030-01-01", "2030-01-01")
    assert day.headline.startswith("There are no orders from 2030-01-01 to 2030-01-01")


def test_sessions_and_orders_without_a_user_count_but_have_no_credit(tmp_path):
    # Next to Ann's order of 100 with a session of Search: a session of Social for 7, and an order of 40.
    visits = pd.concat([SESSIONS[:1], sessions([("n1", None, "2025-03-03 10:00:00", "Social")])])
    orders = pd.concat([CONVERSIONS[:1], conversions([("n2", None, "2025-03-04 11:00:00", 40.0)])])
    tables = {"session_sources": visits, "conversions": orders, "session_costs": costs([("a1", 10.0), ("n1", 7.0)])}
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        for name, frame in tables.items():
            frame.to_sql(name, connection, index=False)
    report = ihc.open(tmp_path / "shop.db").report()
    assert rows(report.channels, "channel_name", "cost", "ihc_revenue")[:2] == [
        ["Search", 10.0, 100.0],
        ["Social", 7.0, 0.0],
    ]
    outcomes = report.data.results.outcomes.set_index("conv_id")["outcome"].to_dict()
    assert outcomes == {"k1": "credited", "n2": "unattributed"}
    frame = report.by("customers").frame.set_index("customers")
    assert frame["orders"].to_dict() == {"new": 1, "(none)": 1, "Total": 2}
    assert report.cohorts().frame.set_index("channel_name")["orders"].to_dict() == {"Search": 1, "(no session)": 1}


def test_journeys_restart_after_an_order_if_asked_and_stored_credits_say_so(database, tmp_path):
    # Ann's second order has one session since the first, a3; with all sessions it has a1 and a2 too. Dan orders again
    # two hours later, without a session.
    copy = tmp_path / "shop.db"
    shutil.copy(database, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("INSERT INTO conversions VALUES ('k6', 'dan', '2025-03-06', '13:00:00', 5, NULL)")
    shop = ihc.open(copy)
    own = attribute_shop(load_settings(base=tmp_path, database=copy, restart_after_order=True, output="out"))
    credits = own.credits.frame.groupby("conv_id")["session_id"].agg(list)
    assert credits.to_dict() == {"k1": ["a1", "a2"], "k2": ["a3"], "k3": ["b1", "b2"], "k4": ["d1"]}
    late = load_settings(base=tmp_path, database=copy, restart_after_order=True, start_date="2025-03-10", output="out")
    assert attribute_shop(late).credits.frame["session_id"].tolist() == ["a3"]  # k1 is read, though not selected
    own.store()
    report = shop.report()
    assert "(stored credits)" in report.status
    assert "journeys restart after an order" in report.status
    assert report.data.settings.restart_after_order
    assert report.reconciliation.text == (
        "4 of 6 orders are credited, with 240.00 of revenue; 2 are untracked. 1 untracked order has no session since "
        "the previous order of the user: journeys restart after an order."
    )
    assert "(stored credits)" in shop.report(restart_after_order=True).status
    other = shop.report(restart_after_order=False)
    assert "computed here" in other.status
    assert "since the previous order" not in other.reconciliation.text
    computed = ihc.open(database).report(restart_after_order=True)
    assert "computed here" in computed.status
    assert computed.data.results.credits.query("conv_id == 'k2'")["session_id"].tolist() == ["a3"]
    assert list(computed.explain("k2").frame["session_id"]) == ["a3"]
    # The sessions of the models, and of paths without an order, follow the same rule.
    assert sorted(report.data.journeys["session_id"]) == ["a1", "a2", "a3", "b1", "b2", "d1"]


@pytest.fixture
def typed(database, tmp_path):
    """The shop with two conversion types: k1 and k3 are leads, the others purchases."""
    copy = tmp_path / "typed.db"
    shutil.copy(database, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("ALTER TABLE conversions ADD COLUMN conversion_type TEXT")
        connection.execute("UPDATE conversions SET conversion_type = iif(conv_id IN ('k1', 'k3'), 'lead', 'purchase')")
    return copy


def test_several_conversion_types_have_tables_in_the_report_and_one_type_has_none(typed, report):
    plain, report = report, ihc.open(typed).report()
    # Leads: k1 with 100, k3 with 50. Purchases: k2 with 60, k4 with 30, k5 with 20, which is untracked.
    assert rows(report.conversion_types, "conversion_type", "orders", "untracked", "revenue", "ihc_revenue") == [
        ["lead", 2, 0, 150.0, 150.0],
        ["purchase", 3, 1, 110.0, 90.0],
        ["Total", 5, 1, 260.0, 240.0],
    ]
    by_channel = report.channel_conversion_types.frame
    assert by_channel.groupby("conversion_type")["ihc_revenue"].sum().to_dict() == {"lead": 150.0, "purchase": 90.0}
    for without in (plain, ihc.open(typed).report(conversion_type="lead")):
        assert not any("conversion_types" in exhibit.name for exhibit in without.exhibits)


def test_saving_writes_each_exhibit_removes_those_of_earlier_reports_and_keeps_other_files(report, tmp_path):
    (tmp_path / "charts").mkdir()
    tables = ("robustness", "conversion_types", "channel_conversion_types", "calibrated_roas")
    charts = ("robustness.svg", "robustness.png", "calibrated_roas.svg", "calibrated_roas.png")
    earlier = [*(tmp_path / f"{name}.csv" for name in tables), *(tmp_path / "charts" / name for name in charts)]
    for path in (*earlier, tmp_path / "charts" / "mine.png"):
        path.touch()
    names = {path.name for path in report.save(tmp_path)}
    assert (tmp_path / "charts" / "mine.png").exists()
    assert [path for path in earlier if path.exists()] == []
    assert {"report.html", *(f"{exhibit.name}.csv" for exhibit in report.exhibits)} <= names


def test_a_report_of_one_conversion_type_knows_no_others(typed, tmp_path):
    report = ihc.open(typed).report(conversion_type="purchase")
    assert report.reconciliation.text == "2 of 3 orders are credited, with 90.00 of revenue; 1 is untracked."
    assert "Only conversions of the type purchase are counted." in report.notes
    # Only Ann's purchase restarts her journey, not her lead, so k2 has all three sessions.
    credits = ihc.open(typed).report(conversion_type="purchase", restart_after_order=True).data.results.credits
    assert credits[credits["conv_id"] == "k2"]["session_id"].tolist() == ["a1", "a2", "a3"]
    with pytest.raises(InputError, match=r"Existing types: purchase \(3 conversions\), lead \(2 conversions\)"):
        ihc.open(typed).report(conversion_type="leads")


def test_a_run_of_one_conversion_type_keeps_the_stored_credits_of_the_others(typed, tmp_path):
    options = {"base": tmp_path, "database": typed, "output": "out"}
    attribute_shop(load_settings(**options, conversion_type="lead")).store()
    assert "(stored credits)" in ihc.open(typed).report(conversion_type="lead").status
    assert "computed here" in ihc.open(typed).report().status
    attribute_shop(load_settings(**options, conversion_type="purchase")).store()
    whole = ihc.open(typed).report()
    assert "(stored credits)" in whole.status
    assert sorted(whole.data.results.credits["conv_id"].unique()) == ["k1", "k2", "k3", "k4"]
    # A day without leads is no error, another type is.
    late = {"start_date": "2025-03-11", "end_date": "2025-03-11"}
    assert attribute_shop(load_settings(**options, **late, conversion_type="lead")).credits.frame.empty
    with pytest.raises(InputError, match="No conversion has the type 'trial'"):
        attribute_shop(load_settings(**options, **late, conversion_type="trial"))


def test_restarts_after_orders_of_one_type_are_stored_as_such(typed, tmp_path):
    options = {"base": tmp_path, "database": typed, "output": "out", "restart_after_order": True}
    attribute_shop(load_settings(**options, conversion_type="purchase")).store()
    report = ihc.open(typed).report(conversion_type="purchase")
    assert report.data.settings.restart_after_order
    sources = report.data.sources["parameters"]
    assert sources.str.endswith("journeys restart after an order of type purchase").all()


def test_cohorts_of_orders_without_users_say_so(tmp_path):
    with closing(sqlite3.connect(tmp_path / "nobody.db")) as connection, connection:
        orders = CONVERSIONS.assign(user_id=None)
        for name, frame in {"session_sources": SESSIONS, "conversions": orders, "session_costs": COSTS}.items():
            frame.to_sql(name, connection, index=False)
    text = ihc.open(tmp_path / "nobody.db").report(engine="local").cohorts().text
    assert text.startswith("There are no orders of known customers on these dates.")
