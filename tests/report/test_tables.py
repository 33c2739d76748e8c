import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from helpers.frames import UNTRUSTED, conversions, costs, credits_of, outcomes, sessions
from pandas.testing import assert_frame_equal

from ihc.analysis.reconciliation import COST, CREDIT, ORDERS, reconcile
from ihc.analysis.reporting import channel_reporting
from ihc.glossary import GLOSSARY
from ihc.report.tables import DARKEST, HUE, TO_THE_LEFT, glossary_table, notebook_table, reconciliation_table, table
from ihc.schemas.tables import Tables

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


def test_headings_and_number_formats_come_from_the_glossary():
    page = parsed(table(SUMMARY))
    assert texts(page, "thead th") == ["Channel", "Sessions", "Spend", "Share of spend", "ROAS"]
    assert texts(page, "tbody tr:first-child td") == ["Search", "1,234", "1,234.50", "12.3%", ""]
    classes = [cell["class"] for cell in page.select("tbody tr:first-child td")]
    assert ["text" in entry for entry in classes] == [True, False, False, False, False]
    assert ["figure" in entry for entry in classes] == [False, True, True, True, True]


def test_the_index_is_hidden_and_may_have_duplicates():
    page = parsed(table(SUMMARY.set_axis([7, 7])))
    assert not page.select("tbody th")
    assert len(page.select("tbody tr")) == 2


@pytest.mark.parametrize("has_total", [True, False])
def test_only_the_last_row_is_highlighted_as_total(has_total):
    rows = parsed(table(SUMMARY, has_total=has_total)).select("tbody tr")
    assert [all("total" in cell["class"] for cell in row.select("td")) for row in rows] == [False, has_total]


@pytest.mark.parametrize("name", UNTRUSTED)
def test_names_from_the_data_are_escaped(name):
    page = parsed(table(SUMMARY.assign(channel_name=[name, "Total"])))
    assert texts(page, "tbody tr:first-child td")[0] == name
    assert not page.select("script")


def test_column_names_are_escaped():
    page = parsed(table(pd.DataFrame({"channel_name": ["A"], "<script>x</script>": [1.5]})))
    assert texts(page, "thead th")[1] == "<script>x</script>"
    assert texts(page, "tbody td")[1] == "1.50"
    assert not page.select("script")


@pytest.mark.parametrize("has_total", [True, False])
def test_a_frame_without_rows_shows_its_headings(has_total):
    page = parsed(table(SUMMARY.iloc[:0], has_total=has_total))
    assert texts(page, "thead th")[0] == "Channel"
    assert not page.select("tbody tr")


def test_styling_does_not_change_the_frame():
    before = SUMMARY.copy(deep=True)
    table(SUMMARY, has_total=True).to_html()
    assert_frame_equal(SUMMARY, before)


def lines(credit=1.0):
    shop = Tables(
        sessions([("a", "u", "2023-09-01 10:00:00", "Search")]),
        conversions([("k", "u", "2023-09-01 10:00:00", 1234.5), ("untracked", "v", "2023-09-01 10:00:00", 1.0)]),
        costs([("a", 2.0)]),
    )
    credits = credits_of([("k", "a", credit)])
    return reconcile(shop, credits, outcomes([("untracked", "unattributed")]), channel_reporting(*shop, credits))


def test_a_section_of_the_reconciliation_is_a_table_with_highlighted_totals():
    page = parsed(reconciliation_table(lines(), ORDERS))
    assert texts(page, "thead th") == [ORDERS, "Orders", "Amount"]
    assert texts(page, "tbody tr:first-child td") == ["orders read", "2", "1,235.50"]
    totals = [row.td.get_text() for row in page.select("tbody tr") if "total" in row.td["class"]]
    assert totals == ["with a journey", "credited"]
    assert texts(parsed(reconciliation_table(lines(), COST)), "thead th")[1] == "Cost rows"


def test_counts_of_the_reconciliation_have_decimals_only_if_needed():
    assert texts(parsed(reconciliation_table(lines(credit=0.75), CREDIT)), "tbody tr:last-child td")[1] == "0.75"
    assert texts(parsed(reconciliation_table(lines(), CREDIT)), "tbody tr:last-child td")[1] == "1"


def test_the_glossary_defines_every_term():
    page = parsed(glossary_table())
    assert texts(page, "tbody td") == [text for term in GLOSSARY.values() for text in (term.heading, term.definition)]


def shade(styler):
    """Return the opacity of each shaded cell, by row and column."""
    found = re.findall(r"#T_\w+_row(\d+)_col(\d+) *{[^}]*rgba\(0, 114, 178, ([\d.]+)\)", _one_by_one(styler.to_html()))
    return {(int(row), int(column)): float(alpha) for row, column, alpha in found}


def _one_by_one(html):
    """Split rules for several cells of the same shade into one rule per cell."""
    rules = re.findall(r"((?:#T_\w+, )*#T_\w+) {([^}]*)}", html)
    return "".join(f"{cell} {{{body}}}" for cells, body in rules for cell in cells.split(", "))


def heated(values, **options):
    frame = pd.DataFrame({"channel_name": [f"c{place}" for place in range(len(values))], "cost": values})
    return shade(table(frame, heat=["cost"], **options))


def test_heat_shades_a_column_from_minimum_to_maximum():
    # (5 - 0) / (10 - 0) = 0.5 of the darkest shade; the minimum has none
    assert heated([0.0, 5.0, 10.0]) == {(1, 1): pytest.approx(DARKEST / 2), (2, 1): DARKEST}
    assert heated([-10.0, 0.0]) == {(1, 1): DARKEST}
    assert shade(table(SUMMARY)) == {}


def test_the_total_is_neither_shaded_nor_part_of_the_scale():
    assert heated([0.0, 5.0, 10.0, 15.0], has_total=True) == {(1, 1): pytest.approx(DARKEST / 2), (2, 1): DARKEST}


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0], [np.nan, np.nan], [np.nan, 3.0, np.inf]])
def test_equal_values_are_not_shaded(values):
    assert heated(values) == {}
    assert heated([*values, 9.0], has_total=True) == {}


@pytest.mark.parametrize(
    "page", [("#222222", "#ffffff"), ("#222222", "#f6f8fa"), ("#e4e6e8", "#111418"), ("#e4e6e8", "#1b1d21")]
)
def test_figures_on_the_darkest_shade_have_enough_contrast(page):
    ink, ground = (np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255 for colour in page)
    shaded = (1 - DARKEST) * ground + DARKEST * np.array([int(part) for part in HUE.split(", ")]) / 255
    lights = [
        np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        for colour in (ink, shaded)
    ]
    assert (max(lights) + 0.05) / (min(lights) + 0.05) > 4.5  # WCAG's AA


INTERVALS = pd.DataFrame(
    {
        "channel_name": ["A", "B", "C", "D", "Total"],
        "ROAS": [2.314, np.nan, 1500.0, 0.5, 3.0],
        "ROAS_low": [1.9, np.nan, np.nan, -1.25, 2.0],
        "ROAS_high": [2.8, np.nan, 1600.0, 0.75, 4.0],
        "cost": [1.0, 2.0, 3.0, 4.0, 10.0],
    }
)


def test_a_figure_is_written_with_its_bounds_and_their_columns_are_hidden():
    page = parsed(table(INTERVALS, has_total=True, intervals={"ROAS": ("ROAS_low", "ROAS_high")}))
    assert texts(page, "thead th") == ["Channel", "ROAS", "Spend"]
    assert texts(page, "td:nth-child(2)") == [
        "2.31 (1.90–2.80)",
        "",  # no figure
        "1,500.00",  # no lower bound
        "0.50 (-1.25 to 0.75)",
        "3.00 (2.00–4.00)",
    ]
    assert all("figure" in cell["class"] for cell in page.select("td:nth-child(2)"))


def test_a_figure_with_bounds_is_shaded_by_its_value():
    styled = table(INTERVALS, has_total=True, intervals={"ROAS": ("ROAS_low", "ROAS_high")}, heat=["ROAS"])
    # (2.314 - 0.5) / (1500 - 0.5) of the darkest shade
    assert shade(styled) == {(0, 1): pytest.approx(0.0, abs=0.001), (2, 1): DARKEST}


def test_intervals_without_rows_show_their_headings():
    page = parsed(table(INTERVALS.iloc[:0], intervals={"ROAS": ("ROAS_low", "ROAS_high")}))
    assert texts(page, "th") == ["Channel", "ROAS", "Spend"]


def test_true_is_yes_and_false_is_empty():
    page = parsed(table(pd.DataFrame({"channel_name": ["A", "B"], "cost": [True, False]})))
    assert texts(page, "td:nth-child(2)") == ["yes", ""]
    assert all("text" in cell["class"] for cell in page.select("td:nth-child(2)"))


@pytest.mark.parametrize(
    ("styled", "is_fixed"),
    [
        (table(SUMMARY), False),
        (table(SUMMARY, is_fixed=True), True),
        (reconciliation_table(lines(), ORDERS), True),
        (glossary_table(), True),
    ],
    ids=["summary", "steps", "reconciliation", "glossary"],
)
def test_only_tables_with_a_fixed_order_cannot_be_sorted(styled, is_fixed):
    assert ("fixed" in parsed(styled).table["class"]) == is_fixed


def test_text_is_left_aligned_in_a_notebook_without_style_sheets():
    frame = SUMMARY.assign(channel_name=["Search col1 text", "Total"])
    page = BeautifulSoup(notebook_table(table(frame, has_total=True)), "html.parser")
    styled = [cell.text for cell in page.select("[style]")]
    assert styled == ["Channel", "Search col1 text", "Total"]
    assert {cell["style"] for cell in page.select("[style]")} == {TO_THE_LEFT.split('"')[1]}
