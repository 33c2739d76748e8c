"""Command-line application: commands init, sample and serve, and the entry point."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc import __version__
from ihc.cli.check import check
from ihc.cli.history import diff, runs
from ihc.cli.imports import import_
from ihc.cli.model import calibrate, explain, train
from ihc.cli.options import OWN_DATABASE, settled, takes
from ihc.cli.run import REFUSED, WAITING, run
from ihc.cli.scale import scale
from ihc.cli.stress import stress
from ihc.cli.validate import validate
from ihc.errors import IhcError, SettingsError

if TYPE_CHECKING:
    from ihc.database.database import Database

app = typer.Typer(
    name="ihc", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ihc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Marketing attribution: from three tables to credits, CPO, ROAS, charts and a report.

    Settings are read from options, then environment variables (IHC_DATABASE, ...), then .env; see .env.example.
    """


app.command()(run)
app.command()(check)
app.command("import")(import_)


@app.command()
@takes("database", "schema", database=OWN_DATABASE)
def init(
    clean_results: Annotated[bool, typer.Option("--clean-results", help="Empty the result tables.")] = False,
    **options: Any,
) -> None:
    """Create missing tables.

    Also creates the database file if it is missing, and brings result tables of an earlier version into their present
    form. Other existing tables stay unchanged.
    """
    from ihc.database.results import create_tables

    settings = settled(engine="local", **options)
    create_tables(settings.database, optional=True, renew=True)
    if clean_results:
        with settings.database.lock(typer.echo, held=settings.held_lock):
            create_tables(settings.database, clean_results=True)
    cleaned = "; the result tables are empty" if clean_results else ""
    typer.echo(f"{settings.database.label} has all tables{cleaned}.")


class SampleForm(StrEnum):
    """What `ihc sample` writes."""

    DATABASE = "database"
    CSV = "csv"


@app.command()
@takes("schema")
def sample(
    database: Annotated[
        str | None,
        typer.Argument(
            metavar="DB|DIR", help="New SQLite file or database URL. [default: IHC_DATABASE] For csv: a folder."
        ),
    ] = None,
    as_: Annotated[
        SampleForm, typer.Option("--as", help="csv: exports of sessions, orders and daily spend, for `ihc import`.")
    ] = SampleForm.DATABASE,
    conversions: Annotated[int, typer.Option(min=1, metavar="N", help="Number of orders; about, with --truth.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Random seed.")] = 1,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Simulate what causes the orders, and write what each channel adds to a CSV file."
        ),
    ] = None,
    **options: Any,
) -> None:
    """Create a synthetic shop: a new database, or CSV files as a shop's tools export them.

    With --truth, customers buy at rates that the channels raise, and some channels only follow those who would buy
    anyway. The effects differ from seed to seed. The file has the true incremental orders, revenue and iROAS of each
    channel.
    """
    from ihc.database.database import Database
    from ihc.pipeline.sample import write_exports, write_sample

    if as_ is SampleForm.CSV:
        if truth:
            raise SettingsError("--truth is for a database: leave out --as csv.")
        if database is None:
            raise SettingsError("No folder given: name one for the CSV files.")
        files = write_exports(Path(database), conversions, seed)
        typer.echo(f"Wrote {', '.join(map(str, files))}: a synthetic shop with {conversions:,} orders, seed {seed}.")
        return
    settings = settled(database=database, engine="local", **options)
    if database is None and settings.is_default_database:
        raise SettingsError("No database given: name a new SQLite file, or set IHC_DATABASE.")
    made = Database(database).label if database else settings.database.label
    if truth:
        _simulate(settings.database, made, conversions, seed, truth)
        return
    write_sample(settings.database, conversions, seed)
    typer.echo(f"Created {made}: a synthetic shop with {conversions:,} orders, seed {seed}.")


def _simulate(database: Database, made: str, conversions: int, seed: int, truth: Path) -> None:
    from ihc.formatting import counted
    from ihc.lab.shop import simulate_shop, varied_channels
    from ihc.pipeline.sample import write_shop
    from ihc.report.files import writable, write_csv

    if truth.exists() or (database.file and database.file == truth.resolve()):
        raise SettingsError(f"--truth {truth}: name a new file, other than the database.")
    target = writable(truth, "--truth")
    world = simulate_shop(conversions, seed, varied_channels(seed))
    write_shop(database, world.tables)
    write_csv(world.truth, target)
    orders = counted(len(world.tables.conversions), "order")
    typer.echo(
        f"Created {made}: a simulated shop with {orders}, seed {seed}. {world.anyway_orders:,.0f} of them "
        f"would have come without any channel. Wrote what each channel added to {target}."
    )


@app.command()
def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Port to listen on.")] = 8000,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Parameters file of a conversion type; may be repeated. [default: built-in set]"
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Accept requests without a key, on this machine only.")
    ] = False,
) -> None:
    """Serve the IHC Attribution API with the local engine.

    Needs the extra [server]. Set the keys in IHC_SERVER_KEYS. Conversion types are the names in the parameters files.
    """
    from ihc.server.settings import load_server_settings

    settings = load_server_settings(base=Path.cwd(), host=host, port=port, parameters=parameters or (), no_auth=no_auth)
    try:
        from ihc.server.app import serve as listen
    except ImportError as error:
        raise SettingsError(
            f"ihc serve needs the extra server ({error}): pip install 'ihc-attribution[server]'"
        ) from None
    listen(settings, lambda line: typer.echo(line, err=True))


for command in (scale, calibrate, train, explain, stress, validate, runs, diff):
    app.command()(command)


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command; an error of `ihc` is printed as one message on stderr."""
    # SIGTERM must end the kernels too, so it is handled like Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    # Python searches all objects for cycles once more before it ends: half a second after a report.
    atexit.register(gc.freeze)
    try:
        app(standalone_mode=True)
    except IhcError as error:
        print(f"ihc: {error}", file=sys.stderr)
        sys.exit(WAITING if getattr(error, "waits", False) else REFUSED)
