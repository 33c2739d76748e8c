"""Exact sums, rounded once: identical to the last bit for any row order and any partitioning.

Each value is split into integer multiples of 2^0, 2^±26, 2^±52, ... (one level each). The multiples of a level are
added as integers, without error. Partial sums can therefore be computed anywhere and added later; the exact total is
rounded once, at the end. The fixed levels follow Demmel and Nguyen (2015), Parallel reproducible summation, IEEE
Transactions on Computers 64(7), 2060-2070.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ihc.arrays.types import Booleans, Floats, Integers
from ihc.errors import InputError
from ihc.formatting import counted

BITS = 26
LEAST_BLOCK = 2**16
AT_A_TIME = 2**26  # rows: their multiples, each below 2^26, also add up exactly in floating point
LEVEL = "level"


def total(values: pd.Series[Any]) -> float:
    """Return the correctly rounded sum of a column; NaN counts as 0."""
    return float(sums(np.zeros(len(values), dtype="int64"), values.to_numpy("float64"), 1)[0])


def sums(group: Integers, values: Floats, size: int) -> Floats:
    """Return the correctly rounded sum of each group; NaN counts as 0.

    In: `group`, the group number of each value, from 0 to `size` - 1. A group with an infinite value gets the ordinary
    floating-point sum.
    """
    return sums_of(group, [values], size)[0]


def sums_of(group: Integers, columns: Iterable[Floats], size: int) -> list[Floats]:
    """Return the `sums` of several columns over the same groups."""
    # A single addition is rounded once anyway, and most sessions need no more.
    is_long = np.bincount(group, minlength=size) > 2
    count = int(is_long.sum())
    rows = np.flatnonzero(is_long[group]) if count < size else slice(None)
    of_long = (is_long.cumsum() - 1)[group[rows]]
    return [_sums(group, values, is_long, rows, of_long) for values in columns]


def _sums(group: Integers, values: Floats, is_long: Booleans, rows: Integers | slice, of_long: Integers) -> Floats:
    known = np.where(np.isnan(values), 0.0, values)
    found = np.bincount(group, weights=known, minlength=len(is_long)).astype("float64")
    known, count = known[rows], int(is_long.sum())
    is_infinite = np.isinf(known)
    exact = rounded(multiples(of_long, np.where(is_infinite, 0.0, known), count), count)
    if is_infinite.any():
        exact[of_long[is_infinite]] = found[is_long][of_long[is_infinite]]
    found[is_long] = exact
    return found


def multiples(group: Integers, values: Floats, size: int) -> dict[int, Integers]:
    """Sum each group exactly: for each level k, the number of multiples of 2^(26 k) in its values.

    In: `group`, the group number of each value, from 0 to `size` - 1; `values` are finite, and NaN counts as 0.
    """
    found: dict[int, Integers] = {}
    # Work in blocks, so that intermediate arrays stay in the processor's cache.
    block = min(max(LEAST_BLOCK, 2 * size), AT_A_TIME)
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        for level, counts in _multiples(group[part], values[part], size):
            found[level] = found[level] + counts if level in found else counts
    return found


def _multiples(group: Integers, values: Floats, size: int) -> Iterator[tuple[int, Integers]]:
    rest = np.where(np.isnan(values), 0.0, values)
    while (largest := max(rest.max(initial=0.0), -rest.min(initial=0.0))) > 0:
        level = (int(np.frexp(largest)[1]) - 1) // BITS
        whole = np.trunc(_scaled(rest, -BITS * level))
        rest -= _scaled(whole, BITS * level)
        yield level, np.bincount(group, weights=whole, minlength=size).astype("int64")
        is_left = rest != 0
        if 2 * np.count_nonzero(is_left) < len(rest):
            group, rest = group[is_left], rest[is_left]


def _scaled(values: Floats, exponent: int) -> Floats:
    """Multiply by 2^exponent exactly; slower beyond the exponents that floating point can represent."""
    return values * 2.0**exponent if abs(exponent) <= 1_000 else np.ldexp(values, exponent)


def rounded(levels: Mapping[int, Integers], size: int) -> Floats:
    """Round each group's sum to the nearest floating-point number, ties to even.

    In: the result of `multiples`.
    """
    if not levels or not size:
        return np.zeros(size)
    lowest = min(levels) - 3
    # Three extra levels on either side: for the carry, and so that four levels can be read below any level.
    digits = np.zeros((max(levels) - lowest + 4, size), dtype="int64")
    for level, counts in levels.items():
        digits[level - lowest] = counts
    is_negative = _carried(digits)[-1] < 0
    digits = _carried(np.where(is_negative, -digits, digits))
    top = np.maximum(len(digits) - 1 - np.argmax(digits[::-1] != 0, axis=0), 3)
    first, second, third, fourth = (np.take_along_axis(digits, (top - k)[None], axis=0)[0] for k in range(4))
    # Digits below the four highest matter only to break a tie: one sticky bit represents them.
    is_more = np.take_along_axis((digits != 0).cumsum(axis=0), np.maximum(top - 4, 0)[None], axis=0)[0] > 0
    high, low = first * 2**BITS + second, (third * 2**BITS + fourth) | (is_more & (top > 3))
    found: Floats = np.ldexp(high * 2.0 ** (2 * BITS) + low, BITS * (top - 3 + lowest))
    found[is_negative] *= -1
    return found


def _carried(digits: Integers) -> Integers:
    """Carry the digits: each is from 0 to 2^26 - 1 afterwards, except the highest, which has the sign."""
    digits = digits.copy()
    for level in range(len(digits) - 1):
        carry = digits[level] >> BITS
        digits[level] -= carry << BITS
        digits[level + 1] += carry
    return digits


def sum_by(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Sum `columns` for each combination of `keys`, correctly rounded.

    Out: `keys`, sorted, and `columns`. NaN counts as 0. A row with an empty key belongs to no group.
    """
    group, table, rows = _grouped(frame, keys)
    values = sums_of(group, [rows[name].to_numpy("float64") for name in columns], len(table))
    return table.assign(**dict(zip(columns, values, strict=True)))


def part_by(frame: pd.DataFrame, keys: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Sum `columns` exactly for each combination of `keys`, as one partial sum.

    Out: `keys, level` and `columns [multiples of 2^(26 level)]`, see `multiples`. Each group has a row for level 0.
    Raises InputError for an infinite value.
    """
    group, table, rows = _grouped(frame, keys)
    for name in columns:
        if count := int(np.isinf(rows[name].to_numpy("float64")).sum()):
            raise InputError(f"Column {name} has infinite values in {counted(count, 'row')}: no exact sum exists.")
    found = {name: multiples(group, rows[name].to_numpy("float64"), len(table)) for name in columns}
    nothing = np.zeros(len(table), dtype="int64")
    parts = [
        table.assign(**{LEVEL: level}, **{name: found[name].get(level, nothing) for name in columns})
        for level in sorted({0}.union(*found.values()))
    ]
    return pd.concat([part[_is_kept(part, columns)] for part in parts], ignore_index=True)


def _is_kept(part: pd.DataFrame, columns: Sequence[str]) -> Booleans:
    return (part[LEVEL] == 0).to_numpy() | (part[list(columns)] != 0).any(axis="columns").to_numpy()


def add_parts(parts: Iterable[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Add partial sums without rounding. In and out: as `part_by`."""
    return pd.concat(list(parts), ignore_index=True).groupby([*keys, LEVEL], as_index=False).sum()


def sum_of_parts(part: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Round the total of partial sums. In: `part_by` or `add_parts`. Out: as `sum_by` over all their rows."""
    group, table, rows = _grouped(part, keys)
    columns = [name for name in part.columns if name not in (*keys, LEVEL)]
    level = rows[LEVEL].to_numpy()
    found = {}
    for name in columns:
        levels = {int(one): np.zeros(len(table), dtype="int64") for one in np.unique(level)}
        for one, counts in levels.items():
            counts[group[level == one]] = rows[name].to_numpy()[level == one]
        found[name] = rounded(levels, len(table))
    return table.assign(**found)


def _grouped(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[Integers, pd.DataFrame, pd.DataFrame]:
    """Return each row's group number, the keys of the groups in that order, and the rows that have a group."""
    numbers = frame.groupby(list(keys), sort=True, observed=True).ngroup()
    group: Integers = np.asarray(numbers.fillna(-1), dtype="int64")  # NaN if a key is empty
    is_in = group >= 0
    if not is_in.all():
        group, frame = group[is_in], frame[is_in]
    example = np.empty(group.max(initial=-1) + 1, dtype="int64")  # one row of each group
    example[group] = np.arange(len(group))
    return group, frame[list(keys)].take(example).reset_index(drop=True), frame
