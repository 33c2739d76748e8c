"""The client over real sockets: what it sends, how it reads each response, and that it keeps secrets."""

import gzip
import json
import re
import ssl
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from helpers.answering import answering, http
from helpers.frames import UNTRUSTED, journey

from ihc.api.account import ApiAccount
from ihc.api.batching import request_body
from ihc.api.client import Budget, Client
from ihc.errors import (
    ApiAddressError,
    ApiError,
    ApiKeyError,
    ApiStoppedError,
    CeilingError,
    ConversionTypeError,
    OutageError,
    QuotaError,
    RequestRefusedError,
    TooLargeError,
    UnansweredError,
    UnreachableError,
)

KEY = "k3y-of-the-test"
TWO = journey((0, "Search", 1, 0), (26.5, "Mail", 0, 1))  # 2023-09-01 00:00:00 and 2023-09-02 02:30:00
BODY = request_body(TWO)
FIELDS = ("conversion_id", "session_id", "initializer", "holder", "closer", "ihc")
FIRST, SECOND = ("k", "s1", 1, 0.4, 0, 0.5), ("k", "s2", 0, 0.6, 1, 0.5)


def values(*rows, status=200, **more):
    entries = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    return {"statusCode": status, "value": entries, "partialFailureErrors": []} | more


GOOD = http(200, values(FIRST, SECOND))


def make_client(url, *, calls=None, retries=0, sleep=lambda seconds: None):
    return Client(ApiAccount(url, KEY, "a type"), Budget(calls, retries), sleep=sleep)


def ask(*answers, attempts=5, **options):
    """Send a request to a server with these answers; return the result and what the server received."""
    with answering(*answers) as (url, server):
        return make_client(url, **options).ask(BODY, attempts), server


def everything_said(error):
    return "".join(traceback.format_exception(error)) + repr(error)


# What is sent


def test_the_conversion_type_stands_in_the_address_and_the_key_in_one_header_alone():
    answer, server = ask(GOOD)
    head, body = server.heads[0], server.bodies[0]
    assert head.startswith("POST /v1/compute_ihc?conv_type_id=a+type HTTP/1.1\r\n")
    assert head.count(KEY) == head.count(f"x-api-key: {KEY}\r\n") == 1
    assert "\r\nContent-Type: application/json\r\n" in head
    assert body == BODY
    assert KEY.encode() not in body
    assert answer.calls == 1


def test_a_thread_sends_its_requests_over_one_connection():
    def both(connection):
        kept = GOOD.replace(b"Connection: close\r\n", b"")
        connection.sendall(kept)
        body = b""
        while not body.endswith(b"}]}"):
            body += connection.recv(65_536)
        connection.sendall(kept)

    with answering(both) as (url, server):
        client = make_client(url)
        assert client.ask(BODY).values == client.ask(BODY).values
    assert server.connections == 1


# How responses are read


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        http(206, values(FIRST, SECOND, status=206, partialFailureErrors=["some"])),
        http(200, values(FIRST, SECOND, status=206)),
        http(206, values(FIRST, SECOND, status=200)),
        http(200, values(FIRST, SECOND, status="200")),
        http(200, values(FIRST, SECOND, status=None)),
        http(200, values(FIRST, SECOND, status="fine")),
        http(200, gzip.compress(json.dumps(values(FIRST, SECOND)).encode()), "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(values(FIRST, SECOND)).encode(),
    ],
    ids=["200", "206", "206 inside", "206 outside", "text", "none", "no number", "compressed", "until the end"],
)
def test_an_answer_is_read(answer):
    assert ask(answer)[0].values == {"k": [FIRST[1:], SECOND[1:]]}


@pytest.mark.parametrize(
    ("status", "stated", "error"),
    [
        (403, 200, ApiKeyError),
        (200, "403", ApiKeyError),
        (200, 404, ApiAddressError),
        (200, 413, TooLargeError),
        (206, 400, RequestRefusedError),
        (200, 429, QuotaError),
        (200, 500, UnansweredError),
        (500, 200, UnansweredError),
        (200, 0, UnansweredError),
        (200, 201, UnansweredError),
        (400, 200, RequestRefusedError),
    ],
)
def test_the_status_in_the_body_counts_as_much_as_that_of_http(status, stated, error):
    with pytest.raises(error, match="said so") as raised:
        ask(http(status, values(FIRST, SECOND, status=stated, message="said so")))
    assert type(raised.value) is error
    assert raised.value.calls == 1


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (http(200, b""), UnansweredError, "not a complete JSON object"),
        (http(200, b"<html>"), UnansweredError, "not a complete JSON object"),
        (http(200, [1]), UnansweredError, "not a complete JSON object"),
        (http(200, {}), UnansweredError, "no list of values"),
        (http(200, {"value": {"k": 1}, "message": "why"}), UnansweredError, "no list of values: why"),
        (http(200, b"no gzip", "Content-Encoding: gzip"), UnansweredError, "cannot be decoded"),
        (http(204, b""), UnansweredError, "204"),
        (http(400, {"message": "Unknown conv_type_id"}), ConversionTypeError, "--conv-type-id"),
        (http(400, b"<html>"), RequestRefusedError, r"\(400\)"),
        (http(301, b"", "Location: http://[bad/"), ApiAddressError, "redirects"),
        (b"", UnansweredError, "was lost"),
        (b"SSH-2.0-OpenSSH\r\n", UnansweredError, "was lost"),
        (GOOD[:-30], UnansweredError, "was lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", UnansweredError, "was lost"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", UnansweredError, "was lost"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else None,
)
def test_an_invalid_answer_raises_an_error(answer, error, says):
    with pytest.raises(error, match=says) as raised:
        ask(answer)
    assert type(raised.value) is error


def test_a_server_that_is_not_there_cannot_be_reached():
    with answering(GOOD) as (url, _):
        pass
    with pytest.raises(UnreachableError, match=f"No connection to {url}"):
        make_client(url).ask(BODY)


def test_reasons_are_returned_on_one_line_truncated_and_without_the_key():
    trigger = {"conversion_id": "k", "session_id": "s2"}
    entries = [{"trigger": trigger, "reason": f"x-api-key {KEY}\n" + "x" * 5000, "statusCode": 206}]
    answer, _ = ask(http(206, values(FIRST, status=206, partialFailureErrors=entries)))
    assert answer == ({"k": [FIRST[1:]]}, 1, {"k": f"x-api-key *** {'x' * 185}…"})


# Retries


def test_transient_failures_are_retried_until_they_pass():
    answer, server = ask(http(503, {}), b"", http(429, {}), http(200, b"{"), GOOD, retries=4)
    assert list(answer.values) == ["k"]
    assert answer.calls == len(server.heads) == 5
    assert len(set(server.bodies)) == 1


@pytest.mark.parametrize(("attempts", "retries", "calls"), [(5, 9, 5), (2, 9, 2), (1, 9, 1), (5, 2, 3), (5, 0, 1)])
def test_a_request_is_abandoned_after_too_many_attempts_or_without_retries_left(attempts, retries, calls):
    with answering(http(503, {"message": "tired"})) as (url, server):
        with pytest.raises(UnansweredError, match=r"failed to answer \(503: tired\)") as error:
            make_client(url, retries=retries).ask(BODY, attempts)
        assert error.value.calls == len(server.heads) == calls


@pytest.mark.parametrize("status", [301, 400, 403, 413])
def test_permanent_failures_are_not_retried(status):
    with answering(http(status, {})) as (url, server):
        with pytest.raises(ApiError) as error:
            make_client(url, retries=9).ask(BODY)
        assert error.value.calls == len(server.heads) == 1


def test_the_wait_is_what_the_api_asks_for():
    waits = []
    ask(
        http(503, {}, "Retry-After: 7"),
        http(429, {}, "Retry-After: 1.5"),
        GOOD,
        retries=3,
        sleep=waits.append,
    )
    # Before each call, the run's own pause; the wait delays the other threads too.
    assert waits[0] == 0
    assert waits[1::2] == [7, 1.5]
    assert waits[2::2] == [pytest.approx(7, abs=0.5)] * 2


@pytest.mark.parametrize("header", ["Retry-After: 0", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_of_zero_falls_back_to_backoff(header):
    waits = []
    with pytest.raises(QuotaError):
        ask(http(429, {}, header), retries=9, sleep=waits.append)
    # Four random waits of up to 2, 4, 8 and 16 s are not all close to zero.
    assert max(waits[1::2]) > 0.05


def test_without_retry_after_the_backoff_grows_at_random_up_to_30_seconds():
    waits = []
    with pytest.raises(UnansweredError):
        ask(http(503, {}, "Retry-After: soon"), retries=99, attempts=30, sleep=waits.append)
    backoff = waits[1::2]
    assert len(set(backoff)) == len(backoff) == 29
    assert all(0 <= wait <= 30 for wait in backoff)
    assert backoff[0] <= 0.5
    assert max(backoff) > 5


@pytest.mark.parametrize(("status", "error"), [(429, QuotaError), (503, OutageError)])
def test_a_retry_after_of_more_than_two_minutes_is_not_awaited(status, error):
    with answering(http(status, {}, "Retry-After: 121")) as (url, server):
        with pytest.raises(error):
            make_client(url, retries=9, sleep=time.sleep).ask(BODY)
        assert len(server.heads) == 1


def test_a_run_that_is_stopped_sends_nothing_more():
    with answering(GOOD) as (url, server):
        client = make_client(url)
        client.stopped.set()
        with pytest.raises(ApiStoppedError, match="The run ended before this request was sent") as error:
            client.ask(BODY)
        assert error.value.calls == server.connections == 0


def test_a_run_that_is_stopped_does_not_wait_to_its_end():
    with answering(http(503, {}, "Retry-After: 100")) as (url, server), ThreadPoolExecutor(1) as pool:
        client = make_client(url, retries=9, sleep=None)
        begin = time.monotonic()
        asked = pool.submit(client.ask, BODY)
        while not server.heads:
            time.sleep(0.01)
        client.stopped.set()
        with pytest.raises(ApiError):
            asked.result(10)
        assert time.monotonic() - begin < 5
        assert len(server.heads) == 1


# Who receives the key


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(status):
    with answering(GOOD) as (other, bystander), answering(http(status, {}, f"Location: {other}")) as (url, server):
        with pytest.raises(ApiAddressError, match=r"redirects .* the key is not sent on"):
            make_client(url, retries=9).ask(BODY)
        assert server.connections == 1
        assert bystander.connections == 0


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


# Also this machine, but no loopback address, so it is treated as a remote host.
ELSEWHERE = "0.0.0.0"


def tls(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """Trust the certificate authority through the environment, as behind a company proxy."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


def test_an_untrusted_certificate_ends_the_run_before_anything_is_sent(authority):
    with answering(GOOD, scheme="https", context=tls(authority, "127.0.0.1")) as (url, server):
        with pytest.raises(ApiAddressError, match=r"certificate of https://127.* is not trusted") as error:
            make_client(url, retries=9).ask(BODY)
        assert error.value.calls == server.connections == 1
        assert server.received == b""


def test_a_certificate_of_another_name_ends_the_run_before_anything_is_sent(authority, trusted):
    with answering(GOOD, scheme="https", host=ELSEWHERE, context=tls(authority, "example.com")) as (url, server):
        with pytest.raises(ApiAddressError, match="is not trusted, so the key was not sent"):
            make_client(url, retries=9).ask(BODY)
        assert server.connections == 1
        assert server.received == b""


def test_certificates_of_the_environment_are_trusted(authority, trusted):
    with answering(GOOD, scheme="https", host=ELSEWHERE, context=tls(authority, ELSEWHERE)) as (url, server):
        assert list(make_client(url).ask(BODY).values) == ["k"]
    assert server.heads[0].count(KEY) == 1


def test_a_password_from_netrc_is_not_sent(authority, trusted, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login ann password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with answering(GOOD, scheme="https", host=ELSEWHERE, context=tls(authority, ELSEWHERE)) as (url, server):
        make_client(url).ask(BODY)
    assert "authorization" not in server.heads[0].lower()
    answer, server = ask(GOOD)
    assert "authorization" not in server.heads[0].lower()
    assert answer.calls == 1


@pytest.fixture
def proxy(monkeypatch):
    """A proxy set in the environment that refuses every connection."""
    with answering(http(502, {"message": "no"})) as (url, server):
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, url)
            monkeypatch.setenv(name.upper(), url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield server


def test_a_proxy_of_the_environment_gets_nothing_that_is_for_this_machine(proxy):
    answer, server = ask(GOOD)
    assert list(answer.values) == ["k"]
    assert server.connections == 1
    assert proxy.connections == 0


def test_a_proxy_of_the_environment_is_asked_for_another_machine_and_never_sees_the_key(proxy):
    with pytest.raises(UnreachableError, match=r"No connection to https://api\.example\.com/v1"):
        make_client("https://api.example.com/v1").ask(BODY)
    (head,) = proxy.heads
    assert head.startswith("CONNECT api.example.com:443 ")
    assert KEY.encode() not in proxy.received


def test_an_invalid_url_ends_the_run():
    with pytest.raises(ApiAddressError, match="is not possible"):
        make_client("https://a..b/v1/compute_ihc").ask(BODY)


# Messages about responses


@pytest.mark.parametrize("status", [200, 301, 400, 403, 413, 429, 503])
@pytest.mark.parametrize(
    "message",
    [
        f"{KEY}{KEY}",
        f"You sent x-api-key: {KEY}, which is wrong",
        ["x-api-key", KEY],
        f"\n{KEY}\x1b",
        " " * 990 + KEY,
    ],
)
def test_a_key_that_the_server_repeats_is_not_repeated(status, message):
    # The last message is truncated within the key.
    with pytest.raises(ApiError) as error:
        ask(http(status, {"statusCode": max(status, 300), "message": message}))
    assert KEY[:8] not in everything_said(error.value)


@pytest.mark.parametrize(
    "answer",
    [b"", http(200, b"{"), http(301, {}, "Location: /x"), http(503, {}), http(200, b"", "Bad")],
    ids=["dropped", "broken", "301", "503", "header"],
)
def test_the_key_is_in_no_error_and_in_no_text_of_the_client(answer):
    with answering(answer) as (url, _):
        client = make_client(url)
        with pytest.raises(ApiError) as error:
            client.ask(BODY)
    assert KEY not in everything_said(error.value)
    assert KEY not in repr(client) + str(client) + repr(client.account) + repr(client.budget)


@pytest.mark.parametrize(
    "message",
    [
        "x" * 100_000,
        "\x1b[31mred\x1b[0m",
        "two\nlines\r\tand\0more",
        "\u202ereversed\ud800",
        *UNTRUSTED,
    ],
    ids=range(4 + len(UNTRUSTED)),
)
def test_what_the_server_says_is_on_one_line_cut_and_without_control_characters(message):
    with pytest.raises(ApiKeyError) as error:
        ask(http(403, {"message": message}))
    text = str(error.value)
    assert len(text) < 400
    assert not re.search("[\x00-\x1f\ud800-\udfff]", text)
    assert len(text.splitlines()) == 1


# The budget of a run


def test_a_ceiling_of_calls_counts_every_try():
    with answering(http(503, {}), http(503, {}), GOOD) as (url, server):
        client = make_client(url, calls=2, retries=9)
        with pytest.raises(CeilingError, match="limit of --max-requests") as error:
            client.ask(BODY)
        assert error.value.calls == len(server.heads) == 2


def test_no_call_is_spent_twice_by_threads_at_once():
    budget = Budget(500, 300)

    def spend(_):
        try:
            budget.spend_call()
        except CeilingError:
            return False, budget.spend_retry()
        return True, False

    with ThreadPoolExecutor(16) as pool:
        calls, retries = zip(*pool.map(spend, range(1000)), strict=True)
    assert (sum(calls), sum(retries)) == (500, 300)


def test_calls_begin_an_interval_apart_where_there_is_one():
    assert [Budget().pause() for _ in range(3)] == [0, 0, 0]
    budget = Budget(interval=10)
    assert [budget.pause() for _ in range(3)] == [0, pytest.approx(10, abs=0.5), pytest.approx(20, abs=0.5)]


def test_an_unused_slot_for_a_call_is_not_made_up_for():
    budget = Budget(interval=0.05)
    budget.pause()
    time.sleep(0.2)
    assert budget.pause() == 0
    assert budget.pause() > 0.02


def test_all_calls_are_held_back_and_an_earlier_longer_hold_stays():
    budget = Budget(interval=1)
    budget.hold(100)
    budget.hold(5)
    assert [budget.pause() for _ in range(2)] == [pytest.approx(100, abs=0.5), pytest.approx(101, abs=0.5)]
