from datetime import date

import pytest
from helpers.frames import UNTRUSTED

from ihc.formatting import (
    brief_percent,
    counted,
    dated,
    dated_axis,
    duration,
    fixed,
    general,
    listed,
    lookback,
    named,
    percent,
    percentage,
    shown,
    speak,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1e-9, "<1%"), (0.005, "<1%"), (0.0051, "1%"), (0.5, "50%"), (0.995, ">99%"), (1.0, "100%")],
)
def test_a_positive_share_is_never_0_percent_and_a_partial_share_never_100_percent(share, text):
    assert brief_percent(share) == text
    assert percent(share) == text.replace("<", "less than ").replace(">", "more than ")


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        *((0, "0"), (0.001, "1 min"), (0.2, "12 min"), (1, "1 h"), (1.26, "1.3 h"), (47.9, "47.9 h")),
        *((48, "2 days"), (212.25, "8.8 days"), (240_000, "10,000 days")),
    ],
)
def test_a_duration_has_a_suitable_unit(hours, text):
    assert duration(hours) == text


@pytest.mark.parametrize(
    ("days", "text"),
    [
        *((None, "no lookback window"), (float("nan"), "no lookback window"), (1.0, "a lookback window of 1 day")),
        *((30, "a lookback window of 30 days"), (0.5, "a lookback window of 0.5 days")),
    ],
)
def test_the_lookback_window_is_named(days, text):
    assert lookback(days) == text


@pytest.mark.parametrize(("count", "text"), [(1, "0"), (5, "0, 1, 2, 3, 4"), (7, "0, 1, 2, 3, 4, and 2 more")])
def test_names_are_listed_up_to_a_limit(count, text):
    assert named(list(range(count))) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (1, "0"), (2, "0 and 1"), (4, "0, 1, 2 and 3"), (6, "0, 1, 2, 3 and 2 more")]
)
def test_a_list_in_words_ends_with_and(count, text):
    assert listed([str(number) for number in range(count)]) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("Paid Search", "Paid Search"), ("two\nlines\tand  spaces ", "two lines and spaces"), ("", "(blank)")),
        *(("back\x08space", "back space"), ("\x00", "(blank)"), (None, "None"), ("بحث مدفوع", "بحث مدفوع")),
        *(("$x_1$", "$x_1$"), ("a" * 40, "a" * 40), ("a" * 41, "a" * 39 + "…")),
        *(("a\ufffeb", "a b"), ("a\uffffb", "a b")),  # forbidden in XML
    ],
)
def test_a_name_is_shown_on_one_line_without_control_characters_and_cut(name, text):
    assert shown(name) == text


@pytest.mark.parametrize("name", UNTRUSTED)
def test_any_name_is_shown_in_printable_characters(name):
    assert shown(name).isprintable()
    assert len(shown(name, 26)) <= 26


LANGUAGES = {
    "": ("1,234.50", "+12.5%", "2.5", "1,234 orders", "less than 1%", "2025-03-01", "01 Mar", "Mar 2025"),
    "en": ("1,234.50", "+12.5%", "2.5", "1,234 orders", "less than 1%", "Mar 1, 2025", "Mar 1", "Mar 2025"),
    "de": ("1.234,50", "+12,5 %", "2,5", "1.234 orders", "less than 1 %", "01.03.2025", "1. März", "März 2025"),
    "tr": ("1.234,50", "%+12,5", "2,5", "1.234 orders", "less than %1", "1 Mar 2025", "1 Mar", "Mar 2025"),
    "fr-CH": ("1 234,50", "+12,5%", "2,5", "1 234 orders", "less than 1%", "1 mars 2025", "1 mars", "mars 2025"),
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_numbers_and_dates_follow_the_language(name, plain_language):
    speak(name)
    first = date(2025, 3, 1)
    found = (fixed(1234.5, 2), percentage(0.125, 1, sign=True), general(2.5), counted(1234, "order"), percent(0.001))
    found += (dated("2025-03-01"), dated_axis(first), dated_axis(first, by_month=True))
    assert tuple(" ".join(text.split()) for text in found) == LANGUAGES[name]  # some spaces are non-breaking


def test_text_that_is_not_a_date_is_unchanged(plain_language):
    speak("de")
    assert [dated(text) for text in ("the first day", "2025-3", "20250301")] == [
        *("the first day", "2025-3", "20250301")
    ]
    assert dated("2025-03") == "März 2025"
    assert dated("2025-03-01 13:32:39") == "01.03.2025 13:32:39"
