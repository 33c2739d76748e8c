"""A shop as an analyst opens it: its tables, its report, and the calls that attribute and store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ihc.database.inputs import read_tables
from ihc.database.results import Results, no_phases, no_results, read_phases, read_results
from ihc.errors import DatabaseError, InputError, SettingsError
from ihc.exhibits.data import ReportData, Source, answers, as_stored, attributed
from ihc.exhibits.quality import Checks, findings, remedies
from ihc.exhibits.report import Report
from ihc.formatting import fixed, speak
from ihc.narrative.run import span_sentence
from ihc.pipeline.attribution import Attribution, attribute_shop
from ihc.pipeline.sample import make_sample
from ihc.quality.checks import table_shapes
from ihc.report.exhibit import Exhibit
from ihc.report.tables import notebook_table, table
from ihc.schemas.tables import Tables, check_tables
from ihc.settings.options import NAMES
from ihc.settings.run import Settings, load_settings


class Shop:
    """A shop's tables, and what can be asked of them.

    These calls write, and no others: `attribute` (tables for results, and the API's answers), its `store`, and a
    report's `save` and `to_excel`.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self.settings = settings
        self._options = dict(options)
        speak(settings.report.style.language)

    @property
    def is_sample(self) -> bool:
        """Whether the shop is the made-up one, as there is no database where the default one would be."""
        return self.settings.is_default_database and not self.settings.database.exists()

    @cached_property
    def tables(self) -> Tables:
        """The tables: `sessions`, `conversions`, `costs`; read once."""
        if self.is_sample:
            return check_tables(*make_sample())
        return read_tables(self.settings.database)

    @property
    def stored(self) -> tuple[Results, pd.DataFrame]:
        """The stored credits, and their phases."""
        if self.is_sample:
            return no_results(), no_phases()
        return read_results(self.settings.database), read_phases(self.settings.database)

    def report(
        self, start_date: str | date | None = None, end_date: str | date | None = None, **options: Any
    ) -> Report:
        """The report of the orders and sessions from `start_date` to `end_date` (inclusive) [default: of all].

        `options`: `lookback_days`, `break_even_roas`, `currency`, `by`, `channel_groups`, `direct`, `parameters`,
        `redistribution`, as of `ihc run`. Stored credits are used where they are what is asked for; else the local
        engine computes them here, and stores nothing.

        Raises SettingsError for an option, InputError for tables that are unfit, or where the API is to compute and no
        credit is stored.
        """
        if of_the_shop := options.keys() & {"database", "schema"}:
            raise SettingsError(f"{', '.join(sorted(of_the_shop))}: an option of ihc.open, not of a report.")
        given = {"start_date": start_date, "end_date": end_date} | options
        chosen = self._options | {name: _plain(value) for name, value in given.items() if value is not None}
        settings = load_settings(**chosen)
        results, phases = self.stored
        if settings.account and results.outcomes.empty and not settings.given.run_id:
            raise InputError(
                "The API is to compute, and no credit is stored yet: attribute and store first (`ihc run`, or "
                "shop.attribute().store()), or ask for a report(engine='local')."
            )
        if answers(settings, self.tables, results):
            settings = as_stored(settings, self.tables, results)
            return Report(ReportData(settings, Source(self.tables, results, phases, is_stored=True)))
        return Report(ReportData(settings, attributed(settings, self.tables)))

    @cached_property
    def _checks(self) -> Checks:
        return Checks(self.tables, self.settings)

    @property
    def quality(self) -> Exhibit:
        """What is odd in the tables, with how much money it is about and what follows."""
        return findings(self._checks)

    @property
    def remedies(self) -> Exhibit:
        """What mends each finding."""
        return remedies(self._checks)

    def attribute(self) -> Attribution:
        """Attribute the dates' orders by the engine of the settings.

        The tables for results are made where they are missing, and the API's answers are kept as they come; credits are
        stored by `.store()`. Raises ParametersError, ApiError or DatabaseError.
        """
        return attribute_shop(self.settings)

    def __repr__(self) -> str:
        name = "a made-up shop" if self.is_sample else self.settings.database.label
        shapes = table_shapes(self.tables).to_string(index=False)
        return f"Shop: {name}\n{shapes}\n{self._spans}"

    def _repr_html_(self) -> str:
        name = "A made-up shop" if self.is_sample else self.settings.database.label
        return f"<h3>{escape(name)}</h3>{notebook_table(table(table_shapes(self.tables)))}<p>{escape(self._spans)}</p>"

    @property
    def _spans(self) -> str:
        results = self.stored[0]
        kept = (
            f"Stored credits: {fixed(results.credits['conv_id'].nunique())} orders."
            if len(results.credits)
            else "No credit is stored yet: a report computes it with the local engine."
        )
        return f"{span_sentence(self.tables.sessions, self.tables.conversions)} {kept}".strip()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def open(database: str | Path = "", **options: Any) -> Shop:
    """Open a shop's database. Nothing is written.

    Parameters
    ----------
    database : str or Path, optional
        An SQLite file or a database URL. Default: as for `ihc run`; the sample shop if that database does not exist.
    **options
        Options of `ihc run`, such as `schema`. A report can override them.

    Returns
    -------
    Shop
        The shop: `.tables`, `.quality`, `.report()` and `.attribute()`.

    Raises
    ------
    DatabaseError
        If the database does not exist.
    SettingsError
        For an invalid option.

    Examples
    --------
    >>> import ihc
    >>> shop = ihc.open("shop.db")  # doctest: +SKIP
    >>> shop.report("2023-09-01", "2023-09-30")  # doctest: +SKIP

    """
    given = {"base": Path.cwd(), "database": str(database), **options} if str(database) else options
    return _checked(Shop(load_settings(**given), given))


def _checked(shop: Shop) -> Shop:
    database = shop.settings.database
    if not database.exists() and not shop.is_sample:
        raise DatabaseError(f"There is no database {database.label}: check the path, or make one by `ihc sample`.")
    return shop


def from_notebook(variables: Mapping[str, Any]) -> Shop:
    """Open the shop named by a notebook's parameters. Nothing is written.

    Parameters
    ----------
    variables : Mapping[str, Any]
        The `globals()` of the notebook. Names that are options of `ihc run` are used, all others are ignored.

    Returns
    -------
    Shop
        The shop, as of `open`.

    Raises
    ------
    DatabaseError
        If the database does not exist.
    SettingsError
        For an invalid option.

    Examples
    --------
    >>> import ihc
    >>> shop = ihc.from_notebook(globals())  # doctest: +SKIP

    """
    given = {name: variables[name] for name in NAMES if name in variables}
    return _checked(Shop(load_settings(**given), given))
