"""SQLite tables read through Arrow by ADBC's driver, where the extra [fast] is installed: no Python object a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.schemas.tables import EXACT

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor


def read_frames(file: Path, tables: Sequence[str]) -> list[pd.DataFrame] | None:
    """Read whole tables of an SQLite file as of one moment: the frames that the driver's rows would make.

    None where the driver is not installed, where another program writes just now, or where a table holds what only
    those rows tell exactly: an SQLite column may mix texts, numbers and bytes, and one of Arrow may not.
    """
    try:
        from adbc_driver_sqlite import dbapi
    except ImportError:
        return None
    uri = f"file:{quote(str(file))}?mode=ro"
    try:
        with ExitStack() as stack:
            watch = _cursor(stack, dbapi.connect(uri, autocommit=True))
            cursors = [_cursor(stack, dbapi.connect(uri)) for _ in range(2 * len(tables))]
            return _read(watch, cursors, tables)
    except (dbapi.Error, OSError, pa.ArrowException):
        return None


def _cursor(stack: ExitStack, connection: Connection) -> Cursor:
    return stack.enter_context(stack.enter_context(connection).cursor())


def _read(watch: Cursor, cursors: Sequence[Cursor], tables: Sequence[str]) -> list[pd.DataFrame] | None:
    """Read each table by a connection of its own, and look at its texts by another one, all at the same time."""
    version = _asked(watch, "PRAGMA data_version")
    for cursor, table in zip(cursors, [*tables, *tables], strict=True):
        cursor.execute(f"SELECT * FROM {table}")
    if _asked(watch, "PRAGMA data_version") != version:
        return None  # some connections see what others do not
    with ThreadPoolExecutor(2) as pool:
        read = [pool.submit(cursor.fetch_arrow_table) for cursor in cursors[: len(tables)]]
        mixed = [pool.submit(_mixes_kinds, *each) for each in zip(cursors[len(tables) :], tables, strict=True)]
        found = [each.result() for each in read]
        if any(each.result() for each in mixed) or not all(_is_plain(column) for each in found for column in each):
            return None
    return [_frame(each) for each in found]


def _asked(cursor: Cursor, query: str) -> Any:
    cursor.execute(query)
    return cursor.fetchone()


def _is_plain(column: Any) -> bool:
    """Say whether a column has values at all, and all of them texts or numbers that a frame holds exactly.

    Without any value its type is not known; floats beyond 2**53 may be whole numbers that were rounded.
    """
    if len(column) == column.null_count or pa.types.is_binary(column.type):
        return False
    if pa.types.is_floating(column.type) or (pa.types.is_integer(column.type) and column.null_count):
        ends = pc.min_max(column).as_py()
        return all(abs(end) < EXACT or math.isinf(end) for end in ends.values())
    return True


def _mixes_kinds(cursor: Cursor, table: str) -> bool:
    """Say whether a column whose first values are texts holds anything else, too.

    SQLite orders numbers before the empty text and bytes behind all texts, so comparing says it, in a third of the time
    of `typeof`.
    """
    described = cursor.description or []
    names = ['"' + name.replace('"', '""') + '"' for name, kind, *_ in described if kind == pa.string()]
    mixed = " OR ".join(f"{name} < '' OR {name} >= x''" for name in names) or "0"
    return bool(_asked(cursor, f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {mixed})")[0])


def _frame(table: Any) -> pd.DataFrame:
    table.validate(full=True)  # a text may be no UTF-8
    frame: pd.DataFrame = table.to_pandas()
    return frame
