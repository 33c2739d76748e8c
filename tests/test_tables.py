import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from frames import UNTRUSTED, conversions, costs, credits_of, outcomes, sessions
from pandas.testing import assert_frame_equal

from ihc.glossary import GLOSSARY
from ihc.reconciliation import COST, CREDIT, ORDERS, reconcile
from ihc.reporting import channel_reporting
from ihc.schemas import Tables
from ihc.tables import glossary_table, paragraph, reconciliation_table, table

SUMMARY = pd.DataFrame(
    {
        "channel_name": ["Search", "Total"],
        "sessions": [1234, 1234],
        "cost": [1234.5, 1234.5],
        "share_of_cost": [0.1234, 1.0],
        "ROAS": [np.nan, 0.056],
    }
)


def parsed(styler):
    return BeautifulSoup(styler.to_html(), "html.parser")


def texts(page, selector):
    return [cell.get_text() for cell in page.select(selector)]


def test_headings_come_from_the_glossary_and_figures_are_written_by_their_unit():
    page = parsed(table(SUMMARY))
    assert texts(page, "thead th") == ["Channel", "Sessions", "Cost", "Share of cost", "ROAS"]
    assert texts(page, "tbody tr:first-child td") == ["Search", "1,234", "1,234.50", "12.3%", ""]


def test_the_index_is_not_shown_and_may_repeat():
    page = parsed(table(SUMMARY.set_axis([7, 7])))
    assert not page.select("tbody th")
    assert len(page.select("tbody tr")) == 2


def test_texts_and_figures_are_told_apart_by_class():
    first = parsed(table(SUMMARY)).select("tbody tr:first-child td")
    assert ["text" in cell["class"] for cell in first] == [True, False, False, False, False]
    assert ["figure" in cell["class"] for cell in first] == [False, True, True, True, True]


@pytest.mark.parametrize("has_total", [True, False])
def test_a_total_sets_off_the_last_row_only(has_total):
    rows = parsed(table(SUMMARY, has_total=has_total)).select("tbody tr")
    assert [all("total" in cell["class"] for cell in row.select("td")) for row in rows] == [False, has_total]


@pytest.mark.parametrize("name", UNTRUSTED)
def test_names_from_the_data_are_text_in_cells(name):
    page = parsed(table(SUMMARY.assign(channel_name=[name, "Total"])))
    assert texts(page, "tbody tr:first-child td")[0] == name
    assert not page.select("script")


def test_a_column_of_the_callers_own_is_escaped_too():
    page = parsed(table(pd.DataFrame({"channel_name": ["A"], "<script>x</script>": [1.5]})))
    assert texts(page, "thead th")[1] == "<script>x</script>"
    assert texts(page, "tbody td")[1] == "1.50"
    assert not page.select("script")


@pytest.mark.parametrize("has_total", [True, False])
def test_a_frame_without_rows_shows_its_headings(has_total):
    page = parsed(table(SUMMARY.iloc[:0], has_total=has_total))
    assert texts(page, "thead th")[0] == "Channel"
    assert not page.select("tbody tr")


def test_styling_leaves_the_frame_alone():
    before = SUMMARY.copy(deep=True)
    table(SUMMARY, has_total=True).to_html()
    assert_frame_equal(SUMMARY, before)


def lines(credit=1.0):
    shop = Tables(
        sessions([("a", "u", "2023-09-01 10:00:00", "Search")]),
        conversions([("k", "u", "2023-09-01 10:00:00", 1234.5), ("lonely", "v", "2023-09-01 10:00:00", 1.0)]),
        costs([("a", 2.0)]),
    )
    credits = credits_of([("k", "a", credit)])
    return reconcile(shop, credits, outcomes([("lonely", "unattributed")]), channel_reporting(*shop, credits))


def test_a_section_of_the_reconciliation_is_a_table_of_its_own_with_its_totals_set_off():
    page = parsed(reconciliation_table(lines(), ORDERS))
    assert texts(page, "thead th") == [ORDERS, "Orders", "Amount"]
    assert texts(page, "tbody tr:first-child td") == ["orders read", "2", "1,235.50"]
    totals = [row.td.get_text() for row in page.select("tbody tr") if "total" in row.td["class"]]
    assert totals == ["with a journey", "credited"]


def test_counts_of_the_reconciliation_have_decimals_only_where_one_is_no_whole_number():
    assert texts(parsed(reconciliation_table(lines(credit=0.75), CREDIT)), "tbody tr:last-child td")[1] == "0.75"
    assert texts(parsed(reconciliation_table(lines(), CREDIT)), "tbody tr:last-child td")[1] == "1"


def test_cost_is_counted_in_rows():
    assert texts(parsed(reconciliation_table(lines(), COST)), "thead th")[1] == "Cost rows"


def test_the_glossary_defines_every_term():
    page = parsed(glossary_table())
    assert texts(page, "tbody td") == [text for term in GLOSSARY.values() for text in (term.heading, term.definition)]


@pytest.mark.parametrize("name", UNTRUSTED)
def test_a_paragraph_is_plain_text(name):
    page = BeautifulSoup(paragraph(f"Best is {name}.", "", "Worst is B.").data, "html.parser")
    assert [entry.name for entry in page.find_all()] == ["p"]
    assert page.p.get_text() == f"Best is {name}. Worst is B."


def test_a_strong_paragraph_is_a_warning():
    assert paragraph("Attention.", strong=True).data == '<p class="warning">Attention.</p>'
    assert paragraph("Fine.").data == "<p>Fine.</p>"
