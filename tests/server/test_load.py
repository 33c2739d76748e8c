"""Many parallel clients: no response is lost or mixed up."""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import NamedTuple

import httpx
import pandas as pd
import pytest
from helpers.serving import free_port, is_up, started, until

from ihc.models.parameters import load_parameters
from ihc.server.answers import answer
from ihc.server.app import COMPUTE

CLIENTS = 50
SECONDS = float(os.environ.get("LOAD_TEST_SECONDS", "5"))
KEYS = ("the first key", "the second key")
COLUMNS = ["conv_id", "session_id", "timestamp", "channel_name", "holder_engagement", "closer_engagement", "conversion"]

pytestmark = pytest.mark.slow


class Work(NamedTuple):
    """The journeys that a client sends repeatedly under new ids, and the expected response."""

    sessions: pd.DataFrame
    credits: pd.DataFrame
    failed: pd.DataFrame


def work_of(client):
    """Journeys unique to a client; for every third client, one cannot be computed."""
    chance = random.Random(client)
    rows = []
    for journey in range(chance.randint(1, 30)):
        minutes = sorted(chance.sample(range(40_000), chance.randint(1, 6)))
        for step, minute in enumerate(minutes, start=1):
            at = (pd.Timestamp("2023-09-01") + pd.Timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M:%S")
            channel = chance.choice(["SEO", "Mail", f"channel of {client}"])
            flags = chance.randint(0, 1), chance.randint(0, 1), int(step == len(minutes))
            rows.append((f"k{journey}", f"s{step}", at, channel, *flags))
    if client % 3 == 0:
        rows.append(("without", "s1", "no time", "SEO", 1, 1, 0))
    chance.shuffle(rows)
    sessions = pd.DataFrame(rows, columns=COLUMNS)
    return Work(sessions, *answer(sessions, load_parameters()))


def named(frame, prefix):
    """Rows in the API's format, with a prefix on their ids."""
    ids = {name: prefix + frame[name] for name in ("conv_id", "session_id") if name in frame}
    names = {"conv_id": "conversion_id", "channel_name": "channel_label"}
    return frame.assign(**ids).rename(columns=names).to_dict("records")


def entries(failed, prefix):
    """The sessions without a value, in the API's format."""
    rows = named(failed, prefix)
    return [{"trigger": row, "reason": row.pop("reason"), "statusCode": 206} for row in rows]


def ask_until(end, url, client):
    """Send requests as one client; return the seconds of each. Raises on any unexpected response."""
    work, waits = work_of(client), []
    headers = {"x-api-key": KEYS[client % 2]}
    with httpx.Client(headers=headers, timeout=60) as http:
        while time.monotonic() < end:
            prefix = f"client {client} request {len(waits)} "
            body = {"customer_journeys": named(work.sessions, prefix)}
            expected = {
                "statusCode": 206 if len(work.failed) else 200,
                "value": named(work.credits, prefix),
                "partialFailureErrors": entries(work.failed, prefix),
            }
            start = time.perf_counter()
            answered = http.post(f"{url}{COMPUTE}?conv_type_id=default", json=body)
            waits.append(time.perf_counter() - start)
            assert answered.status_code == expected["statusCode"]
            assert answered.json() == expected
    return waits


def test_fifty_parallel_clients_get_their_own_responses(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"IHC_SERVER_KEYS": ",".join(KEYS), "IHC_SERVER_REQUESTS_PER_MINUTE": "1000000"}
    errors = (tmp_path / "log").open("w+")
    server = started("-m", "ihc", "serve", "--port", str(port), cwd=tmp_path, stderr=errors, **settings)
    try:
        until(lambda: is_up(url))
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(CLIENTS) as pool:
            waits = [
                wait for each in pool.map(lambda client: ask_until(end, url, client), range(CLIENTS)) for wait in each
            ]
    finally:
        server.terminate()
        server.communicate(timeout=30)
    errors.seek(0)
    logged = [line for line in errors if f'"path": "{COMPUTE}"' in line]
    print(
        f"{len(waits):,} answers, {len(waits) / SECONDS:.0f} a second, median {median(waits):.3f} s, "
        f"95 % within {quantiles(waits, n=20)[-1]:.3f} s"
    )
    assert len(waits) >= CLIENTS
    assert len(logged) == len(waits)
    assert not [line for line in logged if '"status": 5' in line]
