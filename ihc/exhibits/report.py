"""Report of a shop, with one property per exhibit, and methods to save it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TypeVar

import pandas as pd

from ihc.analysis.reconciliation import COST, CREDIT, ORDERS
from ihc.charts.style import letters_without_font
from ihc.errors import InputError
from ihc.exhibits import channels, engine, experiments, models, paths, periods, quality, questions, reconciliation
from ihc.exhibits.data import ReportData
from ihc.exhibits.engine import Engine
from ihc.exhibits.experiments import Experiments
from ihc.exhibits.models import Comparison
from ihc.exhibits.paths import Paths
from ihc.exhibits.quality import Checks
from ihc.exhibits.questions import Where
from ihc.formatting import printable, speak
from ihc.journeys.credits import removed
from ihc.narrative import summary
from ihc.narrative.channels import chosen_type_sentence
from ihc.narrative.experiments import contradiction_sentence
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
    origins_sentence,
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

T = TypeVar("T", Exhibit, Exhibit | None)


def _exhibit(make: Callable[[Report], T]) -> cached_property[T]:
    """An attribute of a report that is made on first access."""
    return cached_property(make)


class Report:
    """Report of a shop over its dates. Each exhibit has `.frame`, `.text` and `.plot()`.

    Exhibits are calculated on first access. Only `save` and `to_excel` write files. Numbers and dates are in the
    language of the report that was created, shown or saved last.
    """

    def __init__(self, data: ReportData) -> None:
        speak(data.options.style.language)
        self.data = data
        self._compared = Comparison(data)
        self._engine = Engine(data)
        self._experiments = Experiments(data)
        is_whole = data.settings.conversion_type is None
        self._checks = Checks(data.tables, data.settings, data.source.frames if is_whole else None)

    @cached_property
    def _paths(self) -> Paths:
        return Paths(self.data, self.data.shown_journeys)

    # Summary

    @property
    def headline(self) -> str:
        """Where most of the spend is, and which channels are above break-even."""
        text = summary.headline(self.data.few_verdicts, self.data.options.break_even_roas)
        is_doubted = self.has_experiments and not self._experiments.evidence["agrees"].all()
        return self.missing or (f"By attribution: {text}" if is_doubted else text)

    @property
    def missing(self) -> str:
        """Missing orders or sessions, as a sentence; empty if nothing is missing."""
        data = self.data
        return missing_sentence(data.tables, data.orders, data.reported, dates_sentence(**data.window))

    @property
    def status(self) -> str:
        """Dates, engine, reconciliation and incomplete days in one line."""
        data, days = self.data, int(self.data.ages["is_immature"].sum())
        incomplete = "no incomplete days" if not days else "last day incomplete"
        if days > 1:
            incomplete = f"last {days} days incomplete"
        kind = "stored credits" if data.source.is_stored else "computed here, not stored"
        made = summary.made_with(data.sources)
        return " · ".join([dates_sentence(**data.window), f"{made} ({kind})", self.reconciled, incomplete])

    @property
    def reconciled(self) -> str:
        """The reconciliation in one line."""
        return summary.reconciled(self.data.reconciliation)

    @cached_property
    def points(self) -> list[Point]:
        """Up to five priorities, the largest amount first."""
        data = self.data
        idle, moved = self.without_credit.frame, self.changes.frame
        verdicts, more = data.few_verdicts, list[Point]()
        if self.has_experiments:
            tests = self._experiments.evidence
            wrong = tests.loc[~tests["agrees"], "channel_name"]
            verdicts, more = verdicts[~verdicts["channel_name"].isin(wrong)], summary.contradicted(tests)
        if self.robustness:
            more += summary.fragile(verdicts, self.robustness.frame)
        return summary.points(verdicts, data.reconciliation, idle, data.ages, moved, more)

    @property
    def notes(self) -> list[str]:
        """Notes on the figures: dates, currency, dimension of the rows, origin of the parameters."""
        data, settings = self.data, self.data.settings
        is_local = len(data.sources) and made_by(settings.local_source, data.sources)
        chosen = {} if any(data.options.dimension.values()) else data.options.style.channels
        sentences = [
            run_sentence(settings.database.name, settings.run_id, dates_sentence(**data.window))
            if data.is_attributed
            else "",
            span_sentence(data.tables.sessions, data.tables.conversions),
            chosen_type_sentence(settings.conversion_type),
            currency_sentence(data.options.currency),
            dimension_sentence(data.channel_visits, **data.options.dimension),
            folding_sentence(data.few, data.few_summary),
            origins_sentence(data.used_sets, data.tables.sessions, shop=settings.database.name) if is_local else "",
            letters_sentence(letters_without_font(data.summary["channel_name"])),
            colours_sentence(chosen, data.colours),
        ]
        return [sentence for sentence in sentences if sentence]

    @property
    def warnings(self) -> list[str]:
        """Problems to know before reading the figures; empty if there are none."""
        data, settings = self.data, self.data.settings
        sentences = [
            provenance_sentence(data.sources) if len(data.sources) > 1 else "",
            early_sentence(data.rows, data.placed),
            contradiction_sentence(self._experiments.evidence) if self.has_experiments else "",
            left_out_sentence(removed(data.results.runs, settings.run_id), data.results.unsound),
            *(sentence_of(data.outcomes) for sentence_of in (waiting_sentence, kept_sentence, cut_sentence)),
        ]
        return [sentence for sentence in sentences if sentence]

    @property
    def by_model(self) -> pd.DataFrame:
        """Attributed revenue and ROAS by channel and model, for the sessions of the dates."""
        return self._compared.by_model

    @property
    def has_experiments(self) -> bool:
        """Whether the report has results of experiments."""
        return self.data.options.results is not None

    # Exhibits

    figures = _exhibit(lambda report: periods.key_figures(report.data))
    """Key figures."""

    channels = _exhibit(lambda report: channels.channels(report.data))
    """Spend, attributed orders and revenue, CPO and ROAS by channel."""

    intervals = _exhibit(lambda report: channels.intervals(report.data))
    """95% bootstrap confidence intervals, and share of credit compared with share of spend."""

    break_even = _exhibit(lambda report: channels.break_even(report.data))
    """Break-even spend and headroom of each channel."""

    spend_and_revenue = _exhibit(lambda report: channels.spend_and_revenue(report.data))
    """Spend and attributed revenue by channel."""

    phases = _exhibit(lambda report: channels.phases(report.data))
    """Credit by channel and phase: initializer, holder, closer."""

    conversion_types = _exhibit(lambda report: channels.conversion_types(report.data))
    """Orders and attributed revenue by conversion type. In the report if there are several types."""

    channel_conversion_types = _exhibit(lambda report: channels.channel_conversion_types(report.data))
    """Attributed orders and revenue by channel and conversion type. In the report if there are several types."""

    weekly = _exhibit(lambda report: periods.weekly(report.data))
    """Attributed revenue by week and channel."""

    daily = _exhibit(lambda report: periods.daily(report.data))
    """Spend and attributed revenue by day."""

    roas_by_day = _exhibit(lambda report: periods.roas_by_day(report.data))
    """ROAS by day of the channels with the most spend."""

    lag = _exhibit(lambda report: periods.lag(report.data))
    """Conversion lag: credit by days from session to order."""

    changes = _exhibit(lambda report: periods.changes(report.data))
    """Changes since the last run, by cause."""

    models = _exhibit(lambda report: models.models(report._compared))
    """Attributed revenue by model."""

    sensitivity = _exhibit(lambda report: models.settings(report._compared))
    """ROAS under other models, lookback windows and redistributions."""

    stability = _exhibit(lambda report: models.stability(report._compared))
    """The range of ROAS and rank over all settings."""

    single_changes = _exhibit(lambda report: models.single(report._compared))
    """Effect of changing one setting at a time."""

    @cached_property
    def robustness(self) -> Exhibit | None:
        """Verdicts in worlds with damaged tracking; None without the setting `stress`, their number."""
        worlds = self.data.options.worlds
        # `ihc stress` may have written files of the other name into the same folder.
        return replace(self.stress(worlds), name=models.ROBUSTNESS) if worlds else None

    calibrated_roas = _exhibit(lambda report: experiments.calibration(report._experiments))
    """Attributed ROAS and iROAS calibrated by experiments. In the report if it has `experiments`."""

    experiments = _exhibit(lambda report: experiments.results(report._experiments))
    """Results of experiments, and whether attribution agrees. In the report if it has `experiments`."""

    next_experiments = _exhibit(lambda report: experiments.following(report._experiments))
    """Which experiment to run next, and its size. In the report if it has `experiments`."""

    calibrated_reporting = _exhibit(lambda report: experiments.days(report._experiments))
    """Attributed and calibrated revenue by channel and day. In the report if it has `experiments`."""

    journey_lengths = _exhibit(lambda report: paths.lengths(report._paths))
    """Orders by number of sessions."""

    journey_times = _exhibit(lambda report: paths.times(report._paths))
    """Orders by time from the first to the converting session."""

    @cached_property
    def commonest_paths(self) -> Exhibit:
        """Most common paths of all customers."""
        return self.paths()

    roles = _exhibit(lambda report: paths.roles(report._paths))
    """Orders in which a channel is first, assist, last or the only channel."""

    transitions = _exhibit(lambda report: paths.transitions(report._paths))
    """Transitions from channel to channel."""

    reconciliation = _exhibit(lambda report: reconciliation.reconciliation(report.data, ORDERS))
    """Reconciliation of orders and revenue, from input tables to credited orders."""

    credit_reconciliation = _exhibit(lambda report: reconciliation.reconciliation(report.data, CREDIT))
    """Reconciliation of credit, from credited orders to reported days."""

    cost_reconciliation = _exhibit(lambda report: reconciliation.reconciliation(report.data, COST))
    """Reconciliation of spend, from input tables to report."""

    without_credit = _exhibit(lambda report: reconciliation.without_credit(report.data))
    """Spend on sessions without credit."""

    untracked = _exhibit(lambda report: reconciliation.untracked(report.data))
    """Revenue of untracked orders by day."""

    tables = _exhibit(lambda report: quality.tables(report._checks))
    """Size of the shop's tables."""

    quality = _exhibit(lambda report: quality.findings(report._checks))
    """Data quality findings."""

    remedies = _exhibit(lambda report: quality.remedies(report._checks))
    """SQL statements and settings that fix each finding."""

    engagement = _exhibit(lambda report: models.engagement(report._compared))
    """Effect of closer engagement that is not recorded; None if it is."""

    initializer_curve = _exhibit(lambda report: engine.curve(report._engine, "initializer"))
    """Initializer membership by gap since the previous session."""

    closer_curve = _exhibit(lambda report: engine.curve(report._engine, "closer"))
    """Closer membership by time to conversion."""

    phase_weights = _exhibit(lambda report: engine.phase_weights(report._engine))
    """Share of the credit that each phase assigns."""

    channel_weights = _exhibit(lambda report: engine.channel_weights(report._engine))
    """Weight of each channel's sessions by phase."""

    scores = _exhibit(lambda report: engine.scores(report._engine))
    """Channel scores by phase."""

    impact = _exhibit(lambda report: engine.impact(report._engine))
    """Influenced orders of each channel, and its average credit in them."""

    distribution = _exhibit(lambda report: engine.distribution(report._engine))
    """Distribution of credit over each channel's sessions."""

    redistribution = _exhibit(lambda report: engine.redistribution(report._engine))
    """Credit before and after redistribution."""

    explained = _exhibit(lambda report: engine.explained(report._engine))
    """Credit of one order, step by step."""

    # Ad-hoc analyses

    def by(self, column: str, where: Where | None = None) -> Exhibit:
        """Break the report down by a column of sessions or conversions, or by `customers` (new or returning).

        `where` keeps rows with this value, or one of several: `{"channel_name": ["Search", "Mail"]}`. For a column of
        conversions, cost is that of the sessions in the orders' journeys; the text states the remaining spend.

        Raises InputError if the column or value does not exist.
        """
        return questions.by(self.data, column, where)

    def trend(self, unit: str = "week", channel: str | None = None) -> Exhibit:
        """Spend, attributed revenue and ROAS by `day`, `week` or `month`, for one channel or all.

        Raises InputError for another unit, or a channel without sessions.
        """
        return questions.trend(self.data, unit, channel)

    def compare(self, *models: str, where: Where | None = None) -> Exhibit:
        """Compare attributed revenue and ROAS under other models, such as `last_click`, with IHC [default: all models].

        Raises InputError if the model, column or value does not exist.
        """
        return questions.compare(self._compared, *models, where=where)

    def paths(self, customers: str | None = None, top: int = 10) -> Exhibit:
        """Most common paths to an order, for all customers, or for `new` or `returning` ones.

        Raises InputError for another value of `customers`.
        """
        chosen = Paths(self.data, questions.buyers(self.data, customers)) if customers is not None else self._paths
        return paths.commonest(chosen, top)

    def lookbacks(self, *days: float) -> Exhibit:
        """Attributed revenue and ROAS by channel with other lookback windows [days], calculated by the local engine.

        Raises InputError if none is given.
        """
        return questions.lookbacks(self.data, *days)

    def what_if(self, source: str, target: str, share: float = 0.1) -> Exhibit:
        """Estimate how revenue changes if a `share` of the spend on `source` goes to `target`, as a range.

        The range is over the experiments, the incremental models and chance; see the guide to experiments. Raises
        InputError for channels without spend, and a share that is not above 0 and up to 1.
        """
        return experiments.scenario(self._experiments, source, target, share)

    def stress(self, worlds: int = 400, seed: int = 1) -> Exhibit:
        """Test whether the verdict on each channel survives lost tracking, in `worlds` with damage of random size.

        The local engine computes the change of each channel's revenue. Raises InputError for fewer than one world.
        """
        return models.stress(self.data, worlds, seed)

    def without(self, *channels: str) -> Exhibit:
        """Recalculate the report without the sessions of some channels, and count the orders that lose their journey.

        Raises InputError for a channel without sessions.
        """
        return questions.without_channel(self.data, *channels)

    def cohorts(self) -> Exhibit:
        """Customers by the channel of their first session: orders and revenue per customer."""
        return questions.cohorts(self.data)

    def explain(self, conv_id: str) -> Exhibit:
        """Explain the credit of an order from the local engine, session by session. For a refund: that of its order.

        Raises InputError if the order does not exist or has no session.
        """
        of_order = purchase_ids(pd.Series([conv_id], dtype="str"), self.data.tables.conversions).iloc[0]
        journey = self.data.journeys[self.data.journeys["conv_id"] == of_order]
        if journey.empty:
            raise InputError(f"Order {conv_id} not found, or it has no session. Check the ID and the dates.")
        return engine.explained(self._engine, journey.reset_index(drop=True))

    # All exhibits

    @cached_property
    def sections(self) -> dict[str, list[Exhibit]]:
        """All exhibits by section of the report."""
        made = {title: [make(self) for make in makers] for title, makers in SECTIONS.items()}
        return {title: [exhibit for exhibit in part if exhibit] for title, part in made.items()}

    @property
    def exhibits(self) -> Iterator[Exhibit]:
        """All exhibits, in the order of the report."""
        for exhibits in self.sections.values():
            yield from exhibits

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.html, one CSV per exhibit, and charts as SVG and PNG into `folder`, and return the files.

        Raises OSError if the folder is not writable.
        """
        from ihc.exhibits.files import save

        return save(self, Path(folder)).files

    def to_excel(self, path: str | Path) -> Path:
        """Write a workbook with one sheet per exhibit, under the headings of the glossary."""
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
                f"<h3>Priorities by amount</h3><ol>{things}</ol>" if things else "",
            ]
        )

    def __repr__(self) -> str:
        lines = [self.headline, self.status, *self.warnings, "", *(f"- {point.text}" for point in self.points)]
        return "\n".join(lines)


def _as_table(found: Sequence[Card]) -> str:
    """Write the key figures as an HTML table with one column per figure."""
    heads = "".join(f"<th>{escape(card.label)}</th>" for card in found)
    values = "".join(f"<td><b>{escape(card.value)}</b></td>" for card in found)
    notes = "".join(f"<td>{escape(card.note)}</td>" for card in found)
    return f"<table><tr>{heads}</tr><tr>{values}</tr><tr>{notes}</tr></table>"


Make = Callable[[Report], Exhibit | None]  # None: the exhibit does not apply to the shop
# In the order of the page. The first section is the summary, the last is the appendix.
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
        lambda report: report.conversion_types if report.data.has_types else None,
        lambda report: report.channel_conversion_types if report.data.has_types else None,
    ),
    "Experiments": (
        lambda report: report.calibrated_roas if report.has_experiments else None,
        lambda report: report.experiments if report.has_experiments else None,
        lambda report: report.next_experiments if report.has_experiments else None,
        lambda report: report.calibrated_reporting if report.has_experiments else None,
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
        lambda report: report.robustness,
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
        lambda report: report.engagement,
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
