"""Sentences on experiments, calibrated iROAS, the next experiment and scenarios."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ihc.analysis.break_even import ABOVE, BELOW, UNCLEAR, by_cost
from ihc.analysis.reporting import MATERIAL
from ihc.experiments.iroas import NORMAL_95, widening
from ihc.experiments.results import REVENUE
from ihc.experiments.scenarios import GAINS, LOSES, Move
from ihc.formatting import counted, dated, fixed, general, named, percentage, shown
from ihc.narrative.run import enough_cost

MOST_NAMED = 5  # contradictions
CONTRADICTORY = 2  # the ratio of Birge from which experiments contradict each other; two do, by 2 standard errors
SETTLED = 0.025  # a lower probability of a wrong verdict is settled
LONGEST = 365  # [days] a longer experiment is not recommended
SIZES = {
    "holdout_days": "a holdout of half of the users",
    "small_holdout_days": "a holdout of a tenth of the users",
    "geo_days": "a geo test in half of the regions",
}
MARGINAL_NOTE = (
    "The range is over experiments, incremental models and chance. It assumes that the return of the moved "
    "spend is between half and all of the average."
)


def calibration_finding(table: pd.DataFrame, roas: float = 1.0) -> str:
    """Name the channels by their verdict on iROAS. In: `calibrate`, and its break-even `roas` [1]."""
    paid = by_cost(table.iloc[:-2])
    if paid.empty:
        return f"No channel has {enough_cost()}, so none is compared with break-even"
    parts = []
    for verdict, says in ((ABOVE, f"above break-even ({general(roas, 4)})"), (BELOW, "below it"), (UNCLEAR, UNCLEAR)):
        names = paid.loc[paid["verdict"] == verdict, "channel_name"].tolist()
        if names or verdict == ABOVE:
            parts.append(f"{says} for {named(names) if names else 'no channel'}")
    return f"After {counted(int(table['experiments'].iloc[-1]), 'experiment')}, iROAS is {', '.join(parts)}"


def anyway_sentence(table: pd.DataFrame) -> str:
    """State how much of attributed revenue would have come anyway. In: `calibrate`."""
    total = table.iloc[-1]["ihc_revenue"]
    row = table.iloc[-2]
    low, value, high = (fixed(min(max(row[f"calibrated_revenue{end}"], 0), total)) for end in ("_low", "", "_high"))
    if row["calibrated_revenue"] < 0:
        more = fixed(-row["calibrated_revenue"])
        return (
            f"The channels cause {more} more than the attributed revenue of {fixed(total)}: an order that needs two "
            "channels counts for both."
        )
    return f"{value} of {fixed(total)} of attributed revenue would have come anyway (95% interval: {low} to {high})."


def evidence_sentence(table: pd.DataFrame) -> str:
    """Say what the estimates of channels without an experiment rest on; empty if there are none. In: `calibrate`."""
    if not table["experiments"].iloc[-1]:
        return "The channels are estimated from their spend and their attributed revenue."
    if (table["experiments"].iloc[:-2] > 0).all():
        return ""
    return (
        "Channels without an experiment are estimated from their spend, their attributed revenue and the experiments "
        "on other channels."
    )


def disagreements(evidence: pd.DataFrame) -> list[str]:
    """Name the channels whose experiments contradict each other. In: `measured`."""
    factor = widening(evidence).groupby(evidence["channel_name"], sort=True).max()
    return [
        f"The experiments on {shown(name)} contradict each other, so calibration multiplies their standard errors by "
        f"{fixed(times, 1)}."
        for name, times in factor[factor >= CONTRADICTORY].items()
    ]


def contradictions(evidence: pd.DataFrame) -> list[str]:
    """Name the experiments that attribution contradicts, the largest difference in revenue first. In: `measured`."""
    wrong = evidence[~evidence["agrees"]]
    off = (wrong["attributed_revenue"] - wrong[REVENUE]).abs()
    return [_contradiction(row) for row in wrong.loc[off.sort_values(ascending=False).index].to_dict("records")]


def results_text(evidence: pd.DataFrame) -> str:
    """Say how the experiments compare with attribution and with each other, one line each. In: `measured`."""
    named = contradictions(evidence)
    more = len(named) - MOST_NAMED
    ends = [f"{counted(more, 'more contradiction')}."] if more > 0 else []
    return "\n".join([agreement_sentence(evidence), *disagreements(evidence), *named[:MOST_NAMED], *ends])


def _contradiction(row: dict[Any, Any]) -> str:
    name, days = shown(row["channel_name"]), f"{dated(row['start_date'])} to {dated(row['end_date'])}"
    if row["spend"] > 0:
        found = f"experiment {fixed(row['iROAS_low'], 2)} to {fixed(row['iROAS_high'], 2)}"
        return f"{name}: attributed ROAS {fixed(row['ROAS'], 2)}, {found} ({row['kind']}, {days})."
    margin = NORMAL_95 * row["standard_error"]
    found = f"experiment {fixed(row[REVENUE] - margin)} to {fixed(row[REVENUE] + margin)}"
    return f"{name}: attributed revenue {fixed(row['attributed_revenue'])}, {found} ({row['kind']}, {days})."


def contradiction_sentence(evidence: pd.DataFrame) -> str:
    """Warn that experiments contradict attribution; empty if none does. In: `measured`."""
    if evidence["agrees"].all():
        return ""
    return f"{agreement_sentence(evidence)} Read the section Experiments before the verdicts on attributed ROAS."


def agreement_sentence(evidence: pd.DataFrame) -> str:
    """Count the experiments that agree with attribution. In: `measured`."""
    if evidence.empty:
        return "The file has no experiment, so iROAS rests on general assumptions only."
    agree, count = int(evidence["agrees"].sum()), len(evidence)
    if agree == count:
        return f"Attribution agrees with {'the experiment' if count == 1 else f'all {count} experiments'}."
    return f"Attribution contradicts {count - agree} of {counted(count, 'experiment')}."


def next_sentence(ranked: pd.DataFrame) -> str:
    """Recommend the experiment with the highest value. In: `next_experiments`."""
    if ranked.empty:
        return f"No channel has {enough_cost()}, so no experiment is worth its effort."
    open_ones = ranked[ranked["wrong_verdict"] >= SETTLED]
    if open_ones.empty:
        return "Each verdict on iROAS is settled, so no experiment is needed."
    possible = open_ones[(open_ones[list(SIZES)] <= LONGEST).any(axis=1)]
    best = open_ones.iloc[0]
    if possible.empty:
        return f"An experiment on {shown(best['channel_name'])} would be worth most. {size_sentence(best)}"
    first = possible.iloc[0]
    text = (
        f"Test {shown(first['channel_name'])} next: its estimate is on the wrong side of break-even with a probability "
        f"of {percentage(first['wrong_verdict'])}, and deciding by it costs {fixed(first['expected_loss'])} on "
        f"average. {size_sentence(first)}"
    )
    if first["channel_name"] == best["channel_name"]:
        return text
    return f"{text} An experiment on {shown(best['channel_name'])} would be worth more, but would take over a year."


def size_sentence(row: pd.Series[Any]) -> str:
    """Say how long an experiment on a channel must be. In: a row of `next_experiments`."""
    enough = [f"{what} for {fixed(row[name])} days" for name, what in SIZES.items() if row[name] <= LONGEST]
    if enough:
        return f"{enough[0][:1].upper()}{', or '.join(enough)[1:]} settles the verdict in about 6 of 10 cases."
    return "An experiment of a year is not enough: revenue varies too much for this spend."


def validation_sentence(table: pd.DataFrame) -> str:
    """Compare calibrated iROAS with attributed ROAS. In: `validate_experiments`."""
    before, after = table.iloc[0], table.iloc[-1]
    shops, less = counted(int(after["seeds"]), "simulated shop"), 1 - after["roas_error"] / before["roas_error"]
    return (
        f"In {shops}, iROAS calibrated by {after['estimate']} experiments has an error of "
        f"{fixed(after['roas_error'], 2)}, {percentage(less)} less than attributed ROAS "
        f"({fixed(before['roas_error'], 2)}). Its 95% intervals contain the truth for "
        f"{percentage(after['coverage'], 1)} of the channels."
    )


def move_finding(move: Move, source: str, target: str, share: float) -> str:
    """Say what moving a share of the spend does. In: `what_if`."""
    spend = -move.table.loc[move.table["channel_name"] == source, "spend_change"].iloc[0]
    moved = f"Moving {percentage(share)} of the spend on {shown(source)} ({fixed(spend)}) to {shown(target)}"
    low, high = (fixed(value, sign=True) for value in (move.low, move.high))
    if move.outcome == GAINS:
        return f"{moved} gains {fixed(move.low)} to {fixed(move.high)} of revenue"
    if move.outcome == LOSES:
        return f"{moved} loses {fixed(-move.high)} to {fixed(-move.low)} of revenue"
    return f"{moved} changes revenue by {low} to {high}, so a loss is possible"


def move_sentence(move: Move, ranked: pd.DataFrame) -> str:
    """Say which experiment would tell, if the range includes a loss and a gain. In: `what_if`, `next_experiments`."""
    if move.outcome in (GAINS, LOSES):
        return ""
    name = move.widest
    row = ranked[ranked["channel_name"] == name]
    size = f" {size_sentence(row.iloc[0])}" if len(row) else f" It has less than {percentage(MATERIAL)} of spend."
    return f"An experiment on {shown(name)} would tell most.{size}"
