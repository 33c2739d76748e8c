"""Why a file, a folder or an address could not be used, in words for users."""

from __future__ import annotations

import errno
import json
import re

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
