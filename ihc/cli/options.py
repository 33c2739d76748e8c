"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from ihc.errors import InputError

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


def _day(given: str | None) -> str | None:
    """The day of an option as it is given; typer names the option where it is none."""
    from ihc.schemas.tables import check_window

    try:
        return check_window(given, None)[0]
    except InputError as error:
        raise typer.BadParameter(str(error).removeprefix("start_date ")) from None


StartDateOption = Annotated[
    str | None,
    typer.Option("--start-date", callback=_day, metavar="YYYY-MM-DD", help="First day of the orders."),
]
EndDateOption = Annotated[
    str | None,
    typer.Option("--end-date", callback=_day, metavar="YYYY-MM-DD", help="Last day of the orders."),
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
DirectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--direct", metavar="NAME", help="A channel that is direct traffic; may be repeated. [default: usual names]"
    ),
]
