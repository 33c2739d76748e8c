"""An API that fails on purpose and counts requests: the real server in a wrapper, over real sockets."""

import asyncio
import json
from collections import Counter
from contextlib import contextmanager
from functools import cache

from helpers.serving import running
from ihc.server.app import create_app
from ihc.server.settings import ServerSettings

PATH = "/v1/compute_ihc"
IN_TURN = ("429", "503", "dropped", "truncated", "broken JSON", "206")
# Faults that are responses: status, content, headers.
ANSWERS = {
    "301": (301, {}, ("location", "http://127.0.0.1:9/elsewhere")),
    "400": (400, {"message": "Invalid value in a session"}),
    "400 exceeds": (400, {"message": "Value of timestamp exceeds the allowed range"}),
    "400 type": (400, {"message": "Unknown conv_type_id"}),
    "403": (403, {"message": "Forbidden"}),
    "404": (404, {"message": "Not Found"}),
    "413": (413, {"message": "Request Too Long"}),
    "429": (429, {"message": "Too Many Requests"}, ("retry-after", "0")),
    "429 for long": (429, {"message": "Limit Exceeded"}, ("retry-after", "86400")),
    "503": (503, {"message": "Service Unavailable"}),
    "503 in the body": (200, {"statusCode": 503, "message": "Service Unavailable"}),
    "broken JSON": (200, b'{"statusCode": 200, "value": [{"conversion_id": "'),
    "nothing": (200, {"statusCode": 200, "value": [], "partialFailureErrors": []}),
}


class Faults:
    """Wraps an ASGI application; `choose(number, conversions)` returns the fault for a request, or none.

    `requests`: number of requests; `answered`: number of complete answers per conversion.
    """

    def __init__(self, app, choose, wait):
        self.app, self.choose, self.wait = app, choose, wait
        self.requests, self.asked, self.answered, self.headers, self.paths = 0, Counter(), Counter(), [], []
        self.most_sessions = self.most_journeys = self.at_once = self.most_at_once = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await self.app(scope, receive, send)
            return
        body, event = b"", {"more_body": True}
        while event.get("more_body"):
            event = await receive()
            body += event.get("body", b"")
        sessions = json.loads(body)["customer_journeys"]
        conversions = list(dict.fromkeys(session["conversion_id"] for session in sessions))
        # Take the number before awaiting anything, because other requests arrive meanwhile.
        number = self.requests
        self._count(scope, sessions, conversions)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.wait)
            await self._answer(self.choose(number, conversions), scope, receive, send, body, sessions)
        finally:
            self.at_once -= 1

    def _count(self, scope, sessions, conversions):
        self.requests += 1
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.paths.append(f"{scope['path']}?{scope['query_string'].decode()}")
        self.asked.update(conversions)
        self.most_sessions = max(self.most_sessions, len(sessions))
        self.most_journeys = max(self.most_journeys, len(conversions))

    async def _answer(self, fault, scope, receive, send, body, sessions):
        if fault == "413 over 200":
            fault = "413" if len(sessions) > 200 else ""
        if fault in ANSWERS:
            await _send(send, *ANSWERS[fault])
        elif fault == "echo":
            said = f"You sent {self.headers[-1]['x-api-key']}\n\x1b[31m" + "x" * 5000
            await _send(send, 403, {"message": said})
        elif fault == "dropped":
            receive.__self__.transport.abort()
        elif fault == "truncated":
            headers = [(b"content-type", b"application/json"), (b"content-length", b"5000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"statusCode": 200, "value": [', "more_body": True})
            receive.__self__.transport.close()
        elif not fault:
            await _passed_on(self.app, scope, send, body)
            self.answered.update({session["conversion_id"] for session in sessions})
        else:
            await self._answer_in_part(fault, scope, send, body)

    async def _answer_in_part(self, fault, scope, send, body):
        """Answer like the server, but only half of the conversions, or with an extra session for the first or each."""
        parts = []

        async def keep(event):
            parts.append(event.get("body", b""))

        await _passed_on(self.app, scope, keep, body)
        whole = json.loads(b"".join(parts))
        ids = list(dict.fromkeys(value["conversion_id"] for value in whole["value"]))
        wrong = {"206": ids[len(ids) // 2 :], "sums to two": ids[:1], "sums to two each": ids}[fault]
        right = [value for value in whole["value"] if value["conversion_id"] not in wrong]
        if fault == "206":
            says = "some were not computed" if right else "sorry"
            whole |= {"statusCode": 206, "value": right, "partialFailureErrors": [says]}
        else:
            whole["value"] += [
                value | {"session_id": "x"} for value in whole["value"] if value["conversion_id"] in wrong
            ]
        await _send(send, whole["statusCode"], whole)
        self.answered.update({value["conversion_id"] for value in right})


async def _passed_on(app, scope, send, body):
    """Pass a body that was already read to the application."""
    events = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if not events:
            await asyncio.sleep(3600)
        return events.pop()

    await app(scope, receive, send)


async def _send(send, status, content, *headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def in_turn(share=0.3):
    """Make this share of the requests fail, evenly spread, with one fault after the other."""

    def choose(number, conversions):
        count = int((number + 1) * share)
        return IN_TURN[count % len(IN_TURN)] if count > int(number * share) else ""

    return choose


@cache
def _application(keys):
    return create_app(ServerSettings("127.0.0.1", 0, keys, parameters=(), requests_per_minute=10**6))


@contextmanager
def misbehaving(choose=lambda number, conversions: "", wait=0.0, keys=()):
    """Serve the API with faults; yields the URL and the wrapper with its counts."""
    faults = Faults(_application(keys), choose, wait)
    with running(faults) as base:
        yield base + PATH, faults
