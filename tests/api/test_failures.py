from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, ProtocolError

from ihc.api.failures import LONGEST_WAIT, may_pass, of_connection, of_status
from ihc.errors import (
    ApiAddressError,
    ApiKeyError,
    ConversionTypeError,
    OutageError,
    QuotaError,
    RequestRefusedError,
    TooLargeError,
    UnansweredError,
    UnreachableError,
)

WHERE = "https://api.example.com/v1"


def wait_for(retry_after, status=503):
    """Wait before the next attempt [s]; None if the API did not specify one."""
    return of_status(status, "", {"Retry-After": retry_after}).wait


def from_now(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def assert_is(failure, error, says, *, passes):
    with pytest.raises(error, match=says):
        raise failure
    assert type(failure) is error
    assert may_pass(failure) is passes


@pytest.mark.parametrize("status", [429, 408, 425, 500, 502, 503, 504, 529, 599, 0, 100, 200, 204, 299])
def test_transient_failures_are_retried(status):
    error = QuotaError if status == 429 else UnansweredError
    says = "quota or rate limit is reached .*IHC_REQUESTS_PER_SECOND" if status == 429 else "failed to answer"
    failure = of_status(status, "said so", {})
    assert_is(failure, error, says, passes=True)
    assert f"({status}: said so)" in str(failure)
    assert failure.wait is None


@pytest.mark.parametrize(
    ("status", "said", "error", "says"),
    [
        (301, "moved", ApiAddressError, "redirects .* set IHC_API_URL to the final URL"),
        (308, "moved", ApiAddressError, "redirects .* set IHC_API_URL to the final URL"),
        (401, "", ApiKeyError, r"rejected the key \(401\): check IHC_API_KEY"),
        (403, "Forbidden", ApiKeyError, r"rejected the key \(403: Forbidden\): check IHC_API_KEY"),
        (404, "Not Found", ApiAddressError, "not found at this URL .* check IHC_API_URL"),
        (404, "No such conversion type", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (400, "Unknown conv_type_id", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (422, "Conv Type?", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (413, "", TooLargeError, "exceeds a limit of the account .* check IHC_MAX_SESSIONS"),
        (400, "Too many sessions", TooLargeError, "check IHC_MAX_SESSIONS"),
        (400, "The LIMIT of 200 sessions", TooLargeError, "check IHC_MAX_SESSIONS"),
        (422, "exceeds 100 journeys", TooLargeError, "check IHC_MAX_SESSIONS"),
        (400, "what?", RequestRefusedError, r"rejected the request \(400: what\?\)"),
        (402, "what?", RequestRefusedError, "rejected the request"),
        (422, "what?", RequestRefusedError, "rejected the request"),
    ],
)
def test_permanent_failures_say_what_to_do(status, said, error, says):
    assert_is(of_status(status, said, {"Retry-After": "1"}), error, says, passes=False)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("0", 0), ("2", 2), ("1.5", 1.5), (" 3 ", 3), ("120", 120), ("-5", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_seconds_to_wait_may_be_fractional_and_are_never_negative(retry_after, seconds):
    assert wait_for(retry_after) == wait_for(retry_after, 429) == seconds


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("GMT", 0), ("+0000", 0), ("-0000", 0), ("+0200", 2), ("-0530", -5.5)],  # -0000, an unknown zone, counts as UTC
)
def test_a_date_to_wait_for_is_that_many_seconds_away(zone, hours):
    assert 50 < wait_for(from_now(60 + hours * 3600).replace("GMT", zone)) <= 60


@pytest.mark.parametrize("garbage", ["", "soon", "nan", "1, 2", "1 s", "Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 99 Foo"])
def test_an_invalid_retry_after_is_ignored(garbage):
    assert wait_for(garbage) is None


@FIXED
@given(st.text(alphabet="0123456789:,.+- GMTJanWed", max_size=40))
def test_no_text_in_retry_after_breaks_anything(text):
    failure = of_status(503, "", {"Retry-After": text})
    assert may_pass(failure) is (failure.wait is None or 0 <= failure.wait <= LONGEST_WAIT)


@pytest.mark.parametrize(
    "retry_after", ["120.1", "86400", "inf", "1e300", pytest.param(from_now(3600), id="in an hour")]
)
def test_an_api_that_asks_for_a_longer_wait_than_two_minutes_ends_the_run(retry_after):
    headers = {"Retry-After": retry_after}
    assert_is(of_status(429, "", headers), QuotaError, "Run the same command again later", passes=False)
    says = r"asks to wait .* seconds \(503: tired\): run the same command then"
    assert_is(of_status(503, "tired", headers), OutageError, says, passes=False)


def unreachable(kind=requests.ConnectionError):
    return kind(MaxRetryError(None, "/v1", OSError("Name or service not known")))


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (unreachable(), UnreachableError, f"No connection to {WHERE}: check the network"),
        (unreachable(requests.exceptions.ProxyError), UnreachableError, f"No connection to {WHERE}"),
        (unreachable(requests.exceptions.SSLError), UnreachableError, f"No connection to {WHERE}"),
        (requests.ConnectTimeout(), UnreachableError, f"No connection to {WHERE}"),
        (requests.ConnectionError(ProtocolError("aborted")), UnansweredError, f"{WHERE} was lost or timed out"),
        (requests.ConnectionError(), UnansweredError, "was lost or timed out"),
        (requests.ReadTimeout(), UnansweredError, "was lost or timed out"),
        (ProtocolError("broken"), UnansweredError, "was lost or timed out"),
    ],
)
def test_a_connection_that_fails_is_tried_again(error, kind, says):
    assert_is(of_connection(error, WHERE), kind, says, passes=True)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED]"),
            f"certificate of {WHERE} .*REQUESTS_CA_BUND",
        ),
        (
            requests.exceptions.InvalidURL("s3cret"),
            rf"request to {WHERE} is not possible \(InvalidURL\): check IHC_API_URL",
        ),
        (requests.exceptions.InvalidHeader("s3cret"), rf"request to {WHERE} is not possible \(InvalidHeader\)"),
    ],
)
def test_an_impossible_connection_is_not_retried_and_its_message_is_not_repeated(error, says):
    failure = of_connection(error, WHERE)
    assert_is(failure, ApiAddressError, says, passes=False)
    assert "s3cret" not in str(failure)
