"""Model comparison, and sensitivity to model, lookback window, redistribution, engagement and damaged tracking."""

from __future__ import annotations

from functools import cached_property, partial

import pandas as pd

from ihc.analysis.reporting import model_comparison, relative_to_first
from ihc.analysis.sensitivity import (
    CLOSER,
    IHC,
    closer_variants,
    engagement_effect,
    lookbacks_to_try,
    phase_credits,
    rank_stability,
    redistributions_to_try,
    sensitivity,
    single_changes,
    unrecorded_flags,
    variants_of,
    with_rules,
)
from ihc.arrays.lookup import isin
from ihc.charts.models import models_by_channel_chart
from ihc.charts.sensitivity import roas_range_chart, roas_under_settings_chart, stress_chart
from ihc.exhibits.data import ReportData
from ihc.lab.stress import damage_effects, damaged_worlds, stress_verdicts
from ihc.models.registry import MODELS, Model, models_for
from ihc.narrative.models import direct_sentence, grid_source_sentence, model_differences, models_left_out
from ihc.narrative.sensitivity import (
    STRESS_NOTE,
    effects_sentence,
    engagement_sentence,
    lookback_sentence,
    phases_note,
    range_finding,
    sample_sentence,
    sensitivity_sentence,
    single_finding,
    stress_finding,
    stress_sentences,
    unmoved_sentence,
)
from ihc.report.exhibit import Exhibit
from ihc.report.tables import table

ENGAGEMENT, ROBUSTNESS = "engagement_effect", "robustness"


class Comparison:
    """Credited orders under other models and settings. Each frame is calculated on first access."""

    def __init__(self, data: ReportData) -> None:
        self.data = data

    @cached_property
    def journeys(self) -> pd.DataFrame:
        """Journeys of the dates' conversions with their credit."""
        return self.data.credited[isin(self.data.credited["conv_id"], self.data.orders["conv_id"])]

    @property
    def renamed(self) -> pd.DataFrame:
        """The same, by the dimension of the report."""
        return self.journeys.assign(channel_name=self.journeys["reported_as"])

    @cached_property
    def chosen(self) -> dict[str, Model]:
        """The models that can be calculated."""
        return models_for(self.journeys, self.data.idle, self.data.options.direct)

    @cached_property
    def credits(self) -> dict[str, pd.DataFrame]:
        """The credits of IHC, of each model, and of each phase alone."""
        models = {name: model(self.journeys) for name, model in self.chosen.items()}
        return {IHC: self.journeys} | models | phase_credits(self.journeys)

    @cached_property
    def table(self) -> pd.DataFrame:
        """`model_comparison`: one row per channel, one column per model."""
        return self.data.kept("models", lambda: model_comparison(self.renamed, self.credits))

    @cached_property
    def grid(self) -> pd.DataFrame:
        """`sensitivity`: the report under combinations of model, lookback window and redistribution."""
        return self.data.kept("grid", self._grid)

    def _grid(self) -> pd.DataFrame:
        data = self.data
        options, settings = data.options, data.settings
        variants = variants_of(data.sets, options.models, options.direct)
        lookbacks = lookbacks_to_try(settings.lookback_days, options.lookbacks)
        channels = data.credited["channel_name"].unique()
        rules = redistributions_to_try(channels, settings.redistribution_rules, options.direct)
        return sensitivity(data.credited, data.summary.iloc[:-1], variants, lookbacks, rules, data.window)

    @cached_property
    def by_model(self) -> pd.DataFrame:
        """Revenue and ROAS by channel and model, for the sessions of the dates, as in `summary`.

        Out: `model, channel_name, ihc_revenue, cost [currency], ROAS [1]`, models without IHC.
        """
        return self.data.kept("by_model", self._by_model)

    def _by_model(self) -> pd.DataFrame:
        variants = {name: partial(with_rules, model) for name, model in self.chosen.items()}
        grid = sensitivity(self.data.credited, self.data.summary.iloc[:-1], variants, [None], None, self.data.window)
        return grid[["model", "channel_name", "ihc_revenue", "cost", "ROAS"]]

    @cached_property
    def single(self) -> pd.DataFrame:
        """`single_changes` of the grid."""
        return single_changes(self.grid, roas=self.data.options.break_even_roas)

    @cached_property
    def stability(self) -> pd.DataFrame:
        """`rank_stability` of the grid."""
        return rank_stability(self.grid, roas=self.data.options.break_even_roas)


def models(compared: Comparison) -> Exhibit:
    """Attributed revenue by model."""
    data = compared.data
    own = compared.table[["channel_name", IHC, *compared.chosen]]
    few = data.few.table(compared.table, model_comparison, compared.renamed, compared.credits)
    differences = model_differences(own, data.summary, roas=data.options.break_even_roas)
    direct = direct_sentence(data.credited["channel_name"].unique(), data.options.direct)
    notes = [differences, phases_note(compared.journeys), models_left_out(compared.chosen, MODELS), direct]
    return Exhibit(
        name="model_comparison",
        chart="models_by_channel",
        title="Attributed revenue by model",
        frame=compared.table,
        text=" ".join(filter(None, notes)),
        alt=f"One row per channel, one column per model: difference in revenue from the first model. {differences}",
        note=data.note,
        draw=partial(models_by_channel_chart, relative_to_first(few)),
        shown=lambda: table(few),
    )


def settings(compared: Comparison) -> Exhibit:
    """ROAS under other models, lookback windows and redistributions."""
    data, grid = compared.data, compared.grid
    roas = data.options.break_even_roas
    text = sensitivity_sentence(compared.stability, grid, roas=roas)
    source = grid_source_sentence(data.settings.local_source, data.sources)
    notes = [text, unmoved_sentence(grid), lookback_sentence(grid), source]
    few = data.few.only(grid)
    return Exhibit(
        name="sensitivity",
        chart="roas_under_settings",
        title="ROAS by model, lookback window and redistribution",
        frame=grid,
        text=" ".join(filter(None, notes)),
        alt=f"Heat map of ROAS: one row per channel, one column per combination of settings. {text}",
        note=data.note,
        draw=partial(roas_under_settings_chart, few, roas),
        shown=lambda: table(few.head(20)),
        finding=single_finding(compared.single),
    )


def stability(compared: Comparison) -> Exhibit:
    """Range of ROAS and rank over all settings."""
    data, few = compared.data, compared.data.few.only(compared.stability)
    roas = data.options.break_even_roas
    text = sensitivity_sentence(compared.stability, compared.grid, roas=roas)
    finding = range_finding(compared.stability, compared.grid)
    return Exhibit(
        name="fragile_channels",
        chart="roas_range",
        title="Range of ROAS over models and settings",
        frame=compared.stability,
        text=f"{finding}.",  # the details are the text of `settings`
        alt=f"One row per channel: a line over its ROAS under all settings, a dot for the base. {text}",
        note=data.note,
        draw=partial(roas_range_chart, few, roas),
        shown=lambda: table(few),
        finding=finding,
    )


def single(compared: Comparison) -> Exhibit:
    """Effect of changing one setting at a time."""
    return Exhibit(
        name="single_changes",
        title="Effect of changing one setting",
        frame=compared.single,
    )


def engagement(compared: Comparison) -> Exhibit | None:
    """Attributed revenue if only the last session of each journey were a closer, for the credited orders of the dates.

    Only for a shop with `closer_engagement` = 1 for all sessions, whatever its `holder_engagement`; None for any other
    shop, or if no order has credit. The local engine computes both variants, also if the credits are from the API.
    """
    data, settings = compared.data, compared.data.settings
    flags = unrecorded_flags(data.tables.sessions)
    if CLOSER not in flags or compared.journeys.empty:
        return None
    variants = closer_variants(compared.journeys, data.sets, settings.redistribution_rules)
    frame = engagement_effect(compared.renamed, variants)
    few = data.few.table(frame, engagement_effect, compared.renamed, variants)
    notes = [engagement_sentence(frame, flags), grid_source_sentence(settings.local_source, data.sources)]
    return Exhibit(
        name=ENGAGEMENT,
        title="Effect of missing engagement flags",
        frame=frame,
        text=" ".join(filter(None, notes)),
        shown=lambda: table(few),
    )


def stress(data: ReportData, worlds: int = 400, seed: int = 1) -> Exhibit:
    """Share of the worlds in which each channel stays on its side of break-even."""
    roas, reported = data.options.break_even_roas, data.summary.iloc[:-1]
    model = data.sets, data.settings.redistribution_rules

    def draw() -> pd.DataFrame:
        return damaged_worlds(data.credited, reported, *model, worlds=worlds, seed=seed, window=data.window)

    drawn = data.kept(f"worlds-{worlds}-{seed}", draw)
    frame = stress_verdicts(drawn, reported, roas=roas)
    few = data.few.only(frame)
    finding = stress_finding(frame, roas)
    notes = [
        f"{finding}.",
        *stress_sentences(few),
        effects_sentence(damage_effects(drawn, reported)),
        STRESS_NOTE,
        sample_sentence(drawn, data.credited["conv_id"].nunique()),
        grid_source_sentence(data.settings.local_source, data.sources),
    ]
    return Exhibit(
        name="stress",
        title="Verdicts with damaged tracking",
        frame=frame,
        text="\n".join(filter(None, notes)),
        alt=f"One row per channel: a line over its ROAS in 95% of the worlds, a dot for the reported one. {finding}.",
        note=data.note,
        draw=partial(stress_chart, few, roas),
        shown=lambda: table(few),
        finding=finding,
    )
