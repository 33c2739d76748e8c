"""Load API answers for calibration, from a CSV file or from the database."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ihc.api.batching import fingerprints
from ihc.api.ledger import answered_accounts, read_answers
from ihc.database.database import Database
from ihc.errors import InputError, SettingsError, why
from ihc.formatting import some
from ihc.schemas.tables import SHARES, require_columns


class Answers(NamedTuple):
    """API answers as `conv_id, session_id, initializer, holder, closer, ihc [share]`, and their source.

    `outdated` [count]: stored answers not used, because the sessions of the order have changed since.
    """

    frame: pd.DataFrame
    source: str
    outdated: int = 0


def answers_of_file(path: Path) -> Answers:
    """Read answers from a CSV file with the API's columns; invalid numbers become NaN.

    In: `conversion_id, session_id, initializer, holder, closer, ihc`; other columns are ignored.
    Raises InputError if the file cannot be read, has no rows or lacks a column.
    """
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"The answers file {path} cannot be read as CSV: {why(error)}.") from None
    if len(frame.columns) == 1 and ";" in frame.columns[0]:
        raise InputError(f"The answers file {path} is separated by semicolons: save it with commas as separators.")
    require_columns(frame, ("conversion_id", "session_id", *SHARES), f"the file {path.name}")
    if frame.empty:
        raise InputError(f"The answers file {path} has no rows.")
    figures = {share: pd.to_numeric(frame[share], errors="coerce").astype("float64") for share in SHARES}
    frame = frame.assign(conv_id=frame["conversion_id"], **figures)
    return Answers(frame[["conv_id", "session_id", *SHARES]], f"answers of the IHC Attribution API in {path.name}")


def answers_of_database(database: Database, journeys: pd.DataFrame, conv_type_id: str | None = None) -> Answers:
    """Read the latest stored answers for exactly these `journeys`, computed without a redistribution.

    Raises InputError if there are none, SettingsError if there are answers of several conversion types and
    `conv_type_id` does not select one.
    """
    accounts = answered_accounts(database)
    if conv_type_id:
        accounts = accounts[accounts["conv_type_id"] == conv_type_id]
    if accounts.empty:
        of_type = f" for the conversion type {conv_type_id!r}" if conv_type_id else ""
        raise InputError(
            f"The database has no API answers{of_type} computed without a redistribution: give a file with --answers, "
            "or request answers first with `ihc run --engine api`."
        )
    if len(accounts) > 1:
        names = accounts["conv_type_id"] + " of " + accounts["url"]
        raise SettingsError(
            f"The database has answers of several conversion types: {some(names)}. They cannot be mixed: select one "
            "with --conv-type-id, or give a file with --answers."
        )
    account = accounts.iloc[0]
    frame = read_answers(database, account["account"], fingerprints(journeys))
    if frame.empty:
        raise InputError(
            "The stored API answers are for other sessions than the current ones, or for another lookback window: "
            "set the same --lookback-days, or run again."
        )
    source = f"stored answers of conversion type {account['conv_type_id']} at {account['url']}"
    return Answers(frame, source, int(account["conversions"]) - frame["conv_id"].nunique())
