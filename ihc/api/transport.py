"""HTTP POST with a hard deadline and a size limit, compressed and decompressed.

Each socket read has a timeout, but http.client keeps reading headers, chunk sizes and trailers as long as data arrives.
A timer therefore shuts the socket down when the time of the whole request is up.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from ihc.api.account import is_loopback
from ihc.errors import AnswerSizeError, DeadlineError, UnansweredError

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
LARGEST_ANSWER = 64 * 1024 * 1024  # [bytes]
AT_ONCE = 65_536  # [bytes]
UNREADABLE = (
    "The API's response cannot be decoded: its body is not one complete gzip stream, the only encoding accepted."
)


class BoundedSession(requests.Session):
    """The connection of one thread: kept open, follows no redirect, takes at most `seconds` per request."""

    def __init__(self, seconds: float, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._seconds, self._breaker = seconds, _Breaker()
        self.headers.update({"Accept-Encoding": "gzip", **headers})
        self.auth = _no_other_credentials
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(self._breaker))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read the whole body and fail on a target that is no URL."""

    def ask(self, url: str, body: bytes, parameters: Mapping[str, str]) -> tuple[requests.Response, bytes]:
        """Send a POST request and return the response and its body.

        Raises DeadlineError, AnswerSizeError, UnansweredError for a body that cannot be decompressed, and the errors
        of requests and urllib3.
        """
        options: dict[str, Any] = {"params": parameters, "allow_redirects": False, "stream": True}
        options["timeout"] = (min(CONNECT_SECONDS, self._seconds), READ_SECONDS)
        if is_loopback(url):
            # A proxy set in the environment is for remote hosts; it would receive the key of a local server.
            options["proxies"] = {"no_proxy": urlsplit(url).hostname}
        with self._breaker.within(self._seconds), self.post(url, data=body, **options) as response:
            return response, _content(response)


def _no_other_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stop requests from adding a password from ~/.netrc."""
    return request


class _Breaker:
    """Shuts down the socket of a request when its time is up.

    It holds no reference to the session: connections refer to it, and urllib3 keeps them until the session's pool is
    garbage-collected.
    """

    def __init__(self) -> None:
        self._is_over = False
        self._socket: socket.socket | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Raise DeadlineError when the time is up, in place of the error that the shutdown causes in the request."""
        self._is_over = False
        timer = Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if not self._is_over:
                raise
        finally:
            timer.cancel()
            timer.join()  # otherwise it could end the next request
        if self._is_over:
            raise DeadlineError(
                f"The API sent no complete response within {seconds:g} s, the limit of IHC_REQUEST_SECONDS."
            ) from None

    def hold(self, connected: Any) -> None:
        """Keep a connected socket. TLS inside TLS is a wrapper object that holds the outer socket."""
        self._socket = getattr(connected, "socket", connected)
        if self._is_over:
            self._shut()

    def _end(self) -> None:
        self._is_over = True
        self._shut()

    def _shut(self) -> None:
        # Shut down, not closed: another thread is reading it and then sees the end of the stream.
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Makes connections that pass each connected socket to the breaker."""

    def __init__(self, breaker: _Breaker) -> None:
        super().__init__()
        self._breaker = breaker

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if not issubclass(pool.ConnectionCls, _Held):
            pool.ConnectionCls = type("Held", (_Held, pool.ConnectionCls), {"breaker": self._breaker})
        return pool


class _Held:
    """Mixin for urllib3's connection classes."""

    breaker: _Breaker
    sock: Any

    def _tunnel(self) -> None:
        self.breaker.hold(self.sock)  # a proxy answers before `connect` returns
        super()._tunnel()  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.breaker.hold(self.sock)  # a different object than above, if it is encrypted


def _content(response: requests.Response) -> bytes:
    """Read a body up to the size limit, compressed and decompressed."""
    decompressor = _decompressor(response.headers.get("Content-Encoding", ""))
    received, content = 0, bytearray()
    # read1 returns the data received so far; iter_content would wait for a whole chunk, however slowly it arrives.
    while chunk := response.raw.read1(AT_ONCE, decode_content=False):
        received += len(chunk)
        content += _decompressed(decompressor, chunk, LARGEST_ANSWER + 1 - len(content)) if decompressor else chunk
        if max(received, len(content)) > LARGEST_ANSWER:
            raise AnswerSizeError(f"The API's response is larger than {LARGEST_ANSWER / 2**20:,.0f} MB.")
    if decompressor and received and not decompressor.eof:
        raise UnansweredError(UNREADABLE)
    return bytes(content)


def _decompressor(encoding: str) -> Any:
    """The decompressor for this Content-Encoding; None if the body is not compressed."""
    if encoding.strip().lower() in ("", "identity"):
        return None
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise UnansweredError(UNREADABLE)
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _decompressed(decompressor: Any, chunk: bytes, most: int) -> bytes:
    """Decompress at most `most` bytes. A second gzip member is refused: empty members could follow without end."""
    if decompressor.eof:
        raise UnansweredError(UNREADABLE)
    try:
        found: bytes = decompressor.decompress(chunk, most)
    except zlib.error:
        raise UnansweredError(UNREADABLE) from None
    if decompressor.unused_data:
        raise UnansweredError(UNREADABLE)
    return found
