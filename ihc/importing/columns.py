"""Guess which column of an export is which, by its name and its values."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from babel.numbers import list_currencies

from ihc.errors import InputError
from ihc.formatting import shown
from ihc.importing.amounts import read_amounts, read_flags
from ihc.importing.files import FILE
from ihc.importing.mapping import FIELDS, NEEDED, Columns, Part, names_of
from ihc.importing.times import read_days, read_moments
from ihc.shipped import RESOURCES

SAMPLE = 1_000  # distinct values looked at
EXACT, PARTIAL, LEAST = 1.0, 0.7, 0.5  # confidence of a usual name, of one that contains a usual one; of a guess
UNFIT = 0.3  # factor if the values are not of the field's kind
MOST_EMPTY = 0.1  # share of rows without an order id; further lines of an order often lack its technical id
NAMES = tomllib.loads((RESOURCES / "column_names.toml").read_text("utf-8"))
KEPT, CLOCK = NAMES["kept"]["names"], NAMES["clock"]["names"]
VAGUE, OTHER_THINGS = NAMES["vague"]["names"], {*NAMES["other_things"]["names"]}
OF = ("de", "del", "della", "di", "du", "der", "van")
QUALIFIER = re.compile(" (net|gross|netto|brutto|ttc|ht|total|base|paid)$")  # of an amount
CURRENCY_CODE = re.compile(rf" (in )?({'|'.join(sorted(list_currencies())).lower()})$")


class Guess(NamedTuple):
    """Which column holds a field. `confidence`: share; `sample`: one of its values."""

    field: str
    column: Columns
    sample: str
    confidence: float


def guess_columns(kind: str, frame: pd.DataFrame) -> list[Guess]:
    """Guess the columns of an export of `sessions`, `orders` or `spend`, best guess first per field.

    A column serves one field. The usual name of a field counts more than one that contains it; values of another kind
    than the field's count against it. A needed field without any better column gets one of its usual name all the same,
    so that messages tell what is wrong with its values.
    """
    columns = [name for name in frame.columns if name != FILE and not (kind == "spend" and _begins_period(name, frame))]
    scores = [
        (_score(kind, field, column, frame[column]), -order, -place, field, column)
        for order, field in enumerate(FIELDS[kind])
        for place, column in enumerate(columns)
    ]
    found: dict[str, Guess] = {}
    for score, _, _, field, column in sorted(scores, reverse=True):
        least = LEAST if field not in NEEDED[kind] else UNFIT * (EXACT - 0.1)
        if score >= least and field not in found and column not in [guess.column for guess in found.values()]:
            found[field] = Guess(field, column, _sample(frame[column]), score)
    if "time" in found:
        found["time"] = _with_clock(found["time"], frame, {str(guess.column) for guess in found.values()})
    return [found[field] for field in FIELDS[kind] if field in found]


def _begins_period(name: str, frame: pd.DataFrame) -> bool:
    """Whether a column is the first day of periods of several days, such as "Reporting starts" of a monthly report."""
    first = plain(name).removesuffix("s")
    last = [other for other in frame.columns if first.endswith("start") and plain(other) == f"{first[:-5]}ends"]
    return any(bool((frame[name] != frame[other]).any()) for other in last)


def guess_kept(frame: pd.DataFrame, part: Part) -> dict[str, str]:
    """Find further columns by which a report is often broken down, such as the country: name = column."""
    used = {name for columns in part.columns.values() for name in names_of(columns)}
    kept = [name for name in frame.columns if plain(name) in KEPT and name not in used]
    return {plain(name).replace(" ", "_"): name for name in kept}


def _score(kind: str, field: str, column: str, values: pd.Series) -> float:
    score = _name_score(plain(column), NAMES[kind].get(field) or NAMES["any"][field])
    if score < LEAST:
        return score
    check = CHECKS.get(field)
    is_fit = (check is None or _fits(check, values)) and (field != "order_id" or values.isna().mean() < MOST_EMPTY)
    return score * (1.0 if is_fit else UNFIT)


def _name_score(name: str, usual: Sequence[str]) -> float:
    name = CURRENCY_CODE.sub("", name) or name
    if name in usual:
        return EXACT - 0.001 * usual.index(name)
    if OTHER_THINGS & {*name.split()}:
        return 0.0
    inside = [place for place, each in enumerate(usual) if _contains(name, each)]
    return PARTIAL - 0.001 * inside[0] if inside else 0.0


def _contains(name: str, usual: str) -> bool:
    """Whether a name is a kind of the usual one: of one word, that is the last one, as in "billing email"."""
    if " " in usual or QUALIFIER.sub("", name) == usual:
        return f" {usual} " in f" {name} "
    return usual not in VAGUE and (name.endswith(f" {usual}") or name.startswith(tuple(f"{usual} {of} " for of in OF)))


def _fits(check: Callable[[pd.Series], pd.Series[bool]], values: pd.Series) -> bool:
    known = values.dropna().drop_duplicates().head(SAMPLE)
    if known.empty:
        return True
    try:
        return bool(check(known).mean() >= 0.5)
    except InputError:  # ambiguous, but of this kind
        return True


def _with_clock(guess: Guess, frame: pd.DataFrame, used: set[str]) -> Guess:
    """Add the column of the time of day to one that holds days alone."""
    clocks = [name for name in frame.columns if plain(name) in CLOCK and name not in used]
    days = frame[str(guess.column)].dropna().astype("str").head(SAMPLE)
    if not clocks or days.empty or days.str.contains(":").any():
        return guess
    joined = [str(guess.column), clocks[0]]
    return guess._replace(column=joined, sample=f"{guess.sample} {_sample(frame[clocks[0]])}")


def plain(name: str) -> str:
    """A column's name in lower case, without accents, its words separated by one blank."""
    spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("ß", "ss"))
    for letter, instead in {"ä": "ae", "ö": "oe", "ü": "ue"}.items():
        spelled = spelled.replace(letter, instead).replace(letter.upper(), instead)
    bare = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", bare))


def _sample(values: pd.Series) -> str:
    known = values.dropna()
    return shown(known.iloc[0]) if len(known) else ""


CHECKS: Mapping[str, Callable[[pd.Series], pd.Series[bool]]] = {  # field -> marks the values of its kind
    "time": lambda values: read_moments(values).local.notna(),
    "date": lambda values: read_days(values).local.notna(),
    **dict.fromkeys(
        ("revenue", "cost", "pages", "duration", "impressions", "clicks"),
        lambda values: read_amounts(values).values.notna(),
    ),
    **dict.fromkeys(
        ("engaged", "holder_engagement", "closer_engagement", "impression"),
        lambda values: read_flags(values).values.notna(),
    ),
    **dict.fromkeys(
        ("channel", "source", "medium", "currency", "status", "conversion_type"),
        lambda values: pd.Series(pd.to_numeric(values, errors="coerce")).isna(),
    ),
}


def part_of(guesses: Sequence[Guess], frame: pd.DataFrame) -> Part:
    """Make the part of a mapping from guesses."""
    part = Part(columns={guess.field: guess.column for guess in guesses})
    return part.model_copy(update={"keep": guess_kept(frame, part)})
