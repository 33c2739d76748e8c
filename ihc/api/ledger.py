"""The ledger of the API: what was asked, how it ended, and every answer, one transaction each.

A conversion is known where its account (address, conversion type, redistribution) has answered for the same sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import NamedTuple

import pandas as pd
import sqlalchemy as sa

from ihc.api.account import ApiAccount
from ihc.api.answers import Row
from ihc.database.database import Database, execute, insert, listed, read, tables_of
from ihc.database.tables import LEDGER
from ihc.schemas.tables import PHASES, SHARES

ANSWERED, REJECTED, MISSING, FAILED, AGAIN, WAITING = "answered", "rejected", "missing", "failed", "again", "waiting"


@dataclass(frozen=True)
class RequestNote:
    """What the ledger notes of a request before it is sent: its conversions' fingerprints, and their sessions."""

    fingerprints: Mapping[str, str]
    sessions: Mapping[str, Sequence[str]]
    # Ids that rise with time keep what is stored together in one place of the tables, and tell the latest answer.
    request_id: str = field(default_factory=lambda: f"{time.time_ns():016x}{token_hex(2)}")

    @classmethod
    def of(cls, journeys: pd.DataFrame, fingerprints: Mapping[str, str]) -> RequestNote:
        """Make the note of a request out of its `journeys` and the fingerprint of each conversion."""
        sessions: dict[str, list[str]] = {}
        for conv_id, session_id in zip(journeys["conv_id"].tolist(), journeys["session_id"].tolist(), strict=True):
            sessions.setdefault(conv_id, []).append(session_id)
        return cls({conv_id: fingerprints[conv_id] for conv_id in sessions}, sessions)


@dataclass(frozen=True)
class RequestResult:
    """How a request ended: calls sent, the outcome in words, the whole answers, and how the other conversions ended.

    `ends`: `conv_id: (outcome, reason)` of each conversion that has no whole answer.
    """

    note: RequestNote
    calls: int
    outcome: str
    ends: Mapping[str, tuple[str, str]]
    whole: Mapping[str, Sequence[Row]] = field(default_factory=dict)


class Known(NamedTuple):
    """What came of earlier asking.

    `answers`: `conv_id, session_id, initializer, holder, closer, ihc`; `rejected`: `conv_id, reason` where the answer
    was not whole; neither needs asking. `failed`: `conv_id, reason` where there was no answer.
    """

    answers: pd.DataFrame
    rejected: pd.DataFrame
    failed: pd.DataFrame


class Ledger:
    """The open ledger of one run and account; made by `open_ledger`."""

    def __init__(
        self, begin: Callable[[], AbstractContextManager[sa.Connection]], account: ApiAccount, run_id: str
    ) -> None:
        self._transaction, self.account, self._run_id = begin, account, run_id

    def write(self, notes: Sequence[RequestNote], results: Sequence[RequestResult]) -> None:
        """Note requests that are about to be sent, and store those that ended with their answers: one transaction."""
        with self._transaction() as connection:
            for result in results:
                self._store(connection, result)
            for note in notes:
                self._note(connection, note)

    def _note(self, connection: sa.Connection, note: RequestNote) -> None:
        account, request_id = self.account, note.request_id
        redistribution = account.redistribution.text if account.redistribution else ""
        sessions = sum(map(len, note.sessions.values()))
        how = (account.id, account.url, account.conv_type_id, redistribution)
        row = (request_id, self._run_id, *how, len(note.sessions), sessions, _now(), None, None, None)
        insert(connection, "api_requests", LEDGER["api_requests"], [row])
        rows = [(request_id, conv_id, mark, "asked", "") for conv_id, mark in note.fingerprints.items()]
        insert(connection, "api_ledger", LEDGER["api_ledger"], rows)

    def _store(self, connection: sa.Connection, result: RequestResult) -> None:
        request_id = result.note.request_id
        others = [(*end, request_id, conv_id) for conv_id, end in result.ends.items()]
        execute(
            connection,
            "UPDATE api_requests SET ended_at = ?, calls = ?, outcome = ? WHERE request_id = ?",
            [(_now(), result.calls, result.outcome, request_id)],
        )
        execute(connection, "UPDATE api_ledger SET outcome = ? WHERE request_id = ?", [(ANSWERED, request_id)])
        execute(
            connection,
            "UPDATE api_ledger SET outcome = ?, reason = ? WHERE request_id = ? AND conv_id = ?",
            others,
        )
        # An interruption may come just after a request was stored, and store it once more.
        execute(connection, "DELETE FROM api_answers WHERE request_id = ?", [(request_id,)])
        answers = [(request_id, conv_id, *row) for conv_id, rows in result.whole.items() for row in rows]
        insert(connection, "api_answers", LEDGER["api_answers"], answers)


@contextmanager
def open_ledger(database: Database, account: ApiAccount, run_id: str) -> Iterator[Ledger]:
    """Open the ledger for writing; raises DatabaseError."""
    with database.transactions() as begin:
        yield Ledger(begin, account, run_id)


def begin_refresh(database: Database, account: ApiAccount) -> str:
    """Begin to ask everything again, or go on with that; the moment since which an answer is fresh."""
    unfinished = sa.text("SELECT MAX(began_at) FROM api_refreshes WHERE account = :account AND ended_at IS NULL")
    with database.transaction(is_writing=True) as connection:
        since = connection.execute(unfinished, {"account": account.id}).scalar()
        if since is None:
            since = _now()
            insert(connection, "api_refreshes", LEDGER["api_refreshes"], [(account.id, since, None)])
    return str(since)


def end_refresh(database: Database, account: ApiAccount) -> None:
    """Note that everything was asked again."""
    done = "UPDATE api_refreshes SET ended_at = ? WHERE account = ? AND ended_at IS NULL"
    with database.transaction(is_writing=True) as connection:
        execute(connection, done, [(_now(), account.id)])


def read_known(database: Database, account: ApiAccount, fingerprints: pd.DataFrame, since: str = "") -> Known:
    """Read what came of asking the account for these journeys, as they are now, `since` a moment [UTC].

    In: `conv_id, fingerprint`. Raises DatabaseError.
    """
    answers, ends = _read(database, fingerprints, account.id, since, (_ANSWERS, _ENDS))
    answers = _typed(answers)
    ends = ends.fillna({"reason": ""}).astype("str")[~ends["conv_id"].isin(answers["conv_id"])]
    ends = ends.drop_duplicates("conv_id", keep="last")
    is_rejected = ends["outcome"] == REJECTED
    reasons = ends[["conv_id", "reason"]]
    return Known(answers, reasons[is_rejected].reset_index(drop=True), reasons[~is_rejected].reset_index(drop=True))


def read_answers(database: Database, account: str, fingerprints: pd.DataFrame) -> pd.DataFrame:
    """Read an account's latest whole answers for journeys as they are now.

    In: the account's id and `conv_id, fingerprint`; out: `conv_id, session_id, initializer, holder, closer, ihc`.
    Raises DatabaseError.
    """
    (answers,) = _read(database, fingerprints, account, "", (_ANSWERS,))
    return _typed(answers)


def answered_accounts(database: Database) -> pd.DataFrame:
    """Whom the database has answers of, given without a redistribution.

    Out: `account, conv_type_id, url, conversions [count, answered]`, by conversion type. Raises DatabaseError.
    """
    answered = (
        f"SELECT account, COUNT(DISTINCT conv_id) AS conversions FROM {_ASKED} "
        f"WHERE api_ledger.outcome = '{ANSWERED}' GROUP BY account"
    )
    with database.transaction() as connection:
        if "api_requests" not in tables_of(connection):
            return pd.DataFrame(columns=["account", "conv_type_id", "url", "conversions"], dtype="str")
        asked = read(connection, "SELECT account, conv_type_id, url, redistribution FROM api_requests")
        counts = read(connection, answered)
    is_plain = asked["redistribution"].fillna("") == ""  # an empty text is NULL in Oracle
    plain = asked[is_plain].drop(columns="redistribution").drop_duplicates("account")
    found = plain.merge(counts, on="account").astype("str")
    return found.sort_values(["conv_type_id", "url", "account"], ignore_index=True)


def _typed(answers: pd.DataFrame) -> pd.DataFrame:
    return answers.astype({"conv_id": "str", "session_id": "str"} | dict.fromkeys(SHARES, "float64"))


def _read(
    database: Database, fingerprints: pd.DataFrame, account: str, since: str, queries: Sequence[str]
) -> list[pd.DataFrame]:
    """What each query finds of an account for these journeys."""
    wanted = pd.Series(fingerprints["fingerprint"].array, index=fingerprints["conv_id"].array)
    marks = wanted.drop_duplicates().tolist()  # of one journey each, nearly always
    given = {"account": account, "since": since or "0"}  # an empty text is NULL in Oracle
    with database.transaction() as connection:
        parts = [
            [read(connection, query.format(ids=ids.sql), {**given, **ids.given}) for query in queries]
            for ids in listed(connection, marks)
        ]
    frames = (pd.concat(found, ignore_index=True) for found in zip(*parts, strict=True))
    return [found[found["fingerprint"] == found["conv_id"].map(wanted)].drop(columns="fingerprint") for found in frames]


_ASKED = "api_ledger JOIN api_requests ON api_requests.request_id = api_ledger.request_id"
_OF_THEM = f"FROM {_ASKED} WHERE account = :account AND sent_at >= :since AND fingerprint IN {{ids}}"
# The latest answer counts, where a conversion was asked again.
_ANSWERS = f"""
    SELECT latest.conv_id, fingerprint, session_id, {", ".join(PHASES)}, ihc FROM api_answers JOIN (
        SELECT conv_id, fingerprint, MAX(api_ledger.request_id) AS request_id {_OF_THEM}
        AND api_ledger.outcome = '{ANSWERED}' GROUP BY conv_id, fingerprint
    ) latest ON latest.request_id = api_answers.request_id AND latest.conv_id = api_answers.conv_id
"""
_ENDS = f"""
    SELECT conv_id, fingerprint, api_ledger.outcome, reason {_OF_THEM}
    AND api_ledger.outcome IN ('{REJECTED}', '{FAILED}') ORDER BY api_ledger.request_id
"""


def requests_of(database: Database, run_id: str) -> dict[str, int]:
    """Count what a run asked: `calls` sent, and conversions `asked` and `answered` [counts]."""
    with database.transaction() as connection:
        calls = "SELECT COALESCE(SUM(calls), 0) FROM api_requests WHERE run_id = :run"
        ledger = f"FROM {_ASKED} WHERE run_id = :run"
        queries = {
            "calls": calls,
            "asked": f"SELECT COUNT(DISTINCT conv_id) {ledger} AND calls > 0",
            "answered": f"SELECT COUNT(DISTINCT conv_id) {ledger} AND api_ledger.outcome = 'answered'",
        }
        return {
            name: int(connection.execute(sa.text(query), {"run": run_id}).scalar_one())
            for name, query in queries.items()
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
