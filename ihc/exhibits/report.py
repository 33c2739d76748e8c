"""Report of a shop, with one property per exhibit, and methods to save it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path

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
        """95% bootstrap confidence intervals, and share of credit compared with share of spend."""
        return channels.intervals(self.data)

    @cached_property
    def break_even(self) -> Exhibit:
        """Break-even spend and headroom of each channel."""
        return channels.break_even(self.data)

    @cached_property
    def spend_and_revenue(self) -> Exhibit:
        """Spend and attributed revenue by channel."""
        return channels.spend_and_revenue(self.data)

    @cached_property
    def phases(self) -> Exhibit:
        """Credit by channel and phase: initializer, holder, closer."""
        return channels.phases(self.data)

    @cached_property
    def conversion_types(self) -> Exhibit:
        """Orders and attributed revenue by conversion type. In the report if there are several types."""
        return channels.conversion_types(self.data)

    @cached_property
    def channel_conversion_types(self) -> Exhibit:
        """Attributed orders and revenue by channel and conversion type. In the report if there are several types."""
        return channels.channel_conversion_types(self.data)

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
        """ROAS by day of the channels with the most spend."""
        return periods.roas_by_day(self.data)

    @cached_property
    def lag(self) -> Exhibit:
        """Conversion lag: credit by days from session to order."""
        return periods.lag(self.data)

    @cached_property
    def changes(self) -> Exhibit:
        """Changes since the last run, by cause."""
        return periods.changes(self.data)

    @cached_property
    def models(self) -> Exhibit:
        """Attributed revenue by model."""
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
        """Effect of changing one setting at a time."""
        return models.single(self._compared)

    @cached_property
    def robustness(self) -> Exhibit | None:
        """Verdicts in worlds with damaged tracking; None without the setting `stress`, their number."""
        worlds = self.data.options.worlds
        # `ihc stress` may have written files of the other name into the same folder.
        return replace(self.stress(worlds), name=models.ROBUSTNESS) if worlds else None

    @cached_property
    def calibrated_roas(self) -> Exhibit:
        """Attributed ROAS and iROAS calibrated by experiments. In the report if it has `experiments`."""
        return experiments.calibration(self._experiments)

    @cached_property
    def experiments(self) -> Exhibit:
        """Results of experiments, and whether attribution agrees. In the report if it has `experiments`."""
        return experiments.results(self._experiments)

    @cached_property
    def next_experiments(self) -> Exhibit:
        """Which experiment to run next, and its size. In the report if it has `experiments`."""
        return experiments.following(self._experiments)

    @cached_property
    def calibrated_reporting(self) -> Exhibit:
        """Attributed and calibrated revenue by channel and day. In the report if it has `experiments`."""
        return experiments.days(self._experiments)

    @cached_property
    def journey_lengths(self) -> Exhibit:
        """Orders by number of sessions."""
        return paths.lengths(self._paths)

    @cached_property
    def journey_times(self) -> Exhibit:
        """Orders by time from the first to the converting session."""
        return paths.times(self._paths)

    @cached_property
    def commonest_paths(self) -> Exhibit:
        """Most common paths of all customers."""
        return self.paths()

    @cached_property
    def roles(self) -> Exhibit:
        """Orders in which a channel is first, assist, last or the only channel."""
        return paths.roles(self._paths)

    @cached_property
    def transitions(self) -> Exhibit:
        """Transitions from channel to channel."""
        return paths.transitions(self._paths)

    @cached_property
    def reconciliation(self) -> Exhibit:
        """Reconciliation of orders and revenue, from input tables to credited orders."""
        return reconciliation.reconciliation(self.data, ORDERS)

    @cached_property
    def credit_reconciliation(self) -> Exhibit:
        """Reconciliation of credit, from credited orders to reported days."""
        return reconciliation.reconciliation(self.data, CREDIT)

    @cached_property
    def cost_reconciliation(self) -> Exhibit:
        """Reconciliation of spend, from input tables to report."""
        return reconciliation.reconciliation(self.data, COST)

    @cached_property
    def without_credit(self) -> Exhibit:
        """Spend on sessions without credit."""
        return reconciliation.without_credit(self.data)

    @cached_property
    def untracked(self) -> Exhibit:
        """Revenue of untracked orders by day."""
        return reconciliation.untracked(self.data)

    @cached_property
    def tables(self) -> Exhibit:
        """Size of the shop's tables."""
        return quality.tables(self._checks)

    @cached_property
    def quality(self) -> Exhibit:
        """Data quality findings."""
        return quality.findings(self._checks)

    @cached_property
    def remedies(self) -> Exhibit:
        """SQL statements and settings that fix each finding."""
        return quality.remedies(self._checks)

    @cached_property
    def engagement(self) -> Exhibit | None:
        """Effect of closer engagement that is not recorded; None if it is."""
        return models.engagement(self._compared)

    @cached_property
    def initializer_curve(self) -> Exhibit:
        """Initializer membership by gap since the previous session."""
        return engine.curve(self._engine, "initializer")

    @cached_property
    def closer_curve(self) -> Exhibit:
        """Closer membership by time to conversion."""
        return engine.curve(self._engine, "closer")

    @cached_property
    def phase_weights(self) -> Exhibit:
        """Share of the credit that each phase assigns."""
        return engine.phase_weights(self._engine)

    @cached_property
    def channel_weights(self) -> Exhibit:
        """Weight of each channel's sessions by phase."""
        return engine.channel_weights(self._engine)

    @cached_property
    def scores(self) -> Exhibit:
        """Channel scores by phase."""
        return engine.scores(self._engine)

    @cached_property
    def impact(self) -> Exhibit:
        """Influenced orders of each channel, and its average credit in them."""
        return engine.impact(self._engine)

    @cached_property
    def distribution(self) -> Exhibit:
        """Distribution of credit over each channel's sessions."""
        return engine.distribution(self._engine)

    @cached_property
    def redistribution(self) -> Exhibit:
        """Credit before and after redistribution."""
        return engine.redistribution(self._engine)

    @cached_property
    def explained(self) -> Exhibit:
        """Credit of one order, step by step."""
        return engine.explained(self._engine)

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
