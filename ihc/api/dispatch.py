"""Send the requests of a run in parallel; store each answer before the next request is sent.

A failing request is bisected until the journeys that cause the failure are isolated. Conversions missing from an answer
are requested again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd

from ihc.api.answers import Checked, check_answer
from ihc.api.batching import halves, pack_requests, request_body
from ihc.api.client import ATTEMPTS, Answer, Client
from ihc.api.ledger import AGAIN, ANSWERED, FAILED, MISSING, REJECTED, WAITING, Ledger, RequestNote, RequestResult
from ihc.api.limits import ApiLimits
from ihc.errors import (
    ApiAddressError,
    ApiError,
    ApiKeyError,
    ApiStoppedError,
    ConversionTypeError,
    DatabaseError,
    OutageError,
    RequestRefusedError,
    TooLargeError,
    UnansweredError,
)
from ihc.formatting import counted

TIMES_MISSING = 3  # answers without a value after which a journey counts as failed
ATTEMPTS_OF_SUSPECTS = 2  # for the parts of a request that kept failing
MOST_AT_FIRST, MOST_IN_A_ROW = 2, 10  # consecutive failures, plus one per worker, before and after the first success
MOST_REASONS = 3  # reasons per answer stored in the ledger
FEW = 10  # sessions that the limit of any account allows
PROGRESS_SECONDS = 5.0
FATAL = (ApiKeyError, ApiAddressError, ConversionTypeError)
Say = Callable[[str], object]
Ends = dict[str, tuple[str, str]]  # conv_id: (outcome, reason)


class _Job(NamedTuple):
    """A request to send, and the maximum number of attempts."""

    journeys: pd.DataFrame
    attempts: int


def dispatch(
    journeys: pd.DataFrame,
    marks: pd.DataFrame,
    client: Client,
    ledger: Ledger,
    limits: ApiLimits,
    say: Say = print,
) -> ApiError | None:
    """Request credits for all `journeys` from the API and store every answer in the `ledger`.

    In: `journeys` that each fit into a request; `marks`: `conv_id, fingerprint, is_suspect` per conversion. Suspects
    failed in an earlier run and are sent separately from the others. `say` prints progress.
    Out: the error that stopped the run, if any; the remaining conversions then wait. The ledger holds the outcome of
    each conversion. Raises ApiError for a wrong key, URL or conversion type, after storing the answers received.
    """
    fingerprints = dict(zip(marks["conv_id"], marks["fingerprint"], strict=True))
    is_suspect = journeys["conv_id"].isin(marks.loc[marks["is_suspect"], "conv_id"])
    dispatcher = _Dispatcher(fingerprints, client, ledger, limits, say)
    dispatcher.pack(journeys[~is_suspect])
    dispatcher.pack(journeys[is_suspect], ATTEMPTS_OF_SUSPECTS)
    dispatcher.work()
    if isinstance(dispatcher.stopped, FATAL):
        raise dispatcher.stopped
    return dispatcher.stopped


class _Dispatcher:
    """Queued requests, requests in flight and their results."""

    def __init__(
        self, fingerprints: Mapping[str, str], client: Client, ledger: Ledger, limits: ApiLimits, say: Say
    ) -> None:
        self.fingerprints, self.client, self.ledger, self.limits = fingerprints, client, ledger, limits
        self.queue: deque[_Job] = deque()
        self.in_flight: dict[Future[Answer], tuple[_Job, RequestNote]] = {}
        self.missing: list[pd.DataFrame] = []
        self.times_missing: Counter[str] = Counter()
        self.max_sessions = limits.max_sessions
        self.failures_in_a_row = 0
        self.largest_answered = 0  # sessions in the largest request answered
        self.stopped: ApiError | None = None
        self.progress = _Progress(len(fingerprints), say)

    def pack(self, journeys: pd.DataFrame, attempts: int = ATTEMPTS) -> None:
        """Queue journeys in full requests; a journey longer than the reduced limit is sent alone."""
        is_long = journeys.groupby("conv_id")["conv_id"].transform("size") > self.max_sessions
        limits = {"max_journeys": self.limits.max_journeys, "max_sessions": self.max_sessions}
        alone = [journey for _, journey in journeys[is_long].groupby("conv_id", sort=False)]
        self.queue.extend(_Job(each, attempts) for each in [*pack_requests(journeys[~is_long], **limits), *alone])

    def work(self) -> None:
        """Send all requests and their follow-ups until everything is settled or the run is stopped."""
        # One retry per request, and some for a short run. More than that means that the service is down.
        self.client.budget.retries = 50 + len(self.queue)
        with ThreadPoolExecutor(self.limits.workers, "api") as pool, self._stored_on_interrupt():
            self._send(pool)
            while self.in_flight:
                done, _ = wait(self.in_flight, return_when=FIRST_COMPLETED)
                for future in done:
                    self._send(pool, future)
        self.progress.end()

    @contextmanager
    def _stored_on_interrupt(self) -> Iterator[None]:
        """End the run quickly after an error. After an interruption, store the answers in flight: they are paid for."""
        try:
            yield
        except BaseException as error:
            self.stopped = ApiStoppedError("The run was interrupted.")
            self.client.stopped.set()
            if not isinstance(error, DatabaseError):
                wait(self.in_flight)
                known = [each for each in self.in_flight if isinstance(each.exception(), ApiError | None)]
                self.ledger.write([], [self._settle(each) for each in known])
            raise

    def _send(self, pool: ThreadPoolExecutor, done: Future[Answer] | None = None) -> None:
        """Store finished requests and record the next ones in one transaction, then send the next ones."""
        results = [self._settle(done)] if done else []
        jobs = list(self._next_jobs(self.limits.workers - len(self.in_flight) + len(results)))
        notes = [RequestNote.of(job.journeys, self.fingerprints) for job in jobs]
        self.ledger.write(notes, results)
        if done:
            del self.in_flight[done]
        for job, note in zip(jobs, notes, strict=True):
            body = request_body(job.journeys, self.client.account.redistribution)
            self.in_flight[pool.submit(self.client.ask, body, job.attempts)] = (job, note)
        self.progress.tell(len(self.queue) + len(self.in_flight))

    def _next_jobs(self, free: int) -> Iterator[_Job]:
        while free > 0 and not self.stopped:
            if not self.queue and self.missing and free == self.limits.workers:
                # Missing conversions are sent last, so that these requests are full too.
                self.pack(pd.concat(self.missing))
                self.missing = []
            if not self.queue:
                return
            yield self.queue.popleft()
            free -= 1

    def _settle(self, done: Future[Answer]) -> RequestResult:
        """Evaluate a finished request: the outcomes of its conversions, and whether the run continues."""
        job, note = self.in_flight[done]
        error = done.exception()
        if error is None:
            return self._answered(job, note, done.result())
        if not isinstance(error, ApiError):
            raise error
        self.progress.add(error.calls, 0)
        outcome, reason = self._failed(job, note, error)
        ends = dict.fromkeys(note.sessions, (outcome, reason))
        return RequestResult(note, error.calls, f"{type(error).__name__}: {error}", ends)

    def _answered(self, job: _Job, note: RequestNote, answer: Answer) -> RequestResult:
        checked = check_answer(note.sessions, answer.values)
        ends = self._ends(checked, answer.reasons)
        if again := [conv_id for conv_id in checked.missing if ends[conv_id][0] == MISSING]:
            self.missing.append(job.journeys[job.journeys["conv_id"].isin(again)])
        if checked.whole:
            self.failures_in_a_row = 0
            self.largest_answered = max(self.largest_answered, len(job.journeys))
        else:
            says = next(iter([*checked.rejected.values(), *answer.reasons.values()]), "it has no values.")
            if outage := self._count_failure(UnansweredError(f"The response has no complete journey: {says}")):
                self._stop(outage)
        foreign = len(answer.values.keys() - note.sessions.keys())
        notes = [f"{foreign} conversions that were not requested" if foreign else ""]
        notes += list(dict.fromkeys(answer.reasons.values()))[:MOST_REASONS]
        outcome = "; ".join([ANSWERED, *filter(None, notes)])
        self.progress.add(answer.calls, len(checked.whole))
        return RequestResult(note, answer.calls, outcome, ends, checked.whole)

    def _ends(self, checked: Checked, reasons: Mapping[str, str]) -> Ends:
        """The outcome of each conversion without a complete answer, with the API's reason if there is one."""
        ends = {conv_id: (REJECTED, _because(why, reasons.get(conv_id))) for conv_id, why in checked.rejected.items()}
        self.times_missing.update(checked.missing)
        for conv_id in checked.missing:
            ends[conv_id] = (MISSING, "")
            if self.times_missing[conv_id] >= TIMES_MISSING:
                why = f"the API returned no value in {TIMES_MISSING} attempts"
                ends[conv_id] = (FAILED, _because(why, reasons.get(conv_id) or reasons.get("")))
        return ends

    def _failed(self, job: _Job, note: RequestNote, error: ApiError) -> tuple[str, str]:
        """Outcome and reason for all conversions of a failed request."""
        is_alone = len(note.sessions) == 1
        is_too_large = isinstance(error, TooLargeError) and len(job.journeys) > max(self.largest_answered, FEW)
        if not (self.stopped or is_too_large) and (reason := self._reason_to_stop(error, is_alone=is_alone)):
            self._stop(reason)
        if self.stopped:
            return WAITING, ""
        if is_alone:
            return FAILED, str(error)
        if is_too_large:
            self._shrink(job)
        else:
            self.queue.extend(_Job(half, ATTEMPTS_OF_SUSPECTS) for half in halves(job.journeys))
        return AGAIN, ""

    def _reason_to_stop(self, error: ApiError, *, is_alone: bool) -> ApiError | None:
        """The error that ends the run, if the API itself fails rather than a particular request."""
        if isinstance(error, (ApiStoppedError, *FATAL)):
            return error
        if isinstance(error, UnansweredError) and self.client.budget.retries < 0:
            return OutageError(f"Too many failures in this run. Latest: {error} Run the same command later.")
        outage = self._count_failure(error)
        if not outage and is_alone and isinstance(error, UnansweredError) and not self.largest_answered:
            return OutageError(str(error))
        return outage

    def _count_failure(self, error: ApiError) -> OutageError | None:
        """Count a failure; too many in a row, without an answer in between, are an outage."""
        self.failures_in_a_row += 1
        # Several invalid journeys may follow each other, but hardly before the first success.
        in_a_row = MOST_IN_A_ROW if self.largest_answered else MOST_AT_FIRST
        if self.failures_in_a_row <= self.limits.workers + in_a_row:
            return None
        refused = isinstance(error, RequestRefusedError | TooLargeError)
        advice = "Correct the cause it names and run again." if refused else "Run the same command later."
        return OutageError(f"Every request to the API fails. Latest: {error} {advice}")

    def _stop(self, error: ApiError) -> None:
        """Stop sending. Requests in flight are awaited, but not retried."""
        self.stopped = self.stopped or error
        self.client.stopped.set()

    def _shrink(self, job: _Job) -> None:
        """Repack the queue into requests of half the size that was too large."""
        self.max_sessions = max(self.largest_answered, min(self.max_sessions, len(job.journeys) // 2))
        self.progress.say(
            f"API: a request of {len(job.journeys)} sessions exceeds the account's limit; continuing with at most "
            f"{self.max_sessions}. Set IHC_MAX_SESSIONS to the limit of the account."
        )
        waiting = pd.concat([job.journeys, *(other.journeys for other in self.queue)])
        self.queue.clear()
        self.pack(waiting)


def _because(reason: str, said: str | None) -> str:
    return f"{reason}: {said}" if said else reason


class _Progress:
    def __init__(self, conversions: int, say: Say) -> None:
        self.conversions, self.say = conversions, say
        self.calls = self.answered = 0
        self.begin = self.told = time.monotonic()

    def add(self, calls: int, answered: int) -> None:
        """Add the calls of a finished request and the conversions that it answered."""
        self.calls += calls
        self.answered += answered

    def tell(self, to_go: int) -> None:
        """Report requests, conversions, rate and remaining time, at most once every few seconds."""
        now = time.monotonic()
        if now - self.told < PROGRESS_SECONDS or not self.answered:
            return
        self.told = now
        rate = self.answered / (now - self.begin)
        left = round((self.conversions - self.answered) / rate)
        self.say(
            f"API: {counted(self.calls, 'request')}, {to_go:,} to go; {self.answered:,} of {self.conversions:,} "
            f"orders, {rate:,.0f} per second, {left // 60}:{left % 60:02} left"
        )

    def end(self) -> None:
        sent = counted(self.calls, "request")
        self.say(f"API: {sent}; {self.answered:,} of {self.conversions:,} orders answered")
