"""Servers that would block a client forever, over real sockets: each request ends in a named error."""

import gc
import gzip
import json
import socket
import ssl
import time
import zlib
from contextlib import suppress
from functools import partial
from threading import Event, Thread

import pytest
import trustme
from helpers.answering import answering, http
from helpers.frames import journey

from ihc.api.account import ApiAccount
from ihc.api.batching import request_body
from ihc.api.client import Budget, Client
from ihc.errors import AnswerSizeError, ApiAddressError, DeadlineError, UnansweredError

pytestmark = pytest.mark.timeout(60)
BODY = request_body(journey((0, "Search", 1, 1)))
GOOD = {
    "value": [
        dict(zip(("conversion_id", "session_id", "initializer", "holder", "closer", "ihc"), "ks1010", strict=True))
    ]
}
OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
EMPTY_MEMBER = gzip.compress(b"")
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # a deflate block: stored, not final, 0 bytes
SECONDS = 0.3


def make_client(url, seconds=SECONDS, retries=0):
    return Client(ApiAccount(url, "k3y", "a type"), Budget(None, retries), seconds=seconds, sleep=lambda seconds: None)


def ask(*answers, attempts=1, retries=0, **options):
    with answering(*answers) as (url, server):
        return make_client(url, retries=retries, **options).ask(BODY, attempts), server


def endlessly(begin, again, pause=0.0):
    """Send `begin` and then `again` repeatedly until the client disconnects."""

    def send(connection):
        connection.sendall(begin)
        while True:
            connection.sendall(again)
            time.sleep(pause)

    return send


FLOODS = {
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: b\r\n" * 1000),
    "chunk extensions": (CHUNKED, b"1;" + b"x" * 60_000 + b"\r\n \r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" * 100),
}
TRICKLES = {
    "status line": (b"", b"H"),
    "header line": (OK + b"A: ", b"b"),
    "header lines": (OK, b"A: b\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body to the end": (OK + b"\r\n", b" "),
    "body of a length": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "chunk extension": (CHUNKED + b"1;", b"x"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: b\r\n"),
    "gzip": (GZIP + gzip.compress(b"")[:10], EMPTY_BLOCK),
    "error": (b"HTTP/1.1 503 X\r\n\r\n", b" "),
    "redirect": (b"HTTP/1.1 301 X\r\nLocation: /\r\nContent-Length: 100000\r\n\r\n", b" "),
}


@pytest.mark.parametrize(("begin", "again"), FLOODS.values(), ids=FLOODS)
def test_an_answer_that_floods_without_end_is_over_at_the_deadline(begin, again):
    with pytest.raises(
        DeadlineError, match=r"sent no complete response within 0\.3 s, the limit of IHC_REQUEST_SECONDS"
    ):
        ask(endlessly(begin, again))


@pytest.mark.parametrize(("begin", "again"), TRICKLES.values(), ids=TRICKLES)
def test_an_answer_that_trickles_in_is_over_at_the_deadline(begin, again):
    with pytest.raises(DeadlineError, match=r"sent no complete response within 0\.3 s"):
        ask(endlessly(begin, again, pause=0.02))


@pytest.mark.parametrize("begin", [b"", OK + b"Content-Length: 100\r\n\r\n{"], ids=["head", "body"])
def test_an_answer_that_does_not_come_is_over_at_the_deadline(begin):
    with pytest.raises(DeadlineError):
        ask(lambda connection: (connection.sendall(begin), connection.recv(1)), seconds=0.3)


@pytest.mark.parametrize("begin", [b"", OK + b"Content-Length: 100\r\n\r\n{"], ids=["head", "body"])
def test_a_silence_ends_a_request_before_its_deadline(begin, monkeypatch):
    monkeypatch.setattr("ihc.api.transport.READ_SECONDS", 0.2)
    with pytest.raises(UnansweredError, match="was lost or timed out"):
        ask(lambda connection: (connection.sendall(begin), connection.recv(1)), seconds=30)


def test_a_deadline_is_tried_again_over_another_connection_as_often_as_any_failure():
    hostile = endlessly(*TRICKLES["trailers"], pause=0.02)
    answer, server = ask(hostile, http(200, GOOD), attempts=5, retries=5, seconds=2)
    assert (answer.calls, server.connections) == (2, 2)
    with pytest.raises(DeadlineError) as error:
        ask(hostile, attempts=5, retries=2, seconds=0.1)
    assert error.value.calls == 3


def test_a_connection_that_stays_open_serves_requests_beyond_the_deadline_of_the_first():
    def both(connection):
        kept = http(200, GOOD).replace(b"Connection: close\r\n", b"")
        connection.sendall(kept)
        for _ in range(2):
            connection.recv(65_536)
            time.sleep(0.8)
            connection.sendall(kept)

    with answering(both) as (url, server):
        client = make_client(url, seconds=1.5)
        assert [client.ask(BODY).calls for _ in range(3)] == [1, 1, 1]
    assert server.connections == 1


@pytest.fixture
def authority(tmp_path, monkeypatch):
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "api.example.com").configure_cert(context)
    return context


@pytest.mark.parametrize(("flood", "pause"), [("interim answers", 0), ("trailers", 0.02)])
def test_an_encrypted_answer_without_end_is_over_at_the_deadline(context, flood, pause):
    hostile = endlessly(*FLOODS[flood], pause=pause)
    with answering(hostile, scheme="https", context=context) as (url, _), pytest.raises(DeadlineError):
        make_client(url).ask(BODY)


def set_proxy(monkeypatch, url):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, url)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_answers_without_end_is_over_at_the_deadline(scheme, context, monkeypatch):
    encrypted = {"scheme": scheme, "context": context} if scheme == "https" else {}
    with answering(endlessly(OK, b"A: b\r\n", pause=0.02), **encrypted) as (proxy, server):
        set_proxy(monkeypatch, proxy)
        with pytest.raises(DeadlineError):
            make_client("https://api.example.com/v1", seconds=0.5).ask(BODY)
    assert server.heads[0].startswith("CONNECT api.example.com:443 ")


def relayed(port):
    """Act as a proxy: relay all bytes to and from a port of this machine."""

    def pass_on(source, target):
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)

    def answer(connection):
        connection.sendall(OK + b"\r\n")
        with socket.create_connection(("127.0.0.1", port)) as target:
            Thread(target=pass_on, args=(connection, target), daemon=True).start()
            pass_on(target, connection)

    return answer


@pytest.mark.parametrize("answer", [http(200, GOOD), endlessly(*TRICKLES["trailers"], pause=0.02)], ids=["good", "bad"])
def test_an_answer_through_an_encrypted_proxy_is_read_until_the_deadline(answer, context, monkeypatch):
    with (
        answering(answer, context=context) as (_, server),
        answering(relayed(server.port), scheme="https", context=context) as (proxy, _),
    ):
        set_proxy(monkeypatch, proxy)
        seconds = 20.0 if isinstance(answer, bytes) else 1.0
        client = make_client("https://api.example.com/v1", seconds=seconds)
        if isinstance(answer, bytes):
            assert client.ask(BODY).calls == 1
        else:
            with pytest.raises(DeadlineError):
                client.ask(BODY)


def test_connections_are_closed_with_the_client_that_made_them():
    closed = Event()

    def keep_open(connection):
        connection.sendall(http(200, GOOD).replace(b"Connection: close\r\n", b""))
        if not connection.recv(1):
            closed.set()

    with answering(keep_open) as (url, _):
        assert make_client(url).ask(BODY).calls == 1
        gc.collect()
        assert closed.wait(3)


# Size


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        pytest.param(OK + b"\r\n", b" " * 100_000, id="body to the end"),
        pytest.param(CHUNKED, b"186a0\r\n" + b" " * 100_000 + b"\r\n", id="chunks"),
        pytest.param(GZIP + EMPTY_MEMBER[:10], EMPTY_BLOCK * 20_000, id="gzip of empty blocks"),
        pytest.param(GZIP + EMPTY_MEMBER[:3] + b"\x08" + EMPTY_MEMBER[4:10], b"x" * 100_000, id="gzip of a long name"),
    ],
)
def test_a_body_over_64_mb_is_cut_off(begin, again):
    with pytest.raises(AnswerSizeError, match=r"The API's response is larger than 64 MB\.$"):
        ask(endlessly(begin, again), seconds=30)


def test_a_body_that_unpacks_to_more_than_64_mb_is_cut_off():
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(65)) + packer.flush()
    assert len(bomb) < 100_000
    with pytest.raises(AnswerSizeError, match="larger than 64 MB"):
        ask(http(200, bomb, "Content-Encoding: gzip"), seconds=30)


@pytest.mark.parametrize("pack", [bytes, partial(gzip.compress, compresslevel=1)], ids=["plain", "gzip"])
def test_an_answer_up_to_the_largest_size_is_taken(pack, monkeypatch):
    monkeypatch.setattr("ihc.api.transport.LARGEST_ANSWER", 200_000)
    headers = ["Content-Encoding: gzip"] if pack is not bytes else []
    body = json.dumps(GOOD).encode()
    assert list(ask(http(200, pack(body.ljust(200_000)), *headers))[0].values) == ["k"]
    with pytest.raises(AnswerSizeError):
        ask(http(200, pack(body.ljust(200_001)), *headers))


# Compression


WHOLE = gzip.compress(json.dumps(GOOD).encode())


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP "])
def test_a_packed_answer_is_unpacked(encoding):
    answer, server = ask(http(200, WHOLE, f"Content-Encoding: {encoding}"))
    assert list(answer.values) == ["k"]
    assert "\r\nAccept-Encoding: gzip\r\n" in server.heads[0]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"no gzip", id="no gzip"),
        pytest.param("gzip", WHOLE[:-4], id="cut off"),
        pytest.param("gzip", WHOLE + EMPTY_MEMBER, id="another member"),
        pytest.param("gzip", WHOLE + b"!", id="more behind"),
        pytest.param("br", b"{}", id="another way"),
        pytest.param("gzip, gzip", gzip.compress(WHOLE), id="twice"),
    ],
)
def test_an_answer_that_is_packed_in_another_way_cannot_be_decoded(encoding, body):
    with pytest.raises(UnansweredError, match="cannot be decoded: its body is not one complete gzip stream"):
        ask(http(200, body, f"Content-Encoding: {encoding}"))


def test_empty_members_without_end_cannot_be_decoded():
    with pytest.raises(UnansweredError, match="cannot be decoded"):
        ask(endlessly(GZIP, EMPTY_MEMBER * 1000), seconds=30)


def test_an_empty_answer_may_say_that_it_is_packed():
    with pytest.raises(ApiAddressError, match="redirects"):
        ask(http(301, b"", "Content-Encoding: gzip"))
