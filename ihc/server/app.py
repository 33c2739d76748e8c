"""HTTP server compatible with the IHC Attribution API, using the local engine.

One flat list of sessions in, one flat list of values out; the HTTP status equals the answer's `statusCode`. The API's
names `conversion_id` and `channel_label` are used only here: the library calls them `conv_id` and `channel_name`.
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
from ihc.server.middleware import RequestLog, access_check, log_to_stderr, read_body, refuse
from ihc.server.settings import ServerSettings, load_server_settings

COMPUTE, HEALTH, DOCUMENT = "/v1/compute_ihc", "/health", "/openapi.json"
THREADS = 2  # parallel requests; more threads would not be faster, but use more memory
DESCRIPTION = f"The IHC model on this server, with the interface of the IHC Attribution API: `POST {COMPUTE}`."


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a flag must be 0 or 1, not true or false")
    return value


Flag = Annotated[Literal[0, 1], BeforeValidator(_no_truth)]
Share = Annotated[float, Field(ge=0, le=1, description="A share with four decimals.")]
Entries = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "null"}, redistribution_schema()]})]


class Session(BaseModel):
    """A session of a journey; other fields are ignored."""

    conversion_id: str = Field(description="The journey: all sessions with the same value.")
    session_id: str = Field(description="Unique within the journey.")
    timestamp: str = Field(description="`%Y-%m-%d %H:%M:%S` in UTC, or with a time zone, `%Y-%m-%d %H:%M:%S %z`.")
    channel_label: str = Field(description="The channel.")
    holder_engagement: Flag = Field(description="1: counts for the holder phase.")
    closer_engagement: Flag = Field(description="1: counts for the closer phase.")
    conversion: Flag = Field(
        description="1: the session of the conversion. The first such session ends the journey, and each later session "
        "gets an entry in `partialFailureErrors`. If there is none, the last session converts."
    )
    impression_interaction: Flag = Field(default=0, description="1: an ad impression; it counts like any session.")


class AttributionRequest(BaseModel):
    """The body of a request."""

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
    """The shares of a session: of the conversion, and of each phase of the journey."""

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
    """Values in the order of the sessions. With status 206, sessions without a value are listed as failures."""

    statusCode: Literal[200, 206]  # noqa: N815 - the API's name
    value: list[Value]
    partialFailureErrors: list[Failure]  # noqa: N815 - the API's name


class Refusal(BaseModel):
    """A rejected request: nothing was computed."""

    statusCode: int  # noqa: N815 - the API's name
    message: str


class Health(BaseModel):
    """The server is up: its version and conversion types."""

    status: Literal["ok"]
    version: str
    conversion_types: list[str]


def create_app(settings: ServerSettings) -> FastAPI:
    """Create the application.

    Raises ParametersError for an invalid parameters file, SettingsError for two with the same name.
    """
    types = load_conversion_types(settings.parameters)
    app = FastAPI(
        title="ihc",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=DOCUMENT,
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(RequestLog, paths=(COMPUTE, HEALTH, DOCUMENT))
    app.add_exception_handler(AnyHTTPException, refuse)
    _add_endpoints(app, types, settings)
    return app


def load_conversion_types(files: Sequence[Path]) -> dict[str, Parameters]:
    """Read the parameters files, by default the built-in one. Each set is a conversion type with the name of the set.

    Raises ParametersError for an invalid file, SettingsError for two sets with the same name.
    """
    found: dict[str, Path] = {}
    types = {}
    for path in files or [DEFAULT]:
        parameters = load_parameters(path)
        if parameters.name in found:
            raise SettingsError(
                f"The parameters files {found[parameters.name]} and {path} have the same name {parameters.name!r}, "
                "which is the name of the conversion type: change it in one of them."
            )
        found[parameters.name], types[parameters.name] = path, parameters
    return types


def _add_endpoints(app: FastAPI, types: Mapping[str, Parameters], settings: ServerSettings) -> None:
    threads = CapacityLimiter(THREADS)

    @app.post(
        COMPUTE,
        summary="Compute the values of customer journeys",
        dependencies=[Depends(access_check(settings.keys, settings.requests_per_minute))],
        responses=_statuses(next(iter(types.values())), with_keys=bool(settings.keys)),
        response_model=Answer,
        openapi_extra=_document(types, settings),
    )
    async def compute_ihc(request: Request) -> Response:
        body = await read_body(request, settings.max_bytes)

        def compute() -> Response:
            given = _parse(body, request.state)
            _check_limits(request.state, settings)
            parameters = _conversion_type(request.query_params.get("conv_type_id", ""), types)
            redistribution = _redistribution(given.redistribution_parameter)
            content = _answer(given.customer_journeys, parameters, redistribution)
            return Response(json.dumps(content), content["statusCode"], media_type="application/json")

        return await to_thread.run_sync(compute, limiter=threads)

    @app.get(HEALTH, summary="Health check", responses={500: {"model": Refusal}})
    async def health() -> Health:
        return Health(status="ok", version=__version__, conversion_types=list(types))


def _parse(body: bytes, counts: State) -> AttributionRequest:
    """Parse a request, and store its number of journeys and sessions for the log."""
    try:
        request = AttributionRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(400, f"Invalid request at {where}: {first['msg']}.") from None
    counts.sessions = len(request.customer_journeys)
    counts.journeys = len({session.conversion_id for session in request.customer_journeys})
    return request


def _check_limits(counts: State, settings: ServerSettings) -> None:
    limits = {"journeys": settings.max_journeys, "sessions": settings.max_sessions}
    for noun, most in limits.items():
        number = getattr(counts, noun)
        if number > most:
            raise HTTPException(413, f"The request holds {number:,} {noun}; the limit is {most:,} {noun} per request.")


def _conversion_type(name: str, types: Mapping[str, Parameters]) -> Parameters:
    if name not in types:
        raise HTTPException(400, "Unknown conversion type: conv_type_id must be one of those listed by /health.")
    return types[name]


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
    """The parts of the OpenAPI document that FastAPI cannot derive from the function signature."""
    schema = AttributionRequest.model_json_schema()
    schema["properties"]["customer_journeys"]["items"] = schema.pop("$defs")["Session"]
    limits = f"{settings.max_journeys:,} journeys, {settings.max_sessions:,} sessions, {settings.max_bytes:,} bytes"
    example = {"customer_journeys": [session.model_dump() for session in EXAMPLE[:2]]}
    conversion_type = {
        "name": "conv_type_id",
        "in": "query",
        "required": True,
        "description": "Conversion type: the name of a parameters set of this server.",
        "schema": {"type": "string", "enum": list(types)},
        "example": next(iter(types)),
    }
    body = {"required": True, "description": f"At most {limits}.", "content": _json(example, schema=schema)}
    return {"parameters": [conversion_type], "requestBody": body}


def _statuses(parameters: Parameters, *, with_keys: bool) -> dict[int | str, dict[str, Any]]:
    refusals = {
        400: "Invalid body, conversion type or redistribution.",
        413: "Too many journeys, sessions or bytes.",
        429: "Too many requests per minute.",
        500: "Server error.",
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
    """Serve until a signal ends it; `say` prints the address, the log goes to stderr. Raises like `create_app`."""
    app = create_app(settings)
    authentication = counted(len(settings.keys), "key") if settings.keys else "no authentication"
    say(f"Serving http://{settings.host}:{settings.port}{COMPUTE}, {authentication}; press Ctrl-C to stop.")
    log_to_stderr()
    options: dict[str, Any] = {"access_log": False, "server_header": False, "proxy_headers": False, "ws": "none"}
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", **options)


def from_environment() -> FastAPI:
    """Create the application from environment settings, for gunicorn with `-k uvicorn_worker.UvicornWorker`.

    Raises SettingsError or ParametersError for invalid settings.
    """
    log_to_stderr()
    return create_app(load_server_settings())
