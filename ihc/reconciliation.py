"""The proof that nothing got lost: from what was read to what is reported, to the cent."""

from __future__ import annotations

from datetime import date

import pandas as pd

from ihc.errors import ReconciliationError
from ihc.ids import is_among, look_up, places
from ihc.schemas import Tables, inside

CENT = 0.005
ORDERS, CREDIT, COST = "Orders and their revenue", "Credit", "Cost"
UNATTRIBUTED = "less: without any session (unattributed)"
FAILED = "less: failed"
WAITING = "less: waiting, not attributed yet"
CREDITED = "credited"
Window = tuple[str | date | None, str | date | None]


class _Account:
    """Signed lines that lead from a first figure to checked ones; a count and an amount [currency] in each."""

    def __init__(self, section: str, counted: str) -> None:
        self.section, self.counted = section, counted
        self.count = self.amount = self.shown = 0.0
        self.lines: list[tuple[str, str, str, float, str, float]] = []

    def step(self, line: str, count: float, amount: float) -> None:
        """Add a line to the running figures."""
        self.count += count
        self.amount += amount
        self.shown += round(amount, 2)
        self._write("step", line, count, amount)

    def check(self, line: str, count: float, amount: float) -> None:
        """State what the lines so far must add up to, worked out independently; raise if they do not."""
        # Sums of very large amounts differ by their floating point alone, so the cent widens with them.
        cent = CENT + 1e-13 * abs(amount)
        if not (abs(count - self.count) < CENT and abs(amount - self.amount) < cent):
            raise ReconciliationError(
                f"{self.section}: '{line}' is {amount:,.4f} ({count:,.4f} {self.counted}), but the lines before it "
                f"add up to {self.amount:,.4f} ({self.count:,.4f}). Do not use these figures; please report the fault."
            )
        cents = round(round(amount, 2) - self.shown, 2)
        if cents:
            self.shown += cents
            self._write("step", "rounding of the lines above to cents", 0.0, cents)
        self._write("total", line, count, amount)

    def _write(self, kind: str, line: str, count: float, amount: float) -> None:
        # Adding 0.0 turns a minus zero, which would print as -0.00, into a plain one.
        self.lines.append((self.section, kind, line, round(count, 6) + 0.0, self.counted, round(amount, 2) + 0.0))


def reconcile(
    tables: Tables,
    credits: pd.DataFrame,
    outcomes: pd.DataFrame,
    reporting: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Lead from the orders, revenue and cost that were read to the figures that are reported.

    In: the tables, all stored `credits` (`conv_id, session_id, ihc`) and `outcomes` (`conv_id, outcome, reason`), and
    `reporting`, all rows of `channel_reporting`. The dates choose orders by `conv_date`, and the reported days.

    Out: `section, kind [step or total], line, count, counted [what the count is of], amount [currency, whole cents]`.
    In each section the steps above a total add up to it.

    Raises ReconciliationError if a section does not close to the cent.
    """
    window = (start_date, end_date)
    orders = tables.conversions[inside(tables.conversions["conv_date"], *window)]
    credited = orders[is_among(orders["conv_id"], credits["conv_id"])]
    rows = reporting[inside(reporting["date"], *window)]
    accounts = [
        _orders(orders, credited, order_outcomes(orders, credits, outcomes)),
        _credit(tables, credits, credited, rows, window),
        _cost(tables, reporting, rows, window),
    ]
    lines = [line for account in accounts for line in account.lines]
    return pd.DataFrame(lines, columns=["section", "kind", "line", "count", "counted", "amount"])


def order_outcomes(orders: pd.DataFrame, credits: pd.DataFrame, outcomes: pd.DataFrame) -> pd.Series[str]:
    """How each order ended: credited where a credit is stored, else as its outcome says, and waiting without one.

    In: `orders` and `credits` with `conv_id`, and `outcomes` (`conv_id, outcome`). Out: `credited, unattributed,
    failed` or `waiting`, with the index of `orders`.
    """
    stated = look_up(orders["conv_id"], outcomes, "conv_id", "outcome")
    stated = stated.where(stated.isin(("credited", "unattributed", "failed")), "waiting")
    return stated.where(~is_among(orders["conv_id"], credits["conv_id"]), "credited")


def _orders(orders: pd.DataFrame, credited: pd.DataFrame, outcome: pd.Series[str]) -> _Account:
    unattributed, failed, waiting = (
        orders.loc[outcome == name, "revenue"] for name in ("unattributed", "failed", "waiting")
    )

    account = _Account(ORDERS, "orders")
    account.step("orders read", len(orders), orders["revenue"].sum())
    account.step(UNATTRIBUTED, -len(unattributed), -unattributed.sum())
    with_journey = [credited["revenue"], failed, waiting]
    account.check("with a journey", sum(map(len, with_journey)), sum(part.sum() for part in with_journey))
    account.step(FAILED, -len(failed), -failed.sum())
    if len(waiting):
        account.step(WAITING, -len(waiting), -waiting.sum())
    account.check(CREDITED, len(credited), credited["revenue"].sum())
    return account


def _credit(
    tables: Tables, credits: pd.DataFrame, credited: pd.DataFrame, rows: pd.DataFrame, window: Window
) -> _Account:
    revenue = look_up(credits["conv_id"], tables.conversions, "conv_id", "revenue")
    day = look_up(credits["session_id"], tables.sessions, "session_id", "event_date")
    is_own, is_lost = is_among(credits["conv_id"], credited["conv_id"]), day.isna()
    worth = credits[["ihc"]].assign(ihc_revenue=credits["ihc"] * revenue)
    is_inside = inside(day.fillna(""), *window) & ~is_lost
    own, lost = worth[is_own], worth[is_own & is_lost]
    outside, others = worth[is_own & ~is_inside & ~is_lost], worth[~is_own & is_inside & revenue.notna()]

    account = _Account(CREDIT, "orders")
    account.step("credited orders", len(credited), credited["revenue"].sum())
    account.step(
        "less: rounding, Σ revenue × (1 - Σ credit)",
        own["ihc"].sum() - len(credited),
        own["ihc_revenue"].sum() - credited["revenue"].sum(),
    )
    if any(window):
        account.step("less: credit on days outside the dates", -outside["ihc"].sum(), -outside["ihc_revenue"].sum())
        account.step("plus: credit from other orders", others["ihc"].sum(), others["ihc_revenue"].sum())
    if len(lost):
        account.step("less: credit of sessions that no longer exist", -lost["ihc"].sum(), -lost["ihc_revenue"].sum())
    account.check("credit in channel_reporting.csv", rows["ihc"].sum(), rows["ihc_revenue"].sum())
    return account


def _cost(tables: Tables, reporting: pd.DataFrame, rows: pd.DataFrame, window: Window) -> _Account:
    costs = tables.costs
    place = places(costs["session_id"], tables.sessions["session_id"])
    strays, known = costs[place < 0], costs[place >= 0]
    days = tables.sessions["event_date"].take(place[place >= 0])
    outside = known[~inside(days, *window).to_numpy()]

    account = _Account(COST, "cost rows")
    account.step("cost read", len(costs), costs["cost"].sum())
    account.step("less: cost whose session does not exist", -len(strays), -strays["cost"].sum())
    if any(window):
        account.check("cost in the table channel_reporting", len(known), reporting["cost"].sum())
        account.step("less: cost on days outside the dates", -len(outside), -outside["cost"].sum())
    account.check("cost in channel_reporting.csv", len(known) - len(outside), rows["cost"].sum())
    return account
