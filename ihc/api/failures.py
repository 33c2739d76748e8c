"""Map failures of HTTP to errors that say what to do, and tell which of them are worth another try."""

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

LONGEST_WAIT = 120.0  # [s] an API that asks for a longer pause ends the run instead


PASSING = (QuotaError, UnansweredError, UnreachableError)


def may_pass(error: BaseException) -> bool:
    """Whether a failure is worth another try."""
    return isinstance(error, PASSING) and (error.wait or 0) <= LONGEST_WAIT


def of_connection(error: requests.RequestException | HTTPError, where: str) -> ApiError:
    """What a connection to the address `where` that failed means."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ApiAddressError(
            f"The certificate of {where} cannot be trusted, so the key was not sent. Check IHC_API_URL; behind a "
            "company's proxy, name its certificates in REQUESTS_CA_BUNDLE."
        )
    is_unreachable = isinstance(error, requests.ConnectTimeout) or (
        isinstance(error, requests.ConnectionError) and error.args and isinstance(error.args[0], MaxRetryError)
    )
    if is_unreachable:
        return UnreachableError(f"No connection to {where}: check the network and IHC_API_URL, and run again.")
    if isinstance(error, requests.ConnectionError | requests.Timeout | ProtocolError | ConnectionTimeoutError):
        return UnansweredError(f"The connection to {where} broke off or timed out before the answer was whole.")
    return ApiAddressError(f"The API cannot be asked at {where} ({type(error).__name__}): check IHC_API_URL.")


def of_status(status: int, said: str, headers: Mapping[str, str]) -> ApiError:
    """What an answer without values means; the error says what to do."""
    text = f"{status}: {said}" if said else str(status)
    if status in (408, 425, 429) or status >= 500 or status < 300:
        return _passing(status, text, _retry_after(headers.get("Retry-After")))
    if status < 400:
        return ApiAddressError(
            f"The API's address redirects ({text}), and the key does not follow: put the final one in IHC_API_URL."
        )
    if status in (401, 403):
        return ApiKeyError(f"The API does not take the key ({text}): check IHC_API_KEY in the environment or in .env.")
    return _of_request(status, text, said.lower())


def _of_request(status: int, text: str, said: str) -> ApiError:
    if any(words in said for words in ("conversion type", "conv_type", "conv type")):
        return ConversionTypeError(
            f"The API does not know the conversion type ({text}): check --conv-type-id or IHC_CONV_TYPE_ID."
        )
    if status == 404:
        return ApiAddressError(f"The API is not at this address ({text}): check IHC_API_URL.")
    is_limit = any(word in said for word in ("limit", "too many", "too large", "maximum", "exceed"))
    if status == 413 or (
        is_limit and any(word in said for word in ("session", "journey", "body", "payload", "request"))
    ):
        return TooLargeError(f"The request is over a limit of the account ({text}): check IHC_MAX_SESSIONS.")
    return RequestRefusedError(f"The API refuses what it is asked ({text}).")


def _passing(status: int, text: str, wait: float | None) -> ApiError:
    error: ApiError
    if status == 429:
        error = QuotaError(
            f"The account may not ask more for now ({text}): its quota is used up or its rate is too high. Run the "
            "same command again later; IHC_REQUESTS_PER_SECOND slows it down."
        )
    elif wait is not None and wait > LONGEST_WAIT:
        error = OutageError(f"The API asks to come back in {wait:,.0f} seconds ({text}): run the same command then.")
    else:
        error = UnansweredError(f"The API failed to answer ({text}).")
    error.wait = wait
    return error


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110, 10.2.3); None where it is neither."""
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
