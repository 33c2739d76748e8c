"""Builders for states and recorded runs."""

import pandas as pd

from ihc import build_journeys, channel_reporting
from ihc.analysis.changes import state_of, totals
from ihc.analysis.reporting import conversion_credits
from ihc.database.history import RecordedRun, State
from ihc.models.heuristics import linear

ORDERS = {"conv_id": "str", "revenue": "float64", "sessions": "int64", "source": "str"}
CREDITS = {"conv_id": "str", "channel_name": "str", "date": "str", "ihc": "float64"}
COSTS = {"channel_name": "str", "date": "str", "cost": "float64"}


def state(orders=(), credits=(), costs=()):
    """Orders `(conv_id, revenue[, sessions[, source]])`, credits `(conv_id, channel_name, day, ihc)`, costs."""
    full = [(*row, 1, "here")[:4] if len(row) == 2 else (*row, "here")[:4] for row in orders]
    days = [(order, channel, f"2023-09-0{day}", ihc) for order, channel, day, ihc in credits]
    paid = [(channel, f"2023-09-0{day}", cost) for channel, day, cost in costs]
    return State(_frame(full, ORDERS), _frame(days, CREDITS), _frame(paid, COSTS))


def _frame(rows, kinds):
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def of_shop(tables, parameters="default (abc)", credits=None):
    """The state of a shop with equal credits, unless `credits` are given."""
    journeys = build_journeys(tables.sessions, tables.conversions)
    credits = linear(journeys) if credits is None else credits
    outcomes = pd.DataFrame({"conv_id": tables.conversions["conv_id"], "engine": "local", "parameters": parameters})
    outcomes = outcomes.astype("str").assign(lookback_days=float("nan"))
    reporting = channel_reporting(*tables, credits)
    return state_of(conversion_credits(tables.sessions, tables.conversions, credits), outcomes, reporting)


def recorded(number=1, made_of=None, window=(None, None), **settings):
    """A recorded run with the totals of a state."""
    asked = {"engine": "local", "parameters": "default (abc)", "lookback_days": None} | settings
    when = {"run_id": f"run-{number}", "recorded_at": f"2023-10-0{number} 06:00:00"}
    dates = {"start_date": window[0], "end_date": window[1], "version": "0"}
    return RecordedRun(number=number, **when, **asked, **dates, **totals(made_of or state(), window))


def in_order(frame):
    """The same rows, sorted for comparison."""
    return frame.sort_values(list(frame.columns), ignore_index=True)


def assert_same_state(found, expected):
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(in_order(one), in_order(other), rtol=1e-9, atol=1e-9)
