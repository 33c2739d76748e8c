"""What the errors of any database mean, by the words in them, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from ihc.database.duckdb_file import in_short

OTHERS_TABLE = "another program or version made that table: rename it and run again"
LOCKED = "another program has kept it locked: end that one and run again"
OURSELVES = "this program has the file open by another connection: close that and run again"
AGAIN = "something else wrote at the same time, and this step left nothing behind: run again"
LOST = "the connection was lost; the step it was at left nothing behind: run again"
# Words of an error, as MySQL, MariaDB, DuckDB and others have them, and what to do; the first that is found counts.
HINTS = {
    r"(table|relation) .*(doesn.t|does not) exist|no such table|unknown table|table unknown|invalid object": (
        "`ihc init` makes the tables that are missing"
    ),
    r"conversion error|could not convert|can.t be cast": OTHERS_TABLE,
    r"unknown column|no column named|invalid column|default value|data truncated|incorrect \w+ value|cannot be null": (
        OTHERS_TABLE
    ),
    r"too long": "ihc's tables keep ids, channels and other keys of up to 255 characters",
    r"unknown database|database .*does not exist": "check its name in IHC_DATABASE, or let the administrator make it",
    r"package is required": "install what the driver names",
    r"access denied.*using password|login failed|authentication|password": "check user and password in IHC_DATABASE",
    r"denied|permission|privilege": "let the administrator grant that",
    r"connection refused|can.t connect|network request|timed out|name or service|unknown host": (
        "check host and port in IHC_DATABASE"
    ),
    r"could not set lock": "another program has the file open: end that one and run again",
    r"different configuration|unique file handle": OURSELVES,
    r"deadlock|serializ|conflict on": AGAIN,
    r"lock wait|is locked": LOCKED,
    r"lost connection|gone away|broken pipe|reset by peer|was killed|not connected|shutdown": LOST,
    r"not a valid duckdb": "name a file of DuckDB, or one that does not exist yet",
    r"syntax": "the database does not take what ihc asks of it: the README says what it must be able to do",
    r"read.?only": "name a server or a file that takes writes",
}


def reason_of(error: BaseException, _url: sa.URL) -> str:
    """What an error means, and what to do."""
    if isinstance(error, sa.exc.NoSuchTableError):
        return f"there is no table {error}; `ihc init` makes the tables that are missing"
    if isinstance(error, UnicodeError):
        return str(error)
    texts = list(_texts(error.args))
    reason = in_short(max(texts, key=len) if texts else str(error) or type(error).__name__).rstrip("!")
    hint = next((hint for words, hint in HINTS.items() if re.search(words, reason, re.IGNORECASE)), "")
    return f"{reason}; {hint}" if hint else reason


def _texts(arguments: Iterable[object]) -> Iterator[str]:
    """The texts that a driver raises, some of them as bytes or within a tuple."""
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from _texts(argument)
        text = argument.decode(errors="replace") if isinstance(argument, bytes) else argument
        if isinstance(text, str) and text.strip():
            yield text


def is_view(table: str) -> str:
    """Why a view cannot serve as a result table."""
    return (
        f"Table {table} cannot be written because it is a view; ihc keeps its results there: rename it and run again."
    )


def keeps_few_digits(column: str) -> str:
    """Why a column of amounts cannot be read."""
    return f"Column {column} is a FLOAT, which has six or seven digits: make it DOUBLE or DECIMAL."


def rounds(table: str, column: str) -> str:
    """Why a table with numbers of few digits cannot serve."""
    return f"Table {table}, column {column}: its type would round what is stored there; {OTHERS_TABLE}."
