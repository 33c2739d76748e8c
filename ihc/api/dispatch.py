"""A run's requests to the API: some at a time, each answer stored before the next request is sent.

What fails is sent in parts until the journeys that cause it are alone; what is missing from an answer is asked again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd

from ihc.api.batching import Requests, halves, pack_requests
from ihc.api.bodies import Bodies
from ihc.api.client import ATTEMPTS, Answer, Checked, Client, check_answer
from ihc.api.ledger import AGAIN, ANSWERED, FAILED, MISSING, REJECTED, WAITING, Asked, Ended, Ledger
from ihc.api.limits import Asking
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

TIMES_MISSING = 3  # so often a journey may be without a value before it has failed
ATTEMPTS_OF_SUSPECTS = 2  # what was part of a request that kept failing is not tried as often
MOST_AT_FIRST, MOST_IN_A_ROW = 2, 10  # failures in a row beside one of each worker, before and after a success
MOST_REASONS = 3  # of an answer's reasons that the ledger names
FEW = 10  # sessions that any account's limit allows
PROGRESS_SECONDS = 5.0
FATAL = (ApiKeyError, ApiAddressError, ConversionTypeError)
Say = Callable[[str], object]


@dataclass(frozen=True)
class _Job:
    """A request to send, one of many that were packed together, and how often to try."""

    packed: Bodies
    number: int
    attempts: int

    @property
    def journeys(self) -> pd.DataFrame:
        return self.packed.requests[self.number]

    @property
    def body(self) -> bytes:
        return self.packed[self.number]


def dispatch(
    journeys: pd.DataFrame,
    marks: pd.DataFrame,
    client: Client,
    ledger: Ledger,
    asking: Asking,
    say: Say = print,
) -> ApiError | None:
    """Ask the API for all `journeys`, and store every answer in the `ledger`.

    In: `journeys` that each fit into a request; `marks`: `conv_id, fingerprint, is_suspect` of each conversion, true
    for those that failed in an earlier run and are asked apart from the others. `say` prints progress.
    Out: why the rest waits, if any does; how each conversion ended is in the ledger. What the API does not answer
    at all (key, address, conversion type) is raised as ApiError once what came is stored.
    """
    is_suspect = journeys["conv_id"].isin(marks.loc[marks["is_suspect"], "conv_id"])
    run = _Run(dict(zip(marks["conv_id"], marks["fingerprint"], strict=True)), client, ledger, asking, say)
    run.work([*run.jobs(journeys[~is_suspect]), *run.jobs(journeys[is_suspect], ATTEMPTS_OF_SUSPECTS)])
    if isinstance(run.stopped, FATAL):
        raise run.stopped
    return run.stopped


class _Run:
    """The state of one run: what waits to be sent, what is on its way, what came of it."""

    def __init__(
        self, fingerprints: Mapping[str, str], client: Client, ledger: Ledger, asking: Asking, say: Say
    ) -> None:
        self.fingerprints, self.client, self.ledger, self.asking = fingerprints, client, ledger, asking
        self.queue: deque[_Job] = deque()
        self.flying: dict[Future[Answer], tuple[_Job, Asked]] = {}
        self.missing: list[pd.DataFrame] = []
        self.times_missing: Counter[str] = Counter()
        self.max_sessions = asking.max_sessions
        self.failures_in_a_row = 0
        self.largest_answered = 0  # sessions of the largest request that was answered
        self.stopped: ApiError | None = None
        self.progress = _Progress(len(fingerprints), say)

    def jobs(self, journeys: pd.DataFrame, attempts: int = ATTEMPTS) -> list[_Job]:
        """Pack journeys into requests; those that became too long for one are sent alone."""
        is_long = journeys.groupby("conv_id")["conv_id"].transform("size") > self.max_sessions
        limits = {"max_journeys": self.asking.max_journeys, "max_sessions": self.max_sessions}
        alone = [journey for _, journey in journeys[is_long].groupby("conv_id", sort=False)]
        packed = [pack_requests(journeys[~is_long], **limits), *([Requests.of(alone)] if alone else [])]
        return [job for requests in packed for job in self._jobs_of(requests, attempts)]

    def _jobs_of(self, requests: Requests, attempts: int) -> list[_Job]:
        bodies = Bodies(requests, self.client.account.redistribution)
        return [_Job(bodies, number, attempts) for number in range(len(requests))]

    def work(self, jobs: list[_Job]) -> None:
        """Send all requests and whatever follows from them, until all is settled or the run is stopped."""
        self.queue.extend(jobs)
        # As many retries as requests, and some for a short run: more is a sign that something is down.
        self.client.budget.retries = 50 + len(jobs)
        with ThreadPoolExecutor(self.asking.workers, "api") as pool, self._drained():
            self._send(pool)
            while self.flying:
                done, _ = wait(self.flying, return_when=FIRST_COMPLETED)
                for future in done:
                    self._send(pool, future)
        self.progress.end()

    @contextmanager
    def _drained(self) -> Iterator[None]:
        """Let an error end the run soon; after an interruption, store what is on its way: it is paid for."""
        try:
            yield
        except BaseException as error:
            self.stopped = ApiStoppedError("The run was interrupted.")
            self.client.stopped.set()
            if not isinstance(error, DatabaseError):
                wait(self.flying)
                known = {
                    each: job for each, job in self.flying.items() if isinstance(each.exception(), ApiError | None)
                }
                self.ledger.write([], [self._settle(*job, each) for each, job in known.items()])
            raise

    def _send(self, pool: ThreadPoolExecutor, done: Future[Answer] | None = None) -> None:
        """Store what is done together with the note of what is sent next, then send that."""
        ended = [self._settle(*self.flying[done], done)] if done else []
        jobs = list(self._next_jobs(self.asking.workers - len(self.flying) + len(ended)))
        begun = [Asked.of(job.journeys, self.fingerprints) for job in jobs]
        self.ledger.write(begun, ended)
        if done:
            del self.flying[done]
        for job, asked in zip(jobs, begun, strict=True):
            self.flying[pool.submit(self.client.ask, job.body, job.attempts)] = (job, asked)
        self.progress.tell(len(self.queue) + len(self.flying))

    def _next_jobs(self, free: int) -> Iterator[_Job]:
        while free > 0 and not self.stopped:
            if not self.queue and self.missing and free == self.asking.workers:
                # Asked again only when all else is done, so that these requests are full as well.
                self.queue.extend(self.jobs(pd.concat(self.missing)))
                self.missing = []
            if not self.queue:
                return
            yield self.queue.popleft()
            free -= 1

    def _settle(self, job: _Job, asked: Asked, future: Future[Answer]) -> Ended:
        """What a request's end means for its conversions, and for the run."""
        error = future.exception()
        if error is None:
            return self._answered(job, asked, future.result())
        if not isinstance(error, ApiError):
            raise error
        ends = self._failed(job, asked, error)
        return Ended(asked, error.calls, f"{type(error).__name__}: {error}", ends)

    def _answered(self, job: _Job, asked: Asked, answer: Answer) -> Ended:
        checked = check_answer(asked.sessions, answer.values)
        ends = self._ends(checked, answer.reasons)
        if again := [conv_id for conv_id in checked.missing if ends[conv_id][0] == MISSING]:
            self.missing.append(job.journeys[job.journeys["conv_id"].isin(again)])
        if checked.whole:
            self.failures_in_a_row = 0
            self.largest_answered = max(self.largest_answered, len(job.journeys))
        else:
            says = next(iter([*checked.rejected.values(), *answer.reasons.values()]), "no value for any journey.")
            self._fails_only(UnansweredError(f"An answer without a whole journey: {says}"))
        foreign = len(answer.values.keys() - asked.sessions.keys())
        notes = [f"{foreign} conversions that were not asked for" if foreign else ""]
        notes += list(dict.fromkeys(answer.reasons.values()))[:MOST_REASONS]
        outcome = "; ".join([ANSWERED, *filter(None, notes)])
        self.progress.add(answer.calls, len(checked.whole))
        return Ended(asked, answer.calls, outcome, ends, checked.whole)

    def _ends(self, checked: Checked, reasons: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """How each conversion without a whole answer ended, with the API's reason where it gave one."""
        ends = {conv_id: (REJECTED, _because(why, reasons.get(conv_id))) for conv_id, why in checked.rejected.items()}
        self.times_missing.update(checked.missing)
        for conv_id in checked.missing:
            ends[conv_id] = (MISSING, "")
            if self.times_missing[conv_id] >= TIMES_MISSING:
                why = f"the API gave no value for it in {TIMES_MISSING} answers"
                ends[conv_id] = (FAILED, _because(why, reasons.get(conv_id) or reasons.get("")))
        return ends

    def _failed(self, job: _Job, asked: Asked, error: ApiError) -> dict[str, tuple[str, str]]:
        self.progress.add(error.calls, 0)
        if self.stopped:
            return dict.fromkeys(asked.sessions, (WAITING, ""))
        if isinstance(error, TooLargeError) and len(job.journeys) > max(self.largest_answered, FEW):
            return (
                self._shrink(job, asked)
                if len(asked.sessions) > 1
                else dict.fromkeys(asked.sessions, (FAILED, str(error)))
            )
        if isinstance(error, (ApiStoppedError, *FATAL)):
            return self._stop(asked, error)
        if isinstance(error, UnansweredError) and self.client.budget.retries < 0:
            says = f"Too many failures for one run, the latest: {error} Run the same command later."
            return self._stop(asked, OutageError(says))
        if self._fails_only(error):
            return dict.fromkeys(asked.sessions, (WAITING, ""))
        if len(asked.sessions) > 1:
            self.queue.extend(self._jobs_of(Requests.of(halves(job.journeys)), ATTEMPTS_OF_SUSPECTS))
            return dict.fromkeys(asked.sessions, (AGAIN, ""))
        if isinstance(error, UnansweredError) and not self.largest_answered:
            return self._stop(asked, OutageError(str(error)))
        return dict.fromkeys(asked.sessions, (FAILED, str(error)))

    def _fails_only(self, error: ApiError) -> bool:
        """Count a failure; so many without an answer between them end the run, as it is rather the API that fails."""
        self.failures_in_a_row += 1
        # Journeys that poison their requests may follow each other, but hardly before any success.
        in_a_row = MOST_IN_A_ROW if self.largest_answered else MOST_AT_FIRST
        if self.failures_in_a_row <= self.asking.workers + in_a_row:
            return False
        refused = isinstance(error, RequestRefusedError | TooLargeError)
        advice = "Correct what it names, and run again." if refused else "Run the same command later."
        self._end(OutageError(f"The API answers nothing but failures, the latest: {error} {advice}"))
        return True

    def _stop(self, asked: Asked, error: ApiError) -> dict[str, tuple[str, str]]:
        self._end(error)
        return dict.fromkeys(asked.sessions, (WAITING, ""))

    def _end(self, error: ApiError) -> None:
        """Send nothing more; what is on its way is still awaited, but not tried again."""
        self.stopped = self.stopped or error
        self.client.stopped.set()

    def _shrink(self, job: _Job, asked: Asked) -> dict[str, tuple[str, str]]:
        """Pack anew what is to be sent, in requests of half the size that was too large."""
        self.max_sessions = max(self.largest_answered, min(self.max_sessions, len(job.journeys) // 2))
        self.progress.say(
            f"API: a request of {len(job.journeys)} sessions is over the account's limit; going on with at most "
            f"{self.max_sessions}. Set IHC_MAX_SESSIONS to what the account takes."
        )
        waiting = pd.concat([job.journeys, *(other.journeys for other in self.queue)])
        self.queue = deque(self.jobs(waiting))
        return dict.fromkeys(asked.sessions, (AGAIN, ""))


def _because(reason: str, said: str | None) -> str:
    return f"{reason}: {said}" if said else reason


class _Progress:
    """Says now and then how far a run is."""

    def __init__(self, conversions: int, say: Say) -> None:
        self.conversions, self.say = conversions, say
        self.calls = self.answered = 0
        self.begin = self.told = time.monotonic()

    def add(self, calls: int, answered: int) -> None:
        """Count the calls of a request that ended, and the conversions that it answered."""
        self.calls += calls
        self.answered += answered

    def tell(self, to_go: int) -> None:
        """Say requests, conversions, rate and the time that is left, unless that was said just now."""
        now = time.monotonic()
        if now - self.told < PROGRESS_SECONDS or not self.answered:
            return
        self.told = now
        rate = self.answered / (now - self.begin)
        left = round((self.conversions - self.answered) / rate)
        self.say(
            f"API: {counted(self.calls, 'request')}, {to_go:,} to go; {self.answered:,} of {self.conversions:,} "
            f"conversions, {rate:,.0f} a second, {left // 60}:{left % 60:02} left"
        )

    def end(self) -> None:
        """Say what was sent in all."""
        sent = counted(self.calls, "request")
        self.say(f"API: {sent}; {self.answered:,} of {self.conversions:,} conversions answered")
