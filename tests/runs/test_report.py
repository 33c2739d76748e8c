"""The report of whole runs: every number that appears twice agrees, whatever the channels are called."""

import csv
import json
import re
import shutil
import sqlite3
from base64 import b64decode
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from helpers.commands import ihc, ihc_here, run_ihc
from helpers.strange_shop import CURRENCY, FIRST, GROUPS, LAST, STRANGE

from ihc import read_tables
from ihc.analysis.changes import CAUSES, cost_changes, revenue_changes
from ihc.analysis.reconciliation import COST, CREDIT, CREDITED, ORDERS, UNATTRIBUTED, WAITING
from ihc.formatting import shown
from ihc.glossary import FORMATS, GLOSSARY, MONEY, heading
from ihc.pipeline.runner import WITHOUT
from ihc.quality.checks import mends, quality_findings, shown_findings
from ihc.report.files import read_csv
from ihc.report.page import ORDER
from ihc.schemas.tables import inside

SUMS = ["cost", "ihc", "ihc_revenue"]
# Shops and options that leave little or nothing to say: what is changed in the shop, with what it is run, and what the
# report says then.
EDGES = {
    "quiet": (
        (),
        ("--start-date", "2030-01-01", "--end-date", "2030-01-01"),
        [
            "There is no order of 2030-01-01 to 2030-01-01; the table has 200 orders",
            "Nothing was spent on the reported days",
            "no journey in these",
            "There is no session on the reported days.",
            "There is no credited order to compare models by.",
            "so there are no phases to compare",
        ],
    ),
    "costless": (
        ("UPDATE session_costs SET cost = 0",),
        ("--by", "campaign"),
        [
            "Nothing was spent on the reported days",
            "There are no two complete weeks",
            "The rows are the values of the column campaign, not channels",
            "(none)",
        ],
    ),
    "nothing": (
        (),
        ("--report-only",),
        ["200 wait for a run", "There are no credits to report.", "No run is recorded yet", "--report-only"],
    ),
    "empty": (
        ("DELETE FROM conversions", "DELETE FROM session_sources", "DELETE FROM session_costs"),
        (),
        ["The tables have no session and no order, so there is nothing to attribute."],
    ),
}
# The sensitivity computes all orders by what the channels are called now; stored are those of other dates as before.
RENAMED = 1e-3


class Report:
    """What a run left: its tables by name, its page, and what of it is looked for."""

    def __init__(self, done, *, is_second=False):
        assert done.code == 0, done.err
        self.done, self.is_second = done, is_second
        self.rel = RENAMED if is_second else None
        self.page = BeautifulSoup((done.output / "report.html").read_text("utf-8"), "html.parser")
        self.text = self.page.main.get_text()
        self._csv = {}

    def __getitem__(self, name):
        if name not in self._csv:
            self._csv[name] = read_csv(self.done.output / f"{name}.csv")
        return self._csv[name].copy()

    @property
    def channels(self):
        return self["channel_summary"].iloc[:-1]

    @property
    def total(self):
        return self["channel_summary"].iloc[-1]

    def line(self, section, name):
        lines = self["reconciliation"]
        (row,) = lines[(lines["section"] == section) & (lines["line"] == name)].itertuples()
        return row

    @property
    def command(self):
        return self.page.find("p", class_="command").get_text()

    def paragraphs(self, heading):
        """The texts below a heading, up to the next one."""
        title = self.page.main.find(["h2", "h3"], string=heading)
        rest = title.find_all_next(["h2", "h3", "p"])
        names = [tag.name for tag in rest]
        end = next((place for place, name in enumerate(names) if name != "p"), len(rest))
        return " ".join(tag.get_text() for tag in rest[:end])

    def tables(self):
        """Each table by the heading that it stands below: its headings and its rows."""
        found = []
        for table in self.page.main.find_all("table"):
            title = table.find_previous(["h2", "h3"]).get_text()
            heads = [cell.get_text() for cell in table.thead.find_all("th")]
            rows = [[cell.get_text() for cell in row.find_all("td")] for row in table.tbody.find_all("tr")]
            found.append((title, heads, rows))
        return found


@pytest.fixture(scope="session")
def whole(finished):
    return Report(finished)


@pytest.fixture(scope="session")
def dated(strange):
    return Report(strange, is_second=True)


@pytest.fixture(params=["whole", "dated", *(pytest.param(name, marks=pytest.mark.slow) for name in EDGES)])
def report(request, once, shop):
    """The run over all days, the one with dates, groups and strange names, and those at the edges."""
    if request.param not in EDGES:
        return request.getfixturevalue(request.param)
    statements, options, _ = EDGES[request.param]

    def run(folder):
        database = Path(shutil.copy(shop, folder / "shop.db"))
        with closing(sqlite3.connect(database)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return run_ihc(folder, database, *options)

    return Report(once(request.param, run))


@pytest.fixture(params=["whole", "dated"])
def eventful(request):
    """The runs in which there is something to say of everything."""
    return request.getfixturevalue(request.param)


def over(numerator, denominator):
    return numerator / denominator if denominator else float("nan")


def written(value, unit):
    return "" if pd.isna(value) else FORMATS[unit].format(value)


def cells(frame, intervals=()):
    """Headings and rows as the page must show a frame, of which `intervals` have their bounds behind them."""
    bounds = {f"{name}_{end}" for name in intervals for end in ("low", "high")}
    names = [name for name in frame.columns if name not in bounds]
    columns = []
    for name in names:
        texts = [written(value, heading(name)[1]) for value in frame[name]]
        if name in intervals:
            ends = zip(texts, frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
            texts = [f"{text} ({low:,.2f}–{high:,.2f})" if text and pd.notna(low) else text for text, low, high in ends]
        columns.append(texts)
    return [heading(name)[0] for name in names], [list(row) for row in zip(*columns, strict=True)]


def reconciled(report, section):
    lines = report["reconciliation"].query("section == @section")
    is_whole = (lines["count"] == lines["count"].round()).all()
    style = "{:,.0f}" if is_whole else "{:,.2f}"
    rows = [
        [line, style.format(count), f"{amount:,.2f}"]
        for line, count, amount in zip(lines["line"], lines["count"], lines["amount"], strict=True)
    ]
    return [section, lines["counted"].iloc[0].capitalize(), "Amount"], rows


def channel_table(report):
    bounds = report["channel_intervals"][["ROAS_low", "ROAS_high"]]
    names = ["channel_name", *SUMS, "CPO", "ROAS", "share_of_credit", "share_of_cost"]
    return report["channel_summary"][[*names, "influenced_conversions", "sessions"]].join(bounds)


def test_every_table_of_the_page_shows_the_figures_of_its_csv(report):
    changes = report["changes"]
    findings = quality_findings(read_tables(report.done.database))
    expected = [
        *(("Does it add up?", *reconciled(report, section)) for section in (ORDERS, CREDIT, COST)),
        ("Cost without credit", *cells(report["without_credit"])),
        ("Channels", *cells(channel_table(report), ["ROAS"])),
        ("In figures", *cells(report["model_comparison"])),
        ("Do other settings change the decision?", *cells(report["fragile_channels"])),
        ("Do other settings change the decision?", *cells(report["single_changes"])),
        ("What changed since the last run", *cells(revenue_changes(changes))),
        ("What changed since the last run", *cells(cost_changes(changes))),
        ("What to do with it", *cells(report["break_even"], ["ROAS"])),
        ("Data quality", *cells(shown_findings(findings))),
        ("Data quality", *cells(mends(findings))),
        ("Definitions", ["Term", "Definition"], [[term.heading, term.definition] for term in GLOSSARY.values()]),
    ]
    if not report.is_second:  # nothing to compare with
        expected = [table for table in expected if table[0] != "What changed since the last run"]
    # The causes stand on the page alone.
    shown = [table for table in report.tables() if table[1][0] != "Cause"]
    assert [table[0] for table in shown] == [table[0] for table in expected]
    for (_, heads, rows), (title, wanted_heads, wanted) in zip(shown, expected, strict=True):
        assert (title, heads) == (title, wanted_heads)
        assert rows == wanted, title


def test_the_cards_show_the_key_figures(report):
    figures, currency = report["key_figures"], f" {CURRENCY}" if report.is_second else ""
    cards = [
        [part.get_text() for part in card.find_all(["dt", "dd"])]
        for card in report.page.find("dl", class_="cards").find_all("div", recursive=False)
    ]
    assert [card[0] for card in cards] == figures["figure"].tolist()
    for card, row in zip(cards, figures.itertuples(), strict=True):
        unit = currency if row.unit == MONEY else ""
        assert card[1] == ("–" if pd.isna(row.value) else written(row.value, row.unit) + unit)
        assert card[-1] == row.note or not row.note
        if pd.isna(row.change):
            assert len(card) == (3 if row.note else 2)
        else:
            arrow = "↑" if row.change > 0 else "↓"
            assert row.change == pytest.approx((row.value - row.before) / abs(row.before))
            assert card[2] == f"{arrow} {row.change:+,.1%} against the period before ({written(row.before, row.unit)})"


def test_only_dates_with_a_period_before_have_changes_on_their_cards(whole, dated):
    assert whole["key_figures"]["change"].isna().all()
    figures = dated["key_figures"].set_index("figure")
    assert figures["before"].drop("Spend without a session", errors="ignore").notna().all()
    young = int(dated["days"]["is_immature"].sum())
    is_incomplete = figures["change"].isna() & figures["before"].notna()
    assert is_incomplete[is_incomplete].index.tolist() == (
        ["Attributed revenue", "Attributed orders", "CPO", "Attributed ROAS of paid channels"] if young else []
    )
    assert figures.loc[is_incomplete, "note"].str.startswith(f"incomplete: last {young} day").all()
    assert "Against the 7 days before, 2025-03-03 to 2025-03-09: revenue" in dated.paragraphs("At a glance")


def test_the_totals_are_the_same_everywhere(report):
    total, rows = report.total, report["channel_reporting"]
    figures = report["key_figures"].set_index("figure")["value"]
    credit, cost = (
        report.line(CREDIT, "credit in channel_reporting.csv"),
        report.line(COST, "cost in channel_reporting.csv"),
    )
    bounds, days = report["channel_intervals"].iloc[-1], report["days"]
    stray = -report.line(COST, "less: cost whose session does not exist").amount
    notes = report["key_figures"].set_index("figure")["note"]
    spend = figures["Total spend"] - (stray if notes.get("Spend without a session") == "in the total spend" else 0)
    assert figures.get("Spend without a session", 0) == pytest.approx(stray)
    everywhere = {
        "ihc_revenue": [
            *(report.channels["ihc_revenue"].sum(), rows["ihc_revenue"].sum(), days["ihc_revenue"].sum()),
            *(report["channel_weekly"]["ihc_revenue"].sum(), report["break_even"]["ihc_revenue"].sum()),
            figures["Attributed revenue"],
        ],
        "ihc": [
            *(report.channels["ihc"].sum(), rows["ihc"].sum(), days["ihc"].sum(), figures["Attributed orders"]),
            *(report["channel_weekly"]["ihc"].sum(), report["channel_phases"]["ihc"].sum()),
        ],
        "cost": [
            *(report.channels["cost"].sum(), rows["cost"].sum(), report["channel_weekly"]["cost"].sum()),
            *(report["break_even"]["cost"].sum(), report["without_credit"]["cost"].iloc[-1], spend),
            report["without_credit_by_day"]["cost"].sum(),
        ],
        "ROAS": [over(rows["ihc_revenue"].sum(), rows["cost"].sum())],
        "CPO": [over(rows["cost"].sum(), rows["ihc"].sum()), over(spend, figures["Attributed orders"])],
        "sessions": [report.channels["sessions"].sum(), report["without_credit"]["sessions"].iloc[-1]],
    }
    for after in report["changes"].tail(1).to_dict("records"):  # none after the first run
        for name in ("ihc_revenue", "cost", "ROAS"):
            everywhere[name].append(after[f"{name}_after"])
    for name, values in everywhere.items():
        assert values == pytest.approx([total[name]] * len(values), rel=1e-9, nan_ok=True), name
    assert (credit.count, credit.amount) == (pytest.approx(total["ihc"], abs=1e-5), round(total["ihc_revenue"], 2))
    assert cost.amount == round(total["cost"], 2)
    assert (bounds["ihc_revenue_low"] < total["ihc_revenue"] < bounds["ihc_revenue_high"]) == (total["ihc"] > 0)


def test_orders_are_counted_alike_everywhere(report):
    read, figures = report.line(ORDERS, "orders read"), report["key_figures"].set_index("figure")["value"]
    assert (figures["Orders"], figures["Revenue"]) == (read.count, pytest.approx(read.amount))
    days, credited = report["without_credit_by_day"], report.line(ORDERS, CREDITED)
    untracked = report.line(ORDERS, UNATTRIBUTED)
    rest = days[["unattributed_orders", "waiting_or_failed_orders"]].to_numpy().sum()
    assert (days["orders"].sum(), rest) == (read.count, read.count - credited.count)
    assert days["unattributed_orders"].sum() == -untracked.count
    assert days["unattributed_revenue"].sum() == pytest.approx(-untracked.amount)
    if "--report-only" not in report.command:
        listed = report["orders_without_credit"]
        assert (len(listed), listed["revenue"].sum()) == (-untracked.count, pytest.approx(-untracked.amount))


def test_each_channel_has_the_same_figures_in_every_table(report):
    summary = report.channels.set_index("channel_name")
    assert summary.index.is_unique
    for name in ("channel_weekly", "without_credit", "break_even", "channel_phases"):
        table = report[name].iloc[: -1 if name == "without_credit" else None]
        sums = table.groupby("channel_name").sum(numeric_only=True).reindex(summary.index)
        for column in {*SUMS, "sessions"} & set(sums.columns):
            assert sums[column].tolist() == pytest.approx(summary[column].tolist(), abs=1e-9), (name, column)
    name = "coalesce(campaign, '(none)')" if "--by campaign" in report.command else "channel_name"
    dates = "event_date BETWEEN :first AND :last"
    query = f"""
        SELECT {name} AS name, count(*) AS sessions, sum(cost) AS cost, sum(k.ihc) AS ihc, sum(k.earned) AS ihc_revenue
        FROM session_sources LEFT JOIN session_costs USING (session_id) LEFT JOIN (
            SELECT session_id, sum(ihc) AS ihc, sum(ihc * revenue) AS earned
            FROM attribution_customer_journey JOIN conversions USING (conv_id) GROUP BY session_id
        ) AS k USING (session_id) WHERE {dates} GROUP BY name"""
    about = json.loads((report.done.output / "run.json").read_text("utf-8"))
    window = {"first": about["start_date"] or "0", "last": about["end_date"] or "9"}
    with closing(sqlite3.connect(report.done.database)) as connection:
        by_hand = pd.read_sql(query, connection, params=window).astype({"sessions": "float64"}).fillna(0.0)
    groups = GROUPS if report.is_second else {}
    by_hand = by_hand.assign(name=by_hand["name"].replace(groups)).groupby("name").sum()
    assert set(by_hand.index) == set(summary.index)
    columns = ["sessions", *SUMS]
    assert by_hand.loc[summary.index, columns].to_numpy() == pytest.approx(summary[columns].to_numpy(), abs=1e-9)


def test_ratios_and_bounds_are_the_same_in_every_table(report):
    summary, verdicts = report.channels, report["break_even"]
    bounds, fragile = report["channel_intervals"].iloc[:-1], report["fragile_channels"].set_index("channel_name")
    named = summary.set_index("channel_name")
    assert verdicts["ROAS"].tolist() == pytest.approx(summary["ROAS"].tolist(), nan_ok=True)
    assert verdicts["ROAS_low"].tolist() == pytest.approx(bounds["ROAS_low"].tolist(), nan_ok=True)
    assert verdicts["ROAS_high"].tolist() == pytest.approx(bounds["ROAS_high"].tolist(), nan_ok=True)
    assert fragile["ROAS"].tolist() == pytest.approx(named["ROAS"][fragile.index].tolist(), rel=report.rel)
    shares = summary[["share_of_credit", "share_of_cost"]].sum().tolist()
    assert shares == pytest.approx([int(report.total["ihc"] > 0), int(report.total["cost"] > 0)])


def test_the_base_of_the_sensitivity_is_the_report(report):
    grid, summary = report["sensitivity"], report.channels
    base = grid[(grid["model"] == "IHC") & grid["lookback_days"].isna() & (grid["redistribution"] == "none")]
    assert base["channel_name"].tolist() == summary["channel_name"].tolist()
    for name in (*SUMS, "ROAS"):
        assert base[name].tolist() == pytest.approx(summary[name].tolist(), rel=report.rel, nan_ok=True), name


def test_every_model_spreads_the_revenue_of_the_credited_orders(report):
    models = report["model_comparison"].set_index("channel_name")
    credited = report.line(ORDERS, CREDITED).amount
    assert models.sum().tolist() == pytest.approx([credited] * len(models.columns))
    assert {"IHC", "Last touch", "Markov", "Shapley", "Holder"} <= set(models.columns)


def test_over_all_days_ihc_is_the_report_in_the_comparison_too(whole):
    models = whole["model_comparison"].set_index("channel_name")["IHC"]
    summary = whole.channels.set_index("channel_name")["ihc_revenue"]
    assert models[summary.index].tolist() == pytest.approx(summary.tolist())
    assert whole["credit_lag"]["ihc"].sum() == pytest.approx(whole.total["ihc"])


def test_paths_lengths_and_roles_are_of_the_orders_with_a_journey(report):
    orders = report["journey_lengths"]["orders"].sum()
    if WAITING not in report["reconciliation"]["line"].tolist():
        assert orders == report.line(ORDERS, "with a journey").count
    roles, moves = report["channel_roles"], report["transitions"]
    kinds = ["starts", "starts_and_ends", "assists", "ends", "alone"]
    assert roles[kinds].sum(axis=1).tolist() == roles["orders"].tolist()
    assert [
        report["time_to_conversion"]["orders"].sum(),
        *(roles[["alone", "starts_and_ends", end]].to_numpy().sum() for end in ("starts", "ends")),
        *(moves.loc[moves["from"] == "(start)", "count"].sum(), moves.loc[moves["to"] == "(order)", "count"].sum()),
    ] == [orders] * 5
    assert report["paths"]["share"].tolist() == pytest.approx((report["paths"]["orders"] / orders).tolist())
    assert report["explained_order"]["ihc"].sum() == pytest.approx(int(orders > 0))


def test_the_sentences_say_what_the_tables_say(eventful):
    report = eventful
    credited, read = report.line(ORDERS, CREDITED), report.line(ORDERS, "orders read")
    glance, adds_up = report.paragraphs("At a glance"), report.paragraphs("Does it add up?")
    assert (
        f"{credited.count:,.0f} of {read.count:,.0f} orders are credited, {credited.amount:,.2f} of revenue" in glance
    )
    idle = report["without_credit"].iloc[-1]
    assert f"of spend ({idle['cost_without_credit']:,.2f} of {report.total['cost']:,.2f}) went to sessions" in adds_up
    total = report.total.to_dict() | report["channel_intervals"].iloc[-1].to_dict()
    (revenue, low, high), (roas, *bounds) = (
        [f"{total[f'{name}{end}']:{style}}" for end in ("", "_low", "_high")]
        for name, style in (("ihc_revenue", ",.0f"), ("ROAS", ",.2f"))
    )
    said = f"Attributed revenue is {revenue} (95% confidence interval: {low} to {high}), ROAS without untracked orders"
    said = f"{said} and spend without a session {roas} ({' to '.join(bounds)})."
    assert said in report.paragraphs("Channels")
    models = report["model_comparison"].set_index("channel_name")
    change = models["IHC"] - models["Last touch"]
    differences = report.paragraphs("Does the model matter?")
    assert f"gives most more to {shown(change.idxmax())} ({change.max():+,.2f})" in differences
    for row in report["fragile_channels"].query("stability == 'crosses break-even'").itertuples():
        spread = f"(ROAS {row.ROAS_low:,.2f} to {row.ROAS_high:,.2f}, {row.ROAS:,.2f} in the base"
        assert f"{shown(row.channel_name)} {spread}" in report.paragraphs("Do other settings change the decision?")


def test_the_terminal_says_what_the_page_says(report):
    figures = report["key_figures"].set_index("figure")["value"]
    assert f"Total spend is {figures['Total spend']:,.2f}, revenue of all orders {figures['Revenue']:,.2f}" in (
        report.done.out
    )
    for row in report["reconciliation"].itertuples():
        assert re.search(rf"{re.escape(row.line)} +\S+ +{re.escape(f'{row.amount:,.2f}')}", report.done.out), row.line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("report", "says"), [(name, says) for name, (_, _, says) in EDGES.items()], indirect=["report"]
)
def test_what_there_is_nothing_of_is_said_in_sentences(report, says):
    assert [text for text in says if text not in report.text] == []
    assert "Traceback" not in report.done.out + report.done.err
    assert "nan" not in report.text.lower().split()
    assert [tag.get_text() for tag in report.page.find_all("h2")] == list(ORDER)


@pytest.mark.slow
@pytest.mark.parametrize("report", ["quiet", "empty"], indirect=True)
def test_what_a_report_lacks_is_said_before_all_else_on_the_page_and_on_the_screen(report):
    missing = json.loads((report.done.output / "run.json").read_text("utf-8"))["missing"]
    assert missing
    assert report.done.out.startswith(missing)
    assert report.page.find("h2").find_next("p").get_text() == missing
    assert "All credits come from" not in report.text + report.done.out


@pytest.mark.slow
@pytest.mark.parametrize("report", ["quiet"], indirect=True)
def test_dates_without_orders_leave_no_credit_and_the_cost_of_all_days(report):
    with closing(sqlite3.connect(report.done.database)) as connection:
        assert connection.execute("SELECT count(*) FROM attribution_customer_journey").fetchone() == (0,)
        ((cost,),) = connection.execute("SELECT sum(cost) FROM channel_reporting").fetchall()
    assert cost == pytest.approx(report.line(COST, "cost in the table channel_reporting").amount, abs=0.005)


def test_the_week_in_the_sentence_is_that_of_the_table(whole):
    weekly = whole["channel_weekly"]
    days = whole["days"]
    incomplete = days.loc[days["is_immature"].astype("bool"), "date"].min()
    is_complete = (weekly["days"] == 7) & (pd.to_datetime(weekly["week"]) + pd.Timedelta(days=6) < incomplete)
    weekly = weekly[is_complete & (weekly["week"] >= "2025-03-01")].groupby("week")[SUMS].sum()
    said = whole.paragraphs("Over time")
    assert "Later weeks are incomplete because of conversion lag." in said
    if len(weekly) < 2:
        assert "There are no two complete weeks, Monday to Sunday, to compare." in said
    else:
        assert f"from {weekly.index[-1]}, the attributed revenue is {weekly['ihc_revenue'].iloc[-1]:,.2f}" in said


def test_each_chart_on_the_page_is_one_of_the_files_and_valid_xml(report):
    charts = {path.name: path.read_bytes() for path in (report.done.output / "charts").glob("*.svg")}
    shown = [b64decode(image["src"].partition("base64,")[2]) for image in report.page.find_all("img")]
    assert len(shown) == len(set(shown)) == (27 if report.is_second else 26)
    assert set(shown) <= set(charts.values())
    for name, chart in charts.items():
        assert ElementTree.fromstring(chart).tag.endswith("svg"), name


def test_names_from_the_data_are_text_on_the_page_and_nothing_else(dated):
    names = {*STRANGE.values(), "Paid Social", "Price Comparison"} - set(GROUPS) | set(GROUPS.values())
    assert set(dated.channels["channel_name"]) == names
    assert len(dated.page.find_all("script")) == 1
    assert dated.page.find_all(["i", "iframe", "object", "link"]) == []
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in dated.page.find_all("img"))
    assert [name for tag in dated.page.find_all(True) for name in tag.attrs if name.startswith("on")] == []
    assert f" Amounts are in {CURRENCY}. " in dated.text
    assert dated.page.find("td", string="x" * 200)


def test_names_from_the_data_are_no_markup_for_the_terminal(dated):
    listed = ihc("diff", "1", "2", "--database", dated.done.database, cwd=dated.done.output)
    assert listed.returncode == 0, listed.stderr
    for name in ("<script>alert(1)</script>", "[bold]markup[/bold]", "two lines", "بحث مدفوع"):
        assert name in listed.stdout


def test_no_field_of_a_csv_runs_in_a_spreadsheet(report):
    for path in report.done.output.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            fields = [field for row in csv.reader(file) for field in row]
        starts = [field for field in fields if re.match(r"\s*[=+\-@＝＋－＠\t\r]", field)]
        assert [field for field in starts if not re.fullmatch(r"-?[\d.]+(e-?\d+)?", field)] == [], path.name


def test_groups_are_the_rows_and_channels_are_stored(dated):
    assert "3 channels of 12 are put into groups; without a group, and under their own name: " in dated.text
    assert "'Paid Social', 'Price Comparison'" in dated.text
    with closing(sqlite3.connect(dated.done.database)) as connection:
        stored = pd.read_sql("SELECT * FROM channel_reporting ORDER BY channel_name, date", connection)
    assert set(stored["channel_name"]) == {*STRANGE.values(), "Paid Social", "Price Comparison"}
    inside_dates = stored[inside(stored["date"], FIRST, LAST)].reset_index(drop=True)
    rows = dated["channel_reporting"]
    assert (
        rows[["channel_name", "date"]].to_numpy().tolist() == inside_dates[["channel_name", "date"]].to_numpy().tolist()
    )
    assert rows[SUMS].to_numpy() == pytest.approx(inside_dates[SUMS].to_numpy())


def test_the_break_even_that_was_set_is_that_of_all_sections(dated):
    verdicts, fragile = dated["break_even"], dated["fragile_channels"].set_index("channel_name")
    assert (verdicts["break_even_cost"] - verdicts["ihc_revenue"] / 4).abs().max() < 1e-9
    is_above = dated["sensitivity"].merge(fragile[["rank"]].reset_index()[["channel_name"]], on="channel_name")
    shares = (is_above["ROAS"] >= 4).groupby(is_above["channel_name"]).mean()
    assert fragile["cells_above"].tolist() == pytest.approx(shares[fragile.index].tolist())
    assert "break-even ROAS 4 (95% confidence)" in dated.paragraphs("What to do with it")
    assert "earns its cost" not in dated.text
    assert "a ROAS of 4." in dated.done.out


def test_exported_credits_are_whole_and_sum_to_the_credited_revenue(dated):
    credits, tables = dated["order_credits"], read_tables(dated.done.database)
    sums = credits.groupby("conv_id")["ihc"].sum()
    assert sums.tolist() == pytest.approx([1.0] * len(sums))
    credited = dated.line(ORDERS, CREDITED)
    assert (len(sums), credits["ihc_revenue"].sum()) == (credited.count, pytest.approx(credited.amount))
    days = tables.conversions.set_index("conv_id")["conv_date"][sums.index]
    assert days.between(FIRST, LAST).all()
    outside = credits[~inside(credits["date"], FIRST, LAST)]
    assert dated.line(CREDIT, "less: credit on days outside the dates").amount == pytest.approx(
        -outside["ihc_revenue"].sum(), abs=0.005
    )
    assert "=new" in sums.index
    assert set(credits["channel_name"]) <= set(tables.sessions["channel_name"])


def test_what_changed_is_parted_by_cause_and_adds_up(dated, whole):
    changes, (causes,) = dated["changes"], [table for table in dated.tables() if table[1][0] == "Cause"]
    total = changes.iloc[-1]
    parts = changes["ihc_revenue_before"] + changes[list(CAUSES)].sum(axis=1)
    assert parts.tolist() == pytest.approx(changes["ihc_revenue_after"].tolist(), abs=1e-5)
    assert {row[0] for row in causes[2]} == {
        *("new orders", "orders gone", "late or changed sessions", "corrected order values"),
    }
    net = sum(float(row[2].replace(",", "")) for row in causes[2])
    assert net == pytest.approx(total["ihc_revenue_after"] - total["ihc_revenue_before"], abs=0.03)
    said = dated.paragraphs("What changed since the last run")
    assert f"from {total['ihc_revenue_before']:,.2f} to {total['ihc_revenue_after']:,.2f}" in said
    assert f"from {total['cost_before']:,.2f} to {total['cost_after']:,.2f}" in said
    # What the first run had on these days.
    before = whole["channel_reporting"].query("@FIRST <= date <= @LAST")
    assert total["ihc_revenue_before"] == pytest.approx(before["ihc_revenue"].sum())
    assert total["cost_before"] == pytest.approx(before["cost"].sum())


def test_the_runs_are_listed_with_the_totals_of_their_reports(whole, dated):
    listed = ihc_here("runs", "--database", dated.done.database, cwd=dated.done.output)
    lines = [line.split() for line in listed.stdout.splitlines() if re.match(r" +\d", line)]
    assert len(lines) == 2
    for line, report in zip(lines, (whole, dated), strict=True):
        total = report.total
        assert line[-3:] == [f"{total[name]:,.2f}" for name in ("ihc_revenue", "cost", "ROAS")]
        assert line[-4] == f"{total['influenced_conversions']:,}"
    compared = ihc_here("diff", "1", "2", "--database", dated.done.database, cwd=dated.done.output)
    assert (
        f"from {whole.total['ihc_revenue']:,.2f} to {dated.total['ihc_revenue']:,.2f}: other dates -" in compared.stdout
    )


@pytest.fixture(scope="module")
def alone(finished, tmp_path_factory):
    """The report of the first run made again with `--report-only`, as if by an API that cannot be reached."""
    folder = tmp_path_factory.mktemp("alone")
    database = Path(shutil.copy(finished.database, folder / "shop.db"))
    (folder / "out").mkdir()
    shutil.copy(finished.output / WITHOUT, folder / "out")
    nowhere = {"IHC_API_URL": "http://127.0.0.1:9/v1/compute_ihc"}
    return Report(run_ihc(folder, database, "--report-only", "--engine", "api", **nowhere), is_second=True)


@pytest.mark.slow
def test_a_report_alone_has_the_tables_and_charts_of_the_run_and_asks_nobody(alone, whole):
    files = [path.relative_to(whole.done.output) for path in whole.done.output.rglob("*.*") if path.suffix != ".ipynb"]
    files = [path for path in files if path.name not in ("report.html", "run.json", "changes.csv", "kernels.log")]
    assert len(files) > 80
    for path in files:
        assert (alone.done.output / path).read_bytes() == (whole.done.output / path).read_bytes(), path
    assert "API:" not in alone.done.out
    assert "03_attribute" not in alone.done.err
    # A file of the run before is not counted as its own.
    tables = len([*whole.done.output.glob("*.csv")])
    assert f"  {tables} tables as CSV" in whole.done.out
    assert (alone.done.output / WITHOUT).exists()
    assert f"  {tables - 1} tables as CSV" in alone.done.out


@pytest.mark.slow
def test_a_report_alone_records_no_run_is_compared_with_the_last_and_says_how_it_is_made(alone):
    with closing(sqlite3.connect(alone.done.database)) as connection:
        assert [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table in ("report_runs", "attribution_runs")
        ] == [(1,), (1,)]
    assert "Nothing changed since run 1 of " in alone.paragraphs("What changed since the last run")
    assert [table[1][0] for table in alone.tables()].count("Cause") == 0
    assert alone.command == "ihc run --database shop.db --engine api --conv-type-id default --report-only"
    assert json.loads((alone.done.output / "run.json").read_text("utf-8"))["command"] == alone.command
