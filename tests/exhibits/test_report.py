"""Figures that appear in several exhibits agree, for any channel names."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from helpers.reports import change, make_strange, stored_report, write_groups
from helpers.strange_shop import CURRENCY, FIRST, LAST, STRANGE

from ihc.analysis.changes import CAUSES
from ihc.analysis.reconciliation import COST, CREDITED, ORDERS, UNATTRIBUTED
from ihc.formatting import shown
from ihc.schemas.tables import inside

SUMS = ["cost", "ihc", "ihc_revenue"]
EMPTY = ("DELETE FROM conversions", "DELETE FROM session_sources", "DELETE FROM session_costs")
# Shops and options with little or no data: SQL statements, options, and the start of the headline.
EDGES = {
    "quiet": ((), {"start_date": "2030-01-01", "end_date": "2030-01-01"}, "There are no orders from 2030-01-01 to"),
    "costless": (("UPDATE session_costs SET cost = 0",), {"by": "campaign"}, "There is no spend on these dates"),
    "empty": (EMPTY, {}, "The tables have no sessions and no orders, so there is nothing to attribute."),
}
# The sensitivity uses the new channel names for all orders; stored credits of other dates used the old names.
RENAMED = 1e-3


@pytest.fixture(scope="module")
def whole(shop, tmp_path_factory):
    """The report over all days of the shop."""
    folder = tmp_path_factory.mktemp("whole")
    return stored_report(shutil.copy(shop, folder / "shop.db"), folder)


@pytest.fixture(scope="module")
def dated(whole, tmp_path_factory):
    """A second run with all report options, after renaming channels and changing other data."""
    folder = tmp_path_factory.mktemp("dated")
    database = Path(shutil.copy(whole.data.settings.database.file, folder / "shop.db"))
    make_strange(database)
    write_groups(folder)
    options = {"currency": CURRENCY, "break_even_roas": 4, "channel_groups": "g.csv", "export_credits": True}
    return stored_report(database, folder, start_date=FIRST, end_date=LAST, **options)


@pytest.fixture(scope="module", params=["whole", "dated", *EDGES])
def report(request, shop, tmp_path_factory):
    """The run over all days, the one with dates, groups and strange names, and edge cases."""
    if request.param not in EDGES:
        return request.getfixturevalue(request.param)
    statements, options, _ = EDGES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    database = Path(shutil.copy(shop, folder / "shop.db"))
    change(database, *statements)
    return stored_report(database, folder, **options)


def line(report, section, name):
    lines = report.reconciliation.frame
    (row,) = lines[(lines["section"] == section) & (lines["line"] == name)].itertuples()
    return row


def over(numerator, denominator):
    return numerator / denominator if denominator else float("nan")


@pytest.mark.parametrize("report", ["dated", "quiet", "empty"], indirect=True)
def test_every_exhibit_is_displayed_without_nan(report):
    for exhibit in report.exhibits:
        page = exhibit._repr_html_()
        assert exhibit.title in page
        assert "nan" not in f"{exhibit.text} {exhibit.alt}".lower().split(), exhibit.name
        assert ("<img src=" in page) == (exhibit.draw is not None)
    assert "nan" not in repr(report).lower().split()
    assert report.headline


@pytest.mark.parametrize(("report", "says"), [(name, says) for name, (*_, says) in EDGES.items()], indirect=["report"])
def test_missing_data_is_the_headline(report, says):
    assert report.headline.startswith(says)


def test_the_totals_are_the_same_everywhere(report):
    summary, rows = report.channels.frame, report.roas_by_day.frame
    total, channels = summary.iloc[-1], summary.iloc[:-1]
    figures = report.figures.frame.set_index("figure")
    value, days, weeks = figures["value"], report.daily.frame, report.weekly.frame
    stray = -line(report, COST, "less: cost whose session does not exist").amount
    is_in_spend = (
        "Spend without a session" in value and figures["note"]["Spend without a session"] == "in the total spend"
    )
    spend = value["Total spend"] - (stray if is_in_spend else 0)
    everywhere = {
        "ihc_revenue": [
            *(channels["ihc_revenue"].sum(), rows["ihc_revenue"].sum(), days["ihc_revenue"].sum()),
            *(weeks["ihc_revenue"].sum(), report.break_even.frame["ihc_revenue"].sum(), value["Attributed revenue"]),
        ],
        "ihc": [
            *(channels["ihc"].sum(), rows["ihc"].sum(), days["ihc"].sum(), value["Attributed orders"]),
            *(weeks["ihc"].sum(), report.phases.frame["ihc"].sum()),
        ],
        "cost": [
            *(channels["cost"].sum(), rows["cost"].sum(), weeks["cost"].sum(), spend),
            *(report.break_even.frame["cost"].sum(), report.without_credit.frame["cost"].iloc[-1]),
            report.untracked.frame["cost"].sum(),
        ],
        "ROAS": [over(rows["ihc_revenue"].sum(), rows["cost"].sum())],
        "CPO": [over(rows["cost"].sum(), rows["ihc"].sum()), over(spend, value["Attributed orders"])],
        "sessions": [channels["sessions"].sum(), report.without_credit.frame["sessions"].iloc[-1]],
    }
    for after in report.changes.frame.tail(1).to_dict("records"):  # none after the first run
        for name in ("ihc_revenue", "cost", "ROAS"):
            everywhere[name].append(after[f"{name}_after"])
    for name, values in everywhere.items():
        assert values == pytest.approx([total[name]] * len(values), rel=1e-9, nan_ok=True), name


def test_order_counts_agree_everywhere(report):
    read, figures = line(report, ORDERS, "orders read"), report.figures.frame.set_index("figure")["value"]
    assert (figures["Orders"], figures["Revenue"]) == (read.count, pytest.approx(read.amount))
    days, credited = report.untracked.frame, line(report, ORDERS, CREDITED)
    untracked = line(report, ORDERS, UNATTRIBUTED)
    rest = days[["unattributed_orders", "waiting_or_failed_orders"]].to_numpy().sum()
    assert (days["orders"].sum(), rest) == (read.count, read.count - credited.count)
    assert days["unattributed_revenue"].sum() == pytest.approx(-untracked.amount)
    listed = pd.read_csv(report.data.settings.output / "orders_without_credit.csv")
    assert (len(listed), listed["revenue"].sum()) == (-untracked.count, pytest.approx(-untracked.amount))


def test_each_channel_has_the_same_figures_in_every_table_and_in_the_database(report):
    summary = report.channels.frame.iloc[:-1].set_index("channel_name")
    assert summary.index.is_unique
    for exhibit in (report.weekly, report.without_credit, report.break_even, report.phases):
        table = exhibit.frame.iloc[: -1 if exhibit is report.without_credit else None]
        sums = table.groupby("channel_name").sum(numeric_only=True).reindex(summary.index)
        for column in {*SUMS, "sessions"} & set(sums.columns):
            assert sums[column].tolist() == pytest.approx(summary[column].tolist(), abs=1e-9), exhibit.name
    name = "coalesce(campaign, '(none)')" if report.data.options.by else "channel_name"
    query = f"""
        SELECT {name} AS name, count(*) AS sessions, sum(cost) AS cost, sum(k.ihc) AS ihc, sum(k.earned) AS ihc_revenue
        FROM session_sources LEFT JOIN session_costs USING (session_id) LEFT JOIN (
            SELECT session_id, sum(ihc) AS ihc, sum(ihc * revenue) AS earned
            FROM attribution_customer_journey JOIN conversions USING (conv_id) GROUP BY session_id
        ) AS k USING (session_id) WHERE event_date BETWEEN :start_date AND :end_date GROUP BY name"""
    window = {key: day or {"start_date": "0", "end_date": "9"}[key] for key, day in report.data.window.items()}
    with closing(sqlite3.connect(report.data.settings.database.file)) as connection:
        by_hand = pd.read_sql(query, connection, params=window).astype({"sessions": "float64"}).fillna(0.0)
    by_hand = by_hand.assign(name=by_hand["name"].replace(report.data.options.groups or {})).groupby("name").sum()
    assert set(by_hand.index) == set(summary.index)
    columns = ["sessions", *SUMS]
    assert by_hand.loc[summary.index, columns].to_numpy() == pytest.approx(summary[columns].to_numpy(), abs=1e-9)


def test_the_base_of_the_sensitivity_is_the_report(report):
    summary, grid = report.channels.frame.iloc[:-1], report.sensitivity.frame
    base = grid[(grid["model"] == "IHC") & grid["lookback_days"].isna() & (grid["redistribution"] == "none")]
    assert base["channel_name"].tolist() == summary["channel_name"].tolist()
    rel = RENAMED if report.data.options.groups else 1e-9
    for name in (*SUMS, "ROAS"):
        assert base[name].tolist() == pytest.approx(summary[name].tolist(), rel=rel, nan_ok=True), name


def test_every_model_distributes_the_revenue_of_the_credited_orders(report):
    models = report.models.frame.set_index("channel_name")
    assert models.sum().tolist() == pytest.approx([line(report, ORDERS, CREDITED).amount] * len(models.columns))
    assert {"IHC", "Last touch", "Markov", "Equal split", "Holder"} <= set(models.columns)


def test_paths_lengths_and_roles_cover_the_orders_with_a_journey(report):
    orders = report.journey_lengths.frame["orders"].sum()
    assert orders == line(report, ORDERS, "with a journey").count
    roles, moves = report.roles.frame, report.transitions.frame
    kinds = ["starts", "starts_and_ends", "assists", "ends", "alone"]
    assert roles[kinds].sum(axis=1).tolist() == roles["orders"].tolist()
    assert [
        report.journey_times.frame["orders"].sum(),
        *(roles[["alone", "starts_and_ends", end]].to_numpy().sum() for end in ("starts", "ends")),
        *(moves.loc[moves["from"] == "(start)", "count"].sum(), moves.loc[moves["to"] == "(order)", "count"].sum()),
    ] == [orders] * 5
    assert report.explained.frame["ihc"].sum() == pytest.approx(int(orders > 0))


@pytest.mark.parametrize("report", ["whole", "dated"], indirect=True)
def test_sentences_and_tables_agree(report):
    credited, read = line(report, ORDERS, CREDITED), line(report, ORDERS, "orders read")
    said = f"{credited.count:,.0f} of {read.count:,.0f} orders are credited, with {credited.amount:,.2f} of revenue"
    assert said in report.reconciliation.text
    assert f"reconciled 100.00% of {read.amount:,.2f}" in report.status
    idle, total = report.without_credit.frame.iloc[-1], report.channels.frame.iloc[-1]
    assert (
        f"({idle['cost_without_credit']:,.2f} of {total['cost']:,.2f}) went to sessions" in report.without_credit.text
    )
    models = report.models.frame.set_index("channel_name")
    gain = models["IHC"] - models["Last touch"]
    assert f"adds the most to {shown(gain.idxmax())} ({gain.max():+,.2f})" in report.models.text


def test_the_report_has_groups_and_the_database_has_channels(dated):
    assert "Grouped channels: 3 of 12. Channels without a group keep their own name: " in " ".join(dated.notes)
    with closing(sqlite3.connect(dated.data.settings.database.file)) as connection:
        stored = pd.read_sql("SELECT * FROM channel_reporting ORDER BY channel_name, date", connection)
    assert set(stored["channel_name"]) == {*STRANGE.values(), "Paid Social", "Price Comparison"}
    inside_dates, rows = stored[inside(stored["date"], FIRST, LAST)], dated.roas_by_day.frame
    assert rows[["channel_name", "date"]].to_numpy().tolist() == inside_dates[["channel_name", "date"]].values.tolist()
    assert rows[SUMS].to_numpy() == pytest.approx(inside_dates[SUMS].to_numpy())


def test_all_exhibits_use_the_given_break_even(dated):
    verdicts, fragile = dated.break_even.frame, dated.stability.frame.set_index("channel_name")
    assert (verdicts["break_even_cost"] - verdicts["ihc_revenue"] / 4).abs().max() < 1e-9
    grid = dated.sensitivity.frame[dated.sensitivity.frame["channel_name"].isin(fragile.index)]
    shares = (grid["ROAS"] >= 4).groupby(grid["channel_name"]).mean()
    assert fragile["cells_above"].tolist() == pytest.approx(shares[fragile.index].tolist())
    assert "break-even ROAS of 4 (95% confidence)" in dated.channels.text
    assert "(ROAS 4)" in dated.headline


def test_changes_by_cause_add_up(dated, whole):
    changes, causes = dated.changes.frame, dated.data.changes.causes
    total = changes.iloc[-1]
    parts = changes["ihc_revenue_before"] + changes[list(CAUSES)].sum(axis=1)
    assert parts.tolist() == pytest.approx(changes["ihc_revenue_after"].tolist(), abs=1e-5)
    assert set(causes["cause"]) == {
        *("new orders", "removed orders", "late or changed sessions", "corrected order values"),
    }
    said = dated.changes.text
    assert f"from {total['ihc_revenue_before']:,.2f} to {total['ihc_revenue_after']:,.2f}" in said
    assert f"from {total['cost_before']:,.2f} to {total['cost_after']:,.2f}" in said
    # The figures of the first run on these dates.
    before = whole.roas_by_day.frame.query("@FIRST <= date <= @LAST")
    assert total["ihc_revenue_before"] == pytest.approx(before["ihc_revenue"].sum())
    assert total["cost_before"] == pytest.approx(before["cost"].sum())


def test_a_report_of_stored_credits_records_nothing_and_is_compared_with_the_last_run(whole, tmp_path):
    database = Path(shutil.copy(whole.data.settings.database.file, tmp_path / "shop.db"))
    before = database.read_bytes()
    alone = stored_report(database, tmp_path, is_attributed=False)
    assert alone.changes.text.startswith("Nothing changed since run 1 of ")
    assert alone.changes.draw is None
    assert alone.channels.frame.equals(whole.channels.frame)
    assert database.read_bytes() == before


def test_priorities_are_sorted_by_amount(whole):
    amounts = [point.amount for point in whole.points]
    assert amounts == sorted(amounts, reverse=True)
    assert 2 <= len(amounts) <= 5
    assert all(f"{amount:,.0f}" in point.text for amount, point in zip(amounts, whole.points, strict=True))
