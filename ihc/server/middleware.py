"""Middleware: request log, authentication, rate limit and body size limit.

The log contains neither keys nor request content, only counts and the server's own paths.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Annotated, Any, cast

from fastapi import HTTPException, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGGER = logging.getLogger("ihc.server.app")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CLIENT_GONE = 499  # nginx's status for a closed connection; only used in the log
FAILED = "Server error; details are in the server log. Try again, or contact the operator."
SENTENCES = {
    404: "Not found; see /openapi.json for the available paths.",
    405: "Method not allowed; see /openapi.json for the available methods.",
}
KEY = APIKeyHeader(name="x-api-key", auto_error=False, description="One of the keys in `IHC_SERVER_KEYS`.")
Dependency = Callable[..., Awaitable[None]]


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error response: the status, and a message that says what to do."""
    return JSONResponse({"statusCode": status, "message": message}, status, headers)


async def refuse(_request: Request, error: Exception) -> Response:
    """Convert any HTTPException to an error response."""
    refused = cast(AnyHTTPException, error)
    message = SENTENCES.get(refused.status_code, refused.detail)
    return refusal(refused.status_code, message, dict(refused.headers or {}))


async def read_body(request: Request, most: int) -> bytes:
    """Read a body of at most `most` bytes; reject it by Content-Length, or as soon as it exceeds the limit."""
    over = HTTPException(413, f"The body exceeds the limit of {most:,} bytes; send fewer sessions per request.")
    if int(request.headers.get("content-length", "0")) > most:
        raise over
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise over
    return bytes(body)


class RequestLog:
    """Log each request as one line of JSON, and answer 500 if the application fails."""

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self.app, self.paths = app, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, then log it with the counts that the handler left in `scope["state"]`."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        entry: dict[str, Any] = {"status": CLIENT_GONE}

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except ClientDisconnect:
            pass
        except Exception as error:
            entry |= {"status": 500, "error": type(error).__name__, "where": _where(error)}
            await refusal(500, FAILED)(scope, receive, send)
        finally:
            self._log(scope, entry, milliseconds=1000 * (time.perf_counter() - start))

    def _log(self, scope: Scope, entry: dict[str, Any], milliseconds: float) -> None:
        state = scope.get("state", {})
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": scope["method"] if scope["method"] in METHODS else "other",
            "path": scope["path"] if scope["path"] in self.paths else "other",
            "milliseconds": round(milliseconds, 1),
            "journeys": state.get("journeys", 0),
            "sessions": state.get("sessions", 0),
        }
        LOGGER.log(logging.ERROR if entry["status"] == 500 else logging.INFO, json.dumps(line | entry))


def _where(error: Exception) -> str:
    """The last three code locations of an exception, without its message, which may quote the request."""
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)[-3:])


def log_to_stderr() -> None:
    """Write log lines to stderr unformatted."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def access_check(keys: Sequence[str], requests_per_minute: int) -> Dependency:
    """FastAPI dependency: check the key and limit the rate per key; without `keys`, limit the rate per client address.

    Requests are counted in memory, separately in each gunicorn worker.
    """
    limiter = MovingWindowRateLimiter(MemoryStorage())
    rate = RateLimitItemPerMinute(requests_per_minute)
    known = [key.encode() for key in keys]

    def count(who: str) -> None:
        if not limiter.hit(rate, who):
            wait = max(1, math.ceil(limiter.get_window_stats(rate, who).reset_time - time.time()))
            message = f"More than {requests_per_minute:,} requests per minute; try again in {wait} s."
            raise HTTPException(429, message, {"Retry-After": str(wait)})

    async def by_key(key: Annotated[str | None, Security(KEY)] = None) -> None:
        number = _number_of((key or "").encode("latin-1"), known)
        if number is None:
            raise HTTPException(403, "The header x-api-key is missing or contains an unknown key.")
        count(f"key {number}")

    async def by_address(request: Request) -> None:
        count(f"address {request.client.host if request.client else ''}")

    return by_key if known else by_address


def _number_of(key: bytes, known: Sequence[bytes]) -> int | None:
    """The index of the matching key, compared in constant time."""
    matches = [hmac.compare_digest(key, each) for each in known]
    return matches.index(True) if True in matches else None
