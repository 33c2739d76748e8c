import csv
import json
import xml.etree.ElementTree as ET
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from frames import FIXED, UNTRUSTED
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.charts import BLUE, GREY, INK, ON_CELL, ORANGE, PALE, cost_against_revenue, models_by_channel
from ihc.outputs import ON_DARK, publish_chart, read_csv, write_csv, write_json, write_text
from ihc.palette import COLOURS

SUMMARY = pd.DataFrame({"channel_name": ["Search", "Mail"], "cost": [100.25, np.nan], "ihc_revenue": [250.0, 10.0]})
FORMULAS = ["=cmd()", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1", "＠x"]


def written(tmp_path, frame):
    return read_csv(write_csv(frame, tmp_path / "table.csv"))


def fields(tmp_path, frame):
    """The first field of each row, as a spreadsheet would read it."""
    with write_csv(frame, tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        return [row[0] for row in csv.reader(file)][1:]


def named(*names):
    """A frame with a row a name, and one more that is surely text."""
    return pd.DataFrame({"channel_name": [*names, "text"], "cost": [1.5] * (len(names) + 1)})


def test_a_csv_has_headings_plain_figures_and_empty_fields_for_nan(tmp_path):
    path = write_csv(SUMMARY, tmp_path / "table.csv")
    assert path.read_text("utf-8") == "channel_name,cost,ihc_revenue\nSearch,100.25,250.0\nMail,,10.0\n"


def test_a_csv_survives_the_round_trip(tmp_path):
    assert_frame_equal(written(tmp_path, SUMMARY), SUMMARY)


@pytest.mark.parametrize("name", [*UNTRUSTED, *FORMULAS, "", "NA", "nan", "None", "'", "'=1", "''=1"])
def test_a_name_survives_the_round_trip(tmp_path, name):
    assert_frame_equal(written(tmp_path, named(name)), named(name))


@pytest.mark.parametrize("name", [*FORMULAS, "\nnext", "\tnext"])
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(tmp_path, name):
    assert fields(tmp_path, named(name)) == ["'" + name, "text"]


@pytest.mark.parametrize(("name", "back"), [("a\rb", "a\nb"), ("a\r\nb", "a\nb"), ("\rnext", "\nnext")])
def test_a_carriage_return_becomes_a_line_break_that_every_reader_takes_for_one(tmp_path, name, back):
    assert_frame_equal(written(tmp_path, named(name)), named(back))


@pytest.mark.parametrize("names", [["007", "08"], ["1", "2"], ["1e5", "2e5"], ["True", "False"], ["inf", "nan"]])
def test_names_stay_text_though_all_of_them_look_like_figures(tmp_path, names):
    frame = pd.DataFrame({"channel_name": names, "cost": [1.5, 2.5]})
    assert_frame_equal(written(tmp_path, frame), frame)


def test_negative_figures_are_no_formulas(tmp_path):
    frame = pd.DataFrame({"channel_name": ["A"], "ihc_revenue": [-1.5]})
    assert_frame_equal(written(tmp_path, frame), frame)


def test_a_frame_without_rows_keeps_its_columns(tmp_path):
    assert written(tmp_path, SUMMARY.iloc[:0]).columns.tolist() == SUMMARY.columns.tolist()


def test_an_empty_field_is_nan_among_figures_and_empty_among_texts(tmp_path):
    frame = pd.DataFrame({"channel_name": ["", "A"], "ROAS": [np.nan, 1.5], "amount": [2.5, np.nan]})
    assert_frame_equal(written(tmp_path, frame), frame)


@FIXED
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4))
def test_any_text_comes_back_and_none_is_a_formula_in_the_file(tmp_path_factory, names):
    folder = tmp_path_factory.getbasetemp()
    back = written(folder, named(*names))["channel_name"].tolist()
    assert back == [name.replace("\r\n", "\n").replace("\r", "\n") for name in names] + ["text"]
    assert not [field for field in fields(folder, named(*names)) if field.lstrip().startswith(("=", "+", "-", "@"))]


def test_writing_leaves_the_frame_alone(tmp_path):
    frame = named("=cmd()")
    before = frame.copy(deep=True)
    write_csv(frame, tmp_path / "table.csv")
    assert_frame_equal(frame, before)


def test_folders_are_made_and_an_older_file_is_replaced_without_leftovers(tmp_path):
    path = tmp_path / "new" / "folder" / "text.txt"
    write_text("old and long", path)
    assert write_text("neu: é", path) == path
    assert path.read_bytes() == "neu: é".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["text.txt"]


def test_a_write_that_fails_leaves_no_part_of_a_file(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_text("text", tmp_path / "taken")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_json_is_readable_and_keeps_every_letter(tmp_path):
    path = write_json({"run_id": "r1", "start_date": None, "names": ["é", '"']}, tmp_path / "run.json")
    assert (
        path.read_text("utf-8")
        == '{\n  "run_id": "r1",\n  "start_date": null,\n  "names": [\n    "é",\n    "\\""\n  ]\n}\n'
    )


def test_a_figure_that_is_not_known_is_no_breach_of_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    path = write_json({"sources": pd.DataFrame({"lookback_days": [np.nan], "orders": [3]})}, tmp_path / "run.json")
    entries = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    assert entries == {"sources": [{"lookback_days": None, "orders": 3}]}


def published(folder, alt="Bars: cost.", note=""):
    return publish_chart(cost_against_revenue(SUMMARY), folder, "chart", alt=alt, note=note)


def test_a_chart_is_written_twice_and_given_back_as_an_image_with_its_words(tmp_path):
    image = BeautifulSoup(published(tmp_path / "charts", alt='Bars: <b> & "cost"').data, "html.parser").figure.img
    assert image["alt"] == 'Bars: <b> & "cost"'
    head, content = image["src"].split(",")
    assert head == "data:image/svg+xml;base64"
    assert b64decode(content) == (tmp_path / "charts" / "chart.svg").read_bytes()
    assert (tmp_path / "charts" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "charts").iterdir())) == 2


def test_the_same_table_is_published_in_the_same_bytes(tmp_path):
    published(tmp_path / "a", note="note")
    published(tmp_path / "b", note="note")
    for kind in ("svg", "png"):
        assert (tmp_path / "a" / f"chart.{kind}").read_bytes() == (tmp_path / "b" / f"chart.{kind}").read_bytes()


@pytest.mark.parametrize("text", [*UNTRUSTED, "\uffff"])
def test_any_words_and_note_make_valid_xml(tmp_path, text, recwarn):
    published(tmp_path, alt=f"Best is {text}.", note=f"parameters {text}")
    said = [text for entry in ET.parse(tmp_path / "chart.svg").iter() if (text := entry.text)]
    assert any("Best is" in text for text in said)
    assert any("parameters" in text for text in said)


def test_a_note_is_printed_as_it_is(tmp_path):
    published(tmp_path, note="parameters $x_1$ <b>")
    said = ["".join(entry.itertext()) for entry in ET.parse(tmp_path / "chart.svg").iter()]
    assert "parameters $x_1$ <b>" in said


def dark_rules(folder):
    svg = (folder / "chart.svg").read_text("utf-8")
    (style,) = [entry.text for entry in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}style")]
    return style.partition("@media screen and (prefers-color-scheme: dark)")[2]


def test_a_chart_recolours_its_neutral_colours_for_a_dark_page_and_no_others(tmp_path):
    published(tmp_path)
    rules = dark_rules(tmp_path)
    assert list(ON_DARK) == ["#ffffff", INK, GREY, PALE]
    for light, dark in ON_DARK.items():
        for what in ("fill", "stroke"):
            assert f'[style*="{what}: {light}"] {{{what}: {dark} !important}}' in rules
    assert not [colour for colour in (BLUE, ORANGE, ON_CELL, *COLOURS) if colour.lower() in rules.lower()]


def test_white_text_in_a_coloured_cell_stays_white_and_dark_text_in_a_pale_one_dark(tmp_path):
    relative = pd.DataFrame({"channel_name": ["A"], "IHC": [10.0], "Far": [0.5], "Near": [0.01], "None": [np.nan]})
    publish_chart(models_by_channel(relative), tmp_path, "chart", alt="A row a channel.")
    texts = ET.parse(tmp_path / "chart.svg").iter("{http://www.w3.org/2000/svg}text")
    fills = {"".join(entry.itertext()): entry.get("style").partition("fill: ")[2] for entry in texts}
    # The rules for white leave texts alone, and know no ON_CELL.
    assert (fills["+50"], fills["+1"], fills["–"]) == ("#ffffff", ON_CELL, INK)
    assert '*:not(text)[style*="fill: #ffffff"]' in dark_rules(tmp_path)


def test_words_that_look_like_the_end_of_the_style_sheet_are_left_alone(tmp_path):
    published(tmp_path, alt="</style><b>")
    assert ET.parse(tmp_path / "chart.svg").getroot()[0].text == "</style><b>"
    assert "fill" in dark_rules(tmp_path)
