"""The HTML page, without and with a real browser."""

import json
import re
import sqlite3
from base64 import b64encode
from collections import Counter
from contextlib import closing
from hashlib import sha256

import pytest
from bs4 import BeautifulSoup

import ihc
from ihc.database.database import Database
from ihc.pipeline.sample import write_sample
from ihc.report.figures import ON_DARK
from ihc.report.page import PAGE, report_page
from ihc.report.verdicts import MOST_ROWS

SCRIPT = "<script>window.ran = 1</script>"
HOSTILE = {
    "Paid Social": SCRIPT,
    "Shopping Ads": '=HYPERLINK("x")',
    "Referral": "</svg><img src=x onerror='ran = 2'>",
    "Affiliates": '" onfocus="window.ran=3" x="',
}
SIDES = {"wide": 1280, "phone": 400}
A4 = 703  # pixels between the margins: 186 mm


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a small shop, with channel names that try to run code."""
    path = tmp_path_factory.mktemp("page") / "shop.db"
    write_sample(Database(path), conversions=150, seed=3)
    with closing(sqlite3.connect(path)) as connection, connection:
        renamed = "UPDATE session_sources SET channel_name = ? WHERE channel_name = ?"
        connection.executemany(renamed, [(new, old) for old, new in HOSTILE.items()])
    return ihc.open(path).report("2025-03-01", "2025-03-28", break_even_roas=4, currency="EUR")


@pytest.fixture(scope="module")
def html(report):
    return report_page(report)


@pytest.fixture
def in_house_style(report, tmp_path, plain_language):
    """The same report in a house style with German numbers."""
    (tmp_path / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran = 5"/>')
    entries = 'title = "<b>Acme</b>"\nlogo = "logo.svg"\nlanguage = "de"\naccent = "#0b6e4f"\n'
    chosen = 'sections = ["Trend and conversion lag", "Reconciliation"]\n[channels]\n"Organic Search" = "#123456"\n'
    (tmp_path / "house.toml").write_text(entries + chosen + 'Fax = "#808080"\n')
    style = tmp_path / "house.toml"
    database = report.data.settings.database.address
    return ihc.open(database, style=style).report("2025-03-01", "2025-03-28", break_even_roas=4, currency="EUR")


@pytest.fixture(scope="module")
def page(html):
    return BeautifulSoup(html, "html.parser")


def amount(text):
    return float(text.replace(",", ""))


def rows_of(page):
    return page.select("table.verdict-table tbody tr")


def test_the_summary_has_headline_status_and_six_figures(page, report):
    assert page.h1.text == report.headline
    assert page.select_one(".status").text == report.status
    assert [card.text for card in page.select("#summary .cards dt")] == [
        *("Spend", "Revenue", "Blended ROAS"),
        *("ROAS of paid channels", "Orders", "Tracked orders"),
    ]
    assert [point.text for point in page.select(".points li")] == [point.text for point in report.points]


def test_the_headline_counts_the_channels_that_the_table_marks_as_above(report, page):
    above = [row for row in rows_of(page) if "▲ above" in row.text]
    assert len(above) > 1
    assert f"{len(above)} channels with" in page.h1.text


def test_each_roas_says_what_it_is_and_verdicts_name_the_break_even(page):
    notes = {card.dt.text: card.select_one(".note").text for card in page.select("#summary .cards > div:has(.note)")}
    assert notes["Blended ROAS"].startswith("revenue / spend")
    assert notes["ROAS of paid channels"].startswith("attributed revenue / spend")
    assert "Verdict (break-even 4)" in [head.text for head in page.select(".verdict-table thead th")]


def test_the_channel_table_is_sorted_by_spend_and_adds_up(page, report):
    *rows, last = rows_of(page)
    summary = report.channels.frame
    assert [row.th["data-channel"] for row in rows] == (
        summary.iloc[:-1].sort_values(["cost", "ihc_revenue"], ascending=False)["channel_name"].tolist()
    )
    for place, column in ((0, "cost"), (2, "ihc_revenue")):
        figures = [amount(row.find_all("td")[place].text) for row in rows]
        assert sum(figures) == pytest.approx(summary[column].iloc[-1], abs=len(rows))
        assert amount(last.find_all("td")[place].text) == pytest.approx(summary[column].iloc[-1], abs=0.5)
    assert amount(last.select_one(".roas").text) == pytest.approx(summary["ROAS"].iloc[-1], abs=0.005)
    assert len(rows) <= MOST_ROWS


def test_each_row_has_interval_verdict_and_robustness(page, report):
    verdicts = report.data.verdicts.set_index("channel_name")
    stability = report.stability.frame.set_index("channel_name")["stability"]
    for row in rows_of(page)[:-1]:
        known, *_, said, robust = verdicts.loc[row.th["data-channel"]], *row.find_all("td")
        assert known["verdict"] in said.text
        assert robust.text == stability.get(row.th["data-channel"], "below 1% of spend" if known["cost"] else "")
        drawn = row.select_one("svg[data-tip]")
        assert bool(drawn) == bool(known["cost"])
        assert not drawn or f"ROAS {known['ROAS']:,.2f}" in drawn.title.text == drawn["aria-label"]


def test_all_models_are_available_for_the_same_sessions(page, report):
    names = [option.text for option in page.select("#model option")]
    assert names == ["IHC", *report._compared.chosen]
    *rows, _ = rows_of(page)
    linear = names.index("Linear")
    grid = report.sensitivity.frame
    known = grid[(grid["model"] == "Linear") & grid["lookback_days"].isna() & (grid["redistribution"] == "none")]
    known = known.set_index("channel_name")["ihc_revenue"]
    for row in rows:
        values = json.loads(row.select_one("[data-models]")["data-models"])
        assert amount(values[linear]) == pytest.approx(known[row.th["data-channel"]], abs=0.51)


def test_charts_have_findings_as_titles_and_none_is_empty(page):
    charts = page.select("svg.chart")
    assert 8 <= len(charts) <= 12
    titles = [chart.find_parent("article").h3.text for chart in charts]
    assert all(re.search(r"\d", title) for title in titles)
    assert len(set(titles)) == len(titles)
    assert len({chart["aria-label"] for chart in charts}) == len(charts)
    assert "Nothing to show" not in page.text
    assert page.select("svg.chart style, svg.chart metadata") == []
    assert (
        f'svg.chart *:not(text)[style*="fill: #ffffff"] {{fill: {ON_DARK["#ffffff"]} !important}}' in page.style.string
    )
    assert page.select_one("#detail-phases_by_channel svg path > title, #detail-phases_by_channel use > title")


def test_the_sections_are_folded(page):
    assert [heading.text for heading in page.select("main > details > summary")] == [
        *("Channels", "Trend and conversion lag", "Models and sensitivity", "Paths", "Changes since the last run"),
    ]
    assert [heading.text for heading in page.select(".appendix > details > summary")] == [
        *("Reconciliation", "Data quality", "Model parameters", "Files", "Definitions", "About this report"),
    ]
    assert page.select("details[open]") == []
    assert page.select_one(".command").text.startswith("ihc run --database shop.db")


def test_ids_are_unique_and_references_exist(page):
    ids = Counter(tag["id"] for tag in page.find_all(id=True))
    assert [name for name, count in ids.items() if count > 1] == []
    aims = [tag[name][1:] for name in ("href", "xlink:href") for tag in page.find_all(attrs={name: re.compile("^#")})]
    aims += re.findall(
        r"url\(#([^)]+)\)", " ".join(tag["clip-path"] for tag in page.find_all(attrs={"clip-path": True}))
    )
    assert set(aims) <= set(ids)
    assert aims


def test_the_policy_allows_only_this_script_and_nothing_is_loaded(page):
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    digest = b64encode(sha256(page.script.string.encode()).digest()).decode()
    assert dict(rule.split(" ", 1) for rule in policy.split("; ")) == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.script.string == (PAGE / "page.js").read_text("utf-8")
    assert len(page.find_all("script")) == 1
    assert page.find_all(["link", "iframe", "object", "embed", "img"]) == []
    sources = [tag[name] for name in ("src", "href", "xlink:href") for tag in page.find_all(attrs={name: True})]
    assert [source for source in sources if not source.startswith("#")] == []


def test_names_from_the_data_are_escaped(page, html):
    assert [name for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")] == []
    assert {row.th.text for row in rows_of(page)} >= set(HOSTILE.values())
    assert SCRIPT not in html
    assert any(SCRIPT[:20] in text.text for text in page.select("svg.chart text"))


def test_headings_have_their_definitions(page):
    heads = page.select("#channels thead abbr")
    assert {"ROAS", "CPO", "Share of credit"} <= {head.text for head in heads}
    assert all(head["title"] for head in heads)


def test_a_chart_that_fails_does_not_stop_the_page(report, monkeypatch):
    def failing(*_, **__):
        raise ValueError("<b>broken</b>")

    monkeypatch.setattr("ihc.report.page.inline_svg", failing)
    page = report_page(report)
    assert "This chart was not drawn (ValueError: &lt;b&gt;broken&lt;/b&gt;)" in page


def test_dates_without_orders_give_a_page_with_a_message(report):
    empty = ihc.open(report.data.settings.database.address).report("2020-01-01", "2020-01-02")
    page = BeautifulSoup(report_page(empty), "html.parser")
    assert page.h1.text == empty.missing
    assert page.select("svg.chart, details.section#channels") == []


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "report.html"
    path.write_text(html, "utf-8")
    return path


@pytest.fixture
def opened(chromium, file):
    """Open the page and record its requests and errors."""
    contexts = []

    def open_page(width=1280, **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.requests, tab.errors = [], []
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.on("console", lambda message: tab.errors.append(message.text))
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.goto(file.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()


def unfold(tab, selector="main > details"):
    tab.evaluate(f"document.querySelectorAll('{selector}').forEach(part => part.open = true)")


def column(tab, place):
    return tab.locator(f".verdict-table tbody tr :is(th, td):nth-child({place})").all_text_contents()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("side", SIDES)
def test_axe_finds_no_violations_and_nothing_is_loaded(opened, axe, side, scheme):
    tab = opened(SIDES[side], color_scheme=scheme)
    unfold(tab, "details")
    assert len(tab.requests) == 1
    assert tab.errors == []
    assert tab.evaluate("window.ran") is None
    tab.evaluate(axe)
    listed = "result.violations.map(each => [each.id, each.nodes.length, each.nodes[0].html.slice(0, 200)])"
    assert tab.evaluate(f"axe.run().then(result => {listed})") == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= SIDES[side]


@pytest.mark.slow
def test_robustness_with_lost_tracking_is_one_line_and_fits_the_page(chromium, report, tmp_path):
    settings = report.data.settings
    stressed = ihc.open(settings.database.address).report(**settings.window, break_even_roas=4, stress=40)
    path = tmp_path / "report.html"
    path.write_text(report_page(stressed), "utf-8")
    for side, width in SIDES.items():
        tab = chromium.new_page(viewport={"width": width, "height": 900})
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        lines = tab.evaluate(
            """[...document.querySelectorAll('.verdict-table td:last-child')].map(cell => { const text =
            document.createRange(); text.selectNodeContents(cell); return text.getClientRects().length; })"""
        )
        assert max(lines) == 1
        hidden = tab.evaluate("(box => box.scrollWidth - box.clientWidth)(document.querySelector('.table.wide'))")
        assert side == "phone" or hidden == 0
        tab.close()


@pytest.mark.slow
def test_the_summary_fits_one_screen_and_the_page_is_short(opened):
    tab = opened()
    assert tab.evaluate("document.getElementById('summary').getBoundingClientRect().bottom") <= 900
    assert tab.evaluate("document.body.innerText.split(/\\s+/).length") <= 1500
    unfold(tab)
    assert tab.evaluate("document.querySelector('.appendix').getBoundingClientRect().top + scrollY") <= 9000


@pytest.mark.slow
def test_on_a_phone_text_is_legible_and_roas_is_visible(opened):
    tab = opened(400)
    unfold(tab)
    sizes = tab.evaluate(
        """[...document.querySelectorAll('main *')].filter(each => each.checkVisibility() && [...each.childNodes].some(
        part => part.nodeType === 3 && part.data.trim())).map(each => parseFloat(getComputedStyle(each).fontSize) * (
        each.ownerSVGElement ? each.ownerSVGElement.getScreenCTM().a : 1))"""
    )
    assert min(sizes) >= 10.99
    assert tab.locator(".verdict-table thead th", has_text="ROAS").bounding_box()["x"] < 370
    box = tab.locator(".table.wide")
    before = tab.locator(".verdict-table tbody th").first.bounding_box()["x"]
    box.evaluate("box => box.scrollLeft = 200")
    assert tab.locator(".verdict-table tbody th").first.bounding_box()["x"] == pytest.approx(before, abs=1)


@pytest.mark.slow
def test_the_print_has_few_pages_and_the_summary_is_the_first(opened, tmp_path):
    tab = opened(A4, color_scheme="dark")
    tab.pdf(path=tmp_path / "report.pdf", format="A4", prefer_css_page_size=True)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes())) <= 8
    tab.emulate_media(media="print")
    assert tab.evaluate("document.getElementById('summary').getBoundingClientRect().bottom") <= 1030
    assert tab.evaluate("document.documentElement.scrollWidth") <= A4
    titles = tab.locator(".appendix > details:visible > summary").all_text_contents()
    assert titles == ["Reconciliation", "Data quality", "Definitions", "About this report"]
    assert tab.locator(".on-paper").inner_text() == (
        "Not printed, but on the page: Untracked revenue by day, Remedies, Model parameters, Files."
    )
    assert not tab.get_by_role("heading", name="Remedies").is_visible()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_the_page_is_complete_without_script(opened):
    tab = opened(java_script_enabled=False)
    assert tab.locator(".tools").is_hidden()
    tab.locator("#channels > summary").click()
    assert tab.locator("#channels table").first.is_visible()


@pytest.mark.slow
def test_a_heading_sorts_in_both_directions_with_the_total_last(opened):
    tab = opened()
    before = column(tab, 5)
    heading = tab.locator(".verdict-table thead th", has_text="ROAS")
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == order
        figures = [sign * amount(text) for text in column(tab, 5)[:-1] if text]
        assert figures == sorted(figures)
        assert column(tab, 1)[-1] == "Total"
    heading.get_by_role("button").click()
    assert column(tab, 5) == before


@pytest.mark.slow
def test_a_channel_is_highlighted_everywhere_by_keyboard(opened):
    tab = opened()
    unfold(tab, "details")
    button = tab.locator(".verdict-table").get_by_role("button", name=SCRIPT)
    button.focus()
    tab.keyboard.press("Enter")
    rows = tab.locator("tr.marked")
    assert rows.count() >= 4
    assert all(text.strip().startswith(SCRIPT) for text in rows.all_text_contents())
    assert tab.locator("svg.chart text.marked").count() >= 4
    assert button.get_attribute("aria-pressed") == "true"
    tab.keyboard.press("Enter")
    assert tab.locator(".marked").count() == 0


@pytest.mark.slow
def test_another_model_changes_figures_and_channels_without_spend_can_be_hidden(opened):
    tab = opened()
    own = column(tab, 4)
    tab.locator("#model").select_option(label="Last touch")
    assert column(tab, 4) != own
    assert "under Last touch" in tab.locator(".modelled").inner_text()
    tab.locator("#model").select_option(label="IHC")
    assert column(tab, 4) == own
    assert tab.locator(".modelled").is_hidden()
    shown = tab.locator(".verdict-table tbody tr:visible").count()
    tab.locator("#costless").click()
    assert tab.locator(".verdict-table tbody tr:visible").count() == shown - tab.locator("tr.costless").count() < shown
    tab.locator("svg[data-tip]").first.focus()
    assert "95% interval" in tab.locator("#tip").inner_text()


@pytest.mark.slow
def test_a_table_is_downloaded_as_csv_without_formulas(opened):
    tab = opened()
    with tab.expect_download() as saved:
        tab.locator("#summary button.csv").click()
    assert saved.value.suggested_filename == "verdicts.csv"
    lines = saved.value.path().read_text("utf-8").splitlines()
    assert lines[0].startswith("Channel,Spend,Share,Attributed revenue,ROAS,")
    assert len(lines) == tab.locator(".verdict-table tr").count()
    assert any(line.startswith('"\'=HYPERLINK(""x"")"') for line in lines)
    assert tab.errors == []


def test_a_house_style_sets_title_logo_colours_language_and_sections(in_house_style, html):
    styled = report_page(in_house_style)
    page, plain = BeautifulSoup(styled, "html.parser"), BeautifulSoup(html, "html.parser")
    assert page.title.text == page.select_one(".house").text == "<b>Acme</b>"
    assert page.select_one(".house img")["src"].startswith("data:image/svg+xml;base64,")
    assert "--accent: #0b6e4f" in styled
    assert [each["id"] for each in page.select("details.section")] == [
        *("trend-and-conversion-lag", "reconciliation", "definitions", "about")
    ]
    cells = [[row.select("td")[0].text for row in rows_of(each)] for each in (page, plain)]
    assert [text.replace(".", ",") for text in cells[0]] == cells[1]  # 1.234 and 1,234
    assert ["März" in each.select_one("#cost_and_revenue svg").text for each in (page, plain)] == [True, False]
    assert ["fill: #123456" in str(each.select_one("#trend-and-conversion-lag")) for each in (page, plain)] == [
        *(True, False)
    ]
    assert "colours for channels that do not exist: Fax." in page.select_one("#about").text


@pytest.mark.slow
def test_a_page_in_another_language_sorts_and_downloads_figures_as_numbers(in_house_style, chromium, tmp_path):
    (tmp_path / "report.html").write_text(report_page(in_house_style), "utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("table.verdict-table th", has_text="Spend").locator("button").click()
    shown = page.locator("table.verdict-table tbody tr:not(.total) td:nth-child(2)").all_inner_texts()
    spent = [float(text.replace(".", "")) for text in shown]
    assert spent == sorted(spent)
    assert len(set(spent)) > 3
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    with page.expect_download() as download:
        page.locator("#detail-cost_and_revenue button.csv").click()
    _, *rows = download.value.path().read_text("utf-8").splitlines()
    frame = in_house_style.daily.frame
    assert [row.split(",")[0] for row in rows] == frame["date"].tolist()
    assert [float(row.split(",")[1]) for row in rows] == pytest.approx(frame.iloc[:, 1].round(2).tolist())
    assert page.evaluate("window.ran") is None
    page.close()
