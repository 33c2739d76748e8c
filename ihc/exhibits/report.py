"""The report of a shop: every exhibit by name, and the only calls that write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd

from ihc.analysis.reconciliation import COST, CREDIT, ORDERS
from ihc.charts.style import letters_without_font
from ihc.errors import InputError
from ihc.exhibits import changes, channels, engine, models, paths, periods, quality, questions, reconciliation
from ihc.exhibits.data import ReportData
from ihc.exhibits.engine import Engine
from ihc.exhibits.models import Comparison
from ihc.exhibits.paths import Paths
from ihc.exhibits.quality import Checks
from ihc.exhibits.questions import Where
from ihc.formatting import printable, speak
from ihc.journeys.credits import vanished
from ihc.models.redistribution import labelled
from ihc.narrative import summary
from ihc.narrative.maturity import early_sentence
from ihc.narrative.models import made_by
from ihc.narrative.run import (
    colours_sentence,
    currency_sentence,
    cut_sentence,
    dates_sentence,
    kept_sentence,
    left_out_sentence,
    letters_sentence,
    missing_sentence,
    origin_sentence,
    provenance_sentence,
    run_sentence,
    span_sentence,
    waiting_sentence,
)
from ihc.narrative.summary import Point, dimension_sentence, folding_sentence
from ihc.report.exhibit import Exhibit
from ihc.report.tables import notebook_table
from ihc.report.verdicts import Card, cards
from ihc.schemas.refunds import purchase_ids


class Report:
    """A shop's report over its dates: exhibits, each with `.frame`, `.text` and `.plot()`.

    Nothing is computed before it is asked for, and nothing is written but by `save` and `to_excel`. Numbers and dates
    of exhibits are in the language of the report that was made, shown or saved last.
    """

    def __init__(self, data: ReportData) -> None:
        speak(data.options.style.language)
        self.data = data
        self._compared = Comparison(data)
        self._engine = Engine(data)
        self._checks = Checks(data.tables, data.settings)

    @cached_property
    def _paths(self) -> Paths:
        return Paths(self.data, self.data.shown_journeys)

    # What stands at the top

    @property
    def headline(self) -> str:
        """Where most of the spend is, and what breaks even."""
        return self.missing or summary.headline(self.data.few_verdicts, self.data.options.break_even_roas)

    @property
    def missing(self) -> str:
        """What the report lacks to be made of: orders or sessions; empty where nothing is missing."""
        data = self.data
        return missing_sentence(data.tables, data.orders, data.reported, dates_sentence(**data.window))

    @property
    def status(self) -> str:
        """Dates, model, reconciliation and incomplete days, in a line."""
        data, days = self.data, int(self.data.ages["is_immature"].sum())
        incomplete = "no incomplete day" if not days else "last day incomplete"
        if days > 1:
            incomplete = f"last {days} days incomplete"
        kind = "stored credits" if data.source.is_stored else "computed here, not stored"
        made = summary.made_with(data.sources)
        return " · ".join([dates_sentence(**data.window), f"{made} ({kind})", self.reconciled, incomplete])

    @property
    def reconciled(self) -> str:
        """The reconciliation in a line."""
        return summary.reconciled(self.data.reconciliation)

    @cached_property
    def points(self) -> list[Point]:
        """Up to five things to look at, those about the most money first."""
        data = self.data
        idle, moved = self.without_credit.frame, self.changes.frame
        return summary.points(data.few_verdicts, data.reconciliation, idle, data.ages, moved)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of these figures: what the rows stand for, where the parameters come from."""
        data, settings = self.data, self.data.settings
        parameters = settings.load_parameters()
        is_local = len(data.sources) and made_by(
            labelled(parameters.label, settings.redistribution_rules), data.sources
        )
        sentences = [
            run_sentence(settings.database.name, settings.run_id, dates_sentence(**data.window))
            if data.is_attributed
            else "",
            span_sentence(data.tables.sessions, data.tables.conversions),
            currency_sentence(data.options.currency),
            dimension_sentence(data.tables.sessions, **data.options.dimension),
            folding_sentence(data.few, data.few_summary),
            origin_sentence(parameters, data.reporting, shop=settings.database.name) if is_local else "",
            letters_sentence(letters_without_font(data.summary["channel_name"])),
            colours_sentence(data.options.style.channels, data.colours),
        ]
        return [sentence for sentence in sentences if sentence]

    @property
    def warnings(self) -> list[str]:
        """What is wrong with these figures, and must be seen before them; empty where nothing is."""
        data, settings = self.data, self.data.settings
        sentences = [
            provenance_sentence(data.sources) if len(data.sources) > 1 else "",
            early_sentence(data.rows, data.placed),
            left_out_sentence(vanished(data.results.runs, settings.run_id), data.results.unsound),
            *(sentence_of(data.ends) for sentence_of in (waiting_sentence, kept_sentence, cut_sentence)),
        ]
        return [sentence for sentence in sentences if sentence]

    @property
    def by_model(self) -> pd.DataFrame:
        """What each channel earns under each model, on the sessions of the dates."""
        return self._compared.by_model

    # Exhibits

    @cached_property
    def figures(self) -> Exhibit:
        """Key figures."""
        return periods.key_figures(self.data)

    @cached_property
    def channels(self) -> Exhibit:
        """Spend, attributed orders and revenue, CPO and ROAS by channel."""
        return channels.channels(self.data)

    @cached_property
    def intervals(self) -> Exhibit:
        """95 % confidence intervals (bootstrap), share of credit against share of spend."""
        return channels.intervals(self.data)

    @cached_property
    def break_even(self) -> Exhibit:
        """Headroom of each channel to break-even."""
        return channels.break_even(self.data)

    @cached_property
    def spend_and_revenue(self) -> Exhibit:
        """Spend and attributed revenue in money."""
        return channels.spend_and_revenue(self.data)

    @cached_property
    def phases(self) -> Exhibit:
        """Where in the journeys channels work."""
        return channels.phases(self.data)

    @cached_property
    def weekly(self) -> Exhibit:
        """Attributed revenue by week and channel."""
        return periods.weekly(self.data)

    @cached_property
    def daily(self) -> Exhibit:
        """Spend and attributed revenue by day."""
        return periods.daily(self.data)

    @cached_property
    def roas_by_day(self) -> Exhibit:
        """ROAS by day of the channels with most spend."""
        return periods.roas_by_day(self.data)

    @cached_property
    def lag(self) -> Exhibit:
        """Conversion lag."""
        return periods.lag(self.data)

    @cached_property
    def changes(self) -> Exhibit:
        """What changed since the last run."""
        return changes.changes(self.data)

    @cached_property
    def models(self) -> Exhibit:
        """Attributed revenue under each model."""
        return models.models(self._compared)

    @cached_property
    def sensitivity(self) -> Exhibit:
        """ROAS under other models, lookback windows and redistributions."""
        return models.settings(self._compared)

    @cached_property
    def stability(self) -> Exhibit:
        """The range of ROAS and rank over all settings."""
        return models.stability(self._compared)

    @cached_property
    def single_changes(self) -> Exhibit:
        """What each setting does when it alone differs."""
        return models.single(self._compared)

    @cached_property
    def journey_lengths(self) -> Exhibit:
        """How many sessions an order takes."""
        return paths.lengths(self._paths)

    @cached_property
    def journey_times(self) -> Exhibit:
        """How long an order takes."""
        return paths.times(self._paths)

    @cached_property
    def commonest_paths(self) -> Exhibit:
        """The commonest paths of all customers."""
        return self.paths()

    @cached_property
    def roles(self) -> Exhibit:
        """In which orders a channel is first, assists, or is last."""
        return paths.roles(self._paths)

    @cached_property
    def transitions(self) -> Exhibit:
        """Which channel follows which."""
        return paths.transitions(self._paths)

    @cached_property
    def reconciliation(self) -> Exhibit:
        """Orders, from what was read to what is credited."""
        return reconciliation.reconciliation(self.data, ORDERS)

    @cached_property
    def credit_reconciliation(self) -> Exhibit:
        """Credit, from that of the orders to that of the days."""
        return reconciliation.reconciliation(self.data, CREDIT)

    @cached_property
    def cost_reconciliation(self) -> Exhibit:
        """Spend, from what was read to what is reported."""
        return reconciliation.reconciliation(self.data, COST)

    @cached_property
    def without_credit(self) -> Exhibit:
        """Spend on sessions that led to no order."""
        return reconciliation.without_credit(self.data)

    @cached_property
    def untracked(self) -> Exhibit:
        """Untracked revenue by day."""
        return reconciliation.untracked(self.data)

    @cached_property
    def tables(self) -> Exhibit:
        """How large the shop's tables are."""
        return quality.tables(self._checks)

    @cached_property
    def quality(self) -> Exhibit:
        """What is odd in the shop's tables."""
        return quality.findings(self._checks)

    @cached_property
    def remedies(self) -> Exhibit:
        """What mends each finding."""
        return quality.remedies(self._checks)

    @cached_property
    def initializer_curve(self) -> Exhibit:
        """Initializer membership over the silence before a session."""
        return engine.curve(self._engine, "initializer")

    @cached_property
    def closer_curve(self) -> Exhibit:
        """Closer membership over the time until the order."""
        return engine.curve(self._engine, "closer")

    @cached_property
    def phase_weights(self) -> Exhibit:
        """How much of the credit each phase decides."""
        return engine.phase_weights(self._engine)

    @cached_property
    def channel_weights(self) -> Exhibit:
        """What a channel's sessions count in each phase."""
        return engine.channel_weights(self._engine)

    @cached_property
    def scores(self) -> Exhibit:
        """Channel scores by phase."""
        return engine.scores(self._engine)

    @cached_property
    def impact(self) -> Exhibit:
        """In how many orders a channel took part, and what it earned of them."""
        return engine.impact(self._engine)

    @cached_property
    def distribution(self) -> Exhibit:
        """How the credit of a channel's sessions is spread."""
        return engine.distribution(self._engine)

    @cached_property
    def redistribution(self) -> Exhibit:
        """What the redistribution moves."""
        return engine.redistribution(self._engine)

    @cached_property
    def explained(self) -> Exhibit:
        """One order, step by step."""
        return engine.explained(self._engine)

    # Questions

    def by(self, column: str, where: Where | None = None) -> Exhibit:
        """The report broken down by a column of sessions or of conversions, or by `customers`.

        `where`: only rows with this value, or with one of these: `{"channel_name": ["Search", "Mail"]}`. Of a column of
        conversions, cost is that of the sessions in the orders' journeys; the text says what else was spent.

        Raises InputError for a column or a value that is not there.
        """
        return questions.by(self.data, column, where)

    def trend(self, unit: str = "week", channel: str | None = None) -> Exhibit:
        """Spend, attributed revenue and ROAS by `day`, `week` or `month`, of one channel or of all.

        Raises InputError for another unit, or a channel without sessions.
        """
        return questions.trend(self.data, unit, channel)

    def compare(self, *models: str, where: Where | None = None) -> Exhibit:
        """Attributed revenue and ROAS under the named models beside IHC [default: all]; `last_click` is one of them.

        Raises InputError for a model, a column or a value that is not there.
        """
        return questions.compare(self._compared, *models, where=where)

    def paths(self, customers: str | None = None, top: int = 10) -> Exhibit:
        """The commonest paths to an order, of all customers, or of `new` or `returning` ones.

        Raises InputError for other customers.
        """
        chosen = Paths(self.data, questions.buyers(self.data, customers)) if customers is not None else self._paths
        return paths.commonest(chosen, top)

    def lookbacks(self, *days: float) -> Exhibit:
        """The channels under other lookback windows [days], computed by the local engine.

        Raises InputError without any.
        """
        return questions.lookbacks(self.data, *days)

    def without(self, *channels: str) -> Exhibit:
        """The channels as if the sessions of some were not there, and how many orders lose their journey.

        Raises InputError for a channel without sessions.
        """
        return questions.without_channel(self.data, *channels)

    def cohorts(self) -> Exhibit:
        """Customers by the channel of their first session."""
        return questions.cohorts(self.data)

    def explain(self, conv_id: str) -> Exhibit:
        """How the local engine makes an order's credit, session by session; of a refund, that of its order.

        Raises InputError where the order is not found, or has no session.
        """
        of_order = purchase_ids(pd.Series([conv_id], dtype="str"), self.data.tables.conversions).iloc[0]
        journey = self.data.journeys[self.data.journeys["conv_id"] == of_order]
        if journey.empty:
            raise InputError(f"Order {conv_id} not found, or it has no session. Check the ID and the dates.")
        return engine.explained(self._engine, journey.reset_index(drop=True))

    # All of it

    @cached_property
    def sections(self) -> dict[str, list[Exhibit]]:
        """Every exhibit by the section of the report that it stands in."""
        return {title: [make(self) for make in makers] for title, makers in SECTIONS.items()}

    @property
    def exhibits(self) -> Iterator[Exhibit]:
        """Every exhibit once, in the order of the report."""
        for exhibits in self.sections.values():
            yield from exhibits

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.html, each exhibit's CSV, and charts as SVG and PNG into `folder`; gives back the files.

        Raises OSError where the folder cannot be written.
        """
        from ihc.exhibits.files import save

        return save(self, Path(folder)).files

    def to_excel(self, path: str | Path) -> Path:
        """Write a workbook: a sheet an exhibit, figures as numbers, under the headings of the glossary."""
        from ihc.exhibits.files import write_excel

        return write_excel(self, Path(path))

    def _repr_html_(self) -> str:
        speak(self.data.options.style.language)
        things = "".join(f"<li>{escape(printable(point.text))}</li>" for point in self.points)
        return "\n".join(
            [
                f"<h2>{escape(printable(self.headline))}</h2>",
                f"<p>{escape(printable(self.status))}</p>",
                *(f"<p><b>{escape(printable(warning))}</b></p>" for warning in self.warnings),
                _as_table(cards(self)),
                notebook_table(self.channels.table()),
                f"<h3>To look at, by money</h3><ol>{things}</ol>" if things else "",
            ]
        )

    def __repr__(self) -> str:
        lines = [self.headline, self.status, *self.warnings, "", *(f"- {point.text}" for point in self.points)]
        return "\n".join(lines)


def _as_table(found: Sequence[Card]) -> str:
    """The key figures as a table of one row, which a notebook shows as it is."""
    heads = "".join(f"<th>{escape(card.label)}</th>" for card in found)
    values = "".join(f"<td><b>{escape(card.value)}</b></td>" for card in found)
    notes = "".join(f"<td>{escape(card.note)}</td>" for card in found)
    return f"<table><tr>{heads}</tr><tr>{values}</tr><tr>{notes}</tr></table>"


Make = Callable[[Report], Exhibit]
# The order in which a reader asks; the first section is the summary, the last is the appendix.
SECTIONS: dict[str, tuple[Make, ...]] = {
    "Summary": (
        lambda report: report.figures,
        lambda report: report.channels,
        lambda report: report.daily,
        lambda report: report.stability,
    ),
    "Channels": (
        lambda report: report.break_even,
        lambda report: report.intervals,
        lambda report: report.spend_and_revenue,
        lambda report: report.phases,
        lambda report: report.without_credit,
    ),
    "Trend and conversion lag": (
        lambda report: report.weekly,
        lambda report: report.roas_by_day,
        lambda report: report.lag,
    ),
    "Models and sensitivity": (
        lambda report: report.models,
        lambda report: report.sensitivity,
        lambda report: report.single_changes,
    ),
    "Paths": (
        lambda report: report.commonest_paths,
        lambda report: report.roles,
        lambda report: report.journey_lengths,
        lambda report: report.journey_times,
        lambda report: report.transitions,
    ),
    "Changes since the last run": (lambda report: report.changes,),
    "Reconciliation": (
        lambda report: report.reconciliation,
        lambda report: report.credit_reconciliation,
        lambda report: report.cost_reconciliation,
        lambda report: report.untracked,
    ),
    "Data quality": (
        lambda report: report.tables,
        lambda report: report.quality,
        lambda report: report.remedies,
    ),
    "Model parameters": (
        lambda report: report.initializer_curve,
        lambda report: report.closer_curve,
        lambda report: report.phase_weights,
        lambda report: report.channel_weights,
        lambda report: report.scores,
        lambda report: report.impact,
        lambda report: report.distribution,
        lambda report: report.redistribution,
        lambda report: report.explained,
    ),
}
