"""SQL for the findings in the input tables: one statement that mends each or lists its rows, for the user to run.

It is written for tables as `ihc init` makes them, in what SQLite and PostgreSQL have in common. A text from the data
stands in it quoted, with what a terminal would not show as a call of `char` or `chr`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from itertools import groupby, islice

MOST_VALUES = 20  # values that one statement names


class Sql:
    """Texts from the data in the SQL of one kind of database."""

    def __init__(self, *, is_postgres: bool = False) -> None:
        self._character = "chr" if is_postgres else "char"

    def literal(self, text: str) -> str:
        """A text as an expression that is printed as it is read."""
        parts = []
        for is_plain, letters in groupby(text, _is_plain):
            if is_plain:
                parts.append("'" + "".join(letters).replace("'", "''") + "'")
            else:
                parts += [f"{self._character}({ord(letter)})" for letter in letters]
        return " || ".join(parts) or "''"

    def among(self, texts: Iterable[str]) -> str:
        """What stands behind IN, for up to MOST_VALUES texts."""
        return f"({', '.join(map(self.literal, islice(texts, MOST_VALUES)))})"

    def replace(self, table: str, column: str, becomes: Mapping[str, str]) -> str:
        """Put other values in the place of up to MOST_VALUES values of a column."""
        cases = " ".join(
            f"WHEN {self.literal(old)} THEN {self.literal(new)}" for old, new in islice(becomes.items(), MOST_VALUES)
        )
        rest = f" -- and {len(becomes) - MOST_VALUES:,} more alike" if len(becomes) > MOST_VALUES else ""
        return f"UPDATE {table} SET {column} = CASE {column} {cases} END WHERE {column} IN {self.among(becomes)}{rest}"


def _is_plain(letter: str) -> bool:
    """Is a letter seen as what it is? A mark is not, as it joins the letter before it."""
    return letter.isprintable() and not unicodedata.combining(letter)


def seconds(column: str) -> str:
    """The seconds since midnight of a time HH:MM:SS."""
    return (
        f"3600 * CAST(substr({column}, 1, 2) AS INTEGER) + 60 * CAST(substr({column}, 4, 2) AS INTEGER)"
        f" + CAST(substr({column}, 7) AS NUMERIC)"
    )
