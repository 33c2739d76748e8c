"""The exceptions of ihc. Each message says what is wrong, where, and what to do.

IhcError
├── SettingsError         an option, an environment variable or .env
├── DatabaseError         a database that cannot be opened, read or written
├── InputError            the content of the tables, or a frame passed to the library
│   └── AmbiguousError        values of an import that can be read in two ways
├── ParametersError       a parameters file of the local engine
├── ReconciliationError   the totals do not reconcile
├── NotebookError         a notebook of a run failed
├── ScaleError            a cluster is unreachable, unsuitable or fails
└── ApiError              the IHC Attribution API; each message says what to do
    ├── ApiKeyError           401, 403: never retried, ends the run
    ├── ConversionTypeError   unknown conversion type: never retried, ends the run
    ├── ApiAddressError       404, a redirect or a certificate: never retried, ends the run
    ├── RequestRefusedError   400: never retried; the batch is bisected to find the journey that causes it
    ├── TooLargeError         413 or a limit: never retried; the batch is halved
    ├── UnansweredError       dropped, timed out, 408, 425, 5xx or not JSON after all retries; the batch is bisected
    │   ├── DeadlineError         not complete within IHC_REQUEST_SECONDS
    │   └── AnswerSizeError       larger than 64 MB, compressed or decompressed
    └── ApiStoppedError       no more requests are possible now; the other orders wait for the next run
        ├── UnreachableError      no connection
        ├── QuotaError            429 after all retries
        ├── OutageError           all requests fail
        └── CeilingError          the limit of --max-requests is reached
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
    errno.ENOTDIR: "part of its path is a file, not a folder",
    errno.EEXIST: "a file of that name already exists",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ECONNREFUSED: "the connection was refused",
    errno.ETIMEDOUT: "the connection timed out",
}
NUMBER = re.compile(r"\[Errno -?\d+\] ")
# pandas' messages about CSV files, and what they mean; `{0}` and so on are the numbers in the message.
OF_CSV = {
    r"No columns to parse": "it is empty",
    r"Expected (\d+) fields in line (\d+), saw (\d+)": "line {1} has {2} fields instead of {0}",
    r"EOF inside string starting at row (\d+)": "a quotation mark is never closed",
    r"Error tokenizing data": "it is not a valid CSV file",
}


class IhcError(Exception):
    """Base class of all errors that `ihc` reports with a message instead of a traceback."""


class SettingsError(IhcError):
    """An option, an environment variable or the `.env` file is wrong."""


class DatabaseError(IhcError):
    """A database cannot be opened, read or written."""


class InputError(IhcError):
    """A table or a frame has invalid content."""


class AmbiguousError(InputError):
    """The values of a column to import can be read in two ways, and none of them decides."""


class ParametersError(IhcError):
    """A parameters file of the local engine is wrong."""


class ReconciliationError(IhcError):
    """The figures read and the figures reported do not reconcile to the cent."""


class NotebookError(IhcError):
    """A notebook of a run failed. `waits` is true if it only has to be run again."""

    waits = False


class ScaleError(IhcError):
    """A cluster is unreachable, unsuitable for the work, or fails."""


class ApiError(IhcError):
    """A request to the IHC Attribution API failed. `calls` counts the attempts.

    `wait` [s]: how long the API asks to wait before the next attempt; None if it does not say.
    """

    calls = 0
    wait: float | None = None


class ApiKeyError(ApiError):
    """The API rejects the key."""


class ConversionTypeError(ApiError):
    """The API does not know the conversion type."""


class ApiAddressError(ApiError):
    """The API is not at this address, or the server cannot be trusted."""


class RequestRefusedError(ApiError):
    """The API rejects the content of a request."""


class TooLargeError(ApiError):
    """A request exceeds a limit of the account."""


class UnansweredError(ApiError):
    """A request got no complete answer after all retries."""


class DeadlineError(UnansweredError):
    """An answer was not complete in time, although the server kept sending."""


class AnswerSizeError(UnansweredError):
    """An answer exceeds the size limit."""


class ApiStoppedError(ApiError):
    """No more requests are possible now. Received answers are stored; the other orders wait for the next run."""


class UnreachableError(ApiStoppedError):
    """There is no connection to the API."""


class QuotaError(ApiStoppedError):
    """The quota of the account is used up for now."""


class OutageError(ApiStoppedError):
    """All requests to the API fail."""


class CeilingError(ApiStoppedError):
    """The run has reached its limit of requests."""


def why(error: BaseException) -> str:
    """Explain in plain words why something could not be read or written."""
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
    """Return the errno of an error type whose instance has none, as when a library raises FileNotFoundError."""
    kinds = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, IsADirectoryError: errno.EISDIR}
    return next((number for kind, number in kinds.items() if isinstance(error, kind)), 0)
