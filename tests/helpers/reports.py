"""Shops that are attributed and reported in this process, without a notebook."""

import sqlite3
from contextlib import closing

from ihc.exhibits.data import ReportData
from ihc.exhibits.report import Report
from ihc.pipeline.attribution import attribute_shop, read_source
from ihc.settings.run import load_settings


def change(database, *statements):
    """Change a shop's tables; each statement must change a row."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement


def stored_report(database, folder, *, is_attributed=True, **options):
    """Attribute a shop and store it as a run does, or only read what is stored; gives back its report."""
    settings = load_settings(base=folder, database=str(database), output="out", **options)
    if is_attributed:
        attribute_shop(settings, say=lambda line: None).store()
    return Report(ReportData(settings, read_source(settings)))
