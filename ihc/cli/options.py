"""The settings as options of the commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from ihc.errors import InputError
from ihc.settings.options import Options

if TYPE_CHECKING:
    from ihc.settings.run import Settings

KINDS = get_type_hints(Options, include_extras=True)
# Of a command that makes no sample where there is no database.
OWN_DATABASE = "SQLite file or URL of another database. [default: data/ihc.db]"


def takes(*names: str, **texts: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these settings as options; its `**options` holds them, None for each that is not given.

    `texts`: the help of those of which this command has something else to say than `ihc run`.
    """

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        *own, _options = inspect.signature(command, eval_str=True).parameters.values()
        settings = [_parameter(name, texts.get(name)) for name in names]
        before = [each for each in own if each.default is each.empty]
        after = [each for each in own if each.default is not each.empty]
        every = [each.replace(kind=each.KEYWORD_ONLY) for each in (*before, *settings, *after)]
        command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        return command

    return with_options


def settled(**options: Any) -> Settings:
    """The settings of a command; paths start at the folder where it was called."""
    from ihc.settings.run import load_settings

    return load_settings(base=Path.cwd(), **options)


def _parameter(name: str, text: str | None) -> inspect.Parameter:
    annotation, says, *_ = get_args(KINDS[name])
    kind, *_ = get_args(annotation) or (annotation,)  # of `int | None` and of `tuple[str, ...]`, the first
    is_listed = get_origin(annotation) is tuple
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=text or says.text,
        metavar=says.metavar,
        min=says.least,
        callback=_day if name.endswith("_date") else _listed if is_listed else None,
    )
    parsed = list[kind] if is_listed else kind  # type: ignore[valid-type]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[parsed | None, option]
    )


def _listed(given: list[str] | None) -> list[str]:
    """The names of an option that takes several, by commas, or is repeated."""
    return [name.strip() for name in ",".join(given or []).split(",") if name.strip()]


def _day(given: str | None) -> str | None:
    """The day of an option as it is given; typer names the option where it is none."""
    from ihc.schemas.tables import check_window

    try:
        return check_window(given, None)[0]
    except InputError as error:
        raise typer.BadParameter(str(error).removeprefix("start_date ")) from None
