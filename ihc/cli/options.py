"""Options of the commands, generated from the settings."""

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
UNSPLIT = ("parameters",)  # lists that their setting splits, because their values may contain commas
# For commands that do not create a sample shop.
OWN_DATABASE = "SQLite file or database URL. [default: data/ihc.db]"


def takes(*names: str, **texts: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator that adds settings as options to a command. Its `**options` holds them, None if not given.

    `texts`: help texts that differ from those of `ihc run`.
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
    """Resolve the settings of a command; relative paths start at the working directory."""
    from ihc.settings.run import load_settings

    return load_settings(base=Path.cwd(), **options)


def _parameter(name: str, text: str | None) -> inspect.Parameter:
    annotation, says, *_ = get_args(KINDS[name])
    kind, *_ = get_args(annotation) or (annotation,)  # the first type of `int | None` or `tuple[str, ...]`
    is_listed = get_origin(annotation) is tuple
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=text or says.text,
        metavar=says.metavar,
        min=says.least,
        callback=_day if name.endswith("_date") else _listed if is_listed and name not in UNSPLIT else None,
    )
    parsed = list[kind] if is_listed else kind  # type: ignore[valid-type]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[parsed | None, option]
    )


def _listed(given: list[str] | None) -> list[str]:
    """The values of an option that is comma-separated or repeated."""
    return [name.strip() for name in ",".join(given or []).split(",") if name.strip()]


def _day(given: str | None) -> str | None:
    """Validate a date option; typer adds the option's name to the message."""
    from ihc.schemas.tables import check_window

    try:
        return check_window(given, None)[0]
    except InputError as error:
        raise typer.BadParameter(str(error).removeprefix("start_date ")) from None
