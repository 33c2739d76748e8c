"""The report: what is on the page, without a browser and in a real one."""

import re
from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from itertools import pairwise

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from helpers.commands import ROOT
from helpers.frames import UNTRUSTED
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from ihc.errors import NotebookError
from ihc.glossary import MONEY
from ihc.report.figures import ON_DARK
from ihc.report.page import ORDER, PAGE_OF, executed_in, report_page
from ihc.report.tables import cards, glossary_table, paragraph, table

WIDTHS = (1280, 400)
SCHEMES = ("light", "dark")
LAID_OPEN = """
.table { overflow: visible !important; max-width: none !important; background-image: none !important }
.table :is(th, td) { position: static !important }
"""
A4 = 680  # pixels between the margins: 180 mm


def parsed(html):
    return BeautifulSoup(html, "html.parser")


@pytest.fixture(scope="module")
def page(finished):
    assert finished.code == 0, finished.err
    return parsed((finished.output / "report.html").read_text("utf-8"))


def markdown(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def shows(html, *tags):
    """An executed code cell that shows some HTML."""
    output = new_output("execute_result", {"text/html": html}, execution_count=1)
    return new_code_cell("secret = 1", outputs=[output], execution_count=1, metadata={"tags": list(tags)})


@pytest.fixture
def export(tmp_path):
    """Make the page out of notebooks that are given as lists of cells."""

    def exported(*notebooks):
        paths = {}
        for number, cells in enumerate(notebooks):
            paths[f"{number:02}"] = tmp_path / f"{number:02}.ipynb"
            nbformat.write(new_notebook(cells=cells), paths[f"{number:02}"])
        return report_page(paths, "Title")

    return exported


def failed():
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    return new_code_cell("1 / 0", outputs=[error], execution_count=2)


@pytest.mark.parametrize("last", [failed(), new_code_cell("not_executed()")])
def test_notebooks_that_did_not_reach_their_end_are_named(last, tmp_path):
    whole = [markdown("# Report"), shows("<p>shown</p>", "report")]
    for number, name in enumerate(PAGE_OF):
        nbformat.write(new_notebook(cells=[*whole, last] if number < 2 else whole), tmp_path / f"{name}.ipynb")
    with pytest.raises(NotebookError, match=rf"Not executed to their end: {PAGE_OF[0]}, {PAGE_OF[1]}\. Execute them, "):
        executed_in(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"{}", b"[]", b'{"cells": 1, "nbformat": 4}'])
def test_a_file_that_is_no_notebook_is_refused_by_name(content, tmp_path):
    (tmp_path / "rubbish.ipynb").write_bytes(content)
    with pytest.raises(NotebookError, match=r"The file .*rubbish\.ipynb is no notebook that can be read"):
        report_page({"rubbish": tmp_path / "rubbish.ipynb"}, "Title")
    with pytest.raises(NotebookError, match=r"nothing\.ipynb is no notebook"):
        report_page({"nothing": tmp_path / "nothing.ipynb"}, "Title")


def test_sections_come_in_the_order_of_the_page_whatever_notebook_they_are_in(export):
    first = [markdown("# Report\n\nWhat it is."), markdown("## Files", "report"), markdown("## At a glance", "report")]
    second = [markdown("# Other"), markdown("## Paths\n\nProse.", "report"), shows("<p>shown</p>", "report")]
    page = parsed(export(first, second))
    assert [tag.text for tag in page.find_all(["h1", "h2"])] == ["Report", "At a glance", "Paths", "Files"]
    assert page.header.p.text == "What it is."
    assert page.find("h2", string="Paths").find_next("p").text == "Prose."
    assert page.find("p", string="shown")


def test_only_cells_that_are_tagged_are_shown(export):
    cells = [
        markdown("# Report"), shows("<p>settings</p>"), markdown("## Channels", "report"),
        shows("<p>hidden</p>"), shows("<p>shown</p>", "report"), markdown("## Scratch"), shows("<p>more</p>"),
    ]  # fmt: skip
    assert [tag.text for tag in parsed(export(cells)).main.find_all(["h2", "p"])] == ["Channels", "shown"]


def test_a_section_that_two_notebooks_have_stands_once_with_the_cells_of_both(export):
    both = [
        [
            markdown("# Report"),
            markdown(f"## Channels\n\nProse {number}.", "report"),
            shows(f"<p>{number}</p>", "report"),
        ]
        for number in (1, 2)
    ]
    texts = [tag.text for tag in parsed(export(*both)).main.find_all(["h2", "p"])]
    assert texts == ["Channels", "Prose 1.", "1", "Prose 2.", "2"]


def test_a_section_that_the_page_does_not_know_is_refused_in_a_sentence(export):
    with pytest.raises(NotebookError, match=r"^Notebook 00: the report has no place for a section 'Nonsense'"):
        export([markdown("# Report"), markdown("## Nonsense", "report")])


@pytest.mark.parametrize("before", [[], [markdown("## Scratch")]])
def test_a_tagged_cell_outside_of_the_sections_is_refused_and_not_lost(export, before):
    with pytest.raises(NotebookError, match=r"^Notebook 00: the cell 'Text' is tagged `report` but in no section"):
        export([markdown("# Report"), *before, markdown("Text\nand more", "report")])


def test_headings_have_ids_of_their_own_that_the_contents_link_to(export):
    cells = [
        markdown("# Report"), markdown("## Does it add up?\n\n### In `figures` & words", "report"),
        markdown("### In figures & words", "report"), markdown("## Files\n\n### In figures & words", "report"),
    ]  # fmt: skip
    page = parsed(export(cells))
    assert [tag["id"] for tag in page.main.find_all(["h2", "h3"])] == [
        "does-it-add-up",
        "does-it-add-up-in-figures-words",
        "does-it-add-up-in-figures-words-2",
        "files",
        "files-in-figures-words",
    ]
    assert [link["href"] for link in page.nav.find_all("a")] == ["#does-it-add-up", "#files"]


def test_tables_can_be_scrolled_by_keyboard_and_have_names_of_their_own(export):
    styled = table(pd.DataFrame({"channel_name": ["A"]})).to_html()
    cells = [
        markdown("# Report"), markdown("## Channels", "report"), shows(styled, "report"), shows(styled, "report"),
        markdown("### Cost & revenue", "report"), shows(styled, "report"),
    ]  # fmt: skip
    regions = parsed(export(cells)).find_all(role="region")
    assert [region["aria-label"] for region in regions] == [
        "Table: Channels",
        "Table 2: Channels",
        "Table: Cost & revenue",
    ]
    assert {region["tabindex"] for region in regions} == {"0"}


def test_the_shipped_notebooks_have_their_places_on_the_page():
    page = parsed(report_page({name: ROOT / "notebooks" / f"{name}.ipynb" for name in PAGE_OF}, "Title"))
    assert set(PAGE_OF) <= {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert len(page.find_all("h2")) > 5


def test_the_page_has_title_language_and_policy(page):
    assert page.title.text == "Channel report"
    assert page.html["lang"] == "en"
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    digest = b64encode(sha256(page.script.string.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_on_the_page_loads_from_elsewhere_and_one_script_runs(page):
    assert [dict(script.attrs) for script in page.find_all("script")] == [{}]
    assert page.script.string == (ROOT / "ihc" / "resources" / "page" / "sort.js").read_text("utf-8")
    assert page.find_all(["link", "iframe", "object", "embed"]) == []
    assert [name for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")] == []
    sources = [tag[name] for name in ("src", "href") for tag in page.find_all(attrs={name: True})]
    assert [source for source in sources if not source.startswith(("data:image/svg+xml;base64,", "#"))] == []
    assert re.findall(r"@import|url\(", str(page.find_all("style"))) == []


def test_the_page_is_small(finished):
    assert (finished.output / "report.html").stat().st_size < 3_000_000


def test_the_dark_page_and_the_dark_charts_have_the_same_ground_and_it_is_well_read():
    style = (ROOT / "ihc" / "resources" / "page" / "style.css").read_text("utf-8")
    ground, ink, grey, _ = ON_DARK.values()
    assert f"--ground: {ground}; --ink: {ink};" in style
    assert contrast(ink, ground) > 7
    assert contrast(grey, ground) > 4.5


def contrast(one, other):
    """The contrast of two colours (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    lights = []
    for colour in (one, other):
        parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        lights.append(
            np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        )
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_headings_are_in_order_and_there_is_one_title(page):
    levels = [int(tag.name[1]) for tag in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_chart_has_an_alternative_text_that_says_something(page):
    texts = [image["alt"] for image in page.find_all("img")]
    assert len(texts) == 26
    assert min(map(len, texts)) > 40


def test_no_code_is_shown(page):
    text = page.get_text()
    assert "import " not in text
    assert "load_settings" not in text
    assert page.find_all("pre") == []


def test_the_page_holds_all_sections_in_their_order(page):
    headings = [tag.text for tag in page.find_all("h2")]
    assert headings == list(ORDER)
    assert [link.text for link in page.nav.find_all("a")] == headings


def test_the_page_says_which_engine_and_parameters_made_it(page):
    assert re.search(r"local engine with parameters default \([0-9a-f]{12}\)", page.get_text())


def test_every_column_heading_of_a_table_says_that_it_is_one(page):
    headings = page.find_all("th")
    assert len(headings) > 20
    assert {heading.get("scope") for heading in headings} == {"col"}


@pytest.mark.slow
@pytest.mark.parametrize("run", ["finished", "strange"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_request_leaves_the_page_in_a_real_browser(chromium, request, width, run):
    report = request.getfixturevalue(run).output / "report.html"
    context = chromium.new_context(viewport={"width": width, "height": 900}, offline=True)
    tab = context.new_page()
    requests, complaints = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto(report.as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("window.ran") is None
    context.close()


@pytest.fixture
def examined(chromium, axe, finished):
    """What axe-core says of the page at a width and in a scheme."""

    def examine(width, scheme, options="{}", style="/* as it is */"):
        # Past the policy, as axe-core is no part of the page.
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
        tab = context.new_page()
        tab.goto((finished.output / "report.html").as_uri())
        tab.add_style_tag(content=style)
        tab.add_script_tag(content=axe)
        found = tab.evaluate(f"axe.run({options})")
        context.close()
        return {
            kind: [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found[kind]]
            for kind in ("violations", "incomplete", "passes")
        }

    return examine


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_barrier(examined, width, scheme):
    found = examined(width, scheme)
    assert found["violations"] == []
    assert len(found["passes"]) > 30


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_has_enough_contrast_also_what_must_be_scrolled_to(examined, scheme):
    # axe-core cannot tell the contrast of what it does not see: all tables are laid open.
    found = examined(max(WIDTHS), scheme, "{runOnly: ['color-contrast']}", LAID_OPEN)
    assert found["violations"] == found["incomplete"] == []
    assert len(found["passes"][0][1]) > 100


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A page with all that tables and cards can show, and names that would run where they could."""
    names = [*UNTRUSTED, "<img src=x onerror='window.ran = 1'>", "Total"]
    values = [1234.5, -2.0, np.nan, 10.0, 9.0, 0.5, 100.0, 12.0, 7.0, 1370.0]
    frame = pd.DataFrame({"channel_name": names, "cost": values, "ROAS": values})
    frame = frame.assign(share_of_cost=frame["cost"] / 1370, low=0.8 * frame["ROAS"], high=1.2 * frame["ROAS"])
    figures = pd.DataFrame({"figure": names, "unit": MONEY, "value": values, "before": 1.0, "change": 0.123})
    figures = figures.assign(note=names)
    styled = table(frame, has_total=True, heat=["cost", "ROAS"], intervals={"ROAS": ("low", "high")})
    cells = [
        markdown("# Report"), markdown("## At a glance", "report"),
        shows(cards(figures, currency="<b>EUR</b>").data, "report"), shows(paragraph(*names).data, "report"),
        markdown("## Channels", "report"), shows(styled.to_html(), "report"),
        markdown("## Definitions", "report"), shows(glossary_table().to_html(), "report"),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("rich")
    nbformat.write(new_notebook(cells=cells), folder / "n.ipynb")
    (folder / "report.html").write_text(report_page({"n": folder / "n.ipynb"}, "Title"), "utf-8")
    return folder / "report.html"


@pytest.fixture
def tab(chromium, rich):
    tab = chromium.new_page()
    tab.goto(rich.as_uri())
    yield tab
    tab.close()


def cells_of(tab, place):
    return tab.locator(f".table table.ihc:not(.fixed) tbody td:nth-child({place})").all_text_contents()


@pytest.mark.slow
def test_a_heading_sorts_figures_by_value_up_down_and_back_with_the_total_last(tab):
    before = cells_of(tab, 2)
    heading = tab.get_by_role("columnheader", name="Cost", exact=True)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert cells_of(tab, 2) == ["-2.00", "0.50", "7.00", "9.00", "10.00", "12.00", "100.00", "1,234.50", "", "1,370.00"]
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert cells_of(tab, 2) == ["1,234.50", "100.00", "12.00", "10.00", "9.00", "7.00", "0.50", "-2.00", "", "1,370.00"]
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    assert cells_of(tab, 2) == before


@pytest.mark.slow
def test_figures_with_bounds_and_shares_are_sorted_by_value_by_keyboard_and_one_column_at_a_time(tab):
    for name, place in (("ROAS", 3), ("Share of cost", 4)):
        tab.get_by_role("columnheader", name=name, exact=True).get_by_role("button").focus()
        tab.keyboard.press("Enter")
        figures = [float(re.match(r"[\d.,-]+", text)[0].replace(",", "")) for text in cells_of(tab, place)[:-2]]
        assert figures == sorted(figures)
        assert len(figures) == 8
        assert cells_of(tab, place)[-2] == ""
        assert cells_of(tab, 1)[-1] == "Total"
        assert tab.locator("th[aria-sort]").count() == 1


@pytest.mark.slow
def test_names_are_sorted_as_texts(tab):
    tab.get_by_role("columnheader", name="Channel", exact=True).get_by_role("button").click()
    names = cells_of(tab, 1)
    assert names[-1] == "Total"
    assert sorted(names[:-1]) == sorted([*UNTRUSTED, "<img src=x onerror='window.ran = 1'>"])
    assert names[-2] == "بحث مدفوع"


@pytest.mark.slow
def test_tables_in_an_order_of_their_own_have_no_buttons(tab):
    assert tab.locator("table.fixed").count() == 1
    assert tab.locator("table.fixed button").count() == 0
    assert tab.locator("table:not(.fixed) button").count() == 4


@pytest.mark.slow
def test_nothing_runs_but_the_script_that_the_policy_names(chromium, rich, tmp_path):
    intruders = "<script>window.ran = 1</script><img src='x' onerror='window.ran = 2'>"
    broken = tmp_path / "broken.html"
    broken.write_text(rich.read_text("utf-8").replace("</main>", f"{intruders}</main>"), "utf-8")
    for path in (rich, broken):
        tab = chromium.new_page()
        tab.goto(path.as_uri())
        tab.wait_for_load_state("networkidle")
        assert tab.evaluate("window.ran") is None
        assert tab.locator("table button").count() == 4
        tab.close()


@pytest.mark.slow
def test_without_script_the_page_is_whole(chromium, rich):
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(rich.as_uri())
    assert tab.locator("table button").count() == 0
    assert cells_of(tab, 1)[-1] == "Total"
    assert tab.get_by_role("columnheader", name="ROAS").count() == 1
    context.close()


@pytest.mark.slow
def test_charts_follow_the_dark_scheme_on_the_screen_and_paper_is_always_light(chromium, finished):
    context = chromium.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.goto((finished.output / "report.html").as_uri())
    assert ground(tab) == bytes.fromhex(ON_DARK["#ffffff"][1:])
    tab.emulate_media(media="print", color_scheme="dark")
    assert ground(tab) == b"\xff\xff\xff"
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.emulate_media(media="screen", color_scheme="light")
    assert ground(tab) == b"\xff\xff\xff"
    context.close()


def ground(tab):
    """The colour in the corner of the first chart."""
    return bytes(Image.open(BytesIO(tab.locator("figure img").first.screenshot())).convert("RGB").getpixel((3, 3)))


@pytest.mark.slow
def test_all_fits_on_the_printed_page(chromium, finished, tmp_path):
    tab = chromium.new_page(viewport={"width": A4, "height": 1000})
    tab.goto((finished.output / "report.html").as_uri())
    tab.emulate_media(media="print")
    heights = tab.evaluate("[...document.images].map(image => image.getBoundingClientRect().height)")
    assert max(heights) < 1000  # an A4 page is 1122 pixels high, less its margins
    rights = tab.evaluate(
        "[...document.querySelectorAll('img, table, p, dl')].map(one => one.getBoundingClientRect().right)"
    )
    assert max(rights) <= A4
    tab.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    tab.close()
