"""The structure of a data quality finding: rows, amount, consequence and remedy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.arrays.lookup import get_indexer, isin
from ihc.arrays.sums import total
from ihc.arrays.types import Booleans, Integers
from ihc.formatting import counted
from ihc.journeys.build import Spans, find_spans
from ihc.quality.sql import Sql
from ihc.schemas.spend import is_daily
from ihc.schemas.tables import CONV_UTC, CONVERSIONS, Tables

REVENUE, COST = "revenue", "cost"


class Advice(NamedTuple):
    """The explanation of a finding.

    `consequence`: the effect on the report; `mend`: a statement or setting, and `aim`: what it does. If a statement
    would lose data, it lists the rows instead. `detail`: further results of the check.
    """

    consequence: str
    aim: str
    mend: str
    detail: str = ""


NO_ADVICE = Advice("", "", "")
LIST = "To list them"


class Finding(NamedTuple):
    """The result of one check.

    `noun` and `what`: what was checked, as in "order" and "at 00:00:00"; `ids` of the rows found; `amount` [currency;
    None if not applicable] of these rows, and `whole`, that of all rows, `of` revenue or cost; `advice`: the
    consequence and the remedy.
    """

    noun: str
    what: str
    ids: Collection[object]
    advice: Advice
    of: str = ""
    amount: float | None = None
    whole: float | None = None

    @property
    def check(self) -> str:
        """What was checked."""
        return f"{self.noun}s {self.what}"

    @property
    def text(self) -> str:
        """What was found, the number first."""
        return f"{counted(len(self.ids), self.noun)} {self.what}{self.advice.detail}"

    def without_amount(self) -> Finding:
        """Return the finding without an amount."""
        return self._replace(of="", amount=None)

    @property
    def share(self) -> float | None:
        """The amount as a share of the total; None if not applicable, as for refunds."""
        share = self.amount / self.whole if self.amount is not None and self.whole else None
        return share if share is not None and 0 <= share <= 1 else None


@dataclass(frozen=True)
class Shop:
    """The shop's tables, prepared for the checks.

    `cost_places`: the position of each cost row's session, -1 if there is none; `is_daily`: marks the cost rows of
    daily spend; `revenue`, `cost` [currency]: the totals.
    """

    tables: Tables
    spans: Spans
    cost_places: Integers
    is_daily: Booleans
    revenue: float
    cost: float
    sql: Sql

    @classmethod
    def of(cls, tables: Tables, sql: Sql) -> Shop:
        """Prepare the tables for the checks."""
        sessions, conversions, costs = tables
        spans = find_spans(sessions, conversions)
        cost_places = get_indexer(costs["session_id"], sessions["session_id"])
        sums = total(conversions["revenue"]), total(costs["cost"])
        return cls(tables, spans, cost_places, is_daily(costs), *sums, sql)

    @property
    def has_utc(self) -> bool:
        """Whether columns in UTC give the times of sessions and orders."""
        return CONV_UTC in self.tables.conversions

    def timed(self, advice: Advice, rows: pd.DataFrame) -> Advice:
        """Return advice about times of orders. With columns in UTC, a new local time would change nothing."""
        if not self.has_utc or not len(rows):
            return advice
        listed = f"SELECT * FROM {CONVERSIONS} WHERE CAST(conv_id AS TEXT) IN {self.sql.among(rows['conv_id'])}"
        return advice._replace(aim=LIST, mend=listed)

    @property
    def is_known_buyer(self) -> Booleans:
        """Marks the conversions of `spans` whose user has a session at any time."""
        is_there = np.zeros(len(self.spans.buyer), dtype=bool)
        is_there[self.spans.user] = True
        return is_there[self.spans.buyer]

    @property
    def has_cost(self) -> Booleans:
        """Marks the sessions that have a cost row, or a share of daily spend."""
        return self._has_cost(self.cost_places)

    @property
    def has_cost_row(self) -> Booleans:
        """Marks the sessions that have a cost row."""
        return self._has_cost(self.cost_places[~self.is_daily])

    def _has_cost(self, places: Integers) -> Booleans:
        found = np.zeros(len(self.tables.sessions), dtype=bool)
        found[places[places >= 0]] = True
        return found

    @property
    def stray_costs(self) -> pd.DataFrame:
        """The rows of `session_costs` whose session does not exist."""
        return self.tables.costs[(self.cost_places < 0) & ~self.is_daily]

    def of_conversions(self, what: str, rows: pd.DataFrame, advice: Advice) -> Finding:
        """A finding about rows of `conversions`."""
        return Finding("order", what, rows["conv_id"], advice, REVENUE, total(rows["revenue"]), self.revenue)

    def of_sessions(self, what: str, rows: pd.DataFrame, advice: Advice) -> Finding:
        """A finding about rows of `session_sources`, with their cost."""
        return Finding("session", what, rows["session_id"], advice, COST, self.cost_of(rows["session_id"]), self.cost)

    def of_costs(self, what: str, rows: pd.DataFrame, advice: Advice) -> Finding:
        """A finding about rows of `session_costs`."""
        return Finding("cost row", what, rows["session_id"], advice, COST, total(rows["cost"]), self.cost)

    def cost_of(self, ids: pd.Series[str]) -> float:
        """Return the cost of sessions [currency]."""
        costs = self.tables.costs
        return total(costs.loc[isin(costs["session_id"], ids), "cost"]) if len(ids) else 0.0
