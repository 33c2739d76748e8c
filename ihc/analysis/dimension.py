"""The dimension of a report (channel, channel group or another column), and its top-N rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ihc.errors import InputError, SettingsError, why
from ihc.formatting import some
from ihc.schemas.tables import COLUMNS, EVENT_UTC, SESSIONS

MOST_ROWS = 30
GROUP_COLUMNS = ("channel_name", "channel_group")
NO_VALUE = "(none)"
# Keys, users, times and flags cannot be dimensions of a report.
NO_DIMENSION = (frozenset(COLUMNS[SESSIONS]) | {EVENT_UTC}) - {"channel_name"}


def load_channel_groups(path: Path) -> dict[str, str]:
    """Read a CSV file of `channel_name, channel_group` to a mapping from channel to group.

    Raises SettingsError with the file, the column or the line, and what is expected.
    """
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingsError(f"The channel groups {path} cannot be read as CSV in UTF-8: {why(error)}.") from None
    if list(frame.columns) != list(GROUP_COLUMNS):
        raise SettingsError(
            f"The channel groups {path} have the columns {some(list(frame.columns))}; the first line must be "
            f"{','.join(GROUP_COLUMNS)}."
        )
    if (is_blank := frame["channel_group"].str.strip() == "").any():
        raise SettingsError(f"The channel groups {path} have no group for {some(frame.loc[is_blank, 'channel_name'])}.")
    repeated = frame.loc[frame["channel_name"].duplicated(), "channel_name"]
    if len(repeated):
        raise SettingsError(
            f"The channel groups {path} name {some(repeated)} more than once: keep one line per channel."
        )
    return dict(zip(frame["channel_name"], frame["channel_group"], strict=True))


def with_dimension(
    sessions: pd.DataFrame, *, by: str | None = None, groups: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Replace the channel by the dimension of the report.

    In: the sessions; `by`, another column of theirs, or `groups`, the group of each channel; with neither, the sessions
    are unchanged. Out: the sessions with the dimension as `channel_name`; a session without a value has `(none)`, and a
    channel without a group keeps its name. Raises InputError if the column does not exist or cannot be a dimension.
    """
    if by is not None:
        return sessions.assign(channel_name=value_texts(_column(sessions, by)))
    if groups is not None:
        names = sessions["channel_name"]
        return sessions.assign(channel_name=names.map(groups).where(names.isin(list(groups)), names).astype("str"))
    return sessions


def _column(sessions: pd.DataFrame, by: str) -> pd.Series:
    usable = [str(name) for name in sessions.columns if name not in NO_DIMENSION]
    if by not in usable:
        why = "is the key, user, time or flag of a session" if by in NO_DIMENSION else f"is not a column of {SESSIONS}"
        raise InputError(f"--by {by!r} {why}; report by one of {some(usable, 20)}.")
    return sessions[by]


def value_texts(values: pd.Series) -> pd.Series[str]:
    """Return the values of a column as texts, `(none)` without one; whole numbers have no decimals."""
    if pd.api.types.is_float_dtype(values) and values.dropna().mod(1).eq(0).all():
        values = values.astype("Int64")
    texts = values.astype("str").where(values.notna(), NO_VALUE)
    return texts.where(texts.str.strip() != "", NO_VALUE).astype("str")


def others(count: int) -> str:
    """Name the row that sums this many channels."""
    return f"other ({count:,} channels)"


class Folding(NamedTuple):
    """The channels to name, most important first, and the name of the `rest`, which is empty if there is none."""

    named: list[str]
    rest: str

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rename each channel that is not named to the rest. In and out: any frame with `channel_name`."""
        if not self.rest:
            return frame
        codes, names = pd.factorize(frame["channel_name"])
        kept = pd.Series(names).where(pd.Series(names).isin(self.named), self.rest)
        return frame.assign(channel_name=kept.array.take(codes))

    def only(self, table: pd.DataFrame) -> pd.DataFrame:
        """Drop the channels that are not named, for figures that cannot be summed; all rows without a rest."""
        return table[table["channel_name"].isin(self.named)].reset_index(drop=True) if self.rest else table

    def table(
        self,
        whole: pd.DataFrame,
        make: Callable[..., pd.DataFrame],
        *arguments: Any,
        has_total: bool = False,
        **options: Any,
    ) -> pd.DataFrame:
        """Recompute a table with the rest as one channel, in a row after the named ones.

        In: the `whole` table, which is returned if there is no rest; the function to `make` it, and its arguments:
        frames with `channel_name`, and others. `has_total`: the total stays in the last row.
        """
        if not self.rest:
            return whole
        is_named = [isinstance(each, pd.DataFrame) and "channel_name" in each for each in arguments]
        folded = [self.of(each) if named else each for each, named in zip(arguments, is_named, strict=True)]
        made = make(*folded, **options).reset_index(drop=True)
        end = len(made) - has_total
        is_rest = made.index.isin(made.index[:end][made["channel_name"].iloc[:end] == self.rest])
        rows = [made[:end][~is_rest[:end]], made[is_rest], made[end:]]
        return pd.concat(rows, ignore_index=True)


def folding(names: Iterable[str], order: Iterable[str], most: int = MOST_ROWS) -> Folding:
    """Choose the channels to name: the first `most` in the `order` that are among `names`.

    In: the `names` of the existing channels; all channels in their `order`, as of `colours_of`. A rest of one channel
    is named too.
    """
    there = set(names)
    listed = [name for name in order if name in there]
    if len(listed) <= most + 1:
        return Folding(listed, "")
    return Folding(listed[:most], others(len(listed) - most))
