import shutil
import time
from dataclasses import replace

import pandas as pd
import pytest
from helpers.databases import WITH_TRIGGERS, raise_at, rows_of, sql, stop_raising

from ihc.api.account import ApiAccount
from ihc.api.ledger import (
    AGAIN,
    FAILED,
    MISSING,
    REJECTED,
    WAITING,
    RequestNote,
    RequestResult,
    open_ledger,
    read_known,
    requests_of,
)
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.errors import DatabaseError
from ihc.models.redistribution import parse_redistribution

KEY = "k3y-of-the-test"
ACCOUNT = ApiAccount("https://api.example.com/v1", KEY, "sales")
PHASE = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}
REDISTRIBUTION = parse_redistribution(dict.fromkeys(("initializer", "holder", "closer"), PHASE), "It")
# Rows of an answer: session_id, initializer, holder, closer, ihc.
FIRST = [("s1", 1, 0.25, 0, 0.375), ("s2", 0, 0.75, 1, 0.625)]
SECOND = [("s3", 1, 0, 1, 1)]


@pytest.fixture
def file(empty_files, tmp_path):
    """A new SQLite file, for tests that do not depend on the kind of database."""
    return Database(shutil.copy(empty_files / "shop.db", tmp_path / "shop.db"))


def note(**marks):
    """The note of two journeys, k1 with s1 and s2, and k2 with s3, unless others are given as `conv_id=fingerprint`."""
    sessions = {"k1": ["s1", "s2"], "k2": ["s3"]}
    marks = marks or {"k1": "f1", "k2": "f2"}
    return RequestNote(marks, {conv_id: sessions.get(conv_id, ["s9"]) for conv_id in marks})


def answered(request, calls=1, ends=None, **whole):
    return RequestResult(request, calls, "answered", ends or {}, whole)


def write(database, *ended, begun=(), account=ACCOUNT, run_id="run"):
    """Write requests to the ledger as a run does: first when they are sent, then when they end."""
    with open_ledger(database, account, run_id) as ledger:
        ledger.write([*(each.note for each in ended), *begun], [])
        ledger.write([], list(ended))


def known(database, account=ACCOUNT, **marks):
    marks = marks or {"k1": "f1", "k2": "f2"}
    return read_known(database, account, pd.DataFrame(marks.items(), columns=["conv_id", "fingerprint"], dtype="str"))


def answers(database, **options):
    """The known answers: a list of rows per conversion."""
    frame = known(database, **options).answers
    return {
        conv_id: sorted(rows.drop(columns="conv_id").itertuples(index=False, name=None))
        for conv_id, rows in frame.groupby("conv_id")
    }


def contents(database):
    return {table: rows_of(database, table) for table in ("api_requests", "api_ledger", "api_answers")}


def test_a_new_database_knows_nothing_and_then_the_answers_in_the_same_types(database):
    before = known(database)
    assert [len(frame) for frame in before] == [0, 0, 0]
    write(database, answered(note(), ends={"k2": (FAILED, "no")}, k1=FIRST))
    after = known(database)
    assert answers(database) == {"k1": FIRST}
    for one, other in zip(before, after, strict=True):
        assert one.dtypes.to_dict() == other.dtypes.to_dict()
    assert list(after.answers.columns) == ["conv_id", "session_id", "initializer", "holder", "closer", "ihc"]
    assert after.answers.dtypes.astype("str").tolist() == ["str", "str", *["float64"] * 4]
    assert list(after.rejected.columns) == list(after.failed.columns) == ["conv_id", "reason"]


def test_only_requested_conversions_are_read(file):
    write(file, answered(note(), k1=FIRST, k2=SECOND))
    assert answers(file, k2="f2") == {"k2": SECOND}
    nothing = pd.DataFrame({"conv_id": [], "fingerprint": []}, dtype="str")
    assert read_known(file, ACCOUNT, nothing).answers.empty


def test_a_journey_that_changed_is_not_known_until_it_is_as_it_was(file):
    write(file, answered(note(), k1=FIRST, k2=SECOND))
    assert answers(file, k1="changed", k2="f2") == {"k2": SECOND}
    changed = [("s1", 1, 1, 1, 1)]
    write(file, answered(RequestNote({"k1": "changed"}, {"k1": ["s1"]}), k1=changed))
    assert answers(file, k1="changed") == {"k1": changed}
    assert answers(file, k1="f1") == {"k1": FIRST}
    assert answers(file, k1="f2", k2="f1") == {}  # swapped


@pytest.mark.parametrize(
    "other",
    [
        replace(ACCOUNT, url="https://api.example.com/v2"),
        replace(ACCOUNT, conv_type_id="leads"),
        replace(ACCOUNT, redistribution=REDISTRIBUTION),
    ],
)
def test_answers_of_another_account_are_not_taken(file, other):
    write(file, answered(note(), ends={"k2": (REJECTED, "not whole")}, k1=FIRST))
    result = known(file, account=other)
    assert [len(frame) for frame in result] == [0, 0, 0]
    write(file, answered(note(k1="f1"), k1=SECOND), account=other)
    assert answers(file, account=other) == {"k1": SECOND}
    assert answers(file) == {"k1": FIRST}


def test_the_latest_answer_counts_where_a_journey_was_asked_again(file):
    later = [("s1", 0, 1, 0, 0.5), ("s2", 1, 0, 1, 0.5)]
    write(file, answered(note(), k1=FIRST, k2=SECOND))
    write(file, answered(note(k1="f1"), k1=later), run_id="again")
    assert answers(file) == {"k1": later, "k2": SECOND}


def test_an_answer_stays_known_where_asking_again_came_to_nothing(file):
    write(file, answered(note(), k1=FIRST, k2=SECOND))
    for outcome in (REJECTED, FAILED, MISSING, AGAIN, WAITING):
        write(file, RequestResult(note(k1="f1"), 1, "no", {"k1": (outcome, "no")}), run_id=outcome)
    result = known(file)
    assert answers(file) == {"k1": FIRST, "k2": SECOND}
    assert result.rejected.empty
    assert result.failed.empty


def test_rejected_and_failed_are_told_apart_until_they_are_answered(file):
    write(file, answered(note(), ends={"k1": (REJECTED, "two"), "k2": (FAILED, "refused")}))
    before = known(file)
    assert before.answers.empty
    assert before.rejected.to_dict("records") == [{"conv_id": "k1", "reason": "two"}]
    assert before.failed.to_dict("records") == [{"conv_id": "k2", "reason": "refused"}]
    write(file, answered(note(), k1=FIRST, k2=SECOND), run_id="again")
    result = known(file)
    assert answers(file) == {"k1": FIRST, "k2": SECOND}
    assert result.rejected.empty
    assert result.failed.empty


def test_the_latest_reason_counts_and_each_conversion_is_named_once(file):
    for reason in ("first", "second", "third"):
        write(file, answered(note(k1="f1"), ends={"k1": (FAILED, reason)}), run_id=reason)
    assert known(file).failed.to_dict("records") == [{"conv_id": "k1", "reason": "third"}]
    write(file, answered(note(k1="f1"), ends={"k1": (REJECTED, "fourth")}))
    assert known(file).rejected.to_dict("records") == [{"conv_id": "k1", "reason": "fourth"}]
    assert known(file).failed.empty


def test_conversions_to_request_again_are_neither_rejected_nor_failed(file):
    for outcome in (MISSING, AGAIN, WAITING):
        write(file, answered(note(), ends=dict.fromkeys(("k1", "k2"), (outcome, ""))))
    assert [len(frame) for frame in known(file)] == [0, 0, 0]


def test_a_request_that_was_sent_and_never_ended_leaves_its_note_and_is_not_known(file):
    write(file, begun=[note()])
    assert [len(frame) for frame in known(file)] == [0, 0, 0]
    assert sql(file, "SELECT ended_at, calls, outcome FROM api_requests") == [(None, None, None)]
    assert sql(file, "SELECT conv_id, fingerprint, outcome, reason FROM api_ledger ORDER BY 1") == [
        ("k1", "f1", "asked", ""),
        ("k2", "f2", "asked", ""),
    ]


def test_a_request_is_recorded_with_its_account_and_outcome(file):
    account = replace(ACCOUNT, redistribution=REDISTRIBUTION)
    request = note()
    write(file, answered(request, calls=3, ends={"k2": (FAILED, "why")}, k1=FIRST), account=account)
    row = sql(
        file,
        "SELECT request_id, run_id, account, url, conv_type_id, redistribution, conversions, sessions, calls, outcome "
        "FROM api_requests",
    )
    how = (account.id, account.url, "sales", REDISTRIBUTION.text)
    assert row == [(request.request_id, "run", *how, 2, 3, 3, "answered")]
    assert sql(file, "SELECT count(*) FROM api_requests WHERE sent_at <= ended_at AND sent_at >= '2025'") == [(1,)]
    assert sql(file, "SELECT conv_id, outcome, reason FROM api_ledger ORDER BY conv_id") == [
        ("k1", "answered", ""),
        ("k2", "failed", "why"),
    ]


def test_ids_of_requests_rise_with_time():
    ids = []
    for _ in range(20):
        ids.append(note().request_id)
        time.sleep(0.001)
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    "event",
    [
        ("UPDATE", "api_ledger", ""),
        ("INSERT", "api_answers", "NEW.session_id = 's2'"),
        ("INSERT", "api_ledger", ""),
    ],
)
@pytest.mark.parametrize("nowhere", WITH_TRIGGERS, indirect=True)
def test_what_ended_and_what_begins_is_written_in_one_transaction_or_not_at_all(database, event):
    first, second = note(k1="f1"), note(k2="f2")
    write(database, begun=[first])
    before = contents(database)
    event, table, when = event
    raise_at(database, f"BEFORE {event}", table, "the disk is full", when)
    with pytest.raises(DatabaseError, match="the disk is full"), open_ledger(database, ACCOUNT, "run") as ledger:
        ledger.write([second], [answered(first, k1=FIRST)])
    assert contents(database) == before
    stop_raising(database, f"BEFORE {event}", table, "the disk is full")
    with open_ledger(database, ACCOUNT, "run") as ledger:
        ledger.write([second], [answered(first, k1=FIRST)])
    assert answers(database) == {"k1": FIRST}
    assert sql(database, "SELECT conv_id, outcome FROM api_ledger ORDER BY conv_id") == [
        ("k1", "answered"),
        ("k2", "asked"),
    ]


def test_an_answer_with_a_session_twice_is_not_stored_in_part(database):
    request = note(k1="f1")
    write(database, begun=[request])
    before = contents(database)
    with pytest.raises(DatabaseError), open_ledger(database, ACCOUNT, "run") as ledger:
        ledger.write([], [answered(request, k1=[FIRST[0], FIRST[0]])])
    assert contents(database) == before


def test_storing_the_end_of_a_request_twice_stores_it_once(file):
    request = note()
    end = answered(request, ends={"k2": (FAILED, "no")}, k1=FIRST)
    write(file, end)
    before = contents(file)["api_ledger"], contents(file)["api_answers"]
    with open_ledger(file, ACCOUNT, "run") as ledger:
        ledger.write([], [end])
    assert (contents(file)["api_ledger"], contents(file)["api_answers"]) == before
    assert answers(file) == {"k1": FIRST}


def test_others_see_each_write_at_once_and_may_write_in_between(database):
    request = note()
    with open_ledger(database, ACCOUNT, "run") as ledger:
        ledger.write([request], [])
        assert sql(database, "SELECT count(*) FROM api_ledger") == [(2,)]
        sql(database, "INSERT INTO session_costs VALUES ('s1', 1)")
        ledger.write([], [answered(request, k1=FIRST, k2=SECOND)])
        assert answers(database) == {"k1": FIRST, "k2": SECOND}
        sql(database, "DELETE FROM session_costs")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_journal_mode_of_the_file_stays(file, mode):
    assert sql(file, f"PRAGMA journal_mode = {mode}") == [(mode,)]
    write(file, answered(note(), k1=FIRST, k2=SECOND))
    assert answers(file) == {"k1": FIRST, "k2": SECOND}
    assert sql(file, "PRAGMA journal_mode") == [(mode,)]


def test_the_calls_of_a_run_are_counted_and_its_conversions_once(file):
    write(file, answered(note(), calls=3, ends={"k2": (MISSING, "")}, k1=FIRST))
    write(file, answered(note(k2="f2"), calls=2, k2=SECOND))
    write(file, answered(note(k3="f3"), calls=1, ends={"k3": (FAILED, "no")}))
    write(file, begun=[note(k4="f4")])
    write(file, RequestResult(note(k5="f5"), 0, "CeilingError", {"k5": (WAITING, "")}))
    write(file, answered(note(k6="f6"), calls=10, k6=SECOND), run_id="other")
    # 3 + 2 + 1 calls; k1 and k2 were answered, k3 failed; k4 did not end, and k5 was never sent.
    assert requests_of(file, "run") == {"calls": 6, "asked": 3, "answered": 2}
    assert requests_of(file, "other") == {"calls": 10, "asked": 1, "answered": 1}
    assert requests_of(file, "none") == {"calls": 0, "asked": 0, "answered": 0}


def test_names_and_reasons_from_elsewhere_are_texts_and_nothing_more(database):
    wicked = "'); DROP TABLE api_answers; --"
    request = RequestNote({wicked: wicked}, {wicked: [wicked]})
    write(database, answered(request, **{wicked: [(wicked, 1, 1, 1, 1)]}))
    assert answers(database, **{wicked: wicked}) == {wicked: [(wicked, 1, 1, 1, 1)]}
    write(database, answered(note(k1="f1"), ends={"k1": (FAILED, wicked)}))
    assert known(database).failed["reason"].tolist() == [wicked]


def test_the_key_is_nowhere_in_the_file(file):
    write(file, answered(note(), k1=FIRST, k2=SECOND))
    assert KEY.encode() not in file.file.read_bytes()


def test_texts_of_any_length_are_kept(file):
    labels = [f"channel {number}" for number in range(500)]
    phases = dict.fromkeys(("initializer", "holder", "closer"), PHASE | {"redistribution_channel_labels": labels})
    account = replace(ACCOUNT, redistribution=parse_redistribution(phases, "It"))
    reason = "why " * 2000
    write(file, answered(note(), ends={"k1": (REJECTED, reason)}, k2=SECOND), account=account)
    assert known(file, account=account).rejected.to_numpy().tolist() == [["k1", reason]]
    (kept,) = [row for row in contents(file)["api_requests"] if row[2] == account.id]
    assert kept[5] == account.redistribution.text
    assert len(kept[5]) > 10_000


def test_thousands_of_answers_are_written_and_read_at_once(database):
    sessions = {f"k{number}": [f"{number}-{place}" for place in range(3)] for number in range(1000)}
    marks = {conv_id: f"f{conv_id}" for conv_id in sessions}
    whole = {conv_id: [(session, 1, 0, 0, 0.25) for session in names] for conv_id, names in sessions.items()}
    write(database, answered(RequestNote(marks, sessions), **whole))
    result = known(database, **marks).answers
    assert len(result) == 3000
    assert result["conv_id"].nunique() == 1000


NO_TABLE = r"no such table|relation .* does not exist|Table .* does(n't| not) exist|Table unknown"


def test_a_database_without_the_tables_of_the_ledger_is_refused(nowhere, tmp_path):
    sql(nowhere, "CREATE TABLE a (b INTEGER)")
    with pytest.raises(DatabaseError, match=NO_TABLE):
        known(nowhere)
    with pytest.raises(DatabaseError, match=NO_TABLE):
        write(nowhere, begun=[note()])
    with (
        pytest.raises(DatabaseError, match="does not exist"),
        open_ledger(Database(tmp_path / "none.db"), ACCOUNT, "run"),
    ):
        pass


def test_a_server_sorts_the_ids_of_requests_by_their_bytes_in_whatever_language_it_is(schema_url):
    # Danish, for example, sorts aa after all other letters; the latest answer is the one with the greatest id.
    create_tables(Database(schema_url))
    query = (
        "SELECT DISTINCT collname FROM pg_attribute JOIN pg_collation ON pg_collation.oid = attcollation "
        "JOIN pg_class ON pg_class.oid = attrelid WHERE attname = 'request_id' AND relkind = 'r'"
    )
    assert sql(schema_url, query) == [("C",)]
