"""Command `ihc check`: data quality findings and how to fix them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ihc.cli.options import settled, takes
from ihc.cli.printing import make_console, say
from ihc.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


FOUND = 1


@takes("database", "schema")
def check(**options: Any) -> None:
    """Check the tables and show how to fix each finding.

    Changes nothing. Exit codes: 0 no findings; 1 findings, or an error.
    """
    from ihc.analysis.maturity import lookback_of_first_orders
    from ihc.database.inputs import read_tables
    from ihc.journeys.build import find_spans
    from ihc.narrative.maturity import order_lookback_sentence
    from ihc.pipeline.sample import prepare
    from ihc.quality.checks import clean_sentence, quality_findings
    from ihc.quality.sql import Sql

    settings = settled(engine="local", **options)
    prepare(settings, typer.echo)
    tables = read_tables(settings.database)
    findings = quality_findings(tables, Sql(is_postgres=settings.database.is_postgres))
    found = findings[findings["count"] > 0]
    console = make_console()
    for _, finding in found.iterrows():
        say(console, [*_lines(finding), ""])
    rows = ", ".join(f"{len(frame):,} in {table}" for table, frame in tables.by_name.items())
    summary = f"{counted(len(found), 'finding')} in {settings.database.label}; rows: {rows}."
    days = None if settings.lookback_days else lookback_of_first_orders(find_spans(tables.sessions, tables.conversions))
    say(console, filter(None, [clean_sentence(findings), order_lookback_sentence(days), summary]))
    raise typer.Exit(FOUND if len(found) else 0)


def _lines(finding: pd.Series) -> Iterator[str]:
    """The lines of a finding: description and size, examples, consequence, remedy."""
    from ihc.glossary import FORMATS, MONEY, SHARE

    amount = f": {finding['of']} {FORMATS[MONEY](finding['amount'])}" if finding["of"] else ""
    share = f", {FORMATS[SHARE](finding['share'])} of all" if finding["share"] == finding["share"] else ""
    yield f"{finding['finding']}{amount}{share}"
    yield f"  {finding['examples']}"
    yield f"  {finding['consequence']}"
    yield f"  {finding['aim']}: {finding['mend']}"
