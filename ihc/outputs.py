"""What a run leaves on disk for people: CSV files, JSON and charts."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure

from ihc.charts import GREY, INK, PALE, styled
from ihc.glossary import TEXT, heading
from ihc.narrative import printable

# What a spreadsheet may take for a formula at the start of a field (https://owasp.org/www-community/attacks/CSV_Injection).
# With its leading apostrophes, so that adding one can be undone.
FORMULA = r"^('*(?:\s*[=+\-@＝＋－＠]|[\t\r\n]))"
DEFUSED = FORMULA.replace("^(", "^'(", 1)
# What the neutral colours of the charts become on a dark page, the ground of which is the first one.
ON_DARK = {"#ffffff": "#111418", INK: "#e4e6e8", GREY: "#9aa0a6", PALE: "#3a4048"}


def try_folder(folder: Path) -> None:
    """Make a folder where it is missing, and write to it for a trial, before anything is computed; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as CSV, whole or not at all: NaN empty, and texts that a spreadsheet would run begin with `'`."""
    texts = frame.select_dtypes(include=["str", "object"]).columns
    # A lone carriage return would end the row for some readers, as Python's writer does not quote it.
    safe = {
        name: frame[name].astype("str").str.replace(FORMULA, r"'\1", regex=True).str.replace("\r\n?", "\n", regex=True)
        for name in texts
    }
    return _replace(path, frame.assign(**safe).to_csv(index=False, lineterminator="\n").encode())


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
    return _replace(path, f"{text}\n".encode())


def write_text(text: str, path: Path) -> Path:
    """Write a text, whole or not at all."""
    return _replace(path, text.encode())


def publish_chart(figure: Figure, folder: Path, name: str, *, alt: str, note: str = "") -> HTML:
    """Write a chart as `name.svg` and `name.png` into `folder`, and give it back for the notebook.

    `alt` says in words what the chart shows; `note` (engine, parameters, dates) is printed below it.
    """
    alt, note = printable(alt), printable(note)
    with styled():
        if note:
            figure.supxlabel(note, fontsize=8, color=GREY, x=0.01, ha="left")
        svg, png = _drawn(figure, "svg", alt), _drawn(figure, "png", alt)
    _replace(folder / f"{name}.svg", svg)
    _replace(folder / f"{name}.png", png)
    source = "data:image/svg+xml;base64," + b64encode(svg).decode()
    return HTML(f'<figure><img src="{source}" alt="{escape(alt)}"></figure>')


def _drawn(figure: Figure, kind: str, alt: str) -> bytes:
    stream = BytesIO()
    # Without a date the same table gives the same bytes.
    about = (
        {"Title": alt, "Date": None} if kind == "svg" else {"Title": alt.encode("latin-1", "replace").decode("latin-1")}
    )
    figure.savefig(stream, format=kind, metadata=about)
    drawn = stream.getvalue()
    return drawn.replace(b"</style>", f"\n{_dark_rules()}</style>".encode(), 1) if kind == "svg" else drawn


def _dark_rules() -> str:
    """Let an SVG follow the reader's dark scheme, as an image in a page does too; channels keep their colours."""
    rules = [
        # White text stands in a coloured cell, which stays as it is.
        f'{"*:not(text)" if light == "#ffffff" else ""}[style*="{what}: {light}"] {{{what}: {dark} !important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    ]
    rules.append(f'text:not([style*="fill:"]) {{fill: {ON_DARK[INK]}}}')
    return "@media screen and (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"


def _replace(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        growing.write_bytes(content)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
    return path
