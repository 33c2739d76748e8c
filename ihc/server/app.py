"""The server: credits of the local engine for whoever speaks the IHC Attribution API's language.

One flat list of sessions in, one flat list of values out; the HTTP status is the answer's `statusCode`. The names
`conversion_id` and `channel_label` are the API's and end here: the library calls them `conv_id` and `channel_name`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import uvicorn
from anyio import CapacityLimiter, to_thread
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, BeforeValidator, FailFast, Field, ValidationError, WithJsonSchema
from starlette.datastructures import State
from starlette.exceptions import HTTPException as AnyHTTPException

from ihc import __version__
from ihc.api.batching import FIELDS
from ihc.errors import SettingsError
from ihc.formatting import counted
from ihc.models.parameters import DEFAULT, Parameters, load_parameters
from ihc.models.redistribution import Redistribution, parse_redistribution, redistribution_schema
from ihc.server.answers import answer
from ihc.server.middleware import RequestLog, gate, log_to_stderr, read_body, refuse
from ihc.server.settings import ServerSettings, load_server_settings

COMPUTE, HEALTH, DOCUMENT = "/v1/compute_ihc", "/health", "/openapi.json"
THREADS = 2  # requests computed at once: more would only take turns, and hold more memory
DESCRIPTION = f"The IHC model on this machine, spoken to like the IHC Attribution API: `POST {COMPUTE}`."


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a flag is 0 or 1, neither true nor false")
    return value


Flag = Annotated[Literal[0, 1], BeforeValidator(_no_truth)]
Share = Annotated[float, Field(ge=0, le=1, description="A share, with four decimals.")]
Entries = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "null"}, redistribution_schema()]})]


class Session(BaseModel):
    """A session of a journey; further fields are ignored."""

    conversion_id: str = Field(description="The journey: the sessions that share it.")
    session_id: str = Field(description="Unique within the journey.")
    timestamp: str = Field(description="`%Y-%m-%d %H:%M:%S`, taken as UTC, or with its zone `%Y-%m-%d %H:%M:%S %z`.")
    channel_label: str = Field(description="The channel.")
    holder_engagement: Flag = Field(description="1: the session counts for the holder phase.")
    closer_engagement: Flag = Field(description="1: the session counts for the closer phase.")
    conversion: Flag = Field(
        description="1 on the session in which the conversion happened. The first such session ends the journey, and "
        "each session after it has an entry in `partialFailureErrors`. Without any, the last session converts."
    )
    impression_interaction: Flag = Field(default=0, description="1: an ad impression; it counts like a visit.")


class Question(BaseModel):
    """What a request asks for."""

    customer_journeys: Annotated[list[Session], FailFast()] = Field(min_length=1)
    redistribution_parameter: Entries = None


EXAMPLE = [
    Session.model_validate(dict(zip(Session.model_fields, values, strict=True)))
    for values in (
        ("order 1", "visit 1", "2025-03-01 10:00:00", "Search", 1, 1, 0, 0),
        ("order 1", "visit 2", "2025-03-02 10:00:00", "Mail", 1, 1, 1, 0),
        ("order 1", "visit 3", "2025-03-02 11:00:00", "Search", 1, 1, 0, 0),  # after the conversion
    )
]


class Value(BaseModel):
    """A session's shares: of its conversion, and of each phase of its journey."""

    conversion_id: str
    session_id: str
    initializer: Share
    holder: Share
    closer: Share
    ihc: Share


class Trigger(BaseModel):
    """A session without a value."""

    conversion_id: str
    session_id: str


class Failure(BaseModel):
    """Why a session has no value."""

    trigger: Trigger
    reason: str
    statusCode: Literal[206]  # noqa: N815 - the API's name


class Answer(BaseModel):
    """Values in the order of the sessions; with status 206 some sessions have none, and an entry each."""

    statusCode: Literal[200, 206]  # noqa: N815 - the API's name
    value: list[Value]
    partialFailureErrors: list[Failure]  # noqa: N815 - the API's name


class Refusal(BaseModel):
    """Nothing was computed, and why."""

    statusCode: int  # noqa: N815 - the API's name
    message: str


class Health(BaseModel):
    """The server is up, in this version, for these conversion types."""

    status: Literal["ok"]
    version: str
    conversion_types: list[str]


def create_app(settings: ServerSettings) -> FastAPI:
    """Make the application.

    Raises ParametersError for a parameters file that cannot be used, SettingsError for two of the same name.
    """
    types = load_conversion_types(settings.parameters)
    app = FastAPI(
        title="ihc",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=DOCUMENT,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(RequestLog, paths=(COMPUTE, HEALTH, DOCUMENT))
    app.add_exception_handler(AnyHTTPException, refuse)
    _add_endpoints(app, types, settings)
    return app


def load_conversion_types(files: Sequence[Path]) -> dict[str, Parameters]:
    """Read the parameters files, or the one that ships: a conversion type each, called by the set's name.

    Raises ParametersError for a file that cannot be used, SettingsError for two of the same name.
    """
    found: dict[str, Path] = {}
    types = {}
    for path in files or [DEFAULT]:
        parameters = load_parameters(path)
        if parameters.name in found:
            raise SettingsError(
                f"The parameters files {found[parameters.name]} and {path} have the same name {parameters.name!r}, "
                "and a conversion type is called by it: change the name in one of them."
            )
        found[parameters.name], types[parameters.name] = path, parameters
    return types


def _add_endpoints(app: FastAPI, types: Mapping[str, Parameters], settings: ServerSettings) -> None:
    threads = CapacityLimiter(THREADS)

    @app.post(
        COMPUTE,
        summary="Compute the values of customer journeys",
        dependencies=[Depends(gate(settings.keys, settings.requests_per_minute))],
        responses=_statuses(next(iter(types.values())), with_keys=bool(settings.keys)),
        response_model=Answer,
        openapi_extra=_document(types, settings),
    )
    async def compute_ihc(request: Request) -> Response:
        body = await read_body(request, settings.max_bytes)

        def compute() -> Response:
            question = _question(body, request.state)
            _check_limits(request.state, settings)
            parameters = _conversion_type(request.query_params.get("conv_type_id", ""), types)
            redistribution = _redistribution(question.redistribution_parameter)
            content = _answer(question.customer_journeys, parameters, redistribution)
            return Response(json.dumps(content), content["statusCode"], media_type="application/json")

        return await to_thread.run_sync(compute, limiter=threads)

    @app.get(HEALTH, summary="Say that the server is up", responses={500: {"model": Refusal}})
    async def health() -> Health:
        return Health(status="ok", version=__version__, conversion_types=list(types))


def _question(body: bytes, counts: State) -> Question:
    """Read a request, and leave the counts of its journeys and sessions for the log."""
    try:
        question = Question.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(400, f"The request is not as it must be, at {where}: {first['msg']}.") from None
    counts.sessions = len(question.customer_journeys)
    counts.journeys = len({session.conversion_id for session in question.customer_journeys})
    return question


def _check_limits(counts: State, settings: ServerSettings) -> None:
    limits = {"journeys": settings.max_journeys, "sessions": settings.max_sessions}
    for noun, most in limits.items():
        number = getattr(counts, noun)
        if number > most:
            raise HTTPException(413, f"The request holds {number:,} {noun}; the limit is {most:,} {noun} a request.")


def _conversion_type(asked: str, types: Mapping[str, Parameters]) -> Parameters:
    if asked not in types:
        raise HTTPException(400, "The conversion type is unknown: conv_type_id must be one that /health names.")
    return types[asked]


def _redistribution(entries: object) -> Redistribution | None:
    try:
        return None if entries is None else parse_redistribution(entries, "redistribution_parameter")
    except SettingsError as error:
        raise HTTPException(400, str(error)) from None


def _answer(
    sessions: Sequence[Session], parameters: Parameters, redistribution: Redistribution | None = None
) -> dict[str, Any]:
    columns = {column: [getattr(session, field) for session in sessions] for field, column in FIELDS.items()}
    credits, failed = answer(pd.DataFrame(columns), parameters, redistribution)
    failures = [
        {"trigger": {"conversion_id": conv_id, "session_id": session_id}, "reason": reason, "statusCode": 206}
        for conv_id, session_id, reason in _rows(failed)
    ]
    values = [dict(zip(Value.model_fields, row, strict=True)) for row in _rows(credits)]
    return {"statusCode": 206 if failures else 200, "value": values, "partialFailureErrors": failures}


def _rows(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    return zip(*(frame[name].tolist() for name in frame), strict=True)


def _document(types: Mapping[str, Parameters], settings: ServerSettings) -> dict[str, Any]:
    """What the signature of the operation cannot say of its request, in the words of OpenAPI."""
    question = Question.model_json_schema()
    question["properties"]["customer_journeys"]["items"] = question.pop("$defs")["Session"]
    limits = f"{settings.max_journeys:,} journeys, {settings.max_sessions:,} sessions, {settings.max_bytes:,} bytes"
    example = {"customer_journeys": [session.model_dump() for session in EXAMPLE[:2]]}
    conversion_type = {
        "name": "conv_type_id",
        "in": "query",
        "required": True,
        "description": "The conversion type: the name of one of this server's parameters sets.",
        "schema": {"type": "string", "enum": list(types)},
        "example": next(iter(types)),
    }
    body = {"required": True, "description": f"At most {limits}.", "content": _json(example, schema=question)}
    return {"parameters": [conversion_type], "requestBody": body}


def _statuses(parameters: Parameters, *, with_keys: bool) -> dict[int | str, dict[str, Any]]:
    """The statuses of an answer, documented."""
    refusals = {
        400: "The body, the conversion type or the redistribution is not as it must be.",
        413: "Over a limit of journeys, sessions or bytes.",
        429: "Over the limit of requests a minute.",
        500: "The server failed.",
    } | ({403: "The key is missing or unknown."} if with_keys else {})
    statuses: dict[int | str, dict[str, Any]] = {
        200: {"description": "All values.", "content": _json(_answer(EXAMPLE[:2], parameters))},
        206: {"model": Answer, "description": "Some values.", "content": _json(_answer(EXAMPLE, parameters))},
    }
    for status, says in refusals.items():
        content = _json({"statusCode": status, "message": says})
        statuses[status] = {"model": Refusal, "description": says, "content": content}
    statuses[429]["headers"] = {"Retry-After": {"description": "[s]", "schema": {"type": "integer"}, "required": True}}
    return statuses


def _json(example: object, **more: object) -> dict[str, Any]:
    return {"application/json": {"example": example, **more}}


def serve(settings: ServerSettings, say: Callable[[str], object] = print) -> None:
    """Serve until a signal ends it, and `say` where; the log goes to standard error. Raises as `create_app` does."""
    app = create_app(settings)
    authentication = counted(len(settings.keys), "key") if settings.keys else "no key asked for"
    say(f"Serving http://{settings.host}:{settings.port}{COMPUTE}, {authentication}; Ctrl-C ends it.")
    log_to_stderr()
    options: dict[str, Any] = {"access_log": False, "server_header": False, "proxy_headers": False, "ws": "none"}
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", **options)


def from_environment() -> FastAPI:
    """Make the application from the environment, for gunicorn: `-k uvicorn_worker.UvicornWorker` and this call.

    Raises SettingsError or ParametersError for settings that cannot be used.
    """
    log_to_stderr()
    return create_app(load_server_settings())
