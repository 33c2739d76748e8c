"""Settings as command options."""

from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from ihc.cli.options import takes
from ihc.settings.options import Engine


def called(*arguments):
    """Call a command with some settings and its own option, and return the arguments that it receives."""
    app, got = typer.Typer(), {}

    @app.command()
    @takes("database", "start_date", "lookback_days", "engine", "parameters", "refresh", "direct", refresh="Again.")
    def command(own: Annotated[int, typer.Option(help="Its own.")] = 3, **options: Any) -> None:
        got.update(options, own=own)

    return CliRunner().invoke(app, arguments), got


def test_options_not_given_are_none_so_that_the_environment_applies():
    _, got = called()
    names = ("database", "start_date", "lookback_days", "engine", "parameters", "refresh", "direct")
    assert got == dict.fromkeys(names) | {"own": 3}


def test_given_options_are_passed_with_their_types():
    given = ["--database", "shop.db", "--start-date", "2023-09-01", "--lookback-days", "30", "--engine", "local"]
    given += ["--parameters", "p.json", "--refresh", "--direct", "A b, C", "--direct", "D", "--own", "4"]
    given += ["--parameters", "lead=a,b.json"]
    _, got = called(*given)
    assert got == {
        "database": "shop.db",
        "start_date": "2023-09-01",
        "lookback_days": 30.0,
        "engine": Engine.LOCAL,
        "parameters": ["p.json", "lead=a,b.json"],
        "refresh": True,
        "direct": ["A b", "C", "D"],
        "own": 4,
    }


@pytest.mark.parametrize("text", ["SQLite file or database URL", "[x>=1]", "Again.", "Its own."])
def test_the_help_describes_each_option(text):
    assert text in called("--help")[0].output
