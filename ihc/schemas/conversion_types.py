"""Conversion types: kinds of conversions in the column `conversion_type`, such as lead and purchase."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from ihc.errors import InputError
from ihc.formatting import counted, shown, some
from ihc.schemas.refunds import purchase_indexer

CONVERSION_TYPE = "conversion_type"
NO_TYPE = "(none)"
MOST_TYPES = 20  # in a message


def types_of(conversions: pd.DataFrame) -> pd.Series[str]:
    """Return the type of each conversion, with the index of `conversions`; NO_TYPE without one.

    A refund has the type of its order. In: as `refunds.purchase_indexer`, optionally with `conversion_type`.
    """
    if CONVERSION_TYPE not in conversions:
        return pd.Series(NO_TYPE, index=conversions.index, dtype="str", name=CONVERSION_TYPE)
    types = conversions[CONVERSION_TYPE].astype("str").fillna(NO_TYPE)
    return types.take(purchase_indexer(conversions)).set_axis(conversions.index)


def of_type(conversions: pd.DataFrame, name: str | None) -> pd.DataFrame:
    """Select the conversions of a type, possibly none; all of them if `name` is None."""
    return conversions if name is None else conversions[types_of(conversions) == name].reset_index(drop=True)


def check_type(conversions: pd.DataFrame, name: str | None) -> None:
    """Raise InputError, with the existing types and their numbers, if no conversion has the type `name`."""
    if name is None or (types_of(conversions) == name).any():
        return
    if CONVERSION_TYPE not in conversions:
        raise InputError(
            f"Table conversions has no column {CONVERSION_TYPE}: add it, or leave out --conversion-type {name}."
        )
    raise InputError(f"No conversion has the type {name!r}. {_existing(conversions)}")


def check_parameter_types(conversions: pd.DataFrame, names: Collection[str]) -> None:
    """Raise InputError, as `check_type`, if no conversion has one of the types for which --parameters names files."""
    there = set(types_of(conversions).unique()) if names else set()
    absent = sorted(set(names) - there)
    if not absent:
        return
    which = f"the type {absent[0]!r}" if len(absent) == 1 else f"the types {some(absent)}"
    if CONVERSION_TYPE not in conversions:
        raise InputError(
            f"--parameters names {which}, but table conversions has no column {CONVERSION_TYPE}: add it, or give one "
            "FILE for all conversions."
        )
    raise InputError(f"--parameters names {which}, which no conversion has. {_existing(conversions)}")


def _existing(conversions: pd.DataFrame) -> str:
    counts = types_of(conversions).value_counts().head(MOST_TYPES)
    there = ", ".join(f"{shown(each, 64)} ({counted(count, 'conversion')})" for each, count in counts.items())
    return f"Existing types: {there or 'none'}."
