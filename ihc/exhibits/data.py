"""Data of a report. Tables are read once; each frame is calculated on first access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any

import pandas as pd

from ihc.analysis.bootstrap import bootstrap_intervals
from ihc.analysis.break_even import break_even_table
from ihc.analysis.changes import Changes, changes_since, over_dates_of, state_of, totals, unrecorded_run
from ihc.analysis.dimension import Folding, folding, with_dimension
from ihc.analysis.maturity import arrival, complete_span, credit_by_lag, maturity
from ihc.analysis.periods import key_figures, weekly_reporting, with_incomplete
from ihc.analysis.reconciliation import reconcile
from ihc.analysis.reporting import by_channel, by_channel_and_day, conversion_credits, renamed, visits_of, with_ratios
from ihc.arrays.codes import with_shared_codes
from ihc.arrays.lookup import isin, lookup
from ihc.arrays.sums import total
from ihc.charts.palette import colours_of
from ihc.database.frames import Frames
from ihc.database.history import RecordedRun, State, noted, previous_run, recorded_runs
from ihc.database.results import Results
from ihc.journeys.build import build_journeys, non_converting_paths, without_new_session
from ihc.journeys.credits import outcomes_of, provenance, sound_credits, with_credits, with_phases
from ihc.memory import free_memory
from ihc.models.conversion_types import ParameterSets, attribute_by_type
from ihc.models.parameters import Parameters
from ihc.narrative.run import source_note
from ihc.quality.clocks import far_dates, without
from ihc.schemas.conversion_types import check_parameter_types, check_type, of_type, types_of
from ihc.schemas.refunds import REFUND_OF, purchase_ids, purchases
from ihc.schemas.spend import as_sessions
from ihc.schemas.tables import CREDITS, PHASES, Tables, inside
from ihc.settings.report import ReportOptions
from ihc.settings.run import RESTARTED, Settings

LOCAL = "local"
CALCULATED = "report"  # prefix of the frames that the notebooks of a run calculate for each other
# Settings that define the attribution. If one of them is given, credits stored with other settings are not used.
ATTRIBUTION = ("engine", "conv_type_id", "lookback_days", "restart_after_order", "parameters", "redistribution")


@dataclass(frozen=True)
class Source:
    """Source of a report: the shop's tables, the credits with their phases, and whether the credits are stored.

    `frames`: where the notebooks of a run keep what they calculate for each other, if this is one of them.
    """

    tables: Tables
    results: Results
    phases: pd.DataFrame
    is_stored: bool
    frames: Frames | None = None


def with_codes(source: Source) -> Source:
    """Return the same data with the ids of sessions, conversions and users as categories.

    Ids are then compared as whole numbers, which takes a tenth of the time.
    """
    tables, results, phases = source.tables, source.results, source.phases
    sessions, conversions, costs = tables
    own = tables.session_costs
    visits = [frame["session_id"] for frame in (sessions, costs, results.credits, phases)]
    visits = with_shared_codes(*visits, *([] if own is None else [own["session_id"]]))
    orders = [frame["conv_id"] for frame in (conversions, results.credits, phases, results.outcomes, results.unsound)]
    orders = with_shared_codes(*orders, *([conversions[REFUND_OF]] if REFUND_OF in conversions else []))
    users = with_shared_codes(sessions["user_id"], conversions["user_id"])
    refunds = {REFUND_OF: orders[5]} if REFUND_OF in conversions else {}
    made = Tables(
        sessions.assign(session_id=visits[0], user_id=users[0]),
        conversions.assign(conv_id=orders[0], user_id=users[1], **refunds),
        costs.assign(session_id=visits[1]),
    )
    made.spend, made.session_costs = tables.spend, None if own is None else own.assign(session_id=visits[4])
    results = results._replace(
        credits=results.credits.assign(conv_id=orders[1], session_id=visits[2]),
        outcomes=results.outcomes.assign(conv_id=orders[3]),
        unsound=results.unsound.assign(conv_id=orders[4]),
    )
    return replace(source, tables=made, results=results, phases=phases.assign(conv_id=orders[2], session_id=visits[3]))


def attributed(settings: Settings, tables: Tables) -> Source:
    """Attribute all conversions with the local engine, without storing anything.

    Raises ParametersError, or InputError if the journeys need more memory than is available.
    """
    shop, rules = (tables.sessions, tables.conversions), settings.journey_rules
    journeys = build_journeys(*shop, **rules, memory=free_memory())
    sets = settings.load_parameter_sets()
    typed = sets.with_types(journeys, tables.conversions)
    credited = attribute_by_type(typed, sets, settings.redistribution_rules)
    credits, failed = sound_credits(credited, journeys)
    ends = pd.concat([failed, without_new_session(*shop, **rules)], ignore_index=True)
    outcomes = outcomes_of(tables.conversions, journeys, ends).assign(
        run_id=settings.run_id, engine=LOCAL, parameters=settings.source, lookback_days=settings.lookback_days
    )
    outcomes = outcomes.astype({"lookback_days": "float64"})
    runs = pd.DataFrame({"run_id": pd.Series(dtype="str"), "vanished": pd.Series(dtype="int64")})
    results = Results(credits[list(CREDITS)], outcomes, runs, failed[["conv_id", "reason"]])
    return Source(tables, results, credits[["conv_id", "session_id", *PHASES]], is_stored=False)


def answers(settings: Settings, tables: Tables, stored: Results) -> bool:
    """Check whether stored credits match these settings.

    They always do within a run, and with the API, which only runs call. Otherwise, each order of the dates must have
    an outcome, and the settings must not request another engine, parameters or lookback window.
    """
    if settings.account or settings.given.run_id:
        return True
    orders = _asked_for(settings, tables)
    if stored.outcomes.empty or not isin(orders, stored.outcomes["conv_id"]).all():
        return False
    sources, restarted = provenance(stored.outcomes, orders), replace(settings, restart_after_order=True)
    is_restarted = sources["parameters"].str.contains(RESTARTED, regex=False)
    if (is_restarted & ~sources["parameters"].str.endswith(restarted.restart_label)).any():
        return False  # journeys of other orders: those that began after an order of another type
    if not settings.given.model_fields_set & set(ATTRIBUTION):
        return True
    wanted = pd.DataFrame([(LOCAL, settings.source, settings.lookback_days)], columns=sources.columns[:3])
    return bool(sources[sources.columns[:3]].equals(wanted.astype({"lookback_days": "float64"})))


def as_stored(settings: Settings, tables: Tables, stored: Results) -> Settings:
    """Use the lookback window of the stored credits if the settings give none and all credits have the same.

    The same for whether journeys restart after an order.
    """
    if settings.account:
        return settings
    sources, given = provenance(stored.outcomes, _asked_for(settings, tables)), settings.given.model_fields_set
    made, restarted = sources["lookback_days"].unique(), replace(settings, restart_after_order=True)
    if "restart_after_order" not in given and len(sources):
        is_restarted = sources["parameters"].str.endswith(restarted.restart_label).all()
        settings = restarted if is_restarted else settings
    if "lookback_days" not in given and len(made) == 1 and made[0] == made[0]:
        settings = replace(settings, lookback_days=float(made[0]))
    return settings


def of_chosen_type(settings: Settings, source: Source) -> Source:
    """Leave out conversions of other types than that of the settings, if any, and what is stored for them.

    Raises InputError if no conversion has this type, or one with model parameters of its own.
    """
    name, tables, results = settings.conversion_type, source.tables, source.results
    check_types(settings, tables.conversions)
    if name is None:
        return source
    tables = tables.with_conversions(of_type(tables.conversions, name))

    def own(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[isin(frame["conv_id"], tables.conversions["conv_id"])].reset_index(drop=True)

    kept = {"credits": own(results.credits), "outcomes": own(results.outcomes), "unsound": own(results.unsound)}
    return replace(source, tables=tables, results=results._replace(**kept), phases=own(source.phases))


def check_types(settings: Settings, conversions: pd.DataFrame) -> None:
    """Raise InputError if no conversion has a type that the settings name."""
    check_type(conversions, settings.conversion_type)
    check_parameter_types(conversions, settings.parameter_types)


def _asked_for(settings: Settings, tables: Tables) -> pd.Series[str]:
    return tables.conversions.loc[inside(tables.conversions["conv_date"], **settings.window), "conv_id"]


class ReportData:
    """Frames of a report, calculated on first access. Nothing is written."""

    def __init__(self, settings: Settings, source: Source) -> None:
        self.settings = settings
        self.source = source

    @property
    def options(self) -> ReportOptions:
        """Options of the report."""
        return self.settings.report

    @property
    def window(self) -> dict[str, Any]:
        """First and last date, as keyword arguments."""
        return self.settings.window

    @property
    def tables(self) -> Tables:
        """The shop's tables."""
        return self.source.tables

    @property
    def results(self) -> Results:
        """The credits, and the outcome of each order."""
        return self.source.results

    def kept(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """A frame that another notebook of the run has calculated with the same settings, or one that is made now."""
        frames = self.source.frames
        return frames.kept(f"{CALCULATED}-{name}-{self._mark}", make) if frames else make()

    @cached_property
    def _mark(self) -> str:
        settings = self.settings
        given = repr((sorted(settings.values().items()), settings.journey_rules))
        return blake2b(given.encode(), digest_size=6).hexdigest()

    def inside(self, frame: pd.DataFrame, column: str = "date") -> pd.DataFrame:
        """Select the rows of the report's dates."""
        return frame[inside(frame[column], **self.window)]

    @cached_property
    def sessions(self) -> pd.DataFrame:
        """The sessions, with the dimension of the report's rows as `channel_name`."""
        return with_dimension(self.tables.sessions, **self.options.dimension)

    @cached_property
    def _of_channels(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        sessions, conversions, costs = self.tables
        earned = self.kept("earned", partial(conversion_credits, sessions, conversions, self.results.credits))
        return self.kept("visits", partial(visits_of, sessions, costs, earned)), earned

    @property
    def channel_visits(self) -> pd.DataFrame:
        """`visits_of` all sessions, always by channel."""
        return self._of_channels[0]

    @cached_property
    def reporting(self) -> pd.DataFrame:
        """`channel_reporting` over all days, always by channel."""
        return self.kept("reporting", lambda: by_channel_and_day(self._of_channels[0]))

    @cached_property
    def _shown(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        alone = with_dimension(self.alone, **self.options.dimension)
        names = pd.concat([self.sessions["channel_name"], alone["channel_name"]], ignore_index=True)
        return renamed(*self._of_channels, names)

    @cached_property
    def alone(self) -> pd.DataFrame:
        """Daily spend without any session, as rows of sessions: the last rows of `visits`."""
        return as_sessions(self.tables.sessions, self.tables.costs)

    @cached_property
    def spend_alone(self) -> float:
        """Daily spend without any session on the report's days [currency]."""
        rows = self.inside(self.visits)
        return total(rows.loc[rows["sessions"] == 0, "cost"])

    def names_by(self, column: str) -> pd.Series[str]:
        """The value of a column of sessions for each row of `visits`."""
        parts = (
            (rows if column == "channel_name" else with_dimension(rows, by=column))["channel_name"]
            for rows in (self.tables.sessions, self.alone)
        )
        return pd.concat(parts, ignore_index=True)

    @property
    def visits(self) -> pd.DataFrame:
        """`visits_of` all sessions, by the dimension of the report."""
        return self._shown[0]

    @property
    def earned(self) -> pd.DataFrame:
        """`conversion_credits` over all days, by the dimension of the report."""
        return self._shown[1]

    @cached_property
    def reported(self) -> pd.DataFrame:
        """The credits of the report's days."""
        return self.inside(self.earned)

    @cached_property
    def orders(self) -> pd.DataFrame:
        """The conversions of the report's dates."""
        return self.inside(self.tables.conversions, "conv_date")

    @cached_property
    def sets(self) -> ParameterSets:
        """The model parameters of the local engine, by conversion type."""
        return self.settings.load_parameter_sets()

    @cached_property
    def used_sets(self) -> dict[str, Parameters]:
        """Those of `sets` that the conversions use, see `ParameterSets.used`."""
        return self.sets.used(types_of(self.tables.conversions).unique())

    @cached_property
    def has_types(self) -> bool:
        """Whether the conversions are of several types."""
        return types_of(self.tables.conversions).nunique() > 1

    @cached_property
    def sources(self) -> pd.DataFrame:
        """Origin of the credits: the frame of `provenance`."""
        return provenance(self.results.outcomes, self.orders["conv_id"], self.reported["conv_id"])

    @cached_property
    def note(self) -> str:
        """The note below each chart."""
        return source_note(self.sources, **self.window)

    @cached_property
    def state(self) -> State:
        """The state of the report, to be recorded or compared."""
        return state_of(self._of_channels[1], self.results.outcomes, self.reporting)

    @cached_property
    def reconciliation(self) -> pd.DataFrame:
        """The frame of `reconcile`."""
        given = (self.tables, self.results.credits, self.results.outcomes, self.reporting)
        return self.kept("reconciliation", partial(reconcile, *given, **self.window))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """`channel_summary` of the report's rows."""
        return self.kept("summary", lambda: by_channel(self.visits, self.earned, **self.window))

    @cached_property
    def colours(self) -> dict[str, str]:
        """Colours by channel, with those of the house style if it names the channel."""
        return colours_of(self.visits, self.options.style.channels)

    @cached_property
    def few(self) -> Folding:
        """The channels that tables and charts show."""
        return folding(self.summary["channel_name"].iloc[:-1], self.colours)

    @cached_property
    def _few(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return self.folded(self.few)

    @property
    def few_summary(self) -> pd.DataFrame:
        """`summary` with the other channels in one row."""
        return self._few[0]

    @property
    def _drawn(self) -> dict[str, Any]:
        return {"draws": self.options.draws, "seed": self.options.seed}

    @cached_property
    def intervals(self) -> pd.DataFrame:
        """`bootstrap_intervals`, with the total in the last row."""

        def draw() -> pd.DataFrame:
            by_order = self.reported.assign(conv_id=purchase_ids(self.reported["conv_id"], self.tables.conversions))
            return bootstrap_intervals(by_order, self.summary, **self._drawn)

        return self.kept("intervals", draw)

    @property
    def few_intervals(self) -> pd.DataFrame:
        """`intervals` of the rows of `few_summary`."""
        return self._few[1]

    def folded(self, few: Folding) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return `summary` and `intervals` with the other channels in one row."""
        summary = few.table(self.summary, by_channel, self.visits, self.earned, **self.window, has_total=True)
        drawn = {"summary": summary, **self._drawn}
        return summary, few.table(self.intervals, bootstrap_intervals, self.reported, **drawn, has_total=True)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """`break_even_table` of all channels."""
        return break_even_table(self.summary, self.intervals, self.options.break_even_roas)

    @cached_property
    def few_verdicts(self) -> pd.DataFrame:
        """`break_even_table` of the rows of `few_summary`."""
        return break_even_table(self.few_summary, self.few_intervals, self.options.break_even_roas)

    @cached_property
    def all_days(self) -> pd.DataFrame:
        """The report by channel and day, over all days."""
        return self.kept("all_days", lambda: by_channel_and_day(self.visits))

    @cached_property
    def far(self) -> list[str]:
        """Dates far from all others, for example from wrong clocks. Charts over time leave them out."""
        return far_dates(self.all_days["date"], self.tables.conversions["conv_date"])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The report by channel and day, with ratios, without far dates."""
        return with_ratios(without(self.inside(self.all_days), "date", self.far))

    @cached_property
    def placed(self) -> pd.DataFrame:
        """The conversions without far dates."""
        return without(self.tables.conversions, "conv_date", self.far)

    @cached_property
    def _span(self) -> tuple[str, str]:
        return complete_span(self.placed, self.results.outcomes) or ("9999-12-31", "0001-01-01")

    @cached_property
    def lags(self) -> pd.DataFrame:
        """Credit by conversion lag [days]."""
        return self.kept("lags", lambda: credit_by_lag(without(self.earned, "date", self.far), self.placed))

    @cached_property
    def arrivals(self) -> pd.DataFrame:
        """Completeness of a day's credit by its age."""
        days = dict(zip(("first_day", "last_day"), self._span, strict=True))
        return self.kept("arrivals", lambda: arrival(without(self.earned, "date", self.far), self.placed, **days))

    @cached_property
    def ages(self) -> pd.DataFrame:
        """`maturity` of the report's days."""
        return maturity(self.rows, self.arrivals, last_day=self._span[1])

    @cached_property
    def weekly(self) -> pd.DataFrame:
        """The report by channel and week."""
        return weekly_reporting(self.rows)

    @cached_property
    def figures(self) -> pd.DataFrame:
        """The key figures."""
        given = (self.visits, self.earned, self.tables, self.results.outcomes)
        return self.kept("figures", lambda: with_incomplete(key_figures(*given, **self.window), self.ages))

    @cached_property
    def credited(self) -> pd.DataFrame:
        """Journeys of all credited conversions with their credit, and `reported_as`, their row in the report.

        With several sets of model parameters also `conversion_type`.
        """
        return self.kept("credited", self._credited)

    def _credited(self) -> pd.DataFrame:
        stored = with_phases(self.results.credits, self.source.phases)
        conversions = self.tables.conversions
        conversions = conversions[isin(conversions["conv_id"], stored["conv_id"])]
        credited = with_credits(build_journeys(self.tables.sessions, conversions, memory=free_memory()), stored)
        credited["reported_as"] = lookup(credited["session_id"], self.sessions, "session_id", "channel_name")
        return self.sets.with_types(credited, self.tables.conversions)

    @cached_property
    def idle(self) -> pd.DataFrame:
        """Paths of the dates without a conversion."""
        sessions, conversions, _ = self.tables
        rules = self.window | self.settings.journey_rules
        return self.kept("idle", partial(non_converting_paths, sessions, conversions, **rules))

    @cached_property
    def journeys(self) -> pd.DataFrame:
        """Journeys of the dates' conversions by channel, without refunds."""
        return self.kept("journeys", partial(self._journeys, self.tables.sessions))

    @cached_property
    def shown_journeys(self) -> pd.DataFrame:
        """The same, by the dimension of the report."""
        return self._journeys(self.sessions) if any(self.options.dimension.values()) else self.journeys

    def _journeys(self, sessions: pd.DataFrame) -> pd.DataFrame:
        orders = purchases(self.tables.conversions)
        return build_journeys(sessions, orders, **self.window, **self.settings.journey_rules, memory=free_memory())

    @cached_property
    def is_attributed(self) -> bool:
        """Whether this run stored credits."""
        return bool((self.results.runs["run_id"] == self.settings.run_id).any())

    @property
    def outcomes(self) -> pd.DataFrame:
        """Outcomes of this run's conversions: rows of `outcomes`."""
        return self.results.outcomes[self.results.outcomes["run_id"] == self.settings.run_id]

    @cached_property
    def this_run(self) -> RecordedRun:
        """The record of this run, or the record that a report without a run would have."""
        runs = recorded_runs(self.settings.database) if self.settings.database.exists() else []
        name = self.settings.run_id
        own = [run for run in runs if run.run_id in (name, f"{name}.{run.number}")]
        if own and self.is_attributed:
            return own[-1]
        if self.source.is_stored:
            return unrecorded_run(self.settings.database, self.settings.run(), self.state)
        known = totals(self.state, (self.settings.start_date, self.settings.end_date))
        return noted(self.settings.run(), known, len(runs) + 1, "")

    @cached_property
    def last_run(self) -> RecordedRun | None:
        """The previous run, over the dates of this one."""
        database = self.settings.database
        return over_dates_of(self.this_run, previous_run(database, self.this_run)) if database.exists() else None

    @cached_property
    def changes(self) -> Changes:
        """Changes since the previous run."""
        return Changes(
            channels=self.kept("channels", lambda: self._changes.channels),
            causes=self.kept("causes", lambda: self._changes.causes),
        )

    @cached_property
    def _changes(self) -> Changes:
        return changes_since(self.settings.database, self.last_run, self.this_run, self.state)
