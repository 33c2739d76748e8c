"""Write imported rows to the input tables: new ones are added, changed ones replaced, all others stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ihc.arrays.lookup import get_indexer
from ihc.database.database import Database
from ihc.database.results import create_missing
from ihc.database.tables import METADATA, TEXT
from ihc.database.transaction import Transaction
from ihc.errors import DatabaseError
from ihc.formatting import some
from ihc.schemas.tables import CONVERSIONS, COSTS, SESSIONS, SPEND

KEYS = {
    SESSIONS: ("session_id",),
    CONVERSIONS: ("conv_id",),
    COSTS: ("session_id",),
    SPEND: ("date", "channel_name", "campaign"),
}
UTC = {SESSIONS: "event_utc", CONVERSIONS: "conv_utc"}
BETWEEN = "\x1f"  # between the parts of a key


def store_import(
    database: Database, tables: Mapping[str, pd.DataFrame], gone: Mapping[str, Collection[str]] | None = None
) -> pd.DataFrame:
    """Write rows of input tables by their keys, in one transaction. Creates the database and missing tables.

    In: frames by the names of `KEYS`; columns that a table lacks are added to it. `gone`: ids by table that the exports
    have, but that no longer count, such as those of orders since cancelled: their rows are removed. Other rows of the
    database that the import does not have stay. Out: `table, new, changed, unchanged, removed, total [rows], others,
    others_cost`; `others`: rows of daily spend that stay although the import has their days, under other channels or
    campaigns.

    Raises DatabaseError if a table is a view, or if its days are in another time zone than those of the import.
    """
    database.make_empty()
    with database.transaction(is_writing=True) as opened:
        if views := sorted({name.lower() for name in sa.inspect(opened.connection).get_view_names()} & {*tables}):
            raise DatabaseError(f"{some(views)} of {database.label} is a view: import into a database of its own.")
        create_missing(opened, optional=SPEND in tables)
        return pd.DataFrame([_store(opened, name, frame, (gone or {}).get(name, ())) for name, frame in tables.items()])


def _store(opened: Transaction, name: str, frame: pd.DataFrame, gone: Collection[str]) -> dict[str, object]:
    """Write the rows of one table. Out: the row of the counts, see `store_import`."""
    table = _with_columns(opened, name, frame)
    stored = opened.read(sa.select(*table.columns), coerce_float=False)
    key, stored_key = _key(frame, name), _key(stored, name)
    place = get_indexer(key, stored_key)
    is_new = place < 0
    before = stored.take(np.where(is_new, 0, place)) if len(stored) else stored.reindex(range(len(frame)))
    is_changed = ~is_new & ~_equal(before.reset_index(drop=True), frame.reset_index(drop=True))
    is_other = ~stored_key.isin(key)
    is_gone = (is_other & stored_key.isin([*gone])).to_numpy()
    _delete(
        opened, table, name, pd.concat([frame[is_changed], stored[is_gone]]) if is_gone.any() else frame[is_changed]
    )
    opened.append(name, frame[is_new | is_changed].sort_values(list(KEYS[name])))  # in key order, which is faster
    # Stored spend of the same days that the import does not have.
    others = stored[is_other & stored["date"].astype("str").isin(frame["date"])] if name == SPEND else stored.head(0)
    return {
        "table": name,
        "new": int(is_new.sum()),
        "changed": int(is_changed.sum()),
        "unchanged": int((~is_new & ~is_changed).sum()),
        "removed": int(is_gone.sum()),
        "total": len(stored) + int(is_new.sum()) - int(is_gone.sum()),
        "others": len(others),
        "others_cost": float(others["cost"].sum()) if len(others) else 0.0,
    }


def _with_columns(opened: Transaction, name: str, frame: pd.DataFrame) -> sa.TableClause:
    """Add the columns that a table lacks; raises DatabaseError for another time zone."""
    found = [column["name"] for column in sa.inspect(opened.connection).get_columns(name)]
    known = {column.lower() for column in found}
    has_rows = not opened.read(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)).empty
    utc = UTC.get(name, "")
    if has_rows and (utc in known) != (utc in frame):
        zone = "have the shop's time zone" if utc in known else "are in UTC"
        raise DatabaseError(f"The days in {name} {zone}, and those of this import do not: use one timezone for all.")
    quote = opened.connection.dialect.identifier_preparer.quote
    for column in frame.columns:
        if column.lower() not in known:
            kind = METADATA.tables[name].columns[column].type if column in METADATA.tables[name].columns else TEXT
            written = kind.compile(opened.connection.dialect)
            opened.connection.exec_driver_sql(f"ALTER TABLE {quote(name)} ADD COLUMN {quote(column)} {written}")
    return sa.table(name, *(sa.column(column) for column in frame.columns))


def _key(frame: pd.DataFrame, name: str) -> pd.Series:
    first, *others = (frame[column].astype("str").fillna("") for column in KEYS[name])
    for other in others:
        first = first + BETWEEN + other
    return first


def _equal(before: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """Mark the rows with equal values in all columns of `after`; numbers up to rounding, NULL equals an empty text."""
    is_equal = np.ones(len(after), dtype="bool")
    for name, values in after.items():
        old = before[str(name)]
        if pd.api.types.is_numeric_dtype(values):
            is_equal &= np.isclose(pd.to_numeric(old, errors="coerce"), values, rtol=1e-12, atol=0, equal_nan=True)
        else:
            is_equal &= (old.astype("str").fillna("") == values.astype("str").fillna("")).to_numpy()
    return is_equal


def _delete(opened: Transaction, table: sa.TableClause, name: str, frame: pd.DataFrame) -> None:
    key, *others = (table.columns[column] for column in KEYS[name])
    if not others:
        with opened.listed(frame[key.name].tolist()) as listed:
            opened.connection.execute(sa.delete(table).where(opened.id_text(key).in_(listed)))
        return
    columns = [key, *others]
    same = [sa.func.coalesce(column, "") == sa.bindparam(f"key_{column.name}") for column in columns]
    keys = frame[list(KEYS[name])].fillna("").to_dict("records")
    rows = [{f"key_{column}": value for column, value in row.items()} for row in keys]
    opened.each(sa.delete(table).where(*same), rows)
