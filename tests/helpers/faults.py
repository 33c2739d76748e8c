"""An API that misbehaves on purpose, and keeps count: the real server behind a wrapper, over real sockets."""

import asyncio
import json
from collections import Counter
from contextlib import contextmanager

from helpers.serving import running
from ihc.server.app import create_app
from ihc.server.settings import ServerSettings

PATH = "/v1/compute_ihc"
IN_TURN = ("429", "503", "dropped", "truncated", "broken JSON", "206")


def settings(**options):
    given = {"host": "127.0.0.1", "port": 0, "keys": (), "parameters": (), "requests_per_minute": 10**6}
    return ServerSettings(**given | options)


class Faults:
    """Wraps an ASGI application; `choose(number, conversions)` names the fault of the request, or none.

    `requests`: how many came; `answered`: how often each conversion was answered whole.
    """

    def __init__(self, app, choose=lambda number, conversions: "", wait=0.0):
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
        # Its number is taken before anything is awaited: others come meanwhile.
        number = self.requests
        self._count(scope, sessions, conversions)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.wait)
            fault = self.choose(number, conversions) or "none"
            await getattr(self, f"_{fault.lower().replace(' ', '_')}")(scope, receive, send, body, conversions)
        finally:
            self.at_once -= 1

    def _count(self, scope, sessions, conversions):
        self.requests += 1
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.paths.append(f"{scope['path']}?{scope['query_string'].decode()}")
        self.asked.update(conversions)
        self.most_sessions = max(self.most_sessions, len(sessions))
        self.most_journeys = max(self.most_journeys, len(conversions))

    async def _none(self, scope, receive, send, body, conversions):
        await self._pass_on(scope, send, body)
        self.answered.update(conversions)

    async def _206(self, scope, receive, send, body, conversions):
        """Answer the first half of the journeys, and nothing else."""
        kept = set(conversions[: len(conversions) // 2])
        if not kept:
            await _answer(send, 206, {"statusCode": 206, "value": [], "partialFailureErrors": ["sorry"]})
            return
        order = json.loads(body)
        order["customer_journeys"] = [each for each in order["customer_journeys"] if each["conversion_id"] in kept]
        answer = {}

        async def keep(event):
            answer["body"] = answer.get("body", b"") + event.get("body", b"")

        await self._pass_on(scope, keep, json.dumps(order).encode())
        whole = json.loads(answer["body"])
        await _answer(send, 206, whole | {"statusCode": 206, "partialFailureErrors": ["some were not computed"]})
        self.answered.update(kept)

    async def _pass_on(self, scope, send, body):
        sent = False

        async def receive():
            nonlocal sent
            if sent:
                await asyncio.sleep(3600)
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive, send)

    async def _429(self, scope, receive, send, body, conversions):
        await _answer(send, 429, {"message": "Too Many Requests"}, ("retry-after", "0"))

    async def _429_for_long(self, scope, receive, send, body, conversions):
        await _answer(send, 429, {"message": "Limit Exceeded"}, ("retry-after", "86400"))

    async def _503(self, scope, receive, send, body, conversions):
        await _answer(send, 503, {"message": "Service Unavailable"})

    async def _503_in_the_body(self, scope, receive, send, body, conversions):
        await _answer(send, 200, {"statusCode": 503, "message": "Service Unavailable"})

    async def _400(self, scope, receive, send, body, conversions):
        await _answer(send, 400, {"message": "Invalid value in a session"})

    async def _400_exceeds(self, scope, receive, send, body, conversions):
        await _answer(send, 400, {"message": "Value of timestamp exceeds the allowed range"})

    async def _nothing(self, scope, receive, send, body, conversions):
        await _answer(send, 200, {"statusCode": 200, "value": [], "partialFailureErrors": []})

    async def _sums_to_two_each(self, scope, receive, send, body, conversions):
        sessions = json.loads(body)["customer_journeys"]
        ids = [{"conversion_id": each["conversion_id"], "session_id": each["session_id"]} for each in sessions]
        values = [each | dict.fromkeys(("initializer", "holder", "closer", "ihc"), 1) for each in ids]
        value = [each | {"session_id": each["session_id"] + "!"} for each in values]
        await _answer(send, 200, {"statusCode": 200, "value": value})

    async def _403(self, scope, receive, send, body, conversions):
        await _answer(send, 403, {"message": "Forbidden"})

    async def _404(self, scope, receive, send, body, conversions):
        await _answer(send, 404, {"message": "Not Found"})

    async def _400_type(self, scope, receive, send, body, conversions):
        await _answer(send, 400, {"message": "Unknown conv_type_id"})

    async def _301(self, scope, receive, send, body, conversions):
        await _answer(send, 301, {}, ("location", "http://127.0.0.1:9/elsewhere"))

    async def _echo(self, scope, receive, send, body, conversions):
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        await _answer(send, 403, {"message": f"You sent {headers['x-api-key']}\n\x1b[31m" + "x" * 5000})

    async def _413(self, scope, receive, send, body, conversions):
        await _answer(send, 413, {"message": "Request Too Long"})

    async def _413_over_200(self, scope, receive, send, body, conversions):
        if len(json.loads(body)["customer_journeys"]) > 200:
            await _answer(send, 413, {"message": "Request Too Long"})
        else:
            await self._none(scope, receive, send, body, conversions)

    async def _dropped(self, scope, receive, send, body, conversions):
        receive.__self__.transport.abort()

    async def _truncated(self, scope, receive, send, body, conversions):
        headers = [(b"content-type", b"application/json"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"statusCode": 200, "value": [', "more_body": True})
        receive.__self__.transport.close()

    async def _broken_json(self, scope, receive, send, body, conversions):
        await _answer(send, 200, b'{"statusCode": 200, "value": [{"conversion_id": "')

    async def _sums_to_two(self, scope, receive, send, body, conversions):
        """What happens to a journey with two converting sessions: the first conversion's credit is doubled."""
        answer = {}

        async def keep(event):
            answer["body"] = answer.get("body", b"") + event.get("body", b"")

        await self._pass_on(scope, keep, body)
        whole = json.loads(answer["body"])
        first = whole["value"][0]["conversion_id"]
        extra = [entry | {"session_id": "x"} for entry in whole["value"] if entry["conversion_id"] == first]
        await _answer(send, 200, whole | {"value": whole["value"] + extra})
        self.answered.update(set(conversions) - {first})


async def _answer(send, status, content, *headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def in_turn(share=0.3):
    """Let this share of the requests fail, evenly spread, by one fault after the other."""

    def choose(number, conversions):
        count = int((number + 1) * share)
        return IN_TURN[count % len(IN_TURN)] if count > int(number * share) else ""

    return choose


@contextmanager
def misbehaving(choose=lambda number, conversions: "", wait=0.0, **options):
    """Serve the API with faults; yields the address and the wrapper with its counts."""
    faults = Faults(create_app(settings(**options)), choose, wait)
    with running(faults) as base:
        yield base + PATH, faults
