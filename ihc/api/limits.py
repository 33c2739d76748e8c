"""How the API is asked: the limits of an account, and those of a run."""

from __future__ import annotations

from dataclasses import dataclass

REQUEST_SECONDS = 180.0  # for a whole request, from the connection to the last byte of the answer
MAX_JOURNEYS, MAX_SESSIONS = 100, 200  # of a test account, https://ihc-attribution.com


@dataclass(frozen=True)
class ApiLimits:
    """How the API is asked: the account's limits, and the run's own.

    `max_journeys`, `max_sessions` [count a request]; `long_journeys`: what becomes of a journey over `max_sessions`;
    `workers` [requests at a time]; `requests_per_second` [1/s; None: no ceiling]; `request_seconds` [s, for a whole
    request]; `max_requests` [calls of the run; None: no ceiling]; `refresh`: ask again what is answered already.
    """

    max_journeys: int = MAX_JOURNEYS
    max_sessions: int = MAX_SESSIONS
    long_journeys: str = "latest"
    workers: int = 4
    requests_per_second: float | None = None
    request_seconds: float = REQUEST_SECONDS
    max_requests: int | None = None
    refresh: bool = False
