from dataclasses import replace

import pandas as pd
import pytest
from helpers.frames import curves_of, journey

from ihc.api.account import ApiAccount
from ihc.api.batching import fingerprints
from ihc.api.ledger import RequestNote, RequestResult, open_ledger
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.errors import InputError, SettingsError
from ihc.models.ihc import attribute
from ihc.models.redistribution import parse_redistribution
from ihc.pipeline.answers import answers_of_database, answers_of_file
from ihc.schemas.tables import SHARES

HEADER = "conversion_id,session_id,initializer,holder,closer,ihc"
ACCOUNT = ApiAccount("https://api.example.com/v1", "k3y", "sales")
PHASE = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}
REDISTRIBUTION = parse_redistribution(dict.fromkeys(("initializer", "holder", "closer"), PHASE), "It")
TWO = pd.concat(
    [
        journey((0, "A", 1, 1), (60, "B", 1, 1), conv_id="k1", prefix="a"),
        journey((0, "A", 1, 1), (30, "B", 1, 1), conv_id="k2", prefix="b"),
    ],
    ignore_index=True,
)


def write(path, *lines):
    path.write_text("\n".join([HEADER, *lines]) + "\n", "utf-8")
    return path


def answer(database, journeys, account=ACCOUNT, hours=100.0):
    """Store answers for journeys as a run does, from an engine whose closer curve has this range in hours."""
    shares = attribute(journeys, curves_of(closer=([0, hours], [1, 0]))).round(4)
    whole = {
        conv_id: list(rows[["session_id", *SHARES]].itertuples(index=False, name=None))
        for conv_id, rows in shares.groupby("conv_id")
    }
    marks = fingerprints(journeys).set_index("conv_id")["fingerprint"].to_dict()
    note = RequestNote.of(journeys, marks)
    with open_ledger(database, account, "run") as ledger:
        ledger.write([note], [])
        ledger.write([], [RequestResult(note, 1, "answered", {}, whole)])
    return shares


@pytest.fixture
def database(tmp_path):
    create_tables(Database(tmp_path / "shop.db"))
    return Database(tmp_path / "shop.db")


def test_a_file_gives_ids_as_texts_and_shares_as_numbers(tmp_path):
    found = answers_of_file(write(tmp_path / "answers.csv", "007,1e3,1.0,0.25,0,0.5", "007,NA,0,0.75,1,0.5"))
    assert found.frame.columns.tolist() == ["conv_id", "session_id", *SHARES]
    assert found.frame["conv_id"].tolist() == ["007", "007"]
    assert found.frame["session_id"].tolist() == ["1e3", "NA"]
    assert found.frame["holder"].tolist() == [0.25, 0.75]
    assert found.source == "answers of the IHC Attribution API in answers.csv"


def test_extra_columns_are_ignored_and_invalid_numbers_are_nan(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text(f"{HEADER},colour\nk,s,1,many,0,1,red\n", "utf-8")
    frame = answers_of_file(path).frame
    assert frame.columns.tolist() == ["conv_id", "session_id", *SHARES]
    assert frame["holder"].isna().tolist() == [True]


def test_a_missing_or_invalid_file_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read as CSV"):
        answers_of_file(tmp_path / "nothing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        answers_of_file(tmp_path / "binary.csv")
    (tmp_path / "other.csv").write_text("conversion_id,session_id\nk,s\n", "utf-8")
    with pytest.raises(InputError, match=r"The file other\.csv lacks the columns 'initializer', 'holder', 'closer'"):
        answers_of_file(tmp_path / "other.csv")
    (tmp_path / "semicolons.csv").write_text(HEADER.replace(",", ";") + "\nk;s;1;0;1;1\n", "utf-8")
    with pytest.raises(InputError, match="separated by semicolons"):
        answers_of_file(tmp_path / "semicolons.csv")
    with pytest.raises(InputError, match="has no rows"):
        answers_of_file(write(tmp_path / "empty.csv"))


def test_stored_answers_are_read_unchanged(database):
    shares = answer(database, TWO)
    found = answers_of_database(database, TWO)
    rows = found.frame.sort_values(["conv_id", "session_id"], ignore_index=True)
    pd.testing.assert_frame_equal(rows, shares[rows.columns])
    assert found.source == "stored answers of conversion type sales at https://api.example.com/v1"
    assert found.outdated == 0


def test_the_latest_stored_answer_is_used(database):
    answer(database, TWO, hours=100.0)
    shares = answer(database, TWO, hours=200.0)
    found = answers_of_database(database, TWO).frame.sort_values(["conv_id", "session_id"])
    assert found["closer"].tolist() == shares["closer"].tolist()


def test_an_answer_for_other_sessions_than_the_current_ones_is_not_used(database):
    answer(database, TWO)
    changed = TWO.assign(channel_name=TWO["channel_name"].mask(TWO["conv_id"] == "k1", "C"))
    found = answers_of_database(database, changed)
    assert set(found.frame["conv_id"]) == {"k2"}
    assert found.outdated == 1
    with pytest.raises(InputError, match="for other sessions than the current ones"):
        answers_of_database(database, TWO.assign(channel_name="C"))


def test_a_database_without_answers_or_without_their_tables_says_where_to_get_them(database, tmp_path):
    with pytest.raises(InputError, match=r"no API answers computed without.*--answers, or request answers"):
        answers_of_database(database, TWO)
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError, match="no API answers"):
        answers_of_database(Database(tmp_path / "empty.db"), TWO)


def test_redistributed_answers_are_not_used(database):
    answer(database, TWO, replace(ACCOUNT, redistribution=REDISTRIBUTION))
    with pytest.raises(InputError, match="without a redistribution"):
        answers_of_database(database, TWO)


def test_of_several_conversion_types_one_must_be_chosen(database):
    answer(database, TWO, replace(ACCOUNT, conv_type_id="leads"), hours=50.0)
    shares = answer(database, TWO, hours=200.0)
    with pytest.raises(SettingsError, match=r"'leads of https.*'sales of https.*select one with --conv-type-id"):
        answers_of_database(database, TWO)
    found = answers_of_database(database, TWO, "sales").frame.sort_values(["conv_id", "session_id"])
    assert found["closer"].tolist() == shares["closer"].tolist()
    with pytest.raises(InputError, match="for the conversion type 'calls'"):
        answers_of_database(database, TWO, "calls")
