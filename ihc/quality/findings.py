"""What a finding in the input tables is: how many rows, what they amount to, what follows from them, how to mend it."""

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
from ihc.schemas.tables import Tables

REVENUE, COST = "revenue", "cost"


class Advice(NamedTuple):
    """What to say of a finding.

    `consequence`: what follows for the report; `mend`: a statement or setting, and `aim`: what it does. A statement
    that would lose data lists the rows instead. `detail`: what else was found.
    """

    consequence: str
    aim: str
    mend: str
    detail: str = ""


NO_ADVICE = Advice("", "", "")
LIST = "To list them"


class Finding(NamedTuple):
    """One check's result.

    `noun` and `what`: what was looked for, as in "order" and "at 00:00:00"; `ids` of the rows found; `amount`
    [currency; None where none belongs to it] of them, and `whole`, that of all rows, which is `of` revenue or cost;
    `advice`: what follows for the report, and what to do about it.
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
        """What was looked for."""
        return f"{self.noun}s {self.what}"

    @property
    def text(self) -> str:
        """What was found, the number first."""
        return f"{counted(len(self.ids), self.noun)} {self.what}{self.advice.detail}"

    def without_amount(self) -> Finding:
        """The same where no amount belongs to the rows."""
        return self._replace(of="", amount=None)

    @property
    def share(self) -> float | None:
        """The amount as a share of that of all rows; None where there is none, as refunds have none of the revenue."""
        share = self.amount / self.whole if self.amount is not None and self.whole else None
        return share if share is not None and 0 <= share <= 1 else None


@dataclass(frozen=True)
class Shop:
    """The shop's tables, as the checks share them.

    `cost_places`: the place of each cost row's session, -1 where there is none; `revenue`, `cost` [currency] of all.
    """

    tables: Tables
    spans: Spans
    cost_places: Integers
    revenue: float
    cost: float
    sql: Sql

    @classmethod
    def of(cls, tables: Tables, sql: Sql) -> Shop:
        """Prepare the tables for the checks."""
        sessions, conversions, costs = tables
        spans = find_spans(sessions, conversions)
        cost_places = get_indexer(costs["session_id"], sessions["session_id"])
        return cls(tables, spans, cost_places, total(conversions["revenue"]), total(costs["cost"]), sql)

    @property
    def is_known_buyer(self) -> Booleans:
        """Marks the conversions of `spans` whose user has a session, at whatever time."""
        is_there = np.zeros(len(self.spans.buyer), dtype=bool)
        is_there[self.spans.user] = True
        return is_there[self.spans.buyer]

    @property
    def has_cost(self) -> Booleans:
        """Marks the sessions that have a cost row."""
        found = np.zeros(len(self.tables.sessions), dtype=bool)
        found[self.cost_places[self.cost_places >= 0]] = True
        return found

    def of_conversions(self, what: str, rows: pd.DataFrame, advice: Advice) -> Finding:
        """A finding about rows of `conversions`."""
        return Finding("order", what, rows["conv_id"], advice, REVENUE, total(rows["revenue"]), self.revenue)

    def of_sessions(self, what: str, rows: pd.DataFrame, advice: Advice) -> Finding:
        """A finding about rows of `session_sources`, with what they cost."""
        return Finding("session", what, rows["session_id"], advice, COST, self.cost_of(rows["session_id"]), self.cost)

    def of_costs(self, what: str, rows: pd.DataFrame, advice: Advice) -> Finding:
        """A finding about rows of `session_costs`."""
        return Finding("cost row", what, rows["session_id"], advice, COST, total(rows["cost"]), self.cost)

    def cost_of(self, ids: pd.Series[str]) -> float:
        """What sessions cost [currency]."""
        costs = self.tables.costs
        return total(costs.loc[isin(costs["session_id"], ids), "cost"]) if len(ids) else 0.0
