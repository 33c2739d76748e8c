"""The IHC Attribution API: one request, sent until it is answered or given up, and a check of its answer.

The API's own field names are known here, in `bodies.py` and in the server only.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
import requests
import tenacity
from urllib3.exceptions import HTTPError

from ihc.api.account import Account, is_loopback
from ihc.api.failures import Retry, of_connection, of_status
from ihc.api.limits import REQUEST_SECONDS
from ihc.api.transport import BoundedSession
from ihc.errors import ApiError, ApiStoppedError, CeilingError, QuotaError, UnansweredError
from ihc.formatting import shown
from ihc.journeys.credits import tolerance
from ihc.schemas.tables import SHARES
from ihc.secrets import masked

ATTEMPTS = 5
NUMBERS = frozenset((int, float))
Row = tuple[str, Any, Any, Any, Any]  # session_id, initializer, holder, closer, ihc, as the API gave them


class Answer(NamedTuple):
    """What a request brought: each conversion's rows, how often it was sent, and why a conversion lacks sessions.

    `reasons`: by conversion, "" for what the API says of none in particular.
    """

    values: dict[str, list[Row]]
    calls: int
    reasons: dict[str, str]


class Checked(NamedTuple):
    """An answer sorted: whole ones, `conv_id: reason` of those that are not, and those without any value."""

    whole: dict[str, list[Row]]
    rejected: dict[str, str]
    missing: list[str]


@dataclass
class Budget:
    """What the requests of one run share: calls and retries that are left, and the moment of the next call."""

    calls: int | None = None
    retries: int = 0
    interval: float = 0.0  # [s] between two calls
    next_call: float = 0.0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def spend_call(self) -> None:
        """Count a call; raises CeilingError if none is left."""
        with self._lock:
            if self.calls is not None:
                if self.calls <= 0:
                    raise CeilingError("The run has sent as many requests as --max-requests allows.")
                self.calls -= 1

    def spend_retry(self) -> bool:
        """Count a retry, if one is left."""
        with self._lock:
            self.retries -= 1
            return self.retries >= 0

    def pause(self) -> float:
        """Take the next free moment for a call; how long it is until then [s]."""
        with self._lock:
            now = time.monotonic()
            moment = max(now, self.next_call)
            self.next_call = moment + self.interval
            return moment - now

    def hold(self, seconds: float) -> None:
        """Let no call begin before so many seconds have passed."""
        with self._lock:
            self.next_call = max(self.next_call, time.monotonic() + seconds)


class Client:
    """Asks the API for credit, from as many threads as wanted, each over a connection of its own.

    `seconds`: how long a request may take in all. `sleep` waits for so many seconds, and less once `stopped` is set;
    then nothing is tried again.
    """

    def __init__(
        self,
        account: Account,
        budget: Budget,
        *,
        seconds: float = REQUEST_SECONDS,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.account, self.budget, self.seconds = account, budget, seconds
        self.stopped = threading.Event()
        self._sleep = sleep or self.stopped.wait
        self._local = threading.local()
        self._backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)
        # A proxy of the environment is for other machines; it would get the key of a server on this one.
        self._proxies = {"no_proxy": urlsplit(account.url).hostname or ""} if is_loopback(account.url) else None

    def ask(self, body: bytes, attempts: int = ATTEMPTS) -> Answer:
        """Send one request, again after failures that may pass, at most `attempts` times.

        In: its JSON, of `request_bodies`. Out: the answer as it came, see `check_answer`.

        Raises ApiError, with the number of its `calls`: what the API refused, or why there was no answer.
        """
        self._local.calls = 0
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Retry),
            stop=self._is_enough(attempts),
            wait=self._wait,
            sleep=self._rest,
            reraise=True,
        )
        try:
            values, reasons = retrying(self._call, body)
        except Retry as given_up:
            error = given_up.final
        except ApiError as refused:
            error = refused
        else:
            return Answer(values, self._local.calls, reasons)
        error.calls = self._local.calls
        raise error

    def _rest(self, seconds: float) -> None:
        self._sleep(seconds)

    def _is_enough(self, attempts: int) -> Callable[[tenacity.RetryCallState], bool]:
        def is_enough(state: tenacity.RetryCallState) -> bool:
            return self.stopped.is_set() or state.attempt_number >= attempts or not self.budget.spend_retry()

        return is_enough

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """A growing pause, or what the API asks for; a wish for next to none does not count."""
        failed = state.outcome.exception() if state.outcome else None
        asked, pause = getattr(failed, "wait", None) or 0.0, self._backoff(state)
        if not asked and not isinstance(getattr(failed, "final", None), QuotaError):
            return pause
        # The API asks for fewer requests, so the others wait too.
        seconds = asked if asked >= 1 else max(asked, 4 * pause)
        self.budget.hold(seconds)
        return seconds

    def _call(self, body: bytes) -> tuple[dict[str, list[Row]], dict[str, str]]:
        self._sleep(self.budget.pause())
        if self.stopped.is_set():
            raise ApiStoppedError("The run ended before this was asked.")
        self.budget.spend_call()
        self._local.calls += 1
        try:
            response, content = self._session().ask(
                self.account.url, body, params={"conv_type_id": self.account.conv_type_id}, proxies=self._proxies
            )
        except UnansweredError as error:
            raise Retry(error) from None
        except (requests.RequestException, HTTPError) as error:
            raise of_connection(error, self.account.url) from None
        return self._read(response, content)

    def _session(self) -> BoundedSession:
        if not hasattr(self._local, "session"):
            self._local.session = session = BoundedSession(self.seconds)
            session.headers.update({"Content-Type": "application/json", "x-api-key": self.account.key})
            session.auth = _no_other_credentials
        kept: BoundedSession = self._local.session
        return kept

    def _read(self, response: requests.Response, content: bytes) -> tuple[dict[str, list[Row]], dict[str, str]]:
        body = _json(content)
        status = response.status_code
        if status in (200, 206):
            if not isinstance(body, dict):
                raise Retry(UnansweredError("The API's answer is no JSON object, or not a whole one."))
            status = _status(body.get("statusCode"), status)
        if status in (200, 206):
            if not isinstance(body.get("value"), list):
                says = self._said(body)
                raise Retry(UnansweredError(f"The API's answer has no list of values{says and ': '}{says}."))
            return read_values(body["value"]), self._reasons(body.get("partialFailureErrors") or [])
        raise of_status(status, self._said(body), response.headers)

    def _reasons(self, entries: Any) -> dict[str, str]:
        """The first reason of each conversion, from an answer's entry for each session without a value."""
        reasons: dict[str, str] = {}
        for entry in entries if isinstance(entries, list) else [entries]:
            conv_id, reason = _entry(entry)
            if conv_id not in reasons:
                reasons[conv_id] = self._shown(reason)
        return reasons

    def _said(self, body: Any) -> str:
        """What an answer says for itself, on one line, cut, and without the key."""
        said = body if isinstance(body, dict) else {}
        names = ("message", "Message", "errorMessage", "error", "detail")
        text = next((str(said[name]) for name in names if said.get(name)), "")
        return self._shown(text) if text else ""

    def _shown(self, said: object) -> str:
        return shown(masked(str(said), [self.account.key])[:1000], 200)


def _no_other_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a password that it finds in ~/.netrc."""
    return request


def check_answer(asked: Mapping[str, Sequence[str]], values: Mapping[str, list[Row]]) -> Checked:
    """Sort an answer into what is whole, what is not and why, and what is missing.

    In: each conversion's sessions as asked, and its rows as answered. Whole is: exactly the sessions asked, each value
    a number in [0, 1], `ihc` sums to 1, and so does each phase that is present (see `credits.tolerance`).
    """
    whole, rejected, missing = {}, {}, []
    for conv_id, sessions in asked.items():
        rows = values.get(conv_id)
        if not rows:
            missing.append(conv_id)
        elif reason := _fault(sessions, rows):
            rejected[conv_id] = reason
        else:
            whole[conv_id] = rows
    return Checked(whole, rejected, missing)


def _fault(sessions: Sequence[str], rows: Sequence[Row]) -> str:
    answered = [row[0] for row in rows]
    if answered != sessions and sorted(answered) != sorted(sessions):
        return f"the answer is not for exactly the {len(sessions)} sessions of the journey: it has {len(rows)}"
    allowed = tolerance(len(rows))
    _, *columns = zip(*rows, strict=True)
    for name, column in zip(SHARES, columns, strict=True):
        if not (NUMBERS.issuperset(map(type, column)) and min(column) >= 0 and max(column) <= 1):
            return f"{name} is not a number from 0 to 1 in every session"
        total = sum(column)
        # NaN, which compares with nothing, does not pass this either.
        if not abs(total - 1) <= allowed and (total != 0 or name == "ihc"):
            return f"{name} sums to {total:.4f}, not 1"
    return ""


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    try:
        # Python's own reader takes NaN and the like too, so that only the journey that has it fails.
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _status(stated: Any, status: int) -> int:
    """The status in the body counts as much as HTTP's."""
    try:
        number = int(stated)
    except (TypeError, ValueError, OverflowError):
        return status
    return status if number == 200 else max(-1, min(number, 999))  # not of any length in a message


def _entry(entry: Any) -> tuple[str, Any]:
    """The conversion and the reason of an entry of `partialFailureErrors`; of another form, "" and all of it."""
    trigger = entry.get("trigger") if isinstance(entry, dict) else None
    if isinstance(trigger, dict) and "reason" in entry:
        return str(trigger.get("conversion_id")), entry["reason"]
    return "", entry


def read_values(entries: Sequence[Any]) -> dict[str, list[Row]]:
    """Sort the values of an answer by conversion."""
    values: dict[str, list[Row]] = {}
    for entry in entries:
        # What is no object, or of no conversion, leaves a journey incomplete, and check_answer says so.
        if isinstance(entry, dict):
            get = entry.get
            row = (str(get("session_id")), get("initializer"), get("holder"), get("closer"), get("ihc"))
            values.setdefault(str(get("conversion_id")), []).append(row)
    return values
