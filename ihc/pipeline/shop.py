"""The `Shop` object for notebooks: tables, attribution, storage and report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from ihc.errors import DatabaseError, InputError, SettingsError
from ihc.exhibits.data import ReportData, Source, answers, as_stored, attributed, of_chosen_type
from ihc.exhibits.quality import Checks, findings, remedies
from ihc.exhibits.report import Report
from ihc.formatting import fixed, speak
from ihc.narrative.run import span_sentence
from ihc.pipeline.attribution import Attribution, attribute_shop
from ihc.pipeline.intermediate import frames_of, shared_inputs, stored_source
from ihc.pipeline.sample import make_sample
from ihc.quality.checks import table_shapes
from ihc.report.exhibit import Exhibit
from ihc.report.tables import notebook_table, table
from ihc.schemas.tables import Tables, check_tables
from ihc.settings.options import NAMES
from ihc.settings.run import Settings, load_settings


class Shop:
    """A shop's database: tables, data quality, attribution and report.

    Only these methods write: `attribute` (creates result tables, stores API answers), its `store`, and a report's
    `save` and `to_excel`.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self.settings = settings
        self._options = dict(options)
        speak(settings.report.style.language)

    @property
    def is_sample(self) -> bool:
        """Whether this is the sample shop, because the default database does not exist."""
        return self.settings.is_default_database and not self.settings.database.exists()

    @cached_property
    def tables(self) -> Tables:
        """The input tables `sessions`, `conversions`, `costs`; read once."""
        if self.is_sample:
            return check_tables(*make_sample())
        return shared_inputs(self.settings)

    @property
    def _stored(self) -> Source:
        return stored_source(self.settings, self.tables, has_results=not self.is_sample)

    def report(
        self, start_date: str | date | None = None, end_date: str | date | None = None, **options: Any
    ) -> Report:
        """Make the report for orders and sessions from `start_date` to `end_date` (inclusive) [default: all].

        `options`: `lookback_days`, `restart_after_order`, `conversion_type`, `break_even_roas`, `currency`, `by`,
        `channel_groups`, `experiments`, `stress`, `direct`, `parameters`, `redistribution`, `style`, as in `ihc run`.
        Stored credits are used if they match these settings; otherwise the local engine computes credits without
        storing them.

        Raises SettingsError for an invalid option, InputError for invalid tables, or if the engine is the API and no
        credits are stored.
        """
        if of_the_shop := options.keys() & {"database", "schema"}:
            raise SettingsError(f"{', '.join(sorted(of_the_shop))}: set this in ihc.open, not in a report.")
        given = {"start_date": start_date, "end_date": end_date} | options
        chosen = self._options | {name: _plain(value) for name, value in given.items() if value is not None}
        settings = load_settings(**chosen)
        stored = of_chosen_type(settings, self._stored)
        if settings.account and stored.results.outcomes.empty and not settings.given.run_id:
            raise InputError(
                "The engine is the API, but no credits are stored yet: run `ihc run` or shop.attribute().store(), or "
                "use report(engine='local')."
            )
        if answers(settings, stored.tables, stored.results):
            return Report(ReportData(as_stored(settings, stored.tables, stored.results), stored))
        return Report(ReportData(settings, attributed(settings, stored.tables)))

    @cached_property
    def _checks(self) -> Checks:
        return Checks(self.tables, self.settings, frames_of(self.settings))

    @property
    def quality(self) -> Exhibit:
        """Data quality findings, with the amounts involved and the consequences."""
        return findings(self._checks)

    @property
    def remedies(self) -> Exhibit:
        """The remedy for each finding."""
        return remedies(self._checks)

    def attribute(self) -> Attribution:
        """Attribute the orders of the period with the configured engine.

        Creates missing result tables and stores API answers as they arrive; `.store()` stores the credits. Raises
        ParametersError, ApiError or DatabaseError.
        """
        return attribute_shop(self.settings)

    def __repr__(self) -> str:
        name = "sample shop" if self.is_sample else self.settings.database.label
        shapes = table_shapes(self.tables).to_string(index=False)
        return f"Shop: {name}\n{shapes}\n{self._spans}"

    def _repr_html_(self) -> str:
        name = "Sample shop" if self.is_sample else self.settings.database.label
        return f"<h3>{escape(name)}</h3>{notebook_table(table(table_shapes(self.tables)))}<p>{escape(self._spans)}</p>"

    @property
    def _spans(self) -> str:
        spans = span_sentence(self.tables.sessions, self.tables.conversions)
        if frames_of(self.settings):  # another notebook of the run may be storing credits
            return spans
        credits = self._stored.results.credits
        kept = (
            f"Stored credits: {fixed(credits['conv_id'].nunique())} orders."
            if len(credits)
            else "No credits are stored yet: reports compute them with the local engine."
        )
        return f"{spans} {kept}".strip()


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
    return _opened(given)


def _opened(given: Mapping[str, Any]) -> Shop:
    shop = Shop(load_settings(**given), given)
    database = shop.settings.database
    if not database.exists() and not shop.is_sample:
        raise DatabaseError(f"There is no database {database.label}: check the path, or create one with `ihc sample`.")
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
    return _opened(given)
