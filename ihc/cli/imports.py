"""Command `ihc import`: from a shop's exports to the tables, with a mapping file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc.cli.options import OWN_DATABASE, settled, takes
from ihc.cli.printing import make_console, say
from ihc.errors import SettingsError, why
from ihc.formatting import counted, fixed, listed, percentage, shown, some
from ihc.shipped import preset_names

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ihc.importing.columns import Guess
    from ihc.importing.convert import Converted
    from ihc.importing.mapping import Mapping
    from ihc.importing.shop import Read
    from ihc.settings.run import Settings

SURE = 0.8  # least confidence of a guess that needs no second look
FILES = "CSV, JSON lines, Parquet or Excel: a file, a folder or a glob."


@takes("database", "schema", database=OWN_DATABASE)
def import_(  # noqa: PLR0913 - one argument per option
    sessions: Annotated[str | None, typer.Option(metavar="FILES", help=f"Sessions. {FILES}")] = None,
    orders: Annotated[str | None, typer.Option(metavar="FILES", help="Orders, or lines of orders.")] = None,
    spend: Annotated[str | None, typer.Option(metavar="FILES", help="Spend per day and channel or campaign.")] = None,
    events: Annotated[str | None, typer.Option(metavar="FILES", help="Events of a tool, with --preset.")] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Tool that the files come from: {', '.join(preset_names())}.")
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="Mapping file. [default: beside the database; written if missing]"),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Time zone of the shop's days, such as Europe/Berlin. [default: UTC]"),
    ] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Currency; rows in others are left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything, write nothing.")] = False,
    **options: Any,
) -> None:
    """Import a shop's exports.

    Finds out which column is what, and writes that to a mapping file, which you can edit and use again. The same import
    again changes nothing; a longer export adds what is new. Needs the extra [import].
    """
    from ihc.importing.mapping import GA4
    from ihc.importing.shop import TABLES, convert, learned, read_exports, tables_of

    named = {"sessions": sessions, "orders": orders, "spend": spend, "events": events}
    files = {option: path for option, path in named.items() if path is not None}
    if not files:
        raise SettingsError("Give the files to import: --sessions, --orders and --spend, or --events with --preset.")
    settings = settled(engine="local", **options)
    path, console = map_ or _mapping_path(settings), make_console()
    mapping = _mapping(path, preset, timezone, currency)
    read = read_exports(files, mapping)
    _print_columns(console, files, read)
    converted: dict[str, Converted] = {}
    try:
        converted = convert(read)
    finally:  # also after an error: the mapping is where the user answers it
        if not dry_run:
            _write_mapping(path, preset, learned(read, converted), console)
    tables = tables_of(converted)
    for kind, each in converted.items():
        _print_rows(console, kind, each, shows_rules=read.mapping.channels != GA4)
    if dry_run:
        console.print("Nothing was written (--dry-run).")
        return
    gone = {TABLES[kind]: each.gone for kind, each in converted.items()}
    _store(settings, tables, gone, console)
    where = "URL" if settings.database.is_url else settings.database.label  # a URL may hold a password
    given = "" if options["database"] is None else f" --database {where}"
    unit = f" --currency {read.mapping.currency}" if read.mapping.currency else ""
    console.print(f"Next: ihc check{given}, then ihc run{given}{unit}")


def _mapping_path(settings: Settings) -> Path:
    file = settings.database.file
    return file.with_suffix(".mapping.toml") if file else Path("ihc.mapping.toml")


def _mapping(path: Path, preset: str | None, timezone: str | None, currency: str | None) -> Mapping:
    """The mapping of the file, else of the preset, else an empty one; with the options."""
    from ihc.importing.mapping import Mapping, load_mapping, load_preset

    mapping = load_mapping(path) if path.exists() else load_preset(preset) if preset else Mapping()
    given = {"timezone": timezone, "currency": currency}
    for name, value in given.items():
        if value and path.exists() and value != getattr(mapping, name):
            raise SettingsError(f"The mapping {path} says {name} = {getattr(mapping, name)!r}: change it there.")
    return mapping.model_copy(update={name: value for name, value in given.items() if value})


def _write_mapping(path: Path, preset: str | None, read: Read, console: Console) -> None:
    """Write the mapping if it is new, or add the parts that it lacked."""
    from ihc.importing.mapping import mapping_text

    is_new = not path.exists()
    if not is_new and not any(export.guesses for export in read.exports.values()):
        console.print(f"Columns as in the mapping {path}.")
        return
    samples = {
        kind: {each.field: f"for example {each.sample}" for each in export.guesses}
        for kind, export in read.exports.items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            mapping_text(read.mapping, preset if is_new else None, None if is_new else path, samples), "utf-8"
        )
    except OSError as error:
        raise SettingsError(f"The mapping {path} cannot be written: {why(error)}.") from None
    console.print(
        f"Mapping {'written to' if is_new else 'added to'} {path}: edit it if a column is wrong, and import again."
    )


def _print_columns(console: Console, files: dict[str, str], read: Read) -> None:
    from rich import box
    from rich.table import Table

    for option, path in files.items():
        console.print(f"--{option} {path}: {counted(read.rows[option], 'row')}, {read.forms[option]}")
    for kind, export in read.exports.items():
        if export.guesses:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Columns of {kind}", title_justify="left")
            for name in ("Field", "Column", "Example", "Confidence"):
                table.add_column(name, justify="right" if name == "Confidence" else "left", no_wrap=True)
            for each in export.guesses:
                table.add_row(each.field, _column_of(each), each.sample, percentage(each.confidence))
            console.print(table)
            if doubtful := [f"{each.field} = {_column_of(each)}" for each in export.guesses if each.confidence < SURE]:
                console.print(f"Check these columns of {kind}: {listed(doubtful, 20)}")
        if export.unused and export.guesses:
            console.print(f"Columns of {kind} that are not used: {some(export.unused, 20)}")


def _column_of(guess: Guess) -> str:
    """The column of a guess, or its columns, for the screen."""
    return shown(guess.column if isinstance(guess.column, str) else " + ".join(guess.column))


def _print_rows(console: Console, kind: str, converted: Converted, *, shows_rules: bool) -> None:
    """How values were read, the rows from read to kept, and the channels by rule."""
    say(console, [f"{kind}, {note}" for note in converted.notes])
    for what, rows in converted.counts.itertuples(index=False):
        console.print(f"  {fixed(rows):>12}  {what}")
    if converted.channels:
        say(console, _channel_lines(converted.channels.counts, shows_rules=shows_rules))
        unmatched = converted.channels.unmatched
        if len(unmatched):
            console.print(f"  No rule matches {counted(unmatched['rows'].sum(), 'row')}; the most frequent:")
            say(console, (f"  {fixed(row['rows']):>12}  {_place(row)}" for row in unmatched.head(5).to_dict("records")))


def _channel_lines(counts: pd.DataFrame, *, shows_rules: bool) -> Iterator[str]:
    yield "  Channels by rule:" if shows_rules else "  Channels by Google's default channel group:"
    for row in counts.to_dict("records"):
        rule = f"rule {row['rule']}; " if shows_rules and row["rule"] else ""
        yield f"  {fixed(row['rows']):>12}  {shown(row['channel'])} ({rule}{shown(row['example'])})"


def _place(row: dict[Any, Any]) -> str:
    return " / ".join(shown(row[name]) for name in ("source", "medium", "campaign"))


def _store(
    settings: Settings, tables: dict[str, pd.DataFrame], gone: dict[str, tuple[str, ...]], console: Console
) -> None:
    from ihc.database.imports import store_import
    from ihc.database.results import is_marked_sample

    if is_marked_sample(settings.database):
        raise SettingsError(
            f"{settings.database.label} is the sample shop: import into a database of your own (--database shop.db)."
        )
    settings.database.make_empty()
    with settings.database.lock(console.print, held=settings.held_lock):
        stored = store_import(settings.database, tables, gone)
    for row in stored.to_dict("records"):
        sizes = ", ".join(f"{fixed(row[name])} {name}" for name in ("new", "changed", "unchanged"))
        removed = f", {fixed(row['removed'])} removed" if row["removed"] else ""
        console.print(f"{row['table']}: {sizes}{removed}; {fixed(row['total'])} in all")
        if row["others"]:
            console.print(
                f"{row['table']}: {counted(row['others'], 'other row')} of the same days with a cost of "
                f"{fixed(row['others_cost'], 2)} stay, as their channel or campaign is not in this import. If an "
                "earlier mapping made them, import into a new database."
            )
