"""What the rows of the report stand for: channels, groups of channels, or another column of the sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ihc.errors import InputError, SettingsError, why
from ihc.formatting import some
from ihc.schemas.tables import COLUMNS, SESSIONS

GROUP_COLUMNS = ("channel_name", "channel_group")
NO_VALUE = "(none)"
# What could be told apart by every session is no dimension of a report.
NO_DIMENSION = frozenset(COLUMNS[SESSIONS]) - {"channel_name"}


def load_channel_groups(path: Path) -> dict[str, str]:
    """Read a CSV of `channel_name, channel_group`: the group of each channel.

    Raises SettingsError: the file, the column or the line, and what it must be.
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
        raise SettingsError(f"The channel groups {path} give no group to {some(frame.loc[is_blank, 'channel_name'])}.")
    repeated = frame.loc[frame["channel_name"].duplicated(), "channel_name"]
    if len(repeated):
        raise SettingsError(f"The channel groups {path} name {some(repeated)} more than once: keep one line each.")
    return dict(zip(frame["channel_name"], frame["channel_group"], strict=True))


def with_dimension(
    sessions: pd.DataFrame, *, by: str | None = None, groups: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Put the report's dimension in the place of the channel.

    In: the sessions; `by`, another column of theirs, or `groups`, the group of each channel; neither leaves them as
    they are. Out: the sessions with that as `channel_name`; a session without a value has `(none)`, a channel without
    a group keeps its name. Raises InputError where there is no such column, or it is of another use.
    """
    if by is not None:
        return sessions.assign(channel_name=_texts(_column(sessions, by)))
    if groups is not None:
        names = sessions["channel_name"]
        return sessions.assign(channel_name=names.map(groups).where(names.isin(list(groups)), names).astype("str"))
    return sessions


def _column(sessions: pd.DataFrame, by: str) -> pd.Series:
    usable = [str(name) for name in sessions.columns if name not in NO_DIMENSION]
    if by not in usable:
        why = "is the key, user, time or flag of a session" if by in NO_DIMENSION else f"is no column of {SESSIONS}"
        raise InputError(f"--by {by!r} {why}; report by one of {some(usable, 20)}.")
    return sessions[by]


def _texts(values: pd.Series) -> pd.Series[str]:
    texts = values.astype("str").where(values.notna(), NO_VALUE)
    return texts.where(texts.str.strip() != "", NO_VALUE).astype("str")
