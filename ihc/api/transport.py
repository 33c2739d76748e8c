"""One request over HTTP that ends: in time, however the server sends, and within a size, packed and unpacked.

Each read of a socket has a time-out of its own, but http.client reads head, chunk sizes and trailers for as long as
something comes. So a timer shuts the socket down when the whole request's time is up.
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
    "The API's answer cannot be decoded: its body is not one whole gzip stream, the only form that was asked for."
)


class BoundedSession(requests.Session):
    """The connection of one thread: it stays open, follows no redirect, and takes at most `seconds` a request."""

    def __init__(self, seconds: float, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._seconds, self._breaker = seconds, _Breaker()
        self.headers.update({"Accept-Encoding": "gzip", **headers})
        self.auth = _no_other_credentials
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(self._breaker))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is none: requests would read the body whole, and fail over a target that is no address."""

    def ask(self, url: str, body: bytes, parameters: Mapping[str, str]) -> tuple[requests.Response, bytes]:
        """Send a POST request; its answer, and the body of that.

        Raises DeadlineError, AnswerSizeError, UnansweredError for a body that cannot be unpacked, and what requests
        and urllib3 raise.
        """
        options: dict[str, Any] = {"params": parameters, "allow_redirects": False, "stream": True}
        options["timeout"] = (min(CONNECT_SECONDS, self._seconds), READ_SECONDS)
        if is_loopback(url):
            # A proxy of the environment is for other machines; it would get the key of a server on this one.
            options["proxies"] = {"no_proxy": urlsplit(url).hostname}
        with self._breaker.within(self._seconds), self.post(url, data=body, **options) as response:
            return response, _content(response)


def _no_other_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a password that it finds in ~/.netrc."""
    return request


class _Breaker:
    """Shuts the socket of a request down when its time is up.

    It knows no session: urllib3 keeps connections until the session's pool is collected, and they know this.
    """

    def __init__(self) -> None:
        self._is_over = False
        self._socket: socket.socket | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Raise DeadlineError where the time is up, whatever became of the request then."""
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
            timer.join()  # else it could end the next request
        if self._is_over:
            raise DeadlineError(
                f"The API sent no whole answer within {seconds:g} s, the limit of IHC_REQUEST_SECONDS."
            ) from None

    def hold(self, connected: Any) -> None:
        """Take a connected socket. One that is encrypted inside of an encrypted one is no socket, but has the other."""
        self._socket = getattr(connected, "socket", connected)
        if self._is_over:
            self._shut()

    def _end(self) -> None:
        self._is_over = True
        self._shut()

    def _shut(self) -> None:
        # Not closed, as another thread reads it; that one then finds the end of what was sent.
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Makes connections that hand over each socket when it is connected."""

    def __init__(self, breaker: _Breaker) -> None:
        super().__init__()
        self._breaker = breaker

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if not issubclass(pool.ConnectionCls, _Held):
            pool.ConnectionCls = type("Held", (_Held, pool.ConnectionCls), {"breaker": self._breaker})
        return pool


class _Held:
    """What a class of urllib3's connections gets in addition."""

    breaker: _Breaker
    sock: Any

    def _tunnel(self) -> None:
        self.breaker.hold(self.sock)  # a proxy answers before `connect` is done
        super()._tunnel()  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.breaker.hold(self.sock)  # by now another object, if it is encrypted


def _content(response: requests.Response) -> bytes:
    """Read a body up to the size that is allowed, packed and unpacked."""
    unpacker = _unpacker(response.headers.get("Content-Encoding", ""))
    came, content = 0, bytearray()
    # read1 gives what has come, where iter_content would wait for a whole chunk, however slowly it trickles in.
    while chunk := response.raw.read1(AT_ONCE, decode_content=False):
        came += len(chunk)
        content += _unpacked(unpacker, chunk, LARGEST_ANSWER + 1 - len(content)) if unpacker else chunk
        if max(came, len(content)) > LARGEST_ANSWER:
            raise AnswerSizeError(f"The API's answer is larger than {LARGEST_ANSWER / 2**20:,.0f} MB.")
    if unpacker and came and not unpacker.eof:
        raise UnansweredError(UNREADABLE)
    return bytes(content)


def _unpacker(encoding: str) -> Any:
    """What unpacks a body of this Content-Encoding; None where it is not packed."""
    if encoding.strip().lower() in ("", "identity"):
        return None
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise UnansweredError(UNREADABLE)
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _unpacked(unpacker: Any, chunk: bytes, most: int) -> bytes:
    """Unpack at most so many bytes. A second member is refused: empty ones may follow each other without end."""
    if unpacker.eof:
        raise UnansweredError(UNREADABLE)
    try:
        found: bytes = unpacker.decompress(chunk, most)
    except zlib.error:
        raise UnansweredError(UNREADABLE) from None
    if unpacker.unused_data:
        raise UnansweredError(UNREADABLE)
    return found
