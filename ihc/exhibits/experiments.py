"""Experiments beside attribution: calibrated iROAS, the next experiment, and scenarios."""

from __future__ import annotations

from functools import cached_property, partial

import pandas as pd

from ihc.analysis.break_even import by_cost
from ihc.analysis.reporting import by_channel
from ihc.charts.break_even import calibrated_roas_chart
from ihc.exhibits.data import ReportData
from ihc.experiments.iroas import calibrate, calibrated_days, measured
from ihc.experiments.power import next_experiments
from ihc.experiments.results import check_channels, no_experiments
from ihc.experiments.scenarios import responses, what_if
from ihc.journeys.build import build_journeys, non_converting_paths
from ihc.memory import free_memory
from ihc.models.registry import incremental_models
from ihc.narrative.experiments import (
    MARGINAL_NOTE,
    anyway_sentence,
    calibration_finding,
    evidence_sentence,
    move_finding,
    move_sentence,
    next_sentence,
    results_text,
)
from ihc.quality.clocks import without
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table
from ihc.schemas.refunds import purchases

CALIBRATED, RESULTS, NEXT, DAYS = "calibrated_roas", "experiment_results", "next_experiments", "calibrated_reporting"
OF_EXPERIMENTS = (CALIBRATED, RESULTS, NEXT, DAYS)
BOUNDS = {"iROAS": ("iROAS_low", "iROAS_high")}
SHOWN = (
    *("channel_name", "ROAS", "iROAS", "iROAS_low", "iROAS_high", "verdict", "experiments", "factor"),
    *("ihc_revenue", "calibrated_revenue", "cost"),
)


class Experiments:
    """The experiments of a report. Each frame is calculated on first access."""

    def __init__(self, data: ReportData) -> None:
        self.data = data

    @cached_property
    def results(self) -> pd.DataFrame:
        """The results, as of `load_experiments`; without rows if there are none."""
        given = self.data.options.results
        return no_experiments() if given is None else given

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """The frame of `measured`. Raises InputError for an experiment on a channel that the shop does not have."""
        check_channels(self.results, self.data.visits["channel_name"])
        days = without(self.data.all_days, "date", self.data.far)
        return measured(self.results, days, self.data.summary)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The frame of `calibrate`."""
        return calibrate(self.data.summary, self.evidence, roas=self.data.options.break_even_roas)

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The frame of `next_experiments`."""
        orders = without(self.data.orders, "conv_date", self.data.far)
        return next_experiments(self.table, orders, roas=self.data.options.break_even_roas)


def calibration(made: Experiments) -> Exhibit:
    """Attributed ROAS and calibrated iROAS of each channel."""
    data, frame, roas = made.data, made.table, made.data.options.break_even_roas
    finding = calibration_finding(frame, roas)
    few = data.few.only(by_cost(frame.iloc[:-2]))
    return Exhibit(
        name=CALIBRATED,
        title="Attributed ROAS and calibrated iROAS",
        frame=frame,
        text=" ".join([f"{finding}.", anyway_sentence(frame), evidence_sentence(frame)]).strip(),
        alt=f"One row per channel: a diamond for attributed ROAS, a dot with its interval for iROAS. {finding}.",
        note=data.note,
        draw=partial(calibrated_roas_chart, few, roas),
        shown=lambda: table(frame[list(SHOWN)], has_total=True, intervals=BOUNDS),
    )


def results(made: Experiments) -> Exhibit:
    """The experiments, and whether attribution agrees."""
    frame = made.evidence
    return Exhibit(
        name=RESULTS,
        title="Results of experiments",
        frame=frame,
        text=results_text(frame),
        shown=lambda: table(
            frame.rename(columns={"start_date": "first_day", "end_date": "last_day"}), intervals=BOUNDS
        ),
    )


def following(made: Experiments) -> Exhibit:
    """The channels, by what an experiment on them is worth."""
    frame = made.ranked
    return Exhibit(
        name=NEXT,
        title="Which experiment next",
        frame=frame,
        text=next_sentence(frame),
        shown=lambda: table(frame, intervals=BOUNDS),
    )


def days(made: Experiments) -> Exhibit:
    """Attributed and calibrated revenue by channel and day."""
    return Exhibit(
        name=DAYS,
        title="Calibrated revenue by channel and day",
        frame=calibrated_days(made.data.inside(made.data.all_days), made.table),
    )


def scenario(made: Experiments, source: str, target: str, share: float) -> Exhibit:
    """The change in revenue if a share of the source's spend goes to the target."""
    data = made.data
    orders, rules = purchases(data.tables.conversions), data.settings.journey_rules
    journeys = build_journeys(data.sessions, orders, **rules, memory=free_memory())
    idle = non_converting_paths(data.sessions, orders, **rules)
    models = incremental_models(data.sessions, orders, journeys, idle)
    totals = {name: model.totals() for name, model in models.items()}
    known = responses(made.table, totals, by_channel(data.visits, data.earned))
    move = what_if(known, data.summary, source, target, share)
    notes = [f"{move_finding(move, source, target, share)}.", move_sentence(move, made.ranked), MARGINAL_NOTE]
    return Exhibit(
        name="what_if",
        title=f"What if: {source} to {target}",
        frame=move.table,
        text=" ".join(filter(None, notes)),
        note=data.note,
    )
