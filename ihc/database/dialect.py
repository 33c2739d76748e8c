"""What differs from one kind of database to another: what sqlite.py, postgres.py and any_database.py each do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd
import sqlalchemy as sa


class Among(NamedTuple):
    """SQL for a list of ids, as it stands behind IN, and what is given for the names in it."""

    sql: str
    given: Mapping[str, str]


def named(connection: sa.Connection, *columns: str) -> str:
    """SQL for columns: quoted where their name is a word of the database's own, as `date` is in Oracle."""
    return ", ".join(map(connection.dialect.identifier_preparer.quote, columns))


class Dialect(Protocol):
    """A kind of database, as a module with these functions."""

    def checked(self, url: sa.URL, /) -> sa.URL:
        """Give the URL back in one form; raises SettingsError where it cannot serve."""

    def file_of(self, url: sa.URL, /) -> Path | None:
        """The file of the database; None where a server keeps it."""

    def missing(self, url: sa.URL, /) -> str:
        """What is wrong where there is no database, as far as that is known without a connection."""

    def make_empty(self, url: sa.URL, /) -> None:
        """Make the database where there is none and ihc can; raises OSError."""

    def make_engine(self, url: sa.URL, /, *, is_writing: bool) -> sa.Engine:
        """An engine of which each transaction reads as of one moment, or is the only one of ihc that writes.

        As far as the database can: what others than SQLite and PostgreSQL guarantee stands in `any_database.py`.
        """

    def driver_errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""

    def reason_of(self, error: BaseException, url: sa.URL, /) -> str:
        """What an error means, and what to do."""

    def tables_of(self, connection: sa.Connection, /) -> set[str]:
        """The names of all tables and views."""

    def define(self, connection: sa.Connection, statement: str, /) -> None:
        """Execute a statement of the schema file, as this database takes it."""

    def listed(self, connection: sa.Connection, ids: Sequence[str], /) -> Iterator[Among]:
        """What stands behind IN for `ids`, each of them once; in parts, where the database takes no list that long."""

    def where_in(self, connection: sa.Connection, table: str, its_id: str, query: str, /) -> str:
        """SQL, as it stands behind FROM, for the rows of a table with an id that is among the `id` of a query."""

    def id_text(self, connection: sa.Connection, table: str, column: str, /) -> str:
        """SQL for an id as a text, whatever type the column keeps it in."""

    def unfit_id(self, connection: sa.Connection, table: str, column: str, /) -> str:
        """SQL for whether an id is one that cannot be read as a text without doubt: see `as_text`."""

    def same_id(self, connection: sa.Connection, table: str, column: str, /) -> str:
        """SQL for an id of a result table that is compared with texts, so that its key still serves."""

    def fetch(self, result: sa.CursorResult[Any], /) -> tuple[list[str], Sequence[Any]]:
        """The columns and rows of a query, with every value as SQLite would hold it."""

    def append(self, connection: sa.Connection, table: str, frame: pd.DataFrame, /) -> None:
        """Add the rows of a frame to a table that has its columns."""

    def insert(
        self, connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], /
    ) -> None:
        """Add rows to a table."""

    def upsert(self, connection: sa.Connection, table: str, frame: pd.DataFrame, key: str, /) -> None:
        """Add the rows of a frame, each in the place of the row with its key, if there is one."""

    def execute(self, connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]], /) -> None:
        """Execute a statement, with a question mark for each value, for each of `rows`."""

    def check_writable(self, connection: sa.Connection, table: str, example: Mapping[str, Any], /) -> None:
        """Raise the driver's error if rows like `example` cannot be added and deleted; DatabaseError for its ids."""
