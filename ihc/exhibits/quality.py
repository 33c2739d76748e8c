"""What is odd in the shop's tables."""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from ihc.quality.checks import clean_sentence, mends, quality_findings, shown_findings, table_shapes
from ihc.quality.sql import Sql
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.tables import Tables
from ihc.settings.run import Settings


class Checks:
    """The checks of a shop's tables; computed once."""

    def __init__(self, tables: Tables, settings: Settings) -> None:
        self.tables = tables
        self.settings = settings

    @cached_property
    def found(self) -> pd.DataFrame:
        """`quality_findings`."""
        return quality_findings(self.tables, Sql(is_postgres=self.settings.database.is_postgres))


def tables(checks: Checks) -> Exhibit:
    """How large the tables are, and which days they hold."""
    return Exhibit(name="tables", title="The tables", frame=table_shapes(checks.tables))


def findings(checks: Checks) -> Exhibit:
    """What is odd, with how much money it is about and what follows."""
    frame = shown_findings(checks.found)
    return Exhibit(name="data_quality", title="Data quality", frame=frame, text=clean_sentence(checks.found))


def remedies(checks: Checks) -> Exhibit:
    """What mends each finding."""
    frame = mends(checks.found)
    return Exhibit(
        name="data_quality_remedies", title="Remedies", frame=frame, shown=lambda: table(frame, is_fixed=True)
    )
