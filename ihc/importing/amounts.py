"""Read the amounts and the flags of an export: decimal comma or point, thousands separators, currencies, signs.

A column has one decimal separator. Values that can be read with only one of the two decide which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from babel.numbers import list_currencies

from ihc.arrays.types import Booleans, Floats
from ihc.errors import AmbiguousError, SettingsError
from ihc.formatting import listed
from ihc.importing.cells import EMPTY, Cells, as_numpy, problems_of, quoted, read_cells, reasons_of, taken

# Signs that stand for one currency. Others, such as $, ¥ and kr, do not tell which one.
SIGNS = {
    **{"€": "EUR", "£": "GBP", "₹": "INR", "₺": "TRY", "₽": "RUB", "₴": "UAH", "₪": "ILS", "₩": "KRW", "₫": "VND"},
    **{"R$": "BRL", "US$": "USD", "zł": "PLN", "Kč": "CZK", "kr.": "kr"},
}
SHARED_SIGNS = {
    "$": frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"}),
    "¥": frozenset({"JPY", "CNY"}),
    "kr": frozenset({"SEK", "NOK", "DKK"}),
}
UNKNOWN = "?"  # a word that is no currency
MINUS = "[-\u2212]"
BLANK = "[ \u00a0\u2009\u202f]"
QUOTE = "['\u2019]"
_CURRENCY = r"[A-Za-z]{0,3}\p{Sc}|[A-Za-z]{3}|zł|Kč|kr\.?"
_SIGN = f"(?:[+]|{MINUS})?"
# A quotation mark before an amount marks a text in spreadsheets.
AMOUNT = "".join(
    (
        rf"^'?(?P<open>\(?)(?P<sign>{_SIGN}){BLANK}*(?P<before>(?:{_CURRENCY})?){BLANK}*(?P<inner_sign>{_SIGN}){BLANK}*",
        rf"(?P<digits>[0-9.,](?:(?:[0-9.,]|{BLANK}|{QUOTE})*[0-9])?)(?P<exponent>(?:[eE][+-]?[0-9]{{1,3}})?)",
        rf"{BLANK}*(?P<last_sign>{MINUS}?){BLANK}*(?P<after>(?:{_CURRENCY})?)(?P<close>\)?)$",
    )
)
SIGNED = ("open", "sign", "inner_sign", "last_sign")  # the parts of a text that say its sign
_ANY_GROUPS = [f"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+" for mark in (BLANK, QUOTE)]
_INDIAN = "[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
GROUPS = {
    ".": "|".join(["[1-9][0-9]{0,2}(?:,[0-9]{3})+", _INDIAN, *_ANY_GROUPS]),
    ",": "|".join([r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+", *_ANY_GROUPS]),
}
FORMS = {mark: f"^(?:(?:[0-9]+|{groups})(?:[{mark}][0-9]+)?|[{mark}][0-9]+)$" for mark, groups in GROUPS.items()}
EXAMPLES = {".": "1,234.56 (decimal point)", ",": "1.234,56 (decimal comma)"}
PLAIN = "plain numbers"
NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal")  # kinds of values in a column of objects
YES = ("1", "true", "t", "yes", "y", "ja", "oui", "si", "sí", "x")
NO = ("0", "false", "f", "no", "n", "nein", "non")

NO_AMOUNT, OTHER_FORM, NO_FLAG = range(1, 4)
REASONS = {NO_AMOUNT: "is no amount", NO_FLAG: "is neither yes nor no"}

Parts = dict[str, pa.Array]  # of the distinct texts, by the groups of `AMOUNT`; "" if missing


class Amounts(NamedTuple):
    """The numbers of a column, one per row.

    `values`: float64, NaN where unreadable or empty; `problems`: the rows that could not be read, each with its reason;
    `form`: what was recognised, for the user; `currencies`: the codes and signs in the texts.
    """

    values: pd.Series[float]
    problems: pd.Series[str]
    form: str
    currencies: tuple[str, ...] = ()


def read_amounts(values: pd.Series[Any], *, decimal: str | None = None) -> Amounts:
    """Read amounts of any usual form.

    In: texts or numbers. `decimal`: the decimal separator, "." or ",", if the values do not show it.
    Out: see `Amounts`; the index is that of `values`.

    Raises AmbiguousError if a separator can be of decimals or of thousands, and SettingsError for another `decimal`.
    """
    if decimal is not None and decimal not in FORMS:
        raise SettingsError(f"Decimal separator {quoted(decimal)} is unknown: set decimal = '.' or ',' in the mapping.")
    cells = read_cells(values)
    if _is_numeric(values):
        texts = pc.if_else(pc.match_substring_regex(cells.texts, "^[0-9.eE+-]+$"), cells.texts, "nan")
        numbers = as_numpy(texts.cast(pa.float64()))
        return _amounts(values, cells, numbers, np.where(np.isfinite(numbers), 0, NO_AMOUNT), PLAIN)
    parts = _parts(cells.texts)
    fits = {mark: _fits(parts, mark) for mark in FORMS}
    mark = decimal or _decimal(values.name, parts, fits)
    numbers, names = _numbers(parts, fits[mark or "."], mark or "."), _currencies(parts)
    faults = np.where(np.isfinite(numbers) & _is_written_well(parts), 0, NO_AMOUNT)
    if mark:
        faults[(faults > 0) & ~fits[mark] & (fits["."] | fits[","])] = OTHER_FORM
    found = {name for name in names[faults == 0] if name}
    form = (EXAMPLES[mark] if mark else PLAIN) + (f" in {listed(sorted(found))}" if len(found) > 1 else "")
    return _amounts(values, cells, numbers, faults, form)._replace(currencies=tuple(sorted(found)))


def read_flags(values: pd.Series[Any]) -> Amounts:
    """Read flags as 1.0 and 0.0: 1 and 0, true and false, yes and no in several languages, or x. Empty is 0.

    In: texts, numbers or booleans. Out: see `Amounts`; the index is that of `values`.
    """
    cells = read_cells(values)
    texts = pc.replace_substring_regex(pc.utf8_lower(cells.texts), r"^([01])\.0+$", r"\1")
    yes, no = (as_numpy(pc.is_in(texts, pa.array(names, texts.type))) for names in (YES, NO))
    flags = _amounts(values, cells, yes.astype("float64"), np.where(yes | no, 0, NO_FLAG), "flags")
    return flags._replace(
        values=flags.values.mask(cells.codes < 0, 0.0), problems=flags.problems[flags.problems != EMPTY]
    )


def currency_codes(values: pd.Series[Any]) -> pd.Series[str]:
    """Return the codes of a currency column: EUR for eur and €."""
    codes = values.astype("str").str.strip()
    return codes.replace(SIGNS).str.upper()


def distinct_currencies(names: Collection[str]) -> list[str]:
    """Return the codes and signs of several currencies; a sign beside one of its codes is no other currency."""
    return sorted(name for name in names if not SHARED_SIGNS.get(name, frozenset()) & {*names})


def _is_numeric(values: pd.Series[Any]) -> bool:
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) in NUMERIC
    kinds = pd.api.types
    return kinds.is_numeric_dtype(values) and not kinds.is_bool_dtype(values) and not kinds.is_complex_dtype(values)


def _amounts(values: pd.Series[Any], cells: Cells, numbers: Floats, faults: npt.NDArray[Any], form: str) -> Amounts:
    says = {**REASONS, OTHER_FORM: f"is no amount of the form {form}"}
    reasons = reasons_of(cells.texts.to_pylist(), faults.astype("int8"), says)
    rows = taken(np.where(faults == 0, numbers, np.nan), cells.codes, np.nan)
    form = form if (faults == 0).any() else "no amounts"
    return Amounts(pd.Series(rows, index=values.index), problems_of(cells.codes, reasons, values.index), form)


def _parts(texts: pa.Array) -> Parts:
    found = pc.extract_regex(texts, AMOUNT)
    names = [field.name for field in found.type]
    return {name: pc.fill_null(part, "") for name, part in zip(names, found.flatten(), strict=True)}


def _joined(parts: Iterable[pa.Array], separator: str = "") -> pa.Array:
    return pc.binary_join_element_wise(*parts, pa.scalar(separator, pa.large_string()))


def _has(text: pa.Array) -> Booleans:
    return as_numpy(pc.not_equal(text, ""))


def _fits(parts: Parts, mark: str) -> Booleans:
    """Mark the digits that are a number with this decimal separator. An exponent needs plain digits and a point."""
    fits = as_numpy(pc.match_substring_regex(parts["digits"], FORMS[mark]))
    plain = as_numpy(pc.match_substring_regex(parts["digits"], r"^[0-9]+(\.[0-9]+)?$"))
    return fits & (~_has(parts["exponent"]) | (plain & (mark == ".")))


def _decimal(column: object, parts: Parts, fits: dict[str, Booleans]) -> str | None:
    """Return the decimal separator that more values require; None if no value has a separator."""
    only = {".": fits["."] & ~fits[","], ",": fits[","] & ~fits["."]}
    points, commas = (int(marks.sum()) for marks in only.values())
    if points != commas:
        return "." if points > commas else ","
    open_ = fits["."] & fits[","] & as_numpy(pc.match_substring_regex(parts["digits"], "[.,]"))
    where = f"Column {quoted(column)}: " if isinstance(column, str) and column else ""
    if points:
        one, two = (quoted(parts["digits"][int(np.argmax(marks))]) for marks in only.values())
        says = f"{one} has a decimal point, but {two} has a decimal comma, in equally many values"
    elif open_.any():
        text = str(parts["digits"][int(np.argmax(open_))])
        mark = "," if "," in text else "."
        says = f"{quoted(text)} can be {text.replace(mark, '')} or {text.replace(mark, '.')}"
    else:
        return None
    raise AmbiguousError(f"{where}{says}: set decimal = '.' or ',' in the mapping.")


def _numbers(parts: Parts, fits: Booleans, mark: str) -> Floats:
    """Read the digits with a decimal separator; NaN where they do not fit it."""
    plain = pc.replace_substring_regex(parts["digits"], f"[^0-9{mark}]", "")
    plain = _joined([pc.replace_substring(plain, mark, "."), parts["exponent"]])
    sizes = as_numpy(pc.if_else(pa.array(fits), plain, "nan").cast(pa.float64()))
    signs = _joined(parts[name] for name in SIGNED)
    is_negative = as_numpy(pc.match_substring_regex(signs, rf"[(]|{MINUS}"))
    return np.where(is_negative, -sizes, sizes)


def _is_written_well(parts: Parts) -> Booleans:
    """Mark the texts with at most one sign, both parentheses or none, and no word that is no currency."""
    signs = np.sum([_has(parts[name]) for name in SIGNED], axis=0)
    closed = _has(parts["open"]) == _has(parts["close"])
    return np.asarray((signs <= 1) & closed & (_currencies(parts) != UNKNOWN))


def _currencies(parts: Parts) -> npt.NDArray[np.object_]:
    """Name the currency of each value: its code, its sign if several currencies have it, or "" for none."""
    texts = _joined([parts["before"], parts["after"]], " ").dictionary_encode()
    known = list_currencies()
    names = np.array([_currency(text, known) for text in texts.dictionary.to_pylist()], dtype=object)
    return np.take(names, as_numpy(texts.indices))


def _currency(text: str, known: Collection[str]) -> str:
    words = {word.upper() if word.upper() in known else SIGNS.get(word, word) for word in text.split()}
    name = "".join(words)
    return UNKNOWN if len(words) > 1 or (name.isascii() and name.isalpha() and name not in (*known, "kr")) else name
