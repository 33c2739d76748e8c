"""Read and write CSV, JSON and text files."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pandas as pd

from ihc.errors import SettingsError, why
from ihc.glossary import TEXT, heading

# Start of a field that a spreadsheet may run as a formula (https://owasp.org/www-community/attacks/CSV_Injection).
# Includes leading apostrophes, so that adding one is reversible.
FORMULA = r"^('*(?:\s*[=+\-@＝＋－＠]|[\t\r\n]))"
DEFUSED = FORMULA.replace("^(", "^'(", 1)


def try_folder(folder: Path) -> None:
    """Create a folder if it is missing, and check that it is writable. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


def writable(path: Path, option: str = "--output") -> Path:
    """Check that a file can be written before any calculation. Raises SettingsError, which names the option, if not."""
    try:
        try_folder(path.parent)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {why(error)}. Set another file with {option}.") from None
    return path


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as CSV atomically; see `csv_bytes`."""
    return write_whole(path, csv_bytes(frame))


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Convert a frame to CSV: NaN is empty, and text that a spreadsheet would run as a formula starts with `'`."""
    texts = frame.select_dtypes(include=["str", "object", "category"]).columns
    # Python does not quote a single carriage return, which ends the row for some readers.
    safe = {
        name: frame[name].astype("str").str.replace(FORMULA, r"'\1", regex=True).str.replace("\r\n?", "\n", regex=True)
        for name in texts
    }
    return frame.assign(**safe).to_csv(index=False, lineterminator="\n").encode()


def read_csv(path: Path) -> pd.DataFrame:
    """Read a file of `write_csv`. Empty fields are NaN in number columns and empty text in text columns."""
    columns = pd.read_csv(path, nrows=0).columns
    figures = [name for name in columns if heading(name)[1] != TEXT]
    texts = {name: "str" for name in columns if name not in figures}
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={name: [""] for name in figures})
    return frame.assign(**{name: frame[name].str.replace(DEFUSED, r"\1", regex=True) for name in texts})


def write_json(entries: dict[str, Any], path: Path) -> Path:
    """Write entries as readable JSON atomically. A frame becomes a list of rows, NaN becomes null."""
    plain = {
        name: json.loads(value.to_json(orient="records")) if isinstance(value, pd.DataFrame) else value
        for name, value in entries.items()
    }
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    return write_whole(path, f"{text}\n".encode())


def write_text(text: str, path: Path) -> Path:
    """Write a text file atomically."""
    return write_whole(path, text.encode())


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        growing.write_bytes(content)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
    return path
