"""Everything that can go wrong on purpose: one tree, each message says what, where and what to do.

IhcError
├── SettingsError         an option, an environment variable or .env
├── DatabaseError         a database that cannot be opened, read or written
├── InputError            the content of the tables, or a frame handed to the library
├── ParametersError       a parameters file of the local engine
├── ReconciliationError   the figures do not close
└── NotebookError         a notebook of a run failed
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice


class IhcError(Exception):
    """The root: whatever `ihc` refuses with a sentence instead of a traceback."""


class SettingsError(IhcError):
    """An option, an environment variable or the `.env` file is wrong."""


class DatabaseError(IhcError):
    """A database cannot be opened, read or written."""


class InputError(IhcError):
    """A table or a frame does not hold what it must."""


class ParametersError(IhcError):
    """A parameters file of the local engine is wrong."""


class ReconciliationError(IhcError):
    """What was read and what is reported do not close to the cent."""


class NotebookError(IhcError):
    """A notebook of a run failed."""


def counted(number: float, noun: str) -> str:
    """Write a number with its noun: 1 order, 2 orders."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


def some(ids: Collection[object], limit: int = 5, *, width: int = 64) -> str:
    """Name up to `limit` ids on one line, each cut to `width` characters."""
    names = [str(name) for name in islice(ids, limit)]
    shown = [repr(name if len(name) <= width else name[: width - 1] + "…") for name in names]
    more = f" and {len(ids) - limit:,} more" if len(ids) > limit else ""
    return ", ".join(shown) + more
