"""Data quality of the shop's tables."""

from __future__ import annotations

from functools import cached_property, partial

import pandas as pd

from ihc.database.frames import Frames
from ihc.quality.checks import clean_sentence, mends, quality_findings, shown_findings, table_shapes
from ihc.quality.sql import Sql
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.tables import Tables
from ihc.settings.run import Settings


class Checks:
    """Checks of a shop's tables, calculated once; with `frames`, once for all notebooks of a run."""

    def __init__(self, tables: Tables, settings: Settings, frames: Frames | None = None) -> None:
        self.tables = tables
        self.settings = settings
        self._frames = frames

    @cached_property
    def found(self) -> pd.DataFrame:
        """`quality_findings`."""
        find = partial(quality_findings, self.tables, Sql(is_postgres=self.settings.database.is_postgres))
        return self._frames.kept("quality", find) if self._frames else find()


def tables(checks: Checks) -> Exhibit:
    """Size of the tables, and the days they cover."""
    return Exhibit(name="tables", title="Tables", frame=table_shapes(checks.tables))


def findings(checks: Checks) -> Exhibit:
    """Findings with their amount and consequence."""
    frame = shown_findings(checks.found)
    return Exhibit(name="data_quality", title="Data quality", frame=frame, text=clean_sentence(checks.found))


def remedies(checks: Checks) -> Exhibit:
    """SQL statements and settings that fix each finding."""
    frame = mends(checks.found)
    return Exhibit(
        name="data_quality_remedies", title="Remedies", frame=frame, shown=lambda: table(frame, is_fixed=True)
    )
