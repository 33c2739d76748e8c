"""The command `ihc page`: the report out of notebooks that were executed without `ihc run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ihc.cli.options import settled, takes


@takes("output")
def page(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the executed notebooks are.")],
    **options: Any,
) -> None:
    """Write report.html of executed notebooks.

    For schedulers that execute the notebooks themselves; prints the path. Exit code 1: refused, or a chart
    failed.
    """
    from ihc.report.page import executed_in, write_page

    settings = settled(**options)
    page, failed = write_page(executed_in(folder), settings.output, settings.secrets)
    for sentence in failed:
        typer.echo(sentence, err=True)
    typer.echo(page)
    if failed:
        raise typer.Exit(1)
