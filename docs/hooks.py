"""Generate the parts of the site that come from the code and from one run on the sample shop.

A comment such as `<!-- generated: glossary -->` in a page is replaced by the result of the function of that name.
`<!-- output -->` below a Python example is replaced by the exhibit that the example's last line returns.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from functools import cache
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args, get_origin, get_type_hints

import grimp
import nbformat
import pandas as pd
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter
from traitlets.config import Config

import ihc
from ihc.cli.app import app
from ihc.exhibits.report import Report
from ihc.glossary import FORMATS, GLOSSARY, heading
from ihc.journeys.build import non_converting_paths
from ihc.lab.prediction import held_out_scores
from ihc.lab.shop import simulate_shop, varied_channels
from ihc.models.parameters import load_parameters
from ihc.narrative.experiments import validation_sentence
from ihc.narrative.models import prediction_sentences, validation_sentences
from ihc.report.exhibit import Exhibit
from ihc.report.files import read_csv
from ihc.settings.options import Options, variable_of
from ihc.settings.variables import KNOWN, Variables, as_text

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
NO_SETTINGS = Config(TagRemovePreprocessor={"enabled": True, "remove_cell_tags": ["parameters", "injected-parameters"]})
GENERATED = re.compile(r"<!-- generated: (\w+) -->")
EXAMPLE_WITH_OUTPUT = re.compile(r"(```python\n((?:(?!```).)*)```\n)\n<!-- output -->", re.DOTALL)
FIRST_DAY, LAST_DAY = "2025-03-01", "2025-03-28"  # of the sample shop's orders
DEFAULT = re.compile(r" ?\[default: (.*)\]")
FOLDERS: list[TemporaryDirectory[str]] = []


# Events of MkDocs


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the executed notebooks, the report of the sample shop and the picture of its summary."""
    for name in NOTEBOOKS:
        files.append(File.generated(config, f"notebooks/{name}.md", content=notebook_page(name)))
    report = (sample() / "data" / "report.html").read_text("utf-8")
    files.append(File.generated(config, "sample-report.html", content=report))
    files.append(File.generated(config, "report.png", abs_src_path=str(ROOT / "fixtures" / "report.png")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the comments of a page by what they stand for."""
    markdown = EXAMPLE_WITH_OUTPUT.sub(lambda found: f"{found[1]}\n{output_of(found[2])}", markdown)
    return GENERATED.sub(lambda found: str(globals()[found[1]]()), markdown)


def on_shutdown() -> None:
    """Delete the sample shop."""
    while FOLDERS:
        FOLDERS.pop().cleanup()


# The sample shop


@cache
def sample() -> Path:
    """The folder of one `ihc run` on the sample shop, without the settings of whoever builds the site."""
    for name in [name for name in os.environ if name.startswith("IHC_")]:
        del os.environ[name]
    FOLDERS.append(TemporaryDirectory(prefix="ihc-docs-"))
    folder = Path(FOLDERS[-1].name)
    command = [sys.executable, "-m", "ihc", "run", "--quiet"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise BuildError(done.stderr)
    return folder


@cache
def sample_report() -> Report:
    """The report of the sample shop's orders, from their stored credits."""
    with chdir(sample()):
        return ihc.open("data/ihc.db").report(FIRST_DAY, LAST_DAY)


def notebook_page(name: str) -> str:
    """An executed notebook as Markdown, without the cells of its settings."""
    (path,) = (sample() / "data" / "runs").glob(f"*/{name}.ipynb")
    text, _ = MarkdownExporter(config=NO_SETTINGS).from_notebook_node(nbformat.read(path, as_version=4))
    if "<script" in text:
        raise BuildError(f"The notebook {name} shows a script: the site must work without.")
    page = str(text).replace(f"{sample()}/", "")
    return f"---\nhide: [toc]\n---\n\n{page}\nThis is `notebooks/{name}.ipynb`; [all notebooks](index.md).\n"


def output_of(code: str) -> str:
    """Run an example on `report`, that of the sample shop; return the exhibit of its last line as HTML."""
    names: dict[str, Any] = {"report": sample_report()}
    *lines, last = ast.parse(code).body
    with chdir(sample()):
        exec(compile(ast.Module(lines, []), "example", "exec"), names)  # noqa: S102 - our own examples
        shown = eval(compile(ast.Expression(last.value), "example", "eval"), names)  # type: ignore[attr-defined] # noqa: S307
        return f'<div class="output">\n{shown._repr_html_()}\n</div>'


# Reference


def commands() -> str:
    """The help text of every command."""
    calls = [[], *([name] for name in typer.main.get_command(app).commands)]  # type: ignore[attr-defined]
    parts = []
    for call in calls:
        command = [Path(sys.executable).with_name("ihc"), *call, "--help"]
        said = subprocess.check_output(command, env=os.environ | {"COLUMNS": "100"}, text=True)  # noqa: S603
        line = " ".join(["ihc", *call])
        parts.append(f"## {line}\n\n```text\n$ {line} --help\n{said.strip()}\n```")
    return "\n\n".join(parts)


def options() -> str:
    """The settings that are options of `ihc run` too."""
    rows = []
    for name, annotation in get_type_hints(Options, include_extras=True).items():
        text = get_args(annotation)[1].text
        stated, default = DEFAULT.search(text), as_text(getattr(Options, name) or "")
        option = f"`--{name.replace('_', '-')}`"
        rows.append([option, f"`{variable_of(name)}`", DEFAULT.sub("", text), stated[1] if stated else default])
    return table(["option", "variable", "meaning", "default"], rows)


def variables() -> str:
    """The settings that are variables only, with what `.env.example` says about them."""
    rows = []
    for variable, name in KNOWN.items():
        if name in Options.__annotations__:
            continue
        field = Variables.model_fields[name]
        choices = ", ".join(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""
        allowed = field.description or next((each.says for each in field.metadata if hasattr(each, "says")), choices)
        default = as_text(field.default or "")
        rows.append([f"`{variable}`", said_in_example()[variable], allowed.removeprefix("give "), default])
    return table(["variable", "meaning", "values", "default"], rows)


@cache
def said_in_example() -> dict[str, str]:
    """What `.env.example` says about each variable."""
    said: dict[str, str] = {}
    for block in (ROOT / ".env.example").read_text("utf-8").split("\n\n"):
        lines = [line.removeprefix("#").strip() for line in block.splitlines()]
        text = " ".join(line for line in lines if not line.startswith("IHC_"))
        said |= {line.partition("=")[0]: text for line in lines if line.startswith("IHC_")}
    return said


def glossary() -> str:
    """Every figure of the report: heading, unit and definition."""
    return table(["term", "unit", "meaning"], [[f"**{term}**", unit, text] for term, unit, text in GLOSSARY.values()])


def columns() -> str:
    """The columns of every CSV file of a run, as the run on the sample shop wrote them."""
    files = sorted((sample() / "data").glob("*.csv"))
    rows = [[f"`{path.name}`", ", ".join(f"`{name}`" for name in pd.read_csv(path, nrows=0))] for path in files]
    return table(["file", "columns"], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# The model


def curves() -> str:
    """The two curves of the parameters that ship, as charts."""
    report = sample_report()
    return figure(report.initializer_curve) + "\n\n" + figure(report.closer_curve)


def weights() -> str:
    """The weights of the parameters that ship: of the phases, and of the channels in each phase."""
    parameters = load_parameters()
    rows = [["every channel: the phase itself", *(f"{weight:g}" for weight in parameters.phase_weights.values())]]
    for name in sorted(parameters.channels):
        of_phases = (parameters.channel_weights[phase] for phase in parameters.phase_weights)
        rows.append([name, *(f"{of_phase.get(name, 1):g}" for of_phase in of_phases)])
    return table(["weight of", *parameters.phase_weights], rows)


def held_out() -> str:
    """How far the engine is off on answers that the calibration did not see."""
    errors = load_parameters().provenance["held_out_errors"]
    rows = [[name, *(f"{each[key]:.6f}" for key in ("mean", "p99", "largest"))] for name, each in errors.items()]
    return table(["value", "mean error", "99 % quantile", "largest"], rows)


def validation() -> str:
    """How near the models are to the truth: the file that `ihc validate` wrote, a table per generator."""
    found = read_csv(ROOT / "docs" / "explanation" / "validation.csv")
    parts = ["\n".join(f"- {sentence}" for sentence in validation_sentences(found))]
    for generator, rows in found.groupby("generator", sort=False):
        shown = rows.drop(columns=["generator", "seeds", "noise_to_nearest", "noise_to_equal"])
        shown = shown.dropna(axis="columns", how="all")
        parts.append(f"### {generator}\n\n{figures_of(shown)}")
    return "\n\n".join(parts)


def validated_experiments() -> str:
    """How near iROAS is to the truth with experiments: the other file that `ihc validate` wrote."""
    found = read_csv(ROOT / "docs" / "explanation" / "validation_experiments.csv")
    return f"{validation_sentence(found)}\n\n{figures_of(found.drop(columns='seeds'))}"


def predicted() -> str:
    """How well held-out paths are predicted: in the sample shop, and in a simulated one as of `ihc sample --truth`."""
    shops = {
        "Sample shop": ihc.read_tables(sample() / "data" / "ihc.db"),
        "Simulated shop": simulate_shop(2_000, 1, varied_channels(1)).tables,
    }
    parts = []
    for name, (sessions, conversions, _) in shops.items():
        journeys, idle = (find(sessions, conversions) for find in (ihc.build_journeys, non_converting_paths))
        scores = held_out_scores(journeys, idle)
        said = "\n".join(f"- {sentence}" for sentence in prediction_sentences(scores)[:-1])
        parts.append(f"### {name}\n\n{said}\n\n{figures_of(scores[['model', 'log_loss', 'log_loss_gain', 'auc']])}")
    return "\n\n".join(parts)


def figures_of(frame: pd.DataFrame) -> str:
    """A frame with the headings and formats of the glossary."""
    units = [heading(name)[1] for name in frame]
    cells = [
        ["" if value != value else FORMATS[unit](value) for value, unit in zip(row, units, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    return table([heading(name)[0] for name in frame], cells)


def figure(exhibit: Exhibit) -> str:
    """The chart of an exhibit, as a picture in the page."""
    return f"<figure>\n{exhibit.image}\n<figcaption>{escape(exhibit.title)}</figcaption>\n</figure>"


# The architecture


@cache
def layers() -> list[list[str]]:
    """The packages by layer, from the top, as the import contract in pyproject.toml defines them."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    names = [[name.strip().removeprefix("ihc.") for name in layer.split("|")] for layer in contract["layers"]]
    return [layer for layer in names if (ROOT / "ihc" / layer[0]).is_dir()]


def packages() -> str:
    """What each package holds, by its own docstring."""
    rows = []
    for layer in layers():
        for name in layer:
            text = ast.get_docstring(ast.parse((ROOT / "ihc" / name / "__init__.py").read_text("utf-8"))) or ""
            rows.append([f"`{name}`", text.split("\n\n")[0].replace("\n", " ")])
    return table(["package", "holds"], rows)


def arrows() -> Iterator[tuple[str, str]]:
    """The imports between packages, without those that lead there through another package too."""
    names = [name for layer in layers() for name in layer]
    graph = grimp.build_graph("ihc", exclude_type_checking_imports=True, cache_dir=None)
    for name in names:
        graph.squash_module(f"ihc.{name}")
    imports = {
        name: {f"ihc.{each}" for each in names} & graph.find_modules_directly_imported_by(f"ihc.{name}")
        for name in names
    }
    for name, imported in imports.items():
        roundabout = {far for near in imported for far in graph.find_upstream_modules(near)}
        yield from ((name, each.removeprefix("ihc.")) for each in sorted(imported - roundabout))


def layer_plan() -> str:
    """The layers and packages as a drawing."""
    width, height, step, margin = 120, 30, 64, 8
    places = {
        name: (360 + (place - (len(layer) - 1) / 2) * (width + 40), margin + row * step)
        for row, layer in enumerate(layers())
        for place, name in enumerate(layer)
    }
    lines = [
        f'<path d="M{places[a][0]:g} {places[a][1] + height} L{places[b][0]:g} {places[b][1]}"/>' for a, b in arrows()
    ]
    boxes = [
        f'<g><rect x="{x - width / 2:g}" y="{y}" width="{width}" height="{height}" rx="4"/>'
        f'<text x="{x:g}" y="{y + 20}">{name}</text></g>'
        for name, (x, y) in places.items()
    ]
    label = "The packages of ihc by layer; a line leads from a package down to one that it imports."
    size = f"0 0 720 {margin + len(layers()) * step - step + height + margin}"
    return f'<svg class="map" viewBox="{size}" role="img" aria-label="{label}">{"".join(lines + boxes)}</svg>'
