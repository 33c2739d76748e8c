"""The README keeps its word: help texts, example and glossary are the real ones."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.commands import ROOT, ihc_here

from ihc.database.database import Database
from ihc.glossary import GLOSSARY
from ihc.pipeline.sample import write_sample
from ihc.settings.style import HouseStyle, load_style

README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
HELPS = re.findall(r"```console\n\$ ihc (.*?--help)\n(.*?)\n```", README, re.DOTALL)


def test_every_command_is_documented():
    commands = [
        "run",
        "check",
        "init",
        "scale",
        "calibrate",
        "train",
        "explain",
        "runs",
        "diff",
        "serve",
        "sample",
    ]
    assert [call for call, _ in HELPS] == ["--help", *(f"{command} --help" for command in commands)]


@pytest.mark.parametrize(("call", "text"), HELPS, ids=[call for call, _ in HELPS])
def test_help_texts_are_the_real_ones(call, text):
    assert ihc_here(*call.split(), cwd=ROOT, COLUMNS="100").stdout.rstrip() == text


@pytest.mark.parametrize("example", EXAMPLES, ids=["report", "questions", "functions"])
def test_the_examples_run(example, tmp_path, monkeypatch, capsys):
    database = tmp_path / "data" / "ihc.db"
    write_sample(Database(database), 300)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("ALTER TABLE session_sources ADD COLUMN country TEXT DEFAULT 'DE'")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(example, found)
    for call in re.findall(r"^report\.\w+\(.*?\)(?=  )", example, re.MULTILINE):
        exhibit = eval(call, found)
        assert isinstance(exhibit, Path | list) or len(exhibit.frame), call
    if "print" in example:
        assert "ROAS" in capsys.readouterr().out


def test_the_house_style_can_be_read(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "house.toml").write_text(text)
    (tmp_path / "logo.svg").write_text("<svg/>")
    style = load_style(tmp_path / "house.toml")
    assert set(style.model_fields_set) == set(HouseStyle.model_fields)


def test_the_glossary_is_the_one_of_the_report():
    rows = [f"| {term.heading} | {term.definition} |" for term in GLOSSARY.values()]
    assert [row for row in rows if row not in README] == []


def test_links_and_pictures_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
