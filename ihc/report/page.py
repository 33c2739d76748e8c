"""The report: one self-contained HTML page out of the executed notebooks."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from html import escape, unescape
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from traitlets.config import Config

from ihc import __version__
from ihc.errors import NotebookError
from ihc.report.files import FAILED_CHART, write_text
from ihc.secrets import masked
from ihc.shipped import RESOURCES

PAGE = RESOURCES / "page"
REPORT = "report"
# Introduced by the first of them.
PAGE_OF = (
    *("04_channel_report", "01_check_data", "02_build_journeys"),
    *("05_compare_models", "06_engine_parameters"),
)
# The page's sections, in the order in which a reader asks.
ORDER = (
    *("At a glance", "Does it add up?", "Channels", "Over time", "Does the model matter?", "Paths"),
    *("What changed since the last run", "What to do with it", "Data quality", "What the engine knows"),
    *("Definitions", "How to make this report again", "Files"),
)
SECTION = re.compile(r"##[ \t]+(\S.*)")
# Of the exported page: headings of the second and third level, and what the template puts around tables.
PLACES = re.compile(r'<(h[23])\b[^>]*>(.*?)</\1>|<div class="output table"', re.DOTALL)


def executed_in(folder: Path) -> dict[str, Path]:
    """Find the executed notebooks of the page by name.

    Raises NotebookError that names those that are missing, that were not executed to their end, or that are none.
    """
    notebooks = {name: folder / f"{name}.ipynb" for name in PAGE_OF}
    if missing := sorted(name for name, path in notebooks.items() if not path.is_file()):
        raise NotebookError(
            f"The folder {folder} lacks {', '.join(missing)}: the report is made of {', '.join(sorted(PAGE_OF))}, "
            "each executed."
        )
    if unfinished := [name for name, path in notebooks.items() if not _is_finished(_read(path))]:
        raise NotebookError(f"Not executed to their end: {', '.join(unfinished)}. Execute them, then make the report.")
    return notebooks


def write_page(executed: dict[str, Path], output: Path, secrets: Iterable[str]) -> tuple[Path, list[str]]:
    """Write report.html of executed notebooks into the output folder, without secrets.

    In: the notebooks by name, at least those of PAGE_OF. Out: the report's path, and a sentence for each chart that
    was not drawn.
    """
    notebooks = {name: executed[name] for name in PAGE_OF}
    page = masked(report_page(notebooks, "Channel report"), secrets)
    return write_text(page, output / "report.html"), _failed_charts(notebooks.values())


def _failed_charts(notebooks: Iterable[Path]) -> list[str]:
    """The sentences that stand in executed notebooks in the place of charts that could not be drawn."""
    cells = [cell for path in notebooks for cell in _read(path).cells if cell.cell_type == "code"]
    marks = [output.get("metadata", {}).get("text/html", {}) for cell in cells for output in cell.outputs]
    return [mark[FAILED_CHART] for mark in marks if FAILED_CHART in mark]


def report_page(notebooks: dict[str, Path], title: str) -> str:
    """Make the page: the sections of all notebooks in the order of ORDER, below the introduction of the first.

    In: the executed notebooks by name. A section is an H2 markdown cell tagged `report` and the cells after it that
    are tagged so too, up to the next H2; one that several notebooks have stands once, their cells in turn.
    Out: HTML that loads nothing and runs its own script alone.

    Raises NotebookError: for a section that is not in ORDER, for a tagged cell in no section, and for a file that is
    no notebook.
    """
    documents = {name: _read(path) for name, path in notebooks.items()}
    sections: dict[str, list[NotebookNode]] = {}
    for name, document in documents.items():
        _collect(sections, name, document.cells)
    order = [section for section in ORDER if section in sections]
    page = next(iter(documents.values()))
    introduction = next(cell.source for cell in page.cells if cell.cell_type == "markdown")
    page.cells = [cell for section in order for cell in sections[section]]
    return _export(page, title, introduction, order)


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, nbformat.ValidationError):
        raise NotebookError(f"The file {path} is no notebook that can be read. Execute it anew.") from None


def _is_finished(document: NotebookNode) -> bool:
    """Say whether each cell was executed, and none failed."""
    cells = [cell for cell in document.cells if cell.cell_type == "code"]
    errors = [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    return not errors and all(cell.execution_count for cell in cells)


def _collect(sections: dict[str, list[NotebookNode]], name: str, cells: Iterable[NotebookNode]) -> None:
    """Add a notebook's sections to those of the notebooks before it."""
    section: list[NotebookNode] | None = None
    for cell in cells:
        is_shown = REPORT in cell.metadata.get("tags", [])
        begins = SECTION.match(cell.source) if cell.cell_type == "markdown" else None
        if begins:
            section = _section(sections, name, begins[1].strip()) if is_shown else None
        if is_shown and section is None:
            start = cell.source.strip().partition("\n")[0]
            raise NotebookError(f"Notebook {name}: the cell {start!r} is tagged `report` but in no section that is.")
        if is_shown and section is not None:
            cell.source = cell.source[begins.end() :] if begins and section else cell.source
            section.append(cell)


def _section(sections: dict[str, list[NotebookNode]], name: str, heading: str) -> list[NotebookNode]:
    if heading not in ORDER:
        raise NotebookError(
            f"Notebook {name}: the report has no place for a section {heading!r}; add it to ihc.report.page.ORDER."
        )
    return sections.setdefault(heading, [])


def _export(page: NotebookNode, title: str, introduction: str, order: Iterable[str]) -> str:
    config = Config()
    config.HTMLExporter.exclude_input = True
    config.HTMLExporter.exclude_anchor_links = True
    exporter = HTMLExporter(config=config, template_name=PAGE.name, extra_template_basedirs=[str(PAGE.parent)])
    script = (PAGE / "sort.js").read_text("utf-8")
    resources: dict[str, Any] = {
        "title": title,
        "introduction": introduction,
        "contents": [(_slug(section), section) for section in order],
        "version": __version__,
        "style": (PAGE / "style.css").read_text("utf-8"),
        "script": script,
        # The browser runs what has this hash, and nothing else (https://www.w3.org/TR/CSP3/).
        "script_hash": b64encode(sha256(script.encode()).digest()).decode(),
    }
    html, _ = exporter.from_notebook_node(page, resources=resources)
    return _placed(str(html))


def _placed(html: str) -> str:
    """Give each heading an id to link to, and each table the name of its place, which a screen reader says."""
    section = part = ""
    taken: Counter[str] = Counter()

    def place(match: re.Match[str]) -> str:
        nonlocal section, part
        if not match[1]:
            taken[part] += 1
            label = f"Table: {part}" if taken[part] == 1 else f"Table {taken[part]}: {part}"
            return f'{match[0]} aria-label="{escape(label)}"'
        part = unescape(re.sub("<[^>]*>", "", match[2]))
        section = _slug(part) if match[1] == "h2" else section
        key = section if match[1] == "h2" else f"{section}-{_slug(part)}"
        taken[key] += 1
        key += f"-{taken[key]}" if taken[key] > 1 else ""
        return f'<{match[1]} id="{key}">{match[2]}</{match[1]}>'

    return PLACES.sub(place, html)


def _slug(heading: str) -> str:
    return re.sub("[^a-z0-9]+", "-", heading.lower()).strip("-")
