"""Engagement flags of sessions, by rules over their columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ihc.errors import SettingsError
from ihc.formatting import some
from ihc.importing.amounts import Amounts, read_amounts
from ihc.importing.cells import EMPTY
from ihc.importing.mapping import Flag


def flags_of(frame: pd.DataFrame, rules: Sequence[Flag], where: str) -> pd.Series:
    """Compute a flag [0/1] per row: 1 if any rule applies, or if there is no rule.

    Raises SettingsError if a rule names a column that `frame` has not, or has no condition.
    """
    if not rules:
        return pd.Series(1, index=frame.index, dtype="int8")
    return pd.Series(np.logical_or.reduce([_applies(frame, rule, where) for rule in rules]), frame.index).astype("int8")


def _applies(frame: pd.DataFrame, rule: Flag, where: str) -> pd.Series:
    if rule.column not in frame:
        raise SettingsError(f"{where} names the column {rule.column!r}, which is not there; columns are {some(frame)}.")
    values = frame[rule.column]
    if rule.at_least is not None:
        numbers = read_amounts(values)
        if len(values) and numbers.values.isna().all() and len(numbers.problems):
            raise SettingsError(f"{where} needs numbers for at_least, but {rule.column!r} has none: {_first(numbers)}.")
        return numbers.values.ge(rule.at_least)
    texts = values.astype("str").str.strip().str.casefold().fillna("")
    if rule.one_of:
        return texts.isin([text.casefold() for text in rule.one_of])
    if rule.contains:
        distinct = pd.Series(texts.unique())
        has = distinct.map(lambda text: any(part.casefold() in text for part in rule.contains))
        return texts.isin(distinct[has.astype("bool")])
    raise SettingsError(f"{where} needs at_least, one_of or contains for the column {rule.column!r}.")


def _first(numbers: Amounts) -> str:
    return str(next((each for each in numbers.problems if each != EMPTY), "all its values are empty"))
