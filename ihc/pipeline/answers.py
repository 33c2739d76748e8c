"""Answers of the IHC Attribution API to learn from: a CSV file, or what runs have stored in the database."""

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
    """Answers as `conv_id, session_id, initializer, holder, closer, ihc [share]`, and where they are from.

    `outdated` [count]: stored answers that are not taken, as the orders' sessions are not those that were sent.
    """

    frame: pd.DataFrame
    source: str
    outdated: int = 0


def answers_of_file(path: Path) -> Answers:
    """Read answers from a CSV file with the API's columns; a figure that is no number becomes NaN.

    In: `conversion_id, session_id, initializer, holder, closer, ihc`, more columns are passed over.
    Raises InputError where the file cannot be read, has no rows, or lacks a column.
    """
    try:
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"The answers {path} cannot be read as CSV: {why(error)}.") from None
    if len(frame.columns) == 1 and ";" in frame.columns[0]:
        raise InputError(f"The answers {path} are separated by semicolons: save them with commas between the fields.")
    require_columns(frame, ("conversion_id", "session_id", *SHARES), f"the file {path.name}")
    if frame.empty:
        raise InputError(f"The answers {path} have no rows.")
    figures = {share: pd.to_numeric(frame[share], errors="coerce").astype("float64") for share in SHARES}
    frame = frame.assign(conv_id=frame["conversion_id"], **figures)
    return Answers(frame[["conv_id", "session_id", *SHARES]], f"answers of the IHC Attribution API in {path.name}")


def answers_of_database(database: Database, journeys: pd.DataFrame, conv_type_id: str | None = None) -> Answers:
    """Take the latest answers that runs have stored for just these `journeys`, without any redistribution.

    Raises InputError where there is none, SettingsError where several conversion types have answered and
    `conv_type_id` does not say which one is meant.
    """
    accounts = answered_accounts(database)
    if conv_type_id:
        accounts = accounts[accounts["conv_type_id"] == conv_type_id]
    if accounts.empty:
        of_type = f" for the conversion type {conv_type_id!r}" if conv_type_id else ""
        raise InputError(
            f"The database has no answers of the API{of_type} that were given without a redistribution: name a file "
            "by --answers, or ask the API first by `ihc run --engine api`."
        )
    if len(accounts) > 1:
        names = accounts["conv_type_id"] + " of " + accounts["url"]
        raise SettingsError(
            f"The database has answers of several conversion types: {some(names)}. They cannot be mixed: choose one "
            "by --conv-type-id, or name a file by --answers."
        )
    account = accounts.iloc[0]
    frame = read_answers(database, account["account"], fingerprints(journeys))
    if frame.empty:
        raise InputError(
            "The API's answers in the database are for other sessions than there are now, or for another lookback: "
            "give the same --lookback-days, or run again."
        )
    source = f"stored answers of conversion type {account['conv_type_id']} at {account['url']}"
    return Answers(frame, source, int(account["conversions"]) - frame["conv_id"].nunique())
