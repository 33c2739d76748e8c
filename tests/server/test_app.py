import hmac
import http.client
import json
import logging
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from helpers.serving import free_port, is_up, running, started, until

import ihc.server
from ihc import __version__
from ihc.errors import ParametersError, SettingsError
from ihc.server.app import COMPUTE, EXAMPLE, create_app
from ihc.server.settings import ServerSettings

KEY, OTHER_KEY = "the first key of two", "the second key of two"
BY_HAND = {
    "name": "by hand",
    "initializer": {"hours": [0, 10, 110], "membership": [0, 0, 1]},
    "closer": {"hours": [0, 100], "membership": [1, 0]},
    "phase_weights": {"initializer": 0.2, "holder": 0.5, "closer": 0.3},
    "channel_weights": {"initializer": {}, "holder": {}, "closer": {}},
    "provenance": {},
}


def visit(conversion_id="k", session_id="s1", timestamp="2023-09-03 12:00:00", conversion=1, **more):
    flags = {"holder_engagement": 1, "closer_engagement": 1}
    ids = {"conversion_id": conversion_id, "session_id": session_id, "timestamp": timestamp, "channel_label": "A"}
    return {**ids, **flags, "conversion": conversion, "impression_interaction": 0, **more}


# A gap of 60 hours; tests/server/test_answers.py derives the values.
JOURNEY = [visit(timestamp="2023-09-01 00:00:00", conversion=0), visit(session_id="s2")]
FIELDS = ("conversion_id", "session_id", "initializer", "holder", "closer", "ihc")
VALUES = [
    dict(zip(FIELDS, ("k", "s1", 0.6667, 0.5275, 0.2857, 0.4828), strict=True)),
    dict(zip(FIELDS, ("k", "s2", 0.3333, 0.4725, 0.7143, 0.5172), strict=True)),
]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    path = tmp_path_factory.mktemp("parameters") / "by_hand.json"
    path.write_text(json.dumps(BY_HAND), "utf-8")
    return path


def settings_of(by_hand, **limits):
    return ServerSettings("127.0.0.1", 0, (KEY, OTHER_KEY), (by_hand,), **{"requests_per_minute": 10_000, **limits})


@pytest.fixture(scope="module")
def server(by_hand):
    """A server with the hand-made parameters and low limits."""
    with running(create_app(settings_of(by_hand, max_journeys=3, max_sessions=5, max_bytes=4_000))) as url:
        yield url


@pytest.fixture(scope="module")
def large(by_hand):
    """A server with the default limits."""
    with running(create_app(settings_of(by_hand))) as url:
        yield url


def post(url, sessions=None, key=KEY, conv_type_id="by hand", **options):
    query = {} if conv_type_id is None else {"conv_type_id": conv_type_id}
    headers = {"x-api-key": key} if key is not None else {}
    body = {} if "content" in options else {"json": {"customer_journeys": sessions, **options.pop("more", {})}}
    return httpx.post(url + COMPUTE, params=query, headers=headers, timeout=30, **body, **options)


def refused(response, status):
    """The message of an error response."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"statusCode", "message"}
    assert response.json()["statusCode"] == status
    return response.json()["message"]


def test_values_come_with_four_decimals_in_the_order_of_the_sessions(server):
    answered = post(server, JOURNEY)
    assert answered.status_code == 200
    assert answered.json() == {"statusCode": 200, "value": VALUES, "partialFailureErrors": []}
    assert post(server, JOURNEY[::-1], key=OTHER_KEY).json()["value"] == VALUES[::-1]


def test_fields_that_mean_nothing_here_are_ignored_and_an_impression_may_stay_unsaid(server):
    sessions = [{**session, "colour": {"deep": [None]}} for session in JOURNEY]
    for session in sessions:
        del session["impression_interaction"]
        session["conversion"] = float(session["conversion"])  # a flag may be a float
    assert post(server, sessions, more={"colour": 1, "redistribution_parameter": None}).json()["value"] == VALUES


def test_ids_come_back_as_they_were_sent(server):
    ids = ["", "a\0b", "\u202e<script>", "🦊" * 20, '"\\\n']
    answered = post(server, [visit(session_id=key, conversion=0) for key in ids]).json()
    assert [value["session_id"] for value in answered["value"]] == ids
    answered = post(server, [visit(conversion_id=key) for key in ids[:3]]).json()
    assert [value["conversion_id"] for value in answered["value"]] == ids[:3]
    answered = post(server, [visit(conversion_id=key, session_id=key, timestamp="none") for key in ids[2:]]).json()
    assert [failure["trigger"] for failure in answered["partialFailureErrors"]] == [
        {"conversion_id": key, "session_id": key} for key in ids[2:]
    ]


def test_a_session_after_the_conversion_has_no_value_and_the_entry_that_the_api_publishes(server):
    answered = post(server, [*JOURNEY, visit(session_id="s3", timestamp="2023-09-04 12:00:00")])
    assert answered.status_code == 206
    reason = "Session/Impression excluded from customer journey since it occurs after the conversion event"
    entry = {"trigger": {"conversion_id": "k", "session_id": "s3"}, "reason": reason, "statusCode": 206}
    assert answered.json() == {"statusCode": 206, "value": VALUES, "partialFailureErrors": [entry]}


def test_journeys_that_cannot_be_computed_fail_alone(server):
    answered = post(server, [visit("k", timestamp="none"), visit("bad", timestamp="yesterday"), visit("l")])
    assert answered.status_code == answered.json()["statusCode"] == 206
    assert [value["conversion_id"] for value in answered.json()["value"]] == ["l"]
    reason = "A timestamp of this journey is neither %Y-%m-%d %H:%M:%S nor %Y-%m-%d %H:%M:%S %z."
    assert answered.json()["partialFailureErrors"] == [
        {"trigger": {"conversion_id": key, "session_id": "s1"}, "reason": reason, "statusCode": 206}
        for key in ("k", "bad")
    ]


@pytest.mark.parametrize("key", [None, "", "wrong", KEY[:-1], KEY + " x", KEY.upper(), f"{KEY},{OTHER_KEY}", "\xe9"])
def test_a_wrong_key_is_refused(server, key):
    headers = {} if key is None else {"x-api-key": key.encode("latin-1")}
    answered = httpx.post(server + COMPUTE, headers=headers, json={"customer_journeys": JOURNEY})
    assert refused(answered, 403) == "The header x-api-key is missing or contains an unknown key."


def test_every_key_is_compared_in_constant_time_whichever_was_sent(server, monkeypatch):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))
    post(server, JOURNEY, key=KEY)
    assert compared == [(KEY.encode(), KEY.encode()), (KEY.encode(), OTHER_KEY.encode())]


def test_without_keys_there_is_no_authentication_and_the_document_says_so(by_hand):
    settings = ServerSettings("127.0.0.1", 0, (), (by_hand,), requests_per_minute=2)
    with running(create_app(settings)) as url:
        assert post(url, JOURNEY, key=None).status_code == 200
        assert post(url, JOURNEY, key="any").status_code == 200
        assert "per minute" in refused(post(url, JOURNEY, key="another"), 429)
        document = httpx.get(f"{url}/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    assert "403" not in document["paths"][COMPUTE]["post"]["responses"]


def test_the_rate_is_limited_per_key(by_hand):
    with running(create_app(settings_of(by_hand, requests_per_minute=2))) as url:
        assert [post(url, JOURNEY).status_code for _ in range(2)] == [200, 200]
        answered = post(url, JOURNEY)
        assert refused(answered, 429).startswith("More than 2 requests per minute; try again in ")
        assert re.fullmatch("[0-9]+", answered.headers["retry-after"])
        assert 1 <= int(answered.headers["retry-after"]) <= 61
        refused(post(url, key="wrong"), 403)
        assert post(url, JOURNEY, key=OTHER_KEY).status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200


def chunks(number):
    for _ in range(number):
        yield b" " * 1_000


def test_a_body_over_the_limit_of_bytes_is_refused_whether_or_not_it_announces_its_length(server):
    for content in (b" " * 4_001, chunks(5)):
        assert refused(post(server, content=content), 413).startswith("The body exceeds the limit of 4,000 bytes")
    assert "Invalid request" in refused(post(server, content=b" " * 4_000), 400)
    assert "Invalid request" in refused(post(server, content=chunks(4)), 400)


def test_a_body_is_read_only_after_the_key(server):
    address = urlsplit(server)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    connection.putrequest("POST", COMPUTE)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()  # but no body
    assert connection.getresponse().status == 403
    connection.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"{}",
        b'{"customer_journeys": {}}',
        b'{"customer_journeys": []}',
        b'{"customer_journeys": [1]}',
        b'{"customer_journeys": [NaN]}',
        b'{"customer_journeys": [{"session_id": "\xff"}]}',
        json.dumps({"customer_journeys": [visit(session_id="\ud800")]}).encode(),
        b"[" * 3_999,
        b'{"customer_journeys": [{"session_id": ' + b"9" * 3_000 + b"}]}",
    ],
)
def test_a_body_of_another_shape_is_refused(server, content):
    assert "Invalid request" in refused(post(server, content=content), 400)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"conversion_id": 1}, "conversion_id"),
        ({"channel_label": ["A"]}, "channel_label"),
        ({"conversion": 2}, "conversion"),
        ({"conversion": True}, "conversion"),
        ({"holder_engagement": "1"}, "holder_engagement"),
        ({"closer_engagement": 0.5}, "closer_engagement"),
        ({"impression_interaction": None}, "impression_interaction"),
        ({"conversion": 10**400}, "conversion"),
    ],
)
def test_a_field_of_another_type_is_named(server, changes, where):
    assert f"at customer_journeys.1.{where}: " in refused(post(server, [visit(), {**visit("l"), **changes}]), 400)


def test_a_refusal_quotes_nothing_that_was_sent(server):
    refusals = [post(server, [visit(conversion_id="SECRET", session_id=7)]), post(server, content=b'{"SECRET')]
    assert not [answered.text for answered in refusals if "SECRET" in answered.text]


def test_the_limits_of_journeys_and_sessions_are_named(server):
    many = [visit(f"k{number}") for number in range(4)]
    assert refused(post(server, many), 413) == "The request holds 4 journeys; the limit is 3 journeys per request."
    long = [visit(session_id=f"s{number}", conversion=0) for number in range(6)]
    assert refused(post(server, long), 413) == "The request holds 6 sessions; the limit is 5 sessions per request."
    assert post(server, many[:3]).status_code == 200
    assert post(server, long[:5]).status_code == 200


@pytest.mark.parametrize("conv_type_id", [None, "", "unknown", "by_hand"])
def test_an_unknown_conversion_type_is_refused(server, conv_type_id):
    message = refused(post(server, JOURNEY, conv_type_id=conv_type_id), 400)
    assert message == "Unknown conversion type: conv_type_id must be one of those listed by /health."


def test_each_parameters_file_is_a_conversion_type(by_hand, tmp_path):
    second = tmp_path / "second.json"
    weights = {"initializer": 0.98, "holder": 0.01, "closer": 0.01}
    second.write_text(json.dumps(BY_HAND | {"name": "initializer only", "phase_weights": weights}), "utf-8")
    settings = ServerSettings("127.0.0.1", 0, (KEY,), (by_hand, second))
    with running(create_app(settings)) as url:
        assert httpx.get(f"{url}/health").json()["conversion_types"] == ["by hand", "initializer only"]
        assert post(url, JOURNEY).json()["value"][0]["ihc"] == 0.4828
        # 0.98 * 2/3 + 0.01 * 565/1071 + 0.01 * 2/7 = 0.661466
        assert post(url, JOURNEY, conv_type_id="initializer only").json()["value"][0]["ihc"] == 0.6615


def test_two_conversion_types_of_one_name_are_refused(by_hand, tmp_path):
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(BY_HAND), "utf-8")
    with pytest.raises(SettingsError, match=rf"{by_hand} and {copy} have the same name 'by hand'"):
        create_app(ServerSettings("127.0.0.1", 0, (KEY,), (by_hand, copy)))


def test_the_set_that_ships_is_the_conversion_type_without_files_and_a_missing_file_is_refused(tmp_path):
    assert list(ihc.server.app.load_conversion_types(())) == ["default"]
    with pytest.raises(ParametersError, match=r"nothing\.json cannot be read"):
        create_app(ServerSettings("127.0.0.1", 0, (KEY,), (tmp_path / "nothing.json",)))


PHASE = {"direction": "any_session", "receive_threshold": 0.1, "redistribution_channel_labels": ["A"]}
WHOLE = {"initializer": PHASE, "holder": PHASE, "closer": PHASE}


def test_a_redistribution_moves_the_values_before_they_are_rounded(server):
    # Both sessions are in A, so none can receive. If the second is in B, it gets the whole share of the first.
    assert post(server, JOURNEY, more={"redistribution_parameter": WHOLE}).json()["value"] == VALUES
    two = [JOURNEY[0], {**JOURNEY[1], "channel_label": "B"}]
    all_of_it = {"initializer": 1, "holder": 1, "closer": 1, "ihc": 1}
    assert post(server, two, more={"redistribution_parameter": WHOLE}).json()["value"] == [
        {**VALUES[0], **dict.fromkeys(all_of_it, 0)},
        {**VALUES[1], **all_of_it},
    ]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({}, "redistribution_parameter must have exactly the entries initializer, holder, closer"),
        ([], "redistribution_parameter must have exactly"),
        ({**WHOLE, "holder": {**PHASE, "direction": "sideways"}}, "redistribution_parameter, holder: direction must"),
        ({**WHOLE, "closer": {**PHASE, "receive_threshold": 2}}, "closer: receive_threshold must be a number"),
        (
            {**WHOLE, "closer": {**PHASE, "receive_threshold": 10**400}},
            "receive_threshold must be a number from 0 to 1",
        ),
    ],
)
def test_a_redistribution_that_is_wrong_is_refused(server, entries, says):
    assert says in refused(post(server, JOURNEY, more={"redistribution_parameter": entries}), 400)


def test_the_first_error_is_reported(server):
    many = [visit(f"k{number}") for number in range(4)]
    wrong = {"conv_type_id": "unknown", "more": {"redistribution_parameter": {}}}
    refused(post(server, [1], key="wrong", **wrong), 403)
    assert "Invalid request" in refused(post(server, [1], **wrong), 400)
    assert "4 journeys" in refused(post(server, many, **wrong), 413)
    assert "conversion type" in refused(post(server, JOURNEY, **wrong), 400)


@pytest.mark.parametrize("path", ["/", "/docs", COMPUTE + "/", "/v1/%00", "/healthz"])
def test_another_path_is_not_found(server, path):
    assert refused(httpx.get(server + path), 404) == "Not found; see /openapi.json for the available paths."


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", COMPUTE, "POST"), ("POST", "/health", "GET")])
def test_another_method_is_refused_and_the_right_one_named(server, method, path, allowed):
    answered = httpx.request(method, server + path)
    assert refused(answered, 405) == "Method not allowed; see /openapi.json for the available methods."
    assert answered.headers["allow"] == allowed


def test_health_needs_no_key(server):
    answered = httpx.get(f"{server}/health")
    assert answered.status_code == 200
    assert answered.json() == {"status": "ok", "version": __version__, "conversion_types": ["by hand"]}


def test_the_documents_example_is_answered_as_it_says(large):
    operation = httpx.get(f"{large}/openapi.json").json()["paths"][COMPUTE]["post"]
    examples = {
        int(status): content["content"]["application/json"]["example"]
        for status, content in operation["responses"].items()
    }
    asked = operation["requestBody"]["content"]["application/json"]["example"]["customer_journeys"]
    assert post(large, asked).json() == examples[200]
    more = [session.model_dump() for session in EXAMPLE]
    assert post(large, more).json() == examples[206]
    assert {status: example["statusCode"] for status, example in examples.items()} == {
        status: status for status in (200, 206, 400, 403, 413, 429, 500)
    }


@pytest.fixture
def log():
    """The lines that the server logs."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(record.getMessage()))
    logger = logging.getLogger("ihc.server.app")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_each_request_is_a_line_of_counts_without_keys_and_ids(server, log):
    sessions = [*JOURNEY, visit("SECRET-ID", channel_label="SECRET-CHANNEL")]
    requests = [
        lambda: post(server, sessions, conv_type_id="SECRET-TYPE"),
        lambda: post(server, sessions),
        lambda: post(server, sessions, key="SECRET-KEY"),
        lambda: post(server, content=b'{"SECRET'),
        lambda: httpx.request("SECRET", f"{server}/SECRET?SECRET=SECRET", headers={"SECRET": "SECRET"}),
    ]
    for number, request in enumerate(requests, start=1):
        request()
        until(lambda number=number: len(log) == number)  # the line is written after the response
    assert [(line["method"], line["path"], line["status"]) for line in log] == [
        ("POST", COMPUTE, 400),
        ("POST", COMPUTE, 200),
        ("POST", COMPUTE, 403),
        ("POST", COMPUTE, 400),
        ("other", "other", 404),
    ]
    assert [(line["journeys"], line["sessions"]) for line in log] == [(2, 3), (2, 3), (0, 0), (0, 0), (0, 0)]
    assert all(0 < line["milliseconds"] < 10_000 for line in log)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"]) for line in log)
    text = json.dumps(log)
    assert "SECRET" not in text
    assert KEY not in text


def test_a_failure_is_a_500_whose_line_says_type_and_place_and_no_more(server, log, monkeypatch):
    def fail(*_):
        raise KeyError("SECRET-ID")

    monkeypatch.setattr(ihc.server.app, "answer", fail)
    message = refused(post(server, JOURNEY), 500)
    assert message == "Server error; details are in the server log. Try again, or contact the operator."
    until(lambda: log)
    assert log[0]["status"] == 500
    assert log[0]["error"] == "KeyError"
    assert re.search(r"app\.py:\d+ > .*test_app\.py:\d+$", log[0]["where"])
    assert "SECRET" not in json.dumps(log)


def test_a_client_that_disconnects_within_its_body_is_logged_too(server, log):
    address = urlsplit(server)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.putrequest("POST", COMPUTE)
    connection.putheader("x-api-key", KEY)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    time.sleep(0.2)
    connection.close()
    until(lambda: log)
    assert log[0]["status"] == 499


def full_request(sessions, journeys):
    """A full request: `sessions` in `journeys`, an hour apart, the last of each converting."""
    return [
        visit(
            f"k{number % journeys}",
            f"s{number}",
            f"2023-09-{1 + number // 1440:02d} {number // 60 % 24:02d}:{number % 60:02d}:00",
            int(number >= sessions - journeys),
        )
        for number in range(sessions)
    ]


def test_health_answers_while_full_requests_are_computed(large):
    sessions = full_request(3_000, 100)
    with ThreadPoolExecutor(4) as pool, httpx.Client() as client:
        client.get(f"{large}/health")
        asked = [pool.submit(post, large, sessions) for _ in range(4)]
        waits = []
        while not all(each.done() for each in asked):
            start = time.perf_counter()
            client.get(f"{large}/health")
            waits.append(time.perf_counter() - start)
    assert {each.result().status_code for each in asked} == {200}
    # The clients of this test also block the server's thread, so these times are far from those of a real client.
    assert sorted(waits)[len(waits) // 2] < 0.25


def test_serve_answers_logs_to_standard_error_and_ends_at_a_signal(by_hand):
    port = free_port()
    code = f"""if True:
        from pathlib import Path
        from ihc.server.app import serve
        from ihc.server.settings import ServerSettings
        serve(ServerSettings("127.0.0.1", {port}, ({KEY!r},), (Path({str(by_hand)!r}),)))
    """
    server = started("-c", code)
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}"))
        answered = post(f"http://127.0.0.1:{port}", JOURNEY)
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=20)
    assert answered.json()["value"] == VALUES
    assert "server" not in answered.headers
    where = f"Serving http://127.0.0.1:{port}{COMPUTE}, 1 key; press Ctrl-C to stop.\n"
    assert (server.returncode, out) == (0, where)
    lines = [json.loads(line) for line in err.splitlines()]
    assert {"path": COMPUTE, "status": 200, "sessions": 2}.items() <= lines[-1].items()


@pytest.mark.slow
def test_gunicorn_starts_workers_from_the_environment(by_hand, tmp_path):
    port = free_port()
    command = ["-m", "gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", f"127.0.0.1:{port}"]
    keys = {"IHC_SERVER_KEYS": f"{KEY}, {OTHER_KEY}", "IHC_SERVER_PARAMETERS": str(by_hand)}
    server = started(*command, "--chdir", str(tmp_path), "ihc.server.app:from_environment()", **keys)
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}"))
        assert post(f"http://127.0.0.1:{port}", JOURNEY, key=OTHER_KEY).json()["value"] == VALUES
        refused(post(f"http://127.0.0.1:{port}", JOURNEY, key="wrong"), 403)
    finally:
        server.terminate()
        _, err = server.communicate(timeout=30)
    assert f'"path": "{COMPUTE}"' in err
    assert KEY not in err


def test_the_library_and_the_command_line_do_without_what_the_server_needs():
    missing = ["fastapi", "starlette", "uvicorn", "limits", "anyio"]
    code = f"import sys; sys.modules.update(dict.fromkeys({missing})); import ihc.cli.app, ihc.pipeline.runner"
    done = started("-c", code)
    assert (done.communicate(timeout=60)[1], done.returncode) == ("", 0)


@pytest.mark.slow
def test_the_server_keeps_what_its_document_promises(tmp_path, log):
    # schemathesis generates valid and invalid requests from the document and checks each response against it.
    app = create_app(ServerSettings("127.0.0.1", 0, (KEY,), (), requests_per_minute=1_000_000))
    with running(app) as url:
        command = ["-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--header", f"x-api-key: {KEY}"]
        options = ["--checks", "all", "--max-examples", "200", "--seed", "1", "--continue-on-failure"]
        done = subprocess.run(
            [sys.executable, *command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
        )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert "2 selected / 2 total" in done.stdout
    # Every kind of response was reached.
    statuses = Counter(line["status"] for line in log if line["path"] == COMPUTE)
    assert {200, 206, 400, 403, 405} <= statuses.keys()
    assert max(statuses) < 500
    print(f"{statuses.total():,} requests: {dict(statuses)}")
