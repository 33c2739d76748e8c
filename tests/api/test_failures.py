from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, ProtocolError

from ihc.api.failures import LONGEST_WAIT, Retry, of_connection, of_status
from ihc.errors import (
    ApiAddressError,
    ApiError,
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
    """How long to wait before the next try [s], None where the API did not say."""
    failure = of_status(status, "", {"Retry-After": retry_after})
    assert isinstance(failure, Retry)
    return failure.wait


def from_now(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (429, QuotaError, "may not ask more for now .*IHC_REQUESTS_PER_SECOND"),
        *[(status, UnansweredError, "failed to answer") for status in (408, 425, 500, 501, 502, 503, 504, 529, 599)],
        *[(status, UnansweredError, "failed to answer") for status in (0, 100, 200, 201, 204, 299)],
    ],
)
def test_what_may_pass_is_tried_again(status, error, says):
    failure = of_status(status, "said so", {})
    assert isinstance(failure, Retry)
    assert failure.wait is None
    with pytest.raises(error, match=says) as final:
        raise failure.final
    assert f"({status}: said so)" in str(final.value)
    assert str(failure) == str(final.value)


@pytest.mark.parametrize(
    ("status", "said", "error", "says"),
    [
        *[
            (status, "moved", ApiAddressError, "redirects .* put the final one in IHC_API_URL")
            for status in range(300, 309)
        ],
        (401, "", ApiKeyError, "does not take the key .* check IHC_API_KEY"),
        (403, "Forbidden", ApiKeyError, "does not take the key .* check IHC_API_KEY"),
        (404, "Not Found", ApiAddressError, "not at this address .* check IHC_API_URL"),
        (404, "No such conversion type", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (400, "Unknown conv_type_id", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (400, "The Conversion Type is unknown", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (422, "conv type?", ConversionTypeError, "check --conv-type-id or IHC_CONV_TYPE_ID"),
        (413, "", TooLargeError, "over a limit of the account .* check IHC_MAX_SESSIONS"),
        (413, "Request Too Long", TooLargeError, "check IHC_MAX_SESSIONS"),
        (400, "Too many sessions", TooLargeError, "check IHC_MAX_SESSIONS"),
        (400, "The LIMIT of 200 sessions", TooLargeError, "check IHC_MAX_SESSIONS"),
        (422, "exceeds 100 journeys", TooLargeError, "check IHC_MAX_SESSIONS"),
        *[
            (status, "what?", RequestRefusedError, "refuses what it is asked")
            for status in (400, 402, 405, 409, 415, 422)
        ],
    ],
)
def test_what_will_not_pass_is_the_error_that_says_what_to_do(status, said, error, says):
    failure = of_status(status, said, {"Retry-After": "1"})
    with pytest.raises(error, match=says) as raised:
        raise failure
    assert type(raised.value) is error
    assert f"({status}: {said})" in str(raised.value) if said else f"({status})" in str(raised.value)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("0", 0), ("2", 2), ("1.5", 1.5), (" 3 ", 3), ("120", 120), ("-5", 0), ("-0.1", 0), ("1e1", 10)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_seconds_to_wait_may_be_fractional_and_are_never_negative(status, retry_after, seconds):
    assert wait_for(retry_after, status) == seconds


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("GMT", 0), ("+0000", 0), ("-0000", 0), ("+0200", 2), ("-0530", -5.5)],  # -0000, not known, is taken as UTC
)
def test_a_date_to_wait_for_is_that_many_seconds_away(zone, hours):
    assert 50 < wait_for(from_now(60 + hours * 3600).replace("GMT", zone)) <= 60


def test_a_date_in_the_past_is_now():
    assert wait_for("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "soon",
        "nan",
        "1, 2",
        "1 s",
        "0x10",
        "tomorrow at noon",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 99 Foo 1",
    ],
)
def test_what_is_neither_seconds_nor_a_date_is_as_if_it_were_not_there(garbage):
    assert wait_for(garbage) is None


@FIXED
@given(st.text(alphabet="0123456789:,.+- GMTJanWed", max_size=40))
def test_no_text_in_retry_after_breaks_anything(text):
    failure = of_status(503, "", {"Retry-After": text})
    wait = failure.wait if isinstance(failure, Retry) else None
    assert wait is None or 0 <= wait <= LONGEST_WAIT
    assert isinstance(failure, Retry | OutageError)


@pytest.mark.parametrize("retry_after", ["120.1", "86400", "inf", "1e300", "in an hour"])
def test_an_api_that_asks_for_a_longer_wait_ends_the_run(retry_after):
    assert LONGEST_WAIT == 120
    headers = {"Retry-After": from_now(3600) if retry_after == "in an hour" else retry_after}
    with pytest.raises(QuotaError, match="Run the same command again later"):
        raise of_status(429, "", headers)
    with pytest.raises(OutageError, match=r"asks to come back in .* seconds \(503: tired\): run the same command then"):
        raise of_status(503, "tired", headers)


def unreachable(kind=requests.ConnectionError):
    return kind(MaxRetryError(None, "/v1", OSError("Name or service not known")))


@pytest.mark.parametrize(
    ("error", "final", "says"),
    [
        (unreachable(), UnreachableError, f"No connection to {WHERE}: check the network"),
        (unreachable(requests.exceptions.ProxyError), UnreachableError, f"No connection to {WHERE}"),
        (unreachable(requests.exceptions.SSLError), UnreachableError, f"No connection to {WHERE}"),
        (requests.ConnectTimeout(), UnreachableError, f"No connection to {WHERE}"),
        (requests.ConnectionError(ProtocolError("aborted")), UnansweredError, f"{WHERE} broke off or timed out"),
        (requests.ConnectionError(), UnansweredError, "broke off or timed out"),
        (requests.ReadTimeout(), UnansweredError, "broke off or timed out"),
        (ProtocolError("broken"), UnansweredError, "broke off or timed out"),
    ],
)
def test_a_connection_that_fails_is_tried_again(error, final, says):
    failure = of_connection(error, WHERE)
    assert isinstance(failure, Retry)
    assert failure.wait is None
    with pytest.raises(final, match=says):
        raise failure.final


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "certificate .* REQUESTS_CA_BUNDLE"),
        (requests.exceptions.InvalidURL("s3cret"), r"cannot be asked at .* \(InvalidURL\): check IHC_API_URL"),
        (requests.exceptions.InvalidHeader("s3cret"), r"cannot be asked at .* \(InvalidHeader\)"),
        (requests.exceptions.InvalidProxyURL("s3cret"), r"cannot be asked at .* \(InvalidProxyURL\)"),
    ],
)
def test_a_connection_that_cannot_be_is_not_tried_again_and_its_words_are_not_repeated(error, says):
    failure = of_connection(error, WHERE)
    assert isinstance(failure, ApiError)
    with pytest.raises(ApiAddressError, match=says) as raised:
        raise failure
    assert WHERE in str(raised.value)
    assert "s3cret" not in str(raised.value)
