"""Map HTTP failures to retries and errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.exceptions import TimeoutError as ConnectionTimeoutError

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

LONGEST_WAIT = 120.0  # [s]; a longer Retry-After ends the run


PASSING = (QuotaError, UnansweredError, UnreachableError)


def may_pass(error: BaseException) -> bool:
    """Whether a failure is transient and worth a retry."""
    return isinstance(error, PASSING) and (error.wait or 0) <= LONGEST_WAIT


def of_connection(error: requests.RequestException | HTTPError, where: str) -> ApiError:
    """The error for a failed connection to the URL `where`."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ApiAddressError(
            f"The certificate of {where} is not trusted, so the key was not sent. Check IHC_API_URL; behind a "
            "company proxy, set REQUESTS_CA_BUNDLE to its certificates."
        )
    is_unreachable = isinstance(error, requests.ConnectTimeout) or (
        isinstance(error, requests.ConnectionError) and error.args and isinstance(error.args[0], MaxRetryError)
    )
    if is_unreachable:
        return UnreachableError(f"No connection to {where}: check the network and IHC_API_URL, and run again.")
    if isinstance(error, requests.ConnectionError | requests.Timeout | ProtocolError | ConnectionTimeoutError):
        return UnansweredError(f"The connection to {where} was lost or timed out before the response was complete.")
    return ApiAddressError(f"A request to {where} is not possible ({type(error).__name__}): check IHC_API_URL.")


def of_status(status: int, said: str, headers: Mapping[str, str]) -> ApiError:
    """The error for a response without values; its message says what to do."""
    text = f"{status}: {said}" if said else str(status)
    if status in (408, 425, 429) or status >= 500 or status < 300:
        return _passing(status, text, _retry_after(headers.get("Retry-After")))
    if status < 400:
        return ApiAddressError(
            f"The API's URL redirects ({text}), and the key is not sent on: set IHC_API_URL to the final URL."
        )
    if status in (401, 403):
        return ApiKeyError(f"The API rejected the key ({text}): check IHC_API_KEY in the environment or in .env.")
    return _of_request(status, text, said.lower())


def _of_request(status: int, text: str, said: str) -> ApiError:
    if any(words in said for words in ("conversion type", "conv_type", "conv type")):
        return ConversionTypeError(
            f"The API does not know the conversion type ({text}): check --conv-type-id or IHC_CONV_TYPE_ID."
        )
    if status == 404:
        return ApiAddressError(f"The API was not found at this URL ({text}): check IHC_API_URL.")
    is_limit = any(word in said for word in ("limit", "too many", "too large", "maximum", "exceed"))
    if status == 413 or (
        is_limit and any(word in said for word in ("session", "journey", "body", "payload", "request"))
    ):
        return TooLargeError(f"The request exceeds a limit of the account ({text}): check IHC_MAX_SESSIONS.")
    return RequestRefusedError(f"The API rejected the request ({text}).")


def _passing(status: int, text: str, wait: float | None) -> ApiError:
    error: ApiError
    if status == 429:
        error = QuotaError(
            f"The account's quota or rate limit is reached ({text}). Run the same command again later; "
            "IHC_REQUESTS_PER_SECOND limits the rate."
        )
    elif wait is not None and wait > LONGEST_WAIT:
        error = OutageError(f"The API asks to wait {wait:,.0f} seconds ({text}): run the same command then.")
    else:
        error = UnansweredError(f"The API failed to answer ({text}).")
    error.wait = wait
    return error


def _retry_after(text: str | None) -> float | None:
    """Parse Retry-After, in seconds or as a date (RFC 9110, 10.2.3), to seconds; None if it is invalid."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else max(0.0, seconds)
