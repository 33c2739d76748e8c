"""Everything that can go wrong on purpose: one tree, each message says what, where and what to do.

IhcError
├── SettingsError         an option, an environment variable or .env
├── DatabaseError         a database that cannot be opened, read or written
├── InputError            the content of the tables, or a frame handed to the library
├── ParametersError       a parameters file of the local engine
├── ReconciliationError   the figures do not close
├── NotebookError         a notebook of a run failed
├── ScaleError            a cluster that cannot be reached or gives up
└── ApiError              the IHC Attribution API; `what to do` is in each message
    ├── ApiKeyError           401, 403: never retried, ends the run
    ├── ConversionTypeError   the API does not know the conversion type: never retried, ends the run
    ├── ApiAddressError       404, a redirect or a certificate: never retried, ends the run
    ├── RequestRefusedError   400: never retried; the batch is bisected for the journey that causes it
    ├── TooLargeError         413 or a limit: never retried; the batch is halved
    ├── UnansweredError       dropped, timed out, 408, 425, 5xx, no JSON, until the retries ran out; bisected too
    │   ├── DeadlineError         not whole within IHC_REQUEST_SECONDS
    │   └── AnswerSizeError       larger than 64 MB, packed or unpacked
    └── ApiStoppedError       nothing more can be asked now, the other orders wait for the next run
        ├── UnreachableError      no connection
        ├── QuotaError            429, until the retries ran out
        ├── OutageError           nothing but failures
        └── CeilingError          --max-requests
"""

from __future__ import annotations

import errno
import json
import re

LOCK_LOST = "The server ended the connection with the run's lock, so another run may have written meanwhile: run again."
BY_NUMBER = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "its permissions do not allow that",
    errno.EPERM: "its permissions do not allow that",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ECONNREFUSED: "nothing answers at this address",
    errno.ETIMEDOUT: "nothing answered in time",
}
NUMBER = re.compile(r"\[Errno -?\d+\] ")
# What pandas says of a CSV file, and what it means; `{0}` and so on stand for the numbers in it.
OF_CSV = {
    r"No columns to parse": "it is empty",
    r"Expected (\d+) fields in line (\d+), saw (\d+)": "line {1} has {2} fields instead of {0}",
    r"EOF inside string starting at row (\d+)": "a quotation mark is opened and never closed",
    r"Error tokenizing data": "it is not a valid CSV file",
}


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
    """A notebook of a run failed; `waits` where it only has to be run again."""

    waits = False


class ScaleError(IhcError):
    """A cluster cannot be reached, is not fit for the work, or gives up."""


class ApiError(IhcError):
    """The IHC Attribution API did not give what it was asked for; `calls` counts how often it was asked.

    `wait` [s]: how long the API asks to wait before the next try; None where it does not say.
    """

    calls = 0
    wait: float | None = None


class ApiKeyError(ApiError):
    """The API does not take the key."""


class ConversionTypeError(ApiError):
    """The API does not know the conversion type."""


class ApiAddressError(ApiError):
    """The API is not at this address, or is not whom it must be."""


class RequestRefusedError(ApiError):
    """The API refuses what a request holds."""


class TooLargeError(ApiError):
    """A request is over a limit of the account."""


class UnansweredError(ApiError):
    """A request had no whole answer, however often it was sent."""


class DeadlineError(UnansweredError):
    """An answer was not whole in time, though the server went on sending."""


class AnswerSizeError(UnansweredError):
    """An answer is larger than any honest one."""


class ApiStoppedError(ApiError):
    """Nothing more can be asked now; what came is stored, the other orders wait for the next run."""


class UnreachableError(ApiStoppedError):
    """There is no connection to the API."""


class QuotaError(ApiStoppedError):
    """The account may not ask more for now."""


class OutageError(ApiStoppedError):
    """The API answers nothing but failures."""


class CeilingError(ApiStoppedError):
    """The run has sent as many requests as it was allowed to."""


def why(error: BaseException) -> str:
    """Say why something could not be read or written, without the words of the system or of a library."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno} is not JSON"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and (says := BY_NUMBER.get(error.errno or _number_of(error))):
        return says
    text = str(getattr(error, "strerror", None) or error).strip()
    for pattern, says in OF_CSV.items():
        if found := re.search(pattern, text):
            return says.format(*found.groups())
    return NUMBER.sub("", (text.splitlines() or [type(error).__name__])[0]).rstrip(".")


def _number_of(error: OSError) -> int:
    """The number of an error that has none of its own, as that of a missing file has where a library raises it."""
    kinds = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, IsADirectoryError: errno.EISDIR}
    return next((number for kind, number in kinds.items() if isinstance(error, kind)), 0)
