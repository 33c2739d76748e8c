"""Options that several commands take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="PATH|URL",
        help="SQLite file or URL of another database. [default: data/ihc.db, a sample if missing]",
    ),
]
SchemaOption = Annotated[
    str | None,
    typer.Option("--schema", metavar="NAME", help="Schema of PostgreSQL. [default: as its search path]"),
]
StartDateOption = Annotated[
    datetime | None,
    typer.Option("--start-date", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day of the orders."),
]
EndDateOption = Annotated[
    datetime | None,
    typer.Option("--end-date", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day of the orders."),
]
ParametersOption = Annotated[
    str | None,
    typer.Option("--parameters", metavar="FILE", help="Parameters of the local engine. [default: the set that ships]"),
]
LookbackOption = Annotated[
    int | None,
    typer.Option("--lookback-days", min=1, metavar="N", help="Leave out older sessions. [default: any age counts]"),
]
RedistributionOption = Annotated[
    str | None,
    typer.Option("--redistribution", metavar="FILE", help="Redistribution parameter of the engine (JSON)."),
]
