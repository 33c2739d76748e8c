"""Summary of the page: six key figures, and the channel table with intervals and verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.bootstrap import CONFIDENCE
from ihc.analysis.break_even import NO_SPEND, break_even_table, by_cost
from ihc.analysis.dimension import Folding, others
from ihc.analysis.periods import ALONE, BLENDED, PAID, PLACED, REVENUE, SPEND, UNPLACED
from ihc.analysis.reporting import MATERIAL
from ihc.analysis.sensitivity import IHC
from ihc.arrays.lookup import isin
from ihc.formatting import CENT, counted, fixed, general, percent, percentage, printable, shown
from ihc.glossary import FORMATS, GLOSSARY, MONEY
from ihc.narrative.sensitivity import share_of_worlds
from ihc.schemas.refunds import purchases

if TYPE_CHECKING:
    from ihc.exhibits.data import ReportData
    from ihc.exhibits.report import Report

MOST_ROWS = 13  # maximum number of rows on the first screen
FARTHEST = 100.0  # intervals are cut off at this multiple, or fraction, of break-even
WIDE = 200  # width of the drawing of an interval
MARGIN = 6
CARDS = {
    SPEND: "Spend",
    REVENUE: "Revenue",
    BLENDED: "Blended ROAS",
    PAID: "ROAS of paid channels",
    PLACED: "Orders",
}
FORMULAS = {BLENDED: "revenue / spend", PAID: "attributed revenue / spend"}  # below the figure
SYMBOLS = {"above": "▲", "below": "▼", "inconclusive": "◆", "too few orders": "◇", NO_SPEND: "–"}


class Card(NamedTuple):
    """A key figure."""

    label: str
    value: str
    note: str


class Line(NamedTuple):
    """An interval from `low` to `high` with a dot, in units of the drawing.

    `beyond`: `right` or `left` if the dot is outside the scale.
    """

    low: float
    dot: float
    high: float
    text: str
    beyond: str = ""


@dataclass(frozen=True)
class Row:
    """The row of a channel; `revenue` and `roas` have one text per model.

    `holds`: the share of worlds with damaged tracking in which the verdict holds, if they are tested.
    """

    channel: str
    name: str
    spend: str
    share: str
    revenue: list[str]
    roas: list[str]
    line: Line | None
    verdict: str
    stability: str
    has_cost: bool
    is_total: bool = False
    holds: str = ""

    @property
    def symbol(self) -> str:
        """The symbol of the verdict."""
        return SYMBOLS.get(self.verdict, "")

    @property
    def by_model(self) -> dict[str, str]:
        """The texts of all models, as JSON."""
        return {"revenue": json.dumps(self.revenue), "roas": json.dumps(self.roas)}


@dataclass(frozen=True)
class Verdicts:
    """The channel table: rows, model names, break-even and ticks of the scale.

    `tested`: the number of worlds with damaged tracking, if they are tested.
    """

    rows: list[Row]
    models: list[str]
    break_even: str
    level: str
    even_at: float
    ticks: list[tuple[float, str]]
    tested: str
    definitions: dict[str, str]


class _Scale:
    """A log scale for all rows, from the channels with enough spend. Values outside are at its edge."""

    def __init__(self, table: pd.DataFrame, roas: float) -> None:
        values = by_cost(table)[["ROAS", "ROAS_low", "ROAS_high"]].to_numpy("float64")
        values = np.clip(values[np.isfinite(values)], roas / FARTHEST, roas * FARTHEST)
        self.low = float(min([roas, *values])) / 1.1
        self.high = float(max([roas, *values])) * 1.1

    def at(self, value: float) -> float:
        share = np.log(np.clip(value, self.low, self.high) / self.low) / np.log(self.high / self.low)
        return round(MARGIN + float(share) * (WIDE - 2 * MARGIN), 1)

    def ticks(self) -> list[tuple[float, str]]:
        steps = (1.0, 3.0) if self.high / self.low > 15 else (1.0, 2.0, 5.0)
        known = [step * 10.0**power for power in range(-4, 8) for step in steps]
        ticks = [value for value in known if self.low <= value <= self.high]
        if len(ticks) > 5:
            ticks = [value for value in ticks if np.isclose(np.log10(value) % 1, 0)]
        return [(self.at(value), general(value, 4)) for value in ticks]


def cards(report: Report) -> list[Card]:
    """Return spend, revenue, blended and paid ROAS, orders, and the share of tracked orders."""
    figures: dict[str, Any] = {str(row.figure): row for row in report.data.figures.itertuples()}
    found = []
    for figure, label in CARDS.items():
        row = figures[figure]
        write = fixed if row.unit == MONEY and abs(row.value) >= 1000 else FORMATS[row.unit]
        value = "–" if np.isnan(row.value) else write(row.value)
        notes = [FORMULAS[figure]] if figure in FORMULAS else []
        notes += [f"{percentage(row.change, 1, sign=True)} vs. previous period"] if np.isfinite(row.change) else []
        # With dates, spend whose session does not exist is not in the total.
        among = (ALONE,) if any(report.data.window.values()) else (UNPLACED, ALONE)
        unplaced = sum(figures[each].value for each in among if each in figures) if figure == SPEND else 0.0
        if unplaced >= CENT:
            notes.append(f"including {FORMATS[MONEY](unplaced)} without a session")
        money = printable(report.data.options.currency) if row.unit == MONEY else ""
        found.append(Card(label, f"{value} {money}".strip(), "; ".join(notes)))
    return [*found, _tracked(report.data)]


def _tracked(data: ReportData) -> Card:
    orders = purchases(data.orders)["conv_id"]
    outcomes = data.results.outcomes
    without = int(isin(orders, outcomes.loc[outcomes["outcome"] == "unattributed", "conv_id"]).sum())
    share = percent(1 - without / len(orders)) if len(orders) else "–"
    return Card("Tracked orders", share, f"{fixed(without)} untracked" if without else "")


def verdicts(report: Report) -> Verdicts:
    """Return the rows by spend, with channels beyond MOST_ROWS in one row, and the total."""
    data = report.data
    roas = data.options.break_even_roas
    few = _few(data)
    table = break_even_table(*data.folded(few), roas).sort_values(
        ["cost", "ihc_revenue"], ascending=False, kind="stable", ignore_index=True
    )
    is_rest = table["channel_name"] == few.rest
    table = pd.concat([table[~is_rest], table[is_rest]], ignore_index=True)
    models, earned = _earned(report, few, table)
    stability = {} if report.missing else report.stability.frame.set_index("channel_name")["stability"].to_dict()
    worlds, tested = ({}, "") if report.missing or not report.robustness else _worlds(report.robustness.frame)
    scale = _Scale(table, roas)
    whole = float(table["cost"].sum())
    rows = [_row(row, earned[row["channel_name"]], stability, scale, whole) for _, row in table.iterrows()]
    rows = [replace(row, holds=worlds.get(row.channel, "")) for row in rows]
    rows += [_total(table, earned)] if len(table) else []
    texts = {name: GLOSSARY[name].definition for name in ("cost", "ihc_revenue", "ROAS", "stability", "share_of_cost")}
    texts["stability"] += f" Lost tracking: {GLOSSARY['holds'].definition.lower()}" if worlds else ""
    return Verdicts(
        rows, models, general(roas, 4), percentage(CONFIDENCE), scale.at(roas), scale.ticks(), tested, texts
    )


def _worlds(frame: pd.DataFrame) -> tuple[dict[str, str], str]:
    """Return the share of worlds in which each verdict holds, and their number; nothing if no verdict is tested."""
    shares = {name: share_of_worlds(share) for name, share in zip(frame["channel_name"], frame["holds"], strict=True)}
    return shares, counted(int(frame["worlds"].max()), "world") if shares else ""


def _few(data: ReportData) -> Folding:
    """Return the channels with their own row, by spend."""
    table = data.summary.iloc[:-1].sort_values(["cost", "ihc_revenue"], ascending=False, kind="stable")
    names = table["channel_name"].tolist()
    if len(names) <= MOST_ROWS:
        return Folding(names, "")
    return Folding(names[: MOST_ROWS - 1], others(len(names) - MOST_ROWS + 1))


def _earned(report: Report, few: Folding, table: pd.DataFrame) -> tuple[list[str], dict[str, list[float]]]:
    """Return the model names, IHC first, and the attributed revenue by channel under each model."""
    own = table.set_index("channel_name")[["ihc_revenue"]].rename(columns={"ihc_revenue": IHC})
    if report.missing:
        return [IHC], {str(name): [value] for name, value in own[IHC].items()}
    other = few.of(report.by_model).groupby(["channel_name", "model"], sort=False)["ihc_revenue"].sum().unstack("model")
    every = own.join(other[list(dict.fromkeys(report.by_model["model"]))]).fillna(0.0)
    return list(every.columns), {str(name): values.tolist() for name, values in every.iterrows()}


def _row(row: pd.Series, earned: list[float], stability: dict[Any, str], scale: _Scale, whole: float) -> Row:
    name, cost = str(row["channel_name"]), float(row["cost"])
    holds = stability.get(name, f"below {percentage(MATERIAL)} of spend" if cost else "")
    return Row(
        channel=name,
        name=shown(name),
        spend=fixed(cost),
        share=percentage(cost / whole, 1) if whole else "",
        revenue=[fixed(value) for value in earned],
        roas=[_ratio(value, cost) for value in earned],
        line=_line(row, scale),
        verdict=str(row["verdict"]),
        stability=holds,
        has_cost=cost != 0,
    )


def _total(table: pd.DataFrame, earned: dict[str, list[float]]) -> Row:
    cost = float(table["cost"].sum())
    sums = np.sum(list(earned.values()), axis=0).tolist()
    texts = [fixed(value) for value in sums]
    ratios = [_ratio(value, cost) for value in sums]
    return Row("Total", "Total", fixed(cost), percentage(1, 1) if cost else "", texts, ratios, None, "", "", True, True)


def _ratio(revenue: float, cost: float) -> str:
    return fixed(revenue / cost, 2) if cost else ""


def _line(row: pd.Series, scale: _Scale) -> Line | None:
    value, low, high = (float(row[name]) for name in ("ROAS", "ROAS_low", "ROAS_high"))
    if not np.isfinite(value):
        return None
    text = f"{shown(row['channel_name'])}: ROAS {fixed(value, 2)}"
    if np.isfinite(low) and np.isfinite(high):
        text += f", {percentage(CONFIDENCE)} interval {fixed(low, 2)} to {fixed(high, 2)}"
    else:
        low = high = value
    beyond = "right" if value > scale.high else "left" if value < scale.low else ""
    return Line(scale.at(low), scale.at(value), scale.at(high), text, beyond)
