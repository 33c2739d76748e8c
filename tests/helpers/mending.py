"""Findings of the data quality checks, and the tables after running their SQL."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from ihc import read_tables
from ihc.quality.checks import quality_findings
from ihc.schemas.tables import COLUMNS

_KNOWN = {}


def findings(tables):
    """All findings in tables, cached; the tables are kept alive, so that no others get the same object id."""
    key = tuple(map(id, tables))
    if key not in _KNOWN:
        _KNOWN[key] = tables, quality_findings(tables)
    return _KNOWN[key][1]


def finding(tables, check, found=None):
    """The only finding whose name starts with this text; None if nothing was found."""
    found = findings(tables) if found is None else found
    found = found[found["check"].str.startswith(check)]
    assert len(found), f"no check is named {check}"
    return next((row for row in found.to_dict("records") if row["count"]), None)


def mended(tables, *mends, **given):
    """The tables after running statements on them in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        _run(path, tables, mends, given)
        return read_tables(path)


def listed(tables, mend):
    """The first column of a query in SQLite: the ids of rows."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder) / "shop.db", tables, [mend])


def _run(path, tables, mends, given=()):
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, frame in zip(COLUMNS, tables, strict=True):
            frame.astype(dict.fromkeys(frame, object)).to_sql(table, connection, index=False)
        return sorted(key for mend in mends for key, *_ in connection.execute(mend, given))


def is_listing(mend):
    """Whether a statement is a query."""
    return mend.startswith("SELECT ")
