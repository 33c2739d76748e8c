"""Results of experiments, as read from a CSV file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ihc.errors import InputError, SettingsError, why
from ihc.formatting import counted, some
from ihc.schemas.tables import check_window, inside

KINDS = ("geo", "holdout", "on/off")
REVENUE, ORDERS = "incremental_revenue", "incremental_orders"
TEXTS = ("channel_name", "start_date", "end_date", "kind")
NUMBERS = (REVENUE, ORDERS, "standard_error", "spend")
COLUMNS = (*TEXTS, *NUMBERS)
EITHER = f"{REVENUE} or {ORDERS}"
MOST_FINDINGS = 5


def load_experiments(path: Path) -> pd.DataFrame:
    """Read the results of experiments from a CSV file, one line per experiment.

    Out: `channel_name; start_date, end_date [YYYY-MM-DD, inclusive]; kind [one of KINDS]; incremental_revenue
    [currency] or incremental_orders [orders], the other NaN: what the channel caused on these days; standard_error [of
    the one that is given, in its unit]; spend [currency; what caused it; NaN: all spend of the channel on these days]`.
    The file needs only one of the two incremental columns, and `spend` may be missing.

    Raises SettingsError with the file, the lines and their values, and what is expected.
    """
    try:  # with a header, pandas takes the first values of lines that are too long for an index
        lines = pd.read_csv(
            path, header=None, dtype="str", keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=False
        )
    except OSError as error:
        raise SettingsError(f"The experiments {path} cannot be read: {why(error)}.") from None
    except ValueError as error:
        raise SettingsError(
            f"The experiments {path} cannot be read as CSV: {why(error)}. Save the file in UTF-8, with commas between "
            "the values and a point in numbers."
        ) from None
    frame = lines.iloc[1:].set_axis(lines.iloc[0].str.strip(), axis="columns")
    _check_columns(path, list(frame.columns))
    frame = frame.reindex(columns=COLUMNS, fill_value="").apply(lambda texts: texts.str.strip())
    frame = frame[(frame != "").any(axis=1)]
    numbers = {name: _numbers(frame[name]) for name in NUMBERS}
    findings = list(_findings(frame, pd.DataFrame(numbers)))
    if findings:
        more = len(findings) - MOST_FINDINGS
        ends = [f"{counted(more, 'more problem')}."] if more > 0 else []
        raise SettingsError("\n".join([f"The experiments {path}:", *findings[:MOST_FINDINGS], *ends]))
    made: pd.DataFrame = frame.assign(**numbers).astype(dict.fromkeys(TEXTS, "str")).reset_index(drop=True)
    return made


def no_experiments() -> pd.DataFrame:
    """Return the frame of `load_experiments` without a row."""
    return pd.DataFrame(columns=COLUMNS).astype(dict.fromkeys(NUMBERS, "float64"))


def check_channels(experiments: pd.DataFrame, channels: pd.Series[str]) -> None:
    """Raise InputError if an experiment is for a channel that the report does not have. In: the report's `channels`."""
    unknown = sorted({*experiments["channel_name"]} - {*channels})
    if unknown:
        raise InputError(
            f"The experiments name {some(unknown)}, but the report's rows are {some(sorted(set(channels)), 12)}: "
            "write channel_name as there."
        )


def check_days(experiments: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Raise InputError for an experiment without spend on days without data. In: `rows`, with `channel_name, date`."""
    for row in experiments[experiments["spend"].isna()].to_dict("records"):
        start, end = row["start_date"], row["end_date"]
        first, last = rows["date"].min(), rows["date"].max()
        is_own = (rows["channel_name"] == row["channel_name"]) & inside(rows["date"], start, end)
        if start < first or end > last or not is_own.any():
            raise InputError(
                f"The experiment on {row['channel_name']} from {start} to {end} has days without data of the channel "
                f"(the tables have {first} to {last}): give its spend, or only experiments on days with data."
            )


def _check_columns(path: Path, names: list[str]) -> None:
    needed = {*TEXTS, "standard_error"}
    missing = [name for name in COLUMNS if name in needed - {*names}]
    if not {REVENUE, ORDERS} & {*names}:
        missing.append(EITHER)
    if missing:
        raise SettingsError(
            f"The experiments {path} lack {some(missing)}: the first line is {','.join(names)!r}. It must be "
            f"{','.join([*TEXTS, EITHER, 'standard_error', 'spend'])}, separated by commas."
        )
    if unknown := [name for name in names if name not in COLUMNS]:
        raise SettingsError(f"The experiments {path} have unknown columns: {some(unknown)}. Remove or rename them.")
    if repeated := [name for name in COLUMNS if names.count(name) > 1]:
        raise SettingsError(f"The experiments {path} have {some(repeated)} more than once: keep one column of each.")


def _numbers(texts: pd.Series[str]) -> pd.Series[float]:
    """Parse numbers; infinite if it is none, NaN if it is empty."""
    numbers = pd.to_numeric(texts.where(texts != ""), errors="coerce").astype("float64")
    return numbers.where(numbers.notna() | (texts == ""), np.inf)


def _findings(frame: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[str]:
    """What is wrong, by line."""
    for at, row, values in zip(frame.index, frame.to_dict("records"), numbers.to_dict("records"), strict=True):
        for says in (*_wrong_texts(row), *_wrong_numbers(row, values)):
            yield f"line {at + 1}: {says}"


def _wrong_texts(row: Mapping[Any, Any]) -> Iterator[str]:
    if not row["channel_name"]:
        yield "channel_name is empty."
    if row["kind"] not in KINDS:
        yield f"kind is {row['kind']!r}; write {', '.join(KINDS)}."
    if not row["start_date"] or not row["end_date"]:
        yield "start_date and end_date are needed, as YYYY-MM-DD."
        return
    try:
        check_window(row["start_date"], row["end_date"])
    except InputError as error:
        yield str(error)


def _wrong_numbers(row: Mapping[Any, Any], numbers: Mapping[Any, Any]) -> Iterator[str]:
    for name in NUMBERS:
        if np.isinf(numbers[name]):
            yield f"{name} is {row[name]!r}; write a number such as 1234.5, without thousands separators."
    if np.isnan(numbers[REVENUE]) == np.isnan(numbers[ORDERS]):
        yield f"{REVENUE} is {row[REVENUE]!r} and {ORDERS} is {row[ORDERS]!r}; give one of the two."
    if not numbers["standard_error"] > 0:
        yield (
            f"standard_error is {row['standard_error']!r}; give the standard error above 0. It is the width of a 95 % "
            "confidence interval / 3.92."
        )
    if numbers["spend"] <= 0:
        yield f"spend is {row['spend']!r}; give more than 0, or leave it empty for all spend on these days."
