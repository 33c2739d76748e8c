"""The report: one self-contained HTML page out of the executed notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from traitlets.config import Config

from ihc import __version__
from ihc.database import RESOURCES

PAGE = RESOURCES / "page"
REPORT, APPENDIX = "report", "appendix"


def report_page(notebooks: dict[str, Path], title: str) -> str:
    """Make the page: all of the first notebook, then the cells of the others that are tagged `report`.

    In: the executed notebooks by name, in the page's order. Cells of the first that are tagged `appendix` come last.
    Out: HTML that loads nothing and runs no script.
    """
    first, *others = (nbformat.read(path, as_version=4) for path in notebooks.values())
    body = [cell for cell in first.cells if not _has(cell, APPENDIX)]
    body += [cell for notebook in others for cell in notebook.cells if _has(cell, REPORT)]
    first.cells = body + [cell for cell in first.cells if _has(cell, APPENDIX)]
    return _export(first, title)


def _has(cell: nbformat.NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def _export(page: nbformat.NotebookNode, title: str) -> str:
    config = Config()
    config.HTMLExporter.exclude_input = True
    config.HTMLExporter.exclude_anchor_links = True
    exporter = HTMLExporter(config=config, template_name=PAGE.name, extra_template_basedirs=[str(PAGE.parent)])
    resources: dict[str, Any] = {
        "title": title,
        "version": __version__,
        "style": (PAGE / "style.css").read_text("utf-8"),
    }
    html, _ = exporter.from_notebook_node(page, resources=resources)
    return str(html)
