"""The tables that ihc keeps beside the shop's three: results, ledger and history, and their columns.

fixtures/schema.sql says what each column means.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ihc.schemas.tables import CREDITS, PHASES, REPORTING


@dataclass(frozen=True)
class Run:
    """What a run was asked for, as stored beside its results."""

    run_id: str
    started_at: str
    engine: str
    parameters: str
    lookback_days: float | None
    start_date: str | None
    end_date: str | None
    version: str
    vanished: int = 0  # stored orders that were gone from `conversions`, and were removed


RESULTS: dict[str, tuple[str, ...]] = {
    "attribution_customer_journey": CREDITS,
    "channel_reporting": REPORTING,
    "attribution_phases": ("conv_id", "session_id", *PHASES),
    "attribution_runs": tuple(field.name for field in fields(Run)),
    "attribution_outcomes": ("conv_id", "run_id", "outcome", "reason"),
}
LEDGER: dict[str, tuple[str, ...]] = {
    "api_requests": (
        *("request_id", "run_id", "account", "url", "conv_type_id", "redistribution"),
        *("conversions", "sessions", "sent_at", "ended_at", "calls", "outcome"),
    ),
    "api_refreshes": ("account", "began_at", "ended_at"),
    "api_ledger": ("request_id", "conv_id", "fingerprint", "outcome", "reason"),
    "api_answers": ("request_id", "conv_id", "session_id", *PHASES, "ihc"),
}
# What each run's report was made of; see ihc/database/history.py.
HISTORY: dict[str, tuple[str, ...]] = {
    "report_runs": (
        *("number", "run_id", "recorded_at", "engine", "parameters", "lookback_days", "start_date", "end_date"),
        *("version", "orders", "ihc", "ihc_revenue", "cost"),
    ),
    "history_orders": ("version", "conv_id", "revenue", "sessions", "source", "first_run", "last_run"),
    "history_credits": ("version", "channel_name", "date", "ihc"),
    "history_costs": ("channel_name", "date", "cost", "first_run", "last_run"),
}
NUMBERS = {*PHASES, *("ihc", "ihc_revenue", "cost", "lookback_days", "vanished", "conversions", "sessions", "calls")}
