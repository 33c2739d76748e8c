"""Attribute and report shops in this process, without notebooks."""

import sqlite3
from contextlib import closing

import pandas as pd

from helpers.strange_shop import GROUPS, SINCE, STRANGE
from ihc.exhibits.data import ReportData
from ihc.exhibits.report import Report
from ihc.pipeline.attribution import attribute_shop, read_source
from ihc.settings.run import load_settings


def change(database, *statements):
    """Change a shop's tables; each statement must change a row."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement


def make_strange(database):
    """Rename channels to unusual names and change other data, as if since an earlier run."""
    with closing(sqlite3.connect(database)) as connection, connection:
        renamed = "UPDATE session_sources SET channel_name = ? WHERE channel_name = ?"
        connection.executemany(renamed, [(new, old) for old, new in STRANGE.items()])
    change(database, *SINCE)


def write_groups(folder):
    """Write the channel groups to a file `g.csv`."""
    pd.DataFrame(GROUPS.items(), columns=["channel_name", "channel_group"]).to_csv(folder / "g.csv", index=False)


def stored_report(database, folder, *, is_attributed=True, **options):
    """Attribute a shop and store it as a run does, or only read stored results; returns its report."""
    settings = load_settings(base=folder, database=str(database), output="out", **options)
    if is_attributed:
        attribute_shop(settings, say=lambda line: None).store()
    return Report(ReportData(settings, read_source(settings)))
