"""Dispatching requests to a server that fails on purpose, over real sockets."""

import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from helpers.api_runs import KEY, assert_right, make_journeys
from helpers.api_runs import ask as ask_within
from helpers.faults import in_turn, misbehaving
from helpers.frames import conversions, journey, sessions

from ihc.api.batching import pack_requests
from ihc.api.ledger import requests_of
from ihc.database.database import Database
from ihc.errors import (
    ApiAddressError,
    ApiKeyError,
    CeilingError,
    ConversionTypeError,
    OutageError,
    QuotaError,
    UnreachableError,
)
from ihc.journeys.build import build_journeys

LIMITS = {"max_journeys": 50, "max_sessions": 100}


@pytest.fixture(scope="module")
def journeys():
    """488 orders with 1,640 sessions: 17 requests of 100 sessions."""
    return make_journeys(500)


@pytest.fixture(scope="module")
def few(journeys):
    """The journeys of one request."""
    return pack_requests(journeys, **LIMITS)[0]


@pytest.fixture
def database(empty_files, tmp_path):
    return Database(shutil.copy(empty_files / "shop.db", tmp_path / "shop.db"))


def ask(database, url, journeys, **options):
    return ask_within(database, url, journeys, **LIMITS | options)


def rows(database, query):
    with closing(sqlite3.connect(database.file)) as connection:
        return connection.execute(query).fetchall()


def test_everything_is_asked_once_in_full_requests_and_stored(database, journeys, monkeypatch):
    monkeypatch.setattr("ihc.api.dispatch.PROGRESS_SECONDS", 0.0)
    said = []
    with misbehaving(wait=0.1) as (url, api):
        stopped, known = ask(database, url, journeys, said=said)
        ask(database, url, journeys)  # sends nothing
    assert stopped is None
    assert_right(known.answers, journeys)
    assert api.requests == len(pack_requests(journeys, **LIMITS)) == 17  # 1,640 sessions / 100
    assert set(api.asked.values()) == {1}
    assert api.most_sessions <= 100
    assert api.most_journeys <= 50
    assert api.most_at_once == 4
    assert rows(database, "SELECT DISTINCT outcome, calls FROM api_requests") == [("answered", 1)]
    assert rows(database, "SELECT outcome, count(*) FROM api_ledger GROUP BY 1") == [("answered", len(api.asked))]
    assert requests_of(database, "run") == {"calls": 17, "asked": len(api.asked), "answered": len(api.asked)}


def test_faults_lose_nothing_and_no_answered_conversion_is_requested_again(database, journeys):
    """3 of 10 requests fail and are retried; half of a 206 is requested again, in at most one extra request."""
    with misbehaving(in_turn()) as (url, api):
        stopped, known = ask(database, url, journeys)
    assert stopped is None
    assert_right(known.answers, journeys)
    assert set(api.answered.values()) == {1}
    assert api.requests <= 1.6 * 17 + 4


@pytest.mark.parametrize("fault", ["503", "400 exceeds"])
def test_a_journey_that_fails_its_batch_is_found_and_the_others_are_answered(fault, database, journeys):
    poison = journeys["conv_id"].iloc[500]
    with misbehaving(lambda number, conversions: fault if poison in conversions else "") as (url, api):
        stopped, known = ask(database, url, journeys)
    assert stopped is None
    assert known.failed["conv_id"].tolist() == [poison]
    assert known.failed["reason"].str.contains("rejected|failed to answer|IHC_MAX_SESSIONS").all()
    assert_right(known.answers, journeys[journeys["conv_id"] != poison])
    # 5 attempts for the whole batch, at most 2 for each of at most 6 bisections, and 1 for each good half.
    assert api.asked[poison] <= 5 + 6 * 2
    assert api.requests <= 17 + 5 + 6 * 3


def test_what_failed_before_is_asked_apart_from_the_others(database, few):
    poison = few["conv_id"].iloc[0]
    batches = []

    def note(number, conversions):
        batches.append(set(conversions))
        return ""

    with misbehaving(note) as (url, _):
        ask(database, url, few, suspects=[poison])
    assert {poison} in batches
    assert len(batches) == 2


def test_a_value_that_is_missing_again_and_again_fails_after_three_answers(database, few):
    lost = few["conv_id"].iloc[0]
    with misbehaving(lambda number, conversions: "206" if conversions == [lost] else "") as (url, api):
        stopped, known = ask(database, url, few[few["conv_id"] == lost])
    assert stopped is None
    assert api.requests == 3
    reason = "the API returned no value in 3 attempts: sorry"
    assert known.failed.to_dict("records") == [{"conv_id": lost, "reason": reason}]
    assert rows(database, "SELECT outcome FROM api_ledger ORDER BY rowid") == [("missing",), ("missing",), ("failed",)]


def test_an_order_whose_first_session_converts_is_rejected_with_the_reason_of_the_api(database):
    first, other = journey((0, "A", 1, 1), (1, "B", 1, 1), (2, "A", 1, 1)), journey((0, "A", 1, 1), conv_id="l")
    both = pd.concat([first.assign(conversion=[1, 0, 0]), other], ignore_index=True)
    with misbehaving() as (url, api):
        stopped, known = ask(database, url, both)
    assert stopped is None
    assert api.requests == 1
    assert known.answers["conv_id"].tolist() == ["l"]
    excluded = "Session/Impression excluded from customer journey since it occurs after the conversion event"
    reason = f"the answer does not match the 3 sessions of the journey: it has 1: {excluded}"
    assert known.rejected.to_dict("records") == [{"conv_id": "k", "reason": reason}]
    assert rows(database, "SELECT outcome FROM api_requests") == [(f"answered; {excluded}",)]


def test_an_order_without_any_value_fails_with_its_own_reason(database):
    steps = ((0, "A", 1, 1), (1, "B", 1, 1))
    lost, other = journey(*steps), journey(*steps, conv_id="l")
    twice = lost.assign(session_id="s")  # two sessions of one id: the journey cannot be computed
    with misbehaving() as (url, _):
        _, known = ask(database, url, pd.concat([twice, other], ignore_index=True))
    reason = "the API returned no value in 3 attempts: Two sessions of this journey have the same session_id."
    assert known.failed.to_dict("records") == [{"conv_id": "k", "reason": reason}]
    assert known.answers["conv_id"].tolist() == ["l", "l"]


@pytest.mark.parametrize("fractions", [("", "", ""), (".9", ".5", ".1")], ids=["one moment", "one second"])
def test_sessions_of_one_second_get_the_credit_that_the_local_engine_gives_them(database, fractions):
    # By time, then by id. Fractions are not sent, so the order in the request decides that s3 is first and s1 last.
    visits = [(f"s{number}", "u", f"2023-09-01 00:00:00{end}", "A", 1, 1) for number, end in enumerate(fractions, 1)]
    journeys = build_journeys(sessions(visits[::-1]), conversions([("k", "u", "2023-09-02 00:00:00", 1.0)]))
    with misbehaving() as (url, _):
        _, known = ask(database, url, journeys)
    assert_right(known.answers, journeys)
    first = known.answers.set_index("session_id")["initializer"].idxmax()
    assert first == ("s3" if fractions[0] else "s1")


def test_an_answer_that_is_not_whole_fails_alone_and_is_not_asked_again(database, few):
    with misbehaving(lambda number, conversions: "sums to two") as (url, api):
        stopped, known = ask(database, url, few)
    (wrong,) = known.rejected["conv_id"]
    assert stopped is None
    assert api.requests == 1
    assert "does not match" in known.rejected["reason"].iloc[0]
    assert_right(known.answers, few[few["conv_id"] != wrong])


def test_a_smaller_limit_than_expected_halves_the_requests_and_goes_on(database, journeys):
    """Of seven requests of 235 sessions, the first ones in flight are refused, and all are halved."""
    with misbehaving(lambda number, conversions: "413 over 200") as (url, api):
        stopped, known = ask(database, url, journeys, max_sessions=250, max_journeys=100, said=(said := []))
    assert stopped is None
    assert_right(known.answers, journeys)
    assert set(api.answered.values()) == {1}
    refused = api.requests - rows(database, "SELECT count(*) FROM api_requests WHERE outcome = 'answered'")[0][0]
    assert 0 < refused <= 4
    assert api.requests - refused <= 17
    assert any("continuing with at most" in line and "Set IHC_MAX_SESSIONS" in line for line in said)


def test_many_journeys_over_the_accounts_limit_fail_one_by_one_and_do_not_end_the_run(database, few):
    long = [
        journey(*[(hour, "A", 1, 1) for hour in range(201)], conv_id=f"long-{number}", prefix=f"{number}-")
        for number in range(10)
    ]
    with misbehaving(lambda number, conversions: "413 over 200") as (url, _):
        stopped, known = ask(database, url, pd.concat([*long, few], ignore_index=True), max_sessions=3000)
    assert stopped is None
    assert sorted(known.failed["conv_id"]) == sorted(f"long-{number}" for number in range(10))
    assert known.failed["reason"].str.contains("IHC_MAX_SESSIONS").all()
    assert_right(known.answers, few)


@pytest.mark.parametrize("fault", ["nothing", "sums to two each"])
def test_an_api_that_answers_without_a_whole_journey_ends_the_run_soon(fault, database, journeys):
    with misbehaving(lambda number, conversions: fault) as (url, api):
        stopped, _ = ask(database, url, journeys)
    assert isinstance(stopped, OutageError)
    assert "no complete journey" in str(stopped)
    assert api.requests <= 4 + 2 + 1 + 3


def test_when_most_requests_fail_no_order_that_is_sound_counts_as_failed(database, journeys):
    """Nine in ten requests fail with 503: the retries run out, and unanswered orders wait."""
    with misbehaving(lambda number, conversions: "503" if number % 10 else "") as (url, api):
        stopped, known = ask(database, url, journeys)
    assert isinstance(stopped, OutageError)
    assert known.failed.empty
    assert api.requests <= 67 + 17 + 2 * 20  # the run's retries, the requests, and the halves of abandoned requests


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("403", ApiKeyError, r"rejected the key \(403: Forbidden\): check IHC_API_KEY"),
        ("404", ApiAddressError, r"not found at this URL \(404: Not Found\): check IHC_API_URL"),
        ("301", ApiAddressError, "redirects"),
        ("400 type", ConversionTypeError, "conversion type .* check --conv-type-id"),
    ],
)
def test_fatal_errors_end_the_run_at_once_and_are_not_retried(fault, error, says, database, journeys):
    with misbehaving(lambda number, conversions: fault) as (url, api), pytest.raises(error, match=says):
        ask(database, url, journeys)
    assert api.requests <= 4
    assert rows(database, "SELECT DISTINCT outcome FROM api_ledger") == [("waiting",)]


def test_answers_received_before_the_key_was_revoked_are_stored(database, journeys):
    with misbehaving(lambda number, conversions: "403" if number >= 8 else "") as (url, api):
        with pytest.raises(ApiKeyError):
            ask(database, url, journeys)
        answered = rows(database, "SELECT count(DISTINCT conv_id) FROM api_answers")[0][0]
        assert answered == len(api.answered) > 100


def test_an_exhausted_quota_ends_the_run_and_the_next_one_goes_on(database, journeys):
    used_up = set()
    with misbehaving(lambda number, _: "429 for long" if number >= 5 and not used_up else "") as (url, api):
        stopped, known = ask(database, url, journeys)
        assert isinstance(stopped, QuotaError)
        assert "Limit Exceeded" in str(stopped)
        assert api.requests <= 9
        assert 0 < known.answers["conv_id"].nunique() < journeys["conv_id"].nunique()
        used_up.add("and paid for")
        stopped, known = ask(database, url, journeys, run_id="next")
        assert stopped is None
        assert_right(known.answers, journeys)
        assert set(api.answered.values()) == {1}


def test_without_a_connection_the_run_ends_soon(database, journeys):
    stopped, known = ask(database, "http://127.0.0.1:9/v1/compute_ihc", journeys)
    assert isinstance(stopped, UnreachableError)
    assert "check the network" in str(stopped)
    assert known.answers.empty
    assert rows(database, "SELECT DISTINCT outcome FROM api_ledger") == [("waiting",)]


def test_an_api_that_only_fails_is_not_asked_for_every_part_of_every_request(database, journeys):
    with misbehaving(lambda number, conversions: "400") as (url, api):
        stopped, _ = ask(database, url, journeys)
    assert isinstance(stopped, OutageError)
    # The first requests in flight, the consecutive failures that end the run, and the requests in flight at that time.
    assert api.requests <= 17 + 7 + 3


def test_a_ceiling_of_requests_counts_retries_and_stops_cleanly(database, journeys):
    with misbehaving(lambda number, conversions: "503" if number == 0 else "") as (url, api):
        stopped, known = ask(database, url, journeys, calls=6)
        assert isinstance(stopped, CeilingError)
        assert api.requests == 6
        assert requests_of(database, "run")["calls"] == 6
        assert known.answers["conv_id"].nunique() == len(api.answered) > 0
        stopped, known = ask(database, url, journeys, run_id="next")
        assert stopped is None
        assert_right(known.answers, journeys)
        assert set(api.answered.values()) == {1}


def test_the_key_is_in_the_header_alone(database, journeys):
    with (
        misbehaving(lambda number, conversions: "echo" if number else "") as (url, api),
        pytest.raises(ApiKeyError) as error,
    ):
        ask(database, url, journeys, workers=1)
    assert api.headers[0]["x-api-key"] == KEY
    assert not [path for path in api.paths if KEY in path]
    assert KEY not in str(error.value)
    assert len(str(error.value)) < 400
    assert "\x1b" not in str(error.value)
    assert KEY.encode() not in database.file.read_bytes()
