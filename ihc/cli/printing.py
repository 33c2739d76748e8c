"""Print tables and sentences to the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ihc.formatting import fixed

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress

    from ihc.glossary import Write


def make_console(*, stderr: bool = False) -> Console:
    """A console that does not interpret markup, because texts come from the data."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


def say(console: Console, sentences: Iterable[str]) -> None:
    """Print one sentence per line."""
    for sentence in sentences:
        console.print(sentence)


@contextmanager
def bars(console: Console, *, transient: bool = False) -> Iterator[Progress]:
    """Progress bars, only on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=transient, disable=not console.is_terminal) as progress:
        yield progress


def print_channels(console: Console, verdicts: pd.DataFrame) -> None:
    """Print channels by spend, with ROAS, confidence interval and verdict. In: `break_even_table`."""
    from rich import box
    from rich.table import Table

    from ihc.analysis.bootstrap import CONFIDENCE
    from ihc.formatting import percentage, shown

    table, ratio = Table(box=box.SIMPLE_HEAD, pad_edge=False), f"ROAS ({percentage(CONFIDENCE)})"
    for name in ("Channel", "Spend", "Revenue", ratio, "Verdict"):
        table.add_column(name, justify="left" if name in ("Channel", "Verdict") else "right", no_wrap=True)
    for row in verdicts.sort_values("cost", ascending=False, kind="stable").to_dict("records"):
        low, roas, high = (fixed(row[name], 2) for name in ("ROAS_low", "ROAS", "ROAS_high"))
        ratio = "" if roas == "nan" else roas if low == "nan" else f"{roas} ({low}–{high})"
        amounts = fixed(row["cost"]), fixed(row["ihc_revenue"])
        table.add_row(shown(row["channel_name"], 20), *amounts, ratio, row["verdict"])
    console.print(table)


def print_reconciliation(console: Console, reconciliation: pd.DataFrame) -> None:
    """Print each section of the reconciliation, totals in bold."""
    from rich import box
    from rich.table import Table

    from ihc.glossary import FORMATS, MONEY
    from ihc.report.tables import count_format

    for section, lines in reconciliation.groupby("section", sort=False):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(str(section), min_width=44)
        table.add_column(str(lines["counted"].iloc[0]), justify="right", min_width=11)
        table.add_column("amount", justify="right", min_width=14)
        counts = lines["count"].map(count_format(lines["count"]))
        amounts = lines["amount"].map(FORMATS[MONEY])
        for kind, line, count, amount in zip(lines["kind"], lines["line"], counts, amounts, strict=True):
            table.add_row(line, count, amount, style="bold" if kind == "total" else None)
        console.print(table)


def print_table(console: Console, title: str, frame: pd.DataFrame, decimals: int | None = None) -> None:
    """Print a frame with the headings of the glossary; `decimals` applies to figures other than counts."""
    from rich import box
    from rich.table import Table

    from ihc.glossary import COUNT, FORMATS, TEXT, heading

    units = {column: heading(column)[1] for column in frame.columns}
    formats = {column: FORMATS[unit] for column, unit in units.items()}
    if decimals is not None:
        exact = partial(fixed, decimals=decimals)
        formats |= {column: exact for column, unit in units.items() if unit not in (TEXT, COUNT)}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left", title_style="bold")
    for column, unit in units.items():
        name = heading(column)[0]
        width = max(map(len, name.split()), default=0)  # headings wrap only between words
        table.add_column(name, justify="left" if unit == TEXT else "right", overflow="fold", min_width=width)
    for row in frame.to_dict("records"):
        table.add_row(*(_cell(value, formats[str(column)]) for column, value in row.items()))
    console.print(table)


def _cell(value: object, write: Write) -> str:
    from ihc.formatting import shown

    if value == "" or value != value:
        return ""
    return shown(value, 200) if write is str else write(value)
