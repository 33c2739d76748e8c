"""What a finding says, and what the tables are after its statement was run on them."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from ihc import read_tables
from ihc.quality.checks import quality_findings
from ihc.schemas.tables import COLUMNS


def finding(tables, check, sql=None):
    """The only finding whose name begins so; None where it found nothing."""
    found = quality_findings(tables, sql)
    found = found[found["check"].str.startswith(check)]
    assert len(found), f"no check is named {check}"
    return next((row for row in found.to_dict("records") if row["count"]), None)


def mended(tables, mend, **given):
    """The tables after a statement was run on them in SQLite, as they are read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        _run(path, tables, mend, given)
        return read_tables(path)


def listed(tables, mend):
    """The first column of what a statement lists in SQLite: the ids of rows."""
    with tempfile.TemporaryDirectory() as folder:
        return _run(Path(folder) / "shop.db", tables, mend)


def _run(path, tables, mend, given=()):
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, frame in zip(COLUMNS, tables, strict=True):
            frame.astype(dict.fromkeys(frame, object)).to_sql(table, connection, index=False)
        return sorted(key for key, *_ in connection.execute(mend, given))


def is_listing(mend):
    """Does a statement change nothing?"""
    return mend.startswith("SELECT ")
