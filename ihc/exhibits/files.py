"""Save a report as CSV, charts, HTML page, run.json and workbook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ihc.analysis.reporting import exported_credits
from ihc.arrays.lookup import isin
from ihc.exhibits.channels import CHANNEL_TYPES, TYPES
from ihc.exhibits.experiments import OF_EXPERIMENTS
from ihc.exhibits.models import ENGAGEMENT, ROBUSTNESS
from ihc.formatting import printable, speak
from ihc.glossary import COUNT, CREDIT, ERROR, HOURS, MONEY, RATIO, SHARE, TEXT, WEIGHT, heading
from ihc.journeys.credits import removed
from ihc.report.exhibit import Exhibit
from ihc.report.files import write_csv, write_json, write_text
from ihc.report.page import APPENDIX, report_page
from ihc.report.tables import unit_of
from ihc.secrets import masked
from ihc.settings.command import command_line

if TYPE_CHECKING:
    from ihc.exhibits.report import Report

EXPORT = "order_credits.csv"
CHARTS = "charts"
EXCEL_FORMATS = {
    MONEY: "#,##0.00", COUNT: "#,##0", SHARE: "0.0%", CREDIT: "#,##0.00", RATIO: "#,##0.00", HOURS: "#,##0.00",
    WEIGHT: "0.000", ERROR: "0.000000",
}  # fmt: skip
LONGEST_SHEET, WIDEST = 31, 48


OCCASIONAL = {ENGAGEMENT, ROBUSTNESS, TYPES, CHANNEL_TYPES, *OF_EXPERIMENTS}  # exhibits that only some shops have


@dataclass(frozen=True)
class Saved:
    """The written files, and a sentence for each chart that could not be drawn."""

    files: list[Path]
    failed_charts: list[str]


def save(report: Report, folder: Path) -> Saved:
    """Write all files into `folder`. Raises OSError if it is not writable."""
    speak(report.data.options.style.language)
    folder.mkdir(parents=True, exist_ok=True)
    tables = _by_name(report)
    for name in OCCASIONAL - tables.keys():  # of an earlier report
        for path in (folder / f"{name}.csv", *_chart_files(folder / CHARTS, name)):
            path.unlink(missing_ok=True)
    files = [write_csv(exhibit.frame, folder / f"{name}.csv") for name, exhibit in tables.items()]
    charts, failed = _write_charts(report, folder / CHARTS)
    if report.data.options.export_credits:
        files.append(write_csv(_credits(report), folder / EXPORT))
    page = masked(report_page(report), report.data.settings.secrets)
    files += [write_text(page, folder / "report.html"), write_json(about(report), folder / "run.json")]
    return Saved([*files, *charts], failed)


def _by_name(report: Report) -> dict[str, Exhibit]:
    found: dict[str, Exhibit] = {}
    for exhibit in report.exhibits:
        found.setdefault(exhibit.name, exhibit)
    return found


def _write_charts(report: Report, folder: Path) -> tuple[list[Path], list[str]]:
    """Write the charts of all sections except the appendix, and delete old files of charts that do not exist any more.

    Out: the files, and a sentence for each chart that failed.
    """
    folder.mkdir(exist_ok=True)
    shown = [exhibit for title, part in report.sections.items() if title not in APPENDIX for exhibit in part]
    written: list[Path] = []
    failed: list[str] = []
    for exhibit in shown:
        files = _chart_files(folder, exhibit.chart_name)
        if exhibit.draw is None:
            for path in files:
                path.unlink(missing_ok=True)
        elif sentence := exhibit.write_chart(folder):
            failed.append(sentence)
        else:
            written += files
    return written, failed


def _chart_files(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}.{kind}" for kind in ("svg", "png")]


def _credits(report: Report) -> pd.DataFrame:
    data = report.data
    listed = exported_credits(data.tables, data.results.credits, data.source.phases)
    return listed[isin(listed["conv_id"], data.orders["conv_id"])]


def about(report: Report) -> dict[str, Any]:
    """Return the content of run.json: the settings of a run and the origin of its credits."""
    data, settings = report.data, report.data.settings
    entries = {"database": settings.database.label} | asdict(settings.run())
    del entries["started_at"]  # already in attribution_runs
    return entries | {
        "vanished": removed(data.results.runs, settings.run_id),
        "command": command_line(settings, report_only=not data.is_attributed),
        "headline": report.headline,
        "missing": report.missing,
        "credits_from": data.sources,
    }


def write_excel(report: Report, path: Path) -> Path:
    """Write a workbook: the summary, then one sheet per exhibit. Raises OSError if it cannot be written."""
    import xlsxwriter

    speak(report.data.options.style.language)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Text from the data is never a formula or a link.
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": False}
    with _said_as_os_error(), xlsxwriter.Workbook(str(path), plain) as book:
        formats = {unit: book.add_format({"num_format": style}) for unit, style in EXCEL_FORMATS.items()}
        head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        strong = book.add_format({"bold": True, "font_size": 13})
        top = book.add_worksheet("Summary")
        top.write_string(0, 0, printable(report.headline), strong)
        lines = [report.status, *report.warnings, "", *(point.text for point in report.points)]
        for row, text in enumerate(lines, start=1):
            top.write_string(row, 0, printable(text))
        for name, exhibit in _by_name(report).items():
            _write_sheet(book.add_worksheet(name[:LONGEST_SHEET]), exhibit, formats, head)
    return path


@contextmanager
def _said_as_os_error() -> Iterator[None]:
    from xlsxwriter.exceptions import FileCreateError

    try:
        yield
    except FileCreateError as error:
        raise OSError(f"The workbook cannot be written: {error}. Is it open in another program?") from None


def _write_sheet(sheet: Any, exhibit: Exhibit, formats: dict[str, Any], head: Any) -> None:
    sheet.write_string(0, 0, printable(exhibit.title), head)
    sheet.write_string(1, 0, printable(exhibit.text))
    frame = exhibit.frame
    for place, column in enumerate(frame.columns):
        name, unit = heading(column)[0], unit_of(frame[column])
        is_figure = unit != TEXT
        sheet.write_string(3, place, name, head)
        values = frame[column].tolist()
        for row, value in enumerate(values, start=4):
            if is_figure and not (pd.isna(value) or np.isinf(value)):
                sheet.write_number(row, place, float(value))
            elif not is_figure and not pd.isna(value):
                sheet.write_string(row, place, printable(value))
        longest = max([len(name), *(len(str(value)) for value in values[:200])] if not is_figure else [len(name), 11])
        sheet.set_column(place, place, min(longest + 2, WIDEST), formats.get(unit))
    sheet.freeze_panes(4, 1)
