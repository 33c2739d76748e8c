"""Read a shop's exports with DuckDB: CSV, JSON lines, Parquet and Excel files, folders and globs."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from ihc.database.transaction import quoted
from ihc.errors import InputError, SettingsError, why
from ihc.formatting import counted, printable, some

if TYPE_CHECKING:
    import duckdb

CSV, JSON, PARQUET, EXCEL = "CSV", "JSON", "Parquet", "Excel"
KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz"), CSV),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz"), JSON),
    ".parquet": PARQUET,
    ".xlsx": EXCEL,
}
SEPARATORS = {";": "semicolon", ",": "comma", "\t": "tab", "|": "pipe"}
OPTIONS = ("sessions", "orders", "spend", "events")
FILE = "ihc_file"  # number of the file that a row comes from
HEAD = 1_000_000  # bytes looked at to find header and separator
TITLES = 20  # lines among which the header is
LINE_END = re.compile("\r\n|\r|\n")
COMMENT = re.compile(r"#(?!\s*[,;\t|])")  # a line of comments, unlike a header whose first column is named #
NUMBER = re.compile(r"^[\s\d.,:/+-]*\d[\s\d.,:/+-]*$")
# DuckDB's types whose values are read as they are; all others as text, so that ids keep their digits.
PLAIN = ("VARCHAR", "DOUBLE", "FLOAT", "DATE", "TIMESTAMP")
# Types of JSON whose values are read as the texts that they are; names in quotation marks are left alone.
TEXTS_OF_JSON = re.compile(r'("(?:[^"]|"")*")|\b(?:TIMESTAMP WITH TIME ZONE|TIMESTAMP\w*|DATE|TIME|UUID|JSON)\b')
MESSAGES = {
    r"on Line: (\d+).*Expected Number of Columns: (\d+) Found: (\d+)": "line {0} has {2} instead of {1} values",
    r"on Line: (\d+).*unterminated quote": "a quotation mark opened in line {0} is never closed",
    r"state machine reached an invalid state": "its lines end in different ways, or a quotation mark is never closed",
    r"on Line: (\d+)": "line {0} is not valid CSV",
    r"Malformed JSON.* in line (\d+)": "line {0} is not valid JSON",
    r"Malformed JSON": "it is not valid JSON",
    r"too small to be a Parquet|No magic bytes": "it is not a Parquet file",
}


class Dialect(NamedTuple):
    """How a CSV file is written. `skip`: lines above the header."""

    separator: str
    encoding: str
    skip: int
    header: list[str]

    def __str__(self) -> str:
        above = f", {counted(self.skip, 'line')} above the header" if self.skip else ""
        return f"CSV, separated by {SEPARATORS[self.separator]}, {self.encoding}{above}"


class Exports:
    """The files of one import, each option's files as one table of DuckDB.

    `forms`: how the files of an option are written; `rows`: their number of rows.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection, self._folder = connection, folder
        self.forms: dict[str, str] = {}
        self.rows: dict[str, int] = {}

    def add(self, option: str, path: str, columns: Mapping[str, str]) -> None:
        """Read the files of an option. `columns`: DuckDB types of columns, for JSON with a known schema.

        Raises InputError if a file is missing or broken.
        """
        files = find_files(option, path)
        forms = []
        for number, file in enumerate(files):
            with _readable(file):
                form, source = self._source(file, columns)
                query = f"SELECT *, {number} AS {FILE} FROM {source}"
                self._connection.execute(f"CREATE TABLE part{number} AS {query}")
            forms.append(form)
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM part{number}" for number in range(len(files)))
        self._connection.execute(f'CREATE TABLE "{option}" AS {union}')
        for number in range(len(files)):
            self._connection.execute(f"DROP TABLE part{number}")
        self._complete(option, columns)
        self.forms[option] = "; ".join(dict.fromkeys(forms))
        ((self.rows[option],),) = self._connection.execute(f'SELECT count(*) FROM "{option}"').fetchall()

    def _complete(self, option: str, columns: Mapping[str, str]) -> None:
        """Add columns of the schema that no file has, as NULL."""
        found = {row[0].lower() for row in self._connection.execute(f'DESCRIBE "{option}"').fetchall()}
        for name, kind in columns.items():
            if name.lower() not in found:
                self._connection.execute(f'ALTER TABLE "{option}" ADD COLUMN "{name}" {kind}')

    def close_files(self) -> None:
        """Allow no more access to files, as the next queries may come from a mapping."""
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def options_of(self, query: str) -> set[str]:
        """The options whose files a query reads; raises SettingsError if it is not SQL."""
        import duckdb

        try:
            return self._connection.get_table_names(query) & set(OPTIONS)
        except duckdb.Error as error:
            raise SettingsError(f"A query of the mapping is wrong: {_reason(error)}") from None

    def read(self, option: str, query: str | None = None) -> pd.DataFrame:
        """Read the rows of an option, or of a query over all options; nested columns as `outer.inner`.

        Raises SettingsError if the query is wrong.
        """
        import duckdb

        try:
            relation = self._connection.sql(query) if query else self._connection.table(option)
            if relation is None:
                raise SettingsError(f"The query of [{option}] returns no rows: it must be one SELECT.")
            columns = zip(relation.columns, relation.types, strict=True)
            # The fields of structs become columns of their own.
            selected = [leaf for name, kind in columns for leaf in _leaves(quoted(name), name, str(kind))]
            table = relation.project(", ".join(selected)).to_arrow_table()
        except duckdb.Error as error:
            raise SettingsError(f"The query of [{option}] in the mapping failed: {_reason(error)}") from None
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _source(self, file: Path, columns: Mapping[str, str]) -> tuple[str, str]:
        """How a file is written, and the DuckDB expression that reads it."""
        name = _quoted(re.sub(r"([*?\[])", r"[\1]", str(file)))
        kind = _kind_of(file)
        if kind in (CSV, EXCEL) and any(of.startswith("STRUCT") or of.endswith("[]") for of in columns.values()):
            raise ValueError(f"the preset reads JSON, and this is {kind}: import it without --preset")
        if kind == PARQUET:
            return kind, f"read_parquet({name})"
        if kind == JSON:
            with _opened(file) as opened:
                if not opened.read(1):
                    raise ValueError("it is empty")
            options = f"{name}, maximum_object_size = 100000000"
            known = columns or self._json_types(f"read_json({options}, sample_size = 100000)")
            given = ", ".join(f"{_quoted(column)}: {_quoted(of)}" for column, of in known.items())
            return "JSON", f"read_json({options}, columns = {{{given}}})"
        if kind == EXCEL:
            self._connection.register("excel", _excel(file))
            return kind, "excel"
        dialect = find_dialect(file)
        if dialect.encoding != "UTF-8" or dialect.skip or _has_mixed_line_ends(file):
            name = _quoted(str(self._as_utf8(file, dialect)))
        texts = ", ".join(f"{_quoted(column)}: 'VARCHAR'" for column in dialect.header)
        options = f"delim = {_quoted(dialect.separator)}, quote = '\"', escape = '\"'"
        form = f"header = true, auto_detect = false, nullstr = '', columns = {{{texts}}}"
        return str(dialect), f"read_csv({name}, {options}, {form}, max_line_size = 16000000)"

    def _json_types(self, source: str) -> dict[str, str]:
        """The types of a JSON file's columns. Times stay texts: as timestamps they would lose their offset from UTC."""
        found = self._connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        return {name: TEXTS_OF_JSON.sub(lambda match: match[1] or "VARCHAR", kind) for name, kind, *_ in found}

    def _as_utf8(self, file: Path, dialect: Dialect) -> Path:
        """Copy a file as DuckDB reads it: from the header on, in UTF-8, with one kind of line ends."""
        copy = self._folder / f"{len(list(self._folder.iterdir()))}.csv"
        encoding = "utf-8-sig" if dialect.encoding == "UTF-8" else dialect.encoding
        with _opened(file) as source, copy.open("w", encoding="utf-8", newline="") as target:
            lines = io.TextIOWrapper(source, encoding=encoding, newline=None)  # type: ignore[type-var]
            for line in islice(lines, dialect.skip, None):
                target.write(line)
        return copy


@contextmanager
def open_exports() -> Iterator[Exports]:
    """Open an import. Raises SettingsError if DuckDB is not installed."""
    try:
        import duckdb
    except ImportError as error:
        raise SettingsError(
            f"ihc import needs the extra import ({error}): pip install 'ihc-attribution[import]'"
        ) from None
    # Nothing is downloaded.
    offline: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
    with tempfile.TemporaryDirectory(prefix="ihc") as folder, duckdb.connect(config=offline) as connection:
        yield Exports(connection, Path(folder))


def find_files(option: str, path: str) -> list[Path]:
    """Find the files of a path, a folder or a glob, sorted by name. Raises InputError if there are none."""
    given = Path(path).expanduser()
    found = [given] if given.is_file() else sorted(given.iterdir()) if given.is_dir() else _globbed(path)
    files = [file for file in found if file.is_file() and not file.name.startswith(".")]
    if not given.is_file():
        files = [file for file in files if _suffix_of(file)]
    if not files:
        what = "has no CSV, JSON, Parquet or Excel file" if given.is_dir() else "does not exist"
        raise InputError(f"--{option} {path} {what}.")
    return files


def find_dialect(file: Path) -> Dialect:
    """Find encoding, separator and header of a CSV file. Raises ValueError with what is wrong."""
    encoding = _encoding(file)
    with _opened(file) as opened:
        head = opened.read(HEAD)
    text = codecs.getincrementaldecoder("utf-8-sig" if encoding == "UTF-8" else encoding)(errors="replace").decode(head)
    lines = LINE_END.split(text)
    first = next((place for place, line in enumerate(lines) if line.strip() and not COMMENT.match(line)), None)
    if first is None:
        raise ValueError("it is empty")
    rows = [_row(lines, place) for place in range(first, min(first + TITLES, len(lines)))]
    place = find_header([*map(_values, rows)])
    header = [name.strip() for name in _values(rows[place])]
    return Dialect(_separator(rows[place]), encoding, first + place, _distinct(header))


def _has_mixed_line_ends(file: Path) -> bool:
    with _opened(file) as opened:
        return len({*re.findall(b"\r\n|\r|\n", opened.read(HEAD))}) > 1


def _separator(line: str) -> str:
    outside = re.sub(r'"[^"]*"', "", line)
    return max(SEPARATORS, key=lambda each: (outside.count(each), -list(SEPARATORS).index(each)))


def _row(lines: Sequence[str], place: int) -> str:
    """The text of the row that begins in a line; a quoted value may go on in the next lines."""
    for last in range(place + 1, min(place + TITLES, len(lines)) + 1):
        text = "\n".join(lines[place:last])
        if text.count('"') % 2 == 0:
            return text
    return lines[place]


def _values(row: str) -> list[str]:
    return next(csv.reader(io.StringIO(row, newline=""), delimiter=_separator(row)), [])


def find_header(rows: Sequence[Sequence[str]]) -> int:
    """Find the place of the header below a title. A title has one value; a header has several, and no number."""
    for place, row in enumerate(rows):
        values = [value for value in row if value.strip()]
        if len(values) > 1:
            return 0 if place and any(NUMBER.match(value) for value in values) else place
    return 0


def _distinct(names: Sequence[str]) -> list[str]:
    """Name columns without a name by their number. Raises ValueError if two have the same name."""
    named = [printable(name) or f"column {place}" for place, name in enumerate(names, start=1)]
    twice = {name for name in named if sum(name.lower() == each.lower() for each in named) > 1}
    if twice:
        raise ValueError(f"its header has {some(sorted(twice))} twice: rename one of the columns")
    return named


def _encoding(file: Path) -> str:
    """UTF-8, UTF-16 or, where it is neither, the usual Western encoding."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _opened(file) as opened:
        first = chunk = opened.read(1 << 20)
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "UTF-16"
        if b"\0" in first:
            raise ValueError("it has NUL bytes, so it is not a text file")
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = opened.read(1 << 20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "UTF-8"


def _excel(file: Path) -> pd.DataFrame:
    """The first sheet as texts, so that ids keep their digits."""
    try:
        cells = pd.read_excel(file, header=None, dtype=object).dropna(how="all")
    except ImportError:
        raise SettingsError("Excel files need the extra import: pip install 'ihc-attribution[import]'") from None
    except Exception:  # openpyxl raises many kinds for a broken file
        raise ValueError("it is not a readable Excel file (.xlsx)") from None
    if cells.empty:
        raise ValueError("its first sheet is empty")
    texts: pd.DataFrame = cells.apply(lambda column: column.map(_cell, na_action="ignore").astype("str"))
    header = find_header(texts.head(TITLES).fillna("").to_numpy().tolist())
    texts.columns = pd.Index(_distinct([name.strip() for name in texts.iloc[header].fillna("")]))
    return texts.iloc[header + 1 :].reset_index(drop=True)


def _cell(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _leaves(expression: str, name: str, kind: str) -> Iterator[str]:
    if kind.startswith("STRUCT(") and not kind.endswith("[]"):
        for field, of in _fields(kind[len("STRUCT(") : -1]):
            yield from _leaves(f"{expression}.{quoted(field)}", f"{name}.{field}", of)
    elif kind.startswith(PLAIN) and not kind.endswith("]"):
        yield f"{expression} AS {quoted(name)}"
    elif kind.startswith("DECIMAL"):
        yield f"CAST({expression} AS DOUBLE) AS {quoted(name)}"
    else:
        yield f"CAST({expression} AS VARCHAR) AS {quoted(name)}"


def _fields(inside: str) -> Iterator[tuple[str, str]]:
    """Name and type of each field in the text of a struct's type."""
    depth, begin, is_quoted = 0, 0, False
    for place, letter in enumerate(f"{inside},"):
        is_quoted ^= letter == '"'
        depth += 0 if is_quoted else (letter in "([") - (letter in ")]")
        if letter == "," and not depth and not is_quoted:
            field = inside[begin:place].strip()
            name, _, kind = (
                (field[1 : field.index('"', 1)], "", field[field.index('"', 1) + 2 :])
                if field.startswith('"')
                else field.partition(" ")
            )
            yield name, kind
            begin = place + 1


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _globbed(path: str) -> list[Path]:
    return [Path(name) for name in sorted(glob.glob(path, recursive=True))]  # noqa: PTH207 - a Path has no absolute globs


def _suffix_of(file: Path) -> str | None:
    return next((suffix for suffix in KINDS if file.name.lower().endswith(suffix)), None)


def _kind_of(file: Path) -> str:
    suffix = _suffix_of(file)
    if suffix is None:
        raise ValueError(f"its format is not known: give {', '.join(KINDS)}")
    return KINDS[suffix]


def _opened(file: Path) -> io.BufferedIOBase:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn what is wrong with a file into an InputError of one sentence."""
    import duckdb

    try:
        yield
    except (OSError, EOFError) as error:
        raise InputError(f"{file} cannot be read: {why(error)}.") from None
    except ValueError as error:
        raise InputError(f"{file} cannot be read: {error}.") from None
    except duckdb.Error as error:
        raise InputError(f"{file} cannot be read: {_sentence(str(error))}.") from None


def _reason(error: Exception) -> str:
    """The first line of DuckDB's message, without the kind of error where a query raised it."""
    return printable(str(error).splitlines()[0]).removeprefix("Invalid Input Error: ")


def _sentence(error: str) -> str:
    for pattern, says in MESSAGES.items():
        if found := re.search(pattern, error, re.DOTALL):
            return says.format(*found.groups())
    return printable(error.splitlines()[0].rstrip("."))
