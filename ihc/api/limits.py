"""Request limits of an API account and of a run."""

from __future__ import annotations

from dataclasses import dataclass

REQUEST_SECONDS = 180.0  # whole request, from connecting to the last byte of the response
MAX_JOURNEYS, MAX_SESSIONS = 100, 200  # limits of a test account, https://ihc-attribution.com


@dataclass(frozen=True)
class ApiLimits:
    """Request limits of the account and of the run.

    `max_journeys`, `max_sessions` [count per request]; `long_journeys`: what to do with a journey over `max_sessions`;
    `workers` [parallel requests]; `requests_per_second` [1/s; None: no limit]; `request_seconds` [s, whole request];
    `max_requests` [calls per run; None: no limit]; `refresh`: request again what is already answered.
    """

    max_journeys: int = MAX_JOURNEYS
    max_sessions: int = MAX_SESSIONS
    long_journeys: str = "latest"
    workers: int = 4
    requests_per_second: float | None = None
    request_seconds: float = REQUEST_SECONDS
    max_requests: int | None = None
    refresh: bool = False
