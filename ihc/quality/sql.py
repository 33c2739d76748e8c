"""SQL for data quality findings: one statement per finding that fixes or lists its rows, for the user to run.

The statements are for tables created by `ihc init`, in syntax that SQLite and PostgreSQL share. Texts from the data are
quoted; characters that a terminal would not show are written as calls of `char` or `chr`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from itertools import groupby, islice

MOST_VALUES = 20  # the most values in one statement


class Sql:
    """Quote texts from the data for the SQL of one kind of database."""

    def __init__(self, *, is_postgres: bool = False) -> None:
        self._character = "chr" if is_postgres else "char"

    def literal(self, text: str) -> str:
        """Return a text as an SQL expression of printable characters."""
        parts = []
        for is_plain, letters in groupby(text, _is_plain):
            if is_plain:
                parts.append("'" + "".join(letters).replace("'", "''") + "'")
            else:
                parts += [f"{self._character}({ord(letter)})" for letter in letters]
        return " || ".join(parts) or "''"

    def among(self, texts: Iterable[str]) -> str:
        """Return the list after IN, for up to MOST_VALUES texts."""
        return f"({', '.join(map(self.literal, islice(texts, MOST_VALUES)))})"

    def replace(self, table: str, column: str, becomes: Mapping[str, str]) -> str:
        """Return an UPDATE that replaces up to MOST_VALUES values of a column."""
        cases = " ".join(
            f"WHEN {self.literal(old)} THEN {self.literal(new)}" for old, new in islice(becomes.items(), MOST_VALUES)
        )
        rest = f" -- and {len(becomes) - MOST_VALUES:,} more like these" if len(becomes) > MOST_VALUES else ""
        return f"UPDATE {table} SET {column} = CASE {column} {cases} END WHERE {column} IN {self.among(becomes)}{rest}"


def _is_plain(letter: str) -> bool:
    """Check whether a letter is printable on its own; combining marks are not."""
    return letter.isprintable() and not unicodedata.combining(letter)


def seconds(column: str) -> str:
    """Return SQL for the seconds since midnight of a time HH:MM:SS."""
    return (
        f"3600 * CAST(substr({column}, 1, 2) AS INTEGER) + 60 * CAST(substr({column}, 4, 2) AS INTEGER)"
        f" + CAST(substr({column}, 7) AS NUMERIC)"
    )
