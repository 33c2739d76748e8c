"""The documentation: its examples run, its commands exist, and the site is built from the code and needs no network.

Blocks marked `console` and `python` are run here, or in the tests named in ELSEWHERE; those marked `shell` need keys,
servers or Docker.
"""

import ast
import functools
import http.server
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
import typer
from bs4 import BeautifulSoup
from helpers.commands import ROOT, ihc_here
from helpers.commands import ihc as command_line

import ihc
from ihc import attribute, build_journeys, load_parameters
from ihc.cli.app import app
from ihc.database.database import Database
from ihc.database.inputs import read_tables
from ihc.database.results import create_tables
from ihc.glossary import GLOSSARY
from ihc.pipeline.sample import write_sample
from ihc.schemas.tables import COLUMNS
from ihc.settings.style import HouseStyle, load_style
from ihc.settings.variables import KNOWN
from ihc.shipped import shipped

DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in [ROOT / "README.md", *DOCS.rglob("*.md")]
}
COMMANDS = typer.main.get_command(app).commands
# Run by tests/runs/test_airflow_dag.py, tests/runs/test_other_databases.py and tests/cli/test_scale.py.
ELSEWHERE = {"docs/guides/airflow.md", "docs/guides/postgresql.md", "docs/guides/cluster.md"}
# The first needs a browser; the others are what .ci/run does, with the wheel and for the site.
NOT_RUN = {"uv run jupyter lab notebooks", "pip install uv && uv run pytest", "pip install uv && uv run ihc run"}
WIDEST, WRAPPED = 80, {"console", "shell"}
FOUND = 1  # the exit code of `ihc check` on the sample shop


def blocks(text, kind):
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def lines(text):
    """The lines of the console blocks of a page, each whole."""
    whole = [line for block in blocks(text, "console") for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(line.split()) for line in whole if line]


def calls(text):
    """What the console blocks of a page hand to `ihc`."""
    return [shlex.split(line.split(" ihc ", 1)[1]) for line in lines(text) if " ihc " in line and "uv run" in line]


def pages_with(kind):
    return sorted(name for name, text in PAGES.items() if blocks(text, kind))


def is_run(line):
    """Whether a line executes notebooks, which takes as long as all others of its page."""
    return "papermill" in line or (" ihc run" in line and "--report-only" not in line)


# Several pages have the same runs: each is executed for the last of them.
RUN_ON = {line: page for page in pages_with("console") if page not in ELSEWHERE for line in lines(PAGES[page])}


def each_page_with(kind, but=frozenset()):
    return pytest.mark.parametrize("page", [name for name in pages_with(kind) if name not in but])


# Examples


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The sample shop with two columns more and stored credits; copy it before writing to it."""
    path = tmp_path_factory.mktemp("sample") / "ihc.db"
    write_sample(Database(path), 2000)
    ihc.open(path, output=str(path.parent), engine="local").attribute().store()
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(sa.text("ALTER TABLE session_sources ADD COLUMN country TEXT DEFAULT 'DE'"))
        connection.execute(sa.text("ALTER TABLE conversions ADD COLUMN conversion_type TEXT DEFAULT 'purchase'"))
        connection.execute(sa.text("UPDATE conversions SET conversion_type = 'lead' WHERE revenue < 30"))
    return path


@pytest.fixture
def folder(sample, tmp_path, monkeypatch, bare_environment):
    """The folder that the examples are read in: the sample shop, and what a reader brings along."""
    (tmp_path / "data").mkdir()
    shutil.copy(sample, tmp_path / "data" / "ihc.db")
    tables = read_tables(Database(sample))
    for (name, columns), frame in zip(COLUMNS.items(), tables, strict=True):
        frame[list(columns)].to_csv(tmp_path / f"{name}.csv", index=False)
    channels = pd.DataFrame({"channel_name": tables.sessions["channel_name"].unique()})
    channels.assign(channel_group="Any").to_csv(tmp_path / "groups.csv", index=False)
    credits = attribute(build_journeys(tables.sessions, tables.conversions), load_parameters()).round(4)
    credits.rename(columns={"conv_id": "conversion_id"}).to_csv(tmp_path / "answers.csv", index=False)
    for name in ("lead", "purchase"):
        shutil.copy(shipped("default_parameters.json"), tmp_path / f"{name}.json")
    (tmp_path / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (style,) = blocks(PAGES["docs/guides/house-style.md"], "toml")
    (tmp_path / "house.toml").write_text(style)
    experiments, *_ = blocks(PAGES["docs/guides/experiments.md"], "text")
    (tmp_path / "experiments.csv").write_text(experiments)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_example(example, known):
    """Run an example; what it shows must show something."""
    for statement in ast.parse(example).body:
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), "example", "exec"), known)
            continue
        shown = eval(compile(ast.Expression(statement.value), "example", "eval"), known)
        assert shown is None or isinstance(shown, Path | list) or len(shown.frame), ast.unparse(statement)


@each_page_with("python", but={*pages_with("console")} - ELSEWHERE)  # those run below, among the commands
def test_the_examples_run(page, folder, plain_language):
    create_tables(Database(folder / "shop.db"))
    known = {}
    for example in blocks(PAGES[page], "python"):
        run_example(example, known)


@pytest.mark.parametrize("page", sorted(set(PAGES) - {"README.md"}))
def test_code_that_cannot_be_broken_fits_the_page(page):
    """Commands are shown in several lines if they are long, by the style sheet of the site."""
    code = [block for kind, block in re.findall(r"```(\w+)\n(.*?)```", PAGES[page], re.DOTALL) if kind not in WRAPPED]
    assert [line for block in code for line in block.splitlines() if len(line) > WIDEST] == []


def test_the_house_style_is_whole_and_can_be_read(folder):
    assert set(load_style(folder / "house.toml").model_fields_set) == set(HouseStyle.model_fields)


# Commands


@each_page_with("console")
def test_every_call_of_the_command_is_understood(page):
    for name, *arguments in calls(PAGES[page]):
        COMMANDS[name].make_context(name, arguments)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_option_that_is_named_exists(page):
    known = {option for command in COMMANDS.values() for each in command.params for option in each.opts}
    assert set(re.findall(r"`(--[a-z-]+)", PAGES[page])) - known - {"--sizes"} == set()


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_page_with("console", but=ELSEWHERE)
def test_the_commands_and_examples_of_a_page_run_in_their_order(page, folder, plain_language):
    shutil.copy(folder / "data" / "ihc.db", folder / "shop.db")
    for kind, block in re.findall(r"```(console|python)\n(.*?)```", PAGES[page], re.DOTALL):
        if kind == "python":
            run_example(block, {})
        for line in lines(f"```console\n{block}```") if kind == "console" else []:
            if line not in NOT_RUN and (RUN_ON[line] == page or not is_run(line)):
                run_line(line, folder)


def run_line(line, folder):
    if line.startswith("uv run papermill"):
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", *shlex.split(line)[3:]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    else:
        done = command_line(*shlex.split(line.split(" ihc ")[1]), cwd=folder, BROWSER="true")
    allowed = {0, FOUND} if " ihc check" in line else {0}
    assert done.returncode in allowed, line + done.stdout + done.stderr


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site: that of IHC_TEST_SITE, or one built here."""
    if built := os.environ.get("IHC_TEST_SITE"):
        return Path(built)
    if not importlib.util.find_spec("mkdocs"):
        assert not os.environ.get("CI"), "the group docs must be installed where CI is set"
        pytest.skip("no MkDocs: install the group docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not re.search("^WARNING", done.stderr, re.MULTILINE)
    return folder


@functools.cache
def soup(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def content(site, page):
    return soup(site / page).select_one("article").get_text()


def pages_of(site):
    return [path for path in site.rglob("*.html") if path.name not in ("sample-report.html", "404.html")]


@pytest.mark.slow
def test_the_site_has_a_page_of_each_source_and_of_each_notebook(site):
    sources = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    sources += [Path("notebooks", f"{path.stem}.html") for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert {path.relative_to(site) for path in pages_of(site)} == set(sources)
    menu = {link["href"] for link in soup(site / "index.html").select("nav.md-nav--primary a[href]")}
    assert {path.as_posix() for path in sources} <= menu


@pytest.mark.slow
@pytest.mark.parametrize("call", [[], *([name] for name in COMMANDS)], ids=str)
def test_the_help_texts_are_the_real_ones(site, call):
    said = ihc_here(*call, "--help", cwd=ROOT, COLUMNS="100").stdout.strip()
    assert said in content(site, "reference/cli.html")


@pytest.mark.slow
def test_the_reference_holds_every_term_setting_and_public_name(site):
    glossary, settings, python = (
        content(site, f"reference/{name}.html") for name in ("glossary", "settings", "python")
    )
    assert [term for term in GLOSSARY.values() if term.definition.replace("`", "") not in glossary] == []
    assert [variable for variable in KNOWN if variable not in settings] == []
    assert [name for name in ihc.__all__ if name not in python] == []


@pytest.mark.slow
def test_the_notebooks_are_executed_and_show_no_script_and_no_path_of_the_machine(site):
    for path in site.glob("notebooks/0*.html"):
        article = soup(path).select_one("article")
        assert article.select("table")
        assert not article.select("script")
        assert "Traceback" not in article.get_text()
    for path in [*pages_of(site), site / "sample-report.html"]:
        assert not re.search(r"ihc-docs-|/tmp/|/home/\w", path.read_text("utf-8")), path


@pytest.mark.slow
def test_no_comment_is_left_for_what_is_generated(site):
    assert not [path for path in pages_of(site) if re.search("<!-- (generated|output)", path.read_text("utf-8"))]


@pytest.mark.slow
def test_the_pages_load_nothing_of_another_host(site):
    for path in pages_of(site):
        loaded = soup(path).select("script[src], link[href], img[src], iframe[src]")
        assert not [tag for tag in loaded if re.match("(https?:)?//", tag.get("src") or tag.get("href"))], path


@pytest.fixture(scope="module")
def served(site):
    """The address of the site on a server of this machine."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["served", "opened as files"])
@pytest.mark.parametrize("width", [1280, 400])
def test_reading_and_searching_asks_no_other_host_and_fits_the_screen(site, served, chromium, way, width):
    home = served if way == "served" else site.as_uri()
    page = chromium.new_page(viewport={"width": width, "height": 800})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    for path in [site / "sample-report.html", *pages_of(site)]:
        page.goto(f"{home}/{path.relative_to(site).as_posix()}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.click("label[for=__search]:visible") if width == 400 else page.keyboard.press("/")
    page.keyboard.type("redistribution")
    page.wait_for_selector(".md-search-result__item")
    page.close()
    assert [url for url in asked if not url.startswith((home, "data:"))] == []
    assert errors == []


def test_the_project_file_names_the_group_that_builds_the_site():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert any(each.startswith("mkdocs-material") for each in groups["docs"])
