import xml.etree.ElementTree as ET
from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers.frames import UNTRUSTED

from ihc.charts.channels import cost_against_revenue_chart
from ihc.charts.models import ON_CELL, models_by_channel_chart
from ihc.charts.palette import COLOURS
from ihc.charts.style import BLUE, GREY, INK, ORANGE, PALE, WIDTH
from ihc.formatting import printable
from ihc.report.figures import ON_DARK, Picture, write_chart

SUMMARY = pd.DataFrame({"channel_name": ["Search", "Mail"], "cost": [100.25, np.nan], "ihc_revenue": [250.0, 10.0]})


def published(folder, alt="Bars: cost.", note="", summary=SUMMARY):
    return write_chart(partial(Picture, partial(cost_against_revenue_chart, summary), alt, note), folder, "chart")


def test_a_chart_is_written_as_svg_and_png_with_its_text_alternative(tmp_path):
    assert published(tmp_path / "charts", alt='Bars: <b> & "cost"') == ""
    assert ET.parse(tmp_path / "charts" / "chart.svg").getroot()[0].text == 'Bars: <b> & "cost"'
    assert (tmp_path / "charts" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "charts").iterdir())) == 2


def test_a_png_has_150_dots_per_inch_whether_or_not_the_svg_is_made_first():
    picture = Picture(partial(cost_against_revenue_chart, SUMMARY), "Bars: cost.")
    before, _, after = picture.png_file, picture.svg_file, picture.png_file
    assert before == after
    assert int.from_bytes(before[16:20], "big") == 150 * WIDTH  # the width in the header of a PNG


def test_a_chart_that_fails_gives_a_sentence_and_its_old_files_are_deleted(tmp_path):
    published(tmp_path)
    (tmp_path / "other.svg").touch()
    failed = published(tmp_path, summary=pd.DataFrame({"<b>": [1]}))
    assert failed == (
        "The chart chart was not drawn (KeyError: 'channel_name'). Its figures are in the tables and CSV files."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["other.svg"]


def test_a_chart_that_cannot_be_written_gives_a_sentence(tmp_path):
    (tmp_path / "chart.svg").mkdir()
    assert "The chart chart was not drawn (IsADirectoryError: Is a directory). Its figures" in published(tmp_path)


def test_the_same_table_gives_the_same_files(tmp_path):
    published(tmp_path / "a", note="note")
    published(tmp_path / "b", note="note")
    for kind in ("svg", "png"):
        assert (tmp_path / "a" / f"chart.{kind}").read_bytes() == (tmp_path / "b" / f"chart.{kind}").read_bytes()


@pytest.mark.parametrize("text", [*UNTRUSTED, "\uffff"])
def test_any_text_and_note_gives_valid_xml_and_is_unchanged(tmp_path, text, recwarn):
    published(tmp_path, alt=f"Best is {text}.", note=f"parameters {text}")
    said = ["".join(entry.itertext()) for entry in ET.parse(tmp_path / "chart.svg").iter()]
    assert {printable(f"Best is {text}."), printable(f"parameters {text}")} <= set(said)


def dark_rules(folder):
    svg = (folder / "chart.svg").read_text("utf-8")
    (style,) = [entry.text for entry in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}style")]
    return style.partition("@media screen and (prefers-color-scheme: dark)")[2]


def test_only_neutral_colours_change_on_a_dark_page(tmp_path):
    published(tmp_path)
    rules = dark_rules(tmp_path)
    assert list(ON_DARK) == ["#ffffff", INK, GREY, PALE]
    for light, dark in ON_DARK.items():
        for what in ("fill", "stroke"):
            assert f'[style*="{what}: {light}"] {{{what}: {dark} !important}}' in rules
    assert not [colour for colour in (BLUE, ORANGE, ON_CELL, *COLOURS) if colour.lower() in rules.lower()]


def test_text_on_coloured_cells_keeps_its_colour_on_a_dark_page(tmp_path):
    relative = pd.DataFrame({"channel_name": ["A"], "IHC": [10.0], "Far": [0.5], "Near": [0.01], "None": [np.nan]})
    write_chart(partial(Picture, partial(models_by_channel_chart, relative), "One row per channel."), tmp_path, "chart")
    texts = ET.parse(tmp_path / "chart.svg").iter("{http://www.w3.org/2000/svg}text")
    fills = {"".join(entry.itertext()): entry.get("style").partition("fill: ")[2] for entry in texts}
    # The rules for white skip text, and there is no rule for ON_CELL.
    assert (fills["+50"], fills["+1"], fills["–"]) == ("#ffffff", ON_CELL, INK)
    assert '*:not(text)[style*="fill: #ffffff"]' in dark_rules(tmp_path)


def test_text_that_looks_like_the_end_of_the_style_sheet_is_unchanged(tmp_path):
    published(tmp_path, alt="</style><b>")
    assert ET.parse(tmp_path / "chart.svg").getroot()[0].text == "</style><b>"
    assert "fill" in dark_rules(tmp_path)
