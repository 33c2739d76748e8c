"""Benchmark the API client: `uv run python tests/benchmarks/benchmark_api.py`.

Prints ratios within one run, and milliseconds where there is no reference. Over real sockets on loopback, without
assertions.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson
import uvicorn

from ihc.api.account import ApiAccount
from ihc.api.answers import check_answer, read_values
from ihc.api.batching import fingerprints, pack_requests, request_body
from ihc.api.client import Budget, Client
from ihc.api.dispatch import dispatch
from ihc.api.ledger import RequestNote, RequestResult, open_ledger
from ihc.api.limits import ApiLimits
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.journeys.build import build_journeys
from ihc.pipeline.sample import make_sample

sys.path.append(str(Path(__file__).parents[1]))
from helpers.serving import free_port, is_up, started, until

WAIT = 0.05  # [s] per request


def make_journeys(orders):
    tables = make_sample(orders)
    return build_journeys(tables.sessions, tables.conversions)


def equal_shares(body):
    """The answer of an API with equal credits per conversion."""
    sessions = orjson.loads(body)["customer_journeys"]
    lengths = Counter(session["conversion_id"] for session in sessions)
    return orjson.dumps(
        {
            "statusCode": 200,
            "value": [
                {"conversion_id": session["conversion_id"], "session_id": session["session_id"]}
                | dict.fromkeys(("initializer", "holder", "closer", "ihc"), 1 / lengths[session["conversion_id"]])
                for session in sessions
            ],
            "partialFailureErrors": [],
        }
    )


async def waiting_api(scope, receive, send):
    """Wait like a remote API, then return equal credits."""
    if scope["path"] == "/health":
        body = b"{}"
    else:
        body, event = b"", {"more_body": True}
        while event.get("more_body"):
            event = await receive()
            body += event.get("body", b"")
        await asyncio.sleep(WAIT)
        body = equal_shares(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def waiting_server():
    port = free_port()
    process = started(__file__, "serve", str(port))
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}/v1/compute_ihc"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def new_database():
    with tempfile.TemporaryDirectory() as folder:
        create_tables(Database(Path(folder) / "shop.db"))
        yield Path(folder) / "shop.db"


def seconds(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def throughput(workers, journeys, url):
    """Requests per second of a whole run."""
    account, marks = ApiAccount(url, "key", "default"), fingerprints(journeys).assign(is_suspect=False)
    with new_database() as database, open_ledger(Database(database), account, "run") as ledger:
        limits = ApiLimits(workers=workers)
        took = seconds(lambda: dispatch(journeys, marks, Client(account, Budget()), ledger, limits, lambda line: None))
    return len(pack_requests(journeys)) / took


def four_workers_against_one():
    journeys = make_journeys(10_000)
    with waiting_server() as url:
        one, four = (throughput(workers, journeys, url) for workers in (1, 4))
    rates = f"{one:.1f} requests/s by 1 worker, {four:.1f} by 4"
    print(f"a server that waits 50 ms: {rates}, ratio {four / one:.2f} (>= 3.5)")


def overhead_of_a_request():
    journeys = make_journeys(10_000)
    account = ApiAccount("http://127.0.0.1:1/v1/compute_ihc", "key", "default")
    begin = time.perf_counter()
    requests = pack_requests(journeys)
    found = fingerprints(journeys)
    marks = dict(zip(found["conv_id"], found["fingerprint"], strict=True))
    packing = (time.perf_counter() - begin) / len(requests)
    begin = time.perf_counter()
    bodies = [request_body(request, account.redistribution) for request in requests]
    writing = (time.perf_counter() - begin) / len(requests)
    steps = {"reading": [], "checking": [], "storing": []}
    results = []
    with new_database() as database, open_ledger(Database(database), account, "run") as ledger:
        for request, body in zip(requests, bodies, strict=True):
            answer = equal_shares(body)
            moments = [time.perf_counter()]
            values = read_values(orjson.loads(answer)["value"])
            moments.append(time.perf_counter())
            note = RequestNote.of(request, marks)
            checked = check_answer(note.sessions, values)
            moments.append(time.perf_counter())
            ledger.write([note], results)
            moments.append(time.perf_counter())
            results = [RequestResult(note, 1, "answered", {}, checked.whole)]
            for took, seconds_taken in zip(steps.values(), np.diff(moments), strict=True):
                took.append(seconds_taken)
    parts = {"packing": packing, "writing": writing} | {name: statistics.median(took) for name, took in steps.items()}
    whole = ", ".join(f"{name} {1000 * part:.2f}" for name, part in parts.items())
    print(f"client, a request of 200 sessions: {1000 * sum(parts.values()):.2f} ms ({whole}) (<= 3 ms)")


def wait_for_the_server():
    """Median time of a full request of one client to the server with the local engine."""
    journeys = make_journeys(2_000)
    port = free_port()
    server = started("-m", "ihc", "serve", "--no-auth", "--port", str(port), stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}"))
        client = Client(ApiAccount(f"http://127.0.0.1:{port}/v1/compute_ihc", "", "default"), Budget())
        waits = []
        for body in 5 * [request_body(request) for request in pack_requests(journeys)]:
            begin = time.perf_counter()
            client.ask(body)
            waits.append(time.perf_counter() - begin)
        print(f"server, a request of 200 sessions by one client: {1000 * statistics.median(waits):.1f} ms (< 30 ms)")
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvicorn.run(waiting_api, port=int(sys.argv[2]), log_level="error", access_log=False)
    else:
        overhead_of_a_request()
        four_workers_against_one()
        wait_for_the_server()
