import shutil
from functools import partial

import pandas as pd
import pytest
from matplotlib.font_manager import fontManager

from ihc.charts import style
from ihc.charts.channels import cost_against_revenue_chart
from ihc.charts.style import FIRST, families, letters_without_font
from ihc.report.figures import Picture, write_chart

SCRIPT = "\U0001d49c"  # MATHEMATICAL SCRIPT CAPITAL A: not in the first font, but in another that matplotlib ships
CHINESE = "百度"
STIX = next(entry.fname for entry in fontManager.ttflist if entry.fname.endswith("STIXGeneral.ttf"))


@pytest.fixture
def alone(monkeypatch):
    """A machine with the default font only."""
    only = [entry for entry in fontManager.ttflist if entry.name == FIRST]
    monkeypatch.setattr(fontManager, "ttflist", only)
    monkeypatch.setattr(style, "findSystemFonts", list)
    monkeypatch.setattr(style, "_FAMILIES", {})
    yield
    fontManager._findfont_cached.cache_clear()


def shipped(name):
    return next(entry.fname for entry in fontManager.ttflist if entry.name == name)


def test_the_default_font_covers_latin_greek_cyrillic_and_arabic():
    assert families(["Suche", "Größe", "Ελλάδα", "Яндекс Директ", "بحث مدفوع"]) == [FIRST]
    assert families([]) == [FIRST]


def test_another_font_with_a_missing_letter_follows_the_default():
    first, other = families(["Suche", SCRIPT])
    assert first == FIRST
    assert style._has(shipped(other), SCRIPT) == {SCRIPT}
    assert letters_without_font([SCRIPT]) == []


def test_a_newly_installed_font_is_found(alone, monkeypatch, tmp_path):
    bold, regular = (tmp_path / f"New-{weight}.ttf" for weight in ("Bold", "Regular"))
    for path in (bold, regular):
        shutil.copy(STIX, path)
    monkeypatch.setattr(style, "findSystemFonts", lambda: [str(bold), str(regular), str(tmp_path / "gone.ttf")])
    assert families([SCRIPT]) == [FIRST, "STIXGeneral"]
    assert [entry.fname for entry in fontManager.ttflist if entry.name == "STIXGeneral"] == [str(regular)]


def test_letters_without_a_font_are_listed_once(alone):
    assert letters_without_font(["a", CHINESE, "度"]) == sorted(CHINESE)


def test_invisible_characters_need_no_font(alone):
    assert letters_without_font(["a\u200b\u200e\ufe0f\x08\u2003\ue000"]) == []


@pytest.mark.parametrize("name", ["Suche", CHINESE, SCRIPT, "\U00012000"])
def test_a_chart_with_any_letters_is_drawn_without_warnings(alone, tmp_path, recwarn, name):
    table = pd.DataFrame({"channel_name": [name], "cost": [1.0], "ihc_revenue": [2.0]})
    draw = partial(cost_against_revenue_chart, table, currency=name)
    assert write_chart(partial(Picture, draw, name, name), tmp_path, "chart") == ""
    assert not recwarn.list


def test_a_chart_has_fonts_for_its_names_and_text_arguments():
    table = pd.DataFrame({"channel_name": ["Suche"], "cost": [1.0], "ihc_revenue": [2.0]})
    for figure in (
        cost_against_revenue_chart(table.assign(channel_name=SCRIPT)),
        cost_against_revenue_chart(table, currency=SCRIPT),
    ):
        axes = figure.axes[0]
        assert axes.xaxis.label.get_fontfamily() == axes.get_yticklabels()[0].get_fontfamily() == families([SCRIPT])
