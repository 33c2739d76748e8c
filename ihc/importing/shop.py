"""Turn the files of one import into the rows of a shop's tables."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import NamedTuple

import pandas as pd

from ihc.errors import InputError, SettingsError
from ihc.formatting import counted, fixed, listed, shown
from ihc.importing.amounts import currency_codes, distinct_currencies
from ihc.importing.columns import Guess, guess_columns, part_of
from ihc.importing.convert import Converted, convert_orders, convert_sessions, convert_spend
from ihc.importing.files import FILE, Exports, open_exports
from ihc.importing.mapping import FIELDS, Mapping, Part, names_of
from ihc.importing.times import load_timezone
from ihc.schemas.tables import CONVERSIONS, COSTS, SESSIONS, SPEND, check_table

TABLES = {"sessions": SESSIONS, "orders": CONVERSIONS, "spend": SPEND}


class Export(NamedTuple):
    """The rows of `sessions`, `orders` or `spend` before their conversion.

    `guesses`: the columns found, empty if the mapping names them; `unused`: columns that nothing uses.
    """

    frame: pd.DataFrame
    guesses: list[Guess]
    unused: list[str]


class Read(NamedTuple):
    """What the files of an import hold: `forms` and `rows` by option, exports by kind, and the complete mapping."""

    forms: dict[str, str]
    rows: dict[str, int]
    exports: dict[str, Export]
    mapping: Mapping


def read_exports(files: Map[str, str], mapping: Mapping) -> Read:
    """Read the files of each option, and guess the columns that the mapping does not name.

    Raises InputError if a file is missing or broken, SettingsError if the options do not fit the mapping.
    """
    load_timezone(mapping.timezone)
    with open_exports() as opened:
        for option, path in files.items():
            opened.add(option, path, mapping.schema_of(option))
        opened.close_files()
        exports = {kind: _export(opened, kind, mapping.part(kind)) for kind in _meant(opened, files, mapping)}
        guessed = {
            kind: _completed(mapping.part(kind), each.guesses, each.frame)
            for kind, each in exports.items()
            if each.guesses or mapping.part(kind) is None
        }
    complete = mapping.model_copy(update=guessed)
    return Read(
        opened.forms, opened.rows, exports, complete.model_copy(update={"currency": _currency(exports, complete)})
    )


def convert(read: Read) -> dict[str, Converted]:
    """Convert each export. Raises InputError or AmbiguousError with the export, the column and the value."""
    frames, done = {kind: export.frame for kind, export in read.exports.items()}, {}
    if "sessions" in frames:
        done["sessions"] = convert_sessions(frames["sessions"], read.mapping)
    sessions = done["sessions"].frame if done else None
    if "orders" in frames:
        orders = convert_orders(frames["orders"], read.mapping)
        done["orders"] = orders if sessions is None else _with_users(orders, sessions)
    if "spend" in frames:
        done["spend"] = convert_spend(frames["spend"], read.mapping, sessions)
    _check_currencies(done, read.mapping)
    return done


def learned(read: Read, converted: Map[str, Converted]) -> Read:
    """Add to the guessed parts of the mapping how their dates and amounts are written, for later exports."""
    parts = {
        kind: read.mapping.part(kind).model_copy(update=dict(each.learned))  # type: ignore[union-attr]
        for kind, each in converted.items()
        if read.exports[kind].guesses
    }
    return read._replace(mapping=read.mapping.model_copy(update=parts))


def _with_users(orders: Converted, sessions: pd.DataFrame) -> Converted:
    """Add a note of how many orders have a user of the sessions, as the two may have different ids."""
    users, known = orders.frame["user_id"], sessions["user_id"]
    number = int((users.isin(known) & (users != "")).sum())
    have = "has" if number == 1 else "have"
    says = f"user_id: {fixed(number)} of {counted(len(users), 'order')} {have} a user with sessions"
    if not number and (users != "").any() and (known != "").any():
        one, other = (shown(ids[ids != ""].iloc[0]) for ids in (users, known))
        says += f"; {one} in the orders is unlike {other} in the sessions, so choose columns with the same ids"
    return orders._replace(notes=(*orders.notes, says)) if len(users) else orders


def _check_currencies(converted: Map[str, Converted], mapping: Mapping) -> None:
    """Raise InputError if amounts are written in several currencies, or in another one than the shop's."""
    names = {name for each in converted.values() for name in each.currencies} | ({mapping.currency} - {""})
    if len(found := distinct_currencies(names)) > 1:
        raise InputError(
            f"The exports have amounts in {listed(found)}, which cannot be added up. Export them in one currency"
            + (f", in {mapping.currency}." if mapping.currency else ".")
        )


def tables_of(converted: Map[str, Converted]) -> dict[str, pd.DataFrame]:
    """The frames to store, by table; costs of sessions as a table of their own."""
    tables = {TABLES[kind]: each.frame for kind, each in converted.items()}
    if "cost" in (sessions := tables.get(SESSIONS, pd.DataFrame())):
        tables[COSTS] = sessions.loc[sessions["cost"].notna(), ["session_id", "cost"]].reset_index(drop=True)
        tables[SESSIONS] = sessions.drop(columns="cost")
    for name in (SESSIONS, CONVERSIONS):
        if name in tables:
            check_table(name, tables[name])
    return tables


def _currency(exports: Map[str, Export], mapping: Mapping) -> str:
    """The currency of the mapping, else the one of the exports; raises InputError if they have several."""
    parts = {kind: mapping.part(kind) for kind in exports}
    columns = {kind: part.columns["currency"] for kind, part in parts.items() if part and "currency" in part.columns}
    if mapping.currency or not columns:
        return mapping.currency
    codes = pd.concat(
        [
            currency_codes(exports[kind].frame[str(name)])
            for kind, name in columns.items()
            if name in exports[kind].frame
        ]
    )
    counts = codes[codes != ""].value_counts()
    if len(counts) > 1:
        says = listed([f"{shown(code)} in {counted(rows, 'row')}" for code, rows in counts.items()])
        raise InputError(
            f"The exports have amounts in several currencies ({says}), which cannot be added up. Choose one with "
            "--currency; rows in others are then left out and counted."
        )
    return str(counts.index[0]) if len(counts) else ""


def _meant(opened: Exports, files: Map[str, str], mapping: Mapping) -> list[str]:
    """The kinds of rows that these files hold: those of their own options, and of queries whose files are given."""
    parts = {kind: mapping.part(kind) for kind in FIELDS}
    needs = {kind: opened.options_of(part.query) for kind, part in parts.items() if part and part.query}
    meant = [kind for kind in FIELDS if needs.get(kind, {kind}) <= files.keys()]
    used = {option for kind in meant for option in needs.get(kind, {kind})}
    if unused := [option for option in files if option not in used]:
        reads = sorted({f"--{option}" for of in needs.values() for option in of})
        says = f"This mapping reads {listed(reads)}" if reads else "Name the tool that they come from with --preset"
        raise SettingsError(f"Nothing reads the files of --{unused[0]}. {says}.")
    return meant


def _export(opened: Exports, kind: str, part: Part | None) -> Export:
    frame = opened.read(kind, part.query if part else None)
    guesses = [] if part and part.columns else guess_columns(kind, frame)
    final = part if part and part.columns else _completed(part, guesses, frame)
    used = {name for columns in final.columns.values() for name in names_of(columns)} | {*final.keep.values(), FILE}
    return Export(frame, guesses, [str(name) for name in frame.columns if name not in used])


def _completed(part: Part | None, guesses: list[Guess], frame: pd.DataFrame) -> Part:
    """Add guessed columns to the other entries of a part."""
    guessed = part_of(guesses, frame)
    return part.model_copy(update={"columns": guessed.columns, "keep": guessed.keep | part.keep}) if part else guessed
