"""The README keeps its word: help texts, example and glossary are the real ones."""

import re

import pytest
from helpers.commands import ROOT, ihc_here

from ihc.database.database import Database
from ihc.glossary import GLOSSARY
from ihc.pipeline.sample import write_sample

README = (ROOT / "README.md").read_text("utf-8")
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
        "page",
        "serve",
        "sample",
    ]
    assert [call for call, _ in HELPS] == ["--help", *(f"{command} --help" for command in commands)]


@pytest.mark.parametrize(("call", "text"), HELPS, ids=[call for call, _ in HELPS])
def test_help_texts_are_the_real_ones(call, text):
    assert ihc_here(*call.split(), cwd=ROOT, COLUMNS="100").stdout.rstrip() == text


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    write_sample(Database(tmp_path / "data" / "ihc.db"), 300)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    printed = capsys.readouterr().out
    assert "ROAS" in printed
    assert "Total" in printed


def test_the_glossary_is_the_one_of_the_report():
    rows = [f"| {term.heading} | {term.definition} |" for term in GLOSSARY.values()]
    assert [row for row in rows if row not in README] == []


def test_links_and_pictures_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
