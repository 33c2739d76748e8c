"""What a run leaves on disk for people: CSV files, JSON and texts."""

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

# What a spreadsheet may take for a formula at the start of a field (https://owasp.org/www-community/attacks/CSV_Injection).
# With its leading apostrophes, so that adding one can be undone.
FORMULA = r"^('*(?:\s*[=+\-@＝＋－＠]|[\t\r\n]))"
DEFUSED = FORMULA.replace("^(", "^'(", 1)


def try_folder(folder: Path) -> None:
    """Make a folder where it is missing, and write to it for a trial, before anything is computed; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


def writable(path: Path) -> Path:
    """A file that is to be written; raises SettingsError where it cannot be, before anything is computed."""
    try:
        try_folder(path.parent)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {why(error)}. Name another file by --output.") from None
    return path


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as CSV, whole or not at all: see `csv_bytes`."""
    return write_whole(path, csv_bytes(frame))


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as CSV: NaN empty, and texts that a spreadsheet would run begin with `'`."""
    texts = frame.select_dtypes(include=["str", "object"]).columns
    # A lone carriage return would end the row for some readers, as Python's writer does not quote it.
    safe = {
        name: frame[name].astype("str").str.replace(FORMULA, r"'\1", regex=True).str.replace("\r\n?", "\n", regex=True)
        for name in texts
    }
    return frame.assign(**safe).to_csv(index=False, lineterminator="\n").encode()


def read_csv(path: Path) -> pd.DataFrame:
    """Read back what `write_csv` wrote: an empty field is NaN among figures, and an empty text among texts."""
    columns = pd.read_csv(path, nrows=0).columns
    figures = [name for name in columns if heading(name)[1] != TEXT]
    texts = {name: "str" for name in columns if name not in figures}
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={name: [""] for name in figures})
    return frame.assign(**{name: frame[name].str.replace(DEFUSED, r"\1", regex=True) for name in texts})


def write_json(entries: dict[str, Any], path: Path) -> Path:
    """Write entries as readable JSON, whole or not at all; a frame becomes a list of its rows, NaN becomes null."""
    plain = {
        name: json.loads(value.to_json(orient="records")) if isinstance(value, pd.DataFrame) else value
        for name, value in entries.items()
    }
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    return write_whole(path, f"{text}\n".encode())


def write_text(text: str, path: Path) -> Path:
    """Write a text, whole or not at all."""
    return write_whole(path, text.encode())


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file's content, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        growing.write_bytes(content)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
    return path
