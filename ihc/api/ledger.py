"""API ledger: store every request, its outcome and its answers, in one transaction each.

A conversion is known if the same account (URL, conversion type, redistribution) has answered for the same sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.api.account import ApiAccount
from ihc.api.answers import Row
from ihc.database.database import Database
from ihc.database.tables import API_ANSWERS, API_LEDGER, API_REFRESHES, API_REQUESTS, LEDGER
from ihc.database.transaction import Transaction
from ihc.schemas.tables import SHARES

ANSWERED, REJECTED, MISSING, FAILED, AGAIN, WAITING = "answered", "rejected", "missing", "failed", "again", "waiting"


@dataclass(frozen=True)
class RequestNote:
    """The ledger entry written before a request is sent: fingerprints and sessions of its conversions."""

    fingerprints: Mapping[str, str]
    sessions: Mapping[str, Sequence[str]]
    # Ids increase with time: rows of a request stay close together on disk, and the latest answer has the greatest id.
    request_id: str = field(default_factory=lambda: f"{time.time_ns():016x}{token_hex(2)}")

    @classmethod
    def of(cls, journeys: pd.DataFrame, fingerprints: Mapping[str, str]) -> RequestNote:
        """Make the entry from the `journeys` of a request and the fingerprint of each conversion."""
        sessions: dict[str, list[str]] = {}
        for conv_id, session_id in zip(journeys["conv_id"].tolist(), journeys["session_id"].tolist(), strict=True):
            sessions.setdefault(conv_id, []).append(session_id)
        return cls({conv_id: fingerprints[conv_id] for conv_id in sessions}, sessions)


@dataclass(frozen=True)
class RequestResult:
    """The result of a request: calls sent, outcome in words, complete answers, and outcomes of the other conversions.

    `ends`: `conv_id: (outcome, reason)` of each conversion without a complete answer.
    """

    note: RequestNote
    calls: int
    outcome: str
    ends: Mapping[str, tuple[str, str]]
    whole: Mapping[str, Sequence[Row]] = field(default_factory=dict)


class Known(NamedTuple):
    """Results of earlier requests.

    `answers`: `conv_id, session_id, initializer, holder, closer, ihc`; `rejected`: `conv_id, reason` of incomplete
    answers. Neither is requested again. `failed`: `conv_id, reason` of conversions without an answer.
    """

    answers: pd.DataFrame
    rejected: pd.DataFrame
    failed: pd.DataFrame


class Ledger:
    """The open ledger of one run and account; use `open_ledger`."""

    def __init__(
        self, begin: Callable[[], AbstractContextManager[Transaction]], account: ApiAccount, run_id: str
    ) -> None:
        self._transaction, self.account, self._run_id = begin, account, run_id

    def write(self, notes: Sequence[RequestNote], results: Sequence[RequestResult]) -> None:
        """Record requests about to be sent and store finished ones with their answers, in one transaction."""
        with self._transaction() as opened:
            for result in results:
                self._store(opened, result)
            for note in notes:
                self._note(opened, note)

    def _note(self, opened: Transaction, note: RequestNote) -> None:
        account, request_id = self.account, note.request_id
        redistribution = account.redistribution.text if account.redistribution else ""
        sessions = sum(map(len, note.sessions.values()))
        how = (account.id, account.url, account.conv_type_id, redistribution)
        row = (request_id, self._run_id, *how, len(note.sessions), sessions, _now(), None, None, None)
        _add(opened, API_REQUESTS, [row])
        rows = [(request_id, conv_id, mark, "asked", "") for conv_id, mark in note.fingerprints.items()]
        _add(opened, API_LEDGER, rows)

    def _store(self, opened: Transaction, result: RequestResult) -> None:
        request_id = result.note.request_id
        how = {"ended_at": _now(), "calls": result.calls, "outcome": result.outcome}
        of_request = sa.update(API_LEDGER).where(API_LEDGER.c.request_id == request_id)
        opened.connection.execute(sa.update(API_REQUESTS).where(API_REQUESTS.c.request_id == request_id).values(**how))
        opened.connection.execute(of_request.values(outcome=ANSWERED))
        other = of_request.where(API_LEDGER.c.conv_id == sa.bindparam("conversion"))
        ends = [{"conversion": key, "outcome": end, "reason": why} for key, (end, why) in result.ends.items()]
        opened.each(other, ends)
        # After an interruption, a request that was just stored may be stored again.
        opened.connection.execute(sa.delete(API_ANSWERS).where(API_ANSWERS.c.request_id == request_id))
        answers = [(request_id, conv_id, *row) for conv_id, rows in result.whole.items() for row in rows]
        _add(opened, API_ANSWERS, answers)


def _add(opened: Transaction, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    opened.insert(table.name, LEDGER[table.name], rows)


@contextmanager
def open_ledger(database: Database, account: ApiAccount, run_id: str) -> Iterator[Ledger]:
    """Open the ledger for writing; raises DatabaseError."""
    with database.transactions() as begin:
        yield Ledger(begin, account, run_id)


def begin_refresh(database: Database, account: ApiAccount) -> str:
    """Start or resume a refresh. Out: the time [UTC] since which answers count as fresh."""
    with database.transaction(is_writing=True) as opened:
        began = sa.select(sa.func.max(API_REFRESHES.c.began_at)).where(*_unfinished(account))
        since = opened.connection.execute(began).scalar()
        if since is None:
            since = _now()
            _add(opened, API_REFRESHES, [(account.id, since, None)])
    return str(since)


def end_refresh(database: Database, account: ApiAccount) -> None:
    """Record that the refresh is complete."""
    with database.transaction(is_writing=True) as opened:
        opened.connection.execute(sa.update(API_REFRESHES).where(*_unfinished(account)).values(ended_at=_now()))


def _unfinished(account: ApiAccount) -> tuple[sa.ColumnElement[bool], ...]:
    return API_REFRESHES.c.account == account.id, API_REFRESHES.c.ended_at.is_(None)


def read_known(database: Database, account: ApiAccount, fingerprints: pd.DataFrame, since: str = "") -> Known:
    """Read the results for these journeys, as they are now, from requests sent `since` a time [UTC].

    In: `conv_id, fingerprint`. Raises DatabaseError.
    """
    answers, ends = _read(database, fingerprints, account.id, since, (_latest_answers, _outcomes))
    answers = _typed(answers)
    ends = ends.astype("str")[~ends["conv_id"].isin(answers["conv_id"])]
    ends = ends.drop_duplicates("conv_id", keep="last")
    is_rejected = ends["outcome"] == REJECTED
    reasons = ends[["conv_id", "reason"]]
    return Known(answers, reasons[is_rejected].reset_index(drop=True), reasons[~is_rejected].reset_index(drop=True))


def read_answers(database: Database, account: str, fingerprints: pd.DataFrame) -> pd.DataFrame:
    """Read an account's latest complete answers for journeys as they are now.

    In: the account's id and `conv_id, fingerprint`; out: `conv_id, session_id, initializer, holder, closer, ihc`.
    Raises DatabaseError.
    """
    (answers,) = _read(database, fingerprints, account, "", (_latest_answers,))
    return _typed(answers)


def answered_accounts(database: Database) -> pd.DataFrame:
    """List the accounts with stored answers that were computed without a redistribution.

    Out: `account, conv_type_id, url, conversions [count, answered]`, sorted by conversion type. Raises DatabaseError.
    """
    request = API_REQUESTS.c
    answered = sa.func.count(sa.distinct(API_LEDGER.c.conv_id)).label("conversions")
    named = [sa.func.min(column).label(column.name) for column in (request.conv_type_id, request.url)]
    query = sa.select(request.account, *named, answered).select_from(_SENT).group_by(request.account)
    with database.transaction() as opened:
        if API_REQUESTS.name not in opened.tables():
            return pd.DataFrame(columns=query.selected_columns.keys(), dtype="str")
        found = opened.read(query.where(API_LEDGER.c.outcome == ANSWERED, request.redistribution == "")).astype("str")
    return found.sort_values(["conv_type_id", "url", "account"], ignore_index=True)


def _typed(answers: pd.DataFrame) -> pd.DataFrame:
    return answers.astype({"conv_id": "str", "session_id": "str"} | dict.fromkeys(SHARES, "float64"))


def _read(
    database: Database,
    fingerprints: pd.DataFrame,
    account: str,
    since: str,
    queries: Sequence[Callable[[sa.ColumnElement[bool]], sa.Select[Any]]],
) -> list[pd.DataFrame]:
    """Run each query for an account and these journeys."""
    wanted = pd.Series(fingerprints["fingerprint"].array, index=fingerprints["conv_id"].array)
    marks = wanted.drop_duplicates().tolist()  # nearly always one per journey
    is_of_account = sa.and_(API_REQUESTS.c.account == account, API_REQUESTS.c.sent_at >= since)
    with database.transaction() as opened, opened.listed(marks) as listed:
        is_wanted = sa.and_(is_of_account, API_LEDGER.c.fingerprint.in_(listed))
        frames = [opened.read(query(is_wanted)) for query in queries]
    return [found[found["fingerprint"] == found["conv_id"].map(wanted)].drop(columns="fingerprint") for found in frames]


_SENT = API_LEDGER.join(API_REQUESTS, API_REQUESTS.c.request_id == API_LEDGER.c.request_id)


def _latest_answers(is_wanted: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Query the latest answer per conversion."""
    entry = API_LEDGER.c
    latest = sa.select(entry.conv_id, entry.fingerprint, sa.func.max(entry.request_id).label("request_id"))
    latest = latest.select_from(_SENT).where(is_wanted, entry.outcome == ANSWERED)
    of = latest.group_by(entry.conv_id, entry.fingerprint).subquery("latest").c
    answer = API_ANSWERS.c
    is_its = sa.and_(of.request_id == answer.request_id, of.conv_id == answer.conv_id)
    shares = [answer[share] for share in SHARES]
    return sa.select(of.conv_id, of.fingerprint, answer.session_id, *shares).where(is_its)


def _outcomes(is_wanted: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Query the outcomes of conversions without an answer, latest request last."""
    entry = API_LEDGER.c
    query = sa.select(entry.conv_id, entry.fingerprint, entry.outcome, entry.reason).select_from(_SENT)
    return query.where(is_wanted, entry.outcome.in_([REJECTED, FAILED])).order_by(entry.request_id)


def requests_of(database: Database, run_id: str) -> dict[str, int]:
    """Count the `calls` of a run and the conversions `asked` for and `answered` [counts]."""
    is_of_run, calls = API_REQUESTS.c.run_id == run_id, API_REQUESTS.c.calls
    conversions = sa.select(sa.func.count(sa.distinct(API_LEDGER.c.conv_id))).select_from(_SENT).where(is_of_run)
    queries = {
        "calls": sa.select(sa.func.coalesce(sa.func.sum(calls), 0)).where(is_of_run),
        "asked": conversions.where(calls > 0),
        "answered": conversions.where(API_LEDGER.c.outcome == ANSWERED),
    }
    with database.transaction() as opened:
        return {name: int(opened.connection.execute(query).scalar_one()) for name, query in queries.items()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
