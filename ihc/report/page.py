"""Self-contained HTML page: summary, then folded details and appendix."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from ihc import __version__
from ihc.charts.style import styled
from ihc.formatting import printable, speak, spoken
from ihc.report.exhibit import Exhibit
from ihc.report.figures import Picture, dark_rules, reason
from ihc.report.inline import inline_svg
from ihc.report.tables import glossary_table, page_table, table
from ihc.report.verdicts import cards, verdicts
from ihc.settings.command import command_line
from ihc.settings.style import HouseStyle
from ihc.shipped import RESOURCES

if TYPE_CHECKING:
    from ihc.exhibits.report import Report

PAGE = RESOURCES / "page"
APPENDIX = ("Reconciliation", "Data quality", "Model parameters")  # tables only
# Sections and exhibits of the appendix that are not on paper: analysts have the page and its files.
UNPRINTED = ("Untracked revenue by day", "Remedies", "Model parameters", "Files")
SMALL = (7.0, 2.5)  # size of the two summary charts [inches]


@dataclass(frozen=True)
class Block:
    """An exhibit on the page: title, chart, text and table."""

    name: str
    title: str
    text: str = ""
    chart: str = ""
    table: str = ""
    is_folded: bool = True


@dataclass(frozen=True)
class Section:
    """A folded section of the page."""

    title: str
    blocks: list[Block]

    @property
    def key(self) -> str:
        """Id of the section, for links."""
        return self.title.lower().replace(" ", "-")


Makers = Mapping[str, Callable[[], list[Block]]]  # what makes a section, by its title


def report_page(report: Report) -> str:
    """Render the page. It loads no other files and runs only its own script."""
    speak(report.data.options.style.language)
    script = (PAGE / "page.js").read_text("utf-8")
    house = report.data.options.style
    style = (PAGE / "style.css").read_text("utf-8") + dark_rules("svg.chart ") + _accent(house)
    appendix = _chosen(_appendix(report), house)
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        version=__version__,
        style=Markup(style),  # noqa: S704 - ships with the package; the accent is checked to be a colour
        house=house,
        language=spoken(),
        script=Markup(script),  # noqa: S704 - ships with the package
        # The browser only runs the script with this hash (https://www.w3.org/TR/CSP3/).
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        headline=printable(report.headline),
        status=printable(report.status),
        warnings=[printable(sentence) for sentence in report.warnings],
        notes=[printable(sentence) for sentence in report.notes],
        currency=printable(report.data.options.currency),
        cards=cards(report),
        verdicts=verdicts(report),
        charts=[_small(exhibit) for exhibit in _of_summary(report)],
        points=[printable(point.text) for point in report.points],
        sections=[] if report.missing else _chosen(_detail(report), house),
        appendix=appendix,
        unprinted=_unprinted(appendix),
        glossary=Markup(page_table(glossary_table(), "glossary")),  # noqa: S704 - escaped by its maker
        command=command_line(report.data.settings, report_only=not report.data.is_attributed),
    )


def _accent(house: HouseStyle) -> str:
    """Write CSS for the colour of links and buttons, lighter on a dark page for contrast."""
    if not house.accent:
        return ""
    light = f"color-mix(in srgb, {house.accent} 40%, white)"
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ --accent: {light}; }} }}"
    return f"\n:root {{ --accent: {house.accent}; }}\n{dark}"


def _chosen(makers: Makers, house: HouseStyle) -> list[Section]:
    """Build the sections that the house style shows."""
    made = [Section(title, make()) for title, make in makers.items() if title in house.sections]
    return [section for section in made if section.blocks]


def _unprinted(sections: list[Section]) -> list[str]:
    titles = [title for section in sections for title in (section.title, *(block.title for block in section.blocks))]
    return [title for title in titles if title in UNPRINTED]


def _of_summary(report: Report) -> list[Exhibit]:
    return [] if report.missing else [each for each in (report.daily, report.stability) if not each.frame.empty]


def _small(exhibit: Exhibit) -> Block:
    return Block(exhibit.chart_name, exhibit.headline, chart=_chart(exhibit, SMALL))


def _detail(report: Report) -> Makers:
    """The folded sections. Exhibits without a distinct chart are tables."""
    return {
        "Channels": lambda: [
            _block(report.channels, chart=False, folded=False),
            _block(report.break_even, text=False),
            _block(report.phases),
            _block(report.without_credit, chart=False, folded=False),
            *(_block(each, chart=False, folded=False) for each in _types(report)),
        ],
        "Experiments": lambda: _experiments(report),
        "Trend and conversion lag": lambda: [
            _block(report.weekly, tabled=False),
            _block(report.roas_by_day, tabled=False),
            _block(report.lag, tabled=False),
            _block(report.daily, chart=False),
        ],
        "Models and sensitivity": lambda: [
            _block(report.models),
            _block(report.sensitivity, tabled=False),
            _block(report.single_changes, chart=False, folded=False),
            *([_block(report.robustness)] if report.robustness else []),
        ],
        "Paths": lambda: [
            _block(report.commonest_paths),
            _block(report.roles, text=False),
            _block(report.journey_lengths, chart=False, folded=False),
            _block(report.journey_times, chart=False, folded=False),
        ],
        "Changes since the last run": lambda: [_block(report.changes)],
    }


def _experiments(report: Report) -> list[Block]:
    """Calibrated iROAS, the results and the next experiment, if the report has experiments."""
    if not report.has_experiments:
        return []
    tables = [_block(each, chart=False, folded=False) for each in (report.experiments, report.next_experiments)]
    return [_block(report.calibrated_roas), *tables]


def _types(report: Report) -> list[Exhibit]:
    return [report.conversion_types, report.channel_conversion_types] if report.data.has_types else []


def _appendix(report: Report) -> Makers:
    titles = ("Data quality",) if report.missing else APPENDIX
    return {title: partial(_tables, report, title) for title in titles} | {"Files": lambda: [_files(report)]}


def _tables(report: Report, title: str) -> list[Block]:
    return [_block(exhibit, chart=False, folded=False) for exhibit in report.sections[title]]


def _block(
    exhibit: Exhibit, *, chart: bool = True, text: bool = True, tabled: bool = True, folded: bool = True
) -> Block:
    """Select the parts of an exhibit for the page. `text`: include the text after the headline."""
    has_rows = not exhibit.frame.empty
    drawn = _chart(exhibit) if chart and exhibit.draw and has_rows else ""
    shown = exhibit.table() if tabled and has_rows else None
    html = page_table(shown, f"T-{exhibit.chart_name}") if shown else ""
    title = exhibit.headline if drawn else exhibit.title
    says = (exhibit.details if drawn else printable(exhibit.text)) if text else ""
    made = Markup(html)  # noqa: S704 - escaped by its maker
    return Block(exhibit.chart_name, title, says, drawn, made, is_folded=folded)


def _chart(exhibit: Exhibit, size: tuple[float, float] | None = None) -> Markup:
    """Return the chart as SVG, or a sentence if it cannot be drawn."""
    try:
        picture = Picture(partial(_sized, exhibit, size), exhibit.described) if size else exhibit.picture
        svg = inline_svg(picture, exhibit.chart_name)
    except Exception as error:
        return Markup("<p>This chart was not drawn ({}). Its figures are in the tables and CSV files.</p>").format(
            reason(error)
        )
    return Markup(svg)  # noqa: S704 - escaped by its maker


def _sized(exhibit: Exhibit, size: tuple[float, float]) -> Figure:
    with styled():
        figure = Figure(figsize=size)
    exhibit.plot(ax=figure.add_subplot())
    return figure


def _files(report: Report) -> Block:
    titles: dict[str, list[str]] = {}
    for exhibit in report.exhibits:
        titles.setdefault(exhibit.name, []).append(exhibit.title)
    # Exhibits that share a table are its parts: "Reconciliation: orders", "Reconciliation: spend".
    rows = [(f"{name}.csv", of[0].split(":")[0] if len(of) > 1 else of[0]) for name, of in sorted(titles.items())]
    rows += [("charts", "All charts as SVG and PNG"), ("run.json", "Settings of the run")]
    frame = pd.DataFrame(rows, columns=["File", "Content"]).astype("str")
    html = page_table(table(frame), "T-files")
    made = Markup(html)  # noqa: S704 - escaped by its maker
    return Block("files", "Files in this folder", table=made, is_folded=False)
