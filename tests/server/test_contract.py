import subprocess
import sys
from collections import Counter

import pytest
from helpers.serving import running

from ihc.server.app import COMPUTE, create_app
from ihc.server.settings import ServerSettings

KEY = "the only key"
EXAMPLES = 1_000  # under a minute

pytestmark = pytest.mark.slow


def counting(counts):
    """A wrapper that counts the statuses of the answers to requests for values."""

    def wrap(app):
        async def counted(scope, receive, send):
            async def note(message):
                if message["type"] == "http.response.start" and scope["path"] == COMPUTE:
                    counts[message["status"]] += 1
                await send(message)

            await app(scope, receive, note)

        return counted

    return wrap


def test_the_server_keeps_what_its_document_promises(tmp_path):
    # schemathesis makes valid and invalid requests of the document and checks each answer against it.
    app = create_app(ServerSettings("127.0.0.1", 0, (KEY,), (), requests_per_minute=1_000_000))
    statuses = Counter()
    with running(app, counting(statuses)) as url:
        command = ["-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--header", f"x-api-key: {KEY}"]
        options = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure"]
        done = subprocess.run(
            [sys.executable, *command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
        )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert "2 selected / 2 total" in done.stdout
    # It came as far as every kind of answer, so it has checked something.
    assert {200, 206, 400, 403, 405} <= statuses.keys()
    assert max(statuses) < 500
    print(f"{statuses.total():,} requests: {dict(statuses)}")
