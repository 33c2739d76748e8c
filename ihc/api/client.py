"""HTTP client of the IHC Attribution API: send one request, with retries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import requests
import tenacity
from urllib3.exceptions import HTTPError

from ihc.api.account import ApiAccount
from ihc.api.answers import Row, message_of, parse_json, read_reasons, read_values, stated_status
from ihc.api.failures import may_pass, of_connection, of_status
from ihc.api.limits import REQUEST_SECONDS
from ihc.api.transport import BoundedSession
from ihc.errors import ApiError, ApiStoppedError, CeilingError, QuotaError, UnansweredError
from ihc.formatting import shown
from ihc.secrets import masked

ATTEMPTS = 5


class Answer(NamedTuple):
    """The answer to a request: rows per conversion, number of calls, and why sessions are missing.

    `reasons`: by conversion; the key "" holds a reason that names no conversion.
    """

    values: dict[str, list[Row]]
    calls: int
    reasons: dict[str, str]


@dataclass
class Budget:
    """Budget that the requests of one run share: remaining calls and retries, and the time of the next call."""

    calls: int | None = None
    retries: int = 0
    interval: float = 0.0  # [s] between two calls
    next_call: float = 0.0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def spend_call(self) -> None:
        """Use one call; raises CeilingError if none is left."""
        with self._lock:
            if self.calls is not None:
                if self.calls <= 0:
                    raise CeilingError("The run reached the limit of --max-requests.")
                self.calls -= 1

    def spend_retry(self) -> bool:
        """Use one retry; False if none is left."""
        with self._lock:
            self.retries -= 1
            return self.retries >= 0

    def pause(self) -> float:
        """Reserve the next slot for a call and return the wait until then [s]."""
        with self._lock:
            now = time.monotonic()
            moment = max(now, self.next_call)
            self.next_call = moment + self.interval
            return moment - now

    def hold(self, seconds: float) -> None:
        """Start no call during the next `seconds`."""
        with self._lock:
            self.next_call = max(self.next_call, time.monotonic() + seconds)


class Client:
    """Requests credits from the API. Thread-safe; each thread has its own connection.

    `seconds`: time limit of a whole request. `sleep` waits for a number of seconds and returns early once `stopped` is
    set; from then on there are no retries.
    """

    def __init__(
        self,
        account: ApiAccount,
        budget: Budget,
        *,
        seconds: float = REQUEST_SECONDS,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.account, self.budget, self.seconds = account, budget, seconds
        self.stopped = threading.Event()
        self._sleep = sleep or self.stopped.wait
        self._connections = threading.local()
        self._backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)

    def ask(self, body: bytes, attempts: int = ATTEMPTS) -> Answer:
        """Send one request and retry transient failures, at most `attempts` calls.

        In: the JSON from `request_body`. Out: the answer, not yet checked by `check_answer`.

        Raises ApiError with the number of `calls`: what the API refused, or why there was no answer.
        """
        calls = 0
        try:
            for attempt in self._attempts(attempts):
                with attempt:
                    self._begin_call()
                    calls += 1
                    values, reasons = self._call(body)
        except ApiError as error:
            error.calls = calls
            raise
        return Answer(values, calls, reasons)

    def _attempts(self, most: int) -> tenacity.Retrying:
        def is_over(state: tenacity.RetryCallState) -> bool:
            return self.stopped.is_set() or state.attempt_number >= most or not self.budget.spend_retry()

        def sleep(seconds: float) -> None:
            self._sleep(seconds)

        passes = tenacity.retry_if_exception(may_pass)
        return tenacity.Retrying(retry=passes, stop=is_over, wait=self._wait, sleep=sleep, reraise=True)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Exponential backoff, or the Retry-After of the API. Under one second, it falls back to our own backoff."""
        failed = state.outcome.exception() if state.outcome else None
        wanted, pause = getattr(failed, "wait", None) or 0.0, self._backoff(state)
        if not wanted and not isinstance(failed, QuotaError):
            return pause
        # The API is throttling, so all other threads wait too.
        seconds = wanted if wanted >= 1 else max(wanted, 4 * pause)
        self.budget.hold(seconds)
        return seconds

    def _begin_call(self) -> None:
        self._sleep(self.budget.pause())
        if self.stopped.is_set():
            raise ApiStoppedError("The run ended before this request was sent.")
        self.budget.spend_call()

    def _call(self, body: bytes) -> tuple[dict[str, list[Row]], dict[str, str]]:
        parameters = {"conv_type_id": self.account.conv_type_id}
        try:
            response, content = self._connection().ask(self.account.url, body, parameters)
        except (requests.RequestException, HTTPError) as error:
            raise of_connection(error, self.account.url) from None
        return self._read(response, content)

    def _connection(self) -> BoundedSession:
        if not hasattr(self._connections, "own"):
            headers = {"Content-Type": "application/json", "x-api-key": self.account.key}
            self._connections.own = BoundedSession(self.seconds, headers)
        own: BoundedSession = self._connections.own
        return own

    def _read(self, response: requests.Response, content: bytes) -> tuple[dict[str, list[Row]], dict[str, str]]:
        body, status = parse_json(content), response.status_code
        if status in (200, 206):
            if not isinstance(body, dict):
                raise UnansweredError("The API's response is not a complete JSON object.")
            status = stated_status(body, status)
        said = self._shown(message_of(body))
        if status not in (200, 206):
            raise of_status(status, said, response.headers)
        if not isinstance(body.get("value"), list):
            raise UnansweredError(f"The API's response has no list of values{said and ': '}{said}.")
        reasons = read_reasons(body.get("partialFailureErrors") or [])
        return read_values(body["value"]), {conv_id: self._shown(reason) for conv_id, reason in reasons.items()}

    def _shown(self, said: object) -> str:
        """The API's message on one line, truncated, with the key masked."""
        return shown(masked(str(said), [self.account.key])[:1000], 200) if said != "" else ""
