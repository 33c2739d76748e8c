"""Reconcile the input tables with the reported figures, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from ihc.arrays.lookup import get_indexer, isin, lookup
from ihc.arrays.sums import part_by, sum_of_parts, total
from ihc.errors import ReconciliationError
from ihc.formatting import CENT
from ihc.schemas.refunds import is_purchase
from ihc.schemas.spend import COUNTS, is_daily, is_kept, is_unused
from ihc.schemas.tables import Tables, inside

ORDERS, CREDIT, COST = "Orders and their revenue", "Credit", "Cost"
UNATTRIBUTED = "less: untracked (no session)"
FAILED = "less: failed"
WAITING = "less: waiting, not attributed yet"
CREDITED = "credited"
REFUNDS = "refunds"
ENDS = ("unattributed", "failed", "waiting")
Dates = tuple[str | date | None, str | date | None]
Figure = Callable[[str], tuple[float, float]]  # name of a figure -> its count and amount [currency]


class _Account:
    """Signed lines from a first figure to checked totals; each line has a count and an amount [currency]."""

    def __init__(self, section: str, counted: str, figure: Figure) -> None:
        self.section, self.counted, self.figure = section, counted, figure
        self.count = self.amount = self.shown = 0.0
        self.lines: list[tuple[str, str, str, float, str, float]] = []

    def step(self, line: str, count: float, amount: float) -> None:
        """Add a line to the running figures."""
        self.count += count
        self.amount += amount
        self.shown += round(amount, 2)
        self._write("step", line, count, amount)

    def add(self, line: str, name: str, sign: int = 1) -> None:
        """Add a figure as a line, or subtract it."""
        count, amount = self.figure(name)
        self.step(line, sign * count, sign * amount)

    def refunds(self, line: str, name: str, sign: int = 1) -> None:
        """Add the amount of refunds, if any. Their number is in the text of the line, as refunds are not orders."""
        count, amount = self.figure(f"{name} {REFUNDS}")
        if count:
            self.step(f"{line}: {count:,.0f}", 0.0, sign * amount)

    def daily(self, line: str, name: str, sign: int = 1) -> None:
        """Add the amount of daily spend, if any. The number of its rows is in the text of the line."""
        count, amount = self.figure(name)
        if count:
            self.step(f"{line}: {count:,.0f}", 0.0, sign * amount)

    def check(self, line: str, count: float, amount: float) -> None:
        """Add a total that was computed independently; raise if the lines so far do not add up to it."""
        # For very large amounts, floating-point error alone exceeds a cent, so the tolerance grows with them.
        cent = CENT + 1e-13 * abs(amount)
        if not (abs(count - self.count) < CENT and abs(amount - self.amount) < cent):
            raise ReconciliationError(
                f"{self.section}: '{line}' is {amount:,.4f} ({count:,.4f} {self.counted}), but the lines before it "
                f"add up to {self.amount:,.4f} ({self.count:,.4f}). Do not use these figures; please report this bug."
            )
        cents = round(round(amount, 2) - self.shown, 2)
        if cents:
            self.shown += cents
            self._write("step", "rounding of the lines above to cents", 0.0, cents)
        self._write("total", line, count, amount)

    def _write(self, kind: str, line: str, count: float, amount: float) -> None:
        # Adding 0.0 turns minus zero, which would print as -0.00, into zero.
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
    """Reconcile orders, revenue and cost from the input tables to the reported figures.

    In: the tables, all stored `credits` (`conv_id, session_id, ihc`) and `outcomes` (`conv_id, outcome, reason`), and
    `reporting`, all rows of `channel_reporting`. The dates select orders by `conv_date`, and the reported days.

    Out: `section, kind [step or total], line, count, counted [what the count is of], amount [currency, whole cents]`.
    In each section the steps above a total add up to it. Refunds and daily spend have lines of their own, with their
    number in `line` and a `count` of 0.

    Raises ReconciliationError if a section does not close to the cent.
    """
    window = {"start_date": start_date, "end_date": end_date}
    return account_for(figures_of(tables, credits, outcomes, **window), reporting, **window)


def figures_of(
    tables: Tables,
    credits: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Sum the figures behind the reconciliation, for all tables or for a partition by user.

    In: as `reconcile`. Out: `figure, level, count, amount`, as of `sums.part_by`, so that partitions can be added.
    """
    window = (start_date, end_date)
    orders = tables.conversions[inside(tables.conversions["conv_date"], *window)]
    outcome = conversion_outcomes(orders, credits, outcomes)
    # Counted from the credits, not from the outcomes, so that the check is independent.
    groups = {"read": np.ones(len(orders), dtype=bool), "credited": isin(orders["conv_id"], credits["conv_id"])}
    groups |= {name: (outcome == name).to_numpy() for name in ENDS}
    counts = is_purchase(orders)
    figures = {name: _each(orders.loc[mask & counts, "revenue"]) for name, mask in groups.items()}
    figures |= {f"{name} {REFUNDS}": _each(orders.loc[mask & ~counts, "revenue"]) for name, mask in groups.items()}
    figures |= _credit_figures(tables, credits, orders, window) | _cost_figures(tables, window)
    rows = pd.concat([rows.assign(figure=name) for name, rows in figures.items()], ignore_index=True)
    return part_by(rows.astype({"figure": "str"}), ["figure"], ["count", "amount"])


def _each(amounts: pd.Series[float]) -> pd.DataFrame:
    return pd.DataFrame({"count": 1.0, "amount": amounts})


def _credit_figures(
    tables: Tables, credits: pd.DataFrame, orders: pd.DataFrame, window: Dates
) -> dict[str, pd.DataFrame]:
    revenue = lookup(credits["conv_id"], tables.conversions, "conv_id", "revenue")
    day = lookup(credits["session_id"], tables.sessions, "session_id", "event_date")
    is_own, is_lost = isin(credits["conv_id"], orders["conv_id"]), day.isna()
    is_inside = inside(day.fillna(""), *window) & ~is_lost
    worth = pd.DataFrame({"count": credits["ihc"].where(~(revenue < 0), 0.0), "amount": credits["ihc"] * revenue})
    return {
        "own": worth[is_own],
        "lost": worth[is_own & is_lost],
        "outside": worth[is_own & ~is_inside & ~is_lost],
        "others": worth[~is_own & is_inside & revenue.notna()],
    }


def _cost_figures(tables: Tables, window: Dates) -> dict[str, pd.DataFrame]:
    costs = tables.costs if tables.session_costs is None else tables.session_costs
    if (daily := is_daily(costs)).any():
        costs = costs[~daily]
    place = get_indexer(costs["session_id"], tables.sessions["session_id"])
    known = costs.loc[place >= 0, "cost"]
    is_inside = inside(tables.sessions["event_date"].take(place[place >= 0]), *window).to_numpy()
    return {
        "cost": _each(costs["cost"]),
        "stray": _each(costs.loc[place < 0, "cost"]),
        "known": _each(known),
        "cost outside": _each(known[~is_inside]),
        **_daily_figures(tables, window),
    }


def _daily_figures(tables: Tables, window: Dates) -> dict[str, pd.DataFrame]:
    spend = tables.spend
    if spend is None:  # tables put together from others: all that is known is in the costs
        rows = tables.costs[is_daily(tables.costs)]
        if rows.empty:
            return {}
        has_session = rows["session_id"].notna().astype("int64")
        spend = rows.assign(date=rows["spend_date"], **dict.fromkeys(COUNTS, has_session))
    is_outside = ~inside(spend["date"], *window) & ~is_unused(spend)
    groups = {"": ~is_kept(spend), " alone": is_kept(spend), " unused": is_unused(spend), " outside": is_outside}
    return {f"daily{name}": _each(spend.loc[mask, "cost"]) for name, mask in groups.items()}


def account_for(
    figures: pd.DataFrame,
    reporting: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Reconcile the `figures_of` all users with the reported figures. Otherwise as `reconcile`."""
    window = (start_date, end_date)
    found = sum_of_parts(figures, ["figure"])
    counts, amounts = (dict(zip(found["figure"], found[name], strict=True)) for name in ("count", "amount"))
    rows = reporting[inside(reporting["date"], *window)]

    def figure(name: str) -> tuple[float, float]:
        return (counts[name], amounts[name]) if name in counts else (0.0, 0.0)

    accounts = [_orders(figure), _credit(figure, rows, window), _cost(figure, reporting, rows, window)]
    lines = [line for account in accounts for line in account.lines]
    return pd.DataFrame(lines, columns=["section", "kind", "line", "count", "counted", "amount"])


def refunded(lines: pd.DataFrame) -> float:
    """Return the total of the refunds in the tables [currency]. In: the frame of `reconcile`."""
    is_read = (lines["section"] == ORDERS) & lines["line"].str.startswith(f"{REFUNDS}: ")
    return total(-lines.loc[is_read, "amount"])


def conversion_outcomes(orders: pd.DataFrame, credits: pd.DataFrame, outcomes: pd.DataFrame) -> pd.Series[str]:
    """Return each order's outcome: credited if a credit is stored, otherwise as stated, or waiting.

    In: `orders` and `credits` with `conv_id`, and `outcomes` (`conv_id, outcome`). Out: `credited, unattributed,
    failed` or `waiting`, with the index of `orders`.
    """
    stated = lookup(orders["conv_id"], outcomes, "conv_id", "outcome")
    stated = stated.where(stated.isin(("credited", "unattributed", "failed")), "waiting")
    return stated.where(~isin(orders["conv_id"], credits["conv_id"]), "credited")


def _orders(figure: Figure) -> _Account:
    count, credited = _with_refunds(figure, "credited")
    failed, waiting = (_with_refunds(figure, name) for name in ("failed", "waiting"))

    account = _Account(ORDERS, "orders", figure)
    account.add("orders read", "read")
    account.refunds(REFUNDS, "read")
    account.add(UNATTRIBUTED, "unattributed", -1)
    account.refunds(f"less: untracked {REFUNDS}", "unattributed", -1)
    account.check("with a journey", count + failed[0] + waiting[0], credited + failed[1] + waiting[1])
    account.add(FAILED, "failed", -1)
    account.refunds(f"less: failed {REFUNDS}", "failed", -1)
    if figure("waiting")[0]:
        account.add(WAITING, "waiting", -1)
    account.refunds(f"less: waiting {REFUNDS}", "waiting", -1)
    account.check(CREDITED, count, credited)
    return account


def _with_refunds(figure: Figure, name: str) -> tuple[float, float]:
    """Return the number of orders, and their revenue after refunds."""
    count, amount = figure(name)
    return count, amount + figure(f"{name} {REFUNDS}")[1]


def _credit(figure: Figure, rows: pd.DataFrame, window: Dates) -> _Account:
    count, revenue = _with_refunds(figure, "credited")
    credit, worth = figure("own")

    account = _Account(CREDIT, "orders", figure)
    account.add("credited orders", "credited")
    account.refunds(f"credited {REFUNDS}", "credited")
    account.step("less: rounding, Σ revenue × (1 - Σ credit)", credit - count, worth - revenue)
    if any(window):
        account.add("less: credit on days outside the dates", "outside", -1)
        account.add("plus: credit from other orders", "others")
    if any(figure("lost")):
        account.add("less: credit of sessions that no longer exist", "lost", -1)
    account.check("credit in channel_reporting.csv", total(rows["ihc"]), total(rows["ihc_revenue"]))
    return account


def _cost(figure: Figure, reporting: pd.DataFrame, rows: pd.DataFrame, window: Dates) -> _Account:
    count = figure("known")[0]

    account = _Account(COST, "cost rows", figure)
    account.add("cost read", "cost")
    account.daily("plus: daily spend of days with sessions", "daily")
    account.daily("plus: daily spend without a session", "daily alone")
    account.daily("less: daily spend not used", "daily unused", -1)
    account.add("less: cost whose session does not exist", "stray", -1)
    if any(window):
        account.check("cost in the table channel_reporting", count, total(reporting["cost"]))
        account.add("less: cost on days outside the dates", "cost outside", -1)
        account.daily("less: daily spend on days outside the dates", "daily outside", -1)
    account.check("cost in channel_reporting.csv", count - figure("cost outside")[0], total(rows["cost"]))
    return account
